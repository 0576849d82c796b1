// Everything about one operator of a strategy: how it is cut, who computes which part, where its
// operands lie, what it costs, holds, moves and waits for.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/layout.hpp"
#include "core/plan.hpp"
#include "core/strategy.hpp"
#include "core/trace.hpp"
#include "explorer_gui/model/backend.hpp"
#include "explorer_gui/model/edits.hpp"

namespace soapstone::explorer {

// --- from the strategy alone --------------------------------------------------------------------

struct DegreeChoice {
  std::int32_t degree = 1;
  bool is_even = true;  // all parts are equally large
  std::string why_not;  // empty: it can be chosen

  friend bool operator==(const DegreeChoice&, const DegreeChoice&) = default;
};

struct AxisRow {
  int axis = 0;
  std::string name;
  core::AxisRole role = core::AxisRole::kAttribute;
  core::Coupling coupling = core::Coupling::kNone;
  std::int64_t extent = 1, granularity = 1;  // of one micro-batch
  std::int32_t degree = 1;
  std::int64_t largest_part = 1;  // indices
  std::string meaning;            // what a split of it costs, as a sentence
};

// What one device computes, in the order of the operator's list of devices.
struct PartRow {
  core::DeviceId device;
  std::vector<std::int32_t> part;        // along each axis
  std::vector<core::Interval> interval;  // of each axis
  std::int32_t replica = 0;
};

// A box of an operand and who has it.
struct CutBox {
  core::Box box;
  std::int32_t partial = 0;
  std::vector<core::DeviceId> devices;  // more than one: equal copies
};

struct OperandCut {
  std::string name, tensor;  // tensor: its name in the graph, empty for internals
  core::OperandRole role = core::OperandRole::kInput;
  core::TensorDesc desc;
  bool is_gradient = false;
  core::Layout layout;
  std::vector<CutBox> boxes;  // each place and partial sum once
  std::int32_t partials = 1, copies = 1;
  core::Bytes whole, largest;  // of the tensor, of one device's box
  std::string told;            // "4 parts of dimension 0, 2 equal copies"
};

struct Inspection {
  std::uint32_t op = 0;
  std::string name, kind, attributes;
  core::OpStrategy strategy;
  std::vector<AxisRow> axes;
  std::vector<PartRow> parts;
  std::vector<OperandCut> operands;
  bool has_weights = false, has_rounds = false;
  std::string why_no_rounds;     // where it is no attention or has no ring
  std::string why_no_recompute;  // a reported result
  std::int32_t weight_copies = 1;
};
core::Result<Inspection> inspect(const Ground& ground, const core::Strategy& strategy,
                                 std::uint32_t op);

// Degrees to choose from, ascending: what divides the axis, powers of two beyond, the present one;
// up to the first that is too many for the axis or the devices. `op` of the strategy.
std::vector<DegreeChoice> degree_choices(const Ground& ground, const core::Strategy& strategy,
                                         std::uint32_t op, int axis);
std::vector<DegreeChoice> replica_choices(const Ground& ground, const core::Strategy& strategy,
                                          std::uint32_t op);
// 0, 1, 2 and 3, and 0 (all), 2, 4 … copies.
std::vector<DegreeChoice> zero_choices(const Inspection& op);
std::vector<DegreeChoice> zero_over_choices(const Inspection& op);

// What several selected operators have in common, for editing them together; nothing: they differ.
struct CommonAxis {
  std::string name;
  core::AxisRole role = core::AxisRole::kAttribute;
  std::size_t ops = 0;                 // that have it
  std::optional<std::int32_t> degree;  // none: different ones
  std::uint32_t first = 0;             // an operator that has it
  int axis = 0;                        // there
};
// Of all of them that have the axis: a degree that one of them refuses is refused.
std::vector<DegreeChoice> degree_choices(const Ground& ground, const core::Strategy& strategy,
                                         const OpSet& ops, const CommonAxis& axis);
std::vector<CommonAxis> common_axes(const core::Graph& graph, const core::Strategy& strategy,
                                    const OpSet& ops);

// --- drawings -----------------------------------------------------------------------------------

// Devices as cells, node by node, in rows as long as the width; lengths in the unit of `width`.
struct DeviceCell {
  core::DeviceId device;
  double x = 0, y = 0;
};
struct DeviceGrid {
  double cell = 0;  // its side
  double height = 0;
  std::vector<DeviceCell> cells;  // by device

  // The device at a place; none: between them.
  std::optional<core::DeviceId> at(double x, double y) const;
};
// Cells are as large as `largest`, or smaller so that the grid is no higher than `most_height`, but
// at least `smallest`.
DeviceGrid device_grid(const core::Cluster& cluster, double width, double most_height,
                       double largest, double smallest);

// A box of an operand in the unit square: across the dimension with most parts down the side, and
// the next one along.
struct DrawnBox {
  double x0 = 0, y0 = 0, x1 = 1, y1 = 1;
  std::vector<std::size_t> boxes;  // of OperandCut::boxes that lie there: partial sums, and parts
                                   // of dimensions that are not drawn
};
struct DrawnOperand {
  int down = -1, along = -1;  // dimensions; -1: none
  std::vector<DrawnBox> boxes;
};
DrawnOperand drawn(const OperandCut& operand);

// Operators as pieces of a strip from 0 to 1, as wide as they take time; without times equal ones.
struct StageStrip {
  std::vector<double> begin;             // per operator, and 1 at the end
  std::vector<std::uint32_t> ends;       // of stages
  std::vector<core::Nanoseconds> times;  // of stages; empty: not known
  std::string why_not;                   // stages do not stand one after the other

  // The boundary between operators that is nearest to a place.
  std::uint32_t boundary_at(double x) const;
};
StageStrip stage_strip(const core::Strategy& strategy,
                       std::span<const core::Nanoseconds> time_of_op);

// --- from its step ------------------------------------------------------------------------------

// Tasks of one kind: a step of the operator, an update, a sum.
struct CostRow {
  std::string what;
  core::TaskKind kind = core::TaskKind::kCompute;
  core::Phase phase = core::Phase::kForward;
  std::int64_t calls = 0;     // on the device that spends most time with them
  core::Nanoseconds each;     // mean of that device's calls
  core::Nanoseconds longest;  // all calls of that device
  core::Flops flops;          // of one call there
  core::Bytes bytes;          // likewise: read and written
  core::CostSource source = core::CostSource::kRoofline;  // the weakest of all
};

// Transfers of one tensor, of all micro-batches.
struct MoveRow {
  std::string what;
  core::Pattern pattern = core::Pattern::kNone;
  core::Algorithm algorithm = core::Algorithm::kDirect;
  core::Phase phase = core::Phase::kForward;
  bool arrives = false;                 // what the operator reads, moved by the one that made it
  std::size_t groups = 0, members = 0;  // members: of the largest group
  std::string group;                    // the devices of the first group
  std::int64_t calls = 0;               // per device
  core::Bytes sent;                     // by the device that sends most, of all calls
  core::Nanoseconds longest, waiting;   // of the device for which they take longest
  core::CostSource source = core::CostSource::kRoofline;
};

struct HeldRow {
  core::BufferKind kind = core::BufferKind::kActivation;
  core::Memory memory = core::Memory::kDevice;
  core::Bytes bytes;    // of all buffers of the operator on that device
  core::Bytes at_peak;  // of those that live where most is alive
};

// What a task waited for, the last first.
struct Predecessor {
  std::string what;
  std::uint32_t op = core::kNoIndex;  // whose task it is
  bool in_order = false;              // the task before on the same device, no dependency
  core::Nanoseconds end;
  std::size_t span = 0;  // of the trace
};
struct WaitRow {
  std::string what;
  core::Phase phase = core::Phase::kForward;
  std::uint16_t micro_batch = 0;
  core::Nanoseconds start;
  core::Nanoseconds idle;  // of the device before it: nothing was computed
  std::size_t span = 0;
  std::vector<Predecessor> after;
};

struct OpStep {
  std::uint32_t op = 0;
  core::DeviceId device;  // what memory and waits are of
  std::vector<CostRow> costs;
  std::vector<MoveRow> moves;
  std::vector<HeldRow> held;
  std::vector<WaitRow> waits;  // in the order of time, the first of every step first
  core::Nanoseconds busy;      // of the device that has most to compute
  core::Bytes arena;           // what the device allocates
};
// `device`: the one to look at; none, or one without the operator: the one that is busiest with it.
// Takes time with the length of the trace.
OpStep op_step(const core::Graph& graph, const Evaluation& evaluation, std::uint32_t op,
               std::optional<core::DeviceId> device = {});

// --- what an edit changed -----------------------------------------------------------------------

struct OpChange {
  std::uint32_t op = 0;
  core::Nanoseconds before, after;  // computing and moving, on the device with most of it
  core::Nanoseconds by() const { return after - before; }
};
struct Change {
  core::Nanoseconds step_before, step_after;
  core::Bytes memory_before, memory_after;
  std::vector<OpChange> slower, faster;  // the most changed first
};
// Of two evaluations of strategies of one graph.
Change change_of(const core::Graph& graph, const Evaluation& before, const Evaluation& after,
                 std::size_t most = 5);
// Per operator: how long the device that is busiest with it computes and moves for it.
std::vector<core::Nanoseconds> time_of_ops(const core::Graph& graph, const Evaluation& evaluation);

// --- memory -------------------------------------------------------------------------------------

struct Holder {
  std::string name;  // a field of simulator::MemoryHolders
  core::Bytes bytes;
  bool is_over = false;  // it begins below the limit and ends above, or lies above
};
struct MemoryBar {
  std::string devices;           // "0-3,8"
  core::Bytes allocated, limit;  // limit 0: none
  std::vector<Holder> holders;   // as they are stacked: what stays first
  bool is_over() const { return limit.value > 0 && allocated > limit; }
  std::string text;  // as a sentence, where it is over
};
// The fullest first.
std::vector<MemoryBar> memory_bars(const core::Cluster& cluster, const Evaluation& evaluation);
// "0-3,8" as a list.
std::vector<core::DeviceId> devices_of(const std::string& text);

// --- the pipeline as cells ----------------------------------------------------------------------

struct ScheduleCell {
  core::PipelineAction action;
  std::int32_t rank = 0;
  std::size_t place = 0;  // in the rank's order
  std::int64_t start = 0, end = 0;
};
// Micro-batches whose activations a rank keeps: `value` from `time` on.
struct KeptCurve {
  std::vector<std::int64_t> time;
  std::vector<std::int64_t> value;
  std::int64_t most = 0;
};
struct ScheduleCells {
  std::int32_t ranks = 0;
  std::int64_t end = 0;             // in units of a forward pass
  std::vector<ScheduleCell> cells;  // by rank, then place
  std::vector<KeptCurve> kept;      // per rank, in stages times micro-batches
  double bubble = 0;                // share of all ranks' time in which nothing is done
};
core::Result<ScheduleCells> schedule_cells(const Ground& ground, const core::Strategy& strategy);

}  // namespace soapstone::explorer
