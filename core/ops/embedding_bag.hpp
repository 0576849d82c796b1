// embedding_bag: y[n, d] = Σ_l table[ids[n, l], d], or the mean: the sum divided by the number of
// ids of the bag that are not padding (0 for a bag of padding alone).
//
// Shapes: ids [n, l] i32 in [0, vocab) or kPaddingId, which adds nothing; table [vocab, d]; y [n,
// d]. Axes: n sample; l reduction: a split leaves partial sums, but for a mean it stays whole,
// since a part does not know how many ids the others have; d parameter; vocab reduction: rows of
// another part count as zero, so that a split of it leaves partial sums. FLOPs: 1 per id and
// feature forward (rows are added up), 1 backward. The gradient of table is a sum of rows of dy,
// which an optimizer may take as they are (RowGradient).
#pragma once

#include "core/op_definition.hpp"

namespace soapstone::core {

enum class BagMode : std::uint8_t { kSum, kMean };
SOAPSTONE_ENUM_NAMES(BagMode, {BagMode::kSum, "sum"}, {BagMode::kMean, "mean"})

inline constexpr std::int32_t kPaddingId = -1;

struct EmbeddingBag {
  static constexpr std::string_view kName = "embedding_bag";
  std::int64_t vocab = 0;
  std::int64_t features = 0;
  BagMode mode = BagMode::kSum;
  double init_scale = 1;      // standard deviation of the table
  DType dtype = DType::kF32;  // of y, and of the table where not narrower than f32

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    if (inputs.size() != 1) return usage_error("takes one input, got {}", inputs.size());
    const Shape& in = inputs[0].shape;
    if (inputs[0].dtype != DType::kI32)
      return usage_error("takes i32 ids, got {}", name_of(inputs[0].dtype));
    if (in.size() != 2) return usage_error("takes ids [n, l], got {}", print(in));
    if (vocab < 1 || features < 1)
      return usage_error("vocab = {} and features = {} must be at least 1", vocab, features);
    if (dtype == DType::kI32) return usage_error("dtype = i32: bf16, f32 and f64 are accepted");
    Definer d;
    const int n = d.axis("n", in[0], AxisRole::kSample);
    const int l = d.axis("l", in[1], AxisRole::kReduction,
                         mode == BagMode::kMean ? Coupling::kUnsplittable : Coupling::kNone);
    const int f = d.axis("d", features, AxisRole::kParameter);
    const int v = d.axis("vocab", vocab, AxisRole::kReduction);
    const int ids =
        d.indices("ids", inputs[0], {DimMap::along(n), DimMap::along(l)}, vocab, kPaddingId);
    const int table =
        d.weight("table", {{vocab, features}, dtype, {}}, {DimMap::along(v), DimMap::along(f)},
                 {InitKind::kNormal, init_scale});
    const int y =
        d.output("y", {{in[0], features}, dtype, {}}, {DimMap::along(n), DimMap::along(f)});
    using G = Definer::Grad;
    d.step("forward", Phase::kForward)
        .reads({ids, table})
        .writes(y)
        .reduces({l, v})
        .flops(1, {n, l, f});
    d.step("backward_weight", Phase::kBackwardWeight)
        .reads({ids, G{y}})
        .writes(G{table})
        .rows(mode == BagMode::kMean ? RowGradient::kMean : RowGradient::kSum)
        .reduces({n, l})
        .flops(1, {n, l, f});
    return d.take();
  }

  friend bool operator==(const EmbeddingBag&, const EmbeddingBag&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("vocab", self.vocab);
    visit("features", self.features);
    visit("mode", self.mode, kOptional);
    visit("init_scale", self.init_scale, kOptional);
    visit("dtype", self.dtype, kOptional);
  }
};

}  // namespace soapstone::core
