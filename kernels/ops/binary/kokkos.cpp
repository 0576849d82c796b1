// binary: y = f(a, b) with broadcasting; da and db summed where a or b is repeated; see
// core/ops/binary.hpp.
//
// Shapes, order, sums: kernels/detail/broadcast.hpp. Forward moves 3 words per element of y,
// backward 4 per gradient (3 where it is summed; subtract 2 less).
#include <type_traits>

#include "core/ops/binary.hpp"
#include "kernels/detail/broadcast.hpp"
#include "kernels/detail/step_table.hpp"

namespace soapstone::kernels {
namespace {

using namespace detail;

// Every function, with its derivatives multiplied by dy.
template <class T>
struct Subtract {
  static T value(T a, T b) { return a - b; }  // its gradients are those of a sum, but for a sign
};
template <class T>
struct Multiply {
  static T value(T a, T b) { return a * b; }
  static T to_a(T dy, T, T b) { return dy * b; }
  static T to_b(T dy, T a, T) { return dy * a; }
};
template <class T>
struct Divide {
  static T value(T a, T b) { return a / b; }
  static T to_a(T dy, T, T b) { return dy / b; }
  static T to_b(T dy, T a, T b) { return -dy * (a / b) / b; }
};
// What the operand `own` gets of dy where the largest wins.
template <class T>
T passed(T dy, T own, T other) {
  return own < other ? T(0) : own == other ? T(0.5) * dy : dy;
}
// Not a number, in a or in b, stays so.
template <class T>
struct Maximum {
  static T value(T a, T b) { return a < b || b != b ? b : a; }
  static T to_a(T dy, T a, T b) { return passed(dy, a, b); }
  static T to_b(T dy, T a, T b) { return passed(dy, b, a); }
};
template <class T>
struct Minimum {
  static T value(T a, T b) { return a > b || b != b ? b : a; }
  static T to_a(T dy, T a, T b) { return passed(dy, -a, -b); }
  static T to_b(T dy, T a, T b) { return passed(dy, -b, -a); }
};

// body(F{}) with the function of T.
template <class T, class Body>
void with_function(core::BinaryFunction function, const Body& body) {
  switch (function) {
    case core::BinaryFunction::kSubtract:
      return body(Subtract<T>{});
    case core::BinaryFunction::kMultiply:
      return body(Multiply<T>{});
    case core::BinaryFunction::kDivide:
      return body(Divide<T>{});
    case core::BinaryFunction::kMaximum:
      return body(Maximum<T>{});
    case core::BinaryFunction::kMinimum:
      return body(Minimum<T>{});
  }
  SOAPSTONE_ASSERT(false, "binary function {}", static_cast<int>(function));
}

template <class T>
class BinaryKernel final : public PreparedKernel {
 public:
  explicit BinaryKernel(const core::LocalProblem& problem)
      : steps_(*problem.definition),
        broadcast_(problem),
        function_(problem.op.get_if<core::Binary>()->function) {}

  core::Bytes workspace() const override { return broadcast_.workspace(); }

  void execute(const StepCall& call) const override {
    const Space space;
    if (steps_.name(call) == "forward")
      return with_function<T>(function_, [&](auto f) {
        using F = decltype(f);
        broadcast_.forward<T>(space, "soapstone::binary::forward", steps_.value(call, "a"),
                              steps_.value(call, "b"), steps_.value(call, "y"),
                              [](T a, T b) { return F::value(a, b); });
      });
    if (steps_.name(call) != "backward_input") unknown_step("binary/kokkos", steps_.name(call));
    constexpr const char* kLabel = "soapstone::binary::backward_input";
    constexpr const char* kSumLabel = "soapstone::binary::backward_input_sum";
    const Block &dy = steps_.gradient(call, "y"), &da = steps_.gradient(call, "a"),
                &db = steps_.gradient(call, "b");
    if (function_ == core::BinaryFunction::kSubtract) {
      broadcast_.backward_of_sum<T>(space, kLabel, kSumLabel, Broadcast::kA, dy, da,
                                    call.workspace);
      broadcast_.backward_of_sum<T>(space, kLabel, kSumLabel, Broadcast::kB, dy, db, call.workspace,
                                    -1);
      return;
    }
    const Block &a = steps_.value(call, "a"), &b = steps_.value(call, "b");
    with_function<T>(function_, [&](auto f) {
      using F = decltype(f);
      if constexpr (!std::is_same_v<F, Subtract<T>>) {
        broadcast_.backward<T>(space, kLabel, kSumLabel, Broadcast::kA, a, b, dy, da,
                               call.workspace, to_a<F>);
        broadcast_.backward<T>(space, kLabel, kSumLabel, Broadcast::kB, a, b, dy, db,
                               call.workspace, to_b<F>);
      }
    });
  }

 private:
  template <class F>
  static void to_a(const T* dy, const T* a, const T* b, std::int64_t count, T* da) {
    SOAPSTONE_SIMD
    for (std::int64_t j = 0; j < count; ++j) da[j] = F::to_a(dy[j], a[j], b[j]);
  }
  template <class F>
  static void to_b(const T* dy, const T* a, const T* b, std::int64_t count, T* db) {
    SOAPSTONE_SIMD
    for (std::int64_t j = 0; j < count; ++j) db[j] = F::to_b(dy[j], a[j], b[j]);
  }

  StepTable steps_;
  Broadcast broadcast_;
  core::BinaryFunction function_;
};

}  // namespace

std::unique_ptr<PreparedKernel> binary_kokkos(const core::LocalProblem& problem) {
  return detail::prepare_floating<BinaryKernel>(problem);
}

}  // namespace soapstone::kernels
