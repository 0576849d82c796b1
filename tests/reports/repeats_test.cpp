#include "reports/repeats.hpp"

#include <gmock/gmock.h>

#include "core/ops/add.hpp"
#include "core/ops/concat.hpp"
#include "core/ops/linear.hpp"
#include "core/ops/relu.hpp"
#include "tests/reports/sample.hpp"

namespace soapstone::reports {

void PrintTo(const Repeat& r, std::ostream* out) {
  *out << r.count << " x " << r.length << " from " << r.first;
}

namespace {

using namespace core;
using testing::ElementsAre;
using testing::IsEmpty;

std::vector<Repeat> repeats(const Graph& graph) {
  return find_repeats(graph, single_device(graph));
}

TEST(Repeats, AreTheLayersOfANetwork) {
  EXPECT_THAT(repeats(layered(12)), ElementsAre(Repeat{1, 3, 12}));
  EXPECT_THAT(repeats(layered(2)), ElementsAre(Repeat{1, 3, 2}));
  EXPECT_THAT(repeats(layered(1)), IsEmpty());
}

TEST(Repeats, EndWhereALayerIsPlacedDifferently) {
  const Graph graph = layered(12);
  Strategy strategy = single_device(graph);
  strategy.ops[graph.find_op("layer5_relu")->value].devices = {DeviceId(1)};
  EXPECT_THAT(find_repeats(graph, strategy), ElementsAre(Repeat{1, 3, 5}, Repeat{19, 3, 6}));
}

TEST(Repeats, EndWhereALayerHasOtherAttributesOrConnections) {
  const auto build = [](auto third_layer) {
    GraphBuilder g("g");
    auto x = g.source("x", {{8, 16}, DType::kF32, {}});
    const auto labels = g.source("labels", {{8}, DType::kI32, {}}, 16);
    x = g.add("in", Linear{.out_features = {16}, .bias = false}, {x});
    for (int l = 0; l < 4; ++l) {
      const std::string name = "l" + std::to_string(l);
      auto t = g.add(name + "a", Linear{.out_features = {16}}, {x});
      t = g.add(name + "b", Relu{}, {t});
      x = l == 2 ? third_layer(g, x, t) : g.add(name + "c", Add{}, {x, t});
    }
    return g.build_with_loss(x, labels).value();
  };
  EXPECT_THAT(repeats(build([](auto& g, auto x, auto t) {
                return g.add("l2c", Add{}, {x, t});
              })),
              ElementsAre(Repeat{1, 3, 4}));
  // The third block adds nothing from before.
  EXPECT_THAT(repeats(build([](auto& g, auto, auto t) {
                return g.add("l2c", Add{}, {t, t});
              })),
              ElementsAre(Repeat{1, 3, 2}));
}

TEST(Repeats, ShareWhatTheyReadFromOutside) {
  GraphBuilder g("g");
  auto x = g.source("x", {{8, 16}, DType::kF32, {}});
  const auto labels = g.source("labels", {{8}, DType::kI32, {}}, 16);
  const auto shared = g.add("shared", Linear{.out_features = {16}}, {x});
  x = g.add("other", Relu{}, {shared});
  for (int l = 0; l < 3; ++l) {
    const auto t = g.add("a" + std::to_string(l), Linear{.out_features = {16}}, {x});
    x = g.add("b" + std::to_string(l), Add{}, {t, shared});
  }
  EXPECT_THAT(repeats(g.build_with_loss(x, labels).value()), ElementsAre(Repeat{2, 2, 3}));
}

TEST(Repeats, TakeThreeSingleOperatorsAtLeast) {
  const auto chain = [](int length) {
    GraphBuilder g("g");
    auto x = g.source("x", {{8, 16}, DType::kF32, {}});
    const auto labels = g.source("labels", {{8}, DType::kI32, {}}, 16);
    x = g.add("in", Relu{}, {x});
    for (int l = 0; l < length; ++l)
      x = g.add("fc" + std::to_string(l), Linear{.out_features = {16}}, {x});
    return g.build_with_loss(x, labels).value();
  };
  EXPECT_THAT(repeats(chain(2)), IsEmpty());
  EXPECT_THAT(repeats(chain(3)), IsEmpty()) << "the first needs no gradient of its input";
  EXPECT_THAT(repeats(chain(4)), ElementsAre(Repeat{2, 1, 3}));
}

}  // namespace
}  // namespace soapstone::reports
