// A window inside the window.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "explorer_gui/model/actions.hpp"
#include "explorer_gui/model/session.hpp"
#include "explorer_gui/view/theme.hpp"

namespace soapstone::explorer::view {

// What panels draw with.
struct Ui {
  Session& session;
  Actions& actions;
  Fonts fonts;
  Signals colours;
  double scale = 1;  // pixels per point

  bool dark() const { return session.settings().theme == Theme::kDark; }
  float points(double n) const { return static_cast<float>(n * scale); }
};

// Where a panel stands until the person moves it.
enum class Dock : std::uint8_t { kLeft, kCentre, kRight, kBottom };

class Panel {
 public:
  Panel(std::string name, Dock home, std::string tip)
      : title(std::move(name)), dock(home), about(std::move(tip)) {}
  virtual ~Panel() = default;
  virtual void draw(Ui& ui) = 0;
  // Says what it can do, once.
  virtual void add_actions(Ui& ui) { static_cast<void>(ui); }
  // Keys and gestures that it takes while the mouse or the keyboard is in it.
  virtual std::vector<KeyHelp> keys_help() const { return {}; }

  const std::string title;
  const Dock dock;
  const std::string about;
  bool open = true;
  bool to_front = false;  // in the next frame
};

// One per file.
std::unique_ptr<Panel> graph_panel();
std::unique_ptr<Panel> start_panel();
std::unique_ptr<Panel> cluster_panel();
std::unique_ptr<Panel> launch_panel();
std::unique_ptr<Panel> timeline_panel();
std::unique_ptr<Panel> inspector_panel();
std::unique_ptr<Panel> edit_panel();
std::unique_ptr<Panel> history_panel();
std::unique_ptr<Panel> strategies_panel();
std::unique_ptr<Panel> compare_panel();
std::unique_ptr<Panel> explain_panel();

}  // namespace soapstone::explorer::view
