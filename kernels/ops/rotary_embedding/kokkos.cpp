// rotary_embedding: every pair (a, b) of features becomes (a cos φ - b sin φ, a sin φ + b cos φ),
// backward with -φ; see core/ops/rotary_embedding.hpp.
//
// Shapes: x, y, dx, dy [n, s, heads, d] in any order; all overwritten. The cosines and sines of
// this part's positions are computed in double when it is prepared: s·d numbers. Parallel over
// heads of tokens. Moves 2 words per element besides the table, which stays in cache.
#include <cmath>
#include <vector>

#include "core/ops/rotary_embedding.hpp"
#include "core/zigzag.hpp"
#include "kernels/detail/block_access.hpp"
#include "kernels/detail/rows.hpp"
#include "kernels/detail/simd.hpp"
#include "kernels/detail/step_table.hpp"

namespace soapstone::kernels {
namespace {

using namespace detail;

template <class T>
class RotaryEmbeddingKernel final : public PreparedKernel {
 public:
  explicit RotaryEmbeddingKernel(const core::LocalProblem& problem) : steps_(*problem.definition) {
    const auto& op = *problem.op.get_if<core::RotaryEmbedding>();
    const auto axis = static_cast<std::size_t>(problem.definition->axis("s"));
    const core::Interval tokens = problem.axes[axis];
    const std::int64_t length = problem.definition->axes[axis].extent;
    const std::int64_t features = problem.axes[problem.definition->axis("d")].extent();
    pairs_ = features / 2;
    interleaved_ = op.interleaved;
    table_.reserve(static_cast<std::size_t>(tokens.extent() * features));
    for (std::int64_t token = tokens.begin; token < tokens.end; ++token) {
      const std::int64_t p = core::zigzag_position(token, length, op.zigzag);
      for (const auto function :
           {+[](double a) { return std::cos(a); }, +[](double a) { return std::sin(a); }})
        for (std::int64_t i = 0; i < pairs_; ++i)
          table_.push_back(static_cast<T>(
              function(static_cast<double>(p + op.position_offset) * op.frequency(i, features))));
    }
  }

  void execute(const StepCall& call) const override {
    if (steps_.name(call) == "forward")
      return turn("soapstone::rotary_embedding::forward", steps_.value(call, "x"),
                  steps_.value(call, "y"), T(1));
    if (steps_.name(call) == "backward_input")
      return turn("soapstone::rotary_embedding::backward_input", steps_.gradient(call, "y"),
                  steps_.gradient(call, "x"), T(-1));
    unknown_step("rotary_embedding/kokkos", steps_.name(call));
  }

 private:
  void turn(const char* label, const Block& from_block, const Block& to_block, T direction) const {
    if (to_block.data == nullptr) return;
    const auto from = strided<T>(from_block), to = strided<T>(to_block);
    const T* table = table_.data();
    const std::int64_t pairs = pairs_, tokens = to.extent[1], heads = to.extent[2];
    // Between the two of a pair, and between pairs, in features.
    const std::int64_t partner = interleaved_ ? 1 : pairs, next = interleaved_ ? 2 : 1;
    const std::int64_t grain = std::max<std::int64_t>(1, 4096 / (2 * pairs));
    if_contiguous(from.stride[3] == 1 && to.stride[3] == 1, [&](auto contiguous) {
      parallel_for_chunks(Space(), label, to.extent[0] * tokens * heads, grain,
                          [=](std::int64_t begin, std::int64_t end) {
                            const auto from_step = step_of(contiguous, from.stride[3]),
                                       to_step = step_of(contiguous, to.stride[3]);
                            for (std::int64_t r = begin; r < end; ++r) {
                              const std::int64_t head = r % heads, token = r / heads % tokens,
                                                 sample = r / (heads * tokens);
                              const T* a = &from(sample, token, head);
                              const T* b = a + partner * from_step;
                              T* to_a = &to(sample, token, head);
                              T* to_b = to_a + partner * to_step;
                              const T* cosines = table + token * 2 * pairs;
                              const T* sines = cosines + pairs;
                              SOAPSTONE_SIMD
                              for (std::int64_t i = 0; i < pairs; ++i) {
                                const T va = a[i * next * from_step], vb = b[i * next * from_step];
                                const T c = cosines[i], s = direction * sines[i];
                                to_a[i * next * to_step] = va * c - vb * s;
                                to_b[i * next * to_step] = va * s + vb * c;
                              }
                            }
                          });
    });
  }

  StepTable steps_;
  std::int64_t pairs_ = 0;
  bool interleaved_ = true;
  std::vector<T> table_;  // [s][2][d / 2]: cosines, then sines
};

}  // namespace

std::unique_ptr<PreparedKernel> rotary_embedding_kokkos(const core::LocalProblem& problem) {
  return detail::prepare_floating<RotaryEmbeddingKernel>(problem);
}

}  // namespace soapstone::kernels
