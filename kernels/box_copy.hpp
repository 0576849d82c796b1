// Moves a box of a tensor between two blocks that hold it, whatever part of
// the tensor each block holds and however it lies in memory: packing,
// unpacking, resharding. f32, f64 and i32. Called from the main thread only.
#pragma once

#include "kernels/kernel.hpp"

namespace soapstone::kernels {

// dst = src on `box` (global indices), which must lie in both blocks. dtypes must be equal.
void copy_box(const Block& dst, const Block& src, const core::Box& box);
// dst += src on `box`.
void add_box(const Block& dst, const Block& src, const core::Box& box);
void fill_zero(const Block& block);

}  // namespace soapstone::kernels
