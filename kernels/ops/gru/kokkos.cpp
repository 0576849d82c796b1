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
// One product for all time steps each: w_ih x, dx, dw_ih and dw_hh; one per time step: w_hh h[t-1]
// and w_hhᵀ (dr, dz, dq)[t] (detail/matmul.hpp). The sums of db_ih and db_hh are in double.
#include "kernels/detail/matmul.hpp"
#include "kernels/ops/gru/frame.hpp"

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
class KokkosProducts {
 public:
  explicit KokkosProducts(const GruSizes& size) : size_(size) {}

  core::Bytes workspace() const {
    const std::int64_t rows = size_.rows(), three = size_.gates(), h = size_.h, i = size_.i;
    return std::max({matmul_workspace<T>(rows, three, i), matmul_workspace<T>(size_.n, three, h),
                     matmul_workspace<T>(size_.n, h, three), matmul_workspace<T>(rows, i, three),
                     matmul_workspace<T>(three, i, rows), matmul_workspace<T>(three, h, rows)});
  }

  void of_inputs(const T* x, const T* w_ih, T* to, std::int64_t stride, void* workspace) const {
    matmul<T>(Space(), "soapstone::gru::product", size_.rows(), size_.gates(), size_.i,
              DenseRows<T>{x, size_.i}, RowsAre::kOuter, DenseRows<T>{w_ih, size_.i},
              RowsAre::kOuter, workspace, into_rows(to, stride));
  }

  void of_states(std::int64_t, const T* states, std::int64_t stride, const T* w_hh, T* to,
                 void* workspace) const {
    matmul<T>(Space(), "soapstone::gru::recurrence", size_.n, size_.gates(), size_.h,
              DenseRows<T>{states, stride}, RowsAre::kOuter, DenseRows<T>{w_hh, size_.h},
              RowsAre::kOuter, workspace, into_rows(to, size_.gates()));
  }

  void to_states(std::int64_t, const T* dsums, const T* w_hh, T* dh, void* workspace) const {
    const std::int64_t hidden = size_.h;
    matmul<T>(Space(), "soapstone::gru::backward_recurrence", size_.n, hidden, size_.gates(),
              DenseRows<T>{dsums, size_.gates()}, RowsAre::kOuter, DenseRows<T>{w_hh, hidden},
              RowsAre::kContracted, workspace,
              [=](std::int64_t row, std::int64_t first, std::int64_t count, const T* sums) {
                T* to = dh + row * hidden + first;
                for (std::int64_t j = 0; j < count; ++j) to[j] += sums[j];
              });
  }

  void to_inputs(const T* dsums, const T* w_ih, T* dx, void* workspace) const {
    matmul<T>(Space(), "soapstone::gru::backward_input", size_.rows(), size_.i, size_.gates(),
              DenseRows<T>{dsums, size_.slots()}, RowsAre::kOuter, DenseRows<T>{w_ih, size_.i},
              RowsAre::kContracted, workspace, into_rows(dx, size_.i));
  }

  void of_weights(const T* dsums, const T* x, const T* y, const T* h0, T* dw_ih, T* dw_hh,
                  void* workspace) const {
    const auto weight = [&](const char* label, T* to, std::int64_t columns, const auto& left,
                            const auto& right) {
      if (to == nullptr) return;
      matmul<T>(Space(), label, size_.gates(), columns, size_.rows(), left, RowsAre::kContracted,
                right, RowsAre::kContracted, workspace, into_rows(to, columns));
    };
    weight("soapstone::gru::backward_w_ih", dw_ih, size_.i, DenseRows<T>{dsums, size_.slots()},
           DenseRows<T>{x, size_.i});
    weight("soapstone::gru::backward_w_hh", dw_hh, size_.h,
           HiddenSide<T>{dsums, size_.slots(), size_.h}, StatesBefore<T>{y, h0, size_.s, size_.h});
  }

 private:
  GruSizes size_;
};

}  // namespace

std::unique_ptr<PreparedKernel> gru_kokkos(const core::LocalProblem& problem) {
  if (problem.dtype() == core::DType::kF64)
    return std::make_unique<GruKernel<double, KokkosProducts<double>>>("gru/kokkos", problem);
  return std::make_unique<GruKernel<float, KokkosProducts<float>>>("gru/kokkos", problem);
}

}  // namespace soapstone::kernels
