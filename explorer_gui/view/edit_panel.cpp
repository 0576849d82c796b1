// The step as a whole: micro-batches, stages, schedule, and what the last edit changed.
#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <utility>

#include <fmt/core.h>
#include <imgui.h>
#include <imgui_stdlib.h>

#include "core/units.hpp"
#include "explorer_gui/model/edits.hpp"
#include "explorer_gui/model/inspection.hpp"
#include "explorer_gui/model/schedule_memory.hpp"
#include "explorer_gui/view/detail/draw.hpp"
#include "explorer_gui/view/detail/edit_widgets.hpp"
#include "explorer_gui/view/panel.hpp"

namespace soapstone::explorer::view {

namespace {

using core::human_text;

Work work_of_action(core::ActionKind kind) {
  switch (kind) {
    case core::ActionKind::kForward:
      return Work::kForward;
    case core::ActionKind::kBackward:
    case core::ActionKind::kBackwardInput:
      return Work::kBackwardInput;
    case core::ActionKind::kBackwardWeight:
      return Work::kBackwardWeight;
  }
  return Work::kForward;
}

class StepPanel final : public Panel {
 public:
  StepPanel()
      : Panel("Step", Dock::kRight,
              "Micro-batches, schedule, stages and memory of the strategy; what an edit changed.") {
  }

  void add_actions(Ui& ui) override {
    Session& s = ui.session;
    const auto shown = [&s] {
      return s.design().complete() && s.design().shown() ? std::string()
                                                         : std::string("There is no strategy yet.");
    };
    ui.actions.add({"edit.short_form", "Write the strategy anew in short form", "Ctrl+L",
                    "Goes to the line that takes dp=…,tp=…,pp=….",
                    [this] {
                      open = to_front = true;
                      to_line_ = true;
                    },
                    shown});
    for (const auto& [how, name] : enum_names(search::Recompute{}))
      ui.actions.add({fmt::format("edit.recompute_{}", name),
                      fmt::format("Recompute in the whole step: {}", name), "",
                      "none; selective: what costs few FLOPs; full: all but what blocks read.",
                      [this, &s, how = how] { recompute(s, how); }, shown});
  }

  std::vector<KeyHelp> keys_help() const override {
    return {{"Ctrl+wheel", "Over the schedule's cells: wider, narrower"}};
  }

  void draw(Ui& ui) override {
    Session& s = ui.session;
    const Design& d = s.design();
    if (!d.complete() || !d.shown()) {
      ImGui::TextDisabled("Choose a model and a cluster first.");
      return;
    }
    refresh(s);
    change_line(ui, changes_);
    short_form(ui);
    settings(ui);
    if (ImGui::CollapsingHeader("Stages", ImGuiTreeNodeFlags_DefaultOpen)) stages(ui);
    if (ImGui::CollapsingHeader("Schedule", ImGuiTreeNodeFlags_DefaultOpen)) schedule(ui);
    if (ImGui::CollapsingHeader("Memory##of devices", ImGuiTreeNodeFlags_DefaultOpen)) memory(ui);
    if (ImGui::CollapsingHeader("Last change", ImGuiTreeNodeFlags_DefaultOpen)) {
      if (const Change* c = changes_.get())
        change_table(ui, *c);
      else
        ImGui::TextDisabled(changes_.waiting() ? "simulating…" : "There was none.");
    }
  }

 private:
  const core::Strategy& strategy() const { return *strategy_; }

  void refresh(Session& s) {
    const Design& d = s.design();
    ground_.refresh(d);
    changes_.refresh(s);
    const auto shown = s.shown();
    if (shown && shown != evaluation_) {
      evaluation_ = shown;
      bars_ = memory_bars(*d.cluster, *shown);
      if (shown->plan.graph_hash == d.graph->hash())
        s.jobs().start(
            "times of operators",
            [this, alive = std::weak_ptr<int>(alive_), shown,
             graph = d.graph](JobContext&) -> Jobs::Finish {
              auto times = time_of_ops(*graph, *shown);
              return [this, alive, times = std::move(times)]() mutable {
                if (alive.expired()) return;
                times_ = std::move(times);
                strategy_.reset();  // its strip is drawn anew
              };
            },
            "step times");
    }
    if (strategy_ == d.shown()->strategy && made_for_ == ground_.made()) return;
    if (made_for_ != ground_.made()) times_.clear();
    strategy_ = d.shown()->strategy;
    made_for_ = ground_.made();
    // A strip whose boundary is dragged keeps its widths.
    if (dragged_ < 0)
      strip_ = stage_strip(strategy(), times_);
    else
      strip_.ends = stage_ends(strategy()).value_or(strip_.ends);
    cells_ = schedule_cells(*ground_, strategy());
    by_rank_.clear();
    if (cells_)
      for (const ScheduleCell& c : cells_->cells) {
        if (by_rank_.size() <= static_cast<std::size_t>(c.rank))
          by_rank_.resize(static_cast<std::size_t>(c.rank) + 1);
        by_rank_[static_cast<std::size_t>(c.rank)].push_back(&c);
      }
    if (line_of_ != d.current) {
      line_of_ = d.current;
      // What was made by a short form shows it.
      const std::string& origin = d.shown()->origin;
      line_ = short_form_error(origin).empty() ? origin : std::string();
    }
    micro_choices_.clear();
    bucket_ = strategy().bucket.value == 0 ? std::string() : core::exact_text(strategy().bucket);
    bucket_error_.clear();
  }

  void recompute(Session& s, search::Recompute how) {
    ground_.refresh(s.design());
    apply(s, fmt::format("recompute = {}", core::name_of(how)),
          set_recompute(*ground_, *s.design().shown()->strategy, how));
  }

  // --- the short form
  // -------------------------------------------------------------------------------

  void short_form(Ui& ui) {
    Session& s = ui.session;
    if (std::exchange(to_line_, false)) ImGui::SetKeyboardFocusHere();
    const float button_width = ImGui::CalcTextSize("Write anew").x + ui.points(20);
    ImGui::SetNextItemWidth(ImGui::GetContentRegionAvail().x - button_width);
    const bool entered = ImGui::InputTextWithHint("##short form", "dp=4,tp=2,pp=2,schedule=1f1b",
                                                  &line_, ImGuiInputTextFlags_EnterReturnsTrue);
    tip("The whole strategy in short form: dp, tp, pp, cp, cp_style, ep, vp, sp, zero, zero_over, "
        "server, bucket, offload, recompute, micro_batch, schedule. Enter writes it anew.");
    const std::string error = line_.empty() ? "Nothing is written." : short_form_error(line_);
    ImGui::SameLine();
    if (button("Write anew", error,
               "Nothing of the strategy that is shown stays; undo brings it "
               "back.") ||
        (entered && error.empty()))
      write_anew(s);
    if (!line_.empty() && !error.empty()) coloured_wrapped(ui.colours.bad, error);
    if (!line_error_.empty() && line_error_of_ == line_)
      coloured_wrapped(ui.colours.bad, line_error_);
  }

  void write_anew(Session& s) {
    line_error_.clear();
    s.jobs().start(
        "strategy " + line_,
        [this, alive = std::weak_ptr<int>(alive_), &s, setting = s.design().setting(),
         line = line_](JobContext&) -> Jobs::Finish {
          const Ground ground(setting);
          auto next = from_short_form(ground, line);
          return [this, alive, &s, key = setting.key(), line, next = std::move(next)] {
            if (alive.expired() || !s.design().complete() || s.design().setting().key() != key)
              return;
            if (next) {
              apply(s, line, next);
              line_ = line;
              line_of_ = s.design().current;
            } else {
              line_error_ = next.error().message;
              line_error_of_ = line;
            }
          };
        },
        "short form");
  }

  // --- numbers
  // --------------------------------------------------------------------------------------

  const std::vector<DegreeChoice>& micro_choices(const Session& s) {
    if (!micro_choices_.empty()) return micro_choices_;
    const std::int64_t batch = s.design().graph->batch();
    for (std::int32_t n = 1; n <= batch && n <= 1024; ++n) {
      if (batch % n != 0) continue;
      const auto next = n == strategy().micro_batches ? core::Result<core::Strategy>(strategy())
                                                      : set_micro_batches(*ground_, strategy(), n);
      micro_choices_.push_back({n, true, next ? std::string() : next.error().message});
    }
    return micro_choices_;
  }

  void settings(Ui& ui) {
    Session& s = ui.session;
    if (!ImGui::BeginTable("settings", 4, ImGuiTableFlags_SizingStretchProp)) return;
    ImGui::TableSetupColumn("a", ImGuiTableColumnFlags_WidthFixed, ui.points(88));
    ImGui::TableSetupColumn("b", ImGuiTableColumnFlags_None, 1);
    ImGui::TableSetupColumn("c", ImGuiTableColumnFlags_WidthFixed, ui.points(72));
    ImGui::TableSetupColumn("d", ImGuiTableColumnFlags_None, 1);
    const auto cell = [&](const char* name, const char* meaning) {
      ImGui::TableNextColumn();
      ImGui::AlignTextToFramePadding();
      label(name);
      tip(meaning);
      ImGui::TableNextColumn();
      ImGui::SetNextItemWidth(-1);
    };
    cell("micro-batches", "Equal parts of the batch whose gradients are accumulated.");
    if (const auto chosen =
            choice_box("##micro-batches", strategy().micro_batches, micro_choices(s), {}))
      apply(s, fmt::format("{} micro-batches", *chosen),
            set_micro_batches(*ground_, strategy(), *chosen), "micro_batches");
    cell("schedule", "In which order stages work on micro-batches.");
    const std::string now = strategy().schedule_lines.empty()
                                ? std::string(core::name_of(strategy().schedule))
                                : "its own";
    if (ImGui::BeginCombo("##schedule", now.c_str())) {
      for (const auto& [kind, name] : core::enum_names(core::ScheduleKind{})) {
        const auto next = set_schedule(*ground_, strategy(), kind);
        ImGui::BeginDisabled(!next);
        if (ImGui::Selectable(std::string(name).c_str(),
                              strategy().schedule_lines.empty() && kind == strategy().schedule))
          apply(s, fmt::format("schedule = {}", name), next);
        ImGui::EndDisabled();
        if (!next) tip(next.error().message);
      }
      ImGui::EndCombo();
    }
    cell("bucket",
         "Gradients that are summed over the same devices are sent together, this much "
         "at least, such as 25MiB; nothing: each by itself.");
    ImGui::InputTextWithHint("##bucket", "none", &bucket_);
    if (ImGui::IsItemDeactivatedAfterEdit()) {
      const auto bytes = bucket_.empty() ? core::Result<core::Bytes>(core::Bytes(0))
                                         : core::parse_quantity<core::Bytes>(bucket_);
      bucket_error_ = bytes ? std::string() : bytes.error().message;
      if (bytes)
        apply(s, "bucket = " + (bucket_.empty() ? "none" : bucket_),
              set_bucket(*ground_, strategy(), *bytes), "bucket");
    }
    cell("recompute",
         "What is given up after the forward pass: none, selective (what costs few "
         "FLOPs), full (all but what blocks of layers read). Operators may differ: "
         "see the inspector.");
    const auto again = std::count_if(strategy().ops.begin(), strategy().ops.end(),
                                     [](const core::OpStrategy& o) { return o.recompute; });
    if (ImGui::BeginCombo("##recompute",
                          again == 0 ? "none" : fmt::format("{} operators", again).c_str())) {
      for (const auto& [how, name] : enum_names(search::Recompute{}))
        if (ImGui::Selectable(std::string(name).c_str())) recompute(s, how);
      ImGui::EndCombo();
    }
    ImGui::EndTable();
    if (!bucket_error_.empty()) coloured_wrapped(ui.colours.bad, bucket_error_);
  }

  // --- stages
  // ---------------------------------------------------------------------------------------

  void stages(Ui& ui) {
    Session& s = ui.session;
    if (!strip_.why_not.empty()) {
      coloured_wrapped(ui.colours.quiet, strip_.why_not + ": their boundaries cannot be moved.");
      return;
    }
    const std::size_t count = strip_.ends.size();
    const float width = ImGui::GetContentRegionAvail().x, height = ui.points(34);
    const ImVec2 at = ImGui::GetCursorScreenPos();
    ImDrawList& list = *ImGui::GetWindowDrawList();
    const auto x_of = [&](std::uint32_t op) {
      return at.x + static_cast<float>(strip_.begin[op]) * width;
    };
    const core::Graph& graph = *s.design().graph;
    // Operators, and under the mouse which one.
    ImGui::SetNextItemAllowOverlap();
    ImGui::InvisibleButton("strip", {width, height}, ImGuiButtonFlags_None);
    const bool over = ImGui::IsItemHovered();
    const bool clicked = ImGui::IsItemClicked();
    const float mouse = ImGui::GetMousePos().x;
    for (std::size_t stage = 0; stage < count; ++stage) {
      const std::uint32_t begin = stage == 0 ? 0 : strip_.ends[stage - 1], end = strip_.ends[stage];
      const Ink ink = ink_of_index(stage);
      const ImVec2 from{x_of(begin), at.y}, to{x_of(end) - 1, at.y + height};
      fill(list, from, to, ink);
      for (std::uint32_t op = begin + 1; op < end; ++op)
        if (x_of(op + 1) - x_of(op) > 3)
          list.AddLine({x_of(op), at.y + height * 0.72F}, {x_of(op), at.y + height},
                       packed(text_on(ink.colour), 0.35));
      std::string text = fmt::format("stage {}", stage);
      if (stage < strip_.times.size()) text += " · " + human_text(strip_.times[stage]);
      text = fitted(text, to.x - from.x - ui.points(6));
      if (text.empty() || text == "…") text = fitted(std::to_string(stage), to.x - from.x - 2);
      list.AddText({from.x + ui.points(4), at.y + ui.points(4)}, packed(text_on(ink.colour)),
                   text.c_str());
    }
    if (over && dragged_ < 0) {
      std::uint32_t op = 0;
      while (op + 1 < graph.ops().size() && x_of(op + 1) <= mouse) ++op;
      if (clicked) {
        s.selection().ops = {op};
        s.changed();
      }
      if (ImGui::BeginTooltip()) {
        label(graph.ops()[op].name);
        if (op < times_.size())
          label(fmt::format("{} on the device that is busiest with it", human_text(times_[op])));
        ImGui::TextDisabled(
            "stage %d, whose time is that of its operators, added up; drag a boundary to move some",
            strategy().ops[op].stage);
        ImGui::EndTooltip();
      }
    }
    // Boundaries lie above the strip.
    for (std::size_t b = 0; b + 1 < count; ++b) {
      const float x = x_of(strip_.ends[b]);
      const float grip = ui.points(5);
      ImGui::SetCursorScreenPos({x - grip, at.y});
      ImGui::InvisibleButton(fmt::format("boundary {}", b).c_str(), {2 * grip, height});
      const bool active = ImGui::IsItemActive(), hot = active || ImGui::IsItemHovered();
      list.AddRectFilled({x - (hot ? 3.0F : 1.5F), at.y - 2},
                         {x + (hot ? 3.0F : 1.5F), at.y + height + 2},
                         hot ? packed(ui.colours.accent) : ImGui::GetColorU32(ImGuiCol_Text));
      if (hot) ImGui::SetMouseCursor(ImGuiMouseCursor_ResizeEW);
      if (ImGui::IsItemActivated()) dragged_ = static_cast<int>(b);
      if (active) drag(s, static_cast<std::int32_t>(b), (mouse - at.x) / width);
      if (ImGui::IsItemDeactivated()) {
        dragged_ = -1;
        strategy_.reset();
        s.settle();
        return;
      }
      if (hot && !active) tip(fmt::format("before {}: drag it", graph.ops()[strip_.ends[b]].name));
    }
    ImGui::SetCursorScreenPos({at.x, at.y + height + ui.points(3)});
    ImGui::Dummy({0, 0});
    if (count == 1)
      ImGui::TextDisabled("One stage. A pipeline begins with pp=2 in the short form above.");
    else
      steppers(ui);
  }

  void drag(Session& s, std::int32_t stage, double x) {
    const std::uint32_t first = stage == 0 ? 0 : strip_.ends[static_cast<std::size_t>(stage) - 1];
    const std::uint32_t last = strip_.ends[static_cast<std::size_t>(stage) + 1];
    const std::uint32_t end = std::clamp(strip_.boundary_at(x), first + 1, last - 1);
    if (end == strip_.ends[static_cast<std::size_t>(stage)]) return;
    move(s, stage, end);
  }

  void move(Session& s, std::int32_t stage, std::uint32_t end) {
    const core::Graph& graph = *s.design().graph;
    apply(s, fmt::format("stage {} ends before {}", stage, graph.ops()[end].name),
          move_boundary(*ground_, strategy(), stage, end), fmt::format("boundary {}", stage));
  }

  // One operator earlier or later, for those who want it exactly.
  void steppers(Ui& ui) {
    Session& s = ui.session;
    const std::size_t count = strip_.ends.size();
    boundary_ = std::clamp(boundary_, 0, static_cast<int>(count) - 2);
    const auto b = static_cast<std::size_t>(boundary_);
    const std::uint32_t end = strip_.ends[b], first = b == 0 ? 0 : strip_.ends[b - 1],
                        last = strip_.ends[b + 1];
    if (button("<##earlier", end <= first + 1 ? "Every stage has an operator." : "",
               "The stage ends one operator earlier."))
      move(s, boundary_, end - 1);
    ImGui::SameLine(0, ui.points(2));
    if (button(">##later", end + 1 >= last ? "Every stage has an operator." : "",
               "The stage ends one operator later."))
      move(s, boundary_, end + 1);
    ImGui::SameLine();
    ImGui::SetNextItemWidth(ui.points(150));
    if (ImGui::BeginCombo("##boundary", fmt::format("behind stage {}", boundary_).c_str())) {
      for (std::size_t k = 0; k + 1 < count; ++k)
        if (ImGui::Selectable(fmt::format("behind stage {}", k).c_str(),
                              static_cast<int>(k) == boundary_))
          boundary_ = static_cast<int>(k);
      ImGui::EndCombo();
    }
    ImGui::SameLine();
    ImGui::TextDisabled("%s", fitted("before " + s.design().graph->ops()[end].name,
                                     ImGui::GetContentRegionAvail().x)
                                  .c_str());
  }

  // --- the schedule as cells
  // ------------------------------------------------------------------------

  void schedule(Ui& ui) {
    Session& s = ui.session;
    if (!cells_) {
      coloured_wrapped(ui.colours.bad, cells_.error().message);
      return;
    }
    const ScheduleCells& cells = *cells_;
    if (cells.ranks == 1 && strategy().micro_batches == 1) {
      ImGui::TextDisabled("One stage and one micro-batch: there is nothing to order.");
      return;
    }
    ImGui::TextDisabled("bubble %.1f %% of %lld units", 100 * cells.bubble,
                        static_cast<long long>(cells.end));
    tip("If a forward pass, gradients of inputs and of weights take one unit each, and messages "
        "none. The timeline shows it as it is predicted.");
    ImGui::SameLine();
    for (const auto& [kind, name] : {std::pair(core::ActionKind::kForward, "forward"),
                                     std::pair(core::ActionKind::kBackward, "backward"),
                                     std::pair(core::ActionKind::kBackwardWeight, "weights")}) {
      swatch(ink_of(work_of_action(kind)));
      ImGui::TextDisabled("%s", name);
      ImGui::SameLine();
    }
    ImGui::NewLine();
    const float row = ui.points(18), curve = ui.points(58), scale = ImGui::GetStyle().ScrollbarSize;
    const float rows = row * static_cast<float>(std::min(cells.ranks, 12));
    const float name_width = ui.points(22);
    if (!ImGui::BeginChild("schedule", {0, rows + curve + scale + ui.points(10)},
                           ImGuiChildFlags_None, ImGuiWindowFlags_HorizontalScrollbar)) {
      ImGui::EndChild();
      return;
    }
    // All of it, or cells that can be read.
    const float fit_unit = (ImGui::GetContentRegionAvail().x - name_width) /
                           static_cast<float>(std::max<std::int64_t>(1, cells.end));
    const float unit = std::max(fit_unit, ui.points(zoom_));
    if (ImGui::IsWindowHovered() && ImGui::GetIO().KeyCtrl && ImGui::GetIO().MouseWheel != 0)
      zoom_ = std::clamp(zoom_ * std::pow(1.15F, ImGui::GetIO().MouseWheel), 2.0F, 60.0F);
    const ImVec2 at = ImGui::GetCursorScreenPos();
    const float left = at.x + name_width;
    ImDrawList& list = *ImGui::GetWindowDrawList();
    const ImVec2 clip_from = list.GetClipRectMin(), clip_to = list.GetClipRectMax();
    const float row_height = rows / static_cast<float>(cells.ranks);
    std::optional<std::pair<std::int32_t, std::size_t>> target;
    for (std::int32_t r = 0; r < cells.ranks; ++r) {
      const float y = at.y + row_height * static_cast<float>(r);
      if (row_height >= ImGui::GetTextLineHeight() * 0.8F)
        list.AddText({at.x, y + (row_height - ImGui::GetTextLineHeight()) / 2},
                     ImGui::GetColorU32(ImGuiCol_TextDisabled), std::to_string(r).c_str());
      if (static_cast<std::size_t>(r) >= by_rank_.size()) continue;
      for (const ScheduleCell* c : by_rank_[static_cast<std::size_t>(r)]) {
        const ImVec2 from{left + unit * static_cast<float>(c->start), y};
        const ImVec2 to{left + unit * static_cast<float>(c->end) - 1, y + row_height - 1};
        if (to.x < clip_from.x || from.x > clip_to.x) continue;
        Ink ink = ink_of(work_of_action(c->action.kind));
        fill(list, from, to, ink);
        const std::string number = std::to_string(c->action.micro_batch);
        const ImVec2 size = ImGui::CalcTextSize(number.c_str());
        if (size.x + 2 < to.x - from.x && size.y <= row_height + 2)
          list.AddText({(from.x + to.x - size.x) / 2, (from.y + to.y - size.y) / 2},
                       packed(text_on(ink.colour)), number.c_str());
        if (unit < 3) continue;
        ImGui::SetCursorScreenPos(from);
        const std::string name = core::print(c->action);
        ImGui::InvisibleButton(name.c_str(), {std::max(1.0F, to.x - from.x), row_height - 1});
        if (ImGui::IsItemActivated()) moved_ = {{r, c->place}};
        if (moved_ && moved_->first == r && ImGui::GetMousePos().x >= from.x &&
            ImGui::GetMousePos().x < to.x + 1)
          target = {{r, c->place}};
        if (moved_ && *moved_ == std::pair(r, c->place))
          list.AddRect(from, to, packed(ui.colours.accent), 0, 2);
        else if (!moved_)
          tip(
              fmt::format("{}: stage {}, micro-batch {}, units {} to {}\nDrag it to another place "
                          "of its rank's order.",
                          name, c->action.stage, c->action.micro_batch, c->start, c->end));
      }
    }
    if (moved_ && target && *target != *moved_) {
      const ScheduleCell& c = *by_rank_[static_cast<std::size_t>(target->first)][target->second];
      const float x =
          left + unit * static_cast<float>(target->second > moved_->second ? c.end : c.start);
      const float y = at.y + row_height * static_cast<float>(target->first);
      list.AddRectFilled({x - 2, y}, {x + 1, y + row_height}, packed(ui.colours.accent));
    }
    refresh_rank_memory(s);
    rank_memory(ui, {left, at.y + rows + ui.points(6)}, unit, curve);
    ImGui::SetCursorScreenPos(at);
    ImGui::Dummy({name_width + unit * static_cast<float>(cells.end), rows + curve + ui.points(6)});
    ImGui::EndChild();
    if (moved_ && !ImGui::IsMouseDown(ImGuiMouseButton_Left)) {
      const auto from = *std::exchange(moved_, std::nullopt);
      if (target && *target != from) {
        const std::string what =
            core::print(by_rank_[static_cast<std::size_t>(from.first)][from.second]->action);
        apply(s, fmt::format("{} to place {} of rank {}", what, target->second, from.first),
              move_action(*ground_, strategy(), from.first, from.second, target->second));
      }
    }
  }

  // Bytes alive on every rank, worked out beside the window; the last picture stays meanwhile.
  void refresh_rank_memory(Session& s) {
    const auto shown = s.shown();
    // What is drawn may be of a strategy that was left in this very frame.
    if (!shown || !cells_ || !strategy_ || strategy_ != s.design().shown()->strategy) return;
    if (shown == memory_of_ && strategy_ == memory_strategy_) return;
    memory_of_ = shown;
    memory_strategy_ = strategy_;
    s.jobs().start(
        "memory of ranks",
        [this, alive = std::weak_ptr<int>(alive_), shown, strategy = strategy_, cells = *cells_,
         cluster = s.design().cluster](JobContext&) -> Jobs::Finish {
          auto made = schedule_memory(cells, *cluster, *strategy, *shown);
          return [this, alive, shown, made = std::move(made)]() mutable {
            if (!alive.expired() && shown == memory_of_) rank_memory_ = std::move(made);
          };
        },
        "memory of ranks");
  }

  // Bytes alive, the peak marked, and what the devices have where that is near.
  void rank_memory(Ui& ui, ImVec2 at, float unit, float height) {
    const core::Bytes scale = memory_scale(rank_memory_);
    if (scale.value == 0) return kept(at, unit, height);
    ImDrawList& list = *ImGui::GetWindowDrawList();
    const float right = at.x + unit * static_cast<float>(cells_->end);
    const float room = height - ImGui::GetTextLineHeight() - 2;
    const auto y_of = [&](core::Bytes bytes) {
      return at.y + height -
             room * static_cast<float>(static_cast<double>(bytes.value) /
                                       static_cast<double>(scale.value));
    };
    list.AddLine({at.x, at.y + height}, {right, at.y + height},
                 ImGui::GetColorU32(ImGuiCol_Separator));
    const RankMemory* fullest = &rank_memory_.front();
    for (const RankMemory& m : rank_memory_) {
      if (m.most > fullest->most) fullest = &m;
      const ImU32 colour = packed(ink_of_index(static_cast<std::size_t>(m.rank)).colour);
      float before = y_of(m.bytes.front());
      for (std::size_t i = 0; i < m.time.size(); ++i) {
        const float x = at.x + unit * static_cast<float>(m.time[i]), y = y_of(m.bytes[i]);
        const float end =
            i + 1 < m.time.size() ? at.x + unit * static_cast<float>(m.time[i + 1]) : right;
        list.AddLine({x, before}, {x, y}, colour, ui.points(1.5));
        list.AddLine({x, y}, {end, y}, colour, ui.points(1.5));
        before = y;
      }
    }
    if (fullest->capacity.value > 0 && fullest->capacity <= scale) {
      const float y = y_of(fullest->capacity);
      for (float x = at.x; x < right; x += ui.points(8))
        list.AddLine({x, y}, {std::min(x + ui.points(4), right), y}, packed(ui.colours.bad),
                     ui.points(1.5));
    }
    const float x = at.x + unit * static_cast<float>(fullest->time[fullest->peak]);
    const float y = y_of(fullest->most), r = ui.points(4);
    list.AddTriangleFilled({x, y}, {x - r, y - 1.5F * r}, {x + r, y - 1.5F * r},
                           packed(ui.colours.bad));
    std::string text =
        fmt::format("at most {} on rank {}", core::human_text(fullest->most), fullest->rank);
    if (fullest->capacity.value > 0)
      text += fmt::format(", the device has {}", core::human_text(fullest->capacity));
    list.AddText({std::max(at.x, list.GetClipRectMin().x) + 3, at.y - 2},
                 ImGui::GetColorU32(ImGuiCol_TextDisabled), text.c_str());
    ImGui::SetCursorScreenPos(at);
    ImGui::InvisibleButton("kept", {std::max(1.0F, right - at.x), height});
    if (ImGui::IsItemHovered() && ImGui::BeginTooltip()) {
      label("Bytes alive on a device of every rank, over the schedule's units");
      const double time = (ImGui::GetIO().MousePos.x - at.x) / unit;
      for (std::size_t i = 0; i < rank_memory_.size() && i < 16; ++i) {
        swatch(
            {ink_of_index(static_cast<std::size_t>(rank_memory_[i].rank)).colour, Pattern::kSolid});
        label(words(rank_memory_[i], time));
      }
      ImGui::EndTooltip();
    }
  }

  // What ranks keep for the backward pass, in micro-batches of a stage: until bytes are known.
  void kept(ImVec2 at, float unit, float height) {
    const ScheduleCells& cells = *cells_;
    ImDrawList& list = *ImGui::GetWindowDrawList();
    std::int64_t most = 1;
    for (const KeptCurve& k : cells.kept) most = std::max(most, k.most);
    const float right = at.x + unit * static_cast<float>(cells.end);
    list.AddLine({at.x, at.y + height}, {right, at.y + height},
                 ImGui::GetColorU32(ImGuiCol_Separator));
    const auto y_of = [&](std::int64_t value) {
      return at.y + height -
             (height - ImGui::GetTextLineHeight() - 2) * static_cast<float>(value) /
                 static_cast<float>(most);
    };
    for (std::size_t r = 0; r < cells.kept.size(); ++r) {
      const KeptCurve& k = cells.kept[r];
      const ImU32 colour = packed(ink_of_index(r).colour);
      std::int64_t before = 0;
      for (std::size_t i = 0; i < k.time.size(); ++i) {
        const float x = at.x + unit * static_cast<float>(k.time[i]);
        const float end =
            i + 1 < k.time.size() ? at.x + unit * static_cast<float>(k.time[i + 1]) : right;
        list.AddLine({x, y_of(before)}, {x, y_of(k.value[i])}, colour, 1.5F);
        list.AddLine({x, y_of(k.value[i])}, {end, y_of(k.value[i])}, colour, 1.5F);
        before = k.value[i];
      }
    }
    const std::string text = fmt::format("{} kept at most", most);
    list.AddText({at.x + 3, at.y - 2}, ImGui::GetColorU32(ImGuiCol_TextDisabled), text.c_str());
    ImGui::SetCursorScreenPos(at);
    ImGui::InvisibleButton("kept", {std::max(1.0F, right - at.x), height});
    if (ImGui::IsItemHovered() && ImGui::BeginTooltip()) {
      label("Micro-batches whose activations are kept, over the schedule's units");
      for (std::size_t r = 0; r < cells.kept.size() && r < 16; ++r) {
        swatch({ink_of_index(r).colour, Pattern::kSolid});
        label(fmt::format("rank {}: at most {}", r, cells.kept[r].most));
      }
      ImGui::EndTooltip();
    }
  }

  // --- memory
  // ---------------------------------------------------------------------------------------

  void memory(Ui& ui) {
    if (!evaluation_) {
      ImGui::TextDisabled("simulating…");
      return;
    }
    constexpr std::size_t kMost = 8;
    core::Bytes scale;
    for (const MemoryBar& bar : bars_) scale = std::max(scale, bar.allocated);
    // The limit is seen where it is near.
    for (const MemoryBar& bar : bars_)
      if (bar.limit < scale * 3) scale = std::max(scale, bar.limit);
    if (scale.value == 0) return;
    const float width = ImGui::GetContentRegionAvail().x, name_width = ui.points(78);
    const float height = ImGui::GetTextLineHeight();
    ImDrawList& list = *ImGui::GetWindowDrawList();
    for (std::size_t i = 0; i < bars_.size() && i < kMost; ++i) {
      const MemoryBar& bar = bars_[i];
      const ImVec2 at = ImGui::GetCursorScreenPos();
      ImGui::InvisibleButton(fmt::format("memory {}", i).c_str(), {width, height + ui.points(3)});
      const bool hovered = ImGui::IsItemHovered();
      list.AddText(
          at, bar.is_over() ? packed(ui.colours.bad) : ImGui::GetColorU32(ImGuiCol_TextDisabled),
          fitted(bar.devices, name_width - ui.points(4)).c_str());
      const float room = width - name_width - ui.points(70);
      const auto x_of = [&](core::Bytes b) {
        return at.x + name_width +
               room * static_cast<float>(static_cast<double>(b.value) /
                                         static_cast<double>(scale.value));
      };
      core::Bytes below;
      for (std::size_t h = 0; h < bar.holders.size(); ++h) {
        const Holder& holder = bar.holders[h];
        if (holder.bytes.value == 0) continue;
        const ImVec2 from{x_of(below), at.y}, to{x_of(below + holder.bytes), at.y + height};
        below += holder.bytes;
        fill(list, from, to, ink_of_holder(h));
        // What lies beyond the limit is red, in the holder that has it.
        if (holder.is_over) {
          list.AddRectFilled({std::max(from.x, x_of(bar.limit)), from.y}, to,
                             packed(ui.colours.bad, 0.75));
          list.AddRect(from, to, packed(ui.colours.bad), 0, 2);
        }
      }
      if (bar.limit.value > 0)
        list.AddLine({x_of(bar.limit), at.y - 2}, {x_of(bar.limit), at.y + height + 2},
                     bar.is_over() ? packed(ui.colours.bad) : ImGui::GetColorU32(ImGuiCol_Text), 2);
      list.AddText({at.x + width - ui.points(66), at.y},
                   bar.is_over() ? packed(ui.colours.bad) : ImGui::GetColorU32(ImGuiCol_Text),
                   human_text(bar.allocated).c_str());
      if (hovered && ImGui::BeginTooltip()) {
        label("devices " + bar.devices);
        for (std::size_t h = 0; h < bar.holders.size(); ++h) {
          if (bar.holders[h].bytes.value == 0) continue;
          swatch(ink_of_holder(h));
          const std::string text = bar.holders[h].name + " " + human_text(bar.holders[h].bytes);
          if (bar.holders[h].is_over)
            coloured(ui.colours.bad, text + ", beyond the limit");
          else
            label(text);
        }
        label(fmt::format("{} allocated{}", human_text(bar.allocated),
                          bar.limit.value > 0 ? " of " + human_text(bar.limit) : std::string()));
        ImGui::EndTooltip();
      }
    }
    if (bars_.size() > kMost)
      ImGui::TextDisabled("%zu more kinds of devices hold less", bars_.size() - kMost);
    for (const MemoryBar& bar : bars_)
      if (bar.is_over()) {
        coloured_wrapped(ui.colours.bad, bar.text);
        break;
      }
    // What the colours mean.
    float x = 0;
    for (std::size_t h = 0; !bars_.empty() && h < bars_[0].holders.size(); ++h) {
      const std::string& name = bars_[0].holders[h].name;
      const bool any = std::any_of(bars_.begin(), bars_.end(), [&](const MemoryBar& b) {
        return b.holders[h].bytes.value > 0;
      });
      if (!any) continue;
      const float wide = ImGui::CalcTextSize(name.c_str()).x + ui.points(26);
      if (x > 0 && x + wide < width)
        ImGui::SameLine(0, ui.points(8));
      else
        x = 0;
      x += wide;
      swatch(ink_of_holder(h));
      ImGui::TextDisabled("%s", name.c_str());
    }
  }

  static Ink ink_of_holder(std::size_t h) { return ink_of_index(h); }

  KeptGround ground_;
  ChangeView changes_;
  std::uint64_t made_for_ = 0;
  std::shared_ptr<const core::Strategy> strategy_;
  std::shared_ptr<const Evaluation> evaluation_;
  std::vector<core::Nanoseconds> times_;  // of operators
  StageStrip strip_;
  std::shared_ptr<const Evaluation> memory_of_;
  std::shared_ptr<const core::Strategy> memory_strategy_;
  std::vector<RankMemory> rank_memory_;
  core::Result<ScheduleCells> cells_ = core::fail("not made yet");
  std::vector<std::vector<const ScheduleCell*>> by_rank_;
  std::vector<MemoryBar> bars_;
  std::vector<DegreeChoice> micro_choices_;
  std::string line_, line_error_, line_error_of_, bucket_, bucket_error_;
  StrategyId line_of_ = 0;
  bool to_line_ = false;
  int dragged_ = -1, boundary_ = 0;
  float zoom_ = 9;                                             // points per unit, at least
  std::optional<std::pair<std::int32_t, std::size_t>> moved_;  // rank and place of a dragged action
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace

std::unique_ptr<Panel> edit_panel() { return std::make_unique<StepPanel>(); }

}  // namespace soapstone::explorer::view
