// The timeline's panel: its state is drawn by several files.
//   timeline_panel.cpp     actions, the line above, map, ruler, keys
//   timeline_results.cpp   which traces, and what is worked out of them
//   timeline_lanes.cpp     lanes with their spans, and the mouse
//   timeline_question.cpp  what if: the end of a span that is dragged, and the answer
//   timeline_counters.cpp  strips below the lanes
//   timeline_words.cpp     legend and statistics
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <imgui.h>

#include "explorer_gui/model/link_strips.hpp"
#include "explorer_gui/model/question.hpp"
#include "explorer_gui/model/time_view.hpp"
#include "explorer_gui/model/timeline.hpp"
#include "explorer_gui/view/panel.hpp"

namespace soapstone::explorer::view {

// What takes longer than a frame may for more spans than that is done beside the window.
inline constexpr std::size_t kAtOnce = 60'000;
inline constexpr float kWheel = 0.8F;  // a notch comes nearer by that

// What was worked out, shared with the jobs that do so.
struct Results {
  std::shared_ptr<const Timeline> timeline;
  std::vector<std::shared_ptr<const simulator::StepAnalysis>> analysis;  // by source
  std::vector<SpanSet> critical, found, selected;                        // by source
  std::vector<float> slowdown;                                           // of the second source
  std::optional<RangeStatistics> statistics;
  std::shared_ptr<const Counters> counters;
  std::optional<simulator::SpanLinks> links;  // of the span that is picked
  std::shared_ptr<const LinkLoad> load;       // of the first source
  std::vector<LinkStrip> strips;
};

class TimelinePanel final : public Panel {
 public:
  TimelinePanel();
  void add_actions(Ui& ui) override;
  void draw(Ui& ui) override;
  std::vector<KeyHelp> keys_help() const override;

 private:
  // --- what is shown ----------------------------------------------------------------------------
  // Everything that follows from the timeline and from what is selected.
  struct Asked {
    bool analysis = false, slowdown = false, counters = false, links = false;
    bool load = false, strips = false;
    LinkChoice strips_of;
    int strip_count = 0;
    std::string text;
    std::set<std::uint32_t> ops;
    TimelineOptions rows;
    std::optional<SpanPlace> pick;
    core::DeviceId device;
    std::optional<std::pair<double, double>> range;
    std::size_t statistics_of = 0;
    bool statistics = false;
    std::set<core::DeviceId> devices;
  };
  std::vector<TimelineSource> wanted(Ui& ui);
  void refresh(Ui& ui);
  void take(std::shared_ptr<const Timeline> made, Session& session);
  static std::size_t spans_of_sources(const Timeline& t);
  void follow(Ui& ui, const Timeline& t);
  void follow_links(Ui& ui, const Timeline& t);
  // The device that is selected, or the one whose memory is fullest.
  core::DeviceId counted_device(Ui& ui, const Timeline& t) const;
  bool statistics_shown() const;

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

  // --- the line above, and the axis -------------------------------------------------------------
  void unfold_all();
  void zoom_to_selection();
  void toolbar(Ui& ui);
  void choose_below(Ui& ui, const std::string& choice);
  // The place of the picked span among those that were found, from 1; 0: none of them.
  std::size_t place_of_pick() const;
  // The next span that was found, or the one before; after the last one the first.
  void go(Ui& ui, int direction);
  void pick(Ui& ui, SpanPlace what);
  // Brings the picked span into view, at a magnification at which it can be seen.
  void reveal(const Timeline& t);
  float x_of(double time) const;
  double time_at(float x) const;
  void strip_label(Ui& ui, const char* text, float y, float height) const;
  // The whole step: how much is computed and moved, and what part of it is looked at.
  void minimap(Ui& ui, const Timeline& t);
  void ruler(Ui& ui);
  void keys(Ui& ui);

  // --- lanes ------------------------------------------------------------------------------------
  struct InkNow {
    Ink ink;
    ImU32 full, half, faint, dim, text;
  };
  float y_of_row(const Ui& ui, const TimelineRow& row) const { return rows_y_ + ui.points(row.y); }
  void lanes(Ui& ui, const Timeline& t, float height);
  void label_of(Ui& ui, const Timeline& t, const TimelineRow& row, float y);
  static void toggle(std::set<std::uint32_t>& set, std::uint32_t entry);
  static void group_line(Ui& ui, const Timeline& t, const TimelineRow& row, float y, float height);
  void prepare_inks(Ui& ui);
  void lane(Ui& ui, const Timeline& t, const TimelineRow& row, float y, float height);
  void text_in_box(ImDrawList& list, Ui& ui, const std::string& name, int letters, ImVec2 at,
                   ImU32 colour, const InkNow& ink, bool on_pattern) const;
  // From what the picked span waited for, and to what waited for it.
  void arrows(Ui& ui, const Timeline& t);
  void marks(Ui& ui, ImVec2 from, ImVec2 to);
  void mouse(Ui& ui, const Timeline& t, bool hovered);
  void wheel(double time, float scale);
  void tooltip(Ui& ui, const Timeline& t, std::size_t source, const Box& box) const;

  // --- what if ----------------------------------------------------------------------------------
  struct EndDrag {
    float mouse = 0;          // where it was taken
    std::int64_t length = 0;  // of the span then
    double per_pixel = 1;     // nanoseconds; stays what it was, so that the axis does not run away
    std::int64_t to = -1;     // the length that is asked for
  };
  void banner(Ui& ui);
  void end_of_span(Ui& ui, const Timeline& t);
  void draw_end(Ui& ui, const Timeline& t);

  // --- counters ---------------------------------------------------------------------------------
  float counters_height(Ui& ui) const;
  void counters(Ui& ui, const Timeline& t);
  ImVec2 strip(Ui& ui, const char* id, const std::string& name, const std::string& more,
               float height) const;
  void memory_strip(Ui& ui, const Timeline& t, const Counters& c, double most);
  void sent_strip(Ui& ui, const Timeline& t, const Counters& c, double most);
  // The same of the lower trace, as a line.
  void outline(const std::vector<std::int64_t>& time, const std::vector<double>& value, double most,
               ImVec2 from, float height, ImU32 colour) const;
  // Which links, and how many of them.
  void link_choice(Ui& ui, const Timeline& t);
  void link_strip(Ui& ui, const LinkStrip& strip);
  void marks_of_strip(Ui& ui, ImVec2 from, ImVec2 to) const;

  // --- words beside -----------------------------------------------------------------------------
  void legend(Ui& ui, const Timeline& t);
  void statistics(Ui& ui, const Timeline& t);

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
  float rows_y_ = 0;  // of the first row, on the screen
  int scroll_to_ = -1;
  float label_width_ = 0, axis_width_ = 1, axis_x_ = 0;
  std::vector<Tick> ticks_;
  std::vector<Box> boxes_;
  std::array<InkNow, kWorks> inks_{};
  float font_size_ = 12, letter_ = 6;
  std::shared_ptr<const Timeline> profiled_;
  std::vector<BusyColumn> profile_;

  std::string below_, below_now_;
  std::vector<std::string> choices_;
  std::size_t seen_traces_ = 0;
  bool critical_ = true, critical_asked_ = false, differences_ = true, counters_ = true;
  bool statistics_on_ = false, statistics_of_device_ = false, ask_to_find_ = false;
  std::size_t statistics_source_ = 0;
  std::string find_text_;
  std::optional<SpanPlace> picked_;
  std::optional<std::pair<double, double>> range_;
  bool dragged_ = false;

  std::shared_ptr<const Evaluation> base_;  // whose step is shown, or would be another
  LinkChoice links_;
  bool links_of_device_ = false;
  int link_count_ = 2;
  bool asking_ = false;
  DragScope scope_ = DragScope::kTask;
  std::optional<EndDrag> end_drag_;
};

}  // namespace soapstone::explorer::view
