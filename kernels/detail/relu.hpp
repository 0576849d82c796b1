// The rectifier, alone and as the activation of linear and conv2d. Blocks of a call lie alike.
#pragma once

#include "kernels/detail/space.hpp"
#include "kernels/kernel.hpp"

namespace soapstone::kernels::detail {

// y = max(x, 0); not a number stays so. f32 or f64.
void relu_forward(const Space& space, const char* label, const Block& x, const Block& y);
// dx = dy where y > 0, else 0.
void relu_backward(const Space& space, const char* label, const Block& y, const Block& dy,
                   const Block& dx);

}  // namespace soapstone::kernels::detail
