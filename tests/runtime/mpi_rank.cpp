// One rank of the cases in mpi_test.cpp, started under mpirun: mpi_rank CASE [ARGUMENT].
#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>

#include <fmt/core.h>
#include <unistd.h>

#include "core/lower.hpp"
#include "core/models/models.hpp"
#include "kernels/catalog.hpp"
#include "kernels/device.hpp"
#include "runtime/executor.hpp"
#include "runtime/launch.hpp"
#include "runtime/profiler.hpp"
#include "runtime/trainer.hpp"
#include "runtime/verify.hpp"
#include "tests/support/interpreter/strategies.hpp"

namespace soapstone::runtime {
namespace {

// Two ranks sum something over and over; `at` is asked before every round.
class Rounds final : public Program {
 public:
  Rounds(Endpoint& endpoint, std::function<void(int)> at)
      : endpoint_(endpoint), at_(std::move(at)) {}
  Progress advance() override {
    for (;; ++round_) {
      if (!posted_) {
        at_(round_);
        const int peer = 1 - endpoint_.rank();
        receive_ = endpoint_.receive(peer, 1, &theirs_, core::Bytes(8));
        send_ = endpoint_.send(peer, 1, &mine_, core::Bytes(8));
        posted_ = true;
      }
      const bool sent = endpoint_.test(send_), received = endpoint_.test(receive_);
      if (!sent || !received) return Progress::kWaiting;
      posted_ = false;
    }
  }
  std::string waits_for() const override { return "the other"; }

 private:
  Endpoint& endpoint_;
  std::function<void(int)> at_;
  int round_ = 0;
  bool posted_ = false;
  std::int64_t mine_ = 0, theirs_ = 0;
  Request receive_, send_;
};

core::Status die(Communicator& communicator, const std::string& how) {
  const int rank = communicator.process();
  Rounds rounds(communicator.endpoint(rank), [&](int round) {
    if (rank != 1 || round < 1000) return;
    if (how == "throw") throw std::runtime_error("the disk of rank 1 is on fire");
    if (how == "kill") raise(SIGKILL);
    if (how == "exit") _exit(3);
  });
  Program* const programs[] = {&rounds};
  communicator.run(programs);
  return {};
}

core::Status verify_random(Communicator& communicator) {
  const core::Graph graph =
      core::build_model("transformer-block", {.batch = 6, .dtype = core::DType::kF64}).value();
  const kernels::HostCatalog catalog;
  const auto data = make_synthetic_data(graph, 3).value();
  const int ranks = communicator.ranks();
  std::vector<core::Strategy> strategies;
  std::mt19937_64 random(17);
  for (int k = 0; k < 6; ++k)
    strategies.push_back(interpreter::random_strategy(graph, ranks, 1, random));
  VerifyOptions options;
  options.steps = 3;
  SOAPSTONE_ASSIGN(const auto verdicts, verify(communicator, graph, interpreter::cluster_of(ranks),
                                               catalog, *data.train, strategies, options));
  double worst = 0;
  for (const Verdict& v : verdicts) worst = std::max(worst, v.worst_relative_difference);
  if (communicator.process() == 0) fmt::print("worst {:g}\n", worst);
  return {};
}

core::Status disagree(Communicator& communicator) {
  const core::Graph graph = core::build_model("mlp", {.batch = 6}).value();
  const kernels::HostCatalog catalog;
  core::Strategy s = core::single_device(graph);
  if (communicator.process() == 1) s.ops[1].devices = {core::DeviceId(1)};
  const auto plan = core::lower(graph, s, interpreter::cluster_of(2), catalog).value();
  return compare_plans(communicator, plan);
}

core::Status train_until_signal(Communicator& communicator, const std::string& checkpoint) {
  const core::Graph graph = core::build_model("mlp", {.batch = 32}).value();
  const kernels::HostCatalog catalog;
  const auto data = make_synthetic_data(graph, 3).value();
  const core::DeviceId devices[] = {core::DeviceId(0), core::DeviceId(1)};
  const core::Strategy strategy = core::data_parallel(graph, devices);
  const core::Cluster cluster = interpreter::cluster_of(2);
  TrainOptions options;
  options.steps = 100'000'000;
  options.checkpoint = checkpoint;
  const CancelOnSignal cancel;
  TrainHooks hooks;
  hooks.cancel = &cancel.flag();
  hooks.progress = [](const TrainProgress& p) {
    fmt::print("step {}\n", p.step);
    std::fflush(stdout);
  };
  SOAPSTONE_ASSIGN(
      const TrainReport report,
      train(communicator, {graph, strategy, cluster, catalog, *data.train}, options, hooks));
  if (communicator.process() == 0)
    fmt::print("cancelled {} at step {}\n", report.cancelled, report.steps_done);
  return {};
}

// Synthetic data with a NaN in one sample.
class Planted final : public DataSource {
 public:
  explicit Planted(const DataSource& from) : from_(from) {}
  std::string_view name() const override { return from_.name(); }
  std::int64_t samples() const override { return from_.samples(); }
  core::Status check(const core::Graph& graph) const override { return from_.check(graph); }
  void fill(const core::SourceSpec& source, std::span<const std::int64_t> samples,
            const core::Box& box, void* out) const override {
    from_.fill(source, samples, box, out);
    if (source.name != "images") return;
    const std::int64_t per_sample =
        core::elements(box) / std::max<std::int64_t>(1, box[0].extent());
    for (std::int64_t i = box[0].begin; i < box[0].end; ++i)
      if (samples[static_cast<std::size_t>(i)] == 29)
        static_cast<double*>(out)[(i - box[0].begin) * per_sample + 5] = std::nan("");
  }

 private:
  const DataSource& from_;
};

core::Status train_on_a_nan(Communicator& communicator) {
  const core::Graph graph =
      core::build_model("mlp", {.batch = 32, .dtype = core::DType::kF64}).value();
  const kernels::HostCatalog catalog;
  const auto data = make_synthetic_data(graph, 3, 100).value();
  const Planted planted(*data.train);
  const core::DeviceId devices[] = {core::DeviceId(0), core::DeviceId(1)};
  const core::Strategy strategy = core::data_parallel(graph, devices);
  TrainOptions options;
  options.steps = 20;
  SOAPSTONE_TRY(train(communicator, {graph, strategy, interpreter::cluster_of(2), catalog, planted},
                      options));
  return {};
}

core::Status probe(Communicator& communicator) {
  const std::pair<std::uint32_t, std::uint32_t> pairs[] = {{0, 1}};
  const core::Bytes sizes[] = {core::Bytes(8), core::Bytes(1 << 20)};
  const auto probes = probe_links(communicator, pairs, sizes, 20);
  const LinkFigures f = figures_of(probes.at(0));
  const Measurement update =
      measure_update(communicator, 10000, 1, core::DType::kF32, {.seconds = 0.05});
  if (communicator.process() == 1)
    fmt::print("latency {} ns bandwidth {:.3g} B/s update {} ns of {} repeats\n", f.latency.value,
               f.bandwidth.value, update.median.value, update.repeats);
  return {};
}

int run(const std::string& what, const std::string& argument) {
  auto communicator = make_communicator("mpi", 0);
  if (!communicator) {
    fmt::print(stderr, "{}\n", communicator.error().message);
    return 1;
  }
  const kernels::KokkosScope kokkos(1);
  const core::Status status = guarded(**communicator, [&]() -> core::Status {
    if (what == "die") return die(**communicator, argument);
    if (what == "verify") return verify_random(**communicator);
    if (what == "disagree") return disagree(**communicator);
    if (what == "train") return train_until_signal(**communicator, argument);
    if (what == "nan") return train_on_a_nan(**communicator);
    if (what == "probe") return probe(**communicator);
    return core::usage_error("unknown case {}", what);
  });
  if (!status)
    fmt::print(stderr, "process {}: {}\n", (*communicator)->process(), status.error().message);
  return status ? 0 : 1;
}

}  // namespace
}  // namespace soapstone::runtime

int main(int argc, char** argv) {
  return soapstone::runtime::run(argc > 1 ? argv[1] : "", argc > 2 ? argv[2] : "");
}
