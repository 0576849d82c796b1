// Elementary functions as plain arithmetic without branches: loops over them vectorise, and their
// bits do not depend on the mathematical library that is installed.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include <Kokkos_Macros.hpp>

namespace soapstone::kernels::detail {

// e^x to about 1 unit in the last place; 0 below the smallest normal number.
// x = n ln 2 + r, |r| <= ln 2 / 2. Adding and subtracting 1.5 · 2^23 (2^52) rounds to n and leaves
// n in the low bits. Polynomial in r: float from Cephes' expf, double the Taylor series to r^13.
KOKKOS_INLINE_FUNCTION float exponential(float x) {
  constexpr float kShift = 12582912.0f, kLowest = -87.3365447f, kHighest = 88.3762626f;
  const float clamped = x < kLowest ? kLowest : x > kHighest ? kHighest : x;
  const float shifted = clamped * 1.44269504f + kShift;
  const float n = shifted - kShift;
  const float r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  const std::int32_t exponent =
      std::bit_cast<std::int32_t>(shifted) - std::bit_cast<std::int32_t>(kShift);
  const float power = std::bit_cast<float>((exponent + 127) * (std::int32_t{1} << 23));
  return x < kLowest ? 0.0f : p * power;
}

KOKKOS_INLINE_FUNCTION double exponential(double x) {
  constexpr double kShift = 6755399441055744.0, kLowest = -708.0, kHighest = 709.0;
  const double clamped = x < kLowest ? kLowest : x > kHighest ? kHighest : x;
  const double shifted = clamped * 1.4426950408889634 + kShift;
  const double n = shifted - kShift;
  const double r = (clamped - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
  double p = 1.0 / 6227020800;
  p = p * r + 1.0 / 479001600;
  p = p * r + 1.0 / 39916800;
  p = p * r + 1.0 / 3628800;
  p = p * r + 1.0 / 362880;
  p = p * r + 1.0 / 40320;
  p = p * r + 1.0 / 5040;
  p = p * r + 1.0 / 720;
  p = p * r + 1.0 / 120;
  p = p * r + 1.0 / 24;
  p = p * r + 1.0 / 6;
  p = p * r + 0.5;
  p = p * (r * r) + r + 1.0;
  const std::int64_t exponent =
      std::bit_cast<std::int64_t>(shifted) - std::bit_cast<std::int64_t>(kShift);
  const double power = std::bit_cast<double>((exponent + 1023) * (std::int64_t{1} << 52));
  return x < kLowest ? 0.0 : p * power;
}

// The normal distribution Φ(x) and its density φ(x).
template <class T>
struct Normal {
  T distribution, density;
};

// float: erfc(a) = e^(-a²) t P(2t - 1), t = 1 / (1 + 0.375 a), a = |x| / √2; P is a polynomial
// fitted to a relative error of 1.2e-8 over a in [0, 10]. The small tail is computed for itself, so
// that Φ(x) of a negative x does not cancel.
KOKKOS_INLINE_FUNCTION Normal<float> normal(float x) {
  const float t = 1.0f / (1.0f + 0.265165043f * (x < 0 ? -x : x));
  const float u = 2.0f * t - 1.0f;
  float p = 0.00024038442076886708f;
  p = p * u - 0.0003216851658137676f;
  p = p * u - 0.0022263534182645752f;
  p = p * u - 0.000310325675654265f;
  p = p * u + 0.020865517329139424f;
  p = p * u + 0.08194692925364952f;
  p = p * u + 0.18878192813190356f;
  p = p * u + 0.3128783463100977f;
  p = p * u + 0.398145264285677f;
  const float bell = exponential(-0.5f * x * x);
  const float tail = 0.5f * t * p * bell;
  return {x < 0 ? tail : 1.0f - tail, 0.398942280f * bell};
}

KOKKOS_INLINE_FUNCTION Normal<double> normal(double x) {
  return {0.5 * erfc(-0.70710678118654752440 * x),
          0.39894228040143267794 * exponential(-0.5 * x * x)};
}

// ln x to about 1 unit in the last place; -∞ at 0, not a number below.
// |x| = 2^e m with m in [1/√2, √2), f = m - 1. float: polynomial of Cephes' logf; double: that of
// fdlibm's log in s = f / (2 + f). Numbers too small to be normal are scaled up before. Special
// results are added and bits are masked: a choice between computed numbers becomes a branch.
KOKKOS_INLINE_FUNCTION float logarithm(float x) {
  constexpr std::int32_t kRootOfHalf = 0x3f3504f3, kSmallest = 0x00800000;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::int32_t own_bits = std::bit_cast<std::int32_t>(x) & 0x7fffffff;   // of |x|
  const std::int32_t tiny = -static_cast<std::int32_t>(own_bits < kSmallest);  // all bits or none
  const std::int32_t scaled = std::bit_cast<std::int32_t>(x * 8388608.0f) & 0x7fffffff;
  const std::int32_t bits = (scaled & tiny) | (own_bits & ~tiny);
  const std::int32_t e = (bits - kRootOfHalf) >> 23;
  const float f = std::bit_cast<float>(bits - e * (std::int32_t{1} << 23)) - 1.0f;
  const float n = static_cast<float>(e - (23 & tiny));
  float p = 7.0376836292e-2f;
  p = p * f - 1.1514610310e-1f;
  p = p * f + 1.1676998740e-1f;
  p = p * f - 1.2420140846e-1f;
  p = p * f + 1.4249322787e-1f;
  p = p * f - 1.6668057665e-1f;
  p = p * f + 2.0000714765e-1f;
  p = p * f - 2.4999993993e-1f;
  p = p * f + 3.3333331174e-1f;
  const float square = f * f;
  const float below = x == 0.0f ? -kInfinity : std::numeric_limits<float>::quiet_NaN();
  const float above = x < kInfinity ? 0.0f : x;
  return (f + (p * f * square - n * 2.12194440e-4f - 0.5f * square)) + n * 0.693359375f +
         (x > 0.0f ? above : below);
}

KOKKOS_INLINE_FUNCTION double logarithm(double x) {
  constexpr std::int64_t kRootOfHalf = 0x3fe6a09e667f3bcd, kSmallest = 0x0010000000000000,
                         kNoSign = 0x7fffffffffffffff;
  constexpr double kShift = 6755399441055744.0, kInfinity = std::numeric_limits<double>::infinity();
  const std::int64_t own_bits = std::bit_cast<std::int64_t>(x) & kNoSign;
  const std::int64_t tiny = -static_cast<std::int64_t>(own_bits < kSmallest);
  const std::int64_t scaled = std::bit_cast<std::int64_t>(x * 4503599627370496.0) & kNoSign;
  const std::int64_t bits = (scaled & tiny) | (own_bits & ~tiny);
  const std::int64_t e = (bits - kRootOfHalf) >> 52;
  const double f = std::bit_cast<double>(bits - e * (std::int64_t{1} << 52)) - 1.0;
  // As a double by way of the low bits, as in exponential.
  const double n =
      std::bit_cast<double>(std::bit_cast<std::int64_t>(kShift) + (e - (52 & tiny))) - kShift;
  const double s = f / (2.0 + f), z = s * s;
  double p = 1.479819860511658591e-01;
  p = p * z + 1.531383769920937332e-01;
  p = p * z + 1.818357216161805012e-01;
  p = p * z + 2.222219843214978396e-01;
  p = p * z + 2.857142874366239149e-01;
  p = p * z + 3.999999999940941908e-01;
  p = p * z + 6.666666666666735130e-01;
  const double half = 0.5 * f * f;
  const double below = x == 0.0 ? -kInfinity : std::numeric_limits<double>::quiet_NaN();
  const double above = x < kInfinity ? 0.0 : x;
  return n * 6.93147180369123816490e-01 -
         ((half - (s * (half + p * z) + n * 1.90821492927058770002e-10)) - f) +
         (x > 0.0 ? above : below);
}

// ln(1 + x) for x in [0, 1], also where 1 + x rounds x away.
// float: 2 artanh(s) with s = x / (2 + x), its series to s^15. double: ln w for the rounded w = 1 +
// x, and what the rounding lost.
KOKKOS_INLINE_FUNCTION float logarithm_of_one_plus(float x) {
  const float s = x / (2.0f + x), z = s * s;
  float p = 1.0f / 15;
  p = p * z + 1.0f / 13;
  p = p * z + 1.0f / 11;
  p = p * z + 1.0f / 9;
  p = p * z + 1.0f / 7;
  p = p * z + 1.0f / 5;
  p = p * z + 1.0f / 3;
  return 2.0f * (s + s * z * p);
}

KOKKOS_INLINE_FUNCTION double logarithm_of_one_plus(double x) {
  const double w = 1.0 + x;
  return logarithm(w) + (x - (w - 1.0)) / w;
}

// √x to about 1 unit in the last place, by Newton's method for 1 / √x from a first guess in the
// bits: std::sqrt may set errno and keeps a loop from vectorising.
KOKKOS_INLINE_FUNCTION float square_root(float x) {
  const bool tiny = x < std::numeric_limits<float>::min();
  const float a = tiny ? x * 16777216.0f : x;
  float r = std::bit_cast<float>(0x5f375a86 - (std::bit_cast<std::int32_t>(a) >> 1));
  for (int k = 0; k < 3; ++k) r *= 1.5f - 0.5f * a * r * r;
  float s = a * r;
  s += 0.5f * r * (a - s * s);
  s = tiny ? s * 0.000244140625f : s;
  const float outside = x < 0.0f ? std::numeric_limits<float>::quiet_NaN() : x;  // ±0, ∞, NaN
  return x > 0.0f && x < std::numeric_limits<float>::infinity() ? s : outside;
}

KOKKOS_INLINE_FUNCTION double square_root(double x) {
  const bool tiny = x < std::numeric_limits<double>::min();
  const double a = tiny ? x * 18014398509481984.0 : x;
  double r = std::bit_cast<double>(0x5fe6eb50c7b537a9 - (std::bit_cast<std::int64_t>(a) >> 1));
  for (int k = 0; k < 4; ++k) r *= 1.5 - 0.5 * a * r * r;
  double s = a * r;
  s += 0.5 * r * (a - s * s);
  s = tiny ? s * 7.450580596923828125e-09 : s;
  const double outside = x < 0.0 ? std::numeric_limits<double>::quiet_NaN() : x;
  return x > 0.0 && x < std::numeric_limits<double>::infinity() ? s : outside;
}

// e^x that becomes ∞ where it is larger than the largest number: exponential stays at the largest
// power that it computes.
KOKKOS_INLINE_FUNCTION float exponential_to_infinity(float x) {
  const bool large = x > 88.0f;
  return exponential(large ? x - 64.0f : x) * (large ? 6.23514908e27f : 1.0f);
}
KOKKOS_INLINE_FUNCTION double exponential_to_infinity(double x) {
  const bool large = x > 704.0;
  return exponential(large ? x - 512.0 : x) * (large ? 2.2844135865397565e222 : 1.0);
}

// σ(x) = 1 / (1 + e^-x) and σ(-x) = 1 - σ(x), neither of which cancels.
template <class T>
struct Logistic {
  T value, complement;
};
template <class T>
KOKKOS_INLINE_FUNCTION Logistic<T> logistic(T x) {
  const T e = exponential(-x), value = T(1) / (T(1) + e);
  return {value, e * value};
}

// Near 0 the polynomials of Cephes' tanhf and tanh, elsewhere 1 - 2 / (e^2|x| + 1).
KOKKOS_INLINE_FUNCTION float hyperbolic_tangent(float x) {
  const float a = x < 0 ? -x : x, z = x * x;
  float p = -5.70498872745e-3f;
  p = p * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  const float far = 1.0f - 2.0f / (exponential(2.0f * a) + 1.0f);
  return a < 0.625f ? x + x * z * p : x < 0 ? -far : far;
}

KOKKOS_INLINE_FUNCTION double hyperbolic_tangent(double x) {
  const double a = x < 0 ? -x : x, z = x * x;
  double p = -9.64399179425052238628e-1;
  p = p * z - 9.92877231001918586564e1;
  p = p * z - 1.61468768441708447952e3;
  double q = z + 1.12811678491632931402e2;
  q = q * z + 2.23548839060100448583e3;
  q = q * z + 4.84406305325125486048e3;
  const double far = 1.0 - 2.0 / (exponential(2.0 * a) + 1.0);
  return a < 0.625 ? x + x * z * (p / q) : x < 0 ? -far : far;
}

// e^x - 1 for x <= 0, by tanh(x / 2): does not cancel near 0.
template <class T>
KOKKOS_INLINE_FUNCTION T exponential_minus_one(T x) {
  const T t = hyperbolic_tangent(T(0.5) * x);
  return T(2) * t / (T(1) - t);
}

// erf(x) = 1 - 2 Φ(-√2 x); float: near 0 its Taylor series, which does not cancel.
KOKKOS_INLINE_FUNCTION float error_function(float x) {
  const float a = x < 0 ? -x : x, z = x * x;
  float p = 1.0f / 9360;
  p = p * z - 1.0f / 1320;
  p = p * z + 1.0f / 216;
  p = p * z - 1.0f / 42;
  p = p * z + 1.0f / 10;
  p = p * z - 1.0f / 3;
  const float near = 1.12837917f * (x + x * z * p);
  const float far = 1.0f - 2.0f * normal(-1.41421356f * a).distribution;
  return a < 0.5f ? near : x < 0 ? -far : far;
}
KOKKOS_INLINE_FUNCTION double error_function(double x) { return erf(x); }

}  // namespace soapstone::kernels::detail
