#include "simulator/analysis/waterfall.hpp"

#include <algorithm>
#include <cstdlib>
#include <map>

#include <fmt/core.h>

#include "core/units.hpp"
#include "simulator/analysis/own_time.hpp"

namespace soapstone::simulator {

using namespace core;

namespace {

struct Part {
  TimeKind kind = TimeKind::kForward;
  std::int64_t time = 0;
  std::vector<std::uint32_t> spans;
};
using Parts = std::map<std::string, Part>;

class Teller {
 public:
  Teller(const Trace& trace, const StepAnalysis& analysis)
      : trace_(trace),
        analysis_(analysis),
        queueing_(queueing(trace, analysis.graph, analysis.communication)) {}

  Parts tell(WaterfallBasis basis) {
    if (basis == WaterfallBasis::kCriticalPath) {
      for (const PathSegment& s : analysis_.path.segments)
        add(s.kind, s.group, s.is_gap ? kNoIndex : s.span, s.span, s.start, s.end);
    } else {
      devices();
    }
    for (auto& [name, part] : parts_) {
      std::sort(part.spans.begin(), part.spans.end());
      part.spans.erase(std::unique(part.spans.begin(), part.spans.end()), part.spans.end());
    }
    return std::move(parts_);
  }

 private:
  void put(const std::string& name, TimeKind kind, std::int64_t time, std::uint32_t span) {
    Part& part = parts_[name];
    part.kind = kind;
    part.time += time;
    if (span != kNoIndex) part.spans.push_back(span);
  }

  // `moving`: the transfer that is under way in this piece.
  void add(TimeKind kind, std::uint32_t group, std::uint32_t moving, std::uint32_t span,
           Nanoseconds start, Nanoseconds end) {
    if (kind == TimeKind::kCommunication && moving != kNoIndex && queueing_[moving].value > 0) {
      const Nanoseconds until =
          analysis_.graph.start[analysis_.graph.node_of_span[moving]] + queueing_[moving];
      const Nanoseconds to = std::clamp(until, start, end);
      if (to > start) put("queueing", TimeKind::kCommunication, (to - start).value, span);
      start = to;
      if (start == end) return;
    }
    const std::string name = group == kNoIndex ? std::string(name_of(kind))
                                               : analysis_.communication.groups[group].family;
    put(name, kind, (end - start).value, span);
  }

  void devices() {
    const Spans& s = trace_.spans;
    const OwnTime own = own_time(trace_);
    for (std::uint32_t i = 0; i < s.size(); ++i)
      if (!runs_beside(s.kind[i]))
        add(time_kind(s.kind[i], s.phase[i]), kNoIndex, kNoIndex, i, own.start[i], own.end[i]);
    for (const IdlePiece& p : analysis_.exposure.pieces) {
      const bool is_moving =
          p.kind == TimeKind::kCommunication && p.cause != kNoIndex && runs_beside(s.kind[p.cause]);
      add(p.kind, p.group, is_moving ? p.cause : kNoIndex, p.cause, p.start, p.end);
    }
    if (analysis_.exposure.devices.empty()) {  // no spans: nothing is known
      put(std::string(name_of(TimeKind::kEnds)), TimeKind::kEnds, trace_.step_time.value, kNoIndex);
      return;
    }
    const auto count = static_cast<std::int64_t>(analysis_.exposure.devices.size());
    std::int64_t left = trace_.step_time.value;
    std::vector<std::pair<std::int64_t, Part*>> fractions;
    for (auto& [name, part] : parts_) {
      std::int64_t whole = part.time / count;
      if (part.time % count < 0) --whole;
      fractions.emplace_back(part.time - whole * count, &part);
      part.time = whole;
      left -= whole;
    }
    std::stable_sort(fractions.begin(), fractions.end(),
                     [](const auto& a, const auto& b) { return a.first > b.first; });
    for (std::size_t k = 0; left > 0; ++k, --left) ++fractions[k].second->time;
  }

  const Trace& trace_;
  const StepAnalysis& analysis_;
  std::vector<Nanoseconds> queueing_;
  Parts parts_;
};

}  // namespace

Waterfall waterfall(const Trace& first, const StepAnalysis& of_first, const Trace& second,
                    const StepAnalysis& of_second, WaterfallBasis basis) {
  Waterfall out{basis, first.step_time, second.step_time, {}};
  std::map<std::string, WaterfallTerm> terms;
  for (auto& [name, part] : Teller(first, of_first).tell(basis)) {
    WaterfallTerm& term = terms[name];
    term.kind = part.kind;
    term.first = Nanoseconds(part.time);
    term.first_spans = std::move(part.spans);
  }
  for (auto& [name, part] : Teller(second, of_second).tell(basis)) {
    WaterfallTerm& term = terms[name];
    term.kind = part.kind;
    term.second = Nanoseconds(part.time);
    term.second_spans = std::move(part.spans);
  }
  for (auto& [name, term] : terms) {
    term.name = name;
    out.terms.push_back(std::move(term));
  }
  std::stable_sort(out.terms.begin(), out.terms.end(), [](const auto& a, const auto& b) {
    return std::abs(a.difference().value) > std::abs(b.difference().value);
  });
  return out;
}

namespace {

std::string with_sign(Nanoseconds t) { return (t.value > 0 ? "+" : "") + human_text(t); }

}  // namespace

std::string text(const Waterfall& w, const std::string& first, const std::string& second) {
  std::size_t width = 20;
  for (const WaterfallTerm& t : w.terms) width = std::max(width, t.name.size());
  const auto row = [&](const std::string& name, const std::string& a, const std::string& b,
                       const std::string& c) {
    return fmt::format("  {:<{}}  {:>{}} {:>{}} {:>11}\n", name, width, a,
                       std::max<std::size_t>(10, first.size()), b,
                       std::max<std::size_t>(10, second.size()), c);
  };
  std::string out = row("", first, second, "difference");
  for (const WaterfallTerm& t : w.terms)
    if (t.difference().value != 0)
      out += row(t.name, human_text(t.first), human_text(t.second), with_sign(t.difference()));
  return out + row("step", human_text(w.first), human_text(w.second), with_sign(w.difference()));
}

}  // namespace soapstone::simulator
