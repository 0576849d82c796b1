#include "core/models/models.hpp"

#include "core/ops/add.hpp"
#include "core/ops/attention.hpp"
#include "core/ops/batch_norm.hpp"
#include "core/ops/concat.hpp"
#include "core/ops/conv2d.hpp"
#include "core/ops/dropout.hpp"
#include "core/ops/embedding.hpp"
#include "core/ops/gelu.hpp"
#include "core/ops/layer_norm.hpp"
#include "core/ops/linear.hpp"
#include "core/ops/pool2d.hpp"
#include "core/ops/relu.hpp"
#include "core/ops/reshape.hpp"
#include "core/suggest.hpp"

namespace soapstone::core {

namespace {

TensorDesc images(const ModelOptions& o, std::int64_t c, std::int64_t h, std::int64_t w) {
  return {{o.batch, c, h, w}, o.dtype, channels_last(4)};
}
TensorDesc labels(const ModelOptions& o) { return {{o.batch}, DType::kI32, {}}; }
std::array<std::int64_t, 4> same_padding(std::int64_t p) { return {p, p, p, p}; }

Op dense(std::int64_t out, Activation activation = Activation::kNone) {
  return Linear{.out_features = {out}, .activation = activation};
}
Op conv(std::int64_t out, std::int64_t kernel, std::int64_t stride, std::int64_t padding) {
  return Conv2D{.out_channels = out,
                .kernel = {kernel, kernel},
                .stride = {stride, stride},
                .padding = same_padding(padding),
                .activation = Activation::kRelu};
}
Op max_pool(std::int64_t kernel, std::int64_t stride, std::int64_t padding = 0) {
  return Pool2D{.kind = PoolKind::kMax,
                .kernel = {kernel, kernel},
                .stride = {stride, stride},
                .padding = same_padding(padding)};
}
Op flatten() { return Reshape{.shape = {0, -1}}; }

// 784-128-128-10 on flattened images.
Result<Graph> mlp(const ModelOptions& o) {
  GraphBuilder g("mlp");
  auto x = g.source("images", images(o, 1, 28, 28));
  const auto y = g.source("labels", labels(o), 10);
  x = g.add("flatten", flatten(), {x});
  x = g.add("fc1", dense(128, Activation::kRelu), {x});
  x = g.add("fc2", dense(128), {x});
  x = g.add("relu2", Relu{}, {x});
  x = g.add("fc3", dense(10), {x});
  return g.build_with_loss(x, y);
}

// Two convolutions and two fully connected layers for 28×28 images.
Result<Graph> fashion_cnn(const ModelOptions& o) {
  GraphBuilder g("fashion-cnn");
  auto x = g.source("images", images(o, 1, 28, 28));
  const auto y = g.source("labels", labels(o), 10);
  x = g.add("conv1", conv(32, 3, 1, 1), {x});
  x = g.add("pool1", max_pool(2, 2), {x});
  x = g.add("conv2", conv(64, 3, 1, 1), {x});
  x = g.add("pool2", max_pool(2, 2), {x});
  x = g.add("flatten", flatten(), {x});
  x = g.add("fc1", dense(128, Activation::kRelu), {x});
  x = g.add("fc2", dense(10), {x});
  return g.build_with_loss(x, y);
}

// One Inception module in small, with batch_norm, both poolings, strides and uneven paddings: a
// check of everything that convolutional graphs do.
Result<Graph> inception_block(const ModelOptions& o) {
  GraphBuilder g("inception-block");
  auto x = g.source("images", images(o, 3, 13, 11));
  const auto y = g.source("labels", labels(o), 7);
  const auto conv_bn = [&](const std::string& name, TensorId in, std::int64_t out,
                           std::array<std::int64_t, 2> kernel, std::array<std::int64_t, 2> stride,
                           std::array<std::int64_t, 4> padding, std::int64_t groups = 1) {
    auto t = g.add(name,
                   Conv2D{.out_channels = out,
                          .kernel = kernel,
                          .stride = stride,
                          .padding = padding,
                          .groups = groups,
                          .bias = false},
                   {in});
    t = g.add(name + "_bn", BatchNorm{}, {t});
    return g.add(name + "_relu", Relu{}, {t});
  };
  x = conv_bn("stem", x, 6, {3, 3}, {2, 1}, {0, 1, 1, 0});
  const auto a = conv_bn("a1x1", x, 4, {1, 1}, {1, 1}, {0, 0, 0, 0});
  auto b = conv_bn("b1x1", x, 3, {1, 1}, {1, 1}, {0, 0, 0, 0});
  b = conv_bn("b3x3", b, 6, {3, 3}, {1, 1}, {1, 1, 1, 1}, 3);
  auto c = g.add(
      "c_pool",
      Pool2D{
          .kind = PoolKind::kAverage, .kernel = {3, 3}, .stride = {1, 1}, .padding = {1, 1, 1, 1}},
      {x});
  c = conv_bn("c1x1", c, 3, {1, 1}, {1, 1}, {0, 0, 0, 0});
  const auto d = g.add("d_conv",
                       Conv2D{.out_channels = 4,
                              .kernel = {3, 3},
                              .padding = {2, 2, 2, 2},
                              .dilation = {2, 2},
                              .activation = Activation::kRelu},
                       {x});
  x = g.add("concat", Concat{.dim = 1}, {a, b, c, d});
  x = g.add(
      "pool",
      Pool2D{.kind = PoolKind::kMax, .kernel = {3, 2}, .stride = {2, 2}, .padding = {1, 0, 0, 1}},
      {x});
  x = g.add("flatten", flatten(), {x});
  x = g.add("fc", dense(7), {x});
  return g.build_with_loss(x, y);
}

// Two pre-norm transformer layers with a tied output head, small: a check of everything that
// transformers do.
Result<Graph> transformer_block(const ModelOptions& o) {
  constexpr std::int64_t kSequence = 6, kHidden = 16, kHeads = 4, kVocab = 19;
  GraphBuilder g("transformer-block");
  const auto tokens = g.source("tokens", {{o.batch, kSequence}, DType::kI32, {}}, kVocab);
  const auto positions = g.source("positions", {{o.batch, kSequence}, DType::kI32, {}}, kSequence);
  const auto targets = g.source("labels", {{o.batch, kSequence}, DType::kI32, {}}, kVocab);
  auto x = g.add(
      "embed", Embedding{.vocab = kVocab, .features = kHidden, .init_scale = 0.3, .dtype = o.dtype},
      {tokens});
  const auto p =
      g.add("position",
            Embedding{.vocab = kSequence, .features = kHidden, .init_scale = 0.3, .dtype = o.dtype},
            {positions});
  x = g.add("embed_sum", Add{}, {x, p});
  x = g.add("embed_drop", Dropout{.rate = 0.1}, {x});
  for (int l = 0; l < 2; ++l) {
    const std::string layer = "layer" + std::to_string(l) + "_";
    auto t = g.add(layer + "norm1", LayerNorm{}, {x});
    if (l == 0) {
      t = g.add(layer + "qkv",
                Linear{.out_features = {3, kHeads, kHidden / kHeads}, .packed = true}, {t});
      t = g.add(layer + "attention", Attention{.causal = true}, {t});
    } else {
      const auto q = g.add(layer + "q", Linear{.out_features = {kHeads, kHidden / kHeads}}, {t});
      const auto k = g.add(layer + "k", Linear{.out_features = {kHeads, kHidden / kHeads}}, {t});
      const auto v = g.add(layer + "v", Linear{.out_features = {kHeads, kHidden / kHeads}}, {t});
      t = g.add(layer + "attention", Attention{.causal = true}, {q, k, v});
    }
    t = g.add(layer + "out", Linear{.out_features = {kHidden}, .contracted_dims = 2}, {t});
    x = g.add(layer + "residual1", Add{}, {x, t});
    t = g.add(layer + "norm2", LayerNorm{}, {x});
    t = g.add(layer + "up", dense(4 * kHidden), {t});
    t = g.add(layer + "gelu", Gelu{}, {t});
    t = g.add(layer + "down", dense(kHidden), {t});
    t = g.add(layer + "drop", Dropout{.rate = 0.1}, {t});
    x = g.add(layer + "residual2", Add{}, {x, t});
  }
  x = g.add("final_norm", LayerNorm{}, {x});
  x = g.add("head", Linear{.out_features = {kVocab}, .bias = false}, {x},
            {{"weight", g.tensor("embed.table")}});
  return g.build_with_loss(x, targets);
}

// Single-column AlexNet ("One weird trick", arXiv 1404.5997), 224×224.
Result<Graph> alexnet(const ModelOptions& o) {
  GraphBuilder g("alexnet");
  auto x = g.source("images", images(o, 3, 224, 224));
  const auto y = g.source("labels", labels(o), 1000);
  x = g.add("conv1", conv(64, 11, 4, 2), {x});
  x = g.add("pool1", max_pool(3, 2), {x});
  x = g.add("conv2", conv(192, 5, 1, 2), {x});
  x = g.add("pool2", max_pool(3, 2), {x});
  x = g.add("conv3", conv(384, 3, 1, 1), {x});
  x = g.add("conv4", conv(256, 3, 1, 1), {x});
  x = g.add("conv5", conv(256, 3, 1, 1), {x});
  x = g.add("pool5", max_pool(3, 2), {x});
  x = g.add("flatten", flatten(), {x});
  x = g.add("drop6", Dropout{.rate = 0.5}, {x});
  x = g.add("fc6", dense(4096, Activation::kRelu), {x});
  x = g.add("drop7", Dropout{.rate = 0.5}, {x});
  x = g.add("fc7", dense(4096, Activation::kRelu), {x});
  x = g.add("fc8", dense(1000), {x});
  return g.build_with_loss(x, y);
}

struct Entry {
  ModelInfo info;
  Result<Graph> (*build)(const ModelOptions&);
};

constexpr Entry kEntries[] = {
    {{"mlp", "784-128-128-10 perceptron on 28×28 images", 128, "fashion-mnist"}, mlp},
    {{"fashion-cnn", "conv 1-32, pool, conv 32-64, pool, fc 128, fc 10 on 28×28 images", 128,
      "fashion-mnist"},
     fashion_cnn},
    {{"inception-block", "a small Inception module with batch_norm, for checks", 32, "synthetic"},
     inception_block},
    {{"transformer-block", "two small transformer layers with a tied head, for checks", 6,
      "synthetic"},
     transformer_block},
    {{"alexnet", "single-column AlexNet on 224×224 images", 64, "synthetic"}, alexnet},
};

}  // namespace

std::span<const ModelInfo> models() {
  static const std::vector<ModelInfo> list = [] {
    std::vector<ModelInfo> infos;
    for (const auto& e : kEntries) infos.push_back(e.info);
    return infos;
  }();
  return list;
}

Result<Graph> build_model(std::string_view name, const ModelOptions& options) {
  if (options.batch < 0) return usage_error("batch = {}: must be at least 1", options.batch);
  std::vector<std::string_view> names;
  for (const auto& e : kEntries) {
    names.push_back(e.info.name);
    if (e.info.name != name) continue;
    ModelOptions o = options;
    if (o.batch == 0) o.batch = e.info.default_batch;
    return e.build(o);
  }
  return usage_error("unknown model `{}`; {}", name, accepted_names(name, names));
}

}  // namespace soapstone::core
