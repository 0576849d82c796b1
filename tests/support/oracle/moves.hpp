// What moving a tensor between two layouts must do, element by element.
#pragma once

#include <random>
#include <vector>

#include "core/layout.hpp"
#include "core/reshard.hpp"
#include "core/result.hpp"

namespace soapstone::oracle {

using Values = std::vector<double>;  // row-major; whole numbers, so that sums are exact

// Every shard's piece, such that the layout's value is `whole`: partial sums are random, copies are
// equal. Elements that no part covers are taken to be zero in `whole`.
std::vector<Values> pieces_of(const core::Layout& layout, const core::Shape& shape, Values& whole,
                              std::mt19937_64& random);
// The value of a layout with these pieces; errors if copies differ. Elements that no part covers
// are NaN.
core::Result<Values> value_of(const core::Layout& layout, const core::Shape& shape,
                              const std::vector<Values>& pieces);

// What the moves of a reshard leave on every shard of `to`.
core::Result<std::vector<Values>> moved(const core::Reshard& reshard, const core::Layout& from,
                                        const core::Layout& to, const std::vector<Values>& pieces);

// Elements that must cross between devices: those of a wanted box that are not on the device
// itself, for a sum one for every contribution that no shard on the device has.
std::int64_t least_elements_moved(const core::Layout& from, const core::Layout& to,
                                  const core::Shape& shape);

// Any cut: uneven, empty and overlapping parts, partial sums, replicas, on some of `devices`
// devices.
struct LayoutKind {
  bool covers = true;  // every index is in some part
};
core::Layout random_layout(const core::Shape& shape, std::uint32_t devices, LayoutKind kind,
                           std::mt19937_64& random);

}  // namespace soapstone::oracle
