// Shapes, index boxes and unsharded tensors.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "core/assert.hpp"
#include "core/quantity.hpp"
#include "core/reflect.hpp"

namespace soapstone::core {

inline constexpr int kMaxRank = 6;

// bf16: the upper half of an f32, 8 bits of mantissa.
enum class DType : std::uint8_t { kF32, kF64, kI32, kBF16 };
SOAPSTONE_ENUM_NAMES(DType, {DType::kF32, "f32"}, {DType::kF64, "f64"}, {DType::kI32, "i32"},
                     {DType::kBF16, "bf16"})

constexpr Bytes size_of(DType t) { return Bytes(t == DType::kF64 ? 8 : t == DType::kBF16 ? 2 : 4); }
// What weights, their gradients, statistics and losses are kept in beside activations of type `t`:
// mixed precision after Micikevicius et al. 2018, arXiv 1710.03740.
constexpr DType master_of(DType t) { return t == DType::kBF16 ? DType::kF32 : t; }

// Half-open range of indices [begin, end). Every empty interval is equal to [0, 0).
struct Interval {
  std::int64_t begin = 0;
  std::int64_t end = 0;

  constexpr std::int64_t extent() const { return end - begin; }
  constexpr bool empty() const { return end <= begin; }
  constexpr bool contains(const Interval& o) const {
    return o.empty() || (begin <= o.begin && o.end <= end);
  }
  friend constexpr bool operator==(const Interval&, const Interval&) = default;
  friend constexpr auto operator<=>(const Interval&, const Interval&) = default;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("begin", self.begin);
    visit("end", self.end);
  }
};

constexpr Interval intersect(const Interval& a, const Interval& b) {
  const Interval r{std::max(a.begin, b.begin), std::min(a.end, b.end)};
  return r.empty() ? Interval{} : r;
}

// `degree` parts of [0, extent) in units of `granularity`; parts differ by at
// most one granule, the larger ones first. Part `index` is returned.
Interval part_of(std::int64_t extent, std::int64_t granularity, int degree, int index);

// A list of at most kMaxRank values, kept in place: boxes and shapes are
// copied by the million during a search.
template <class T>
class SmallList {
 public:
  using value_type = T;
  constexpr SmallList() = default;
  constexpr SmallList(std::initializer_list<T> values) {
    for (const T& v : values) push_back(v);
  }
  explicit SmallList(std::span<const T> values) {
    for (const T& v : values) push_back(v);
  }
  constexpr SmallList(std::size_t count, const T& value) {
    for (std::size_t i = 0; i < count; ++i) push_back(value);
  }

  constexpr void push_back(const T& v) {
    SOAPSTONE_ASSERT(size_ < kMaxRank, "a tensor has at most {} dimensions", kMaxRank);
    data_[size_++] = v;
  }
  constexpr std::size_t size() const { return size_; }
  constexpr bool empty() const { return size_ == 0; }
  constexpr T& operator[](std::size_t i) { return data_[i]; }
  constexpr const T& operator[](std::size_t i) const { return data_[i]; }
  constexpr T* begin() { return data_.data(); }
  constexpr T* end() { return data_.data() + size_; }
  constexpr const T* begin() const { return data_.data(); }
  constexpr const T* end() const { return data_.data() + size_; }
  constexpr const T& back() const { return data_[size_ - 1]; }

  friend constexpr bool operator==(const SmallList& a, const SmallList& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }
  friend constexpr auto operator<=>(const SmallList& a, const SmallList& b) {
    return std::lexicographical_compare_three_way(a.begin(), a.end(), b.begin(), b.end());
  }

 private:
  std::array<T, kMaxRank> data_{};
  std::uint8_t size_ = 0;
};

// Extents, outermost first. Images are N, C, H, W.
using Shape = SmallList<std::int64_t>;
// One interval per dimension, in the same order as the Shape.
using Box = SmallList<Interval>;

template <class T>
void hash_append(Hasher& h, const SmallList<T>& list) {
  h.word(list.size());
  for (const T& v : list) append_hash(h, v);
}

inline void print_append(std::string& out, const Shape& s) {
  out += '[';
  for (std::size_t i = 0; i < s.size(); ++i) out += (i ? ", " : "") + std::to_string(s[i]);
  out += ']';
}
inline void print_append(std::string& out, const Interval& i) {
  out += fmt::format("[{}, {})", i.begin, i.end);
}
inline void print_append(std::string& out, const Box& b) {
  for (std::size_t i = 0; i < b.size(); ++i) {
    if (i) out += 'x';
    print_append(out, b[i]);
  }
}

std::int64_t elements(const Shape& shape);
std::int64_t elements(const Box& box);
Shape extents(const Box& box);
Box whole(const Shape& shape);
Box intersect(const Box& a, const Box& b);  // all dims empty as soon as one is
bool contains(const Box& outer, const Box& inner);
inline bool is_empty(const Box& box) { return elements(box) == 0; }

// Physical order of dimensions, outermost in memory first, as indices into the
// logical dimensions. Row-major is 0, 1, 2, …; channels-last images are 0, 2, 3, 1.
using DimOrder = SmallList<std::int64_t>;
DimOrder row_major(std::size_t rank);
DimOrder channels_last(std::size_t rank);  // moves dimension 1 to the innermost place

// An unsharded tensor.
struct TensorDesc {
  Shape shape;
  DType dtype = DType::kF32;
  DimOrder order;  // empty means row-major

  friend bool operator==(const TensorDesc&, const TensorDesc&) = default;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("shape", self.shape);
    visit("dtype", self.dtype);
    visit("order", self.order, kOptional);
  }
};

inline Bytes bytes_of(const TensorDesc& t) { return size_of(t.dtype) * elements(t.shape); }

// Element strides of a densely packed block of `local` extents whose
// dimensions lie in memory in `order` (empty: row-major).
Shape packed_strides(const Shape& local, const DimOrder& order);

}  // namespace soapstone::core
