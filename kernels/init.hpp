// First values of weights.
#pragma once

#include "core/op_definition.hpp"
#include "kernels/kernel.hpp"

namespace soapstone::kernels {

// Fills a block of a tensor of global shape `shape`. Random values are drawn by the seed, the index
// of the tensor in the graph and the element's row-major index in `shape`, so that every layout
// starts alike; f32 values are the f64 values rounded.
void initialize(const Block& block, const core::Shape& shape, const core::Initializer& init,
                std::uint64_t seed, std::uint32_t tensor);

}  // namespace soapstone::kernels
