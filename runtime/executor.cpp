#include "runtime/executor.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "core/assert.hpp"
#include "core/strategy.hpp"
#include "kernels/box_copy.hpp"
#include "kernels/catalog.hpp"
#include "kernels/init.hpp"
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
  std::int64_t first_tag = 0;
  bool dropped = false;
  std::uint32_t load = 0;
  std::uint32_t tensor = kNoIndex;
  std::uint32_t states = 0;
};

double scalar(const Block& block) {
  return block.dtype == core::DType::kF64
             ? *static_cast<const double*>(block.data)
             : static_cast<double>(*static_cast<const float*>(block.data));
}

// The box of every buffer of one member of a class. Buffers name the boxes of the first member; for
// the others they follow from the shards and transfers that use them.
std::vector<core::Box> boxes_of(const core::Graph& graph, const core::Plan& plan,
                                const core::DeviceClass& program, std::uint32_t member) {
  std::vector<core::Box> boxes;
  for (const core::Buffer& b : program.buffers) boxes.push_back(b.box);
  if (member == 0) return boxes;
  for (const core::Task& task : program.tasks) {
    const auto uses = program.uses_of(task);
    if (task.kind == TaskKind::kCompute) {
      const core::OpDefinition& definition = graph.ops()[task.op].definition;
      const core::Step& step = definition.steps[task.step];
      const core::Shard& shard = plan.shards[plan.entry(task, member)];
      for (std::size_t u = 0; u < uses.size(); ++u) {
        if (uses[u].buffer == kNoIndex) continue;
        const core::Ref& ref =
            u < step.reads.size() ? step.reads[u] : step.writes[u - step.reads.size()];
        boxes[uses[u].buffer] = core::operand_box(definition.operands[ref.operand], shard.axes);
      }
    } else if (task.kind == TaskKind::kTransfer) {
      const core::Transfer& transfer = plan.transfers[plan.entry(task, member)];
      for (const core::TransferMember& m : transfer.members) {
        if (m.device != program.members[member]) continue;
        if (uses[0].buffer != kNoIndex) boxes[uses[0].buffer] = m.held;
        if (uses[1].buffer != kNoIndex) boxes[uses[1].buffer] = m.wanted;
      }
    }
  }
  return boxes;
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

  Arena arena{core::Bytes(0)};
  Arena extra_workspace{core::Bytes(0)};
  void* workspace = nullptr;
  std::vector<Block> buffers;
  std::vector<Block> blocks;  // of all tasks' uses, one after the other
  std::vector<ReadyTask> tasks;
  std::map<std::uint32_t, std::unique_ptr<kernels::PreparedKernel>> kernels_of_shards;
  std::map<std::uint32_t, std::unique_ptr<PreparedTransfer>> transfers;
  std::optional<TransferRun> transfer_run;
  std::vector<Load> loads;
  std::vector<WeightPart> weights;
  std::vector<Block> losses, corrects;
  Block norm;
  UpdateObserver observer;

  StepSettings settings;
  std::size_t next_task = 0;
  bool transferring = false;
  std::vector<TaskTime> times;

  Impl(const core::Graph& whole, const core::Plan& from, core::DeviceId on, Endpoint& with,
       ExecutorOptions how)
      : graph(from.micro_batches > 1 ? whole.micro_batch(from.micro_batches).value() : whole),
        plan(from),
        device(on),
        endpoint(with),
        options(std::move(how)) {
    SOAPSTONE_ASSERT(plan.graph_hash == whole.hash(), "a plan of {} for {}", plan.graph,
                     whole.name());
    const core::PlanPlace place = core::place_of(plan, device);
    if (place.class_index == kNoIndex) return;
    program = &plan.classes[place.class_index];
    SOAPSTONE_ASSERT(program->arena.value >= 0, "the plan's buffers are not placed");
    arena = Arena(program->arena);
    prepare_buffers(place.member);
    prepare_weights();
    prepare_tasks(place.member);
    times.resize(tasks.size());
  }

  void prepare_buffers(std::uint32_t member) {
    const auto boxes = boxes_of(graph, plan, *program, member);
    for (std::size_t b = 0; b < program->buffers.size(); ++b) {
      const core::Buffer& buffer = program->buffers[b];
      Block block;
      block.dtype = buffer.dtype;
      block.box = boxes[b];
      if (buffer.tensor != kNoIndex) block.order = graph.tensors()[buffer.tensor].desc.order;
      block.data = buffer.size.value > 0 ? arena.data() + buffer.offset.value : nullptr;
      if (buffer.kind == BufferKind::kWorkspace) workspace = block.data;
      buffers.push_back(block);
    }
  }

  void prepare_weights() {
    std::map<std::uint32_t, std::size_t> part_of_buffer;
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
      part_of_buffer[b] = weights.size();
      weights.push_back({tensor, buffers[b], {}, owns(tensor, buffers[b].box)});
    }
    for (const core::Task& task : program->tasks) {
      if (task.kind != TaskKind::kUpdate) continue;
      const auto uses = program->uses_of(task);
      WeightPart& part = weights[part_of_buffer.at(uses[0].buffer)];
      for (std::uint32_t k = 0; k < plan.optimizer_states; ++k) {
        Block& state = buffers[uses[2 + k].buffer];
        state.order = part.value.order;
        kernels::fill_zero(state);
        part.states.push_back(state);
      }
    }
  }

  // Whether this is the lowest device with this part of the weight.
  bool owns(std::uint32_t tensor, const core::Box& box) const {
    for (const core::DeviceClass& c : plan.classes)
      for (std::uint32_t m = 0; m < c.members.size(); ++m) {
        if (c.members[m].value >= device.value) continue;
        const auto boxes = m == 0 ? std::vector<core::Box>{} : boxes_of(graph, plan, c, m);
        for (std::size_t b = 0; b < c.buffers.size(); ++b)
          if (c.buffers[b].kind == BufferKind::kWeight && c.buffers[b].tensor == tensor &&
              (m == 0 ? c.buffers[b].box : boxes[b]) == box)
            return false;
      }
    return true;
  }

  void prepare_tasks(std::uint32_t member) {
    const auto tags = first_tags(plan);
    std::size_t most_requests = 2;
    core::Bytes most_workspace(0), planned_workspace(0);
    for (const core::Buffer& b : program->buffers)
      if (b.kind == BufferKind::kWorkspace) planned_workspace = b.size;
    for (const core::Task& task : program->tasks) {
      ReadyTask ready;
      ready.kind = task.kind;
      ready.tensor = task.tensor;
      ready.first_block = static_cast<std::uint32_t>(blocks.size());
      ready.block_count = task.use_count;
      for (const core::BufferUse& use : program->uses_of(task))
        blocks.push_back(use.buffer == kNoIndex ? Block{} : buffers[use.buffer]);
      const std::span<Block> own(blocks.data() + ready.first_block, ready.block_count);
      switch (task.kind) {
        case TaskKind::kLoad:
          ready.load = static_cast<std::uint32_t>(loads.size());
          loads.push_back({task.tensor, task.micro_batch, own[0].box,
                           core::size_of(own[0].dtype) * core::elements(own[0].box)});
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
          most_requests = std::max(most_requests, prepared->most_requests());
          // Buffers of an operator's own values have no tensor that says how they lie.
          for (int k = 0; k < 2; ++k) own[static_cast<std::size_t>(k)].order = t.order;
          break;
        }
        case TaskKind::kUpdate:
          ready.states = plan.optimizer_states;
          break;
        case TaskKind::kNorm:
          norm = own.back();
          break;
        case TaskKind::kAccumulate:
          break;
      }
      if (task.kind == TaskKind::kUpdate && own.size() > 2 + plan.optimizer_states)
        norm = own.back();
      tasks.push_back(ready);
    }
    transfer_run.emplace(most_requests);
    if (most_workspace > planned_workspace) {
      // Lowered for another number of threads than this process has.
      extra_workspace = Arena(most_workspace);
      workspace = extra_workspace.data();
    }
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
      if (ref.gradient || !tensor.valid() || own[k].data == nullptr || !counts(index)) continue;
      if (k < step.reads.size()) continue;
      if (tensor == graph.loss()) losses.push_back(own[k]);
      if (graph.correct() && tensor == *graph.correct()) corrects.push_back(own[k]);
    }
  }

  // Whether no earlier shard of the operator computes the same part: replicas count once.
  bool counts(std::uint32_t index) const {
    const core::Shard& shard = plan.shards[index];
    for (std::uint32_t k = index; k-- > 0 && plan.shards[k].op == shard.op;)
      if (plan.shards[k].axes == shard.axes) return false;
    return true;
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
        kernels::OptimizerUpdate update = settings.update;
        if (own.size() > 2 + t.states && settings.clip_norm > 0) {
          // As torch.nn.utils.clip_grad_norm_.
          const double total = std::sqrt(scalar(own.back()));
          update.gradient_scale *= std::min(1.0, settings.clip_norm / (total + 1e-6));
        }
        kernels::update_weight(own[0], own[1], own.subspan(2, t.states), update);
        break;
      }
      case TaskKind::kTransfer:
        break;
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

  Progress advance() {
    for (; next_task < tasks.size(); ++next_task) {
      const ReadyTask& t = tasks[next_task];
      TaskTime& time = times[next_task];
      if (!transferring) time.start = steady_now();
      if (t.kind != TaskKind::kTransfer) {
        execute(t);
      } else if (t.dropped) {
        drop_transfer(std::span(blocks).subspan(t.first_block, t.block_count));
      } else {
        if (!transferring) {
          const Block* own = blocks.data() + t.first_block;
          transfer_run->begin(*t.transfer, {own[0], own[1], own[2].data}, t.first_tag);
          transferring = true;
        }
        if (transfer_run->advance(endpoint) == Progress::kWaiting) return Progress::kWaiting;
        transferring = false;
      }
      time.end = steady_now();
    }
    return Progress::kDone;
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
core::Bytes Executor::arena() const { return impl_->arena.size(); }
void Executor::observe_updates(UpdateObserver observer) { impl_->observer = std::move(observer); }

void Executor::begin_step(const StepSettings& settings) {
  SOAPSTONE_ASSERT(impl_->next_task == 0 || impl_->next_task == impl_->tasks.size(),
                   "the last step ended at task {} of {}", impl_->next_task, impl_->tasks.size());
  SOAPSTONE_ASSERT(settings.loaded.size() == impl_->loads.size(), "{} blocks of data for {} loads",
                   settings.loaded.size(), impl_->loads.size());
  impl_->settings = settings;
  impl_->next_task = 0;
}

Progress Executor::advance() { return impl_->advance(); }

std::string Executor::waits_for() const {
  const Impl& i = *impl_;
  if (i.next_task >= i.tasks.size()) return "is done";
  const core::Task& task = i.program->tasks[i.next_task];
  return fmt::format("{} (task {} of {}, order {}) waits for {}",
                     core::task_label(i.graph, i.plan, *i.program, task), i.next_task,
                     i.tasks.size(), task.order, i.transfer_run->waits_for());
}

double Executor::loss() const {
  double sum = 0;
  for (const Block& b : impl_->losses) sum += scalar(b);
  return sum;
}
double Executor::correct() const {
  double sum = 0;
  for (const Block& b : impl_->corrects) sum += scalar(b);
  return sum;
}
std::optional<double> Executor::gradient_norm() const {
  if (impl_->norm.data == nullptr) return std::nullopt;
  return std::sqrt(scalar(impl_->norm));
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
