#include "explorer_gui/view/window.hpp"

#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <utility>

#include <GLFW/glfw3.h>
#include <fmt/core.h>
#include <imgui.h>
#include <imgui_impl_glfw.h>
#include <imgui_impl_opengl3.h>
#include <implot.h>
#include <png.h>

namespace soapstone::explorer::view {

namespace {

// GLFW tells its errors to a function; the last one is part of our message.
std::string& last_error() {
  static std::string text;
  return text;
}

core::Status start_glfw() {
  glfwSetErrorCallback([](int, const char* text) { last_error() = text; });
  if (glfwInit() == GLFW_TRUE) return {};
  const char* display = std::getenv("DISPLAY");
  return core::refuse(
      "no window can be opened: {}{}\n  without a desktop: `xvfb-run soapstone explore …` draws "
      "into "
      "memory, `soapstone report` writes a page for a browser, and every verb works in a shell",
      last_error().empty() ? "GLFW does not start" : last_error(),
      display && *display ? fmt::format(" (DISPLAY={})", display) : " (DISPLAY is not set)");
}

void hint_context() {
  glfwDefaultWindowHints();
  glfwWindowHint(GLFW_CONTEXT_VERSION_MAJOR, 3);
  glfwWindowHint(GLFW_CONTEXT_VERSION_MINOR, 2);
  glfwWindowHint(GLFW_OPENGL_PROFILE, GLFW_OPENGL_CORE_PROFILE);
  glfwWindowHint(GLFW_OPENGL_FORWARD_COMPAT, GLFW_TRUE);
}

core::Result<GLFWwindow*> make_window(const WindowOptions& options) {
  SOAPSTONE_TRY(start_glfw());
  hint_context();
  glfwWindowHint(GLFW_VISIBLE, options.visible ? GLFW_TRUE : GLFW_FALSE);
  glfwWindowHint(GLFW_SCALE_TO_MONITOR, GLFW_TRUE);
  GLFWwindow* window =
      glfwCreateWindow(options.width, options.height, options.title.c_str(), nullptr, nullptr);
  if (!window) {
    const std::string why = last_error();
    glfwTerminate();
    return core::refuse(
        "no window can be opened: {}; OpenGL 3.2 is wanted, which Mesa draws in software with "
        "LIBGL_ALWAYS_SOFTWARE=1",
        why);
  }
  glfwMakeContextCurrent(window);
  return window;
}

}  // namespace

struct Window::Impl {
  GLFWwindow* window = nullptr;
  ImGuiContext* imgui = nullptr;
  ImPlotContext* implot = nullptr;
  std::vector<std::string> dropped;
  bool active = true;

  // What the last frame drew.
  static void render(int width, int height) {
    glViewport(0, 0, width, height);
    const ImVec4 ground = ImGui::GetStyleColorVec4(ImGuiCol_WindowBg);
    glClearColor(ground.x, ground.y, ground.z, 1);
    glClear(GL_COLOR_BUFFER_BIT);
    ImGui_ImplOpenGL3_RenderDrawData(ImGui::GetDrawData());
  }
};

core::Result<std::unique_ptr<Window>> Window::open(const WindowOptions& options) {
  SOAPSTONE_ASSIGN(GLFWwindow* const made, make_window(options));
  auto impl = std::make_unique<Impl>();
  impl->window = made;
  glfwSetWindowUserPointer(made, impl.get());
  glfwSwapInterval(1);
  // Dear ImGui calls these after its own.
  glfwSetDropCallback(made, [](GLFWwindow* w, int count, const char** paths) {
    auto* self = static_cast<Impl*>(glfwGetWindowUserPointer(w));
    self->dropped.insert(self->dropped.end(), paths, paths + count);
    self->active = true;
  });
  glfwSetCursorPosCallback(made, [](GLFWwindow* w, double, double) {
    static_cast<Impl*>(glfwGetWindowUserPointer(w))->active = true;
  });
  glfwSetMouseButtonCallback(made, [](GLFWwindow* w, int, int, int) {
    static_cast<Impl*>(glfwGetWindowUserPointer(w))->active = true;
  });
  glfwSetScrollCallback(made, [](GLFWwindow* w, double, double) {
    static_cast<Impl*>(glfwGetWindowUserPointer(w))->active = true;
  });
  glfwSetKeyCallback(made, [](GLFWwindow* w, int, int, int, int) {
    static_cast<Impl*>(glfwGetWindowUserPointer(w))->active = true;
  });
  glfwSetWindowSizeCallback(made, [](GLFWwindow* w, int, int) {
    static_cast<Impl*>(glfwGetWindowUserPointer(w))->active = true;
  });
  glfwSetWindowRefreshCallback(
      made, [](GLFWwindow* w) { static_cast<Impl*>(glfwGetWindowUserPointer(w))->active = true; });

  IMGUI_CHECKVERSION();
  impl->imgui = ImGui::CreateContext();
  impl->implot = ImPlot::CreateContext();
  ImGuiIO& io = ImGui::GetIO();
  io.ConfigFlags |= ImGuiConfigFlags_DockingEnable | ImGuiConfigFlags_NavEnableKeyboard;
  io.IniFilename = nullptr;  // the application says where its layout is kept
  ImGui_ImplGlfw_InitForOpenGL(made, true);
  ImGui_ImplOpenGL3_Init("#version 150");
  return std::unique_ptr<Window>(new Window(std::move(impl)));
}

Window::Window(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Window::~Window() {
  ImGui_ImplOpenGL3_Shutdown();
  ImGui_ImplGlfw_Shutdown();
  ImPlot::DestroyContext(impl_->implot);
  ImGui::DestroyContext(impl_->imgui);
  glfwDestroyWindow(impl_->window);
  glfwTerminate();
}

void Window::frame(const std::function<void()>& draw) {
  ImGui_ImplOpenGL3_NewFrame();
  ImGui_ImplGlfw_NewFrame();
  ImGui::NewFrame();
  draw();
  ImGui::Render();
  int width = 0, height = 0;
  glfwGetFramebufferSize(impl_->window, &width, &height);
  impl_->render(width, height);
  glfwSwapBuffers(impl_->window);
  glfwPollEvents();
}

void Window::wait(double seconds) { glfwWaitEventsTimeout(seconds); }
bool Window::asked_to_close() const { return glfwWindowShouldClose(impl_->window) == GLFW_TRUE; }
void Window::keep_open() { glfwSetWindowShouldClose(impl_->window, GLFW_FALSE); }
void Window::close() { glfwSetWindowShouldClose(impl_->window, GLFW_TRUE); }

double Window::scale() const {
  float x = 1, y = 1;
  glfwGetWindowContentScale(impl_->window, &x, &y);
  return x > 0 ? x : 1;
}

void Window::size(int& width, int& height) const {
  glfwGetWindowSize(impl_->window, &width, &height);
}
void Window::set_title(const std::string& title) {
  glfwSetWindowTitle(impl_->window, title.c_str());
}
std::vector<std::string> Window::dropped() { return std::exchange(impl_->dropped, {}); }
bool Window::active() { return std::exchange(impl_->active, false); }

core::Status Window::screenshot(const std::filesystem::path& file) {
  int width = 0, height = 0;
  glfwGetFramebufferSize(impl_->window, &width, &height);
  std::vector<unsigned char> pixels(static_cast<std::size_t>(width) *
                                    static_cast<std::size_t>(height) * 3);
  // Drawn once more: what a buffer holds after it was shown is not defined.
  impl_->render(width, height);
  glPixelStorei(GL_PACK_ALIGNMENT, 1);
  glReadBuffer(GL_BACK);
  glReadPixels(0, 0, width, height, GL_RGB, GL_UNSIGNED_BYTE, pixels.data());
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width);
  image.height = static_cast<png_uint_32>(height);
  image.format = PNG_FORMAT_RGB;
  // OpenGL's first row is the lowest one.
  const std::string path = file.string();
  if (png_image_write_to_file(&image, path.c_str(), 0, pixels.data(), -width * 3, nullptr) == 0)
    return core::fail("{}: cannot be written: {}", path, image.message);
  return {};
}

core::Result<std::string> display() {
  SOAPSTONE_ASSIGN(
      GLFWwindow* const window,
      make_window({.title = "soapstone", .width = 64, .height = 64, .visible = false}));
  const auto text = [](unsigned name) {
    const auto* words = reinterpret_cast<const char*>(glGetString(name));
    return std::string(words ? words : "?");
  };
  std::string out = fmt::format("OpenGL {}, {}", text(GL_VERSION), text(GL_RENDERER));
  glfwDestroyWindow(window);
  glfwTerminate();
  return out;
}

}  // namespace soapstone::explorer::view
