// What an operator declares about itself: its iteration space, how every
// operand follows it, and the steps of its forward and backward pass.
// Everything generic (legal degrees, layouts, local shapes, gradient groups,
// work, memory) is derived from this one value; see derive.hpp.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/reflect.hpp"
#include "core/result.hpp"
#include "core/shape.hpp"

namespace soapstone::core {

// What splitting an axis means, after SOAP (FlexFlow, MLSys 2019, §4).
enum class AxisRole : std::uint8_t {
  kSample,     // index of a training sample
  kAttribute,  // a data dimension that no weight follows (height, sequence)
  kParameter,  // splits weights (output channels, heads)
  kReduction,  // summed over: a split leaves partial sums
};
SOAPSTONE_ENUM_NAMES(AxisRole, {AxisRole::kSample, "sample"}, {AxisRole::kAttribute, "attribute"},
                     {AxisRole::kParameter, "parameter"}, {AxisRole::kReduction, "reduction"})

// How the parts of a split axis depend on each other inside the operator.
enum class Coupling : std::uint8_t {
  kNone,          // parts are independent
  kHalo,          // parts read overlapping windows of an operand
  kAllReduce,     // parts exchange sums between two steps (batch_norm)
  kUnsplittable,  // the axis stays whole
};
SOAPSTONE_ENUM_NAMES(Coupling, {Coupling::kNone, "none"}, {Coupling::kHalo, "halo"},
                     {Coupling::kAllReduce, "all-reduce"},
                     {Coupling::kUnsplittable, "unsplittable"})

// One axis of an operator's iteration space.
struct Axis {
  std::string name;
  std::int64_t extent = 1;
  AxisRole role = AxisRole::kAttribute;
  std::int64_t granularity = 1;  // parts are multiples of this many indices
  Coupling coupling = Coupling::kNone;
  // Its indices stand for positions in zig-zag order of so many chunks (zigzag.hpp), and the
  // operator knows; 0: an index is its position.
  std::int64_t zigzag = 0;

  friend bool operator==(const Axis&, const Axis&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("name", self.name);
    visit("extent", self.extent);
    visit("role", self.role);
    visit("granularity", self.granularity);
    visit("coupling", self.coupling);
    visit("zigzag", self.zigzag);
  }
};

// A set of axes, by index.
struct AxisSet {
  std::uint32_t bits = 0;

  constexpr bool has(int axis) const { return axis >= 0 && ((bits >> axis) & 1u); }
  constexpr void insert(int axis) { bits |= 1u << axis; }
  constexpr bool empty() const { return bits == 0; }
  friend constexpr AxisSet operator|(AxisSet a, AxisSet b) { return AxisSet{a.bits | b.bits}; }
  friend constexpr AxisSet operator&(AxisSet a, AxisSet b) { return AxisSet{a.bits & b.bits}; }
  friend constexpr bool operator==(AxisSet, AxisSet) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("bits", self.bits);
  }
};

// How one dimension of an operand follows the axes: index i of `axis` touches
// [i * stride + offset, i * stride + offset + extent), clipped to the
// dimension. Without an axis every part touches the whole dimension.
struct DimMap {
  std::int32_t axis = -1;
  std::int64_t stride = 1;
  std::int64_t offset = 0;
  std::int64_t extent = 1;

  static constexpr DimMap whole() { return {}; }
  static constexpr DimMap along(int axis) { return {axis, 1, 0, 1}; }
  static constexpr DimMap window(int axis, std::int64_t stride, std::int64_t offset,
                                 std::int64_t extent) {
    return {axis, stride, offset, extent};
  }
  friend bool operator==(const DimMap&, const DimMap&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("axis", self.axis);
    visit("stride", self.stride);
    visit("offset", self.offset);
    visit("extent", self.extent);
  }
};

// The indices of a dimension of `dim_extent` that the part `part` of the axis touches.
constexpr Interval image(const DimMap& map, const Interval& part, std::int64_t dim_extent) {
  if (map.axis < 0) return dim_extent > 0 ? Interval{0, dim_extent} : Interval{};
  if (part.empty()) return {};
  return intersect(
      {part.begin * map.stride + map.offset, (part.end - 1) * map.stride + map.offset + map.extent},
      {0, dim_extent});
}

enum class OperandRole : std::uint8_t {
  kInput,
  kWeight,
  kOutput,
  kInternal,  // passed between the operator's own steps, forward to backward included
};
SOAPSTONE_ENUM_NAMES(OperandRole, {OperandRole::kInput, "input"}, {OperandRole::kWeight, "weight"},
                     {OperandRole::kOutput, "output"}, {OperandRole::kInternal, "internal"})

// How a weight starts. Values come from counter-based random numbers keyed by
// the global element index, so that they do not depend on the layout.
enum class InitKind : std::uint8_t { kZeros, kOnes, kUniform, kNormal };
SOAPSTONE_ENUM_NAMES(InitKind, {InitKind::kZeros, "zeros"}, {InitKind::kOnes, "ones"},
                     {InitKind::kUniform, "uniform"}, {InitKind::kNormal, "normal"})
struct Initializer {
  InitKind kind = InitKind::kZeros;
  double scale = 0;  // uniform: bound of [-scale, scale); normal: standard deviation

  friend bool operator==(const Initializer&, const Initializer&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("kind", self.kind);
    visit("scale", self.scale);
  }
};

struct Operand {
  std::string name;
  OperandRole role = OperandRole::kInput;
  TensorDesc desc;
  std::vector<DimMap> dims;  // one per dimension of desc
  // false: indices, labels, counts, internal statistics; of a weight: a state that the operator
  // itself changes in place (a step reads and writes it), and the optimizer does not
  bool differentiable = true;
  AxisSet first_part_of;  // exists only on the first part of these axes (bias of a split reduction)
  Initializer init;       // weights only
  // i32 inputs: values in [0, bound) are accepted, and `absent`, which stands for none, where it is
  // below 0
  std::int64_t bound = 0, absent = 0;

  AxisSet followed() const {
    AxisSet set;
    for (const auto& d : dims)
      if (d.axis >= 0) set.insert(d.axis);
    return set;
  }
  friend bool operator==(const Operand&, const Operand&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("name", self.name);
    visit("role", self.role);
    visit("desc", self.desc);
    visit("dims", self.dims);
    visit("differentiable", self.differentiable);
    visit("first_part_of", self.first_part_of);
    visit("init", self.init);
    visit("bound", self.bound);
    visit("absent", self.absent);
  }
};

// kRecompute: of tasks alone, a step of the forward pass that is done again, and what is gathered
// again for the backward pass.
enum class Phase : std::uint8_t { kForward, kBackwardInput, kBackwardWeight, kUpdate, kRecompute };
SOAPSTONE_ENUM_NAMES(Phase, {Phase::kForward, "forward"}, {Phase::kBackwardInput, "backward-input"},
                     {Phase::kBackwardWeight, "backward-weight"}, {Phase::kUpdate, "update"},
                     {Phase::kRecompute, "recompute"})

// An operand's value or its gradient.
struct Ref {
  std::uint16_t operand = 0;
  bool gradient = false;

  friend constexpr auto operator<=>(const Ref&, const Ref&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("operand", self.operand);
    visit("gradient", self.gradient);
  }
};

// coefficient × the product of the local extents of the axes in `over`.
struct WorkTerm {
  double coefficient = 0;
  AxisSet over;

  friend bool operator==(const WorkTerm&, const WorkTerm&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("coefficient", self.coefficient);
    visit("over", self.over);
  }
};

// Which runs have a step: evaluation does without the statistics of its batch.
enum class StepUse : std::uint8_t { kAlways, kTraining, kEvaluation };
SOAPSTONE_ENUM_NAMES(StepUse, {StepUse::kAlways, "always"}, {StepUse::kTraining, "training"},
                     {StepUse::kEvaluation, "evaluation"})

// Whether the gradient that a step writes is a sum of rows that what it reads holds already. Such a
// step reads {ids, gradient of y} and writes {gradient of table}, and for every position p of ids,
// counted row-major, whose id is a row of the table
//   dtable[ids[p], :] += scale · dy[p / k, :],   k = positions per row of dy.
// kSum: scale = 1; kMean: 1 / the number of those k ids that are not negative. An optimizer that
// leaves rows of zeros alone can be given ids and dy instead of dtable (LowerOptions::by_rows).
enum class RowGradient : std::uint8_t { kNone, kSum, kMean };
SOAPSTONE_ENUM_NAMES(RowGradient, {RowGradient::kNone, "none"}, {RowGradient::kSum, "sum"},
                     {RowGradient::kMean, "mean"})

// One kernel call per device. What it writes is overwritten, never accumulated.
struct Step {
  std::string name;
  Phase phase = Phase::kForward;
  std::vector<Ref> reads;
  std::vector<Ref> writes;
  // Axes that this step sums over: a written operand that does not follow one
  // of them is a partial sum where that axis is split. An axis that is neither
  // followed nor summed over computes equal copies.
  AxisSet reduces;
  std::vector<WorkTerm> flops;
  // The step is used only where one of these axes is split, or only where none is.
  AxisSet only_if_split;
  AxisSet only_if_whole;
  StepUse use = StepUse::kAlways;
  RowGradient rows = RowGradient::kNone;

  friend bool operator==(const Step&, const Step&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("name", self.name);
    visit("phase", self.phase);
    visit("reads", self.reads);
    visit("writes", self.writes);
    visit("reduces", self.reduces);
    visit("flops", self.flops);
    visit("only_if_split", self.only_if_split);
    visit("only_if_whole", self.only_if_whole);
    visit("use", self.use);
    visit("rows", self.rows);
  }
};

// How good an operator's answers are, from what its steps count: outputs without a gradient that
// sum over parts, micro-batches and steps.
enum class MetricKind : std::uint8_t {
  kShare,           // value / over, in [0, 1]
  kExpOfMean,       // exp(value / over)
  kAreaUnderCurve,  // of `value` [2, bins]: wrong and right answers by ascending score
};
SOAPSTONE_ENUM_NAMES(MetricKind, {MetricKind::kShare, "share"},
                     {MetricKind::kExpOfMean, "exp-of-mean"},
                     {MetricKind::kAreaUnderCurve, "area-under-curve"})
struct Metric {
  std::string name;
  MetricKind kind = MetricKind::kShare;
  std::uint16_t value = 0, over = 0;  // operands
  double scale = 1;                   // of the value: a mean's number of summands

  friend bool operator==(const Metric&, const Metric&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("name", self.name);
    visit("kind", self.kind);
    visit("value", self.value);
    visit("over", self.over);
    visit("scale", self.scale);
  }
};

// How an operator is computed in a ring (OpStrategy::ring): where `along` is cut into c parts,
// `over` is cut into c parts too, and device i has part i of both. In round r of c it computes part
// i of `along` with part (i - r) mod c of `over`, while what follows `over` goes one device
// further. A part of the iteration space of which every index of `over` is hidden is left out, but
// for round 0.
//
// Steps for that alone are only_if_split(over). Those that reduce `over` are done in rounds: what
// they read and write is carried from one round to the next, all else that they write adds up, what
// follows `over` on the device that has the part. No operand follows both axes.
struct Rounds {
  int along = -1, over = -1;  // -1: there are none
  // Position j of `over` is hidden from position i of `along` if j > i + visible.
  std::int64_t visible = 0;
  std::string why_not = {};  // a sentence, where there could be rounds and are none

  friend bool operator==(const Rounds&, const Rounds&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("along", self.along);
    visit("over", self.over);
    visit("visible", self.visible);
    visit("why_not", self.why_not);
  }
};

// Operands stand in the order inputs, weights, outputs, internals.
struct OpDefinition {
  std::vector<Axis> axes;
  std::vector<Operand> operands;
  std::vector<Step> steps;
  std::vector<Metric> metrics;
  Rounds rounds;
  AxisSet causal;  // axes of a sequence of which an index sees nothing that comes after it

  int axis(std::string_view name) const;     // throws InvariantError where there is none
  int operand(std::string_view name) const;  // likewise
  std::vector<int> operands_of(OperandRole role) const;

  friend bool operator==(const OpDefinition&, const OpDefinition&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("axes", self.axes);
    visit("operands", self.operands);
    visit("steps", self.steps);
    visit("metrics", self.metrics);
    visit("rounds", self.rounds);
    visit("causal", self.causal);
  }
};

// Errors unless there are two inputs, of one shape and one dtype; they go by these names.
Status check_pair(std::span<const TensorDesc> inputs, std::string_view first,
                  std::string_view second);
// Errors unless a loss is the mean over at least one of `what`, or 0: over as many as there are.
Status check_mean_over(std::int64_t mean_over, std::string_view what);

// Writes an OpDefinition in the vocabulary of the operators' documentation.
//
//   Definer d;
//   const int n = d.axis("n", 128, AxisRole::kSample);
//   const int x = d.input("x", desc, {DimMap::along(n), ...});
//   d.step("forward", Phase::kForward).reads({x, w}).writes({y}).reduces({i}).flops(2, {n, o, i});
//
// Operands must be declared in the order inputs, weights, outputs, internals. Weights and states
// have the dtype of their description or, where that is narrower than f32, f32 (master_of).
class Definer {
 public:
  int axis(std::string name, std::int64_t extent, AxisRole role,
           Coupling coupling = Coupling::kNone, std::int64_t granularity = 1);
  // One axis per dimension of `shape`: the first is the sample axis, the others attributes.
  std::vector<int> axes_of(const Shape& shape);

  int input(std::string name, const TensorDesc& desc, std::vector<DimMap> dims,
            bool differentiable = true);
  // i32 values in [0, bound), such as labels and rows of a table, or `absent` where that is below
  // 0.
  int indices(std::string name, const TensorDesc& desc, std::vector<DimMap> dims,
              std::int64_t bound, std::int64_t absent = 0);
  int weight(std::string name, const TensorDesc& desc, std::vector<DimMap> dims, Initializer init);
  // A weight that no gradient changes: running averages.
  int state(std::string name, const TensorDesc& desc, std::vector<DimMap> dims, Initializer init);
  int output(std::string name, const TensorDesc& desc, std::vector<DimMap> dims,
             bool differentiable = true);
  int internal(std::string name, const TensorDesc& desc, std::vector<DimMap> dims);

  void metric(std::string name, MetricKind kind, int value, int over, double scale = 1);

  void rounds(Rounds rounds);
  void causal(std::span<const int> axes);
  // The indices of the axis stand in zig-zag order; errors where its extent does not allow it.
  Status zigzag(int axis, std::int64_t chunks);

  // The operand is used by the first part of these axes only.
  void first_part_of(int operand, std::span<const int> axes);

  // The gradient of an operand, in a step's list of reads or writes.
  struct Grad {
    int operand;
  };
  static Grad grad(int operand) { return {operand}; }
  struct AnyRef {
    Ref ref;
    AnyRef(int operand)
        : ref{static_cast<std::uint16_t>(operand), false} {}              // NOLINT: reads as a list
    AnyRef(Grad g) : ref{static_cast<std::uint16_t>(g.operand), true} {}  // NOLINT
  };

  class StepDefiner {
   public:
    explicit StepDefiner(Step& step) : step_(&step) {}
    StepDefiner& reads(std::initializer_list<AnyRef> refs);
    StepDefiner& writes(std::initializer_list<AnyRef> refs);
    StepDefiner& reads(AnyRef ref) { return reads({ref}); }
    StepDefiner& writes(AnyRef ref) { return writes({ref}); }
    StepDefiner& reduces(std::span<const int> axes);
    StepDefiner& reduces(std::initializer_list<int> axes) {
      return reduces(std::span(axes.begin(), axes.size()));
    }
    StepDefiner& flops(double coefficient, std::span<const int> axes);
    StepDefiner& flops(double coefficient, std::initializer_list<int> axes) {
      return flops(coefficient, std::span(axes.begin(), axes.size()));
    }
    StepDefiner& only_if_split(std::span<const int> axes);
    StepDefiner& only_if_whole(std::span<const int> axes);
    StepDefiner& only_in(StepUse use);
    StepDefiner& rows(RowGradient rows);

   private:
    Step* step_;
  };
  // The reference stays valid until the next call of step().
  StepDefiner step(std::string name, Phase phase);

  OpDefinition take() { return std::move(definition_); }

 private:
  int add(Operand operand);
  OpDefinition definition_;
};

// Maps every dimension to the axis of the same position.
std::vector<DimMap> along(std::span<const int> axes);

}  // namespace soapstone::core
