// IDX files, as MNIST and its relatives come in.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "core/result.hpp"

namespace soapstone::runtime {

// Unsigned bytes in row-major order.
struct IdxArray {
  std::vector<std::int64_t> shape;
  std::vector<std::uint8_t> values;
};

// Plain or gzipped. Format: two zero bytes, 0x08 (unsigned byte), the number of dimensions, each
// extent as big-endian u32, the values. Errors name file, offset, what was expected and what was
// found. Source: http://yann.lecun.com/exdb/mnist/
core::Result<IdxArray> read_idx(const std::filesystem::path& path, int rank);

}  // namespace soapstone::runtime
