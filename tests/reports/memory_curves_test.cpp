#include "reports/memory_curves.hpp"

#include <gtest/gtest.h>

#include "tests/reports/sample.hpp"

namespace soapstone::reports {
namespace {

using namespace core;

Bytes sum(const MemoryCurve& curve, std::size_t i) {
  Bytes out;
  for (const auto& held : curve.held) out += held[i];
  return out;
}

TEST(MemoryCurves, AddUpToTheTracesOwnCounters) {
  for (const int lanes : {1, 2}) {
    const ReportInput in = sample(lanes);
    const auto curves = memory_curves(in.plan, in.predicted);
    ASSERT_EQ(curves.size(), in.predicted.memory.size());
    for (std::size_t d = 0; d < curves.size(); ++d) {
      const MemoryCounter& counter = in.predicted.memory[d];
      EXPECT_EQ(curves[d].device, counter.device);
      EXPECT_EQ(curves[d].peak_bytes, counter.live_peak);
      EXPECT_EQ(sum(curves[d], curves[d].peak), counter.live_peak);
      EXPECT_EQ(curves[d].arena, counter.arena);
      // At every time of the counter the holders together hold what it says.
      std::size_t at = 0;
      for (std::size_t i = 0; i < counter.time.size(); ++i) {
        while (at + 1 < curves[d].time.size() && curves[d].time[at + 1] <= counter.time[i]) ++at;
        EXPECT_EQ(sum(curves[d], at), counter.value[i]) << counter.time[i].value << " ns";
      }
    }
  }
}

TEST(MemoryCurves, HoldWeightsAndTheirStateAllTheTime) {
  const ReportInput in = sample();
  const auto curves = memory_curves(in.plan, in.predicted);
  const Bytes weights(in.graph.parameter_count() * 4);
  for (const Holder h : {Holder::kWeights, Holder::kOptimizerState})
    for (const Bytes held : curves[0].held[static_cast<std::size_t>(h)]) EXPECT_EQ(held, weights);
  // Gradients come and go.
  const auto& gradients = curves[0].held[static_cast<std::size_t>(Holder::kWeightGradients)];
  EXPECT_EQ(gradients.front(), 0_B);
  EXPECT_EQ(gradients.back(), 0_B);
  EXPECT_GT(*std::max_element(gradients.begin(), gradients.end()), 0_B);
}

TEST(MemoryCurves, FindAHolderForEveryBuffer) {
  for (const auto& [kind, name] : enum_names(BufferKind{}))
    EXPECT_LT(static_cast<std::size_t>(holder_of(kind)), kHolders) << name;
  EXPECT_EQ(enum_names(Holder{}).size(), kHolders);
}

}  // namespace
}  // namespace soapstone::reports
