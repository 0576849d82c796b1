// Predicted and measured steps as timelines on one axis.
#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/core.h>
#include <imgui.h>
#include <imgui_stdlib.h>

#include "core/units.hpp"
#include "explorer_gui/model/time_view.hpp"
#include "explorer_gui/model/timeline.hpp"
#include "explorer_gui/view/detail/draw.hpp"
#include "explorer_gui/view/panel.hpp"

namespace soapstone::explorer::view {

namespace {

// What takes longer than a frame may for more spans than that is done beside the window.
constexpr std::size_t kAtOnce = 60'000;
// Beyond that, slack and the critical path are worked out when they are asked for.
constexpr std::size_t kAnalysedUnasked = 1'000'000;
constexpr double kFoldPixels = 3;  // what is shorter is drawn together
constexpr float kWheel = 0.8F;

// What was worked out, shared with the jobs that do so.
struct Results {
  std::shared_ptr<const Timeline> timeline;
  std::vector<std::shared_ptr<const simulator::StepAnalysis>> analysis;  // by source
  std::vector<SpanSet> critical, found, selected;                        // by source
  std::vector<float> slowdown;                                           // of the second source
  std::optional<RangeStatistics> statistics;
  std::shared_ptr<const Counters> counters;
  std::optional<simulator::SpanLinks> links;  // of the span that is picked
};

class TimelinePanel final : public Panel {
 public:
  TimelinePanel()
      : Panel("Timeline", Dock::kBottom,
              "What every device does when, predicted and measured on one axis.") {}

  void add_actions(Ui& ui) override {
    Session* session = &ui.session;
    const auto ready = [this] {
      return results_->timeline ? std::string() : std::string("There is no trace yet.");
    };
    const auto act = [&](const char* id, const char* name, const char* about_it, auto run) {
      ui.actions.add({std::string("timeline.") + id, name, "", about_it,
                      [this, session, run] {
                        open = true;
                        run();
                        session->changed();
                      },
                      ready});
    };
    ui.actions.add({"timeline.find", "Find in the timeline…", "Ctrl+Shift+F",
                    "Marks the spans whose name has a text in it, and goes through them.",
                    [this] { open = to_front = ask_to_find_ = true; }, ready});
    act("whole", "Timeline: the whole step", "Shows the whole step. Key: Home.",
        [this] { view_.show_all(); });
    act("selection", "Timeline: zoom to the selection",
        "Shows the range or span that is selected. Key: F.", [this] { zoom_to_selection(); });
    act("critical", "Timeline: critical path", "Underlines what the step's time is made of.",
        [this] { critical_ = !critical_; });
    act("differences", "Timeline: differences",
        "Colours the lower trace by how much slower or faster it is than the upper one.",
        [this] { differences_ = !differences_; });
    act("unfold", "Timeline: show every device", "Shows every device of groups that do the same.",
        [this] { unfold_all(); });
    act("fold", "Timeline: fold devices that do the same", "Shows one device of every group.",
        [this] {
          rows_options_.open.clear();
          rows_options_.shut.clear();
        });
  }

  void draw(Ui& ui) override {
    refresh(ui);
    toolbar(ui);
    if (!results_->timeline) {
      ImGui::TextDisabled("%s", building_ ? "The timeline is being made."
                                          : "Choose a model and a cluster, or open a trace.");
      return;
    }
    const Timeline& t = *results_->timeline;
    follow(ui, t);
    const float side = statistics_shown() ? ui.points(300) : 0;
    const ImVec2 room = ImGui::GetContentRegionAvail();
    ImGui::BeginChild("##time", {std::max(ui.points(200), room.x - side), 0}, 0,
                      ImGuiWindowFlags_NoScrollbar | ImGuiWindowFlags_NoScrollWithMouse);
    label_width_ = ui.points(190);
    axis_width_ = std::max(ui.points(50), ImGui::GetContentRegionAvail().x - label_width_ -
                                              ImGui::GetStyle().ScrollbarSize);
    axis_x_ = ImGui::GetCursorScreenPos().x + label_width_;
    minimap(ui, t);
    ruler(ui);
    const float below = counters_ ? counters_height(ui) : 0;
    const float legend_height = ImGui::GetTextLineHeightWithSpacing() + ui.points(2);
    lanes(ui, t, std::max(ui.points(60), ImGui::GetContentRegionAvail().y - below - legend_height));
    if (counters_) counters(ui, t);
    legend(ui, t);
    keys(ui);
    ImGui::EndChild();
    if (side > 0) {
      ImGui::SameLine();
      statistics(ui, t);
    }
  }

 private:
  struct Pick {
    std::size_t source = 0, span = 0;
    friend bool operator==(const Pick&, const Pick&) = default;
  };

  // --- what is shown ----------------------------------------------------------------------------
  std::vector<TimelineSource> wanted(Ui& ui) {
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
    if (above) out.push_back(of("predicted", above));
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
    const auto compared = s.design().baseline ? s.compared() : nullptr;
    if (compared && compared != above) choices_.push_back(s.design().compared()->name);
    for (const OpenTrace& opened : s.traces()) choices_.push_back(opened.name);
    if (below_ == "nothing") return out;
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

  void refresh(Ui& ui) {
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
    // Marks that are told by spans are of the traces that were.
    picked_.reset();
    later(
        ui, "timeline", spans,
        [sources = std::move(sources), cluster = ui.session.design().cluster] {
          return Timeline::make(sources, cluster);
        },
        [this, &session = ui.session](std::shared_ptr<const Timeline> made) {
          take(std::move(made), session);
        });
  }

  void take(std::shared_ptr<const Timeline> made, Session& session) {
    const bool same_devices =
        results_->timeline && results_->timeline->groups().size() == made->groups().size();
    auto next = std::make_shared<Results>();
    next->timeline = std::move(made);
    results_ = std::move(next);
    if (!same_devices) rows_options_ = {};
    const Timeline& t = *results_->timeline;
    view_.set_extent(static_cast<double>(t.first()), static_cast<double>(t.last()));
    results_->analysis.resize(t.sources());
    results_->critical.resize(t.sources());
    results_->found.resize(t.sources());
    results_->selected.resize(t.sources());
    asked_ = {};
    rows_changed_ = true;
    session.changed();
  }

  // Does the work now if it is little, else in a job; its result is taken on this thread, unless
  // what it was asked for is no longer shown.
  template <class Make, class Take>
  void later(Ui& ui, const std::string& name, std::size_t spans, Make make, Take take_result) {
    if (spans <= kAtOnce) {
      take_result(make());
      return;
    }
    const std::weak_ptr<Results> of = results_;
    const bool whole = name == "timeline";
    if (whole) building_ = true;
    ui.session.jobs().start(
        name,
        [this, of, whole, make = std::move(make),
         take_result = std::move(take_result)](JobContext&) -> Jobs::Finish {
          auto made = std::make_shared<decltype(make())>(make());
          return [this, of, whole, made, take_result] {
            const auto alive = of.lock();  // no panel, no results
            if (!alive || alive != results_) return;
            if (whole) building_ = false;
            take_result(std::move(*made));
          };
        },
        "timeline." + name);
  }

  static std::size_t spans_of_sources(const Timeline& t) {
    std::size_t out = 0;
    for (std::size_t i = 0; i < t.sources(); ++i) out += t.trace(i).spans.size();
    return out;
  }

  // Everything that follows from the timeline and from what is selected.
  struct Asked {
    bool analysis = false, slowdown = false, counters = false, links = false;
    std::string text;
    std::set<std::uint32_t> ops;
    TimelineOptions rows;
    std::optional<Pick> pick;
    core::DeviceId device;
    std::optional<std::pair<double, double>> range;
    std::size_t statistics_of = 0;
    bool statistics = false;
    std::set<core::DeviceId> devices;
  };

  void follow(Ui& ui, const Timeline& t) {
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
              return range_statistics(
                  *timeline, source, static_cast<std::int64_t>(std::llround(range.first)),
                  static_cast<std::int64_t>(std::llround(range.second)), devices);
            },
            [this, &session = ui.session](RangeStatistics made) {
              results_->statistics = std::move(made);
              session.changed();
            });
      }
    }
  }

  // The device that is selected, or the one whose memory is fullest.
  core::DeviceId counted_device(Ui& ui, const Timeline& t) const {
    const auto& selected = ui.session.selection().device;
    if (selected && !t.lanes_of(0, *selected).empty()) return *selected;
    core::DeviceId out = t.groups().empty() ? core::DeviceId(0) : t.groups()[0].devices.front();
    core::Bytes most(-1);
    for (const core::MemoryCounter& m : t.trace(0).memory)
      if (m.live_peak > most) {
        most = m.live_peak;
        out = m.device;
      }
    return out;
  }

  bool statistics_shown() const { return statistics_on_ || range_; }

  void unfold_all() {
    rows_options_ = {};
    if (!results_->timeline) return;
    for (std::uint32_t g = 0; g < results_->timeline->groups().size(); ++g)
      rows_options_.open.insert(g);
  }

  void zoom_to_selection() {
    if (range_) {
      view_.show(range_->first, range_->second);
    } else if (picked_ && results_->timeline) {
      const core::Spans& s = results_->timeline->trace(picked_->source).spans;
      view_.show(static_cast<double>(s.start[picked_->span].value),
                 static_cast<double>(s.end[picked_->span].value));
    }
  }

  // --- the line above ---------------------------------------------------------------------------
  void toolbar(Ui& ui) {
    const bool two = results_->timeline && results_->timeline->sources() > 1;
    ImGui::AlignTextToFramePadding();
    ImGui::SetNextItemWidth(ui.points(180));
    const std::string now =
        two ? "and " + results_->timeline->source(1).name : std::string("predicted alone");
    ImGui::BeginDisabled(choices_.empty());
    if (ImGui::BeginCombo("##below", now.c_str())) {
      if (ImGui::Selectable("nothing", below_ == "nothing")) choose_below(ui, "nothing");
      for (const std::string& choice : choices_)
        if (ImGui::Selectable(choice.c_str(), below_ == choice)) choose_below(ui, choice);
      ImGui::EndCombo();
    }
    ImGui::EndDisabled();
    std::string below_tip =
        choices_.empty() ? "What stands below the prediction: open a trace that was measured, or "
                           "compare with another strategy."
                         : "What stands below the prediction.";
    for (const OpenTrace& opened : ui.session.traces())
      if (opened.name == now)
        for (const std::string& note : opened.notes) below_tip += "\n" + note;
    tip(below_tip);
    const auto option = [&](const char* name, bool& value, const char* what) {
      ImGui::SameLine();
      const bool changed = ImGui::Checkbox(name, &value);
      tip(what);
      return changed;
    };
    if (option("critical path", critical_,
               "Underlines the spans that the step's time is made of, in red."))
      critical_asked_ = true;
    ImGui::BeginDisabled(!two);
    option("differences", differences_,
           "Colours the lower trace: blue took less time than the same above, orange more; full at "
           "two thirds and at one and a half of the time.");
    ImGui::EndDisabled();
    option("communication", rows_options_.communication, "Shows the lanes that move data.");
    option("counters", counters_, "Shows memory and what is sent below, of the selected device.");
    option("statistics", statistics_on_,
           "Tells what devices do in the step, or in the range that is dragged.");
    ImGui::SameLine();
    if (std::exchange(ask_to_find_, false)) ImGui::SetKeyboardFocusHere();
    ImGui::SetNextItemWidth(ui.points(150));
    if (ImGui::InputTextWithHint(
            "##find", "find a span", &find_text_,
            ImGuiInputTextFlags_EnterReturnsTrue | ImGuiInputTextFlags_EscapeClearsAll)) {
      go(ui, ImGui::GetIO().KeyShift ? -1 : 1);
      ImGui::SetKeyboardFocusHere(-1);
    }
    tip("A part of a span's name. Enter goes to the next one, Shift+Enter to the one before.");
    if (!find_text_.empty() && results_->timeline) {
      std::size_t count = 0;
      for (const SpanSet& set : results_->found) count += set.spans.size();
      ImGui::SameLine();
      if (button("<##before", count == 0 ? "Nothing was found." : "", "The one before")) go(ui, -1);
      ImGui::SameLine(0, ui.points(2));
      if (button(">##next", count == 0 ? "Nothing was found." : "", "The next one")) go(ui, 1);
      ImGui::SameLine();
      const std::size_t at = place_of_pick();
      ImGui::TextDisabled("%s", at == 0 ? fmt::format("{} found", count).c_str()
                                        : fmt::format("{} of {}", at, count).c_str());
    }
    ImGui::SameLine();
    hint(
        "Wheel, W, S: nearer and further. A, D, Shift+wheel, middle button: move. Drag: select a "
        "range. F: zoom to what is selected. Double click: zoom to a span. Home: the whole step. "
        "Escape: select nothing.");
  }

  void choose_below(Ui& ui, const std::string& choice) {
    below_ = choice;
    revision_ = 0;
    ui.session.changed();
  }

  // The place of the picked span among those that were found, from 1; 0: none of them.
  std::size_t place_of_pick() const {
    std::size_t before = 0;
    for (std::size_t s = 0; s < results_->found.size(); ++s) {
      const auto& spans = results_->found[s].spans;
      if (picked_ && picked_->source == s && results_->found[s].contains(picked_->span))
        return before + 1 +
               static_cast<std::size_t>(
                   std::lower_bound(spans.begin(), spans.end(), picked_->span) - spans.begin());
      before += spans.size();
    }
    return 0;
  }

  // The next span that was found, or the one before; after the last one the first.
  void go(Ui& ui, int direction) {
    std::size_t count = 0;
    for (const SpanSet& set : results_->found) count += set.spans.size();
    if (count == 0) return;
    const std::size_t at = place_of_pick();
    std::size_t to = direction > 0 ? at % count : (at <= 1 ? count - 1 : at - 2);
    for (std::size_t s = 0; s < results_->found.size(); ++s) {
      const auto& spans = results_->found[s].spans;
      if (to < spans.size()) {
        pick(ui, {s, spans[to]});
        reveal(*results_->timeline);
        return;
      }
      to -= spans.size();
    }
  }

  void pick(Ui& ui, Pick what) {
    picked_ = what;
    const Timeline& t = *results_->timeline;
    const core::Spans& s = t.trace(what.source).spans;
    Selection& selection = ui.session.selection();
    selection.ops.clear();
    if (const auto op = t.op_of(what.source, what.span)) selection.ops.insert(*op);
    selection.device = t.trace(what.source).lanes[s.lane[what.span]].device;
    selection.span.reset();
    if (what.source == 0) selection.span = what.span;
    ui.session.changed();
  }

  // Brings the picked span into view, at a magnification at which it can be seen.
  void reveal(const Timeline& t) {
    const core::Spans& s = t.trace(picked_->source).spans;
    const auto start = static_cast<double>(s.start[picked_->span].value),
               end = static_cast<double>(s.end[picked_->span].value);
    const double length = std::max(end - start, 1.0);
    const double most = std::max(view_.last - view_.first, 1.0);
    if (length / view_.length() < 0.01 || length > view_.length())
      view_.show((start + end) / 2 - std::min(10 * length, most / 2),
                 (start + end) / 2 + std::min(10 * length, most / 2));
    else if (start < view_.from || end > view_.to)
      view_.pan((start + end) / 2 - (view_.from + view_.to) / 2);
    const int row = row_of_lane_[picked_->source][s.lane[picked_->span]];
    if (row >= 0) scroll_to_ = row;
  }

  // --- strips -----------------------------------------------------------------------------------
  float x_of(double time) const {
    return axis_x_ + static_cast<float>(std::clamp(view_.x_of(time, axis_width_), -1e5, 1e5));
  }
  double time_at(float x) const { return view_.time_of(x - axis_x_, axis_width_); }

  void strip_label(Ui& ui, const char* text, float y, float height) const {
    ImGui::GetWindowDrawList()->AddText(
        {axis_x_ - label_width_ + ui.points(4), y + (height - ImGui::GetTextLineHeight()) / 2},
        ImGui::GetColorU32(ImGuiCol_TextDisabled), text);
  }

  // The whole step: how much is computed and moved, and what part of it is looked at.
  void minimap(Ui& ui, const Timeline& t) {
    const float height = ui.points(26);
    const ImVec2 at = ImGui::GetCursorScreenPos();
    strip_label(ui, "whole step", at.y, height);
    ImGui::SetCursorScreenPos({axis_x_, at.y});
    ImGui::InvisibleButton("##minimap", {axis_width_, height});
    ImDrawList& list = *ImGui::GetWindowDrawList();
    const ImVec2 from{axis_x_, at.y}, to{axis_x_ + axis_width_, at.y + height};
    list.AddRectFilled(from, to, ImGui::GetColorU32(ImGuiCol_FrameBg));
    profile(t);
    const double extent = view_.last - view_.first;
    const ImU32 computing = packed(ink_of(Work::kForward).colour),
                moving = packed(ink_of(Work::kCommunication).colour);
    const float step = axis_width_ / static_cast<float>(profile_.size());
    for (std::size_t c = 0; c < profile_.size(); ++c) {
      // Whole pixels: no seams.
      const float x = std::floor(from.x + step * static_cast<float>(c)),
                  next = std::floor(from.x + step * static_cast<float>(c + 1));
      const float up = height * profile_[c].first, more = height * profile_[c].second;
      if (up > 0) list.AddRectFilled({x, to.y - up}, {next, to.y}, computing);
      if (more > 0) list.AddRectFilled({x, to.y - up - more}, {next, to.y - up}, moving);
    }
    const auto map_x = [&](double time) {
      return from.x +
             axis_width_ * static_cast<float>(std::clamp((time - view_.first) / extent, 0.0, 1.0));
    };
    const float a = map_x(view_.from), b = std::max(map_x(view_.to), a + ui.points(3));
    const ImU32 shade = ImGui::GetColorU32(ImGuiCol_WindowBg, 0.6F);
    list.AddRectFilled(from, {a, to.y}, shade);
    list.AddRectFilled({b, from.y}, to, shade);
    list.AddRect({a, from.y}, {b, to.y}, packed(ui.colours.accent), 0, ui.points(1.5));
    if (ImGui::IsItemActive()) {
      const double time = view_.first + (ImGui::GetIO().MousePos.x - from.x) / axis_width_ * extent;
      view_.pan(time - (view_.from + view_.to) / 2);
    }
    if (ImGui::IsItemHovered() && ImGui::GetIO().MouseWheel != 0)
      view_.zoom((view_.from + view_.to) / 2, std::pow(kWheel, ImGui::GetIO().MouseWheel));
    tip("Computing, and communication on top of it, mean over devices. Drag to move.");
    ImGui::SetCursorScreenPos({at.x, at.y + height + ui.points(1)});
  }

  // Shares of computing, and of communication up to the whole, in columns of the whole step.
  void profile(const Timeline& t) {
    constexpr std::size_t kColumns = 240, kDevices = 24;
    if (profiled_ == results_->timeline) return;
    profiled_ = results_->timeline;
    profile_.assign(kColumns, {});
    const std::size_t every = (t.groups().size() + kDevices - 1) / kDevices;
    double weight = 0;
    for (std::size_t g = 0; g < t.groups().size(); g += std::max<std::size_t>(1, every))
      weight += static_cast<double>(t.groups()[g].devices.size());
    if (weight <= 0) return;
    const double width = (view_.last - view_.first) / kColumns;
    for (std::size_t g = 0; g < t.groups().size(); g += std::max<std::size_t>(1, every)) {
      const DeviceGroup& group = t.groups()[g];
      const float share =
          static_cast<float>(static_cast<double>(group.devices.size()) / weight / width);
      for (std::size_t c = 0; c < kColumns; ++c) {
        const auto from = static_cast<std::int64_t>(view_.first + width * static_cast<double>(c)),
                   to = static_cast<std::int64_t>(view_.first + width * static_cast<double>(c + 1));
        double computing = 0, moving = 0;
        for (const std::uint32_t lane : t.lanes_of(0, group.devices.front())) {
          const BusyTime busy = t.index(0).sum_between(lane, from, to);
          const auto m =
              static_cast<double>(busy.work[static_cast<std::size_t>(Work::kCommunication)]);
          moving += m;
          computing += static_cast<double>(busy.total()) - m;
        }
        computing = std::min(computing, width);
        profile_[c].first += static_cast<float>(computing) * share;
        profile_[c].second += static_cast<float>(std::min(moving, width - computing)) * share;
      }
    }
  }

  void ruler(Ui& ui) {
    const float height = ImGui::GetTextLineHeight() + ui.points(6);
    const ImVec2 at = ImGui::GetCursorScreenPos();
    strip_label(ui, "time", at.y, height);
    ImGui::SetCursorScreenPos({axis_x_, at.y});
    ImGui::InvisibleButton("##ruler", {axis_width_, height});
    if (ImGui::IsItemActive()) {
      ui.session.selection().cursor = core::Nanoseconds(
          std::max<std::int64_t>(0, std::llround(time_at(ImGui::GetIO().MousePos.x))));
      ui.session.changed();
    }
    if (ImGui::IsItemHovered() && ImGui::GetIO().MouseWheel != 0)
      view_.zoom(time_at(ImGui::GetIO().MousePos.x), std::pow(kWheel, ImGui::GetIO().MouseWheel));
    tip("Click: sets the cursor, which other views follow.");
    ImDrawList& list = *ImGui::GetWindowDrawList();
    ticks_ = ticks(view_, axis_width_, ui.points(110));
    list.PushClipRect({axis_x_, at.y}, {axis_x_ + axis_width_, at.y + height}, true);
    for (const Tick& tick : ticks_) {
      const float x = x_of(tick.time);
      list.AddLine({x, at.y + height * (tick.text.empty() ? 0.75F : 0.4F)}, {x, at.y + height},
                   ImGui::GetColorU32(ImGuiCol_TextDisabled));
      if (!tick.text.empty())
        list.AddText({x + ui.points(3), at.y + ui.points(1)}, ImGui::GetColorU32(ImGuiCol_Text),
                     tick.text.c_str());
    }
    list.PopClipRect();
    ImGui::SetCursorScreenPos({at.x, at.y + height});
  }

  // --- lanes ------------------------------------------------------------------------------------
  void lanes(Ui& ui, const Timeline& t, float height) {
    const ImVec2 at = ImGui::GetCursorScreenPos();
    ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, {0, 0});
    ImGui::BeginChild("##lanes", {0, height}, 0, ImGuiWindowFlags_NoScrollWithMouse);
    ImGui::PopStyleVar();
    const float scale = ui.points(1);
    const double end = rows_.empty() ? 0 : rows_.back().y + rows_.back().height;
    const float total = std::max(static_cast<float>(end) * scale, height);
    if (scroll_to_ >= 0) {
      const TimelineRow& row = rows_[static_cast<std::size_t>(scroll_to_)];
      const float y = static_cast<float>(row.y) * scale;
      if (y < ImGui::GetScrollY() + scale * 20 ||
          y + static_cast<float>(row.height) * scale > ImGui::GetScrollY() + height)
        ImGui::SetScrollY(std::max(0.0F, y - height / 2));
      scroll_to_ = -1;
    }
    const float scroll = ImGui::GetScrollY();
    ImDrawList& list = *ImGui::GetWindowDrawList();
    const ImVec2 axis_from{axis_x_, at.y}, axis_to{axis_x_ + axis_width_, at.y + height};

    // Headers first: they lie over the canvas.
    const auto y_of = [&](const TimelineRow& row) {
      return at.y + static_cast<float>(row.y) * scale - scroll;
    };
    first_row_ = static_cast<std::size_t>(
        std::upper_bound(rows_.begin(), rows_.end(), static_cast<double>(scroll / scale),
                         [](double y, const TimelineRow& row) { return y < row.y + row.height; }) -
        rows_.begin());
    end_row_ = first_row_;
    while (end_row_ < rows_.size() && y_of(rows_[end_row_]) < at.y + height) ++end_row_;
    for (std::size_t r = first_row_; r < end_row_; ++r) label_of(ui, t, rows_[r], y_of(rows_[r]));

    ImGui::SetCursorScreenPos({axis_x_, at.y - scroll});
    ImGui::InvisibleButton("##canvas", {axis_width_, total},
                           ImGuiButtonFlags_MouseButtonLeft | ImGuiButtonFlags_MouseButtonMiddle);
    const bool hovered = ImGui::IsItemHovered();
    list.PushClipRect(axis_from, axis_to, true);
    for (const Tick& tick : ticks_)
      if (!tick.text.empty())
        list.AddLine({x_of(tick.time), axis_from.y}, {x_of(tick.time), axis_to.y},
                     ImGui::GetColorU32(ImGuiCol_Border, 0.45F));
    prepare_inks(ui);
    for (std::size_t r = first_row_; r < end_row_; ++r) {
      const TimelineRow& row = rows_[r];
      const float y = y_of(row);
      if (row.kind == TimelineRow::Kind::kGroup)
        group_line(ui, t, row, y, static_cast<float>(row.height) * scale);
      else
        lane(ui, t, row, y, static_cast<float>(row.height) * scale);
    }
    arrows(ui, t, y_of);
    marks(ui, axis_from, axis_to);
    list.PopClipRect();
    mouse(ui, t, hovered, y_of, scale);
    if (ImGui::IsWindowHovered() && !hovered && ImGui::GetIO().MouseWheel != 0)
      ImGui::SetScrollY(scroll - ImGui::GetIO().MouseWheel * scale * 40);
    ImGui::EndChild();
  }

  void label_of(Ui& ui, const Timeline& t, const TimelineRow& row, float y) {
    ImDrawList& list = *ImGui::GetWindowDrawList();
    const float left = axis_x_ - label_width_, height = ui.points(row.height);
    const ImVec2 from{left, y}, to{axis_x_, y + height};
    if (row.kind == TimelineRow::Kind::kLane) {
      if (row.source > 0)
        list.AddRectFilled({axis_x_ - ui.points(4), y}, to, packed(ui.colours.accent));
      // A low row's label reaches down to the rows without one.
      const float size = ImGui::GetFontSize() * 0.85F;
      const float room = label_width_ - ui.points(28);
      list.PushClipRect(from, {axis_x_ - ui.points(6), y + std::max(height, size + 2)}, true);
      list.AddText(
          ImGui::GetFont(), size, {left + ui.points(22), y + std::max(0.0F, (height - size) / 2)},
          ImGui::GetColorU32(ImGuiCol_TextDisabled), fitted(row.label, room / 0.85F).c_str());
      list.PopClipRect();
      return;
    }
    const DeviceGroup& group = t.groups()[row.group];
    const bool shut = rows_options_.shut.contains(row.group),
               unfolded = rows_options_.open.contains(row.group);
    list.AddRectFilled(from, to, ImGui::GetColorU32(ImGuiCol_FrameBg));
    const ImU32 colour = ImGui::GetColorU32(ImGuiCol_Text);
    const float c = height / 2, r = ui.points(4);
    const ImVec2 m{left + ui.points(10), y + c};
    if (shut)
      list.AddTriangleFilled({m.x - r * 0.6F, m.y - r}, {m.x - r * 0.6F, m.y + r}, {m.x + r, m.y},
                             colour);
    else
      list.AddTriangleFilled({m.x - r, m.y - r * 0.6F}, {m.x + r, m.y - r * 0.6F}, {m.x, m.y + r},
                             colour);
    ImGui::SetCursorScreenPos(from);
    if (ImGui::InvisibleButton(fmt::format("shut {}", t.device_name(row.device)).c_str(),
                               {ui.points(20), height}))
      toggle(rows_options_.shut, row.group);
    tip(shut ? "Shows its lanes." : "Hides its lanes.");
    ImGui::SetCursorScreenPos({left + ui.points(20), y});
    if (ImGui::InvisibleButton(fmt::format("unfold {}", t.device_name(row.device)).c_str(),
                               {label_width_ - ui.points(20), height})) {
      if (group.devices.size() > 1) toggle(rows_options_.open, row.group);
      ui.session.selection().device = row.device;
      ui.session.changed();
    }
    tip(group.devices.size() == 1
            ? group.note
            : fmt::format("{} devices do the same; {}. Click: {}.", group.devices.size(),
                          unfolded ? "all are shown" : "the first one is shown",
                          unfolded ? "one of them" : "all of them"));
    ImGui::PushFont(ui.fonts.bold, 0);
    const std::string name = fitted(group.name, label_width_ - ui.points(30));
    list.AddText({left + ui.points(22), y + (height - ImGui::GetTextLineHeight()) / 2},
                 group.note.empty() ? colour : packed(ui.colours.warning), name.c_str());
    ImGui::PopFont();
  }

  static void toggle(std::set<std::uint32_t>& set, std::uint32_t entry) {
    if (!set.erase(entry)) set.insert(entry);
  }

  static void group_line(Ui& ui, const Timeline& t, const TimelineRow& row, float y, float height) {
    ImDrawList& list = *ImGui::GetWindowDrawList();
    const DeviceGroup& group = t.groups()[row.group];
    const ImVec2 clip = list.GetClipRectMin(), clip_end = list.GetClipRectMax();
    list.AddRectFilled({clip.x, y}, {clip_end.x, y + height},
                       ImGui::GetColorU32(ImGuiCol_FrameBg, 0.8F));
    std::string text = group.note;
    if (!group.use.empty()) text += (text.empty() ? "" : " · ") + group.use;
    list.AddText(
        {clip.x + ui.points(6), y + (height - ImGui::GetTextLineHeight()) / 2},
        group.note.empty() ? ImGui::GetColorU32(ImGuiCol_TextDisabled) : packed(ui.colours.warning),
        fitted(text, clip_end.x - clip.x - ui.points(12)).c_str());
  }

  struct InkNow {
    Ink ink;
    ImU32 full, half, faint, dim, text;
  };
  void prepare_inks(Ui& ui) {
    for (std::size_t w = 0; w < kWorks; ++w) {
      const Ink ink = ink_of(static_cast<Work>(w));
      inks_[w] = {ink,
                  packed(ink.colour),
                  packed(ink.colour, 0.6),
                  packed(ink.colour, 0.28),
                  packed(ink.colour, 0.22),
                  packed(text_on(ink.colour))};
    }
    font_size_ = ui.points(12.5);
    letter_ = ui.fonts.code->CalcTextSizeA(font_size_, FLT_MAX, 0, "M").x;
  }

  void lane(Ui& ui, const Timeline& t, const TimelineRow& row, float y, float height) {
    ImDrawList& list = *ImGui::GetWindowDrawList();
    const core::Trace& trace = t.trace(row.source);
    const SpanSet& found = results_->found[row.source];
    const SpanSet& selected = results_->selected[row.source];
    const SpanSet& critical = results_->critical[row.source];
    const bool finding = !find_text_.empty(), selecting = !selected.empty();
    const bool shaded = differences_ && row.source == 1 && !results_->slowdown.empty();
    const float top = y + ui.points(1), bottom = y + height - ui.points(1);
    const ImU32 line = packed(ui.colours.bad);
    boxes_.clear();
    t.index(row.source).boxes(row.lane, view_.from, view_.to, grain_, boxes_);
    for (const Box& box : boxes_) {
      const float x0 = x_of(static_cast<double>(box.start));
      const float x1 = std::max(x_of(static_cast<double>(box.end)), x0 + 1);
      const InkNow& now = inks_[static_cast<std::size_t>(box.work)];
      const bool emphasised =
          (!finding && !selecting) || (finding && found.any(box.first, box.first + box.count)) ||
          (!finding && selecting && selected.any(box.first, box.first + box.count));
      Ink ink = now.ink;
      ImU32 full = now.full, text_colour = now.text;
      if (shaded) {
        const float ratio = slowdown_of(results_->slowdown, box);
        ink = {std::isnan(ratio) ? Colour{0x808080} : change(shade_of(ratio), ui.dark()),
               Pattern::kSolid};
        full = packed(ink.colour);
        text_colour = packed(text_on(ink.colour));
      }
      if (box.folded()) {
        // As high as it is busy, on a faint ground as wide as it is.
        const auto length = static_cast<double>(std::max<std::int64_t>(1, box.end - box.start));
        const auto share = static_cast<float>(static_cast<double>(box.busy) / length);
        list.AddRectFilled({x0, top}, {x1, bottom}, now.dim);
        if (emphasised || !finding)
          list.AddRectFilled({x0, bottom - std::max(1.0F, share * (bottom - top))}, {x1, bottom},
                             emphasised ? full : now.half);
      } else {
        const float ready =
            box.waiting > 0 ? std::min(x1, x_of(static_cast<double>(box.start + box.waiting))) : x0;
        if (ready > x0) {
          list.AddRectFilled({x0, top}, {ready, bottom}, now.dim);
          list.AddLine({x0, (top + bottom) / 2}, {ready, (top + bottom) / 2}, full);
        }
        if (!emphasised)
          list.AddRectFilled({ready, top}, {x1, bottom}, finding ? now.faint : now.half);
        else if (x1 - ready < 6)
          list.AddRectFilled({ready, top}, {std::max(x1, ready + 1), bottom}, full);
        else
          fill(list, {ready, top}, {x1, bottom}, ink);
        if (shaded && x1 - ready > 2)  // what is the same has nearly the ground's colour
          list.AddRect({ready, top}, {x1, bottom}, ImGui::GetColorU32(ImGuiCol_TextDisabled, 0.6F));
        if (x1 - ready > 4)  // what touches is told apart
          list.AddLine({x1 - 0.5F, top}, {x1 - 0.5F, bottom},
                       ImGui::GetColorU32(ImGuiCol_WindowBg, 0.8F));
        const float left = std::max(ready, axis_x_) + ui.points(3);
        const float room = std::min(x1, axis_x_ + axis_width_) - left - ui.points(2);
        const auto letters = static_cast<int>(room / letter_);
        if (letters >= 4 && height > font_size_) {
          const std::string& name = trace.labels[trace.spans.label[box.first]];
          text_in_box(list, ui, name, letters, {left, (top + bottom - font_size_) / 2},
                      emphasised ? text_colour : ImGui::GetColorU32(ImGuiCol_TextDisabled), now,
                      emphasised && ink.pattern != Pattern::kSolid);
        }
      }
      if (critical_ && critical.any(box.first, box.first + box.count))
        list.AddRectFilled({x0, bottom - ui.points(2)}, {x1, bottom + ui.points(1)}, line);
      if (picked_ && picked_->source == row.source && picked_->span >= box.first &&
          picked_->span < box.first + box.count)
        list.AddRect({x0 - 1, top - 1}, {x1 + 1, bottom + 1}, ImGui::GetColorU32(ImGuiCol_Text), 0,
                     ui.points(2));
    }
  }

  void text_in_box(ImDrawList& list, Ui& ui, const std::string& name, int letters, ImVec2 at,
                   ImU32 colour, const InkNow& ink, bool on_pattern) const {
    const char* begin = name.c_str();
    const char* end = begin + name.size();
    const auto most = static_cast<std::size_t>(letters);
    const bool cut = name.size() > most;
    if (cut) end = begin + most - 1;
    if (on_pattern)  // letters stand on the plain colour
      list.AddRectFilled(
          {at.x - 1, at.y},
          {at.x + letter_ * static_cast<float>(std::min(most, name.size())) + 1, at.y + font_size_},
          ink.full);
    list.AddText(ui.fonts.code, font_size_, at, colour, begin, end);
    if (cut)
      list.AddText(ui.fonts.code, font_size_, {at.x + letter_ * static_cast<float>(most - 1), at.y},
                   colour, "…");
  }

  // From what the picked span waited for, and to what waited for it.
  template <class YOf>
  void arrows(Ui& ui, const Timeline& t, const YOf& y_of) {
    if (!picked_ || !results_->links || !asked_.links) return;
    const core::Spans& s = t.trace(picked_->source).spans;
    const auto point = [&](std::size_t span, bool at_end, ImVec2& out) {
      const int r = row_of_lane_[picked_->source][s.lane[span]];
      if (r < 0) return false;
      const TimelineRow& row = rows_[static_cast<std::size_t>(r)];
      out = {x_of(static_cast<double>(at_end ? s.end[span].value : s.start[span].value)),
             y_of(row) + ui.points(row.height / 2)};
      return true;
    };
    ImDrawList& list = *ImGui::GetWindowDrawList();
    const auto arrow = [&](std::size_t from, std::size_t to, bool binding) {
      ImVec2 a, b;
      // A transfer's parts wait for each other's beginnings.
      const bool parts = s.kind[from] == core::TaskKind::kTransfer && s.end[from] > s.start[to];
      if (!point(from, !parts, a) || !point(to, false, b)) return;
      if (parts) b.x = std::max(b.x, a.x);
      const ImU32 colour = binding ? packed(ui.colours.bad) : packed(ui.colours.accent, 0.9);
      const float bow = std::max(ui.points(14), (b.x - a.x) / 2);
      list.AddBezierCubic(a, {a.x + bow, a.y}, {b.x - bow, b.y}, b, colour,
                          ui.points(binding ? 2 : 1.3));
      const float r = ui.points(4);
      list.AddTriangleFilled({b.x, b.y}, {b.x - r * 1.6F, b.y - r}, {b.x - r * 1.6F, b.y + r},
                             colour);
    };
    constexpr std::size_t kMost = 60;
    const auto& links = *results_->links;
    for (std::size_t i = 0; i < std::min(kMost, links.before.size()); ++i)
      arrow(links.before[i], picked_->span, links.before[i] == links.binding);
    for (std::size_t i = 0; i < std::min(kMost, links.after.size()); ++i)
      arrow(picked_->span, links.after[i], false);
  }

  void marks(Ui& ui, ImVec2 from, ImVec2 to) {
    ImDrawList& list = *ImGui::GetWindowDrawList();
    if (range_) {
      const float a = x_of(range_->first), b = x_of(range_->second);
      list.AddRectFilled({a, from.y}, {b, to.y}, packed(ui.colours.accent, 0.14));
      list.AddLine({a, from.y}, {a, to.y}, packed(ui.colours.accent));
      list.AddLine({b, from.y}, {b, to.y}, packed(ui.colours.accent));
      const std::string length =
          core::human_text(core::Nanoseconds(std::llround(range_->second - range_->first)));
      const float width = ImGui::CalcTextSize(length.c_str()).x;
      const float x = std::clamp((a + b - width) / 2, from.x, std::max(from.x, to.x - width));
      list.AddRectFilled(
          {x - ui.points(4), from.y},
          {x + width + ui.points(4), from.y + ImGui::GetTextLineHeight() + ui.points(2)},
          ImGui::GetColorU32(ImGuiCol_PopupBg));
      list.AddText({x, from.y}, ImGui::GetColorU32(ImGuiCol_Text), length.c_str());
    }
    const core::Nanoseconds cursor = ui.session.selection().cursor;
    if (cursor.value > 0) {
      const float x = x_of(static_cast<double>(cursor.value));
      list.AddLine({x, from.y}, {x, to.y}, packed(ui.colours.warning), ui.points(1));
    }
  }

  template <class YOf>
  void mouse(Ui& ui, const Timeline& t, bool hovered, const YOf& y_of, float scale) {
    const ImGuiIO& io = ImGui::GetIO();
    const double time = time_at(io.MousePos.x);
    if (hovered) wheel(time, scale);
    if (ImGui::IsItemActive() && ImGui::IsMouseDragging(ImGuiMouseButton_Middle, 0)) {
      view_.pan(-io.MouseDelta.x * view_.per_pixel(axis_width_));
      ImGui::SetScrollY(ImGui::GetScrollY() - io.MouseDelta.y);
    }
    if (ImGui::IsItemActive() && ImGui::IsMouseDragging(ImGuiMouseButton_Left)) {
      const double begin = time_at(ImGui::GetIO().MouseClickedPos[0].x);
      range_ = std::minmax(
          {std::clamp(begin, view_.first, view_.last), std::clamp(time, view_.first, view_.last)});
      dragged_ = true;
    }
    std::optional<Box> under;
    const TimelineRow* row = nullptr;
    if (hovered)
      for (std::size_t r = first_row_; r < end_row_ && !row; ++r)
        if (rows_[r].kind == TimelineRow::Kind::kLane && io.MousePos.y >= y_of(rows_[r]) &&
            io.MousePos.y < y_of(rows_[r]) + static_cast<float>(rows_[r].height) * scale)
          row = &rows_[r];
    if (row)
      under =
          t.index(row->source).box_at(row->lane, time, grain_, 2 * view_.per_pixel(axis_width_));
    if (hovered && ImGui::IsMouseDoubleClicked(ImGuiMouseButton_Left)) {
      if (under) {
        view_.show(static_cast<double>(under->start), static_cast<double>(under->end));
        range_.reset();
      }
    } else if (hovered && ImGui::IsItemDeactivated() &&
               ImGui::IsMouseReleased(ImGuiMouseButton_Left)) {
      if (!std::exchange(dragged_, false)) {
        range_.reset();
        ui.session.selection().cursor =
            core::Nanoseconds(std::max<std::int64_t>(0, std::llround(time)));
        if (under && !under->folded()) {
          pick(ui, {row->source, under->first});
        } else {
          picked_.reset();
          ui.session.selection().span.reset();
          ui.session.selection().ops.clear();
          ui.session.changed();
        }
      }
    } else if (under && !ImGui::IsMouseDown(ImGuiMouseButton_Left) &&
               !ImGui::IsMouseDown(ImGuiMouseButton_Middle)) {
      tooltip(ui, t, row->source, *under);
    }
    if (!ImGui::IsMouseDown(ImGuiMouseButton_Left)) dragged_ = false;
  }

  void wheel(double time, float scale) {
    const ImGuiIO& io = ImGui::GetIO();
    if (io.MouseWheelH != 0) view_.pan(-io.MouseWheelH * view_.length() * 0.1);
    if (io.MouseWheel == 0) return;
    if (io.KeyShift)
      view_.pan(-io.MouseWheel * view_.length() * 0.1);
    else if (io.KeyCtrl)
      ImGui::SetScrollY(ImGui::GetScrollY() - io.MouseWheel * scale * 40);
    else
      view_.zoom(time, std::pow(kWheel, io.MouseWheel));
  }

  void tooltip(Ui& ui, const Timeline& t, std::size_t source, const Box& box) const {
    if (!ImGui::BeginTooltip()) return;
    const auto lines = describe(t, source, box, results_->analysis[source].get());
    swatch(ink_of(box.work));
    ImGui::PushFont(ui.fonts.bold, 0);
    label(lines.front().what);
    ImGui::PopFont();
    if (ImGui::BeginTable("span", 2, ImGuiTableFlags_SizingFixedFit)) {
      for (std::size_t i = 1; i < lines.size(); ++i) {
        ImGui::TableNextRow();
        ImGui::TableNextColumn();
        ImGui::TextDisabled("%s", lines[i].what.c_str());
        ImGui::TableNextColumn();
        label(lines[i].value);
      }
      if (differences_ && source == 1 && !results_->slowdown.empty()) {
        const float ratio = slowdown_of(results_->slowdown, box);
        ImGui::TableNextRow();
        ImGui::TableNextColumn();
        ImGui::TextDisabled("%s", fmt::format("against {}", t.source(0).name).c_str());
        ImGui::TableNextColumn();
        label(std::isnan(ratio) ? std::string("not there")
                                : fmt::format("{:+.1f} %", 100 * (ratio - 1)));
      }
      ImGui::EndTable();
    }
    if (box.folded()) ImGui::TextDisabled("Come nearer to tell them apart.");
    ImGui::EndTooltip();
  }

  void keys(Ui& ui) {
    const ImGuiIO& io = ImGui::GetIO();
    grain_ = grain_of(view_.per_pixel(axis_width_), kFoldPixels * ui.scale);
    if (io.WantTextInput || io.KeyCtrl || io.KeyAlt) return;
    if (!ImGui::IsWindowFocused(ImGuiFocusedFlags_RootAndChildWindows) &&
        !ImGui::IsWindowHovered(ImGuiHoveredFlags_RootAndChildWindows))
      return;
    const bool over = io.MousePos.x >= axis_x_ && io.MousePos.x <= axis_x_ + axis_width_ &&
                      ImGui::IsWindowHovered(ImGuiHoveredFlags_RootAndChildWindows);
    const double at = over ? time_at(io.MousePos.x) : (view_.from + view_.to) / 2;
    if (ImGui::IsKeyPressed(ImGuiKey_W)) view_.zoom(at, 0.75);
    if (ImGui::IsKeyPressed(ImGuiKey_S)) view_.zoom(at, 1 / 0.75);
    if (ImGui::IsKeyPressed(ImGuiKey_A)) view_.pan(-0.12 * view_.length());
    if (ImGui::IsKeyPressed(ImGuiKey_D)) view_.pan(0.12 * view_.length());
    if (ImGui::IsKeyPressed(ImGuiKey_F, false)) zoom_to_selection();
    if (ImGui::IsKeyPressed(ImGuiKey_Home, false)) view_.show_all();
    if (ImGui::IsKeyPressed(ImGuiKey_Escape, false)) {
      range_.reset();
      picked_.reset();
    }
    grain_ = grain_of(view_.per_pixel(axis_width_), kFoldPixels * ui.scale);
  }

  // --- counters ---------------------------------------------------------------------------------
  static float counters_height(Ui& ui) { return ui.points(62 + 40 + 6); }

  void counters(Ui& ui, const Timeline& t) {
    if (!results_->counters) {
      ImGui::Dummy({1, counters_height(ui)});
      return;
    }
    const Counters& c = *results_->counters;
    double most = 1, fastest = 1;
    for (const MemoryPicture& m : c.memory) most = std::max(most, m.most);
    for (const Curve& s : c.sent) fastest = std::max(fastest, s.most);
    memory_strip(ui, t, c, most * 1.08);
    sent_strip(ui, t, c, fastest * 1.08);
  }

  ImVec2 strip(Ui& ui, const char* id, const std::string& name, const std::string& more,
               float height) const {
    const ImVec2 at = ImGui::GetCursorScreenPos();
    ImDrawList& list = *ImGui::GetWindowDrawList();
    list.AddText({at.x + ui.points(4), at.y + ui.points(2)}, ImGui::GetColorU32(ImGuiCol_Text),
                 fitted(name, label_width_ - ui.points(8)).c_str());
    list.AddText({at.x + ui.points(4), at.y + ui.points(2) + ImGui::GetTextLineHeight()},
                 ImGui::GetColorU32(ImGuiCol_TextDisabled),
                 fitted(more, label_width_ - ui.points(8)).c_str());
    ImGui::SetCursorScreenPos({axis_x_, at.y});
    ImGui::InvisibleButton(id, {axis_width_, height});
    list.AddRectFilled({axis_x_, at.y}, {axis_x_ + axis_width_, at.y + height},
                       ImGui::GetColorU32(ImGuiCol_FrameBg, 0.5F));
    if (ImGui::IsItemHovered() && ImGui::GetIO().MouseWheel != 0) wheel_over_strip();
    return at;
  }
  void wheel_over_strip() const {}

  void memory_strip(Ui& ui, const Timeline& t, const Counters& c, double most) {
    const float height = ui.points(60);
    const MemoryPicture& m = c.memory.front();
    const auto end = static_cast<double>(t.trace(0).step_time.value);
    const ImVec2 at =
        strip(ui, "##memory", "memory of " + t.device_name(c.device),
              m.time.empty() ? std::string("not known")
                             : "most " + core::human_text(core::Bytes(std::llround(m.most))),
              height);
    const bool hovered = ImGui::IsItemHovered();
    ImDrawList& list = *ImGui::GetWindowDrawList();
    constexpr float kColumn = 2;
    const auto columns = static_cast<std::size_t>(axis_width_ / kColumn);
    const ImVec2 from{axis_x_, at.y}, to{axis_x_ + axis_width_, at.y + height};
    list.PushClipRect(from, to, true);
    const auto up = [&](double bytes) { return static_cast<float>(bytes / most) * height; };
    const auto entries = largest_in_columns(m.time, m.total, view_.from, view_.to, columns);
    // Boxes of columns that show the same entry are one.
    for (std::size_t first = 0; first < columns;) {
      std::size_t next = first + 1;
      while (next < columns && entries[next] == entries[first]) ++next;
      const float x0 = from.x + kColumn * static_cast<float>(first),
                  x1 = std::min(from.x + kColumn * static_cast<float>(next), x_of(end));
      if (entries[first] >= 0 && view_.time_of(x0 - from.x, axis_width_) < end) {
        const auto i = static_cast<std::size_t>(entries[first]);
        double sum = 0;
        if (m.curve.time.empty()) {
          list.AddRectFilled({x0, to.y - up(m.total[i])}, {x1, to.y},
                             packed(ink_of_index(0).colour));
        } else {
          for (std::size_t h = 0; h < reports::kHolders; ++h) {
            const auto bytes = static_cast<double>(m.curve.held[h][i].value);
            if (bytes <= 0) continue;
            fill(list, {x0, to.y - up(sum + bytes)}, {x1, to.y - up(sum)}, ink_of_index(h));
            sum += bytes;
          }
        }
      }
      first = next;
    }
    for (std::size_t s = 1; s < c.memory.size(); ++s)
      outline(c.memory[s].time, c.memory[s].total, most, from, height,
              ImGui::GetColorU32(ImGuiCol_Text));
    if (!m.time.empty()) {
      const float x = x_of(static_cast<double>(m.peak.value));
      list.AddTriangleFilled(
          {x, to.y - up(m.most)}, {x - ui.points(4), to.y - up(m.most) - ui.points(6)},
          {x + ui.points(4), to.y - up(m.most) - ui.points(6)}, packed(ui.colours.bad));
      list.AddLine({from.x, to.y - up(m.most)}, {to.x, to.y - up(m.most)},
                   packed(ui.colours.bad, 0.5));
    }
    marks_of_strip(ui, from, to);
    list.PopClipRect();
    if (hovered && !m.time.empty() && ImGui::BeginTooltip()) {
      const double time = time_at(ImGui::GetIO().MousePos.x);
      const auto entry = largest_in_columns(m.time, m.total, time, time + 1, 1).front();
      label(fmt::format("{} at {}", t.device_name(c.device),
                        core::human_text(core::Nanoseconds(std::llround(time)))));
      if (entry >= 0 && !m.curve.time.empty())
        for (std::size_t h = reports::kHolders; h-- > 0;) {
          const core::Bytes bytes = m.curve.held[h][static_cast<std::size_t>(entry)];
          if (bytes.value <= 0) continue;
          swatch(ink_of_index(h));
          label(fmt::format("{} {}", core::human_text(bytes),
                            core::name_of(static_cast<reports::Holder>(h))));
        }
      if (entry >= 0)
        label("together " + core::human_text(core::Bytes(
                                std::llround(m.total[static_cast<std::size_t>(entry)]))));
      ImGui::TextDisabled(
          "%s", fmt::format("most {} at {}", core::human_text(core::Bytes(std::llround(m.most))),
                            core::human_text(m.peak))
                    .c_str());
      ImGui::EndTooltip();
    }
    ImGui::SetCursorScreenPos({at.x, at.y + height + ui.points(2)});
  }

  void sent_strip(Ui& ui, const Timeline& t, const Counters& c, double most) {
    const float height = ui.points(40);
    const Curve& curve = c.sent.front();
    const ImVec2 at =
        strip(ui, "##sent", "sent by " + t.device_name(c.device),
              "at most " + core::human_text(core::BytesPerSecond(curve.most)), height);
    const bool hovered = ImGui::IsItemHovered();
    ImDrawList& list = *ImGui::GetWindowDrawList();
    constexpr float kColumn = 2;
    const auto columns = static_cast<std::size_t>(axis_width_ / kColumn);
    const ImVec2 from{axis_x_, at.y}, to{axis_x_ + axis_width_, at.y + height};
    list.PushClipRect(from, to, true);
    const auto entries = largest_in_columns(curve.time, curve.value, view_.from, view_.to, columns);
    const ImU32 colour = packed(ink_of(Work::kCommunication).colour);
    for (std::size_t first = 0; first < columns;) {
      std::size_t end = first + 1;
      while (end < columns && entries[end] == entries[first]) ++end;
      if (entries[first] >= 0) {
        const double value = curve.value[static_cast<std::size_t>(entries[first])];
        if (value > 0)
          list.AddRectFilled({from.x + kColumn * static_cast<float>(first),
                              to.y - static_cast<float>(value / most) * height},
                             {from.x + kColumn * static_cast<float>(end), to.y}, colour);
      }
      first = end;
    }
    for (std::size_t s = 1; s < c.sent.size(); ++s)
      outline(c.sent[s].time, c.sent[s].value, most, from, height,
              ImGui::GetColorU32(ImGuiCol_Text));
    marks_of_strip(ui, from, to);
    list.PopClipRect();
    if (hovered) {
      const double time = time_at(ImGui::GetIO().MousePos.x);
      const auto entry = largest_in_columns(curve.time, curve.value, time, time + 1, 1).front();
      tip(fmt::format("{} sends {} at {}", t.device_name(c.device),
                      core::human_text(core::BytesPerSecond(
                          entry < 0 ? 0 : curve.value[static_cast<std::size_t>(entry)])),
                      core::human_text(core::Nanoseconds(std::llround(time)))));
    }
    ImGui::SetCursorScreenPos({at.x, at.y + height + ui.points(2)});
  }

  // The same of the lower trace, as a line.
  void outline(const std::vector<std::int64_t>& time, const std::vector<double>& value, double most,
               ImVec2 from, float height, ImU32 colour) const {
    constexpr float kColumn = 2;
    const auto columns = static_cast<std::size_t>(axis_width_ / kColumn);
    const auto entries = largest_in_columns(time, value, view_.from, view_.to, columns);
    ImDrawList& list = *ImGui::GetWindowDrawList();
    float before = from.y + height;
    for (std::size_t c = 0; c < columns; ++c) {
      const float x = from.x + kColumn * static_cast<float>(c);
      const float y =
          entries[c] < 0
              ? from.y + height
              : from.y + height -
                    static_cast<float>(value[static_cast<std::size_t>(entries[c])] / most) * height;
      list.AddRectFilled({x, std::min(y, before)}, {x + kColumn, std::max(y, before) + 1}, colour);
      before = y;
    }
  }

  void marks_of_strip(Ui& ui, ImVec2 from, ImVec2 to) const {
    ImDrawList& list = *ImGui::GetWindowDrawList();
    if (range_)
      list.AddRectFilled({x_of(range_->first), from.y}, {x_of(range_->second), to.y},
                         packed(ui.colours.accent, 0.14));
    const core::Nanoseconds cursor = ui.session.selection().cursor;
    if (cursor.value > 0)
      list.AddLine({x_of(static_cast<double>(cursor.value)), from.y},
                   {x_of(static_cast<double>(cursor.value)), to.y}, packed(ui.colours.warning));
  }

  // --- words beside -----------------------------------------------------------------------------
  void legend(Ui& ui, const Timeline& t) {
    ImGui::SetCursorPosY(ImGui::GetCursorPosY() + ui.points(2));
    ImGui::Dummy({ui.points(2), 1});
    const auto entry = [&](Ink ink, std::string_view text) {
      const float width = ImGui::CalcTextSize(text.data(), text.data() + text.size()).x +
                          ImGui::GetTextLineHeight() * 2;
      if (ImGui::GetItemRectMax().x + width > axis_x_ + axis_width_) return;
      ImGui::SameLine(0, ui.points(10));
      swatch(ink);
      ImGui::TextDisabled("%s", std::string(text).c_str());
    };
    if (differences_ && t.sources() > 1) {
      entry({change(-1, ui.dark())}, "two thirds of the time or less");
      entry({change(0, ui.dark())}, "the same");
      entry({change(1, ui.dark())}, "half as long again or more");
    }
    for (std::size_t w = 0; w < kWorks; ++w)
      if (t.has(static_cast<Work>(w)))
        entry(ink_of(static_cast<Work>(w)), core::name_of(static_cast<Work>(w)));
    if (critical_) entry({ui.colours.bad}, "critical path");
    if (!counters_ || !results_->counters || results_->counters->memory.front().curve.time.empty())
      return;
    ImGui::SameLine(0, ui.points(22));
    label("memory:");
    const auto& curve = results_->counters->memory.front().curve;
    for (std::size_t h = 0; h < reports::kHolders; ++h)
      if (std::any_of(curve.held[h].begin(), curve.held[h].end(),
                      [](core::Bytes bytes) { return bytes.value > 0; }))
        entry(ink_of_index(h), core::name_of(static_cast<reports::Holder>(h)));
  }

  void statistics(Ui& ui, const Timeline& t) {
    ImGui::BeginChild("##statistics", {0, 0}, ImGuiChildFlags_Borders);
    ImGui::PushFont(ui.fonts.bold, 0);
    label(range_ ? "The selected range" : "The whole step");
    ImGui::PopFont();
    if (range_) {
      ImGui::SameLine();
      if (ImGui::SmallButton("Clear")) range_.reset();
    }
    if (t.sources() > 1)
      for (std::size_t s = 0; s < t.sources(); ++s) {
        if (s > 0) ImGui::SameLine();
        if (ImGui::RadioButton(t.source(s).name.c_str(), statistics_source_ == s))
          statistics_source_ = s;
      }
    ImGui::Checkbox("selected device alone", &statistics_of_device_);
    if (!results_->statistics) {
      ImGui::EndChild();
      return;
    }
    const RangeStatistics& s = *results_->statistics;
    label(fmt::format("{} to {}", core::human_text(s.from), core::human_text(s.to)));
    ImGui::TextDisabled(
        "%s", fmt::format("{}, {} spans on {} device{}", core::human_text(s.to - s.from), s.spans,
                          s.devices, s.devices == 1 ? "" : "s")
                  .c_str());
    const auto total = static_cast<double>(std::max<std::int64_t>(1, s.total().value));
    const auto mean = [&](std::int64_t sum) {
      return core::human_text(
          core::Nanoseconds(sum / std::max<std::int64_t>(1, static_cast<std::int64_t>(s.devices))));
    };
    const auto table = [&](const char* id, const auto& rows, double whole) {
      if (!ImGui::BeginTable(id, 3, ImGuiTableFlags_RowBg)) return;
      ImGui::TableSetupColumn("what", ImGuiTableColumnFlags_WidthStretch);
      ImGui::TableSetupColumn("time", ImGuiTableColumnFlags_WidthFixed);
      ImGui::TableSetupColumn("share", ImGuiTableColumnFlags_WidthFixed);
      for (const auto& [ink, name, time] : rows) {
        ImGui::TableNextRow();
        ImGui::TableNextColumn();
        if (ink) swatch(*ink);
        label(fitted(name, ImGui::GetContentRegionAvail().x));
        ImGui::TableNextColumn();
        label(mean(time));
        ImGui::TableNextColumn();
        label(fmt::format("{:5.1f} %", 100 * static_cast<double>(time) / whole));
      }
      ImGui::EndTable();
    };
    using Row = std::tuple<std::optional<Ink>, std::string, std::int64_t>;
    ImGui::SeparatorText("a device, in the mean");
    table("use",
          std::array<Row, 3>{Row{{}, "computing", s.computing.value},
                             Row{{}, "exposed communication", s.exposed.value},
                             Row{{}, "idle (bubble)", s.idle.value}},
          total);
    ImGui::SeparatorText("by kind, over all lanes");
    std::vector<Row> kinds;
    for (std::size_t w = 0; w < kWorks; ++w)
      if (s.kinds.work[w] > 0)
        kinds.push_back({ink_of(static_cast<Work>(w)),
                         std::string(core::name_of(static_cast<Work>(w))), s.kinds.work[w]});
    if (s.kinds.waiting > 0) kinds.push_back({{}, "waiting for others", s.kinds.waiting});
    const auto lanes =
        static_cast<double>(std::max<std::int64_t>(1, s.kinds.total() + s.kinds.waiting));
    table("kinds", kinds, lanes);
    ImGui::SeparatorText(t.source(std::min(statistics_source_, t.sources() - 1)).graph
                             ? "operators with the most time"
                             : "spans with the most time");
    std::vector<Row> top;
    for (const auto& [name, time] : s.top) top.push_back({{}, name, time.value});
    table("top", top, lanes);
    ImGui::EndChild();
  }

  std::shared_ptr<Results> results_ = std::make_shared<Results>();
  std::uint64_t revision_ = 0;
  std::vector<const void*> key_;
  bool building_ = false;
  Asked asked_;

  TimeView view_;
  std::int64_t grain_ = 1;
  TimelineOptions rows_options_;
  std::vector<TimelineRow> rows_;
  std::vector<std::vector<int>> row_of_lane_;
  bool rows_changed_ = false;
  std::size_t first_row_ = 0, end_row_ = 0;
  int scroll_to_ = -1;
  float label_width_ = 0, axis_width_ = 1, axis_x_ = 0;
  std::vector<Tick> ticks_;
  std::vector<Box> boxes_;
  std::array<InkNow, kWorks> inks_{};
  float font_size_ = 12, letter_ = 6;
  std::shared_ptr<const Timeline> profiled_;
  std::vector<std::pair<float, float>> profile_;

  std::string below_, below_now_;
  std::vector<std::string> choices_;
  std::size_t seen_traces_ = 0;
  bool critical_ = true, critical_asked_ = false, differences_ = true, counters_ = true;
  bool statistics_on_ = false, statistics_of_device_ = false, ask_to_find_ = false;
  std::size_t statistics_source_ = 0;
  std::string find_text_;
  std::optional<Pick> picked_;
  std::optional<std::pair<double, double>> range_;
  bool dragged_ = false;
};

}  // namespace

std::unique_ptr<Panel> timeline_panel() { return std::make_unique<TimelinePanel>(); }

}  // namespace soapstone::explorer::view
