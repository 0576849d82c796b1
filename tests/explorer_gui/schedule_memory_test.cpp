#include "explorer_gui/model/schedule_memory.hpp"

#include <gtest/gtest.h>

#include "tests/explorer_gui/world.hpp"

namespace soapstone::explorer {
namespace {

struct Pipeline {
  Work work{"gpt2", 8, "p100-4x4", {"dp=4,pp=2,schedule=gpipe,micro_batch=1"}};
  std::shared_ptr<const Evaluation> step = work->shown();
  Ground ground{work->design().setting()};
  const core::Strategy& strategy = *work->design().shown()->strategy;
  ScheduleCells cells = schedule_cells(ground, strategy).value();
};

TEST(ScheduleMemory, EveryRankHasAnEntryPerActionAndThePeakIsTheSteps) {
  Pipeline p;
  ASSERT_NE(p.step, nullptr);
  const auto ranks =
      schedule_memory(p.cells, *p.work.session->design().cluster, p.strategy, *p.step);
  ASSERT_EQ(ranks.size(), 2u);
  for (const RankMemory& m : ranks) {
    // Two micro-batches, forward and backward.
    ASSERT_EQ(m.time.size(), 4u);
    for (std::size_t i = 1; i < 4; ++i) EXPECT_LT(m.time[i - 1], m.time[i]);
    // Every moment of the step lies in an action's window.
    EXPECT_EQ(m.bytes[m.peak], m.most);
    EXPECT_LE(m.most, m.allocated);
    EXPECT_EQ(m.capacity, p.work.session->design().cluster->kind(m.device).memory);
  }
  // With gpipe all forward passes are kept: the second one adds to the first.
  EXPECT_GT(ranks[0].bytes[1], ranks[0].bytes[0]);
}

TEST(ScheduleMemory, TellsWhatIsAliveUnderTheMouse) {
  RankMemory m;
  m.time = {0, 3, 7};
  m.bytes = {core::Bytes(100), core::Bytes(300), core::Bytes(200)};
  m.peak = 1;
  m.most = core::Bytes(300);
  m.allocated = core::Bytes(320);
  EXPECT_EQ(alive_at(m, -1).value, 100);
  EXPECT_EQ(alive_at(m, 2.9).value, 100);
  EXPECT_EQ(alive_at(m, 3).value, 300);
  EXPECT_EQ(alive_at(m, 100).value, 200);
  EXPECT_EQ(words(m, 7), "rank 0: 200 B here, at most 300 B; allocates 320 B");
  // The capacity is seen where it is near.
  EXPECT_EQ(memory_scale({m}).value, 300);
  m.capacity = core::Bytes(800);
  EXPECT_EQ(memory_scale({m}).value, 800);
  m.capacity = core::Bytes(1000);
  EXPECT_EQ(memory_scale({m}).value, 300);
}

}  // namespace
}  // namespace soapstone::explorer
