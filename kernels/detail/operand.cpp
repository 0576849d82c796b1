#include "kernels/detail/operand.hpp"

namespace soapstone::kernels::detail {

LocalOperand local_operand(const core::LocalProblem& problem, std::string_view name) {
  const int index = problem.definition->operand(name);
  const core::DimOrder& order = problem.definition->operands[index].desc.order;
  const core::Box box = problem.box(index);
  const core::Shape extents = core::extents(box);
  return {extents, core::packed_strides(extents, order), order, box};
}

bool has_operand(const core::LocalProblem& problem, std::string_view name) {
  for (const core::Operand& operand : problem.definition->operands) {
    if (operand.name != name) continue;
    for (std::size_t a = 0; a < problem.axes.size(); ++a)
      if (operand.first_part_of.has(static_cast<int>(a)) && problem.axes[a].begin > 0) return false;
    return true;
  }
  return false;
}

}  // namespace soapstone::kernels::detail
