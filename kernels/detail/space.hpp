// Where portable kernels run, and how they are launched. The only header by
// which kernels reach Kokkos.
#pragma once

#include <cstdint>
#include <string>

#include <Kokkos_Core.hpp>

namespace soapstone::kernels::detail {

// Blocks lie in this space's memory.
using Space = Kokkos::DefaultHostExecutionSpace;
using Memory = Space::memory_space;

// Every View and kernel is labelled "soapstone::op::step".
using Range = Kokkos::RangePolicy<Space, Kokkos::IndexType<std::int64_t>>;

// The label as Kokkos wants it, valid until the next call of the thread. A new std::string per
// launch would be an allocation per launch.
inline const std::string& label_text(const char* label) {
  thread_local std::string text;
  return text.assign(label);
}

// body(i) for i in [0, count), one contiguous piece per thread. Nothing is launched for none.
// Outputs are split over threads, sums are not: the bits do not depend on the number of threads.
template <class Body>
void parallel_for(const Space& space, const char* label, std::int64_t count, const Body& body) {
  if (count > 0) Kokkos::parallel_for(label_text(label), Range(space, 0, count), body);
}

// body(begin, end) for consecutive pieces of [0, count) of `grain` indices each (the last may be
// shorter), pieces handed out evenly to threads. For loops that vectorise or keep state in a piece;
// the pieces do not depend on the number of threads.
template <class Body>
void parallel_for_chunks(const Space& space, const char* label, std::int64_t count,
                         std::int64_t grain, const Body& body) {
  const std::int64_t chunks = (count + grain - 1) / grain;
  parallel_for(
      space, label, chunks, KOKKOS_LAMBDA(const std::int64_t chunk) {
        const std::int64_t begin = chunk * grain;
        const std::int64_t end = begin + grain < count ? begin + grain : count;
        body(begin, end);
      });
}

}  // namespace soapstone::kernels::detail
