// Values as bytes between processes of one machine type.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

#include "core/assert.hpp"

namespace soapstone::runtime::detail {

class ByteWriter {
 public:
  template <class T>
  void put(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(T));
  }
  void put_bytes(const void* data, std::size_t size) {
    if (size > 0) bytes_.append(static_cast<const char*>(data), size);
  }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : bytes_(bytes) {}
  bool done() const { return bytes_.empty(); }
  template <class T>
  T get() {
    static_assert(std::is_trivially_copyable_v<T>);
    T value;
    std::memcpy(&value, get_bytes(sizeof(T)), sizeof(T));
    return value;
  }
  const char* get_bytes(std::size_t size) {
    SOAPSTONE_ASSERT(size <= bytes_.size(), "{} bytes of {}", size, bytes_.size());
    const char* at = bytes_.data();
    bytes_.remove_prefix(size);
    return at;
  }

 private:
  std::string_view bytes_;
};

}  // namespace soapstone::runtime::detail
