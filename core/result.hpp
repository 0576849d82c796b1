// Errors a user can cause. Broken invariants go through assert.hpp instead.
#pragma once

#include <string>
#include <utility>

#include <fmt/core.h>
#include <tl/expected.hpp>

namespace soapstone::core {

enum class ErrorKind {
  kFailed,   // the work was tried and did not succeed (exit code 1)
  kUsage,    // the request itself is malformed (exit code 2)
  kRefused,  // the request is well formed but cannot be honoured here (exit code 3)
};

// `message` names the file, line or key, the value, and what would be accepted.
struct Error {
  std::string message;
  ErrorKind kind = ErrorKind::kFailed;

  friend bool operator==(const Error&, const Error&) = default;
};

template <class T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

template <class... Args>
tl::unexpected<Error> fail(fmt::format_string<Args...> format, Args&&... args) {
  return tl::unexpected<Error>(
      Error{fmt::format(format, std::forward<Args>(args)...), ErrorKind::kFailed});
}
template <class... Args>
tl::unexpected<Error> usage_error(fmt::format_string<Args...> format, Args&&... args) {
  return tl::unexpected<Error>(
      Error{fmt::format(format, std::forward<Args>(args)...), ErrorKind::kUsage});
}
template <class... Args>
tl::unexpected<Error> refuse(fmt::format_string<Args...> format, Args&&... args) {
  return tl::unexpected<Error>(
      Error{fmt::format(format, std::forward<Args>(args)...), ErrorKind::kRefused});
}

// Returns the error of a Result or Status expression from the enclosing function.
#define SOAPSTONE_TRY(expression)                                             \
  do {                                                                        \
    auto&& soapstone_status = (expression);                                   \
    if (!soapstone_status) return ::tl::unexpected(soapstone_status.error()); \
  } while (false)

// Declares `variable` as the value of a Result expression or returns its error.
#define SOAPSTONE_CONCAT_INNER(a, b) a##b
#define SOAPSTONE_CONCAT(a, b) SOAPSTONE_CONCAT_INNER(a, b)
#define SOAPSTONE_ASSIGN(variable, expression) \
  SOAPSTONE_ASSIGN_NAMED(SOAPSTONE_CONCAT(soapstone_result_, __LINE__), variable, expression)
#define SOAPSTONE_ASSIGN_NAMED(temporary, variable, expression) \
  auto temporary = (expression);                                \
  if (!temporary) return ::tl::unexpected(temporary.error());   \
  variable = std::move(*temporary)

}  // namespace soapstone::core
