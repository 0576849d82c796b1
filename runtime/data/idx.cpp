#include "runtime/data/idx.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include <zlib.h>

namespace soapstone::runtime {

namespace {

struct Close {
  void operator()(gzFile_s* file) const { (void)gzclose_r(file); }  // read only: nothing is lost
};
using File = std::unique_ptr<gzFile_s, Close>;

// Reads up to `size` bytes at `offset` (of the unzipped file); fewer only at its end.
core::Result<std::int64_t> read_some(gzFile_s* file, const std::string& name, std::int64_t offset,
                                     void* out, std::int64_t size) {
  std::int64_t got = 0;
  while (got < size) {
    const auto piece = static_cast<unsigned>(std::min<std::int64_t>(size - got, 1 << 28));
    const int n = gzread(file, static_cast<char*>(out) + got, piece);
    if (n == 0) break;
    if (n < 0) {
      int code = 0;
      const char* why = gzerror(file, &code);
      return core::fail("{}: at offset {}: the file is damaged: {}", name, offset + got,
                        code == Z_ERRNO ? std::strerror(errno) : why);
    }
    got += n;
  }
  // A gzip file that ends within its last block gives what it has, and says so afterwards.
  int code = Z_OK;
  const char* why = got < size ? gzerror(file, &code) : "";
  if (code == Z_BUF_ERROR)
    return core::fail("{}: at offset {}: expected {} bytes, found {}: the file is truncated ({})",
                      name, offset, size, got, why);
  return got;
}

core::Status read_exactly(gzFile_s* file, const std::string& name, std::int64_t offset, void* out,
                          std::int64_t size, std::string_view what) {
  SOAPSTONE_ASSIGN(const std::int64_t got, read_some(file, name, offset, out, size));
  if (got == size) return {};
  return core::fail("{}: at offset {}: expected {} bytes of {}, found {}: the file is truncated",
                    name, offset, size, what, got);
}

}  // namespace

core::Result<IdxArray> read_idx(const std::filesystem::path& path, int rank) {
  const std::string name = path.string();
  errno = 0;
  const File file(gzopen(name.c_str(), "rb"));
  if (!file) return core::fail("{}: {}", name, errno != 0 ? std::strerror(errno) : "out of memory");
  (void)gzbuffer(file.get(), 1 << 18);  // only a matter of speed

  std::uint8_t magic[4] = {};
  SOAPSTONE_TRY(read_exactly(file.get(), name, 0, magic, 4, "an IDX header"));
  if (magic[0] != 0 || magic[1] != 0 || magic[2] != 0x08 || magic[3] != rank)
    return core::fail(
        "{}: at offset 0: expected 00 00 08 {:02x} (an IDX file of unsigned bytes with {} "
        "dimensions), "
        "found {:02x} {:02x} {:02x} {:02x}",
        name, rank, rank, magic[0], magic[1], magic[2], magic[3]);
  IdxArray array;
  std::int64_t count = 1;
  for (int d = 0; d < rank; ++d) {
    std::uint8_t b[4] = {};
    SOAPSTONE_TRY(read_exactly(file.get(), name, 4 + 4 * d, b, 4, "an extent"));
    const std::int64_t extent = std::int64_t{b[0]} << 24 | b[1] << 16 | b[2] << 8 | b[3];
    constexpr std::int64_t kMost = std::int64_t{1} << 36;
    if (extent == 0 || extent > kMost / count)
      return core::fail(
          "{}: at offset {}: dimension {} has extent {}; accepted: at least 1, and at most {} "
          "values in all",
          name, 4 + 4 * d, d, extent, kMost);
    array.shape.push_back(extent);
    count *= extent;
  }
  const std::int64_t offset = 4 + 4 * rank;
  // In pieces, so that a wrong extent in a small file is not taken for memory to be had.
  constexpr std::int64_t kPiece = 1 << 24;
  for (std::int64_t at = 0; at < count; at += kPiece) {
    const std::int64_t size = std::min(kPiece, count - at);
    array.values.resize(static_cast<std::size_t>(at + size));
    SOAPSTONE_ASSIGN(const std::int64_t got,
                     read_some(file.get(), name, offset + at, array.values.data() + at, size));
    if (got < size)
      return core::fail("{}: at offset {}: expected {} values, found {}: the file is truncated",
                        name, offset, count, at + got);
  }
  std::uint8_t more = 0;
  SOAPSTONE_ASSIGN(const std::int64_t rest, read_some(file.get(), name, offset + count, &more, 1));
  if (rest != 0)
    return core::fail("{}: at offset {}: expected the end of the file, found more bytes", name,
                      offset + count);
  return array;
}

}  // namespace soapstone::runtime
