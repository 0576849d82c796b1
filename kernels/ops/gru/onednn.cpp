// gru with oneDNN's products, f32 or bf16: one for all time steps where the mathematics allows it,
// and two per time step, whose weight is reordered once. oneDNN's own GRU is not used, for the
// reasons of lstm/onednn.cpp.
#include <fmt/core.h>

#include "kernels/onednn/layer.hpp"
#include "kernels/onednn/recurrent.hpp"
#include "kernels/ops/gru/frame.hpp"

namespace soapstone::kernels {
namespace {

using onednn::Argument;
using onednn::Operation;

struct Operations {
  // of_inputs by where they go: rows of pre, of gates.
  Operation of_inputs, of_inputs_to_gates, of_first_states, of_states, to_states, to_inputs;
  Operation of_w_ih, of_w_hh_rz, of_w_hh_n;

  Operations(const GruSizes& z, core::DType dtype) {
    const std::int64_t rows = z.rows(), three = z.gates(), four = z.slots(), h = z.h;
    constexpr auto kMaster = core::DType::kF32;
    onednn::Matrices inputs{.source = {{rows, z.i}, {z.i, 1}, dtype},
                            .weight = {{z.i, three}, {1, z.i}, kMaster},
                            .destination = {{rows, three}, {three, 1}, dtype}};
    of_inputs = onednn::matrix_product(inputs);
    inputs.destination.strides[0] = four;
    of_inputs_to_gates = onednn::matrix_product(inputs);
    to_inputs = onednn::matrix_product({.source = {{rows, three}, {four, 1}, dtype},
                                        .weight = {{three, z.i}, {z.i, 1}, kMaster},
                                        .destination = {{rows, z.i}, {z.i, 1}, dtype}});
    onednn::Matrices states{.source = {{z.n, h}, {h, 1}, dtype},
                            .weight = {{h, three}, {1, h}, kMaster},
                            .destination = {{z.n, three}, {three, 1}, kMaster},
                            .reordered = true};
    of_first_states = onednn::matrix_product(states);
    states.source.strides[0] = z.s * h;
    of_states = onednn::matrix_product(states);
    to_states = onednn::matrix_product({.source = {{z.n, three}, {three, 1}, dtype},
                                        .weight = {{three, h}, {h, 1}, kMaster},
                                        .destination = {{z.n, h}, {h, 1}, kMaster},
                                        .reordered = true,
                                        .add = true});
    // dsumsᵀ of `gates` gates times x or the states, into the gradient of a weight
    const auto weight = [&](std::int64_t gates, std::int64_t columns) {
      return onednn::matrix_product({.source = {{gates * h, rows}, {1, four}, dtype},
                                     .weight = {{rows, columns}, {columns, 1}, dtype},
                                     .destination = {{gates * h, columns}, {columns, 1}, kMaster}});
    };
    of_w_ih = weight(3, z.i);
    of_w_hh_rz = weight(2, h);
    of_w_hh_n = weight(1, h);
  }

  template <class Visit>
  void each(const Visit& visit) {
    visit("w_ih x", of_inputs);
    visit("w_ih x beside q", of_inputs_to_gates);
    visit("w_hh h0", of_first_states);
    visit("w_hh h", of_states);
    visit("backward_recurrence", to_states);
    visit("backward_input", to_inputs);
    visit("backward of w_ih", of_w_ih);
    visit("backward of w_hh of r and z", of_w_hh_rz);
    visit("backward of w_hh of n", of_w_hh_n);
  }
};

template <class T>
class OneDnnProducts {
 public:
  explicit OneDnnProducts(const GruSizes& size)
      : size_(size), operations_(size, detail::kDTypeOf<T>) {
    scratch_ = onednn::compile_all(operations_);
  }

  core::Bytes workspace() const { return copies() + scratch_; }

  void of_inputs(const T* x, const float* w_ih, T* to, std::int64_t stride, void* workspace) const {
    const Operation& operation =
        stride == size_.gates() ? operations_.of_inputs : operations_.of_inputs_to_gates;
    operation.execute({{Argument::kSource, onednn::mutable_of(x)},
                       {Argument::kWeight, onednn::mutable_of(w_ih)},
                       {Argument::kDestination, to}},
                      workspace);
  }

  void of_states(std::int64_t t, const T* states, std::int64_t, const float* w_hh, float* to,
                 void* workspace) const {
    const Operation& operation = t == 0 ? operations_.of_first_states : operations_.of_states;
    operation.execute({{Argument::kSource, onednn::mutable_of(states)},
                       {Argument::kWeight, onednn::mutable_of(w_hh)},
                       {Argument::kDestination, to}},
                      workspace, t <= 1 ? Operation::Weight::kNew : Operation::Weight::kKept);
  }

  void to_states(std::int64_t t, const T* dsums, const float* w_hh, float* dh,
                 void* workspace) const {
    operations_.to_states.execute(
        {{Argument::kSource, onednn::mutable_of(dsums)},
         {Argument::kWeight, onednn::mutable_of(w_hh)},
         {Argument::kDestination, dh}},
        workspace, t == size_.s - 1 ? Operation::Weight::kNew : Operation::Weight::kKept);
  }

  void to_inputs(const T* dsums, const float* w_ih, T* dx, void* workspace) const {
    operations_.to_inputs.execute({{Argument::kSource, onednn::mutable_of(dsums)},
                                   {Argument::kWeight, onednn::mutable_of(w_ih)},
                                   {Argument::kDestination, dx}},
                                  workspace);
  }

  void of_weights(const T* dsums, const T* x, const T* y, const T* h0, float* dw_ih, float* dw_hh,
                  void* workspace) const {
    void* scratch = static_cast<std::byte*>(workspace) + copies().value;
    const auto weight = [&](const Operation& operation, const T* left, const T* right, float* to) {
      operation.execute({{Argument::kSource, onednn::mutable_of(left)},
                         {Argument::kWeight, onednn::mutable_of(right)},
                         {Argument::kDestination, to}},
                        scratch);
    };
    if (dw_ih != nullptr) weight(operations_.of_w_ih, dsums, x, dw_ih);
    if (dw_hh == nullptr) return;
    T* states = static_cast<T*>(workspace);  // [n][s][h], before every time step
    onednn::copy_states_before<T>("soapstone::gru::states_before", {y, h0, size_.s, size_.h},
                                  size_.rows(), states);
    weight(operations_.of_w_hh_rz, dsums, states, dw_hh);
    weight(operations_.of_w_hh_n, dsums + 3 * size_.h, states, dw_hh + 2 * size_.h * size_.h);
  }

 private:
  core::Bytes copies() const {
    const std::int64_t bytes = size_.rows() * size_.h * static_cast<std::int64_t>(sizeof(T));
    return core::Bytes((bytes + 63) / 64 * 64);
  }

  GruSizes size_;
  Operations operations_;
  core::Bytes scratch_;
};

}  // namespace

std::string gru_onednn_why_not(const core::LocalProblem& problem) {
  if (std::string refusal = onednn::common_refusal(problem); !refusal.empty()) return refusal;
  return onednn::first_why_not(Operations(GruSizes(problem), problem.dtype()));
}

std::unique_ptr<PreparedKernel> gru_onednn(const core::LocalProblem& problem) {
  if (problem.dtype() == core::DType::kBF16)
    return std::make_unique<GruKernel<Bf16, OneDnnProducts<Bf16>>>("gru/onednn", problem);
  return std::make_unique<GruKernel<float, OneDnnProducts<float>>>("gru/onednn", problem);
}

}  // namespace soapstone::kernels
