// Rows of tables lie where ids say: hardware does not foresee them, but the ids are known.
#pragma once

#include <cstdint>

namespace soapstone::kernels::detail {

// Asks for the first `columns` elements from `row` on, at most 1 KiB of them.
template <class T>
inline void prefetch_row(const T* row, std::int64_t columns) {
#if defined(__GNUC__)
  constexpr std::int64_t kLine = 64, kMost = 1024;
  const auto* bytes = reinterpret_cast<const char*>(row);
  std::int64_t size = columns * static_cast<std::int64_t>(sizeof(T));
  if (size > kMost) size = kMost;
  for (std::int64_t b = 0; b < size; b += kLine) __builtin_prefetch(bytes + b);
#else
  (void)row, (void)columns;
#endif
}

}  // namespace soapstone::kernels::detail
