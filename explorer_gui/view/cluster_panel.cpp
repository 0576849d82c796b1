// The cluster: its devices coloured by what they do, what moves on its links, and what if it were
// another one.
#include <algorithm>
#include <cmath>
#include <vector>

#include <fmt/core.h>
#include <imgui.h>
#include <imgui_stdlib.h>

#include "core/units.hpp"
#include "explorer_gui/model/cluster_edits.hpp"
#include "explorer_gui/model/cluster_view.hpp"
#include "explorer_gui/view/detail/draw.hpp"
#include "explorer_gui/view/detail/link_sliders.hpp"
#include "explorer_gui/view/panel.hpp"

namespace soapstone::explorer::view {

namespace {

constexpr std::size_t kManyRanks = 600;  // beyond, ranks are no items of their own

class ClusterPanel final : public Panel {
 public:
  ClusterPanel()
      : Panel(
            "Cluster", Dock::kCentre,
            "Devices and links, what they do at the cursor's time, and what if they were others.") {
  }

  std::vector<KeyHelp> keys_help() const override {
    return {{"Click", "Select a device; once more: none"},
            {"Drag a link's slider", "What if the links were so fast? The timeline follows"},
            {"Ctrl+click a slider", "Type how many times as fast"}};
  }

  void draw(Ui& ui) override {
    Session& s = ui.session;
    if (!s.design().cluster) {
      ImGui::TextDisabled("Choose a cluster first.");
      return;
    }
    const core::Cluster& cluster = *s.design().cluster;
    refresh(s);
    controls(ui);
    const float right = ui.points(250);
    const ImVec2 space = ImGui::GetContentRegionAvail();
    const bool beside = space.x > ui.points(560);
    if (ImGui::BeginChild("picture", {beside ? space.x - right : 0, beside ? 0 : space.y * 0.55F}))
      matrix_ ? draw_matrix(ui, cluster) : draw_nodes(ui, cluster);
    ImGui::EndChild();
    if (beside) ImGui::SameLine();
    if (ImGui::BeginChild("figures")) figures(ui, cluster);
    ImGui::EndChild();
  }

 private:
  // What follows from the evaluation is computed once, the load of links beside the window.
  void refresh(Session& s) {
    const auto shown = s.last_shown();
    const auto cluster = s.design().cluster;
    const auto strategy = s.design().shown() ? s.design().shown()->strategy : nullptr;
    if (strategy != strategy_) {
      strategy_ = strategy;
      ranks_ = strategy ? rank_matrix(*cluster, *strategy) : RankMatrix{};
    }
    auto measured = s.measured();
    if (measured && shown && measured->plan_hash != shown->trace.plan_hash) measured = nullptr;
    if (shown == evaluation_ && cluster == cluster_ && shade_ == shaded_by_ &&
        measured == measured_)
      return;
    const bool fresh = shown != evaluation_ || cluster != cluster_;
    if (cluster != cluster_ && strategy) ranks_ = rank_matrix(*cluster, *strategy);
    evaluation_ = shown;
    cluster_ = cluster;
    shaded_by_ = shade_;
    measured_ = measured;
    const bool fits = evaluation_ && evaluation_->plan.device_count == cluster_->size();
    if (!fits)
      shading_ = {};
    else
      s.jobs().start(
          "colours of devices",
          [this, alive = std::weak_ptr<int>(alive_), shown, cluster, measured,
           by = shade_](JobContext&) -> Jobs::Finish {
            auto made = shading(*cluster, *shown, by, measured.get());
            return [this, alive, shown, by, made = std::move(made)]() mutable {
              if (!alive.expired() && shown == evaluation_ && by == shade_)
                shading_ = std::move(made);
            };
          },
          "colours of devices");
    if (!fresh) return;
    load_.reset();
    if (!fits) return;
    s.jobs().start(
        "link load",
        [this, alive = std::weak_ptr<int>(alive_), shown, cluster](JobContext&) -> Jobs::Finish {
          auto load = std::make_shared<const LinkLoad>(*cluster, shown->plan, shown->trace);
          return [this, alive, shown, load] {
            if (!alive.expired() && shown == evaluation_) load_ = load;
          };
        },
        "link load");
  }

  void controls(Ui& ui) {
    ImGui::SetNextItemWidth(ui.points(190));
    if (ImGui::BeginCombo("##shade", std::string(core::name_of(shade_)).c_str())) {
      for (const auto& [shade, name] : enum_names(DeviceShade{}))
        if (ImGui::Selectable(std::string(name).c_str(), shade == shade_)) shade_ = shade;
      ImGui::EndCombo();
    }
    tip("What the colour of a device says.");
    ImGui::SameLine();
    ImGui::Checkbox("by stage", &matrix_);
    tip("Devices in rows by the stage of the pipeline that they compute.");
    ImGui::SameLine();
    const ImVec2 at = ImGui::GetCursorScreenPos();
    const float width = ui.points(90), height = ImGui::GetFrameHeight();
    ImDrawList& list = *ImGui::GetWindowDrawList();
    constexpr int kSteps = 30;
    for (int i = 0; i < kSteps; ++i) {
      const float x = at.x + width * static_cast<float>(i) / kSteps;
      list.AddRectFilled({x, at.y + height * 0.25F},
                         {x + width / kSteps + 1, at.y + height * 0.75F},
                         packed(colour(ui, (i + 0.5) / kSteps)));
    }
    ImGui::Dummy({width, height});
    ImGui::SameLine();
    ImGui::AlignTextToFramePadding();
    ImGui::TextDisabled(
        "%s", shade_ == DeviceShade::kDeviation ? "half … half as long again" : "0 … 100 %");
    tip(shading_.legend);
  }

  Colour colour(Ui& ui, double share) const {
    return shade_ == DeviceShade::kDeviation ? change(2 * share - 1, ui.dark())
                                             : heat(share, ui.dark());
  }

  void paint(Ui& ui, core::DeviceId device, ImVec2 from, float side) const {
    ImDrawList& list = *ImGui::GetWindowDrawList();
    const ImVec2 to{from.x + side, from.y + side};
    const double share = device.value < shading_.share.size() ? shading_.share[device.value] : -1;
    const Colour ground = share < 0 ? Colour{ui.dark() ? 0x24282Eu : 0xE4E7EBu} : colour(ui, share);
    list.AddRectFilled(from, to, packed(ground), side * 0.08F);
    if (share > 1) list.AddRect(from, to, packed(ui.colours.bad), side * 0.08F, ui.points(2));
    if (ui.session.selection().device == device)
      list.AddRect({from.x - 1, from.y - 1}, {to.x + 1, to.y + 1}, packed(ui.colours.accent),
                   side * 0.08F, ui.points(2));
    if (side <= ui.points(26)) return;
    const std::string number = std::to_string(device.value);
    const std::string text =
        device.value < shading_.text.size() && share >= 0 ? shading_.text[device.value] : "";
    const ImU32 ink = packed(text_on(ground));
    list.AddText({from.x + ui.points(4), from.y + ui.points(2)}, ink, number.c_str());
    const std::string shorter = text.substr(0, text.find(" of "));
    const ImVec2 size = ImGui::CalcTextSize(shorter.c_str());
    if (size.x < side - 4 && side > ui.points(44))
      list.AddText({from.x + (side - size.x) / 2, to.y - size.y - ui.points(3)}, ink,
                   shorter.c_str());
  }

  static void select(Ui& ui, core::DeviceId device) {
    auto& selected = ui.session.selection().device;
    selected = selected == device ? std::nullopt : std::optional(device);
    ui.session.changed();
  }

  std::string about_device(const core::Cluster& cluster, core::DeviceId device) const {
    std::string text =
        fmt::format("{} ({})", cluster.device(device).name, cluster.kind(device).name);
    if (device.value < shading_.text.size()) text += "\n" + shading_.text[device.value];
    return text;
  }

  // A device's cell; the item's name is the device's.
  void cell(Ui& ui, const core::Cluster& cluster, core::DeviceId device, ImVec2 from, float side) {
    paint(ui, device, from, side);
    ImGui::SetCursorScreenPos(from);
    if (ImGui::InvisibleButton(fmt::format("device {}", device.value).c_str(), {side, side}))
      select(ui, device);
    if (ImGui::IsItemHovered()) tip(about_device(cluster, device));
  }

  void draw_nodes(Ui& ui, const core::Cluster& cluster) {
    const ImVec2 space = ImGui::GetContentRegionAvail();
    const bool network = cluster.spec().network.has_value();
    const float head = network ? ui.points(46) : 0;
    const ClusterPicture p = picture_of(cluster, space.x / std::max(1.0F, space.y - head));
    const auto side =
        static_cast<float>(std::clamp(std::min(space.x / p.width, (space.y - head) / p.height), 3.0,
                                      static_cast<double>(ui.points(84))));
    const ImVec2 origin = ImGui::GetCursorScreenPos();
    ImDrawList& list = *ImGui::GetWindowDrawList();
    const core::Nanoseconds time = ui.session.selection().cursor;
    const auto load_of = [&](core::LinkId link) {
      if (!load_ || load_->size() != cluster.links().size()) return 0.0;
      return load_->at(link, time) / cluster.link(link).bandwidth.value;
    };
    if (network) {
      // The switch, and a line to every node: the busier of the two directions of its adapter.
      const float width = static_cast<float>(p.width) * side;
      const ImVec2 from{origin.x, origin.y}, to{origin.x + width, origin.y + ui.points(20)};
      list.AddRectFilled(from, to, packed(ui.dark() ? Colour{0x2F353D} : Colour{0xD9DEE4}), 4);
      const std::string text = fmt::format("network, {} per node and direction",
                                           core::human_text(cluster.spec().network->bandwidth));
      list.AddText({from.x + ui.points(6), from.y + ui.points(2)},
                   ImGui::GetColorU32(ImGuiCol_Text), fitted(text, width - 8).c_str());
      for (std::uint32_t n = 0; n < p.nodes.size(); ++n) {
        double share = 0;
        const core::DeviceId inside = first_device(cluster, n);
        const core::DeviceId outside = first_device(cluster, n == 0 ? 1 : 0);
        for (const core::LinkId link : cluster.route(inside, outside))
          if (cluster.link(link).bandwidth == cluster.spec().network->bandwidth)
            share = std::max(share, load_of(link));
        for (const core::LinkId link : cluster.route(outside, inside))
          if (cluster.link(link).bandwidth == cluster.spec().network->bandwidth)
            share = std::max(share, load_of(link));
        const float x = origin.x + static_cast<float>(p.nodes[n].x + p.nodes[n].width / 2) * side;
        const float y = origin.y + head + static_cast<float>(p.nodes[n].y) * side;
        list.AddLine({x, to.y}, {x, y},
                     share > 0 ? packed(heat(0.3 + 0.7 * std::min(1.0, share), ui.dark()))
                               : packed(ui.colours.quiet, 0.5),
                     ui.points(share > 0 ? 2 + 3 * std::min(1.0, share) : 1.5));
      }
    }
    for (std::uint32_t n = 0; n < p.nodes.size(); ++n) {
      const Place& box = p.nodes[n];
      const ImVec2 from{origin.x + static_cast<float>(box.x) * side,
                        origin.y + head + static_cast<float>(box.y) * side};
      const ImVec2 to{from.x + static_cast<float>(box.width) * side,
                      from.y + static_cast<float>(box.height) * side};
      list.AddRectFilled(from, to, packed(ui.dark() ? Colour{0x1A1D21} : Colour{0xF4F5F7}), 4);
      list.AddRect(from, to, ImGui::GetColorU32(ImGuiCol_Border), 4);
      if (side > ui.points(14))
        list.AddText({from.x + ui.points(5), from.y + ui.points(2)},
                     ImGui::GetColorU32(ImGuiCol_TextDisabled), fmt::format("node{}", n).c_str());
    }
    for (std::uint32_t d = 0; d < p.devices.size(); ++d)
      cell(ui, cluster, core::DeviceId(d),
           {origin.x + static_cast<float>(p.devices[d].x) * side,
            origin.y + head + static_cast<float>(p.devices[d].y) * side},
           side);
    ImGui::SetCursorScreenPos(origin);
    ImGui::Dummy({static_cast<float>(p.width) * side, head + static_cast<float>(p.height) * side});
  }

  void draw_matrix(Ui& ui, const core::Cluster& cluster) {
    if (ranks_.columns == 0) return;
    const ImVec2 space = ImGui::GetContentRegionAvail();
    const float labels = ui.points(110);
    const RankMatrix m = folded(ranks_, std::max(1.0F, space.x - labels) / std::max(1.0F, space.y));
    const float side = std::clamp(std::min((space.x - labels) / static_cast<float>(m.columns),
                                           space.y / static_cast<float>(m.rows.size())) -
                                      1,
                                  4.0F, ui.points(84));
    const ImVec2 origin = ImGui::GetCursorScreenPos();
    for (std::size_t r = 0; r < m.rows.size(); ++r)
      if (!m.rows[r].empty())
        ImGui::GetWindowDrawList()->AddText(
            {origin.x, origin.y + static_cast<float>(r) * (side + 1)},
            ImGui::GetColorU32(ImGuiCol_Text), fitted(m.rows[r], labels - 6).c_str());
    const ImVec2 first{origin.x + labels, origin.y};
    const auto place = [&](const RankMatrix::Cell& c) {
      return ImVec2{first.x + static_cast<float>(c.column) * (side + 1),
                    first.y + static_cast<float>(c.row) * (side + 1)};
    };
    const ImVec2 all{static_cast<float>(m.columns) * (side + 1),
                     static_cast<float>(m.rows.size()) * (side + 1)};
    if (m.cells.size() <= kManyRanks) {
      for (const RankMatrix::Cell& c : m.cells) cell(ui, cluster, c.device, place(c), side);
    } else {
      // Thousands are one item: what is under the mouse follows from where it is.
      ImGui::SetCursorScreenPos(first);
      const bool clicked = ImGui::InvisibleButton("ranks", all);
      const bool hovered = ImGui::IsItemHovered();
      const ImVec2 mouse = ImGui::GetIO().MousePos;
      const RankMatrix::Cell* under =
          hovered ? cell_at(m, (mouse.x - first.x) / (side + 1), (mouse.y - first.y) / (side + 1))
                  : nullptr;
      ImDrawList& list = *ImGui::GetWindowDrawList();
      const ImVec2 seen_from = list.GetClipRectMin(), seen_to = list.GetClipRectMax();
      for (const RankMatrix::Cell& c : m.cells) {
        const ImVec2 from = place(c);
        if (from.x > seen_to.x || from.x + side < seen_from.x || from.y > seen_to.y ||
            from.y + side < seen_from.y)
          continue;
        paint(ui, c.device, from, side);
      }
      if (clicked && under) select(ui, under->device);
      if (under) tip(about_device(cluster, under->device));
    }
    ImGui::SetCursorScreenPos(origin);
    ImGui::Dummy({labels + all.x, all.y});
  }

  static core::DeviceId first_device(const core::Cluster& cluster, std::uint32_t node) {
    for (std::uint32_t d = 0; d < cluster.size(); ++d)
      if (cluster.devices()[d].node == node) return core::DeviceId(d);
    return core::DeviceId(0);
  }

  void apply(Ui& ui, core::ClusterSpec spec, const std::string& what, const std::string& key = {}) {
    if (const auto status = ui.session.set_cluster(std::move(spec), what, key); !status)
      ui.session.complain(status.error().message);
  }

  // A figure with its unit that can be typed over.
  template <class Figure, class Apply>
  void figure(Ui& ui, const char* name, Figure now, const std::string& source, Apply&& changed) {
    const std::string id = std::string("##") + name;
    std::string& text = typed_ == id ? text_ : shown_;
    if (typed_ != id) shown_ = core::human_text(now);
    ImGui::SetNextItemWidth(ui.points(110));
    ImGui::InputText((std::string(name)).c_str(), &text);
    if (ImGui::IsItemActivated()) {
      typed_ = id;
      text_ = core::human_text(now);
    }
    if (ImGui::IsItemDeactivatedAfterEdit()) {
      const auto parsed = core::parse_quantity<Figure>(text_);
      if (!parsed)
        ui.session.complain(fmt::format("{}: {}", name, parsed.error().message));
      else if (parsed->value <= 0)
        ui.session.complain(fmt::format("{}: {}: more than 0 is accepted", name, text_));
      else
        changed(*parsed);
    }
    if (ImGui::IsItemDeactivated()) typed_.clear();
    tip("source: " + source);
  }

  void figures(Ui& ui, const core::Cluster& cluster) {
    Session& s = ui.session;
    const core::ClusterSpec& spec = cluster.spec();
    ImGui::PushFont(ui.fonts.bold, 0);
    label(spec.name);
    ImGui::PopFont();
    ImGui::TextDisabled("%zu devices on %zu %s", cluster.size(), cluster.nodes(),
                        cluster.nodes() == 1 ? "node" : "nodes");
    if (spec.network) {
      ImGui::SeparatorText("Network");
      figure(ui, "bandwidth", spec.network->bandwidth, spec.network->source, [&](auto value) {
        apply(ui, with_network(spec, value, spec.network->latency),
              fmt::format("network of {}", core::human_text(value)));
      });
      figure(ui, "latency", spec.network->latency, spec.network->source, [&](auto value) {
        apply(ui, with_network(spec, spec.network->bandwidth, value),
              fmt::format("network latency of {}", core::human_text(value)));
      });
      factors(ui, "network", [&](double factor) {
        apply(ui,
              with_network(spec, core::BytesPerSecond(spec.network->bandwidth.value * factor),
                           spec.network->latency),
              fmt::format("network {:.3g} times as fast", factor));
      });
    }
    if (!cluster.links().empty()) {
      ImGui::SeparatorText("What if links were so fast");
      link_sliders(ui, ui.points(70), Flow::kBelow);
      if (s.question().stands()) answer_line(ui, Flow::kBelow);
    }
    for (std::size_t e = 0; e < spec.node.size(); ++e) {
      const auto& inside = spec.node[e].interconnect;
      if (!inside) continue;
      ImGui::PushID(static_cast<int>(e));
      ImGui::SeparatorText(fmt::format("{} inside {}", core::name_of(inside->kind),
                                       spec.node.size() == 1 ? "nodes" : fmt::format("entry {}", e))
                               .c_str());
      figure(ui, "inside", inside->bandwidth, inside->source, [&](auto value) {
        apply(ui, with_interconnect(spec, e, value, inside->latency),
              fmt::format("{} of {}", core::name_of(inside->kind), core::human_text(value)));
      });
      factors(ui, "inside", [&](double factor) {
        apply(ui,
              with_interconnect(spec, e, core::BytesPerSecond(inside->bandwidth.value * factor),
                                inside->latency),
              fmt::format("{} {:.3g} times as fast", core::name_of(inside->kind), factor));
      });
      ImGui::PopID();
    }
    for (std::size_t k = 0; k < spec.device_kind.size(); ++k) {
      ImGui::PushID(1000 + static_cast<int>(k));
      ImGui::SeparatorText(spec.device_kind[k].name.c_str());
      figure(ui, "memory", spec.device_kind[k].memory, spec.device_kind[k].source, [&](auto value) {
        apply(ui, with_memory(spec, k, value),
              fmt::format("{} with {}", spec.device_kind[k].name, core::human_text(value)));
      });
      factors(ui, "kind", [&](double factor) {
        apply(ui, with_speed(spec, k, factor),
              fmt::format("{} {:.3g} times as fast", spec.device_kind[k].name, factor));
      });
      ImGui::PopID();
    }
    ImGui::SeparatorText("Selected device");
    const auto device = s.selection().device;
    if (!device || device->value >= cluster.size()) {
      ImGui::TextDisabled("Click a device.");
    } else {
      const std::uint32_t node = cluster.device(*device).node;
      label(cluster.device(*device).name);
      if (ImGui::Button("Without this device")) {
        auto next = without_device(spec, device->value);
        if (next)
          apply(ui, std::move(*next), "without " + cluster.device(*device).name);
        else
          s.complain(next.error().message);
      }
      if (ImGui::Button("Without this node")) {
        auto next = without_node(spec, node);
        if (next)
          apply(ui, std::move(*next), fmt::format("without node{}", node));
        else
          s.complain(next.error().message);
      }
      ImGui::SameLine();
      if (ImGui::Button("One more node")) apply(ui, with_one_more(spec, node), "one more node");
      if (ImGui::Button("This node half as fast"))
        apply(ui, with_node_speed(spec, node, 0.5), fmt::format("node{} half as fast", node));
    }
    ImGui::SeparatorText("Busiest links at the cursor");
    tip("The cursor stands where the timeline was clicked last.");
    const core::Nanoseconds time = s.selection().cursor;
    if (!load_) {
      ImGui::TextDisabled("no step yet");
      return;
    }
    const auto busy = busiest(cluster, *load_, time, 5);
    ImGui::TextDisabled("at %s", core::human_text(time).c_str());
    if (busy.empty()) ImGui::TextDisabled("nothing moves then");
    for (const BusyLink& b : busy) {
      label(fmt::format("{}  {} ({:.0f} %)", cluster.link(b.link).name,
                        core::human_text(core::BytesPerSecond(b.rate)), 100 * b.share));
    }
  }

  template <class Apply>
  static void factors(Ui& ui, const char* id, Apply&& apply) {
    ImGui::PushID(id);
    ImGui::TextDisabled("make it");
    for (const auto& [text, factor] :
         {std::pair("half", 0.5), std::pair("twice", 2.0), std::pair("10 times", 10.0)}) {
      ImGui::SameLine(0, ui.points(4));
      if (ImGui::SmallButton(text)) apply(factor);
    }
    ImGui::PopID();
  }

  DeviceShade shade_ = DeviceShade::kComputing, shaded_by_ = DeviceShade::kComputing;
  bool matrix_ = false;
  std::shared_ptr<const Evaluation> evaluation_;
  std::shared_ptr<const core::Cluster> cluster_;
  std::shared_ptr<const core::Strategy> strategy_;
  std::shared_ptr<const core::Trace> measured_;
  RankMatrix ranks_;
  DeviceShading shading_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
  std::shared_ptr<const LinkLoad> load_;
  std::string typed_, text_, shown_;
};

}  // namespace

std::unique_ptr<Panel> cluster_panel() { return std::make_unique<ClusterPanel>(); }

}  // namespace soapstone::explorer::view
