#include "search/mcmc.hpp"

#include <algorithm>

#include "search/clock.hpp"
#include "search/evaluator.hpp"
#include "search/expert.hpp"
#include "search/ranking.hpp"
#include "search/space.hpp"

namespace soapstone::search {

using namespace core;

namespace {

struct State {
  Strategy strategy;
  Evaluation at;
  bool fits() const { return at.excess.value == 0; }
  // What is improved first: fitting, then time.
  std::pair<Bytes, Nanoseconds> rank() const { return {at.excess, at.step_time}; }
};

}  // namespace

Result<RankedStrategies> mcmc(const Problem& problem, const Budget& budget, std::uint64_t seed,
                              const Progress& progress, const McmcOptions& options) {
  if (!(options.beta > 0)) return usage_error("beta = {}: must be greater than 0", options.beta);
  SOAPSTONE_ASSIGN(const Space space, Space::make(problem));
  SearchClock clock(budget, progress);
  Evaluator evaluator(problem);
  Ranking ranking(options.most);
  RankedStrategies out = describe(problem, "mcmc", seed);
  const Rng rng(seed);

  std::optional<std::pair<Bytes, Nanoseconds>> best;
  std::optional<Strategy> leanest;
  // Called with every strategy that a chain stands on.
  const auto met = [&](const State& s, const std::string& origin) {
    if (s.fits()) ranking.add(s.strategy, s.at.step_time, origin);
    if (best && s.rank() >= *best) return;
    best = s.rank();
    leanest = s.strategy;
    if (!s.fits()) return;
    clock.best(s.at.step_time);
    out.curve.push_back({clock.proposals(), s.at.step_time, clock.elapsed_if_timed()});
  };

  struct Start {
    State state;
    std::string origin;
  };
  std::vector<Start> starts;
  const auto start_from = [&](Strategy strategy, std::string name) {
    strategy = space.pinned(std::move(strategy));
    for (const Start& s : starts)
      if (s.state.strategy == strategy) return;
    const Evaluation at = *evaluator.evaluate(strategy);
    starts.push_back({{std::move(strategy), at}, name});
    met(starts.back().state, name);
  };
  std::vector<DeviceId> devices;
  for (std::uint32_t d = 0; d < space.device_count(); ++d) devices.push_back(DeviceId(d));
  Strategy by_samples = data_parallel(space.graph(), devices);
  Strategy by_hand = expert(space.graph(), *problem.cluster);
  by_samples.micro_batches = by_hand.micro_batches = problem.micro_batches;
  ranking.keep(by_samples, "data-parallel");
  ranking.keep(by_hand, "expert");
  start_from(by_samples, "data-parallel");
  start_from(by_hand, "expert");
  for (int k = 0; k < options.random_starts; ++k) {
    Rng own = rng.split(static_cast<std::uint64_t>(k));
    start_from(space.random(own), "random");
  }
  Nanoseconds t_start = simulator::kNever;
  for (const Start& s : starts) t_start = std::min(t_start, s.state.at.step_time);
  const double patience = static_cast<double>(t_start.value) / options.beta;

  for (std::size_t k = 0; k < starts.size() && !space.open().empty() && !clock.over(); ++k) {
    const std::string origin = "mcmc from " + starts[k].origin;
    State now = std::move(starts[k].state);
    Rng own = rng.split(1000 + k);
    clock.begin_share(starts.size() - k);
    auto chain_best = now.rank();
    while (clock.next_of_share()) {
      const double allowed = own.exponential() * patience;
      const std::size_t op = space.open()[own.below(space.open().size())];
      OpStrategy proposal = space.random(op, own);
      if (proposal == now.strategy.ops[op]) continue;
      const Nanoseconds threshold =
          now.fits()
              ? now.at.step_time + Nanoseconds(static_cast<std::int64_t>(std::min(allowed, 1e18)))
              : simulator::kNever;
      std::swap(now.strategy.ops[op], proposal);
      const auto at =
          evaluator.evaluate(now.strategy, options.stop_early ? threshold : simulator::kNever);
      const bool accepted = at && at->step_time <= threshold &&
                            (now.fits() ? at->excess.value == 0 : at->excess <= now.at.excess);
      if (!accepted) {
        std::swap(now.strategy.ops[op], proposal);
        continue;
      }
      now.at = *at;
      met(now, origin);
      if (now.rank() < chain_best) {
        chain_best = now.rank();
        clock.improved();
      }
    }
  }
  out.proposals = clock.proposals();
  out.cancelled = clock.cancelled();
  out.elapsed = clock.elapsed_if_timed();
  return ranking.finish(std::move(out), problem, space, evaluator, leanest);
}

}  // namespace soapstone::search
