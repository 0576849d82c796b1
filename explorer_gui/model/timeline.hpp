// Traces as timelines: lanes, and what of them is drawn at a magnification.
//
// A trace stays in its columns. Beside them stand sums of the time of every kind over all spans
// before each sixteenth one, from which the sums of any run of spans follow at once. With that,
// what is drawn costs by the pixels, not by the spans:
//
//   grain   the power of two of nanoseconds below what a few pixels show
//   box     a span at least a grain long, or all shorter spans of a lane that start in one grain of
//           the axis, next to each other
//
// Boxes depend on the grain and the trace alone, not on where the view begins, so that nothing
// flickers while it moves.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/cluster.hpp"
#include "core/graph.hpp"
#include "core/plan.hpp"
#include "core/trace.hpp"
#include "explorer_gui/model/palette.hpp"
#include "reports/memory_curves.hpp"
#include "simulator/analysis/analyse.hpp"

namespace soapstone::explorer {

// Time of every kind, without waiting; and waiting for other devices.
struct BusyTime {
  std::array<std::int64_t, kWorks> work{};  // nanoseconds
  std::int64_t waiting = 0;

  std::int64_t total() const;
  Work most() const;  // the first of several
  friend bool operator==(const BusyTime&, const BusyTime&) = default;
};

// What is drawn as one.
struct Box {
  std::int64_t start = 0, end = 0;  // nanoseconds
  std::uint32_t first = 0;          // span
  std::uint32_t count = 1;
  Work work = Work::kForward;  // that takes most of the time
  std::int64_t busy = 0;       // nanoseconds, without waiting
  std::int64_t waiting = 0;

  bool folded() const { return count > 1; }
  friend bool operator==(const Box&, const Box&) = default;
};

// Of a trace whose check() is good; the trace outlives it.
class SpanIndex {
 public:
  static constexpr std::size_t kBlock = 16;

  SpanIndex() = default;
  explicit SpanIndex(const core::Trace& trace);

  std::size_t first_of(std::size_t lane) const { return first_[lane]; }
  std::size_t end_of(std::size_t lane) const { return first_[lane + 1]; }
  BusyTime sum(std::size_t first, std::size_t end) const;  // of spans [first, end)
  // Of the parts of a lane's spans that lie in [from, to); a span waits at its beginning.
  BusyTime sum_between(std::size_t lane, std::int64_t from, std::int64_t to) const;
  // Everything of the lane that is seen of [from, to), appended in the order of time.
  void boxes(std::size_t lane, double from, double to, std::int64_t grain,
             std::vector<Box>& out) const;
  // What is drawn there, or nearest within `reach` nanoseconds.
  std::optional<Box> box_at(std::size_t lane, double time, std::int64_t grain, double reach) const;
  Box box_of(std::size_t span, std::int64_t grain) const;

  // Bytes beside the trace's own.
  std::size_t bytes() const;

 private:
  std::size_t first_from(std::size_t lane, std::size_t near, std::int64_t start) const;

  const core::Trace* trace_ = nullptr;
  std::vector<std::uint32_t> first_;  // one entry more than lanes
  std::vector<BusyTime> before_;      // of all spans before every kBlock-th
};

// The largest power of two of nanoseconds that is no more than that many pixels; at least 1.
std::int64_t grain_of(double nanoseconds_per_pixel, double pixels);

// Spans that have something in common, ascending.
struct SpanSet {
  std::vector<std::uint32_t> spans;

  bool empty() const { return spans.empty(); }
  bool contains(std::size_t span) const { return any(span, span + 1); }
  bool any(std::size_t first, std::size_t end) const;  // of [first, end)
};

// One of the traces that stand below each other.
struct TimelineSource {
  std::string name;  // "predicted", "measured"
  std::shared_ptr<const core::Trace> trace;
  std::shared_ptr<const core::Plan> plan;    // of the trace; may be none
  std::shared_ptr<const core::Graph> graph;  // of the plan; may be none
};

// Devices that do the same, of which the first is enough to look at.
struct DeviceGroup {
  std::vector<core::DeviceId> devices;  // ascending
  std::string name;                     // of the first, and how many there are
  std::string note;                     // why it stands alone, as a sentence; or empty
  std::string use;                      // what the first one does with the step of every trace
};

struct TimelineRow {
  enum class Kind : std::uint8_t { kGroup, kLane };
  Kind kind = Kind::kLane;
  std::uint32_t group = 0;
  core::DeviceId device;
  std::uint32_t source = 0, lane = 0;  // of a lane
  std::string label;                   // empty: that of the row above
  double y = 0, height = 0;            // in points, from the top of the first row

  friend bool operator==(const TimelineRow&, const TimelineRow&) = default;
};

struct TimelineOptions {
  std::set<std::uint32_t> open;  // groups of which every device is shown
  std::set<std::uint32_t> shut;  // groups of which no lane is shown
  bool communication = true;     // lanes that move data

  friend bool operator==(const TimelineOptions&, const TimelineOptions&) = default;
};

class Timeline {
 public:
  // Takes time in proportion to the spans. The cluster names devices; may be none.
  static std::shared_ptr<const Timeline> make(std::vector<TimelineSource> sources,
                                              std::shared_ptr<const core::Cluster> cluster);

  std::size_t sources() const { return halves_.size(); }
  const TimelineSource& source(std::size_t i) const { return halves_[i].source; }
  const core::Trace& trace(std::size_t i) const { return *halves_[i].source.trace; }
  const SpanIndex& index(std::size_t i) const { return halves_[i].index; }
  const std::vector<DeviceGroup>& groups() const { return groups_; }
  const core::Cluster* cluster() const { return cluster_.get(); }
  std::int64_t first() const { return first_; }  // nanoseconds
  std::int64_t last() const { return last_; }
  std::string device_name(core::DeviceId device) const;

  // From top to bottom: every group, below it the lanes of its devices; of each device those that
  // compute, one source after the other, then those that move data likewise.
  std::vector<TimelineRow> rows(const TimelineOptions& options) const;
  // The task of a span, where there is a plan.
  const core::Task* task_of(std::size_t source, std::size_t span) const;
  // The operator whose work a span is.
  std::optional<std::uint32_t> op_of(std::size_t source, std::size_t span) const;
  // Lanes of a device in a trace.
  const std::vector<std::uint32_t>& lanes_of(std::size_t source, core::DeviceId device) const;
  std::vector<core::DeviceId> devices() const;  // ascending
  bool has(Work work) const { return sum_.work[static_cast<std::size_t>(work)] > 0; }

 private:
  struct Half {
    TimelineSource source;
    SpanIndex index;
    std::vector<core::PlanPlace> places;            // by device; empty without a plan
    std::vector<std::vector<std::uint32_t>> lanes;  // by device
  };
  void make_groups();

  std::vector<Half> halves_;
  std::shared_ptr<const core::Cluster> cluster_;
  std::vector<DeviceGroup> groups_;
  std::int64_t first_ = 0, last_ = 1;
  BusyTime sum_;  // of all traces
};

// --- questions, each in proportion to the spans -------------------------------------------------
// Marked lanes of a source, by the rows that are shown.
std::vector<bool> shown_lanes(const Timeline& timeline, std::size_t source,
                              const std::vector<TimelineRow>& rows);
// Spans in such lanes whose name has the text in it, small and capital letters alike.
SpanSet find(const Timeline& timeline, std::size_t source, std::string_view text,
             const std::vector<bool>& lanes);
// Spans of operators.
SpanSet spans_of_ops(const Timeline& timeline, std::size_t source,
                     const std::set<std::uint32_t>& ops);
// Spans that the length of the step is made of.
SpanSet spans_of(const simulator::CriticalPath& path);

// A span of one of the traces.
struct SpanPlace {
  std::size_t source = 0, span = 0;
  friend bool operator==(const SpanPlace&, const SpanPlace&) = default;
};
// The place of a span in sets by source that are gone through one after the other, from 1; 0: it is
// in none of them.
std::size_t place_of(const std::vector<SpanSet>& sets, SpanPlace span);
// The one after a place, or before it (`direction` below 0); after the last one comes the first.
// None: all sets are empty.
std::optional<SpanPlace> next_of(const std::vector<SpanSet>& sets, std::size_t place,
                                 int direction);

// The device with the most bytes alive in the first trace; where nothing is known, the first.
core::DeviceId fullest_device(const Timeline& timeline);

// Shares of the devices' time in a column of the whole step; together at most 1.
struct BusyColumn {
  double computing = 0, moving = 0;
  friend bool operator==(const BusyColumn&, const BusyColumn&) = default;
};
// Of the first trace, in so many columns from first() to last(). Of many groups of devices some
// stand for all. Where a device computes, what it moves beside that is not seen.
std::vector<BusyColumn> busy_columns(const Timeline& timeline, std::size_t columns);

// What devices do with a range of time.
struct RangeStatistics {
  core::Nanoseconds from, to;
  std::size_t devices = 0;
  std::size_t spans = 0;  // that overlap the range
  // Sums over the devices; computing + exposed + idle = devices × (to − from). A transfer is
  // exposed while nothing is computed beside it.
  core::Nanoseconds computing, exposed, idle;
  BusyTime kinds;                                              // sums over lanes
  std::vector<std::pair<std::string, core::Nanoseconds>> top;  // operators, or names; most first

  core::Nanoseconds total() const { return computing + exposed + idle; }
  friend bool operator==(const RangeStatistics&, const RangeStatistics&) = default;
};
// Of the devices, or of all where there are none.
RangeStatistics range_statistics(const Timeline& timeline, std::size_t source, std::int64_t from,
                                 std::int64_t to, const std::set<core::DeviceId>& devices,
                                 std::size_t most_names = 12);

// How long each span of `second` takes, over what the same work takes in `first`: 1 is equal, NaN
// not known. Of one plan the same task, else what means the same (simulator/analysis/align.hpp).
std::vector<float> slowdown(const Timeline& timeline, std::size_t first, std::size_t second);
// Of a box: the mean of its spans, of evenly chosen ones where there are many; NaN: not known.
float slowdown_of(const std::vector<float>& slowdown, const Box& box);
// −1 (two thirds of the time or less) to 1 (half as long again or more), for a colour.
double shade_of(float slowdown);

// --- texts --------------------------------------------------------------------------------------
struct Line {
  std::string what, value;
  friend bool operator==(const Line&, const Line&) = default;
};
// The first line is the name. `analysis`: of this source, or none.
std::vector<Line> describe(const Timeline& timeline, std::size_t source, const Box& box,
                           const simulator::StepAnalysis* analysis);

// --- counters -----------------------------------------------------------------------------------
// value[i] from time[i] on.
struct Curve {
  std::vector<std::int64_t> time;  // nanoseconds, ascending
  std::vector<double> value;
  double most = 0;
};
// Bytes per second that a device's transfers send: each sends evenly once it waits no longer.
Curve sent_by(const Timeline& timeline, std::size_t source, core::DeviceId device);
// Bytes alive on a device, by what holds them where there is a plan.
struct MemoryPicture {
  reports::MemoryCurve curve;  // without entries where there is no plan
  std::vector<std::int64_t> time;
  std::vector<double> total;  // bytes
  double most = 0;
  core::Nanoseconds peak;  // the first time of the most
};
MemoryPicture memory_of(const Timeline& timeline, std::size_t source, core::DeviceId device);
struct Counters {
  core::DeviceId device;
  std::vector<MemoryPicture> memory;  // by source
  std::vector<Curve> sent;
};
Counters counters_of(const Timeline& timeline, core::DeviceId device);
// For each of so many columns of a view, the entry with the largest value among those that are in
// force somewhere in it; -1: before the first.
std::vector<std::ptrdiff_t> largest_in_columns(const std::vector<std::int64_t>& time,
                                               const std::vector<double>& value, double from,
                                               double to, std::size_t columns);

}  // namespace soapstone::explorer
