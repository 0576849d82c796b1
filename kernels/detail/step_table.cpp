#include "kernels/detail/step_table.hpp"

#include "core/assert.hpp"

namespace soapstone::kernels::detail {

StepTable::StepTable(const core::OpDefinition& definition) {
  for (const core::Step& step : definition.steps) {
    NamedStep named{step.name, {}};
    for (const auto* refs : {&step.reads, &step.writes})
      for (const core::Ref& ref : *refs)
        named.slots.push_back({definition.operands[ref.operand].name, ref.gradient});
    steps_.push_back(std::move(named));
  }
}

bool StepTable::has(std::string_view step) const {
  for (const NamedStep& s : steps_)
    if (s.name == step) return true;
  return false;
}

const Block& StepTable::value(const StepCall& call, std::string_view operand) const {
  return find(call, operand, false);
}

const Block& StepTable::gradient(const StepCall& call, std::string_view operand) const {
  return find(call, operand, true);
}

const Block& StepTable::find(const StepCall& call, std::string_view operand, bool gradient) const {
  static const Block kAbsent;
  const NamedStep& step = steps_[call.step];
  SOAPSTONE_ASSERT(call.operands.size() == step.slots.size(), "step {} has {} operands, got {}",
                   step.name, step.slots.size(), call.operands.size());
  for (std::size_t k = 0; k < step.slots.size(); ++k)
    if (step.slots[k].gradient == gradient && step.slots[k].operand == operand)
      return call.operands[k];
  return kAbsent;
}

const Block& StepTable::written(const StepCall& call, std::string_view operand) const {
  static const Block kAbsent;
  const auto& slots = steps_[call.step].slots;
  for (std::size_t k = slots.size(); k-- > 0;)
    if (!slots[k].gradient && slots[k].operand == operand) return call.operands[k];
  return kAbsent;
}

void unknown_step(std::string_view candidate, std::string_view step) {
  SOAPSTONE_ASSERT(false, "{} does not know step {}", candidate, step);
  throw core::InvariantError("unreachable");
}

}  // namespace soapstone::kernels::detail
