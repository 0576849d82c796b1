#include "simulator/analysis/critical_path.hpp"

#include <algorithm>
#include <map>

#include <fmt/core.h>

#include "core/units.hpp"
#include "simulator/analysis/sharing.hpp"

namespace soapstone::simulator {

using namespace core;

TimeKind time_kind(TaskKind kind, Phase phase) {
  switch (kind) {
    case TaskKind::kTransfer:
    case TaskKind::kHostCopy:
      return TimeKind::kCommunication;
    case TaskKind::kNorm:
    case TaskKind::kUpdate:
    case TaskKind::kNormRows:
    case TaskKind::kUpdateRows:
      return TimeKind::kUpdate;
    case TaskKind::kLoad:
    case TaskKind::kCompute:
    case TaskKind::kAccumulate:
      break;
  }
  switch (phase) {
    case Phase::kForward:
      return TimeKind::kForward;
    case Phase::kBackwardInput:
      return TimeKind::kBackwardInput;
    case Phase::kBackwardWeight:
      return TimeKind::kBackwardWeight;
    case Phase::kUpdate:
      return TimeKind::kUpdate;
    case Phase::kRecompute:
      return TimeKind::kRecompute;
  }
  return TimeKind::kForward;
}

namespace {

TimeKind kind_of_gap(GapKind kind) {
  switch (kind) {
    case GapKind::kCopying:
      return TimeKind::kCommunication;
    case GapKind::kOthers:
      return TimeKind::kStraggler;
    case GapKind::kStart:
      return TimeKind::kEnds;
    case GapKind::kNone:
    case GapKind::kHost:
      break;
  }
  return TimeKind::kHost;
}

std::vector<PathShare> sorted(std::map<std::string, PathShare> shares) {
  std::vector<PathShare> out;
  for (auto& [name, share] : shares) {
    share.name = name;
    out.push_back(std::move(share));
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const auto& a, const auto& b) { return a.time > b.time; });
  return out;
}

}  // namespace

CriticalPath critical_path(const Trace& trace, const StepGraph& graph,
                           const Communication& communication) {
  CriticalPath out;
  out.step_time = graph.step_time;
  if (graph.last != kNoIndex) {
    std::vector<ChainPiece> pieces = chain(graph, graph.last, graph.end);
    std::reverse(pieces.begin(), pieces.end());
    for (const ChainPiece& piece : pieces) {
      PathSegment segment{piece.start, piece.end,   TimeKind::kForward, graph.span[piece.node],
                          kNoIndex,    piece.is_gap};
      if (piece.is_gap) {
        segment.kind = kind_of_gap(graph.gap_kind[piece.node]);
        if (graph.gap_span[piece.node] != kNoIndex) {
          segment.span = graph.gap_span[piece.node];
          segment.group = communication.group_of_span[segment.span];
        }
      } else {
        segment.kind = time_kind(trace.spans.kind[segment.span], trace.spans.phase[segment.span]);
        segment.group = communication.group_of_span[segment.span];
      }
      out.segments.push_back(segment);
    }
  }
  if (graph.end != graph.step_time)
    out.segments.push_back({graph.end, graph.step_time, TimeKind::kEnds, kNoIndex, kNoIndex, true});

  std::map<std::string, PathShare> kinds, operators;
  const auto add = [](PathShare& share, Nanoseconds time, std::uint32_t span) {
    share.time += time;
    if (span != kNoIndex && (share.spans.empty() || share.spans.back() != span))
      share.spans.push_back(span);
  };
  const Sharing sharing(trace, graph, communication);
  for (const PathSegment& s : out.segments) {
    const std::string kind(s.group != kNoIndex ? communication.groups[s.group].name
                                               : name_of(s.kind));
    add(kinds[kind], s.length(), s.span);
    if (s.span == kNoIndex || (s.is_gap && s.group == kNoIndex)) {
      add(operators[std::string(name_of(s.kind))], s.length(), s.span);
      continue;
    }
    for (const SpanShare& share : sharing.of(s.span, s.start, s.end))
      add(operators[operator_of_label(trace.labels[trace.spans.label[share.span]],
                                      trace.spans.kind[share.span])],
          share.time, share.span);
  }
  out.kinds = sorted(std::move(kinds));
  out.operators = sorted(std::move(operators));
  return out;
}

std::string text(const CriticalPath& path, std::size_t rows) {
  std::string out;
  const auto table = [&](std::string_view title, const std::vector<PathShare>& shares) {
    out += fmt::format("{}\n", title);
    std::size_t shown = 0;
    for (const PathShare& share : shares) {
      if (shown == rows) break;
      ++shown;
      const double part = path.step_time.value == 0
                              ? 0
                              : 100.0 * static_cast<double>(share.time.value) /
                                    static_cast<double>(path.step_time.value);
      out += fmt::format("  {:>9} {:>4.0f} %  {}\n", human_text(share.time), part, share.name);
    }
    if (shares.size() > shown) out += fmt::format("  … and {} more\n", shares.size() - shown);
  };
  table("critical path, by kind", path.kinds);
  table("critical path, by operator", path.operators);
  return out;
}

}  // namespace soapstone::simulator
