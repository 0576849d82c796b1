// The cluster as it is drawn: nodes with their devices, and how much moves on which link when.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/cluster.hpp"
#include "core/plan.hpp"
#include "core/trace.hpp"
#include "explorer_gui/model/backend.hpp"

namespace soapstone::explorer {

// In units of one device's side.
struct Place {
  double x = 0, y = 0, width = 0, height = 0;

  bool contains(double px, double py) const {
    return px >= x && px < x + width && py >= y && py < y + height;
  }
  friend bool operator==(const Place&, const Place&) = default;
};

struct ClusterPicture {
  std::vector<Place> nodes;
  std::vector<Place> devices;
  double width = 0, height = 0;
};
// Nodes stand in rows so that the whole is about `aspect` times as wide as high.
ClusterPicture picture_of(const core::Cluster& cluster, double aspect);

// Devices by what they are to the strategy: a row per stage of the pipeline, columns in the order
// of the devices. Devices without work are left out (`device` of a cell: its number).
struct RankMatrix {
  struct Cell {
    std::uint32_t row = 0, column = 0;
    core::DeviceId device;
  };
  std::vector<std::string> rows;  // "stage 0", "stage 1 and 5"
  std::vector<Cell> cells;        // by row, then column
  std::uint32_t columns = 0;
};
RankMatrix rank_matrix(const core::Cluster& cluster, const core::Strategy& strategy);
// The same with the devices of a row in as many lines as make cells largest in a place that is
// `aspect` times as wide as high; the first line of a row has its name, the others none.
RankMatrix folded(const RankMatrix& matrix, double aspect);
// The cell under a place, in cells from the first one's corner; none: there is none.
const RankMatrix::Cell* cell_at(const RankMatrix& matrix, double x, double y);

// What a device's colour says. Each in [0, 1] of `most`, which is told in the legend.
enum class DeviceShade : std::uint8_t {
  kComputing,
  kExposed,
  kIdle,
  kWaiting,
  kMemory,
  kDeviation,
};
SOAPSTONE_ENUM_NAMES(DeviceShade, {DeviceShade::kComputing, "computing"},
                     {DeviceShade::kExposed, "exposed communication"}, {DeviceShade::kIdle, "idle"},
                     {DeviceShade::kWaiting, "waiting for others"},
                     {DeviceShade::kMemory, "memory"}, {DeviceShade::kDeviation, "deviation"})
struct DeviceShading {
  std::vector<double> share;      // by device, as the legend says; below 0: no work
  std::vector<std::string> text;  // "61 %", "3.2 GiB of 16 GiB"
  std::string legend;             // "share of the step"
};
// In proportion to the spans: for jobs. The deviation of a device's computing time is that of
// `measured`, a trace of as many devices, from the prediction; without one, that of the prediction
// from the mean of the devices that do the same.
DeviceShading shading(const core::Cluster& cluster, const Evaluation& evaluation, DeviceShade by,
                      const core::Trace* measured = nullptr);

// Bytes per second on every link at every time of a step. A transfer's bytes are spread evenly over
// the time in which its members are at it, waiting left out; in a prediction what comes faster than
// a link carries goes later.
class LinkLoad {
 public:
  struct Change {
    core::Nanoseconds time;
    double rate = 0;  // bytes per second, from then on
  };

  LinkLoad() = default;
  // `factors`: of the links' bandwidths (simulator::bandwidth_factors); none: as they are.
  LinkLoad(const core::Cluster& cluster, const core::Plan& plan, const core::Trace& trace,
           const std::vector<double>& factors = {});

  double at(core::LinkId link, core::Nanoseconds time) const;  // bytes per second
  // In the order of time; of several at one time the last one holds.
  const std::vector<Change>& changes(core::LinkId link) const { return changes_[link.value]; }
  core::Bytes moved(core::LinkId link) const { return moved_[link.value]; }
  // The most that ever moves on it, in bytes per second.
  double most(core::LinkId link) const { return most_[link.value]; }
  std::size_t size() const { return moved_.size(); }
  bool empty() const { return moved_.empty(); }

 private:
  static std::vector<Change> limited(const std::vector<Change>& wanted, double most);

  std::vector<std::vector<Change>> changes_;  // by link
  std::vector<core::Bytes> moved_;
  std::vector<double> most_;
};

// Links of one kind that carry the most at that time, the busiest first: share of the link's
// bandwidth.
struct BusyLink {
  core::LinkId link;
  double rate = 0, share = 0;
};
std::vector<BusyLink> busiest(const core::Cluster& cluster, const LinkLoad& load,
                              core::Nanoseconds time, std::size_t most);

}  // namespace soapstone::explorer
