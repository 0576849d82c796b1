#include "runtime/data/batch_reader.hpp"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

#include "core/assert.hpp"
#include "core/ops/softmax_cross_entropy.hpp"

namespace soapstone::runtime {

namespace {

constexpr std::size_t kAlignment = 64;

std::size_t aligned(core::Bytes size) {
  return (static_cast<std::size_t>(size.value) + kAlignment - 1) / kAlignment * kAlignment;
}

// Takes the labels away of the samples whose index in the mini-batch is `counted` or more; that of
// the box's first index is `first`.
void take_labels(const core::TensorDesc& desc, const core::Box& box, std::int64_t first,
                 std::int64_t counted, std::byte* labels) {
  const core::Shape local = core::extents(box);
  const std::int64_t stride = core::packed_strides(local, desc.order)[0];
  auto* values = reinterpret_cast<std::int32_t*>(labels);
  for (std::int64_t e = 0; e < core::elements(box); ++e)
    if (first + e / stride % local[0] >= counted) values[e] = core::kNoLabel;
}

struct Wanted {
  std::vector<std::int64_t> samples;
  std::int64_t counted = 0;
};

struct Batch {
  std::vector<std::byte> bytes;
  std::vector<std::byte*> places;  // one per load
  std::vector<const std::byte*> given;
};

}  // namespace

struct BatchReader::Impl {
  const DataSource& source;
  std::int64_t micro_batch_samples;
  std::vector<Load> loads;
  std::vector<const core::SourceSpec*> specs;  // one per load
  std::uint32_t labels;                        // the loss's

  std::array<Batch, 2> batches;  // one is computed with, one is filled
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Wanted> requests;
  std::size_t asked = 0, filled = 0, taken = 0;  // so far; batch k lies in batches[k % 2]
  std::exception_ptr error;
  bool stopping = false;
  std::thread thread;

  Impl(const core::Graph& graph, const DataSource& from, std::int64_t samples,
       std::vector<Load> what)
      : source(from),
        micro_batch_samples(samples),
        loads(std::move(what)),
        labels(labels_of(graph).value) {
    for (const Load& load : loads) {
      const auto& known = graph.spec().sources;
      const auto spec = std::find_if(known.begin(), known.end(), [&](const core::SourceSpec& s) {
        return s.name == graph.tensors()[load.tensor].name;
      });
      SOAPSTONE_ASSERT(spec != known.end(), "{} is no source", graph.tensors()[load.tensor].name);
      specs.push_back(&*spec);
    }
    for (Batch& b : batches) {
      std::size_t size = kAlignment;
      for (const Load& load : loads) size += aligned(load.size);
      b.bytes.resize(size);
      const auto beyond = reinterpret_cast<std::uintptr_t>(b.bytes.data()) % kAlignment;
      std::byte* at = b.bytes.data() + (kAlignment - beyond) % kAlignment;
      for (const Load& load : loads) {
        b.places.push_back(at);
        at += aligned(load.size);
      }
      b.given.assign(b.places.begin(), b.places.end());
    }
    thread = std::thread([this] { work(); });
  }

  void work() {
    std::unique_lock lock(mutex);
    for (;;) {
      // The batch that was taken last stays as it is until the next one is taken.
      changed.wait(lock, [&] { return stopping || (!requests.empty() && filled <= taken); });
      if (stopping) return;
      const auto [samples, counted] = std::move(requests.front());
      requests.pop_front();
      Batch& batch = batches[filled % 2];
      lock.unlock();
      std::exception_ptr failure;
      try {
        for (std::size_t k = 0; k < loads.size(); ++k) {
          const auto first = static_cast<std::size_t>(loads[k].micro_batch * micro_batch_samples);
          source.fill(
              *specs[k],
              std::span(samples).subspan(first, static_cast<std::size_t>(micro_batch_samples)),
              loads[k].box, batch.places[k]);
          if (loads[k].tensor == labels && counted < static_cast<std::int64_t>(samples.size()))
            take_labels(specs[k]->desc, loads[k].box,
                        static_cast<std::int64_t>(first) + loads[k].box[0].begin, counted,
                        batch.places[k]);
        }
      } catch (...) {
        failure = std::current_exception();
      }
      lock.lock();
      if (failure) error = failure;
      ++filled;
      changed.notify_all();
    }
  }
};

core::TensorId labels_of(const core::Graph& graph) {
  const core::OpNode& loss = graph.op(graph.tensor(graph.loss()).producer.op);
  const auto inputs = loss.definition.operands_of(core::OperandRole::kInput);
  return loss.tensors[static_cast<std::size_t>(inputs.back())];
}

BatchReader::BatchReader(const core::Graph& graph, const DataSource& source,
                         std::int64_t micro_batch_samples, std::vector<Load> loads)
    : impl_(std::make_unique<Impl>(graph, source, micro_batch_samples, std::move(loads))) {}

BatchReader::~BatchReader() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->changed.notify_all();
  impl_->thread.join();
}

void BatchReader::request(std::vector<std::int64_t> samples) {
  const auto count = static_cast<std::int64_t>(samples.size());
  request(std::move(samples), count);
}

void BatchReader::request(std::vector<std::int64_t> samples, std::int64_t counted) {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->requests.push_back({std::move(samples), counted});
    ++impl_->asked;
  }
  impl_->changed.notify_all();
}

std::span<const std::byte* const> BatchReader::next() {
  Impl& i = *impl_;
  std::unique_lock lock(i.mutex);
  SOAPSTONE_ASSERT(i.taken < i.asked, "batch {} was not asked for", i.taken);
  const std::size_t mine = i.taken;
  i.changed.wait(lock, [&] { return i.filled > mine; });
  if (i.error) std::rethrow_exception(i.error);
  ++i.taken;
  i.changed.notify_all();
  return i.batches[mine % 2].given;
}

}  // namespace soapstone::runtime
