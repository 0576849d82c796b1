#include "runtime/profiler.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "core/assert.hpp"
#include "core/derive.hpp"
#include "kernels/bf16.hpp"
#include "kernels/box_copy.hpp"
#include "kernels/catalog.hpp"
#include "kernels/optimizer.hpp"
#include "kernels/row_update.hpp"
#include "runtime/arena.hpp"
#include "runtime/clock.hpp"
#include "runtime/detail/bytes.hpp"

namespace soapstone::runtime {

using core::Bytes;
using core::Nanoseconds;
using kernels::Block;

namespace {

Measurement summary(std::vector<std::int64_t> times) {
  std::sort(times.begin(), times.end());
  const std::size_t n = times.size();
  return {Nanoseconds(times[n / 2]), Nanoseconds(times[n / 4]), Nanoseconds(times[n - 1 - n / 4]),
          static_cast<std::int32_t>(n)};
}

// Times of `work()`, without those of the first call.
template <class Work>
std::vector<std::int64_t> repeat(const MeasureOptions& options, const Work& work) {
  std::vector<std::byte> evictor(static_cast<std::size_t>(options.evicted.value));
  work();
  std::vector<std::int64_t> times;
  const std::int64_t end = steady_now() + static_cast<std::int64_t>(options.seconds * 1e9);
  for (std::int32_t k = 0; k < options.most_repeats; ++k) {
    if (k >= options.least_repeats && steady_now() > end) break;
    if (!evictor.empty()) std::memset(evictor.data(), k, evictor.size());
    const std::int64_t start = steady_now();
    work();
    times.push_back(steady_now() - start);
  }
  return times;
}

// The times of all processes together.
std::vector<std::int64_t> gather_all(Communicator& communicator,
                                     const std::vector<std::int64_t>& own) {
  detail::ByteWriter writer;
  writer.put_bytes(own.data(), own.size() * sizeof(std::int64_t));
  std::string all;
  for (const std::string& part : communicator.gather(writer.take())) all += part;
  all = communicator.broadcast(all);
  std::vector<std::int64_t> times(all.size() / sizeof(std::int64_t));
  if (!all.empty()) std::memcpy(times.data(), all.data(), all.size());
  return times;
}

// The quietest of as many attempts as it takes; each is made by all processes at once.
template <class Attempt>
Measurement quietest(Communicator& communicator, const MeasureOptions& options,
                     const Attempt& attempt) {
  Measurement best;
  for (std::int32_t k = 0; k < std::max(1, options.most_attempts); ++k) {
    communicator.barrier();
    const Measurement m = summary(gather_all(communicator, attempt()));
    if (k == 0 || m.spread() < best.spread()) best = m;
    if (best.spread() <= options.wanted_spread) break;
  }
  return best;
}

// Positive values of ordinary size; indices are zero, which every table has.
void fill(const Block& block) {
  const std::int64_t count = block.size();
  for (std::int64_t i = 0; i < count; ++i) {
    const double value = 0.25 + static_cast<double>(i % 97) / 194;
    switch (block.dtype) {
      case core::DType::kF32:
        static_cast<float*>(block.data)[i] = static_cast<float>(value);
        break;
      case core::DType::kF64:
        static_cast<double*>(block.data)[i] = value;
        break;
      case core::DType::kBF16:
        static_cast<kernels::Bf16*>(block.data)[i] = kernels::Bf16(value);
        break;
      case core::DType::kI32:
        static_cast<std::int32_t*>(block.data)[i] = 0;
        break;
    }
  }
}

Bytes size_of(const Block& block) { return core::size_of(block.dtype) * block.size(); }

std::vector<std::int64_t> step_times(const core::LocalProblem& problem, int step_index,
                                     std::string_view candidate, const MeasureOptions& options) {
  const auto kernel = kernels::prepare(candidate, problem);
  const core::Step& step = problem.definition->steps[static_cast<std::size_t>(step_index)];
  std::vector<Arena> memory;
  std::vector<Block> operands;
  for (const auto* refs : {&step.reads, &step.writes})
    for (const core::Ref& ref : *refs) {
      const core::Operand& operand = problem.definition->operands[ref.operand];
      Block block{nullptr, operand.desc.dtype, problem.box(ref.operand), operand.desc.order};
      // What only the first part of an axis has, the others do not.
      for (std::size_t a = 0; a < problem.axes.size(); ++a)
        if (operand.first_part_of.has(static_cast<int>(a)) && problem.axes[a].begin > 0)
          block.box = core::Box(block.box.size(), core::Interval{});
      if (block.size() > 0) {
        memory.emplace_back(size_of(block));
        block.data = memory.back().data();
        fill(block);
      }
      operands.push_back(block);
    }
  const Arena workspace(kernel->workspace());
  return repeat(options, [&] { kernel->execute({step_index, operands, workspace.data(), {}}); });
}

constexpr int kTag = 0;

// One end of a ping-pong. The first sends, the second answers.
class PingPong final : public Program {
 public:
  enum class End : std::uint8_t { kFirst, kSecond };
  PingPong(Endpoint& endpoint, int peer, End end, std::span<const Bytes> sizes,
           std::int32_t repeats)
      : endpoint_(endpoint), peer_(peer), end_(end), sizes_(sizes), repeats_(repeats) {
    Bytes most;
    for (const Bytes s : sizes) most = std::max(most, s);
    buffer_.resize(static_cast<std::size_t>(most.value) + 1);
    times_.resize(sizes.size());
  }

  Progress advance() override {
    for (; size_ < sizes_.size(); ++size_, round_ = 0) {
      for (; round_ <= repeats_; ++round_) {  // the first round only warms up
        for (; half_ < 2; ++half_) {
          if (!request_.pending() && !posted_) {
            if (half_ == 0) started_ = steady_now();
            const bool sends = (half_ == 0) == (end_ == End::kFirst);
            request_ = sends ? endpoint_.send(peer_, kTag, buffer_.data(), sizes_[size_])
                             : endpoint_.receive(peer_, kTag, buffer_.data(), sizes_[size_]);
            posted_ = true;
          }
          if (!endpoint_.test(request_)) return Progress::kWaiting;
          posted_ = false;
        }
        half_ = 0;
        if (round_ > 0) times_[size_].push_back((steady_now() - started_) / 2);
      }
    }
    return Progress::kDone;
  }
  std::string waits_for() const override { return fmt::format("a message of rank {}", peer_); }
  const std::vector<std::vector<std::int64_t>>& times() const { return times_; }

 private:
  Endpoint& endpoint_;
  int peer_;
  End end_;
  std::span<const Bytes> sizes_;
  std::int32_t repeats_;
  std::vector<std::byte> buffer_;
  std::vector<std::vector<std::int64_t>> times_;
  std::size_t size_ = 0;
  std::int32_t round_ = 0;
  int half_ = 0;
  bool posted_ = false;
  std::int64_t started_ = 0;
  Request request_;
};

class Nothing final : public Program {
 public:
  Progress advance() override { return Progress::kDone; }
  std::string waits_for() const override { return "nothing"; }
};

}  // namespace

Measurement measure_step(const core::LocalProblem& problem, int step, std::string_view candidate,
                         const MeasureOptions& options) {
  return summary(step_times(problem, step, candidate, options));
}

Measurement measure_step(Communicator& communicator, const core::LocalProblem& problem, int step,
                         std::string_view candidate, const MeasureOptions& options) {
  return quietest(communicator, options,
                  [&] { return step_times(problem, step, candidate, options); });
}

Measurement measure_update(Communicator& communicator, std::int64_t elements, int state_tensors,
                           core::DType dtype, const MeasureOptions& options) {
  SOAPSTONE_ASSERT(elements >= 1 && state_tensors >= 0 && state_tensors <= 2,
                   "{} elements, {} state tensors", elements, state_tensors);
  std::vector<Arena> memory;
  std::vector<Block> blocks;
  for (int k = 0; k < 2 + state_tensors; ++k) {
    memory.emplace_back(core::size_of(dtype) * elements);
    blocks.push_back({memory.back().data(), dtype, core::Box{core::Interval{0, elements}}, {}});
    fill(blocks.back());
  }
  const kernels::OptimizerUpdate how{
      .kind = state_tensors == 2 ? core::OptimizerKind::kAdamW : core::OptimizerKind::kSgd,
      .learning_rate = 1e-6,
      .momentum = state_tensors > 0 ? 0.9 : 0.0,
      .step = 1};
  return quietest(communicator, options, [&] {
    return repeat(options, [&] {
      kernels::update_weight(blocks[0], blocks[1], std::span(blocks).subspan(2), how);
    });
  });
}

Measurement measure_row_update(Communicator& communicator, std::int64_t rows, std::int64_t features,
                               int state_tensors, core::DType dtype,
                               const MeasureOptions& options) {
  SOAPSTONE_ASSERT(rows >= 1 && features >= 1 && state_tensors >= 0 && state_tensors <= 1,
                   "{} rows of {} features, {} state tensors", rows, features, state_tensors);
  // Large enough that the rows met do not stay in caches, as those of a table in training.
  const std::int64_t vocab = std::max(2 * rows, (std::int64_t{1} << 22) / features);
  std::vector<Arena> memory;
  const auto block = [&](std::int64_t count, core::DType type) {
    core::Box box{{0, count}};
    if (type != core::DType::kI32) box.push_back({0, features});
    memory.emplace_back(core::size_of(type) * core::elements(box));
    const Block made{memory.back().data(), type, box, {}};
    fill(made);
    return made;
  };
  std::vector<Block> table;
  for (int k = 0; k < 1 + state_tensors; ++k) table.push_back(block(vocab, dtype));
  const kernels::RowBlocks part{block(rows, core::DType::kI32), block(rows, dtype)};
  // All over the table, in an order that has nothing to do with where they lie.
  const std::int64_t stride = rows % 7919 == 0 ? 1 : 7919;
  for (std::int64_t k = 0; k < rows; ++k)
    static_cast<std::int32_t*>(part.ids.data)[k * stride % rows] =
        static_cast<std::int32_t>(k * (vocab / rows));
  const kernels::RowGradients gradients{std::span(&part, 1)};
  const Arena workspace(kernels::row_workspace(gradients));
  const kernels::OptimizerUpdate how{
      .kind = state_tensors == 1 ? core::OptimizerKind::kAdagrad : core::OptimizerKind::kSgd,
      .learning_rate = 1e-6};
  return quietest(communicator, options, [&] {
    return repeat(options, [&] {
      kernels::update_rows(table[0], gradients, std::span(table).subspan(1), how, workspace.data());
    });
  });
}

Measurement measure_copy(Communicator& communicator, Bytes size, const MeasureOptions& options) {
  const std::int64_t count = std::max<std::int64_t>(1, size.value / 4);
  const Arena from(Bytes(count * 4)), to(Bytes(count * 4));
  const core::Box box{core::Interval{0, count}};
  const Block src{from.data(), core::DType::kF32, box, {}},
      dst{to.data(), core::DType::kF32, box, {}};
  fill(src);
  return quietest(communicator, options,
                  [&] { return repeat(options, [&] { kernels::copy_box(dst, src, box); }); });
}

std::vector<LinkProbe> probe_links(Communicator& communicator,
                                   std::span<const std::pair<std::uint32_t, std::uint32_t>> pairs,
                                   std::span<const Bytes> sizes, std::int32_t repeats) {
  SOAPSTONE_ASSERT(repeats >= 1, "{} repeats", repeats);
  std::vector<std::unique_ptr<Program>> programs;
  std::vector<Program*> pointers;
  std::vector<std::pair<std::uint32_t, PingPong*>>
      firsts;  // the pair, and its first end if it is here
  for (const int rank : communicator.own_ranks()) {
    programs.push_back(std::make_unique<Nothing>());
    for (std::uint32_t p = 0; p < pairs.size(); ++p) {
      const auto [first, second] = pairs[p];
      if (static_cast<int>(first) != rank && static_cast<int>(second) != rank) continue;
      const bool is_first = static_cast<int>(first) == rank;
      auto end = std::make_unique<PingPong>(
          communicator.endpoint(rank), static_cast<int>(is_first ? second : first),
          is_first ? PingPong::End::kFirst : PingPong::End::kSecond, sizes, repeats);
      if (is_first) firsts.emplace_back(p, end.get());
      programs.back() = std::move(end);
    }
    pointers.push_back(programs.back().get());
  }
  communicator.barrier();
  communicator.run(pointers);
  detail::ByteWriter writer;
  for (const auto& [p, end] : firsts) {
    writer.put(p);
    for (const auto& t : end->times()) writer.put_bytes(t.data(), t.size() * sizeof(std::int64_t));
  }
  std::string all;
  for (const std::string& part : communicator.gather(writer.take())) all += part;
  all = communicator.broadcast(all);
  std::vector<LinkProbe> probes(pairs.size());
  detail::ByteReader reader(all);
  while (!reader.done()) {
    const auto p = reader.get<std::uint32_t>();
    probes[p].first = pairs[p].first;
    probes[p].second = pairs[p].second;
    for (const Bytes size : sizes) {
      std::vector<std::int64_t> times(static_cast<std::size_t>(repeats));
      std::memcpy(times.data(), reader.get_bytes(times.size() * sizeof(std::int64_t)),
                  times.size() * sizeof(std::int64_t));
      probes[p].times.push_back({size, summary(std::move(times))});
    }
  }
  return probes;
}

LinkFigures figures_of(const LinkProbe& probe) {
  SOAPSTONE_ASSERT(probe.times.size() >= 2, "{} sizes", probe.times.size());
  const auto by_size = [](const MessageTime& a, const MessageTime& b) { return a.size < b.size; };
  const auto [small, large] = std::minmax_element(probe.times.begin(), probe.times.end(), by_size);
  const double per_byte = std::max(
      1e-6, static_cast<double>((large->time.median - small->time.median).value) /
                static_cast<double>(std::max<std::int64_t>(1, (large->size - small->size).value)));
  const double latency = static_cast<double>(small->time.median.value) -
                         per_byte * static_cast<double>(small->size.value);
  return {Nanoseconds(std::max<std::int64_t>(1, static_cast<std::int64_t>(latency))),
          core::BytesPerSecond(1e9 / per_byte)};
}

}  // namespace soapstone::runtime
