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
#include "core/zigzag.hpp"
#include "kernels/bf16.hpp"
#include "kernels/box_copy.hpp"

namespace soapstone::runtime {

namespace {

constexpr std::size_t kAlignment = 64;

std::size_t aligned(core::Bytes size) {
  return (static_cast<std::size_t>(size.value) + kAlignment - 1) / kAlignment * kAlignment;
}

template <class T>
void take_labels_of(const core::TensorDesc& desc, const core::Box& box, std::int64_t first,
                    std::int64_t counted, std::byte* labels) {
  const core::Shape local = core::extents(box);
  const std::int64_t stride = core::packed_strides(local, desc.order)[0];
  auto* values = reinterpret_cast<T*>(labels);
  for (std::int64_t e = 0; e < core::elements(box); ++e)
    if (first + e / stride % local[0] >= counted) values[e] = static_cast<T>(core::kNoLabel);
}

// Takes the labels away of the samples whose index in the mini-batch is `counted` or more; that of
// the box's first index is `first`.
void take_labels(const core::TensorDesc& desc, const core::Box& box, std::int64_t first,
                 std::int64_t counted, std::byte* labels) {
  switch (desc.dtype) {
    case core::DType::kI32:
      return take_labels_of<std::int32_t>(desc, box, first, counted, labels);
    case core::DType::kF32:
      return take_labels_of<float>(desc, box, first, counted, labels);
    case core::DType::kF64:
      return take_labels_of<double>(desc, box, first, counted, labels);
    case core::DType::kBF16:
      return take_labels_of<kernels::Bf16>(desc, box, first, counted, labels);
  }
}

// What an i32 source may hold: [0, bound) and, below 0, what stands for none.
struct Accepted {
  std::int64_t bound = 0;
  std::vector<std::int64_t> absent;
};

Accepted accepted_of(const core::Graph& graph, core::TensorId tensor,
                     const core::SourceSpec& spec) {
  Accepted accepted{spec.classes, {}};
  for (const core::OperandRef& use : graph.tensor(tensor).uses)
    if (const auto absent = graph.op(use.op).definition.operands[use.operand].absent; absent < 0)
      accepted.absent.push_back(absent);
  return accepted;
}

// Throws where the box of a source, filled for `samples`, holds a value that is not accepted.
void check_integers(const core::SourceSpec& spec, const Accepted& accepted, std::string_view data,
                    std::span<const std::int64_t> samples, const core::Box& box,
                    const std::byte* bytes) {
  const auto* values = reinterpret_cast<const std::int32_t*>(bytes);
  for (std::int64_t e = 0; e < core::elements(box); ++e) {
    const std::int64_t value = values[e];
    if (value >= 0 && value < accepted.bound) continue;
    if (std::find(accepted.absent.begin(), accepted.absent.end(), value) != accepted.absent.end())
      continue;
    const core::Shape local = core::extents(box);
    const core::Shape strides = core::packed_strides(local, spec.desc.order);
    std::string position;
    for (std::size_t d = 1; d < box.size(); ++d)
      position += fmt::format("{}{}", d > 1 ? ", " : "", box[d].begin + e / strides[d] % local[d]);
    const auto sample = static_cast<std::size_t>(box[0].begin + e / strides[0] % local[0]);
    throw DataError(fmt::format("data {}: source {}, sample {}{}: {}; accepted: 0 to {}", data,
                                spec.name, samples[sample],
                                position.empty() ? "" : fmt::format(", position [{}]", position),
                                value, accepted.bound - 1));
  }
}

// A box of a source that lies in one piece in the data, and where it lies in the box of the load.
struct Piece {
  core::Box held, given;
};

// The pieces of what a load wants.
std::vector<Piece> pieces_of(const core::SourceSpec& spec, const Load& load) {
  std::vector<Piece> pieces{{load.box, load.box}};
  for (std::size_t d = 0; d < load.zigzag.size(); ++d) {
    const auto runs = core::zigzag_runs(load.box[d], spec.desc.shape[d], load.zigzag[d]);
    std::vector<Piece> cut;
    for (const Piece& piece : pieces)
      for (const core::Run& run : runs) {
        cut.push_back(piece);
        cut.back().held[d] = run.indices;
        cut.back().given[d] = {run.position, run.position + run.indices.extent()};
      }
    pieces = std::move(cut);
  }
  return pieces;
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
  std::vector<Accepted> accepted;              // likewise
  std::vector<std::vector<Piece>> pieces;      // likewise
  std::vector<std::byte> scratch;              // a piece on its way to its place
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
      accepted.push_back(accepted_of(graph, core::TensorId(load.tensor), *spec));
      pieces.push_back(pieces_of(*spec, load));
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

  void fill(std::size_t k, std::span<const std::int64_t> samples, std::byte* to) {
    const core::SourceSpec& spec = *specs[k];
    const core::Box& box = loads[k].box;
    for (const Piece& piece : pieces[k]) {
      const bool is_whole = piece.held == box;
      const auto size = core::size_of(spec.desc.dtype) * core::elements(piece.held);
      if (!is_whole) scratch.resize(static_cast<std::size_t>(size.value));
      std::byte* into = is_whole ? to : scratch.data();
      source.fill(spec, samples, piece.given, into);
      if (spec.desc.dtype == core::DType::kI32)
        check_integers(spec, accepted[k], source.name(), samples, piece.given, into);
      if (!is_whole)
        kernels::copy_box({to, spec.desc.dtype, box, spec.desc.order},
                          {into, spec.desc.dtype, piece.held, spec.desc.order}, piece.held);
    }
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
          const auto part = std::span<const std::int64_t>(samples).subspan(
              first, static_cast<std::size_t>(micro_batch_samples));
          fill(k, part, batch.places[k]);
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
