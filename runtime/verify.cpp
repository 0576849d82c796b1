#include "runtime/verify.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>
#include <map>

#include "core/assert.hpp"
#include "runtime/comm/local.hpp"
#include "runtime/data/batch_reader.hpp"
#include "runtime/data/sampler.hpp"
#include "runtime/detail/bytes.hpp"
#include "runtime/gradient_recorder.hpp"
#include "runtime/plan_run.hpp"

namespace soapstone::runtime {

namespace {

// What one training left behind; on process 0 only, but for the losses.
struct Outcome {
  std::vector<WholeTensor> gradients;
  std::vector<double> losses;
  std::vector<WholeTensor> weights;
};

// Weights' gradient transfers: their place in the plan's order, and the weight or, where the
// gradient is rows that are gathered, what they are the gradient of.
std::map<std::uint32_t, std::uint32_t> gradient_orders(const core::Plan& plan,
                                                       const core::Graph& graph) {
  std::map<std::uint32_t, std::uint32_t> orders;
  for (const core::DeviceClass& c : plan.classes)
    for (const core::Task& t : c.tasks)
      if (t.kind == core::TaskKind::kTransfer && core::moves_gradient(t) &&
          t.tensor != core::kNoIndex &&
          (t.phase == core::Phase::kBackwardWeight ||
           graph.tensors()[t.tensor].role == core::TensorRole::kWeight))
        orders.emplace(t.order, t.tensor);
  return orders;
}

Outcome train(Communicator& communicator, const core::Graph& graph, const core::Plan& plan,
              const DataSource& data, const VerifyOptions& options,
              std::vector<std::uint32_t> dropped) {
  PlanRun run(communicator, graph, plan, {options.seed, nullptr, std::move(dropped)});
  BatchReader reader(graph, data, run.micro_batch_samples(), run.loads());
  Sampler sampler(data.samples(), graph.batch(), options.seed);
  Outcome outcome;

  std::optional<GradientRecorder> recorder(std::in_place, run);

  const auto samples = [&](std::int64_t step) {
    return sampler.batch(step / sampler.steps_per_epoch(), step % sampler.steps_per_epoch());
  };
  reader.request(samples(0));
  for (std::int64_t step = 0; step < options.steps; ++step) {
    const auto loaded = reader.next();
    if (step + 1 < options.steps) reader.request(samples(step + 1));
    run.step({static_cast<std::uint64_t>(step), update_of(options.optimizer, step, options.steps),
              options.optimizer.clip_gradient_norm, loaded,
              table_update_of(options.optimizer, step, options.steps)});
    outcome.losses.push_back(run.loss());
    if (step > 0) continue;
    outcome.gradients = recorder->gather(communicator, graph);
    recorder.reset();
  }
  communicator.sum(outcome.losses);
  outcome.weights = run.collect_weights();
  return outcome;
}

std::vector<double> values(const WholeTensor& t) {
  std::vector<double> out;
  const std::int64_t count = core::elements(t.desc.shape);
  for (std::int64_t i = 0; i < count; ++i) {
    if (t.desc.dtype == core::DType::kF64) {
      double v;
      std::memcpy(&v, t.value.data() + i * 8, 8);
      out.push_back(v);
    } else {
      float v;
      std::memcpy(&v, t.value.data() + i * 4, 4);
      out.push_back(v);
    }
  }
  return out;
}

struct Named {
  std::string name;
  std::vector<double> values;
};

double largest(const std::vector<double>& values) {
  double most = 0;
  for (const double v : values) most = std::max(most, std::abs(v));
  return most;
}

RelativeDifference worst_difference(const std::vector<Named>& own,
                                    const std::vector<Named>& reference, double smallest_scale) {
  SOAPSTONE_ASSERT(own.size() == reference.size(), "{} tensors against {}", own.size(),
                   reference.size());
  double of_kind = 0;
  for (const Named& r : reference) of_kind = std::max(of_kind, largest(r.values));
  RelativeDifference worst;
  for (std::size_t k = 0; k < own.size(); ++k) {
    const Named &a = own[k], &b = reference[k];
    SOAPSTONE_ASSERT(a.name == b.name && a.values.size() == b.values.size(), "{} against {}",
                     a.name, b.name);
    double difference = 0;
    for (std::size_t i = 0; i < a.values.size(); ++i) {
      const double d = std::abs(a.values[i] - b.values[i]);
      difference =
          std::isnan(d) ? std::numeric_limits<double>::infinity() : std::max(difference, d);
    }
    const double scale = std::max(largest(b.values), smallest_scale * of_kind);
    const double relative = difference == 0 ? 0 : difference / scale;
    if (worst.name.empty() || relative > worst.value) worst = {a.name, relative};
  }
  return worst;
}

std::vector<Named> named(const core::Graph& graph, const std::vector<WholeTensor>& tensors) {
  std::vector<Named> out;
  for (const WholeTensor& t : tensors) out.push_back({graph.tensors()[t.tensor].name, values(t)});
  return out;
}
std::vector<Named> named(const std::vector<double>& losses) {
  std::vector<Named> out;
  for (std::size_t k = 0; k < losses.size(); ++k)
    out.push_back({fmt::format("step {}", k), {losses[k]}});
  return out;
}

void put(detail::ByteWriter& writer, const RelativeDifference& d) {
  writer.put(d.name.size());
  writer.put_bytes(d.name.data(), d.name.size());
  writer.put(d.value);
}
RelativeDifference get(detail::ByteReader& reader) {
  const auto size = reader.get<std::size_t>();
  RelativeDifference d;
  d.name.assign(reader.get_bytes(size), size);
  d.value = reader.get<double>();
  return d;
}

}  // namespace

std::vector<std::string> gradient_transfers(const core::Plan& plan, const core::Graph& graph) {
  std::vector<std::string> names;
  for (const auto& [order, tensor] : gradient_orders(plan, graph))
    names.push_back(graph.tensors()[tensor].name);
  return names;
}

core::Result<std::vector<Verdict>> verify(Communicator& communicator, const core::Graph& graph,
                                          const core::Cluster& cluster,
                                          const core::KernelCatalog& catalog,
                                          const DataSource& data,
                                          std::span<const core::Strategy> strategies,
                                          const VerifyOptions& options,
                                          const std::function<void(std::size_t done)>& progress) {
  SOAPSTONE_TRY(check(options.optimizer));
  if (options.steps < 1) return core::usage_error("{} steps; accepted: at least 1", options.steps);
  core::LowerOptions how = lower_options(options.optimizer);
  how.patterns = options.patterns;
  how.fold_from = options.fold_from;
  core::Lowering lowering(graph, cluster, catalog, how);
  const core::Graph& whole = options.reference != nullptr ? *options.reference : graph;
  core::Lowering reference_lowering(whole, cluster, catalog, how);
  const auto difference = [&](const std::vector<Named>& own, const std::vector<Named>& reference) {
    return worst_difference(own, reference, options.smallest_scale);
  };

  std::map<std::int32_t, Outcome> references;  // by number of micro-batches, on process 0
  std::vector<Verdict> verdicts;
  for (const core::Strategy& strategy : strategies) {
    auto plan = lowering.lower(strategy);
    SOAPSTONE_TRY(communicator.agree(plan ? core::Status{} : tl::unexpected(plan.error())));
    SOAPSTONE_TRY(compare_plans(communicator, *plan));
    std::vector<std::uint32_t> dropped;
    if (options.dropped_gradient_transfer) {
      const auto orders = gradient_orders(*plan, graph);
      if (*options.dropped_gradient_transfer >= orders.size())
        return core::usage_error("gradient transfer {}: the plan has {}",
                                 *options.dropped_gradient_transfer, orders.size());
      dropped.push_back(
          std::next(orders.begin(), static_cast<std::ptrdiff_t>(*options.dropped_gradient_transfer))
              ->first);
    }
    const Outcome own = train(communicator, graph, *plan, data, options, dropped);

    std::string text;
    if (communicator.process() == 0) {
      if (!references.contains(strategy.micro_batches)) {
        core::Strategy alone = core::single_device(whole);
        alone.micro_batches = strategy.micro_batches;
        SOAPSTONE_ASSIGN(const core::Plan reference_plan, reference_lowering.lower(alone));
        const auto one = make_local_communicator(static_cast<int>(cluster.size()));
        references.emplace(strategy.micro_batches,
                           train(*one, whole, reference_plan, data, options, {}));
      }
      const Outcome& reference = references.at(strategy.micro_batches);
      detail::ByteWriter writer;
      put(writer, difference(named(graph, own.gradients), named(whole, reference.gradients)));
      put(writer, difference(named(own.losses), named(reference.losses)));
      put(writer, difference(named(graph, own.weights), named(whole, reference.weights)));
      text = writer.take();
    }
    text = communicator.broadcast(text);
    detail::ByteReader reader(text);
    Verdict v;
    v.gradient = get(reader);
    v.loss = get(reader);
    v.weight = get(reader);
    v.worst_relative_difference = std::max({v.gradient.value, v.loss.value, v.weight.value});
    v.first_loss = own.losses.front();
    v.last_loss = own.losses.back();
    verdicts.push_back(v);
    if (progress) progress(verdicts.size());
  }
  return verdicts;
}

}  // namespace soapstone::runtime
