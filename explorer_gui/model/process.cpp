#include "explorer_gui/model/process.hpp"

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace soapstone::explorer {

namespace {

std::string quoted(const std::string& word) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,+@%";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// Closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

std::string shell_text(const Command& command) {
  std::string out;
  for (const auto& [name, value] : command.environment) out += name + "=" + quoted(value) + " ";
  for (std::size_t i = 0; i < command.arguments.size(); ++i)
    out += (i == 0 ? "" : " ") + quoted(command.arguments[i]);
  return out;
}

core::Result<int> execute(const Command& command, const std::function<void(std::string_view)>& line,
                          const std::function<bool()>& wanted, double patience) {
  using Clock = std::chrono::steady_clock;
  int output[2], failure[2];
  if (::pipe2(output, O_CLOEXEC) != 0 || ::pipe2(failure, O_CLOEXEC) != 0)
    return core::fail("pipe: {}", std::strerror(errno));
  const Descriptor output_read(output[0]), failure_read(failure[0]);
  Descriptor output_write(output[1]), failure_write(failure[1]);
  std::vector<char*> arguments;
  for (const std::string& a : command.arguments) arguments.push_back(const_cast<char*>(a.c_str()));
  arguments.push_back(nullptr);
  // Made here: between fork and exec a program with threads may do next to nothing.
  std::vector<std::string> variables;
  for (char** v = environ; *v; ++v) {
    const std::string_view text = *v;
    bool replaced = false;
    for (const auto& [name, value] : command.environment)
      replaced = replaced || text.starts_with(name + "=");
    if (!replaced) variables.emplace_back(text);
  }
  for (const auto& [name, value] : command.environment) variables.push_back(name + "=" + value);
  std::vector<char*> environment;
  for (std::string& v : variables) environment.push_back(v.data());
  environment.push_back(nullptr);

  const pid_t child = ::fork();
  if (child < 0) return core::fail("fork: {}", std::strerror(errno));
  if (child == 0) {
    ::setpgid(0, 0);  // a Ctrl-C of the explorer's shell is not for it
    ::dup2(output[1], STDOUT_FILENO);
    ::dup2(output[1], STDERR_FILENO);
    const int nothing = ::open("/dev/null", O_RDONLY);
    if (nothing >= 0) ::dup2(nothing, STDIN_FILENO);
    ::execvpe(arguments[0], arguments.data(), environment.data());
    const int error = errno;
    static_cast<void>(::write(failure[1], &error, sizeof error) < 0);
    ::_exit(127);
  }
  output_write.close();
  failure_write.close();
  int error = 0;
  if (::read(failure_read.get(), &error, sizeof error) == static_cast<ssize_t>(sizeof error)) {
    ::waitpid(child, nullptr, 0);
    return core::fail("{}: cannot be started: {}", command.arguments[0], std::strerror(error));
  }

  std::string rest;
  const auto take = [&](std::string_view text) {
    for (const char c : text) {
      // A bar that is redrawn ends its lines with a carriage return.
      if (c == '\n' || c == '\r') {
        if (!rest.empty()) line(rest);
        rest.clear();
      } else {
        rest += c;
      }
    }
  };
  bool open = true, reaped = false;
  int status = 0, asked = 0;
  Clock::time_point asked_at{}, ended_at{};
  while (open || !reaped) {
    pollfd wait{output_read.get(), POLLIN, 0};
    const int ready = open ? ::poll(&wait, 1, 100) : ::poll(nullptr, 0, 20);
    if (ready > 0) {
      char text[4096];
      const ssize_t n = ::read(output_read.get(), text, sizeof text);
      if (n > 0)
        take({text, static_cast<std::size_t>(n)});
      else if (n == 0 || errno != EINTR)
        open = false;
    }
    if (!reaped && ::waitpid(child, &status, WNOHANG) == child) {
      reaped = true;
      ended_at = Clock::now();
    }
    // What it left behind may hold the pipe open; its words are not waited for long.
    if (reaped && open && Clock::now() - ended_at > std::chrono::seconds(2)) open = false;
    if (reaped || wanted()) continue;
    const auto since = std::chrono::duration<double>(Clock::now() - asked_at).count();
    if (asked == 0 || (asked < 3 && since > patience)) {
      static constexpr int kSignals[] = {SIGINT, SIGTERM, SIGKILL};
      ::kill(asked == 2 ? -child : child, kSignals[asked]);
      ++asked;
      asked_at = Clock::now();
    }
  }
  if (!rest.empty()) line(rest);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace soapstone::explorer
