// Measures what the cost models need, as values; whoever calls stores them.
//
// All ranks measure at the same time, so that each is measured while its
// neighbours are as busy as they will be in training. Every function is called
// by all processes with the same arguments, one rank per process, and returns
// the same on all: medians are averaged over the ranks.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/local_problem.hpp"
#include "core/quantity.hpp"
#include "runtime/comm/communicator.hpp"

namespace soapstone::runtime {

struct Timing {
  core::Nanoseconds median;
  core::Nanoseconds spread;  // between the quartiles
  int repeats = 0;
};

struct ProfilerOptions {
  core::Nanoseconds time_per_step{60'000'000};  // repeats stop after this, but
  int least_repeats = 5;
  int most_repeats = 2000;
  // Between repeats this much other memory is written, as the rest of a training step would.
  core::Bytes disturbance{std::int64_t{6} << 20};
};

class Profiler {
 public:
  Profiler(Communicator& communicator, ProfilerOptions options = {});

  // The given steps (indices of the definition) of a local problem. Steps
  // before them run once, so that internals hold what they should.
  std::vector<Timing> steps(const core::LocalProblem& problem, std::string_view candidate, std::span<const int> steps);

  // A local pass that reads `size` / 2 bytes and writes as many.
  Timing copy(core::Bytes size);
  // The optimizer's update of `elements` weights; state_tensors 0 or 1.
  Timing update(std::int64_t elements, int state_tensors, core::DType dtype);

  enum class Traffic : std::uint8_t {
    kOneWay,    // half of a ping-pong between two ranks
    kExchange,  // two ranks send to each other at once
    kRing,      // every rank sends to the next one
  };
  // A message of `size` between ranks `a` and `b` (kRing: among all). The others wait.
  Timing message(Traffic traffic, core::Bytes size, int a, int b);

 private:
  Timing averaged(std::vector<double>& seconds);

  Communicator& communicator_;
  ProfilerOptions options_;
  std::vector<std::byte> disturbance_;
};

}  // namespace soapstone::runtime
