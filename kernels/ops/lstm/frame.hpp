// The frame of lstm's kernels: the gates, time step by time step, around products that a library
// computes. See core/ops/lstm.hpp and kokkos.cpp.
#pragma once

#include <algorithm>
#include <memory>

#include "kernels/detail/block_access.hpp"
#include "kernels/detail/column_sums.hpp"
#include "kernels/detail/recurrent.hpp"
#include "kernels/detail/simd.hpp"
#include "kernels/detail/step_table.hpp"
#include "kernels/detail/vector_math.hpp"

namespace soapstone::kernels {

struct LstmSizes {
  static constexpr std::int64_t kGates = 4;    // i, f, g, o
  std::int64_t n = 0, s = 0, h = 0, i = 0;     // local extents
  std::int64_t rows() const { return n * s; }  // of all time steps
  std::int64_t gates() const { return kGates * h; }

  explicit LstmSizes(const core::LocalProblem& problem)
      : n(extent(problem, "n")),
        s(extent(problem, "s")),
        h(extent(problem, "h")),
        i(extent(problem, "i")) {}

 private:
  static std::int64_t extent(const core::LocalProblem& problem, std::string_view axis) {
    return problem.axes[problem.definition->axis(axis)].extent();
  }
};

// Activations of T, weights and what is carried between time steps of W = WideOf<T>. `Products` is
// made from the sizes and has
//   workspace()                         bytes for any of the following
//   of_inputs(x, w_ih, to, w)           to [n s, 4 h] = x w_ihᵀ
//   of_states(t, h, stride, w_hh, gates, w)
//                                       gates of time step t += h w_hhᵀ, rows of h `stride` apart;
//                                       called for all t in order with one workspace
//   to_states(t, dpre, w_hh, dh, w)     dh [n, h] = dpre of time step t w_hh; likewise, backwards
//   to_inputs(dpre, w_ih, dx, w)        dx = dpre w_ih
//   of_weights(dpre, x, y, h0, dw_ih, dw_hh, w)
//                                       dw_ih = dpreᵀ x, dw_hh = dpreᵀ h of the time step before;
//                                       null where not wanted
template <class T, class Products>
class LstmKernel final : public PreparedKernel {
  using W = WideOf<T>;

 public:
  LstmKernel(std::string_view name, const core::LocalProblem& problem)
      : name_(name), steps_(*problem.definition), size_(problem), products_(size_) {
    const core::Shape pre{size_.n, size_.s, LstmSizes::kGates, size_.h},
        bias{LstmSizes::kGates, size_.h};
    const int kept[] = {2, 3};
    bias_sums_ = {pre, core::packed_strides(pre, {}), kept, core::packed_strides(bias, {})};
  }

  core::Bytes workspace() const override {
    return std::max(carried() + products_.workspace(), bias_sums_.workspace());
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
      T* dx = gradient<T>(call, "x");
      if (dx != nullptr && size_.rows() > 0)
        products_.to_inputs(gradient<T>(call, "pre"), value<W>(call, "w_ih"), dx, call.workspace);
    } else if (step == "backward_weight") {
      backward_weight(call);
    } else {
      detail::unknown_step(name_, step);
    }
  }

 private:
  // What backward carries from one time step to the one before: the gradients of h and c.
  core::Bytes carried() const {
    constexpr std::int64_t kAlignment = 64;
    const std::int64_t bytes = 2 * size_.n * size_.h * static_cast<std::int64_t>(sizeof(W));
    return core::Bytes((bytes + kAlignment - 1) / kAlignment * kAlignment);
  }
  template <class U>
  U* value(const StepCall& call, std::string_view name) const {
    return detail::data_of<U>(steps_.value(call, name));
  }
  template <class U>
  U* gradient(const StepCall& call, std::string_view name) const {
    return detail::data_of<U>(steps_.gradient(call, name));
  }

  void product(const StepCall& call, std::string_view into) const {
    if (size_.rows() > 0)
      products_.of_inputs(value<T>(call, "x"), value<W>(call, "w_ih"), value<T>(call, into),
                          call.workspace);
  }

  // `from`: what holds w_ih x.
  void recurrence(const StepCall& call, std::string_view from) const {
    if (size_.n == 0) return;
    const detail::Space space;
    const std::int64_t hidden = size_.h, steps = size_.s, four = size_.gates();
    const W *w_hh = value<W>(call, "w_hh"), *bias = value<W>(call, "bias");
    const T *h0 = value<T>(call, "h0"), *c0 = value<T>(call, "c0");
    const T* products = value<T>(call, from);
    T *gates = value<T>(call, "gates"), *y = value<T>(call, "y");
    W* cells = value<W>(call, "cells");
    T *last_h = value<T>(call, "h"), *last_c = value<T>(call, "c");
    if (products != gates)
      detail::parallel_for_chunks(space, "soapstone::lstm::recurrence_begin", size_.rows() * four,
                                  16384, [=](std::int64_t begin, std::int64_t end) {
                                    std::copy(products + begin, products + end, gates + begin);
                                  });
    for (std::int64_t t = 0; t < steps; ++t) {
      products_.of_states(t, t == 0 ? h0 : y + (t - 1) * hidden, t == 0 ? hidden : steps * hidden,
                          w_hh, gates, call.workspace);
      detail::parallel_for_chunks(
          space, "soapstone::lstm::gates", size_.n, detail::samples_at_a_time(hidden),
          [=](std::int64_t begin, std::int64_t end) {
            for (std::int64_t n = begin; n < end; ++n) {
              const std::int64_t row = n * steps + t;
              T *i = gates + row * four, *f = i + hidden, *g = f + hidden, *o = g + hidden;
              W* cell = cells + row * hidden;
              T* out = y + row * hidden;
              const auto advance = [&](const auto* cell_before) {
                SOAPSTONE_SIMD
                for (std::int64_t j = 0; j < hidden; ++j) {
                  const W in = detail::logistic(i[j] + bias[j]).value;
                  const W forget = detail::logistic(f[j] + bias[hidden + j]).value;
                  const W fresh = detail::hyperbolic_tangent(g[j] + bias[2 * hidden + j]);
                  const W show = detail::logistic(o[j] + bias[3 * hidden + j]).value;
                  const W state = forget * cell_before[j] + in * fresh;
                  i[j] = in;
                  f[j] = forget;
                  g[j] = fresh;
                  o[j] = show;
                  cell[j] = state;
                  out[j] = show * detail::hyperbolic_tangent(state);
                }
              };
              if (t == 0)
                advance(c0 + n * hidden);
              else
                advance(cell - hidden);
              if (t + 1 < steps) continue;
              std::copy_n(out, hidden, last_h + n * hidden);
              for (std::int64_t j = 0; j < hidden; ++j) last_c[n * hidden + j] = cell[j];
            }
          });
    }
  }

  void backward_recurrence(const StepCall& call) const {
    if (size_.n == 0) return;
    const detail::Space space;
    const std::int64_t hidden = size_.h, steps = size_.s, four = size_.gates(),
                       states = size_.n * size_.h;
    const W *w_hh = value<W>(call, "w_hh"), *cells = value<W>(call, "cells");
    const T *c0 = value<T>(call, "c0"), *gates = value<T>(call, "gates");
    const T *dy = gradient<T>(call, "y"), *last_dh = gradient<T>(call, "h"),
            *last_dc = gradient<T>(call, "c");
    T *dpre = gradient<T>(call, "pre"), *dh0 = gradient<T>(call, "h0"),
      *dc0 = gradient<T>(call, "c0");
    W* dh = static_cast<W*>(call.workspace);  // [n][h], as dc
    W* dc = dh + states;
    void* scratch = static_cast<std::byte*>(call.workspace) + carried().value;
    detail::parallel_for(space, "soapstone::lstm::backward_begin", states, [=](std::int64_t k) {
      dh[k] = last_dh != nullptr ? static_cast<W>(last_dh[k]) : W(0);
      dc[k] = last_dc != nullptr ? static_cast<W>(last_dc[k]) : W(0);
    });
    for (std::int64_t t = steps; t-- > 0;) {
      detail::parallel_for_chunks(
          space, "soapstone::lstm::backward_gates", size_.n, detail::samples_at_a_time(hidden),
          [=](std::int64_t begin, std::int64_t end) {
            for (std::int64_t n = begin; n < end; ++n) {
              const std::int64_t row = n * steps + t;
              const T *i = gates + row * four, *f = i + hidden, *g = f + hidden, *o = g + hidden;
              const W* cell = cells + row * hidden;
              T *di = dpre + row * four, *df = di + hidden, *dg = df + hidden, *d_o = dg + hidden;
              W *h_gradient = dh + n * hidden, *c_gradient = dc + n * hidden;
              if (dy != nullptr) {
                const T* from = dy + row * hidden;
                SOAPSTONE_SIMD
                for (std::int64_t j = 0; j < hidden; ++j) h_gradient[j] += from[j];
              }
              const auto go_back = [&](const auto* cell_before) {
                SOAPSTONE_SIMD
                for (std::int64_t j = 0; j < hidden; ++j) {
                  const W in = i[j], forget = f[j], fresh = g[j], show = o[j];
                  const W tangent = detail::hyperbolic_tangent(cell[j]);
                  const W of_h = h_gradient[j];
                  const W of_c = c_gradient[j] + of_h * show * (W(1) - tangent * tangent);
                  di[j] = of_c * fresh * in * (W(1) - in);
                  df[j] = of_c * cell_before[j] * forget * (W(1) - forget);
                  dg[j] = of_c * in * (W(1) - fresh * fresh);
                  d_o[j] = of_h * tangent * show * (W(1) - show);
                  c_gradient[j] = of_c * forget;
                }
              };
              if (t == 0)
                go_back(c0 + n * hidden);
              else
                go_back(cell - hidden);
            }
          });
      if (t == 0 && dh0 == nullptr) break;
      products_.to_states(t, dpre, w_hh, dh, scratch);
    }
    detail::parallel_for(space, "soapstone::lstm::backward_end", states, [=](std::int64_t k) {
      if (dh0 != nullptr) dh0[k] = dh[k];
      if (dc0 != nullptr) dc0[k] = dc[k];
    });
  }

  void backward_weight(const StepCall& call) const {
    const Block& dpre = steps_.gradient(call, "pre");
    const Block& dbias = steps_.gradient(call, "bias");
    products_.of_weights(detail::data_of<T>(dpre), value<T>(call, "x"), value<T>(call, "y"),
                         value<T>(call, "h0"), gradient<W>(call, "w_ih"), gradient<W>(call, "w_hh"),
                         call.workspace);
    if (dbias.data != nullptr)
      bias_sums_.run(detail::Space(), "soapstone::lstm::backward_bias", dpre, dbias,
                     call.workspace);
  }

  std::string_view name_;  // of the candidate
  detail::StepTable steps_;
  LstmSizes size_;
  Products products_;
  detail::ColumnSums bias_sums_;
};

}  // namespace soapstone::kernels
