// Which optimizers there are, what they keep per weight, and how tables are trained.
#pragma once

#include <cstdint>

#include "core/reflect.hpp"

namespace soapstone::core {

enum class OptimizerKind : std::uint8_t { kSgd, kAdamW, kAdagrad };
SOAPSTONE_ENUM_NAMES(OptimizerKind, {OptimizerKind::kSgd, "sgd"}, {OptimizerKind::kAdamW, "adamw"},
                     {OptimizerKind::kAdagrad, "adagrad"})

// State tensors per weight: sgd's momentum buffer, if it has one; adamw's two moments; adagrad's
// sum of squares.
constexpr int optimizer_states(OptimizerKind kind, double momentum) {
  switch (kind) {
    case OptimizerKind::kSgd:
      return momentum > 0 ? 1 : 0;
    case OptimizerKind::kAdamW:
      return 2;
    case OptimizerKind::kAdagrad:
      return 1;
  }
  return 0;
}

// Whether a weight whose gradient is zero stays as it is, its states too: then only the rows of a
// table that a batch meets need an update.
constexpr bool keeps_rows_of_zeros(OptimizerKind kind, double momentum, double weight_decay) {
  return weight_decay == 0 &&
         (kind == OptimizerKind::kAdagrad || (kind == OptimizerKind::kSgd && momentum == 0));
}

// What trains tables (derive.hpp): the optimizer of all other weights, or sgd or adagrad without
// momentum and weight decay.
enum class TableOptimizer : std::uint8_t { kSame, kSgd, kAdagrad };
SOAPSTONE_ENUM_NAMES(TableOptimizer, {TableOptimizer::kSame, "same"}, {TableOptimizer::kSgd, "sgd"},
                     {TableOptimizer::kAdagrad, "adagrad"})

constexpr OptimizerKind kind_of(TableOptimizer tables, OptimizerKind others) {
  return tables == TableOptimizer::kSgd       ? OptimizerKind::kSgd
         : tables == TableOptimizer::kAdagrad ? OptimizerKind::kAdagrad
                                              : others;
}

// Bytes of scratch that merging the rows of a table's gradient takes: two keys per position, a
// scale per row of dy and a pointer per micro-batch, 8 bytes each.
constexpr std::int64_t row_merge_workspace(std::int64_t positions, std::int64_t rows,
                                           std::int64_t micro_batches) {
  return 8 * (2 * positions + rows + micro_batches);
}

}  // namespace soapstone::core
