#include "core/zigzag.hpp"

#include <algorithm>
#include <cstdlib>

namespace soapstone::core {

Status check_zigzag(std::int64_t extent, std::int64_t chunks) {
  if (chunks == 0) return {};
  if (chunks < 2 || chunks % 2 != 0)
    return usage_error("zigzag = {}: 0 (in order) or an even number of chunks is accepted", chunks);
  if (extent % chunks == 0) return {};
  std::int64_t nearest = 0;
  for (std::int64_t n = 2; n <= extent; n += 2)
    if (extent % n == 0 && std::abs(n - chunks) < std::abs(nearest - chunks)) nearest = n;
  return usage_error("zigzag = {}: {} indices are not so many equal chunks: {} is accepted", chunks,
                     extent, nearest);
}

std::vector<Run> zigzag_runs(const Interval& part, std::int64_t extent, std::int64_t chunks) {
  if (part.empty()) return {};
  if (chunks == 0) return {{part, part.begin}};
  const std::int64_t length = extent / chunks;
  std::vector<Run> runs;
  for (std::int64_t begin = part.begin; begin < part.end;) {
    const std::int64_t end = std::min(part.end, (begin / length + 1) * length);
    const std::int64_t position = zigzag_position(begin, extent, chunks);
    if (!runs.empty() && runs.back().position_of(begin) == position)
      runs.back().indices.end = end;
    else
      runs.push_back({{begin, end}, position});
    begin = end;
  }
  return runs;
}

}  // namespace soapstone::core
