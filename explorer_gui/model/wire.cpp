#include "explorer_gui/model/wire.hpp"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace soapstone::explorer {

namespace {

// Four bytes of text are more than that.
constexpr std::uint32_t kLongest = 0x1FFFFFFF;

core::Status write_all(int fd, const std::uint8_t* bytes, std::size_t n) {
  while (n > 0) {
    // A reader that is gone is an error of this call, no signal.
    ssize_t done = ::send(fd, bytes, n, MSG_NOSIGNAL);
    if (done < 0 && errno == ENOTSOCK) done = ::write(fd, bytes, n);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return core::fail("the connection is gone: {}", std::strerror(errno));
    bytes += done;
    n -= static_cast<std::size_t>(done);
  }
  return {};
}

core::Status read_all(int fd, std::uint8_t* bytes, std::size_t n) {
  while (n > 0) {
    const ssize_t done = ::read(fd, bytes, n);
    if (done < 0 && errno == EINTR) continue;
    if (done == 0) return core::fail("the connection is gone");
    if (done < 0) return core::fail("the connection is gone: {}", std::strerror(errno));
    bytes += done;
    n -= static_cast<std::size_t>(done);
  }
  return {};
}

}  // namespace

Channel::~Channel() {
  ::close(in_);
  if (out_ != in_) ::close(out_);
  if (child_ > 0) {
    ::kill(child_, SIGTERM);
    ::waitpid(child_, nullptr, 0);
  }
}

core::Status Channel::write(const core::Json& message) {
  std::vector<std::uint8_t> bytes(4);
  nlohmann::ordered_json::to_cbor(message, bytes);
  const std::size_t n = bytes.size() - 4;
  if (n > kLongest) return core::fail("a message of {} bytes is too long", n);
  for (std::size_t i = 0; i < 4; ++i) bytes[i] = static_cast<std::uint8_t>(n >> (8 * i));
  return write_all(out_, bytes.data(), bytes.size());
}

core::Result<core::Json> Channel::read() {
  std::uint8_t head[4];
  SOAPSTONE_TRY(read_all(in_, head, 4));
  const std::uint32_t n =
      static_cast<std::uint32_t>(head[0]) | static_cast<std::uint32_t>(head[1]) << 8 |
      static_cast<std::uint32_t>(head[2]) << 16 | static_cast<std::uint32_t>(head[3]) << 24;
  if (n > kLongest)
    return core::fail(
        "what comes begins with `{}`, which is no message of soapstone serve: does "
        "the shell there print something when it starts?",
        std::string(reinterpret_cast<const char*>(head), 4));
  std::vector<std::uint8_t> bytes(n);
  SOAPSTONE_TRY(read_all(in_, bytes.data(), n));
  core::Json out = core::Json::from_cbor(bytes, true, false);
  if (!out.is_object()) return core::fail("what comes is no message of soapstone serve");
  return out;
}

void Channel::shut() {
  // A pipe has no such call: there the child is ended, which closes its end.
  if (::shutdown(in_, SHUT_RDWR) != 0 && child_ > 0) ::kill(child_, SIGTERM);
}

core::Result<std::unique_ptr<Channel>> channel_to(const std::vector<std::string>& command) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return core::fail("socketpair: {}", std::strerror(errno));
  std::vector<char*> arguments;
  for (const std::string& a : command) arguments.push_back(const_cast<char*>(a.c_str()));
  arguments.push_back(nullptr);
  const pid_t child = ::fork();
  if (child < 0) return core::fail("fork: {}", std::strerror(errno));
  if (child == 0) {
    ::dup2(ends[1], STDIN_FILENO);
    ::dup2(ends[1], STDOUT_FILENO);
    ::execvp(arguments[0], arguments.data());
    ::_exit(127);
  }
  ::close(ends[1]);
  return std::make_unique<Channel>(ends[0], ends[0], child);
}

}  // namespace soapstone::explorer
