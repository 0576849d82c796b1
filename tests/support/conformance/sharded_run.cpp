#include "tests/support/conformance/sharded_run.hpp"

#include <algorithm>
#include <bit>
#include <limits>

#include "core/assert.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::conformance {

namespace {

using reference::for_each_index;
using reference::Index;
using reference::row_major_position;

// A part's own copy of a box of a tensor.
struct Held {
  core::Box box;
  std::vector<double> values;

  explicit Held(core::Box b)
      : box(b),
        values(static_cast<std::size_t>(core::elements(b)),
               std::numeric_limits<double>::quiet_NaN()) {}
  reference::View view() { return {box, values.data()}; }
};

struct Parts {
  const OpProblem& problem;
  const core::OpStrategy& strategy;
  std::vector<core::LocalProblem> locals;

  Parts(const OpProblem& p, const core::OpStrategy& s) : problem(p), strategy(s) {
    for (std::size_t i = 0; i < s.devices.size(); ++i)
      locals.push_back({p.op, &p.definition, core::axis_intervals(p.definition, s, i)});
  }

  core::LocalProblem local_in(std::size_t part, std::int32_t round) const {
    return {problem.op, &problem.definition,
            core::axis_intervals(problem.definition, strategy, part, round)};
  }
  // The part whose block of what goes round is here in that round.
  std::size_t owner_of(std::size_t part, std::int32_t round) const {
    const auto along = static_cast<std::size_t>(problem.definition.rounds.along);
    const std::int32_t count = strategy.degrees[along];
    auto wanted = core::coordinates(strategy, part);
    wanted[along] = (wanted[along] - round + count) % count;
    std::size_t owner = 0;
    while (core::coordinates(strategy, owner) != wanted) ++owner;
    return owner;
  }

  // The layout must say of every part what operand_box says.
  void check_layout(core::Ref ref, const core::Layout& layout) const {
    for (std::size_t i = 0; i < locals.size(); ++i) {
      const std::int64_t shard = layout.shard_on(strategy.devices[i]);
      const bool present = reference::is_present(locals[i], ref.operand);
      SOAPSTONE_ASSERT((shard >= 0) == present, "{}: part {} {} it but the layout says otherwise",
                       problem.name_of(ref), i, present ? "holds" : "does not hold");
      if (!present) continue;
      const core::Box box = locals[i].box(ref.operand);
      SOAPSTONE_ASSERT(layout.box(static_cast<std::size_t>(shard)) == box,
                       "{}: part {} touches {}, the layout says {}", problem.name_of(ref), i,
                       core::print(box), core::print(layout.box(static_cast<std::size_t>(shard))));
    }
    for (const core::DeviceId device : layout.devices)
      SOAPSTONE_ASSERT(std::find(strategy.devices.begin(), strategy.devices.end(), device) !=
                           strategy.devices.end(),
                       "{}: the layout names device {}", problem.name_of(ref), core::print(device));
  }

  void cut(core::Ref ref, const std::vector<double>& whole, Held& piece) const {
    const core::Shape& shape = problem.operand(ref).desc.shape;
    for_each_index(piece.box, [&](Index p) {
      piece.view().at(p) = whole[static_cast<std::size_t>(row_major_position(shape, p))];
    });
  }

  // `pieces` holds one per part.
  std::vector<double> put_together(core::Ref ref, const core::Layout& layout,
                                   std::vector<Held*> pieces) const {
    const core::Shape& shape = problem.operand(ref).desc.shape;
    std::vector<double> whole(static_cast<std::size_t>(core::elements(shape)), 0);
    std::vector<int> covered(whole.size(), 0);
    const auto piece_on = [&](core::DeviceId device) {
      const auto at = std::find(strategy.devices.begin(), strategy.devices.end(), device);
      return pieces[static_cast<std::size_t>(at - strategy.devices.begin())];
    };
    for (std::size_t shard = 0; shard < layout.size(); ++shard) {
      const std::size_t first = shard - static_cast<std::size_t>(layout.replica(shard));
      Held& piece = *piece_on(layout.devices[shard]);
      const Held& original = *piece_on(layout.devices[first]);
      if (shard != first) {
        const auto equal_bits = [](double a, double b) {
          return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
        };
        SOAPSTONE_ASSERT(std::equal(piece.values.begin(), piece.values.end(),
                                    original.values.begin(), original.values.end(), equal_bits),
                         "{}: replicas {} and {} differ", problem.name_of(ref), first, shard);
        continue;
      }
      for_each_index(piece.box, [&](Index p) {
        const auto position = static_cast<std::size_t>(row_major_position(shape, p));
        whole[position] += piece.view().at(p);
        ++covered[position];
      });
    }
    if (layout.overlap == core::Overlap::kCopy)
      for (std::size_t i = 0; i < whole.size(); ++i)
        SOAPSTONE_ASSERT(covered[i] == layout.partials,
                         "{}: element {} is written {} times for {} partial sums",
                         problem.name_of(ref), i, covered[i], layout.partials);
    return whole;
  }
};

// A step of a ring, by what Rounds says: what it writes on each part, as it lies after the last
// round.
std::vector<std::vector<Held>> run_rounds(const Parts& parts, std::size_t step_index,
                                          const Tensors& tensors, const StepRunner& run) {
  const core::OpDefinition& definition = parts.problem.definition;
  const core::Step& step = definition.steps[step_index];
  const auto is_carried = [&](core::Ref ref) {
    return std::find(step.reads.begin(), step.reads.end(), ref) != step.reads.end();
  };
  std::vector<std::vector<Held>> results(parts.locals.size());
  for (std::size_t i = 0; i < parts.locals.size(); ++i)
    for (const core::Ref& ref : step.writes) {
      Held& result = results[i].emplace_back(parts.locals[i].box(ref.operand));
      if (is_carried(ref))
        parts.cut(ref, tensors.at(ref), result);
      else
        std::fill(result.values.begin(), result.values.end(), 0.0);
    }
  for (std::int32_t round = 0; round < core::round_count(definition, parts.strategy); ++round)
    for (std::size_t i = 0; i < parts.locals.size(); ++i) {
      const core::LocalProblem local = parts.local_in(i, round);
      if (round > 0 && core::is_hidden(definition, local.axes)) continue;
      std::vector<Held> held;
      for (const core::Ref& ref : step.reads) {
        held.emplace_back(local.box(ref.operand));
        const auto carried = std::find(step.writes.begin(), step.writes.end(), ref);
        if (carried == step.writes.end())
          parts.cut(ref, tensors.at(ref), held.back());
        else
          held.back() = results[i][static_cast<std::size_t>(carried - step.writes.begin())];
      }
      for (const core::Ref& ref : step.writes) held.emplace_back(local.box(ref.operand));
      std::vector<reference::View> views;
      for (Held& h : held) views.push_back(h.view());
      run({local, static_cast<int>(step_index), views, parts.problem.random});
      for (std::size_t k = 0; k < step.writes.size(); ++k) {
        const core::Ref ref = step.writes[k];
        const Held& written = held[step.reads.size() + k];
        const bool travels = parts.problem.operand(ref).followed().has(definition.rounds.over);
        Held& result = results[travels ? parts.owner_of(i, round) : i][k];
        SOAPSTONE_ASSERT(result.box == written.box, "{}: {} is written where {} belongs",
                         parts.problem.name_of(ref), core::print(written.box),
                         core::print(result.box));
        for (std::size_t e = 0; e < written.values.size(); ++e)
          result.values[e] = written.values[e] + (is_carried(ref) ? 0 : result.values[e]);
      }
    }
  return results;
}

}  // namespace

Tensors run_op(const OpProblem& problem, const core::OpStrategy& strategy, const StepRunner& run,
               const RunOptions& options) {
  const Parts parts(problem, strategy);
  Tensors tensors = problem.given, written;
  const core::AxisSet split = core::split_axes(problem.definition, strategy);
  for (std::size_t s = 0; s < problem.definition.steps.size(); ++s) {
    const core::Step& step = problem.definition.steps[s];
    const bool forward = options.forward_only || options.run == core::StepUse::kEvaluation;
    if (!core::step_is_used(step, split, options.run) ||
        (forward && step.phase != core::Phase::kForward))
      continue;
    for (const core::Ref& ref : step.reads) {
      SOAPSTONE_ASSERT(tensors.contains(ref), "step {} reads {}, which no step before it wrote",
                       step.name, problem.name_of(ref));
      parts.check_layout(ref, core::operand_layout(problem.definition, ref.operand, strategy,
                                                   core::Access::kRead));
    }
    std::vector<std::vector<Held>> held(parts.locals.size());
    const bool in_rounds = core::is_in_rounds(problem.definition, strategy, step);
    if (in_rounds) held = run_rounds(parts, s, tensors, run);
    for (std::size_t i = 0; i < parts.locals.size() && !in_rounds; ++i) {
      const core::LocalProblem& local = parts.locals[i];
      std::vector<reference::View> views;
      for (const core::Ref& ref : step.reads) {
        held[i].emplace_back(reference::present_box(local, ref.operand));
        parts.cut(ref, tensors[ref], held[i].back());
      }
      for (const core::Ref& ref : step.writes)
        held[i].emplace_back(reference::present_box(local, ref.operand));
      for (Held& h : held[i]) views.push_back(h.view());
      run({local, static_cast<int>(s), views, problem.random});
    }
    for (std::size_t k = 0; k < step.writes.size(); ++k) {
      const core::Ref ref = step.writes[k];
      const auto layout = core::operand_layout(problem.definition, ref.operand, strategy,
                                               core::Access::kWritten, step.reduces);
      parts.check_layout(ref, layout);
      std::vector<Held*> pieces;
      for (auto& h : held) pieces.push_back(&h[(in_rounds ? 0 : step.reads.size()) + k]);
      auto whole = parts.put_together(ref, layout, pieces);
      if (options.round_between_steps)
        for (double& v : whole) v = rounded_to(problem.operand(ref).desc.dtype, v);
      tensors[ref] = whole;
      written[ref] = std::move(whole);
    }
  }
  return written;
}

std::size_t most_splits_of(const OpCase& c, std::size_t most) {
  return c.large ? std::min(most, kMostSplitsOfLarge) : most;
}

core::OpStrategy unsharded(const core::OpDefinition& definition) {
  return {std::vector<std::int32_t>(definition.axes.size(), 1), 1, {core::DeviceId(0)}};
}

std::vector<core::OpStrategy> splits_of(const core::OpDefinition& definition, int most_devices,
                                        std::size_t most_splits) {
  std::vector<core::OpStrategy> found;
  core::OpStrategy s;
  s.degrees.assign(definition.axes.size(), 1);
  const auto extend = [&](const auto& self, std::size_t axis, int devices) -> void {
    if (axis == definition.axes.size()) {
      for (s.replicas = 1; s.replicas <= 2 && devices * s.replicas <= most_devices; ++s.replicas) {
        s.devices.clear();
        // Neither from 0 nor ascending, so that a device is not taken for a part.
        for (int i = 0; i < devices * s.replicas; ++i)
          s.devices.emplace_back(static_cast<std::uint32_t>(20 - 3 * i));
        found.push_back(s);
      }
      return;
    }
    for (const std::int32_t degree :
         core::legal_degrees(definition.axes[axis], most_devices / devices)) {
      s.degrees[axis] = degree;
      self(self, axis + 1, devices * degree);
    }
    if (static_cast<int>(axis) == definition.rounds.along)
      for (std::int32_t degree = 2;
           degree <= std::min<std::int64_t>(most_devices / devices, core::largest_ring(definition));
           ++degree) {
        s.degrees[axis] = degree;
        s.ring = true;
        self(self, axis + 1, devices * degree);
        s.ring = false;
      }
    s.degrees[axis] = 1;
  };
  extend(extend, 0, 1);
  const auto rank = [](const core::OpStrategy& strategy) {
    const auto axes = std::count_if(strategy.degrees.begin(), strategy.degrees.end(),
                                    [](int d) { return d > 1; });
    const bool simple = axes <= 1 && strategy.replicas == 1;
    // Few splits of a large case have a ring among them.
    const bool early = simple && (axes == 0 || (strategy.ring && strategy.devices.size() == 2));
    return std::pair(early ? 0 : simple ? 1 : 2, simple ? 0 : core::hash_of(strategy));
  };
  std::stable_sort(found.begin(), found.end(),
                   [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
  if (found.size() > most_splits) found.resize(most_splits);
  return found;
}

std::string describe(const core::OpDefinition& definition, const core::OpStrategy& strategy) {
  std::string out;
  for (std::size_t a = 0; a < strategy.degrees.size(); ++a)
    if (strategy.degrees[a] > 1)
      out += fmt::format("{}={} ", definition.axes[a].name, strategy.degrees[a]);
  if (strategy.replicas > 1) out += fmt::format("replicas={} ", strategy.replicas);
  if (strategy.ring) out += "ring ";
  if (out.empty()) return "whole";
  out.pop_back();
  return out;
}

std::string describe(const core::LocalProblem& problem) {
  std::string out;
  for (std::size_t a = 0; a < problem.axes.size(); ++a)
    out += fmt::format("{}{}={}", a ? " " : "", problem.definition->axes[a].name,
                       core::print(problem.axes[a]));
  return out;
}

}  // namespace soapstone::conformance
