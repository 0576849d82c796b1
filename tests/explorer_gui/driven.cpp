#include "tests/explorer_gui/driven.hpp"

#include <cstdlib>

#include <gtest/gtest.h>
#include <imgui.h>

namespace soapstone::explorer {

Driven::Driven(Work& work) : work_(work) {
  auto window =
      view::Window::open({.title = "test", .width = 1600, .height = 1000, .visible = true});
  if (!window) throw std::runtime_error(window.error().message);
  window_ = std::move(*window);
  engine_ = ImGuiTestEngine_CreateContext();
  ImGuiTestEngineIO& io = ImGuiTestEngine_GetIO(engine_);
  io.ConfigVerboseLevel = ImGuiTestVerboseLevel_Warning;
  io.ConfigVerboseLevelOnError = ImGuiTestVerboseLevel_Info;
  io.ConfigRunSpeed = ImGuiTestRunSpeed_Fast;
  io.ConfigNoThrottle = true;
  io.ConfigSavedSettings = false;
  io.ConfigWatchdogWarning = io.ConfigWatchdogKillTest = 3600;  // ctest has its own
  ImGuiTestEngine_Start(engine_, ImGui::GetCurrentContext());
  app_ = std::make_unique<view::App>(*work_.session, *window_);
  for (int i = 0; i < 12; ++i) frame();  // panels find their places
  settle();
}

Driven::~Driven() {
  ImGuiTestEngine_Stop(engine_);
  app_.reset();
  window_.reset();
  ImGuiTestEngine_DestroyContext(engine_);
}

void Driven::frame() {
  window_->frame([this] { app_->draw(); });
  ImGuiTestEngine_PostSwap(engine_);
}

void Driven::settle() {
  do {
    work_.session->finish_jobs();
    for (int i = 0; i < 4; ++i) frame();
  } while (!work_.session->jobs().running().empty());
}

void Driven::drive(const std::function<void(ImGuiTestContext*)>& steps) {
  const std::string name = "step" + std::to_string(++tests_);
  ImGuiTest* const test = ImGuiTestEngine_RegisterTest(engine_, "explorer", name.c_str());
  test->TestFunc = [&steps](ImGuiTestContext* context) { steps(context); };
  ImGuiTestEngine_QueueTest(engine_, test);
  while (!ImGuiTestEngine_IsTestQueueEmpty(engine_)) frame();
  EXPECT_EQ(test->Output.Status, ImGuiTestStatus_Success) << test->Output.Log.Buffer.c_str();
  settle();
}

void Driven::picture(const std::string& name) {
  const char* const folder = std::getenv("SOAPSTONE_SCREENSHOTS");
  if (!folder || !*folder) return;
  settle();
  const auto status = window_->screenshot(std::filesystem::path(folder) / (name + ".png"));
  EXPECT_TRUE(status) << status.error().message;
}

}  // namespace soapstone::explorer
