#include "tests/support/interpreter/interpreter.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <set>

#include "core/assert.hpp"
#include "core/member_boxes.hpp"
#include "core/sequence_order.hpp"
#include "tests/support/interpreter/transfer.hpp"
#include "tests/support/reference/reference.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::interpreter {

namespace {

constexpr double kUnwritten = std::numeric_limits<double>::quiet_NaN();
constexpr std::int64_t kSlot = 4;  // bytes of which the arena remembers the owner

struct Held {
  core::Box box;
  Values values;
  bool written = false;
};

bool is_kept(core::BufferKind kind) {
  return kind == core::BufferKind::kWeight || kind == core::BufferKind::kOptimizerState;
}

struct DeviceState {
  core::DeviceId device;
  const core::DeviceClass* program = nullptr;
  std::uint32_t member = 0;
  std::vector<Held> buffers;
  std::vector<core::Box> boxes;                   // of the buffers
  std::vector<std::vector<std::uint32_t>> parts;  // per buffer: those inside it
  // Per memory and slot of its arena: the buffer, not a part of one, that wrote it last.
  std::vector<std::uint32_t> owner[2];
  std::vector<bool> done;
  std::vector<std::uint32_t> computing;  // tasks
  std::size_t next = 0;                  // of those
};

struct TaskPlace {
  std::uint32_t device = 0;  // index into the states
  std::uint32_t task = 0;
};

struct Machine {
  const core::Graph& whole;
  const core::Graph graph;  // of a micro-batch
  const core::Plan& plan;
  const TrainingData& data;
  const RunOptions& options;
  std::vector<DeviceState> devices;
  std::vector<std::vector<TaskPlace>>
      actions;  // what happens at once: a task, or all parts of a transfer
  std::map<std::uint32_t, Values> sources;
  int step_number = 0;
  PlanStep step;
  std::map<std::vector<core::Interval>, double> losses;  // by micro-batch and part

  Machine(const core::Graph& g, const core::Plan& p, const TrainingData& d, const RunOptions& o)
      : whole(g),
        graph(core::planned_graph(g, p.micro_batches, p.zigzag).value()),
        plan(p),
        data(d),
        options(o) {
    for (std::uint32_t t = 0; t < whole.tensors().size(); ++t)
      if (whole.tensors()[t].role == core::TensorRole::kSource)
        sources[t] = as_held(t, data.source(whole, core::TensorId(t)));
    for (const core::DeviceClass& c : plan.classes)
      for (std::uint32_t m = 0; m < c.members.size(); ++m) {
        DeviceState s;
        s.device = c.members[m];
        s.program = &c;
        s.member = m;
        s.buffers.resize(c.buffers.size());
        s.boxes = core::member_boxes(graph, plan, c, m);
        const core::Bytes arenas[] = {c.arena, c.host_arena};
        for (int k = 0; k < 2; ++k)
          s.owner[k].assign(
              static_cast<std::size_t>(std::max<std::int64_t>(0, arenas[k].value) / kSlot),
              core::kNoIndex);
        s.parts.resize(c.buffers.size());
        for (std::uint32_t b = 0; b < c.buffers.size(); ++b)
          if (c.buffers[b].inside != core::kNoIndex) s.parts[c.buffers[b].inside].push_back(b);
        for (std::uint32_t i = 0; i < c.tasks.size(); ++i)
          if (!core::runs_beside(c.tasks[i].kind)) s.computing.push_back(i);
        devices.push_back(std::move(s));
      }
    fill_kept_buffers();
    collect_actions();
  }

  // A source in the order in which the plan's graph has it.
  Values as_held(std::uint32_t t, const Values& in_order) const {
    const auto& specs = graph.spec().sources;
    const auto spec = std::find_if(specs.begin(), specs.end(), [&](const core::SourceSpec& s) {
      return s.name == whole.tensors()[t].name;
    });
    const core::Shape& shape = whole.tensors()[t].desc.shape;
    Values held(in_order.size());
    for (std::size_t e = 0; e < held.size(); ++e) {
      auto index = reference::row_major_index(shape, static_cast<std::int64_t>(e));
      for (std::size_t d = 0; d < spec->zigzag.size(); ++d)
        index[d] = reference::position_in_zigzag(index[d], shape[d], spec->zigzag[d]);
      held[e] = in_order[static_cast<std::size_t>(reference::row_major_position(shape, index))];
    }
    return held;
  }

  void fill_kept_buffers() {
    for (DeviceState& s : devices) {
      std::map<std::uint32_t, std::uint32_t> states_seen;
      for (std::uint32_t b = 0; b < s.buffers.size(); ++b) {
        const core::Buffer& buffer = s.program->buffers[b];
        if (!is_kept(buffer.kind)) continue;
        const core::TensorId t(buffer.tensor);
        const Values all = buffer.kind == core::BufferKind::kWeight
                               ? data.weight(whole, t)
                               : data.optimizer_state(whole, t, states_seen[buffer.tensor]++);
        write(s, b, s.boxes[b]).values = cut(whole.tensor(t).desc.shape, all, s.boxes[b]);
      }
    }
  }

  void collect_actions() {
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::vector<TaskPlace>>
        transfers;  // (order, transfer)
    std::vector<std::pair<std::uint32_t, std::vector<TaskPlace>>> ordered;
    for (std::uint32_t d = 0; d < devices.size(); ++d)
      for (std::uint32_t i = 0; i < devices[d].program->tasks.size(); ++i) {
        const core::Task& t = devices[d].program->tasks[i];
        if (t.kind == core::TaskKind::kTransfer)
          transfers[{t.order, plan.entry(t, devices[d].member)}].push_back({d, i});
        else
          ordered.push_back({t.order, {{d, i}}});
      }
    for (auto& [key, parts] : transfers) {
      // In the order of the transfer's members.
      const core::Transfer& transfer = plan.transfers[key.second];
      const auto place = [&](const TaskPlace& p) {
        return std::find_if(transfer.members.begin(), transfer.members.end(),
                            [&](const auto& m) { return m.device == devices[p.device].device; }) -
               transfer.members.begin();
      };
      std::sort(parts.begin(), parts.end(),
                [&](const auto& a, const auto& b) { return place(a) < place(b); });
      SOAPSTONE_ASSERT(parts.size() == transfer.members.size(),
                       "transfer {} at order {} has {} of {} parts", key.second, key.first,
                       parts.size(), transfer.members.size());
      ordered.push_back({key.first, parts});
    }
    std::stable_sort(ordered.begin(), ordered.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    for (auto& [order, parts] : ordered) actions.push_back(std::move(parts));
  }

  const core::Task& task(const TaskPlace& p) const {
    return devices[p.device].program->tasks[p.task];
  }
  std::string name(const DeviceState& s, const core::Task& t) const {
    return fmt::format("device {} order {} ({})", s.device.value, t.order,
                       core::task_label(whole, plan, *s.program, t));
  }

  // --- buffers ---------------------------------------------------------------------------------

  // Calls with every slot of the buffer and what owns it: itself, or what it is a part of.
  template <class Visit>
  void for_each_slot(DeviceState& s, std::uint32_t b, const Visit& visit) {
    const core::Buffer& buffer = s.program->buffers[b];
    if (buffer.offset.value < 0) return;
    const bool in_host = buffer.memory == core::Memory::kHost;
    SOAPSTONE_ASSERT((buffer.offset + buffer.size).value <=
                         (in_host ? s.program->host_arena : s.program->arena).value,
                     "device {}: buffer {} ends beyond the arena", s.device.value, b);
    auto& slots = s.owner[in_host ? 1 : 0];
    for (std::int64_t i = buffer.offset.value / kSlot;
         i < (buffer.offset + buffer.size).value / kSlot; ++i)
      visit(slots[static_cast<std::size_t>(i)]);
  }

  static std::uint32_t owner_of(const DeviceState& s, std::uint32_t b) {
    const std::uint32_t whole = s.program->buffers[b].inside;
    return whole == core::kNoIndex ? b : whole;
  }

  void own(DeviceState& s, std::uint32_t b) {
    for_each_slot(s, b, [&](std::uint32_t& owner) { owner = owner_of(s, b); });
  }

  Held& read(DeviceState& s, std::uint32_t b, const core::Task& t) {
    Held& held = s.buffers[b];
    SOAPSTONE_ASSERT(held.written, "{}: buffer {} is read before it is written", name(s, t), b);
    for_each_slot(s, b, [&](std::uint32_t& owner) {
      SOAPSTONE_ASSERT(owner == owner_of(s, b),
                       "{}: the bytes of buffer {} were taken by buffer {}", name(s, t), b, owner);
    });
    for (const double v : held.values)
      SOAPSTONE_ASSERT(!std::isnan(v), "{}: buffer {} holds NaN", name(s, t), b);
    return held;
  }

  Held& write(DeviceState& s, std::uint32_t b, const core::Box& box) {
    const core::Buffer& buffer = s.program->buffers[b];
    SOAPSTONE_ASSERT((core::size_of(buffer.dtype) * core::elements(box)) == buffer.size,
                     "device {}: box {} in buffer {} of {} bytes", s.device.value, core::print(box),
                     b, buffer.size.value);
    SOAPSTONE_ASSERT(s.member > 0 || box == buffer.box, "device {}: box {} in buffer {} of box {}",
                     s.device.value, core::print(box), b, core::print(buffer.box));
    Held& held = s.buffers[b];
    held.box = box;
    held.values.assign(static_cast<std::size_t>(core::elements(box)), kUnwritten);
    held.written = true;
    own(s, b);
    return held;
  }

  // What a task has written to a part is in the whole, and the other way round.
  void show_in_other_buffers(DeviceState& s, std::uint32_t b) {
    const core::Buffer& buffer = s.program->buffers[b];
    const auto first = [&](std::uint32_t part) {
      const core::Buffer& p = s.program->buffers[part];
      SOAPSTONE_ASSERT(p.dtype == s.program->buffers[p.inside].dtype,
                       "device {}: buffers {} and {} have other formats", s.device.value, part,
                       p.inside);
      return static_cast<std::ptrdiff_t>(p.at.value / core::size_of(p.dtype).value);
    };
    if (buffer.inside != core::kNoIndex) {
      Held& bucket = s.buffers[buffer.inside];
      if (!bucket.written) begin_whole(s, buffer.inside);
      std::copy(s.buffers[b].values.begin(), s.buffers[b].values.end(),
                bucket.values.begin() + first(b));
      own(s, buffer.inside);
    }
    for (const std::uint32_t part : s.parts[b]) {
      Held& held = s.buffers[part];
      if (!held.written) held.box = s.boxes[part];
      held.written = true;
      const auto begin = s.buffers[b].values.begin() + first(part);
      held.values.assign(begin, begin + static_cast<std::ptrdiff_t>(core::elements(held.box)));
    }
  }

  // Unwritten where its parts are; what lies between them may be anything.
  void begin_whole(DeviceState& s, std::uint32_t b) {
    const core::Buffer& buffer = s.program->buffers[b];
    const std::int64_t width = core::size_of(buffer.dtype).value;
    Held& held = s.buffers[b];
    held.box = s.boxes[b];
    held.written = true;
    held.values.assign(static_cast<std::size_t>(buffer.size.value / width), 0);
    for (const std::uint32_t part : s.parts[b]) {
      const core::Buffer& p = s.program->buffers[part];
      std::fill_n(held.values.begin() + p.at.value / width, p.size.value / width, kUnwritten);
    }
  }

  // --- tasks -----------------------------------------------------------------------------------

  void load(DeviceState& s, const core::Task& t) {
    const std::uint32_t b = s.program->uses_of(t)[0].buffer;
    const core::Box box = s.boxes[b];
    core::Box in_mini_batch = box;
    in_mini_batch[0].begin += t.micro_batch * graph.batch();
    in_mini_batch[0].end += t.micro_batch * graph.batch();
    write(s, b, box).values =
        cut(whole.tensors()[t.tensor].desc.shape, sources.at(t.tensor), in_mini_batch);
  }

  void compute(DeviceState& s, const core::Task& t) {
    const core::Shard& shard = plan.shards[plan.entry(t, s.member)];
    const core::OpNode& node = graph.ops()[t.op];
    SOAPSTONE_ASSERT(shard.op == t.op, "{}: the shard is of operator {}", name(s, t), shard.op);
    const core::LocalProblem problem{node.op, &node.definition, shard.axes};
    SOAPSTONE_ASSERT(shard.signature == problem.signature(), "{}: another part's signature",
                     name(s, t));
    const core::Step& definition = node.definition.steps[t.step];
    const auto uses = s.program->uses_of(t);
    SOAPSTONE_ASSERT(uses.size() == definition.reads.size() + definition.writes.size(),
                     "{}: {} uses", name(s, t), uses.size());
    // What kernels may scribble on.
    for (std::uint32_t b = 0; b < s.buffers.size(); ++b)
      if (s.program->buffers[b].kind == core::BufferKind::kWorkspace) own(s, b);

    std::vector<reference::View> views;
    std::vector<Values> dropped(uses.size());
    for (std::size_t k = 0; k < uses.size(); ++k) {
      const bool reads = k < definition.reads.size();
      const core::Ref& ref =
          reads ? definition.reads[k] : definition.writes[k - definition.reads.size()];
      const core::Operand& operand = node.definition.operands[ref.operand];
      const core::Box box = reference::present_box(problem, ref.operand);
      if (uses[k].buffer == core::kNoIndex) {
        const bool unwanted = !reads && ref.gradient &&
                              operand.role != core::OperandRole::kInternal &&
                              !graph.tensor(node.tensors[ref.operand]).needs_gradient;
        // Zero, which is what `dropped` holds.
        const bool unused = reads && ref.gradient && operand.role == core::OperandRole::kOutput;
        SOAPSTONE_ASSERT(core::is_empty(box) || unwanted || unused, "{}: no buffer for {} {}",
                         name(s, t), operand.name, core::print(box));
        dropped[k].resize(static_cast<std::size_t>(core::elements(box)));
        views.push_back({box, dropped[k].data()});
        continue;
      }
      const bool is_state = operand.role == core::OperandRole::kWeight && !operand.differentiable;
      SOAPSTONE_ASSERT(uses[k].access == (reads      ? core::UseAccess::kRead
                                          : is_state ? core::UseAccess::kReadWrite
                                                     : core::UseAccess::kWrite),
                       "{}: access of {}", name(s, t), operand.name);
      Held& held = reads ? read(s, uses[k].buffer, t) : write(s, uses[k].buffer, box);
      SOAPSTONE_ASSERT(held.box == box, "{}: {} is {} but the buffer holds {}", name(s, t),
                       operand.name, core::print(box), core::print(held.box));
      // What is changed in place is read before it is written.
      if (reads && is_state) dropped[k] = held.values;
      views.push_back({box, reads && is_state ? dropped[k].data() : held.values.data()});
    }
    // Rows of the first operand, which are samples unless a reshape before has merged dimensions
    // into them.
    const std::int64_t rows_before = t.micro_batch * node.definition.operands[0].desc.shape[0];
    reference::run_step(problem, t.step, views,
                        {data.seed, static_cast<std::uint64_t>(step_number), t.op, rows_before});
    for (std::size_t w = 0; w < definition.writes.size(); ++w) {
      const core::TensorId written = node.tensors[definition.writes[w].operand];
      const bool is_loss = written == graph.loss(),
                 is_correct = graph.correct() && written == *graph.correct();
      if (definition.writes[w].gradient || !(is_loss || is_correct)) continue;
      // Parts add up; copies are equal.
      std::vector<core::Interval> part{{t.micro_batch, is_loss}};
      for (std::size_t a = 0; a < shard.axes.size(); ++a)
        if (definition.reduces.has(static_cast<int>(a))) part.push_back(shard.axes[a]);
      const double value = *views[definition.reads.size() + w].data;
      const auto [known, is_new] = losses.emplace(part, value);
      if (is_new) (is_loss ? step.loss : step.correct) += value;
      SOAPSTONE_ASSERT(std::abs(known->second - value) <= 1e-9 * std::abs(value),
                       "{}: copies of the loss differ", name(s, t));
    }
  }

  void accumulate(DeviceState& s, const core::Task& t) {
    const auto uses = s.program->uses_of(t);
    const Held& from = read(s, uses[0].buffer, t);
    Held& to = read(s, uses[1].buffer, t);
    SOAPSTONE_ASSERT(from.box == to.box && uses[1].access == core::UseAccess::kReadWrite &&
                         uses[0].buffer != uses[1].buffer,
                     "{}: {} onto {}", name(s, t), core::print(from.box), core::print(to.box));
    for (std::size_t i = 0; i < to.values.size(); ++i) to.values[i] += from.values[i];
  }

  void host_copy(DeviceState& s, const core::Task& t) {
    const auto uses = s.program->uses_of(t);
    const auto memory = [&](std::size_t k) { return s.program->buffers[uses[k].buffer].memory; };
    SOAPSTONE_ASSERT(memory(0) != memory(1) && uses[1].access == core::UseAccess::kWrite,
                     "{}: from and to one memory", name(s, t));
    const Held& from = read(s, uses[0].buffer, t);
    write(s, uses[1].buffer, from.box).values = from.values;
  }

  void norm(DeviceState& s, const core::Task& t) {
    const auto uses = s.program->uses_of(t);
    double sum = 0;
    for (const auto& use : uses.first(uses.size() - 1))
      for (const double v : read(s, use.buffer, t).values) sum += v * v;
    write(s, uses.back().buffer, {core::Interval{0, 1}}).values = {sum};
  }

  // The gradient of a table's part, in full, from the ids and rows of all micro-batches.
  Held full_gradient(DeviceState& s, const core::Task& t, std::span<const core::BufferUse> pairs) {
    const core::Shard& shard = plan.shards[plan.entry(t, s.member)];
    const core::OpNode& node = graph.ops()[t.op];
    const core::Step& definition = node.definition.steps[t.step];
    const auto operand = [&](const core::Ref& ref) {
      return node.definition.operands[ref.operand];
    };
    Held full;
    full.box = reference::present_box({node.op, &node.definition, shard.axes},
                                      definition.writes[0].operand);
    full.values.assign(static_cast<std::size_t>(core::elements(full.box)), 0);
    SOAPSTONE_ASSERT(pairs.size() == 2 * plan.micro_batches, "{}: {} blocks of ids and rows",
                     name(s, t), pairs.size());
    // Every row of the mini-batch, in the columns that this part of the table has.
    const core::Box all_ids = core::whole(operand(definition.reads[0]).desc.shape);
    core::Box all_rows = core::whole(operand(definition.reads[1]).desc.shape);
    all_rows[all_rows.size() - 1] = full.box[1];
    const auto width = static_cast<std::size_t>(full.box[1].extent());
    for (std::size_t k = 0; k < pairs.size(); k += 2) {
      const Held& ids = read(s, pairs[k].buffer, t);
      const Held& rows = read(s, pairs[k + 1].buffer, t);
      SOAPSTONE_ASSERT(ids.box == all_ids && rows.box == all_rows,
                       "{}: ids {} and rows {}, not {} and {}", name(s, t), core::print(ids.box),
                       core::print(rows.box), core::print(all_ids), core::print(all_rows));
      const std::size_t bag = ids.values.size() / (rows.values.size() / width);
      for (std::size_t p = 0; p < ids.values.size(); ++p) {
        double scale = 1;
        if (definition.rows == core::RowGradient::kMean) {
          const auto first = ids.values.begin() + static_cast<std::ptrdiff_t>(p / bag * bag);
          scale = 1.0 /
                  static_cast<double>(std::count_if(first, first + static_cast<std::ptrdiff_t>(bag),
                                                    [](double id) { return id >= 0; }));
        }
        const auto id = static_cast<std::int64_t>(ids.values[p]);
        if (id < full.box[0].begin || id >= full.box[0].end) continue;
        const auto row = static_cast<std::size_t>(id - full.box[0].begin);
        for (std::size_t j = 0; j < width; ++j)
          full.values[row * width + j] += scale * rows.values[p / bag * width + j];
      }
    }
    return full;
  }

  void norm_rows(DeviceState& s, const core::Task& t) {
    const auto uses = s.program->uses_of(t);
    const Held full = full_gradient(s, t, uses.first(uses.size() - 1));
    SOAPSTONE_ASSERT(uses.back().access == core::UseAccess::kReadWrite, "{}: access of the scalar",
                     name(s, t));
    for (const double v : full.values) read(s, uses.back().buffer, t).values[0] += v * v;
  }

  void update_rows(DeviceState& s, const core::Task& t) {
    const auto uses = s.program->uses_of(t);
    const std::size_t states = plan.table_states, pairs = 2 * plan.micro_batches;
    SOAPSTONE_ASSERT(uses.size() == 1 + states + pairs || uses.size() == 2 + states + pairs,
                     "{}: {} uses", name(s, t), uses.size());
    const Held gradient = full_gradient(s, t, uses.subspan(1 + states, pairs));
    apply(s, t, gradient, uses[0], uses.subspan(1, states),
          uses.size() == 2 + states + pairs ? &uses.back() : nullptr);
  }

  Sgd::Of of(std::uint32_t tensor) const {
    return core::table_of(whole, core::TensorId(tensor)) ? Sgd::Of::kTable : Sgd::Of::kWeight;
  }

  void update(DeviceState& s, const core::Task& t) {
    const auto uses = s.program->uses_of(t);
    const std::size_t states =
        of(t.tensor) == Sgd::Of::kTable ? plan.table_states : plan.optimizer_states;
    SOAPSTONE_ASSERT(uses.size() == 2 + states || uses.size() == 3 + states, "{}: {} uses",
                     name(s, t), uses.size());
    apply(s, t, read(s, uses[1].buffer, t), uses[0], uses.subspan(2, states),
          uses.size() == 3 + states ? &uses.back() : nullptr);
  }

  void apply(DeviceState& s, const core::Task& t, const Held& gradient,
             const core::BufferUse& weight_use, std::span<const core::BufferUse> states,
             const core::BufferUse* scalar) {
    Held& weight = read(s, weight_use.buffer, t);
    SOAPSTONE_ASSERT(weight.box == gradient.box, "{}: weight {} and gradient {}", name(s, t),
                     core::print(weight.box), core::print(gradient.box));
    Held* state = states.empty() ? nullptr : &read(s, states[0].buffer, t);
    SOAPSTONE_ASSERT(state == nullptr || state->box == weight.box, "{}: state {}", name(s, t),
                     core::print(state->box));
    double factor = 1;
    if (scalar != nullptr) {
      step.squared_norms.push_back(read(s, scalar->buffer, t).values[0]);
      factor = options.sgd.clip_factor(step.squared_norms.back());
    }
    const std::string& tensor = whole.tensors()[t.tensor].name;
    step.gradients[tensor].push_back({s.device, gradient.box, gradient.values});
    for (std::size_t i = 0; i < weight.values.size(); ++i)
      options.sgd.update(weight.values[i], factor * gradient.values[i],
                         state == nullptr ? nullptr : &state->values[i], of(t.tensor));
    if (state != nullptr) step.states[tensor].push_back({s.device, state->box, state->values});
  }

  void transfer(const std::vector<TaskPlace>& parts) {
    const core::Task& first = task(parts[0]);
    const core::Transfer& transfer =
        plan.transfers[plan.entry(first, devices[parts[0].device].member)];
    std::vector<Values> held, wanted(parts.size());
    for (std::size_t k = 0; k < parts.size(); ++k) {
      DeviceState& s = devices[parts[k].device];
      const core::Task& t = task(parts[k]);
      const core::TransferMember& member = transfer.members[k];
      SOAPSTONE_ASSERT(member.device == s.device, "{}: member {} of the transfer is device {}",
                       name(s, t), k, member.device.value);
      const auto uses = s.program->uses_of(t);
      SOAPSTONE_ASSERT(uses.size() == 3, "{}: {} uses", name(s, t), uses.size());
      SOAPSTONE_ASSERT((uses[0].buffer == core::kNoIndex) == core::is_empty(member.held),
                       "{}: held {}", name(s, t), core::print(member.held));
      SOAPSTONE_ASSERT((uses[1].buffer == core::kNoIndex) == core::is_empty(member.wanted),
                       "{}: wanted {}", name(s, t), core::print(member.wanted));
      held.emplace_back();
      if (uses[0].buffer != core::kNoIndex) {
        const Held& h = read(s, uses[0].buffer, t);
        SOAPSTONE_ASSERT(h.box == member.held, "{}: holds {}, the transfer says {}", name(s, t),
                         core::print(h.box), core::print(member.held));
        held.back() = h.values;
      }
      const core::Bytes staging = core::staging_bytes(transfer, static_cast<std::uint32_t>(k));
      SOAPSTONE_ASSERT((uses[2].buffer == core::kNoIndex) == (staging.value == 0),
                       "{}: staging of {} bytes", name(s, t), staging.value);
      if (uses[2].buffer != core::kNoIndex) {
        SOAPSTONE_ASSERT(s.program->buffers[uses[2].buffer].size >= staging,
                         "{}: staging is too small", name(s, t));
        own(s, uses[2].buffer);
      }
    }
    if (options.removed_order && *options.removed_order == first.order)
      wanted = kept_without(transfer, held);
    else
      wanted = transferred(transfer, held);
    for (std::size_t k = 0; k < parts.size(); ++k) {
      DeviceState& s = devices[parts[k].device];
      const auto uses = s.program->uses_of(task(parts[k]));
      if (uses[1].buffer != core::kNoIndex)
        write(s, uses[1].buffer, transfer.members[k].wanted).values = std::move(wanted[k]);
    }
  }

  void run(const std::vector<TaskPlace>& action) {
    DeviceState& s = devices[action[0].device];
    const core::Task& t = task(action[0]);
    switch (t.kind) {
      case core::TaskKind::kLoad:
        load(s, t);
        break;
      case core::TaskKind::kCompute:
        compute(s, t);
        break;
      case core::TaskKind::kTransfer:
        transfer(action);
        break;
      case core::TaskKind::kAccumulate:
        accumulate(s, t);
        break;
      case core::TaskKind::kHostCopy:
        host_copy(s, t);
        break;
      case core::TaskKind::kNorm:
        norm(s, t);
        break;
      case core::TaskKind::kUpdate:
        update(s, t);
        break;
      case core::TaskKind::kNormRows:
        norm_rows(s, t);
        break;
      case core::TaskKind::kUpdateRows:
        update_rows(s, t);
        break;
    }
    for (const TaskPlace& p : action) {
      DeviceState& d = devices[p.device];
      const core::Task& done = d.program->tasks[p.task];
      d.done[p.task] = true;
      if (!core::runs_beside(done.kind)) ++d.next;
      for (const core::BufferUse& use : d.program->uses_of(done))
        if (use.buffer != core::kNoIndex && use.access != core::UseAccess::kRead &&
            d.program->buffers[use.buffer].kind != core::BufferKind::kStaging)
          show_in_other_buffers(d, use.buffer);
    }
  }

  bool is_ready(const std::vector<TaskPlace>& action) const {
    return std::all_of(action.begin(), action.end(), [&](const TaskPlace& p) {
      const DeviceState& s = devices[p.device];
      const core::Task& t = s.program->tasks[p.task];
      const bool is_next = core::runs_beside(t.kind) ||
                           (s.next < s.computing.size() && s.computing[s.next] == p.task);
      const auto dependencies = s.program->dependencies_of(t);
      return is_next && std::all_of(dependencies.begin(), dependencies.end(),
                                    [&](auto d) { return s.done[d]; });
    });
  }

  PlanStep run_step(int number) {
    step_number = number;
    step = {};
    losses.clear();
    for (DeviceState& s : devices) {
      s.done.assign(s.program->tasks.size(), false);
      s.next = 0;
      for (std::uint32_t b = 0; b < s.buffers.size(); ++b)
        if (!is_kept(s.program->buffers[b].kind)) s.buffers[b] = {};
    }
    if (options.turns == Turns::kTotalOrder) {
      for (const auto& action : actions) {
        SOAPSTONE_ASSERT(is_ready(action), "{}: the total order runs it before what it depends on",
                         name(devices[action[0].device], task(action[0])));
        run(action);
      }
    } else {
      std::mt19937_64 random(options.turns_seed + static_cast<std::uint64_t>(number));
      std::vector<std::uint32_t> left(actions.size()), ready;
      for (std::uint32_t i = 0; i < left.size(); ++i) left[i] = i;
      while (!left.empty()) {
        ready.clear();
        for (std::uint32_t k = 0; k < left.size(); ++k)
          if (is_ready(actions[left[k]])) ready.push_back(k);
        SOAPSTONE_ASSERT(!ready.empty(), "deadlock: {} tasks and transfers wait for each other",
                         left.size());
        const std::uint32_t k = ready[random() % ready.size()];
        const std::uint32_t chosen = left[k];
        left.erase(left.begin() + k);
        run(actions[chosen]);
      }
    }
    for (DeviceState& s : devices)
      for (std::uint32_t b = 0; b < s.buffers.size(); ++b)
        if (s.program->buffers[b].kind == core::BufferKind::kWeight)
          step.weights[whole.tensors()[s.program->buffers[b].tensor].name].push_back(
              {s.device, s.buffers[b].box, s.buffers[b].values});
    return step;
  }
};

}  // namespace

std::vector<PlanStep> run_plan(const core::Graph& graph, const core::Plan& plan,
                               const TrainingData& data, const RunOptions& options) {
  Machine machine(graph, plan, data, options);
  std::vector<PlanStep> steps;
  for (int k = 0; k < options.steps; ++k) steps.push_back(machine.run_step(k));
  return steps;
}

core::Status check_memory(const core::Plan& plan) {
  for (const core::DeviceClass& c : plan.classes) {
    const std::size_t count = c.tasks.size();
    const auto device = c.members[0].value;
    // before[i][j]: task j ends before task i begins, whatever anything takes.
    std::vector<std::vector<bool>> before(count, std::vector<bool>(count, false));
    std::optional<std::uint32_t> last_computing;
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto after = [&](std::uint32_t j) {
        before[i][j] = true;
        for (std::uint32_t k = 0; k < j; ++k)
          if (before[j][k]) before[i][k] = true;
      };
      if (!core::runs_beside(c.tasks[i].kind)) {
        if (last_computing) after(*last_computing);
        last_computing = i;
      }
      for (const auto d : c.dependencies_of(c.tasks[i])) after(d);
    }
    // Parts of a buffer are told apart by their bytes, all of them by the buffer that they are in.
    struct Use {
      std::uint32_t task;
      bool writes;
      std::uint32_t buffer;
      std::int64_t begin, end;  // bytes of the whole
    };
    std::vector<std::vector<Use>> uses(c.buffers.size());
    for (std::uint32_t i = 0; i < count; ++i)
      for (const auto& use : c.uses_of(c.tasks[i])) {
        if (use.buffer == core::kNoIndex) continue;
        const core::Buffer& buffer = c.buffers[use.buffer];
        const bool is_part = buffer.inside != core::kNoIndex;
        const std::int64_t begin = is_part ? buffer.at.value : 0;
        uses[is_part ? buffer.inside : use.buffer].push_back(
            {i, use.access != core::UseAccess::kRead, use.buffer, begin,
             begin + buffer.size.value});
      }
    for (std::uint32_t b = 0; b < uses.size(); ++b)
      for (const Use& u : uses[b])
        for (const Use& v : uses[b])
          if (u.task < v.task && (u.writes || v.writes) && u.begin < v.end && v.begin < u.end &&
              !before[v.task][u.task])
            return core::fail("device {}: tasks {} and {} race for buffer {}", device, u.task,
                              v.task, v.buffer);
    const auto all_before = [&](const std::vector<Use>& a, const std::vector<Use>& b) {
      for (const Use& u : a)
        for (const Use& v : b)
          if (!before[v.task][u.task]) return false;
      return true;
    };
    const auto lives_always = [&](std::uint32_t b) {
      const auto kind = c.buffers[b].kind;
      return is_kept(kind) || kind == core::BufferKind::kWorkspace ||
             kind == core::BufferKind::kScalar;
    };
    for (std::uint32_t a = 0; a < uses.size(); ++a) {
      const core::Buffer& x = c.buffers[a];
      if (x.offset.value < 0) continue;
      if (x.inside != core::kNoIndex) {
        const core::Buffer& whole = c.buffers[x.inside];
        if (x.offset != whole.offset + x.at || x.memory != whole.memory)
          return core::fail("device {}: buffer {} does not lie in buffer {}", device, a, x.inside);
        continue;
      }
      for (std::uint32_t b = 0; b < a; ++b) {
        const core::Buffer& y = c.buffers[b];
        if (y.offset.value < 0 || y.inside != core::kNoIndex || x.memory != y.memory) continue;
        if (x.offset + x.size <= y.offset || y.offset + y.size <= x.offset) continue;
        if (lives_always(a) || lives_always(b) ||
            !(all_before(uses[a], uses[b]) || all_before(uses[b], uses[a])))
          return core::fail("device {}: buffers {} and {} share bytes and live at the same time",
                            device, b, a);
      }
    }
  }
  return {};
}

namespace {

// The kinds of tensors that differences are relative to.
void compare_pieces(const core::Graph& graph, const std::string& kind, const Pieces& pieces,
                    const std::map<std::string, Values>& expected, Difference& out) {
  double largest = 0;
  for (const auto& [name, values] : expected)
    for (const double v : values) largest = std::max(largest, std::abs(v));
  const auto infinity = std::numeric_limits<double>::infinity();
  const auto note = [&](double difference, std::string where) {
    if (std::isnan(difference)) difference = infinity;
    if (difference > out.worst) out = {difference, std::move(where)};
  };
  for (const auto& [name, found] : pieces)
    if (!expected.contains(name)) note(infinity, kind + " of " + name + " is not expected");
  for (const auto& [name, values] : expected) {
    const auto it = pieces.find(name);
    if (it == pieces.end()) {
      note(infinity, kind + " of " + name + " is on no device");
      continue;
    }
    const core::Shape& shape = graph.tensor(*graph.find_tensor(name)).desc.shape;
    double scale = 1e-3 * largest;
    for (const double v : values) scale = std::max(scale, std::abs(v));
    std::vector<bool> covered(values.size(), false);
    Values positions(values.size());
    for (std::size_t i = 0; i < positions.size(); ++i) positions[i] = static_cast<double>(i);
    for (const Piece& piece : it->second) {
      const Values where = cut(shape, positions, piece.box);
      for (std::size_t i = 0; i < where.size(); ++i) {
        const auto at = static_cast<std::size_t>(where[i]);
        covered[at] = true;
        const double difference = std::abs(piece.values[i] - values[at]);
        if (difference == 0) continue;
        note(difference / scale,
             fmt::format("{} of {} element {} on device {}: {} instead of {}", kind, name, at,
                         piece.device.value, piece.values[i], values[at]));
      }
    }
    for (std::size_t i = 0; i < covered.size(); ++i)
      if (!covered[i])
        note(infinity, fmt::format("{} of {} element {} is on no device", kind, name, i));
  }
}

}  // namespace

Difference compare(const core::Graph& graph, const std::vector<PlanStep>& plan,
                   const std::vector<UnshardedStep>& expected) {
  Difference out;
  SOAPSTONE_ASSERT(plan.size() == expected.size(), "{} steps and {}", plan.size(), expected.size());
  for (std::size_t k = 0; k < plan.size(); ++k) {
    const auto note = [&](std::string what, double a, double b) {
      const double difference = a == b ? 0 : std::abs(a - b) / std::max(std::abs(b), 1e-30);
      if (!(difference <= out.worst))
        out = {std::isnan(difference) ? std::numeric_limits<double>::infinity() : difference,
               fmt::format("{}: {} instead of {}", what, a, b)};
    };
    note("loss", plan[k].loss, expected[k].loss);
    note("correct", plan[k].correct, expected[k].correct);
    for (const double n : plan[k].squared_norms) note("squared norm", n, expected[k].squared_norm);
    compare_pieces(graph, "gradient", plan[k].gradients, expected[k].gradients, out);
    compare_pieces(graph, "weight", plan[k].weights, expected[k].weights, out);
    std::map<std::string, Values> updated;  // only weights with a gradient have states
    for (const auto& [name, values] : expected[k].states)
      if (expected[k].gradients.contains(name)) updated[name] = values;
    compare_pieces(graph, "optimizer state", plan[k].states, updated, out);
  }
  return out;
}

}  // namespace soapstone::interpreter
