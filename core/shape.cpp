#include "core/shape.hpp"

namespace soapstone::core {

Interval part_of(std::int64_t extent, std::int64_t granularity, int degree, int index) {
  SOAPSTONE_ASSERT(degree > 0 && index >= 0 && index < degree, "part {} of {}", index, degree);
  const std::int64_t granules = (extent + granularity - 1) / granularity;
  const std::int64_t base = granules / degree;
  const std::int64_t larger = granules % degree;
  const std::int64_t first = index * base + std::min<std::int64_t>(index, larger);
  const std::int64_t count = base + (index < larger ? 1 : 0);
  const Interval r{std::min(first * granularity, extent),
                   std::min((first + count) * granularity, extent)};
  return r.empty() ? Interval{} : r;
}

std::int64_t elements(const Shape& shape) {
  std::int64_t n = 1;
  for (const auto e : shape) n *= e;
  return n;
}

std::int64_t elements(const Box& box) {
  std::int64_t n = 1;
  for (const auto& i : box) n *= i.empty() ? 0 : i.extent();
  return n;
}

Shape extents(const Box& box) {
  Shape s;
  for (const auto& i : box) s.push_back(i.extent());
  return s;
}

Box whole(const Shape& shape) {
  Box b;
  for (const auto e : shape) b.push_back({0, e});
  return b;
}

Box intersect(const Box& a, const Box& b) {
  SOAPSTONE_ASSERT(a.size() == b.size(), "boxes of rank {} and {}", a.size(), b.size());
  Box r;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const Interval common = intersect(a[i], b[i]);
    if (common.empty()) return Box(a.size(), Interval{});
    r.push_back(common);
  }
  return r;
}

bool contains(const Box& outer, const Box& inner) {
  SOAPSTONE_ASSERT(outer.size() == inner.size(), "boxes of rank {} and {}", outer.size(),
                   inner.size());
  if (is_empty(inner)) return true;
  for (std::size_t i = 0; i < outer.size(); ++i)
    if (!outer[i].contains(inner[i])) return false;
  return true;
}

DimOrder row_major(std::size_t rank) {
  DimOrder o;
  for (std::size_t i = 0; i < rank; ++i) o.push_back(static_cast<std::int64_t>(i));
  return o;
}

DimOrder channels_last(std::size_t rank) {
  DimOrder o{0};
  for (std::size_t i = 2; i < rank; ++i) o.push_back(static_cast<std::int64_t>(i));
  if (rank > 1) o.push_back(1);
  return o;
}

Shape packed_strides(const Shape& local, const DimOrder& order) {
  Shape strides(local.size(), 0);
  std::int64_t stride = 1;
  for (std::size_t k = local.size(); k-- > 0;) {
    const std::size_t dim = order.empty() ? k : static_cast<std::size_t>(order[k]);
    strides[dim] = stride;
    stride *= local[dim];
  }
  return strides;
}

}  // namespace soapstone::core
