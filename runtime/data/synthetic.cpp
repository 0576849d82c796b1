#include <array>
#include <vector>

#include "core/suggest.hpp"
#include "kernels/random.hpp"
#include "runtime/data/data_source.hpp"

namespace soapstone::runtime {

namespace {

using kernels::RandomStream;
using kernels::RandomUse;

// What the streams' indices stand for.
enum Stream : std::uint32_t { kLabel = 0, kTable = 1, kWindow = 2, kToken = 3 };

// An image is the pattern of its label with noise upon it. Both are windows of one table of
// numbers, so that making data takes next to nothing from the training beside it.
class Synthetic final : public DataSource {
 public:
  Synthetic(const core::Graph& graph, std::uint64_t seed, std::int64_t first, std::int64_t samples)
      : seed_(seed), first_(first), samples_(samples) {
    for (const core::SourceSpec& s : graph.spec().sources) {
      if (s.name == "labels") label_classes_ = s.classes;
      if (s.name == "tokens") token_classes_ = s.classes;
    }
    for (std::size_t i = 0; i < table_.size(); ++i)
      table_[i] = static_cast<float>(2 * kernels::uniform01_coarse(stream(kTable), i) - 1);
  }

  std::string_view name() const override { return "synthetic"; }
  bool is_synthetic() const override { return true; }
  std::int64_t samples() const override { return samples_; }

  core::Status check(const core::Graph& graph) const override {
    for (const core::SourceSpec& s : graph.spec().sources) {
      const bool known = s.desc.dtype != core::DType::kI32 || s.name == "labels" ||
                         s.name == "tokens" || s.name == "positions";
      if (!known)
        return core::usage_error(
            "synthetic data has integers for the sources labels, tokens and positions only; {} "
            "wants {}",
            graph.name(), s.name);
    }
    return {};
  }

  void fill(const core::SourceSpec& source, std::span<const std::int64_t> samples,
            const core::Box& box, void* out) const override {
    switch (source.desc.dtype) {
      case core::DType::kF32:
        return fill_floats(source, samples, box, static_cast<float*>(out));
      case core::DType::kF64:
        return fill_floats(source, samples, box, static_cast<double*>(out));
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
        std::int64_t value = s;
        if (source.name != "positions") {
          const std::int64_t classes = token_classes_ > 0 ? token_classes_ : source.classes;
          const std::int64_t token =
              uniform(kToken, static_cast<std::uint64_t>(sample * length + s), classes);
          value = source.name == "tokens" ? token : (5 * token + 7) % source.classes;
        }
        *to++ = static_cast<std::int32_t>(value);
      }
    }
  }

  template <class T>
  void fill_floats(const core::SourceSpec& source, std::span<const std::int64_t> samples,
                   const core::Box& box, T* to) const {
    const core::Shape& shape = source.desc.shape;
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

core::Result<DataSets> open_data(std::string_view name, const core::Graph& graph,
                                 std::uint64_t seed, const std::filesystem::path& folder) {
  if (name == "fashion-mnist") return open_fashion_mnist(graph, folder);
  if (name == "synthetic") return make_synthetic_data(graph, seed);
  static constexpr std::array<std::string_view, 2> kNames{"fashion-mnist", "synthetic"};
  return core::usage_error("unknown data `{}`; {}", name, core::accepted_names(name, kNames));
}

}  // namespace soapstone::runtime
