#include "tests/support/interpreter/training_data.hpp"

#include <cmath>
#include <string_view>

#include "core/reflect.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::interpreter {

namespace {

// In [-1, 1).
double uniform(std::uint64_t seed, std::string_view name, std::uint64_t use, std::uint64_t index) {
  core::Hasher h;
  h.word(seed);
  h.bytes(name);
  h.word(use);
  h.word(index);
  return static_cast<double>(h.finish() >> 11) * 0x1p-52 - 1;
}

enum Use : std::uint64_t { kSource, kWeight, kState };

}  // namespace

Values TrainingData::source(const core::Graph& graph, core::TensorId id) const {
  const core::Tensor& t = graph.tensor(id);
  std::int64_t classes = 0;
  for (const auto& s : graph.spec().sources)
    if (s.name == t.name) classes = s.classes;
  Values out;
  for (std::int64_t i = 0; i < core::elements(t.desc.shape); ++i) {
    const double u = uniform(seed, t.name, kSource, static_cast<std::uint64_t>(i));
    out.push_back(t.desc.dtype == core::DType::kI32
                      ? std::floor((u + 1) / 2 * static_cast<double>(classes))
                      : u);
  }
  return out;
}

Values TrainingData::weight(const core::Graph& graph, core::TensorId id) const {
  const core::Tensor& t = graph.tensor(id);
  const std::int64_t count = core::elements(t.desc.shape);
  // Keeps activations near 1 through many layers.
  const double scale =
      t.desc.shape.size() < 2 ? 0.3 : 1.5 / std::sqrt(static_cast<double>(count / t.desc.shape[0]));
  const double centre = t.init.kind == core::InitKind::kOnes ? 1 : 0;
  Values out;
  for (std::int64_t i = 0; i < count; ++i)
    out.push_back(centre + scale * uniform(seed, t.name, kWeight, static_cast<std::uint64_t>(i)));
  return out;
}

Values TrainingData::optimizer_state(const core::Graph& graph, core::TensorId id,
                                     std::uint32_t state) const {
  const core::Tensor& t = graph.tensor(id);
  Values out;
  for (std::int64_t i = 0; i < core::elements(t.desc.shape); ++i)
    out.push_back(0.1 * uniform(seed, t.name, kState + state, static_cast<std::uint64_t>(i)));
  return out;
}

Values cut(const core::Shape& shape, const Values& whole, const core::Box& box) {
  Values out;
  reference::for_each_index(box, [&](reference::Index p) {
    out.push_back(whole[static_cast<std::size_t>(reference::row_major_position(shape, p))]);
  });
  return out;
}

}  // namespace soapstone::interpreter
