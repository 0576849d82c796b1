// lstm: i, f, o = σ(·), g = tanh(·) of w_ih x[t] + w_hh h[t-1] + bias; c[t] = f c[t-1] + i g,
// h[t] = o tanh(c[t]); see core/ops/lstm.hpp. Backward, from the last time step to the first:
//   dh = dy[t] + w_hhᵀ dpre[t+1], dc = dh o (1 - tanh²) + f[t+1] dc[t+1],
//   dpre = (dc g i (1 - i), dc c[t-1] f (1 - f), dc i (1 - g²), dh tanh(c) o (1 - o)),
//   dx = w_ihᵀ dpre, dw_ih = Σ dpre xᵀ, dw_hh = Σ dpre h[t-1]ᵀ, dbias = Σ dpre over n and t.
//
// Shapes: x [n, s, i], h0, c0, h, c [n, h], y, cells [n, s, h], pre, gates [n, s, 4, h], w_ih
// [4, h, i], w_hh [4, h, h], bias [4, h], all row-major; all overwritten. A gradient of y, h or c
// that is absent is zero.
// One product for all time steps each: w_ih x, dx, dw_ih and dw_hh; one per time step: w_hh h[t-1]
// and w_hhᵀ dpre[t] (detail/matmul.hpp). The sums of dbias are in double.
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

template <class T>
class LstmKernel final : public PreparedKernel {
 public:
  explicit LstmKernel(const core::LocalProblem& problem)
      : steps_(*problem.definition),
        n_(extent(problem, "n")),
        s_(extent(problem, "s")),
        h_(extent(problem, "h")),
        i_(extent(problem, "i")) {
    const core::Shape pre{n_, s_, kGates, h_}, bias{kGates, h_};
    const int kept[] = {2, 3};
    bias_sums_ = {pre, core::packed_strides(pre, {}), kept, core::packed_strides(bias, {})};
  }

  core::Bytes workspace() const override {
    const std::int64_t gates = kGates * h_;
    return std::max({matmul_workspace<T>(n_ * s_, gates, i_), matmul_workspace<T>(n_, gates, h_),
                     carried() + matmul_workspace<T>(n_, h_, gates),
                     matmul_workspace<T>(n_ * s_, i_, gates),
                     matmul_workspace<T>(gates, i_, n_ * s_),
                     matmul_workspace<T>(gates, h_, n_ * s_), bias_sums_.workspace()});
  }

  void execute(const StepCall& call) const override {
    const auto step = steps_.name(call);
    if (step == "forward") {
      product(call, "gates");
      recurrence(call, "gates");
    } else if (step == "product") {
      product(call, "pre");
    } else if (step == "recurrence") {
      recurrence(call, "pre");
    } else if (step == "backward_recurrence") {
      backward_recurrence(call);
    } else if (step == "backward_input") {
      backward_input(call);
    } else if (step == "backward_weight") {
      backward_weight(call);
    } else {
      unknown_step("lstm/kokkos", step);
    }
  }

 private:
  static constexpr std::int64_t kGates = 4;  // i, f, g, o

  static std::int64_t extent(const core::LocalProblem& problem, std::string_view axis) {
    return problem.axes[problem.definition->axis(axis)].extent();
  }
  // What backward carries from one time step to the one before: the gradients of h and c.
  core::Bytes carried() const {
    return core::Bytes(2 * n_ * h_ * static_cast<std::int64_t>(sizeof(T)));
  }
  T* value(const StepCall& call, std::string_view name) const {
    return data_of<T>(steps_.value(call, name));
  }
  T* gradient(const StepCall& call, std::string_view name) const {
    return data_of<T>(steps_.gradient(call, name));
  }

  // w_ih x of all time steps.
  void product(const StepCall& call, std::string_view into) const {
    T* to = value(call, into);
    const std::int64_t gates = kGates * h_;
    matmul<T>(Space(), "soapstone::lstm::product", n_ * s_, gates, i_,
              DenseRows<T>{value(call, "x"), i_}, RowsAre::kOuter,
              DenseRows<T>{value(call, "w_ih"), i_}, RowsAre::kOuter, call.workspace,
              into_rows(to, gates));
  }

  // `from`: what holds w_ih x.
  void recurrence(const StepCall& call, std::string_view from) const {
    if (n_ == 0) return;
    const Space space;
    const std::int64_t hidden = h_, steps = s_, four = kGates * h_;
    const T *w_hh = value(call, "w_hh"), *bias = value(call, "bias"), *c0 = value(call, "c0");
    const T* products = value(call, from);
    T *gates = value(call, "gates"), *cells = value(call, "cells"), *y = value(call, "y");
    T *last_h = value(call, "h"), *last_c = value(call, "c");
    const StatesBefore<T> before{y, value(call, "h0"), steps, hidden};
    for (std::int64_t t = 0; t < steps; ++t) {
      const DenseRows<T> states{before.row(t), t == 0 ? hidden : steps * hidden};
      matmul<T>(space, "soapstone::lstm::recurrence", n_, four, hidden, states, RowsAre::kOuter,
                DenseRows<T>{w_hh, hidden}, RowsAre::kOuter, call.workspace,
                [=](std::int64_t row, std::int64_t first, std::int64_t count, const T* sums) {
                  const std::int64_t at = (row * steps + t) * four + first;
                  for (std::int64_t j = 0; j < count; ++j)
                    gates[at + j] = products[at + j] + sums[j];
                });
      parallel_for_chunks(space, "soapstone::lstm::gates", n_, samples_at_a_time(hidden),
                          [=](std::int64_t begin, std::int64_t end) {
                            for (std::int64_t n = begin; n < end; ++n) {
                              const std::int64_t row = n * steps + t;
                              T *i = gates + row * four, *f = i + hidden, *g = f + hidden,
                                *o = g + hidden;
                              T *cell = cells + row * hidden, *out = y + row * hidden;
                              const T* cell_before = t == 0 ? c0 + n * hidden : cell - hidden;
                              SOAPSTONE_SIMD
                              for (std::int64_t j = 0; j < hidden; ++j) {
                                i[j] = logistic(i[j] + bias[j]).value;
                                f[j] = logistic(f[j] + bias[hidden + j]).value;
                                g[j] = hyperbolic_tangent(g[j] + bias[2 * hidden + j]);
                                o[j] = logistic(o[j] + bias[3 * hidden + j]).value;
                                cell[j] = f[j] * cell_before[j] + i[j] * g[j];
                                out[j] = o[j] * hyperbolic_tangent(cell[j]);
                              }
                              if (t + 1 < steps) continue;
                              std::copy_n(out, hidden, last_h + n * hidden);
                              std::copy_n(cell, hidden, last_c + n * hidden);
                            }
                          });
    }
  }

  void backward_recurrence(const StepCall& call) const {
    if (n_ == 0) return;
    const Space space;
    const std::int64_t hidden = h_, steps = s_, four = kGates * h_, states = n_ * h_;
    const T *w_hh = value(call, "w_hh"), *c0 = value(call, "c0"), *gates = value(call, "gates"),
            *cells = value(call, "cells");
    const T *dy = gradient(call, "y"), *last_dh = gradient(call, "h"),
            *last_dc = gradient(call, "c");
    T *dpre = gradient(call, "pre"), *dh0 = gradient(call, "h0"), *dc0 = gradient(call, "c0");
    T* dh = static_cast<T*>(call.workspace);  // [n][h], as dc
    T* dc = dh + states;
    void* scratch = dc + states;
    parallel_for(space, "soapstone::lstm::backward_begin", states, [=](std::int64_t k) {
      dh[k] = last_dh != nullptr ? last_dh[k] : T(0);
      dc[k] = last_dc != nullptr ? last_dc[k] : T(0);
    });
    for (std::int64_t t = steps; t-- > 0;) {
      parallel_for_chunks(
          space, "soapstone::lstm::backward_gates", n_, samples_at_a_time(hidden),
          [=](std::int64_t begin, std::int64_t end) {
            for (std::int64_t n = begin; n < end; ++n) {
              const std::int64_t row = n * steps + t;
              const T *i = gates + row * four, *f = i + hidden, *g = f + hidden, *o = g + hidden;
              const T* cell = cells + row * hidden;
              const T* cell_before = t == 0 ? c0 + n * hidden : cell - hidden;
              T *di = dpre + row * four, *df = di + hidden, *dg = df + hidden, *d_o = dg + hidden;
              T *h_gradient = dh + n * hidden, *c_gradient = dc + n * hidden;
              if (dy != nullptr) {
                const T* from = dy + row * hidden;
                SOAPSTONE_SIMD
                for (std::int64_t j = 0; j < hidden; ++j) h_gradient[j] += from[j];
              }
              SOAPSTONE_SIMD
              for (std::int64_t j = 0; j < hidden; ++j) {
                const T tangent = hyperbolic_tangent(cell[j]);
                const T of_h = h_gradient[j];
                const T of_c = c_gradient[j] + of_h * o[j] * (T(1) - tangent * tangent);
                di[j] = of_c * g[j] * i[j] * (T(1) - i[j]);
                df[j] = of_c * cell_before[j] * f[j] * (T(1) - f[j]);
                dg[j] = of_c * i[j] * (T(1) - g[j] * g[j]);
                d_o[j] = of_h * tangent * o[j] * (T(1) - o[j]);
                c_gradient[j] = of_c * f[j];
              }
            }
          });
      if (t == 0 && dh0 == nullptr) break;
      matmul<T>(space, "soapstone::lstm::backward_recurrence", n_, hidden, four,
                DenseRows<T>{dpre + t * four, steps * four}, RowsAre::kOuter,
                DenseRows<T>{w_hh, hidden}, RowsAre::kContracted, scratch, into_rows(dh, hidden));
    }
    parallel_for(space, "soapstone::lstm::backward_end", states, [=](std::int64_t k) {
      if (dh0 != nullptr) dh0[k] = dh[k];
      if (dc0 != nullptr) dc0[k] = dc[k];
    });
  }

  void backward_input(const StepCall& call) const {
    T* dx = gradient(call, "x");
    if (dx == nullptr) return;
    const std::int64_t in = i_;
    matmul<T>(Space(), "soapstone::lstm::backward_input", n_ * s_, in, kGates * h_,
              DenseRows<T>{gradient(call, "pre"), kGates * h_}, RowsAre::kOuter,
              DenseRows<T>{value(call, "w_ih"), in}, RowsAre::kContracted, call.workspace,
              into_rows(dx, in));
  }

  void backward_weight(const StepCall& call) const {
    const Space space;
    const DenseRows<T> dpre{gradient(call, "pre"), kGates * h_};
    const auto weight = [&](const char* label, std::string_view name, std::int64_t columns,
                            const auto& right) {
      T* to = gradient(call, name);
      if (to == nullptr) return;
      matmul<T>(space, label, kGates * h_, columns, n_ * s_, dpre, RowsAre::kContracted, right,
                RowsAre::kContracted, call.workspace, into_rows(to, columns));
    };
    weight("soapstone::lstm::backward_w_ih", "w_ih", i_, DenseRows<T>{value(call, "x"), i_});
    weight("soapstone::lstm::backward_w_hh", "w_hh", h_,
           StatesBefore<T>{value(call, "y"), value(call, "h0"), s_, h_});
    const Block& dbias = steps_.gradient(call, "bias");
    if (dbias.data != nullptr)
      bias_sums_.run(space, "soapstone::lstm::backward_bias", steps_.gradient(call, "pre"), dbias,
                     call.workspace);
  }

  StepTable steps_;
  std::int64_t n_, s_, h_, i_;  // local extents
  ColumnSums bias_sums_;
};

}  // namespace

std::unique_ptr<PreparedKernel> lstm_kokkos(const core::LocalProblem& problem) {
  return detail::prepare_floating<LstmKernel>(problem);
}

}  // namespace soapstone::kernels
