// What a timeline shows: which traces, and what is worked out of them.
#include <algorithm>
#include <cmath>
#include <utility>

#include "explorer_gui/view/detail/timeline_panel.hpp"

namespace soapstone::explorer::view {

namespace {

// Beyond that, slack and the critical path are worked out when they are asked for.
constexpr std::size_t kAnalysedUnasked = 1'000'000;
// Below the step that a question would make.
constexpr std::string_view kAsPredicted = "as it is predicted";

}  // namespace

std::vector<TimelineSource> TimelinePanel::wanted(Ui& ui) {
  Session& s = ui.session;
  std::vector<TimelineSource> out;
  auto above = s.shown();
  if (!above) above = s.last_shown();
  // What was opened last is looked at; another framework's has no strategy to be found by.
  if (s.traces().size() > seen_traces_)
    below_ = s.traces().back().notes.empty() ? std::string() : s.traces().back().name;
  seen_traces_ = s.traces().size();
  const auto of = [&](const std::string& name, const std::shared_ptr<const Evaluation>& e) {
    return TimelineSource{name, std::shared_ptr<const core::Trace>(e, &e->trace),
                          std::shared_ptr<const core::Plan>(e, &e->plan), s.design().graph};
  };
  base_ = above;
  const Question& question = s.question();
  const bool asked = question.trace && question.of == above;
  if (above) out.push_back(of("predicted", above));
  if (asked) {
    out.front().name = "what if";
    out.front().trace = question.trace;
  }
  const auto add_trace = [&](const OpenTrace& opened) {
    TimelineSource source{std::string(core::name_of(opened.trace->origin)), opened.trace, {}, {}};
    if (above && opened.trace->plan_hash == above->trace.plan_hash) {
      source.plan = out.front().plan;
      source.graph = out.front().graph;
    }
    if (!out.empty() && source.name == out.front().name) source.name = opened.name;
    out.push_back(std::move(source));
  };
  choices_.clear();
  if (asked) choices_.emplace_back(kAsPredicted);
  const auto compared = s.design().baseline ? s.compared() : nullptr;
  if (compared && compared != above) choices_.push_back(s.design().compared()->name);
  for (const OpenTrace& opened : s.traces()) choices_.push_back(opened.name);
  if (below_ == "nothing") return out;
  if (asked && below_ == kAsPredicted) {
    out.push_back(of("predicted", above));
    return out;
  }
  if (compared && compared != above && below_ == s.design().compared()->name) {
    out.push_back(of(below_, compared));
    return out;
  }
  for (const OpenTrace& opened : s.traces())
    if (opened.name == below_) {
      add_trace(opened);
      return out;
    }
  below_.clear();
  if (s.traces().empty()) return out;
  const auto measured = s.measured();
  for (auto it = s.traces().rbegin(); it != s.traces().rend(); ++it)
    if (it->trace == measured || !measured) {
      add_trace(*it);
      below_now_ = it->name;
      break;
    }
  return out;
}

void TimelinePanel::refresh(Ui& ui) {
  if (ui.session.revision() == revision_) return;
  revision_ = ui.session.revision();
  std::vector<TimelineSource> sources = wanted(ui);
  std::vector<const void*> key{ui.session.design().cluster.get()};
  std::size_t spans = 0;
  for (const TimelineSource& s : sources) {
    key.push_back(s.trace.get());
    spans += s.trace->spans.size();
  }
  if (key == key_) return;
  key_ = key;
  if (sources.empty()) {
    results_ = std::make_shared<Results>();
    building_ = false;
    return;
  }
  later(
      ui, "timeline", spans,
      [sources = std::move(sources), cluster = ui.session.design().cluster] {
        return Timeline::make(sources, cluster);
      },
      [this, &session = ui.session](std::shared_ptr<const Timeline> made) {
        take(std::move(made), session);
      });
}

void TimelinePanel::take(std::shared_ptr<const Timeline> made, Session& session) {
  const bool same_devices =
      results_->timeline && results_->timeline->groups().size() == made->groups().size();
  auto next = std::make_shared<Results>();
  next->timeline = std::move(made);
  // What is picked stays while its plan does: the same task at another time.
  if (picked_) {
    const auto& before = results_->timeline;
    const auto& after = next->timeline;
    std::optional<std::size_t> span;
    if (before && picked_->source < after->sources() && before->source(picked_->source).plan &&
        before->source(picked_->source).plan == after->source(picked_->source).plan)
      span =
          same_span(before->trace(picked_->source), picked_->span, after->trace(picked_->source));
    if (span)
      picked_->span = *span;
    else
      picked_.reset();
  }
  results_ = std::move(next);
  if (!same_devices) rows_options_ = {};
  const Timeline& t = *results_->timeline;
  if (!end_drag_) view_.set_extent(static_cast<double>(t.first()), static_cast<double>(t.last()));
  results_->analysis.resize(t.sources());
  results_->critical.resize(t.sources());
  results_->found.resize(t.sources());
  results_->selected.resize(t.sources());
  asked_ = {};
  rows_changed_ = true;
  session.changed();
}

std::size_t TimelinePanel::spans_of_sources(const Timeline& t) {
  std::size_t out = 0;
  for (std::size_t i = 0; i < t.sources(); ++i) out += t.trace(i).spans.size();
  return out;
}

void TimelinePanel::follow(Ui& ui, const Timeline& t) {
  const std::shared_ptr<const Timeline> timeline = results_->timeline;
  const std::size_t spans = spans_of_sources(t);
  if (rows_changed_ || !(asked_.rows == rows_options_)) {
    rows_ = t.rows(rows_options_);
    asked_.rows = rows_options_;
    row_of_lane_.assign(t.sources(), {});
    for (std::size_t s = 0; s < t.sources(); ++s)
      row_of_lane_[s].assign(t.trace(s).lanes.size(), -1);
    for (std::size_t r = 0; r < rows_.size(); ++r)
      if (rows_[r].kind == TimelineRow::Kind::kLane)
        row_of_lane_[rows_[r].source][rows_[r].lane] = static_cast<int>(r);
    rows_changed_ = false;
    asked_.text = "\n";  // lanes that are shown have changed
  }
  if (!asked_.analysis && (critical_asked_ || spans <= kAnalysedUnasked)) {
    asked_.analysis = true;
    later(
        ui, "critical path", spans * 20,
        [timeline] {
          std::vector<std::shared_ptr<const simulator::StepAnalysis>> out;
          for (std::size_t s = 0; s < timeline->sources(); ++s) {
            const TimelineSource& source = timeline->source(s);
            std::shared_ptr<const simulator::StepAnalysis> made;
            if (source.plan) {
              if (auto a = simulator::analyse(*source.plan, *source.trace))
                made = std::make_shared<const simulator::StepAnalysis>(std::move(*a));
            } else {
              made = std::make_shared<const simulator::StepAnalysis>(
                  simulator::analyse(*source.trace));
            }
            out.push_back(std::move(made));
          }
          return out;
        },
        [this, &session = ui.session](auto made) {
          results_->analysis = std::move(made);
          for (std::size_t s = 0; s < results_->analysis.size(); ++s)
            if (results_->analysis[s])
              results_->critical[s] = spans_of(results_->analysis[s]->path);
          asked_.links = false;
          session.changed();
        });
  }
  if (differences_ && t.sources() > 1 && !asked_.slowdown) {
    asked_.slowdown = true;
    later(
        ui, "differences", spans * 4, [timeline] { return slowdown(*timeline, 0, 1); },
        [this, &session = ui.session](std::vector<float> made) {
          results_->slowdown = std::move(made);
          session.changed();
        });
  }
  if (asked_.text != find_text_) {
    asked_.text = find_text_;
    std::vector<std::vector<bool>> lanes;
    for (std::size_t s = 0; s < t.sources(); ++s) lanes.push_back(shown_lanes(t, s, rows_));
    later(
        ui, "find", spans,
        [timeline, lanes = std::move(lanes), text = find_text_] {
          std::vector<SpanSet> out;
          for (std::size_t s = 0; s < timeline->sources(); ++s)
            out.push_back(find(*timeline, s, text, lanes[s]));
          return out;
        },
        [this, &session = ui.session](std::vector<SpanSet> made) {
          results_->found = std::move(made);
          session.changed();
        });
  }
  if (asked_.ops != ui.session.selection().ops) {
    asked_.ops = ui.session.selection().ops;
    later(
        ui, "selected spans", spans,
        [timeline, ops = asked_.ops] {
          std::vector<SpanSet> out;
          for (std::size_t s = 0; s < timeline->sources(); ++s)
            out.push_back(spans_of_ops(*timeline, s, ops));
          return out;
        },
        [this, &session = ui.session](std::vector<SpanSet> made) {
          results_->selected = std::move(made);
          session.changed();
        });
  }
  if (asked_.pick != picked_ || !asked_.links) {
    asked_.pick = picked_;
    asked_.links = true;
    results_->links.reset();
    if (picked_ && results_->analysis[picked_->source]) {
      const auto analysis = results_->analysis[picked_->source];
      later(
          ui, "dependencies", spans,
          [analysis, span = picked_->span] {
            return simulator::links_of(analysis->graph, static_cast<std::uint32_t>(span));
          },
          [this, &session = ui.session](simulator::SpanLinks made) {
            results_->links = std::move(made);
            session.changed();
          });
    }
  }
  const core::DeviceId device = counted_device(ui, t);
  if (counters_ && (!asked_.counters || asked_.device != device)) {
    asked_.counters = true;
    asked_.device = device;
    later(
        ui, "counters", spans,
        [timeline, device] {
          return std::make_shared<const Counters>(counters_of(*timeline, device));
        },
        [this, &session = ui.session](std::shared_ptr<const Counters> made) {
          results_->counters = std::move(made);
          session.changed();
        });
  }
  if (counters_) follow_links(ui, t);
  if (statistics_shown()) {
    const std::size_t source = std::min(statistics_source_, t.sources() - 1);
    std::set<core::DeviceId> devices;
    if (statistics_of_device_) devices.insert(device);
    if (!asked_.statistics || asked_.range != range_ || asked_.statistics_of != source ||
        asked_.devices != devices) {
      asked_.statistics = true;
      asked_.range = range_;
      asked_.statistics_of = source;
      asked_.devices = devices;
      const auto range =
          range_.value_or(std::pair(0.0, static_cast<double>(t.trace(source).step_time.value)));
      later(
          ui, "statistics", spans,
          [timeline, source, range, devices] {
            return range_statistics(*timeline, source,
                                    static_cast<std::int64_t>(std::llround(range.first)),
                                    static_cast<std::int64_t>(std::llround(range.second)), devices);
          },
          [this, &session = ui.session](RangeStatistics made) {
            results_->statistics = std::move(made);
            session.changed();
          });
    }
  }
}

void TimelinePanel::follow_links(Ui& ui, const Timeline& t) {
  const Question& q = ui.session.question();
  std::vector<double> factors;
  if (t.cluster() && q.trace == t.source(0).trace)
    factors = simulator::bandwidth_factors(*t.cluster(), q.answered);
  if (!asked_.load) {
    asked_.load = true;
    const TimelineSource& source = t.source(0);
    if (source.plan && t.cluster() && source.plan->device_count == t.cluster()->size())
      later(
          ui, "link load", 4 * source.trace->spans.size(),
          [timeline = results_->timeline, factors] {
            const TimelineSource& of = timeline->source(0);
            return std::make_shared<const LinkLoad>(*timeline->cluster(), *of.plan, *of.trace,
                                                    factors);
          },
          [this, &session = ui.session](std::shared_ptr<const LinkLoad> made) {
            results_->load = std::move(made);
            asked_.strips = false;
            session.changed();
          });
  }
  links_.device.reset();
  if (links_of_device_) links_.device = counted_device(ui, t);
  if (!results_->load ||
      (asked_.strips && asked_.strips_of == links_ && asked_.strip_count == link_count_))
    return;
  asked_.strips = true;
  asked_.strips_of = links_;
  asked_.strip_count = link_count_;
  results_->strips = link_strips(*t.cluster(), *results_->load, t.trace(0).step_time, links_,
                                 static_cast<std::size_t>(std::max(0, link_count_)), factors);
}

// The device that is selected, or the one whose memory is fullest.
core::DeviceId TimelinePanel::counted_device(Ui& ui, const Timeline& t) const {
  const auto& selected = ui.session.selection().device;
  if (selected && !t.lanes_of(0, *selected).empty()) return *selected;
  return fullest_device(t);
}

bool TimelinePanel::statistics_shown() const { return statistics_on_ || range_; }

}  // namespace soapstone::explorer::view
