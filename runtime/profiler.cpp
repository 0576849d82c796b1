#include "runtime/profiler.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <new>

#include "kernels/box_copy.hpp"
#include "kernels/catalog.hpp"
#include "kernels/init.hpp"
#include "kernels/kernel.hpp"
#include "kernels/optimizer.hpp"

namespace soapstone::runtime {

namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Memory of one operand, on pages of its own.
struct Memory {
  struct Free {
    void operator()(std::byte* p) const { ::operator delete[](p, std::align_val_t{4096}); }
  };
  std::unique_ptr<std::byte[], Free> data;
  std::size_t size = 0;

  explicit Memory(std::int64_t bytes)
      : data(static_cast<std::byte*>(::operator new[](static_cast<std::size_t>(std::max<std::int64_t>(bytes, 64)), std::align_val_t{4096}))),
        size(static_cast<std::size_t>(bytes)) {
    std::memset(data.get(), 0, size);
  }
};

double quantile(const std::vector<double>& sorted, double q) {
  return sorted[static_cast<std::size_t>(q * static_cast<double>(sorted.size() - 1))];
}

void wait(Endpoint& endpoint, Request& request) {
  for (std::uint32_t attempt = 0; !endpoint.test(request); ++attempt) endpoint.relax(attempt);
}

constexpr int kTag = 1;

}  // namespace

Profiler::Profiler(Communicator& communicator, ProfilerOptions options)
    : communicator_(communicator), options_(options), disturbance_(static_cast<std::size_t>(options.disturbance.value)) {
  SOAPSTONE_ASSERT(communicator.own_ranks().size() == 1, "a profiler measures one rank per process, not {}", communicator.own_ranks().size());
}

Timing Profiler::averaged(std::vector<double>& seconds) {
  std::sort(seconds.begin(), seconds.end());
  double values[] = {quantile(seconds, 0.5), quantile(seconds, 0.75) - quantile(seconds, 0.25), static_cast<double>(seconds.size())};
  communicator_.sum(values);
  const double ranks = communicator_.processes();
  return {core::Nanoseconds(static_cast<std::int64_t>(values[0] / ranks * 1e9)),
          core::Nanoseconds(static_cast<std::int64_t>(values[1] / ranks * 1e9)), static_cast<int>(values[2] / ranks)};
}

std::vector<Timing> Profiler::steps(const core::LocalProblem& problem, std::string_view candidate, std::span<const int> wanted) {
  const core::OpDefinition& def = *problem.definition;
  const auto kernel = kernels::prepare(candidate, problem);
  const Memory workspace(kernel->workspace().value);

  // Value and gradient of every operand.
  std::vector<Memory> memory;
  std::vector<kernels::Block> blocks;
  for (std::size_t k = 0; k < def.operands.size(); ++k) {
    const core::Operand& operand = def.operands[k];
    core::Box box = problem.box(static_cast<int>(k));
    for (std::size_t a = 0; a < problem.axes.size(); ++a)
      if (operand.first_part_of.has(static_cast<int>(a)) && problem.axes[a].begin > 0) box = core::Box(box.size(), core::Interval{});
    for (int gradient = 0; gradient < 2; ++gradient) {
      const std::int64_t count = core::elements(box);
      memory.emplace_back(core::size_of(operand.desc.dtype).value * count);
      kernels::Block block{count > 0 ? memory.back().data.get() : nullptr, operand.desc.dtype, box, operand.desc.order};
      if (count > 0 && operand.desc.dtype == core::DType::kI32) {
        // Indices and labels are below the extent of the axis that they choose from, which is declared last.
        auto* values = static_cast<std::int32_t*>(block.data);
        const std::int64_t bound = def.axes.back().extent;
        for (std::int64_t i = 0; i < count; ++i) values[i] = static_cast<std::int32_t>(i * 7919 % bound);
      } else if (count > 0) {
        kernels::initialize(block, operand.desc.shape, {core::InitKind::kNormal, 1.0}, 1, static_cast<std::uint32_t>(2 * k + static_cast<std::size_t>(gradient)));
      }
      blocks.push_back(std::move(block));
    }
  }
  const auto block_of = [&](const core::Ref& ref) -> const kernels::Block& { return blocks[2 * ref.operand + (ref.gradient ? 1 : 0)]; };

  core::AxisSet split;
  for (std::size_t a = 0; a < problem.axes.size(); ++a)
    if (problem.axes[a].extent() < def.axes[a].extent) split.insert(static_cast<int>(a));

  std::vector<Timing> timings;
  const int last = wanted.empty() ? -1 : *std::max_element(wanted.begin(), wanted.end());
  for (int s = 0; s <= last; ++s) {
    const core::Step& step = def.steps[static_cast<std::size_t>(s)];
    const bool timed = std::find(wanted.begin(), wanted.end(), s) != wanted.end();
    if (!timed && !core::step_is_used(step, split)) continue;
    std::vector<kernels::Block> operands;
    for (const auto& r : step.reads) operands.push_back(block_of(r));
    for (const auto& w : step.writes) operands.push_back(block_of(w));
    const kernels::StepCall call{s, operands, workspace.data.get(), {1, 0, 0, 0}};
    kernel->execute(call);
    if (!timed) continue;
    communicator_.barrier();
    std::vector<double> seconds;
    const double end = now() + core::seconds(options_.time_per_step);
    while (static_cast<int>(seconds.size()) < options_.most_repeats &&
           (static_cast<int>(seconds.size()) < options_.least_repeats || now() < end)) {
      std::memset(disturbance_.data(), static_cast<int>(seconds.size()), disturbance_.size());
      const double start = now();
      kernel->execute(call);
      seconds.push_back(now() - start);
    }
    timings.push_back(averaged(seconds));
  }
  return timings;
}

Timing Profiler::copy(core::Bytes size) {
  const std::int64_t count = size.value / 2 / 4;
  Memory from(count * 4), to(count * 4);
  const core::Box box{{0, count}};
  const kernels::Block source{from.data.get(), core::DType::kF32, box, {}}, target{to.data.get(), core::DType::kF32, box, {}};
  communicator_.barrier();
  std::vector<double> seconds;
  const double end = now() + core::seconds(options_.time_per_step);
  while (static_cast<int>(seconds.size()) < options_.least_repeats || (now() < end && static_cast<int>(seconds.size()) < options_.most_repeats)) {
    std::memset(disturbance_.data(), static_cast<int>(seconds.size()), disturbance_.size());
    const double start = now();
    kernels::copy_box(target, source, box);
    seconds.push_back(now() - start);
  }
  return averaged(seconds);
}

Timing Profiler::update(std::int64_t elements, int state_tensors, core::DType dtype) {
  const std::int64_t bytes = core::size_of(dtype).value * elements;
  Memory weight(bytes), gradient(bytes), momentum(bytes);
  const core::Box box{{0, elements}};
  const auto block = [&](const Memory& m) { return kernels::Block{m.data.get(), dtype, box, {}}; };
  kernels::SgdUpdate update;
  update.learning_rate = 0.01;
  update.momentum = state_tensors > 0 ? 0.9 : 0;
  communicator_.barrier();
  std::vector<double> seconds;
  const double end = now() + core::seconds(options_.time_per_step);
  while (static_cast<int>(seconds.size()) < options_.least_repeats || (now() < end && static_cast<int>(seconds.size()) < options_.most_repeats)) {
    std::memset(disturbance_.data(), static_cast<int>(seconds.size()), disturbance_.size());
    const double start = now();
    kernels::sgd_update(block(weight), block(gradient), state_tensors > 0 ? block(momentum) : kernels::Block{}, update);
    seconds.push_back(now() - start);
  }
  return averaged(seconds);
}

Timing Profiler::message(Traffic traffic, core::Bytes size, int a, int b) {
  const int rank = communicator_.own_ranks()[0];
  const int ranks = communicator_.ranks();
  Endpoint& endpoint = communicator_.endpoint(rank);
  Memory out(size.value), in(size.value);
  const bool ring = traffic == Traffic::kRing;
  const bool takes_part = ring || rank == a || rank == b;
  const int to = ring ? (rank + 1) % ranks : rank == a ? b : a;
  const int from = ring ? (rank + ranks - 1) % ranks : to;
  const auto exchange = [&] {
    Request incoming = endpoint.receive(from, kTag, in.data.get(), size);
    Request outgoing = endpoint.send(to, kTag, out.data.get(), size);
    wait(endpoint, incoming);
    wait(endpoint, outgoing);
  };
  const auto ping_pong = [&] {
    if (rank == a) {
      Request outgoing = endpoint.send(b, kTag, out.data.get(), size);
      wait(endpoint, outgoing);
      Request incoming = endpoint.receive(b, kTag, in.data.get(), size);
      wait(endpoint, incoming);
    } else {
      Request incoming = endpoint.receive(a, kTag, in.data.get(), size);
      wait(endpoint, incoming);
      Request outgoing = endpoint.send(a, kTag, out.data.get(), size);
      wait(endpoint, outgoing);
    }
  };
  const auto once = [&] { traffic == Traffic::kOneWay ? ping_pong() : exchange(); };
  // Both ends must do the same number: those who take part agree on it by what a first round takes.
  double first[] = {0};
  communicator_.barrier();
  if (takes_part) {
    once();
    const double start = now();
    once();
    first[0] = now() - start;
  }
  communicator_.sum(first);
  const double each = std::max(1e-7, first[0] / (ring ? ranks : 2));
  const int repeats = std::clamp(static_cast<int>(core::seconds(options_.time_per_step) / each), options_.least_repeats, options_.most_repeats);
  communicator_.barrier();
  std::vector<double> seconds;
  for (int i = 0; takes_part && i < repeats; ++i) {
    const double start = now();
    once();
    seconds.push_back((now() - start) / (traffic == Traffic::kOneWay ? 2 : 1));
  }
  // Ranks that only watched count for nothing.
  std::sort(seconds.begin(), seconds.end());
  double values[] = {takes_part ? quantile(seconds, 0.5) : 0, takes_part ? quantile(seconds, 0.75) - quantile(seconds, 0.25) : 0, takes_part ? 1.0 : 0.0};
  communicator_.sum(values);
  return {core::Nanoseconds(static_cast<std::int64_t>(values[0] / values[2] * 1e9)),
          core::Nanoseconds(static_cast<std::int64_t>(values[1] / values[2] * 1e9)), repeats};
}

}  // namespace soapstone::runtime
