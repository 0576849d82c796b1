// One window of the desktop with Dear ImGui in it: GLFW and OpenGL 3, which software can draw too.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/result.hpp"

namespace soapstone::explorer::view {

struct WindowOptions {
  std::string title;
  int width = 1440, height = 900;
  bool visible = true;
};

class Window {
 public:
  // Refuses, with advice, where there is no display or no OpenGL.
  static core::Result<std::unique_ptr<Window>> open(const WindowOptions& options);
  ~Window();
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;

  // Calls `draw` between the beginning and the end of a frame and shows what it drew.
  void frame(const std::function<void()>& draw);
  // Waits for something to happen, no longer than that.
  void wait(double seconds);
  bool asked_to_close() const;
  void keep_open();  // the person thought better of it
  void close();
  double scale() const;  // pixels per point, as the desktop says
  void size(int& width, int& height) const;
  void set_title(const std::string& title);
  // Files that were dropped since the last call.
  std::vector<std::string> dropped();
  // What the last frame shows, as PNG.
  core::Status screenshot(const std::filesystem::path& file);
  // Whether anything happened in the window since the last call.
  bool active();

 private:
  struct Impl;
  explicit Window(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Whether a window can be opened here, in one line: "OpenGL 4.5, llvmpipe …", or why not.
core::Result<std::string> display();

}  // namespace soapstone::explorer::view
