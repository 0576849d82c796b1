#include "runtime/non_finite.hpp"

#include <cmath>

#include "kernels/bf16.hpp"
#include "runtime/detail/bytes.hpp"

namespace soapstone::runtime {

namespace {

template <class T>
std::optional<NonFiniteElement> find(const kernels::Block& block) {
  const auto* values = static_cast<const T*>(block.data);
  for (std::int64_t e = 0; e < block.size(); ++e) {
    const auto value = static_cast<double>(values[e]);
    if (std::isfinite(value)) continue;
    const core::Shape local = core::extents(block.box);
    const std::int64_t stride = core::packed_strides(local, block.order)[0];
    return NonFiniteElement{block.box[0].begin + e / stride % local[0], value};
  }
  return std::nullopt;
}

}  // namespace

std::optional<NonFiniteElement> first_non_finite(const kernels::Block& block) {
  if (block.data == nullptr || block.size() == 0) return std::nullopt;
  switch (block.dtype) {
    case core::DType::kF32:
      return find<float>(block);
    case core::DType::kF64:
      return find<double>(block);
    case core::DType::kBF16:
      return find<kernels::Bf16>(block);
    case core::DType::kI32:
      return std::nullopt;
  }
  return std::nullopt;
}

void NonFiniteTrail::add(const NonFinite& found) {
  const auto keep = [&](std::optional<NonFinite>& least) {
    if (!least || found.order < least->order) least = found;
  };
  keep(first);
  if (std::isnan(found.value)) keep(first_nan);
}

std::string to_bytes(const std::vector<NonFinite>& list) {
  detail::ByteWriter writer;
  for (const NonFinite& f : list) {
    writer.put(f.order);
    writer.put(f.rank);
    writer.put(f.value);
    writer.put(f.sample);
    writer.put(f.where.size());
    writer.put_bytes(f.where.data(), f.where.size());
  }
  return writer.take();
}

std::vector<NonFinite> non_finite_from_bytes(const std::string& bytes) {
  std::vector<NonFinite> list;
  for (detail::ByteReader reader(bytes); !reader.done();) {
    NonFinite f;
    f.order = reader.get<std::uint32_t>();
    f.rank = reader.get<int>();
    f.value = reader.get<double>();
    f.sample = reader.get<std::int64_t>();
    const auto size = reader.get<std::size_t>();
    f.where.assign(reader.get_bytes(size), size);
    list.push_back(std::move(f));
  }
  return list;
}

std::string name_of_non_finite(double value) {
  return std::isnan(value) ? "nan" : value < 0 ? "-inf" : "inf";
}

}  // namespace soapstone::runtime
