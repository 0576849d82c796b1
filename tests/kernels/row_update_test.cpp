// The update by rows against the formula in double, and against the update by the gradient in full.
#include "kernels/row_update.hpp"

#include <cmath>
#include <deque>
#include <limits>
#include <random>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/bf16.hpp"
#include "tests/kernels/blocks.hpp"

namespace soapstone::kernels {
namespace {

using core::Interval;
using core::RowGradient;

struct Case {
  std::int64_t vocab, features, bags, length;
  int micro_batches;
  RowGradient rows;
  Interval part;     // of the vocabulary
  Interval columns;  // of the features
  bool is_transposed = false;
};
void PrintTo(const Case& c, std::ostream* out) {
  *out << fmt::format("vocab {} features {} bags {} of {} in {} {} rows {} columns {}", c.vocab,
                      c.features, c.bags, c.length, c.micro_batches, core::name_of(c.rows),
                      core::print(core::Box{c.part}), core::print(core::Box{c.columns}));
}

const Case kCases[] = {
    {1, 1, 1, 1, 1, RowGradient::kSum, {0, 1}, {0, 1}},
    {7, 5, 40, 1, 1, RowGradient::kSum, {0, 7}, {0, 5}},          // rows that are met often
    {5000, 3, 9000, 1, 1, RowGradient::kSum, {0, 5000}, {0, 3}},  // two digits of a sort
    {5000, 3, 17, 5, 2, RowGradient::kSum, {1000, 4001}, {1, 3}},
    {30, 6, 11, 4, 3, RowGradient::kMean, {0, 30}, {0, 6}},
    {30, 6, 11, 4, 1, RowGradient::kMean, {7, 19}, {2, 5}},
    {90, 600, 33, 2, 1, RowGradient::kSum, {0, 90}, {0, 600}},  // more columns than one pass sums
    {90, 7, 33, 2, 12, RowGradient::kMean, {0, 90}, {0, 7}},
    {90, 7, 33, 2, 1, RowGradient::kSum, {0, 90}, {0, 7}, true},
    {9, 4, 0, 3, 1, RowGradient::kSum, {0, 9}, {0, 4}},   // no ids
    {9, 4, 5, 3, 1, RowGradient::kSum, {9, 9}, {0, 4}},   // no rows here
    {9, 4, 50, 3, 1, RowGradient::kSum, {3, 4}, {0, 4}},  // one row here
};

// Ids with padding, gradients, and what they come to in double.
template <class T, class G = T>
struct Problem {
  explicit Problem(const Case& of)
      : c(of),
        weight(dtype_of<T>(), {c.part, c.columns}, order()),
        state(dtype_of<T>(), {c.part, c.columns}, order()),
        full(static_cast<std::size_t>(c.part.extent() * c.columns.extent())) {
    std::mt19937_64 random(7);
    std::uniform_real_distribution<double> number(-1, 1);
    for (T& v : weight.memory()) v = static_cast<T>(number(random));
    for (T& v : state.memory()) v = static_cast<T>(1 + number(random));
    for (int m = 0; m < c.micro_batches; ++m) {
      auto& id = ids.emplace_back(core::DType::kI32, core::Box{{0, c.bags}, {0, c.length}});
      const core::DType of_rows = sizeof(G) == 2 ? core::DType::kBF16 : dtype_of<G>();
      auto& dy = rows.emplace_back(of_rows, core::Box{{0, c.bags}, c.columns});
      for (auto& v : id.memory())
        v = static_cast<std::int32_t>(random() % static_cast<std::uint64_t>(c.vocab + 1)) - 1;
      for (auto& v : dy.memory()) v = G(number(random));
      parts.push_back({id.block(), dy.block()});
      for (std::int64_t bag = 0; bag < c.bags; ++bag) {
        const auto* first = id.memory().data() + bag * c.length;
        double met = 0;
        for (std::int64_t l = 0; l < c.length; ++l) met += first[l] >= 0 ? 1 : 0;
        for (std::int64_t l = 0; l < c.length; ++l) {
          if (first[l] < c.part.begin || first[l] >= c.part.end) continue;
          for (std::int64_t j = 0; j < c.columns.extent(); ++j)
            full[at(first[l], j)] +=
                static_cast<double>(
                    dy.memory()[static_cast<std::size_t>(bag * c.columns.extent() + j)]) /
                (c.rows == RowGradient::kMean ? met : 1);
        }
      }
    }
    scratch.resize(static_cast<std::size_t>(row_workspace(gradients()).value) / 8 + 1);
  }

  core::DimOrder order() const { return c.is_transposed ? core::DimOrder{1, 0} : core::DimOrder{}; }
  std::size_t at(std::int64_t id, std::int64_t j) const {
    return static_cast<std::size_t>((id - c.part.begin) * c.columns.extent() + j);
  }
  RowGradients gradients() const { return {parts, c.rows}; }

  Case c;
  TestBlock<T> weight, state;
  std::deque<TestBlock<std::int32_t>> ids;
  std::deque<TestBlock<G>> rows;
  std::vector<RowBlocks> parts;
  std::vector<double> full;  // the gradient, [part, columns]
  std::vector<double> scratch;
};

class RowUpdate : public testing::TestWithParam<Case> {};

// Few operations, each rounded: 8 of them at numbers below 8.
template <class T>
constexpr double kTolerance = 64 * std::numeric_limits<T>::epsilon();

template <class T, class G = T>
void expect_formula(const Case& c, core::OptimizerKind kind) {
  Problem<T, G> p(c);
  const std::vector<T> weight_before = p.weight.memory(), state_before = p.state.memory();
  const OptimizerUpdate update{
      .kind = kind, .learning_rate = 0.25, .epsilon = 0.125, .gradient_scale = 0.5};
  const Block states[] = {p.state.block()};
  const bool has_state = kind == core::OptimizerKind::kAdagrad;
  update_rows(p.weight.block(), p.gradients(), std::span(states, has_state ? 1 : 0), update,
              p.scratch.data());
  const std::vector<T> weight_after = p.weight.memory(), state_after = p.state.memory();
  for_each_index(p.weight.block().box, [&](std::span<const std::int64_t> index) {
    const double g = p.full[p.at(index[0], index[1] - c.columns.begin)];
    const auto i = static_cast<std::size_t>(&p.weight.at(index) - p.weight.memory().data());
    if (g == 0) {  // no id meets it
      EXPECT_EQ(weight_after[i], weight_before[i]);
      EXPECT_EQ(state_after[i], state_before[i]);
      return;
    }
    double expected = static_cast<double>(weight_before[i]), sum = 0;
    if (has_state) {
      sum = static_cast<double>(state_before[i]) + 0.25 * g * g;
      expected -= 0.25 * 0.5 * g / (std::sqrt(sum) + 0.125);
      EXPECT_NEAR(state_after[i], sum, kTolerance<T> * std::max(1.0, sum));
    } else {
      expected -= 0.25 * 0.5 * g;
    }
    EXPECT_NEAR(weight_after[i], expected, kTolerance<T>);
  });
}

TEST_P(RowUpdate, SgdIsTheFormulaOnRowsThatAreMet) {
  expect_formula<double>(GetParam(), core::OptimizerKind::kSgd);
  expect_formula<float>(GetParam(), core::OptimizerKind::kSgd);
  expect_formula<float, Bf16>(GetParam(), core::OptimizerKind::kSgd);
}

TEST_P(RowUpdate, AdagradIsTheFormulaOnRowsThatAreMet) {
  expect_formula<double>(GetParam(), core::OptimizerKind::kAdagrad);
  expect_formula<float>(GetParam(), core::OptimizerKind::kAdagrad);
  expect_formula<float, Bf16>(GetParam(), core::OptimizerKind::kAdagrad);
}

TEST_P(RowUpdate, TheNormCountsEveryMergedRowOnce) {
  Problem<double> p(GetParam());
  double expected = 0;
  for (const double v : p.full) expected += v * v;
  EXPECT_NEAR(
      sum_of_squares(p.weight.block().box, core::DType::kF64, p.gradients(), p.scratch.data()),
      expected, 1e-13 * expected);
}

TEST_P(RowUpdate, TheGradientInFullUpdatesToTheSame) {
  for (const auto kind : {core::OptimizerKind::kSgd, core::OptimizerKind::kAdagrad}) {
    Problem<float> by_rows(GetParam()), in_full(GetParam());
    TestBlock<float> gradient(core::DType::kF32, in_full.weight.block().box, in_full.order());
    for (float& v : gradient.memory()) v = std::nanf("");  // all of it is overwritten
    expand_rows(gradient.block(), in_full.gradients(), in_full.scratch.data());
    for_each_index(gradient.block().box, [&](std::span<const std::int64_t> index) {
      const double exact = in_full.full[in_full.at(index[0], index[1] - GetParam().columns.begin)];
      EXPECT_NEAR(gradient.at(index), exact, 1e-6 * std::abs(exact));
    });
    const OptimizerUpdate update{.kind = kind, .learning_rate = 0.1};
    const Block rows_state[] = {by_rows.state.block()}, full_state[] = {in_full.state.block()};
    const std::size_t states = kind == core::OptimizerKind::kAdagrad ? 1 : 0;
    update_rows(by_rows.weight.block(), by_rows.gradients(), std::span(rows_state, states), update,
                by_rows.scratch.data());
    update_weight(in_full.weight.block(), gradient.block(), std::span(full_state, states), update);
    for (std::size_t i = 0; i < by_rows.weight.memory().size(); ++i)
      EXPECT_FLOAT_EQ(by_rows.weight.memory()[i], in_full.weight.memory()[i]);
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, RowUpdate, testing::ValuesIn(kCases));

TEST(RowUpdateOf, AnOptimizerThatChangesEveryRowIsABrokenInvariant) {
  Problem<double> p(kCases[1]);
  for (const OptimizerUpdate& update :
       {OptimizerUpdate{.momentum = 0.9}, OptimizerUpdate{.weight_decay = 0.1},
        OptimizerUpdate{.kind = core::OptimizerKind::kAdamW}})
    EXPECT_THROW(update_rows(p.weight.block(), p.gradients(), {}, update, p.scratch.data()),
                 core::InvariantError);
}

}  // namespace
}  // namespace soapstone::kernels
