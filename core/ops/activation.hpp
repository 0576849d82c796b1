// A nonlinearity fused behind a matrix product or convolution. Only those
// whose derivative follows from the output alone.
#pragma once

#include "core/reflect.hpp"

namespace soapstone::core {

enum class Activation : std::uint8_t { kNone, kRelu };
SOAPSTONE_ENUM_NAMES(Activation, {Activation::kNone, "none"}, {Activation::kRelu, "relu"})

}  // namespace soapstone::core
