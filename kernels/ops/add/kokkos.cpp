// add: y = a + b with broadcasting; da and db are dy, summed where a or b is repeated; see
// core/ops/add.hpp.
//
// Shapes, order, sums: kernels/detail/broadcast.hpp. Forward moves 3 words per element of y,
// backward 2 per gradient (1 where it is summed).
#include "kernels/detail/broadcast.hpp"
#include "kernels/detail/step_table.hpp"

namespace soapstone::kernels {
namespace {

using namespace detail;

template <class T>
class AddKernel final : public PreparedKernel {
 public:
  explicit AddKernel(const core::LocalProblem& problem)
      : steps_(*problem.definition), broadcast_(problem) {}

  core::Bytes workspace() const override { return broadcast_.workspace(); }

  void execute(const StepCall& call) const override {
    const Space space;
    if (steps_.name(call) == "forward")
      return broadcast_.forward<T>(space, "soapstone::add::forward", steps_.value(call, "a"),
                                   steps_.value(call, "b"), steps_.value(call, "y"),
                                   [](WideOf<T> a, WideOf<T> b) { return a + b; });
    if (steps_.name(call) == "backward_input") {
      backward(space, call, Broadcast::kA, "a");
      backward(space, call, Broadcast::kB, "b");
      return;
    }
    unknown_step("add/kokkos", steps_.name(call));
  }

 private:
  void backward(const Space& space, const StepCall& call, Broadcast::Input input,
                std::string_view name) const {
    broadcast_.backward_of_sum<T>(
        space, "soapstone::add::backward_input", "soapstone::add::backward_input_sum", input,
        steps_.gradient(call, "y"), steps_.gradient(call, name), call.workspace);
  }

  StepTable steps_;
  Broadcast broadcast_;
};

}  // namespace

std::unique_ptr<PreparedKernel> add_kokkos(const core::LocalProblem& problem) {
  return detail::prepare_floating_or_bf16<AddKernel>(problem);
}

}  // namespace soapstone::kernels
