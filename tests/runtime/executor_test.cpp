// What a device does while data moves.
#include "runtime/executor.hpp"

#include <gtest/gtest.h>

#include "core/ops/linear.hpp"
#include "runtime/comm/local.hpp"
#include "runtime/plan_run.hpp"
#include "tests/support/interpreter/plan_writer.hpp"

namespace soapstone::runtime {
namespace {

using core::BufferKind;
using core::DeviceId;

core::Graph graph() {
  core::GraphBuilder g("one-layer");
  auto x = g.source("x", {{4, 3}, core::DType::kF64, {}});
  const auto y = g.source("labels", {{4}, core::DType::kI32, {}}, 2);
  x = g.add("fc", core::Linear{.out_features = {2}}, {x});
  return g.build_with_loss(x, y).value();
}

// Device 1 loads x and gives it to device 0, which then loads labels: tasks 0 and 1 of each.
core::Plan plan_of(const core::Graph& graph) {
  const auto x = *graph.find_tensor("x"), labels = *graph.find_tensor("labels");
  const core::Box all = core::whole(graph.tensor(x).desc.shape);
  interpreter::PlanWriter w(graph, 2, 0);
  const auto from = w.buffer(1, BufferKind::kSource, x, all);
  const auto to = w.buffer(0, BufferKind::kActivation, x, all);
  const auto y =
      w.buffer(0, BufferKind::kSource, labels, core::whole(graph.tensor(labels).desc.shape));
  w.load(1, x, from);
  w.next();
  core::Transfer t;
  t.pattern = core::Pattern::kBoxes;
  const core::Box nothing(all.size(), core::Interval{});
  t.members = {{DeviceId(0), nothing, all}, {DeviceId(1), all, nothing}};
  t.messages = {{1, 0, all}};
  w.transfer(t, x, core::Phase::kForward, {core::kNoIndex, from}, {to, core::kNoIndex});
  w.next();
  w.load(0, labels, y);
  return w.take();
}

TEST(Executor, computes_while_it_waits_for_a_message) {
  const core::Graph g = graph();
  const core::Plan plan = plan_of(g);
  const auto communicator = make_local_communicator(2);
  PlanRun run(*communicator, g, plan, {});
  const std::vector<double> data(12, 1.5);
  const auto* bytes = reinterpret_cast<const std::byte*>(data.data());
  const std::byte* const loaded[] = {bytes, bytes};
  for (int step = 0; step < 2; ++step) {
    run.step({0, {}, 0, loaded});
    const auto times = run.executors()[0]->times();
    EXPECT_LE(times[0].start, times[1].start);
    EXPECT_LE(times[1].end, times[0].end) << "the message that is waited for holds up what follows";
    EXPECT_LE(run.executors()[1]->times()[0].end, run.executors()[1]->times()[1].start);
  }
}

TEST(Executor, paced_computes_nothing_and_takes_the_time_it_is_told) {
  const core::Graph g = graph();
  const core::Plan plan = plan_of(g);
  const auto communicator = make_local_communicator(2);
  using core::Nanoseconds;
  const Nanoseconds load(3'000'000);
  PlanRun run(*communicator, g, plan,
              {0, nullptr, {}, {{Nanoseconds(0), load}, {load, Nanoseconds(0)}}});
  // Nothing is there to be loaded.
  const std::byte* const loaded[] = {nullptr, nullptr};
  run.step({0, {}, 0, loaded});
  for (std::size_t d = 0; d < 2; ++d) {
    const TaskTime t = run.executors()[d]->times()[1 - d];
    EXPECT_GE(t.end - t.start, load.value);
  }
  // What was to be loaded is sent when that has taken its time.
  EXPECT_GE(run.executors()[1]->times()[1].start, run.executors()[1]->times()[0].end);
  EXPECT_GE(run.executors()[0]->times()[0].end, run.executors()[1]->times()[0].end);
  EXPECT_EQ(run.loss(), 0);
  EXPECT_FALSE(run.has_stopped());
}

}  // namespace
}  // namespace soapstone::runtime
