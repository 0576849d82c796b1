// What the products of recurrent layers share.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/detail/recurrent.hpp"
#include "kernels/detail/space.hpp"

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

}  // namespace soapstone::kernels::onednn
