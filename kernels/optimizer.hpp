// The update of weights by their gradients.
#pragma once

#include <span>

#include "core/optimizer.hpp"
#include "kernels/kernel.hpp"

namespace soapstone::kernels {

// As in PyTorch's torch.optim; g = gradient_scale · grad, t = step + 1:
//   sgd      g += weight_decay · w;  buf = step == 0 ? g : momentum · buf + g
//            w -= learning_rate · (momentum == 0 ? g : nesterov ? g + momentum · buf : buf)
//   adamw    w -= learning_rate · weight_decay · w
//            m = beta1 · m + (1 - beta1) g;  v = beta2 · v + (1 - beta2) g²
//            w -= learning_rate / (1 - beta1^t) · m / (√(v / (1 - beta2^t)) + epsilon)
//   adagrad  g += weight_decay · w;  sum += g²;  w -= learning_rate · g / (√sum + epsilon)
// Sources: https://pytorch.org/docs/stable/generated/torch.optim.{SGD,AdamW,Adagrad}.html,
// arXiv 1711.05101, Duchi et al. 2011.
struct OptimizerUpdate {
  core::OptimizerKind kind = core::OptimizerKind::kSgd;
  double learning_rate = 0.01;
  double weight_decay = 0;
  double momentum = 0;                // sgd
  bool nesterov = false;              // sgd
  double beta1 = 0.9, beta2 = 0.999;  // adamw
  double epsilon = 1e-8;              // adamw, adagrad
  std::int64_t step = 0;              // counted from 0
  double gradient_scale = 1;          // clipping
};

// All blocks hold the same box in the same order, as many states as core::optimizer_states says;
// these start as zeros. f32 or f64. 3 to 15 FLOPs and up to 7 words per element.
void update_weight(const Block& weight, const Block& gradient, std::span<const Block> states,
                   const OptimizerUpdate& update);

// Σ v², accumulated in double in an order that depends on neither threads nor dtype.
double sum_of_squares(const Block& block);

}  // namespace soapstone::kernels
