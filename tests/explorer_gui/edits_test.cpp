#include "explorer_gui/model/edits.hpp"

#include <gtest/gtest.h>

#include "core/lower.hpp"
#include "core/models/models.hpp"
#include "explorer_gui/model/inspection.hpp"
#include "explorer_gui/model/session.hpp"
#include "search/rng.hpp"
#include "tests/explorer_gui/world.hpp"

namespace soapstone::explorer {
namespace {

using core::DeviceId;

std::vector<DeviceId> devices(std::initializer_list<std::uint32_t> numbers) {
  std::vector<DeviceId> out;
  for (const auto n : numbers) out.push_back(DeviceId(n));
  return out;
}

Ground ground_of(const std::string& model, std::int64_t batch, const std::string& cluster) {
  Setting s;
  s.graph = std::make_shared<const core::Graph>(
      core::build_model(model, {.batch = batch, .dtype = core::DType::kF32, .parameters = {}})
          .value());
  s.cluster = std::make_shared<const core::Cluster>(core::load_cluster(cluster).value());
  return Ground(s);
}

// AlexNet with 64 samples on 16 devices, four to a node.
struct Edits : testing::Test {
  Ground ground = ground_of("alexnet", 64, "p100-4x4");
  core::Strategy whole = core::single_device(ground.graph());

  std::uint32_t op(const std::string& name) const { return ground.graph().find_op(name)->value; }
  const core::OpStrategy& of(const core::Strategy& s, const std::string& name) const {
    return s.ops[op(name)];
  }
  core::Strategy pipeline(const std::string& text) const {
    return from_short_form(ground, text).value();
  }
};

std::string why(const core::Result<core::Strategy>& r) {
  return r ? std::string() : r.error().message;
}

// --- devices follow -----------------------------------------------------------------------------

TEST_F(Edits, AHigherDegreeTakesTheNearestDevicesOfTheNode) {
  core::Strategy s = whole;
  s.ops[op("fc6")].devices = devices({5});
  const auto next = set_degree(ground, s, {op("fc6")}, "o", 4);
  ASSERT_TRUE(next) << why(next);
  EXPECT_EQ(of(*next, "fc6").degrees, (std::vector<std::int32_t>{1, 4, 1}));
  EXPECT_EQ(of(*next, "fc6").devices, devices({4, 5, 6, 7}))
      << "node 1 has devices 4 to 7: 6 and 4 are next to 5, then 7";
  EXPECT_EQ(of(*next, "fc7"), of(s, "fc7"));
}

TEST_F(Edits, WhatIsFullOnItsNodeGrowsToTheNext) {
  core::Strategy s = whole;
  const auto four = set_degree(ground, s, {op("fc6")}, "n", 4);
  const auto six = set_degree(ground, *four, {op("fc6")}, "n", 6);
  ASSERT_TRUE(six) << why(six);
  EXPECT_EQ(of(*six, "fc6").devices, devices({0, 1, 2, 3, 4, 5}));
}

TEST_F(Edits, ALowerDegreeKeepsTheFirstDevices) {
  core::Strategy s = whole;
  core::OpStrategy& fc6 = s.ops[op("fc6")];
  fc6.degrees = {4, 1, 1};
  fc6.devices = devices({9, 2, 4, 7});
  const auto next = set_degree(ground, s, {op("fc6")}, "n", 2);
  ASSERT_TRUE(next) << why(next);
  EXPECT_EQ(of(*next, "fc6").devices, devices({9, 2}));
  const auto again = set_degree(ground, *next, {op("fc6")}, "n", 4);
  EXPECT_EQ(of(*again, "fc6").devices, devices({9, 2, 8, 10}))
      << "the list does not ascend, so the new ones stand behind: those of node 2, which 9 is on";
}

TEST_F(Edits, TheDegreesOfAllAxesMultiply) {
  const auto two = set_degree(ground, whole, {op("fc6")}, "n", 2);
  const auto eight = set_degree(ground, *two, {op("fc6")}, "o", 4);
  ASSERT_TRUE(eight) << why(eight);
  EXPECT_EQ(of(*eight, "fc6").devices.size(), 8u);
  const auto copies = set_replicas(ground, *eight, {op("fc6")}, 2);
  EXPECT_EQ(of(*copies, "fc6").devices.size(), 16u);
}

// --- reasons ------------------------------------------------------------------------------------

TEST_F(Edits, MoreDevicesThanThereAreAreRefusedWithTheirNumber) {
  EXPECT_EQ(why(set_degree(ground, whole, {op("fc6")}, "n", 32)),
            "fc6: 32 parts: the cluster has 16 devices");
  EXPECT_EQ(why(set_degree(ground, whole, {op("fc6")}, "n", 65)),
            "fc6: axis n has 64 indices: 1 to 64 parts are possible");
}

TEST_F(Edits, AnAxisThatStaysWholeSaysSo) {
  const auto choices = degree_choices(ground, whole, op("loss"), 1);
  ASSERT_GE(choices.size(), 2u);
  EXPECT_EQ(choices[0].why_not, "");
  EXPECT_EQ(choices[1].degree, 2);
  EXPECT_EQ(choices[1].why_not, "loss: axis c stays whole: what it computes depends on all of it");
}

TEST_F(Edits, DegreesAreOfOneMicroBatch) {
  const auto sixteen = set_micro_batches(ground, whole, 16);
  ASSERT_TRUE(sixteen) << why(sixteen);
  EXPECT_EQ(why(set_degree(ground, *sixteen, {op("fc6")}, "n", 8)),
            "fc6: axis n has 4 indices: 1 to 4 parts are possible")
      << "64 samples in 16 micro-batches are 4 each";
  const auto cut = set_degree(ground, whole, {op("fc6")}, "n", 8);
  EXPECT_NE(why(set_micro_batches(ground, *cut, 16)).find("fc6"), std::string::npos);
  EXPECT_EQ(why(set_micro_batches(ground, whole, 3)),
            "micro_batches = 3: the batch of 64 must be a multiple of it");
}

TEST_F(Edits, AResultIsNotComputedAgain) {
  EXPECT_NE(why(set_keep(ground, whole, {op("loss")}, Keep::kRecompute)).find("recompute"),
            std::string::npos);
  EXPECT_TRUE(set_keep(ground, whole, {op("conv1")}, Keep::kRecompute));
}

TEST_F(Edits, WhatHasNoWeightsHasNoZero) {
  EXPECT_EQ(why(set_zero(ground, whole, {op("loss")}, 1)),
            "none of the selected operators has weights to train");
  EXPECT_EQ(why(set_style(ground, whole, {op("fc6")}, search::ContextStyle::kRing)),
            "none of the selected operators is computed in rounds");
}

TEST_F(Edits, ZeroOverDividesTheCopies) {
  const auto six = set_degree(ground, whole, {op("fc6")}, "n", 6);
  const auto zero = set_zero(ground, *six, {op("fc6")}, 2);
  ASSERT_TRUE(zero) << why(zero);
  EXPECT_TRUE(set_zero_over(ground, *zero, {op("fc6")}, 3));
  EXPECT_EQ(why(set_zero_over(ground, *zero, {op("fc6")}, 4)),
            "fc6: zero_over = 4: fc6.weight has 6 copies: a number that divides them is accepted, "
            "or 0 for all");
  const auto over = set_zero_over(ground, *zero, {op("fc6")}, 3);
  const auto server = set_update(ground, *over, {op("fc6")}, Update::kOnServers);
  ASSERT_TRUE(server) << why(server);
  EXPECT_EQ(of(*server, "fc6").zero, 0);
  EXPECT_EQ(of(*server, "fc6").zero_over, 0);
}

// --- painting -----------------------------------------------------------------------------------

TEST_F(Edits, PaintingDevicesCutsForTheirNumber) {
  const auto three = set_devices(ground, whole, {op("fc6")}, devices({3, 7, 11}));
  ASSERT_TRUE(three) << why(three);
  EXPECT_EQ(of(*three, "fc6").degrees, (std::vector<std::int32_t>{3, 1, 1}))
      << "nothing was cut: its samples are";
  EXPECT_EQ(of(*three, "fc6").devices, devices({3, 7, 11}));
  const auto grid =
      set_degree(ground, *set_degree(ground, whole, {op("fc6")}, "n", 2), {op("fc6")}, "o", 4);
  const auto four = set_devices(ground, *grid, {op("fc6")}, devices({0, 1, 2, 3}));
  EXPECT_EQ(of(*four, "fc6").degrees, (std::vector<std::int32_t>{2, 2, 1}))
      << "the largest degree changes, 4 devices are 2 x 2";
  const auto five = set_devices(ground, *grid, {op("fc6")}, devices({0, 1, 2, 3, 4}));
  EXPECT_EQ(of(*five, "fc6").degrees, (std::vector<std::int32_t>{1, 5, 1}))
      << "2 does not divide 5: the other axis is whole";
}

TEST_F(Edits, TwoDevicesChangePlaces) {
  const auto four = set_degree(ground, whole, {op("fc6")}, "n", 4);
  const auto swapped = swap_devices(ground, *four, {op("fc6")}, DeviceId(1), DeviceId(3));
  EXPECT_EQ(of(*swapped, "fc6").devices, devices({0, 3, 2, 1}));
  const auto away = swap_devices(ground, *four, {op("fc6")}, DeviceId(1), DeviceId(9));
  EXPECT_EQ(of(*away, "fc6").devices, devices({0, 9, 2, 3}));
}

// --- copying ------------------------------------------------------------------------------------

TEST_F(Edits, ACutIsCopiedByTheNamesOfItsAxes) {
  const auto cut =
      set_degree(ground, *set_degree(ground, whole, {op("fc6")}, "n", 2), {op("fc6")}, "o", 4);
  const auto copied = copy_to(ground, *cut, op("fc6"), {op("fc7"), op("conv1")});
  ASSERT_TRUE(copied) << why(copied);
  EXPECT_EQ(of(*copied, "fc7"), of(*cut, "fc6"));
  EXPECT_EQ(of(*copied, "conv1").degrees[0], 2);
  EXPECT_EQ(of(*copied, "conv1").replicas, 4) << "a convolution has no axis o: equal copies";
  EXPECT_EQ(of(*copied, "conv1").devices.size(), 8u);
}

TEST(Copying, EqualBlocksBecomeAsTheSelectedOne) {
  const Ground ground = ground_of("transformer-block", 8, "p100-4x4");
  const core::Graph& graph = ground.graph();
  core::Strategy whole = core::single_device(graph);
  // An operator that comes several times.
  std::uint32_t op = 0;
  while (op < graph.ops().size() &&
         (equal_ops(graph, op).size() < 2 || graph.ops()[op].definition.axes.size() < 2))
    ++op;
  ASSERT_LT(op, graph.ops().size());
  const auto cut = set_degree(ground, whole, {op}, graph.ops()[op].definition.axes[0].name, 2);
  ASSERT_TRUE(cut) << why(cut);
  const auto copied = copy_to_equal(ground, *cut, {op});
  ASSERT_TRUE(copied) << why(copied);
  for (const std::uint32_t other : equal_ops(graph, op))
    EXPECT_EQ(copied->ops[other], cut->ops[op]) << graph.ops()[other].name;
}

// --- stages -------------------------------------------------------------------------------------

TEST_F(Edits, AnOperatorThatCrossesABoundaryMovesToTheOtherStagesDevices) {
  const core::Strategy s = pipeline("dp=2,pp=2,micro_batch=8");
  const auto ends = stage_ends(s);
  ASSERT_TRUE(ends);
  ASSERT_EQ(ends->size(), 2u);
  const std::uint32_t boundary = (*ends)[0];
  ASSERT_EQ(s.ops[boundary].devices, devices({2, 3}));
  const auto later = move_boundary(ground, s, 0, boundary + 1);
  ASSERT_TRUE(later) << why(later);
  EXPECT_EQ(later->ops[boundary].stage, 0);
  EXPECT_EQ(later->ops[boundary].devices, devices({0, 1}));
  EXPECT_EQ(later->ops[boundary].degrees, s.ops[boundary].degrees);
  const auto back = move_boundary(ground, *later, 0, boundary);
  EXPECT_EQ(*back, s);
  EXPECT_NE(why(move_boundary(ground, s, 0, 0)).find("every stage has an operator"),
            std::string::npos);
  EXPECT_EQ(why(move_boundary(ground, s, 1, boundary)), "there is no stage behind stage 1");
}

TEST_F(Edits, AnOperatorStaysOnTheDevicesOfItsStage) {
  const core::Strategy s = pipeline("dp=2,pp=2,micro_batch=8");
  EXPECT_EQ(devices_within_reach(ground, s, 0).size(), 14u) << "all but the two of the other stage";
  const core::Strategy full = pipeline("dp=8,pp=2,micro_batch=4");
  EXPECT_EQ(why(set_degree(ground, full, {op("fc6")}, "o", 16)).substr(0, 15), "fc6: 128 parts:");
  EXPECT_NE(why(set_devices(ground, full, {op("fc6")}, devices({0, 1}))).find("stage"),
            std::string::npos)
      << "devices 0 and 1 are of stage 0";
}

TEST_F(Edits, ASchedulesOrderCanBeChangedByHandAndBack) {
  const core::Strategy s = pipeline("dp=2,pp=2,micro_batch=8");  // 4 micro-batches of 8 per rank
  ASSERT_EQ(s.micro_batches, 4);
  // Rank 0 begins with 0F0 0F1 0B0 under 1f1b: a third forward pass before the first backward one.
  const auto cells = schedule_cells(ground, s);
  ASSERT_TRUE(cells);
  EXPECT_EQ(core::print(cells->cells[1].action), "0F1");
  EXPECT_EQ(core::print(cells->cells[2].action), "0B0");
  EXPECT_EQ(cells->kept[0].most, 2) << "as many micro-batches as stages follow, and its own";
  // 4 micro-batches of 3 units each; stage 1 begins after 1 unit, and after its last pass comes the
  // backward pass of 2 on rank 0: 1 + 12 + 2 = 15 units for 12 of work.
  EXPECT_EQ(cells->end, 15);
  EXPECT_DOUBLE_EQ(cells->bubble, 3.0 / 15);
  const auto moved = move_action(ground, s, 0, 3, 2);
  ASSERT_TRUE(moved) << why(moved);
  EXPECT_EQ(moved->schedule_lines[0].substr(0, 11), "0F0,0F1,0F2");
  EXPECT_EQ(schedule_cells(ground, *moved)->kept[0].most, 3);
  EXPECT_EQ(*move_action(ground, *moved, 0, 2, 3), s) << "the named schedule again";
  EXPECT_NE(why(move_action(ground, s, 0, 2, 0)).find("cannot go on"), std::string::npos)
      << "0B0 before 0F0";
  EXPECT_NE(why(set_micro_batches(ground, *moved, 8)).find("named schedule"), std::string::npos);
}

// --- the whole strategy -------------------------------------------------------------------------

TEST_F(Edits, AShortFormIsReadWithItsErrors) {
  EXPECT_EQ(short_form_error("dp=2,tp=4"), "");
  EXPECT_EQ(short_form_error("dp=two"), "dp = `two`: an integer from 1 to 1048576 is accepted");
  EXPECT_NE(short_form_error("dq=2").find("unknown key `dq`"), std::string::npos);
  EXPECT_EQ(why(from_short_form(ground, "dp=32")).substr(0, 5), "dp 32");
  EXPECT_TRUE(from_short_form(ground, "dp=4,tp=4"));
}

TEST_F(Edits, RecomputingIsSaidAnewForTheWholeStep) {
  const auto selective = set_recompute(ground, whole, search::Recompute::kSelective);
  ASSERT_TRUE(selective) << why(selective);
  EXPECT_FALSE(of(*selective, "fc6").recompute) << "a matrix";
  EXPECT_NE(*selective, whole);
  EXPECT_EQ(*set_recompute(ground, *selective, search::Recompute::kNone), whole);
}

// --- any of them --------------------------------------------------------------------------------

core::Result<core::Strategy> any_edit(const Ground& ground, const core::Strategy& s,
                                      search::Rng& rng) {
  const auto count = ground.graph().ops().size();
  OpSet ops;
  for (std::uint64_t k = 0, n = 1 + rng.below(3); k < n; ++k)
    ops.insert(static_cast<std::uint32_t>(rng.below(count)));
  const auto& axes = ground.graph().ops()[*ops.begin()].definition.axes;
  const std::int32_t small = 1 + static_cast<std::int32_t>(rng.below(6));
  std::vector<DeviceId> list;
  for (std::uint32_t d = static_cast<std::uint32_t>(rng.below(8)), n = 0;
       n < static_cast<std::uint32_t>(small); ++n)
    list.push_back(DeviceId(d + n));
  switch (rng.below(15)) {
    case 0:
    case 1:
      return set_degree(ground, s, ops, axes[rng.below(axes.size())].name, small);
    case 2:
      return set_replicas(ground, s, ops, small);
    case 3:
      return set_devices(ground, s, ops, list);
    case 4:
      return set_zero(ground, s, ops, small - 1);
    case 5:
      return set_zero_over(ground, s, ops, small - 1);
    case 6:
      return set_update(ground, s, ops, rng.below(2) ? Update::kOnServers : Update::kEverywhere);
    case 7:
      return set_keep(ground, s, ops, rng.below(2) ? Keep::kRecompute : Keep::kAll);
    case 8:
      return set_offload(ground, s, ops, static_cast<core::Offload>(rng.below(4)));
    case 9:
      return set_style(ground, s, ops, static_cast<search::ContextStyle>(rng.below(2)));
    case 10:
      return copy_to(ground, s, static_cast<std::uint32_t>(rng.below(count)), ops);
    case 11:
      return move_boundary(ground, s, small - 1, static_cast<std::uint32_t>(rng.below(count)));
    case 12:
      return set_schedule(ground, s, static_cast<core::ScheduleKind>(rng.below(5)));
    case 13:
      return set_micro_batches(ground, s, std::int32_t{1} << rng.below(4));
    default:
      return move_action(ground, s, small - 1, rng.below(8), rng.below(8));
  }
}

struct Model {
  std::string name;
  std::int64_t batch;
  std::string beginning;
};
struct AnyEdit : testing::TestWithParam<Model> {};

TEST_P(AnyEdit, WhatIsAcceptedCanBeLowered) {
  const Ground ground = ground_of(GetParam().name, GetParam().batch, "p100-4x4");
  const core::NominalCatalog catalog;
  core::LowerOptions options = ground.setting().optimizer.lower_options();
  options.place_memory = false;
  core::Lowering lowering(ground.graph(), ground.cluster(), catalog, options);
  const core::Strategy first = from_short_form(ground, GetParam().beginning).value();
  core::Strategy s = first;
  search::Rng rng(11);
  int accepted = 0, refused = 0;
  for (int k = 0; k < 150; ++k) {
    const auto next = any_edit(ground, s, rng);
    if (!next) {
      ++refused;
      EXPECT_FALSE(next.error().message.empty());
      continue;
    }
    if (*next == s) continue;
    ++accepted;
    s = *next;
    const auto plan = lowering.lower(s);
    ASSERT_TRUE(plan) << plan.error().message << "\n" << core::summary(ground.graph(), s);
    if (k % 40 == 39) s = first;  // pipelines are soon cut to pieces
  }
  EXPECT_GT(accepted, 20);
  EXPECT_GT(refused, 5);
}

INSTANTIATE_TEST_SUITE_P(Models, AnyEdit,
                         testing::Values(Model{"mlp", 64, "dp=4"},
                                         Model{"alexnet", 64, "dp=2,pp=2,micro_batch=8"},
                                         Model{"transformer-block", 8, "dp=2,tp=2"}),
                         [](const auto& i) {
                           std::string name = i.param.name;
                           std::erase(name, '-');
                           return name;
                         });

TEST(Session, EditsAreUndoneToTheVeryBeginning) {
  Work w("alexnet", 64, "p100-4x4");
  const Design first = w->design();
  const std::size_t steps = w->history().at();
  const Ground ground(w->design().setting());
  search::Rng rng(3);
  for (int k = 0; k < 40; ++k) {
    auto next = any_edit(ground, *w->design().shown()->strategy, rng);
    if (next) apply(*w, "edit", std::move(next), k % 3 == 0 ? "drag" : "");
  }
  EXPECT_FALSE(w->design() == first);
  while (w->history().at() > steps) w->undo();
  EXPECT_EQ(w->design(), first);
}

TEST(Session, ADragOverManyDegreesIsOneStepOfTheHistory) {
  Work w("alexnet", 64, "p100-4x4");
  const Ground ground(w->design().setting());
  const auto fc6 = ground.graph().find_op("fc6")->value;
  const std::size_t before = w->history().size();
  for (const std::int32_t degree : {8, 4, 2})
    ASSERT_TRUE(apply(*w, "n of fc6",
                      set_degree(ground, *w->design().shown()->strategy, {fc6}, "n", degree),
                      "degree"));
  EXPECT_EQ(w->history().size(), before + 1);
  EXPECT_EQ(w->design().shown()->strategy->ops[fc6].degrees[0], 2);
}

}  // namespace
}  // namespace soapstone::explorer
