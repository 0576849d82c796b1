#include "search/exhaustive.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "search/clock.hpp"
#include "search/evaluator.hpp"
#include "search/expert.hpp"
#include "search/ranking.hpp"
#include "search/space.hpp"

namespace soapstone::search {

using namespace core;

namespace {

using Seen = std::vector<bool>;  // per device: some operator before uses it

class Lister {
 public:
  Lister(const Problem& problem, const Space& space, DeviceLists lists)
      : cluster_(*problem.cluster), space_(space), lists_(lists), node_size_(cluster_.nodes(), 0) {
    for (const Device& d : cluster_.devices()) ++node_size_[d.node];
  }

  Seen at_first() const {
    Seen seen(cluster_.size(), false);
    for (std::size_t op = 0; op < space_.size(); ++op)
      for (const OpStrategy& s : space_.pinned(op))
        for (const DeviceId d : s.devices) seen[d.value] = true;
    return seen;
  }

  // Calls `visit(device list, seen after)` for every list of `n` devices.
  template <class Visit>
  bool lists(std::int32_t n, const Seen& seen, Visit&& visit) const {
    std::vector<DeviceId> chosen;
    Seen after = seen;
    return extend(static_cast<std::size_t>(n), chosen, after, visit);
  }

  static void see(Seen& seen, const OpStrategy& s) {
    for (const DeviceId d : s.devices) seen[d.value] = true;
  }

 private:
  bool fresh_node(std::uint32_t node, const Seen& seen) const {
    for (std::uint32_t d = 0; d < cluster_.size(); ++d)
      if (seen[d] && cluster_.devices()[d].node == node) return false;
    return true;
  }

  // Of equal devices that were not used before only the first may come next.
  bool is_first_of_equals(std::uint32_t device, const Seen& seen) const {
    const Device& me = cluster_.devices()[device];
    for (std::uint32_t d = 0; d < device; ++d) {
      const Device& other = cluster_.devices()[d];
      if (seen[d] || other.kind != me.kind) continue;
      if (other.node == me.node) return false;
      if (node_size_[other.node] == node_size_[me.node] && fresh_node(other.node, seen) &&
          fresh_node(me.node, seen))
        return false;
    }
    return true;
  }

  template <class Visit>
  bool extend(std::size_t n, std::vector<DeviceId>& chosen, Seen& seen, Visit&& visit) const {
    if (chosen.size() == n) return visit(chosen, seen);
    for (std::uint32_t d = 0; d < cluster_.size(); ++d) {
      if (lists_ == DeviceLists::kAll) {
        if (std::find(chosen.begin(), chosen.end(), DeviceId(d)) != chosen.end()) continue;
        if (!seen[d] && !is_first_of_equals(d, seen)) continue;
      } else if (!chosen.empty()) {
        if (d <= chosen.back().value) continue;
        if (lists_ == DeviceLists::kBlocks && d != chosen.back().value + 1) continue;
      } else if (lists_ == DeviceLists::kBlocks && (d % n != 0 || d + n > cluster_.size())) {
        continue;
      }
      const bool was_seen = seen[d];
      seen[d] = true;
      chosen.push_back(DeviceId(d));
      const bool go_on = extend(n, chosen, seen, visit);
      chosen.pop_back();
      seen[d] = was_seen;
      if (!go_on) return false;
    }
    return true;
  }

  const Cluster& cluster_;
  const Space& space_;
  DeviceLists lists_;
  std::vector<int> node_size_;
};

// How many strategies the operators from `op` on have, given the devices seen before.
class Counter {
 public:
  Counter(const Space& space, const Lister& lister, DeviceLists lists)
      : space_(space), lister_(lister), lists_(lists) {}

  double count(std::size_t op, const Seen& seen) {
    if (op == space_.size()) return 1;
    // Only the symmetry of equal devices makes the operators depend on each other.
    const Seen& key = lists_ == DeviceLists::kAll ? seen : none_;
    const auto known = known_.find({op, key});
    if (known != known_.end()) return known->second;
    double total = 0;
    if (!space_.pinned(op).empty()) {
      total = static_cast<double>(space_.pinned(op).size()) * count(op + 1, seen);
    } else {
      std::map<std::int32_t, double> cuts;  // by number of devices
      for (const Cut& c : space_.cuts(op)) ++cuts[c.devices];
      for (const auto& [n, how_many] : cuts) {
        std::map<Seen, double> after;
        lister_.lists(n, seen, [&](const auto&, const Seen& s) {
          ++after[lists_ == DeviceLists::kAll ? s : seen];
          return true;
        });
        for (const auto& [s, lists] : after) total += how_many * lists * count(op + 1, s);
      }
    }
    known_.emplace(std::pair(op, key), total);
    return total;
  }

 private:
  const Space& space_;
  const Lister& lister_;
  DeviceLists lists_;
  Seen none_;
  std::map<std::pair<std::size_t, Seen>, double> known_;
};

// Above this many devices the lists themselves are too many to be listed: without the symmetry, and
// rounded.
constexpr std::uint32_t kMostDevicesListed = 7;

double count_without_symmetry(const Space& space, DeviceLists lists) {
  double total = 1;
  const double devices = space.device_count();
  for (std::size_t op = 0; op < space.size(); ++op) {
    double own = static_cast<double>(space.pinned(op).size());
    if (own == 0)
      for (const Cut& c : space.cuts(op)) {
        double many = 1;
        for (int k = 0; k < c.devices; ++k) {
          many *= devices - k;
          if (lists == DeviceLists::kAscending) many /= k + 1;
        }
        own += lists == DeviceLists::kBlocks ? std::floor(devices / c.devices) : many;
      }
    total *= own;
  }
  return total;
}

double count(const Problem& problem, const Space& space, const Lister& lister, DeviceLists lists) {
  if (problem.cluster->size() > kMostDevicesListed || lists != DeviceLists::kAll)
    return std::round(count_without_symmetry(space, lists));
  return Counter(space, lister, lists).count(0, lister.at_first());
}

}  // namespace

Result<double> count_strategies(const Problem& problem, const ExhaustiveOptions& options) {
  SOAPSTONE_ASSIGN(const Space space, Space::make(problem));
  return count(problem, space, Lister(problem, space, options.device_lists), options.device_lists);
}

Result<RankedStrategies> exhaustive(const Problem& problem, const Progress& progress,
                                    const ExhaustiveOptions& options) {
  SOAPSTONE_ASSIGN(const Space space, Space::make(problem));
  const Lister lister(problem, space, options.device_lists);
  const double total = count(problem, space, lister, options.device_lists);
  if (total > options.most_strategies)
    return refuse(
        "an exhaustive search of {} on {} would look at {:.4g} strategies, more than {:.4g}: pin "
        "operators, use fewer devices, or search with mcmc",
        problem.graph->name(), problem.cluster->name(), total, options.most_strategies);

  SearchClock clock(Budget::proposals(static_cast<std::int64_t>(total) + 1), progress);
  Evaluator evaluator(problem);
  Ranking ranking(options.most);
  RankedStrategies out = describe(problem, "exhaustive", 0);
  std::vector<DeviceId> devices;
  for (std::uint32_t d = 0; d < space.device_count(); ++d) devices.push_back(DeviceId(d));
  Strategy by_samples = data_parallel(space.graph(), devices);
  Strategy by_hand = expert(space.graph(), *problem.cluster);
  by_samples.micro_batches = by_hand.micro_batches = problem.micro_batches;
  ranking.keep(by_samples, "data-parallel");
  ranking.keep(by_hand, "expert");

  std::optional<Nanoseconds> best;
  std::optional<std::pair<Bytes, Strategy>> leanest;
  Strategy strategy;
  strategy.micro_batches = problem.micro_batches;
  strategy.ops.resize(space.size());
  const auto look = [&] {
    if (!clock.next()) return false;
    // Until something fits, the least memory is wanted, of slow strategies too.
    const auto at = evaluator.evaluate(strategy, best ? ranking.worst() : simulator::kNever);
    if (!at) return true;
    if (at->excess.value > 0) {
      if (!best && (!leanest || at->excess < leanest->first)) leanest = {at->excess, strategy};
      return true;
    }
    ranking.add(strategy, at->step_time, "exhaustive");
    if (!best || at->step_time < *best) {
      best = at->step_time;
      clock.best(*best);
      out.curve.push_back({clock.proposals(), *best, std::nullopt});
    }
    return true;
  };
  const auto visit = [&](auto&& self, std::size_t op, const Seen& seen) -> bool {
    if (op == space.size()) return look();
    if (!space.pinned(op).empty()) {
      for (const OpStrategy& s : space.pinned(op)) {
        strategy.ops[op] = s;
        if (!self(self, op + 1, seen)) return false;
      }
      return true;
    }
    for (const Cut& cut : space.cuts(op)) {
      const bool go_on = lister.lists(cut.devices, seen,
                                      [&](const std::vector<DeviceId>& list, const Seen& after) {
                                        strategy.ops[op] = {cut.degrees, cut.replicas, list};
                                        // A copy: the list goes on changing it.
                                        const Seen own = after;
                                        return self(self, op + 1, own);
                                      });
      if (!go_on) return false;
    }
    return true;
  };
  visit(visit, 0, lister.at_first());
  out.proposals = clock.proposals();
  out.cancelled = clock.cancelled();
  return ranking.finish(std::move(out), problem, space, evaluator,
                        leanest ? std::optional(leanest->second) : std::nullopt);
}

}  // namespace soapstone::search
