// Pipeline schedules by hand: what every rank does, and how long it idles if F, I and W take one
// unit of time and B takes two.
#include "core/pipeline.hpp"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace soapstone::core {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::int32_t> one_stage_each(std::int32_t ranks) {
  std::vector<std::int32_t> out;
  for (std::int32_t r = 0; r < ranks; ++r) out.push_back(r);
  return out;
}

std::vector<std::string> lines(ScheduleKind kind, const std::vector<std::int32_t>& rank_of_stage,
                               std::int32_t micro_batches) {
  return schedule_lines(make_schedule(kind, rank_of_stage, micro_batches).value());
}

// Units of time of the step.
std::int64_t makespan(ScheduleKind kind, const std::vector<std::int32_t>& rank_of_stage,
                      std::int32_t micro_batches) {
  const auto schedule = make_schedule(kind, rank_of_stage, micro_batches).value();
  std::int64_t end = 0;
  const auto order = timed(schedule, rank_of_stage, micro_batches).value();
  for (const TimedAction& a : order) end = std::max(end, a.end);
  return end;
}

TEST(Pipeline, gpipe_does_all_forward_passes_first) {
  EXPECT_THAT(lines(ScheduleKind::kGPipe, {0, 1}, 3),
              ElementsAre("0F0,0F1,0F2,0B0,0B1,0B2", "1F0,1F1,1F2,1B0,1B1,1B2"));
}

TEST(Pipeline, one_forward_one_backward_begins_the_first_backward_pass_at_once_on_the_last_rank) {
  EXPECT_THAT(lines(ScheduleKind::k1F1B, {0, 1, 2}, 4),
              ElementsAre("0F0,0F1,0F2,0B0,0F3,0B1,0B2,0B3", "1F0,1F1,1B0,1F2,1B1,1F3,1B2,1B3",
                          "2F0,2B0,2F1,2B1,2F2,2B2,2F3,2B3"));
}

TEST(Pipeline, interleaved_takes_a_group_of_micro_batches_through_each_stage) {
  EXPECT_THAT(lines(ScheduleKind::kInterleaved1F1B, {0, 1, 0, 1}, 2),
              ElementsAre("0F0,0F1,2F0,2F1,2B0,2B1,0B0,0B1", "1F0,1F1,3F0,3B0,3F1,3B1,1B0,1B1"));
}

// 3 units per micro-batch and stage; a bubble of ranks - 1 forward and backward passes.
TEST(Pipeline, bubbles_are_those_of_the_papers) {
  const auto four = one_stage_each(4);
  EXPECT_EQ(makespan(ScheduleKind::kGPipe, four, 8), 3 * 8 + 3 * 3);
  EXPECT_EQ(makespan(ScheduleKind::k1F1B, four, 8), 3 * 8 + 3 * 3);
  // Two stages per rank halve the bubble (in units of half a stage: 3 per micro-batch and stage).
  EXPECT_EQ(makespan(ScheduleKind::kInterleaved1F1B, {0, 1, 2, 3, 0, 1, 2, 3}, 8), 6 * 8 + 3 * 3);
  // zb-h1: (p - 1)(F + I - W), a third of 1f1b's (arXiv 2401.10241, table 2).
  EXPECT_EQ(makespan(ScheduleKind::kZbH1, four, 8), 3 * 8 + 3);
  // zb-v, in units of half a stage: next to nothing.
  EXPECT_LE(makespan(ScheduleKind::kZbV, {0, 1, 2, 3, 3, 2, 1, 0}, 8), 6 * 8 + 6);
}

TEST(Pipeline, nothing_keeps_more_micro_batches_than_1f1b_but_gpipe) {
  for (const ScheduleKind kind : {ScheduleKind::k1F1B, ScheduleKind::kZbH1}) {
    const auto schedule = make_schedule(kind, one_stage_each(4), 12).value();
    for (const auto& rank : schedule) {
      int kept = 0, most = 0;
      for (const PipelineAction& a : rank) {
        kept += a.kind == ActionKind::kForward;
        most = std::max(most, kept);
        kept -= a.kind == ActionKind::kBackward || a.kind == ActionKind::kBackwardWeight;
      }
      EXPECT_LE(most, 4) << name_of(kind);
    }
  }
}

TEST(Pipeline, every_schedule_can_be_done_by_any_number_of_ranks) {
  for (const ScheduleKind kind :
       {ScheduleKind::k1F1B, ScheduleKind::kGPipe, ScheduleKind::kInterleaved1F1B,
        ScheduleKind::kZbH1, ScheduleKind::kZbV})
    for (std::int32_t ranks = 1; ranks <= 6; ++ranks)
      for (const std::int32_t rounds : {1, 2, 5}) {
        std::vector<std::int32_t> stages = one_stage_each(ranks);
        if (kind == ScheduleKind::kZbV)
          for (std::int32_t r = ranks; r-- > 0;) stages.push_back(r);
        if (kind == ScheduleKind::kInterleaved1F1B)
          for (std::int32_t k = ranks; k < 3 * ranks; ++k) stages.push_back(k % ranks);
        const auto schedule = make_schedule(kind, stages, rounds * ranks);
        ASSERT_TRUE(schedule) << schedule.error().message;
        const auto order = timed(*schedule, stages, rounds * ranks);
        EXPECT_TRUE(order) << name_of(kind) << ", " << ranks << " ranks: " << order.error().message;
      }
}

TEST(Pipeline, lines_are_read_as_they_are_written) {
  const auto schedule = make_schedule(ScheduleKind::kZbH1, one_stage_each(3), 4).value();
  EXPECT_EQ(parse_schedule(schedule_lines(schedule)).value(), schedule);
  // Idle places, spaces and quotes, as spreadsheets leave them.
  const std::vector<std::string> text{"0F0, ,\"0B0\",,"};
  EXPECT_THAT(schedule_lines(parse_schedule(text).value()), ElementsAre("0F0,0B0"));
}

std::string refusal(const std::vector<std::string>& text,
                    const std::vector<std::int32_t>& rank_of_stage, std::int32_t micro_batches) {
  const auto schedule = parse_schedule(text);
  if (!schedule) return schedule.error().message;
  const auto order = timed(*schedule, rank_of_stage, micro_batches);
  return order ? "accepted" : order.error().message;
}

TEST(Pipeline, schedules_that_cannot_be_are_refused) {
  EXPECT_EQ(refusal({"0F0,0B0", "1F0,1B0"}, {0, 1}, 1), "accepted");
  EXPECT_THAT(refusal({"0X0"}, {0}, 1), HasSubstr("line 1 of the schedule: `0X0`"));
  EXPECT_THAT(refusal({"0F0,0B0"}, {0, 1}, 1), HasSubstr("1 ranks for a pipeline of 2"));
  EXPECT_THAT(refusal({"0F0,0B0", "1F0"}, {0, 1}, 1), HasSubstr("lacks 1I0 (or 1B0)"));
  EXPECT_THAT(refusal({"0F0,0F0,0B0"}, {0}, 1), HasSubstr("0F0 of rank 0 comes twice"));
  EXPECT_THAT(refusal({"0F0,0B0", "0F0"}, {0, 1}, 1), HasSubstr("stage 0 lies on rank 0"));
  EXPECT_THAT(refusal({"0F0,0B0,0F7"}, {0}, 1), HasSubstr("micro-batches 0 to 0"));
  EXPECT_THAT(refusal({"0B0,0F0"}, {0}, 1), HasSubstr("rank 0 waits before 0B0"));
  EXPECT_THAT(refusal({"0F0,0B0,0F1,0B1", "1F1,1B1,1F0,1B0"}, {0, 1}, 2),
              HasSubstr("cannot go on"));
}

TEST(Pipeline, stages_must_lie_as_the_schedule_wants_them) {
  const auto why = [](ScheduleKind kind, const std::vector<std::int32_t>& stages, int batches) {
    const auto made = make_schedule(kind, stages, batches);
    return made ? "accepted" : made.error().message;
  };
  EXPECT_THAT(why(ScheduleKind::k1F1B, {0, 1, 0, 1}, 2), HasSubstr("one stage per rank"));
  EXPECT_THAT(why(ScheduleKind::kInterleaved1F1B, {0, 0, 1, 1}, 2), HasSubstr("s mod 2"));
  EXPECT_THAT(why(ScheduleKind::kInterleaved1F1B, {0, 1, 0, 1}, 3), HasSubstr("for example 4"));
  EXPECT_THAT(why(ScheduleKind::kZbV, {0, 1, 0, 1}, 2), HasSubstr("0, 1, … and back"));
}

}  // namespace
}  // namespace soapstone::core
