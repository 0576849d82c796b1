// Which samples make up a mini-batch.
#pragma once

#include <cstdint>
#include <vector>

namespace soapstone::runtime {

// Goes through `samples` in epochs, each in an order of its own that follows from (seed, epoch)
// alone. What is left over at an epoch's end and does not fill a mini-batch is not seen in it.
class Sampler {
 public:
  Sampler(std::int64_t samples, std::int64_t batch, std::uint64_t seed);

  std::int64_t steps_per_epoch() const { return samples_ / batch_; }
  // The samples of the mini-batch at `step` (counted from 0) of an epoch.
  std::vector<std::int64_t> batch(std::int64_t epoch, std::int64_t step);

 private:
  std::int64_t samples_, batch_;
  std::uint64_t seed_;
  std::int64_t epoch_ = -1;
  std::vector<std::int64_t> order_;  // of epoch_
};

// A permutation of [0, count): Fisher & Yates with counter-based random numbers keyed by (seed,
// epoch).
std::vector<std::int64_t> shuffled(std::int64_t count, std::uint64_t seed, std::int64_t epoch);

}  // namespace soapstone::runtime
