#include "core/op_definition.hpp"

#include "core/zigzag.hpp"

namespace soapstone::core {

namespace {

AxisSet set_of(std::span<const int> axes) {
  AxisSet set;
  for (const int a : axes) set.insert(a);
  return set;
}

TensorDesc kept(TensorDesc desc) {
  desc.dtype = master_of(desc.dtype);
  return desc;
}

}  // namespace

Status check_pair(std::span<const TensorDesc> inputs, std::string_view first,
                  std::string_view second) {
  if (inputs.size() != 2)
    return usage_error("takes {} and {}, got {} inputs", first, second, inputs.size());
  if (inputs[0].shape != inputs[1].shape || inputs[0].dtype != inputs[1].dtype)
    return usage_error("{} {} {} and {} {} {}: both must have one shape and dtype", first,
                       name_of(inputs[0].dtype), print(inputs[0].shape), second,
                       name_of(inputs[1].dtype), print(inputs[1].shape));
  return {};
}

Status check_mean_over(std::int64_t mean_over, std::string_view what) {
  if (mean_over < 0)
    return usage_error("mean_over = {}: must be 0 (the number of {}) or more", mean_over, what);
  return {};
}

int OpDefinition::axis(std::string_view name) const {
  for (std::size_t i = 0; i < axes.size(); ++i)
    if (axes[i].name == name) return static_cast<int>(i);
  SOAPSTONE_ASSERT(false, "no axis named {}", name);
}

int OpDefinition::operand(std::string_view name) const {
  for (std::size_t i = 0; i < operands.size(); ++i)
    if (operands[i].name == name) return static_cast<int>(i);
  SOAPSTONE_ASSERT(false, "no operand named {}", name);
}

std::vector<int> OpDefinition::operands_of(OperandRole role) const {
  std::vector<int> found;
  for (std::size_t i = 0; i < operands.size(); ++i)
    if (operands[i].role == role) found.push_back(static_cast<int>(i));
  return found;
}

int Definer::axis(std::string name, std::int64_t extent, AxisRole role, Coupling coupling,
                  std::int64_t granularity) {
  SOAPSTONE_ASSERT(definition_.axes.size() < 32, "an operator has at most 32 axes");
  definition_.axes.push_back({std::move(name), extent, role, granularity, coupling});
  return static_cast<int>(definition_.axes.size()) - 1;
}

std::vector<int> Definer::axes_of(const Shape& shape) {
  static constexpr std::string_view kImage[] = {"n", "c", "h", "w"};
  static constexpr std::string_view kSequence[] = {"n", "s", "c"};
  std::vector<int> axes;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    std::string name = shape.size() == 4   ? std::string(kImage[i])
                       : shape.size() == 3 ? std::string(kSequence[i])
                       : i == 0            ? std::string("n")
                       : shape.size() == 2 ? std::string("c")
                                           : "d" + std::to_string(i);
    axes.push_back(
        axis(std::move(name), shape[i], i == 0 ? AxisRole::kSample : AxisRole::kAttribute));
  }
  return axes;
}

int Definer::add(Operand operand) {
  SOAPSTONE_ASSERT(operand.dims.size() == operand.desc.shape.size(),
                   "operand {}: {} dim maps for shape {}", operand.name, operand.dims.size(),
                   print(operand.desc.shape));
  SOAPSTONE_ASSERT(definition_.operands.empty() || definition_.operands.back().role <= operand.role,
                   "operand {} stands out of order", operand.name);
  definition_.operands.push_back(std::move(operand));
  return static_cast<int>(definition_.operands.size()) - 1;
}

int Definer::input(std::string name, const TensorDesc& desc, std::vector<DimMap> dims,
                   bool differentiable) {
  return add(
      {std::move(name), OperandRole::kInput, desc, std::move(dims), differentiable, {}, {}, 0, 0});
}

int Definer::indices(std::string name, const TensorDesc& desc, std::vector<DimMap> dims,
                     std::int64_t bound, std::int64_t absent) {
  const int index = input(std::move(name), desc, std::move(dims), false);
  Operand& operand = definition_.operands[static_cast<std::size_t>(index)];
  operand.bound = bound;
  operand.absent = absent;
  return index;
}

void Definer::metric(std::string name, MetricKind kind, int value, int over, double scale) {
  definition_.metrics.push_back({std::move(name), kind, static_cast<std::uint16_t>(value),
                                 static_cast<std::uint16_t>(over), scale});
}

void Definer::rounds(Rounds rounds) { definition_.rounds = std::move(rounds); }

void Definer::causal(std::span<const int> axes) { definition_.causal = set_of(axes); }

Status Definer::zigzag(int axis, std::int64_t chunks) {
  Axis& a = definition_.axes[static_cast<std::size_t>(axis)];
  if (const Status status = check_zigzag(a.extent, chunks); !status)
    return usage_error("axis {}: {}", a.name, status.error().message);
  a.zigzag = chunks;
  return {};
}

int Definer::weight(std::string name, const TensorDesc& desc, std::vector<DimMap> dims,
                    Initializer init) {
  return add(
      {std::move(name), OperandRole::kWeight, kept(desc), std::move(dims), true, {}, init, 0, 0});
}

void Definer::first_part_of(int operand, std::span<const int> axes) {
  definition_.operands[operand].first_part_of = set_of(axes);
}

int Definer::state(std::string name, const TensorDesc& desc, std::vector<DimMap> dims,
                   Initializer init) {
  return add(
      {std::move(name), OperandRole::kWeight, kept(desc), std::move(dims), false, {}, init, 0, 0});
}

int Definer::output(std::string name, const TensorDesc& desc, std::vector<DimMap> dims,
                    bool differentiable) {
  return add(
      {std::move(name), OperandRole::kOutput, desc, std::move(dims), differentiable, {}, {}, 0, 0});
}

int Definer::internal(std::string name, const TensorDesc& desc, std::vector<DimMap> dims) {
  return add({std::move(name), OperandRole::kInternal, desc, std::move(dims), true, {}, {}, 0, 0});
}

Definer::StepDefiner Definer::step(std::string name, Phase phase) {
  Step step;
  step.name = std::move(name);
  step.phase = phase;
  definition_.steps.push_back(std::move(step));
  return StepDefiner(definition_.steps.back());
}

Definer::StepDefiner& Definer::StepDefiner::reads(std::initializer_list<AnyRef> refs) {
  for (const auto& r : refs) step_->reads.push_back(r.ref);
  return *this;
}
Definer::StepDefiner& Definer::StepDefiner::writes(std::initializer_list<AnyRef> refs) {
  for (const auto& r : refs) step_->writes.push_back(r.ref);
  return *this;
}
Definer::StepDefiner& Definer::StepDefiner::reduces(std::span<const int> axes) {
  step_->reduces = step_->reduces | set_of(axes);
  return *this;
}
Definer::StepDefiner& Definer::StepDefiner::flops(double coefficient, std::span<const int> axes) {
  step_->flops.push_back({coefficient, set_of(axes)});
  return *this;
}
Definer::StepDefiner& Definer::StepDefiner::only_if_split(std::span<const int> axes) {
  step_->only_if_split = set_of(axes);
  return *this;
}
Definer::StepDefiner& Definer::StepDefiner::only_in(StepUse use) {
  step_->use = use;
  return *this;
}
Definer::StepDefiner& Definer::StepDefiner::rows(RowGradient rows) {
  step_->rows = rows;
  return *this;
}
Definer::StepDefiner& Definer::StepDefiner::only_if_whole(std::span<const int> axes) {
  step_->only_if_whole = set_of(axes);
  return *this;
}

std::vector<DimMap> along(std::span<const int> axes) {
  std::vector<DimMap> dims;
  for (const int a : axes) dims.push_back(DimMap::along(a));
  return dims;
}

}  // namespace soapstone::core
