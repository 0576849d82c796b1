#include "kernels/box_copy.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "tests/kernels/blocks.hpp"

namespace soapstone::kernels {
namespace {

core::Interval any_interval(std::int64_t begin, std::int64_t end) {
  const auto a = *rc::gen::inRange(begin, end + 1), b = *rc::gen::inRange(begin, end + 1);
  return a < b ? core::Interval{a, b} : core::Interval{b, a};
}

core::DimOrder any_order(std::size_t rank) {
  std::vector<std::int64_t> dims;
  for (std::size_t d = 0; d < rank; ++d) dims.push_back(static_cast<std::int64_t>(d));
  for (std::size_t d = rank; d > 1; --d)
    std::swap(dims[d - 1], dims[*rc::gen::inRange<std::size_t>(0, d)]);
  return core::DimOrder(std::span<const std::int64_t>(dims));
}

// Two blocks of one tensor and a box that both hold.
struct Copy {
  core::Box dst, src, box;
  core::DimOrder dst_order, src_order;
};
Copy any_copy() {
  Copy c;
  const auto rank = *rc::gen::inRange<std::size_t>(1, 6);
  for (std::size_t d = 0; d < rank; ++d) {
    const auto box = any_interval(3, 9);
    c.box.push_back(box);
    c.dst.push_back({any_interval(0, box.begin).begin, any_interval(box.end, 11).end});
    c.src.push_back({any_interval(0, box.begin).begin, any_interval(box.end, 11).end});
  }
  c.dst_order = any_order(rank);
  c.src_order = any_order(rank);
  return c;
}

template <class T>
void check(const Copy& c, bool add) {
  TestBlock<T> dst(dtype_of<T>(), c.dst, c.dst_order), src(dtype_of<T>(), c.src, c.src_order);
  T next = 1;
  for (T& v : dst.memory()) v = next++;
  for (T& v : src.memory()) v = next++;
  TestBlock<T> expected(dtype_of<T>(), c.dst, c.dst_order);
  std::copy(dst.memory().begin(), dst.memory().end(), expected.memory().begin());
  for_each_index(c.box,
                 [&](auto i) { expected.at(i) = add ? expected.at(i) + src.at(i) : src.at(i); });
  add ? add_box(dst.block(), src.block(), c.box) : copy_box(dst.block(), src.block(), c.box);
  RC_ASSERT(dst.memory() == expected.memory());
}

RC_GTEST_PROP(BoxCopy, CopiesTheBoxAndNothingElse, ()) {
  const Copy c = any_copy();
  check<float>(c, false);
  check<double>(c, false);
  check<std::int32_t>(c, false);
}

RC_GTEST_PROP(BoxCopy, AddsTheBoxAndNothingElse, ()) {
  const Copy c = any_copy();
  check<float>(c, true);
  check<double>(c, true);
  check<std::int32_t>(c, true);
}

TEST(BoxCopy, CopiesRunsLongerThanAThreadsShare) {
  const core::Box all{{0, 3}, {0, 50'000}}, part{{1, 3}, {7, 49'001}};
  TestBlock<float> dst(core::DType::kF32, part), src(core::DType::kF32, all);
  for (std::size_t i = 0; i < src.memory().size(); ++i) src.memory()[i] = static_cast<float>(i);
  copy_box(dst.block(), src.block(), part);
  for_each_index(part, [&](auto i) { ASSERT_EQ(dst.at(i), src.at(i)) << i[0] << ", " << i[1]; });
}

TEST(BoxCopy, FillsWithZeros) {
  TestBlock<double> block(core::DType::kF64, {{0, 1000}, {0, 300}});
  for (double& v : block.memory()) v = 1;
  fill_zero(block.block());
  EXPECT_EQ(block.memory(), std::vector<double>(300'000, 0.0));
}

TEST(BoxCopy, RefusesABoxThatABlockDoesNotHold) {
  TestBlock<float> dst(core::DType::kF32, {{0, 4}}), src(core::DType::kF32, {{2, 6}});
  EXPECT_THROW(copy_box(dst.block(), src.block(), {{1, 4}}), core::InvariantError);
}

}  // namespace
}  // namespace soapstone::kernels
