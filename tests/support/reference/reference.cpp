#include "tests/support/reference/reference.hpp"

#include <array>

#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

// tests/support/reference/<name>.cpp for every operator.
#define SOAPSTONE_OP(Type, name) void name##_step(const StepCall& call);
#include "core/ops/all.def"
#undef SOAPSTONE_OP

namespace {

struct Entry {
  std::string_view name;
  void (*step)(const StepCall&);
};
constexpr Entry kReferences[] = {
#define SOAPSTONE_OP(Type, name) {#name, &name##_step},
#include "core/ops/all.def"
#undef SOAPSTONE_OP
};

}  // namespace

double& View::at(std::span<const std::int64_t> index) const {
  SOAPSTONE_ASSERT(index.size() == box.size(), "{} indices into box {}", index.size(),
                   core::print(box));
  std::int64_t position = 0;
  for (std::size_t d = 0; d < box.size(); ++d) {
    SOAPSTONE_ASSERT(box[d].begin <= index[d] && index[d] < box[d].end,
                     "index {} of dimension {} is outside box {}", index[d], d, core::print(box));
    position = position * box[d].extent() + (index[d] - box[d].begin);
  }
  return data[position];
}

bool is_present(const core::LocalProblem& problem, int operand) {
  const core::AxisSet& first = problem.definition->operands[operand].first_part_of;
  for (std::size_t a = 0; a < problem.axes.size(); ++a)
    if (first.has(static_cast<int>(a)) && problem.axes[a].begin > 0) return false;
  return true;
}

core::Box present_box(const core::LocalProblem& problem, int operand) {
  const core::Box box = problem.box(operand);
  return is_present(problem, operand) ? box : core::Box(box.size(), core::Interval{});
}

void run_step(const core::LocalProblem& problem, int step_index, std::span<const View> operands,
              const RandomKey& random) {
  const core::Step& step = problem.definition->steps[step_index];
  SOAPSTONE_ASSERT(operands.size() == step.reads.size() + step.writes.size(),
                   "step {} has {} operands, got {}", step.name,
                   step.reads.size() + step.writes.size(), operands.size());
  for (std::size_t k = 0; k < operands.size(); ++k) {
    const bool read = k < step.reads.size();
    const int operand = (read ? step.reads[k] : step.writes[k - step.reads.size()]).operand;
    const core::Box wanted = present_box(problem, operand);
    SOAPSTONE_ASSERT(operands[k].box == wanted, "step {}: {} has box {}, this part has {}",
                     step.name, problem.definition->operands[operand].name,
                     core::print(operands[k].box), core::print(wanted));
    if (!read)
      for (std::int64_t i = 0; i < core::elements(wanted); ++i) operands[k].data[i] = 0;
  }
  for (const Entry& entry : kReferences)
    if (entry.name == problem.op.name()) return entry.step({problem, step, operands, random});
  SOAPSTONE_ASSERT(false, "no reference of {}", problem.op.name());
}

bool StepCall::has_operand(std::string_view operand) const {
  for (const auto& o : problem.definition->operands)
    if (o.name == operand) return true;
  return false;
}

bool StepCall::is_present(std::string_view operand) const {
  return has_operand(operand) &&
         reference::is_present(problem, problem.definition->operand(operand));
}

const core::Shape& StepCall::shape(std::string_view operand) const {
  return problem.definition->operands[problem.definition->operand(operand)].desc.shape;
}

const core::Interval& StepCall::axis(std::string_view axis) const {
  return problem.axes[problem.definition->axis(axis)];
}

const View& StepCall::find(std::string_view operand, bool gradient) const {
  const auto is_it = [&](const core::Ref& r) {
    return r.gradient == gradient && problem.definition->operands[r.operand].name == operand;
  };
  for (std::size_t k = 0; k < definition.reads.size(); ++k)
    if (is_it(definition.reads[k])) return operands[k];
  for (std::size_t k = 0; k < definition.writes.size(); ++k)
    if (is_it(definition.writes[k])) return operands[definition.reads.size() + k];
  SOAPSTONE_ASSERT(false, "step {} has no {}{}", definition.name, gradient ? "gradient of " : "",
                   operand);
}

const View& StepCall::written(std::string_view operand) const {
  for (std::size_t k = 0; k < definition.writes.size(); ++k)
    if (!definition.writes[k].gradient &&
        problem.definition->operands[definition.writes[k].operand].name == operand)
      return operands[definition.reads.size() + k];
  SOAPSTONE_ASSERT(false, "step {} does not write {}", definition.name, operand);
}

void StepCall::unknown_step() const {
  SOAPSTONE_ASSERT(false, "the reference of {} has no step {}", problem.op.name(), definition.name);
}

std::int64_t row_major_position(const core::Shape& shape, Index index) {
  std::int64_t position = 0;
  for (std::size_t d = 0; d < shape.size(); ++d) position = position * shape[d] + index[d];
  return position;
}

std::vector<std::int64_t> row_major_index(const core::Shape& shape, std::int64_t position) {
  std::vector<std::int64_t> index(shape.size());
  for (std::size_t d = shape.size(); d-- > 0;) {
    index[d] = position % shape[d];
    position /= shape[d];
  }
  return index;
}

}  // namespace soapstone::reference
