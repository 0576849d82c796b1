// Philox4x32-10 of Random123, inside Kokkos kernels.
#pragma once

#include <cstdint>

#include <Kokkos_Macros.hpp>
#include <Random123/philox.h>

namespace soapstone::kernels::detail {

struct PhiloxWords {
  std::uint32_t word[4];
};

KOKKOS_INLINE_FUNCTION PhiloxWords philox4x32_10(const PhiloxWords& counter, std::uint64_t key) {
  const r123::Philox4x32::ctr_type c{
      {counter.word[0], counter.word[1], counter.word[2], counter.word[3]}};
  const r123::Philox4x32::key_type k{
      {static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)}};
  const auto r = r123::Philox4x32()(c, k);
  return {{r[0], r[1], r[2], r[3]}};
}

}  // namespace soapstone::kernels::detail
