// The zig-zag order of sequences, and graphs that are held in it.
#include "core/sequence_order.hpp"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/models/models.hpp"
#include "core/ops/attention.hpp"
#include "core/ops/concat.hpp"
#include "core/ops/dropout.hpp"
#include "core/ops/layer_norm.hpp"
#include "core/ops/linear.hpp"
#include "core/ops/lstm.hpp"
#include "core/ops/moe_dispatch.hpp"
#include "core/ops/reshape.hpp"
#include "core/ops/rotary_embedding.hpp"
#include "core/ops/slice.hpp"
#include "core/ops/softmax.hpp"
#include "core/ops/transpose.hpp"
#include "core/zigzag.hpp"

namespace soapstone::core {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Piece = Run;  // tests have a function of that name

std::vector<std::int64_t> positions(std::int64_t extent, std::int64_t chunks) {
  std::vector<std::int64_t> out;
  for (std::int64_t i = 0; i < extent; ++i) out.push_back(zigzag_position(i, extent, chunks));
  return out;
}

TEST(Zigzag, ChunksOfTheBeginningAndOfTheEndTakeTurns) {
  EXPECT_THAT(positions(4, 4), ElementsAre(0, 3, 1, 2));
  EXPECT_THAT(positions(6, 6), ElementsAre(0, 5, 1, 4, 2, 3));
  EXPECT_THAT(positions(8, 4), ElementsAre(0, 1, 6, 7, 2, 3, 4, 5));
  EXPECT_THAT(positions(4, 2), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(positions(3, 0), ElementsAre(0, 1, 2));
}

TEST(Zigzag, AnIndexIsFoundByItsPosition) {
  for (const std::int64_t chunks : {0, 2, 4, 6, 12, 24})
    for (std::int64_t i = 0; i < 24; ++i)
      EXPECT_EQ(zigzag_index(zigzag_position(i, 24, chunks), 24, chunks), i) << chunks;
}

TEST(Zigzag, APartIsFewRuns) {
  // Chunks of two, in the order 0 3 1 2.
  EXPECT_THAT(zigzag_runs({0, 4}, 8, 4), ElementsAre(Piece{{0, 2}, 0}, Piece{{2, 4}, 6}));
  EXPECT_THAT(zigzag_runs({4, 8}, 8, 4), ElementsAre(Piece{{4, 8}, 2}));  // 1 and 2
  EXPECT_THAT(zigzag_runs({1, 5}, 8, 4),
              ElementsAre(Piece{{1, 2}, 1}, Piece{{2, 4}, 6}, Piece{{4, 5}, 2}));
  EXPECT_THAT(zigzag_runs({3, 7}, 8, 0), ElementsAre(Piece{{3, 7}, 3}));
  EXPECT_THAT(zigzag_runs({3, 3}, 8, 4), IsEmpty());
}

TEST(Zigzag, WhatIsNotAnEvenNumberOfEqualChunksIsRefused) {
  const auto refusal = [](std::int64_t extent, std::int64_t chunks) {
    const Status status = check_zigzag(extent, chunks);
    return status ? "accepted" : status.error().message;
  };
  EXPECT_EQ(refusal(8, 0), "accepted");
  EXPECT_EQ(refusal(8, 4), "accepted");
  EXPECT_EQ(refusal(8, 3), "zigzag = 3: 0 (in order) or an even number of chunks is accepted");
  EXPECT_EQ(refusal(8, -2), "zigzag = -2: 0 (in order) or an even number of chunks is accepted");
  EXPECT_EQ(refusal(8, 6), "zigzag = 6: 8 indices are not so many equal chunks: 4 is accepted");
  EXPECT_EQ(refusal(7, 4), "zigzag = 4: 7 indices are not so many equal chunks: 0 is accepted");
}

template <class T>
const T* attributes(const Graph& graph, std::string_view op) {
  return graph.op(graph.find_op(op).value()).op.get_if<T>();
}

TEST(SequenceOrder, EverythingThatPositionsMeanSomethingToKnowsOfIt) {
  const Graph graph = build_model("mixtral-8x7b", {.batch = 2,
                                                   .parameters = {{"layers", 2},
                                                                  {"hidden", 16},
                                                                  {"ffn", 24},
                                                                  {"heads", 4},
                                                                  {"kv_heads", 2},
                                                                  {"experts", 4},
                                                                  {"seq", 8},
                                                                  {"vocab", 32}}})
                          .value();
  const Graph ordered = in_zigzag(graph, 4).value();
  for (const SourceSpec& source : ordered.spec().sources)
    EXPECT_THAT(source.zigzag, ElementsAre(0, 4)) << source.name;
  int attentions = 0, rotated = 0, dispatched = 0;
  for (std::size_t i = 0; i < graph.ops().size(); ++i) {
    const OpNode &before = graph.ops()[i], &after = ordered.ops()[i];
    EXPECT_EQ(after.name, before.name);
    EXPECT_EQ(after.tensors, before.tensors);
    if (const auto* attention = after.op.get_if<Attention>()) {
      ++attentions;
      EXPECT_EQ(attention->zigzag, 4);
    } else if (const auto* rotary = after.op.get_if<RotaryEmbedding>()) {
      ++rotated;
      EXPECT_EQ(rotary->zigzag, 4);
    } else if (const auto* dispatch = after.op.get_if<MoeDispatch>()) {
      ++dispatched;
      EXPECT_EQ(dispatch->zigzag, 4);
    } else {
      EXPECT_EQ(after.op, before.op) << before.name;
    }
  }
  EXPECT_EQ(attentions, 2);
  EXPECT_EQ(rotated, 4);
  EXPECT_EQ(dispatched, 2);
  EXPECT_EQ(in_zigzag(graph, 0).value(), graph);
  EXPECT_EQ(planned_graph(graph, 2, 4).value(), ordered.micro_batch(2).value());
}

// x [2, 8, 4] through some operators to causal attention of one head, and to a loss.
struct Sequence {
  GraphBuilder g{"sequence"};
  TensorId x = g.source("x", {{2, 8, 4}, DType::kF32, {}});

  Result<Graph> end(bool causal = true) {
    x = g.add("qkv", Linear{.out_features = {3, 1, 4}, .packed = true}, {x});
    x = g.add("attention", Attention{.causal = causal}, {x});
    x = g.add("merge", Reshape{.shape = {0, 0, 4}}, {x});
    const auto labels = g.source("labels", {{2, 8}, DType::kI32, {}}, 4);
    return g.build_with_loss(x, labels);
  }
};
std::string refusal(Result<Graph> graph) {
  const auto made = in_zigzag(graph.value(), 4);
  return made ? "accepted" : made.error().message;
}

TEST(SequenceOrder, AnElementOfADroppedTensorKeepsItsNumber) {
  Sequence s;
  s.x = s.g.add("drop", Dropout{.rate = 0.1}, {s.x});
  s.x = s.g.add("turn", Transpose{.permutation = {0, 2, 1}}, {s.x});
  s.x = s.g.add("drop_turned", Dropout{.rate = 0.1}, {s.x});
  s.x = s.g.add("turn_back", Transpose{.permutation = {0, 2, 1}}, {s.x});
  const Graph ordered = in_zigzag(s.end().value(), 4).value();
  EXPECT_THAT(attributes<Dropout>(ordered, "drop")->zigzag, ElementsAre(0, 4));
  EXPECT_THAT(attributes<Dropout>(ordered, "drop_turned")->zigzag, ElementsAre(0, 0, 4));
}

TEST(SequenceOrder, ASourceWithoutTheSequenceStaysAsItIs) {
  Sequence s;
  const auto other = s.g.source("other", {{2, 8, 4}, DType::kF32, {}});
  const auto whole = s.g.add("other_sum", Reshape{.shape = {0, 32}}, {other});
  const auto one = s.g.add("other_state", Linear{.out_features = {4}}, {whole});
  const auto zeros = s.g.source("cell", {{2, 4}, DType::kF32, {}});
  s.g.add("other_lstm", Lstm{.hidden = 4}, {other, one, zeros});
  const Graph ordered = in_zigzag(s.end().value(), 4).value();
  for (const SourceSpec& source : ordered.spec().sources)
    EXPECT_EQ(source.zigzag.empty(), source.name == "other" || source.name == "cell")
        << source.name;
}

TEST(SequenceOrder, OperatorsForWhichTheOrderMattersAreRefused) {
  EXPECT_EQ(refusal(Sequence().end()), "accepted");
  EXPECT_EQ(refusal(Sequence().end(false)),
            "sequence has no causal attention: without one all parts of a sequence have equally "
            "much to compute in order");
  {
    Sequence s;
    const auto zeros = s.g.source("h", {{2, 4}, DType::kF32, {}});
    s.x = s.g.add("lstm", Lstm{.hidden = 4}, {s.x, zeros, zeros});
    EXPECT_EQ(refusal(s.end()), "lstm (lstm) computes along the sequence, its axis s");
  }
  {
    Sequence s;
    s.x = s.g.add("turn", Transpose{.permutation = {0, 2, 1}}, {s.x});
    s.x = s.g.add("softmax", Softmax{}, {s.x});
    s.x = s.g.add("turn_back", Transpose{.permutation = {0, 2, 1}}, {s.x});
    EXPECT_EQ(refusal(s.end()), "softmax (softmax) computes along the sequence, its axis c");
  }
  {
    Sequence s;
    const auto more = s.g.source("more", {{2, 8, 4}, DType::kF32, {}});
    s.x = s.g.add("joined", Concat{.dim = 1}, {s.x, more});
    s.x = s.g.add("first", Slice{.starts = {0, 0, 0}, .stops = {0, 8, 0}}, {s.x});
    EXPECT_THAT(refusal(s.end()), HasSubstr("first (slice) changes the sequence, dimension 1 of x "
                                            "[2, 16, 4]"));
  }
  {
    Sequence s;
    s.x = s.g.add("flat", Reshape{.shape = {0, 32}}, {s.x});
    s.x = s.g.add("back", Reshape{.shape = {0, 8, 4}}, {s.x});
    EXPECT_THAT(refusal(s.end()), HasSubstr("back (reshape) changes the sequence"));
  }
  {
    Sequence s;
    s.x = s.g.add("turn", Transpose{.permutation = {0, 2, 1}}, {s.x});
    s.x = s.g.add("norm", LayerNorm{}, {s.x});
    s.x = s.g.add("turn_back", Transpose{.permutation = {0, 2, 1}}, {s.x});
    EXPECT_THAT(refusal(s.end()), HasSubstr("norm (layer_norm) "));
  }
  {
    Sequence s;
    s.x = s.g.add("turn", Transpose{.permutation = {0, 2, 1}}, {s.x});
    s.x = s.g.add("mixed", Linear{.out_features = {8}}, {s.x});
    s.x = s.g.add("turn_back", Transpose{.permutation = {0, 2, 1}}, {s.x});
    EXPECT_EQ(refusal(s.end()), "mixed (linear) has a weight for every position, weight");
  }
}

}  // namespace
}  // namespace soapstone::core
