// soapstone serve
//
// What an explorer on another machine talks to. The process that ssh starts only passes bytes on to
// another one of the same user, which it starts where there is none: that one lives on when the
// connection is lost, and ends when nobody has talked to it for a while and nothing is at work.
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/command.hpp"
#include "cli/common.hpp"
#include "cli/costs.hpp"
#include "cli/explorer_resources.hpp"
#include "core/version_text.hpp"
#include "explorer_gui/model/server.hpp"

namespace soapstone::cli {

namespace {

struct Options {
  CostArguments costs;
  std::string name = "explorer";
  double linger = 600;
};

// A folder of this user alone.
core::Result<std::filesystem::path> socket_folder() {
  const char* const runtime = std::getenv("XDG_RUNTIME_DIR");
  const std::filesystem::path folder =
      runtime && *runtime
          ? std::filesystem::path(runtime) / "soapstone"
          : std::filesystem::temp_directory_path() / fmt::format("soapstone-{}", ::getuid());
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
    return core::fail("{}: {}", folder.string(), std::strerror(errno));
  struct stat info {};
  if (::lstat(folder.c_str(), &info) != 0 || !S_ISDIR(info.st_mode) || info.st_uid != ::getuid() ||
      (info.st_mode & 077) != 0)
    return core::refuse("{}: is no folder of yours alone; remove it", folder.string());
  return folder;
}

core::Result<sockaddr_un> address_of(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string text = path.string();
  if (text.size() >= sizeof address.sun_path)
    return core::fail("{}: is too long a path for a socket", text);
  std::memcpy(address.sun_path, text.c_str(), text.size() + 1);
  return address;
}

int connect_to(const sockaddr_un& address) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  ::close(fd);
  return -1;
}

// Serves connections until there is nothing to do for `linger` seconds.
void serve_all(int listening, const Invocation& invocation, const Options& options) {
  explorer::Server server(
      explorer::local_backend(explorer_resources(invocation.program, options.costs)),
      std::string(core::version_text()));
  std::atomic<int> connections = 0;
  std::vector<std::jthread> threads;
  std::vector<std::shared_ptr<explorer::Channel>> channels;
  auto idle_since = std::chrono::steady_clock::now();
  while (true) {
    pollfd wait{listening, POLLIN, 0};
    const int ready = ::poll(&wait, 1, 200);
    if (ready > 0) {
      const int fd = ::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) continue;
      ++connections;
      auto channel = std::make_shared<explorer::Channel>(fd, fd);
      threads.emplace_back([&server, &connections, channel] {
        server.serve(*channel);
        --connections;
      });
    }
    const auto now = std::chrono::steady_clock::now();
    if (connections > 0) idle_since = now;
    // A result that nobody fetches does not keep it alive for ever.
    const double idle = std::chrono::duration<double>(now - idle_since).count();
    if (idle > (server.busy() > 0 ? 6 * options.linger : options.linger)) return;
  }
}

// The other process; this one goes on and connects to it.
core::Status start_server(const std::filesystem::path& path, const sockaddr_un& address, int lock,
                          const Invocation& invocation, const Options& options) {
  const int listening = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ::unlink(path.c_str());
  if (listening < 0 ||
      ::bind(listening, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listening, 16) != 0) {
    const std::string why = std::strerror(errno);
    if (listening >= 0) ::close(listening);
    return core::fail("{}: {}", path.string(), why);
  }
  const pid_t child = ::fork();
  if (child < 0) {
    ::close(listening);
    return core::fail("fork: {}", std::strerror(errno));
  }
  if (child == 0) {
    if (lock >= 0) ::close(lock);  // else it would be held as long as this process lives
    ::setsid();
    ::signal(SIGHUP, SIG_IGN);
    ::signal(SIGPIPE, SIG_IGN);
    const int nothing = ::open("/dev/null", O_RDWR);
    const int log = ::open((path.string() + ".log").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ::dup2(nothing, STDIN_FILENO);
    ::dup2(nothing, STDOUT_FILENO);
    ::dup2(log >= 0 ? log : nothing, STDERR_FILENO);
    serve_all(listening, invocation, options);
    ::unlink(path.c_str());
    ::_exit(0);
  }
  ::close(listening);
  return {};
}

// Passes bytes on in both directions until one of them ends.
core::Status pass_on(int server) {
  pollfd ends[2] = {{STDIN_FILENO, POLLIN, 0}, {server, POLLIN, 0}};
  const int targets[2] = {server, STDOUT_FILENO};
  std::vector<char> bytes(1 << 16);
  while (true) {
    if (::poll(ends, 2, -1) < 0) {
      if (errno == EINTR) continue;
      return core::fail("poll: {}", std::strerror(errno));
    }
    for (int i = 0; i < 2; ++i) {
      if ((ends[i].revents & (POLLIN | POLLHUP | POLLERR)) == 0) continue;
      const ssize_t n = ::read(ends[i].fd, bytes.data(), bytes.size());
      if (n <= 0) return {};
      for (ssize_t done = 0; done < n;) {
        const ssize_t written =
            ::write(targets[i], bytes.data() + done, static_cast<std::size_t>(n - done));
        if (written <= 0) return {};
        done += written;
      }
    }
  }
}

core::Status serve(const Invocation& invocation, const Options& options) {
  ::signal(SIGPIPE, SIG_IGN);
  if (options.name.find('/') != std::string::npos)
    return core::usage_error("--name {}: a word without `/` is accepted", options.name);
  SOAPSTONE_ASSIGN(const std::filesystem::path folder, socket_folder());
  const std::filesystem::path path = folder / (options.name + ".sock");
  SOAPSTONE_ASSIGN(const sockaddr_un address, address_of(path));
  // One at a time looks whether there is a server, and starts one.
  const int lock = ::open((folder / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock >= 0) ::flock(lock, LOCK_EX);
  int server = connect_to(address);
  if (server < 0) {
    const core::Status started = start_server(path, address, lock, invocation, options);
    if (started) server = connect_to(address);
    if (lock >= 0) ::close(lock);
    SOAPSTONE_TRY(started);
    if (server < 0) return core::fail("{}: {}", path.string(), std::strerror(errno));
  } else if (lock >= 0) {
    ::close(lock);
  }
  const core::Status done = pass_on(server);
  ::close(server);
  return done;
}

Action declare(CLI::App& app) {
  auto o = std::make_shared<Options>();
  declare_costs(app, o->costs);
  app.add_option("--name", o->name, "Of the process that works: one for every name and user")
      ->capture_default_str();
  app.add_option("--linger", o->linger,
                 "Seconds after which it ends when nobody is connected; six times as many while "
                 "something is at work or not fetched")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  return [o](const Invocation& invocation) { return serve(invocation, *o); };
}

}  // namespace

const Verb kServeVerb{"serve", "Work for an explorer on another machine (explore --host)",
                      "soapstone serve --linger 60 < /dev/null", declare, Answer::kText};

}  // namespace soapstone::cli
