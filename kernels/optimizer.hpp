// The update of weights by their gradients.
#pragma once

#include "kernels/kernel.hpp"

namespace soapstone::kernels {

// Stochastic gradient descent as in PyTorch's torch.optim.SGD:
//   g = gradient_scale · grad + weight_decay · w
//   buf = first_step ? g : momentum · buf + g       (momentum > 0 only)
//   w -= learning_rate · (momentum == 0 ? g : nesterov ? g + momentum · buf : buf)
// Source: https://pytorch.org/docs/stable/generated/torch.optim.SGD.html
struct SgdUpdate {
  double learning_rate = 0.01;
  double momentum = 0;
  double weight_decay = 0;
  bool nesterov = false;
  bool first_step = false;    // the buffer holds nothing yet and is overwritten
  double gradient_scale = 1;  // clipping
};

// All blocks hold the same box in the same order; `momentum_buffer` may be empty where momentum is
// 0. f32 or f64. 3 to 7 FLOPs and up to 5 words per element.
void sgd_update(const Block& weight, const Block& gradient, const Block& momentum_buffer,
                const SgdUpdate& update);

// Σ v², accumulated in double in an order that depends on neither threads nor dtype.
double sum_of_squares(const Block& block);

}  // namespace soapstone::kernels
