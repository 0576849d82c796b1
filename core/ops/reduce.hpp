// reduce: y = the sum, mean or maximum of x over the dimensions `dims`.
//
// Shapes: x any [n, …]; y is x without these dimensions, with `keep_dims` x with extent 1 there,
// and [1] where no dimension would be left. A mean divides by the number of elements of the whole
// tensor, on all devices, or by `mean_over` (micro-batches of a mean over the batch: that of the
// whole mini-batch, so that those of the micro-batches add up to it). The gradient of a maximum
// goes to the first place (row-major in the dimensions of `dims`) that has it; not a number is
// larger than any number. Internal, maximum only: `choice` like y, i32, what the forward kernel
// remembers of its choice; its content belongs to the kernel candidate. Axes: as elementwise;
// dimensions of `dims` but the first of all are reductions; those of a maximum stay whole. FLOPs: 1
// per element of x.
#pragma once

#include <algorithm>
#include <limits>

#include "core/op_definition.hpp"

namespace soapstone::core {

enum class ReduceKind : std::uint8_t { kSum, kMean, kMax };
SOAPSTONE_ENUM_NAMES(ReduceKind, {ReduceKind::kSum, "sum"}, {ReduceKind::kMean, "mean"},
                     {ReduceKind::kMax, "max"})

struct Reduce {
  static constexpr std::string_view kName = "reduce";
  ReduceKind kind = ReduceKind::kSum;
  std::vector<std::int64_t> dims;
  bool keep_dims = false;
  std::int64_t mean_over = 0;  // mean only; 0: the number of elements of the whole tensor

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    if (inputs.size() != 1) return usage_error("takes one input, got {}", inputs.size());
    const Shape& in = inputs[0].shape;
    const auto rank = static_cast<std::int64_t>(in.size());
    if (dims.empty()) return usage_error("dims is empty: give at least one dimension");
    for (const std::int64_t d : dims)
      if (d < 0 || d >= rank || std::count(dims.begin(), dims.end(), d) > 1)
        return usage_error("dims = {}: an input of rank {} allows 0 to {}, each once", print(dims),
                           rank, rank - 1);
    if (mean_over < 0 || (mean_over > 0 && kind != ReduceKind::kMean))
      return usage_error(
          "mean_over = {} of a {}: must be 0, or for a mean the number of elements to divide by",
          mean_over, name_of(kind));
    const std::int64_t count = reduced_elements(in);
    if (count == 0 && mean_over == 0 && kind != ReduceKind::kSum)
      return usage_error("the {} of an input {} over dims {} is that of no elements", name_of(kind),
                         print(in), print(dims));
    if (kind == ReduceKind::kMax && count > std::numeric_limits<std::int32_t>::max())
      return usage_error("a maximum of {} elements: {} at most", count,
                         std::numeric_limits<std::int32_t>::max());
    Definer d;
    const auto axes = d.axes_of(in);
    std::vector<int> reduced;
    TensorDesc out{{}, inputs[0].dtype, {}};
    std::vector<DimMap> out_dims;
    for (std::size_t k = 0; k < in.size(); ++k) {
      const bool goes = is_reduced(k);
      if (goes) reduced.push_back(axes[k]);
      if (goes && !keep_dims) continue;
      out.shape.push_back(goes ? 1 : in[k]);
      out_dims.push_back(goes ? DimMap::whole() : DimMap::along(axes[k]));
    }
    if (keep_dims) out.order = inputs[0].order;
    if (out.shape.empty()) {
      out.shape.push_back(1);
      out_dims.push_back(DimMap::whole());
    }
    const int x = d.input("x", inputs[0], along(axes));
    const int y = d.output("y", out, out_dims);
    using G = Definer::Grad;
    if (kind == ReduceKind::kMax) {
      const int choice = d.internal("choice", {out.shape, DType::kI32, out.order}, out_dims);
      d.step("forward", Phase::kForward).reads(x).writes({y, choice}).flops(1, axes);
      d.step("backward_input", Phase::kBackwardInput)
          .reads({choice, G{y}})
          .writes(G{x})
          .flops(1, axes);
    } else {
      d.step("forward", Phase::kForward).reads(x).writes(y).reduces(reduced).flops(1, axes);
      d.step("backward_input", Phase::kBackwardInput).reads(G{y}).writes(G{x}).flops(1, axes);
    }
    OpDefinition definition = d.take();
    for (const int a : reduced) {
      if (a != axes[0]) definition.axes[a].role = AxisRole::kReduction;
      if (kind == ReduceKind::kMax) definition.axes[a].coupling = Coupling::kUnsplittable;
    }
    return definition;
  }

  bool is_reduced(std::size_t dim) const {
    return std::find(dims.begin(), dims.end(), static_cast<std::int64_t>(dim)) != dims.end();
  }
  // How many elements of x make one of y.
  std::int64_t reduced_elements(const Shape& in) const {
    std::int64_t count = 1;
    for (std::size_t k = 0; k < in.size(); ++k) count *= is_reduced(k) ? in[k] : 1;
    return count;
  }

  Reduce for_micro_batches(std::int64_t, std::span<const TensorDesc> inputs) const {
    Reduce part = *this;
    if (kind == ReduceKind::kMean && mean_over == 0 && is_reduced(0))
      part.mean_over = reduced_elements(inputs[0].shape);
    return part;
  }

  friend bool operator==(const Reduce&, const Reduce&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("kind", self.kind);
    visit("dims", self.dims);
    visit("keep_dims", self.keep_dims, kOptional);
    visit("mean_over", self.mean_over, kOptional);
  }
};

}  // namespace soapstone::core
