#include "core/graph.hpp"

#include <gtest/gtest.h>

#include "core/document.hpp"
#include "core/json.hpp"
#include "core/models/models.hpp"
#include "core/ops/dropout.hpp"
#include "core/ops/embedding.hpp"
#include "core/ops/linear.hpp"
#include "core/ops/relu.hpp"
#include "core/ops/reshape.hpp"
#include "tests/support/interpreter/unsharded.hpp"

namespace soapstone::core {
namespace {

GraphSpec spec_of_two_layers() {
  GraphBuilder g("two");
  auto x = g.source("x", {{4, 3}, DType::kF64, {}});
  const auto y = g.source("y", {{4}, DType::kI32, {}}, 2);
  x = g.add("fc1", Linear{.out_features = {3}}, {x});
  x = g.add("fc2", Linear{.out_features = {2}}, {x});
  return g.build_with_loss(x, y).value().spec();
}
std::string refusal(const GraphSpec& spec) {
  const auto g = Graph::build(spec);
  return g ? "accepted" : g.error().message;
}

TEST(Graph, NamesWeightsAndOutputsAfterTheirOperator) {
  const Graph g = Graph::build(spec_of_two_layers()).value();
  std::string names;
  for (const Tensor& t : g.tensors()) names += t.name + " ";
  EXPECT_EQ(names,
            "x y fc1.weight fc1.bias fc1.y fc2.weight fc2.bias fc2.y loss.loss loss.correct "
            "loss.top5 loss.labelled ");
  EXPECT_EQ(g.batch(), 4);
  EXPECT_EQ(g.parameter_count(), 3 * 3 + 3 + 2 * 3 + 2);
  EXPECT_EQ(g.tensor(g.loss()).name, "loss.loss");
  EXPECT_EQ(g.tensor(*g.correct()).name, "loss.correct");
  EXPECT_EQ(g.tensor(*g.find_tensor("fc1.y")).uses, (std::vector<OperandRef>{{OpId(1), 0}}));
  EXPECT_FALSE(g.find_op("fc3"));
  EXPECT_FALSE(g.tensor(*g.find_tensor("x")).needs_gradient);
  EXPECT_TRUE(g.tensor(*g.find_tensor("fc1.y")).needs_gradient);
  EXPECT_FALSE(g.tensor(*g.correct()).needs_gradient);
}

TEST(Graph, ErrorsNameTheOperator) {
  GraphSpec s = spec_of_two_layers();
  s.ops[1].inputs = {"fc1.z"};
  EXPECT_NE(refusal(s).find("fc2: no tensor `fc1.z` before it; did you mean `fc1.y`?"),
            std::string::npos)
      << refusal(s);
  s = spec_of_two_layers();
  std::swap(s.ops[0], s.ops[1]);
  EXPECT_NE(refusal(s).find("fc2: no tensor `fc1.y` before it"), std::string::npos) << refusal(s);
  s = spec_of_two_layers();
  s.ops[1].name = "fc1";
  EXPECT_EQ(refusal(s), "two operators are named `fc1`");
  s.ops[1].name = "";
  EXPECT_EQ(refusal(s), "an operator linear has no name");
  s = spec_of_two_layers();
  s.sources[0].name = "y";
  EXPECT_EQ(refusal(s), "two tensors are named `y`");
  s = spec_of_two_layers();
  s.sources[1].desc.shape[0] = 5;
  EXPECT_EQ(refusal(s), "source y: 5 samples where other sources have 4");
  s = spec_of_two_layers();
  s.sources[1].classes = 0;
  EXPECT_EQ(refusal(s), "source y: classes = 0: i32 values need a bound of at least 1");
  s = spec_of_two_layers();
  s.loss = "fc2.y";
  EXPECT_EQ(refusal(s), "loss `fc2.y` is [4, 2]: a single element is wanted");
  s = spec_of_two_layers();
  s.ops[1].tied["weight"] = "fc1.weight";
  EXPECT_NE(refusal(s).find("fc2: weight weight"), std::string::npos) << refusal(s);
  s.ops[1].tied = {{"wieght", "fc1.weight"}};
  EXPECT_NE(refusal(s).find("fc2: no weight `wieght` to tie; did you mean `weight`?"),
            std::string::npos)
      << refusal(s);
  GraphBuilder g("bad");
  const auto x = g.source("x", {{4, 3}, DType::kF64, {}});
  EXPECT_EQ(g.build(g.add("fc1", Linear{.out_features = {0}}, {x})).error().message,
            "fc1 (linear): out_features = [0]: every extent must be at least 1");
}

TEST(Graph, DocumentsGoThereAndBack) {
  for (const auto& info : models()) {
    const Graph g = build_model(info.name, {.batch = 6}).value();
    const auto read = document_from_text<GraphSpec>(document_text(g.spec()).value(), "test");
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(*read, g.spec());
    const Graph again = Graph::build(*read).value();
    EXPECT_EQ(again, g);
    EXPECT_EQ(again.hash(), g.hash());
    EXPECT_EQ(print(*read), print(g.spec()));
  }
  GraphSpec other = spec_of_two_layers();
  other.ops[0].op = Linear{.out_features = {3}, .bias = false};
  EXPECT_NE(Graph::build(other).value().hash(), Graph::build(spec_of_two_layers()).value().hash());
}

TEST(Graph, ATiedWeightBelongsToItsFirstOperatorAndListsAllUses) {
  const Graph g = build_model("transformer-block").value();
  const Tensor& table = g.tensor(*g.find_tensor("embed.table"));
  EXPECT_EQ(g.op(table.producer.op).name, "embed");
  ASSERT_EQ(table.uses.size(), 2u);
  EXPECT_EQ(g.op(table.uses[1].op).name, "head");
  EXPECT_FALSE(g.find_tensor("head.weight"));
}

// Losses and gradients of the micro-batches add up to those of the mini-batch, dropout's masks
// included.
void expect_micro_batches_add_up(const Graph& g) {
  const auto once = interpreter::run_unsharded(g, {}, {})[0];
  for (const std::int64_t count : {2, 3, 6}) {
    const auto parts = interpreter::run_unsharded(g, {}, {.micro_batches = count})[0];
    EXPECT_NEAR(parts.loss, once.loss, 1e-13 * std::abs(once.loss));
    EXPECT_EQ(parts.correct, once.correct);
    for (const auto& [name, gradient] : once.gradients)
      for (std::size_t i = 0; i < gradient.size(); ++i)
        ASSERT_NEAR(parts.gradients.at(name)[i], gradient[i], 1e-13) << name;
  }
}

TEST(Graph, MicroBatchesAddUpToTheMiniBatch) {
  expect_micro_batches_add_up(
      build_model("transformer-block", {.batch = 6, .dtype = DType::kF64}).value());
  // Rows of several samples: the masks of a micro-batch still follow the place in the mini-batch.
  GraphBuilder g("rows");
  auto x = g.source("x", {{6, 4, 3}, DType::kF64, {}});
  const auto y = g.source("labels", {{6, 4}, DType::kI32, {}}, 2);
  x = g.add("fc1", Linear{.out_features = {5}}, {x});
  x = g.add("rows", Reshape{.shape = {-1, 5}}, {x});
  x = g.add("drop", Dropout{.rate = 0.4}, {x});
  x = g.add("samples", Reshape{.shape = {-1, 4, 5}}, {x});
  x = g.add("fc2", Linear{.out_features = {2}}, {x});
  expect_micro_batches_add_up(g.build_with_loss(x, y).value());
}

TEST(Graph, MicroBatchesThatChangeAWeightAreRefused) {
  GraphBuilder g("fixed");
  auto x = g.source("x", {{6, 4}, DType::kF64, {}});
  const auto y = g.source("labels", {{6}, DType::kI32, {}}, 2);
  x = g.add("fixed", Reshape{.shape = {6, -1}}, {x});
  x = g.add("fc", Linear{.out_features = {2}}, {x});
  const Graph graph = g.build_with_loss(x, y).value();
  EXPECT_TRUE(graph.micro_batch(1));
  const auto part = graph.micro_batch(2);
  ASSERT_FALSE(part);
  EXPECT_EQ(graph.micro_batch(4).error().message,
            "micro_batches = 4: the batch of 6 must be a multiple of it");
}

}  // namespace
}  // namespace soapstone::core
