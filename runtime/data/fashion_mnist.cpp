#include <array>
#include <cstdlib>

#include "core/assert.hpp"
#include "kernels/bf16.hpp"
#include "runtime/data/data_source.hpp"
#include "runtime/data/idx.hpp"

namespace soapstone::runtime {

namespace {

constexpr const char* kDebianFolder = "/usr/share/datasets/fashion-mnist";
constexpr std::int64_t kSide = 28, kClasses = 10;

class FashionMnist final : public DataSource {
 public:
  FashionMnist(IdxArray images, IdxArray labels)
      : images_(std::move(images)), labels_(std::move(labels)) {
    for (int v = 0; v < 256; ++v)
      pixel_[static_cast<std::size_t>(v)] = (v / 255.0 - 0.2860) / 0.3530;
  }

  std::string_view name() const override { return "fashion-mnist"; }
  std::int64_t samples() const override { return images_.shape[0]; }

  core::Status check(const core::Graph& graph) const override {
    for (const core::SourceSpec& s : graph.spec().sources) {
      const core::Shape shape = s.desc.shape;
      const bool is_image = s.name == "images" && shape.size() == 4 && shape[1] == 1 &&
                            shape[2] == kSide && shape[3] == kSide &&
                            s.desc.dtype != core::DType::kI32;
      const bool is_label = s.name == "labels" && shape.size() == 1 && s.classes == kClasses;
      if (!is_image && !is_label)
        return core::usage_error(
            "fashion-mnist has images [n, 1, 28, 28] and labels [n] of 10 classes; {} wants {} {} "
            "of {} classes "
            "(--data synthetic suits every model)",
            graph.name(), s.name, core::print(shape), s.classes);
      if (graph.batch() > samples())
        return core::usage_error("a batch of {} samples: fashion-mnist has {}", graph.batch(),
                                 samples());
    }
    return {};
  }

  void fill(const core::SourceSpec& source, std::span<const std::int64_t> samples,
            const core::Box& box, void* out) const override {
    if (source.name == "labels") {
      auto* to = static_cast<std::int32_t*>(out);
      for (std::int64_t i = box[0].begin; i < box[0].end; ++i)
        *to++ = labels_.values[static_cast<std::size_t>(samples[static_cast<std::size_t>(i)])];
      return;
    }
    if (source.desc.dtype == core::DType::kF64)
      fill_images(samples, box, static_cast<double*>(out));
    else if (source.desc.dtype == core::DType::kBF16)
      fill_images(samples, box, static_cast<kernels::Bf16*>(out));
    else
      fill_images(samples, box, static_cast<float*>(out));
  }

 private:
  // One channel: its place in memory does not matter. Images lie [h][w] in every order but one that
  // swaps h and w, which no model asks for.
  template <class T>
  void fill_images(std::span<const std::int64_t> samples, const core::Box& box, T* to) const {
    if (box[1].empty()) return;
    for (std::int64_t i = box[0].begin; i < box[0].end; ++i) {
      const std::uint8_t* image =
          images_.values.data() + samples[static_cast<std::size_t>(i)] * kSide * kSide;
      for (std::int64_t y = box[2].begin; y < box[2].end; ++y)
        for (std::int64_t x = box[3].begin; x < box[3].end; ++x)
          *to++ = static_cast<T>(pixel_[image[y * kSide + x]]);
    }
  }

  IdxArray images_, labels_;
  std::array<double, 256> pixel_{};
};

core::Result<std::unique_ptr<DataSource>> open_part(const std::filesystem::path& folder,
                                                    const std::string& part) {
  const auto path_of = [&](const std::string& what) {
    const std::filesystem::path plain = folder / (part + what);
    std::error_code
        ignored;  // what cannot be looked at cannot be opened either, and is reported then
    return std::filesystem::exists(plain, ignored) ? plain
                                                   : std::filesystem::path(plain.string() + ".gz");
  };
  const auto image_path = path_of("-images-idx3-ubyte"), label_path = path_of("-labels-idx1-ubyte");
  const auto advice = [&](core::Error error) {
    error.message += fmt::format(
        " (the Debian package dataset-fashion-mnist installs it under {}; another folder: "
        "--data-folder, or SOAPSTONE_DATA)",
        kDebianFolder);
    return tl::unexpected(std::move(error));
  };
  auto images = read_idx(image_path, 3);
  if (!images) return advice(images.error());
  auto labels = read_idx(label_path, 1);
  if (!labels) return advice(labels.error());
  if (images->shape[1] != kSide || images->shape[2] != kSide)
    return core::fail("{}: at offset 8: expected images of 28 × 28, found {} × {}",
                      image_path.string(), images->shape[1], images->shape[2]);
  if (images->shape[0] != labels->shape[0])
    return core::fail("{}: at offset 4: expected {} labels, one for each image of {}, found {}",
                      label_path.string(), images->shape[0], image_path.string(), labels->shape[0]);
  for (std::size_t i = 0; i < labels->values.size(); ++i)
    if (labels->values[i] >= kClasses)
      return core::fail(
          "{}: at offset {}: sample {} of fashion-mnist has label {}; accepted: 0 to {}",
          label_path.string(), 8 + i, i, labels->values[i], kClasses - 1);
  return std::make_unique<FashionMnist>(std::move(*images), std::move(*labels));
}

}  // namespace

core::Result<DataSets> open_fashion_mnist(const core::Graph& graph,
                                          const std::filesystem::path& folder) {
  std::filesystem::path from = folder;
  if (from.empty())
    if (const char* set = std::getenv("SOAPSTONE_DATA"); set != nullptr && *set != '\0') from = set;
  if (from.empty()) from = kDebianFolder;
  DataSets sets;
  SOAPSTONE_ASSIGN(sets.train, open_part(from, "train"));
  SOAPSTONE_ASSIGN(sets.test, open_part(from, "t10k"));
  SOAPSTONE_TRY(sets.train->check(graph));
  SOAPSTONE_TRY(sets.test->check(graph));
  return sets;
}

}  // namespace soapstone::runtime
