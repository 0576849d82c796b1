// relu: y = max(x, 0), dx = dy where y > 0. Element by element: 1 FLOP; forward moves 2 words,
// backward 3.
#include "kernels/detail/relu.hpp"
#include "kernels/detail/step_table.hpp"

namespace soapstone::kernels {

namespace {

class Relu final : public PreparedKernel {
 public:
  explicit Relu(const core::LocalProblem& problem) : steps_(*problem.definition) {}

  void execute(const StepCall& call) const override {
    const detail::Space space;
    const auto step = steps_.name(call);
    if (step == "forward")
      detail::relu_forward(space, "soapstone::relu::forward", steps_.value(call, "x"),
                           steps_.value(call, "y"));
    else if (step == "backward_input")
      detail::relu_backward(space, "soapstone::relu::backward_input", steps_.value(call, "y"),
                            steps_.gradient(call, "y"), steps_.gradient(call, "x"));
    else
      detail::unknown_step("relu/kokkos", step);
  }

 private:
  detail::StepTable steps_;
};

}  // namespace

std::unique_ptr<PreparedKernel> relu_kokkos(const core::LocalProblem& problem) {
  return std::make_unique<Relu>(problem);
}

}  // namespace soapstone::kernels
