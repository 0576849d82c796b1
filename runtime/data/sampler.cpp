#include "runtime/data/sampler.hpp"

#include <numeric>
#include <utility>

#include "core/assert.hpp"
#include "kernels/random.hpp"

namespace soapstone::runtime {

std::vector<std::int64_t> shuffled(std::int64_t count, std::uint64_t seed, std::int64_t epoch) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  const kernels::RandomStream stream{seed, kernels::RandomUse::kShuffle, 0,
                                     static_cast<std::uint32_t>(epoch)};
  for (std::int64_t i = count - 1; i > 0; --i) {
    const auto j = static_cast<std::int64_t>(
        kernels::uniform01(stream, static_cast<std::uint64_t>(i)) * static_cast<double>(i + 1));
    std::swap(order[static_cast<std::size_t>(i)], order[static_cast<std::size_t>(j)]);
  }
  return order;
}

Sampler::Sampler(std::int64_t samples, std::int64_t batch, std::uint64_t seed)
    : samples_(samples), batch_(batch), seed_(seed) {
  SOAPSTONE_ASSERT(batch >= 1 && batch <= samples, "mini-batches of {} from {} samples", batch,
                   samples);
}

std::vector<std::int64_t> Sampler::batch(std::int64_t epoch, std::int64_t step) {
  SOAPSTONE_ASSERT(step >= 0 && step < steps_per_epoch(), "step {} of an epoch of {}", step,
                   steps_per_epoch());
  if (epoch != epoch_) {
    order_ = shuffled(samples_, seed_, epoch);
    epoch_ = epoch;
  }
  const auto first = order_.begin() + step * batch_;
  return {first, first + batch_};
}

}  // namespace soapstone::runtime
