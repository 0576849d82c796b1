// gru: r, z = σ(w_ih x[t] + b_ih + w_hh h[t-1] + b_hh), q = w_hh h[t-1] + b_hh of gate n,
// n = tanh(w_ih x[t] + b_ih + r q), h[t] = (1 - z) n + z h[t-1]; see core/ops/gru.hpp. Backward,
// from the last time step to the first, with dsums = (dr, dz, dn, dq) before the nonlinearities:
//   dh = dy[t] + z[t+1] dh[t+1] + w_hhᵀ (dr, dz, dq)[t+1],
//   dn = dh (1 - z) (1 - n²), dz = dh (h[t-1] - n) z (1 - z), dr = dn q r (1 - r), dq = dn r,
//   dx = w_ihᵀ (dr, dz, dn), dw_ih = Σ (dr, dz, dn) xᵀ, db_ih = Σ (dr, dz, dn),
//   dw_hh = Σ (dr, dz, dq) h[t-1]ᵀ, db_hh = Σ (dr, dz, dq) over n and t.
//
// Shapes: x [n, s, i], h0, h [n, h], y [n, s, h], pre [n, s, 3, h], gates, sums [n, s, 4, h], w_ih
// [3, h, i], w_hh [3, h, h], b_ih, b_hh [3, h], all row-major; all overwritten. A gradient of y or
// h that is absent is zero.
// One product for all time steps each: w_ih x, dx, dw_ih and dw_hh; two per time step: w_hh h[t-1]
// and its gradient (detail/matmul.hpp). The sums of db_ih and db_hh are in double.
#include "kernels/detail/block_access.hpp"
#include "kernels/detail/column_sums.hpp"
#include "kernels/detail/matmul.hpp"
#include "kernels/detail/recurrent.hpp"
#include "kernels/detail/simd.hpp"
#include "kernels/detail/step_table.hpp"
#include "kernels/detail/vector_math.hpp"

namespace soapstone::kernels {
namespace {

using namespace detail;

// (dr, dz, dq) of every row of dsums (dr, dz, dn, dq): columns from 2 h on lie h further.
template <class T>
struct HiddenSide {
  const T* data = nullptr;
  std::int64_t stride = 0, hidden = 0;

  void load(std::int64_t row, std::int64_t first, std::int64_t count, T* out,
            std::int64_t step) const {
    const T* from = data + row * stride;
    const std::int64_t near = std::clamp<std::int64_t>(2 * hidden - first, 0, count);
    for (std::int64_t i = 0; i < near; ++i) out[i * step] = from[first + i];
    for (std::int64_t i = near; i < count; ++i) out[i * step] = from[hidden + first + i];
  }
};

template <class T>
class GruKernel final : public PreparedKernel {
 public:
  explicit GruKernel(const core::LocalProblem& problem)
      : steps_(*problem.definition),
        n_(extent(problem, "n")),
        s_(extent(problem, "s")),
        h_(extent(problem, "h")),
        i_(extent(problem, "i")) {
    const core::Shape strides = core::packed_strides({n_, s_, kSlots, h_}, {}), out{h_, 1};
    const int kept[] = {2, 3};
    for (const std::int64_t gates : {1, 2, 3})
      bias_sums_[gates - 1] = {{n_, s_, gates, h_}, strides, kept, out};
  }

  core::Bytes workspace() const override {
    const std::int64_t three = kGates * h_;
    return std::max(
        {matmul_workspace<T>(n_ * s_, three, i_), matmul_workspace<T>(n_, three, h_),
         carried() + matmul_workspace<T>(n_, h_, three), matmul_workspace<T>(n_ * s_, i_, three),
         matmul_workspace<T>(three, i_, n_ * s_), matmul_workspace<T>(three, h_, n_ * s_),
         bias_sums_[0].workspace(), bias_sums_[1].workspace(), bias_sums_[2].workspace()});
  }

  void execute(const StepCall& call) const override {
    const auto step = steps_.name(call);
    if (step == "forward") {
      product(call, "gates", kSlots * h_);
      recurrence(call, "gates", kSlots * h_);
    } else if (step == "product") {
      product(call, "pre", kGates * h_);
    } else if (step == "recurrence") {
      recurrence(call, "pre", kGates * h_);
    } else if (step == "backward_recurrence") {
      backward_recurrence(call);
    } else if (step == "backward_input") {
      backward_input(call);
    } else if (step == "backward_weight") {
      backward_weight(call);
    } else {
      unknown_step("gru/kokkos", step);
    }
  }

 private:
  static constexpr std::int64_t kGates = 3;  // r, z, n
  static constexpr std::int64_t kSlots = 4;  // r, z, n, q

  static std::int64_t extent(const core::LocalProblem& problem, std::string_view axis) {
    return problem.axes[problem.definition->axis(axis)].extent();
  }
  // What backward carries from one time step to the one before: the gradient of h.
  core::Bytes carried() const {
    return core::Bytes(n_ * h_ * static_cast<std::int64_t>(sizeof(T)));
  }
  T* value(const StepCall& call, std::string_view name) const {
    return data_of<T>(steps_.value(call, name));
  }
  T* gradient(const StepCall& call, std::string_view name) const {
    return data_of<T>(steps_.gradient(call, name));
  }

  // w_ih x of all time steps, into rows `stride` apart.
  void product(const StepCall& call, std::string_view into, std::int64_t stride) const {
    T* to = value(call, into);
    matmul<T>(Space(), "soapstone::gru::product", n_ * s_, kGates * h_, i_,
              DenseRows<T>{value(call, "x"), i_}, RowsAre::kOuter,
              DenseRows<T>{value(call, "w_ih"), i_}, RowsAre::kOuter, call.workspace,
              into_rows(to, stride));
  }

  // `from`: what holds w_ih x, in rows `stride` apart.
  void recurrence(const StepCall& call, std::string_view from, std::int64_t stride) const {
    if (n_ == 0) return;
    const Space space;
    const std::int64_t hidden = h_, steps = s_, slots = kSlots * h_;
    const T *w_hh = value(call, "w_hh"), *b_ih = value(call, "b_ih"), *b_hh = value(call, "b_hh");
    const T* products = value(call, from);
    T *gates = value(call, "gates"), *y = value(call, "y"), *last_h = value(call, "h");
    const StatesBefore<T> before{y, value(call, "h0"), steps, hidden};
    for (std::int64_t t = 0; t < steps; ++t) {
      const DenseRows<T> states{before.row(t), t == 0 ? hidden : steps * hidden};
      // r and z: the sum of both products; n: the two apart, q behind n.
      matmul<T>(space, "soapstone::gru::recurrence", n_, kGates * hidden, hidden, states,
                RowsAre::kOuter, DenseRows<T>{w_hh, hidden}, RowsAre::kOuter, call.workspace,
                [=](std::int64_t n, std::int64_t first, std::int64_t count, const T* sums) {
                  const std::int64_t row = n * steps + t;
                  T* to = gates + row * slots + first;
                  const T* add = products + row * stride + first;
                  const std::int64_t near = std::clamp<std::int64_t>(2 * hidden - first, 0, count);
                  for (std::int64_t j = 0; j < near; ++j) to[j] = add[j] + sums[j];
                  for (std::int64_t j = near; j < count; ++j) to[hidden + j] = sums[j];
                });
      parallel_for_chunks(
          space, "soapstone::gru::gates", n_, samples_at_a_time(hidden),
          [=](std::int64_t begin, std::int64_t end) {
            for (std::int64_t sample = begin; sample < end; ++sample) {
              const std::int64_t row = sample * steps + t;
              T *r = gates + row * slots, *z = r + hidden, *n = z + hidden, *q = n + hidden;
              T* out = y + row * hidden;
              const T* state = before.row(row);
              const T* from_x = products + row * stride + 2 * hidden;
              SOAPSTONE_SIMD
              for (std::int64_t j = 0; j < hidden; ++j) {
                r[j] = logistic(r[j] + b_ih[j] + b_hh[j]).value;
                z[j] = logistic(z[j] + b_ih[hidden + j] + b_hh[hidden + j]).value;
                q[j] += b_hh[2 * hidden + j];
                n[j] = hyperbolic_tangent(from_x[j] + b_ih[2 * hidden + j] + r[j] * q[j]);
                out[j] = (T(1) - z[j]) * n[j] + z[j] * state[j];
              }
              if (t + 1 == steps) std::copy_n(out, hidden, last_h + sample * hidden);
            }
          });
    }
  }

  void backward_recurrence(const StepCall& call) const {
    if (n_ == 0) return;
    const Space space;
    const std::int64_t hidden = h_, steps = s_, slots = kSlots * h_, states = n_ * h_;
    const T *w_hh = value(call, "w_hh"), *gates = value(call, "gates");
    const T *dy = gradient(call, "y"), *last_dh = gradient(call, "h");
    const StatesBefore<T> before{value(call, "y"), value(call, "h0"), steps, hidden};
    T *dsums = gradient(call, "sums"), *dh0 = gradient(call, "h0");
    T* dh = static_cast<T*>(call.workspace);  // [n][h]
    void* scratch = dh + states;
    parallel_for(space, "soapstone::gru::backward_begin", states,
                 [=](std::int64_t k) { dh[k] = last_dh != nullptr ? last_dh[k] : T(0); });
    for (std::int64_t t = steps; t-- > 0;) {
      parallel_for_chunks(
          space, "soapstone::gru::backward_gates", n_, samples_at_a_time(hidden),
          [=](std::int64_t begin, std::int64_t end) {
            for (std::int64_t sample = begin; sample < end; ++sample) {
              const std::int64_t row = sample * steps + t;
              const T *r = gates + row * slots, *z = r + hidden, *n = z + hidden, *q = n + hidden;
              T *dr = dsums + row * slots, *dz = dr + hidden, *dn = dz + hidden, *dq = dn + hidden;
              T* carried = dh + sample * hidden;
              const T* state = before.row(row);
              if (dy != nullptr) {
                const T* from = dy + row * hidden;
                SOAPSTONE_SIMD
                for (std::int64_t j = 0; j < hidden; ++j) carried[j] += from[j];
              }
              SOAPSTONE_SIMD
              for (std::int64_t j = 0; j < hidden; ++j) {
                const T of_h = carried[j];
                const T of_n = of_h * (T(1) - z[j]) * (T(1) - n[j] * n[j]);
                dn[j] = of_n;
                dz[j] = of_h * (state[j] - n[j]) * z[j] * (T(1) - z[j]);
                dr[j] = of_n * q[j] * r[j] * (T(1) - r[j]);
                dq[j] = of_n * r[j];
                carried[j] = of_h * z[j];
              }
            }
          });
      if (t == 0 && dh0 == nullptr) break;
      matmul<T>(space, "soapstone::gru::backward_recurrence", n_, hidden, kGates * hidden,
                HiddenSide<T>{dsums + t * slots, steps * slots, hidden}, RowsAre::kOuter,
                DenseRows<T>{w_hh, hidden}, RowsAre::kContracted, scratch,
                [=](std::int64_t row, std::int64_t first, std::int64_t count, const T* sums) {
                  T* to = dh + row * hidden + first;
                  for (std::int64_t j = 0; j < count; ++j) to[j] += sums[j];
                });
    }
    if (dh0 != nullptr)
      parallel_for(space, "soapstone::gru::backward_end", states,
                   [=](std::int64_t k) { dh0[k] = dh[k]; });
  }

  void backward_input(const StepCall& call) const {
    T* dx = gradient(call, "x");
    if (dx == nullptr) return;
    const std::int64_t in = i_;
    matmul<T>(Space(), "soapstone::gru::backward_input", n_ * s_, in, kGates * h_,
              DenseRows<T>{gradient(call, "sums"), kSlots * h_}, RowsAre::kOuter,
              DenseRows<T>{value(call, "w_ih"), in}, RowsAre::kContracted, call.workspace,
              into_rows(dx, in));
  }

  void backward_weight(const StepCall& call) const {
    const Space space;
    const T* dsums = gradient(call, "sums");
    const auto weight = [&](const char* label, std::string_view name, std::int64_t columns,
                            const auto& left, const auto& right) {
      T* to = gradient(call, name);
      if (to == nullptr) return;
      matmul<T>(space, label, kGates * h_, columns, n_ * s_, left, RowsAre::kContracted, right,
                RowsAre::kContracted, call.workspace, into_rows(to, columns));
    };
    weight("soapstone::gru::backward_w_ih", "w_ih", i_, DenseRows<T>{dsums, kSlots * h_},
           DenseRows<T>{value(call, "x"), i_});
    weight("soapstone::gru::backward_w_hh", "w_hh", h_, HiddenSide<T>{dsums, kSlots * h_, h_},
           StatesBefore<T>{value(call, "y"), value(call, "h0"), s_, h_});
    const Block &all = steps_.gradient(call, "sums"), &db_ih = steps_.gradient(call, "b_ih"),
                &db_hh = steps_.gradient(call, "b_hh");
    if (db_ih.data != nullptr)
      bias_sums_[2].run(space, "soapstone::gru::backward_b_ih", all, db_ih, call.workspace);
    if (db_hh.data != nullptr) {
      bias_sums_[1].run(space, "soapstone::gru::backward_b_hh", all, part(db_hh, 0, 2),
                        call.workspace);
      bias_sums_[0].run(space, "soapstone::gru::backward_b_hh", last_slot(all), part(db_hh, 2, 1),
                        call.workspace);
    }
  }

  // Gates [first, first + count) of a block [3, h].
  Block part(Block block, std::int64_t first, std::int64_t count) const {
    block.data = static_cast<T*>(block.data) + first * h_;
    block.box[0] = {first, first + count};
    return block;
  }
  // A block [n, s, 4, h] that begins at q; ColumnSums knows the strides.
  Block last_slot(Block block) const {
    if (block.size() > 0) block.data = static_cast<T*>(block.data) + kGates * h_;
    return block;
  }

  StepTable steps_;
  std::int64_t n_, s_, h_, i_;  // local extents
  ColumnSums bias_sums_[3];     // of the first 1, 2 or 3 slots from where a block begins
};

}  // namespace

std::unique_ptr<PreparedKernel> gru_kokkos(const core::LocalProblem& problem) {
  return detail::prepare_floating<GruKernel>(problem);
}

}  // namespace soapstone::kernels
