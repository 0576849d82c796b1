// Pipeline schedules: in which order the stages of a pipeline work on micro-batches.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/reflect.hpp"
#include "core/result.hpp"

namespace soapstone::core {

// gpipe             all forward passes, then all backward passes (arXiv 1811.06965)
// 1f1b              one forward, one backward; a stage keeps no more micro-batches than stages
//                   follow it (PipeDream-flush, arXiv 2006.09503)
// interleaved-1f1b  the same over several stages per rank, stage s on rank s mod ranks
//                   (Megatron-LM, arXiv 2104.04473)
// zb-h1             1f1b whose weight gradients wait for a bubble, in no more memory (arXiv
//                   2401.10241)
// zb-v              the same over two stages per rank: s on rank s, then back (ibid., §6)
enum class ScheduleKind : std::uint8_t { k1F1B, kGPipe, kInterleaved1F1B, kZbH1, kZbV };
SOAPSTONE_ENUM_NAMES(ScheduleKind, {ScheduleKind::k1F1B, "1f1b"}, {ScheduleKind::kGPipe, "gpipe"},
                     {ScheduleKind::kInterleaved1F1B, "interleaved-1f1b"},
                     {ScheduleKind::kZbH1, "zb-h1"}, {ScheduleKind::kZbV, "zb-v"})

// What a stage does with a micro-batch.
enum class ActionKind : std::uint8_t {
  kForward,
  kBackward,        // both of the next
  kBackwardInput,   // gradients of what the stage reads
  kBackwardWeight,  // gradients of weights, which nobody waits for
};
SOAPSTONE_ENUM_NAMES(ActionKind, {ActionKind::kForward, "F"}, {ActionKind::kBackward, "B"},
                     {ActionKind::kBackwardInput, "I"}, {ActionKind::kBackwardWeight, "W"})

struct PipelineAction {
  std::int32_t stage = 0;
  ActionKind kind = ActionKind::kForward;
  std::int32_t micro_batch = 0;

  friend bool operator==(const PipelineAction&, const PipelineAction&) = default;
};
std::string print(const PipelineAction& action);  // "2F0", as torchtitan writes it

// What every rank of the pipeline does, in its order.
using PipelineSchedule = std::vector<std::vector<PipelineAction>>;

// `rank_of_stage`: ranks are numbered in the order of their first stage. Refuses stages that do not
// lie as the schedule wants them, and for interleaved-1f1b a number of micro-batches that is no
// multiple of the ranks.
Result<PipelineSchedule> make_schedule(ScheduleKind kind,
                                       std::span<const std::int32_t> rank_of_stage,
                                       std::int32_t micro_batches);

// One line per rank, actions between commas, an empty place for idling: torchtitan's
// pipeline_parallel_schedule_csv.
Result<PipelineSchedule> parse_schedule(std::span<const std::string> lines);
std::vector<std::string> schedule_lines(const PipelineSchedule& schedule);

// An action with the time that it has if F, I and W take 1 and B takes 2, and messages none.
struct TimedAction {
  PipelineAction action;
  std::int32_t rank = 0;
  std::int64_t start = 0, end = 0;
};
// Ascending by start, then rank. Refuses a schedule in which an action is missing, comes twice, on
// another rank than its stage's, or waits for one that waits for it.
Result<std::vector<TimedAction>> timed(const PipelineSchedule& schedule,
                                       std::span<const std::int32_t> rank_of_stage,
                                       std::int32_t micro_batches);

}  // namespace soapstone::core
