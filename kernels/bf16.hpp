// The number format bf16 on the host.
#pragma once

#include <bit>
#include <cstdint>

namespace soapstone::kernels {

// The upper half of an f32, rounded to the nearest, ties to even. Sums are made in f32: arithmetic
// on it converts.
struct Bf16 {
  std::uint16_t bits;

  Bf16() = default;                               // trivial, as that of float
  Bf16(float value) : bits(upper_half(value)) {}  // NOLINT: a number
  explicit Bf16(double value) : bits(upper_half(static_cast<float>(value))) {}
  explicit Bf16(int value) : bits(upper_half(static_cast<float>(value))) {}
  operator float() const {  // NOLINT: a number
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
  }
  // Without a temporary, which would keep loops from being vectorised.
  Bf16& operator=(float value) {
    bits = upper_half(value);
    return *this;
  }
  Bf16& operator+=(float value) { return *this = static_cast<float>(*this) + value; }

 private:
  static std::uint16_t upper_half(float value) {
    const auto all = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t rounded = (all + 0x7fffu + ((all >> 16) & 1u)) >> 16;
    const std::uint32_t quiet = (all >> 16) | 0x40u;  // rounding could carry out of a NaN
    return static_cast<std::uint16_t>((all & 0x7fffffffu) > 0x7f800000u ? quiet : rounded);
  }
};

// What is computed in beside numbers of type T.
template <class T>
struct Wide {
  using Type = T;
};
template <>
struct Wide<Bf16> {
  using Type = float;
};
template <class T>
using WideOf = typename Wide<T>::Type;

}  // namespace soapstone::kernels
