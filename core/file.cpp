#include "core/file.hpp"

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <sstream>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace soapstone::core {

namespace {

std::string system_text(int code) { return std::generic_category().message(code); }

// An open file; closed when it goes out of scope.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0)
      static_cast<void>(
          ::close(fd_));  // only on a path that reports another error, or after reading
  }
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  // Some systems report a failed write only here.
  int close() {
    const int fd = fd_;
    fd_ = -1;
    return ::close(fd) == 0 || errno == EINTR ? 0 : errno;
  }

 private:
  int fd_;
};

// 0, or the errno of the write that failed.
int write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

// Makes a rename in `folder` survive a power cut. File systems that cannot
// synchronise a folder say EINVAL; there is nothing more to do then.
int sync_folder(const std::filesystem::path& folder) {
  Descriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid())
    return errno == EACCES ? 0 : errno;  // a folder may be writable and yet not readable
  return ::fsync(fd.get()) == 0 || errno == EINVAL || errno == ENOTSUP ? 0 : errno;
}

tl::unexpected<Error> cannot_write(const std::filesystem::path& path, int code) {
  return fail("cannot write {}: {}", path.string(), system_text(code));
}

// Fills the temporary file and gives it its name. 0, or an errno.
int fill_and_rename(Descriptor& fd, const std::string& temporary,
                    const std::filesystem::path& target, std::string_view bytes,
                    const struct stat* old) {
  if (old != nullptr && ::fchmod(fd.get(), old->st_mode & 07777) != 0) return errno;
  if (const int code = write_all(fd.get(), bytes)) return code;
  if (::fsync(fd.get()) != 0) return errno;
  if (const int code = fd.close()) return code;
  return ::rename(temporary.c_str(), target.c_str()) == 0 ? 0 : errno;
}

}  // namespace

Result<std::string> read_file(const std::filesystem::path& path) {
  Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return usage_error("cannot read {}: {}", path.string(), system_text(errno));
  std::string bytes;
  struct stat info {};
  if (::fstat(fd.get(), &info) == 0 && S_ISREG(info.st_mode))
    bytes.reserve(static_cast<std::size_t>(info.st_size));
  char block[1 << 16];
  for (;;) {
    const ssize_t count = ::read(fd.get(), block, sizeof block);
    if (count == 0) return bytes;
    if (count > 0)
      bytes.append(block, static_cast<std::size_t>(count));
    else if (errno != EINTR)
      return usage_error("cannot read {}: {}", path.string(), system_text(errno));
  }
}

Status write_file_atomically(const std::filesystem::path& path, std::string_view bytes) {
  std::error_code ignored;  // a path that does not exist yet stays as it is
  const auto resolved = std::filesystem::canonical(path, ignored);
  const std::filesystem::path target = ignored ? path : resolved;

  struct stat old {};
  const bool exists = ::stat(target.c_str(), &old) == 0;
  if (exists && !S_ISREG(old.st_mode)) {
    Descriptor fd(::open(target.c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd.valid()) return cannot_write(path, errno);
    if (const int code = write_all(fd.get(), bytes)) return cannot_write(path, code);
    if (const int code = fd.close()) return cannot_write(path, code);
    return {};
  }

  static std::atomic<unsigned> count{0};  // two threads never share a temporary
  const auto folder = target.has_parent_path() ? target.parent_path() : std::filesystem::path(".");
  const std::string temporary =
      (folder / fmt::format(".{}.{}-{}.tmp", target.filename().string(), ::getpid(), count++))
          .string();
  Descriptor fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!fd.valid()) return cannot_write(path, errno);
  if (const int code = fill_and_rename(fd, temporary, target, bytes, exists ? &old : nullptr)) {
    if (::unlink(temporary.c_str()) != 0)
      return fail("cannot write {}: {}; and {} stays behind: {}", path.string(), system_text(code),
                  temporary, system_text(errno));
    return cannot_write(path, code);
  }
  if (const int code = sync_folder(folder)) return cannot_write(path, code);
  return {};
}

std::string find_program(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::stringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    const auto candidate = std::filesystem::path(folder) / name;
    std::error_code ignored;  // what cannot be looked at cannot be run
    if (std::filesystem::is_regular_file(candidate, ignored) &&
        ::access(candidate.c_str(), X_OK) == 0)
      return candidate.string();
  }
  return "";
}

}  // namespace soapstone::core
