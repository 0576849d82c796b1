#include <algorithm>

#include "core/lowering/impl.hpp"

namespace soapstone::core {

using lowering::Held;
using lowering::Instance;

// The actions of the pipeline in the order in which they would start; what one makes for other
// stages moves when it has ended, before any that starts then.
void Lowering::Impl::run_pipeline() {
  std::vector<const TimedAction*> running;  // ascending by end
  const auto finish_until = [&](std::int64_t time) {
    std::size_t done = 0;
    for (; done < running.size() && running[done]->end <= time; ++done)
      finish_action(running[done]->action);
    running.erase(running.begin(), running.begin() + static_cast<std::ptrdiff_t>(done));
  };
  for (const TimedAction& a : pipeline.actions)
    ++actions_left[static_cast<std::size_t>(a.action.micro_batch)];
  for (const TimedAction& a : pipeline.actions) {
    finish_until(a.start);
    run_action(a.action);
    running.insert(std::upper_bound(
                       running.begin(), running.end(), &a,
                       [](const TimedAction* x, const TimedAction* y) { return x->end < y->end; }),
                   &a);
  }
  finish_until(INT64_MAX);
}

void Lowering::Impl::enter(const PipelineAction& action) {
  const auto micro_batch = static_cast<std::uint16_t>(action.micro_batch);
  programs->set_micro_batch(micro_batch);
  auto& batch = batches[micro_batch];
  if (!batch) batch = std::make_unique<Held>(g->tensors().size(), g->ops().size());
  now = batch.get();
}

void Lowering::Impl::ends(Window window, std::uint32_t op) {
  for (const auto& spot : programs->spots(op)) programs->ends(window, spot.device_class);
}

void Lowering::Impl::run_action(const PipelineAction& action) {
  enter(action);
  const auto& stage = pipeline.ops[static_cast<std::size_t>(action.stage)];
  const auto run = [&](std::uint32_t op, auto&& wanted) {
    const OpNode& node = g->ops()[op];
    for (const int k : ops[op]->steps)
      if (wanted(node.definition.steps[static_cast<std::size_t>(k)].phase)) run_step(op, k);
    release_weights(op);
    if (std::any_of(node.tensors.begin(), node.tensors.end(),
                    [&](TensorId t) { return t.valid() && is_weight(t); }))
      ends(Window::kOperator, op);
  };
  if (action.kind == ActionKind::kForward) {
    load_sources(action.stage);
    for (const std::uint32_t op : stage) {
      run(op, [](Phase p) { return p == Phase::kForward; });
      send_to_host(op);
    }
  } else {
    for (std::size_t i = stage.size(); i-- > 0;)
      run(stage[i], [&](Phase p) {
        return action.kind == ActionKind::kBackward        ? p != Phase::kForward
               : action.kind == ActionKind::kBackwardInput ? p == Phase::kBackwardInput
                                                           : p == Phase::kBackwardWeight;
      });
  }
  for (const std::uint32_t op : stage) ends(Window::kAction, op);
}

void Lowering::Impl::finish_action(const PipelineAction& action) {
  enter(action);
  for (const TensorId t : std::exchange(now->outgoing, {}))
    distribute(t, now->made[t.value], g->tensor(t).producer.op.value, true, true);
  for (const auto& each : std::exchange(now->outgoing_gradients, {}))
    return_gradient(each.tensor, each.instance, each.op);
  if (action.kind == ActionKind::kForward && options.training) {
    leave_on_host(action.stage);
    forget(action.stage);
  }
  auto& batch = batches[programs->micro_batch()];
  if (--actions_left[programs->micro_batch()] == 0) batch.reset();
}

}  // namespace soapstone::core
