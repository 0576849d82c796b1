// dropout: y = x m / (1 - rate), dx = dy m / (1 - rate); see core/ops/dropout.hpp.
//
// m is 0 where uniform01_coarse of the element's row-major index in the whole mini-batch, by the
// positions of dimensions in zig-zag order, is less than rate: four consecutive elements share one
// Philox call. Any order; overwrites y or dx. Moves 2 words per element, but takes the time of
// Philox.
#include <cmath>

#include "core/ops/dropout.hpp"
#include "core/zigzag.hpp"
#include "kernels/detail/block_access.hpp"
#include "kernels/detail/nest.hpp"
#include "kernels/detail/simd.hpp"
#include "kernels/detail/step_table.hpp"
#include "kernels/random.hpp"

namespace soapstone::kernels {
namespace {

using namespace detail;

constexpr std::int64_t kPiece =
    252;  // elements masked at a time; with up to 3 before them, 64 groups of 4
constexpr std::int64_t kLanes = 16;  // Philox calls side by side; more are made than wanted

// The random words of elements first + k · step for k in [0, count), count <= kPiece; `memory`
// holds kPiece + 4.
const std::uint32_t* draw(const RandomStream& stream, std::uint64_t first, std::uint64_t step,
                          std::int64_t count, std::uint32_t* memory) {
  if (step == 1) {
    const std::int64_t skip = static_cast<std::int64_t>(first % 4), groups = (skip + count + 3) / 4;
    for (std::int64_t g = 0; g < groups; g += kLanes) {
      SOAPSTONE_SIMD
      for (std::int64_t lane = g; lane < g + kLanes; ++lane) {
        const RandomWords r = random_words(stream, first / 4 + static_cast<std::uint64_t>(lane));
        memory[4 * lane] = r.word[0];
        memory[4 * lane + 1] = r.word[1];
        memory[4 * lane + 2] = r.word[2];
        memory[4 * lane + 3] = r.word[3];
      }
    }
    return memory + skip;
  }
  for (std::int64_t k = 0; k < count; k += kLanes) {
    SOAPSTONE_SIMD
    for (std::int64_t lane = k; lane < k + kLanes; ++lane) {
      const std::uint64_t element = first + static_cast<std::uint64_t>(lane) * step;
      const RandomWords r = random_words(stream, element / 4);
      const std::uint32_t even = element & 2 ? r.word[2] : r.word[0];
      const std::uint32_t odd = element & 2 ? r.word[3] : r.word[1];
      memory[lane] = element & 1 ? odd : even;
    }
  }
  return memory;
}

template <class T>
class DropoutKernel final : public PreparedKernel {
 public:
  explicit DropoutKernel(const core::LocalProblem& problem)
      : steps_(*problem.definition),
        rate_(problem.op.get_if<core::Dropout>()->rate),
        shape_(problem.definition->operands[problem.definition->operand("x")].desc.shape),
        zigzag_(problem.op.get_if<core::Dropout>()->zigzag) {
    zigzag_.resize(shape_.size(), 0);
  }

  void execute(const StepCall& call) const override {
    if (steps_.name(call) == "forward")
      return apply("soapstone::dropout::forward", call, steps_.value(call, "x"),
                   steps_.value(call, "y"));
    if (steps_.name(call) == "backward_input")
      return apply("soapstone::dropout::backward_input", call, steps_.gradient(call, "y"),
                   steps_.gradient(call, "x"));
    unknown_step("dropout/kokkos", steps_.name(call));
  }

 private:
  void apply(const char* label, const StepCall& call, const Block& from, const Block& to) const {
    if (to.data == nullptr) return;
    const std::int64_t offset =
        shape_.empty() ? 0 : call.random.sample_offset * core::packed_strides(shape_, {})[0];
    apply_from(label, call, {from, to, core::extents(to.box), 0, 0, offset}, 0);
  }

  // A part of the blocks: its extents, where it begins in them, and the number of its first
  // element.
  struct Part {
    const Block &from, &to;
    core::Shape extents;
    std::int64_t from_begin, to_begin, origin;
  };
  // Cuts the part into such whose positions follow each other, dimension by dimension.
  void apply_from(const char* label, const StepCall& call, const Part& part,
                  std::size_t dim) const {
    if (dim == shape_.size()) return apply_to(label, call, part);
    const core::Shape numbers = core::packed_strides(shape_, {});
    const std::int64_t begin = part.to.box[dim].begin;
    for (core::Interval rest = part.to.box[dim]; !rest.empty();) {
      const core::Run run = core::first_zigzag_run(rest, shape_[dim], zigzag_[dim]);
      rest.begin = run.indices.end;
      Part inner = part;
      inner.extents[dim] = run.indices.extent();
      inner.from_begin += (run.indices.begin - begin) * strides_of(part.from)[dim];
      inner.to_begin += (run.indices.begin - begin) * strides_of(part.to)[dim];
      inner.origin += run.position * numbers[dim];
      apply_from(label, call, inner, dim + 1);
    }
  }

  void apply_to(const char* label, const StepCall& call, const Part& part) const {
    const std::int64_t origin = part.origin;
    // The element's index follows the dimensions by the strides of the whole tensor.
    const auto nest = make_nest<3>(part.extents, {strides_of(part.to), strides_of(part.from),
                                                  core::packed_strides(shape_, {})});
    const RandomStream stream{call.random.seed, RandomUse::kDropout, call.random.op,
                              static_cast<std::uint32_t>(call.random.step)};
    // word · 2^-32 < rate, in integers.
    const double rate = call.random.is_evaluation ? 0 : rate_;
    const auto threshold =
        static_cast<std::uint32_t>(std::min(std::ceil(rate * 0x1p32), 0x1p32 - 1));
    const T scale = static_cast<T>(1 / (1 - rate));
    T* to = data_of<T>(part.to) + part.to_begin;
    const T* from = data_of<T>(part.from) + part.from_begin;
    for_tiles(Space(), label, nest, [=](const Tile<3>& tile) {
      const std::int64_t to_step = nest.stride[0][0], from_step = nest.stride[0][1],
                         index_step = nest.stride[0][2];
      std::uint32_t memory[kPiece + 4];
      for (std::int64_t r = 0; r < tile.rows; ++r)
        for (std::int64_t first = 0; first < tile.count; first += kPiece) {
          const std::int64_t count = std::min(kPiece, tile.count - first);
          T* t = to + tile.offset[0] + r * nest.stride[1][0] + first * to_step;
          const T* f = from + tile.offset[1] + r * nest.stride[1][1] + first * from_step;
          const auto index = origin + tile.offset[2] + r * nest.stride[1][2] + first * index_step;
          const std::uint32_t* words = draw(stream, static_cast<std::uint64_t>(index),
                                            static_cast<std::uint64_t>(index_step), count, memory);
          if (to_step == 1 && from_step == 1) {
            // Not words[j] >= threshold ? scale : 0, which becomes a branch that is mispredicted.
            SOAPSTONE_SIMD
            for (std::int64_t j = 0; j < count; ++j)
              t[j] =
                  f[j] * (scale * static_cast<T>(static_cast<std::int32_t>(words[j] >= threshold)));
          } else {
            for (std::int64_t j = 0; j < count; ++j)
              t[j * to_step] = f[j * from_step] * (words[j] >= threshold ? scale : T(0));
          }
        }
    });
  }

  StepTable steps_;
  double rate_;
  core::Shape shape_;  // of the whole tensor
  std::vector<std::int64_t> zigzag_;
};

}  // namespace

std::unique_ptr<PreparedKernel> dropout_kokkos(const core::LocalProblem& problem) {
  return detail::prepare_floating<DropoutKernel>(problem);
}

}  // namespace soapstone::kernels
