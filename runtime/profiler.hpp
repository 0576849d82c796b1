// Measurements of this machine as values; whoever asks stores them.
//
// Every function that takes a Communicator is called by all processes at the
// same time, so that each is measured while its neighbours are as busy as they
// will be in training: two cores are not always two independent devices.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "core/local_problem.hpp"
#include "core/quantity.hpp"
#include "core/reflect.hpp"
#include "runtime/comm/communicator.hpp"

namespace soapstone::runtime {

// Of many repeats.
struct Measurement {
  core::Nanoseconds median;
  core::Nanoseconds low, high;  // a quarter of the repeats was faster, a quarter slower
  std::int32_t repeats = 0;

  double spread() const {
    return static_cast<double>((high - low).value) /
           static_cast<double>(std::max<std::int64_t>(1, median.value));
  }
  friend bool operator==(const Measurement&, const Measurement&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("median", self.median);
    visit("low", self.low);
    visit("high", self.high);
    visit("repeats", self.repeats);
  }
};

struct MeasureOptions {
  std::int32_t least_repeats = 5;
  std::int32_t most_repeats = 50;
  double seconds = 0.2;  // stops after this and the least repeats
  // Where the quartiles lie further apart than this share of the median, another attempt is made;
  // the one with the least spread counts.
  double wanted_spread = 0.2;
  std::int32_t most_attempts = 3;
  // Written between repeats: what a step reads was made by others before it, and has left the
  // caches nearest to the core.
  core::Bytes evicted = core::Bytes(std::int64_t{8} << 20);
};

// One step of a local problem by the named candidate, on operands of made-up values.
Measurement measure_step(const core::LocalProblem& problem, int step, std::string_view candidate,
                         const MeasureOptions& options = {});
// The same on all processes at once; the median of all repeats of all of them, on every process.
Measurement measure_step(Communicator& communicator, const core::LocalProblem& problem, int step,
                         std::string_view candidate, const MeasureOptions& options = {});

// The optimizer's update of so many weights, by its state tensors: 0 plain sgd, 1 momentum, 2
// adamw.
Measurement measure_update(Communicator& communicator, std::int64_t elements, int state_tensors,
                           core::DType dtype, const MeasureOptions& options = {});
// The optimizer's update of the rows of a table that so many ids meet, all different and far apart,
// from a gradient that comes as rows; state tensors: 0 sgd, 1 adagrad.
Measurement measure_row_update(Communicator& communicator, std::int64_t rows, std::int64_t features,
                               int state_tensors, core::DType dtype,
                               const MeasureOptions& options = {});
// A copy of so many bytes from one block to another: each is read and written once.
Measurement measure_copy(Communicator& communicator, core::Bytes size,
                         const MeasureOptions& options = {});

// How long a message takes from one rank to another: half of a round trip.
struct MessageTime {
  core::Bytes size;
  Measurement time;

  friend bool operator==(const MessageTime&, const MessageTime&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("size", self.size);
    visit("time", self.time);
  }
};
struct LinkProbe {
  std::uint32_t first = 0, second = 0;  // ranks
  std::vector<MessageTime> times;

  friend bool operator==(const LinkProbe&, const LinkProbe&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("first", self.first);
    visit("second", self.second);
    visit("times", self.times);
  }
};

// Ping-pong between pairs of ranks, which are disjoint and all measured at once; ranks in none of
// them wait. With one pair that is the link alone. The same on every process.
std::vector<LinkProbe> probe_links(Communicator& communicator,
                                   std::span<const std::pair<std::uint32_t, std::uint32_t>> pairs,
                                   std::span<const core::Bytes> sizes, std::int32_t repeats);

// time = latency + size / bandwidth through the probe's smallest and largest messages.
struct LinkFigures {
  core::Nanoseconds latency;
  core::BytesPerSecond bandwidth;
};
LinkFigures figures_of(const LinkProbe& probe);

}  // namespace soapstone::runtime
