// Which optimizers there are, and what they keep per weight.
#pragma once

#include <cstdint>

#include "core/reflect.hpp"

namespace soapstone::core {

enum class OptimizerKind : std::uint8_t { kSgd, kAdamW, kAdagrad };
SOAPSTONE_ENUM_NAMES(OptimizerKind, {OptimizerKind::kSgd, "sgd"}, {OptimizerKind::kAdamW, "adamw"},
                     {OptimizerKind::kAdagrad, "adagrad"})

// State tensors per weight: sgd's momentum buffer, if it has one; adamw's two moments; adagrad's
// sum of squares.
constexpr int optimizer_states(OptimizerKind kind, double momentum) {
  switch (kind) {
    case OptimizerKind::kSgd:
      return momentum > 0 ? 1 : 0;
    case OptimizerKind::kAdamW:
      return 2;
    case OptimizerKind::kAdagrad:
      return 1;
  }
  return 0;
}

}  // namespace soapstone::core
