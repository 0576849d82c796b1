#include "core/models/models.hpp"

#include <gtest/gtest.h>

#include "core/strategy.hpp"

namespace soapstone::core {
namespace {

TEST(Models, AllBuildAtTheirDefaultBatchAndSmaller) {
  for (const auto& info : models()) {
    const auto g = build_model(info.name);
    ASSERT_TRUE(g) << info.name << ": " << g.error().message;
    EXPECT_EQ(g->name(), info.name);
    EXPECT_EQ(g->batch(), info.default_batch);
    EXPECT_TRUE(g->correct());
    const auto one = build_model(info.name, {.batch = 1, .dtype = DType::kF64});
    ASSERT_TRUE(one) << info.name << ": " << one.error().message;
    EXPECT_EQ(one->parameter_count(), g->parameter_count());
    EXPECT_TRUE(check(*one, single_device(*one), 1));
    for (const Tensor& t : one->tensors())
      EXPECT_TRUE(t.desc.dtype != DType::kF32) << info.name << ": " << t.name;
  }
}

TEST(Models, HaveTheParametersOfTheirPapers) {
  const auto count = [](std::string_view name) {
    return build_model(name).value().parameter_count();
  };
  EXPECT_EQ(count("mlp"), 784 * 128 + 128 + 128 * 128 + 128 + 128 * 10 + 10);
  EXPECT_EQ(count("fashion-cnn"), 9 * 32 + 32 + 9 * 32 * 64 + 64 + 3136 * 128 + 128 + 1280 + 10);
  EXPECT_EQ(count("alexnet"), 61'100'840);  // as torchvision's
}

// Multiply and add count as two. Forward of alexnet: 0.714 GFLOP multiplied out per image, twice;
// backward twice that, but for the gradient of the images.
TEST(Models, AlexnetsWorkIsThatOfItsLayers) {
  const double macs = 64. * 55 * 55 * 3 * 121 + 192. * 27 * 27 * 64 * 25 +
                      384. * 13 * 13 * 192 * 9 + 256. * 13 * 13 * 384 * 9 +
                      256. * 13 * 13 * 256 * 9 + 9216. * 4096 + 4096. * 4096 + 4096. * 1000;
  const double first = 64. * 55 * 55 * 3 * 121;
  const double flops = build_model("alexnet", {.batch = 1}).value().flops().value;
  EXPECT_GT(flops, 2 * (3 * macs - first));
  EXPECT_LT(flops, 1.01 * 2 * (3 * macs - first));  // biases, activations, pools
}

TEST(Models, UnknownNamesAndBatchesAreRefused) {
  const auto unknown = build_model("alexnett");
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().message.find("unknown model `alexnett`; did you mean `alexnet`?"),
            std::string::npos)
      << unknown.error().message;
  EXPECT_EQ(build_model("mlp", {.batch = -1}).error().message, "batch = -1: must be at least 1");
}

}  // namespace
}  // namespace soapstone::core
