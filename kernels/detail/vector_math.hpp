// Elementary functions as plain arithmetic without branches: loops over them vectorise, and their
// bits do not depend on the mathematical library that is installed.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

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

}  // namespace soapstone::kernels::detail
