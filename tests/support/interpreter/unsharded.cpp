#include "tests/support/interpreter/unsharded.hpp"

#include <cmath>

#include "core/local_problem.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::interpreter {

double Sgd::clip_factor(double squared_norm) const {
  const double norm = std::sqrt(squared_norm);
  return norm > clip_norm ? clip_norm / norm : 1;
}

void Sgd::update(double& weight, double gradient, double* state, Of of) const {
  if (of == Of::kTable && tables_have_adagrad && state != nullptr) {
    *state += gradient * gradient;
    weight -= learning_rate * gradient / (std::sqrt(std::abs(*state)) + 1e-3);
    return;
  }
  if (state != nullptr) *state = momentum * *state + gradient;
  weight -= learning_rate * (state != nullptr ? *state : gradient);
}

namespace {

struct OneDevice {
  const core::Graph& whole;
  const core::Graph graph;  // of a micro-batch
  const TrainingData& data;
  const UnshardedOptions& options;
  std::map<std::uint32_t, Values> weights, states;  // by tensor
  UnshardedStep step;

  OneDevice(const core::Graph& g, const TrainingData& d, const UnshardedOptions& o)
      : whole(g), graph(g.micro_batch(o.micro_batches).value()), data(d), options(o) {
    for (std::uint32_t t = 0; t < whole.tensors().size(); ++t) {
      if (whole.tensors()[t].role != core::TensorRole::kWeight) continue;
      weights[t] = data.weight(whole, core::TensorId(t));
      const std::uint32_t count = of(t) == Sgd::Of::kTable
                                      ? options.table_states.value_or(options.optimizer_states)
                                      : options.optimizer_states;
      if (count > 0 && whole.tensors()[t].needs_gradient)
        states[t] = data.optimizer_state(whole, core::TensorId(t), 0);
    }
  }

  Sgd::Of of(std::uint32_t tensor) const {
    return core::table_of(whole, core::TensorId(tensor)) ? Sgd::Of::kTable : Sgd::Of::kWeight;
  }

  void run_micro_batch(std::int64_t index, int step_number,
                       std::map<std::uint32_t, Values>& weight_gradients) {
    std::map<std::uint32_t, Values> values = weights, gradients;
    std::map<std::pair<std::uint32_t, core::Ref>, Values> internals;
    for (std::uint32_t t = 0; t < graph.tensors().size(); ++t) {
      if (graph.tensors()[t].role != core::TensorRole::kSource) continue;
      core::Box box = core::whole(graph.tensors()[t].desc.shape);
      box[0] = {index * graph.batch(), (index + 1) * graph.batch()};
      values[t] = cut(whole.tensors()[t].desc.shape, data.source(whole, core::TensorId(t)), box);
    }
    const auto run = [&](std::uint32_t op, bool forward) {
      const core::OpNode& node = graph.ops()[op];
      core::LocalProblem problem{node.op, &node.definition, {}};
      for (const auto& axis : node.definition.axes) problem.axes.push_back({0, axis.extent});
      for (std::size_t s = 0; s < node.definition.steps.size(); ++s) {
        const core::Step& definition = node.definition.steps[s];
        if (!core::step_is_used(definition, {}, options.run) ||
            (definition.phase == core::Phase::kForward) != forward)
          continue;
        std::vector<Values> written, read;
        std::vector<reference::View> views;
        read.reserve(definition.reads.size());
        for (const core::Ref& r : definition.reads) {
          const bool internal =
              node.definition.operands[r.operand].role == core::OperandRole::kInternal;
          const std::uint32_t t = node.tensors[r.operand].value;
          if (r.gradient && !internal && !gradients.contains(t))  // of an output that nothing uses
            gradients[t].resize(
                static_cast<std::size_t>(core::elements(graph.tensors()[t].desc.shape)), 0);
          Values& from = internal     ? internals.at({op, r})
                         : r.gradient ? gradients.at(t)
                                      : values.at(t);
          // An operator may touch less than the tensor.
          const core::Box box = problem.box(r.operand);
          read.push_back(cut(node.definition.operands[r.operand].desc.shape, from, box));
          views.push_back({box, read.back().data()});
        }
        for (const core::Ref& w : definition.writes)
          written.emplace_back(static_cast<std::size_t>(core::elements(problem.box(w.operand))));
        for (std::size_t w = 0; w < written.size(); ++w)
          views.push_back({problem.box(definition.writes[w].operand), written[w].data()});
        const std::int64_t rows_before = index * node.definition.operands[0].desc.shape[0];
        reference::run_step(problem, static_cast<int>(s), views,
                            {data.seed, static_cast<std::uint64_t>(step_number), op, rows_before});
        for (std::size_t w = 0; w < written.size(); ++w) {
          const core::Ref& ref = definition.writes[w];
          const core::Operand& operand = node.definition.operands[ref.operand];
          const std::uint32_t t = node.tensors[ref.operand].value;
          if (operand.role == core::OperandRole::kInternal) {
            internals[{op, ref}] = std::move(written[w]);
          } else if (!ref.gradient) {
            if (operand.role == core::OperandRole::kWeight) weights[t] = written[w];  // a state
            values[t] = std::move(written[w]);
          } else if (operand.differentiable) {
            Values& sum =
                operand.role == core::OperandRole::kWeight ? weight_gradients[t] : gradients[t];
            sum.resize(static_cast<std::size_t>(core::elements(operand.desc.shape)), 0);
            std::size_t i = 0;
            reference::for_each_index(problem.box(ref.operand), [&](reference::Index p) {
              sum[static_cast<std::size_t>(reference::row_major_position(operand.desc.shape, p))] +=
                  written[w][i++];
            });
          }
        }
      }
    };
    for (std::uint32_t op = 0; op < graph.ops().size(); ++op) run(op, true);
    step.loss += values.at(graph.loss().value)[0];
    if (graph.correct()) step.correct += values.at(graph.correct()->value)[0];
    if (options.run == core::StepUse::kEvaluation) return;
    // Backward through everything that a gradient has reached.
    for (std::uint32_t op = static_cast<std::uint32_t>(graph.ops().size()); op-- > 0;) {
      bool reached = false;
      for (const core::TensorId t : graph.ops()[op].tensors) {
        const bool made_here = t.valid() && graph.tensor(t).role == core::TensorRole::kActivation &&
                               graph.tensor(t).producer.op.value == op;
        reached |= made_here && (t == graph.loss() || gradients.contains(t.value));
      }
      if (reached) run(op, false);
    }
  }

  UnshardedStep run_step(int step_number) {
    step = {};
    std::map<std::uint32_t, Values> gradients;
    for (std::int64_t m = 0; m < options.micro_batches; ++m)
      run_micro_batch(m, step_number, gradients);
    for (const auto& [t, g] : gradients)
      for (const double v : g) step.squared_norm += v * v;
    const double factor = options.clip ? options.sgd.clip_factor(step.squared_norm) : 1;
    for (const auto& [t, g] : gradients) {
      const auto state = states.find(t);
      for (std::size_t i = 0; i < g.size(); ++i)
        options.sgd.update(weights[t][i], factor * g[i],
                           state == states.end() ? nullptr : &state->second[i], of(t));
      step.gradients[whole.tensors()[t].name] = g;
    }
    for (const auto& [t, w] : weights) step.weights[whole.tensors()[t].name] = w;
    for (const auto& [t, s] : states) step.states[whole.tensors()[t].name] = s;
    return step;
  }
};

}  // namespace

std::vector<UnshardedStep> run_unsharded(const core::Graph& graph, const TrainingData& data,
                                         const UnshardedOptions& options) {
  OneDevice device(graph, data, options);
  std::vector<UnshardedStep> steps;
  for (int k = 0; k < options.steps; ++k) steps.push_back(device.run_step(k));
  return steps;
}

}  // namespace soapstone::interpreter
