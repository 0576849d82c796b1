#include "core/pipeline.hpp"

#include <algorithm>
#include <charconv>
#include <functional>
#include <limits>
#include <map>

#include "core/assert.hpp"
#include "core/suggest.hpp"

namespace soapstone::core {

namespace {

std::int32_t ranks_of(std::span<const std::int32_t> rank_of_stage) {
  return *std::max_element(rank_of_stage.begin(), rank_of_stage.end()) + 1;
}

// Of what an action can wait for.
struct Progress {
  std::vector<std::vector<std::int64_t>> forward, input;  // [stage][micro-batch]: end, or kNever
  static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

  Progress(std::size_t stages, std::int32_t micro_batches)
      : forward(stages, std::vector<std::int64_t>(static_cast<std::size_t>(micro_batches), kNever)),
        input(forward) {}

  // When what it needs is there; kNever: not known yet.
  std::int64_t ready(const PipelineAction& a) const {
    const auto s = static_cast<std::size_t>(a.stage), m = static_cast<std::size_t>(a.micro_batch);
    switch (a.kind) {
      case ActionKind::kForward:
        return s == 0 ? 0 : forward[s - 1][m];
      case ActionKind::kBackward:
      case ActionKind::kBackwardInput:
        return std::max(forward[s][m], s + 1 == input.size() ? 0 : input[s + 1][m]);
      case ActionKind::kBackwardWeight:
        return input[s][m];
    }
    return kNever;
  }
  void done(const PipelineAction& a, std::int64_t end) {
    const auto s = static_cast<std::size_t>(a.stage), m = static_cast<std::size_t>(a.micro_batch);
    if (a.kind == ActionKind::kForward) forward[s][m] = end;
    if (a.kind == ActionKind::kBackward || a.kind == ActionKind::kBackwardInput) input[s][m] = end;
  }
};

std::int64_t units(ActionKind kind) { return kind == ActionKind::kBackward ? 2 : 1; }

// `warmup` forward passes, then one backward pass after every forward pass, then the rest.
std::vector<PipelineAction> one_forward_one_backward(
    std::int32_t passes, std::int32_t warmup,
    const std::function<PipelineAction(std::int32_t)>& forward,
    const std::function<PipelineAction(std::int32_t)>& backward) {
  std::vector<PipelineAction> out;
  for (std::int32_t k = 0; k < passes + warmup; ++k) {
    if (k < passes) out.push_back(forward(k));
    if (k >= warmup) out.push_back(backward(k - warmup));
  }
  return out;
}

// Every rank does at once the best that it can, and keeps no more than `most_kept` micro-batches of
// its first stage. With one stage per rank it does forward passes and gradients of inputs in the
// order of 1f1b; with several, gradients of inputs first, because another rank waits for them, then
// a forward pass, the latest stage first. While it would have to wait, it does gradients of
// weights.
PipelineSchedule without_bubbles(std::span<const std::int32_t> rank_of_stage,
                                 std::int32_t micro_batches, std::int32_t most_kept) {
  const auto ranks = static_cast<std::size_t>(ranks_of(rank_of_stage));
  const auto stages = static_cast<std::int32_t>(rank_of_stage.size());
  Progress progress(rank_of_stage.size(), micro_batches);
  struct Next {
    std::int32_t forward = 0, input = 0, weight = 0;
  };
  std::vector<Next> next(rank_of_stage.size());
  PipelineSchedule out(ranks);
  std::size_t left = rank_of_stage.size() * static_cast<std::size_t>(micro_batches) * 3;
  for (std::int64_t now = 0; left > 0; ++now) {
    std::vector<PipelineAction> chosen;
    for (std::int32_t r = 0; r < static_cast<std::int32_t>(ranks); ++r) {
      std::vector<PipelineAction> wanted;
      std::int32_t kept = -1, first = -1;
      for (std::int32_t s = 0; s < stages; ++s) {
        if (rank_of_stage[static_cast<std::size_t>(s)] != r) continue;
        const Next& n = next[static_cast<std::size_t>(s)];
        if (first < 0) first = s, kept = n.forward - n.weight;
      }
      const Next& of_first = next[static_cast<std::size_t>(first)];
      const bool in_turn = stages == static_cast<std::int32_t>(ranks);
      const bool forward_next =
          of_first.forward < micro_batches &&
          of_first.forward - of_first.input < static_cast<std::int32_t>(ranks) - r;
      const auto each = [&](ActionKind kind, auto&& of, auto&& may) {
        for (std::int32_t s = stages; s-- > 0;) {
          if (rank_of_stage[static_cast<std::size_t>(s)] != r) continue;
          const std::int32_t m = of(next[static_cast<std::size_t>(s)]);
          if (m < micro_batches && may(s, m)) wanted.push_back({s, kind, m});
        }
      };
      each(
          ActionKind::kBackwardInput, [](const Next& n) { return n.input; },
          [&](std::int32_t s, std::int32_t m) {
            return !(in_turn && forward_next) && m < next[static_cast<std::size_t>(s)].forward;
          });
      each(
          ActionKind::kForward, [](const Next& n) { return n.forward; },
          [&](std::int32_t s, std::int32_t) {
            return !(in_turn && !forward_next) && (s != first || kept < most_kept);
          });
      each(
          ActionKind::kBackwardWeight, [](const Next& n) { return n.weight; },
          [&](std::int32_t s, std::int32_t m) {
            return m < next[static_cast<std::size_t>(s)].input;
          });
      for (const PipelineAction& a : wanted)
        if (progress.ready(a) <= now) {
          chosen.push_back(a);
          break;
        }
    }
    for (const PipelineAction& a : chosen) {
      Next& n = next[static_cast<std::size_t>(a.stage)];
      ++(a.kind == ActionKind::kForward         ? n.forward
         : a.kind == ActionKind::kBackwardInput ? n.input
                                                : n.weight);
      progress.done(a, now + 1);
      out[static_cast<std::size_t>(rank_of_stage[static_cast<std::size_t>(a.stage)])].push_back(a);
      --left;
    }
  }
  return out;
}

}  // namespace

std::string print(const PipelineAction& a) {
  return fmt::format("{}{}{}", a.stage, name_of(a.kind), a.micro_batch);
}

Result<PipelineSchedule> make_schedule(ScheduleKind kind,
                                       std::span<const std::int32_t> rank_of_stage,
                                       std::int32_t micro_batches) {
  const std::int32_t ranks = ranks_of(rank_of_stage);
  const auto stages = static_cast<std::int32_t>(rank_of_stage.size());
  const std::int32_t per_rank = stages / ranks;
  const auto lies = [&](auto&& rank) {
    for (std::int32_t s = 0; s < stages; ++s)
      if (rank_of_stage[static_cast<std::size_t>(s)] != rank(s)) return false;
    return stages % ranks == 0;
  };
  const auto in_turn = [&](std::int32_t s) { return s % ranks; };
  PipelineSchedule out(static_cast<std::size_t>(ranks));
  const auto action = [](ActionKind what) {
    return [what](std::int32_t stage) {
      return [what, stage](std::int32_t m) { return PipelineAction{stage, what, m}; };
    };
  };
  switch (kind) {
    case ScheduleKind::kGPipe:
      for (std::int32_t s = 0; s < stages; ++s)
        for (std::int32_t m = 0; m < micro_batches; ++m)
          out[static_cast<std::size_t>(rank_of_stage[static_cast<std::size_t>(s)])].push_back(
              {s, ActionKind::kForward, m});
      for (std::int32_t s = stages; s-- > 0;)
        for (std::int32_t m = 0; m < micro_batches; ++m)
          out[static_cast<std::size_t>(rank_of_stage[static_cast<std::size_t>(s)])].push_back(
              {s, ActionKind::kBackward, m});
      return out;
    case ScheduleKind::k1F1B:
    case ScheduleKind::kZbH1:
      if (stages != ranks)
        return usage_error(
            "schedule {}: {} stages on {} ranks: it takes one stage per rank; interleaved-1f1b, "
            "zb-v and gpipe take several",
            name_of(kind), stages, ranks);
      if (kind == ScheduleKind::kZbH1) return without_bubbles(rank_of_stage, micro_batches, ranks);
      for (std::int32_t r = 0; r < ranks; ++r)
        out[static_cast<std::size_t>(r)] = one_forward_one_backward(
            micro_batches, std::min(micro_batches, ranks - 1 - r), action(ActionKind::kForward)(r),
            action(ActionKind::kBackward)(r));
      return out;
    case ScheduleKind::kInterleaved1F1B: {
      if (!lies(in_turn))
        return usage_error(
            "schedule interleaved-1f1b: stage s must lie on rank s mod {}, the same number of "
            "stages on each, {} stages lie on ranks {}",
            ranks, stages, print(std::vector(rank_of_stage.begin(), rank_of_stage.end())));
      if (per_rank > 1 && micro_batches % ranks != 0)
        return usage_error(
            "schedule interleaved-1f1b: {} micro-batches on {} ranks: a multiple of {} is wanted, "
            "for example {}",
            micro_batches, ranks, ranks, (micro_batches + ranks - 1) / ranks * ranks);
      const std::int32_t passes = micro_batches * per_rank, group = ranks * per_rank;
      for (std::int32_t r = 0; r < ranks; ++r) {
        const auto nth = [=](ActionKind what) {
          return [=](std::int32_t k) {
            const std::int32_t chunk = k % group / ranks;
            return PipelineAction{
                (what == ActionKind::kForward ? chunk : per_rank - 1 - chunk) * ranks + r, what,
                k / group * ranks + k % ranks};
          };
        };
        const std::int32_t warmup =
            per_rank == 1 ? ranks - 1 - r : 2 * (ranks - 1 - r) + (per_rank - 1) * ranks;
        out[static_cast<std::size_t>(r)] =
            one_forward_one_backward(passes, std::min(passes, warmup), nth(ActionKind::kForward),
                                     nth(ActionKind::kBackward));
      }
      return out;
    }
    case ScheduleKind::kZbV:
      if (per_rank != 2 || !lies([&](std::int32_t s) { return s < ranks ? s : stages - 1 - s; }))
        return usage_error(
            "schedule zb-v: two stages per rank, 0, 1, … and back, are wanted: {} stages lie on "
            "ranks {}",
            stages, print(std::vector(rank_of_stage.begin(), rank_of_stage.end())));
      return without_bubbles(rank_of_stage, micro_batches, 2 * ranks);
  }
  return out;
}

Result<PipelineSchedule> parse_schedule(std::span<const std::string> lines) {
  PipelineSchedule out;
  for (std::size_t r = 0; r < lines.size(); ++r) {
    out.emplace_back();
    std::string_view rest = lines[r];
    while (!rest.empty()) {
      const std::size_t comma = rest.find(',');
      std::string_view word = rest.substr(0, comma);
      rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
      while (!word.empty() && (word.front() == ' ' || word.front() == '"')) word.remove_prefix(1);
      while (!word.empty() && (word.back() == ' ' || word.back() == '"' || word.back() == '\r'))
        word.remove_suffix(1);
      if (word.empty()) continue;
      PipelineAction a;
      const char* const end = word.data() + word.size();
      const auto stage = std::from_chars(word.data(), end, a.stage);
      static constexpr std::string_view kLetters = "FBIW";
      const auto kind = stage.ptr == end ? std::string_view::npos : kLetters.find(*stage.ptr);
      const bool has_kind = stage.ec == std::errc{} && kind != std::string_view::npos;
      const auto batch = has_kind ? std::from_chars(stage.ptr + 1, end, a.micro_batch)
                                  : std::from_chars_result{end, std::errc::invalid_argument};
      if (!has_kind || batch.ec != std::errc{} || batch.ptr != end || a.stage < 0 ||
          a.micro_batch < 0)
        return usage_error(
            "line {} of the schedule: `{}`: stage, one of F B I W and micro-batch are wanted, "
            "for example 2F0",
            r + 1, word);
      a.kind = static_cast<ActionKind>(kind);
      out.back().push_back(a);
    }
  }
  return out;
}

std::vector<std::string> schedule_lines(const PipelineSchedule& schedule) {
  std::vector<std::string> lines;
  for (const auto& rank : schedule) {
    lines.emplace_back();
    for (const PipelineAction& a : rank)
      lines.back() += (lines.back().empty() ? "" : ",") + print(a);
  }
  return lines;
}

Result<std::vector<TimedAction>> timed(const PipelineSchedule& schedule,
                                       std::span<const std::int32_t> rank_of_stage,
                                       std::int32_t micro_batches) {
  const auto stages = static_cast<std::int32_t>(rank_of_stage.size());
  if (schedule.size() != static_cast<std::size_t>(ranks_of(rank_of_stage)))
    return usage_error("a schedule of {} ranks for a pipeline of {}", schedule.size(),
                       ranks_of(rank_of_stage));
  // Each forward pass and each gradient once: [stage][micro-batch] of F, I, W.
  std::map<std::pair<std::int32_t, std::int32_t>, int> seen[3];
  for (std::size_t r = 0; r < schedule.size(); ++r)
    for (const PipelineAction& a : schedule[r]) {
      if (a.stage >= stages || a.micro_batch >= micro_batches)
        return usage_error("{} of rank {}: there are stages 0 to {} and micro-batches 0 to {}",
                           print(a), r, stages - 1, micro_batches - 1);
      if (rank_of_stage[static_cast<std::size_t>(a.stage)] != static_cast<std::int32_t>(r))
        return usage_error("{} of rank {}: stage {} lies on rank {}", print(a), r, a.stage,
                           rank_of_stage[static_cast<std::size_t>(a.stage)]);
      const std::pair key(a.stage, a.micro_batch);
      int twice = 0;
      if (a.kind == ActionKind::kForward) twice += seen[0][key]++;
      if (a.kind == ActionKind::kBackward || a.kind == ActionKind::kBackwardInput)
        twice += seen[1][key]++;
      if (a.kind == ActionKind::kBackward || a.kind == ActionKind::kBackwardWeight)
        twice += seen[2][key]++;
      if (twice > 0) return usage_error("{} of rank {} comes twice", print(a), r);
    }
  for (std::int32_t s = 0; s < stages; ++s)
    for (std::int32_t m = 0; m < micro_batches; ++m)
      for (int k = 0; k < 3; ++k)
        if (!seen[k].contains({s, m}))
          return usage_error("the schedule lacks {}{}{}{}", s, "FIW"[k], m,
                             k == 0 ? "" : fmt::format(" (or {}B{})", s, m));

  std::vector<TimedAction> out;
  Progress progress(rank_of_stage.size(), micro_batches);
  std::vector<std::size_t> next(schedule.size(), 0);
  std::vector<std::int64_t> free(schedule.size(), 0);
  for (bool moved = true; moved;) {
    moved = false;
    for (std::size_t r = 0; r < schedule.size(); ++r)
      for (; next[r] < schedule[r].size(); ++next[r]) {
        const PipelineAction& a = schedule[r][next[r]];
        const std::int64_t ready = progress.ready(a);
        if (ready == Progress::kNever) break;
        const std::int64_t start = std::max(ready, free[r]);
        free[r] = start + units(a.kind);
        progress.done(a, free[r]);
        out.push_back({a, static_cast<std::int32_t>(r), start, free[r]});
        moved = true;
      }
  }
  for (std::size_t r = 0; r < schedule.size(); ++r)
    if (next[r] < schedule[r].size())
      return usage_error(
          "the schedule cannot go on: rank {} waits before {} for what another rank does only "
          "after it",
          r, print(schedule[r][next[r]]));
  std::stable_sort(out.begin(), out.end(), [](const TimedAction& a, const TimedAction& b) {
    return a.start != b.start ? a.start < b.start : a.rank < b.rank;
  });
  return out;
}

}  // namespace soapstone::core
