// The explorer's window: menus, panels, palette, and what happens between frames.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "explorer_gui/model/session.hpp"
#include "explorer_gui/view/window.hpp"

namespace soapstone::explorer::view {

class App {
 public:
  App(Session& session, Window& window);
  ~App();
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  // Draws everything; inside Window::frame.
  void draw();
  // Frames until the window is closed; sleeps while nothing happens.
  void run();
  // Runs an action by its id; otherwise says why not.
  std::string act(const std::string& id);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace soapstone::explorer::view
