// What the axes of an operator are to those who cut graphs by hand, decided from their definitions
// alone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "core/op_definition.hpp"
#include "core/strategy.hpp"

namespace soapstone::search {

inline bool splittable(const core::Axis& axis) { return core::largest_degree(axis) > 1; }

inline bool follows(const core::Operand& operand, int axis) { return operand.followed().has(axis); }

inline bool any_follows(const core::OpDefinition& def, core::OperandRole role, int axis) {
  return std::any_of(def.operands.begin(), def.operands.end(),
                     [&](const core::Operand& o) { return o.role == role && follows(o, axis); });
}

inline int first_axis(const core::OpDefinition& def, auto&& wanted) {
  for (int a = 0; a < static_cast<int>(def.axes.size()); ++a)
    if (wanted(a)) return a;
  return -1;
}

inline int sample_axis(const core::OpDefinition& def) {
  return first_axis(def, [&](int a) { return def.axes[a].role == core::AxisRole::kSample; });
}

inline bool is_spatial(const core::OpDefinition& def) {
  return first_axis(def, [&](int a) {
           return def.axes[a].role == core::AxisRole::kAttribute &&
                  (def.axes[a].coupling == core::Coupling::kHalo ||
                   def.axes[a].coupling == core::Coupling::kAllReduce);
         }) >= 0;
}

inline bool has_weights(const core::OpDefinition& def) {
  return !def.operands_of(core::OperandRole::kWeight).empty();
}

inline bool has_heads(const core::OpDefinition& def) {
  return !has_weights(def) && first_axis(def, [&](int a) {
                                return def.axes[a].role == core::AxisRole::kParameter;
                              }) >= 0;
}

// What the weight of a matrix sums over.
inline bool is_contracted(const core::OpDefinition& def, int axis) {
  return def.axes[axis].role == core::AxisRole::kReduction &&
         any_follows(def, core::OperandRole::kWeight, axis) &&
         any_follows(def, core::OperandRole::kInput, axis);
}

inline bool is_matrix(const core::OpDefinition& def) {
  return first_axis(def, [&](int a) { return is_contracted(def, a); }) >= 0;
}

inline int table_axis(const core::OpDefinition& def) {
  return first_axis(def, [&](int a) {
    return def.axes[a].role == core::AxisRole::kReduction &&
           any_follows(def, core::OperandRole::kWeight, a) &&
           !any_follows(def, core::OperandRole::kInput, a);
  });
}

// A dimension of the grid of devices, and the axis that it splits; -1: none, equal copies.
struct GridDim {
  std::int32_t size = 1;
  int axis = -1;
  bool is_ring = false;  // the operator is computed in rounds along that axis
};

// `devices` stand row-major over the grid. What an axis does not allow becomes copies.
core::OpStrategy cut(const core::OpDefinition& def, std::span<const GridDim> grid,
                     std::span<const core::DeviceId> devices);

}  // namespace soapstone::search
