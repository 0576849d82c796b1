#include "runtime/executor.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <map>
#include <thread>

#include "core/assert.hpp"
#include "core/member_boxes.hpp"
#include "core/sequence_order.hpp"
#include "core/strategy.hpp"
#include "kernels/box_copy.hpp"
#include "kernels/catalog.hpp"
#include "kernels/init.hpp"
#include "kernels/row_update.hpp"
#include "runtime/any_of.hpp"
#include "runtime/clock.hpp"

namespace soapstone::runtime {

using core::BufferKind;
using core::kNoIndex;
using core::TaskKind;
using kernels::Block;

namespace {

// A task with everything looked up.
struct ReadyTask {
  TaskKind kind = TaskKind::kCompute;
  std::uint32_t first_block = 0, block_count = 0;  // the task's uses, as blocks
  const kernels::PreparedKernel* kernel = nullptr;
  int step = 0;
  kernels::RandomKey random;
  const PreparedTransfer* transfer = nullptr;
  std::uint32_t run = 0;  // of runs
  std::int64_t first_tag = 0;
  bool dropped = false;
  std::uint32_t load = 0;
  std::uint32_t op = kNoIndex, micro_batch = 0;
  std::uint32_t tensor = kNoIndex;
  std::uint32_t states = 0;
  bool updates_table = false;
  // Rows of a table: the part of it, and its gradient.
  core::Box table;
  core::DType dtype = core::DType::kF32;
  core::RowGradient rows = core::RowGradient::kNone;
  std::uint32_t first_pair = 0, pair_count = 0;  // of row_blocks
};

double element(const Block& block, std::size_t index = 0) {
  return block.dtype == core::DType::kF64
             ? static_cast<const double*>(block.data)[index]
             : static_cast<double>(static_cast<const float*>(block.data)[index]);
}

// SourceSpec::zigzag.
std::vector<std::int64_t> order_of(const core::Graph& graph, std::uint32_t tensor) {
  for (const core::SourceSpec& source : graph.spec().sources)
    if (source.name == graph.tensors()[tensor].name) return source.zigzag;
  return {};
}

// The first tag of the transfer at every place of the total order.
std::map<std::uint32_t, std::int64_t> first_tags(const core::Plan& plan) {
  std::map<std::uint32_t, std::int64_t> count;
  for (const core::DeviceClass& c : plan.classes)
    for (const core::Task& task : c.tasks) {
      if (task.kind != TaskKind::kTransfer) continue;
      for (std::size_t m = 0; m < c.members.size(); ++m) {
        const core::Transfer& t = plan.transfers[plan.entry(task, m)];
        const std::int64_t tags =
            t.pattern == core::Pattern::kBoxes
                ? 1
                : core::rounds_of(t.pattern, t.algorithm,
                                  static_cast<std::uint32_t>(t.members.size()));
        auto& most = count[task.order];
        most = std::max({most, tags, std::int64_t{1}});
      }
    }
  std::int64_t next = 0;
  for (auto& [order, tags] : count) next += std::exchange(tags, next);
  count[kNoIndex] = next;  // all
  return count;
}

}  // namespace

struct Executor::Impl {
  core::Graph graph;  // of a micro-batch
  core::Plan plan;
  core::DeviceId device;
  Endpoint& endpoint;
  ExecutorOptions options;
  const core::DeviceClass* program = nullptr;

  Arena arena{core::Bytes(0)}, host_arena{core::Bytes(0)};
  Arena extra_workspace{core::Bytes(0)};
  void* workspace = nullptr;
  std::vector<Block> buffers;
  std::vector<Block> blocks;  // of all tasks' uses, one after the other
  std::vector<kernels::RowBlocks> row_blocks;
  std::vector<ReadyTask> tasks;
  std::map<std::uint32_t, std::unique_ptr<kernels::PreparedKernel>> kernels_of_shards;
  std::map<std::uint32_t, std::unique_ptr<PreparedTransfer>> transfers;
  std::vector<TransferRun> runs;  // one per transfer task
  std::vector<Load> loads;
  std::vector<WeightPart> weights;
  std::map<core::TensorId, std::vector<Block>> reported;  // what counts of them here
  // Training: every rank learns whether the loss is a number before it updates its weights. This
  // one knows its share when `loss_known` tasks have computed; tasks from `first_update` on, which
  // update and what comes after that, wait for the answer.
  std::optional<AnyOf> any_stops;
  std::size_t loss_known = 0, first_update = 0;
  std::size_t to_compute = 0;  // tasks
  bool has_said = false, has_stopped = false;
  Purpose purpose = Purpose::kStep;
  NonFiniteTrail trail;
  Block norm;
  UpdateObserver observer;
  core::OpId observed;
  ReadObserver read_observer;

  StepSettings settings;
  std::vector<TaskTime> times;

  // What waits for what: the tasks that depend on task i are dependents[first_dependent[i]] to
  // dependents[first_dependent[i + 1] - 1].
  std::vector<std::uint32_t> first_dependent, dependents;
  std::vector<std::uint32_t> computing;  // tasks, in their order
  // Of a step.
  enum class Updates : std::uint8_t { kNotKnown, kMayRun, kLeftOut };
  Updates updates = Updates::kMayRun;
  std::vector<std::uint32_t> unmet;     // per task: dependencies that are not done
  std::size_t computed = 0;             // of `computing`
  std::size_t left = 0;                 // tasks that are not done; those left out do not count
  std::vector<std::uint32_t> can_move;  // tasks to start
  std::vector<std::uint32_t> held_up;   // likewise, but not before updates may run
  std::vector<std::uint32_t> moving;    // under way, oldest first
  std::int64_t paced_until = 0;         // pace: when the processor is free

  Impl(const core::Graph& whole, const core::Plan& from, core::DeviceId on, Endpoint& with,
       ExecutorOptions how)
      : graph(core::planned_graph(whole, from.micro_batches, from.zigzag).value()),
        plan(from),
        device(on),
        endpoint(with),
        options(std::move(how)) {
    SOAPSTONE_ASSERT(plan.graph_hash == whole.hash(), "a plan of {} for {}", plan.graph,
                     whole.name());
    if (plan.training)
      any_stops.emplace(endpoint,
                        options.ranks > 0 ? options.ranks : static_cast<int>(plan.device_count),
                        endpoint.largest_tag());
    const core::PlanPlace place = core::place_of(plan, device);
    if (place.class_index == kNoIndex) return;
    program = &plan.classes[place.class_index];
    SOAPSTONE_ASSERT(program->arena.value >= 0, "the plan's buffers are not placed");
    arena = Arena(program->arena);
    host_arena = Arena(program->host_arena);
    // What is sent without having been computed takes memory too.
    if (is_paced()) std::memset(arena.data(), 0, static_cast<std::size_t>(program->arena.value));
    prepare_buffers(place.member);
    prepare_weights();
    prepare_tasks(place.member);
    prepare_order();
    SOAPSTONE_ASSERT(options.pace.empty() || options.pace.size() == tasks.size(),
                     "{} times for {} tasks", options.pace.size(), tasks.size());
  }

  void prepare_buffers(std::uint32_t member) {
    const auto boxes = core::member_boxes(graph, plan, *program, member);
    for (std::size_t b = 0; b < program->buffers.size(); ++b) {
      const core::Buffer& buffer = program->buffers[b];
      Block block;
      block.dtype = buffer.dtype;
      block.box = boxes[b];
      if (buffer.tensor != kNoIndex) block.order = graph.tensors()[buffer.tensor].desc.order;
      const Arena& memory = buffer.memory == core::Memory::kHost ? host_arena : arena;
      block.data = buffer.size.value > 0 ? memory.data() + buffer.offset.value : nullptr;
      if (buffer.kind == BufferKind::kWorkspace) workspace = block.data;
      buffers.push_back(block);
    }
  }

  void prepare_weights() {
    for (std::uint32_t b = 0; b < buffers.size(); ++b) {
      if (program->buffers[b].kind != BufferKind::kWeight) continue;
      const std::uint32_t tensor = program->buffers[b].tensor;
      if (options.weights_of != nullptr) {
        const auto theirs = options.weights_of->weights();
        const auto found = std::find_if(theirs.begin(), theirs.end(), [&](const WeightPart& w) {
          return w.tensor == tensor && w.value.box == buffers[b].box &&
                 w.value.dtype == buffers[b].dtype;
        });
        SOAPSTONE_ASSERT(found != theirs.end(), "device {} has no {} of {}", device.value,
                         core::print(buffers[b].box), graph.tensors()[tensor].name);
        buffers[b].data = found->value.data;
      } else {
        const core::Tensor& t = graph.tensors()[tensor];
        kernels::initialize(buffers[b], t.desc.shape, t.init, options.seed, tensor);
      }
      weights.push_back({tensor, buffers[b], {}, owns(tensor, buffers[b].box)});
    }
    for (std::uint32_t b = 0; b < buffers.size(); ++b) {
      if (program->buffers[b].kind != BufferKind::kOptimizerState) continue;
      const auto part = std::find_if(weights.begin(), weights.end(), [&](const WeightPart& w) {
        return w.tensor == program->buffers[b].tensor;
      });
      buffers[b].order = part->value.order;
      kernels::fill_zero(buffers[b]);
      part->states.push_back(buffers[b]);
    }
  }

  bool is_table(std::uint32_t tensor) const {
    return core::table_of(graph, core::TensorId(tensor)).has_value();
  }
  std::uint32_t states_of(std::uint32_t tensor) const {
    return is_table(tensor) ? plan.table_states : plan.optimizer_states;
  }

  // Whether this is the lowest device with this part of the weight.
  bool owns(std::uint32_t tensor, const core::Box& box) const {
    for (const core::DeviceClass& c : plan.classes)
      for (std::uint32_t m = 0; m < c.members.size(); ++m) {
        if (c.members[m].value >= device.value) continue;
        const auto boxes =
            m == 0 ? std::vector<core::Box>{} : core::member_boxes(graph, plan, c, m);
        for (std::size_t b = 0; b < c.buffers.size(); ++b)
          if (c.buffers[b].kind == BufferKind::kWeight && c.buffers[b].tensor == tensor &&
              (m == 0 ? c.buffers[b].box : boxes[b]) == box)
            return false;
      }
    return true;
  }

  void prepare_tasks(std::uint32_t member) {
    const auto tags = first_tags(plan);
    // The one at the end is AnyOf's.
    if (tags.at(kNoIndex) > endpoint.largest_tag())
      throw CommunicationError(
          fmt::format("a step of this plan sends messages with {} tags; this backend has {}",
                      tags.at(kNoIndex) + 1, endpoint.largest_tag() + std::int64_t{1}));
    core::Bytes most_workspace(0), planned_workspace(0);
    for (const core::Buffer& b : program->buffers)
      if (b.kind == BufferKind::kWorkspace) planned_workspace = b.size;
    for (const core::Task& task : program->tasks) {
      ReadyTask ready;
      ready.kind = task.kind;
      ready.tensor = task.tensor;
      ready.op = task.op;
      ready.micro_batch = task.micro_batch;
      ready.first_block = static_cast<std::uint32_t>(blocks.size());
      ready.block_count = task.use_count;
      for (const core::BufferUse& use : program->uses_of(task))
        blocks.push_back(use.buffer == kNoIndex ? Block{} : buffers[use.buffer]);
      const std::span<Block> own(blocks.data() + ready.first_block, ready.block_count);
      switch (task.kind) {
        case TaskKind::kLoad:
          ready.load = static_cast<std::uint32_t>(loads.size());
          loads.push_back({task.tensor, task.micro_batch, own[0].box,
                           core::size_of(own[0].dtype) * core::elements(own[0].box),
                           order_of(graph, task.tensor)});
          break;
        case TaskKind::kCompute: {
          prepare_compute(task, member, own, ready);
          const core::Shape& first = graph.ops()[task.op].definition.operands[0].desc.shape;
          ready.random = {options.seed, 0, task.op, first.empty() ? 0 : task.micro_batch * first[0],
                          !plan.training};
          most_workspace = std::max(most_workspace, ready.kernel->workspace());
          break;
        }
        case TaskKind::kTransfer: {
          const std::uint32_t index = plan.entry(task, member);
          auto& prepared = transfers[index];
          const core::Transfer& t = plan.transfers[index];
          if (!prepared) {
            std::uint32_t k = 0;
            while (t.members[k].device != device) ++k;
            prepared = std::make_unique<PreparedTransfer>(t, k);
          }
          ready.transfer = prepared.get();
          ready.first_tag = tags.at(task.order);
          ready.dropped =
              std::find(options.dropped_transfers.begin(), options.dropped_transfers.end(),
                        task.order) != options.dropped_transfers.end();
          ready.run = static_cast<std::uint32_t>(runs.size());
          runs.emplace_back(prepared->most_requests());
          // Buffers of an operator's own values have no tensor that says how they lie.
          for (int k = 0; k < 2; ++k) own[static_cast<std::size_t>(k)].order = t.order;
          break;
        }
        case TaskKind::kUpdate:
          ready.states = states_of(task.tensor);
          ready.updates_table = is_table(task.tensor);
          if (own.size() > 2 + ready.states) norm = own.back();
          break;
        case TaskKind::kNormRows:
        case TaskKind::kUpdateRows:
          prepare_rows(task, member, own, ready);
          most_workspace = std::max(most_workspace, kernels::row_workspace(gradients_of(ready)));
          break;
        case TaskKind::kNorm:
          norm = own.back();
          break;
        case TaskKind::kAccumulate:
        case TaskKind::kHostCopy:
          break;
      }
      if (!core::runs_beside(task.kind)) ++to_compute;
      tasks.push_back(ready);
    }
    if (most_workspace > planned_workspace) {
      // Lowered for another number of threads than this process has.
      extra_workspace = Arena(most_workspace);
      workspace = extra_workspace.data();
    }
  }

  void prepare_order() {
    const std::size_t count = tasks.size();
    first_dependent.assign(count + 1, 0);
    for (const std::uint32_t d : program->dependencies) ++first_dependent[d + 1];
    for (std::size_t i = 0; i < count; ++i) first_dependent[i + 1] += first_dependent[i];
    dependents.resize(program->dependencies.size());
    std::vector<std::uint32_t> fill(first_dependent.begin(), first_dependent.end());
    first_update = count;
    for (std::uint32_t i = 0; i < count; ++i) {
      const core::Task& task = program->tasks[i];
      for (const std::uint32_t d : program->dependencies_of(task)) dependents[fill[d]++] = i;
      if (!core::runs_beside(task.kind)) computing.push_back(i);
      if (task.phase == core::Phase::kUpdate) first_update = std::min<std::size_t>(first_update, i);
    }
    const std::size_t moves = count - computing.size();
    for (auto* list : {&can_move, &held_up, &moving}) list->reserve(moves);
    unmet.resize(count);
    times.resize(count);
  }

  void prepare_rows(const core::Task& task, std::uint32_t member, std::span<const Block> own,
                    ReadyTask& ready) {
    const core::OpDefinition& definition = graph.ops()[task.op].definition;
    const core::Step& step = definition.steps[task.step];
    const core::Operand& table = definition.operands[step.writes[0].operand];
    ready.table = core::operand_box(table, plan.shards[plan.entry(task, member)].axes);
    ready.dtype = table.desc.dtype;
    ready.rows = step.rows;
    ready.updates_table = true;
    const core::RowUses uses = core::row_uses(plan, *program, task);
    ready.states = static_cast<std::uint32_t>(uses.states.size());
    ready.first_pair = static_cast<std::uint32_t>(row_blocks.size());
    ready.pair_count = static_cast<std::uint32_t>(uses.pairs.size() / 2);
    for (std::size_t k = 0; k < uses.pairs.size(); k += 2)
      row_blocks.push_back({buffers[uses.pairs[k].buffer], buffers[uses.pairs[k + 1].buffer]});
    if (task.kind == TaskKind::kUpdateRows && uses.scalar != kNoIndex) norm = own.back();
    if (task.kind == TaskKind::kUpdateRows)
      SOAPSTONE_ASSERT(own[0].box == ready.table, "{} lies as {}, not as {}", table.name,
                       core::print(own[0].box), core::print(ready.table));
  }

  kernels::RowGradients gradients_of(const ReadyTask& t) const {
    return {std::span(row_blocks).subspan(t.first_pair, t.pair_count), t.rows};
  }

  // The gradient of a table in full, for whoever looks at it.
  void show_rows(const ReadyTask& t, const Block& weight) const {
    const Arena full(core::size_of(weight.dtype) * weight.size());
    Block gradient = weight;
    gradient.data = full.data();
    kernels::expand_rows(gradient, gradients_of(t), workspace);
    observer(t.tensor, weight, gradient);
  }

  // Of the optimizer of that weight, clipped by the global norm of the gradients if there is one.
  kernels::OptimizerUpdate update_of(const ReadyTask& t, const Block* squares) const {
    kernels::OptimizerUpdate update =
        t.updates_table && settings.table_update ? *settings.table_update : settings.update;
    if (squares != nullptr && settings.clip_norm > 0) {
      // As torch.nn.utils.clip_grad_norm_.
      const double total = std::sqrt(element(*squares));
      update.gradient_scale *= std::min(1.0, settings.clip_norm / (total + 1e-6));
    }
    return update;
  }

  void prepare_compute(const core::Task& task, std::uint32_t member, std::span<Block> own,
                       ReadyTask& ready) {
    const std::uint32_t index = plan.entry(task, member);
    const core::Shard& shard = plan.shards[index];
    const core::OpNode& node = graph.ops()[task.op];
    const core::Step& step = node.definition.steps[task.step];
    auto& kernel = kernels_of_shards[index];
    if (!kernel)
      kernel = kernels::prepare(plan.candidates[shard.candidate],
                                {node.op, &node.definition, shard.axes});
    ready.kernel = kernel.get();
    ready.step = task.step;
    SOAPSTONE_ASSERT(own.size() == step.reads.size() + step.writes.size(), "{} {}: {} blocks",
                     node.name, step.name, own.size());
    for (std::size_t k = 0; k < own.size(); ++k) {
      const core::Ref& ref =
          k < step.reads.size() ? step.reads[k] : step.writes[k - step.reads.size()];
      const core::Operand& operand = node.definition.operands[ref.operand];
      own[k].dtype = operand.desc.dtype;
      own[k].order = operand.desc.order;
      const core::Box box = core::operand_box(operand, shard.axes);
      if (own[k].data == nullptr)
        own[k].box = core::Box(box.size(), core::Interval{});
      else
        SOAPSTONE_ASSERT(own[k].box == box, "{} {}: {} lies as {}, not as {}", node.name, step.name,
                         operand.name, core::print(own[k].box), core::print(box));
      const core::TensorId tensor = node.tensors[ref.operand];
      if (k < step.reads.size() || ref.gradient || !tensor.valid() || own[k].data == nullptr)
        continue;
      if (!graph.is_reported(tensor)) continue;
      if (tensor == graph.loss()) loss_known = to_compute + 1;
      if (counts(index, step.reduces | operand.followed())) reported[tensor].push_back(own[k]);
    }
  }

  // Whether no earlier shard of the operator computes the same part of `axes`: copies count once.
  bool counts(std::uint32_t index, core::AxisSet axes) const {
    const core::Shard& shard = plan.shards[index];
    for (std::uint32_t k = index; k-- > 0 && plan.shards[k].op == shard.op;) {
      bool is_same = true;
      for (std::size_t a = 0; a < shard.axes.size(); ++a)
        is_same &= !axes.has(static_cast<int>(a)) || plan.shards[k].axes[a] == shard.axes[a];
      if (is_same) return false;
    }
    return true;
  }

  bool is_paced() const { return !options.pace.empty(); }

  double own_loss() const {
    double sum = 0;
    if (is_paced()) return sum;
    if (const auto found = reported.find(graph.loss()); found != reported.end())
      for (const Block& b : found->second) sum += element(b);
    return sum;
  }

  // Adds to the trail what `where` has that is no number.
  void look_at(const Block& block, std::uint32_t order, const std::string& where,
               std::int64_t first_sample = -1) {
    const auto found = first_non_finite(block);
    if (!found) return;
    trail.add(
        {order, 0, found->value, where, first_sample < 0 ? -1 : first_sample + found->first_index});
  }

  void look_at(const core::Task& task, const ReadyTask& ready) {
    if (trail.first_nan && trail.first_nan->order <= task.order) return;
    const std::span<const Block> own(blocks.data() + ready.first_block, ready.block_count);
    const std::string part =
        plan.micro_batches > 1 ? fmt::format(", micro-batch {}", task.micro_batch) : "";
    const auto label = [&] { return core::task_label(graph, plan, *program, task) + part; };
    switch (task.kind) {
      case TaskKind::kLoad: {
        const core::Tensor& source = graph.tensors()[task.tensor];
        look_at(own[0], task.order + 1, fmt::format("the data, source {}", source.name),
                task.micro_batch * source.desc.shape[0]);
        break;
      }
      case TaskKind::kCompute: {
        const core::OpNode& node = graph.ops()[task.op];
        const core::Step& step = node.definition.steps[task.step];
        for (std::size_t w = 0; w < step.writes.size(); ++w) {
          const core::Ref& ref = step.writes[w];
          const core::Operand& operand = node.definition.operands[ref.operand];
          look_at(own[step.reads.size() + w], task.order + 1,
                  fmt::format("operator {} ({}), {}, {}{} {}{}", node.name, node.op.name(),
                              core::name_of(step.phase), ref.gradient ? "gradient of " : "",
                              core::name_of(operand.role), operand.name, part));
        }
        break;
      }
      case TaskKind::kTransfer:
      case TaskKind::kAccumulate:
        look_at(own[1], task.order + 1, label());
        break;
      case TaskKind::kNorm:
      case TaskKind::kNormRows:
      case TaskKind::kUpdate:
      case TaskKind::kUpdateRows:
      case TaskKind::kHostCopy:
        break;
    }
  }

  void begin(const StepSettings& how, Purpose why) {
    settings = how;
    purpose = why;
    has_said = false;
    if (purpose == Purpose::kStep) has_stopped = false;
    begin_tasks();
    if (purpose == Purpose::kStep || program == nullptr) return;
    trail = {};
    for (const WeightPart& w : weights)
      look_at(w.value, 0,
              fmt::format("weight {}, before the step", graph.tensors()[w.tensor].name));
  }

  void begin_tasks() {
    updates = purpose == Purpose::kSearch ? Updates::kLeftOut
              : any_stops                 ? Updates::kNotKnown
                                          : Updates::kMayRun;
    computed = 0;
    left = purpose == Purpose::kSearch ? first_update : tasks.size();
    for (auto* list : {&can_move, &held_up, &moving}) list->clear();
    for (std::uint32_t i = 0; i < tasks.size(); ++i) {
      unmet[i] = program->tasks[i].dependency_count;
      if (unmet[i] == 0) may_begin(i);
    }
    if (is_paced()) paced_until = steady_now();
  }

  // All that the task depends on is done.
  void may_begin(std::uint32_t task) {
    if (core::runs_beside(tasks[task].kind))
      (task < first_update || updates == Updates::kMayRun ? can_move : held_up).push_back(task);
  }

  void is_done(std::uint32_t task) {
    --left;
    if (purpose == Purpose::kSearch) look_at(program->tasks[task], tasks[task]);
    for (std::uint32_t k = first_dependent[task]; k < first_dependent[task + 1]; ++k)
      if (--unmet[dependents[k]] == 0) may_begin(dependents[k]);
  }

  // Tells the others about the loss and hears from them.
  void ask_whether_to_update() {
    if (!any_stops || purpose == Purpose::kSearch || updates != Updates::kNotKnown) return;
    if (!has_said) {
      if (computed < loss_known) return;
      any_stops->say(!std::isfinite(own_loss()));
      has_said = true;
    }
    if (!any_stops->advance()) return;
    has_stopped = any_stops->answer();
    if (has_stopped) {
      updates = Updates::kLeftOut;
      left -= tasks.size() - first_update;
    } else {
      updates = Updates::kMayRun;
      can_move.insert(can_move.end(), held_up.begin(), held_up.end());
    }
    held_up.clear();
  }

  void execute(const ReadyTask& t) {
    const std::span<const Block> own(blocks.data() + t.first_block, t.block_count);
    switch (t.kind) {
      case TaskKind::kLoad:
        std::memcpy(own[0].data, settings.loaded[t.load],
                    static_cast<std::size_t>(loads[t.load].size.value));
        break;
      case TaskKind::kCompute: {
        kernels::RandomKey random = t.random;
        random.step = settings.step;
        if (read_observer && t.op == observed.value) observe_reads(t, own);
        t.kernel->execute({t.step, own, workspace, random});
        break;
      }
      case TaskKind::kAccumulate:
        kernels::add_box(own[1], own[0], own[1].box);
        break;
      case TaskKind::kNorm: {
        double sum = 0;
        for (std::size_t k = 0; k + 1 < own.size(); ++k) sum += kernels::sum_of_squares(own[k]);
        *static_cast<double*>(own.back().data) = sum;
        break;
      }
      case TaskKind::kUpdate: {
        if (observer) observer(t.tensor, own[0], own[1]);
        const bool is_clipped = own.size() > 2 + t.states;
        kernels::update_weight(own[0], own[1], own.subspan(2, t.states),
                               update_of(t, is_clipped ? &own.back() : nullptr));
        break;
      }
      case TaskKind::kNormRows:
        *static_cast<double*>(own.back().data) +=
            kernels::sum_of_squares(t.table, t.dtype, gradients_of(t), workspace);
        break;
      case TaskKind::kUpdateRows: {
        if (observer) show_rows(t, own[0]);
        const bool is_clipped = own.size() > 1 + t.states + 2 * t.pair_count;
        kernels::update_rows(own[0], gradients_of(t), own.subspan(1, t.states),
                             update_of(t, is_clipped ? &own.back() : nullptr), workspace);
        break;
      }
      case TaskKind::kHostCopy:
        std::memcpy(own[1].data, own[0].data,
                    static_cast<std::size_t>((core::size_of(own[0].dtype) * own[0].size()).value));
        break;
      case TaskKind::kTransfer:
        break;
    }
  }

  void observe_reads(const ReadyTask& t, std::span<const Block> own) const {
    const core::OpNode& node = graph.ops()[t.op];
    const auto& reads = node.definition.steps[static_cast<std::size_t>(t.step)].reads;
    for (std::size_t k = 0; k < reads.size(); ++k) {
      const core::TensorId tensor = node.tensors[reads[k].operand];
      if (!reads[k].gradient && tensor.valid() && own[k].data != nullptr)
        read_observer(tensor.value, t.micro_batch, own[k]);
    }
  }

  // The member keeps what it has itself: as if no message had come.
  void drop_transfer(std::span<const Block> own) {
    if (own[1].data == nullptr || own[0].data == own[1].data) return;
    kernels::fill_zero(own[1]);
    if (own[0].data != nullptr) {
      const core::Box common = core::intersect(own[0].box, own[1].box);
      if (!core::is_empty(common)) kernels::copy_box(own[1], own[0], common);
    }
  }

  // Starts what can move and takes what is under way further; whether anything came to its end.
  bool move() {
    const std::size_t before = left;
    std::size_t kept = 0;
    for (const std::uint32_t task : moving) {
      if (runs[tasks[task].run].advance(endpoint) == Progress::kWaiting)
        moving[kept++] = task;
      else
        ends_moving(task);
    }
    moving.resize(kept);
    for (std::size_t k = 0; k < can_move.size(); ++k) start_moving(can_move[k]);
    can_move.clear();
    return left != before;
  }

  void start_moving(std::uint32_t task) {
    const ReadyTask& t = tasks[task];
    const std::span<const Block> own(blocks.data() + t.first_block, t.block_count);
    times[task].start = steady_now();
    if (t.kind != TaskKind::kTransfer) {
      execute(t);
    } else if (t.dropped) {
      drop_transfer(own);
    } else {
      TransferRun& run = runs[t.run];
      run.begin(*t.transfer, {own[0], own[1], own[2].data}, t.first_tag);
      if (run.advance(endpoint) == Progress::kWaiting) {
        moving.push_back(task);
        return;
      }
    }
    ends_moving(task);
  }

  void ends_moving(std::uint32_t task) {
    times[task].end = steady_now();
    is_done(task);
  }

  // The processor is busy for as long as the task takes and moves data meanwhile, which takes its
  // own time.
  void pace(std::uint32_t task) {
    constexpr std::int64_t kSlice = 100'000;  // ns
    std::int64_t start = paced_until;
    for (const std::uint32_t d : program->dependencies_of(program->tasks[task]))
      start = std::max(start, times[d].end);
    paced_until = start + options.pace[task].value;
    for (;;) {
      const std::int64_t rest = paced_until - steady_now();
      if (rest <= 0) break;
      std::this_thread::sleep_for(std::chrono::nanoseconds(std::min(rest, kSlice)));
      move_at_a_price();
    }
    times[task] = {start, paced_until};
  }

  bool move_at_a_price() {
    const std::uint64_t activity = endpoint.activity();
    const std::int64_t begin = steady_now();
    const bool moved = move();
    if (moved || endpoint.activity() != activity) paced_until += steady_now() - begin;
    return moved;
  }

  Progress advance() {
    for (;;) {
      ask_whether_to_update();
      const bool moved = is_paced() ? move_at_a_price() : move();
      const std::size_t end = updates == Updates::kMayRun ? tasks.size() : first_update;
      if (computed < computing.size() && computing[computed] < end &&
          unmet[computing[computed]] == 0) {
        const std::uint32_t task = computing[computed];
        if (is_paced()) {
          pace(task);
        } else {
          times[task].start = steady_now();
          execute(tasks[task]);
          times[task].end = steady_now();
        }
        ++computed;
        is_done(task);
      } else if (left == 0 && updates != Updates::kNotKnown) {
        return Progress::kDone;
      } else if (!moved) {
        // Others may need the core.
        if (is_paced()) std::this_thread::sleep_for(std::chrono::microseconds(50));
        return Progress::kWaiting;
      }
    }
  }

  std::string waits_for() const {
    if (!moving.empty()) {
      const std::uint32_t oldest = moving.front();
      const core::Task& task = program->tasks[oldest];
      return fmt::format("{} (task {} of {}, order {}) waits for {}",
                         core::task_label(graph, plan, *program, task), oldest, tasks.size(),
                         task.order, runs[tasks[oldest].run].waits_for());
    }
    return left == 0 && updates != Updates::kNotKnown ? "is done"
                                                      : "waits for the other ranks' losses";
  }
};

Executor::Executor(const core::Graph& graph, const core::Plan& plan, core::DeviceId device,
                   Endpoint& endpoint, ExecutorOptions options)
    : impl_(std::make_unique<Impl>(graph, plan, device, endpoint, std::move(options))) {}
Executor::~Executor() = default;

std::span<const Load> Executor::loads() const { return impl_->loads; }
std::span<const WeightPart> Executor::weights() const { return impl_->weights; }
std::span<const TaskTime> Executor::times() const { return impl_->times; }
const core::DeviceClass* Executor::program() const { return impl_->program; }
core::Bytes Executor::memory() const {
  return impl_->arena.size() + impl_->host_arena.size() + impl_->extra_workspace.size();
}
void Executor::observe_updates(UpdateObserver observer) { impl_->observer = std::move(observer); }
void Executor::observe_reads(core::OpId op, ReadObserver observer) {
  impl_->observed = op;
  impl_->read_observer = std::move(observer);
}

void Executor::begin_step(const StepSettings& settings, Purpose purpose) {
  SOAPSTONE_ASSERT(impl_->left == 0, "{} of {} tasks of the last step are not done", impl_->left,
                   impl_->tasks.size());
  SOAPSTONE_ASSERT(settings.loaded.size() == impl_->loads.size(), "{} blocks of data for {} loads",
                   settings.loaded.size(), impl_->loads.size());
  impl_->begin(settings, purpose);
}

Progress Executor::advance() { return impl_->advance(); }
std::string Executor::waits_for() const { return impl_->waits_for(); }

double Executor::loss() const { return impl_->own_loss(); }
void Executor::add_reported(core::TensorId tensor, std::span<double> sums) const {
  if (impl_->is_paced()) return;
  const auto found = impl_->reported.find(tensor);
  if (found == impl_->reported.end()) return;
  for (const Block& b : found->second)
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += element(b, i);
}
bool Executor::has_stopped() const { return impl_->has_stopped; }
const NonFiniteTrail& Executor::non_finite() const { return impl_->trail; }
std::optional<double> Executor::gradient_norm() const {
  if (impl_->norm.data == nullptr) return std::nullopt;
  return std::sqrt(element(impl_->norm));
}

core::Status compare_plans(Communicator& communicator, const core::Plan& plan) {
  const std::string own = core::hex(core::hash_of(plan));
  const auto all = communicator.gather(own);
  std::string wrong;
  for (std::size_t p = 1; p < all.size(); ++p)
    if (all[p] != all[0]) wrong += fmt::format("{}{} ({})", wrong.empty() ? "" : ", ", p, all[p]);
  if (!wrong.empty()) wrong += fmt::format(" have another plan than rank 0 ({})", all[0]);
  wrong = communicator.broadcast(wrong);
  if (wrong.empty()) return {};
  return core::fail("ranks {}; every rank must see the same graph, strategy, cluster and kernels",
                    wrong);
}

}  // namespace soapstone::runtime
