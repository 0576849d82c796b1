// The update of the rows of a table that a batch meets, by a gradient that comes as rows.
#pragma once

#include <span>

#include "core/op_definition.hpp"
#include "kernels/optimizer.hpp"

namespace soapstone::kernels {

// What one micro-batch adds to the gradient of a table.
struct RowBlocks {
  Block ids;   // i32, of any shape
  Block rows;  // dy [.., d]: as many rows as ids, or a k-th of them (bags of k ids); f32, f64, bf16
};

// A table's gradient as rows: core::RowGradient has the formula. Ids outside the part of the table
// count for nothing. Positions of equal ids are added in double, in ascending order and one
// micro-batch after the other, and rounded once to the dtype of the table: the bits depend neither
// on threads nor on what part of the table is here, and are those of the gradient of the whole
// table where there is one micro-batch.
struct RowGradients {
  std::span<const RowBlocks> parts;  // of equal extents
  core::RowGradient rows = core::RowGradient::kSum;
};

// Of all three: at least core::row_merge_workspace(ids, rows of dy) bytes, of all parts together.
core::Bytes row_workspace(const RowGradients& gradients);

// update_weight() for the rows of `weight` [vocab, d] that are met. sgd without momentum or
// adagrad, without weight decay: with these all other rows stay as they are. Per position: d words
// of dy read, per row met d words of weight and state read and written; 10 FLOPs and fewer per
// element.
void update_rows(const Block& weight, const RowGradients& gradients, std::span<const Block> states,
                 const OptimizerUpdate& update, void* workspace);

// Σ of squares of the gradient of the part `table` of a table of dtype `dtype`, every row once, in
// an order that depends on the part and the ids alone.
double sum_of_squares(const core::Box& table, core::DType dtype, const RowGradients& gradients,
                      void* workspace);

// The gradient in full. `gradient` [vocab, d] is overwritten, with zeros where no row is met.
void expand_rows(const Block& gradient, const RowGradients& gradients, void* workspace);

}  // namespace soapstone::kernels
