#include "runtime/data/text_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include <zlib.h>

namespace soapstone::runtime {

namespace {

struct Close {
  void operator()(gzFile_s* file) const { (void)gzclose_r(file); }  // read only: nothing is lost
};

}  // namespace

core::Result<std::string> read_zipped(const std::filesystem::path& path) {
  const std::string name = path.string();
  errno = 0;
  const std::unique_ptr<gzFile_s, Close> file(gzopen(name.c_str(), "rb"));
  if (!file) return core::fail("{}: {}", name, errno != 0 ? std::strerror(errno) : "out of memory");
  constexpr std::size_t kPiece = 1 << 18, kMost = 1 << 30;
  std::string bytes;
  for (;;) {
    const std::size_t before = bytes.size();
    if (before > kMost) return core::usage_error("{}: more than 1 GiB; accepted: less", name);
    bytes.resize(before + kPiece);
    const int got = gzread(file.get(), bytes.data() + before, kPiece);
    bytes.resize(before + static_cast<std::size_t>(std::max(got, 0)));
    if (got > 0) continue;
    // A gzip file that ends within its last block gives what it has, and says so afterwards.
    int code = Z_OK;
    const char* why = gzerror(file.get(), &code);
    if (got == 0 && code == Z_OK) return bytes;
    if (code == Z_BUF_ERROR)
      return core::fail("{}: at offset {}: the file is truncated", name, bytes.size());
    return core::fail("{}: at offset {}: {}", name, bytes.size(),
                      code == Z_ERRNO ? std::strerror(errno) : why);
  }
}

core::Result<std::string> read_text(const std::filesystem::path& path) {
  SOAPSTONE_ASSIGN(std::string text, read_zipped(path));
  if (const auto at = text.find('\0'); at != std::string::npos)
    return core::usage_error(
        "{}:{}: a byte 0; accepted: plain text, also gzipped", path.string(),
        1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
  return text;
}

core::Result<std::vector<std::filesystem::path>> files_below(
    const std::filesystem::path& folder, std::span<const std::string_view> endings) {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  for (auto it = std::filesystem::recursive_directory_iterator(folder, error);
       !error && it != std::filesystem::recursive_directory_iterator(); it.increment(error)) {
    std::error_code ignored;  // what cannot be looked at is no regular file
    const std::string name = it->path().filename().string();
    if (it->is_regular_file(ignored) &&
        std::any_of(endings.begin(), endings.end(), [&](auto end) { return name.ends_with(end); }))
      files.push_back(it->path());
  }
  if (error) return core::fail("{}: {}", folder.string(), error.message());
  std::sort(files.begin(), files.end());
  if (!files.empty()) return files;
  std::string accepted;
  for (const std::string_view end : endings)
    accepted += fmt::format("{}*{}", accepted.empty() ? "" : ", ", end);
  return core::usage_error("{}: holds no file of data; accepted: {}", folder.string(), accepted);
}

std::filesystem::path data_folder(const std::filesystem::path& folder,
                                  const std::filesystem::path& standard) {
  if (!folder.empty()) return folder;
  if (const char* set = std::getenv("SOAPSTONE_DATA"); set != nullptr && *set != '\0') return set;
  return standard;
}

core::Error advised(core::Error error, std::string_view package,
                    const std::filesystem::path& standard) {
  error.message += fmt::format(
      " (the Debian package {} installs it under {}; another place: --data-folder, or "
      "SOAPSTONE_DATA)",
      package, standard.string());
  return error;
}

}  // namespace soapstone::runtime
