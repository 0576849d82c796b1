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
#include "kernels/detail/matmul.hpp"
#include "kernels/ops/lstm/frame.hpp"

namespace soapstone::kernels {
namespace {

using namespace detail;

template <class T>
class KokkosProducts {
 public:
  explicit KokkosProducts(const LstmSizes& size) : size_(size) {}

  core::Bytes workspace() const {
    const std::int64_t rows = size_.rows(), four = size_.gates(), h = size_.h, i = size_.i;
    return std::max({matmul_workspace<T>(rows, four, i), matmul_workspace<T>(size_.n, four, h),
                     matmul_workspace<T>(size_.n, h, four), matmul_workspace<T>(rows, i, four),
                     matmul_workspace<T>(four, i, rows), matmul_workspace<T>(four, h, rows)});
  }

  void of_inputs(const T* x, const T* w_ih, T* to, void* workspace) const {
    matmul<T>(Space(), "soapstone::lstm::product", size_.rows(), size_.gates(), size_.i,
              DenseRows<T>{x, size_.i}, RowsAre::kOuter, DenseRows<T>{w_ih, size_.i},
              RowsAre::kOuter, workspace, into_rows(to, size_.gates()));
  }

  void of_states(std::int64_t t, const T* states, std::int64_t stride, const T* w_hh, T* gates,
                 void* workspace) const {
    const std::int64_t steps = size_.s, four = size_.gates();
    matmul<T>(Space(), "soapstone::lstm::recurrence", size_.n, four, size_.h,
              DenseRows<T>{states, stride}, RowsAre::kOuter, DenseRows<T>{w_hh, size_.h},
              RowsAre::kOuter, workspace,
              [=](std::int64_t row, std::int64_t first, std::int64_t count, const T* sums) {
                T* to = gates + (row * steps + t) * four + first;
                for (std::int64_t j = 0; j < count; ++j) to[j] += sums[j];
              });
  }

  void to_states(std::int64_t t, const T* dpre, const T* w_hh, T* dh, void* workspace) const {
    const std::int64_t four = size_.gates();
    matmul<T>(Space(), "soapstone::lstm::backward_recurrence", size_.n, size_.h, four,
              DenseRows<T>{dpre + t * four, size_.s * four}, RowsAre::kOuter,
              DenseRows<T>{w_hh, size_.h}, RowsAre::kContracted, workspace, into_rows(dh, size_.h));
  }

  void to_inputs(const T* dpre, const T* w_ih, T* dx, void* workspace) const {
    matmul<T>(Space(), "soapstone::lstm::backward_input", size_.rows(), size_.i, size_.gates(),
              DenseRows<T>{dpre, size_.gates()}, RowsAre::kOuter, DenseRows<T>{w_ih, size_.i},
              RowsAre::kContracted, workspace, into_rows(dx, size_.i));
  }

  void of_weights(const T* dpre, const T* x, const T* y, const T* h0, T* dw_ih, T* dw_hh,
                  void* workspace) const {
    const auto weight = [&](const char* label, T* to, std::int64_t columns, const auto& right) {
      if (to == nullptr) return;
      matmul<T>(Space(), label, size_.gates(), columns, size_.rows(),
                DenseRows<T>{dpre, size_.gates()}, RowsAre::kContracted, right,
                RowsAre::kContracted, workspace, into_rows(to, columns));
    };
    weight("soapstone::lstm::backward_w_ih", dw_ih, size_.i, DenseRows<T>{x, size_.i});
    weight("soapstone::lstm::backward_w_hh", dw_hh, size_.h,
           StatesBefore<T>{y, h0, size_.s, size_.h});
  }

 private:
  LstmSizes size_;
};

}  // namespace

std::unique_ptr<PreparedKernel> lstm_kokkos(const core::LocalProblem& problem) {
  if (problem.dtype() == core::DType::kF64)
    return std::make_unique<LstmKernel<double, KokkosProducts<double>>>("lstm/kokkos", problem);
  return std::make_unique<LstmKernel<float, KokkosProducts<float>>>("lstm/kokkos", problem);
}

}  // namespace soapstone::kernels
