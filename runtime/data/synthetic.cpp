#include <algorithm>
#include <array>
#include <vector>

#include "kernels/bf16.hpp"
#include "kernels/random.hpp"
#include "runtime/data/data_source.hpp"

namespace soapstone::runtime {

namespace {

using kernels::RandomStream;
using kernels::RandomUse;

// What the streams' indices stand for. From kNamed on: integers of sources that have no meaning of
// their own here, by name.
enum Stream : std::uint32_t { kLabel = 0, kTable = 1, kWindow = 2, kToken = 3, kNamed = 16 };

Stream stream_of(std::string_view name) {
  core::Hasher h;
  core::append_hash(h, std::string(name));
  return static_cast<Stream>(kNamed + static_cast<std::uint32_t>(h.finish() >> 40));
}

// Classes of labels that are real numbers without classes of their own.
constexpr std::int64_t kLevels = 16;

// An image is the pattern of its label with noise upon it. Both are windows of one table of
// numbers, so that making data takes next to nothing from the training beside it.
class Synthetic final : public DataSource {
 public:
  Synthetic(const core::Graph& graph, std::uint64_t seed, std::int64_t first, std::int64_t samples)
      : seed_(seed), first_(first), samples_(samples) {
    for (const core::SourceSpec& s : graph.spec().sources) {
      if (s.name == "labels")
        label_classes_ = s.classes > 0 || s.desc.dtype == core::DType::kI32 ? s.classes : kLevels;
      if (s.name == "tokens") token_classes_ = s.classes;
    }
    for (std::size_t i = 0; i < table_.size(); ++i)
      table_[i] = static_cast<float>(2 * kernels::uniform01_coarse(stream(kTable), i) - 1);
  }

  std::string_view name() const override { return "synthetic"; }
  bool is_synthetic() const override { return true; }
  std::int64_t samples() const override { return samples_; }

  core::Status check(const core::Graph& graph) const override {
    for (const core::SourceSpec& s : graph.spec().sources)
      if (s.desc.dtype == core::DType::kI32 && s.name != "positions" && s.classes < 1)
        return core::usage_error("synthetic data of {}: how many classes has source {}?",
                                 graph.name(), s.name);
    return {};
  }

  void fill(const core::SourceSpec& source, std::span<const std::int64_t> samples,
            const core::Box& box, void* out) const override {
    switch (source.desc.dtype) {
      case core::DType::kF32:
        return fill_floats(source, samples, box, static_cast<float*>(out));
      case core::DType::kF64:
        return fill_floats(source, samples, box, static_cast<double*>(out));
      case core::DType::kBF16:
        return fill_floats(source, samples, box, static_cast<kernels::Bf16*>(out));
      case core::DType::kI32:
        return fill_integers(source, samples, box, static_cast<std::int32_t*>(out));
    }
  }

 private:
  RandomStream stream(Stream which) const { return {seed_, RandomUse::kSynthetic, which, 0}; }

  std::int64_t uniform(Stream which, std::uint64_t element, std::int64_t classes) const {
    return static_cast<std::int64_t>(kernels::uniform01(stream(which), element) *
                                     static_cast<double>(classes));
  }

  std::int64_t label(std::int64_t sample) const {
    return uniform(kLabel, static_cast<std::uint64_t>(sample),
                   std::max<std::int64_t>(1, label_classes_));
  }

  std::size_t window(std::int64_t key) const {
    return static_cast<std::size_t>(
        uniform(kWindow, static_cast<std::uint64_t>(key), static_cast<std::int64_t>(kTableSize)));
  }

  void fill_integers(const core::SourceSpec& source, std::span<const std::int64_t> samples,
                     const core::Box& box, std::int32_t* to) const {
    for (std::int64_t i = box[0].begin; i < box[0].end; ++i) {
      const std::int64_t sample = first_ + samples[static_cast<std::size_t>(i)];
      if (box.size() == 1) {
        *to++ = static_cast<std::int32_t>(label(sample));
        continue;
      }
      const std::int64_t length = source.desc.shape[1];
      for (std::int64_t s = box[1].begin; s < box[1].end; ++s) {
        *to++ = static_cast<std::int32_t>(integer(source, sample, s, length));
      }
    }
  }

  // Element s of a sequence of `length`. The label of a token follows from the token; the target of
  // a translation begins with 0 and then has the labels one step later.
  std::int64_t integer(const core::SourceSpec& source, std::int64_t sample, std::int64_t s,
                       std::int64_t length) const {
    const auto token = [&](std::int64_t at) {
      return uniform(kToken, static_cast<std::uint64_t>(sample * length + at),
                     token_classes_ > 0 ? token_classes_ : source.classes);
    };
    if (source.name == "positions") return s;
    if (source.name == "tokens") return token(s);
    if (source.name == "labels") return (5 * token(s) + 7) % source.classes;
    if (source.name == "target_tokens") return s == 0 ? 0 : (5 * token(s - 1) + 7) % source.classes;
    // Every other one tells something about the label.
    const std::int64_t key = (sample + s) % 2 == 0 ? -1 - label(sample) : sample;
    return uniform(stream_of(source.name), static_cast<std::uint64_t>(key * length + s),
                   source.classes);
  }

  template <class T>
  void fill_floats(const core::SourceSpec& source, std::span<const std::int64_t> samples,
                   const core::Box& box, T* to) const {
    const core::Shape& shape = source.desc.shape;
    if (source.name == "zeros") {
      std::fill_n(to, core::elements(box), T(0));
      return;
    }
    if (source.name == "labels") {
      const auto per_sample = core::elements(box) / std::max<std::int64_t>(1, box[0].extent());
      for (std::int64_t i = box[0].begin; i < box[0].end; ++i) {
        const auto l = static_cast<double>(label(first_ + samples[static_cast<std::size_t>(i)]));
        to = std::fill_n(to, per_sample, static_cast<T>(source.classes > 0 ? l : l / kLevels));
      }
      return;
    }
    const core::Shape strides = core::packed_strides(shape, {});
    const int rank = static_cast<int>(shape.size());
    std::array<int, core::kMaxRank> dim{};  // as they lie in memory
    for (int k = 0; k < rank; ++k)
      dim[static_cast<std::size_t>(k)] =
          source.desc.order.empty()
              ? k
              : static_cast<int>(source.desc.order[static_cast<std::size_t>(k)]);
    std::array<std::int64_t, core::kMaxRank> at{};
    for (int d = 0; d < rank; ++d)
      at[static_cast<std::size_t>(d)] = box[static_cast<std::size_t>(d)].begin;
    std::int64_t sample = -1;
    std::size_t pattern = 0, noise = 0;  // where the windows begin
    for (std::int64_t n = core::elements(box); n-- > 0;) {
      if (const auto s = first_ + samples[static_cast<std::size_t>(at[0])]; s != sample) {
        sample = s;
        pattern = window(-1 - label(sample));
        noise = window(sample);
      }
      std::size_t element = 0;
      for (std::size_t d = 1; d < shape.size(); ++d)
        element += static_cast<std::size_t>(at[d] * strides[d]);
      *to++ = static_cast<T>(table_[(pattern + element) % kTableSize]) +
              2 * static_cast<T>(table_[(noise + element) % kTableSize]);
      for (int k = rank - 1; k >= 0; --k) {
        const auto d = static_cast<std::size_t>(dim[static_cast<std::size_t>(k)]);
        if (++at[d] < box[d].end) break;
        at[d] = box[d].begin;
      }
    }
  }

  static constexpr std::size_t kTableSize = 1 << 16;

  std::uint64_t seed_;
  std::int64_t first_, samples_;
  std::vector<float> table_ = std::vector<float>(kTableSize);
  std::int64_t label_classes_ = 0, token_classes_ = 0;
};

}  // namespace

core::Result<DataSets> make_synthetic_data(const core::Graph& graph, std::uint64_t seed,
                                           std::int64_t train_samples, std::int64_t test_samples) {
  DataSets sets;
  sets.train = std::make_unique<Synthetic>(graph, seed, 0, std::max(train_samples, graph.batch()));
  sets.test = std::make_unique<Synthetic>(graph, seed, std::int64_t{1} << 32,
                                          std::max(test_samples, graph.batch()));
  SOAPSTONE_TRY(sets.train->check(graph));
  return sets;
}

}  // namespace soapstone::runtime
