// Philox4x32-10 written from its description in Salmon et al., SC 2011
// (doi 10.1145/2063384.2063405), independent of the library that the kernels use.
#pragma once

#include <array>
#include <cstdint>

namespace soapstone::reference {

constexpr std::array<std::uint32_t, 4> philox4x32_10(std::array<std::uint32_t, 4> counter,
                                                     std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53} * counter[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57} * counter[2];
    counter = {
        static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(b),
        static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(a)};
    key = {key[0] + 0x9E3779B9u, key[1] + 0xBB67AE85u};
  }
  return counter;
}

// In [0, 1), as kernels::uniform01_coarse of the stream {seed, kDropout, op, step}.
constexpr double dropout_uniform(std::uint64_t seed, std::uint64_t step, std::uint32_t op,
                                 std::uint64_t element) {
  constexpr std::uint32_t kDropout = 1;  // kernels::RandomUse
  const std::uint64_t block = element / 4;
  const auto words = philox4x32_10(
      {static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32) | kDropout << 24,
       op, static_cast<std::uint32_t>(step)},
      {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
  return words[element % 4] * 0x1p-32;
}

}  // namespace soapstone::reference
