// lstm with oneDNN's products, f32 or bf16: one for all time steps where the mathematics allows it,
// and two per time step, whose weight is reordered once. oneDNN's own LSTM is not used: its
// backward pass wants weights in other layouts, and it keeps the gates in a form of its own, which
// a split of the hidden units could not exchange.
#include <fmt/core.h>

#include "kernels/onednn/layer.hpp"
#include "kernels/onednn/recurrent.hpp"
#include "kernels/ops/lstm/frame.hpp"

namespace soapstone::kernels {
namespace {

using onednn::Argument;
using onednn::Operation;

struct Operations {
  Operation of_inputs, of_first_states, of_states, to_states, to_inputs, of_w_ih, of_w_hh;

  Operations(const LstmSizes& z, core::DType dtype) {
    const std::int64_t rows = z.rows(), four = z.gates(), h = z.h;
    constexpr auto kMaster = core::DType::kF32;
    const onednn::Product inputs{rows, four, z.i, false, dtype};
    of_inputs = product_forward(inputs, onednn::Fused::kNone);
    to_inputs = product_backward_input(inputs);
    of_w_ih = product_backward_weight(inputs);
    of_w_hh = product_backward_weight(onednn::Product{rows, four, h, false, dtype});
    // states [n, h] · w_hhᵀ, added to the gates of a time step
    onednn::Matrices forward{.source = {{z.n, h}, {h, 1}, dtype},
                             .weight = {{h, four}, {1, h}, kMaster},
                             .destination = {{z.n, four}, {z.s * four, 1}, dtype},
                             .reordered = true,
                             .add = true};
    of_first_states = onednn::matrix_product(forward);
    forward.source.strides[0] = z.s * h;
    of_states = onednn::matrix_product(forward);
    to_states = onednn::matrix_product({.source = {{z.n, four}, {z.s * four, 1}, dtype},
                                        .weight = {{four, h}, {h, 1}, kMaster},
                                        .destination = {{z.n, h}, {h, 1}, kMaster},
                                        .reordered = true,
                                        .add = false});
  }

  template <class Visit>
  void each(const Visit& visit) {
    visit("w_ih x", of_inputs);
    visit("w_hh h0", of_first_states);
    visit("w_hh h", of_states);
    visit("backward_recurrence", to_states);
    visit("backward_input", to_inputs);
    visit("backward of w_ih", of_w_ih);
    visit("backward of w_hh", of_w_hh);
  }
};

template <class T>
class OneDnnProducts {
 public:
  explicit OneDnnProducts(const LstmSizes& size)
      : size_(size), operations_(size, detail::kDTypeOf<T>) {
    scratch_ = onednn::compile_all(operations_);
  }

  core::Bytes workspace() const { return copies() + scratch_; }

  void of_inputs(const T* x, const float* w_ih, T* to, void* workspace) const {
    operations_.of_inputs.execute({{Argument::kSource, onednn::mutable_of(x)},
                                   {Argument::kWeight, onednn::mutable_of(w_ih)},
                                   {Argument::kDestination, to}},
                                  workspace);
  }

  void of_states(std::int64_t t, const T* states, std::int64_t, const float* w_hh, T* gates,
                 void* workspace) const {
    const Operation& operation = t == 0 ? operations_.of_first_states : operations_.of_states;
    operation.execute({{Argument::kSource, onednn::mutable_of(states)},
                       {Argument::kWeight, onednn::mutable_of(w_hh)},
                       {Argument::kDestination, gates + t * size_.gates()}},
                      workspace, t <= 1 ? Operation::Weight::kNew : Operation::Weight::kKept);
  }

  void to_states(std::int64_t t, const T* dpre, const float* w_hh, float* dh,
                 void* workspace) const {
    operations_.to_states.execute(
        {{Argument::kSource, onednn::mutable_of(dpre + t * size_.gates())},
         {Argument::kWeight, onednn::mutable_of(w_hh)},
         {Argument::kDestination, dh}},
        workspace, t == size_.s - 1 ? Operation::Weight::kNew : Operation::Weight::kKept);
  }

  void to_inputs(const T* dpre, const float* w_ih, T* dx, void* workspace) const {
    operations_.to_inputs.execute({{Argument::kSource, dx},
                                   {Argument::kWeight, onednn::mutable_of(w_ih)},
                                   {Argument::kDestination, onednn::mutable_of(dpre)}},
                                  workspace);
  }

  void of_weights(const T* dpre, const T* x, const T* y, const T* h0, float* dw_ih, float* dw_hh,
                  void* workspace) const {
    void* scratch = static_cast<std::byte*>(workspace) + copies().value;
    if (dw_ih != nullptr)
      operations_.of_w_ih.execute({{Argument::kSource, onednn::mutable_of(x)},
                                   {Argument::kWeight, dw_ih},
                                   {Argument::kDestination, onednn::mutable_of(dpre)}},
                                  scratch);
    if (dw_hh == nullptr) return;
    T* states = static_cast<T*>(workspace);  // [n][s][h], before every time step
    onednn::copy_states_before<T>("soapstone::lstm::states_before", {y, h0, size_.s, size_.h},
                                  size_.rows(), states);
    operations_.of_w_hh.execute({{Argument::kSource, states},
                                 {Argument::kWeight, dw_hh},
                                 {Argument::kDestination, onednn::mutable_of(dpre)}},
                                scratch);
  }

 private:
  core::Bytes copies() const {
    const std::int64_t bytes = size_.rows() * size_.h * static_cast<std::int64_t>(sizeof(T));
    return core::Bytes((bytes + 63) / 64 * 64);
  }

  LstmSizes size_;
  Operations operations_;
  core::Bytes scratch_;
};

}  // namespace

std::string lstm_onednn_why_not(const core::LocalProblem& problem) {
  if (std::string refusal = onednn::common_refusal(problem); !refusal.empty()) return refusal;
  return onednn::first_why_not(Operations(LstmSizes(problem), problem.dtype()));
}

std::unique_ptr<PreparedKernel> lstm_onednn(const core::LocalProblem& problem) {
  if (problem.dtype() == core::DType::kBF16)
    return std::make_unique<LstmKernel<Bf16, OneDnnProducts<Bf16>>>("lstm/onednn", problem);
  return std::make_unique<LstmKernel<float, OneDnnProducts<float>>>("lstm/onednn", problem);
}

}  // namespace soapstone::kernels
