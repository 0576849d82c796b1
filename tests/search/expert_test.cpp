#include "search/expert.hpp"

#include <map>
#include <string>

#include <gtest/gtest.h>

#include "core/lower.hpp"
#include "core/models/models.hpp"
#include "tests/support/fake_costs.hpp"

namespace soapstone::search {
namespace {

using namespace core;
using tests::small_cluster;

std::string cut_of(const Graph& graph, const Strategy& s, std::string_view op) {
  const auto id = *graph.find_op(op);
  const OpNode& node = graph.op(id);
  const OpStrategy& o = s.ops[id.value];
  std::string out;
  for (std::size_t a = 0; a < o.degrees.size(); ++a)
    if (o.degrees[a] > 1)
      out += (out.empty() ? "" : " ") + node.definition.axes[a].name + "=" +
             std::to_string(o.degrees[a]);
  if (o.replicas > 1) out += " copies=" + std::to_string(o.replicas);
  return out;
}

TEST(Expert, CutsConvolutionsBySamplesAndFullyConnectedByOutputs) {
  const Graph graph = build_model("alexnet").value();
  const Strategy s = expert(graph, small_cluster(2, 4, 2));
  for (const char* op : {"conv1", "pool1", "conv5", "pool5", "flatten", "loss"})
    EXPECT_EQ(cut_of(graph, s, op), "n=8") << op;
  for (const char* op : {"fc6", "fc7", "fc8"}) EXPECT_EQ(cut_of(graph, s, op), "o=8") << op;
  EXPECT_EQ(cut_of(graph, s, "drop7"), "c=8");  // as its input comes
}

TEST(Expert, CutsTransformersAsMegatronDoes) {
  const Graph graph = build_model("transformer-block").value();
  const Strategy s = expert(graph, small_cluster(3, 2, 2));
  EXPECT_EQ(cut_of(graph, s, "embed"), "n=3 vocab=2");
  EXPECT_EQ(cut_of(graph, s, "layer0_norm1"), "n=3 copies=2");
  EXPECT_EQ(cut_of(graph, s, "layer0_qkv"), "n=3 o1=2");
  EXPECT_EQ(cut_of(graph, s, "layer0_attention"), "n=3 head=2");
  EXPECT_EQ(cut_of(graph, s, "layer0_out"), "n=3 i0=2");
  EXPECT_EQ(cut_of(graph, s, "layer0_residual1"), "n=3 copies=2");
  EXPECT_EQ(cut_of(graph, s, "layer0_up"), "n=3 o=2");
  EXPECT_EQ(cut_of(graph, s, "layer0_gelu").substr(0, 3), "n=3");
  EXPECT_EQ(cut_of(graph, s, "layer0_gelu").find("copies"), std::string::npos);
  EXPECT_EQ(cut_of(graph, s, "layer0_down"), "n=3 i=2");
  EXPECT_EQ(cut_of(graph, s, "layer1_q"), "n=3 o0=2");
  EXPECT_EQ(cut_of(graph, s, "layer1_attention"), "n=3 head=2");
  EXPECT_EQ(cut_of(graph, s, "head"), "n=3 o=2");
  // Inside a node the parts lie on the node's own devices.
  const OpStrategy& up = s.ops[graph.find_op("layer0_up")->value];
  EXPECT_EQ(up.devices, (std::vector<DeviceId>{DeviceId(0), DeviceId(1), DeviceId(2), DeviceId(3),
                                               DeviceId(4), DeviceId(5)}));
}

TEST(Expert, IsLegalForEveryModelOnManyClusters) {
  const NominalCatalog catalog;
  for (const auto& model : models()) {
    if (model.name == "alexnet") continue;  // large; above
    // As deep as two layers of a kind are.
    std::map<std::string, double> shallow;
    for (const ModelParameter& p : model.parameters)
      if (p.name == "layers" || p.name.starts_with("blocks")) shallow[std::string(p.name)] = 2;
    const Graph graph = build_model(model.name, {.parameters = shallow}).value();
    for (const auto& [nodes, devices] :
         {std::pair{1, 1}, {1, 2}, {1, 3}, {2, 2}, {2, 3}, {4, 4}, {7, 1}, {3, 5}}) {
      const Cluster cluster = small_cluster(nodes, devices, 2);
      const Strategy s = expert(graph, cluster);
      const auto status = check(graph, s, static_cast<std::uint32_t>(cluster.size()));
      ASSERT_TRUE(status) << model.name << " on " << nodes << "x" << devices << ": "
                          << status.error().message;
      ASSERT_TRUE(lower(graph, s, cluster, catalog));
    }
  }
}

}  // namespace
}  // namespace soapstone::search
