// What Soapstone asks of oneDNN: convolutions, products, pooling and softmax on the host's CPU, of
// activations in f32 or bf16. Weights, biases and their gradients are f32 outside; beside bf16 a
// weight is rounded while it is reordered. The only place that knows oneDNN's API, which differs
// between its versions 2 and 3.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/quantity.hpp"
#include "core/shape.hpp"

namespace soapstone::kernels::onednn {

// A failed call, with its name and oneDNN's code.
struct OneDnnError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

std::string version();  // "2.6.3 OMP"

// Extents in oneDNN's logical order, and strides in elements.
struct Tensor {
  std::vector<std::int64_t> extents, strides;
  core::DType dtype = core::DType::kF32;
};

// kValue: the destination itself, where backward reads it beside the gradients.
enum class Argument : int { kSource, kWeight, kBias, kDestination, kChoice, kValue };
struct Data {
  Argument argument;
  void* data;
};

// A primitive, with the reorders of the weight into the layout that it prefers and back. Cheap
// until it is compiled.
class Operation {
 public:
  Operation();
  ~Operation();
  Operation(Operation&&) noexcept;
  Operation& operator=(Operation&&) noexcept;

  // Why there is none; empty where there is one. oneDNN's reference code counts as none.
  const std::string& why_not() const;
  const std::string& implementation() const;  // e.g. "brgconv:avx512_core"
  // Scratch memory while it runs: oneDNN's own, and the reordered weight.
  core::Bytes scratch() const;
  core::Bytes choice() const;  // what max-pooling keeps for its backward pass

  void compile();
  // Once per argument that the operation has: gradients by the name of their value. Allocates
  // nothing.
  // kKept: the weight and `scratch` are as in the call before, so that the reordered weight is
  // there.
  enum class Weight { kNew, kKept };
  void execute(std::initializer_list<Data> arguments, void* scratch,
               Weight weight = Weight::kNew) const;

  struct State;

 private:
  friend struct Builder;
  std::unique_ptr<State> state_;
};

enum class Fused { kNone, kRelu };

// weight [co, ci, kh, kw], or [groups, co, ci, kh, kw] with groups. Pairs are height, width.
struct Convolution {
  Tensor source, weight, destination;
  bool bias = false;
  std::array<std::int64_t, 2> stride, dilation, pad_begin, pad_end;
};
Operation convolution_forward(const Convolution& c, Fused fused);
Operation convolution_backward_input(const Convolution& c);
Operation convolution_backward_weight(const Convolution& c);  // and bias

// y [b, o] = x [b, i] wᵀ [o, i] + bias [o]
struct Product {
  std::int64_t b = 0, o = 0, i = 0;
  bool bias = false;
  core::DType dtype = core::DType::kF32;  // of x and y
};
Operation product_forward(const Product& p, Fused fused);
Operation product_backward_input(const Product& p);
Operation product_backward_weight(const Product& p);  // and bias

// destination [m, n] = source [m, k] weight [k, n], strided. The weight may be of another dtype
// than the source; it is reordered into the layout that oneDNN likes where it is, or with
// `reordered`. With `add`, the destination is added to.
struct Matrices {
  Tensor source, weight, destination;
  bool reordered = false, add = false;
};
Operation matrix_product(const Matrices& p);

enum class Pooling { kMaximum, kMeanOfKernel, kMeanOfInside };
struct Pool {
  Tensor source, destination;
  Pooling kind = Pooling::kMaximum;
  std::array<std::int64_t, 2> kernel, stride, pad_begin, pad_end;
};
Operation pooling_forward(const Pool& p);
Operation pooling_backward(const Pool& p);

// Over dimension `axis`.
struct Softmax {
  Tensor tensor;  // source and destination
  int axis = 0;
  bool log = false;
};
Operation softmax_forward(const Softmax& s);
Operation softmax_backward(const Softmax& s);  // reads the destination

}  // namespace soapstone::kernels::onednn
