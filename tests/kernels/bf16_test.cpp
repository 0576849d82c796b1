// The number format bf16, and the kernels that are widened for it.
#include "kernels/bf16.hpp"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "core/derive.hpp"
#include "core/models/models.hpp"
#include "kernels/catalog.hpp"

namespace soapstone::kernels {
namespace {

float rounded(float value) { return Bf16(value); }

TEST(Bf16, KeepsWhatHasEightBitsOfMantissa) {
  for (const float v : {0.0f, -0.0f, 1.0f, -1.5f, 0.0078125f, 255.0f}) EXPECT_EQ(rounded(v), v);
  EXPECT_TRUE(std::signbit(rounded(-0.0f)));
}

TEST(Bf16, RoundsToTheNearestAndTiesToEven) {
  EXPECT_EQ(rounded(1.0f + 0x1p-9f), 1.0f);                       // below the middle
  EXPECT_EQ(rounded(1.0f + 0x1p-8f), 1.0f);                       // the middle: 1.0 is even
  EXPECT_EQ(rounded(1.0f + 0x1p-8f + 0x1p-20f), 1.0f + 0x1p-7f);  // above it
  EXPECT_EQ(rounded(1.0f + 0x1p-7f + 0x1p-8f), 1.0f + 0x1p-6f);   // the middle: the upper is even
  EXPECT_EQ(rounded(-1.0f - 0x1p-8f - 0x1p-20f), -1.0f - 0x1p-7f);
}

TEST(Bf16, GoesToInfinityAndKeepsWhatIsNoNumber) {
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(rounded(std::numeric_limits<float>::max()), infinity);
  EXPECT_EQ(rounded(-infinity), -infinity);
  EXPECT_TRUE(std::isnan(rounded(std::numeric_limits<float>::quiet_NaN())));
  // Only bits of the lower half say that this is no number.
  EXPECT_TRUE(std::isnan(rounded(std::bit_cast<float>(0x7f800001u))));
  EXPECT_TRUE(std::isnan(rounded(std::bit_cast<float>(0xffffffffu))));
}

TEST(Bf16, AddsInF32) {
  Bf16 sum = 1.0f;
  sum += 0x1p-9f;  // lost: the sum is rounded
  EXPECT_EQ(float(sum), 1.0f);
  EXPECT_EQ(Bf16(1.0f) + Bf16(0x1p-9f), 1.0f + 0x1p-9f);  // kept: this is an f32
}

TEST(Bf16, WeightsStatesAndTheLossOfAModelStayF32) {
  for (const char* name : {"fashion-cnn", "resnet-50", "bert-base", "rnnlm", "dlrm"}) {
    const auto graph = core::build_model(name, {.batch = 4, .dtype = core::DType::kBF16});
    ASSERT_TRUE(graph.has_value()) << graph.error().message;
    int activations = 0;
    for (const core::OpNode& node : graph->ops())
      for (const core::Operand& operand : node.definition.operands) {
        if (operand.role == core::OperandRole::kWeight) {
          EXPECT_EQ(operand.desc.dtype, core::DType::kF32) << node.name << " " << operand.name;
        }
        if (operand.role == core::OperandRole::kOutput)
          activations += operand.desc.dtype == core::DType::kBF16;
      }
    EXPECT_GT(activations, 4) << name;
    EXPECT_EQ(graph->tensor(graph->loss()).desc.dtype, core::DType::kF32) << name;
  }
}

// Widened where none takes bf16.
TEST(Bf16, EveryOperatorHasAKernel) {
  const HostCatalog catalog;
  core::DeviceKind device;
  device.threads = 2;
  for (const char* name : {"resnet-50", "bert-base", "rnnlm", "dlrm", "gpt2"}) {
    const auto graph = core::build_model(name, {.batch = 2, .dtype = core::DType::kBF16});
    ASSERT_TRUE(graph.has_value()) << graph.error().message;
    for (const core::OpNode& node : graph->ops()) {
      const core::LocalProblem problem{node.op, &node.definition,
                                       core::axis_intervals(node.definition, {}, 0)};
      const core::KernelChoice choice = catalog.choose(problem, device);
      EXPECT_FALSE(choice.candidate.empty()) << node.name;
      EXPECT_NE(find_candidate(choice.candidate), nullptr) << choice.candidate;
    }
  }
}

}  // namespace
}  // namespace soapstone::kernels
