// moe_combine: y[n, s] = Σ_k weights[n, s, k] x[n, slots[n, s, k]]; dx[n, slot] = Σ weights dy over
// the (s, k) that have this slot, dweights = dy · x[slot]; see core/ops/moe_combine.hpp.
//
// Shapes: x [n, e, c, d] of this part's experts, weights, slots [n, s, k], y [n, s, d]. Any order;
// all overwritten. Slots elsewhere, and -1, count as zero. Sums are added up in double; those of dx
// in the order of s, then of k: lists of what has a slot are made before.
#include "core/ops/moe_combine.hpp"
#include "kernels/detail/block_access.hpp"
#include "kernels/detail/simd.hpp"
#include "kernels/detail/step_table.hpp"

namespace soapstone::kernels {
namespace {

using namespace detail;

template <class T>
class MoeCombineKernel final : public PreparedKernel {
 public:
  explicit MoeCombineKernel(const core::LocalProblem& problem) : steps_(*problem.definition) {
    const core::OpDefinition& definition = *problem.definition;
    const auto part = [&](const char* axis) {
      return problem.axes[static_cast<std::size_t>(definition.axis(axis))];
    };
    const auto shape = [&](const char* operand) {
      return definition.operands[static_cast<std::size_t>(definition.operand(operand))].desc.shape;
    };
    samples_ = part("n").extent();
    tokens_ = part("s").extent();
    experts_ = part("e");
    features_ = part("d").extent();
    capacity_ = shape("x")[2];
    top_k_ = shape("slots")[2];
  }

  core::Bytes workspace() const override {
    return core::Bytes(samples_ * (rows() + tokens_ * top_k_) *
                       static_cast<std::int64_t>(sizeof(std::int32_t)));
  }

  void execute(const StepCall& call) const override {
    const auto step = steps_.name(call);
    if (step == "forward") return forward(call);
    if (step == "backward_input") return backward_input(call);
    unknown_step("moe_combine/kokkos", step);
  }

 private:
  static constexpr std::int64_t kColumns = 256;  // features summed at a time
  static constexpr std::int64_t kGrain = 8192;   // elements a thread takes at a time
  static std::int64_t rows_at_a_time(std::int64_t columns) {
    return std::max<std::int64_t>(1, kGrain / std::max<std::int64_t>(1, columns));
  }
  std::int64_t rows() const { return experts_.extent() * capacity_; }  // of x in a sample
  // The row of x that is a slot, or -1.
  std::int64_t row_of(std::int64_t slot) const {
    const std::int64_t row = slot - experts_.begin * capacity_;
    return row >= 0 && row < rows() ? row : -1;
  }

  // sums[f] += weight · from[f · step]
  static void add(const T* from, std::int64_t step, std::int64_t count, T weight, double* sums) {
    const auto factor = static_cast<double>(weight);
    if (step == 1) {
      SOAPSTONE_SIMD
      for (std::int64_t f = 0; f < count; ++f) sums[f] += factor * static_cast<double>(from[f]);
    } else {
      for (std::int64_t f = 0; f < count; ++f)
        sums[f] += factor * static_cast<double>(from[f * step]);
    }
  }

  void forward(const StepCall& call) const {
    const auto x = strided<T>(steps_.value(call, "x"));
    const auto weights = strided<T>(steps_.value(call, "weights"));
    const auto slots = strided<std::int32_t>(steps_.value(call, "slots"));
    const auto y = strided<T>(steps_.value(call, "y"));
    const std::int64_t tokens = tokens_, features = features_;
    const MoeCombineKernel* self = this;
    parallel_for_chunks(Space(), "soapstone::moe_combine::forward", samples_ * tokens,
                        rows_at_a_time(features * top_k_),
                        [=](std::int64_t begin, std::int64_t end) {
                          for (std::int64_t token = begin; token < end; ++token) {
                            const std::int64_t n = token / tokens, s = token % tokens;
                            for (std::int64_t f0 = 0; f0 < features; f0 += kColumns) {
                              const std::int64_t count = std::min(kColumns, features - f0);
                              double sums[kColumns] = {};
                              for (std::int64_t k = 0; k < self->top_k_; ++k) {
                                const std::int64_t row = self->row_of(slots(n, s, k));
                                if (row >= 0)
                                  add(&x(n, row / self->capacity_, row % self->capacity_, f0),
                                      x.stride[3], count, weights(n, s, k), sums);
                              }
                              T* to = &y(n, s, f0);
                              for (std::int64_t f = 0; f < count; ++f)
                                to[f * y.stride[2]] = static_cast<T>(sums[f]);
                            }
                          }
                        });
  }

  void backward_input(const StepCall& call) const {
    const auto x = strided<T>(steps_.value(call, "x"));
    const auto weights = strided<T>(steps_.value(call, "weights"));
    const auto slots = strided<std::int32_t>(steps_.value(call, "slots"));
    const auto dy = strided<T>(steps_.gradient(call, "y"));
    const auto dx = strided<T>(steps_.gradient(call, "x"));
    const auto dweights = strided<T>(steps_.gradient(call, "weights"));
    if (dx.data != nullptr)
      backward_x(weights, slots, dy, dx, static_cast<std::int32_t*>(call.workspace));
    if (dweights.data != nullptr) backward_weights(x, slots, dy, dweights);
  }

  void backward_x(const Strided<T>& weights, const Strided<std::int32_t>& slots,
                  const Strided<T>& dy, const Strided<T>& dx, std::int32_t* workspace) const {
    const Space space;
    constexpr std::int32_t kEnd = -1;
    const std::int64_t samples = samples_, features = features_, capacity = capacity_,
                       top_k = top_k_, rows = this->rows(), routes = tokens_ * top_k_;
    std::int32_t* first = workspace;                  // [n, rows]: s·K + k, K their number
    std::int32_t* next = workspace + samples * rows;  // [n, s·K + k]
    const MoeCombineKernel* self = this;
    parallel_for(space, "soapstone::moe_combine::backward_link", samples, [=](std::int64_t n) {
      for (std::int64_t r = 0; r < rows; ++r) first[n * rows + r] = kEnd;
      for (std::int64_t route = routes; route-- > 0;) {
        const std::int64_t row = self->row_of(slots(n, route / top_k, route % top_k));
        if (row < 0) continue;
        next[n * routes + route] = first[n * rows + row];
        first[n * rows + row] = static_cast<std::int32_t>(route);
      }
    });
    parallel_for_chunks(space, "soapstone::moe_combine::backward_input", samples * rows,
                        rows_at_a_time(features), [=](std::int64_t begin, std::int64_t end) {
                          for (std::int64_t index = begin; index < end; ++index) {
                            const std::int64_t n = index / rows, row = index % rows;
                            for (std::int64_t f0 = 0; f0 < features; f0 += kColumns) {
                              const std::int64_t count = std::min(kColumns, features - f0);
                              double sums[kColumns] = {};
                              for (std::int32_t route = first[index]; route != kEnd;
                                   route = next[n * routes + route])
                                add(&dy(n, route / top_k, f0), dy.stride[2], count,
                                    weights(n, route / top_k, route % top_k), sums);
                              T* to = &dx(n, row / capacity, row % capacity, f0);
                              for (std::int64_t f = 0; f < count; ++f)
                                to[f * dx.stride[3]] = static_cast<T>(sums[f]);
                            }
                          }
                        });
  }

  void backward_weights(const Strided<T>& x, const Strided<std::int32_t>& slots,
                        const Strided<T>& dy, const Strided<T>& dweights) const {
    const std::int64_t tokens = tokens_, features = features_;
    const MoeCombineKernel* self = this;
    parallel_for_chunks(
        Space(), "soapstone::moe_combine::backward_weights", samples_ * tokens,
        rows_at_a_time(features * top_k_), [=](std::int64_t begin, std::int64_t end) {
          for (std::int64_t token = begin; token < end; ++token) {
            const std::int64_t n = token / tokens, s = token % tokens;
            for (std::int64_t k = 0; k < self->top_k_; ++k) {
              const std::int64_t row = self->row_of(slots(n, s, k));
              double sum = 0;
              if (row >= 0 && features > 0) {
                const T* a = &dy(n, s, 0);
                const T* b = &x(n, row / self->capacity_, row % self->capacity_, 0);
                const std::int64_t a_step = dy.stride[2], b_step = x.stride[3];
                if (a_step == 1 && b_step == 1) {
                  SOAPSTONE_SIMD_SUM(sum)
                  for (std::int64_t f = 0; f < features; ++f)
                    sum += static_cast<double>(a[f]) * static_cast<double>(b[f]);
                } else {
                  for (std::int64_t f = 0; f < features; ++f)
                    sum += static_cast<double>(a[f * a_step]) * static_cast<double>(b[f * b_step]);
                }
              }
              dweights(n, s, k) = static_cast<T>(sum);
            }
          }
        });
  }

  StepTable steps_;
  std::int64_t samples_ = 0, tokens_ = 0, features_ = 0, capacity_ = 0, top_k_ = 0;
  core::Interval experts_;  // whose slots are here
};

}  // namespace

std::unique_ptr<PreparedKernel> moe_combine_kokkos(const core::LocalProblem& problem) {
  return prepare_floating<MoeCombineKernel>(problem);
}

}  // namespace soapstone::kernels
