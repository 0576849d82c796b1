// Networks of large embedding tables, and CANDLE Uno.
#include "core/models/hyper.hpp"
#include "core/ops/binary_cross_entropy.hpp"
#include "core/ops/concat.hpp"
#include "core/ops/embedding_bag.hpp"
#include "core/ops/interaction.hpp"
#include "core/ops/linear.hpp"
#include "core/ops/mse_loss.hpp"

namespace soapstone::core::zoo {

namespace {

TensorId dense_relu(GraphBuilder& g, const std::string& name, TensorId x, std::int64_t out) {
  return g.add(name, Linear{.out_features = {out}, .activation = Activation::kRelu}, {x});
}

TensorId table(GraphBuilder& g, const Request& o, std::int64_t k) {
  const std::string number = std::to_string(k);
  const auto ids = g.source("sparse" + number, {{o.batch, o["bag"]}, DType::kI32, {}}, o["rows"]);
  return g.add(
      "table" + number,
      EmbeddingBag{
          .vocab = o["rows"], .features = o["features"], .init_scale = 0.05, .dtype = o.dtype},
      {ids});
}

Result<Graph> click_loss(GraphBuilder& g, const Request& o, TensorId logit) {
  // 0 or 1.
  const auto y = g.source("labels", {{o.batch, 1}, o.dtype, {}}, 2);
  const auto loss = g.add("loss", BinaryCrossEntropy{}, {logit, y});
  return g.build(loss, g.tensor("loss.correct"));
}

// Source: Naumov et al. 2019, arXiv 1906.00091; layers of its Criteo Kaggle configuration.
Result<Graph> dlrm(const Request& o) {
  GraphBuilder g(o.name);
  auto x = g.source("dense", {{o.batch, 13}, o.dtype, {}});
  x = dense_relu(g, "bottom1", x, 512);
  x = dense_relu(g, "bottom2", x, 256);
  x = dense_relu(g, "bottom3", x, o["features"]);
  std::vector<TensorId> vectors{x};
  for (std::int64_t k = 0; k < o["tables"]; ++k) vectors.push_back(table(g, o, k));
  x = g.add("interaction", Interaction{}, vectors);
  x = dense_relu(g, "top1", x, 512);
  x = dense_relu(g, "top2", x, 256);
  x = g.add("top3", Linear{.out_features = {1}}, {x});
  return click_loss(g, o, x);
}

// Source: examples/cpp/XDL of FlexFlow; Jiang et al. 2019, DLP-KDD.
Result<Graph> xdl(const Request& o) {
  GraphBuilder g(o.name);
  std::vector<TensorId> vectors;
  for (std::int64_t k = 0; k < o["tables"]; ++k) vectors.push_back(table(g, o, k));
  auto x = vectors.size() == 1 ? vectors[0] : g.add("concat", Concat{.dim = 1}, vectors);
  for (const int k : {1, 2, 3}) x = dense_relu(g, "top" + std::to_string(k), x, 256);
  x = g.add("top4", Linear{.out_features = {1}}, {x});
  return click_loss(g, o, x);
}

// How a tumour answers to two drugs: a tower per feature, then a common network. Source:
// examples/cpp/candle_uno of FlexFlow, after the ECP-CANDLE Uno benchmark.
Result<Graph> candle_uno(const Request& o) {
  GraphBuilder g(o.name);
  const std::int64_t width = o["hidden"];
  const std::pair<const char*, std::int64_t> features[] = {{"cell_rnaseq", 942},
                                                           {"drug1_descriptors", 5270},
                                                           {"drug1_fingerprints", 2048},
                                                           {"drug2_descriptors", 5270},
                                                           {"drug2_fingerprints", 2048}};
  std::vector<TensorId> parts;
  for (const char* dose : {"dose1", "dose2"})
    parts.push_back(g.source(dose, {{o.batch, 1}, o.dtype, {}}));
  for (const auto& [name, extent] : features) {
    auto x = g.source(name, {{o.batch, extent}, o.dtype, {}});
    for (std::int64_t l = 0; l < o["feature_layers"]; ++l)
      x = dense_relu(g, std::string(name) + "_fc" + std::to_string(l), x, width);
    parts.push_back(x);
  }
  auto x = g.add("concat", Concat{.dim = 1}, parts);
  for (std::int64_t l = 0; l < o["layers"]; ++l)
    x = dense_relu(g, "fc" + std::to_string(l), x, width);
  x = g.add("growth", Linear{.out_features = {1}}, {x});
  const auto y = g.source("labels", {{o.batch, 1}, o.dtype, {}});
  return g.build(g.add("loss", MseLoss{}, {x, y}));
}

std::vector<ModelParameter> tables(double count, double rows) {
  return {{"tables", count, "embedding tables"},
          {"rows", rows, "rows of a table"},
          {"features", 64, "features of a row"},
          {"bag", 1, "ids of a sample in a table"}};
}

}  // namespace

std::vector<Entry> recommendation_models() {
  return {
      {{"dlrm", "recommendation: 26 tables, dense features, their dot products", 2048, "synthetic"},
       dlrm,
       tables(26, 100000)},
      {{"xdl", "recommendation: 4 tables of a million rows", 1024, "synthetic"},
       xdl,
       tables(4, 1e6)},
      {{"candle-uno", "tumour response to drugs: towers of wide layers", 64, "synthetic"},
       candle_uno,
       {{"hidden", 4192, "features of the layers"},
        {"feature_layers", 8, "layers of a tower"},
        {"layers", 4, "layers of the common network"}}},
  };
}

}  // namespace soapstone::core::zoo
