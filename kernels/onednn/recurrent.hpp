// What the products of recurrent layers share.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include <fmt/core.h>

#include "kernels/detail/recurrent.hpp"
#include "kernels/detail/space.hpp"
#include "kernels/onednn/onednn.hpp"

namespace soapstone::kernels::onednn {

// oneDNN does not write to what it reads.
template <class T>
T* mutable_of(const T* data) {
  return const_cast<T*>(data);
}

// to [rows, hidden] = the states before every time step.
template <class T>
void copy_states_before(const char* label, const detail::StatesBefore<T>& before, std::int64_t rows,
                        T* to) {
  const std::int64_t hidden = before.hidden;
  detail::parallel_for_chunks(detail::Space(), label, rows, 8,
                              [=](std::int64_t begin, std::int64_t end) {
                                for (std::int64_t row = begin; row < end; ++row)
                                  std::copy_n(before.row(row), hidden, to + row * hidden);
                              });
}

// Of a set of operations with `each(visit)`, which visits every one with its name: why one of them
// is missing; and all of them compiled, with the most scratch that one takes.
template <class Operations>
std::string first_why_not(Operations&& operations) {
  std::string reason;
  operations.each([&](const char* what, const Operation& operation) {
    if (reason.empty() && !operation.why_not().empty())
      reason = fmt::format("{}: {}", what, operation.why_not());
  });
  return reason;
}
template <class Operations>
core::Bytes compile_all(Operations& operations) {
  core::Bytes scratch;
  operations.each([&](const char*, Operation& operation) {
    operation.compile();
    scratch = std::max(scratch, operation.scratch());
  });
  return scratch;
}

}  // namespace soapstone::kernels::onednn
