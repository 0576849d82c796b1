// How loaded links are over the time of a step: a strip for each of the busiest.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/cluster.hpp"
#include "explorer_gui/model/cluster_view.hpp"
#include "explorer_gui/model/timeline.hpp"

namespace soapstone::explorer {

// Which links: all, a device's own with those that its node shares, or those of a kind.
struct LinkChoice {
  std::optional<core::DeviceId> device{};
  std::string kind{};  // "network", "nvlink"; empty: all

  friend bool operator==(const LinkChoice&, const LinkChoice&) = default;
};

struct LinkStrip {
  core::LinkId link;
  std::string name;                // "node0 network out"
  core::BytesPerSecond bandwidth;  // with the changes of a question
  core::Bytes moved;               // in the step
  Curve load;                      // share of the bandwidth
  double mean = 0;                 // share, over the step
};
// The busiest of them, by their mean load; links on which nothing moves are left out. `factors`: of
// the bandwidths (simulator::bandwidth_factors); none: as they are.
std::vector<LinkStrip> link_strips(const core::Cluster& cluster, const LinkLoad& load,
                                   core::Nanoseconds step, const LinkChoice& choice,
                                   std::size_t most, const std::vector<double>& factors = {});
// The load at a time.
double load_at(const LinkStrip& strip, double time);
// "node0 network out: 12 GB/s, 96 % of 12.5 GB/s", and what loads above 100 % mean.
std::vector<std::string> describe(const LinkStrip& strip, double time);

}  // namespace soapstone::explorer
