#include "search/space.hpp"

#include <algorithm>
#include <numeric>

#include "core/suggest.hpp"
#include "core/units.hpp"

namespace soapstone::search {

using namespace core;

Status check(const Problem& problem) {
  SOAPSTONE_ASSERT(problem.graph && problem.cluster && problem.catalog,
                   "a problem of graph {}, cluster {}, catalog {}", problem.graph != nullptr,
                   problem.cluster != nullptr, problem.catalog != nullptr);
  const Graph& graph = *problem.graph;
  if (problem.cluster->size() == 0)
    return usage_error("cluster {} has no devices", problem.cluster->name());
  if (problem.micro_batches < 1 || graph.batch() % problem.micro_batches != 0)
    return usage_error("micro_batches = {}: the batch of {} must be a multiple of it",
                       problem.micro_batches, graph.batch());
  for (const auto& [name, allowed] : problem.pins) {
    const auto op = graph.find_op(name);
    if (!op) {
      std::vector<std::string_view> names;
      for (const auto& node : graph.ops()) names.push_back(node.name);
      return usage_error("pin: graph {} has no operator `{}`; {}", graph.name(), name,
                         accepted_names(name, names));
    }
    if (allowed.empty())
      return usage_error("pin: {}: no OpStrategy is given; give at least one", name);
    for (const OpStrategy& s : allowed) {
      const Status status =
          core::check(graph.op(*op), s, static_cast<std::uint32_t>(problem.cluster->size()));
      if (!status) return usage_error("pin: {}", status.error().message);
    }
  }
  return {};
}

Result<Budget> parse_budget(std::string_view text) {
  const auto bad = [&] {
    return usage_error(
        "budget `{}`: a time such as 10s, 500ms or 2min, or a number of proposals such as 2000, is "
        "accepted",
        text);
  };
  if (text.empty()) return bad();
  if (std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    if (text.size() > 18) return bad();
    return Budget::proposals(std::stoll(std::string(text)));
  }
  std::string in_seconds(text);
  std::int64_t scale = 1;
  if (text.size() > 3 && text.ends_with("min")) {
    in_seconds = std::string(text.substr(0, text.size() - 3)) + "s";
    scale = 60;
  }
  const auto time = parse_quantity<Nanoseconds>(in_seconds);
  if (!time) return bad();
  return Budget::time(std::chrono::nanoseconds(time->value * scale));
}

namespace {

// All cuts of up to `most` devices, in lexicographic order of the degrees, then replicas.
void list_cuts(std::span<const Axis> axes, std::int32_t most, Cut& cut, std::vector<Cut>& out) {
  const std::size_t a = cut.degrees.size();
  if (a == axes.size()) {
    for (std::int32_t r = 1; cut.devices * r <= most; ++r)
      out.push_back({cut.degrees, r, cut.devices * r});
    return;
  }
  const auto limit = static_cast<std::int32_t>(
      std::min<std::int64_t>(largest_degree(axes[a]), most / cut.devices));
  for (std::int32_t d = 1; d <= limit; ++d) {
    cut.degrees.push_back(d);
    cut.devices *= d;
    list_cuts(axes, most, cut, out);
    cut.devices /= d;
    cut.degrees.pop_back();
  }
}

}  // namespace

Result<Space> Space::make(const Problem& problem) {
  SOAPSTONE_TRY(check(problem));
  Space space;
  SOAPSTONE_ASSIGN(Graph graph, problem.graph->micro_batch(problem.micro_batches));
  space.graph_ = std::make_shared<const Graph>(std::move(graph));
  space.devices_ = static_cast<std::uint32_t>(problem.cluster->size());
  space.micro_batches_ = problem.micro_batches;
  for (std::size_t op = 0; op < space.graph_->ops().size(); ++op) {
    const OpNode& node = space.graph_->ops()[op];
    std::vector<Cut> cuts;
    Cut none;
    list_cuts(node.definition.axes, static_cast<std::int32_t>(space.devices_), none, cuts);
    space.cuts_.push_back(std::move(cuts));
    const auto pin = problem.pins.find(node.name);
    space.pins_.push_back(pin == problem.pins.end() ? std::vector<OpStrategy>{} : pin->second);
    for (const OpStrategy& s : space.pins_.back())
      SOAPSTONE_TRY(core::check(node, s, space.devices_));
    if (space.pins_.back().size() != 1 && (space.devices_ > 1 || space.pins_.back().size() > 1))
      space.open_.push_back(op);
  }
  return space;
}

bool Space::allows(std::size_t op, const OpStrategy& strategy) const {
  return pins_[op].empty() ||
         std::find(pins_[op].begin(), pins_[op].end(), strategy) != pins_[op].end();
}

std::string Space::why_not(const Strategy& strategy) const {
  for (std::size_t op = 0; op < size(); ++op)
    if (!allows(op, strategy.ops[op]))
      return fmt::format("{} is not as pinned", graph_->ops()[op].name);
  return {};
}

Strategy Space::pinned(Strategy strategy) const {
  for (std::size_t op = 0; op < size(); ++op)
    if (!allows(op, strategy.ops[op])) strategy.ops[op] = pins_[op][0];
  return strategy;
}

OpStrategy Space::random(std::size_t op, Rng& rng) const {
  if (!pins_[op].empty()) return pins_[op][rng.below(pins_[op].size())];
  const Cut& cut = cuts_[op][rng.below(cuts_[op].size())];
  OpStrategy s{cut.degrees, cut.replicas, {}};
  const auto n = static_cast<std::uint32_t>(cut.devices);
  switch (rng.below(4)) {
    case 0:
    case 1: {
      const auto first = static_cast<std::uint32_t>(rng.below(devices_ / n)) * n;
      for (std::uint32_t i = 0; i < n; ++i) s.devices.push_back(DeviceId(first + i));
      break;
    }
    case 2: {
      const std::uint32_t widest = n > 1 ? (devices_ - 1) / (n - 1) : 1;
      const auto stride = static_cast<std::uint32_t>(rng.below(widest)) + 1;
      const auto first = static_cast<std::uint32_t>(rng.below(devices_ - (n - 1) * stride));
      for (std::uint32_t i = 0; i < n; ++i) s.devices.push_back(DeviceId(first + i * stride));
      break;
    }
    default: {
      std::vector<std::uint32_t> all(devices_);
      std::iota(all.begin(), all.end(), 0u);
      for (std::uint32_t i = 0; i < n; ++i) {
        std::swap(all[i], all[i + rng.below(devices_ - i)]);
        s.devices.push_back(DeviceId(all[i]));
      }
    }
  }
  return s;
}

Strategy Space::random(Rng& rng) const {
  Strategy s;
  s.micro_batches = micro_batches_;
  for (std::size_t op = 0; op < size(); ++op) s.ops.push_back(random(op, rng));
  return s;
}

}  // namespace soapstone::search
