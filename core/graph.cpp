#include "core/graph.hpp"

#include <algorithm>
#include <unordered_map>

#include "core/derive.hpp"
#include "core/ops/softmax_cross_entropy.hpp"
#include "core/suggest.hpp"
#include "core/zigzag.hpp"

namespace soapstone::core {

Result<Graph> Graph::build(GraphSpec spec) {
  Graph g;
  std::unordered_map<std::string, TensorId> by_name;
  const auto add_tensor = [&](Tensor tensor) -> Result<TensorId> {
    const TensorId id(static_cast<std::uint32_t>(g.tensors_.size()));
    if (!by_name.emplace(tensor.name, id).second)
      return usage_error("two tensors are named `{}`", tensor.name);
    g.tensors_.push_back(std::move(tensor));
    return id;
  };
  const auto find = [&](const std::string& who, const std::string& name) -> Result<TensorId> {
    if (const auto it = by_name.find(name); it != by_name.end()) return it->second;
    std::vector<std::string_view> names;
    for (const auto& t : g.tensors_) names.push_back(t.name);
    return usage_error("{}: no tensor `{}` before it; {}", who, name, accepted_names(name, names));
  };

  for (const auto& source : spec.sources) {
    if (source.desc.shape.empty())
      return usage_error("source {}: a shape [n, …] is wanted", source.name);
    if (g.batch_ == 0) g.batch_ = source.desc.shape[0];
    if (source.desc.shape[0] != g.batch_ || g.batch_ < 1)
      return usage_error("source {}: {} samples where other sources have {}", source.name,
                         source.desc.shape[0], g.batch_);
    if (source.desc.dtype == DType::kI32 && source.classes < 1)
      return usage_error("source {}: classes = {}: i32 values need a bound of at least 1",
                         source.name, source.classes);
    if (!source.zigzag.empty() && source.zigzag.size() != source.desc.shape.size())
      return usage_error("source {}: zigzag = {}: {} dimensions want a number each", source.name,
                         print(source.zigzag), source.desc.shape.size());
    for (std::size_t d = 0; d < source.zigzag.size(); ++d)
      if (const Status status = check_zigzag(source.desc.shape[d], source.zigzag[d]); !status)
        return usage_error("source {}: dimension {}: {}", source.name, d, status.error().message);
    Tensor t{source.name, TensorRole::kSource, source.desc, {}, {}, false, {}};
    SOAPSTONE_TRY(add_tensor(std::move(t)));
  }

  std::unordered_map<std::string, bool> op_names_seen;
  for (const auto& node : spec.ops) {
    if (node.name.empty()) return usage_error("an operator {} has no name", node.op.name());
    if (!op_names_seen.emplace(node.name, true).second)
      return usage_error("two operators are named `{}`", node.name);
    const OpId id(static_cast<std::uint32_t>(g.ops_.size()));
    std::vector<TensorId> inputs;
    std::vector<TensorDesc> descs;
    for (const auto& name : node.inputs) {
      SOAPSTONE_ASSIGN(const TensorId t, find(node.name, name));
      inputs.push_back(t);
      descs.push_back(g.tensor(t).desc);
    }
    auto defined = node.op.define(descs);
    if (!defined)
      return usage_error("{} ({}): {}", node.name, node.op.name(), defined.error().message);
    OpNode out{node.name, node.op, std::move(*defined), {}, false};

    bool any_gradient = false;
    for (std::size_t k = 0; k < out.definition.operands.size(); ++k) {
      const Operand& operand = out.definition.operands[k];
      const OperandRef ref{id, static_cast<std::uint16_t>(k)};
      if (operand.role == OperandRole::kInput) {
        const TensorId t = inputs[k];
        if (t.value < spec.sources.size() && operand.bound > 0 &&
            spec.sources[t.value].classes > operand.bound)
          return usage_error("{} ({}): {} in [0, {}) are accepted, source {} has values in [0, {})",
                             node.name, node.op.name(), operand.name, operand.bound,
                             spec.sources[t.value].name, spec.sources[t.value].classes);
        out.tensors.push_back(t);
        g.tensors_[t.value].uses.push_back(ref);
        any_gradient |= operand.differentiable && g.tensor(t).needs_gradient;
      } else if (operand.role == OperandRole::kWeight) {
        any_gradient |= operand.differentiable;
        TensorId t;
        if (const auto tie = node.tied.find(operand.name); tie != node.tied.end()) {
          SOAPSTONE_ASSIGN(t, find(node.name, tie->second));
          if (g.tensor(t).role != TensorRole::kWeight || g.tensor(t).desc != operand.desc)
            return usage_error("{}: weight {} {} cannot be tied to {} {}", node.name, operand.name,
                               print(operand.desc), tie->second, print(g.tensor(t).desc));
        } else {
          SOAPSTONE_ASSIGN(t, add_tensor({node.name + "." + operand.name,
                                          TensorRole::kWeight,
                                          operand.desc,
                                          ref,
                                          {},
                                          operand.differentiable,
                                          operand.init}));
        }
        g.tensors_[t.value].uses.push_back(ref);
        out.tensors.push_back(t);
      } else if (operand.role == OperandRole::kOutput) {
        SOAPSTONE_ASSIGN(const TensorId t, add_tensor({node.name + "." + operand.name,
                                                       TensorRole::kActivation,
                                                       operand.desc,
                                                       ref,
                                                       {},
                                                       any_gradient && operand.differentiable,
                                                       {}}));
        out.tensors.push_back(t);
      } else {
        out.tensors.push_back(TensorId());
      }
    }
    for (const auto& [own, other] : node.tied) {
      std::vector<std::string_view> weights;
      for (const int w : out.definition.operands_of(OperandRole::kWeight))
        weights.push_back(out.definition.operands[w].name);
      if (std::find(weights.begin(), weights.end(), own) == weights.end())
        return usage_error("{}: no weight `{}` to tie; {}", node.name, own,
                           accepted_names(own, weights));
    }
    g.ops_.push_back(std::move(out));
  }
  SOAPSTONE_ASSIGN(g.loss_, find("loss", spec.loss));
  if (elements(g.tensor(g.loss_).desc.shape) != 1)
    return usage_error("loss `{}` is {}: a single element is wanted", spec.loss,
                       print(g.tensor(g.loss_).desc.shape));
  if (!spec.correct.empty()) {
    SOAPSTONE_ASSIGN(g.correct_, find("correct", spec.correct));
    if (g.tensor(*g.correct_).role != TensorRole::kActivation)
      return usage_error("correct `{}`: a count that an operator makes is wanted", spec.correct);
  }
  if (g.tensor(g.loss_).role != TensorRole::kActivation)
    return usage_error("loss `{}`: what an operator makes is wanted", spec.loss);
  const OpNode& judged = g.op(g.tensor(g.correct_.value_or(g.loss_)).producer.op);
  for (const Metric& m : judged.definition.metrics) {
    GraphMetric metric{m.name,  m.kind, judged.tensors[m.value], judged.tensors[m.over],
                       m.scale, true};
    for (const std::uint16_t operand : {m.value, m.over}) {
      bool is_written = false;
      for (const Step& step : judged.definition.steps)
        for (const Ref& w : step.writes)
          is_written |= w == Ref{operand, false} && step.use != StepUse::kEvaluation;
      metric.in_training &= is_written;
    }
    g.metrics_.push_back(std::move(metric));
  }
  if (g.correct_ && g.metrics_.empty())
    return usage_error("correct `{}`: {} ({}) counts no right answers", spec.correct, judged.name,
                       judged.op.name());
  std::vector<bool> reaches_loss(g.tensors_.size(), false);
  reaches_loss[g.loss_.value] = true;
  for (std::size_t i = g.ops_.size(); i-- > 0;) {
    OpNode& node = g.ops_[i];
    const auto& operands = node.definition.operands;
    for (std::size_t k = 0; k < operands.size(); ++k)
      if (operands[k].role == OperandRole::kOutput && operands[k].differentiable)
        node.differentiated |= reaches_loss[node.tensors[k].value];
    if (!node.differentiated) continue;
    for (std::size_t k = 0; k < operands.size(); ++k)
      if ((operands[k].role == OperandRole::kInput || operands[k].role == OperandRole::kWeight) &&
          operands[k].differentiable)
        reaches_loss[node.tensors[k].value] = true;
  }
  for (std::size_t t = 0; t < g.tensors_.size(); ++t)
    g.tensors_[t].needs_gradient &= reaches_loss[t];
  g.hash_ = hash_of(spec);
  g.spec_ = std::move(spec);
  return g;
}

bool Graph::is_reported(TensorId tensor) const {
  return tensor == loss_ || tensor == correct_ ||
         std::any_of(metrics_.begin(), metrics_.end(),
                     [&](const GraphMetric& m) { return m.value == tensor || m.over == tensor; });
}

std::optional<OpId> Graph::find_op(std::string_view name) const {
  for (std::uint32_t i = 0; i < ops_.size(); ++i)
    if (ops_[i].name == name) return OpId(i);
  return std::nullopt;
}

std::optional<TensorId> Graph::find_tensor(std::string_view name) const {
  for (std::uint32_t i = 0; i < tensors_.size(); ++i)
    if (tensors_[i].name == name) return TensorId(i);
  return std::nullopt;
}

std::int64_t Graph::parameter_count() const {
  std::int64_t count = 0;
  for (const auto& t : tensors_)
    if (t.role == TensorRole::kWeight &&
        op(t.producer.op).definition.operands[t.producer.operand].differentiable)
      count += elements(t.desc.shape);
  return count;
}

Flops Graph::flops() const {
  Flops total;
  for (const auto& node : ops_) {
    const auto whole_axes = axis_intervals(node.definition, {}, 0);
    for (const auto& step : node.definition.steps)
      if (step_is_used(step, {}) && step_is_needed(*this, node, step))
        total += step_flops(step, whole_axes);
  }
  return total;
}

Result<Graph> Graph::micro_batch(std::int64_t count) const {
  if (count == 1) return *this;
  if (count < 1 || batch_ % count != 0)
    return usage_error("micro_batches = {}: the batch of {} must be a multiple of it", count,
                       batch_);
  GraphSpec spec = spec_;
  for (auto& source : spec.sources) source.desc.shape[0] /= count;
  for (std::size_t i = 0; i < spec.ops.size(); ++i) {
    std::vector<TensorDesc> inputs;
    for (std::size_t k = 0; k < spec.ops[i].inputs.size(); ++k)
      inputs.push_back(tensor(ops_[i].tensors[k]).desc);
    spec.ops[i].op = spec.ops[i].op.for_micro_batches(count, inputs);
  }
  SOAPSTONE_ASSIGN(Graph part, build(std::move(spec)));
  for (std::size_t t = 0; t < tensors_.size(); ++t) {
    const Tensor &here = tensors_[t], &there = part.tensors_[t];
    if (here.role == TensorRole::kWeight && here.desc != there.desc)
      return usage_error(
          "micro_batches = {}: {} would be {} instead of {}: an operator before it fixes the "
          "number of samples",
          count, here.name, print(there.desc.shape), print(here.desc.shape));
  }
  return part;
}

GraphBuilder::GraphBuilder(std::string name) { spec_.name = std::move(name); }

TensorId GraphBuilder::source(std::string name, TensorDesc desc, std::int64_t classes) {
  known_.push_back({name, desc});
  spec_.sources.push_back({std::move(name), std::move(desc), classes});
  return TensorId(static_cast<std::uint32_t>(known_.size()) - 1);
}

TensorId GraphBuilder::add(std::string name, Op op, std::vector<TensorId> inputs,
                           std::map<std::string, TensorId> tied) {
  if (error_) return TensorId();
  std::vector<TensorDesc> descs;
  OpNodeSpec node{name, op, {}, {}};
  for (const TensorId t : inputs) {
    node.inputs.push_back(known_[t.value].name);
    descs.push_back(known_[t.value].desc);
  }
  for (const auto& [own, t] : tied) node.tied[own] = known_[t.value].name;
  const auto definition = op.define(descs);
  if (!definition) {
    error_ = Error{fmt::format("{} ({}): {}", name, op.name(), definition.error().message),
                   ErrorKind::kUsage};
    return TensorId();
  }
  TensorId first;
  for (const auto& operand : definition->operands) {
    if (operand.role == OperandRole::kInput || operand.role == OperandRole::kInternal) continue;
    if (operand.role == OperandRole::kWeight && tied.contains(operand.name)) continue;
    known_.push_back({name + "." + operand.name, operand.desc});
    if (operand.role == OperandRole::kOutput && !first.valid())
      first = TensorId(static_cast<std::uint32_t>(known_.size()) - 1);
  }
  spec_.ops.push_back(std::move(node));
  return first;
}

TensorId GraphBuilder::tensor(std::string_view name) const {
  for (std::uint32_t i = 0; i < known_.size(); ++i)
    if (known_[i].name == name) return TensorId(i);
  SOAPSTONE_ASSERT(error_, "no tensor named {}", name);
  return TensorId();
}

const TensorDesc& GraphBuilder::desc(TensorId id) const {
  static const TensorDesc kUnknown{};
  return id.valid() ? known_[id.value].desc : kUnknown;
}

Result<Graph> GraphBuilder::build_with_loss(TensorId logits, TensorId labels) {
  const TensorId loss = add("loss", SoftmaxCrossEntropy{}, {logits, labels});
  if (error_) return tl::unexpected(*error_);
  return build(loss, tensor("loss.correct"));
}

Result<Graph> GraphBuilder::build(TensorId loss, std::optional<TensorId> correct) {
  if (error_) return tl::unexpected(*error_);
  spec_.loss = known_[loss.value].name;
  if (correct) spec_.correct = known_[correct->value].name;
  return Graph::build(std::move(spec_));
}

}  // namespace soapstone::core
