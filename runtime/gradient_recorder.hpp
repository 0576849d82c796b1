// Copies of the gradients of a step, which live no longer than their update.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "runtime/plan_run.hpp"

namespace soapstone::runtime {

// Copies the gradients of every update of `run` while it lives; `run` outlives it.
class GradientRecorder {
 public:
  explicit GradientRecorder(PlanRun& run);
  ~GradientRecorder();
  GradientRecorder(const GradientRecorder&) = delete;
  GradientRecorder& operator=(const GradientRecorder&) = delete;

  // On process 0: the gradients of the one step that was made, whole. Elsewhere empty.
  std::vector<WholeTensor> gather(Communicator& communicator, const core::Graph& graph) const;

 private:
  struct Copy {
    std::vector<std::byte> bytes;
    TensorPart part;
  };
  PlanRun& run_;
  std::vector<Copy> copies_;
};

}  // namespace soapstone::runtime
