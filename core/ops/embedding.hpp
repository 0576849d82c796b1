// embedding: y[n…, d] = table[ids[n…], d].
//
// Shapes: ids [n, …] i32 in [0, vocab), table [vocab, d], y [n, …, d].
// Axes: n sample, further dimensions of ids attribute; d parameter; vocab reduction: rows of
// another part count as zero, so a split of vocab leaves partial sums of which one is not zero. No
// FLOPs forward; 1 per element of y backward (rows are added up). The gradient of table is a sum of
// rows of dy, which an optimizer may take as they are (RowGradient).
#pragma once

#include "core/op_definition.hpp"

namespace soapstone::core {

struct Embedding {
  static constexpr std::string_view kName = "embedding";
  std::int64_t vocab = 0;
  std::int64_t features = 0;
  double init_scale = 1;      // standard deviation of the table
  DType dtype = DType::kF32;  // of y, and of the table where not narrower than f32

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    if (inputs.size() != 1) return usage_error("takes one input, got {}", inputs.size());
    const Shape& in = inputs[0].shape;
    if (inputs[0].dtype != DType::kI32)
      return usage_error("takes i32 ids, got {}", name_of(inputs[0].dtype));
    if (in.empty() || in.size() >= kMaxRank)
      return usage_error("takes ids [n, …] of rank 1 to {}, got {}", kMaxRank - 1, print(in));
    if (vocab < 1 || features < 1)
      return usage_error("vocab = {} and features = {} must be at least 1", vocab, features);
    if (dtype == DType::kI32) return usage_error("dtype = i32: bf16, f32 and f64 are accepted");
    Definer d;
    std::vector<int> lead;
    for (std::size_t k = 0; k < in.size(); ++k)
      lead.push_back(d.axis(k == 0   ? "n"
                            : k == 1 ? "s"
                                     : "b" + std::to_string(k),
                            in[k], k == 0 ? AxisRole::kSample : AxisRole::kAttribute));
    const int f = d.axis("d", features, AxisRole::kParameter);
    const int v = d.axis("vocab", vocab, AxisRole::kReduction);
    std::vector<int> out_axes = lead;
    out_axes.push_back(f);
    Shape out = in;
    out.push_back(features);
    const int ids = d.indices("ids", inputs[0], along(lead), vocab);
    const int table =
        d.weight("table", {{vocab, features}, dtype, {}}, {DimMap::along(v), DimMap::along(f)},
                 {InitKind::kNormal, init_scale});
    const int y = d.output("y", {out, dtype, {}}, along(out_axes));
    using G = Definer::Grad;
    d.step("forward", Phase::kForward).reads({ids, table}).writes(y).reduces({v});
    d.step("backward_weight", Phase::kBackwardWeight)
        .reads({ids, G{y}})
        .writes(G{table})
        .rows(RowGradient::kSum)
        .reduces(lead)
        .flops(1, out_axes);
    return d.take();
  }

  friend bool operator==(const Embedding&, const Embedding&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("vocab", self.vocab);
    visit("features", self.features);
    visit("init_scale", self.init_scale, kOptional);
    visit("dtype", self.dtype, kOptional);
  }
};

}  // namespace soapstone::core
