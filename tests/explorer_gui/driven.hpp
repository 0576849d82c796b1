// The explorer's window, driven by the names of its items.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <imgui_te_context.h>
#include <imgui_te_engine.h>

#include "explorer_gui/view/app.hpp"
#include "explorer_gui/view/window.hpp"
#include "tests/explorer_gui/world.hpp"

namespace soapstone::explorer {

// One at a time. Skips the test where there is no display: use SOAPSTONE_WINDOW first.
class Driven {
 public:
  explicit Driven(Work& work);
  ~Driven();

  // Does what the function says, frame by frame; anything that fails in it fails the test.
  void drive(const std::function<void(ImGuiTestContext*)>& steps);
  // Draws until no job is left, and a few frames more.
  void settle();
  void frame();
  view::App& app() { return *app_; }
  view::Window& window() { return *window_; }
  // Under $SOAPSTONE_SCREENSHOTS, where that is set.
  void picture(const std::string& name);

 private:
  Work& work_;
  ImGuiTestEngine* engine_ = nullptr;
  std::unique_ptr<view::Window> window_;
  std::unique_ptr<view::App> app_;
  int tests_ = 0;
};

}  // namespace soapstone::explorer

#define SOAPSTONE_WINDOW()                                                           \
  if (const std::string why = ::soapstone::explorer::why_no_display(); !why.empty()) \
  GTEST_SKIP() << why
