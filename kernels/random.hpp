// Counter-based random numbers: a pure function of what the number is for, so
// that the value does not depend on layout, order or thread.
//
// Philox4x32-10 (Salmon et al., SC 2011, doi 10.1145/2063384.2063405) through
// Random123: key = seed, counter = (element, stream and its use, step).
// Usable inside Kokkos kernels.
#pragma once

#include <cstdint>

#include <Kokkos_Macros.hpp>

#include "kernels/detail/philox.hpp"

namespace soapstone::kernels {

// What numbers are drawn for: equal indices of different uses are unrelated.
enum class RandomUse : std::uint32_t {
  kInitialize = 0,
  kDropout = 1,
  kShuffle = 2,
  kSynthetic = 3
};

struct RandomStream {
  std::uint64_t seed = 0;  // of the run
  RandomUse use = RandomUse::kInitialize;
  std::uint32_t index = 0;  // of the tensor or operator
  std::uint32_t step = 0;   // training step
};

using RandomWords = detail::PhiloxWords;

// 128 random bits of the counter `element` < 2^56.
KOKKOS_INLINE_FUNCTION RandomWords random_words(const RandomStream& stream, std::uint64_t element) {
  return detail::philox4x32_10(
      {{static_cast<std::uint32_t>(element),
        static_cast<std::uint32_t>(element >> 32) | static_cast<std::uint32_t>(stream.use) << 24,
        stream.index, stream.step}},
      stream.seed);
}

// In [0, 1), 53 bits.
KOKKOS_INLINE_FUNCTION double uniform01(std::uint32_t high, std::uint32_t low) {
  const std::uint64_t bits = (static_cast<std::uint64_t>(high) << 32 | low) >> 11;
  return static_cast<double>(bits) * 0x1p-53;
}
KOKKOS_INLINE_FUNCTION double uniform01(const RandomStream& stream, std::uint64_t element) {
  const RandomWords r = random_words(stream, element);
  return uniform01(r.word[0], r.word[1]);
}

// In [0, 1), 32 bits, exactly representable in double; four consecutive elements share one Philox
// call: uniform01_of_four(random_words(stream, element / 4), element % 4) is the same.
KOKKOS_INLINE_FUNCTION double uniform01_of_four(const RandomWords& words, std::uint64_t which) {
  return words.word[which & 3] * 0x1p-32;
}
KOKKOS_INLINE_FUNCTION double uniform01_coarse(const RandomStream& stream, std::uint64_t element) {
  return uniform01_of_four(random_words(stream, element / 4), element % 4);
}

}  // namespace soapstone::kernels
