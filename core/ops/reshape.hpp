// reshape: the same elements in logical row-major order under another shape. Flatten is a reshape
// to two dimensions.
//
// Shapes: x any, y `shape`; one extent of `shape` may be -1 and is inferred. Extent 0 keeps the
// input's extent. Axes: dimensions are matched in groups of equal product. Where one side of a
// group is a single dimension, the dimensions of the other side are axes, of which only the first
// with extent > 1 may be split; a group that is regrouped on both sides stays whole. No FLOPs. A
// copy even where the physical orders agree, since producer and consumer may own different memory.
#pragma once

#include "core/op_definition.hpp"

namespace soapstone::core {

struct Reshape {
  static constexpr std::string_view kName = "reshape";
  std::vector<std::int64_t> shape;

  Result<Shape> output_shape(const Shape& in) const {
    if (shape.empty() || shape.size() > kMaxRank)
      return usage_error("shape = {}: give 1 to {} extents", print(shape), kMaxRank);
    Shape out;
    int inferred = -1;
    std::int64_t known = 1;
    for (std::size_t i = 0; i < shape.size(); ++i) {
      std::int64_t e = shape[i];
      if (e == 0 && i < in.size()) e = in[i];
      if (e < -1 || (e == -1 && inferred >= 0) || e == 0)
        return usage_error("shape = {}: extents must be positive, 0 (keep) or a single -1 (infer)",
                           print(shape));
      if (e == -1)
        inferred = static_cast<int>(i);
      else
        known *= e;
      out.push_back(e);
    }
    if (inferred >= 0) {
      if (elements(in) % known != 0)
        return usage_error("input {} has {} elements, not a multiple of {} (shape = {})", print(in),
                           elements(in), known, print(shape));
      out[inferred] = elements(in) / known;
    }
    if (elements(out) != elements(in))
      return usage_error("input {} has {} elements but shape {} has {}", print(in), elements(in),
                         print(out), elements(out));
    return out;
  }

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    if (inputs.size() != 1) return usage_error("takes one input, got {}", inputs.size());
    const Shape& in = inputs[0].shape;
    SOAPSTONE_ASSIGN(const Shape out, output_shape(in));
    Definer d;
    std::vector<DimMap> in_dims(in.size()), out_dims(out.size());
    std::vector<int> axes;
    const auto new_axis = [&](std::int64_t extent, bool splittable) {
      const std::string name = axes.empty() ? "n" : "d" + std::to_string(axes.size());
      axes.push_back(d.axis(name, extent, axes.empty() ? AxisRole::kSample : AxisRole::kAttribute,
                            splittable ? Coupling::kNone : Coupling::kUnsplittable));
      return axes.back();
    };
    // `many` follow an axis each; `one` follows the first of them that is longer than 1, in steps
    // of the rest.
    const auto match = [&](const Shape& many, std::size_t m0, std::size_t m1,
                           std::vector<DimMap>& many_dims, DimMap& one) {
      bool found = false;
      for (std::size_t k = m0; k < m1; ++k) {
        const bool first = !found && many[k] > 1;
        const int axis = new_axis(many[k], first || (m1 - m0 == 1));
        many_dims[k] = DimMap::along(axis);
        if (first || (m1 - m0 == 1)) {
          std::int64_t inner = 1;
          for (std::size_t j = k + 1; j < m1; ++j) inner *= many[j];
          one = DimMap::window(axis, inner, 0, inner);
          found = true;
        }
      }
    };
    std::size_t i = 0, o = 0;
    while (i < in.size() || o < out.size()) {
      std::size_t i1 = i, o1 = o;
      std::int64_t pi = 1, po = 1;
      if (i1 < in.size()) pi *= in[i1++];
      if (o1 < out.size()) po *= out[o1++];
      while (pi != po) {
        if (pi < po && i1 < in.size())
          pi *= in[i1++];
        else if (o1 < out.size())
          po *= out[o1++];
        else
          break;
      }
      // Trailing dimensions of extent 1 belong to the last group.
      if (i1 == in.size())
        while (o1 < out.size()) ++o1;
      if (o1 == out.size())
        while (i1 < in.size()) ++i1;
      if (o1 - o == 1)
        match(in, i, i1, in_dims, out_dims[o]);
      else if (i1 - i == 1)
        match(out, o, o1, out_dims, in_dims[i]);
      else
        for (std::size_t k = i; k < i1; ++k) in_dims[k] = DimMap::along(new_axis(in[k], false));
      i = i1, o = o1;
    }
    // The pairs above name every dimension of the side with more of them; a dimension left alone
    // stays whole.
    const int x = d.input("x", inputs[0], in_dims);
    const int y = d.output(
        "y", {out, inputs[0].dtype, out.size() == 4 ? channels_last(4) : DimOrder{}}, out_dims);
    d.step("forward", Phase::kForward).reads(x).writes(y);
    d.step("backward_input", Phase::kBackwardInput)
        .reads(Definer::grad(y))
        .writes(Definer::grad(x));
    return d.take();
  }

  friend bool operator==(const Reshape&, const Reshape&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("shape", self.shape);
  }
};

}  // namespace soapstone::core
