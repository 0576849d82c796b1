// What one operator's reference sees of a step.
#pragma once

#include <algorithm>
#include <array>
#include <span>
#include <string_view>
#include <vector>

#include "core/assert.hpp"
#include "tests/support/reference/reference.hpp"

namespace soapstone::reference {

using Index = std::span<const std::int64_t>;

struct StepCall {
  const core::LocalProblem& problem;
  const core::Step& definition;
  std::span<const View> operands;
  const RandomKey& random;

  std::string_view name() const { return definition.name; }
  // By the operand's name; throws where the step has none of them.
  const View& value(std::string_view operand) const { return find(operand, false); }
  const View& gradient(std::string_view operand) const { return find(operand, true); }
  // Of a state, which a step both reads and writes: where it goes.
  const View& written(std::string_view operand) const;
  bool has_operand(std::string_view operand) const;  // the operator has it
  // Whether the operator has the operand and this part holds it.
  bool is_present(std::string_view operand) const;
  // Extents of the whole tensor, on all devices.
  const core::Shape& shape(std::string_view operand) const;
  const core::Interval& axis(std::string_view axis) const;
  // What this part computes of every axis, in the order declared.
  std::span<const core::Interval> axes() const { return problem.axes; }

  template <class T>
  const T& attributes() const {
    const T* a = problem.op.get_if<T>();
    SOAPSTONE_ASSERT(a != nullptr, "{} is not a {}", problem.op.name(), T::kName);
    return *a;
  }
  [[noreturn]] void unknown_step() const;

 private:
  const View& find(std::string_view operand, bool gradient) const;
};

// visit(index) for every index of a box or of some axes, row-major.
template <class Visit>
void for_each_index(std::span<const core::Interval> box, const Visit& visit) {
  std::vector<std::int64_t> index;
  for (const auto& interval : box) {
    if (interval.empty()) return;
    index.push_back(interval.begin);
  }
  while (true) {
    visit(Index(index));
    std::size_t d = box.size();
    while (d > 0 && ++index[d - 1] == box[d - 1].end) {
      index[d - 1] = box[d - 1].begin;
      --d;
    }
    if (d == 0) return;
  }
}

// Two indices as one of a tensor.
class JoinedIndex {
 public:
  JoinedIndex(Index a, Index b) : size_(a.size() + b.size()) {
    SOAPSTONE_ASSERT(size_ <= core::kMaxRank, "{} indices", size_);
    std::copy(b.begin(), b.end(), std::copy(a.begin(), a.end(), data_.begin()));
  }
  operator Index() const { return Index(data_).first(size_); }  // NOLINT: reads as an index

 private:
  std::array<std::int64_t, core::kMaxRank> data_{};
  std::size_t size_;
};
inline JoinedIndex joined(Index a, Index b) { return {a, b}; }

// The position of an index in the row-major order of the whole tensor, and back.
std::int64_t row_major_position(const core::Shape& shape, Index index);
std::vector<std::int64_t> row_major_index(const core::Shape& shape, std::int64_t position);

// Where an index of a sequence of n · length positions stands in order, if its chunks stand as
// first, last, second, last but one, …; n = 0: there.
inline std::int64_t position_in_zigzag(std::int64_t index, std::int64_t extent, std::int64_t n) {
  if (n == 0) return index;
  std::vector<std::int64_t> chunks;
  for (std::int64_t first = 0, last = n - 1; first < last; ++first, --last) {
    chunks.push_back(first);
    chunks.push_back(last);
  }
  const std::int64_t length = extent / n;
  return chunks[static_cast<std::size_t>(index / length)] * length + index % length;
}

inline double relu(double x) { return x > 0 ? x : 0; }

}  // namespace soapstone::reference
