// A neural network as a graph of operators over unsharded tensors, with its loss.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/op.hpp"
#include "core/quantity.hpp"
#include "core/result.hpp"

namespace soapstone::core {

// A tensor that the data set delivers. Its first dimension is the sample.
struct SourceSpec {
  std::string name;
  TensorDesc desc;
  std::int64_t classes = 0;  // i32 only: values are in [0, classes)
  // Per dimension: it is delivered in zig-zag order of so many chunks (zigzag.hpp), 0: in order;
  // none: all are in order.
  std::vector<std::int64_t> zigzag = {};

  friend bool operator==(const SourceSpec&, const SourceSpec&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("name", self.name);
    visit("desc", self.desc);
    visit("classes", self.classes, kOptional);
    visit("zigzag", self.zigzag, kOptional);
  }
};

struct OpNodeSpec {
  std::string name;
  Op op;
  std::vector<std::string> inputs;  // tensor names
  std::map<std::string, std::string>
      tied;  // own weight's name -> tensor name of an earlier op's weight

  friend bool operator==(const OpNodeSpec&, const OpNodeSpec&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("name", self.name);
    visit("op", self.op);
    visit("inputs", self.inputs);
    visit("tied", self.tied, kOptional);
  }
};

// What a graph document holds. Operators stand in topological order. The
// outputs and weights of operator `fc` are the tensors `fc.y`, `fc.weight`, ….
struct GraphSpec {
  static constexpr std::string_view kFormat = "soapstone.graph";
  static constexpr int kVersion = 1;
  std::string name;
  std::vector<SourceSpec> sources;
  std::vector<OpNodeSpec> ops;
  std::string loss;  // a scalar tensor
  // A scalar count of right answers, or empty. Its operator says how good the answers are; without
  // it, that of the loss.
  std::string correct;

  friend bool operator==(const GraphSpec&, const GraphSpec&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("name", self.name);
    visit("sources", self.sources);
    visit("ops", self.ops);
    visit("loss", self.loss);
    visit("correct", self.correct, kOptional);
  }
};

enum class TensorRole : std::uint8_t {
  kSource,      // delivered by the data set
  kWeight,      // trained
  kActivation,  // produced by an operator
};
SOAPSTONE_ENUM_NAMES(TensorRole, {TensorRole::kSource, "source"}, {TensorRole::kWeight, "weight"},
                     {TensorRole::kActivation, "activation"})

// One operand of one operator.
struct OperandRef {
  OpId op;
  std::uint16_t operand = 0;
  friend constexpr auto operator<=>(const OperandRef&, const OperandRef&) = default;
};

struct Tensor {
  std::string name;
  TensorRole role = TensorRole::kActivation;
  TensorDesc desc;
  OperandRef producer;  // activations: the output; weights: the first operator that uses it
  std::vector<OperandRef> uses;  // as input or weight, in topological order
  bool needs_gradient =
      false;         // lies between a weight and the loss, or is a weight that the loss depends on
  Initializer init;  // weights
};

struct OpNode {
  std::string name;
  Op op;
  OpDefinition definition;
  std::vector<TensorId> tensors;  // one per operand of the definition; none for internals
  bool differentiated = false;    // the loss depends on it
};

// A metric of the operator that makes the loss or, where the graph names it, `correct`.
struct GraphMetric {
  std::string name;
  MetricKind kind = MetricKind::kShare;
  TensorId value, over;
  double scale = 1;
  bool in_training = false;  // else known from evaluations alone
};

// Immutable. Copies share nothing mutable; build one with GraphBuilder or from a GraphSpec.
class Graph {
 public:
  static Result<Graph> build(GraphSpec spec);

  const GraphSpec& spec() const { return spec_; }
  const std::string& name() const { return spec_.name; }
  std::span<const OpNode> ops() const { return ops_; }
  std::span<const Tensor> tensors() const { return tensors_; }
  const OpNode& op(OpId id) const { return ops_[id.value]; }
  const Tensor& tensor(TensorId id) const { return tensors_[id.value]; }
  TensorId loss() const { return loss_; }
  std::optional<TensorId> correct() const { return correct_; }
  std::span<const GraphMetric> metrics() const { return metrics_; }
  // The loss, or what a metric is computed from: kept to the end of a step, never exchanged.
  bool is_reported(TensorId tensor) const;
  std::int64_t batch() const { return batch_; }  // samples of one step
  std::uint64_t hash() const { return hash_; }

  std::optional<OpId> find_op(std::string_view name) const;
  std::optional<TensorId> find_tensor(std::string_view name) const;
  std::int64_t parameter_count() const;  // trained ones
  Flops flops() const;                   // of one training step: forward and both gradients

  // The graph of one of `count` equal micro-batches; losses and gradients of
  // all of them add up to those of the whole mini-batch.
  Result<Graph> micro_batch(std::int64_t count) const;

  friend bool operator==(const Graph& a, const Graph& b) { return a.spec_ == b.spec_; }

 private:
  GraphSpec spec_;
  std::vector<OpNode> ops_;
  std::vector<Tensor> tensors_;
  TensorId loss_;
  std::optional<TensorId> correct_;
  std::vector<GraphMetric> metrics_;
  std::int64_t batch_ = 0;
  std::uint64_t hash_ = 0;
};

// Reads like the network. Errors are kept and returned by build(), naming the operator.
//
//   GraphBuilder g("mlp");
//   auto x = g.source("images", {{128, 784}});
//   x = g.add("fc1", Linear{.out_features = {128}}, {x});
class GraphBuilder {
 public:
  explicit GraphBuilder(std::string name);

  TensorId source(std::string name, TensorDesc desc, std::int64_t classes = 0);
  // Returns the first output.
  TensorId add(std::string name, Op op, std::vector<TensorId> inputs,
               std::map<std::string, TensorId> tied = {});
  // A tensor by name, e.g. tensor("embed.table") to tie it.
  TensorId tensor(std::string_view name) const;
  const TensorDesc& desc(TensorId id) const;

  // softmax_cross_entropy named "loss" over the logits.
  Result<Graph> build_with_loss(TensorId logits, TensorId labels);
  Result<Graph> build(TensorId loss, std::optional<TensorId> correct = std::nullopt);

 private:
  struct Known {
    std::string name;
    TensorDesc desc;
  };
  GraphSpec spec_;
  std::vector<Known> known_;
  std::optional<Error> error_;
};

}  // namespace soapstone::core
