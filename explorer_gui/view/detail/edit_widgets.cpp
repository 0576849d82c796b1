#include "explorer_gui/view/detail/edit_widgets.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include <fmt/core.h>
#include <imgui.h>
#include <imgui_internal.h>  // a checkbox with some of both

#include "core/units.hpp"
#include "explorer_gui/view/detail/draw.hpp"

namespace soapstone::explorer::view {

using core::human_text;

void KeptGround::refresh(const Design& design) {
  if (ground_ && ground_->setting().graph == design.graph &&
      ground_->setting().cluster == design.cluster &&
      ground_->setting().optimizer == design.optimizer)
    return;
  ground_.emplace(design.setting());
  ++made_;
}

void ChangeView::refresh(Session& session) {
  const auto before = session.before(), after = session.shown();
  waiting_ = !after;
  if (before == before_ && after == after_) return;
  if (!after) return;  // the last one stays until it is there
  before_ = before;
  after_ = after;
  change_ = nullptr;
  const auto graph = session.design().graph;
  if (!before || before->plan.graph_hash != after->plan.graph_hash) return;
  session.jobs().start(
      "what changed",
      [this, alive = std::weak_ptr<int>(alive_), before, after,
       graph](JobContext&) -> Jobs::Finish {
        auto made = std::make_shared<const Change>(change_of(*graph, *before, *after));
        return [this, alive, after, made] {
          if (!alive.expired() && after_ == after) change_ = made;
        };
      },
      fmt::format("change {}", static_cast<const void*>(this)));
}

namespace {

std::string signed_text(core::Nanoseconds t) { return (t.value > 0 ? "+" : "") + human_text(t); }

}  // namespace

void change_line(Ui& ui, const ChangeView& changes) {
  if (changes.waiting()) {
    ImGui::TextDisabled("simulating…");
    return;
  }
  const Change* c = changes.get();
  if (!c) {
    if (const auto shown = ui.session.shown())
      ImGui::TextDisabled("%s a step, %s", human_text(shown->step_time).c_str(),
                          human_text(shown->peak_memory).c_str());
    else
      ImGui::TextDisabled(" ");
    return;
  }
  const double ratio =
      c->step_before.value == 0
          ? 0
          : static_cast<double>(c->step_after.value) / static_cast<double>(c->step_before.value) -
                1;
  const Colour colour = c->step_after == c->step_before ? ui.colours.quiet
                        : ratio < 0                     ? ui.colours.good
                                                        : ui.colours.warning;
  coloured(colour, c->step_after == c->step_before
                       ? human_text(c->step_after) + " a step, as before"
                       : fmt::format("{} » {} ({:+.1f} %)", human_text(c->step_before),
                                     human_text(c->step_after), 100 * ratio));
  const auto tell = [&] {
    if (!ImGui::IsItemHovered(ImGuiHoveredFlags_ForTooltip) || !ImGui::BeginTooltip()) return;
    label("The step before and after the last change.");
    const auto ops = ui.session.design().graph->ops();
    for (const auto* list : {&c->slower, &c->faster})
      for (const OpChange& o : *list)
        label(fmt::format("{} {} » {} ({})", ops[o.op].name, human_text(o.before),
                          human_text(o.after), signed_text(o.by())));
    ImGui::EndTooltip();
  };
  tell();
  ImGui::SameLine();
  coloured(c->memory_after > c->memory_before ? ui.colours.warning : ui.colours.quiet,
           c->memory_after == c->memory_before
               ? human_text(c->memory_after)
               : human_text(c->memory_before) + " » " + human_text(c->memory_after));
  tip("Memory of the device that needs most, before and after.");
}

void change_table(Ui& ui, const Change& change) {
  if (change.slower.empty() && change.faster.empty()) {
    ImGui::TextDisabled("No operator became slower or faster.");
    return;
  }
  if (!ImGui::BeginTable("changes", 4, ImGuiTableFlags_RowBg | ImGuiTableFlags_SizingStretchProp))
    return;
  ImGui::TableSetupColumn("operator", ImGuiTableColumnFlags_None, 1.6F);
  ImGui::TableSetupColumn("before", ImGuiTableColumnFlags_None, 1);
  ImGui::TableSetupColumn("after", ImGuiTableColumnFlags_None, 1);
  ImGui::TableSetupColumn("change", ImGuiTableColumnFlags_None, 1);
  ImGui::TableHeadersRow();
  const auto ops = ui.session.design().graph->ops();
  for (const auto* list : {&change.slower, &change.faster})
    for (const OpChange& o : *list) {
      ImGui::TableNextRow();
      ImGui::TableNextColumn();
      if (ImGui::Selectable(fmt::format("{}##changed {}", ops[o.op].name, o.op).c_str(),
                            ui.session.selection().has(o.op),
                            ImGuiSelectableFlags_SpanAllColumns)) {
        ui.session.selection().ops = {o.op};
        ui.session.changed();
      }
      tip("Computing and moving, on the device that spends most time with it.");
      ImGui::TableNextColumn();
      label(human_text(o.before));
      ImGui::TableNextColumn();
      label(human_text(o.after));
      ImGui::TableNextColumn();
      coloured(o.by().value > 0 ? ui.colours.warning : ui.colours.good, signed_text(o.by()));
    }
  ImGui::EndTable();
}

std::optional<std::int32_t> choice_box(const char* id, std::optional<std::int32_t> now,
                                       const std::vector<DegreeChoice>& choices,
                                       const std::map<std::int32_t, std::string>& names) {
  const auto name = [&](std::int32_t n) {
    const auto known = names.find(n);
    return known == names.end() ? std::to_string(n) : known->second;
  };
  std::optional<std::int32_t> chosen;
  if (!ImGui::BeginCombo(id, now ? name(*now).c_str() : "…", ImGuiComboFlags_HeightLarge))
    return chosen;
  const float column = ImGui::CalcTextSize("00000  ").x;
  for (const DegreeChoice& c : choices) {
    ImGui::BeginDisabled(!c.why_not.empty());
    if (ImGui::Selectable(name(c.degree).c_str(), c.degree == now)) chosen = c.degree;
    ImGui::EndDisabled();
    tip(c.why_not.empty() && !c.is_even ? "The parts are not equally large." : c.why_not);
    const std::string beside = !c.why_not.empty() ? c.why_not : c.is_even ? "" : "uneven";
    if (beside.empty()) continue;
    ImGui::SameLine(column);
    ImGui::TextDisabled("%s", beside.c_str());
  }
  ImGui::EndCombo();
  return chosen == now ? std::nullopt : chosen;
}

std::optional<std::int32_t> degree_box(Ui& ui, const std::string& name,
                                       std::optional<std::int32_t> now,
                                       const std::vector<DegreeChoice>& choices) {
  std::optional<std::int32_t> chosen;
  const DegreeChoice *less = nullptr, *more = nullptr, *refused = nullptr;
  for (const DegreeChoice& c : choices) {
    if (!now) break;
    if (c.degree < *now && c.why_not.empty()) less = &c;
    if (c.degree <= *now) continue;
    if (c.why_not.empty()) {
      more = &c;
      break;
    }
    if (!refused) refused = &c;
  }
  const float gap = ui.points(2);
  const auto step = [&](const char* sign, const DegreeChoice* to, const std::string& why_not) {
    if (button(fmt::format("{}##{}", sign, name).c_str(), to ? std::string() : why_not,
               to ? fmt::format("{} parts", to->degree) : std::string()))
      chosen = to->degree;
  };
  step("-", less, now ? "There are no fewer parts than one." : "They differ: choose a number.");
  ImGui::SameLine(0, gap);
  ImGui::SetNextItemWidth(ui.points(62));
  if (const auto from_list = choice_box(("##degree " + name).c_str(), now, choices, {}))
    chosen = from_list;
  ImGui::SameLine(0, gap);
  step("+", more,
       refused ? refused->why_not
       : now   ? "There is no larger number of parts."
               : "They differ: choose a number.");
  return chosen;
}

std::optional<bool> switch_box(const char* text, std::optional<bool> now,
                               const std::string& why_not) {
  bool on = now.value_or(false);
  ImGui::BeginDisabled(!why_not.empty());
  ImGui::PushItemFlag(ImGuiItemFlags_MixedValue, !now.has_value());
  const bool pressed = ImGui::Checkbox(text, &on);
  ImGui::PopItemFlag();
  ImGui::EndDisabled();
  tip(why_not);
  if (!pressed) return std::nullopt;
  return now ? on : true;
}

}  // namespace soapstone::explorer::view
