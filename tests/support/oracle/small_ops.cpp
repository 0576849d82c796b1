#include "tests/support/oracle/small_ops.hpp"

#include "core/ops/adaptive_pool2d.hpp"
#include "core/ops/add.hpp"
#include "core/ops/attention.hpp"
#include "core/ops/batch_norm.hpp"
#include "core/ops/binary.hpp"
#include "core/ops/binary_cross_entropy.hpp"
#include "core/ops/cast.hpp"
#include "core/ops/concat.hpp"
#include "core/ops/conv2d.hpp"
#include "core/ops/dropout.hpp"
#include "core/ops/embedding.hpp"
#include "core/ops/embedding_bag.hpp"
#include "core/ops/experts_linear.hpp"
#include "core/ops/gelu.hpp"
#include "core/ops/group_norm.hpp"
#include "core/ops/gru.hpp"
#include "core/ops/interaction.hpp"
#include "core/ops/layer_norm.hpp"
#include "core/ops/linear.hpp"
#include "core/ops/local_response_norm.hpp"
#include "core/ops/lstm.hpp"
#include "core/ops/matmul.hpp"
#include "core/ops/moe_combine.hpp"
#include "core/ops/moe_dispatch.hpp"
#include "core/ops/mse_loss.hpp"
#include "core/ops/pad.hpp"
#include "core/ops/pool2d.hpp"
#include "core/ops/reduce.hpp"
#include "core/ops/relu.hpp"
#include "core/ops/reshape.hpp"
#include "core/ops/rms_norm.hpp"
#include "core/ops/rotary_embedding.hpp"
#include "core/ops/slice.hpp"
#include "core/ops/softmax.hpp"
#include "core/ops/softmax_cross_entropy.hpp"
#include "core/ops/split.hpp"
#include "core/ops/swiglu.hpp"
#include "core/ops/transpose.hpp"
#include "core/ops/unary.hpp"
#include "core/ops/vocab_parallel_cross_entropy.hpp"

namespace soapstone::oracle {

using namespace core;

OpDefinition SmallOp::definition() const {
  auto d = op.define(inputs);
  SOAPSTONE_ASSERT(d, "{}: {}", name, d.error().message);
  return std::move(*d);
}

std::vector<SmallOp> small_ops() {
  const auto dense = [](Shape shape) { return TensorDesc{std::move(shape), DType::kF64, {}}; };
  const auto image = [](Shape shape) {
    return TensorDesc{std::move(shape), DType::kF64, channels_last(4)};
  };
  const auto ids = [](Shape shape) { return TensorDesc{std::move(shape), DType::kI32, {}}; };
  return {
      {"linear", Linear{.out_features = {5}}, {dense({3, 4})}},
      {"linear_relu",
       Linear{.out_features = {3}, .activation = Activation::kRelu},
       {dense({2, 3, 5})}},
      {"linear_packed",
       Linear{.out_features = {3, 4, 2}, .packed = true, .bias = false},
       {dense({2, 3, 4})}},
      {"linear_contracts_two",
       Linear{.out_features = {3}, .contracted_dims = 2},
       {dense({2, 2, 3, 2})}},
      {"conv2d",
       Conv2D{.out_channels = 3, .kernel = {3, 2}, .stride = {2, 1}, .padding = {1, 0, 0, 1}},
       {image({2, 2, 6, 5})}},
      {"conv2d_relu_dilated",
       Conv2D{.out_channels = 2,
              .kernel = {3, 3},
              .padding = {2, 2, 1, 2},
              .dilation = {2, 2},
              .activation = Activation::kRelu},
       {image({2, 3, 5, 4})}},
      {"conv2d_groups",
       Conv2D{.out_channels = 6, .kernel = {2, 2}, .groups = 3},
       {image({2, 3, 4, 4})}},
      {"conv2d_depthwise_relu",
       Conv2D{.out_channels = 4, .kernel = {2, 1}, .groups = 4, .activation = Activation::kRelu},
       {image({2, 4, 3, 3})}},
      {"conv2d_with_gaps",
       Conv2D{.out_channels = 2, .kernel = {1, 1}, .stride = {3, 2}},
       {image({2, 2, 8, 6})}},
      {"pool2d_max",
       Pool2D{.kind = PoolKind::kMax, .kernel = {3, 2}, .stride = {2, 1}, .padding = {1, 0, 0, 1}},
       {image({2, 3, 6, 4})}},
      {"pool2d_average",
       Pool2D{.kind = PoolKind::kAverage, .kernel = {2, 2}, .stride = {2, 2}},
       {image({2, 3, 6, 5})}},
      {"pool2d_with_gaps",
       Pool2D{.kind = PoolKind::kAverage, .kernel = {1, 2}, .stride = {2, 3}},
       {image({2, 2, 7, 8})}},
      {"relu", Relu{}, {image({2, 3, 4, 3})}},
      {"gelu", Gelu{}, {dense({3, 4})}},
      {"add", Add{}, {dense({2, 3, 4}), dense({2, 3, 4})}},
      {"add_broadcast", Add{}, {dense({2, 1, 4}), dense({3, 1})}},
      {"concat", Concat{.dim = 1}, {image({2, 1, 3, 3}), image({2, 4, 3, 3}), image({2, 2, 3, 3})}},
      {"concat_samples", Concat{.dim = 0}, {dense({2, 3}), dense({3, 3})}},
      {"flatten", Reshape{.shape = {0, -1}}, {image({2, 3, 2, 4})}},
      {"reshape_unflatten", Reshape{.shape = {0, 4, 3}}, {dense({3, 12})}},
      {"reshape_merges_samples", Reshape{.shape = {-1, 5}}, {dense({3, 4, 5})}},
      {"reshape_regroups", Reshape{.shape = {2, 2, 6}}, {dense({2, 3, 4})}},
      {"reshape_ones", Reshape{.shape = {0, 1, 4, 1}}, {dense({3, 1, 1, 4})}},
      {"dropout", Dropout{.rate = 0.3}, {dense({3, 4})}},
      {"batch_norm", BatchNorm{}, {image({3, 2, 3, 2})}},
      {"batch_norm_dense", BatchNorm{}, {dense({5, 3})}},
      {"layer_norm", LayerNorm{}, {dense({2, 3, 4})}},
      {"embedding", Embedding{.vocab = 7, .features = 3, .dtype = DType::kF64}, {ids({2, 3})}},
      {"attention", Attention{}, {dense({2, 3, 4, 2}), dense({2, 5, 4, 2}), dense({2, 5, 4, 2})}},
      {"attention_packed", Attention{.causal = true}, {dense({2, 3, 3, 4, 2})}},
      {"softmax_cross_entropy", SoftmaxCrossEntropy{}, {dense({3, 2, 4}), ids({3, 2})}},
      {"attention_grouped",
       Attention{.causal = true, .window = 2},
       {dense({2, 3, 4, 2}), dense({2, 3, 2, 2}), dense({2, 3, 2, 2})}},
      {"slice",
       Slice{.starts = {0, 1, 0}, .stops = {0, 4, 5}, .steps = {1, 2, 2}},
       {dense({2, 5, 5})}},
      {"split", Split{.dim = 1, .sizes = {2, 1, 3}}, {dense({2, 6, 3})}},
      {"transpose", Transpose{.permutation = {0, 2, 1}}, {dense({2, 3, 4})}},
      {"pad", Pad{.before = {0, 1}, .after = {0, 2}}, {dense({2, 3})}},
      {"group_norm", GroupNorm{.groups = 2}, {image({2, 4, 3, 2})}},
      {"rms_norm", RmsNorm{}, {dense({2, 3, 4})}},
      {"local_response_norm", LocalResponseNorm{.size = 3}, {image({2, 5, 2, 3})}},
      {"adaptive_pool2d",
       AdaptivePool2D{.kind = PoolKind::kMax, .output = {2, 3}},
       {image({2, 3, 5, 4})}},
      {"adaptive_pool2d_global", AdaptivePool2D{}, {image({2, 3, 4, 3})}},
      {"rotary_embedding", RotaryEmbedding{}, {dense({2, 3, 2, 4})}},
      {"matmul", Matmul{}, {dense({2, 3, 4}), dense({2, 4, 5})}},
      {"matmul_transposed",
       Matmul{.transpose_a = true, .transpose_b = true},
       {dense({2, 2, 4, 3}), dense({2, 2, 5, 4})}},
      {"lstm", Lstm{.hidden = 3}, {dense({2, 3, 4}), dense({2, 3}), dense({2, 3})}},
      {"gru", Gru{.hidden = 3}, {dense({2, 3, 4}), dense({2, 3})}},
      {"embedding_bag",
       EmbeddingBag{.vocab = 7, .features = 3, .dtype = DType::kF64},
       {ids({2, 3})}},
      {"embedding_bag_mean",
       EmbeddingBag{.vocab = 5, .features = 3, .mode = BagMode::kMean, .dtype = DType::kF64},
       {ids({2, 3})}},
      {"interaction", Interaction{}, {dense({3, 4}), dense({3, 4}), dense({3, 4})}},
      {"vocab_parallel_cross_entropy",
       VocabParallelCrossEntropy{},
       {dense({3, 2, 4}), ids({3, 2})}},
      {"vocab_parallel_cross_entropy_blocks",
       VocabParallelCrossEntropy{},
       {dense({2, 67}), ids({2})}},
      {"moe_dispatch", MoeDispatch{.top_k = 2}, {dense({2, 3, 4}), dense({2, 3, 3})}},
      {"experts_linear", ExpertsLinear{.out_features = 3}, {dense({2, 2, 3, 4})}},
      {"moe_combine", MoeCombine{}, {dense({2, 3, 4, 5}), dense({2, 3, 2}), ids({2, 3, 2})}},
      {"unary", Unary{.function = UnaryFunction::kTanh}, {dense({2, 3})}},
      {"binary", Binary{.function = BinaryFunction::kMultiply}, {dense({2, 3}), dense({3})}},
      {"softmax", Softmax{}, {dense({2, 3, 4})}},
      {"reduce", Reduce{.dims = {1}}, {dense({2, 3, 4})}},
      {"reduce_max", Reduce{.kind = ReduceKind::kMax, .dims = {1, 2}}, {dense({2, 3, 4})}},
      {"swiglu", Swiglu{}, {dense({2, 3}), dense({2, 3})}},
      {"cast", Cast{.to = DType::kF32}, {dense({2, 3})}},
      {"mse_loss", MseLoss{}, {dense({2, 3}), dense({2, 3})}},
      {"binary_cross_entropy", BinaryCrossEntropy{}, {dense({2, 3}), dense({2, 3})}},
  };
}

}  // namespace soapstone::oracle
