// One macro for broken invariants. Active in every build type.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include <fmt/core.h>

namespace soapstone::core {

// Thrown when Soapstone itself is wrong, never for what a user did.
struct InvariantError : std::logic_error {
  using std::logic_error::logic_error;
};

[[noreturn]] inline void invariant_broken(const char* expression, const char* file, int line,
                                          std::string what) {
  throw InvariantError(
      fmt::format("{}:{}: invariant `{}` is broken: {}", file, line, expression, what));
}

}  // namespace soapstone::core

// SOAPSTONE_ASSERT(condition, "format {}", values...): prints the offending values.
#define SOAPSTONE_ASSERT(condition, ...)                                  \
  do {                                                                    \
    if (!(condition)) [[unlikely]]                                        \
      ::soapstone::core::invariant_broken(#condition, __FILE__, __LINE__, \
                                          fmt::format(__VA_ARGS__));      \
  } while (false)
