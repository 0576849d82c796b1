// Typed quantities: mixing units does not compile.
#pragma once

#include <cmath>
#include <compare>
#include <cstdint>

namespace soapstone::core {

// A number with a unit. `Unit` is a tag type; `Rep` is the representation.
template <class Unit, class Rep>
struct Quantity {
  using rep = Rep;
  Rep value{};

  constexpr Quantity() = default;
  constexpr explicit Quantity(Rep v) : value(v) {}

  friend constexpr auto operator<=>(const Quantity&, const Quantity&) = default;
  constexpr Quantity& operator+=(Quantity o) {
    value += o.value;
    return *this;
  }
  constexpr Quantity& operator-=(Quantity o) {
    value -= o.value;
    return *this;
  }
  friend constexpr Quantity operator+(Quantity a, Quantity b) {
    return Quantity(a.value + b.value);
  }
  friend constexpr Quantity operator-(Quantity a, Quantity b) {
    return Quantity(a.value - b.value);
  }
  friend constexpr Quantity operator*(Quantity a, Rep k) { return Quantity(a.value * k); }
  friend constexpr Quantity operator*(Rep k, Quantity a) { return Quantity(a.value * k); }
};

struct NanosecondsUnit {};
struct BytesUnit {};
struct FlopsUnit {};
struct BytesPerSecondUnit {};
struct FlopsPerSecondUnit {};

using Nanoseconds = Quantity<NanosecondsUnit, std::int64_t>;
using Bytes = Quantity<BytesUnit, std::int64_t>;
// Floating-point operations. A double: exact up to 2^53, and a step of the
// largest models exceeds what an int64 holds.
using Flops = Quantity<FlopsUnit, double>;
using BytesPerSecond = Quantity<BytesPerSecondUnit, double>;
using FlopsPerSecond = Quantity<FlopsPerSecondUnit, double>;

// Time to move or compute at a rate, rounded up to whole nanoseconds.
inline Nanoseconds operator/(Bytes b, BytesPerSecond r) {
  return Nanoseconds(
      static_cast<std::int64_t>(std::ceil(static_cast<double>(b.value) * 1e9 / r.value)));
}
inline Nanoseconds operator/(Flops f, FlopsPerSecond r) {
  return Nanoseconds(static_cast<std::int64_t>(std::ceil(f.value * 1e9 / r.value)));
}
inline double seconds(Nanoseconds t) { return static_cast<double>(t.value) * 1e-9; }

inline namespace literals {
constexpr Nanoseconds operator""_ns(unsigned long long v) {
  return Nanoseconds(static_cast<std::int64_t>(v));
}
constexpr Nanoseconds operator""_us(unsigned long long v) {
  return Nanoseconds(static_cast<std::int64_t>(v) * 1'000);
}
constexpr Nanoseconds operator""_ms(unsigned long long v) {
  return Nanoseconds(static_cast<std::int64_t>(v) * 1'000'000);
}
constexpr Bytes operator""_B(unsigned long long v) { return Bytes(static_cast<std::int64_t>(v)); }
constexpr Bytes operator""_KiB(unsigned long long v) {
  return Bytes(static_cast<std::int64_t>(v) << 10);
}
constexpr Bytes operator""_MiB(unsigned long long v) {
  return Bytes(static_cast<std::int64_t>(v) << 20);
}
constexpr Bytes operator""_GiB(unsigned long long v) {
  return Bytes(static_cast<std::int64_t>(v) << 30);
}
}  // namespace literals

// An index with a type of its own, so that an op is never taken for a tensor.
template <class Tag>
struct Id {
  static constexpr std::uint32_t kNone = 0xffffffffu;
  std::uint32_t value = kNone;

  constexpr Id() = default;
  constexpr explicit Id(std::uint32_t v) : value(v) {}
  constexpr bool valid() const { return value != kNone; }
  friend constexpr auto operator<=>(const Id&, const Id&) = default;
};

struct OpTag {};
struct TensorTag {};
struct DeviceTag {};
using OpId = Id<OpTag>;
using TensorId = Id<TensorTag>;
using DeviceId = Id<DeviceTag>;

}  // namespace soapstone::core
