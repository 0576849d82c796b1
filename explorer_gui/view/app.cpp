#include "explorer_gui/view/app.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include <fmt/core.h>
#include <imgui.h>
#include <imgui_internal.h>  // docking's builder
#include <imgui_stdlib.h>

#include "core/units.hpp"
#include "explorer_gui/model/actions.hpp"
#include "explorer_gui/model/exports.hpp"
#include "explorer_gui/view/detail/draw.hpp"
#include "explorer_gui/view/file_dialog.hpp"
#include "explorer_gui/view/panel.hpp"

namespace soapstone::explorer::view {

namespace {

constexpr double kAutosaveSeconds = 10;
constexpr double kToastSeconds = 8;
// What a layout of an older explorer does not know about stands where it should.
constexpr const char* kLayoutFile = "explorer-layout-1.ini";

// "Ctrl+Shift+Z", "F1", "Delete".
ImGuiKeyChord chord(std::string_view text) {
  ImGuiKeyChord keys = 0;
  while (true) {
    const auto plus = text.find('+');
    const std::string_view word = text.substr(0, plus);
    if (word == "Ctrl") {
      keys |= ImGuiMod_Ctrl;
    } else if (word == "Shift") {
      keys |= ImGuiMod_Shift;
    } else if (word == "Alt") {
      keys |= ImGuiMod_Alt;
    } else {
      for (int key = ImGuiKey_NamedKey_BEGIN; key < ImGuiKey_NamedKey_END; ++key)
        if (word == ImGui::GetKeyName(static_cast<ImGuiKey>(key))) keys |= key;
    }
    if (plus == std::string_view::npos) return keys;
    text.remove_prefix(plus + 1);
  }
}

std::string capital(std::string word) {
  if (!word.empty() && word[0] >= 'a' && word[0] <= 'z') word[0] = static_cast<char>(word[0] - 32);
  return word;
}

}  // namespace

struct App::Impl {
  Session& session;
  Window& window;
  Actions actions;
  Ui ui;
  std::vector<std::unique_ptr<Panel>> panels;
  std::vector<Panel*> fronts;  // that go to the front, one in a frame
  FileDialog files;
  std::filesystem::path layout_file;
  bool build_layout = false;
  int arranged = 0;  // frames until the panels of a new layout are brought to the front
  bool palette_asked = false, shortcuts_open = false, quit_asked = false, quitting = false;
  std::string palette_text;
  int palette_at = 0;
  std::vector<std::filesystem::path> left_behind;
  std::map<std::uint64_t, double> toast_since;
  std::uint64_t messages_seen = 0;
  double autosaved_at = 0;
  Theme theme = Theme::kDark;
  double scale = 0;

  Impl(Session& s, Window& w)
      : session(s), window(w), ui{s, actions, load_fonts(), signals(Theme::kDark), 1} {}

  // --- looks ----------------------------------------------------------------------------------
  void restyle() {
    const double wanted = session.settings().scale > 0 ? session.settings().scale : window.scale();
    if (scale == wanted && theme == session.settings().theme) return;
    scale = ui.scale = wanted;
    theme = session.settings().theme;
    ui.colours = signals(theme);
    apply_theme(theme, scale);
  }

  // Panels where they belong, in a window that has no layout yet.
  void lay_out(ImGuiID space) {
    ImGui::DockBuilderRemoveNode(space);
    ImGui::DockBuilderAddNode(space, ImGuiDockNodeFlags_DockSpace);
    ImGui::DockBuilderSetNodeSize(space, ImGui::GetMainViewport()->WorkSize);
    ImGuiID centre = space;
    std::map<Dock, ImGuiID> nodes;
    nodes[Dock::kBottom] =
        ImGui::DockBuilderSplitNode(centre, ImGuiDir_Down, 0.42F, nullptr, &centre);
    nodes[Dock::kLeft] =
        ImGui::DockBuilderSplitNode(centre, ImGuiDir_Left, 0.26F, nullptr, &centre);
    nodes[Dock::kRight] =
        ImGui::DockBuilderSplitNode(centre, ImGuiDir_Right, 0.36F, nullptr, &centre);
    nodes[Dock::kCentre] = centre;
    for (const auto& panel : panels)
      ImGui::DockBuilderDockWindow(panel->title.c_str(), nodes[panel->dock]);
    ImGui::DockBuilderFinish(space);
    arranged = 4;  // frames: tabs are there after three
  }

  // --- what can be done -----------------------------------------------------------------------
  void ask_to_save() {
    files.ask("Save the design", FileDialog::Purpose::kSave, "design.json",
              [this](const std::string& file) {
                if (const auto status = session.save_design(file); !status)
                  session.complain(status.error().message);
                else
                  session.say("saved " + file);
              });
  }

  void save_as(const char* title, const char* name,
               core::Status (Session::*save)(const std::filesystem::path&) const) {
    files.ask(title, FileDialog::Purpose::kSave, name, [this, save](const std::string& file) {
      if (const auto status = (session.*save)(file); !status)
        session.complain(status.error().message);
      else
        session.say("saved " + file);
    });
  }

  void export_to(const char* title, const char* name,
                 void (*write)(Session&, const std::filesystem::path&)) {
    files.ask(title, FileDialog::Purpose::kSave, name,
              [this, write](const std::string& file) { write(session, file); });
  }

  void add_actions() {
    const auto complete = [this] {
      return session.design().complete() ? std::string()
                                         : std::string("Choose a model and a cluster first.");
    };
    const auto shown = [this] {
      return session.design().shown() ? std::string() : std::string("There is no strategy yet.");
    };
    actions.add({"file.open",
                 "Open…",
                 "Ctrl+O",
                 "Opens a model, cluster, strategy, trace, answer of a search or design.",
                 [this] {
                   files.ask("Open a file", FileDialog::Purpose::kOpen, "",
                             [this](const std::string& file) { session.open(file); });
                 },
                 {}});
    actions.add({"file.save", "Save the design…", "Ctrl+S",
                 "Saves model, cluster and all strategies; `soapstone explore FILE` goes on.",
                 [this] { ask_to_save(); }, complete});
    actions.add({"file.save_strategy", "Save the strategy…", "Ctrl+Shift+S",
                 "Saves the strategy that is shown, for --strategy of every verb.",
                 [this] { save_as("Save the strategy", "strategy.json", &Session::save_strategy); },
                 shown});
    actions.add({"file.save_trace", "Save the predicted trace…", "",
                 "Saves the trace that is shown, for `soapstone diff` and `explain`; a name that "
                 "ends with .trace is small and opens fast.",
                 [this] { export_to("Save the trace", "predicted.json", export_trace); }, shown});
    actions.add({"file.save_cluster", "Save the cluster…", "",
                 "Saves the cluster with all changes, for --cluster of every verb.",
                 [this] { save_as("Save the cluster", "cluster.toml", &Session::save_cluster); },
                 [this] {
                   return session.design().cluster ? std::string()
                                                   : std::string("Choose a cluster first.");
                 }});
    actions.add({"export.report", "Write a report…", "Ctrl+Shift+R",
                 "Writes a folder: one page with everything, the graph as SVG, PDF and DOT, "
                 "timelines for Perfetto, tables as CSV and a summary in Markdown.",
                 [this] {
                   files.ask("Write a report into a folder", FileDialog::Purpose::kFolder, "report",
                             [this](const std::string& folder) { export_report(session, folder); });
                 },
                 shown});
    actions.add({"export.chrome_trace", "Save the timelines for Perfetto…", "",
                 "Saves the predicted and the measured trace as Chrome's JSON.",
                 [this] { export_to("Save the timelines", "perfetto.json", export_chrome_trace); },
                 shown});
    actions.add({"file.screenshot",
                 "Save a picture of the window…",
                 "F12",
                 "Saves what the window shows, as PNG.",
                 [this] {
                   files.ask("Save a picture", FileDialog::Purpose::kSave, "soapstone.png",
                             [this](const std::string& file) { screenshot = file; });
                 },
                 {}});
    actions.add(
        {"file.quit", "Quit", "Ctrl+Q", "Closes the window.", [this] { window.close(); }, {}});
    actions.add({"edit.undo", "Undo", "Ctrl+Z", "Takes the last change back.",
                 [this] { session.undo(); },
                 [this] {
                   return session.history().can_undo() ? std::string()
                                                       : std::string("There is nothing to undo.");
                 }});
    actions.add({"edit.redo", "Redo", "Ctrl+Y", "Makes again what was undone.",
                 [this] { session.redo(); },
                 [this] {
                   return session.history().can_redo() ? std::string()
                                                       : std::string("There is nothing to redo.");
                 }});
    actions.add({"edit.pin", "Pin the selected operators", "P",
                 "Searches leave pinned operators as they are.",
                 [this] { session.pin(session.selection().ops, true); },
                 [this] {
                   return session.selection().ops.empty() ? std::string("Select operators first.")
                                                          : std::string();
                 }});
    actions.add({"edit.unpin", "Unpin the selected operators", "Shift+P",
                 "Searches may change them again.",
                 [this] { session.pin(session.selection().ops, false); },
                 [this] {
                   return session.selection().ops.empty() ? std::string("Select operators first.")
                                                          : std::string();
                 }});
    actions.add({"edit.clear_selection",
                 "Clear the selection",
                 "Escape",
                 "Selects nothing.",
                 [this] {
                   session.selection() = {};
                   session.changed();
                 },
                 {}});
    actions.add({"search.start", "Search", "F5",
                 "Looks for faster strategies; pinned operators stay as they are.",
                 [this] { session.search(); }, complete});
    actions.add({"search.stop", "Stop the search", "Shift+F5", "Keeps the best so far.",
                 [this] { session.stop_search(); },
                 [this] {
                   return session.search_run().running ? std::string()
                                                       : std::string("No search is running.");
                 }});
    actions.add({"search.pause", "Pause or resume the search", "",
                 "The search waits until it is resumed.",
                 [this] { session.pause_search(!session.search_run().paused); },
                 [this] {
                   return session.search_run().running ? std::string()
                                                       : std::string("No search is running.");
                 }});
    actions.add({"view.theme",
                 "Dark or light",
                 "",
                 "Changes between a dark and a light theme.",
                 [this] {
                   Theme& t = session.settings().theme;
                   t = t == Theme::kDark ? Theme::kLight : Theme::kDark;
                 },
                 {}});
    actions.add({"view.larger",
                 "Larger",
                 "Ctrl+Equal",
                 "Enlarges everything.",
                 [this] { session.settings().scale = std::min(3.0, scale * 1.1); },
                 {}});
    actions.add({"view.smaller",
                 "Smaller",
                 "Ctrl+Minus",
                 "Makes everything smaller.",
                 [this] { session.settings().scale = std::max(0.6, scale / 1.1); },
                 {}});
    actions.add({"view.usual_size",
                 "Usual size",
                 "Ctrl+0",
                 "As the screen says.",
                 [this] { session.settings().scale = 0; },
                 {}});
    actions.add({"view.layout",
                 "Arrange the panels anew",
                 "",
                 "Puts every panel where it was at first.",
                 [this] { build_layout = true; },
                 {}});
    for (const auto& panel : panels) {
      Panel* p = panel.get();
      actions.add({"panel." + p->title,
                   "Show " + p->title,
                   "",
                   p->about,
                   [p] { p->open = p->to_front = true; },
                   {}});
      p->add_actions(ui);
    }
    actions.add({"help.palette",
                 "Do anything…",
                 "Ctrl+P",
                 "Finds every command by its name.",
                 [this] { palette_asked = true; },
                 {}});
    actions.add({"help.shortcuts",
                 "Keyboard",
                 "F1",
                 "Lists all shortcuts.",
                 [this] { shortcuts_open = !shortcuts_open; },
                 {}});
  }

  void act(const Action& action) {
    const std::string refusal = action.refusal();
    if (refusal.empty())
      action.run();
    else
      session.say(action.title + ": " + refusal);
  }

  void shortcuts() {
    for (const Action& a : actions.all()) {
      if (a.shortcut.empty()) continue;
      const ImGuiKeyChord keys = chord(a.shortcut);
      // Letters alone belong to a text that is typed.
      const bool plain =
          (keys & (ImGuiMod_Ctrl | ImGuiMod_Alt)) == 0 && !is_function_key(a.shortcut);
      if (plain && ImGui::GetIO().WantTextInput) continue;
      if (plain && ImGui::IsPopupOpen("", ImGuiPopupFlags_AnyPopupId)) continue;
      if (ImGui::IsKeyChordPressed(keys)) act(a);
    }
  }

  // --- drawing --------------------------------------------------------------------------------
  void menu_items(const std::string& prefix) {
    for (const Action& a : actions.all()) {
      if (!a.id.starts_with(prefix)) continue;
      const std::string refusal = a.refusal();
      if (ImGui::MenuItem(a.title.c_str(), a.shortcut.c_str(), false, refusal.empty())) a.run();
      tip(refusal.empty() ? a.tip : refusal);
    }
  }
  void menus() {
    if (!ImGui::BeginMainMenuBar()) return;
    static constexpr std::array kMenus = {"file", "edit", "search", "view", "panel", "help"};
    for (const char* menu : kMenus) {
      const std::string prefix = std::string(menu) + ".";
      if (!ImGui::BeginMenu(capital(menu).c_str())) continue;
      if (prefix == "file." &&
          ImGui::BeginMenu("Open recent", !session.settings().recent.empty())) {
        for (const std::string& file : std::vector(session.settings().recent))
          if (ImGui::MenuItem(file.c_str())) session.open(file);
        ImGui::EndMenu();
      }
      if (prefix == "file." && ImGui::BeginMenu("Export")) {
        menu_items("export.");
        ImGui::EndMenu();
      }
      menu_items(prefix);
      ImGui::EndMenu();
    }
    std::string title = "Soapstone";
    const Design& d = session.design();
    if (d.complete())
      title = fmt::format("{} · batch {} · {} devices{}", d.graph->name(), d.graph->batch(),
                          d.cluster->size(), session.unsaved() ? " · not saved" : "");
    const float width = ImGui::CalcTextSize(title.c_str()).x;
    ImGui::SetCursorPosX(ImGui::GetWindowWidth() - width - ImGui::GetStyle().WindowPadding.x);
    ImGui::TextDisabled("%s", title.c_str());
    ImGui::EndMainMenuBar();
  }

  void status_bar() {
    const float height = ImGui::GetFrameHeight();
    if (!ImGui::BeginViewportSideBar("##status", ImGui::GetMainViewport(), ImGuiDir_Down, height,
                                     ImGuiWindowFlags_NoScrollbar |
                                         ImGuiWindowFlags_NoSavedSettings |
                                         ImGuiWindowFlags_MenuBar)) {
      ImGui::End();
      return;
    }
    if (ImGui::BeginMenuBar()) {
      const NamedStrategy* shown = session.design().shown();
      if (shown) {
        ImGui::PushFont(ui.fonts.bold, 0);
        label(shown->name);
        ImGui::PopFont();
        const Evaluated& e = session.evaluated(shown->id);
        if (e.figures) {
          label(fmt::format("{} a step, {:.4g} samples/s, {}",
                            core::human_text(e.figures->step_time), e.figures->samples_per_second,
                            core::human_text(e.figures->peak_memory)));
          if (!e.figures->why_not.empty())
            coloured(ui.colours.bad, "does not fit: " + e.figures->why_not);
        }
        if (!e.error.empty()) coloured(ui.colours.bad, e.error);
        const NamedStrategy* other = session.design().compared();
        if (other && other->id != shown->id && e.figures) {
          const Evaluated& o = session.evaluated(other->id);
          if (o.figures && o.figures->step_time.value > 0) {
            const double ratio = static_cast<double>(e.figures->step_time.value) /
                                 static_cast<double>(o.figures->step_time.value);
            coloured(ratio <= 1 ? ui.colours.good : ui.colours.warning,
                     fmt::format("{:+.1f} % against {}", 100 * (ratio - 1), other->name));
          }
        }
      } else {
        ImGui::TextDisabled("%s", session.backend().place().c_str());
      }
      if (const std::string trouble = session.backend().trouble(); !trouble.empty())
        coloured(ui.colours.bad, trouble);
      for (const JobStatus& job : session.jobs().running()) {
        if (job.elapsed.count() < 200'000'000) continue;  // what is soon done needs no words
        ImGui::Separator();
        label(job.title);
        if (job.fraction >= 0)
          ImGui::ProgressBar(static_cast<float>(job.fraction), {ui.points(90), 0},
                             fmt::format("{:.0f} %", 100 * job.fraction).c_str());
        if (!job.text.empty()) ImGui::TextDisabled("%s", job.text.c_str());
        ImGui::PushID(static_cast<int>(job.id));
        if (ImGui::SmallButton("Stop")) {
          if (job.id == session.search_run().job)
            session.stop_search();
          else
            session.jobs().cancel(job.id);
        }
        ImGui::PopID();
      }
      ImGui::EndMenuBar();
    }
    ImGui::End();
  }

  // The last messages, for a while, above the status bar.
  void toasts() {
    const double now = ImGui::GetTime();
    const ImGuiViewport* viewport = ImGui::GetMainViewport();
    float bottom = viewport->WorkPos.y + viewport->WorkSize.y - ui.points(12);
    const auto& messages = session.messages();
    for (auto it = messages.rbegin(); it != messages.rend(); ++it) {
      const auto [since, fresh] = toast_since.try_emplace(it->number, now);
      // Errors stay until they are closed; notes go by themselves.
      const bool error = it->kind == Message::Kind::kError;
      if (since->second < 0 || (!error && now - since->second > kToastSeconds)) {
        if (it->number + 20 < messages.back().number) break;
        continue;
      }
      ImGui::SetNextWindowPos({viewport->WorkPos.x + viewport->WorkSize.x - ui.points(12), bottom},
                              ImGuiCond_Always, {1, 1});
      ImGui::SetNextWindowSizeConstraints({ui.points(220), 0}, {ui.points(520), ui.points(300)});
      ImGui::PushStyleColor(ImGuiCol_Border, packed(error ? ui.colours.bad : ui.colours.accent));
      const std::string name = fmt::format("##message{}", it->number);
      if (ImGui::Begin(name.c_str(), nullptr,
                       ImGuiWindowFlags_NoDecoration | ImGuiWindowFlags_AlwaysAutoResize |
                           ImGuiWindowFlags_NoSavedSettings | ImGuiWindowFlags_NoDocking |
                           ImGuiWindowFlags_NoFocusOnAppearing | ImGuiWindowFlags_NoNav)) {
        ImGui::PushTextWrapPos(ui.points(460));
        if (error) coloured(ui.colours.bad, "Error");
        label(it->text);
        ImGui::PopTextWrapPos();
        if (ImGui::SmallButton("Close")) since->second = -1;
        ImGui::SameLine();
        if (ImGui::SmallButton("Copy")) ImGui::SetClipboardText(it->text.c_str());
        bottom -= ImGui::GetWindowHeight() + ui.points(6);
      }
      ImGui::End();
      ImGui::PopStyleColor();
      if (bottom < viewport->WorkPos.y + ui.points(60)) break;
    }
  }

  void palette() {
    if (std::exchange(palette_asked, false)) {
      palette_text.clear();
      palette_at = 0;
      ImGui::OpenPopup("Do anything");
    }
    const ImVec2 centre = ImGui::GetMainViewport()->GetCenter();
    ImGui::SetNextWindowPos({centre.x, ui.points(90)}, ImGuiCond_Appearing, {0.5F, 0});
    ImGui::SetNextWindowSize({ui.points(560), ui.points(380)});
    if (!ImGui::BeginPopup("Do anything")) return;
    if (ImGui::IsWindowAppearing()) ImGui::SetKeyboardFocusHere();
    ImGui::SetNextItemWidth(-1);
    if (ImGui::InputTextWithHint("##command", "what to do", &palette_text)) palette_at = 0;
    const auto found = actions.matching(palette_text);
    if (ImGui::IsKeyPressed(ImGuiKey_DownArrow)) ++palette_at;
    if (ImGui::IsKeyPressed(ImGuiKey_UpArrow)) --palette_at;
    palette_at = std::clamp(palette_at, 0, std::max(0, static_cast<int>(found.size()) - 1));
    const bool enter = ImGui::IsKeyPressed(ImGuiKey_Enter);
    const Action* chosen = nullptr;
    if (ImGui::BeginChild("found")) {
      for (int i = 0; i < static_cast<int>(found.size()); ++i) {
        const Action& a = *found[static_cast<std::size_t>(i)];
        const std::string refusal = a.refusal();
        ImGui::BeginDisabled(!refusal.empty());
        if (ImGui::Selectable(fmt::format("{}##{}", a.title, a.id).c_str(), i == palette_at))
          chosen = &a;
        ImGui::EndDisabled();
        tip(refusal.empty() ? a.tip : refusal);
        if (i == palette_at && ImGui::IsWindowAppearing()) ImGui::SetScrollHereY();
        ImGui::SameLine(ui.points(420));
        ImGui::TextDisabled("%s", a.shortcut.c_str());
        if (enter && i == palette_at) chosen = &a;
      }
    }
    ImGui::EndChild();
    if (chosen) {
      ImGui::CloseCurrentPopup();
      act(*chosen);
    }
    ImGui::EndPopup();
  }

  void shortcuts_window() {
    if (!shortcuts_open) return;
    ImGui::SetNextWindowSize({ui.points(620), ui.points(640)}, ImGuiCond_Appearing);
    if (ImGui::Begin("Keyboard", &shortcuts_open, ImGuiWindowFlags_NoDocking)) {
      if (ImGui::BeginTable("keys", 2, ImGuiTableFlags_RowBg | ImGuiTableFlags_ScrollY)) {
        ImGui::TableSetupColumn("key", ImGuiTableColumnFlags_WidthFixed, ui.points(200));
        ImGui::TableSetupColumn("what", ImGuiTableColumnFlags_WidthStretch);
        const auto heading = [&](const std::string& text) {
          ImGui::TableNextRow(ImGuiTableRowFlags_Headers);
          ImGui::TableNextColumn();
          ImGui::PushFont(ui.fonts.bold, 0);
          label(text);
          ImGui::PopFont();
          ImGui::TableNextColumn();
        };
        const auto row = [&](const std::string& keys, const std::string& what) {
          ImGui::TableNextRow();
          ImGui::TableNextColumn();
          ImGui::PushFont(ui.fonts.code, 0);
          label(keys);
          ImGui::PopFont();
          ImGui::TableNextColumn();
          ImGui::PushTextWrapPos(0);
          label(what);
          ImGui::PopTextWrapPos();
        };
        heading("Everywhere");
        for (const Action& a : actions.all()) {
          if (a.shortcut.empty()) continue;
          row(a.shortcut, a.title);
          tip(a.tip);
        }
        for (const auto& panel : panels) {
          const std::vector<KeyHelp> help = panel->keys_help();
          if (help.empty()) continue;
          heading(panel->title);
          for (const KeyHelp& k : help) row(k.keys, k.what);
        }
        ImGui::EndTable();
      }
    }
    ImGui::End();
  }

  void guard() {
    if (window.asked_to_close() && !quitting) {
      if (session.unsaved() && session.history().size() > 1) {
        window.keep_open();
        quit_asked = true;
      } else {
        quitting = true;
      }
    }
    if (std::exchange(quit_asked, false)) ImGui::OpenPopup("Not saved");
    if (ImGui::BeginPopupModal("Not saved", nullptr, ImGuiWindowFlags_AlwaysAutoResize)) {
      label("Strategies were changed since the design was saved.");
      if (ImGui::Button("Save…")) {
        ImGui::CloseCurrentPopup();
        ask_to_save();
      }
      ImGui::SameLine();
      if (ImGui::Button("Close without saving")) {
        quitting = true;
        window.close();
        ImGui::CloseCurrentPopup();
      }
      ImGui::SameLine();
      if (ImGui::Button("Go on working")) ImGui::CloseCurrentPopup();
      ImGui::EndPopup();
    }
    if (!left_behind.empty()) ImGui::OpenPopup("Recover");
    if (ImGui::BeginPopupModal("Recover", nullptr, ImGuiWindowFlags_AlwaysAutoResize)) {
      label("An explorer has ended without saving its work.");
      const auto file = left_behind.empty() ? std::filesystem::path() : left_behind.front();
      ImGui::TextDisabled("%s", file.c_str());
      bool done = left_behind.empty();
      if (ImGui::Button("Go on with it")) {
        session.open(file.string());
        done = true;
      }
      ImGui::SameLine();
      if (ImGui::Button("Throw it away")) {
        session.discard(file);
        done = true;
      }
      ImGui::SameLine();
      if (ImGui::Button("Later")) {
        left_behind.clear();
        done = true;
      }
      if (done) {
        if (!left_behind.empty()) left_behind.erase(left_behind.begin());
        ImGui::CloseCurrentPopup();
      }
      ImGui::EndPopup();
    }
  }

  void draw() {
    session.open(window.dropped());
    session.poll();
    restyle();
    menus();
    status_bar();
    const ImGuiID space = ImGui::DockSpaceOverViewport();
    const bool none =
        ImGui::DockBuilderGetNode(space) == nullptr || ImGui::DockBuilderGetNode(space)->IsEmpty();
    if (std::exchange(build_layout, false) || none) lay_out(space);
    // Of the panels of one place the first is in front, once all of them have appeared: one in a
    // frame, the last one keeps the keyboard.
    if (arranged > 0 && --arranged == 0) {
      std::set<Dock> taken;
      for (const auto& panel : panels)
        if (taken.insert(panel->dock).second) fronts.push_back(panel.get());
    } else if (!fronts.empty()) {
      fronts.back()->to_front = true;
      fronts.pop_back();
    }
    for (const auto& panel : panels) {
      if (!panel->open) continue;
      if (std::exchange(panel->to_front, false)) ImGui::SetNextWindowFocus();
      if (ImGui::Begin(panel->title.c_str(), &panel->open)) panel->draw(ui);
      ImGui::End();
    }
    files.draw();
    palette();
    shortcuts_window();
    toasts();
    guard();
    shortcuts();
    const double now = ImGui::GetTime();
    if (now - autosaved_at > kAutosaveSeconds) {
      autosaved_at = now;
      session.autosave();
    }
    if (ImGui::GetIO().WantSaveIniSettings) save_layout();
  }

  void save_layout() {
    std::error_code ignored;
    std::filesystem::create_directories(layout_file.parent_path(), ignored);
    ImGui::SaveIniSettingsToDisk(layout_file.string().c_str());
    ImGui::GetIO().WantSaveIniSettings = false;
  }

  std::string screenshot;  // wanted after this frame
};

App::App(Session& session, Window& window) : impl_(std::make_unique<Impl>(session, window)) {
  Impl& a = *impl_;
  // Of each place the first is in front.
  a.panels.push_back(start_panel());
  a.panels.push_back(graph_panel());
  a.panels.push_back(cluster_panel());
  a.panels.push_back(timeline_panel());
  a.panels.push_back(explain_panel());
  a.panels.push_back(inspector_panel());
  a.panels.push_back(edit_panel());
  a.panels.push_back(compare_panel());
  a.panels.push_back(launch_panel());
  a.panels.push_back(strategies_panel());
  a.panels.push_back(history_panel());
  a.add_actions();
  a.layout_file = session.folder() / kLayoutFile;
  std::error_code ignored;
  if (std::filesystem::exists(a.layout_file, ignored))
    ImGui::LoadIniSettingsFromDisk(a.layout_file.string().c_str());
  else
    a.build_layout = true;
  a.left_behind = session.left_behind();
  a.restyle();
}

App::~App() {
  impl_->save_layout();
  impl_->window.size(impl_->session.settings().width, impl_->session.settings().height);
}

void App::draw() { impl_->draw(); }

std::string App::act(const std::string& id) { return impl_->actions.run(id); }

void App::run() {
  // Some frames after anything happened: Dear ImGui settles in the second one, fades take a few.
  constexpr int kFramesAfter = 4;
  int frames = kFramesAfter;
  while (!(impl_->quitting && impl_->window.asked_to_close())) {
    const bool working = !impl_->session.jobs().running().empty();
    if (frames <= 0) impl_->window.wait(working ? 0.05 : 0.5);
    if (impl_->session.poll() || impl_->window.active() || working) frames = kFramesAfter;
    // A caret blinks, a note goes: twice a second is enough for what moves by itself.
    impl_->window.frame([&] { impl_->draw(); });
    --frames;
    if (!impl_->screenshot.empty()) {
      const std::string file = std::exchange(impl_->screenshot, {});
      if (const auto status = impl_->window.screenshot(file); !status)
        impl_->session.complain(status.error().message);
      else
        impl_->session.say("saved " + file);
    }
  }
}

}  // namespace soapstone::explorer::view
