// What follows from the operators' definitions, against enumeration.
#include "core/derive.hpp"

#include <random>

#include <gtest/gtest.h>

#include "core/ops/add.hpp"
#include "core/ops/conv2d.hpp"
#include "core/ops/linear.hpp"
#include "core/ops/relu.hpp"
#include "tests/support/interpreter/strategies.hpp"
#include "tests/support/oracle/index_sets.hpp"
#include "tests/support/oracle/small_ops.hpp"

namespace soapstone::core {
namespace {

class SmallOps : public testing::TestWithParam<oracle::SmallOp> {};

OpNode node_of(const oracle::SmallOp& op) { return {op.name, op.op, op.definition(), {}, false}; }

// Boxes, partial sums and the groups whose contributions are summed.
TEST_P(SmallOps, LayoutsAreWhatEnumerationSays) {
  const OpNode node = node_of(GetParam());
  std::mt19937_64 random(5);
  for (int trial = 0; trial < 60; ++trial) {
    const OpStrategy s = interpreter::random_op_strategy(node, trial < 40 ? 6 : 16, random);
    ASSERT_TRUE(check(node, s, 16));
    const Status status = oracle::check_all(node.definition, s);
    EXPECT_TRUE(status) << print(s) << ": " << status.error().message;
  }
}

TEST_P(SmallOps, PartsOfAnAxisAreCountedOff) {
  const OpNode node = node_of(GetParam());
  std::mt19937_64 random(6);
  for (int trial = 0; trial < 20; ++trial) {
    const OpStrategy s = interpreter::random_op_strategy(node, 12, random);
    for (std::size_t i = 0; i < s.devices.size(); ++i) {
      const auto points = oracle::points_of(node.definition, s, i);
      const auto intervals = axis_intervals(node.definition, s, i);
      for (std::size_t a = 0; a < points.size(); ++a) {
        ASSERT_FALSE(points[a].empty()) << print(s);
        EXPECT_EQ(intervals[a], (Interval{points[a].front(), points[a].back() + 1})) << print(s);
      }
    }
  }
}

// FLOPs of the parts add up to those of the whole: every point is computed once per set of parts
// that an axis makes copies of, which is never less than once.
TEST_P(SmallOps, WorkOfThePartsAddsUp) {
  const OpDefinition definition = GetParam().definition();
  const auto all = axis_intervals(definition, {}, 0);
  for (std::size_t a = 0; a < definition.axes.size(); ++a) {
    if (largest_degree(definition.axes[a]) < 2) continue;
    OpStrategy s{
        std::vector<std::int32_t>(definition.axes.size(), 1), 1, {DeviceId(0), DeviceId(1)}};
    s.degrees[a] = 2;
    for (const Step& step : definition.steps) {
      if (!step_is_used(step, split_axes(definition, s))) continue;
      double sum = 0, expected = 0;
      for (const auto& term : step.flops) {
        const double whole_term =
            step_flops({step.name, step.phase, {}, {}, {}, {term}, {}, {}}, all).value;
        expected += whole_term * (term.over.has(static_cast<int>(a)) ? 1 : 2);
      }
      for (std::size_t i = 0; i < 2; ++i)
        sum += step_flops(step, axis_intervals(definition, s, i)).value;
      EXPECT_DOUBLE_EQ(sum, expected) << step.name << " by " << definition.axes[a].name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Operators, SmallOps, testing::ValuesIn(oracle::small_ops()),
                         [](const auto& p) { return p.param.name; });

TEST(Derive, DevicesStandRowMajorOverTheAxesReplicasInnermost) {
  const OpStrategy s{{2, 1, 3}, 2, std::vector<DeviceId>(12)};
  EXPECT_EQ(coordinates(s, 0), (std::vector<std::int32_t>{0, 0, 0, 0}));
  EXPECT_EQ(coordinates(s, 1), (std::vector<std::int32_t>{0, 0, 0, 1}));
  EXPECT_EQ(coordinates(s, 2), (std::vector<std::int32_t>{0, 0, 1, 0}));
  EXPECT_EQ(coordinates(s, 11), (std::vector<std::int32_t>{1, 0, 2, 1}));
}

// y[n, 3 c + j] of 7 columns in groups of 3: parts are whole groups, the last one short.
TEST(Derive, GranulesStayTogether) {
  Definer d;
  const int n = d.axis("n", 3, AxisRole::kSample);
  const int c = d.axis("c", 7, AxisRole::kParameter, Coupling::kNone, 3);
  const int x = d.input("x", {{3, 7}, DType::kF64, {}}, {DimMap::along(n), DimMap::along(c)});
  const int y = d.output("y", {{3, 7}, DType::kF64, {}}, {DimMap::along(n), DimMap::along(c)});
  d.step("forward", Phase::kForward).reads(x).writes(y);
  const OpDefinition definition = d.take();
  EXPECT_EQ(largest_degree(definition.axes[1]), 2);
  const OpStrategy s{{1, 2}, 1, {DeviceId(4), DeviceId(0)}};
  EXPECT_EQ(operand_layout(definition, y, s, Access::kRead).parts[1],
            (std::vector<Interval>{{0, 6}, {6, 7}}));
  const Status status = oracle::check_all(definition, s);
  EXPECT_TRUE(status) << status.error().message;
}

// source -> fc1 -> relu -> fc2 -> loss, and fc1 -> unseen.
TEST(Derive, OnlyStepsThatTheLossOrAGradientNeedsAreNeeded) {
  GraphBuilder g("needs");
  auto x = g.source("x", {{2, 3}, DType::kF64, {}});
  const auto labels = g.source("labels", {{2}, DType::kI32, {}}, 4);
  const auto hidden =
      g.add("fc1", Linear{.out_features = {3}, .activation = Activation::kRelu}, {x});
  g.add("unseen", Linear{.out_features = {4}}, {hidden});
  const auto logits = g.add("fc2", Linear{.out_features = {4}}, {g.add("relu", Relu{}, {hidden})});
  const Graph graph = g.build_with_loss(logits, labels).value();
  std::string needed;
  for (const OpNode& node : graph.ops()) {
    needed += node.name + ":";
    for (const Step& step : node.definition.steps)
      if (step_is_used(step, {}) && step_is_needed(graph, node, step)) needed += " " + step.name;
    needed += "\n";
  }
  EXPECT_EQ(
      needed,
      "fc1: forward backward_activation backward_weight\n"  // the gradient of a source is nobody's
      "unseen: forward\n"
      "relu: forward backward_input\n"
      "fc2: forward backward_input backward_weight\n"
      "loss: forward backward_input\n");
}

TEST(Derive, BytesOfAStepCountEachOperandOnce) {
  const OpDefinition d = oracle::small_ops()[0].definition();  // linear 3 x 4 -> 3 x 5 in f64
  EXPECT_EQ(step_bytes(d, d.steps[0], axis_intervals(d, {}, 0)), Bytes(8 * (12 + 20 + 5 + 15)));
}

}  // namespace
}  // namespace soapstone::core
