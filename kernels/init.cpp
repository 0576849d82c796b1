#include "kernels/init.hpp"

#include <cmath>
#include <numbers>

#include "kernels/detail/block_access.hpp"
#include "kernels/random.hpp"

namespace soapstone::kernels {

void initialize(const Block& block, const core::Shape& shape, const core::Initializer& init,
                std::uint64_t seed, std::uint32_t tensor) {
  if (block.size() == 0) return;
  SOAPSTONE_ASSERT(core::contains(core::whole(shape), block.box), "box {} is not in shape {}",
                   core::print(block.box), core::print(shape));
  const RandomStream stream{seed, RandomUse::kInitialize, tensor, 0};
  const detail::MemoryOrder order = detail::memory_order(block);
  const core::Shape global_strides = core::packed_strides(shape, {});
  const int rank = order.rank;
  std::int64_t first = 0;
  for (int d = 0; d < rank; ++d) first += block.box[d].begin * global_strides[d];
  detail::dispatch_master(block.dtype, [&](auto zero) {
    using T = decltype(zero);
    T* data = detail::data_of<T>(block);
    detail::parallel_for(
        detail::Space(), "soapstone::init::fill", block.size(), [=](std::int64_t position) {
          std::int64_t local[core::kMaxRank];
          order.index_of(position, local);
          std::int64_t element = first;
          for (int d = 0; d < rank; ++d) element += local[d] * global_strides[d];
          double value = 0;
          switch (init.kind) {
            case core::InitKind::kZeros:
              break;
            case core::InitKind::kOnes:
              value = 1;
              break;
            case core::InitKind::kUniform:
              value = init.scale * (2 * uniform01(stream, static_cast<std::uint64_t>(element)) - 1);
              break;
            case core::InitKind::kNormal: {  // Box & Muller 1958
              const RandomWords r = random_words(stream, static_cast<std::uint64_t>(element));
              const double u = 1 - uniform01(r.word[0], r.word[1]);  // (0, 1]
              const double angle = 2 * std::numbers::pi * uniform01(r.word[2], r.word[3]);
              value = init.scale * std::sqrt(-2 * std::log(u)) * std::cos(angle);
              break;
            }
          }
          data[position] = static_cast<T>(value);
        });
  });
}

}  // namespace soapstone::kernels
