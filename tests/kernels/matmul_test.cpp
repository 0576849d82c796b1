// The blocked product beyond the sizes of the operators' tests: sums that are cut into pieces, and
// several tiles.
#include "kernels/detail/matmul.hpp"

#include <cmath>
#include <numeric>

#include <gtest/gtest.h>

namespace soapstone::kernels::detail {
namespace {

std::vector<double> numbers(std::int64_t count, int start) {
  std::vector<double> v(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < v.size(); ++i)
    v[i] = std::sin(static_cast<double>(start) + 0.7 * static_cast<double>(i));
  return v;
}

std::vector<std::int64_t> multiples(std::int64_t count, std::int64_t of) {
  std::vector<std::int64_t> v;
  for (std::int64_t i = 0; i < count; ++i) v.push_back(i * of);
  return v;
}

struct Size {
  std::int64_t m, n, k;
};

class Matmul : public testing::TestWithParam<Size> {};

TEST_P(Matmul, AgreesWithTheTripleLoop) {
  const auto [m, n, k] = GetParam();
  // a [m, k] and b [k, n], row-major, each read along its rows and along its columns.
  const auto a = numbers(m * k, 1), b = numbers(k * n, 2);
  std::vector<double> expected(static_cast<std::size_t>(m * n));
  for (std::int64_t i = 0; i < m; ++i)
    for (std::int64_t l = 0; l < k; ++l)
      for (std::int64_t j = 0; j < n; ++j) expected[i * n + j] += a[i * k + l] * b[l * n + j];
  const auto by_k = multiples(m, k), by_n = multiples(k, n);
  const auto up_k = multiples(k, 1), up_n = multiples(n, 1), up_m = by_k;
  const TableMatrix<const double> a_by_row{a.data(), by_k.data(), up_k.data(), true};
  const TableMatrix<const double> a_by_column{a.data(), up_k.data(), up_m.data(), false};
  const TableMatrix<const double> b_by_row{b.data(), by_n.data(), up_n.data(), true};
  const TableMatrix<const double> b_by_column{b.data(), up_n.data(), by_n.data(), false};
  std::vector<std::byte> workspace(
      static_cast<std::size_t>(matmul_workspace<double>(m, n, k).value));
  for (const bool a_transposed : {false, true})
    for (const bool b_transposed : {false, true}) {
      std::vector<double> c(static_cast<std::size_t>(m * n), std::nan(""));
      matmul<double>(Space(), "soapstone::test::matmul", m, n, k,
                     a_transposed ? a_by_column : a_by_row,
                     a_transposed ? RowsAre::kContracted : RowsAre::kOuter,
                     b_transposed ? b_by_column : b_by_row,
                     b_transposed ? RowsAre::kOuter : RowsAre::kContracted, workspace.data(),
                     [&, width = n](std::int64_t row, std::int64_t first, std::int64_t count,
                                    const double* sums) {
                       std::copy_n(sums, count, c.data() + row * width + first);
                     });
      for (std::size_t i = 0; i < c.size(); ++i)
        ASSERT_NEAR(c[i], expected[i], 4e-16 * static_cast<double>(k + 1) + 1e-14)
            << "element " << i;
    }
}

INSTANTIATE_TEST_SUITE_P(Sizes, Matmul,
                         testing::Values(Size{1, 1, 1}, Size{7, 17, 129}, Size{73, 65, 128},
                                         Size{150, 200, 300}, Size{3, 5, 200'000},
                                         Size{64, 40, 7'001}, Size{500, 3, 40}, Size{2, 3, 0}));

TEST(MatmulCut, CutsLongSumsOverFewOutputs) {
  EXPECT_EQ(MatmulCut::of<float>(1000, 1000, 1000).pieces, 1);
  EXPECT_GT(MatmulCut::of<float>(8, 8, 1'000'000).pieces, 8);
  EXPECT_EQ(matmul_workspace<float>(1000, 1000, 1000), core::Bytes(0));
}

}  // namespace
}  // namespace soapstone::kernels::detail
