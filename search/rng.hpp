// Random numbers that are the same on every platform.
#pragma once

#include <cstdint>

namespace soapstone::search {

// splitmix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number
// generators", OOPSLA 2014): 64 random bits per call from a 64-bit state.
class Rng {
 public:
  explicit Rng(std::uint64_t seed) : state_(seed) {}

  std::uint64_t bits() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }

  // Uniform in [0, n), n > 0: values that would make it uneven are drawn again.
  std::uint64_t below(std::uint64_t n) {
    const std::uint64_t uneven = (0 - n) % n;
    while (true) {
      const std::uint64_t b = bits();
      if (b >= uneven) return b % n;
    }
  }

  // Uniform in [0, 1), 53 bits.
  double uniform() { return static_cast<double>(bits() >> 11) * 0x1.0p-53; }

  // Exponential with mean 1, from comparisons of uniforms alone (von Neumann,
  // "Various techniques used in connection with random digits", 1951): the same
  // bits whatever the mathematics library.
  double exponential() {
    for (double whole = 0;; whole += 1) {
      const double first = uniform();
      double previous = first;
      for (bool odd = true;; odd = !odd) {
        const double u = uniform();
        if (u >= previous) {
          if (odd) return whole + first;
          break;
        }
        previous = u;
      }
    }
  }

  // A generator of its own for part `index` of the work.
  Rng split(std::uint64_t index) const {
    return Rng(Rng(state_ ^ (index + 1) * 0xd1342543de82ef95ull).bits());
  }

 private:
  std::uint64_t state_;
};

}  // namespace soapstone::search
