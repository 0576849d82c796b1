// linear and conv2d alike: a product with a bias and an activation, and its two gradients.
#pragma once

#include <memory>
#include <string>

#include "kernels/kernel.hpp"
#include "kernels/onednn/onednn.hpp"

namespace soapstone::kernels::onednn {

struct Layer {
  Operation forward;  // with the activation where no reduction is split
  Operation backward_input, backward_weight;

  std::string why_not() const;
  core::Bytes workspace() const;
};

// `op`: "linear" or "conv2d". Compiles the operations.
std::unique_ptr<PreparedKernel> prepare_layer(std::string_view op,
                                              const core::LocalProblem& problem, Layer layer);

// What all of oneDNN's kernels here refuse: f64, and empty blocks.
std::string common_refusal(const core::LocalProblem& problem);

}  // namespace soapstone::kernels::onednn
