#include "tests/support/conformance/op_case.hpp"

#include <algorithm>
#include <limits>
#include <ostream>
#include <set>

#include "core/assert.hpp"
#include "kernels/bf16.hpp"
#include "tests/support/conformance/sharded_run.hpp"

namespace soapstone::conformance {

namespace {

// A hash of the arguments as a number in [0, 1).
double uniform(std::string_view name, core::Ref ref, std::size_t element) {
  core::Hasher h;
  h.bytes(name);
  core::append_hash(h, ref);
  h.word(element);
  return static_cast<double>(h.finish() >> 11) * 0x1p-53;
}

double value_of(const OpCase& c, const core::Operand& operand, core::Ref ref, std::size_t element) {
  const double u = uniform(c.name, ref, element);
  if (operand.desc.dtype == core::DType::kI32)
    return c.third != 0 && element % 3 == 2 ? static_cast<double>(c.third)
                                            : std::floor(u * static_cast<double>(c.classes));
  const double offset = operand.role == core::OperandRole::kInput && !ref.gradient ? c.offset : 0;
  if (c.values == Values::kTied) return offset + std::floor(u * 4) / 2 - 0.75;
  const double v = 2 * u - 1;
  return offset + (v < 0 ? -0.1 : 0.1) + 0.9 * v;
}

}  // namespace

void PrintTo(const OpCase& c, std::ostream* out) { *out << core::print(c.op); }

core::TensorDesc floats(core::Shape shape) { return {shape, core::DType::kF32, {}}; }
core::TensorDesc integers(core::Shape shape) { return {shape, core::DType::kI32, {}}; }
core::TensorDesc image(core::Shape shape) {
  return {shape, core::DType::kF32, core::channels_last(4)};
}

std::string OpProblem::name_of(core::Ref ref) const {
  return (ref.gradient ? "gradient of " : "") + operand(ref).name;
}

bool is_private(const core::Operand& operand) {
  return operand.role == core::OperandRole::kInternal && operand.desc.dtype == core::DType::kI32;
}

std::vector<core::Ref> given_refs(const core::OpDefinition& definition) {
  std::vector<core::Ref> refs;
  for (std::size_t k = 0; k < definition.operands.size(); ++k)
    if (definition.operands[k].role <= core::OperandRole::kWeight)
      refs.push_back({static_cast<std::uint16_t>(k), false});
  std::set<core::Ref> read, written;
  for (const auto& step : definition.steps) {
    read.insert(step.reads.begin(), step.reads.end());
    written.insert(step.writes.begin(), step.writes.end());
  }
  for (const core::Ref& r : read)
    if (r.gradient && !written.contains(r)) refs.push_back(r);
  return refs;
}

OpProblem make_problem(const OpCase& c, core::DType dtype) {
  OpProblem problem;
  const core::Op& in_dtype = dtype == core::DType::kF64    ? c.op_in_f64
                             : dtype == core::DType::kBF16 ? c.op_in_bf16
                                                           : c.op;
  problem.op = in_dtype.valid() ? in_dtype : c.op;
  problem.dtype = dtype;
  problem.values = c.values;
  auto inputs = c.inputs;
  for (auto& desc : inputs)
    if (desc.dtype == core::DType::kF32) desc.dtype = dtype;
  auto definition = problem.op.define(inputs);
  SOAPSTONE_ASSERT(definition.has_value(), "case {}: {}", c.name, definition.error().message);
  problem.definition = std::move(*definition);
  problem.random = {.seed = 0x1234567890abcdef, .step = 3, .op = 5, .sample_offset = 7};
  for (const core::Ref& ref : given_refs(problem.definition)) {
    const core::Operand& operand = problem.operand(ref);
    auto& values = problem.given[ref];
    values.resize(static_cast<std::size_t>(core::elements(operand.desc.shape)));
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = rounded_to(operand.desc.dtype, value_of(c, operand, ref, i));
  }
  return problem;
}

double rounded_to(core::DType dtype, double value) {
  if (dtype == core::DType::kBF16) return static_cast<float>(kernels::Bf16(value));
  return dtype == core::DType::kF32 ? static_cast<double>(static_cast<float>(value)) : value;
}

double epsilon_of(core::DType dtype) {
  switch (dtype) {
    case core::DType::kF32:
      return std::numeric_limits<float>::epsilon();
    case core::DType::kF64:
      return std::numeric_limits<double>::epsilon();
    case core::DType::kBF16:
      return 0x1p-7;
    case core::DType::kI32:
      return 0;
  }
  return 0;
}

namespace {

std::map<std::string, std::vector<double>> run_on(
    const core::Op& op, std::vector<core::TensorDesc> inputs,
    const std::map<std::string, std::vector<double>>& given, const reference::RandomKey& random,
    core::StepUse run) {
  for (auto& desc : inputs)
    if (desc.dtype == core::DType::kF32) desc.dtype = core::DType::kF64;
  auto definition = op.define(inputs);
  SOAPSTONE_ASSERT(definition.has_value(), "{}", definition.error().message);
  OpProblem problem{op, std::move(*definition), core::DType::kF64, Values::kDistinct, {}, random};
  const auto short_name = [&](core::Ref ref) {
    return (ref.gradient ? "grad " : "") + problem.operand(ref).name;
  };
  for (const core::Ref& ref : given_refs(problem.definition)) {
    if (run == core::StepUse::kEvaluation && ref.gradient) continue;
    const auto values = given.find(short_name(ref));
    SOAPSTONE_ASSERT(values != given.end(), "{} is not given", short_name(ref));
    SOAPSTONE_ASSERT(static_cast<std::int64_t>(values->second.size()) ==
                         core::elements(problem.operand(ref).desc.shape),
                     "{} has shape {}, {} values are given", short_name(ref),
                     core::print(problem.operand(ref).desc.shape), values->second.size());
    problem.given[ref] = values->second;
  }
  std::map<std::string, std::vector<double>> results;
  for (auto& [ref, values] :
       run_op(problem, unsharded(problem.definition), run_reference, {.run = run}))
    results[short_name(ref)] = std::move(values);
  return results;
}

}  // namespace

std::map<std::string, std::vector<double>> evaluate(
    const core::Op& op, std::vector<core::TensorDesc> inputs,
    const std::map<std::string, std::vector<double>>& given, const reference::RandomKey& random) {
  return run_on(op, std::move(inputs), given, random, core::StepUse::kTraining);
}

std::map<std::string, std::vector<double>> evaluate_without_training(
    const core::Op& op, std::vector<core::TensorDesc> inputs,
    const std::map<std::string, std::vector<double>>& given) {
  return run_on(op, std::move(inputs), given, {}, core::StepUse::kEvaluation);
}

}  // namespace soapstone::conformance
