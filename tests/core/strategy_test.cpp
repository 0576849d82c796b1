#include "core/strategy.hpp"

#include <gtest/gtest.h>

#include "core/document.hpp"
#include "core/json.hpp"
#include "core/models/models.hpp"
#include "core/ops/linear.hpp"

namespace soapstone::core {
namespace {

Graph mlp(std::int64_t batch = 6) { return build_model("mlp", {.batch = batch}).value(); }

std::vector<DeviceId> first(std::uint32_t count) {
  std::vector<DeviceId> out;
  for (std::uint32_t i = 0; i < count; ++i) out.emplace_back(i);
  return out;
}

std::string refusal(const Graph& g, const StrategyDocument& doc, std::uint32_t devices) {
  const auto strategy = from_document(g, doc);
  if (!strategy) return strategy.error().message;
  const Status status = check(g, *strategy, devices);
  return status ? "accepted" : status.error().message;
}
StrategyDocument with(std::string op, OpStrategyDocument cut) {
  return {"mlp", "", 1, {{std::move(op), std::move(cut)}}};
}

TEST(Strategy, LegalDegreesAreDivisorsFirstThenTheOthers) {
  EXPECT_EQ(legal_degrees({.name = "n", .extent = 6}, 8),
            (std::vector<std::int32_t>{1, 2, 3, 6, 4, 5}));
  EXPECT_EQ(legal_degrees({.name = "n", .extent = 6}, 4), (std::vector<std::int32_t>{1, 2, 3, 4}));
  EXPECT_EQ(legal_degrees({.name = "h", .extent = 12, .granularity = 4}, 8),
            (std::vector<std::int32_t>{1, 3, 2}));
  EXPECT_EQ(legal_degrees({.name = "t", .extent = 12, .coupling = Coupling::kUnsplittable}, 8),
            std::vector<std::int32_t>{1});
}

TEST(Strategy, DataParallelSplitsTheSamplesOfEveryOperator) {
  const Graph g = mlp(3);
  const auto devices = first(4);
  const Strategy s = data_parallel(g, devices);
  ASSERT_TRUE(check(g, s, 4));
  for (std::size_t i = 0; i < s.ops.size(); ++i) {
    const auto& axes = g.ops()[i].definition.axes;
    for (std::size_t a = 0; a < axes.size(); ++a)
      EXPECT_EQ(s.ops[i].degrees[a], axes[a].role == AxisRole::kSample ? 3 : 1);
    EXPECT_EQ(s.ops[i].devices, first(3));
  }
}

TEST(Strategy, SingleDeviceIsWholeThere) {
  const Strategy s = single_device(mlp(), DeviceId(2));
  EXPECT_TRUE(check(mlp(), s, 3));
  EXPECT_FALSE(check(mlp(), s, 2));
  for (std::size_t i = 0; i < s.ops.size(); ++i)
    EXPECT_TRUE(split_axes(mlp().ops()[i].definition, s.ops[i]).empty());
}

TEST(Strategy, RefusalsNameOperatorAxisValueAndWhatIsAccepted) {
  const Graph g = mlp();
  EXPECT_EQ(refusal(g, with("fc1", {{{"n", 2}}, 1, {0, 1}}), 4), "accepted");
  EXPECT_EQ(refusal(g, with("fc1", {{{"n", 7}}, 1, {0, 1, 2, 3, 4, 5, 6}}), 8),
            "fc1: degree 7 of axis n (6 indices, none): 1 to 6 is accepted");
  EXPECT_EQ(refusal(g, with("loss", {{{"c", 2}}, 1, {0, 1}}), 8),
            "loss: degree 2 of axis c (10 indices, unsplittable): 1 to 1 is accepted");
  EXPECT_EQ(refusal(g, with("fc1", {{{"n", 0}}, 1, {0}}), 8),
            "fc1: degree 0 of axis n (6 indices, none): 1 to 6 is accepted");
  EXPECT_EQ(refusal(g, with("fc1", {{{"n", 2}, {"o", 2}}, 2, {0, 1, 2, 3}}), 8),
            "fc1: degrees [2, 2, 1] × 2 replicas want 8 devices, 4 are listed");
  EXPECT_EQ(refusal(g, with("fc1", {{{"n", 2}}, 1, {0, 4}}), 4),
            "fc1: device 4: the cluster has devices 0 to 3");
  EXPECT_EQ(refusal(g, with("fc1", {{{"n", 2}}, 1, {3, 3}}), 4),
            "fc1: device 3 is listed twice: devices must be distinct");
  EXPECT_EQ(refusal(g, with("fc1", {{}, 1, {-1}}), 4), "fc1: device -1: must be at least 0");
  EXPECT_EQ(refusal(g, with("fc1", {{}, 0, {0}}), 4), "fc1: replicas = 0: must be at least 1");
  const auto unknown_op = refusal(g, with("fc", {{}, 1, {0}}), 4);
  EXPECT_NE(unknown_op.find("graph mlp has no operator `fc`; did you mean `fc1`?"),
            std::string::npos)
      << unknown_op;
  const auto unknown_axis = refusal(g, with("fc1", {{{"out", 2}}, 1, {0, 1}}), 4);
  EXPECT_NE(unknown_axis.find("fc1: no axis `out`"), std::string::npos) << unknown_axis;
  StrategyDocument micro{"mlp", "", 4, {}};
  EXPECT_EQ(refusal(g, micro, 4), "micro_batches = 4: the batch of 6 must be a multiple of it");
  micro.micro_batches = 0;
  EXPECT_NE(refusal(g, micro, 4), "accepted");
}

TEST(Strategy, AStrategyOfAnotherGraphIsRefused) {
  const StrategyDocument doc = to_document(mlp(6), single_device(mlp(6)));
  const auto other = refusal(mlp(8), doc, 1);
  EXPECT_NE(other.find("the strategy was made for graph mlp (" + hex(mlp(6).hash())),
            std::string::npos)
      << other;
  Strategy shorter = single_device(mlp());
  shorter.ops.pop_back();
  const Status status = check(mlp(), shorter, 1);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message,
            "a strategy for 5 operators does not belong to graph mlp with 6");
}

TEST(Strategy, DocumentsGoThereAndBack) {
  const Graph g = mlp();
  Strategy s = data_parallel(g, first(3));
  s.ops[1] = {{1, 2, 2}, 2, first(8)};
  s.micro_batches = 2;
  const StrategyDocument doc = to_document(g, s);
  EXPECT_EQ(from_document(g, doc).value(), s);
  const auto read = document_from_text<StrategyDocument>(document_text(doc).value(), "test");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, doc);
  EXPECT_EQ(hash_of(*read), hash_of(doc));
  EXPECT_EQ(from_json<Strategy>(to_json(s)).value(), s);
  Strategy t = s;
  t.ops[2].devices[0] = DeviceId(5);
  EXPECT_NE(s, t);
  EXPECT_NE(hash_of(s), hash_of(t));
  EXPECT_NE(print(s), print(t));
}

TEST(Strategy, TheSummaryFoldsEqualNeighbours) {
  const Graph g = mlp();
  Strategy s = data_parallel(g, first(3));
  s.ops[1] = {{1, 2, 1}, 1, {DeviceId(4), DeviceId(0)}};
  s.micro_batches = 2;
  EXPECT_EQ(summary(g, s),
            "flatten n=3 on 0-2; fc1 o=2 on 4,0; fc2…loss n=3 on 0-2; micro_batches=2");
}

TEST(Summary, RepeatedLayersStandOnce) {
  const auto graph = build_model("gpt", {.batch = 4,
                                         .parameters = {{"layers", 5},
                                                        {"hidden", 8},
                                                        {"heads", 2},
                                                        {"seq", 4},
                                                        {"vocab", 11},
                                                        {"dropout", 0}}})
                         .value();
  Strategy s = single_device(graph);
  for (std::size_t i = 0; i < graph.ops().size(); ++i)
    if (graph.ops()[i].name.ends_with("_up")) {
      s.ops[i].degrees[2] = 2;
      s.ops[i].devices = {DeviceId(0), DeviceId(1)};
    }
  EXPECT_EQ(summary(graph, s),
            "embed…layer0_norm2 on 0; [layer0_up o=2 on 0-1; layer0_gelu…layer1_norm2 on 0] ×4; "
            "layer4_up o=2 on 0-1; layer4_gelu…loss on 0");
}

}  // namespace
}  // namespace soapstone::core
