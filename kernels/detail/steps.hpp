// Loops over several operands, compiled for the steps that they mostly have.
#pragma once

#include <cstdint>
#include <type_traits>

namespace soapstone::kernels::detail {

// body(first, second, third) with the steps between the elements of a run of three operands: as
// constants where the first is 1 and the others are 0 (repeated) or 1, so that the loop inside
// vectorises, else as they are.
template <class Body>
void with_steps(std::int64_t first, std::int64_t second, std::int64_t third, const Body& body) {
  using Still = std::integral_constant<std::int64_t, 0>;
  using Next = std::integral_constant<std::int64_t, 1>;
  if (first != 1 || (second | third) >> 1 != 0) return body(first, second, third);
  if (second == 1 && third == 1) return body(Next{}, Next{}, Next{});
  if (second == 1) return body(Next{}, Next{}, Still{});
  if (third == 1) return body(Next{}, Still{}, Next{});
  body(Next{}, Still{}, Still{});
}

}  // namespace soapstone::kernels::detail
