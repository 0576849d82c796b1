// The memory of one device.
#pragma once

#include <cstddef>
#include <utility>

#include "core/quantity.hpp"

namespace soapstone::runtime {

// Zero bytes, 64-byte aligned at least. Takes memory only where it is written, in huge pages where
// the system has them.
class Arena {
 public:
  explicit Arena(core::Bytes size);
  ~Arena();
  Arena(Arena&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Arena& operator=(Arena&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  std::byte* data() const { return data_; }
  core::Bytes size() const { return core::Bytes(static_cast<std::int64_t>(size_)); }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace soapstone::runtime
