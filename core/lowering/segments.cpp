#include "core/lowering/segments.hpp"

#include <algorithm>
#include <utility>

#include "core/derive.hpp"
#include "core/local_problem.hpp"

namespace soapstone::core::lowering {

std::uint64_t combine(std::uint64_t a, std::uint64_t b) {
  Hasher h;
  h.word(a);
  h.word(b);
  return h.finish();
}

CutPtr make_cut(Layout layout) {
  auto cut = std::make_shared<Cut>();
  cut->hash = hash_of(layout);
  cut->layout = std::move(layout);
  return cut;
}

namespace {

template <class Which>
Layout some_of(const Layout& all, std::int32_t first, std::int32_t count, Which which) {
  Layout out = all;
  out.devices.clear();
  for (std::size_t i = 0; i < all.size(); ++i)
    if (which(i) >= first && which(i) < first + count) out.devices.push_back(all.devices[i]);
  return out;
}

}  // namespace

Layout some_copies(const Layout& all, std::int32_t first, std::int32_t count) {
  Layout out = some_of(all, first, count, [&](std::size_t i) { return all.replica(i); });
  out.replicas = count;
  return out;
}

Layout some_sums(const Layout& all, std::int32_t first, std::int32_t count) {
  Layout out = some_of(all, first, count, [&](std::size_t i) { return all.partial(i); });
  out.partials = count;
  return out;
}

Layout shared_among_replicas(const Layout& copies, std::int32_t over) {
  if (over < 2 || copies.parts.empty()) return copies;
  const auto count = static_cast<std::size_t>(over),
             replicas = static_cast<std::size_t>(copies.replicas), groups = replicas / count;
  Layout out = copies;
  std::size_t along = 0;
  const auto shortest = [&](std::size_t d) {
    std::int64_t least = INT64_MAX;
    for (const Interval& i : copies.parts[d]) least = std::min(least, i.extent());
    return least;
  };
  for (std::size_t d = 1; d < copies.parts.size(); ++d)
    if (shortest(d) > shortest(along)) along = d;
  out.replicas = static_cast<std::int32_t>(groups);
  out.parts[along].clear();
  for (const Interval& whole : copies.parts[along])
    for (std::size_t k = 0; k < count; ++k) {
      const auto at = [&](std::size_t i) {
        return whole.begin +
               whole.extent() * static_cast<std::int64_t>(i) / static_cast<std::int64_t>(count);
      };
      out.parts[along].push_back({at(k), at(k + 1)});
    }
  // Shards stand row-major over the dimensions' parts, replicas innermost.
  std::vector<std::size_t> place(copies.parts.size(), 0);
  for (std::size_t i = 0; i < out.devices.size(); i += groups) {
    std::size_t from = 0;
    for (std::size_t d = 0; d < place.size(); ++d)
      from = from * copies.parts[d].size() + (d == along ? place[d] / count : place[d]);
    for (std::size_t j = 0; j < groups; ++j)
      out.devices[i + j] = copies.devices[from * replicas + j * count + place[along] % count];
    for (std::size_t d = place.size(); d-- > 0;) {
      if (++place[d] < out.parts[d].size()) break;
      place[d] = 0;
    }
  }
  return out;
}

void Segments::begin(const Graph& graph) {
  graph_ = &graph;
  if (kept_ > kMostKept) {
    ops_.clear();
    moves_.clear();
    kept_ = 0;
  }
  auto& [definitions, steps] = known_[&graph];
  if (definitions.empty())
    for (const OpNode& node : graph.ops()) {
      const OpDefinition& def = node.definition;
      std::vector<int> needed;
      for (std::size_t k = 0; k < def.steps.size(); ++k) {
        const Step& step = def.steps[k];
        if ((training_ || step.phase == Phase::kForward) && step_is_needed(graph, node, step))
          needed.push_back(static_cast<int>(k));
      }
      Hasher h;
      append_hash(h, node.op);
      append_hash(h, def);
      append_hash(h, needed);
      definitions.push_back(h.finish());
      steps.push_back(std::move(needed));
    }
}

Segments::Choice Segments::choose(const LocalProblem& problem, std::uint64_t signature,
                                  DeviceId device) {
  const std::uint32_t kind = cluster_.device(device).kind;
  const auto [known, is_first] = choices_.try_emplace(combine(signature, kind));
  if (!is_first) return known->second;
  const KernelChoice choice = catalog_.choose(problem, cluster_.kind(device));
  const auto [it, is_new] =
      candidate_index_.emplace(choice.candidate, static_cast<std::uint32_t>(candidates_.size()));
  if (is_new) candidates_.push_back(choice.candidate);
  return known->second = {it->second, choice.workspace};
}

std::shared_ptr<const OpSegment> Segments::of(std::uint32_t op, const OpStrategy& strategy) {
  const auto& [definitions, needed] = known_.at(graph_);
  Hasher key;
  key.word(definitions[op]);
  key.word(static_cast<std::uint64_t>(strategy.replicas));
  key.word(static_cast<std::uint64_t>(strategy.ring));
  for (const auto degree : strategy.degrees) key.word(static_cast<std::uint64_t>(degree));
  for (const DeviceId d : strategy.devices) key.word(d.value);
  auto& entry = ops_[key.finish()];
  if (entry) return entry;
  auto s = std::make_shared<OpSegment>();
  const OpNode& node = graph_->ops()[op];
  const OpDefinition& def = node.definition;
  s->split = split_axes(def, strategy);
  s->form.resize(strategy.devices.size());
  s->workspace.resize(strategy.devices.size());
  for (std::int32_t round = 0; round < round_count(def, strategy); ++round)
    for (std::size_t i = 0; i < strategy.devices.size(); ++i) {
      LocalProblem problem = local_problem(node, strategy, i, round);
      const std::uint64_t signature = problem.signature();
      const Choice choice = choose(problem, signature, strategy.devices[i]);
      Hasher form;
      form.word(s->form[i]);
      form.word(signature);
      form.word(cluster_.device(strategy.devices[i]).kind);
      for (const Operand& operand : def.operands)
        for (const Interval& part : operand_box(operand, problem.axes))
          form.word(static_cast<std::uint64_t>(part.extent()));
      if (strategy.ring) form.word(is_hidden(def, problem.axes));
      s->form[i] = form.finish();
      s->shards.push_back({0, std::move(problem.axes), choice.candidate, signature});
      s->workspace[i] = std::max(s->workspace[i], choice.workspace);
    }
  for (const int k : needed[op])
    if (step_is_used(def.steps[static_cast<std::size_t>(k)], s->split,
                     training_ ? StepUse::kTraining : StepUse::kEvaluation))
      s->steps.push_back(k);
  for (const Step& step : def.steps) {
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
    s->read.push_back(make_cut(operand_layout(def, static_cast<int>(k), strategy, Access::kRead)));
  if (strategy.ring) add_rounds(*s, def, strategy);
  kept_ += 4096 + 256 * s->shards.size();
  entry = std::move(s);
  return entry;
}

void Segments::add(MoveSegment& segment, Reshard moves, const Layout& from, const Layout& to,
                   DType dtype, const DimOrder& dims) {
  for (ReshardGroup& group : moves.groups) {
    MoveSegment::Group out;
    out.pattern = group.pattern;
    if (group.pattern != Pattern::kNone) {
      out.transfer = transfer_of(group, from, to, dtype, dims);
      for (std::uint32_t k = 0; k < out.transfer.members.size(); ++k)
        out.staging.push_back(staging_bytes(out.transfer, k));
    }
    kept_ += 512 + out.transfer.messages.size() * sizeof(Message) +
             out.transfer.members.size() * (sizeof(TransferMember) + 16);
    out.members = std::move(group.members);
    segment.groups.push_back(std::move(out));
  }
}

const MoveSegment& Segments::move(const Cut& from, const Cut& to, DType dtype,
                                  const DimOrder& dims) {
  return move(
      from, to, Pieces::kWhole,
      [&] {
        return std::vector<Piece>{{from.layout, to.layout}};
      },
      dtype, dims);
}

const MoveSegment& Segments::move(const Cut& from, const Cut& to, Pieces which,
                                  const std::function<std::vector<Piece>()>& pieces, DType dtype,
                                  const DimOrder& dims) {
  Hasher key;
  key.word(from.hash);
  key.word(to.hash);
  key.word(static_cast<std::uint64_t>(which));
  key.word(static_cast<std::uint64_t>(dtype));
  append_hash(key, dims);
  auto& entry = moves_[key.finish()];
  if (entry) return *entry;
  auto m = std::make_unique<MoveSegment>();
  for (const Piece& piece : pieces())
    add(*m, reshard(piece.from, piece.to, patterns_), piece.from, piece.to, dtype, dims);
  entry = std::move(m);
  return *entry;
}

}  // namespace soapstone::core::lowering
