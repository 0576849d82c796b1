#include "simulator/analysis/exposed.hpp"

#include <algorithm>
#include <tuple>

#include "simulator/analysis/own_time.hpp"
#include "simulator/analysis/sharing.hpp"

namespace soapstone::simulator {

using namespace core;

double Exposure::share(Nanoseconds time) const {
  const double whole = static_cast<double>(step_time.value) *
                       static_cast<double>(std::max<std::size_t>(1, devices.size()));
  return whole <= 0 ? 0 : static_cast<double>(time.value) / whole;
}

double Exposure::bubble_share() const {
  Nanoseconds sum;
  for (const DeviceTime& d : devices) sum += d.bubble;
  return share(sum);
}

namespace {

class Attribution {
 public:
  Attribution(const Trace& trace, const StepGraph& graph, const Communication& communication)
      : trace_(trace),
        s_(trace.spans),
        graph_(graph),
        communication_(communication),
        own_(own_time(trace)),
        computing_(computing_by_start(trace)) {
    for (const DeviceId d : graph.device_of_span)
      if (d.value >= spans_.size()) spans_.resize(d.value + 1);
    for (std::uint32_t i = 0; i < s_.size(); ++i)
      spans_[graph.device_of_span[i].value].push_back(i);
    labels_.resize(spans_.size());
    for (std::size_t d = 0; d < spans_.size(); ++d) {
      for (const std::uint32_t i : spans_[d]) labels_[d].push_back(s_.label[i]);
      std::sort(labels_[d].begin(), labels_[d].end());
      labels_[d].erase(std::unique(labels_[d].begin(), labels_[d].end()), labels_[d].end());
    }
  }

  Exposure run() {
    out_.step_time = trace_.step_time;
    for (const CommunicationGroup& g : communication_.groups)
      out_.groups.push_back({g, {}, {}, {}, {}});
    for (std::uint32_t d = 0; d < spans_.size(); ++d)
      if (!spans_[d].empty()) device(DeviceId(d));
    out_.exposed_of_span.assign(s_.size(), Nanoseconds(0));
    const Sharing sharing(trace_, graph_, communication_);
    for (const IdlePiece& piece : out_.pieces)
      if (piece.group != kNoIndex)
        for (const SpanShare& share : sharing.of(piece.cause, piece.start, piece.end))
          out_.exposed_of_span[share.span] += share.time;
    for (const Nanoseconds t : queueing(trace_, graph_, communication_)) out_.queued += t;
    return std::move(out_);
  }

 private:
  void device(DeviceId device) {
    DeviceTime& sums = out_.devices.emplace_back();
    sums.device = device;
    const std::size_t first_piece = out_.pieces.size();
    const std::vector<std::uint32_t>& lane = computing_[device.value];
    std::uint32_t last_transfer = kNoIndex;
    for (const std::uint32_t i : spans_[device.value])
      if (runs_beside(s_.kind[i]) &&
          (last_transfer == kNoIndex || s_.end[i] > s_.end[last_transfer]))
        last_transfer = i;
    Nanoseconds at;
    for (const std::uint32_t i : lane) {
      if (own_.start[i] > at) add(device, chain_before(graph_, graph_.node_of_span[i], at));
      sums.computing += own_.end[i] - own_.start[i];
      at = own_.end[i];
    }
    const Nanoseconds moved = last_transfer == kNoIndex ? at : std::max(at, s_.end[last_transfer]);
    if (graph_.end > moved) add(device, chain(graph_, graph_.last, graph_.end, moved));
    if (moved > at) add(device, chain(graph_, graph_.node_of_span[last_transfer], moved, at));
    if (graph_.end != graph_.step_time)
      out_.pieces.push_back(
          {device, graph_.end, graph_.step_time, TimeKind::kEnds, kNoIndex, kNoIndex});
    std::sort(out_.pieces.begin() + static_cast<std::ptrdiff_t>(first_piece), out_.pieces.end(),
              [](const IdlePiece& a, const IdlePiece& b) { return a.start < b.start; });
    for (std::size_t k = first_piece; k < out_.pieces.size(); ++k) {
      const IdlePiece& piece = out_.pieces[k];
      switch (piece.kind) {
        case TimeKind::kCommunication:
          sums.communication += piece.length();
          if (piece.group != kNoIndex) out_.groups[piece.group].exposed += piece.length();
          break;
        case TimeKind::kStraggler:
          sums.straggler += piece.length();
          break;
        case TimeKind::kBubble:
          sums.bubble += piece.length();
          break;
        case TimeKind::kHost:
          sums.host += piece.length();
          break;
        default:
          sums.ends += piece.length();
      }
    }
    hide(device, lane);
  }

  void add(DeviceId device, const std::vector<ChainPiece>& pieces) {
    for (const ChainPiece& p : pieces) {
      IdlePiece piece{device, p.start, p.end, TimeKind::kHost, graph_.span[p.node], kNoIndex};
      if (p.is_gap) {
        if (graph_.gap_span[p.node] != kNoIndex) piece.cause = graph_.gap_span[p.node];
        switch (graph_.gap_kind[p.node]) {
          case GapKind::kCopying:
            piece.kind = TimeKind::kCommunication;
            break;
          case GapKind::kOthers:
            piece.kind = TimeKind::kStraggler;
            break;
          case GapKind::kStart:
            piece.kind = TimeKind::kEnds;
            break;
          case GapKind::kNone:
          case GapKind::kHost:
            break;
        }
      } else if (runs_beside(s_.kind[piece.cause])) {
        piece.kind = TimeKind::kCommunication;
      } else if (graph_.device_of_span[piece.cause] != device) {
        piece.kind = std::binary_search(labels_[device.value].begin(), labels_[device.value].end(),
                                        s_.label[piece.cause])
                         ? TimeKind::kStraggler
                         : TimeKind::kBubble;
      }
      if (piece.kind == TimeKind::kCommunication && piece.cause != kNoIndex)
        piece.group = communication_.group_of_span[piece.cause];
      out_.pieces.push_back(piece);
    }
  }

  // How long the device's transfers are under way, and how much of that it computes.
  void hide(DeviceId device, const std::vector<std::uint32_t>& lane) {
    std::vector<std::int64_t> computed{0};  // by the end of so many tasks of the lane
    for (const std::uint32_t i : lane)
      computed.push_back(computed.back() + (own_.end[i] - own_.start[i]).value);
    const auto until = [&](Nanoseconds t) {
      const auto after =
          std::upper_bound(lane.begin(), lane.end(), t,
                           [&](Nanoseconds time, std::uint32_t i) { return time < own_.start[i]; });
      if (after == lane.begin()) return std::int64_t{0};
      const auto k = static_cast<std::size_t>(after - lane.begin()) - 1;
      const std::uint32_t i = lane[k];
      return computed[k] + (std::min(t, own_.end[i]) - own_.start[i]).value;
    };
    for (const std::uint32_t i : spans_[device.value]) {
      const std::uint32_t group = communication_.group_of_span[i];
      if (group == kNoIndex) continue;
      const std::uint32_t node = graph_.node_of_span[i];
      ExposedGroup& g = out_.groups[group];
      g.busy += graph_.length[node];
      g.hidden += Nanoseconds(until(graph_.end_of(node)) - until(graph_.start[node]));
      g.spans.push_back(i);
    }
  }

  const Trace& trace_;
  const Spans& s_;
  const StepGraph& graph_;
  const Communication& communication_;
  const OwnTime own_;
  const std::vector<std::vector<std::uint32_t>> computing_;  // per device
  std::vector<std::vector<std::uint32_t>> spans_, labels_;   // per device
  Exposure out_;
};

}  // namespace

std::vector<Nanoseconds> queueing(const Trace& trace, const StepGraph& graph,
                                  const Communication& communication) {
  const Spans& s = trace.spans;
  std::vector<Nanoseconds> out(s.size());
  std::vector<std::uint32_t> moves;
  for (std::uint32_t i = 0; i < s.size(); ++i)
    if (communication.group_of_span[i] != kNoIndex) moves.push_back(i);
  const auto equals = [&](std::uint32_t i) {
    return std::tuple(graph.device_of_span[i], communication.group_of_span[i], s.bytes[i]);
  };
  const auto length = [&](std::uint32_t i) { return graph.length[graph.node_of_span[i]]; };
  std::sort(moves.begin(), moves.end(), [&](auto a, auto b) {
    return std::tuple_cat(equals(a), std::tuple(length(a))) <
           std::tuple_cat(equals(b), std::tuple(length(b)));
  });
  for (std::size_t k = 0, quickest = 0; k < moves.size(); ++k) {
    if (equals(moves[k]) != equals(moves[quickest])) quickest = k;
    out[moves[k]] = length(moves[k]) - length(moves[quickest]);
  }
  return out;
}

Exposure exposure(const Trace& trace, const StepGraph& graph, const Communication& communication) {
  return Attribution(trace, graph, communication).run();
}

}  // namespace soapstone::simulator
