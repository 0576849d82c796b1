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

Run first_zigzag_run(const Interval& part, std::int64_t extent, std::int64_t chunks) {
  if (chunks == 0) return {part, part.begin};
  const std::int64_t length = extent / chunks;
  const auto end_of_chunk = [&](std::int64_t index) {
    return std::min(part.end, (index / length + 1) * length);
  };
  Run run{{part.begin, end_of_chunk(part.begin)}, zigzag_position(part.begin, extent, chunks)};
  while (run.indices.end < part.end && run.position_of(run.indices.end) ==
                                           zigzag_position(run.indices.end, extent, chunks))
    run.indices.end = end_of_chunk(run.indices.end);
  return run;
}

std::vector<Run> zigzag_runs(const Interval& part, std::int64_t extent, std::int64_t chunks) {
  std::vector<Run> runs;
  for (Interval rest = part; !rest.empty(); rest.begin = runs.back().indices.end)
    runs.push_back(first_zigzag_run(rest, extent, chunks));
  return runs;
}

}  // namespace soapstone::core
