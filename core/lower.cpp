#include "core/lower.hpp"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

namespace soapstone::core {

namespace {

// A layout with its hash.
struct Cut {
  Layout layout;
  std::uint64_t hash = 0;
};
using CutPtr = std::shared_ptr<const Cut>;

CutPtr make_cut(Layout layout) {
  auto cut = std::make_shared<Cut>();
  cut->hash = hash_of(layout);
  cut->layout = std::move(layout);
  return cut;
}

// Everything about one operator under one OpStrategy.
struct OpSegment {
  OpStrategy strategy;
  AxisSet split;
  std::vector<Shard> shards;     // per device of the strategy; candidate indexes Lowering's table
  std::vector<Bytes> workspace;  // per device
  std::vector<int> steps;        // used and needed, in order
  std::vector<CutPtr> read;      // per operand
  std::vector<std::vector<CutPtr>> written;  // per step (definition index), per write
  std::vector<CutPtr> gathered;  // ids and rows of the step whose gradient comes as rows
};

// A reshard ready to be put into a plan.
struct MoveSegment {
  Reshard moves;
  std::vector<Transfer> transfers;          // per group; unused where the pattern is none
  std::vector<std::vector<Bytes>> staging;  // per group, per member
};

// A tensor (or gradient, or internal) as it lies in buffers.
struct Instance {
  CutPtr cut;
  std::vector<std::uint32_t> buffers;  // per shard; kNoIndex where the box is empty
};

struct BufferState {
  std::uint32_t last_writer = kNoIndex;
  std::vector<std::uint32_t> readers;  // since
};

struct DeviceState {
  DeviceClass program;
  std::vector<BufferState> buffers;
  Bytes workspace;
};

struct GradientSlot {
  Instance instance;
  int expected = 0;
  int contributed = 0;
};

// What there is of the tensors: of weights for the whole step, of all others per micro-batch.
struct Held {
  std::vector<std::map<std::uint64_t, Instance>> values;     // per tensor, by layout
  std::vector<std::map<std::uint64_t, GradientSlot>> slots;  // per tensor, by written layout
  std::vector<std::optional<Instance>> gradients;            // per tensor, as its producer reads it
  // Of a micro-batch alone. Per tensor: as its producer wrote it. Per operator: internals and own
  // outputs, as read.
  std::vector<std::optional<Instance>> made;
  std::vector<std::map<Ref, Instance>> own;
  // What other stages are waiting for: values, and gradients in a written layout.
  struct Gradient {
    TensorId tensor;
    GradientSlot* slot;
    std::uint32_t op;
  };
  std::vector<TensorId> outgoing;
  std::vector<Gradient> outgoing_gradients;

  Held(std::size_t tensors, std::size_t ops)
      : values(tensors), slots(tensors), gradients(tensors), made(tensors), own(ops) {}
};

// Every replica keeps a part of what all of them have, cut along the dimension whose parts are
// longest. The same layout where there are no replicas.
Layout shared_among_replicas(const Layout& copies) {
  const auto count = static_cast<std::size_t>(copies.replicas);
  if (count < 2 || copies.parts.empty()) return copies;
  Layout out = copies;
  std::size_t along = 0;
  const auto shortest = [&](std::size_t d) {
    std::int64_t least = INT64_MAX;
    for (const Interval& i : copies.parts[d]) least = std::min(least, i.extent());
    return least;
  };
  for (std::size_t d = 1; d < copies.parts.size(); ++d)
    if (shortest(d) > shortest(along)) along = d;
  out.replicas = 1;
  out.parts[along].clear();
  for (const Interval& whole : copies.parts[along])
    for (std::size_t k = 0; k < count; ++k) {
      const auto at = [&](std::size_t i) {
        return whole.begin +
               whole.extent() * static_cast<std::int64_t>(i) / static_cast<std::int64_t>(count);
      };
      out.parts[along].push_back({at(k), at(k + 1)});
    }
  // Shards stand row-major over the dimensions' parts.
  std::vector<std::size_t> place(copies.parts.size(), 0);
  for (DeviceId& device : out.devices) {
    std::size_t from = 0;
    for (std::size_t d = 0; d < place.size(); ++d)
      from = from * copies.parts[d].size() + (d == along ? place[d] / count : place[d]);
    device = copies.devices[from * count + place[along] % count];
    for (std::size_t d = place.size(); d-- > 0;) {
      if (++place[d] < out.parts[d].size()) break;
      place[d] = 0;
    }
  }
  return out;
}

std::uint64_t combine(std::uint64_t a, std::uint64_t b) {
  Hasher h;
  h.word(a);
  h.word(b);
  return h.finish();
}

}  // namespace

struct Lowering::Impl {
  const Graph& graph;
  const Cluster& cluster;
  const KernelCatalog& catalog;
  LowerOptions options;

  Impl(const Graph& in, const Cluster& on, const KernelCatalog& with, LowerOptions how)
      : graph(in), cluster(on), catalog(with), options(how) {}

  // Kept between calls.
  std::map<std::int32_t, Graph> micro_graphs;
  std::unordered_map<std::uint64_t, std::shared_ptr<const OpSegment>> op_segments;
  std::unordered_map<std::uint64_t, std::shared_ptr<const MoveSegment>> move_segments;
  std::vector<std::string> candidate_names;
  std::unordered_map<std::string, std::uint32_t> candidate_index;
  // A search proposes without end: what is kept is given up when it has become this much.
  static constexpr std::size_t kMostKept = std::size_t{192} << 20;
  std::size_t kept = 0;  // bytes, roughly

  // Of the plan being made.
  const Graph* g = nullptr;  // of a micro-batch
  Plan plan;
  std::vector<std::uint32_t> class_of_device;
  std::vector<DeviceState> states;
  std::vector<std::shared_ptr<const OpSegment>> segments;
  std::vector<std::uint32_t> first_shard;  // per op, into plan.shards
  std::unordered_map<const Transfer*, std::uint32_t> transfer_index;
  Pipeline pipeline;
  std::unique_ptr<Held> weights;               // of weights
  std::vector<std::unique_ptr<Held>> batches;  // per micro-batch, while it is under way
  std::vector<std::size_t> actions_left;       // per micro-batch
  std::vector<std::map<std::uint64_t, GradientSlot>> new_slots;  // of a micro-batch that begins
  Held* now = nullptr;                                           // of the present micro-batch
  std::vector<CutPtr> homes;                                     // per tensor: where a weight lives
  bool recomputing = false;
  std::vector<bool> by_rows;                 // per tensor: a table that training updates by rows
  std::vector<std::optional<Table>> tables;  // per tensor: a weight that is updated by rows
  struct Rows {
    Instance ids, rows;
  };
  std::vector<std::vector<Rows>> rows;  // per tensor, per micro-batch: its gradient
  std::uint32_t order = 0;
  std::uint16_t micro_batch = 0;

  bool is_weight(TensorId t) const { return g->tensor(t).role == TensorRole::kWeight; }
  Held& held(TensorId t) { return is_weight(t) ? *weights : *now; }
  std::int32_t stage_of(std::uint32_t op) const { return segments[op]->strategy.stage; }
  std::int32_t zero_of(TensorId weight) const {
    return by_rows[weight.value] || !g->tensor(weight).needs_gradient
               ? 0
               : segments[g->tensor(weight).producer.op.value]->strategy.zero;
  }
  Phase phase_of(const Step& step) const { return recomputing ? Phase::kRecompute : step.phase; }

  std::shared_ptr<const OpSegment> op_segment(std::uint32_t op, const OpStrategy& strategy,
                                              std::int32_t micro_batches) {
    const std::uint64_t key =
        combine(combine(op, static_cast<std::uint64_t>(micro_batches)), hash_of(strategy));
    auto& entry = op_segments[key];
    if (entry) return entry;
    auto s = std::make_shared<OpSegment>();
    const OpNode& node = g->ops()[op];
    const OpDefinition& def = node.definition;
    s->strategy = strategy;
    s->split = split_axes(strategy);
    for (std::size_t i = 0; i < strategy.devices.size(); ++i) {
      const LocalProblem problem = local_problem(node, strategy, i);
      const KernelChoice choice = catalog.choose(problem, cluster.kind(strategy.devices[i]));
      const auto [it, is_new] = candidate_index.emplace(
          choice.candidate, static_cast<std::uint32_t>(candidate_names.size()));
      if (is_new) candidate_names.push_back(choice.candidate);
      s->shards.push_back({op, problem.axes, it->second, problem.signature()});
      s->workspace.push_back(choice.workspace);
    }
    for (std::size_t k = 0; k < def.steps.size(); ++k) {
      const Step& step = def.steps[k];
      const bool wanted = options.training || step.phase == Phase::kForward;
      const StepUse run = options.training ? StepUse::kTraining : StepUse::kEvaluation;
      if (wanted && step_is_used(step, s->split, run) && step_is_needed(*g, node, step))
        s->steps.push_back(static_cast<int>(k));
      std::vector<CutPtr> cuts;
      for (const Ref& w : step.writes)
        cuts.push_back(
            make_cut(operand_layout(def, w.operand, strategy, Access::kWritten, step.reduces)));
      s->written.push_back(std::move(cuts));
      if (step.rows != RowGradient::kNone)
        for (const Ref& r : step.reads)
          s->gathered.push_back(make_cut(operand_layout(
              def, gathered(def.operands[r.operand], step.reduces), strategy, Access::kRead)));
    }
    for (std::size_t k = 0; k < def.operands.size(); ++k)
      s->read.push_back(
          make_cut(operand_layout(def, static_cast<int>(k), strategy, Access::kRead)));
    kept += 4096 + 256 * strategy.devices.size();
    entry = std::move(s);
    return entry;
  }

  std::shared_ptr<const MoveSegment> move_segment(const Cut& from, const Cut& to, DType dtype,
                                                  const DimOrder& dims) {
    const std::uint64_t key = combine(combine(from.hash, to.hash),
                                      combine(static_cast<std::uint64_t>(dtype), hash_of(dims)));
    auto& entry = move_segments[key];
    if (entry) return entry;
    auto m = std::make_shared<MoveSegment>();
    m->moves = reshard(from.layout, to.layout, options.patterns);
    for (ReshardGroup& group : m->moves.groups) {
      Transfer t;
      std::vector<Bytes> staging;
      if (group.pattern != Pattern::kNone) {
        t = transfer_of(group, from.layout, to.layout, dtype, dims);
        for (std::uint32_t k = 0; k < t.members.size(); ++k) staging.push_back(staging_bytes(t, k));
      }
      // The transfer says it all.
      group.moves = {};
      kept += 512 + t.messages.size() * sizeof(Message) +
              t.members.size() * (sizeof(TransferMember) + 16);
      m->transfers.push_back(std::move(t));
      m->staging.push_back(std::move(staging));
    }
    entry = std::move(m);
    return entry;
  }

  DeviceState& state(DeviceId device) {
    std::uint32_t& index = class_of_device[device.value];
    if (index == kNoIndex) {
      index = static_cast<std::uint32_t>(states.size());
      states.emplace_back();
      states.back().program.members = {device};
    }
    return states[index];
  }

  std::uint32_t new_buffer(DeviceId device, BufferKind kind, std::uint32_t tensor, DType dtype,
                           const Box& box, Bytes size) {
    DeviceState& s = state(device);
    s.program.buffers.push_back({kind, tensor, dtype, box, size, Bytes(-1)});
    s.buffers.emplace_back();
    return static_cast<std::uint32_t>(s.program.buffers.size()) - 1;
  }

  Instance new_instance(const CutPtr& cut, BufferKind kind, std::uint32_t tensor, DType dtype) {
    Instance out{cut, {}};
    for (std::size_t i = 0; i < cut->layout.size(); ++i) {
      const Box box = cut->layout.box(i);
      out.buffers.push_back(is_empty(box) ? kNoIndex
                                          : new_buffer(cut->layout.devices[i], kind, tensor, dtype,
                                                       box, size_of(dtype) * elements(box)));
    }
    return out;
  }

  static std::uint32_t buffer_on(const Instance& instance, DeviceId device) {
    const auto shard = instance.cut->layout.shard_on(device);
    return shard < 0 ? kNoIndex : instance.buffers[static_cast<std::size_t>(shard)];
  }

  // Appends a task; its dependencies follow from what it uses.
  Task& add_task(DeviceId device, TaskKind kind, Phase phase, std::span<const BufferUse> uses) {
    DeviceState& s = state(device);
    DeviceClass& p = s.program;
    const auto index = static_cast<std::uint32_t>(p.tasks.size());
    Task t;
    t.kind = kind;
    t.phase = phase;
    t.order = order;
    t.micro_batch = micro_batch;
    t.first_use = static_cast<std::uint32_t>(p.uses.size());
    t.use_count = static_cast<std::uint32_t>(uses.size());
    t.first_dependency = static_cast<std::uint32_t>(p.dependencies.size());
    const auto depend = [&](std::uint32_t on) {
      if (on == kNoIndex || on == index) return;
      const auto begin = p.dependencies.begin() + t.first_dependency;
      if (std::find(begin, p.dependencies.end(), on) == p.dependencies.end())
        p.dependencies.push_back(on);
    };
    for (const BufferUse& use : uses) {
      p.uses.push_back(use);
      if (use.buffer == kNoIndex) continue;
      BufferState& b = s.buffers[use.buffer];
      depend(b.last_writer);
      if (use.access != UseAccess::kRead)
        for (const auto r : b.readers) depend(r);
    }
    for (const BufferUse& use : uses) {
      if (use.buffer == kNoIndex) continue;
      BufferState& b = s.buffers[use.buffer];
      if (use.access == UseAccess::kRead) {
        b.readers.push_back(index);
      } else {
        b.last_writer = index;
        b.readers.clear();
      }
    }
    t.dependency_count = static_cast<std::uint32_t>(p.dependencies.size()) - t.first_dependency;
    p.tasks.push_back(t);
    return p.tasks.back();
  }

  std::uint32_t table_row(std::uint32_t entry) {
    plan.member_table.push_back(entry);
    return static_cast<std::uint32_t>(plan.member_table.size()) - 1;
  }

  // Puts one transfer into the programs of its members.
  void add_transfer(const Transfer& transfer, std::span<const Bytes> staging, std::uint32_t op,
                    std::uint32_t tensor, Phase phase, const Instance& from, const Instance& to) {
    const auto [it, is_new] =
        transfer_index.emplace(&transfer, static_cast<std::uint32_t>(plan.transfers.size()));
    if (is_new) plan.transfers.push_back(transfer);
    for (std::uint32_t k = 0; k < transfer.members.size(); ++k) {
      const TransferMember& member = transfer.members[k];
      const std::uint32_t held = is_empty(member.held) ? kNoIndex : buffer_on(from, member.device);
      const std::uint32_t wanted =
          is_empty(member.wanted) ? kNoIndex : buffer_on(to, member.device);
      std::uint32_t stage = kNoIndex;
      if (staging[k].value > 0)
        stage = new_buffer(member.device, BufferKind::kStaging, kNoIndex, transfer.dtype, {},
                           staging[k]);
      const BufferUse uses[] = {
          {held, UseAccess::kRead},
          {wanted, held == wanted ? UseAccess::kReadWrite : UseAccess::kWrite},
          {stage, UseAccess::kWrite}};
      Task& t = add_task(member.device, TaskKind::kTransfer, phase, uses);
      t.op = op;
      t.tensor = tensor;
      t.row = table_row(it->second);
    }
    ++order;
  }

  // Makes `from` available in layout `to`. `consume`: nobody else reads `from`,
  // so that an all-reduce may run in place.
  Instance moved(const Instance& from, const CutPtr& to, BufferKind kind, std::uint32_t op,
                 std::uint32_t tensor, Phase phase, DType dtype, const DimOrder& dims,
                 bool consume) {
    if (from.cut->hash == to->hash) return from;
    const auto segment = move_segment(*from.cut, *to, dtype, dims);
    Instance out{to, std::vector<std::uint32_t>(to->layout.size(), kNoIndex)};
    for (const ReshardGroup& group : segment->moves.groups) {
      const bool alias =
          group.pattern == Pattern::kNone || (consume && group.pattern == Pattern::kAllReduce);
      for (const DeviceId d : group.members) {
        const auto shard = to->layout.shard_on(d);
        if (shard < 0) continue;
        const Box box = to->layout.box(static_cast<std::size_t>(shard));
        if (is_empty(box)) continue;
        out.buffers[static_cast<std::size_t>(shard)] =
            alias ? buffer_on(from, d)
                  : new_buffer(d, kind, tensor, dtype, box, size_of(dtype) * elements(box));
      }
    }
    for (std::size_t i = 0; i < segment->moves.groups.size(); ++i)
      if (segment->moves.groups[i].pattern != Pattern::kNone)
        add_transfer(segment->transfers[i], segment->staging[i], op, tensor, phase, from, out);
    return out;
  }

  BufferKind kind_of_value(TensorId t) const {
    if (g->is_reported(t)) return BufferKind::kScalar;
    switch (g->tensor(t).role) {
      case TensorRole::kSource:
        return BufferKind::kSource;
      case TensorRole::kWeight:
        return BufferKind::kWeight;
      case TensorRole::kActivation:
        return BufferKind::kActivation;
    }
    return BufferKind::kActivation;
  }

  std::uint16_t ids_of(const Table& table) const {
    return g->ops()[table.op]
        .definition.steps[static_cast<std::size_t>(table.step)]
        .reads[0]
        .operand;
  }

  // The layouts in which a tensor's value is read, each once, in order of first use.
  std::vector<CutPtr> readers_of(TensorId t, std::uint32_t producer, bool producer_reads) const {
    std::vector<CutPtr> cuts;
    const auto add = [&](const CutPtr& cut) {
      for (const auto& c : cuts)
        if (c->hash == cut->hash) return;
      cuts.push_back(cut);
    };
    const Tensor& tensor = g->tensor(t);
    if (producer_reads) add(segments[producer]->read[tensor.producer.operand]);
    for (const OperandRef& use : tensor.uses) add(segments[use.op.value]->read[use.operand]);
    // The ids of a table that is updated by rows go whole to every device that holds some of it.
    for (const OperandRef& use : tensor.uses) {
      const OpNode& node = g->op(use.op);
      for (const TensorId weight : node.tensors) {
        const auto& table = weight.valid() ? tables[weight.value] : std::nullopt;
        if (table && table->op == use.op.value && ids_of(*table) == use.operand)
          add(segments[use.op.value]->gathered[0]);
      }
    }
    return cuts;
  }

  BufferKind kind_of_copy(TensorId t) const {
    return is_weight(t) ? BufferKind::kGatheredWeight : kind_of_value(t);
  }

  // Whether operators of other stages read a tensor in a layout, or of this one.
  bool is_read(TensorId t, const CutPtr& cut, std::int32_t stage, bool elsewhere) const {
    const Tensor& tensor = g->tensor(t);
    const auto reads = [&](const OperandRef& use) {
      return (stage_of(use.op.value) != stage) == elsewhere &&
             segments[use.op.value]->read[use.operand]->hash == cut->hash;
    };
    if (tensor.role == TensorRole::kActivation && reads(tensor.producer)) return true;
    if (std::any_of(tensor.uses.begin(), tensor.uses.end(), reads)) return true;
    return std::any_of(tensor.uses.begin(), tensor.uses.end(), [&](const OperandRef& use) {
      const auto& gathered = segments[use.op.value]->gathered;
      return (stage_of(use.op.value) != stage) == elsewhere && !gathered.empty() &&
             gathered[0]->hash == cut->hash;
    });
  }

  // Makes a tensor's value available to its readers: those of the operator's own stage now, those
  // of others when the stage has done its part of the micro-batch.
  void distribute(TensorId t, const Instance& made, std::uint32_t op, bool producer_reads,
                  bool to_other_stages = false) {
    const auto cuts = readers_of(t, op, producer_reads);
    auto& known = held(t).values[t.value];
    if (is_weight(t) || cuts.empty()) known.emplace(made.cut->hash, made);
    bool is_waited_for = false;
    for (const auto& cut : cuts) {
      if (known.contains(cut->hash)) continue;
      if (!is_weight(t) && pipeline.ops.size() > 1 &&
          !is_read(t, cut, stage_of(op), to_other_stages)) {
        is_waited_for = true;
        continue;
      }
      known.emplace(cut->hash, moved(made, cut, kind_of_copy(t), op, t.value, Phase::kForward,
                                     g->tensor(t).desc.dtype, g->tensor(t).desc.order,
                                     cuts.size() == 1 && !is_weight(t)));
    }
    if (!is_waited_for || to_other_stages) return;
    now->made[t.value] = made;
    now->outgoing.push_back(t);
  }

  // A tensor's value in a layout. What is not there is gathered (weights) or computed again.
  const Instance& value_in(TensorId t, const CutPtr& cut, std::uint32_t op, Phase phase) {
    auto& known = held(t).values[t.value];
    if (const auto found = known.find(cut->hash); found != known.end()) return found->second;
    const Tensor& tensor = g->tensor(t);
    const std::uint32_t producer = tensor.producer.op.value;
    if (!is_weight(t) && !now->made[t.value]) compute_again(producer);
    if (const auto found = known.find(cut->hash); found != known.end()) return found->second;
    const Instance from = is_weight(t) ? known.at(homes[t.value]->hash) : *now->made[t.value];
    const bool alone = !is_weight(t) && readers_of(t, producer, true).size() == 1;
    return known
        .emplace(cut->hash,
                 moved(from, cut, kind_of_copy(t), op, t.value,
                       phase == Phase::kForward && !recomputing ? phase : Phase::kRecompute,
                       tensor.desc.dtype, tensor.desc.order, alone))
        .first->second;
  }

  // The forward pass of one operator again, but for what changes its states.
  void compute_again(std::uint32_t op) {
    SOAPSTONE_ASSERT(segments[op]->strategy.recompute,
                     "{}: something of it is read that is not there", g->ops()[op].name);
    const bool before = std::exchange(recomputing, true);
    const OpNode& node = g->ops()[op];
    for (const int k : segments[op]->steps) {
      const Step& step = node.definition.steps[static_cast<std::size_t>(k)];
      const bool changes_states = std::any_of(step.writes.begin(), step.writes.end(), [&](Ref w) {
        return node.definition.operands[w.operand].role == OperandRole::kWeight;
      });
      if (step.phase == Phase::kForward && !changes_states) run_step(op, k);
    }
    recomputing = before;
  }

  // Gives up what will be computed again.
  void forget(std::int32_t stage) {
    for (const std::uint32_t op : pipeline.ops[static_cast<std::size_t>(stage)]) {
      const OpSegment& segment = *segments[op];
      if (!segment.strategy.recompute) continue;
      now->own[op].clear();
      const OpNode& node = g->ops()[op];
      for (std::size_t k = 0; k < node.tensors.size(); ++k) {
        if (node.definition.operands[k].role != OperandRole::kOutput) continue;
        const TensorId t = node.tensors[k];
        std::erase_if(now->values[t.value], [&](const auto& entry) {
          return !is_read(t, entry.second.cut, stage, true);
        });
        now->made[t.value].reset();
      }
    }
  }

  // Weights that are gathered before every use are given up after it.
  void release_weights(std::uint32_t op) {
    for (const TensorId t : g->ops()[op].tensors)
      if (t.valid() && is_weight(t) && zero_of(t) == 3)
        std::erase_if(weights->values[t.value],
                      [&](const auto& entry) { return entry.first != homes[t.value]->hash; });
  }

  // The instance that a step reads through `ref`. None: the gradient of an output that nothing
  // uses, which is zero.
  const Instance* source_of(std::uint32_t op, const Ref& ref, Phase phase) {
    const OpNode& node = g->ops()[op];
    const Operand& operand = node.definition.operands[ref.operand];
    if (operand.role == OperandRole::kInternal) {
      auto it = now->own[op].find(ref);
      if (it == now->own[op].end() && !recomputing) {
        compute_again(op);
        it = now->own[op].find(ref);
      }
      SOAPSTONE_ASSERT(it != now->own[op].end(), "{}: {} is read before it is written", node.name,
                       operand.name);
      return &it->second;
    }
    const TensorId t = node.tensors[ref.operand];
    if (ref.gradient) {
      const auto& parts = held(t).slots[t.value];
      const bool is_used = std::any_of(parts.begin(), parts.end(),
                                       [](const auto& slot) { return slot.second.expected > 0; });
      if (!is_used && operand.role == OperandRole::kOutput) return nullptr;
      SOAPSTONE_ASSERT(now->gradients[t.value],
                       "{}: the gradient of {} is read before it is complete", node.name,
                       g->tensor(t).name);
      return &*now->gradients[t.value];
    }
    return &value_in(t, segments[op]->read[ref.operand], op, phase);
  }

  // A contribution to the gradient of a graph tensor lies in `slot`; when it was the last, the
  // gradient moves to where its producer (or the weight's owner) wants it, to another stage when
  // this one has done its part of the micro-batch.
  void contributed(TensorId t, GradientSlot& slot, std::uint32_t op) {
    if (++slot.contributed < slot.expected) return;
    if (!is_weight(t) && stage_of(g->tensor(t).producer.op.value) != stage_of(op))
      now->outgoing_gradients.push_back({t, &slot, op});
    else
      return_gradient(t, slot, op);
  }

  void return_gradient(TensorId t, GradientSlot& slot, std::uint32_t op) {
    const Tensor& tensor = g->tensor(t);
    const CutPtr& goal = is_weight(t)
                             ? homes[t.value]
                             : segments[tensor.producer.op.value]->read[tensor.producer.operand];
    const BufferKind kind =
        is_weight(t) ? BufferKind::kWeightGradient : BufferKind::kActivationGradient;
    const Instance arrived = moved(slot.instance, goal, kind, op, t.value, Phase::kBackwardInput,
                                   tensor.desc.dtype, tensor.desc.order, true);
    if (is_weight(t)) slot.contributed = 0;  // the next micro-batch begins anew
    auto& gradient = held(t).gradients[t.value];
    if (!gradient)
      gradient = arrived;
    else
      accumulate(arrived, *gradient, op, t.value);
  }

  void accumulate(const Instance& from, const Instance& to, std::uint32_t op,
                  std::uint32_t tensor) {
    for (std::size_t i = 0; i < to.buffers.size(); ++i) {
      if (to.buffers[i] == kNoIndex) continue;
      const DeviceId d = to.cut->layout.devices[i];
      const BufferUse uses[] = {{buffer_on(from, d), UseAccess::kRead},
                                {to.buffers[i], UseAccess::kReadWrite}};
      Task& task = add_task(d, TaskKind::kAccumulate, Phase::kBackwardInput, uses);
      task.op = op;
      task.tensor = tensor;
    }
    ++order;
  }

  bool reads_later(const OpSegment& segment, const OpDefinition& def, const Ref& ref) const {
    for (const int k : segment.steps)
      for (const Ref& r : def.steps[static_cast<std::size_t>(k)].reads)
        if (r == ref) return true;
    return false;
  }

  bool comes_as_rows(const OpNode& node, const Step& step) const {
    return step.rows != RowGradient::kNone && tables[node.tensors[step.writes[0].operand].value];
  }

  // Instead of a step whose gradient comes as rows: ids and rows go to where the table lies.
  void gather_rows(std::uint32_t op, const Step& step) {
    const OpNode& node = g->ops()[op];
    const OpSegment& segment = *segments[op];
    const TensorId ids = node.tensors[step.reads[0].operand],
                   y = node.tensors[step.reads[1].operand];
    const Instance* from = source_of(op, step.reads[1], step.phase);
    SOAPSTONE_ASSERT(from != nullptr, "{}: its gradient is read and nothing uses it", node.name);
    const TensorDesc& desc = g->tensor(y).desc;
    rows[node.tensors[step.writes[0].operand].value].push_back(
        {value_in(ids, segment.gathered[0], op, Phase::kForward),
         moved(*from, segment.gathered[1], BufferKind::kActivationGradient, op, y.value, step.phase,
               desc.dtype, desc.order, false)});
  }

  void run_step(std::uint32_t op, int step_index) {
    const OpSegment& segment = *segments[op];
    const OpNode& node = g->ops()[op];
    const OpDefinition& def = node.definition;
    const Step& step = def.steps[static_cast<std::size_t>(step_index)];
    if (comes_as_rows(node, step)) return gather_rows(op, step);

    std::vector<const Instance*> read;
    for (const Ref& r : step.reads) read.push_back(source_of(op, r, step.phase));

    // Where the writes go: gradients of graph tensors into their slots, or
    // beside them when the slot has something already.
    struct Target {
      Instance instance;
      GradientSlot* slot = nullptr;
      bool beside = false;
      bool dropped = false;
      bool in_place = false;  // a state, which the step has read
    };
    std::vector<Target> targets;
    for (std::size_t w = 0; w < step.writes.size(); ++w) {
      const Ref& ref = step.writes[w];
      const Operand& operand = def.operands[ref.operand];
      const CutPtr& cut = segment.written[static_cast<std::size_t>(step_index)][w];
      const TensorId t = node.tensors[ref.operand];
      Target target;
      if (operand.role == OperandRole::kInternal) {
        target.instance = new_instance(cut, BufferKind::kInternal, kNoIndex, operand.desc.dtype);
      } else if (operand.role == OperandRole::kWeight && !ref.gradient) {
        target.instance = weights->values[t.value].at(cut->hash);
        target.in_place = true;
      } else if (!ref.gradient) {
        target.instance = new_instance(cut, kind_of_value(t), t.value, operand.desc.dtype);
      } else if (g->tensor(t).needs_gradient && operand.differentiable) {
        target.slot = &held(t).slots[t.value].at(cut->hash);
        // The slot takes its first contribution directly; an operator that reads one tensor twice
        // makes two at once.
        target.beside = target.slot->contributed > 0 ||
                        std::any_of(targets.begin(), targets.end(),
                                    [&](const Target& other) { return other.slot == target.slot; });
        const BufferKind kind = g->tensor(t).role == TensorRole::kWeight
                                    ? BufferKind::kWeightGradient
                                    : BufferKind::kActivationGradient;
        target.instance = new_instance(cut, kind, t.value, operand.desc.dtype);
        if (!target.beside) target.slot->instance = target.instance;
      } else {
        target.dropped = true;  // nobody wants it: the kernel gets no block and writes nothing
      }
      targets.push_back(std::move(target));
    }

    std::vector<BufferUse> uses;
    for (std::size_t i = 0; i < segment.strategy.devices.size(); ++i) {
      const DeviceId d = segment.strategy.devices[i];
      uses.clear();
      for (std::size_t r = 0; r < read.size(); ++r)
        uses.push_back({read[r] == nullptr ? kNoIndex : buffer_on(*read[r], d), UseAccess::kRead});
      for (const Target& target : targets)
        uses.push_back({target.dropped ? kNoIndex : buffer_on(target.instance, d),
                        target.in_place ? UseAccess::kReadWrite : UseAccess::kWrite});
      Task& task = add_task(d, TaskKind::kCompute, phase_of(step), uses);
      task.op = op;
      task.step = static_cast<std::uint16_t>(step_index);
      task.row = table_row(first_shard[op] + static_cast<std::uint32_t>(i));
      DeviceState& s = state(d);
      s.workspace = std::max(s.workspace, segment.workspace[i]);
    }
    ++order;

    for (std::size_t w = 0; w < step.writes.size(); ++w) {
      const Ref& ref = step.writes[w];
      Target& target = targets[w];
      if (target.dropped || target.in_place) continue;
      const Operand& operand = def.operands[ref.operand];
      const TensorId t = node.tensors[ref.operand];
      if (operand.role == OperandRole::kInternal) {
        if (reads_later(segment, def, ref))
          now->own[op].insert_or_assign(
              ref, moved(target.instance, segment.read[ref.operand], BufferKind::kInternal, op,
                         kNoIndex, phase_of(step), operand.desc.dtype, operand.desc.order, true));
      } else if (!ref.gradient && recomputing) {
        now->made[t.value] = target.instance;  // moves to those who ask for it
        now->values[t.value].emplace(target.instance.cut->hash, target.instance);
      } else if (!ref.gradient) {
        distribute(t, target.instance, op, reads_later(segment, def, ref));
      } else {
        if (target.beside) accumulate(target.instance, target.slot->instance, op, t.value);
        contributed(t, *target.slot, op);
      }
    }
  }

  // How many contributions each gradient will get, by the layout they come in: of weights in a
  // step, or where only parts of their gradients are kept, in a micro-batch.
  void expect_gradients(std::vector<std::map<std::uint64_t, GradientSlot>>& of, bool of_weights) {
    for (std::uint32_t op = 0; op < g->ops().size(); ++op) {
      const OpNode& node = g->ops()[op];
      const OpSegment& segment = *segments[op];
      for (const int k : segment.steps) {
        const Step& step = node.definition.steps[static_cast<std::size_t>(k)];
        if (comes_as_rows(node, step)) continue;
        for (std::size_t w = 0; w < step.writes.size(); ++w) {
          const Ref& ref = step.writes[w];
          const Operand& operand = node.definition.operands[ref.operand];
          if (!ref.gradient || operand.role == OperandRole::kInternal || !operand.differentiable)
            continue;
          const TensorId t = node.tensors[ref.operand];
          if (!g->tensor(t).needs_gradient || is_weight(t) != of_weights) continue;
          const CutPtr& cut = segment.written[static_cast<std::size_t>(k)][w];
          of[t.value][cut->hash].expected +=
              of_weights && zero_of(t) < 2 ? static_cast<int>(plan.micro_batches) : 1;
        }
      }
    }
  }

  // What the operators of a stage read of the data.
  void load_sources(std::int32_t stage) {
    for (std::uint32_t t = 0; t < g->tensors().size(); ++t) {
      const Tensor& tensor = g->tensors()[t];
      if (tensor.role != TensorRole::kSource) continue;
      for (const CutPtr& cut : readers_of(TensorId(t), 0, false)) {
        if (now->values[t].contains(cut->hash)) continue;
        if (pipeline.ops.size() > 1 && !is_read(TensorId(t), cut, stage, false)) continue;
        const Instance instance = new_instance(cut, BufferKind::kSource, t, tensor.desc.dtype);
        for (std::size_t i = 0; i < instance.buffers.size(); ++i) {
          if (instance.buffers[i] == kNoIndex) continue;
          const BufferUse uses[] = {{instance.buffers[i], UseAccess::kWrite}};
          add_task(cut->layout.devices[i], TaskKind::kLoad, Phase::kForward, uses).tensor = t;
        }
        now->values[t].emplace(cut->hash, instance);
        ++order;
      }
    }
  }

  void find_homes() {
    for (std::uint32_t t = 0; t < g->tensors().size(); ++t) {
      const Tensor& tensor = g->tensors()[t];
      if (tensor.role != TensorRole::kWeight) continue;
      homes[t] = segments[tensor.producer.op.value]->read[tensor.producer.operand];
      if (zero_of(TensorId(t)) > 0) homes[t] = make_cut(shared_among_replicas(homes[t]->layout));
    }
  }

  void place_weights() {
    for (std::uint32_t t = 0; t < g->tensors().size(); ++t)
      if (homes[t])
        weights->values[t].emplace(homes[t]->hash, new_instance(homes[t], BufferKind::kWeight, t,
                                                                g->tensors()[t].desc.dtype));
  }

  // A weight that several operators share lives with the first of them; the others read copies made
  // in every step. So do all where only parts of the copies are kept.
  void distribute_weights() {
    for (std::uint32_t t = 0; t < g->tensors().size(); ++t) {
      const TensorId id(t);
      if (!homes[t] || zero_of(id) == 3) continue;
      if (g->tensors()[t].uses.size() < 2 && zero_of(id) == 0) continue;
      const Instance made = weights->values[t].at(homes[t]->hash);
      distribute(id, made, g->tensors()[t].producer.op.value, false);
    }
  }

  void update_weights() {
    std::optional<Instance> scalar;
    if (options.clip_gradient_norm) scalar = gradient_norm();
    for (std::uint32_t t = 0; t < g->tensors().size(); ++t) {
      const Tensor& tensor = g->tensors()[t];
      if (tensor.role != TensorRole::kWeight || !tensor.needs_gradient) continue;
      const CutPtr& home = homes[t];
      const Instance& weight = weights->values[t].at(home->hash);
      std::vector<Instance> optimizer;
      const std::uint32_t state_count =
          table_of(*g, TensorId(t)) ? plan.table_states : plan.optimizer_states;
      for (std::uint32_t k = 0; k < state_count; ++k)
        optimizer.push_back(new_instance(home, BufferKind::kOptimizerState, t, tensor.desc.dtype));
      for (std::size_t i = 0; i < weight.buffers.size(); ++i) {
        if (weight.buffers[i] == kNoIndex) continue;
        const DeviceId d = home->layout.devices[i];
        std::vector<BufferUse> uses{{weight.buffers[i], UseAccess::kReadWrite}};
        if (!tables[t]) uses.push_back({buffer_on(*weights->gradients[t], d), UseAccess::kRead});
        for (const auto& o : optimizer) uses.push_back({o.buffers[i], UseAccess::kReadWrite});
        if (tables[t]) use_rows(t, d, uses);
        if (scalar) uses.push_back({buffer_on(*scalar, d), UseAccess::kRead});
        if (tables[t]) {
          add_row_task(TaskKind::kUpdateRows, t, d, uses);
        } else {
          Task& task = add_task(d, TaskKind::kUpdate, Phase::kUpdate, uses);
          task.op = tensor.producer.op.value;
          task.tensor = t;
        }
      }
      ++order;
    }
  }

  void use_rows(std::uint32_t t, DeviceId d, std::vector<BufferUse>& uses) const {
    for (const Rows& r : rows[t]) {
      uses.push_back({buffer_on(r.ids, d), UseAccess::kRead});
      uses.push_back({buffer_on(r.rows, d), UseAccess::kRead});
    }
  }

  void add_row_task(TaskKind kind, std::uint32_t t, DeviceId d, std::span<const BufferUse> uses) {
    const Table& table = *tables[t];
    const auto& devices = segments[table.op]->strategy.devices;
    const auto part = std::find(devices.begin(), devices.end(), d) - devices.begin();
    Task& task = add_task(d, kind, Phase::kUpdate, uses);
    task.op = table.op;
    task.tensor = t;
    task.step = static_cast<std::uint16_t>(table.step);
    task.row = table_row(first_shard[table.op] + static_cast<std::uint32_t>(part));
    const OpDefinition& def = g->ops()[table.op].definition;
    const Ref& y = def.steps[static_cast<std::size_t>(table.step)].reads[1];
    const Shape& shape = def.operands[y.operand].desc.shape;
    const auto count = static_cast<std::int64_t>(rows[t].size());
    DeviceState& s = state(d);
    s.workspace = std::max(
        s.workspace, Bytes(row_merge_workspace(count * positions_of(*g, table),
                                               count * (elements(shape) / shape.back()), count)));
  }

  // The squares of all gradients, each counted once, summed over all devices.
  Instance gradient_norm() {
    std::vector<DeviceId> devices;
    for (const auto& s : states) devices.push_back(s.program.members[0]);
    std::sort(devices.begin(), devices.end());
    Layout partial;
    partial.parts = {{Interval{0, 1}}};
    partial.partials = static_cast<std::int32_t>(devices.size());
    partial.devices = devices;
    Layout everywhere = partial;
    everywhere.partials = 1;
    everywhere.replicas = static_cast<std::int32_t>(devices.size());
    const Instance local =
        new_instance(make_cut(partial), BufferKind::kScalar, kNoIndex, DType::kF64);
    for (std::size_t i = 0; i < devices.size(); ++i) {
      std::vector<BufferUse> uses;
      for (std::uint32_t t = 0; t < g->tensors().size(); ++t) {
        const Tensor& tensor = g->tensors()[t];
        if (tensor.role != TensorRole::kWeight || !tensor.needs_gradient || tables[t]) continue;
        const Instance& gradient = *weights->gradients[t];
        const auto shard = gradient.cut->layout.shard_on(devices[i]);
        if (shard < 0 || gradient.cut->layout.replica(static_cast<std::size_t>(shard)) != 0)
          continue;
        if (gradient.buffers[static_cast<std::size_t>(shard)] == kNoIndex) continue;
        uses.push_back({gradient.buffers[static_cast<std::size_t>(shard)], UseAccess::kRead});
      }
      uses.push_back({local.buffers[i], UseAccess::kWrite});
      add_task(devices[i], TaskKind::kNorm, Phase::kUpdate, uses);
    }
    ++order;
    for (std::uint32_t t = 0; t < g->tensors().size(); ++t) {
      if (!tables[t]) continue;
      const CutPtr& home = homes[t];
      const Instance& weight = weights->values[t].at(home->hash);
      for (std::size_t i = 0; i < weight.buffers.size(); ++i) {
        if (weight.buffers[i] == kNoIndex || home->layout.replica(i) != 0) continue;
        const DeviceId d = home->layout.devices[i];
        std::vector<BufferUse> uses;
        use_rows(t, d, uses);
        uses.push_back({buffer_on(local, d), UseAccess::kReadWrite});
        add_row_task(TaskKind::kNormRows, t, d, uses);
      }
      ++order;
    }
    return moved(local, make_cut(everywhere), BufferKind::kScalar, kNoIndex, kNoIndex,
                 Phase::kUpdate, DType::kF64, {}, true);
  }

  // The actions of the pipeline in the order in which they would start; what one makes for other
  // stages moves when it has ended, before any that starts then.
  void run_pipeline() {
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
      running.insert(std::upper_bound(running.begin(), running.end(), &a,
                                      [](const TimedAction* x, const TimedAction* y) {
                                        return x->end < y->end;
                                      }),
                     &a);
    }
    finish_until(INT64_MAX);
  }

  void enter(const PipelineAction& action) {
    micro_batch = static_cast<std::uint16_t>(action.micro_batch);
    auto& held = batches[micro_batch];
    if (!held) {
      held = std::make_unique<Held>(g->tensors().size(), g->ops().size());
      held->slots = new_slots;
    }
    now = held.get();
  }

  void run_action(const PipelineAction& action) {
    enter(action);
    const auto& ops = pipeline.ops[static_cast<std::size_t>(action.stage)];
    const auto run = [&](std::uint32_t op, auto&& wanted) {
      for (const int k : segments[op]->steps)
        if (wanted(g->ops()[op].definition.steps[static_cast<std::size_t>(k)].phase))
          run_step(op, k);
      release_weights(op);
    };
    if (action.kind == ActionKind::kForward) {
      load_sources(action.stage);
      for (const std::uint32_t op : ops) run(op, [](Phase p) { return p == Phase::kForward; });
      return;
    }
    for (std::size_t i = ops.size(); i-- > 0;)
      run(ops[i], [&](Phase p) {
        return action.kind == ActionKind::kBackward        ? p != Phase::kForward
               : action.kind == ActionKind::kBackwardInput ? p == Phase::kBackwardInput
                                                           : p == Phase::kBackwardWeight;
      });
  }

  void finish_action(const PipelineAction& action) {
    enter(action);
    const auto values = std::exchange(now->outgoing, {});
    for (const TensorId t : values) {
      const std::uint32_t op = g->tensor(t).producer.op.value;
      const Instance made = *now->made[t.value];
      distribute(t, made, op, true, true);
    }
    const auto gradients = std::exchange(now->outgoing_gradients, {});
    for (const auto& each : gradients) return_gradient(each.tensor, *each.slot, each.op);
    if (action.kind == ActionKind::kForward && options.training) forget(action.stage);
    if (--actions_left[micro_batch] == 0) batches[micro_batch].reset();
  }

  Result<Plan> lower(const Strategy& strategy) {
    SOAPSTONE_TRY(check(graph, strategy, static_cast<std::uint32_t>(cluster.size())));
    auto& micro_graph = micro_graphs;
    if (!micro_graph.contains(strategy.micro_batches)) {
      SOAPSTONE_ASSIGN(Graph made, graph.micro_batch(strategy.micro_batches));
      micro_graph.emplace(strategy.micro_batches, std::move(made));
    }
    g = &micro_graph.at(strategy.micro_batches);
    for (std::size_t i = 0; strategy.micro_batches > 1 && i < strategy.ops.size(); ++i)
      SOAPSTONE_TRY(
          check(g->ops()[i], strategy.ops[i], static_cast<std::uint32_t>(cluster.size())));

    SOAPSTONE_ASSIGN(pipeline, pipeline_of(*g, strategy, options.training));

    plan = {};
    plan.graph = graph.name();
    plan.graph_hash = graph.hash();
    plan.strategy_hash = hash_of(strategy);
    plan.training = options.training;
    plan.micro_batches = static_cast<std::uint32_t>(strategy.micro_batches);
    plan.device_count = static_cast<std::uint32_t>(cluster.size());
    plan.optimizer_states =
        options.training ? static_cast<std::uint32_t>(options.optimizer_states) : 0;
    plan.table_states =
        options.training
            ? static_cast<std::uint32_t>(options.table_states.value_or(options.optimizer_states))
            : 0;
    class_of_device.assign(cluster.size(), kNoIndex);
    states.clear();
    segments.clear();
    if (kept > kMostKept) {
      op_segments.clear();
      move_segments.clear();
      kept = 0;
    }
    first_shard.clear();
    transfer_index.clear();
    const std::size_t tensor_count = g->tensors().size();
    weights = std::make_unique<Held>(tensor_count, 0);
    batches.clear();
    batches.resize(static_cast<std::size_t>(strategy.micro_batches));
    actions_left.assign(batches.size(), 0);
    new_slots.assign(tensor_count, {});
    homes.assign(tensor_count, nullptr);
    tables.assign(tensor_count, std::nullopt);
    rows.assign(tensor_count, {});
    by_rows.assign(tensor_count, false);
    for (std::uint32_t t = 0; options.by_rows && t < tensor_count; ++t)
      if (const auto table = table_of(*g, TensorId(t));
          table &&
          positions_of(*g, *table) * strategy.micro_batches <= g->tensors()[t].desc.shape[0]) {
        by_rows[t] = true;
        if (options.training) tables[t] = table;
      }
    order = 0;

    // Devices get their programs in ascending order, whatever order they are used in.
    std::vector<bool> is_used(cluster.size(), false);
    for (const auto& s : strategy.ops)
      for (const DeviceId d : s.devices) is_used[d.value] = true;
    for (std::uint32_t d = 0; d < is_used.size(); ++d)
      if (is_used[d]) state(DeviceId(d));

    for (std::uint32_t op = 0; op < g->ops().size(); ++op) {
      segments.push_back(op_segment(op, strategy.ops[op], strategy.micro_batches));
      first_shard.push_back(static_cast<std::uint32_t>(plan.shards.size()));
      plan.shards.insert(plan.shards.end(), segments.back()->shards.begin(),
                         segments.back()->shards.end());
    }
    find_homes();
    if (options.training) {
      expect_gradients(weights->slots, true);
      expect_gradients(new_slots, false);
    }
    micro_batch = 0;
    place_weights();
    distribute_weights();
    run_pipeline();
    if (options.training) update_weights();

    for (auto& s : states) {
      if (s.workspace.value > 0)
        s.program.buffers.push_back(
            {BufferKind::kWorkspace, kNoIndex, DType::kF32, {}, s.workspace, Bytes(-1)});
      plan.classes.push_back(std::move(s.program));
    }
    // Numbered as this plan uses them, whatever was lowered before.
    std::vector<std::uint32_t> renumbered(candidate_names.size(), kNoIndex);
    for (Shard& shard : plan.shards) {
      std::uint32_t& number = renumbered[shard.candidate];
      if (number == kNoIndex) {
        number = static_cast<std::uint32_t>(plan.candidates.size());
        plan.candidates.push_back(candidate_names[shard.candidate]);
      }
      shard.candidate = number;
    }
    if (options.place_memory) place_buffers(plan);
    return std::move(plan);
  }
};

LowerOptions lower_options(OptimizerKind kind, double momentum, double weight_decay,
                           TableOptimizer tables) {
  LowerOptions options;
  options.optimizer_states = optimizer_states(kind, momentum);
  if (tables != TableOptimizer::kSame) kind = kind_of(tables, kind), momentum = weight_decay = 0;
  options.table_states = optimizer_states(kind, momentum);
  options.by_rows = keeps_rows_of_zeros(kind, momentum, weight_decay);
  return options;
}

Lowering::Lowering(const Graph& graph, const Cluster& cluster, const KernelCatalog& catalog,
                   LowerOptions options)
    : impl_(new Impl(graph, cluster, catalog, options)) {}
Lowering::~Lowering() = default;
Lowering::Lowering(Lowering&&) noexcept = default;

Result<Plan> Lowering::lower(const Strategy& strategy) { return impl_->lower(strategy); }

Result<Plan> lower(const Graph& graph, const Strategy& strategy, const Cluster& cluster,
                   const KernelCatalog& catalog, LowerOptions options) {
  return Lowering(graph, cluster, catalog, options).lower(strategy);
}

}  // namespace soapstone::core
