// Why the step that is shown takes as long as it does.
#include <algorithm>

#include <fmt/core.h>
#include <imgui.h>
#include <imgui_stdlib.h>

#include "core/units.hpp"
#include "explorer_gui/model/explanation.hpp"
#include "explorer_gui/view/detail/draw.hpp"
#include "explorer_gui/view/detail/provenance.hpp"
#include "explorer_gui/view/panel.hpp"

namespace soapstone::explorer::view {

namespace {

Ink ink_of_fact(simulator::FactKind kind) {
  using simulator::FactKind;
  switch (kind) {
    case FactKind::kCommunication:
      return ink_of(Work::kCommunication);
    case FactKind::kOperator:
      return ink_of(Work::kForward);
    case FactKind::kRecompute:
      return ink_of(Work::kRecompute);
    case FactKind::kUpdate:
      return ink_of(Work::kUpdate);
    case FactKind::kBubble:
    case FactKind::kStraggler:
    case FactKind::kHost:
    case FactKind::kMemory:
      break;
  }
  return ink_of(kind == FactKind::kMemory ? Work::kLoad : Work::kHostCopy);
}

class ExplainPanel final : public Panel {
 public:
  ExplainPanel()
      : Panel("Why", Dock::kRight,
              "What the step's time and memory go into, what to try, and what if.") {}

  void draw(Ui& ui) override {
    Session& s = ui.session;
    explainer_.refresh(s, trace_);
    if (!s.design().shown()) {
      ImGui::TextDisabled("Choose a model and a cluster first.");
      return;
    }
    figures(ui);
    what_if(ui);
    ImGui::SeparatorText("Where the time goes");
    const auto now = explainer_.now();
    const Evaluated* known = s.known(s.design().current);
    if (known && !known->error.empty()) {
      coloured_wrapped(ui.colours.bad, known->error);
    } else if (!explainer_.error().empty()) {
      coloured_wrapped(ui.colours.bad, explainer_.error());
    } else if (!now) {
      ImGui::TextDisabled("…");
    } else {
      if (now != made_of_) made(now);
      if (ImGui::BeginChild("facts"))
        for (std::size_t i = 0; i < now->facts.size(); ++i) card(ui, *now, i);
      ImGui::EndChild();
    }
    provenance_popup(ui, provenance_);
  }

 private:
  void made(std::shared_ptr<const Explanation> now) {
    made_of_ = std::move(now);
    selected_ = made_of_->facts.size();
  }

  void figures(Ui& ui) {
    Session& s = ui.session;
    const NamedStrategy& shown = *s.design().shown();
    if (made_rows_ != s.revision()) {
      made_rows_ = s.revision();
      rows_ = strategy_rows(s.design(), [&s](StrategyId id) { return s.known(id); });
    }
    std::size_t row = 0;
    while (row < rows_.size() && rows_[row].id != shown.id) ++row;
    if (row == rows_.size()) return;
    ImGui::PushFont(ui.fonts.bold, 0);
    label(fitted(shown.name, ImGui::GetContentRegionAvail().x));
    ImGui::PopFont();
    const auto full = s.last_shown();
    const auto measured = s.measured();
    const auto figure = [&](const char* id, StrategyColumn column, const char* unit) {
      number(ui, provenance_, id, cell_text(rows_[row], column) + unit, [&] {
        return provenance_of(s.design(), rows_, row, column, full.get(), measured.get());
      });
    };
    figure("step", StrategyColumn::kStepTime, " a step");
    ImGui::SameLine(0, ui.points(14));
    figure("rate", StrategyColumn::kSamplesPerSecond, " samples/s");
    ImGui::SameLine(0, ui.points(14));
    figure("memory", StrategyColumn::kMemory, "");
    if (rows_[row].ratio && !rows_[row].baseline) {
      ImGui::SameLine(0, ui.points(14));
      figure("ratio", StrategyColumn::kRatio, " × baseline");
    }
    if (measured) {
      int of = trace_ == Against::kMeasured ? 1 : 0;
      ImGui::SetNextItemWidth(ui.points(160));
      if (ImGui::Combo("##trace", &of, "of the prediction\0of the measured step\0"))
        trace_ = of == 1 ? Against::kMeasured : Against::kBaseline;
    }
  }

  void what_if(Ui& ui) {
    Session& s = ui.session;
    ImGui::SeparatorText("What if");
    ImGui::SetNextItemWidth(-ui.points(64));
    const bool entered =
        ImGui::InputTextWithHint("##change", "link:network*2, op:fc6=free, add:node", &change_,
                                 ImGuiInputTextFlags_EnterReturnsTrue);
    tip("op:NAME*K, device:WHICH*K and link:WHICH*K: K times as fast; latency:WHICH*K: K times as "
        "long; =free instead of *K: no time at all; add:node, add:device. Simulates again.");
    ImGui::SameLine();
    if ((button("Try", change_.empty() ? "Type a change first." : "",
                "Simulates the step with "
                "the change.") ||
         entered) &&
        !change_.empty())
      what_ifs_.ask(s, change_);
    float x = 0;
    const float room = ImGui::GetContentRegionAvail().x;
    for (const std::string& change : suggested_changes(*s.design().cluster, made_of_.get())) {
      const float width =
          ImGui::CalcTextSize(change.c_str()).x + ImGui::GetStyle().FramePadding.x * 2;
      if (x > 0 && x + width < room)
        ImGui::SameLine(0, ui.points(4));
      else
        x = 0;
      x += width + ui.points(4);
      if (ImGui::SmallButton(change.c_str())) {
        change_ = change;
        what_ifs_.ask(s, change);
      }
    }
    if (what_ifs_.working()) ImGui::TextDisabled("simulating …");
    std::size_t shown = 0;
    for (const WhatIfAnswer& a : what_ifs_.answers()) {
      if (++shown > 4) break;
      const bool faster = a.step && a.step->after < a.step->before;
      coloured_wrapped(
          !a.error.empty()                            ? ui.colours.bad
          : a.step && a.step->after == a.step->before ? ui.colours.quiet
          : faster                                    ? ui.colours.good
                                                      : ui.colours.warning,
          a.strategy == s.design().shown()->name ? a.words() : a.strategy + ": " + a.words());
      tip(fmt::format("{} of {}", a.change, a.strategy));
    }
  }

  void card(Ui& ui, const Explanation& e, std::size_t i) {
    Session& s = ui.session;
    const simulator::Fact& f = e.facts[i];
    const Ink ink = ink_of_fact(f.kind);
    ImGui::PushID(static_cast<int>(i));
    const ImVec2 top = ImGui::GetCursorScreenPos();
    ImGui::Indent(ui.points(10));
    const std::string heading = title_of(f);
    ImGui::PushFont(ui.fonts.bold, 0);
    const float room = ImGui::GetContentRegionAvail().x;
    if (ImGui::Selectable(fmt::format("{}###card", fitted(heading, room)).c_str(),
                          selected_ == i)) {
      selected_ = i;
      select_spans(s, {}, {}, e.step, f.spans);
    }
    ImGui::PopFont();
    tip(f.spans.empty() ? heading
                        : heading + "\nClick: selects its spans and operators everywhere.");
    number(ui, provenance_, "saves", headline(f, e.step.trace->step_time),
           [&] { return provenance_of_fact(s.design(), e, i); });
    // Its share of the step; of memory, of the device.
    const ImVec2 at = ImGui::GetCursorScreenPos();
    const float width = ImGui::GetContentRegionAvail().x;
    ImDrawList& list = *ImGui::GetWindowDrawList();
    list.AddRectFilled(at, {at.x + width, at.y + ui.points(4)},
                       ImGui::GetColorU32(ImGuiCol_FrameBg));
    list.AddRectFilled(
        at, {at.x + width * static_cast<float>(std::clamp(f.share, 0.0, 1.0)), at.y + ui.points(4)},
        packed(ink.colour));
    ImGui::Dummy({width, ui.points(4)});
    ImGui::PushTextWrapPos(0);
    label(f.text);
    ImGui::PopTextWrapPos();
    for (const Hint& hint : e.hints[i]) hint_line(ui, hint);
    ImGui::Unindent(ui.points(10));
    const ImVec2 bottom = ImGui::GetCursorScreenPos();
    fill(list, {top.x, top.y}, {top.x + ui.points(4), bottom.y - ui.points(3)},
         {ink.colour, Pattern::kSolid});
    ImGui::Dummy({0, ui.points(4)});
    ImGui::PopID();
  }

  void hint_line(Ui& ui, const Hint& hint) {
    if (!hint.edit) {
      ImGui::PushTextWrapPos(0);
      ImGui::TextDisabled("try %s", hint.text.c_str());
      ImGui::PopTextWrapPos();
      return;
    }
    ImGui::PushID(hint.text.c_str());
    if (button(hint.edit->name.c_str(), hint.refusal, "Does it: an edit that can be undone."))
      do_hint(ui.session, *hint.edit);
    ImGui::PopID();
    ImGui::SameLine();
    ImGui::PushTextWrapPos(0);
    ImGui::AlignTextToFramePadding();
    ImGui::TextDisabled("%s", hint.text.c_str());
    ImGui::PopTextWrapPos();
  }

  Explainer explainer_;
  WhatIfs what_ifs_;
  Against trace_ = Against::kBaseline;  // anything but measured: the prediction
  std::shared_ptr<const Explanation> made_of_;
  std::size_t selected_ = 0;
  std::uint64_t made_rows_ = 0;
  std::vector<StrategyRow> rows_;
  std::string change_;
  OpenProvenance provenance_;
};

}  // namespace

std::unique_ptr<Panel> explain_panel() { return std::make_unique<ExplainPanel>(); }

}  // namespace soapstone::explorer::view
