// What is shown against its baseline, or against what was measured.
#include <algorithm>
#include <tuple>

#include <fmt/core.h>
#include <imgui.h>
#include <imgui_stdlib.h>

#include "core/units.hpp"
#include "explorer_gui/model/comparison.hpp"
#include "explorer_gui/view/detail/draw.hpp"
#include "explorer_gui/view/detail/provenance.hpp"
#include "explorer_gui/view/panel.hpp"

namespace soapstone::explorer::view {

namespace {

std::string with_sign(core::Nanoseconds t) {
  return (t.value > 0 ? "+" : "") + core::human_text(t);
}

class ComparePanel final : public Panel {
 public:
  ComparePanel()
      : Panel("Compare", Dock::kBottom,
              "In what the strategy differs from its baseline, or the prediction from what was "
              "measured: as a waterfall, by operators and by meaning.") {}

  void draw(Ui& ui) override {
    Session& s = ui.session;
    const std::string why_not = comparer_.refresh(s, against_);
    tools(ui, why_not);
    const auto now = comparer_.now();
    if (!why_not.empty()) {
      ImGui::TextDisabled("%s", why_not.c_str());
    } else if (!comparer_.error().empty()) {
      coloured_wrapped(ui.colours.bad, comparer_.error());
    } else if (now) {
      if (now != made_of_) made(*now, now);
      const ImVec2 room = ImGui::GetContentRegionAvail();
      const bool beside = room.x > ui.points(760);
      const float left =
          beside ? std::clamp(room.x * 0.42F, ui.points(380), ui.points(720)) : room.x;
      if (ImGui::BeginChild("waterfall", beside ? ImVec2(left, 0) : ImVec2(0, room.y * 0.55F),
                            ImGuiChildFlags_None))
        waterfall(ui, *now);
      ImGui::EndChild();
      if (beside) ImGui::SameLine();
      if (ImGui::BeginChild("tables") && ImGui::BeginTabBar("as")) {
        if (ImGui::BeginTabItem("Operators")) {
          operators(ui, *now);
          ImGui::EndTabItem();
        }
        if (ImGui::BeginTabItem("By meaning")) {
          by_meaning(ui, *now);
          ImGui::EndTabItem();
        }
        ImGui::EndTabBar();
      }
      ImGui::EndChild();
    }
    provenance_popup(ui, provenance_);
  }

 private:
  void made(const Comparison& c, std::shared_ptr<const Comparison> now) {
    made_of_ = std::move(now);
    ops_.clear();
    for (std::size_t i = 0; i < c.ops.size(); ++i) ops_.push_back(i);
    is_sorted_ = false;
    selected_bar_.clear();
  }

  void tools(Ui& ui, const std::string& why_not) {
    Session& s = ui.session;
    int against = against_ == Against::kMeasured ? 1 : 0;
    ImGui::SetNextItemWidth(ui.points(210));
    if (ImGui::Combo("##against", &against, "with the baseline\0prediction and measurement\0"))
      against_ = against == 1 ? Against::kMeasured : Against::kBaseline;
    if (against_ == Against::kBaseline) {
      ImGui::SameLine();
      const NamedStrategy* base = s.design().compared();
      ImGui::SetNextItemWidth(ui.points(200));
      if (ImGui::BeginCombo("##baseline", base ? base->name.c_str() : "no baseline")) {
        for (const NamedStrategy& other : std::vector(s.design().strategies))
          if (ImGui::Selectable(fmt::format("{}##{}", other.name, other.id).c_str(),
                                base && base->id == other.id))
            s.compare_with(other.id);
        ImGui::EndCombo();
      }
      tip("The baseline.");
    }
    ImGui::SameLine();
    int basis = basis_ == simulator::WaterfallBasis::kCriticalPath ? 1 : 0;
    ImGui::SetNextItemWidth(ui.points(160));
    if (ImGui::Combo("##basis", &basis, "what devices do\0the critical path\0"))
      basis_ = basis == 1 ? simulator::WaterfallBasis::kCriticalPath
                          : simulator::WaterfallBasis::kDevices;
    tip("What the bars are made of. What devices do: the step's time of all devices, on average. "
        "The critical path: the chain of tasks that the step's time is made of; nobody waits on "
        "it, so that there are no bubbles.");
    if (comparer_.working() && why_not.empty()) {
      ImGui::SameLine();
      ImGui::TextDisabled("comparing …");
    }
  }

  // --- the waterfall ----------------------------------------------------------------------------
  void waterfall(Ui& ui, const Comparison& c) {
    ImGui::PushTextWrapPos(0);
    label(c.why);
    ImGui::PopTextWrapPos();
    ImGui::Spacing();
    const simulator::Waterfall& w = c.waterfall(basis_);
    const auto bars = waterfall_bars(w, c.before.name, c.after.name, most_);
    const BarRange range = range_of(bars);
    const float line = ImGui::GetTextLineHeight() + ui.points(6);
    const float width = ImGui::GetContentRegionAvail().x;
    float names = 0, numbers = 0;
    for (const WaterfallBar& bar : bars) {
      names = std::max(names, ImGui::CalcTextSize(bar.name.c_str()).x);
      numbers = std::max(numbers, ImGui::CalcTextSize(number_of(bar).c_str()).x);
    }
    names = std::min(names, width * 0.38F) + ui.points(10);
    numbers += ui.points(10);
    const float from = names, to = std::max(names + ui.points(40), width - numbers);
    const double span = std::max<double>(1, static_cast<double>((range.to - range.from).value));
    const auto x = [&](core::Nanoseconds t) {
      const double share = static_cast<double>((t - range.from).value) / span;
      return from + static_cast<float>(std::clamp(share, 0.0, 1.0)) * (to - from);
    };
    ImDrawList& list = *ImGui::GetWindowDrawList();
    ImVec2 last_end{};
    for (const WaterfallBar& bar : bars) {
      const ImVec2 at = ImGui::GetCursorScreenPos();
      const bool is_step = bar.kind == WaterfallBar::Kind::kStep;
      const std::string id = fmt::format("bar##{}{}", is_step ? "step " : "", bar.name);
      const bool pressed = ImGui::InvisibleButton(id.c_str(), {width, line});
      const bool hovered = ImGui::IsItemHovered();
      const bool chosen = selected_bar_ == id;
      if (hovered || chosen)
        list.AddRectFilled(at, {at.x + width, at.y + line},
                           ImGui::GetColorU32(chosen ? ImGuiCol_Header : ImGuiCol_FrameBg));
      const ImU32 text = ImGui::GetColorU32(ImGuiCol_Text);
      const float text_y = at.y + ui.points(3);
      list.AddText({at.x + ui.points(2), text_y}, text,
                   fitted(bar.name, names - ui.points(8)).c_str());
      float x0 = at.x + x(is_step ? range.from : std::min(bar.from, bar.to));
      float x1 = at.x + x(is_step ? bar.to : std::max(bar.from, bar.to));
      x1 = std::max(x1, x0 + ui.points(1.5));
      const float y0 = at.y + ui.points(3), y1 = at.y + line - ui.points(3);
      // Slower is orange and hatched, faster blue.
      const bool slower = bar.difference().value > 0;
      Ink ink{ui.colours.quiet, Pattern::kSolid};
      if (!is_step)
        ink = {change(slower ? 0.85 : -0.85, ui.dark()),
               slower ? Pattern::kRising : Pattern::kSolid};
      fill(list, {x0, y0}, {x1, y1}, ink);
      if (is_step && range.from.value > 0) {  // it begins further left
        for (int k = 0; k < 2; ++k) {
          const float tear = x0 + ui.points(6 + 5 * k);
          list.AddLine({tear - ui.points(2), y1 + ui.points(1)},
                       {tear + ui.points(2), y0 - ui.points(1)},
                       ImGui::GetColorU32(ImGuiCol_WindowBg), ui.points(2));
        }
      }
      if (last_end.x != 0)
        list.AddLine({last_end.x, last_end.y}, {last_end.x, y0},
                     ImGui::GetColorU32(ImGuiCol_TextDisabled), ui.points(1));
      last_end = {at.x + x(bar.to), y1};
      const std::string value = number_of(bar);
      const float size = ImGui::CalcTextSize(value.c_str()).x;
      list.AddText({at.x + width - size - ui.points(2), text_y},
                   is_step ? text : packed(slower ? ui.colours.warning : ui.colours.good),
                   value.c_str());
      describe(bar, w, c);
      if (pressed) select(ui, bar, w, c, id);
      if (ImGui::IsItemClicked(ImGuiMouseButton_Right)) open_number(ui, bar, w, c);
    }
    const ImVec2 at = ImGui::GetCursorScreenPos();
    const ImU32 quiet = ImGui::GetColorU32(ImGuiCol_TextDisabled);
    list.AddText({at.x + from, at.y}, quiet, core::human_text(range.from).c_str());
    const std::string most = core::human_text(range.to);
    list.AddText({at.x + to - ImGui::CalcTextSize(most.c_str()).x, at.y}, quiet, most.c_str());
    ImGui::Dummy({width, line});
  }

  static std::string number_of(const WaterfallBar& bar) {
    return bar.kind == WaterfallBar::Kind::kStep ? core::human_text(bar.to)
                                                 : with_sign(bar.difference());
  }

  static void describe(const WaterfallBar& bar, const simulator::Waterfall& w,
                       const Comparison& c) {
    if (bar.kind == WaterfallBar::Kind::kStep) {
      tip(fmt::format("The step of {} takes {} ns.", bar.name, bar.to.value));
    } else if (bar.kind == WaterfallBar::Kind::kRest) {
      tip("All smaller terms together.");
    } else {
      const simulator::WaterfallTerm& t = w.terms[bar.term];
      tip(fmt::format(
          "{}: {} → {}, that is {} ns.\nClick: selects {} spans of {} and {} of {}. "
          "Right click: where the number comes from.",
          t.name, core::human_text(t.first), core::human_text(t.second), bar.difference().value,
          t.first_spans.size(), c.before.name, t.second_spans.size(), c.after.name));
    }
  }

  void select(Ui& ui, const WaterfallBar& bar, const simulator::Waterfall& w, const Comparison& c,
              const std::string& id) {
    if (bar.kind != WaterfallBar::Kind::kTerm) {
      if (bar.kind == WaterfallBar::Kind::kRest) most_ = most_ == kFew ? 1000 : kFew;
      return;
    }
    selected_bar_ = id;
    const simulator::WaterfallTerm& t = w.terms[bar.term];
    select_spans(ui.session, c.before, t.first_spans, c.after, t.second_spans);
  }

  void open_number(Ui& ui, const WaterfallBar& bar, const simulator::Waterfall& w,
                   const Comparison& c) {
    if (bar.kind == WaterfallBar::Kind::kTerm)
      provenance_.open(provenance_of_term(ui.session.design(), c, w, bar.term));
  }

  // --- operators --------------------------------------------------------------------------------
  enum OpColumn : int {
    kName,
    kCut,
    kDevices,
    kStage,
    kCompute,
    kTransfer,
    kUpdate,
    kDifference,
    kMoved,
    kMemory,
    kOpColumns
  };

  void operators(Ui& ui, const Comparison& c) {
    if (c.ops.empty()) {
      ImGui::PushTextWrapPos(0);
      ImGui::TextDisabled(
          "Only the trace of one of the two is known, not its plan: see “By "
          "meaning”.");
      ImGui::PopTextWrapPos();
      return;
    }
    ImGui::Checkbox("only what differs", &only_differing_);
    if (!ImGui::BeginTable("operators", kOpColumns,
                           ImGuiTableFlags_Sortable | ImGuiTableFlags_SortTristate |
                               ImGuiTableFlags_RowBg | ImGuiTableFlags_Resizable |
                               ImGuiTableFlags_ScrollX | ImGuiTableFlags_ScrollY |
                               ImGuiTableFlags_BordersInnerV | ImGuiTableFlags_BordersOuter |
                               ImGuiTableFlags_SizingFixedFit | ImGuiTableFlags_Hideable))
      return;
    ImGui::TableSetupScrollFreeze(1, 1);
    static constexpr const char* kTitles[] = {"operator", "cut",      "devices", "stage",
                                              "compute",  "transfer", "update",  "difference",
                                              "moved",    "memory"};
    for (int k = 0; k < kOpColumns; ++k)
      ImGui::TableSetupColumn(kTitles[k],
                              k == kDifference ? ImGuiTableColumnFlags_PreferSortDescending : 0);
    static constexpr const char* kMeanings[] = {
        "",
        "How its axes are cut.",
        "Devices that have a part of it.",
        "Of the pipeline.",
        "Time of all devices together that it computes.",
        "Time of all devices together that its data is moved, without waiting for others. Several "
        "transfers may be under way at once.",
        "Time of all devices together that its weights are updated.",
        "Of these three times added: after − before.",
        "Bytes sent from device to device in a step, by all devices.",
        "Its buffers on the device where they take most."};
    ImGui::TableNextRow(ImGuiTableRowFlags_Headers);
    for (int k = 0; k < kOpColumns; ++k) {
      if (!ImGui::TableSetColumnIndex(k)) continue;
      ImGui::TableHeader(kTitles[k]);
      tip(kMeanings[k]);
    }
    if (ImGuiTableSortSpecs* specs = ImGui::TableGetSortSpecs();
        specs && (specs->SpecsDirty || !is_sorted_)) {
      sort_ops(c, specs);
      specs->SpecsDirty = false;
      is_sorted_ = true;
    }
    for (const std::size_t i : ops_) {
      const OpDifference& d = c.ops[i];
      if (only_differing_ && !d.cut_differs() && d.difference().value == 0 &&
          d.before.memory == d.after.memory)
        continue;
      op_row(ui, c, d);
    }
    ImGui::EndTable();
  }

  void sort_ops(const Comparison& c, const ImGuiTableSortSpecs* specs) {
    std::sort(ops_.begin(), ops_.end());
    if (specs->SpecsCount == 0) return;
    const int by = specs->Specs[0].ColumnIndex;
    const bool down = specs->Specs[0].SortDirection == ImGuiSortDirection_Descending;
    const auto key = [&](std::size_t i) -> std::int64_t {
      const OpDifference& d = c.ops[i];
      switch (by) {
        case kStage:
          return d.after.stage;
        case kCompute:
          return (d.after.compute - d.before.compute).value;
        case kTransfer:
          return (d.after.transfer - d.before.transfer).value;
        case kUpdate:
          return (d.after.update - d.before.update).value;
        case kDifference:
          return d.difference().value;
        case kMoved:
          return (d.after.moved - d.before.moved).value;
        case kMemory:
          return (d.after.memory - d.before.memory).value;
        default:
          return 0;
      }
    };
    std::stable_sort(ops_.begin(), ops_.end(), [&](std::size_t a, std::size_t b) {
      if (down) std::swap(a, b);
      if (by == kName) return c.ops[a].name < c.ops[b].name;
      if (by == kCut) return c.ops[a].after.split < c.ops[b].after.split;
      if (by == kDevices) return c.ops[a].after.devices < c.ops[b].after.devices;
      return key(a) < key(b);
    });
  }

  // "n=16 → co=4": quiet where both are the same.
  static void change_of(const Ui& ui, const std::string& before, const std::string& after) {
    if (before == after)
      coloured(ui.colours.quiet, after.empty() ? "–" : after);
    else
      label(fmt::format("{} → {}", before.empty() ? "–" : before, after.empty() ? "–" : after));
  }
  template <class Q>
  static void change_of_quantity(const Ui& ui, Q before, Q after) {
    if (before.value == 0 && after.value == 0)
      coloured(ui.colours.quiet, "–");
    else if (before == after)
      coloured(ui.colours.quiet, core::human_text(after));
    else
      coloured(after < before ? ui.colours.good : ui.colours.warning,
               fmt::format("{} → {}", before.value == 0 ? "–" : core::human_text(before),
                           after.value == 0 ? "–" : core::human_text(after)));
  }

  void op_row(Ui& ui, const Comparison&, const OpDifference& d) {
    Session& s = ui.session;
    ImGui::TableNextRow();
    ImGui::TableNextColumn();
    const bool known = d.op != core::kNoIndex;
    if (ImGui::Selectable(d.name.c_str(), known && s.selection().has(d.op),
                          ImGuiSelectableFlags_SpanAllColumns) &&
        known) {
      if (!ImGui::GetIO().KeyCtrl) s.selection().ops.clear();
      if (!s.selection().ops.insert(d.op).second) s.selection().ops.erase(d.op);
      s.changed();
    }
    ImGui::TableNextColumn();
    change_of(ui, d.before.split, d.after.split);
    ImGui::TableNextColumn();
    change_of(ui, d.before.devices, d.after.devices);
    ImGui::TableNextColumn();
    change_of(ui, fmt::format("{}", d.before.stage), fmt::format("{}", d.after.stage));
    ImGui::TableNextColumn();
    change_of_quantity(ui, d.before.compute, d.after.compute);
    ImGui::TableNextColumn();
    change_of_quantity(ui, d.before.transfer, d.after.transfer);
    ImGui::TableNextColumn();
    change_of_quantity(ui, d.before.update, d.after.update);
    ImGui::TableNextColumn();
    const std::int64_t difference = d.difference().value;
    coloured(difference == 0  ? ui.colours.quiet
             : difference < 0 ? ui.colours.good
                              : ui.colours.warning,
             difference == 0 ? "–" : with_sign(d.difference()));
    ImGui::TableNextColumn();
    change_of_quantity(ui, d.before.moved, d.after.moved);
    ImGui::TableNextColumn();
    change_of_quantity(ui, d.before.memory, d.after.memory);
  }

  // --- by meaning -------------------------------------------------------------------------------
  void by_meaning(Ui& ui, const Comparison& c) {
    ImGui::Checkbox("each micro-batch", &each_micro_batch_);
    tip("Off: all micro-batches of a step together, as where the two have different numbers of "
        "them.");
    ImGui::SameLine();
    ImGui::SetNextItemWidth(ui.points(160));
    ImGui::InputTextWithHint("##what", "filter", &what_);
    const auto& rows = each_micro_batch_ ? c.meaning : c.meaning_of_step;
    static constexpr const char* kTitles[] = {"stage",     "micro-batch", "operator", "what",
                                              "direction", "before",      "after",    "difference"};
    constexpr int kColumns = 8;
    if (!ImGui::BeginTable("meaning", kColumns,
                           ImGuiTableFlags_Sortable | ImGuiTableFlags_SortTristate |
                               ImGuiTableFlags_RowBg | ImGuiTableFlags_Resizable |
                               ImGuiTableFlags_ScrollX | ImGuiTableFlags_ScrollY |
                               ImGuiTableFlags_BordersInnerV | ImGuiTableFlags_BordersOuter |
                               ImGuiTableFlags_SizingFixedFit | ImGuiTableFlags_Hideable))
      return;
    ImGui::TableSetupScrollFreeze(0, 1);
    for (int k = 0; k < kColumns; ++k)
      ImGui::TableSetupColumn(kTitles[k],
                              k == kColumns - 1 ? ImGuiTableColumnFlags_PreferSortDescending : 0);
    ImGui::TableHeadersRow();
    ImGuiTableSortSpecs* specs = ImGui::TableGetSortSpecs();
    const auto key = std::tuple(made_of_.get(), each_micro_batch_, what_);
    if ((specs && specs->SpecsDirty) || key != meaning_key_) {
      meaning_.clear();
      const bool is_sorted = specs && specs->SpecsCount > 0;
      const auto order =
          is_sorted ? sorted(rows, static_cast<MeaningColumn>(specs->Specs[0].ColumnIndex),
                             specs->Specs[0].SortDirection == ImGuiSortDirection_Descending)
                    : sorted(rows, MeaningColumn::kMicroBatch, false);
      for (const std::size_t i : order)
        if (what_.empty() || rows[i].row.key.name.find(what_) != std::string::npos)
          meaning_.push_back(i);
      if (specs) specs->SpecsDirty = false;
      meaning_key_ = key;
    }
    ImGuiListClipper clipper;
    clipper.Begin(static_cast<int>(meaning_.size()));
    while (clipper.Step())
      for (int k = clipper.DisplayStart; k < clipper.DisplayEnd; ++k) {
        const MeaningRow& row = rows[meaning_[static_cast<std::size_t>(k)]];
        ImGui::TableNextRow();
        for (int column = 0; column < kColumns; ++column) {
          ImGui::TableNextColumn();
          const auto what = static_cast<MeaningColumn>(column);
          const std::string text = cell_text(row, what);
          if (what == MeaningColumn::kStage) {
            if (ImGui::Selectable(fmt::format("{}##{}", text, k).c_str(), false,
                                  ImGuiSelectableFlags_SpanAllColumns))
              select_spans(ui.session, c.before, row.row.first.spans, c.after,
                           row.row.second.spans);
          } else if (what == MeaningColumn::kDifference) {
            const std::int64_t d = row.difference().value;
            coloured(d == 0  ? ui.colours.quiet
                     : d < 0 ? ui.colours.good
                             : ui.colours.warning,
                     text);
          } else {
            label(text);
          }
        }
      }
    ImGui::EndTable();
  }

  static constexpr std::size_t kFew = 12;
  Comparer comparer_;
  Against against_ = Against::kBaseline;
  simulator::WaterfallBasis basis_ = simulator::WaterfallBasis::kDevices;
  std::size_t most_ = kFew;
  std::shared_ptr<const Comparison> made_of_;
  std::vector<std::size_t> ops_, meaning_;
  std::tuple<const Comparison*, bool, std::string> meaning_key_;
  bool is_sorted_ = false, only_differing_ = false, each_micro_batch_ = false;
  std::string what_, selected_bar_;
  OpenProvenance provenance_;
};

}  // namespace

std::unique_ptr<Panel> compare_panel() { return std::make_unique<ComparePanel>(); }

}  // namespace soapstone::explorer::view
