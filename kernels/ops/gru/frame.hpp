// The frame of gru's kernels: the gates, time step by time step, around products that a library
// computes. See core/ops/gru.hpp and kokkos.cpp.
#pragma once

#include <algorithm>
#include <array>
#include <memory>

#include "kernels/detail/block_access.hpp"
#include "kernels/detail/column_sums.hpp"
#include "kernels/detail/recurrent.hpp"
#include "kernels/detail/simd.hpp"
#include "kernels/detail/step_table.hpp"
#include "kernels/detail/vector_math.hpp"

namespace soapstone::kernels {

struct GruSizes {
  static constexpr std::int64_t kGates = 3;    // r, z, n
  static constexpr std::int64_t kSlots = 4;    // r, z, n, q
  std::int64_t n = 0, s = 0, h = 0, i = 0;     // local extents
  std::int64_t rows() const { return n * s; }  // of all time steps
  std::int64_t gates() const { return kGates * h; }
  std::int64_t slots() const { return kSlots * h; }

  explicit GruSizes(const core::LocalProblem& problem)
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
//   of_inputs(x, w_ih, to, stride, w)   to [n s, 3 h] = x w_ihᵀ, rows `stride` apart: 3 h or 4 h
//   of_states(t, h, stride, w_hh, to, w)
//                                       to [n, 3 h] = h w_hhᵀ, rows of h `stride` apart; called for
//                                       all t in order with one workspace
//   to_states(t, dsums, w_hh, dh, w)    dh [n, h] += dsums [n, 3 h] w_hh; likewise, backwards
//   to_inputs(dsums, w_ih, dx, w)       dx = (dr, dz, dn) w_ih of dsums [n s, 4 h]
//   of_weights(dsums, x, y, h0, dw_ih, dw_hh, w)
//                                       dw_ih = (dr, dz, dn)ᵀ x, dw_hh = (dr, dz, dq)ᵀ h of the
//                                       time step before; null where not wanted
template <class T, class Products>
class GruKernel final : public PreparedKernel {
  using W = WideOf<T>;

 public:
  GruKernel(std::string_view name, const core::LocalProblem& problem)
      : name_(name), steps_(*problem.definition), size_(problem), products_(size_) {
    const core::Shape strides =
        core::packed_strides({size_.n, size_.s, GruSizes::kSlots, size_.h}, {});
    const int kept[] = {2, 3};
    for (const std::int64_t slots : {1, 2, 3})
      bias_sums_[slots - 1] = {{size_.n, size_.s, slots, size_.h}, strides, kept, {size_.h, 1}};
  }

  core::Bytes workspace() const override {
    return std::max({beside<W>(size_.gates()) + products_.workspace(),
                     beside<W>(size_.h) + beside<T>(size_.gates()) + products_.workspace(),
                     bias_sums_[0].workspace(), bias_sums_[1].workspace(),
                     bias_sums_[2].workspace()});
  }

  void execute(const StepCall& call) const override {
    const auto step = steps_.name(call);
    if (step == "forward") {
      product(call, "gates", size_.slots());
      recurrence(call, "gates", size_.slots());
    } else if (step == "product") {
      product(call, "pre", size_.gates());
    } else if (step == "recurrence") {
      recurrence(call, "pre", size_.gates());
    } else if (step == "backward_recurrence") {
      backward_recurrence(call);
    } else if (step == "backward_input") {
      T* dx = gradient<T>(call, "x");
      if (dx != nullptr && size_.rows() > 0)
        products_.to_inputs(gradient<T>(call, "sums"), value<W>(call, "w_ih"), dx, call.workspace);
    } else if (step == "backward_weight") {
      backward_weight(call);
    } else {
      detail::unknown_step(name_, step);
    }
  }

 private:
  // Of a matrix [n, columns] of U in the workspace.
  template <class U>
  core::Bytes beside(std::int64_t columns) const {
    constexpr std::int64_t kAlignment = 64;
    const std::int64_t bytes = size_.n * columns * static_cast<std::int64_t>(sizeof(U));
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

  // w_ih x of all time steps, into rows `stride` apart.
  void product(const StepCall& call, std::string_view into, std::int64_t stride) const {
    if (size_.rows() > 0)
      products_.of_inputs(value<T>(call, "x"), value<W>(call, "w_ih"), value<T>(call, into), stride,
                          call.workspace);
  }

  // `from`: what holds w_ih x, in rows `stride` apart.
  void recurrence(const StepCall& call, std::string_view from, std::int64_t stride) const {
    if (size_.n == 0) return;
    const detail::Space space;
    const std::int64_t hidden = size_.h, steps = size_.s, slots = size_.slots(),
                       three = size_.gates();
    const W *w_hh = value<W>(call, "w_hh"), *b_ih = value<W>(call, "b_ih"),
            *b_hh = value<W>(call, "b_hh");
    const T *products = value<T>(call, from), *h0 = value<T>(call, "h0");
    T *gates = value<T>(call, "gates"), *y = value<T>(call, "y"), *last_h = value<T>(call, "h");
    const detail::StatesBefore<T> before{y, h0, steps, hidden};
    W* of_states = static_cast<W*>(call.workspace);  // [n][3][h], w_hh h[t-1]
    void* scratch = static_cast<std::byte*>(call.workspace) + beside<W>(three).value;
    for (std::int64_t t = 0; t < steps; ++t) {
      products_.of_states(t, before.row(t), t == 0 ? hidden : steps * hidden, w_hh, of_states,
                          scratch);
      detail::parallel_for_chunks(
          space, "soapstone::gru::gates", size_.n, detail::samples_at_a_time(hidden),
          [=](std::int64_t begin, std::int64_t end) {
            for (std::int64_t sample = begin; sample < end; ++sample) {
              const std::int64_t row = sample * steps + t;
              const T *r_of_x = products + row * stride, *z_of_x = r_of_x + hidden,
                      *n_of_x = z_of_x + hidden;
              const W *r_of_h = of_states + sample * three, *z_of_h = r_of_h + hidden,
                      *n_of_h = z_of_h + hidden;
              T *r = gates + row * slots, *z = r + hidden, *n = z + hidden, *q = n + hidden;
              T* out = y + row * hidden;
              const T* state = before.row(row);
              SOAPSTONE_SIMD
              for (std::int64_t j = 0; j < hidden; ++j) {
                const W reset = detail::logistic(r_of_x[j] + r_of_h[j] + b_ih[j] + b_hh[j]).value;
                const W update =
                    detail::logistic(z_of_x[j] + z_of_h[j] + b_ih[hidden + j] + b_hh[hidden + j])
                        .value;
                const W of_h = n_of_h[j] + b_hh[2 * hidden + j];
                const W fresh =
                    detail::hyperbolic_tangent(n_of_x[j] + b_ih[2 * hidden + j] + reset * of_h);
                r[j] = reset;
                z[j] = update;
                n[j] = fresh;
                q[j] = of_h;
                out[j] = (W(1) - update) * fresh + update * state[j];
              }
              if (t + 1 == steps) std::copy_n(out, hidden, last_h + sample * hidden);
            }
          });
    }
  }

  void backward_recurrence(const StepCall& call) const {
    if (size_.n == 0) return;
    const detail::Space space;
    const std::int64_t hidden = size_.h, steps = size_.s, slots = size_.slots(),
                       three = size_.gates(), states = size_.n * size_.h;
    const W* w_hh = value<W>(call, "w_hh");
    const T* gates = value<T>(call, "gates");
    const T *dy = gradient<T>(call, "y"), *last_dh = gradient<T>(call, "h");
    const detail::StatesBefore<T> before{value<T>(call, "y"), value<T>(call, "h0"), steps, hidden};
    T *dsums = gradient<T>(call, "sums"), *dh0 = gradient<T>(call, "h0");
    W* dh = static_cast<W*>(call.workspace);  // [n][h]
    std::byte* behind = static_cast<std::byte*>(call.workspace) + beside<W>(hidden).value;
    T* of_states = reinterpret_cast<T*>(behind);  // [n][3][h], (dr, dz, dq) of the time step
    void* scratch = behind + beside<T>(three).value;
    detail::parallel_for(space, "soapstone::gru::backward_begin", states, [=](std::int64_t k) {
      dh[k] = last_dh != nullptr ? static_cast<W>(last_dh[k]) : W(0);
    });
    for (std::int64_t t = steps; t-- > 0;) {
      detail::parallel_for_chunks(
          space, "soapstone::gru::backward_gates", size_.n, detail::samples_at_a_time(hidden),
          [=](std::int64_t begin, std::int64_t end) {
            for (std::int64_t sample = begin; sample < end; ++sample) {
              const std::int64_t row = sample * steps + t;
              const T *r = gates + row * slots, *z = r + hidden, *n = z + hidden, *q = n + hidden;
              T *dr = dsums + row * slots, *dz = dr + hidden, *dn = dz + hidden, *dq = dn + hidden;
              T *dr_of_h = of_states + sample * three, *dz_of_h = dr_of_h + hidden,
                *dq_of_h = dz_of_h + hidden;
              W* carried = dh + sample * hidden;
              const T* state = before.row(row);
              if (dy != nullptr) {
                const T* from = dy + row * hidden;
                SOAPSTONE_SIMD
                for (std::int64_t j = 0; j < hidden; ++j) carried[j] += from[j];
              }
              SOAPSTONE_SIMD
              for (std::int64_t j = 0; j < hidden; ++j) {
                const W reset = r[j], update = z[j], fresh = n[j];
                const W of_h = carried[j];
                const W of_n = of_h * (W(1) - update) * (W(1) - fresh * fresh);
                const W of_r = of_n * q[j] * reset * (W(1) - reset);
                const W of_z = of_h * (state[j] - fresh) * update * (W(1) - update);
                const W of_q = of_n * reset;
                dr[j] = of_r;
                dz[j] = of_z;
                dn[j] = of_n;
                dq[j] = of_q;
                dr_of_h[j] = of_r;
                dz_of_h[j] = of_z;
                dq_of_h[j] = of_q;
                carried[j] = of_h * update;
              }
            }
          });
      if (t == 0 && dh0 == nullptr) break;
      products_.to_states(t, of_states, w_hh, dh, scratch);
    }
    if (dh0 != nullptr)
      detail::parallel_for(space, "soapstone::gru::backward_end", states,
                           [=](std::int64_t k) { dh0[k] = dh[k]; });
  }

  void backward_weight(const StepCall& call) const {
    const detail::Space space;
    const Block &dsums = steps_.gradient(call, "sums"), &db_ih = steps_.gradient(call, "b_ih"),
                &db_hh = steps_.gradient(call, "b_hh");
    products_.of_weights(detail::data_of<T>(dsums), value<T>(call, "x"), value<T>(call, "y"),
                         value<T>(call, "h0"), gradient<W>(call, "w_ih"), gradient<W>(call, "w_hh"),
                         call.workspace);
    if (db_ih.data != nullptr)
      bias_sums_[2].run(space, "soapstone::gru::backward_b_ih", dsums, db_ih, call.workspace);
    if (db_hh.data != nullptr) {
      bias_sums_[1].run(space, "soapstone::gru::backward_b_hh", dsums, part(db_hh, 0, 2),
                        call.workspace);
      bias_sums_[0].run(space, "soapstone::gru::backward_b_hh", last_slot(dsums), part(db_hh, 2, 1),
                        call.workspace);
    }
  }

  // Gates [first, first + count) of a block [3, h].
  Block part(Block block, std::int64_t first, std::int64_t count) const {
    block.data = static_cast<W*>(block.data) + first * size_.h;
    block.box[0] = {first, first + count};
    return block;
  }
  // A block [n, s, 4, h] that begins at q; ColumnSums knows the strides.
  Block last_slot(Block block) const {
    if (block.size() > 0) block.data = static_cast<T*>(block.data) + size_.gates();
    return block;
  }

  std::string_view name_;  // of the candidate
  detail::StepTable steps_;
  GruSizes size_;
  Products products_;
  std::array<detail::ColumnSums, 3> bias_sums_;  // of the first 1, 2 or 3 slots of a block
};

}  // namespace soapstone::kernels
