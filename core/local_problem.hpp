// The part of one operator that one device computes: what kernels are chosen
// for, what is measured, and what costs are looked up by.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/derive.hpp"
#include "core/graph.hpp"

namespace soapstone::core {

// Steps are given by their index in the definition. Sums over the batch
// (batch_norm, the loss) count the global extents of the definition.
struct LocalProblem {
  Op op;
  const OpDefinition* definition = nullptr;  // of the whole operator; outlives this value
  std::vector<Interval> axes;                // what this part computes of each axis

  Box box(int operand) const { return operand_box(definition->operands[operand], axes); }
  Shape local_shape(int operand) const { return extents(box(operand)); }
  // The dtype it computes in: bf16 where any operand is, else that of the first floating-point
  // operand.
  DType dtype() const;

  // Two local problems with equal keys take the same time: attributes, dtype,
  // local extents, how each window is clipped at the edges, what causality
  // hides of a part, the runs of an axis in zig-zag order, and the order in
  // which dimensions lie where it is not row-major; not where the part lies.
  // Text, stable between versions of the same operator, e.g.
  // "conv2d{out_channels=64, …} f32 n=64 co=32 … x=[64, 28, 28, 32]".
  std::string key() const;
  // The same as a hash of the parts of the key, without making the text.
  std::uint64_t signature() const;
};

LocalProblem local_problem(const OpNode& node, const OpStrategy& strategy, std::size_t index,
                           std::int32_t round = 0);

}  // namespace soapstone::core
