#include <algorithm>

#include "core/assert.hpp"
#include "core/derive.hpp"
#include "core/lowering/impl.hpp"

namespace soapstone::core {

using lowering::Instance;

namespace lowering {

namespace {

// Where some blocks of what goes round are after `round` hops from `home`, where it is cut along
// `dim`.
CutPtr turned(const Layout& home, std::size_t dim, std::size_t round,
              const std::vector<std::size_t>& blocks) {
  Layout out = home;
  out.parts[dim].clear();
  out.devices.clear();
  for (const std::size_t block : blocks) out.parts[dim].push_back(home.parts[dim][block]);
  const std::size_t count = home.parts[dim].size();
  std::size_t inner =
      static_cast<std::size_t>(home.partials) * static_cast<std::size_t>(home.replicas);
  for (std::size_t d = dim + 1; d < home.parts.size(); ++d) inner *= home.parts[d].size();
  for (std::size_t outer = 0; outer < home.size() / (count * inner); ++outer)
    for (const std::size_t block : blocks)
      for (std::size_t k = 0; k < inner; ++k)
        out.devices.push_back(home.devices[(outer * count + (block + round) % count) * inner + k]);
  return make_cut(std::move(out));
}

}  // namespace

void add_rounds(OpSegment& segment, const OpDefinition& def, const OpStrategy& strategy) {
  const auto count = static_cast<std::size_t>(round_count(def, strategy)),
             devices = strategy.devices.size();
  // The last round in which a block is used.
  std::vector<std::size_t> last(count, 0);
  for (std::size_t r = 0; r < count; ++r)
    for (std::size_t i = 0; i < devices; ++i) {
      const bool computes = r == 0 || !is_hidden(def, segment.shards[r * devices + i].axes);
      segment.computes.push_back(computes);
      const auto own = static_cast<std::size_t>(
          coordinates(strategy, i)[static_cast<std::size_t>(def.rounds.along)]);
      if (computes) last[(own + count - r) % count] = r;
    }
  segment.around.resize(def.operands.size());
  for (std::size_t k = 0; k < def.operands.size(); ++k) {
    const Operand& operand = def.operands[k];
    if (!operand.followed().has(def.rounds.over)) continue;
    Cut home = *segment.read[k];
    for (std::size_t s = 0; s < def.steps.size(); ++s)
      for (std::size_t w = 0; w < def.steps[s].writes.size(); ++w)
        if (is_in_rounds(def, strategy, def.steps[s]) && def.steps[s].writes[w].operand == k)
          home = *segment.written[s][w];
    std::size_t dim = 0;
    while (operand.dims[dim].axis != def.rounds.over) ++dim;
    for (std::size_t r = 0; r < count; ++r) {
      std::vector<std::size_t> here, leaving;
      for (std::size_t j = 0; j < count; ++j) {
        if (last[j] >= r) here.push_back(j);
        if (last[j] == r) leaving.push_back(j);
      }
      segment.around[k].push_back(
          {turned(home.layout, dim, r, here),
           leaving.empty() ? nullptr : turned(home.layout, dim, r, leaving),
           leaving.empty() ? nullptr : turned(home.layout, dim, 0, leaving)});
    }
  }
}

}  // namespace lowering

Instance Lowering::Impl::hop(const Instance& from, const Cut& to, const Moving& how) {
  if (from.cut->hash == to.hash) return from;
  // The sums of each partial apart.
  const auto pieces = [&] {
    std::vector<lowering::Segments::Piece> out;
    for (std::int32_t p = 0; p < from.cut->layout.partials; ++p)
      out.push_back(
          {lowering::some_sums(from.cut->layout, p, 1), lowering::some_sums(to.layout, p, 1)});
    return out;
  };
  const auto& segment =
      segments.move(*from.cut, to, lowering::Segments::Pieces::kSums, pieces, how.dtype, how.dims);
  return programs->moved(from, to, segment, how);
}

// A step of a ring (Rounds). While a device computes with one block the next comes; it may come
// when the one before the present is done with, so that there are two at a time. Sums follow their
// block one round behind: what a device adds is computed while what it is added to is on its way.
void Lowering::Impl::run_rounds(std::uint32_t op, int step_index) {
  const OpSegment& segment = *ops[op];
  const OpNode& node = g->ops()[op];
  const OpDefinition& def = node.definition;
  const Step& step = def.steps[static_cast<std::size_t>(step_index)];
  const std::size_t devices = strategy_of(op).devices.size(),
                    count = segment.shards.size() / devices;
  const auto goes_round = [&](const Ref& ref) { return !segment.around[ref.operand].empty(); };
  const auto how = [&](const Ref& ref) {
    const TensorDesc& desc = def.operands[ref.operand].desc;
    return Moving{
        BufferKind::kInternal, op, kNoIndex, phase_of(step), desc.dtype, desc.order, false,
        Window::kRound};
  };

  std::vector<std::optional<Instance>> read;
  for (const Ref& r : step.reads) read.push_back(source_of(op, r, step.phase));
  // Per write: what there is of it on every class; of what goes round, where it is now, and what
  // has come home.
  struct Target {
    std::vector<std::uint32_t> buffers;
    Instance sum;
    std::vector<Instance> home;
    std::size_t carried = SIZE_MAX;  // as which read
  };
  std::vector<Target> targets(step.writes.size());
  for (std::size_t w = 0; w < targets.size(); ++w) {
    SOAPSTONE_ASSERT(def.operands[step.writes[w].operand].role == OperandRole::kInternal,
                     "{}: step {} is done in rounds and writes {}", node.name, step.name,
                     def.operands[step.writes[w].operand].name);
    targets[w].buffers.assign(programs->size(), kNoIndex);
    for (std::size_t r = 0; r < step.reads.size(); ++r) {
      if (step.reads[r] != step.writes[w]) continue;
      targets[w].carried = r;
      for (const auto& spot : programs->spots(op))
        targets[w].buffers[spot.device_class] = programs->buffer_on(*read[r], spot.device_class);
    }
  }
  const auto add_up = [&](std::uint32_t device_class, std::uint32_t from, std::uint32_t to) {
    const BufferUse uses[] = {{from, UseAccess::kRead}, {to, UseAccess::kReadWrite}};
    programs->add_task(device_class, TaskKind::kAccumulate, phase_of(step), uses).op = op;
  };

  for (std::size_t round = 0; round < count; ++round) {
    std::vector<std::vector<std::uint32_t>> made(targets.size(),
                                                 std::vector(programs->size(), kNoIndex));
    for (const auto& spot : programs->spots(op)) {
      const std::uint32_t c = spot.device_class;
      if (!segment.computes[round * devices + spot.first]) continue;
      std::vector<BufferUse> uses;
      for (std::size_t r = 0; r < read.size(); ++r) {
        std::uint32_t buffer = read[r] ? programs->buffer_on(*read[r], c) : kNoIndex;
        for (const Target& target : targets)
          if (target.carried == r) buffer = target.buffers[c];
        uses.push_back({buffer, UseAccess::kRead});
      }
      const Shard& shard = segment.shards[round * devices + spot.first];
      for (std::size_t w = 0; w < targets.size(); ++w) {
        const Operand& operand = def.operands[step.writes[w].operand];
        const Box box = operand_box(operand, shard.axes);
        made[w][c] = is_empty(box) ? kNoIndex
                                   : programs->new_buffer(
                                         c, BufferKind::kInternal, kNoIndex, operand.desc.dtype,
                                         box, size_of(operand.desc.dtype) * elements(box));
        uses.push_back({made[w][c], UseAccess::kWrite});
      }
      Task& task = programs->add_task(c, TaskKind::kCompute, phase_of(step), uses);
      task.op = op;
      task.step = static_cast<std::uint16_t>(step_index);
      task.row = spot.row + static_cast<std::uint32_t>(round * programs->program(c).members.size());
      programs->needs_workspace(c, segment.workspace[spot.first]);
    }
    programs->next();

    ends(Window::kRound, op);
    for (std::size_t r = 0; r < read.size() && round + 1 < count; ++r)
      if (goes_round(step.reads[r]))
        read[r] = hop(*read[r], *segment.around[step.reads[r].operand][round + 1].here,
                      how(step.reads[r]));
    for (std::size_t w = 0; w < targets.size(); ++w) {
      Target& target = targets[w];
      if (!goes_round(step.writes[w])) {
        // Carried from round to round, or added up here.
        for (const auto& spot : programs->spots(op)) {
          const std::uint32_t c = spot.device_class, now_made = made[w][c];
          if (now_made == kNoIndex) continue;
          std::uint32_t& all = target.buffers[c];
          if (target.carried != SIZE_MAX || all == kNoIndex)
            all = now_made;
          else
            add_up(c, now_made, all);
        }
      } else {
        const auto& [here, leaving, home] = segment.around[step.writes[w].operand][round];
        if (round > 0)
          target.sum = hop(target.sum, *here, how(step.writes[w]));
        else
          target.sum = programs->unfilled(*here);
        const auto& spots = programs->place(*here).spots;
        const auto sums = programs->buffers(target.sum);
        for (std::size_t k = 0; k < spots.size(); ++k) {
          const std::uint32_t now_made = made[w][spots[k].device_class];
          if (now_made == kNoIndex) continue;
          if (round == 0)
            sums[k] = now_made;
          else
            add_up(spots[k].device_class, now_made, sums[k]);
        }
        if (leaving) {
          const Instance whole = programs->unfilled(*leaving);
          const auto& places = programs->place(*leaving).spots;
          for (std::size_t k = 0; k < places.size(); ++k)
            programs->buffers(whole)[k] = programs->buffer_on(target.sum, places[k].device_class);
          target.home.push_back(hop(whole, *home, how(step.writes[w])));
        }
      }
      programs->next();
    }
  }

  for (std::size_t w = 0; w < targets.size(); ++w) {
    const Cut& cut = *segment.written[static_cast<std::size_t>(step_index)][w];
    const Instance all = programs->unfilled(cut);
    const auto& spots = programs->place(cut).spots;
    for (std::size_t k = 0; k < spots.size(); ++k) {
      std::uint32_t buffer = targets[w].buffers[spots[k].device_class];
      for (const Instance& part : targets[w].home)
        if (const std::uint32_t b = programs->buffer_on(part, spots[k].device_class); b != kNoIndex)
          buffer = b;
      programs->buffers(all)[k] = buffer;
    }
    keep_internal(op, step.writes[w], all, phase_of(step));
  }
}

}  // namespace soapstone::core
