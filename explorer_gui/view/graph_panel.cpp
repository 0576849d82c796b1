// The graph: boxes and edges of the model under the strategy that is shown.
#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <optional>
#include <set>

#include <fmt/core.h>
#include <imgui.h>
#include <imgui_stdlib.h>

#include "core/units.hpp"
#include "explorer_gui/model/graph_view.hpp"
#include "explorer_gui/view/detail/draw.hpp"
#include "explorer_gui/view/file_dialog.hpp"
#include "explorer_gui/view/panel.hpp"

namespace soapstone::explorer::view {

namespace {

constexpr double kWheel = 1.2;           // zoom per notch
constexpr std::size_t kMostItems = 600;  // nodes with names for the keyboard and for tests

const char* title_of(NodeColour by) {
  switch (by) {
    case NodeColour::kDevices:
      return "Colour by devices";
    case NodeColour::kTime:
      return "Colour by time";
    case NodeColour::kMemory:
      return "Colour by memory";
    case NodeColour::kCommunication:
      return "Colour by communication";
    case NodeColour::kDegree:
      return "Colour by degree";
    case NodeColour::kChange:
      return "Colour by change";
  }
  return "";
}

const char* tip_of(NodeColour by) {
  switch (by) {
    case NodeColour::kDevices:
      return "Nodes on the same devices have the same colour and pattern.";
    case NodeColour::kTime:
      return "The time of a step, on the device where it takes longest.";
    case NodeColour::kMemory:
      return "Bytes of its buffers, on the device where they take most.";
    case NodeColour::kCommunication:
      return "Bytes that all devices send for it in a step.";
    case NodeColour::kDegree:
      return "Into how many parts and copies it is cut.";
    case NodeColour::kChange:
      return "Time against the strategy that is compared: blue is faster, orange slower.";
  }
  return "";
}

class GraphPanel final : public Panel {
 public:
  GraphPanel()
      : Panel("Graph", Dock::kCentre,
              "The model as a graph: who computes what where, and what moves in between.") {}

  std::vector<KeyHelp> keys_help() const override {
    return {{"Wheel", "Come nearer, go further away"},
            {"Drag, middle button", "Move"},
            {"Home", "All of the graph"},
            {"/", "Search for an operator"},
            {"Enter, Shift+Enter", "In the search: the next one, the one before"},
            {"Up, Down, Left, Right", "Select the neighbour along an edge, or beside"},
            {"Enter, double click", "Open or close a block"},
            {"Click", "Select an operator, a block or an edge's two ends"},
            {"Ctrl+click", "Select one more"},
            {"Shift+drag, right drag", "Select everything in a box; with Ctrl: more"}};
  }

  void add_actions(Ui& ui) override {
    view_ = std::make_unique<GraphView>(ui.session);
    GraphView* v = view_.get();
    const auto laid_out = [v] {
      return v->scene() ? std::string() : std::string("There is no graph yet.");
    };
    const auto add = [&](const char* id, const char* name, const char* what,
                         std::function<void()> run, std::function<std::string()> why_not) {
      ui.actions.add({id, name, "", what, std::move(run), std::move(why_not)});
    };
    add(
        "graph.fit", "Graph: all of it", "Shows the whole graph (Home in the graph).",
        [v] { v->fit_asked = true; }, laid_out);
    add(
        "graph.first_sight", "Graph: fold as at first",
        "Opens as many blocks as fit on the screen, and closes the others.",
        [v] { v->first_sight(); }, laid_out);
    add(
        "graph.open_all", "Graph: open everything", "Shows every operator.", [v] { v->open_all(); },
        laid_out);
    add(
        "graph.close_all", "Graph: close everything", "Folds every block.", [v] { v->close_all(); },
        laid_out);
    add(
        "graph.find", "Graph: find an operator", "Goes to the search box (/ in the graph).",
        [this] {
          open = to_front = true;
          focus_search_ = true;
        },
        laid_out);
    for (const auto& [by, name] : enum_names(NodeColour{}))
      ui.actions.add({fmt::format("graph.colour_{}", name),
                      fmt::format("Graph: colour by {}", name), "", tip_of(by),
                      [v, by = by] { v->colour = by; },
                      [&ui, by = by] { return why_not(ui, by); }});
    add(
        "graph.side_by_side", "Graph: both strategies beside each other",
        "Left the strategy that is shown, right the one it is compared with.",
        [v] { v->side_by_side = !v->side_by_side; },
        [&ui] { return why_not(ui, NodeColour::kChange); });
    static constexpr std::array<std::pair<Way, const char*>, 4> kWays = {
        {{Way::kUp, "up"}, {Way::kDown, "down"}, {Way::kLeft, "left"}, {Way::kRight, "right"}}};
    for (const auto& [way, name] : kWays)
      ui.actions.add({fmt::format("graph.{}", name),
                      fmt::format("Graph: select the neighbour, {}", name), "",
                      "Arrow keys in the graph: up and down follow edges.",
                      [v, way = way] { v->move(way); }, laid_out});
    for (const char* format : {"dot", "svg", "pdf"})
      ui.actions.add(
          {fmt::format("graph.save_{}", format), fmt::format("Graph: save as {}…", upper(format)),
           "", "What is shown, with colours, moves and legend.", [this, format] { save(format); },
           [v] {
             return v->figures() ? std::string()
                                 : std::string("There is no graph with a strategy yet.");
           }});
  }

  void draw(Ui& ui) override {
    GraphView& v = *view_;
    v.update(ui.dark());
    files_.draw();
    if (!ui.session.design().graph) {
      empty("Choose a model: its graph appears here.");
      return;
    }
    toolbar(ui);
    const auto scene = v.scene();
    if (!scene) {
      empty(v.error().empty() ? "The graph is laid out …" : v.error());
      return;
    }
    legend(ui);
    const ImVec2 room = ImGui::GetContentRegionAvail();
    const auto paint = v.paint();
    const auto other = v.side_by_side ? v.baseline_paint() : nullptr;
    if (other) {
      const float half = std::floor((room.x - ui.points(4)) / 2);
      canvas(ui, "canvas", {half, room.y}, *scene, *paint, name_of(ui.session.design().shown()),
             true);
      ImGui::SameLine(0, ui.points(4));
      canvas(ui, "baseline", {room.x - half - ui.points(4), room.y}, *scene, *other,
             name_of(ui.session.design().compared()), false);
    } else {
      canvas(ui, "canvas", room, *scene, *paint, "", true);
    }
  }

 private:
  static std::string upper(std::string text) {
    for (char& c : text) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
    return text;
  }
  static std::string name_of(const NamedStrategy* s) { return s ? s->name : std::string(); }
  static std::string why_not(Ui& ui, NodeColour by) {
    if (by != NodeColour::kChange) return {};
    const NamedStrategy* other = ui.session.design().compared();
    return other && other != ui.session.design().shown()
               ? std::string()
               : std::string("Choose a strategy to compare with first.");
  }

  static void empty(const std::string& text) {
    const ImVec2 room = ImGui::GetContentRegionAvail();
    const ImVec2 size = ImGui::CalcTextSize(text.c_str());
    const ImVec2 at = ImGui::GetCursorPos();
    ImGui::SetCursorPos({at.x + std::max(0.0F, (room.x - size.x) / 2),
                         at.y + std::max(0.0F, (room.y - size.y) / 2)});
    ImGui::TextDisabled("%s", text.c_str());
  }

  void save(const std::string& format) {
    files_.ask("Save the graph as " + upper(format), FileDialog::Purpose::kSave, "graph." + format,
               [this, format](const std::string& file) { view_->save(file, format); });
  }

  // --- above the picture
  // --------------------------------------------------------------------------
  void toolbar(Ui& ui) {
    GraphView& v = *view_;
    ImGui::SetNextItemWidth(ui.points(132));
    if (ImGui::BeginCombo("##colour", std::string(core::name_of(v.colour)).c_str())) {
      for (const auto& [by, name] : enum_names(NodeColour{})) {
        const std::string refusal = why_not(ui, by);
        ImGui::BeginDisabled(!refusal.empty());
        if (ImGui::Selectable(std::string(name).c_str(), by == v.colour)) v.colour = by;
        ImGui::EndDisabled();
        tip(refusal.empty() ? tip_of(by) : refusal);
      }
      ImGui::EndCombo();
    }
    tip(fmt::format("{}. {}", title_of(v.colour), tip_of(v.colour)));
    ImGui::SameLine();
    ImGui::SetNextItemWidth(ui.points(130));
    if (std::exchange(focus_search_, false)) ImGui::SetKeyboardFocusHere();
    const bool enter = ImGui::InputTextWithHint("##search", "find an operator", &search_,
                                                ImGuiInputTextFlags_EnterReturnsTrue);
    if (enter && !search_.empty()) {
      found_ = v.find(search_, ImGui::GetIO().KeyShift);
      focus_search_ = true;
    }
    tip("Name or kind of an operator. Enter: the next one, Shift+Enter: the one before.");
    if (!search_.empty()) {
      ImGui::SameLine(0, ui.points(4));
      if (!found_)
        ImGui::TextDisabled("none");
      else if (v.matches() > 0)
        ImGui::TextDisabled("%zu/%zu", v.match() + 1, v.matches());
    }
    ImGui::SameLine();
    bool both = v.side_by_side;
    const std::string refusal = why_not(ui, NodeColour::kChange);
    ImGui::BeginDisabled(!refusal.empty());
    if (ImGui::Checkbox("both", &both)) v.side_by_side = both;
    ImGui::EndDisabled();
    tip(refusal.empty() ? "Left the strategy that is shown, right the one it is compared with."
                        : refusal);
    ImGui::SameLine();
    if (ImGui::Button("fit")) v.fit_asked = true;
    tip("All of the graph (Home).");
    ImGui::SameLine();
    if (ImGui::Button("fold")) v.first_sight();
    tip("Opens as many blocks as fit on the screen, and closes the others.");
    if (v.working()) {
      ImGui::SameLine();
      ImGui::TextDisabled("…");
    }
  }

  void legend(Ui& ui) {
    const auto paint = view_->paint();
    const float right = ImGui::GetContentRegionAvail().x + ImGui::GetCursorPosX();
    constexpr std::size_t kMost = 16;
    bool first = true;
    const auto entry = [&](const Ink& ink, const std::string& text) {
      const float width = ImGui::CalcTextSize(text.c_str()).x + ui.points(20);
      if (!first) {
        ImGui::SameLine(0, ui.points(10));
        if (ImGui::GetCursorPosX() + width > right) ImGui::NewLine();
      }
      first = false;
      swatch(ink);
      label(text);
    };
    for (std::size_t i = 0; i < std::min(kMost, paint->legend.size()); ++i)
      entry(paint->legend[i].ink, paint->legend[i].text);
    if (paint->legend.size() > kMost)
      entry({ui.colours.quiet, Pattern::kSolid},
            fmt::format("{} more", paint->legend.size() - kMost));
    if (!paint->nodes.empty() && view_->figures()) {
      entry({forward_colour(), Pattern::kSolid}, "values moved");
      tip(view_->figures()->exposure_known
              ? "What devices send each other for the forward pass; the thicker, the longer "
                "devices wait "
                "for it."
              : "What devices send each other for the forward pass; the thicker, the more bytes.");
      entry({backward_colour(), Pattern::kSolid}, "gradients back");
      tip("The same for the backward pass; dashed, and against the direction of the graph.");
    }
  }

  static Colour forward_colour() { return ink_of(Work::kCommunication).colour; }
  static Colour backward_colour() { return ink_of(Work::kBackwardInput).colour; }

  // --- the picture
  // --------------------------------------------------------------------------------
  struct Canvas {
    ImDrawList& list;
    ImVec2 from, to;
    const Camera& camera;
    const GraphScene& scene;
    const GraphPaint& paint;
    Rect seen;

    ImVec2 at(Point p) const {
      const Point s = camera.to_screen(p);
      return {from.x + static_cast<float>(s.x), from.y + static_cast<float>(s.y)};
    }
    Point picture(ImVec2 p) const {
      return camera.to_picture(
          {static_cast<double>(p.x - from.x), static_cast<double>(p.y - from.y)});
    }
  };

  void canvas(Ui& ui, const char* id, ImVec2 size, const GraphScene& scene, const GraphPaint& paint,
              const std::string& caption, bool main) {
    GraphView& v = *view_;
    size = {std::max(size.x, ui.points(40)), std::max(size.y, ui.points(40))};
    ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, {0, 0});
    const bool shown =
        ImGui::BeginChild(id, size, ImGuiChildFlags_Borders,
                          ImGuiWindowFlags_NoScrollbar | ImGuiWindowFlags_NoScrollWithMouse |
                              ImGuiWindowFlags_NoMove | ImGuiWindowFlags_NoNav);
    ImGui::PopStyleVar();
    if (!shown) {
      ImGui::EndChild();
      return;
    }
    if (main) {
      const double w = size.x, h = size.y;
      if (v.camera.width != w || v.camera.height != h) {
        const bool first = v.camera.width <= 1;
        v.camera.width = w;
        v.camera.height = h;
        if (first || fitted_) v.fit_asked = true;
      }
      if (scene_.get() != &scene) {
        if (scene_ && fitted_) v.fit_asked = true;
        if (scene_ && anchor_) keep_anchor(scene);
        anchor_.reset();
        scene_ = view_->scene();
        marked_.clear();
      }
      if (std::exchange(v.fit_asked, false)) {
        v.camera.fit(scene.box, ui.scale);
        fitted_ = true;
      }
      if (v.centre_asked && !v.working()) {
        const std::uint32_t op = *std::exchange(v.centre_asked, std::nullopt);
        if (op < scene.node_of_op.size()) centre(ui, scene.nodes[scene.node_of_op[op]].box);
      }
    }
    if (const auto& ops = ui.session.selection().ops; marked_.empty() || ops != marked_ops_) {
      marked_ops_ = ops;
      marked_.clear();
      for (const GraphNode& node : scene.nodes) marked_.push_back(v.selected(node) ? 1 : 0);
    }
    const ImVec2 from = ImGui::GetCursorScreenPos();
    Canvas c{*ImGui::GetWindowDrawList(),
             from,
             {from.x + size.x, from.y + size.y},
             v.camera,
             scene,
             paint,
             v.camera.seen()};
    ImGui::SetNextItemAllowOverlap();
    ImGui::InvisibleButton("picture", size,
                           ImGuiButtonFlags_MouseButtonLeft | ImGuiButtonFlags_MouseButtonMiddle |
                               ImGuiButtonFlags_MouseButtonRight);
    bool hovered = ImGui::IsItemHovered();
    bool active = ImGui::IsItemActive();
    hovered_node_ = hovered_edge_ = kNoFold;
    frames(ui, c);
    edges(ui, c);
    nodes(ui, c);
    items(ui, c, main, hovered, active);
    minimap(ui, c, main);
    mouse(ui, c, hovered, active);
    if (!caption.empty()) {
      const ImVec2 extent = ImGui::CalcTextSize(caption.c_str());
      const ImVec2 at{c.from.x + ui.points(8), c.from.y + ui.points(6)};
      c.list.AddRectFilled({at.x - ui.points(4), at.y - ui.points(2)},
                           {at.x + extent.x + ui.points(4), at.y + extent.y + ui.points(2)},
                           ImGui::GetColorU32(ImGuiCol_PopupBg), ui.points(3));
      c.list.AddText(at, ImGui::GetColorU32(ImGuiCol_Text), caption.c_str());
    }
    if (main && ImGui::IsWindowFocused()) keys(ui);
    ImGui::EndChild();
  }

  // What was opened or closed stays where it was.
  struct Anchor {
    std::uint32_t fold;
    Point top;  // the middle of its upper border, in pixels
  };
  static const Rect* box_of(const GraphScene& scene, std::uint32_t fold) {
    for (const GraphNode& n : scene.nodes)
      if (n.fold == fold) return &n.box;
    for (const GraphFrame& f : scene.frames)
      if (f.fold == fold) return &f.box;
    return nullptr;
  }
  void anchor(const GraphScene& scene, std::uint32_t fold) {
    if (const Rect* box = box_of(scene, fold))
      anchor_ = Anchor{fold, view_->camera.to_screen({box->centre().x, box->low.y})};
  }
  void keep_anchor(const GraphScene& scene) {
    const Rect* box = box_of(scene, anchor_->fold);
    if (!box) return;
    const Point now = view_->camera.to_screen({box->centre().x, box->low.y});
    view_->camera.pan(anchor_->top.x - now.x, anchor_->top.y - now.y);
  }
  void open_fold(const GraphScene& scene, std::uint32_t fold) {
    anchor(scene, fold);
    view_->open(fold);
  }
  void close_fold(const GraphScene& scene, std::uint32_t fold) {
    anchor(scene, fold);
    view_->close(fold);
  }

  // To the middle; near enough to be read.
  void centre(Ui& ui, const Rect& box) {
    Camera& camera = view_->camera;
    camera.at = box.centre();
    camera.zoom = std::max(camera.zoom, 0.8 * ui.scale);
    fitted_ = false;
  }

  void frames(Ui& ui, const Canvas& c) const {
    for (std::size_t f = 1; f < c.scene.frames.size(); ++f) {
      const GraphFrame& frame = c.scene.frames[f];
      if (!frame.box.meets(c.seen)) continue;
      const ImVec2 low = c.at(frame.box.low), high = c.at(frame.box.high);
      c.list.AddRectFilled(low, high, ImGui::GetColorU32(ImGuiCol_Text, 0.035F), ui.points(5));
      c.list.AddRect(low, high, ImGui::GetColorU32(ImGuiCol_Border), ui.points(5));
      const float room = static_cast<float>(26 * c.camera.zoom);
      if (room < ui.points(5)) continue;
      const float font = std::clamp(room * 0.56F, ui.points(8), ui.points(15));
      const float button = frame_button(ui, c);
      const std::string text =
          frame.count > 1 ? fmt::format("{} ×{}{}", frame.label, frame.count,
                                        frame.shown == Shown::kOnce ? ", one shown for all" : "")
                          : frame.label;
      ImGui::PushFont(ui.fonts.bold, font / ui_font_scale(ui));
      const std::string fits = fitted(text, high.x - low.x - button * 3);
      c.list.AddText(
          {low.x + button * 1.4F + ui.points(4), low.y + (room - ImGui::GetTextLineHeight()) / 2},
          ImGui::GetColorU32(ImGuiCol_TextDisabled), fits.c_str());
      ImGui::PopFont();
    }
  }

  // PushFont takes sizes before the screen's scale.
  static float ui_font_scale(Ui& ui) { return static_cast<float>(ui.scale); }
  // Large enough to be hit as long as there is room.
  static float frame_button(Ui& ui, const Canvas& c) {
    const double own = 16 * c.camera.zoom;
    return static_cast<float>(c.camera.zoom < 0.12 * ui.scale ? own : std::max(own, 9 * ui.scale));
  }

  void edges(Ui& ui, const Canvas& c) const {
    const auto quiet = ImGui::GetColorU32(ImGuiCol_TextDisabled, 0.55F);
    const double zoom = c.camera.zoom;
    const bool fine = zoom > 0.12 * ui.scale;
    for (std::uint32_t e = 0; e < c.scene.edges.size(); ++e) {
      const GraphEdge& edge = c.scene.edges[e];
      if (!edge.box.meets(c.seen)) continue;
      const EdgePaint& p = c.paint.edges[e];
      const bool marked = marked_[edge.from] || marked_[edge.to];
      if (!fine && !marked) {
        const ImVec2 a = c.at(edge.curve.front()), b = c.at(edge.curve.back());
        if (std::abs(a.x - b.x) + std::abs(a.y - b.y) < 2) continue;
        c.list.AddLine(a, b, p.forward > 0 ? packed(forward_colour(), 0.8) : quiet, 1);
        continue;
      }
      const float scale = static_cast<float>(std::clamp(zoom, 0.35 * ui.scale, 1.6 * ui.scale));
      if (marked)
        curve(c, edge, 0, 3 * scale + static_cast<float>(std::max(p.forward, p.backward)) * scale,
              packed(ui.colours.accent, 0.45), false);
      const float forward = static_cast<float>(p.forward) * scale,
                  backward = static_cast<float>(p.backward) * scale;
      const float apart = forward > 0 && backward > 0 ? (forward + backward) / 2 + scale : 0;
      if (forward > 0)
        curve(c, edge, -apart / 2, forward, packed(forward_colour()), false);
      else
        curve(c, edge, -apart / 2, std::max(1.0F, 1.2F * scale), quiet, edge.to_next_block);
      if (backward > 0) curve(c, edge, apart / 2, backward, packed(backward_colour()), true);
      if (zoom > 0.3 * ui.scale) {
        arrow(c, edge, -apart / 2, true, std::max(4.5F * scale, forward * 1.1F),
              forward > 0 ? packed(forward_colour()) : quiet);
        if (backward > 0)
          arrow(c, edge, apart / 2, false, std::max(4.5F * scale, backward * 1.1F),
                packed(backward_colour()));
      }
      if (zoom > 0.75 * ui.scale) edge_text(ui, c, edge, p);
    }
  }

  // Beside the curve by so many pixels to the right of a way down.
  static void curve(const Canvas& c, const GraphEdge& edge, float aside, float width, ImU32 colour,
                    bool dashed) {
    if (!dashed) {
      const auto at = [&](std::size_t i) {
        const ImVec2 p = c.at(edge.curve[i]);
        return ImVec2{p.x + aside, p.y};
      };
      c.list.PathLineTo(at(0));
      for (std::size_t i = 0; i + 3 < edge.curve.size(); i += 3)
        c.list.PathBezierCubicCurveTo(at(i + 1), at(i + 2), at(i + 3));
      c.list.PathStroke(colour, width);
      return;
    }
    // Dashes by the length that was gone.
    const float dash = std::max(6.0F, width * 2), gap = std::max(4.0F, width);
    float gone = 0;
    bool drawing = false;
    for (std::size_t i = 0; i + 3 < edge.curve.size(); i += 3) {
      ImVec2 last = c.at(edge.curve[i]);
      const ImVec2 p0 = last, p1 = c.at(edge.curve[i + 1]), p2 = c.at(edge.curve[i + 2]),
                   p3 = c.at(edge.curve[i + 3]);
      const float length = std::hypot(p1.x - p0.x, p1.y - p0.y) +
                           std::hypot(p2.x - p1.x, p2.y - p1.y) +
                           std::hypot(p3.x - p2.x, p3.y - p2.y);
      // What is longer than any screen is not looked at closely.
      const int pieces = std::clamp(static_cast<int>(length / 2), 1, 1000);
      for (int k = 1; k <= pieces; ++k) {
        const float t = static_cast<float>(k) / static_cast<float>(pieces), s = 1 - t;
        const float w0 = s * s * s, w1 = 3 * s * s * t, w2 = 3 * s * t * t, w3 = t * t * t;
        const ImVec2 now{w0 * p0.x + w1 * p1.x + w2 * p2.x + w3 * p3.x,
                         w0 * p0.y + w1 * p1.y + w2 * p2.y + w3 * p3.y};
        const bool on = std::fmod(gone, dash + gap) < dash;
        if (on && !drawing) c.list.PathLineTo({last.x + aside, last.y});
        if (on) c.list.PathLineTo({now.x + aside, now.y});
        if (!on && drawing) c.list.PathStroke(colour, width);
        drawing = on;
        gone += std::hypot(now.x - last.x, now.y - last.y);
        last = now;
      }
    }
    if (drawing) c.list.PathStroke(colour, width);
  }

  static void arrow(const Canvas& c, const GraphEdge& edge, float aside, bool at_end, float size,
                    ImU32 colour) {
    const std::size_t n = edge.curve.size();
    ImVec2 tip_at = c.at(at_end ? edge.curve[n - 1] : edge.curve[0]);
    ImVec2 before = c.at(at_end ? edge.curve[n - 2] : edge.curve[1]);
    tip_at.x += aside;
    before.x += aside;
    float dx = tip_at.x - before.x, dy = tip_at.y - before.y;
    const float length = std::hypot(dx, dy);
    if (length < 0.01F) return;
    dx /= length;
    dy /= length;
    const ImVec2 base{tip_at.x - dx * size * 1.5F, tip_at.y - dy * size * 1.5F};
    c.list.AddTriangleFilled(tip_at, {base.x - dy * size * 0.7F, base.y + dx * size * 0.7F},
                             {base.x + dy * size * 0.7F, base.y - dx * size * 0.7F}, colour);
  }

  static void edge_text(Ui& ui, const Canvas& c, const GraphEdge& edge, const EdgePaint& p) {
    const auto lines = edge_label(p);
    if (lines.empty()) return;
    const std::size_t middle = std::min((edge.curve.size() - 1) / 6 * 3, edge.curve.size() - 4);
    const Point a = edge.curve[middle], b = edge.curve[middle + 3];
    const Point half{(a.x + 3 * edge.curve[middle + 1].x + 3 * edge.curve[middle + 2].x + b.x) / 8,
                     (a.y + 3 * edge.curve[middle + 1].y + 3 * edge.curve[middle + 2].y + b.y) / 8};
    ImGui::PushFont(ui.fonts.text, 12);
    const float line = ImGui::GetTextLineHeight();
    float width = 0;
    for (const std::string& text : lines)
      width = std::max(width, ImGui::CalcTextSize(text.c_str()).x);
    ImVec2 at = c.at(half);
    at = {at.x + ui.points(9), at.y - line * static_cast<float>(lines.size()) / 2};
    c.list.AddRectFilled(
        {at.x - ui.points(3), at.y - ui.points(1)},
        {at.x + width + ui.points(3), at.y + line * static_cast<float>(lines.size())},
        ImGui::GetColorU32(ImGuiCol_WindowBg, 0.85F), ui.points(3));
    for (const std::string& text : lines) {
      c.list.AddText(at, ImGui::GetColorU32(ImGuiCol_Text), text.c_str());
      at.y += line;
    }
    ImGui::PopFont();
  }

  void nodes(Ui& ui, const Canvas& c) const {
    const double zoom = c.camera.zoom;
    for (std::uint32_t n = 0; n < c.scene.nodes.size(); ++n) {
      const GraphNode& node = c.scene.nodes[n];
      if (!node.box.meets(c.seen)) continue;
      const NodePaint& p = c.paint.nodes[n];
      const ImVec2 low = c.at(node.box.low), high = c.at(node.box.high);
      const float height = high.y - low.y, width = high.x - low.x;
      const bool source = node.kind.empty();
      const float round = source ? height / 2 : std::min(ui.points(5), height / 4);
      const ImU32 line = ImGui::GetColorU32(ImGuiCol_Text, 0.45F);
      if (height < 3) {
        c.list.AddRectFilled(low, high, packed(p.inks.front().colour));
        continue;
      }
      const Ink& ink = p.inks.front();
      // What stands for several lies on a pile.
      if (node.opens && height > ui.points(8)) {
        const float step = std::max(2.0F, static_cast<float>(3 * zoom));
        for (int k = 2; k >= 1; --k) {
          const float d = step * static_cast<float>(k);
          c.list.AddRectFilled({low.x + d, low.y + d}, {high.x + d, high.y + d},
                               packed(ink.colour, 0.55), round);
          c.list.AddRect({low.x + d, low.y + d}, {high.x + d, high.y + d}, line, round);
        }
      }
      if (source || p.inks.size() == 1) {
        c.list.AddRectFilled(low, high, packed(ink.colour), round);
        if (ink.pattern != Pattern::kSolid)
          fill(c.list, {low.x + 1, low.y + 1}, {high.x - 1, high.y - 1}, ink);
      } else {
        const float part = width / static_cast<float>(p.inks.size());
        for (std::size_t i = 0; i < p.inks.size(); ++i)
          fill(c.list, {low.x + part * static_cast<float>(i), low.y},
               {low.x + part * static_cast<float>(i + 1), high.y}, p.inks[i]);
      }
      const bool marked = marked_[n] != 0;
      if (marked)
        c.list.AddRect({low.x - 2, low.y - 2}, {high.x + 2, high.y + 2}, packed(ui.colours.accent),
                       round, ui.points(2.5));
      else
        c.list.AddRect(low, high, line, round);
      texts(ui, c, node, p, low, high);
    }
  }

  void texts(Ui& ui, const Canvas& c, const GraphNode& node, const NodePaint& p, ImVec2 low,
             ImVec2 high) const {
    const float height = high.y - low.y, width = high.x - low.x;
    const Detail level = node.kind.empty() ? (height < ui.points(9) ? Detail::kBox : Detail::kName)
                                           : detail_at(height / ui.scale);
    if (level == Detail::kBox) return;
    const ImU32 colour = packed(text_on(p.inks.front().colour));
    const ImU32 quiet = packed(text_on(p.inks.front().colour), 0.78);
    const float side = std::max(3.0F, height * 0.12F);
    const float corner = node.opens ? open_button(ui, c) : 0;
    const float room = width - 2 * side - corner;
    // A pattern or several colours lie behind the text.
    const bool plate = p.inks.size() > 1 || p.inks.front().pattern != Pattern::kSolid;
    const auto text = [&](ImVec2 at, ImU32 ink, const std::string& what) {
      if (plate && !what.empty()) {
        const ImVec2 extent = ImGui::CalcTextSize(what.c_str());
        c.list.AddRectFilled({at.x - 2, at.y}, {at.x + extent.x + 2, at.y + extent.y},
                             packed(p.inks.front().colour, 0.82), 2);
      }
      c.list.AddText(at, ink, what.c_str());
    };
    if (level == Detail::kName) {
      const float font = std::clamp(height * 0.62F / ui_font_scale(ui), 8.0F, 15.0F);
      ImGui::PushFont(ui.fonts.bold, font);
      const std::string fits = fitted(node.label, room);
      const ImVec2 extent = ImGui::CalcTextSize(fits.c_str());
      text({low.x + std::max(side, (width - corner - extent.x) / 2),
            low.y + (height - extent.y) / 2},
           colour, fits);
      ImGui::PopFont();
    } else {
      const float font = std::clamp(height * 0.27F / ui_font_scale(ui), 10.0F, 18.0F);
      float y = low.y + height * 0.05F;
      ImGui::PushFont(ui.fonts.bold, font);
      text({low.x + side, y}, colour, fitted(node.label, room));
      y += ImGui::GetTextLineHeight() * 1.02F;
      ImGui::PopFont();
      ImGui::PushFont(ui.fonts.text, font * 0.9F);
      const std::string kind = node.shape.empty() ? node.kind : node.kind + " " + node.shape;
      text({low.x + side, y}, quiet, fitted(kind, width - 2 * side));
      y += ImGui::GetTextLineHeight() * 1.04F;
      std::string third = p.amount;
      if (third.empty() && !p.devices.empty())
        third = p.split.empty() ? "on " + p.devices : p.split + " on " + p.devices;
      else if (!third.empty() && !p.split.empty())
        third += " · " + p.split;
      text({low.x + side, y}, quiet, fitted(third, width - 2 * side));
      ImGui::PopFont();
    }
    if (p.pinned > 0) {
      const float r = std::max(2.5F, height * 0.07F);
      const ImVec2 at{high.x - r * 1.8F, high.y - r * 1.8F};
      c.list.AddCircleFilled(at, r, packed(ui.colours.bad));
      c.list.AddCircle(at, r, colour);
      c.list.AddLine({at.x, at.y}, {at.x - r * 1.6F, at.y + r * 1.2F}, colour, 1.5F);
    }
  }

  static float open_button(Ui& ui, const Canvas& c) {
    const double own = 18 * c.camera.zoom, height = kNodeHeight * c.camera.zoom;
    return static_cast<float>(std::max(own, std::min(9 * ui.scale, 0.8 * height)));
  }

  // Buttons to open and close, and names for what is near enough.
  void items(Ui& ui, const Canvas& c, bool main, bool& hovered, bool& active) {
    GraphView& v = *view_;
    const auto button = [&](const std::string& id, ImVec2 low, ImVec2 high) {
      low = {std::max(low.x, c.from.x), std::max(low.y, c.from.y)};
      high = {std::min(high.x, c.to.x), std::min(high.y, c.to.y)};
      if (high.x - low.x < 2 || high.y - low.y < 2) return false;
      ImGui::SetCursorScreenPos(low);
      return ImGui::InvisibleButton(id.c_str(), {high.x - low.x, high.y - low.y});
    };
    const auto sign = [&](ImVec2 low, float size, bool plus, ImU32 colour) {
      const ImVec2 m{low.x + size / 2, low.y + size / 2};
      const float r = size * 0.28F;
      c.list.AddLine({m.x - r, m.y}, {m.x + r, m.y}, colour, 1.5F);
      if (plus) c.list.AddLine({m.x, m.y - r}, {m.x, m.y + r}, colour, 1.5F);
    };
    std::size_t count = 0;
    for (std::uint32_t n = 0; n < c.scene.nodes.size() && count < kMostItems; ++n) {
      const GraphNode& node = c.scene.nodes[n];
      if (!node.box.meets(c.seen)) continue;
      const ImVec2 low = c.at(node.box.low), high = c.at(node.box.high);
      if (high.y - low.y < ui.points(6)) break;
      ++count;
      const std::string suffix = main ? "" : ":baseline";
      // Over the picture, whose hovering it takes: what happens there is decided below.
      ImGui::SetNextItemAllowOverlap();
      button("node:" + node.name + suffix, low, high);
      hovered = hovered || ImGui::IsItemHovered(ImGuiHoveredFlags_AllowWhenBlockedByActiveItem);
      active = active || ImGui::IsItemActive();
      if (node.opens) {
        const float size = open_button(ui, c);
        const ImVec2 at{high.x - size, low.y};
        if (size >= ui.points(5)) {
          sign(at, size, true, packed(text_on(c.paint.nodes[n].inks.front().colour)));
          if (button("open:" + node.name + suffix, at, {at.x + size, at.y + size}))
            open_fold(c.scene, node.fold);
          tip("Opens the block.");
        }
      }
    }
    for (std::uint32_t f = 1; f < c.scene.frames.size(); ++f) {
      const GraphFrame& frame = c.scene.frames[f];
      if (!frame.box.meets(c.seen)) continue;
      const float size = frame_button(ui, c);
      if (size < ui.points(6)) continue;
      const std::string suffix = main ? "" : ":baseline";
      const ImVec2 corner = c.at(frame.box.low);
      const ImVec2 low{corner.x + size * 0.3F, corner.y + size * 0.3F};
      const ImU32 colour = ImGui::GetColorU32(ImGuiCol_Text);
      c.list.AddRect(low, {low.x + size, low.y + size}, ImGui::GetColorU32(ImGuiCol_Border), 2);
      sign(low, size, false, colour);
      if (button("close:" + frame.name + suffix, low, {low.x + size, low.y + size}))
        close_fold(c.scene, frame.fold);
      tip("Closes the block (or a double-click beside its nodes).");
      if (frame.count > 1) {
        const ImVec2 right{c.at(frame.box.high).x - size * 2.9F, low.y};
        const char* const word = frame.shown == Shown::kOnce ? "each" : "once";
        ImGui::PushFont(ui.fonts.text, std::clamp(size * 0.75F / ui_font_scale(ui), 8.0F, 15.0F));
        c.list.AddRect(right, {right.x + size * 2.6F, right.y + size},
                       ImGui::GetColorU32(ImGuiCol_Border), 2);
        const ImVec2 extent = ImGui::CalcTextSize(word);
        c.list.AddText({right.x + (size * 2.6F - extent.x) / 2, right.y + (size - extent.y) / 2},
                       colour, word);
        ImGui::PopFont();
        if (button(fmt::format("{}:{}{}", word, frame.name, suffix), right,
                   {right.x + size * 2.6F, right.y + size}))
          v.show_each(frame.fold, frame.shown == Shown::kOnce);
        tip(frame.shown == Shown::kOnce ? "Shows every block."
                                        : "Shows one block for all of them.");
      }
    }
  }

  void mouse(Ui& ui, const Canvas& c, bool hovered, bool active) {
    GraphView& v = *view_;
    ImGuiIO& io = ImGui::GetIO();
    const Point at = c.picture(io.MousePos);
    const bool over_minimap = over_minimap_;
    if (hovered && !over_minimap && io.MouseWheel != 0) {
      v.camera.zoom_at({static_cast<double>(io.MousePos.x - c.from.x),
                        static_cast<double>(io.MousePos.y - c.from.y)},
                       std::pow(kWheel, io.MouseWheel), ui.scale);
      fitted_ = false;
    }
    if (hovered && !over_minimap && !band_) {
      hovered_node_ = node_at(c.scene, at);
      if (hovered_node_ == kNoFold)
        hovered_edge_ = edge_at(c.scene, at, 6 * ui.scale / c.camera.zoom);
      std::string text;
      if (hovered_node_ != kNoFold)
        text = node_tip(c.scene, hovered_node_, c.paint,
                        v.figures() ? v.figures()->step_time : core::Nanoseconds(0));
      else if (hovered_edge_ != kNoFold && v.graph())
        text = edge_tip(*v.graph(), c.scene, hovered_edge_, c.paint);
      if (!text.empty() && !ImGui::IsMouseDragging(ImGuiMouseButton_Left) &&
          ImGui::BeginTooltip()) {
        const auto line = text.find('\n');
        ImGui::PushFont(ui.fonts.bold, 0);
        label(std::string_view(text).substr(0, line));
        ImGui::PopFont();
        if (line != std::string::npos) label(std::string_view(text).substr(line + 1));
        ImGui::EndTooltip();
      }
    }
    if (over_minimap) return;
    // A band is drawn with Shift, or with the right button; everything else moves the picture.
    const bool start = hovered && (ImGui::IsMouseClicked(ImGuiMouseButton_Left) ||
                                   ImGui::IsMouseClicked(ImGuiMouseButton_Right));
    if (start && (io.KeyShift || ImGui::IsMouseClicked(ImGuiMouseButton_Right))) band_ = at;
    if (band_) {
      const bool down =
          ImGui::IsMouseDown(ImGuiMouseButton_Left) || ImGui::IsMouseDown(ImGuiMouseButton_Right);
      Rect box{*band_, *band_};
      box.include(at);
      if (hovered || active) {
        c.list.AddRectFilled(c.at(box.low), c.at(box.high), packed(ui.colours.accent, 0.15));
        c.list.AddRect(c.at(box.low), c.at(box.high), packed(ui.colours.accent));
      }
      if (!down) {
        if (box.width() * c.camera.zoom > 4 || box.height() * c.camera.zoom > 4)
          v.select(nodes_in(c.scene, box), io.KeyCtrl);
        band_.reset();
      }
      return;
    }
    if (active && (ImGui::IsMouseDragging(ImGuiMouseButton_Left, 3) ||
                   ImGui::IsMouseDragging(ImGuiMouseButton_Middle, 3))) {
      v.camera.pan(io.MouseDelta.x, io.MouseDelta.y);
      fitted_ = false;
      dragged_ = true;
    }
    if (hovered && ImGui::IsMouseDoubleClicked(ImGuiMouseButton_Left)) {
      if (hovered_node_ != kNoFold)
        open_fold(c.scene, c.scene.nodes[hovered_node_].fold);
      else if (const std::uint32_t f = frame_at(c.scene, at); f != kNoFold)
        close_fold(c.scene, c.scene.frames[f].fold);
    } else if (hovered && active_ && ImGui::IsMouseReleased(ImGuiMouseButton_Left) && !dragged_) {
      if (hovered_node_ != kNoFold)
        v.select({hovered_node_}, io.KeyCtrl);
      else if (hovered_edge_ != kNoFold)
        v.select({c.scene.edges[hovered_edge_].from, c.scene.edges[hovered_edge_].to}, io.KeyCtrl);
      else if (!io.KeyCtrl)
        v.select({}, false);
    }
    if (!ImGui::IsMouseDown(ImGuiMouseButton_Left) && !ImGui::IsMouseDown(ImGuiMouseButton_Middle))
      dragged_ = false;
    if (active || hovered) active_ = active;
  }

  void keys(Ui& ui) {
    GraphView& v = *view_;
    if (ImGui::GetIO().WantTextInput || ImGui::GetIO().KeyCtrl) return;
    if (ImGui::IsKeyPressed(ImGuiKey_Home)) v.fit_asked = true;
    if (ImGui::IsKeyPressed(ImGuiKey_Slash)) focus_search_ = true;
    if (ImGui::IsKeyPressed(ImGuiKey_UpArrow)) v.move(Way::kUp);
    if (ImGui::IsKeyPressed(ImGuiKey_DownArrow)) v.move(Way::kDown);
    if (ImGui::IsKeyPressed(ImGuiKey_LeftArrow)) v.move(Way::kLeft);
    if (ImGui::IsKeyPressed(ImGuiKey_RightArrow)) v.move(Way::kRight);
    if (ImGui::IsKeyPressed(ImGuiKey_Enter) || ImGui::IsKeyPressed(ImGuiKey_KeypadEnter)) {
      const auto scene = v.scene();
      const auto& ops = ui.session.selection().ops;
      if (scene && !ops.empty() && *ops.begin() < scene->node_of_op.size()) {
        const GraphNode& node = scene->nodes[scene->node_of_op[*ops.begin()]];
        if (node.opens)
          open_fold(*scene, node.fold);
        else if (node.frame != 0)
          close_fold(*scene, scene->frames[node.frame].fold);
      }
    }
  }

  // All of the picture, small, in the corner, where not all of it is seen.
  void minimap(Ui& ui, const Canvas& c, bool main) {
    over_minimap_ = false;
    const Rect& all = c.scene.box;
    const bool whole = c.seen.low.x <= all.low.x && c.seen.low.y <= all.low.y &&
                       c.seen.high.x >= all.high.x && c.seen.high.y >= all.high.y;
    if (!main || whole) return;
    const double most_x = std::min<double>(ui.points(150), (c.to.x - c.from.x) * 0.3),
                 most_y = std::min<double>(ui.points(170), (c.to.y - c.from.y) * 0.4);
    const double zoom =
        std::min(most_x / std::max(1.0, all.width()), most_y / std::max(1.0, all.height()));
    const float pad = ui.points(5);
    const ImVec2 size{std::max(static_cast<float>(all.width() * zoom), ui.points(24)) + 2 * pad,
                      std::max(static_cast<float>(all.height() * zoom), ui.points(24)) + 2 * pad};
    const ImVec2 low{c.to.x - size.x - ui.points(8), c.to.y - size.y - ui.points(8)};
    const ImVec2 high{low.x + size.x, low.y + size.y};
    const auto at = [&](Point p) {
      return ImVec2{static_cast<float>((low.x + high.x) / 2 + (p.x - all.centre().x) * zoom),
                    static_cast<float>((low.y + high.y) / 2 + (p.y - all.centre().y) * zoom)};
    };
    c.list.AddRectFilled(low, high, ImGui::GetColorU32(ImGuiCol_PopupBg), ui.points(4));
    c.list.PushClipRect(low, high, true);
    const bool many = c.scene.nodes.size() > 4000;
    for (std::size_t f = 1; f < c.scene.frames.size(); ++f)
      if (many || c.scene.frames[f].depth == 1)
        c.list.AddRectFilled(at(c.scene.frames[f].box.low), at(c.scene.frames[f].box.high),
                             ImGui::GetColorU32(ImGuiCol_Text, many ? 0.25F : 0.08F));
    for (std::size_t n = 0; n < c.scene.nodes.size() && !many; ++n) {
      const ImVec2 a = at(c.scene.nodes[n].box.low), b = at(c.scene.nodes[n].box.high);
      c.list.AddRectFilled(
          a, {std::max(b.x, a.x + 1), std::max(b.y, a.y + 1)},
          marked_[n] ? packed(ui.colours.accent) : packed(c.paint.nodes[n].inks.front().colour));
    }
    c.list.AddRectFilled(at(c.seen.low), at(c.seen.high), packed(ui.colours.accent, 0.12));
    c.list.AddRect(at(c.seen.low), at(c.seen.high), packed(ui.colours.accent), 0, ui.points(1.5));
    c.list.PopClipRect();
    c.list.AddRect(low, high, ImGui::GetColorU32(ImGuiCol_Border), ui.points(4));
    ImGui::SetCursorScreenPos(low);
    ImGui::InvisibleButton("minimap", size);
    over_minimap_ = ImGui::IsItemHovered() || ImGui::IsItemActive();
    if (ImGui::IsItemActive()) {
      const ImVec2 mouse = ImGui::GetIO().MousePos;
      view_->camera.at = {all.centre().x + (mouse.x - (low.x + high.x) / 2) / zoom,
                          all.centre().y + (mouse.y - (low.y + high.y) / 2) / zoom};
      fitted_ = false;
    }
  }

  std::unique_ptr<GraphView> view_;
  FileDialog files_;
  std::string search_;
  bool found_ = true, focus_search_ = false;
  bool fitted_ = true;  // nobody has moved since it was fitted: a new size fits again
  bool dragged_ = false, active_ = false, over_minimap_ = false;
  std::optional<Point> band_;
  std::optional<Anchor> anchor_;
  std::shared_ptr<const GraphScene> scene_;  // that was drawn last
  std::set<std::uint32_t> marked_ops_;
  std::vector<char> marked_;  // per node of it: selected
  std::uint32_t hovered_node_ = kNoFold, hovered_edge_ = kNoFold;
};

}  // namespace

std::unique_ptr<Panel> graph_panel() { return std::make_unique<GraphPanel>(); }

}  // namespace soapstone::explorer::view
