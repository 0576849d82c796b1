#include "explorer_gui/model/inspection.hpp"

#include <gtest/gtest.h>

#include "explorer_gui/model/session.hpp"
#include "tests/explorer_gui/world.hpp"

namespace soapstone::explorer {
namespace {

using core::DeviceId;
using namespace core::literals;

// fc6 of AlexNet reads [64, 9216] and writes [64, 4096].
struct Inspecting : testing::Test {
  Work w{"alexnet", 64, "p100-4x4"};
  Ground ground{w->design().setting()};
  std::uint32_t fc6 = ground.graph().find_op("fc6")->value;
  core::Strategy whole = core::single_device(ground.graph());

  const OperandCut& operand(const Inspection& i, const std::string& name, bool gradient) const {
    for (const OperandCut& o : i.operands)
      if (o.name == name && o.is_gradient == gradient) return o;
    throw std::runtime_error(name);
  }
};

TEST_F(Inspecting, AxesTellWhatTheyAreAndTheirLargestPart) {
  const auto three = set_degree(ground, whole, {fc6}, "n", 3);
  const auto i = inspect(ground, *three, fc6);
  ASSERT_TRUE(i);
  ASSERT_EQ(i->axes.size(), 3u);
  EXPECT_EQ(i->axes[0].name, "n");
  EXPECT_EQ(i->axes[0].role, core::AxisRole::kSample);
  EXPECT_EQ(i->axes[0].extent, 64);
  EXPECT_EQ(i->axes[0].degree, 3);
  EXPECT_EQ(i->axes[0].largest_part, 22) << "64 in 3 parts: 22, 21 and 21";
  EXPECT_EQ(i->axes[1].role, core::AxisRole::kParameter);
  EXPECT_EQ(i->axes[2].role, core::AxisRole::kReduction);
}

TEST_F(Inspecting, PartsStandRowMajorWithReplicasInnermost) {
  auto s = set_degree(ground, whole, {fc6}, "n", 2);
  s = set_degree(ground, *s, {fc6}, "o", 2);
  s = set_replicas(ground, *s, {fc6}, 2);
  const auto i = inspect(ground, *s, fc6);
  ASSERT_EQ(i->parts.size(), 8u);
  EXPECT_EQ(i->parts[0].part, (std::vector<std::int32_t>{0, 0, 0}));
  EXPECT_EQ(i->parts[1].replica, 1);
  EXPECT_EQ(i->parts[2].part, (std::vector<std::int32_t>{0, 1, 0}));
  EXPECT_EQ(i->parts[7].part, (std::vector<std::int32_t>{1, 1, 0}));
  EXPECT_EQ(i->parts[7].interval[0], (core::Interval{32, 64}));
  EXPECT_EQ(i->parts[7].device, DeviceId(7));
}

TEST_F(Inspecting, OperandsAreCutAsTheOperatorIs) {
  auto s = set_degree(ground, whole, {fc6}, "n", 2);
  s = set_degree(ground, *s, {fc6}, "o", 2);
  const auto i = inspect(ground, *s, fc6);
  const OperandCut& x = operand(*i, "x", false);
  EXPECT_EQ(x.told, "2 parts along n, 2 equal copies");
  ASSERT_EQ(x.boxes.size(), 2u);
  EXPECT_EQ(x.boxes[0].devices, (std::vector{DeviceId(0), DeviceId(1)}));
  EXPECT_EQ(x.largest.value, 32 * 9216 * 4);
  const OperandCut& weight = operand(*i, "weight", false);
  EXPECT_EQ(weight.told, "2 parts along o, 2 equal copies");
  EXPECT_EQ(weight.boxes[0].devices, (std::vector{DeviceId(0), DeviceId(2)}));
  const OperandCut& gradient = operand(*i, "weight", true);
  EXPECT_EQ(gradient.partials, 2) << "each half of the samples makes a part of the sum";
  EXPECT_EQ(gradient.told, "2 parts along o, a sum of 2 partial results");
  EXPECT_EQ(operand(*i, "x", true).partials, 2) << "each half of the features does";
  EXPECT_EQ(i->weight_copies, 2);
}

TEST_F(Inspecting, ChoicesEndWithTheFirstThatAreRefused) {
  const auto choices = degree_choices(ground, whole, fc6, 0);
  std::vector<std::int32_t> legal, illegal;
  for (const DegreeChoice& c : choices) (c.why_not.empty() ? legal : illegal).push_back(c.degree);
  EXPECT_EQ(legal, (std::vector<std::int32_t>{1, 2, 4, 8, 16}));
  EXPECT_EQ(illegal, (std::vector<std::int32_t>{32, 64}));
  EXPECT_EQ(choices[5].why_not, "fc6: 32 parts: the cluster has 16 devices");
}

TEST_F(Inspecting, SeveralOperatorsAreEditedByTheAxesThatTheyShare) {
  const auto fc7 = ground.graph().find_op("fc7")->value;
  const auto conv1 = ground.graph().find_op("conv1")->value;
  const auto s = set_degree(ground, whole, {fc6}, "o", 2);
  const auto axes = common_axes(ground.graph(), *s, {conv1, fc6, fc7});
  EXPECT_EQ(axes[0].name, "n");
  EXPECT_EQ(axes[0].ops, 3u);
  EXPECT_EQ(axes[0].degree, 1);
  const auto o =
      std::find_if(axes.begin(), axes.end(), [](const auto& a) { return a.name == "o"; });
  ASSERT_NE(o, axes.end());
  EXPECT_EQ(o->ops, 2u);
  EXPECT_EQ(o->degree, std::nullopt) << "2 and 1";
}

TEST_F(Inspecting, CostsAreThoseOfTheTrace) {
  const auto shown = w->shown();  // data parallel over 16 devices: 4 samples each
  ASSERT_NE(shown, nullptr);
  const OpStep step = op_step(ground.graph(), *shown, fc6);
  const auto forward = std::find_if(step.costs.begin(), step.costs.end(),
                                    [](const CostRow& c) { return c.what == "forward"; });
  ASSERT_NE(forward, step.costs.end());
  EXPECT_EQ(forward->calls, 1);
  EXPECT_EQ(forward->each, forward->longest);
  EXPECT_EQ(forward->source, core::CostSource::kRoofline);
  EXPECT_GE(forward->flops.value, 2.0 * 4 * 9216 * 4096) << "a product, and its activation";
  EXPECT_LT(forward->flops.value, 2.1 * 4 * 9216 * 4096);
  // Weights are summed over all 16 devices in one group.
  const auto sum = std::find_if(step.moves.begin(), step.moves.end(), [](const MoveRow& m) {
    return m.what == "weight gradient all-reduce";
  });
  ASSERT_NE(sum, step.moves.end());
  EXPECT_EQ(sum->groups, 1u);
  EXPECT_EQ(sum->members, 16u);
  EXPECT_EQ(sum->group, "0-15");
  EXPECT_EQ(sum->pattern, core::Pattern::kAllReduce);
  // Weights lie whole on every device.
  const auto weights = std::find_if(step.held.begin(), step.held.end(), [](const HeldRow& h) {
    return h.kind == core::BufferKind::kWeight;
  });
  ASSERT_NE(weights, step.held.end());
  EXPECT_EQ(weights->bytes.value, 4 * (9216LL * 4096 + 4096));
  EXPECT_EQ(weights->at_peak, weights->bytes);
}

TEST_F(Inspecting, ATaskWaitsForWhatEndsLastBeforeIt) {
  const auto shown = w->shown();
  const OpStep step = op_step(ground.graph(), *shown, fc6, DeviceId(3));
  EXPECT_EQ(step.device, DeviceId(3));
  ASSERT_FALSE(step.waits.empty());
  EXPECT_EQ(step.waits[0].what, "forward");
  for (const WaitRow& wait : step.waits) {
    ASSERT_FALSE(wait.after.empty());
    EXPECT_LE(wait.after[0].end, wait.start);
    EXPECT_GE(wait.idle.value, 0);
    EXPECT_EQ(shown->trace.spans.start[wait.span], wait.start);
  }
}

TEST_F(Inspecting, AnEditTellsWhatBecameSlowerAndFaster) {
  const auto before = w->shown();
  ASSERT_TRUE(
      apply(*w, "fc6 by features",
            set_devices(ground, *w->design().shown()->strategy, {fc6}, std::vector{DeviceId(0)})));
  w->finish_jobs();
  const auto after = w->shown();
  ASSERT_NE(after, nullptr);
  EXPECT_EQ(w->before(), before);
  const Change change = change_of(ground.graph(), *before, *after);
  EXPECT_EQ(change.step_before, before->step_time);
  EXPECT_EQ(change.step_after, after->step_time);
  const auto then = time_of_ops(ground.graph(), *before), now = time_of_ops(ground.graph(), *after);
  for (const auto* list : {&change.slower, &change.faster})
    for (const OpChange& c : *list) {
      EXPECT_EQ(c.before, then[c.op]);
      EXPECT_EQ(c.after, now[c.op]);
    }
  EXPECT_LE(change.slower.size(), 5u);
  for (const OpChange& c : change.slower) EXPECT_GT(c.by().value, 0);
  w->undo();
  w->redo();
  EXPECT_EQ(w->before(), before);
}

TEST_F(Inspecting, WhatDoesNotFitIsToldByDeviceAndHolder) {
  core::ClusterSpec spec = ground.cluster().spec();
  spec.device_kind[0].memory = 1_GiB;
  const auto small = core::Cluster::build(spec).value();
  Evaluation e;
  simulator::MemoryHolders holders;
  holders.weights = 600_MiB;
  holders.activations = 500_MiB;
  e.memory.push_back({"0-2", holders});
  holders.activations = 100_MiB;
  e.memory.push_back({"3", holders});
  const auto bars = memory_bars(small, e);
  ASSERT_EQ(bars.size(), 2u);
  EXPECT_TRUE(bars[0].is_over());
  EXPECT_EQ(bars[0].devices, "0-2");
  EXPECT_EQ(bars[0].text,
            "devices 0-2: 76 MiB more than the 1 GiB that there are; weights hold most of it, 600 "
            "MiB")
      << "600 + 500 - 1024";
  for (const Holder& h : bars[0].holders)
    EXPECT_EQ(h.is_over, h.name == "activations") << h.name << ": it crosses the limit";
  EXPECT_FALSE(bars[1].is_over());
  EXPECT_EQ(devices_of("0-2,5,7-8").size(), 6u);
}

TEST_F(Inspecting, KernelsSayWhichOneAndWhyNotAFasterOne) {
  const auto s = set_degree(ground, whole, {fc6}, "n", 3);
  const auto kernels = w->backend().kernels(ground.setting(), *s, fc6);
  ASSERT_TRUE(kernels) << kernels.error().message;
  ASSERT_EQ(kernels->size(), 2u) << "22 samples, and twice 21";
  EXPECT_EQ((*kernels)[0].parts, std::vector<std::int64_t>{0});
  EXPECT_EQ((*kernels)[1].parts, (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ((*kernels)[0].candidate, "linear/nominal");
  EXPECT_NE((*kernels)[0].problem.find("n=22"), std::string::npos) << (*kernels)[0].problem;
}

}  // namespace
}  // namespace soapstone::explorer
