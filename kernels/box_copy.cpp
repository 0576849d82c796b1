#include "kernels/box_copy.hpp"

#include <array>
#include <cstring>

#include "kernels/detail/block_access.hpp"

namespace soapstone::kernels {

namespace {

using detail::Space;

// The box as a nest of loops in the order of dst's memory: the innermost `run` elements are
// contiguous in both blocks where `strided` is false.
struct Loops {
  int depth = 0;  // outer loops
  std::int64_t extent[core::kMaxRank] = {};
  std::int64_t dst_stride[core::kMaxRank] = {};
  std::int64_t src_stride[core::kMaxRank] = {};
  std::int64_t dst_offset = 0, src_offset = 0;
  std::int64_t run = 1;
  std::int64_t dst_step = 1, src_step = 1;  // strides of the innermost loop
  std::int64_t outer = 1;                   // product of extents
};

std::int64_t offset_of(const core::Box& box, const Block& block, const core::Shape& strides) {
  std::int64_t offset = 0;
  for (std::size_t d = 0; d < box.size(); ++d)
    offset += (box[d].begin - block.box[d].begin) * strides[d];
  return offset;
}

Loops make_loops(const Block& dst, const Block& src, const core::Box& box) {
  const core::Shape dst_strides = core::packed_strides(core::extents(dst.box), dst.order);
  const core::Shape src_strides = core::packed_strides(core::extents(src.box), src.order);
  Loops loops;
  loops.dst_offset = offset_of(box, dst, dst_strides);
  loops.src_offset = offset_of(box, src, src_strides);
  struct Level {
    std::int64_t extent, dst, src;
  };
  // Innermost first, neighbours merged where memory continues in both.
  std::array<Level, core::kMaxRank> levels{};
  std::size_t count = 0;
  for (std::size_t k = box.size(); k-- > 0;) {
    const std::size_t d = dst.order.empty() ? k : static_cast<std::size_t>(dst.order[k]);
    const Level level{box[d].extent(), dst_strides[d], src_strides[d]};
    if (level.extent == 1) continue;
    Level* const inner = count > 0 ? &levels[count - 1] : nullptr;
    if (inner != nullptr && level.dst == inner->dst * inner->extent &&
        level.src == inner->src * inner->extent)
      inner->extent *= level.extent;
    else
      levels[count++] = level;
  }
  if (count == 0) return loops;
  loops.run = levels[0].extent;
  loops.dst_step = levels[0].dst;
  loops.src_step = levels[0].src;
  for (std::size_t k = count; k-- > 1;) {
    loops.extent[loops.depth] = levels[k].extent;
    loops.dst_stride[loops.depth] = levels[k].dst;
    loops.src_stride[loops.depth] = levels[k].src;
    loops.outer *= levels[k].extent;
    ++loops.depth;
  }
  return loops;
}

// body(dst, src, count, dst_step, src_step) for pieces of innermost loops.
template <class T, class Body>
void over_runs(const char* label, const Loops& loops, T* dst, const T* src, const Body& body) {
  constexpr std::int64_t kPiece = 16384;  // elements a thread takes at a time
  const std::int64_t pieces_per_run = (loops.run + kPiece - 1) / kPiece;
  const std::int64_t runs_per_piece = std::max<std::int64_t>(1, kPiece / loops.run);
  detail::parallel_for_chunks(
      Space(), label, loops.outer * pieces_per_run, runs_per_piece,
      [=](std::int64_t begin, std::int64_t end) {
        std::int64_t at[core::kMaxRank] = {};
        std::int64_t piece = begin % pieces_per_run, rest = begin / pieces_per_run;
        T* d = dst + loops.dst_offset;
        const T* s = src + loops.src_offset;
        for (int k = loops.depth - 1; k >= 0; --k) {
          at[k] = rest % loops.extent[k];
          rest /= loops.extent[k];
          d += at[k] * loops.dst_stride[k];
          s += at[k] * loops.src_stride[k];
        }
        for (std::int64_t i = begin; i < end; ++i) {
          const std::int64_t first = piece * kPiece;
          body(d + first * loops.dst_step, s + first * loops.src_step,
               std::min(kPiece, loops.run - first), loops.dst_step, loops.src_step);
          if (++piece < pieces_per_run) continue;
          piece = 0;
          for (int k = loops.depth - 1; k >= 0; --k) {
            d += loops.dst_stride[k];
            s += loops.src_stride[k];
            if (++at[k] < loops.extent[k]) break;
            d -= at[k] * loops.dst_stride[k];
            s -= at[k] * loops.src_stride[k];
            at[k] = 0;
          }
        }
      });
}

void check(const Block& dst, const Block& src, const core::Box& box) {
  SOAPSTONE_ASSERT(dst.dtype == src.dtype, "{} into {}", name_of(src.dtype), name_of(dst.dtype));
  SOAPSTONE_ASSERT(core::contains(dst.box, box) && core::contains(src.box, box),
                   "box {} is not in both {} and {}", core::print(box), core::print(dst.box),
                   core::print(src.box));
}

}  // namespace

void copy_box(const Block& dst, const Block& src, const core::Box& box) {
  if (core::is_empty(box)) return;
  check(dst, src, box);
  const Loops loops = make_loops(dst, src, box);
  detail::dispatch_any(dst.dtype, [&](auto zero) {
    using T = decltype(zero);
    over_runs("soapstone::box::copy", loops, detail::data_of<T>(dst),
              static_cast<const T*>(detail::data_of<T>(src)),
              [](T* d, const T* s, std::int64_t count, std::int64_t d_step, std::int64_t s_step) {
                if (d_step == 1 && s_step == 1)
                  std::memcpy(d, s, static_cast<std::size_t>(count) * sizeof(T));
                else
                  for (std::int64_t i = 0; i < count; ++i) d[i * d_step] = s[i * s_step];
              });
  });
}

void add_box(const Block& dst, const Block& src, const core::Box& box) {
  if (core::is_empty(box)) return;
  check(dst, src, box);
  const Loops loops = make_loops(dst, src, box);
  detail::dispatch_any(dst.dtype, [&](auto zero) {
    using T = decltype(zero);
    over_runs("soapstone::box::add", loops, detail::data_of<T>(dst),
              static_cast<const T*>(detail::data_of<T>(src)),
              [](T* d, const T* s, std::int64_t count, std::int64_t d_step, std::int64_t s_step) {
                if (d_step == 1 && s_step == 1)
                  for (std::int64_t i = 0; i < count; ++i) d[i] += s[i];
                else
                  for (std::int64_t i = 0; i < count; ++i) d[i * d_step] += s[i * s_step];
              });
  });
}

void fill_zero(const Block& block) {
  detail::dispatch_any(block.dtype, [&](auto zero) {
    using T = decltype(zero);
    T* data = detail::data_of<T>(block);
    detail::parallel_for_chunks(Space(), "soapstone::box::zero", block.size(), 65536,
                                [=](std::int64_t begin, std::int64_t end) {
                                  std::memset(data + begin, 0,
                                              static_cast<std::size_t>(end - begin) * sizeof(T));
                                });
  });
}

}  // namespace soapstone::kernels
