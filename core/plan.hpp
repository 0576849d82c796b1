// What every device does in one training step, in one total order. The
// simulator and the runtime both execute this value.
//
// Devices that do the same are one class: a program with a table of members.
// What differs between members (which part of an operator, which transfer)
// stands in the member table, one row per task, one entry per member.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/derive.hpp"
#include "core/graph.hpp"
#include "core/layout.hpp"
#include "core/reshard.hpp"
#include "core/strategy.hpp"

namespace soapstone::core {

inline constexpr std::uint32_t kNoIndex = 0xffffffffu;

// What a buffer holds, for memory accounting.
enum class BufferKind : std::uint8_t {
  kWeight,          // trained values, kept between steps
  kOptimizerState,  // kept between steps
  kWeightGradient,
  kSource,  // data of the micro-batch
  kActivation,
  kActivationGradient,
  kInternal,        // an operator's own, forward to backward
  kStaging,         // packed pieces and scratch of a transfer
  kWorkspace,       // of kernels; one per device, shared by all tasks
  kScalar,          // the loss, counts for metrics, norms for gradient clipping; kept to the end
  kGatheredWeight,  // copies of weights that live elsewhere or in parts
};
SOAPSTONE_ENUM_NAMES(BufferKind, {BufferKind::kWeight, "weight"},
                     {BufferKind::kOptimizerState, "optimizer-state"},
                     {BufferKind::kWeightGradient, "weight-gradient"},
                     {BufferKind::kSource, "source"}, {BufferKind::kActivation, "activation"},
                     {BufferKind::kActivationGradient, "activation-gradient"},
                     {BufferKind::kInternal, "internal"}, {BufferKind::kStaging, "staging"},
                     {BufferKind::kWorkspace, "workspace"}, {BufferKind::kScalar, "scalar"},
                     {BufferKind::kGatheredWeight, "gathered-weight"})

// Whether such a buffer has its bytes for itself. Everything else lives from its first use to its
// last.
constexpr bool lives_always(BufferKind k) {
  return k == BufferKind::kWeight || k == BufferKind::kOptimizerState ||
         k == BufferKind::kWorkspace || k == BufferKind::kScalar;
}

// Where a buffer lies. Each memory of a device has an arena of its own.
enum class Memory : std::uint8_t {
  kDevice,  // where kernels read and write
  kHost,    // what the device's tasks have no use for until it is copied back
};
SOAPSTONE_ENUM_NAMES(Memory, {Memory::kDevice, "device"}, {Memory::kHost, "host"})

// One block of memory on every member of a class. Densely packed: the extents
// of `box` in the physical order of its tensor.
struct Buffer {
  BufferKind kind = BufferKind::kActivation;
  std::uint32_t tensor = kNoIndex;  // graph tensor, or none (internal, staging, workspace)
  DType dtype = DType::kF32;
  Box box;  // of the class's first member, in the tensor's index space
  Bytes size;
  Bytes offset = Bytes(-1);  // in the arena of its memory; -1: not placed yet
  Memory memory = Memory::kDevice;
  // A part of another buffer, which some tasks use whole: of a bucket of gradients.
  std::uint32_t inside = kNoIndex;
  Bytes at = Bytes(0);  // from the start of that buffer

  friend bool operator==(const Buffer&, const Buffer&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("kind", self.kind);
    visit("tensor", self.tensor);
    visit("dtype", self.dtype);
    visit("box", self.box);
    visit("size", self.size);
    visit("offset", self.offset);
    visit("memory", self.memory, kOptional);
    visit("inside", self.inside, kOptional);
    visit("at", self.at, kOptional);
  }
};

enum class TaskKind : std::uint8_t {
  kLoad,        // writes the part of a source that this device reads
  kCompute,     // one step of an operator
  kTransfer,    // this device's part of a transfer
  kAccumulate,  // second buffer += first buffer
  kNorm,        // scalar = Σ of squares of the gradients read
  kUpdate,      // optimizer: weight, state from gradient (and the global norm, if read)
  kNormRows,    // scalar += Σ of squares of a table's gradient, given as rows
  kUpdateRows,  // optimizer: the rows of a table that a gradient given as rows meets
  kHostCopy,    // between the memories of a device
};
SOAPSTONE_ENUM_NAMES(TaskKind, {TaskKind::kLoad, "load"}, {TaskKind::kCompute, "compute"},
                     {TaskKind::kTransfer, "transfer"}, {TaskKind::kAccumulate, "accumulate"},
                     {TaskKind::kNorm, "norm"}, {TaskKind::kUpdate, "update"},
                     {TaskKind::kNormRows, "norm-rows"}, {TaskKind::kUpdateRows, "update-rows"},
                     {TaskKind::kHostCopy, "host-copy"})

enum class UseAccess : std::uint8_t { kRead, kWrite, kReadWrite };
SOAPSTONE_ENUM_NAMES(UseAccess, {UseAccess::kRead, "read"}, {UseAccess::kWrite, "write"},
                     {UseAccess::kReadWrite, "read-write"})

struct BufferUse {
  std::uint32_t buffer = 0;
  UseAccess access = UseAccess::kRead;

  friend bool operator==(const BufferUse&, const BufferUse&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("buffer", self.buffer);
    visit("access", self.access);
  }
};

// Uses per kind:
//   load         [destination]
//   compute      the step's reads, then its writes; kNoIndex: an operand that this part lacks
//   transfer     [held or kNoIndex, wanted or kNoIndex, staging or kNoIndex]; held == wanted: in
//                place
//   accumulate   [source, destination (read-write)]
//   norm         [gradients…, scalar]
//   update       [weight (read-write), gradient, state… (read-write), scalar if clipping]
//   norm-rows    [ids and rows of every micro-batch…, scalar (read-write)]
//   update-rows  [weight (read-write), state… (read-write), ids and rows of every micro-batch…,
//                scalar if clipping]
//   host-copy    [source, destination], one of them in the host's memory
// Tasks of rows name the operator, the step whose gradient comes as rows (RowGradient) and its
// shard; ids and rows are what that step reads, whole along the axes that it sums over.
struct Task {
  TaskKind kind = TaskKind::kCompute;
  Phase phase = Phase::kForward;
  std::uint32_t order = 0;  // place in the plan's total order; equal for all parts of one transfer
  std::uint32_t op = kNoIndex;      // whose work this is
  std::uint32_t tensor = kNoIndex;  // what is moved, accumulated or updated
  std::uint16_t step = 0;  // compute, norm-rows, update-rows: index into the definition's steps
  std::uint16_t micro_batch = 0;
  std::uint32_t first_use = 0, use_count = 0;
  std::uint32_t first_dependency = 0,
                dependency_count = 0;  // tasks of the same program, all earlier
  std::uint32_t row =
      kNoIndex;  // compute and rows: shards, transfer: transfers; first entry in the member table

  friend bool operator==(const Task&, const Task&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("kind", self.kind);
    visit("phase", self.phase);
    visit("order", self.order);
    visit("op", self.op);
    visit("tensor", self.tensor);
    visit("step", self.step);
    visit("micro_batch", self.micro_batch);
    visit("first_use", self.first_use);
    visit("use_count", self.use_count);
    visit("first_dependency", self.first_dependency);
    visit("dependency_count", self.dependency_count);
    visit("row", self.row);
  }
};

// Whether a transfer moves a gradient, not a value.
constexpr bool moves_gradient(const Task& t) {
  return t.phase != Phase::kForward && t.phase != Phase::kRecompute;
}

// Whether a task runs beside computing: it moves data.
constexpr bool runs_beside(TaskKind k) {
  return k == TaskKind::kTransfer || k == TaskKind::kHostCopy;
}

// The program of devices that do the same. A device computes in the order of its tasks. What moves
// data starts as soon as the tasks that it depends on are done, as many at once as there are; a
// transfer that must not start too early depends on a task for that alone.
struct DeviceClass {
  std::vector<DeviceId> members;
  std::vector<Buffer> buffers;
  std::vector<Task> tasks;  // ascending order
  std::vector<BufferUse> uses;
  std::vector<std::uint32_t> dependencies;
  Bytes arena = Bytes(-1);      // of one member; -1: buffers are not placed yet
  Bytes host_arena = Bytes(0);  // likewise in its host's memory

  std::span<const BufferUse> uses_of(const Task& t) const {
    return std::span(uses).subspan(t.first_use, t.use_count);
  }
  std::span<const std::uint32_t> dependencies_of(const Task& t) const {
    return std::span(dependencies).subspan(t.first_dependency, t.dependency_count);
  }
  friend bool operator==(const DeviceClass&, const DeviceClass&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("members", self.members);
    visit("buffers", self.buffers);
    visit("tasks", self.tasks);
    visit("uses", self.uses);
    visit("dependencies", self.dependencies);
    visit("arena", self.arena);
    visit("host_arena", self.host_arena, kOptional);
  }
};

// A part of an operator's iteration space, computed on one device by one kernel candidate.
struct Shard {
  std::uint32_t op = 0;
  std::vector<Interval> axes;
  std::uint32_t candidate = 0;  // index into Plan::candidates
  std::uint64_t signature = 0;  // LocalProblem::signature

  friend bool operator==(const Shard&, const Shard&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("op", self.op);
    visit("axes", self.axes);
    visit("candidate", self.candidate);
    visit("signature", self.signature);
  }
};

// One member of a transfer: what it has of the tensor and what it will have.
struct TransferMember {
  DeviceId device;
  Box held;    // empty: gives nothing
  Box wanted;  // empty: gets nothing

  friend bool operator==(const TransferMember&, const TransferMember&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("device", self.device);
    visit("held", self.held);
    visit("wanted", self.wanted);
  }
};

// `box` goes from member `src` to member `dst` (which may be the same).
struct Message {
  std::uint32_t src = 0;
  std::uint32_t dst = 0;
  Box box;

  friend bool operator==(const Message&, const Message&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("src", self.src);
    visit("dst", self.dst);
    visit("box", self.box);
  }
};

// Data moving between the devices of a group, or within one device.
//
// Working buffers of the collectives' schedules: all-reduce and broadcast use
// the box as it lies in memory; reduce-scatter, all-gather and all-to-all use
// the concatenation of the members' boxes, each packed in the tensor's
// physical order (all-to-all: the intersections of held and wanted boxes).
// Boxes: messages between two members are packed one after the other into one
// message; on arrival they are copied, or where `sum` added onto zeros, in
// their order.
struct Transfer {
  Pattern pattern = Pattern::kBoxes;
  Algorithm algorithm = Algorithm::kDirect;
  std::uint32_t root = 0;
  bool sum = false;
  DType dtype = DType::kF32;
  DimOrder order;
  std::vector<TransferMember> members;
  std::vector<Message> messages;  // boxes only; by dst, then in the order of summation

  friend bool operator==(const Transfer&, const Transfer&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("pattern", self.pattern);
    visit("algorithm", self.algorithm);
    visit("root", self.root);
    visit("sum", self.sum);
    visit("dtype", self.dtype);
    visit("order", self.order);
    visit("members", self.members);
    visit("messages", self.messages);
  }
};

// The group of a reshard between two layouts as a transfer, with the default algorithm of its size.
Transfer transfer_of(const ReshardGroup& group, const Layout& from, const Layout& to, DType dtype,
                     const DimOrder& order);
// The collective that a transfer's schedule comes from (any pattern but boxes and none).
Collective collective_of(const Transfer& transfer);
// Bytes of the staging buffer of one member: packed working buffers and scratch.
Bytes staging_bytes(const Transfer& transfer, std::uint32_t member);
// Bytes that the member sends to and receives from other members.
Bytes bytes_sent(const Transfer& transfer, std::uint32_t member);

struct Plan {
  static constexpr std::string_view kFormat = "soapstone.plan";
  static constexpr int kVersion = 3;
  std::string graph;  // name
  std::uint64_t graph_hash = 0;
  std::uint64_t strategy_hash = 0;
  bool training = true;  // false: forward only
  std::uint32_t micro_batches = 1;
  std::uint32_t zigzag = 0;  // Strategy::zigzag
  std::uint32_t device_count = 0;
  std::uint32_t optimizer_states = 0;  // state tensors per weight
  std::uint32_t table_states = 0;      // likewise per table (table_of)
  std::vector<std::string> candidates;
  std::vector<Shard> shards;
  std::vector<Transfer> transfers;
  std::vector<std::uint32_t> member_table;
  std::vector<DeviceClass> classes;

  // The shard or transfer of member `member` of the class that owns the task.
  std::uint32_t entry(const Task& task, std::size_t member) const {
    return member_table[task.row + member];
  }

  friend bool operator==(const Plan&, const Plan&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("graph", self.graph);
    visit("graph_hash", self.graph_hash);
    visit("strategy_hash", self.strategy_hash);
    visit("training", self.training);
    visit("micro_batches", self.micro_batches);
    visit("zigzag", self.zigzag, kOptional);
    visit("device_count", self.device_count);
    visit("optimizer_states", self.optimizer_states);
    visit("table_states", self.table_states);
    visit("candidates", self.candidates);
    visit("shards", self.shards);
    visit("transfers", self.transfers);
    visit("member_table", self.member_table);
    visit("classes", self.classes);
  }
};

// Where a device's program stands.
struct PlanPlace {
  std::uint32_t class_index = kNoIndex;
  std::uint32_t member = 0;
};
PlanPlace place_of(const Plan& plan, DeviceId device);

// The uses of a task of kind norm-rows or update-rows, told apart; of norm-rows without weight and
// states.
struct RowUses {
  std::span<const BufferUse> states;
  std::span<const BufferUse> pairs;  // ids, rows, ids, rows, …
  std::uint32_t scalar = kNoIndex;   // buffer
};
RowUses row_uses(const Plan& plan, const DeviceClass& program, const Task& task);

// What such a task touches if every row of the table is met as often as any other.
struct RowWork {
  std::int64_t rows = 0;      // of the part of the table that the task has, one per position
  std::int64_t features = 0;  // of a row there
  Bytes bytes;                // read and written, each once
};
RowWork row_work(const Graph& graph, const Plan& plan, const DeviceClass& program, const Task& task,
                 std::size_t member);

// "conv1.forward", "fc1.weight gradient all-reduce", … for traces and errors.
std::string task_label(const Graph& graph, const Plan& plan, const DeviceClass& program,
                       const Task& task);

// Gives every buffer its offset. Two buffers share bytes only if all uses of
// one happen before the first use of the other by dependencies or by the order
// of computing, never by time.
void place_buffers(Plan& plan);

// Errors if the plan breaks a rule of the format: an index out of range, a
// dependency that is not earlier, a transfer whose parts differ in order or
// are missing, a message of what its sender does not hold, a task with other
// uses than its kind has, a use of a buffer before it is written.
Status check(const Graph& graph, const Plan& plan);

}  // namespace soapstone::core
