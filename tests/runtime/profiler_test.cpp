#include "runtime/profiler.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/models/models.hpp"
#include "kernels/catalog.hpp"
#include "runtime/comm/local.hpp"
#include "tests/support/interpreter/strategies.hpp"

namespace soapstone::runtime {
namespace {

TEST(MeasureStep, every_step_of_every_operator_of_the_zoo_can_be_measured) {
  const kernels::HostCatalog catalog;
  const core::Cluster cluster = interpreter::cluster_of(1);
  for (const char* model : {"mlp", "inception-block", "transformer-block"}) {
    const auto graph = core::build_model(model, {.batch = 4}).value();
    const core::Strategy alone = core::single_device(graph);
    for (std::size_t op = 0; op < graph.ops().size(); ++op) {
      const auto problem = core::local_problem(graph.ops()[op], alone.ops[op], 0);
      const auto choice = catalog.choose(problem, cluster.kind(core::DeviceId(0)));
      for (int step = 0; step < static_cast<int>(problem.definition->steps.size()); ++step) {
        if (!core::step_is_used(problem.definition->steps[static_cast<std::size_t>(step)],
                                core::AxisSet{}))
          continue;
        const Measurement m = measure_step(
            problem, step, choice.candidate,
            {.least_repeats = 3, .most_repeats = 3, .seconds = 0, .evicted = core::Bytes(0)});
        EXPECT_EQ(m.repeats, 3);
        EXPECT_GT(m.median, core::Nanoseconds(0)) << graph.ops()[op].name;
        EXPECT_LE(m.low, m.median);
        EXPECT_LE(m.median, m.high);
      }
    }
  }
}

TEST(MeasureCopy, more_bytes_take_longer) {
  const auto communicator = make_local_communicator(1);
  const MeasureOptions quick{.least_repeats = 5, .most_repeats = 9, .seconds = 0.05};
  const auto small = measure_copy(*communicator, core::Bytes(1 << 16), quick);
  const auto large = measure_copy(*communicator, core::Bytes(1 << 25), quick);
  EXPECT_GT(large.median, small.median);
}

TEST(MeasureRowUpdate, more_rows_take_longer) {
  const auto communicator = make_local_communicator(1);
  const MeasureOptions quick{.least_repeats = 5, .most_repeats = 9, .seconds = 0.05};
  for (const int states : {0, 1}) {
    const auto few = measure_row_update(*communicator, 16, 32, states, core::DType::kF32, quick);
    const auto many =
        measure_row_update(*communicator, 1 << 15, 32, states, core::DType::kF32, quick);
    EXPECT_GT(many.median, few.median);
  }
}

TEST(ProbeLinks, pairs_are_probed_at_once_and_figures_are_the_line_through_them) {
  const auto communicator = make_local_communicator(5);
  const std::pair<std::uint32_t, std::uint32_t> pairs[] = {{0, 3}, {4, 1}};
  const core::Bytes sizes[] = {core::Bytes(0), core::Bytes(1000)};
  const auto probes = probe_links(*communicator, pairs, sizes, 5);
  ASSERT_EQ(probes.size(), 2u);
  EXPECT_EQ(probes[1].first, 4u);
  EXPECT_EQ(probes[1].second, 1u);
  EXPECT_EQ(probes[1].times[1].time.repeats, 5);

  LinkProbe made_up;
  made_up.times = {{core::Bytes(0), {core::Nanoseconds(500), {}, {}, 1}},
                   {core::Bytes(1'000'000), {core::Nanoseconds(1'000'500), {}, {}, 1}}};
  EXPECT_EQ(figures_of(made_up).latency, core::Nanoseconds(500));
  EXPECT_DOUBLE_EQ(figures_of(made_up).bandwidth.value, 1e9);  // 1 MB in 1 ms
}

}  // namespace
}  // namespace soapstone::runtime
