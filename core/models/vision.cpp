// Convolutional networks, and the perceptron that sees images too.
#include "core/models/hyper.hpp"
#include "core/ops/adaptive_pool2d.hpp"
#include "core/ops/add.hpp"
#include "core/ops/batch_norm.hpp"
#include "core/ops/concat.hpp"
#include "core/ops/conv2d.hpp"
#include "core/ops/dropout.hpp"
#include "core/ops/linear.hpp"
#include "core/ops/pool2d.hpp"
#include "core/ops/relu.hpp"
#include "core/ops/reshape.hpp"

namespace soapstone::core::zoo {

namespace {

using Pair = std::array<std::int64_t, 2>;  // height, width

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
Result<Graph> mlp(const Request& o) {
  GraphBuilder g(o.name);
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
Result<Graph> fashion_cnn(const Request& o) {
  GraphBuilder g(o.name);
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
Result<Graph> inception_block(const Request& o) {
  GraphBuilder g(o.name);
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

// Single-column AlexNet ("One weird trick", arXiv 1404.5997), 224×224.
Result<Graph> alexnet(const Request& o) {
  GraphBuilder g(o.name);
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
  const double rate = o.real("dropout");
  if (rate > 0) x = g.add("drop6", Dropout{.rate = rate}, {x});
  x = g.add("fc6", dense(4096, Activation::kRelu), {x});
  if (rate > 0) x = g.add("drop7", Dropout{.rate = rate}, {x});
  x = g.add("fc7", dense(4096, Activation::kRelu), {x});
  x = g.add("fc8", dense(1000), {x});
  return g.build_with_loss(x, y);
}

// VGG-16, configuration D, with padding 1 everywhere. Source: arXiv 1409.1556.
Result<Graph> vgg16(const Request& o) {
  GraphBuilder g(o.name);
  auto x = g.source("images", images(o, 3, o["image"], o["image"]));
  const auto y = g.source("labels", labels(o), o["classes"]);
  const std::vector<std::vector<std::int64_t>> blocks{
      {64, 64}, {128, 128}, {256, 256, 256}, {512, 512, 512}, {512, 512, 512}};
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    const std::string block = std::to_string(b + 1);
    for (std::size_t k = 0; k < blocks[b].size(); ++k)
      x = g.add("conv" + block + "_" + std::to_string(k + 1), conv(blocks[b][k], 3, 1, 1), {x});
    x = g.add("pool" + block, max_pool(2, 2), {x});
  }
  x = g.add("flatten", flatten(), {x});
  for (const char* n : {"6", "7"}) {
    x = g.add(std::string("fc") + n, dense(4096, Activation::kRelu), {x});
    if (o.real("dropout") > 0)
      x = g.add(std::string("drop") + n, Dropout{.rate = o.real("dropout")}, {x});
  }
  x = g.add("fc8", dense(o["classes"]), {x});
  return g.build_with_loss(x, y);
}

// A convolution without bias, batch_norm and, unless it is told otherwise, relu.
struct ConvBn {
  GraphBuilder& g;
  double epsilon = 1e-5;

  TensorId operator()(const std::string& name, TensorId x, std::int64_t out, Pair kernel,
                      Pair stride = {1, 1}, Pair padding = {0, 0}, std::int64_t groups = 1,
                      Activation activation = Activation::kRelu) const {
    x = g.add(name,
              Conv2D{.out_channels = out,
                     .kernel = kernel,
                     .stride = stride,
                     .padding = {padding[0], padding[0], padding[1], padding[1]},
                     .groups = groups,
                     .bias = false},
              {x});
    x = g.add(name + "_bn", BatchNorm{.epsilon = epsilon}, {x});
    return activation == Activation::kRelu ? g.add(name + "_relu", Relu{}, {x}) : x;
  }
};

// ResNet of bottleneck blocks, v1.5 (the stride is on the 3×3), and ResNeXt (groups > 1). Sources:
// arXiv 1512.03385, 1611.05431; torchvision's resnet50 and resnext50_32x4d.
Result<Graph> resnet(const Request& o) {
  GraphBuilder g(o.name);
  const ConvBn conv_bn{g};
  auto x = g.source("images", images(o, 3, o["image"], o["image"]));
  const auto y = g.source("labels", labels(o), o["classes"]);
  const std::int64_t base = o["channels"];
  x = conv_bn("stem", x, base, {7, 7}, {2, 2}, {3, 3});
  x = g.add("stem_pool", max_pool(3, 2, 1), {x});
  const std::int64_t depths[] = {o["blocks1"], o["blocks2"], o["blocks3"], o["blocks4"]};
  for (int stage = 0; stage < 4; ++stage) {
    const std::int64_t planes = base << stage;
    const std::int64_t width = planes * o["group_width"] / 64 * o["groups"];
    for (std::int64_t b = 0; b < depths[stage]; ++b) {
      const std::string name =
          "stage" + std::to_string(stage + 1) + "_block" + std::to_string(b + 1) + "_";
      const Pair stride = stage > 0 && b == 0 ? Pair{2, 2} : Pair{1, 1};
      auto t = conv_bn(name + "a", x, width, {1, 1});
      t = conv_bn(name + "b", t, width, {3, 3}, stride, {1, 1}, o["groups"]);
      t = conv_bn(name + "c", t, 4 * planes, {1, 1}, {1, 1}, {0, 0}, 1, Activation::kNone);
      if (b == 0)
        x = conv_bn(name + "down", x, 4 * planes, {1, 1}, stride, {0, 0}, 1, Activation::kNone);
      x = g.add(name + "sum", Add{}, {t, x});
      x = g.add(name + "relu", Relu{}, {x});
    }
  }
  x = g.add("pool", AdaptivePool2D{}, {x});
  x = g.add("flatten", flatten(), {x});
  x = g.add("fc", dense(o["classes"]), {x});
  return g.build_with_loss(x, y);
}

// Inception-v3 without the auxiliary classifier. Sources: arXiv 1512.00567; torchvision's
// inception_v3.
class InceptionV3 {
 public:
  explicit InceptionV3(const Request& o) : o_(o), g_(o.name), conv_{g_, 1e-3} {}

  Result<Graph> build() {
    auto x = g_.source("images", images(o_, 3, o_["image"], o_["image"]));
    const auto y = g_.source("labels", labels(o_), o_["classes"]);
    x = conv_("conv1a", x, 32, {3, 3}, {2, 2});
    x = conv_("conv2a", x, 32, {3, 3});
    x = conv_("conv2b", x, 64, {3, 3}, {1, 1}, {1, 1});
    x = g_.add("pool1", max_pool(3, 2), {x});
    x = conv_("conv3b", x, 80, {1, 1});
    x = conv_("conv4a", x, 192, {3, 3});
    x = g_.add("pool2", max_pool(3, 2), {x});
    x = block_a("5b_", x, 32);
    x = block_a("5c_", x, 64);
    x = block_a("5d_", x, 64);
    x = block_b("6a_", x);
    x = block_c("6b_", x, 128);
    x = block_c("6c_", x, 160);
    x = block_c("6d_", x, 160);
    x = block_c("6e_", x, 192);
    x = block_d("7a_", x);
    x = block_e("7b_", x);
    x = block_e("7c_", x);
    x = g_.add("pool", AdaptivePool2D{}, {x});
    if (o_.real("dropout") > 0) x = g_.add("drop", Dropout{.rate = o_.real("dropout")}, {x});
    x = g_.add("flatten", flatten(), {x});
    x = g_.add("fc", dense(o_["classes"]), {x});
    return g_.build_with_loss(x, y);
  }

 private:
  TensorId average(const std::string& name, TensorId x) {
    return g_.add(name,
                  Pool2D{.kind = PoolKind::kAverage,
                         .kernel = {3, 3},
                         .stride = {1, 1},
                         .padding = same_padding(1)},
                  {x});
  }
  TensorId joined(const std::string& name, std::vector<TensorId> parts) {
    return g_.add(name + "concat", Concat{.dim = 1}, std::move(parts));
  }

  TensorId block_a(const std::string& n, TensorId x, std::int64_t pool_features) {
    const auto a = conv_(n + "1x1", x, 64, {1, 1});
    auto b = conv_(n + "5x5_1", x, 48, {1, 1});
    b = conv_(n + "5x5_2", b, 64, {5, 5}, {1, 1}, {2, 2});
    auto c = conv_(n + "3x3dbl_1", x, 64, {1, 1});
    c = conv_(n + "3x3dbl_2", c, 96, {3, 3}, {1, 1}, {1, 1});
    c = conv_(n + "3x3dbl_3", c, 96, {3, 3}, {1, 1}, {1, 1});
    const auto d = conv_(n + "pool_1x1", average(n + "pool", x), pool_features, {1, 1});
    return joined(n, {a, b, c, d});
  }
  TensorId block_b(const std::string& n, TensorId x) {
    const auto a = conv_(n + "3x3", x, 384, {3, 3}, {2, 2});
    auto b = conv_(n + "3x3dbl_1", x, 64, {1, 1});
    b = conv_(n + "3x3dbl_2", b, 96, {3, 3}, {1, 1}, {1, 1});
    b = conv_(n + "3x3dbl_3", b, 96, {3, 3}, {2, 2});
    return joined(n, {a, b, g_.add(n + "pool", max_pool(3, 2), {x})});
  }
  TensorId block_c(const std::string& n, TensorId x, std::int64_t c7) {
    const auto a = conv_(n + "1x1", x, 192, {1, 1});
    auto b = conv_(n + "7x7_1", x, c7, {1, 1});
    b = conv_(n + "7x7_2", b, c7, {1, 7}, {1, 1}, {0, 3});
    b = conv_(n + "7x7_3", b, 192, {7, 1}, {1, 1}, {3, 0});
    auto c = conv_(n + "7x7dbl_1", x, c7, {1, 1});
    c = conv_(n + "7x7dbl_2", c, c7, {7, 1}, {1, 1}, {3, 0});
    c = conv_(n + "7x7dbl_3", c, c7, {1, 7}, {1, 1}, {0, 3});
    c = conv_(n + "7x7dbl_4", c, c7, {7, 1}, {1, 1}, {3, 0});
    c = conv_(n + "7x7dbl_5", c, 192, {1, 7}, {1, 1}, {0, 3});
    const auto d = conv_(n + "pool_1x1", average(n + "pool", x), 192, {1, 1});
    return joined(n, {a, b, c, d});
  }
  TensorId block_d(const std::string& n, TensorId x) {
    auto a = conv_(n + "3x3_1", x, 192, {1, 1});
    a = conv_(n + "3x3_2", a, 320, {3, 3}, {2, 2});
    auto b = conv_(n + "7x7x3_1", x, 192, {1, 1});
    b = conv_(n + "7x7x3_2", b, 192, {1, 7}, {1, 1}, {0, 3});
    b = conv_(n + "7x7x3_3", b, 192, {7, 1}, {1, 1}, {3, 0});
    b = conv_(n + "7x7x3_4", b, 192, {3, 3}, {2, 2});
    return joined(n, {a, b, g_.add(n + "pool", max_pool(3, 2), {x})});
  }
  TensorId block_e(const std::string& n, TensorId x) {
    const auto a = conv_(n + "1x1", x, 320, {1, 1});
    const auto b = conv_(n + "3x3_1", x, 384, {1, 1});
    const auto b1 = conv_(n + "3x3_2a", b, 384, {1, 3}, {1, 1}, {0, 1});
    const auto b2 = conv_(n + "3x3_2b", b, 384, {3, 1}, {1, 1}, {1, 0});
    auto c = conv_(n + "3x3dbl_1", x, 448, {1, 1});
    c = conv_(n + "3x3dbl_2", c, 384, {3, 3}, {1, 1}, {1, 1});
    const auto c1 = conv_(n + "3x3dbl_3a", c, 384, {1, 3}, {1, 1}, {0, 1});
    const auto c2 = conv_(n + "3x3dbl_3b", c, 384, {3, 1}, {1, 1}, {1, 0});
    const auto d = conv_(n + "pool_1x1", average(n + "pool", x), 192, {1, 1});
    return joined(n, {a, b1, b2, c1, c2, d});
  }

  const Request& o_;
  GraphBuilder g_;
  ConvBn conv_;
};
Result<Graph> inception_v3(const Request& o) { return InceptionV3(o).build(); }

const ModelParameter kImage224{"image", 224, "height and width of the images", 32};
const ModelParameter kClasses{"classes", 1000, "classes"};

std::vector<ModelParameter> residual(double b1, double b2, double b3, double b4, double groups,
                                     double width) {
  return {kImage224,
          kClasses,
          {"channels", 64, "channels of the first stage"},
          {"blocks1", b1, "blocks of the first stage"},
          {"blocks2", b2, "of the second"},
          {"blocks3", b3, "of the third"},
          {"blocks4", b4, "of the fourth"},
          {"groups", groups, "groups of the 3×3 convolutions"},
          {"group_width", width, "channels of a group where the first stage has 64"}};
}

}  // namespace

std::vector<Entry> vision_models() {
  return {
      {{"mlp", "784-128-128-10 perceptron on 28×28 images", 128, "fashion-mnist"}, mlp, {}},
      {{"fashion-cnn", "conv 1-32, pool, conv 32-64, pool, fc 128, fc 10 on 28×28 images", 128,
        "fashion-mnist"},
       fashion_cnn,
       {}},
      {{"inception-block", "a small Inception module with batch_norm, for checks", 32, "synthetic"},
       inception_block,
       {}},
      {{"alexnet", "single-column AlexNet on 224×224 images", 64, "synthetic"},
       alexnet,
       {{"dropout", 0.5, "rate; 0: none", 0}}},
      {{"vgg-16", "VGG-16", 64, "synthetic"},
       vgg16,
       {kImage224, kClasses, {"dropout", 0.5, "rate; 0: none", 0}}},
      {{"resnet-50", "ResNet-50 v1.5", 64, "synthetic"}, resnet, residual(3, 4, 6, 3, 1, 64)},
      {{"resnet-101", "ResNet-101 v1.5", 64, "synthetic"}, resnet, residual(3, 4, 23, 3, 1, 64)},
      {{"resnext-50", "ResNeXt-50 32×4d", 64, "synthetic"}, resnet, residual(3, 4, 6, 3, 32, 4)},
      {{"inception-v3", "Inception-v3 without the auxiliary classifier", 64, "synthetic"},
       inception_v3,
       {{"image", 299, "height and width of the images", 75},
        kClasses,
        {"dropout", 0.5, "rate; 0: none", 0}}},
  };
}

}  // namespace soapstone::core::zoo
