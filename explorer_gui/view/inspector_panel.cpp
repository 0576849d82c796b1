// Everything about the selected operators, to see and to change.
#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include <fmt/core.h>
#include <imgui.h>
#include <imgui_stdlib.h>

#include "core/units.hpp"
#include "explorer_gui/model/edits.hpp"
#include "explorer_gui/model/inspection.hpp"
#include "explorer_gui/view/detail/draw.hpp"
#include "explorer_gui/view/detail/edit_widgets.hpp"
#include "explorer_gui/view/panel.hpp"

namespace soapstone::explorer::view {

namespace {

using core::DeviceId;
using core::human_text;

std::string source_text(core::CostSource source) {
  switch (source) {
    case core::CostSource::kMeasured:
      return "Measured: this very problem was timed on this machine.";
    case core::CostSource::kFitted:
      return "Fitted: interpolated between measurements.";
    case core::CostSource::kRoofline:
      return "Roofline: the larger of FLOPs ÷ peak and bytes ÷ bandwidth, by the cluster's "
             "figures; "
             "`soapstone profile` measures.";
  }
  return {};
}

class InspectorPanel final : public Panel {
 public:
  InspectorPanel()
      : Panel(
            "Inspector", Dock::kRight,
            "Axes, devices, operands, kernels, cost, memory and waits of the selected operators.") {
  }

  void add_actions(Ui& ui) override {
    Session& s = ui.session;
    const auto one = [&s] {
      return s.design().shown() && !s.selection().ops.empty()
                 ? std::string()
                 : std::string("Select operators first.");
    };
    ui.actions.add({"edit.copy_to_equal", "Copy the cut to all equal operators", "Ctrl+E",
                    "Every place where the same operators stand becomes as the selected ones.",
                    [this, &s] { copy_to_equal(s); }, one});
    ui.actions.add({"edit.recompute", "Recompute the selected operators, or keep them", "Ctrl+R",
                    "What they compute is given up after the forward pass and computed again.",
                    [this, &s] { toggle_recompute(s); }, one});
    ui.actions.add({"edit.select_equal", "Select all equal operators", "Ctrl+Shift+E",
                    "Adds the operators with the same attributes and shapes to the selection.",
                    [&s] {
                      OpSet all;
                      for (const std::uint32_t op : s.selection().ops)
                        all.merge(equal_ops(*s.design().graph, op));
                      s.selection().ops = all;
                      s.changed();
                    },
                    one});
  }

  void draw(Ui& ui) override {
    Session& s = ui.session;
    const Design& d = s.design();
    if (!d.complete() || !d.shown()) {
      ImGui::TextDisabled("Choose a model and a cluster first.");
      return;
    }
    refresh(s);
    choose_operator(ui);
    if (s.selection().ops.empty()) {
      ImGui::Spacing();
      coloured_wrapped(ui.colours.quiet,
                       "Select an operator above, in the graph or in a timeline.");
      return;
    }
    change_line(ui, changes_);
    if (section("Axes", "How the operator is cut: parts of every axis, and copies.")) axes(ui);
    if (section("Devices", "Who computes which part.")) devices(ui);
    if (s.selection().ops.size() > 1) {
      coloured_wrapped(ui.colours.quiet,
                       "One operator alone shows its operands, kernels and cost.");
      return;
    }
    if (section("Operands", "Where the parts of every tensor lie.")) operands(ui);
    if (section("Kernels", "Which kernel computes a part, and why no faster one does."))
      kernels(ui);
    if (section("Cost", "What its tasks take, and what it moves.")) cost(ui);
    if (section("Memory", "What it holds on the device that it keeps busiest.")) memory(ui);
    if (section("Waits", "What its tasks begin after.")) waits(ui);
  }

 private:
  static bool section(const char* title, const char* meaning) {
    const bool open = ImGui::CollapsingHeader(title, ImGuiTreeNodeFlags_DefaultOpen);
    tip(meaning);
    return open;
  }

  // --- what is shown
  // ------------------------------------------------------------------------------

  const core::Strategy& strategy() const { return *strategy_; }
  std::uint32_t op(const Session& s) const { return *s.selection().ops.begin(); }

  void refresh(Session& s) {
    const Design& d = s.design();
    ground_.refresh(d);
    if (strategy_ != d.shown()->strategy || ops_ != s.selection().ops ||
        made_for_ != ground_.made()) {
      strategy_ = d.shown()->strategy;
      // What does not belong to this model is not selected.
      std::erase_if(s.selection().ops, [&](std::uint32_t o) { return o >= d.graph->ops().size(); });
      ops_ = s.selection().ops;
      made_for_ = ground_.made();
      inspection_.reset();
      choices_.clear();
      common_.clear();
      if (!ops_.empty()) {
        if (auto made = inspect(*ground_, strategy(), *ops_.begin()))
          inspection_ = std::move(*made);
        common_ = common_axes(*d.graph, strategy(), ops_);
      }
      inks_.assign(d.cluster->size(), ink_of_index(0));
      drawn_.clear();
      if (inspection_) {
        for (const PartRow& p : inspection_->parts) inks_[p.device.value] = ink_of_part(p);
        for (const OperandCut& o : inspection_->operands) drawn_.push_back(drawn(o));
      }
      ask_kernels(s);
    }
    changes_.refresh(s);
    if (ops_.size() == 1) ask_step(s);
  }

  void ask_kernels(Session& s) {
    if (ops_.size() != 1) return;
    const std::uint32_t which = *ops_.begin();
    s.jobs().start(
        "kernels of " + s.design().graph->ops()[which].name,
        [this, alive = std::weak_ptr<int>(alive_), backend = s.shared_backend(),
         setting = s.design().setting(), which, strategy = strategy_](JobContext&) -> Jobs::Finish {
          auto found = backend->kernels(setting, *strategy, which);
          return [this, alive, which, found = std::move(found)] {
            if (alive.expired()) return;
            kernels_of_ = which;
            kernels_error_ = found ? std::string() : found.error().message;
            kernels_ = found ? *found : std::vector<KernelReport>{};
          };
        },
        "inspector kernels");
  }

  void ask_step(Session& s) {
    const auto shown = s.shown();
    if (!shown) return;
    const std::uint32_t which = *ops_.begin();
    const auto device = s.selection().device;
    if (asked_ == shown && asked_op_ == which && asked_device_ == device) return;
    asked_ = shown;
    asked_op_ = which;
    asked_device_ = device;
    s.jobs().start(
        "cost of " + s.design().graph->ops()[which].name,
        [this, alive = std::weak_ptr<int>(alive_), shown, graph = s.design().graph, which,
         device](JobContext&) -> Jobs::Finish {
          auto step = std::make_shared<const OpStep>(op_step(*graph, *shown, which, device));
          return [this, alive, step] {
            if (!alive.expired()) step_ = step;
          };
        },
        "inspector step");
  }

  const std::vector<DegreeChoice>& choices(const std::string& of) {
    const auto known = choices_.find(of);
    if (known != choices_.end()) return known->second;
    std::vector<DegreeChoice> made;
    if (of == "copies") {
      made = replica_choices(*ground_, strategy(), *ops_.begin());
    } else {
      for (const CommonAxis& axis : common_)
        if (axis.name == of) made = degree_choices(*ground_, strategy(), ops_, axis);
    }
    return choices_[of] = std::move(made);
  }

  // --- edits
  // ----------------------------------------------------------------------------------------

  void copy_to_equal(Session& s) {
    ground_.refresh(s.design());
    const OpSet& ops = s.selection().ops;
    apply(s, "copy " + names_of(*s.design().graph, ops) + " to equal operators",
          explorer::copy_to_equal(*ground_, *s.design().shown()->strategy, ops));
  }

  void toggle_recompute(Session& s) {
    ground_.refresh(s.design());
    const core::Strategy& now = *s.design().shown()->strategy;
    const OpSet& ops = s.selection().ops;
    const bool all =
        std::all_of(ops.begin(), ops.end(), [&](std::uint32_t o) { return now.ops[o].recompute; });
    apply(s,
          (all ? "keep what " : "recompute what ") + names_of(*s.design().graph, ops) + " computes",
          set_keep(*ground_, now, ops, all ? Keep::kAll : Keep::kRecompute));
  }

  // --- the top
  // --------------------------------------------------------------------------------------

  void choose_operator(Ui& ui) {
    Session& s = ui.session;
    const core::Graph& graph = *s.design().graph;
    const OpSet& ops = s.selection().ops;
    const std::string now = ops.empty() ? "choose an operator" : names_of(graph, ops);
    ImGui::SetNextItemWidth(-1);
    ImGui::SetNextWindowSizeConstraints({ui.points(300), 0}, {ui.points(520), ui.points(420)});
    if (ImGui::BeginCombo("##operator", now.c_str(), ImGuiComboFlags_HeightLargest)) {
      if (ImGui::IsWindowAppearing()) {
        filter_.clear();
        ImGui::SetKeyboardFocusHere();
      }
      ImGui::SetNextItemWidth(-1);
      ImGui::InputTextWithHint("##filter", "filter", &filter_);
      found_.clear();
      for (std::uint32_t i = 0; i < graph.ops().size(); ++i)
        if (filter_.empty() || fit(graph.ops()[i].name, filter_) >= 0) found_.push_back(i);
      ImGuiListClipper clipper;
      clipper.Begin(static_cast<int>(found_.size()));
      while (clipper.Step())
        for (int k = clipper.DisplayStart; k < clipper.DisplayEnd; ++k) {
          const std::uint32_t i = found_[static_cast<std::size_t>(k)];
          const core::OpNode& node = graph.ops()[i];
          if (ImGui::Selectable(node.name.c_str(), ops.contains(i))) {
            if (!ImGui::GetIO().KeyCtrl) s.selection().ops.clear();
            s.selection().ops.insert(i);
            s.changed();
          }
          ImGui::SameLine(ui.points(190));
          ImGui::TextDisabled("%s", std::string(node.op.name()).c_str());
        }
      ImGui::EndCombo();
    }
    tip("The operator that is looked at; Ctrl and a click adds to the selection.");
    if (ops.empty() || !inspection_) return;
    if (ops.size() == 1) {
      const std::string stage = strategy().ops[op(s)].stage > 0 || has_stages()
                                    ? fmt::format("stage {} · ", inspection_->strategy.stage)
                                    : std::string();
      const std::string text = stage + inspection_->attributes;
      ImGui::PushStyleColor(ImGuiCol_Text, packed(ui.colours.quiet));
      label(fitted(text, ImGui::GetContentRegionAvail().x));
      ImGui::PopStyleColor();
      tip(text);
    }
    const bool pinned = std::all_of(ops.begin(), ops.end(), [&](std::uint32_t i) {
      return s.design().pinned.contains(graph.ops()[i].name);
    });
    bool pin = pinned;
    if (ImGui::Checkbox("pinned", &pin)) s.pin(ops, pin);
    tip("Searches leave pinned operators as they are.");
    ImGui::SameLine();
    const Action* copy = ui.actions.find("edit.copy_to_equal");
    if (button("Copy to equal", copy->refusal(), copy->tip + " " + copy->shortcut)) copy->run();
    ImGui::SameLine();
    const Action* select = ui.actions.find("edit.select_equal");
    if (button("Select equal", select->refusal(), select->tip + " " + select->shortcut))
      select->run();
    if (ops.size() > 1) {
      ImGui::SameLine();
      if (button("First to all", {},
                 fmt::format("All selected operators become as {} is.", graph.ops()[op(s)].name)))
        apply(s, "copy " + graph.ops()[op(s)].name + " to " + names_of(graph, ops),
              copy_to(*ground_, strategy(), op(s), ops));
    }
  }

  bool has_stages() const {
    return std::any_of(strategy().ops.begin(), strategy().ops.end(),
                       [](const core::OpStrategy& o) { return o.stage > 0; });
  }

  // --- axes
  // -----------------------------------------------------------------------------------------

  void axes(Ui& ui) {
    Session& s = ui.session;
    const core::Graph& graph = *s.design().graph;
    if (ImGui::BeginTable("axes", 4, ImGuiTableFlags_RowBg | ImGuiTableFlags_SizingStretchProp)) {
      ImGui::TableSetupColumn("axis", ImGuiTableColumnFlags_None, 0.9F);
      ImGui::TableSetupColumn("role", ImGuiTableColumnFlags_None, 1.3F);
      ImGui::TableSetupColumn("parts", ImGuiTableColumnFlags_WidthFixed, ui.points(122));
      ImGui::TableSetupColumn("indices", ImGuiTableColumnFlags_None, 1.5F);
      ImGui::TableHeadersRow();
      for (const CommonAxis& axis : common_) {
        ImGui::TableNextRow();
        ImGui::TableNextColumn();
        ImGui::AlignTextToFramePadding();
        label(axis.name);
        const AxisRow* row = nullptr;
        if (inspection_ && ops_.size() == 1)
          row = &inspection_->axes[static_cast<std::size_t>(axis.axis)];
        if (row) tip(row->meaning);
        ImGui::TableNextColumn();
        label(core::name_of(axis.role));
        if (row) tip(row->meaning);
        ImGui::TableNextColumn();
        const auto chosen = degree_box(ui, axis.name, axis.degree, choices(axis.name));
        if (chosen)
          apply(s, fmt::format("{} = {} of {}", axis.name, *chosen, names_of(graph, ops_)),
                set_degree(*ground_, strategy(), ops_, axis.name, *chosen), "degree " + axis.name);
        ImGui::TableNextColumn();
        if (!row) {
          ImGui::TextDisabled("%zu of %zu operators", axis.ops, ops_.size());
          continue;
        }
        std::string text = std::to_string(row->extent);
        if (row->degree > 1) text += fmt::format(", {} each", row->largest_part);
        if (row->degree > 1 && row->extent % row->degree != 0) text += " at most";
        label(fitted(text, ImGui::GetContentRegionAvail().x));
        std::string told = fmt::format("{} indices of one micro-batch", row->extent);
        if (row->granularity > 1) told += fmt::format(", in granules of {}", row->granularity);
        told += fmt::format("; coupling: {}. ", core::name_of(row->coupling));
        tip(told + row->meaning);
      }
      ImGui::TableNextRow();
      ImGui::TableNextColumn();
      ImGui::AlignTextToFramePadding();
      label("copies");
      tip("Replicas compute equal copies; gradients are not summed over them.");
      ImGui::TableNextColumn();
      ImGui::TextDisabled("replicas");
      ImGui::TableNextColumn();
      std::optional<std::int32_t> replicas = strategy().ops[*ops_.begin()].replicas;
      for (const std::uint32_t o : ops_)
        if (strategy().ops[o].replicas != replicas) replicas.reset();
      if (const auto chosen = degree_box(ui, "copies", replicas, choices("copies")))
        apply(s, fmt::format("{} copies of {}", *chosen, names_of(graph, ops_)),
              set_replicas(*ground_, strategy(), ops_, *chosen), "replicas");
      ImGui::TableNextColumn();
      std::size_t most = 0;
      for (const std::uint32_t o : ops_) most = std::max(most, strategy().ops[o].devices.size());
      ImGui::TextDisabled("%s%zu %s", ops_.size() > 1 ? "at most " : "", most,
                          most == 1 ? "device" : "devices");
      ImGui::EndTable();
    }
    options(ui);
  }

  // What all selected operators have; none: they differ.
  template <class T>
  std::optional<T> common(T core::OpStrategy::*field) const {
    const T first = strategy().ops[*ops_.begin()].*field;
    for (const std::uint32_t o : ops_)
      if (strategy().ops[o].*field != first) return std::nullopt;
    return first;
  }

  void options(Ui& ui) {
    if (!inspection_) return;
    Session& s = ui.session;
    const std::string who = names_of(*s.design().graph, ops_);
    const bool single = ops_.size() == 1;
    const auto when_single = [&](const std::string& text) { return single ? text : std::string(); };
    const std::string no_weights =
        when_single(inspection_->has_weights ? "" : inspection_->name + " has no weights to train");
    if (!ImGui::BeginTable("options", 4, ImGuiTableFlags_SizingStretchProp)) return;
    ImGui::TableSetupColumn("a", ImGuiTableColumnFlags_WidthFixed, ui.points(76));
    ImGui::TableSetupColumn("b", ImGuiTableColumnFlags_None, 1);
    ImGui::TableSetupColumn("c", ImGuiTableColumnFlags_WidthFixed, ui.points(76));
    ImGui::TableSetupColumn("d", ImGuiTableColumnFlags_None, 1);
    const auto cell = [&](const char* name, const char* meaning) {
      ImGui::TableNextColumn();
      ImGui::AlignTextToFramePadding();
      label(name);
      tip(meaning);
      ImGui::TableNextColumn();
      ImGui::SetNextItemWidth(-1);
    };
    cell("zero",
         "What the copies of its weights keep in parts only: 1 the optimizer's state, 2 gradients "
         "too, 3 weights too (ZeRO).");
    if (const auto chosen =
            choice_box("##zero", common(&core::OpStrategy::zero),
                       single ? zero_choices(*inspection_) : zero_choices(any_weights()), {}))
      apply(s, fmt::format("zero = {} of {}", *chosen, who),
            set_zero(*ground_, strategy(), ops_, *chosen), "zero");
    cell("over", "Over how many neighbouring copies the parts are spread (zero_over); 0: all.");
    if (const auto chosen = choice_box("##zero over", common(&core::OpStrategy::zero_over),
                                       zero_over_choices(*inspection_), {{0, "all copies"}}))
      apply(s, fmt::format("zero_over = {} of {}", *chosen, who),
            set_zero_over(*ground_, strategy(), ops_, *chosen), "zero_over");
    cell("update", "A server: one of the copies of its weights updates them for the others.");
    if (const auto chosen = switch_box("server", common(&core::OpStrategy::server), no_weights))
      apply(s, (*chosen ? "a server for " : "no server for ") + who,
            set_update(*ground_, strategy(), ops_,
                       *chosen ? Update::kOnServers : Update::kEverywhere));
    cell("keep",
         "Recompute: what it computes is given up after the forward pass and computed again.");
    if (const auto chosen = switch_box("recompute", common(&core::OpStrategy::recompute),
                                       when_single(inspection_->why_no_recompute)))
      apply(s, (*chosen ? "recompute " : "keep ") + who,
            set_keep(*ground_, strategy(), ops_, *chosen ? Keep::kRecompute : Keep::kAll));
    cell("offload", "What waits in the host's memory while the device has no use for it.");
    {
      const auto now = common(&core::OpStrategy::offload);
      const std::string text(now ? core::name_of(*now) : std::string_view("different"));
      if (ImGui::BeginCombo("##offload", text.c_str())) {
        for (const auto& [value, name] : core::enum_names(core::Offload{}))
          if (ImGui::Selectable(std::string(name).c_str(), value == now))
            apply(s, fmt::format("offload = {} of {}", name, who),
                  set_offload(*ground_, strategy(), ops_, value));
        ImGui::EndCombo();
      }
    }
    cell("rounds", "Attention in a ring: keys and values go from device to device.");
    std::string no_ring = when_single(inspection_->why_no_rounds);
    if (single && no_ring.empty() && !inspection_->strategy.ring)
      for (const AxisRow& a : inspection_->axes)
        if (a.meaning.find("ring") != std::string::npos && a.degree < 2)
          no_ring = fmt::format("axis {} is whole: at least 2 parts go round", a.name);
    if (const auto chosen = switch_box("ring", common(&core::OpStrategy::ring), no_ring))
      apply(s, (*chosen ? "a ring for " : "no ring for ") + who,
            set_style(*ground_, strategy(), ops_,
                      *chosen ? search::ContextStyle::kRing : search::ContextStyle::kGather));
    ImGui::EndTable();
  }

  Inspection any_weights() const {
    Inspection i = *inspection_;
    i.has_weights = true;
    return i;
  }

  // --- devices
  // --------------------------------------------------------------------------------------

  // Colour by the first split axis, pattern by the second.
  Ink ink_of_part(const PartRow& part) const {
    std::vector<std::int32_t> split;
    for (const AxisRow& a : inspection_->axes)
      if (a.degree > 1) split.push_back(part.part[static_cast<std::size_t>(a.axis)]);
    const std::int32_t first = split.empty() ? part.replica : split[0];
    Ink ink = ink_of_index(static_cast<std::size_t>(first) % 12);
    if (split.size() > 1) {
      static constexpr Pattern kPatterns[] = {Pattern::kSolid,   Pattern::kRising,
                                              Pattern::kFalling, Pattern::kCrossed,
                                              Pattern::kDotted,  Pattern::kLevel};
      ink.pattern = kPatterns[static_cast<std::size_t>(split[1]) % 6];
    }
    return ink;
  }

  std::string part_text(const PartRow& part) const {
    std::string text;
    for (const AxisRow& a : inspection_->axes) {
      if (a.degree < 2) continue;
      const auto i = static_cast<std::size_t>(a.axis);
      text += fmt::format("{}{} {}–{}", text.empty() ? "" : ", ", a.name, part.interval[i].begin,
                          part.interval[i].end - 1);
    }
    if (inspection_->strategy.replicas > 1)
      text += fmt::format("{}copy {}", text.empty() ? "" : ", ", part.replica);
    return text.empty() ? "all of it" : text;
  }

  void devices(Ui& ui) {
    Session& s = ui.session;
    if (!inspection_) return;
    const core::Cluster& cluster = *s.design().cluster;
    const float width = ImGui::GetContentRegionAvail().x;
    const DeviceGrid grid =
        device_grid(cluster, width, ui.points(150), ui.points(26), ui.points(7));
    std::vector<const PartRow*> part(cluster.size(), nullptr);
    for (const PartRow& p : inspection_->parts) part[p.device.value] = &p;
    const ImVec2 origin = ImGui::GetCursorScreenPos();
    ImDrawList& list = *ImGui::GetWindowDrawList();
    const float side = static_cast<float>(grid.cell), gap = std::max(1.0F, side * 0.06F);
    std::optional<DeviceId> hovered;
    for (const DeviceCell& c : grid.cells) {
      const ImVec2 from{origin.x + static_cast<float>(c.x), origin.y + static_cast<float>(c.y)};
      const ImVec2 to{from.x + side - gap, from.y + side - gap};
      ImGui::SetCursorScreenPos(from);
      ImGui::InvisibleButton(fmt::format("device {}", c.device.value).c_str(),
                             {side - gap, side - gap});
      if (ImGui::IsItemActivated()) {
        painted_ = {c.device};
        painting_ = true;
      }
      if (ImGui::IsItemHovered()) hovered = c.device;
      if (ImGui::BeginPopupContextItem()) {
        exchange(s, c.device);
        ImGui::EndPopup();
      }
      const PartRow* p = part[c.device.value];
      const bool in_paint = painting_ && painted_.size() > 1 &&
                            std::find(painted_.begin(), painted_.end(), c.device) != painted_.end();
      if (p)
        fill(list, from, to, ink_of_part(*p));
      else
        list.AddRectFilled(from, to, ImGui::GetColorU32(ImGuiCol_FrameBg));
      if (in_paint || s.selection().device == c.device)
        list.AddRect(from, to, packed(in_paint ? ui.colours.accent : ui.colours.warning), 0,
                     ui.points(2));
      if (side >= ui.points(17)) {
        const std::string number = std::to_string(c.device.value);
        const ImVec2 size = ImGui::CalcTextSize(number.c_str());
        if (size.x < side - gap)
          list.AddText({(from.x + to.x - size.x) / 2, (from.y + to.y - size.y) / 2},
                       p ? packed(text_on(ink_of_part(*p).colour))
                         : ImGui::GetColorU32(ImGuiCol_TextDisabled),
                       number.c_str());
      }
    }
    paint(ui, grid, origin);
    ImGui::SetCursorScreenPos(origin);
    ImGui::Dummy({width, static_cast<float>(grid.height)});
    if (hovered && !painting_ && ImGui::BeginTooltip()) {
      const core::Device& device = cluster.device(*hovered);
      label(fmt::format("device {} ({}, {})", hovered->value, device.name,
                        cluster.kind(*hovered).name));
      if (part[hovered->value])
        label(part_text(*part[hovered->value]));
      else
        ImGui::TextDisabled("has no part of it");
      ImGui::TextDisabled("Drag over devices to put it there; a click selects one.");
      ImGui::EndTooltip();
    }
    if (ops_.size() == 1) parts(ui);
  }

  void exchange(Session& s, DeviceId with) {
    const auto selected = s.selection().device;
    const std::string why_not = !selected           ? "Select another device first."
                                : *selected == with ? "This is the selected device."
                                                    : "";
    ImGui::BeginDisabled(!why_not.empty());
    const std::string text = selected && *selected != with
                                 ? fmt::format("Exchange with device {}", selected->value)
                                 : std::string("Exchange with the selected device");
    if (ImGui::MenuItem(text.c_str()))
      apply(s, fmt::format("exchange devices {} and {}", selected->value, with.value),
            swap_devices(*ground_, strategy(), ops_, *selected, with));
    ImGui::EndDisabled();
    tip(why_not);
    if (ImGui::MenuItem("Put it here alone"))
      apply(s, fmt::format("{} on device {}", names_of(*s.design().graph, ops_), with.value),
            set_devices(*ground_, strategy(), ops_, std::vector{with}));
  }

  // Devices that are met while the button is down, in their order.
  void paint(Ui& ui, const DeviceGrid& grid, ImVec2 origin) {
    if (!painting_) return;
    Session& s = ui.session;
    const ImVec2 mouse = ImGui::GetMousePos();
    const auto at = grid.at(mouse.x - origin.x, mouse.y - origin.y);
    if (at && std::find(painted_.begin(), painted_.end(), *at) == painted_.end()) {
      painted_.push_back(*at);
      auto next = set_devices(*ground_, strategy(), ops_, painted_);
      paint_error_ = next ? std::string() : next.error().message;
      if (next)
        apply(
            s,
            fmt::format("{} on {}", names_of(*s.design().graph, ops_), core::device_text(painted_)),
            std::move(next), "paint");
    }
    if (painted_.size() > 1 && ImGui::BeginTooltip()) {
      label(fmt::format("{} devices: {}", painted_.size(), core::device_text(painted_)));
      if (!paint_error_.empty()) coloured_wrapped(ui.colours.bad, paint_error_);
      ImGui::EndTooltip();
    }
    if (ImGui::IsMouseDown(ImGuiMouseButton_Left)) return;
    painting_ = false;
    if (painted_.size() == 1) {
      auto& device = s.selection().device;
      device = device == painted_[0] ? std::nullopt : std::optional(painted_[0]);
      s.changed();
    } else {
      if (!paint_error_.empty()) s.complain(paint_error_);
      s.settle();
    }
    painted_.clear();
    paint_error_.clear();
  }

  void parts(Ui& ui) {
    Session& s = ui.session;
    const std::size_t count = inspection_->parts.size();
    const float row = ImGui::GetTextLineHeightWithSpacing();
    const float height = row * (1.5F + static_cast<float>(std::min<std::size_t>(count, 6)));
    if (!ImGui::BeginTable(
            "parts", 3,
            ImGuiTableFlags_RowBg | ImGuiTableFlags_ScrollY | ImGuiTableFlags_SizingStretchProp,
            {0, height}))
      return;
    ImGui::TableSetupScrollFreeze(0, 1);
    ImGui::TableSetupColumn("part", ImGuiTableColumnFlags_WidthFixed, ui.points(44));
    ImGui::TableSetupColumn("device", ImGuiTableColumnFlags_None, 1);
    ImGui::TableSetupColumn("indices", ImGuiTableColumnFlags_None, 1.6F);
    ImGui::TableHeadersRow();
    ImGuiListClipper clipper;
    clipper.Begin(static_cast<int>(count));
    while (clipper.Step())
      for (int i = clipper.DisplayStart; i < clipper.DisplayEnd; ++i) {
        const PartRow& p = inspection_->parts[static_cast<std::size_t>(i)];
        ImGui::TableNextRow();
        ImGui::TableNextColumn();
        if (ImGui::Selectable(fmt::format("{}##part {}", i, i).c_str(),
                              s.selection().device == p.device,
                              ImGuiSelectableFlags_SpanAllColumns)) {
          s.selection().device = p.device;
          s.changed();
        }
        ImGui::TableNextColumn();
        swatch(ink_of_part(p));
        label(fmt::format("{} {}", p.device.value, s.design().cluster->device(p.device).name));
        ImGui::TableNextColumn();
        const std::string text = part_text(p);
        label(fitted(text, ImGui::GetContentRegionAvail().x));
        tip(text);
      }
    ImGui::EndTable();
  }

  // --- operands
  // -------------------------------------------------------------------------------------

  void operands(Ui& ui) {
    if (!inspection_) return;
    bool shown_internal = false;
    for (std::size_t k = 0; k < inspection_->operands.size(); ++k) {
      const OperandCut& o = inspection_->operands[k];
      if (o.role == core::OperandRole::kInternal) {
        if (!std::exchange(shown_internal, true)) internals_open_ = ImGui::TreeNode("internals");
        if (!internals_open_) break;
      }
      ImGui::PushID(static_cast<int>(k));
      operand(ui, o, drawn_[k]);
      ImGui::PopID();
    }
    if (shown_internal && internals_open_) ImGui::TreePop();
  }

  void operand(Ui& ui, const OperandCut& o, const DrawnOperand& d) {
    const float height = ui.points(46), width = ui.points(92);
    const ImVec2 at = ImGui::GetCursorScreenPos();
    ImDrawList& list = *ImGui::GetWindowDrawList();
    ImGui::InvisibleButton(fmt::format("{}{}", o.name, o.is_gradient ? " gradient" : "").c_str(),
                           {width, height});
    const bool hovered = ImGui::IsItemHovered();
    const ImVec2 mouse = ImGui::GetMousePos();
    // Partial sums lie behind one another.
    const int layers = std::min(o.partials, 4);
    const float shift = ui.points(3), inner_width = width - shift * 3,
                inner_height = height - shift * 3 - ui.points(4);
    const CutBox* under = nullptr;
    for (int layer = layers - 1; layer >= 0; --layer) {
      const float dx = shift * static_cast<float>(layer);
      for (const DrawnBox& b : d.boxes) {
        const ImVec2 from{at.x + dx + static_cast<float>(b.x0) * inner_width,
                          at.y + dx + static_cast<float>(b.y0) * inner_height};
        const ImVec2 to{at.x + dx + static_cast<float>(b.x1) * inner_width,
                        at.y + dx + static_cast<float>(b.y1) * inner_height};
        const CutBox* first = nullptr;
        for (const std::size_t i : b.boxes)
          if (o.boxes[i].partial % layers == layer) {
            first = &o.boxes[i];
            break;
          }
        if (!first || to.x <= from.x || to.y <= from.y) continue;
        const Ink ink = inks_[first->devices.front().value];
        fill(list, from, to, ink);
        if (to.y - from.y > 5 && to.x - from.x > 5)
          list.AddRect(from, to, ImGui::GetColorU32(ImGuiCol_WindowBg));
        if (layer == 0) {
          const std::string who = core::device_text(first->devices);
          const ImVec2 size = ImGui::CalcTextSize(who.c_str());
          if (size.x < to.x - from.x - 2 && size.y < to.y - from.y)
            list.AddText({(from.x + to.x - size.x) / 2, (from.y + to.y - size.y) / 2},
                         packed(text_on(ink.colour)), who.c_str());
        }
        if (hovered && mouse.x >= from.x && mouse.x < to.x && mouse.y >= from.y && mouse.y < to.y)
          under = first;
      }
    }
    if (under && ImGui::BeginTooltip()) {
      label(fmt::format("{}{} {}", o.name, o.is_gradient ? " gradient" : "",
                        core::print(under->box)));
      if (o.partials > 1)
        label(fmt::format("partial sum {} of {}", under->partial + 1, o.partials));
      label(fmt::format("device{} {}", under->devices.size() == 1 ? "" : "s",
                        core::device_text(under->devices)));
      label(human_text(core::size_of(o.desc.dtype) * core::elements(under->box)));
      ImGui::EndTooltip();
    }
    ImGui::SameLine();
    ImGui::BeginGroup();
    label(fmt::format("{}{}", o.name, o.is_gradient ? " gradient" : ""));
    if (!o.tensor.empty()) tip(o.tensor);
    ImGui::SameLine();
    ImGui::TextDisabled("%s %s", core::print(o.desc.shape).c_str(),
                        std::string(core::name_of(o.desc.dtype)).c_str());
    const float left = ImGui::GetContentRegionAvail().x;
    if (o.partials > 1)
      coloured(ui.colours.warning, fitted(o.told, left));
    else
      label(fitted(o.told, left));
    tip(o.told);
    ImGui::TextDisabled("%s of %s per device", human_text(o.largest).c_str(),
                        human_text(o.whole).c_str());
    ImGui::EndGroup();
  }

  // --- kernels
  // --------------------------------------------------------------------------------------

  void kernels(Ui& ui) {
    const std::uint32_t which = *ops_.begin();
    if (!kernels_of_ || *kernels_of_ != which) {
      ImGui::TextDisabled("looking for kernels…");
      return;
    }
    if (!kernels_error_.empty()) coloured_wrapped(ui.colours.bad, kernels_error_);
    int number = 0;
    for (const KernelReport& k : kernels_) {
      ImGui::PushID(number++);
      coloured(ui.colours.good, k.candidate);
      tip(k.problem);
      ImGui::SameLine();
      ImGui::TextDisabled("%zu part%s on %s, workspace %s", k.parts.size(),
                          k.parts.size() == 1 ? "" : "s", k.device_kind.c_str(),
                          human_text(k.workspace).c_str());
      tip(k.problem);
      for (const Choice& r : k.refused) {
        ImGui::Indent();
        ImGui::PushTextWrapPos(0);
        ImGui::TextDisabled("%s: %s", r.name.c_str(), r.description.c_str());
        ImGui::PopTextWrapPos();
        ImGui::Unindent();
      }
      if (k.refused.empty()) {
        ImGui::Indent();
        ImGui::TextDisabled("no faster candidate refused");
        ImGui::Unindent();
      }
      ImGui::PopID();
    }
  }

  // --- cost
  // -----------------------------------------------------------------------------------------

  const OpStep* step() const {
    return step_ && ops_.size() == 1 && step_->op == *ops_.begin() ? step_.get() : nullptr;
  }

  static void right(const std::string& text) {
    const float left = ImGui::GetContentRegionAvail().x - ImGui::CalcTextSize(text.c_str()).x;
    if (left > 0) ImGui::SetCursorPosX(ImGui::GetCursorPosX() + left);
    label(text);
  }

  void source_mark(Ui& ui, core::CostSource source) {
    const Colour colour = source == core::CostSource::kMeasured ? ui.colours.good
                          : source == core::CostSource::kFitted ? ui.colours.accent
                                                                : ui.colours.quiet;
    coloured(colour, core::name_of(source));
    tip(source_text(source));
  }

  void cost(Ui& ui) {
    const OpStep* o = step();
    if (!o) {
      ImGui::TextDisabled("simulating…");
      return;
    }
    constexpr auto kFlags = ImGuiTableFlags_RowBg | ImGuiTableFlags_SizingStretchProp;
    if (ImGui::BeginTable("cost", 4, kFlags)) {
      ImGui::TableSetupColumn("task", ImGuiTableColumnFlags_None, 1.9F);
      ImGui::TableSetupColumn("a step", ImGuiTableColumnFlags_None, 1.0F);
      ImGui::TableSetupColumn("work", ImGuiTableColumnFlags_None, 1.5F);
      ImGui::TableSetupColumn("source", ImGuiTableColumnFlags_None, 1.0F);
      ImGui::TableHeadersRow();
      for (const CostRow& c : o->costs) {
        ImGui::TableNextRow();
        ImGui::TableNextColumn();
        swatch(ink_of(work_of(c.kind, c.phase)));
        const float left = ImGui::GetContentRegionAvail().x;
        label(fitted(c.what, left));
        tip(fmt::format("{} ({}): {} call{} of {} each on the device that takes longest", c.what,
                        core::name_of(c.phase), c.calls, c.calls == 1 ? "" : "s",
                        human_text(c.each)));
        ImGui::TableNextColumn();
        right(human_text(c.longest));
        tip(fmt::format("{} × {}", c.calls, human_text(c.each)));
        ImGui::TableNextColumn();
        label(c.flops.value > 0 ? human_text(c.flops) : human_text(c.bytes));
        std::string work = fmt::format("per call: {}, {} read and written", human_text(c.flops),
                                       human_text(c.bytes));
        if (c.each.value > 0)
          work +=
              fmt::format("; {} and {}",
                          human_text(core::FlopsPerSecond(c.flops.value / core::seconds(c.each))),
                          human_text(core::BytesPerSecond(static_cast<double>(c.bytes.value) /
                                                          core::seconds(c.each))));
        tip(work);
        ImGui::TableNextColumn();
        source_mark(ui, c.source);
      }
      ImGui::EndTable();
    }
    if (o->moves.empty()) {
      ImGui::TextDisabled("It moves no data.");
      return;
    }
    if (ImGui::BeginTable("moves", 4, kFlags)) {
      ImGui::TableSetupColumn("moves", ImGuiTableColumnFlags_None, 1.9F);
      ImGui::TableSetupColumn("a step", ImGuiTableColumnFlags_None, 1.0F);
      ImGui::TableSetupColumn("sent", ImGuiTableColumnFlags_None, 1.0F);
      ImGui::TableSetupColumn("group", ImGuiTableColumnFlags_None, 1.5F);
      ImGui::TableHeadersRow();
      for (const MoveRow& m : o->moves) {
        ImGui::TableNextRow();
        ImGui::TableNextColumn();
        swatch(ink_of(Work::kCommunication));
        label(fitted((m.arrives ? "in: " : "") + m.what, ImGui::GetContentRegionAvail().x));
        tip(fmt::format("{}{}\n{} by {}, {} call{} per device", m.arrives ? "arrives: " : "",
                        m.what, core::name_of(m.pattern), core::name_of(m.algorithm), m.calls,
                        m.calls == 1 ? "" : "s"));
        ImGui::TableNextColumn();
        right(human_text(m.longest));
        tip(
            fmt::format("{} moving, {} waiting for others before, on the device for which it takes "
                        "longest; {}",
                        human_text(m.longest), human_text(m.waiting), core::name_of(m.source)));
        ImGui::TableNextColumn();
        right(human_text(m.sent));
        tip("Sent by the device that sends most, in one step.");
        ImGui::TableNextColumn();
        const std::string group =
            m.groups == 1 ? m.group : fmt::format("{} × {} devices", m.groups, m.members);
        label(fitted(group, ImGui::GetContentRegionAvail().x));
        tip(fmt::format("{} group{} of up to {} devices, the first: {}", m.groups,
                        m.groups == 1 ? "" : "s", m.members, m.group));
      }
      ImGui::EndTable();
    }
  }

  // --- memory
  // ---------------------------------------------------------------------------------------

  void memory(Ui& ui) {
    const OpStep* o = step();
    if (!o) {
      ImGui::TextDisabled("simulating…");
      return;
    }
    const core::Bytes limit = ui.session.design().cluster->kind(o->device).memory;
    const bool over = limit.value > 0 && o->arena > limit;
    const std::string line =
        fmt::format("device {} allocates {}{}", o->device.value, human_text(o->arena),
                    limit.value > 0 ? " of " + human_text(limit) : std::string());
    if (over)
      coloured_wrapped(ui.colours.bad, line + ": it does not fit");
    else
      label(line);
    if (!ImGui::BeginTable("held", 3, ImGuiTableFlags_RowBg | ImGuiTableFlags_SizingStretchProp))
      return;
    ImGui::TableSetupColumn("holder", ImGuiTableColumnFlags_None, 1.6F);
    ImGui::TableSetupColumn("bytes", ImGuiTableColumnFlags_None, 1);
    ImGui::TableSetupColumn("at the peak", ImGuiTableColumnFlags_None, 1);
    ImGui::TableHeadersRow();
    for (const HeldRow& h : o->held) {
      ImGui::TableNextRow();
      ImGui::TableNextColumn();
      std::string name(core::name_of(h.kind));
      if (h.memory == core::Memory::kHost) name += " in the host";
      // What is alive at the peak is what does not fit.
      if (over && h.at_peak.value > 0)
        coloured(ui.colours.bad, name);
      else
        label(name);
      ImGui::TableNextColumn();
      right(human_text(h.bytes));
      tip("All its buffers of this kind on that device; some share their bytes.");
      ImGui::TableNextColumn();
      right(human_text(h.at_peak));
      tip("What of it lives where most of the device's memory is in use.");
    }
    ImGui::EndTable();
  }

  // --- waits
  // ----------------------------------------------------------------------------------------

  void waits(Ui& ui) {
    Session& s = ui.session;
    const OpStep* o = step();
    if (!o) {
      ImGui::TextDisabled("simulating…");
      return;
    }
    ImGui::TextDisabled("on device %u", o->device.value);
    const float row = ImGui::GetTextLineHeightWithSpacing();
    const std::size_t count = o->waits.size();
    if (!ImGui::BeginTable(
            "waits", 4,
            ImGuiTableFlags_RowBg | ImGuiTableFlags_ScrollY | ImGuiTableFlags_SizingStretchProp,
            {0, row * (1.5F + static_cast<float>(std::min<std::size_t>(count, 8)))}))
      return;
    ImGui::TableSetupScrollFreeze(0, 1);
    ImGui::TableSetupColumn("task", ImGuiTableColumnFlags_None, 1.5F);
    ImGui::TableSetupColumn("starts", ImGuiTableColumnFlags_None, 1);
    ImGui::TableSetupColumn("idle", ImGuiTableColumnFlags_None, 0.9F);
    ImGui::TableSetupColumn("after", ImGuiTableColumnFlags_None, 2);
    ImGui::TableHeadersRow();
    ImGuiListClipper clipper;
    clipper.Begin(static_cast<int>(count));
    while (clipper.Step())
      for (int i = clipper.DisplayStart; i < clipper.DisplayEnd; ++i) {
        const WaitRow& w = o->waits[static_cast<std::size_t>(i)];
        ImGui::PushID(i);
        ImGui::TableNextRow();
        ImGui::TableNextColumn();
        std::string what = w.what;
        if (strategy().micro_batches > 1) what += fmt::format(" {}", w.micro_batch);
        if (ImGui::Selectable(what.c_str(), s.selection().span == w.span)) {
          s.selection().span = w.span;
          s.selection().device = o->device;
          s.selection().cursor = w.start;
          s.changed();
        }
        tip(fmt::format("{}, micro-batch {}; a click selects it in the timeline", w.what,
                        w.micro_batch));
        ImGui::TableNextColumn();
        right(human_text(w.start));
        ImGui::TableNextColumn();
        if (w.idle.value > 0)
          coloured(ui.colours.warning, human_text(w.idle));
        else
          ImGui::TextDisabled("none");
        tip("Before it nothing was computed for so long.");
        ImGui::TableNextColumn();
        if (w.after.empty()) {
          ImGui::TextDisabled("the start of the step");
        } else {
          const Predecessor& p = w.after.front();
          if (ImGui::Selectable(fitted(p.what, ImGui::GetContentRegionAvail().x).c_str())) {
            s.selection().span = p.span;
            s.selection().cursor = p.end;
            s.selection().device = o->device;
            s.changed();
          }
          std::string all = "Begins after:";
          for (const Predecessor& q : w.after)
            all += fmt::format("\n{}{}, done at {}", q.what,
                               q.in_order ? " (the task before on this device)" : "",
                               human_text(q.end));
          tip(all);
        }
        ImGui::PopID();
      }
    ImGui::EndTable();
  }

  KeptGround ground_;
  std::uint64_t made_for_ = 0;
  std::shared_ptr<const core::Strategy> strategy_;
  OpSet ops_;
  std::optional<Inspection> inspection_;
  std::map<std::string, std::vector<DegreeChoice>> choices_;
  std::vector<CommonAxis> common_;
  std::vector<Ink> inks_;  // by device
  std::vector<DrawnOperand> drawn_;
  std::optional<std::uint32_t> kernels_of_;
  std::vector<KernelReport> kernels_;
  std::string kernels_error_;
  std::shared_ptr<const Evaluation> asked_;
  std::uint32_t asked_op_ = 0;
  std::optional<DeviceId> asked_device_;
  std::shared_ptr<const OpStep> step_;
  ChangeView changes_;
  std::string filter_;
  std::vector<std::uint32_t> found_;
  bool painting_ = false, internals_open_ = false;
  std::vector<DeviceId> painted_;
  std::string paint_error_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);  // jobs ask whether the panel is there
};

}  // namespace

std::unique_ptr<Panel> inspector_panel() { return std::make_unique<InspectorPanel>(); }

}  // namespace soapstone::explorer::view
