// The training loop: what it learns, writes, keeps and takes up again.
#include "runtime/trainer.hpp"

#include <atomic>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/resource.h>

#include "core/file.hpp"
#include "core/lower.hpp"
#include "core/models/models.hpp"
#include "core/ops/softmax_cross_entropy.hpp"
#include "core/ops/vocab_parallel_cross_entropy.hpp"
#include "kernels/catalog.hpp"
#include "runtime/checkpoint.hpp"
#include "runtime/comm/local.hpp"
#include "tests/support/interpreter/strategies.hpp"

namespace soapstone::runtime {
namespace {

using testing::HasSubstr;

class TrainerTest : public testing::Test {
 protected:
  TrainerTest() {
    std::string name = (std::filesystem::temp_directory_path() / "soapstone-train-XXXXXX").string();
    folder = mkdtemp(name.data());
  }
  ~TrainerTest() override { std::filesystem::remove_all(folder); }

  core::Result<TrainReport> train_on(int devices, const core::Strategy& strategy,
                                     const TrainOptions& options, const TrainHooks& hooks = {}) {
    const auto communicator = make_local_communicator(devices);
    const core::Cluster cluster = interpreter::cluster_of(devices);
    return train(*communicator, {graph, strategy, cluster, catalog, *data.train, data.test.get()},
                 options, hooks);
  }
  core::Strategy random_strategy(int devices, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    return interpreter::random_strategy(graph, devices, 1, random);
  }
  core::Strategy data_parallel(int devices) {
    std::vector<core::DeviceId> list;
    for (int d = 0; d < devices; ++d) list.emplace_back(static_cast<std::uint32_t>(d));
    return core::data_parallel(graph, list);
  }
  static double accuracy(const core::Result<TrainReport>& report) {
    const core::MetricValue& first = report->last_evaluation->metrics.at(0);
    EXPECT_EQ(first.name, "accuracy");
    return first.value;
  }
  std::vector<nlohmann::json> lines(const std::filesystem::path& path) {
    std::ifstream in(path);
    std::vector<nlohmann::json> out;
    for (std::string line; std::getline(in, line);) out.push_back(nlohmann::json::parse(line));
    return out;
  }
  TrainOptions steps(std::int64_t count) {
    TrainOptions o;
    o.steps = count;
    o.seed = 4;
    return o;
  }

  core::Graph graph = core::build_model("mlp", {.batch = 16, .dtype = core::DType::kF64}).value();
  kernels::HostCatalog catalog;
  DataSets data = make_synthetic_data(graph, 2, 100, 37).value();
  std::vector<std::unique_ptr<DataSource>> plain;  // behind others
  std::filesystem::path folder;
};

TEST_F(TrainerTest, metrics_are_one_json_line_per_step_and_evaluation) {
  TrainOptions options = steps(13);
  options.metrics = folder / "metrics.jsonl";
  options.optimizer.clip_gradient_norm = 5;
  const auto report = train_on(2, data_parallel(2), options);
  ASSERT_TRUE(report) << report.error().message;
  const auto all = lines(options.metrics);
  ASSERT_EQ(all.size(), 16u);  // 6 steps per epoch: evaluations after 6, 12 and 13
  EXPECT_EQ(all[0]["kind"], "step");
  EXPECT_EQ(all[0]["step"], 1);
  EXPECT_EQ(all[0]["data"], "synthetic");
  EXPECT_DOUBLE_EQ(all[0]["loss"], report->first_loss);
  EXPECT_GT(all[0]["gradient_norm"], 0.0);
  EXPECT_EQ(all[6]["kind"], "evaluation");
  EXPECT_EQ(all[6]["samples"], 37);
  EXPECT_EQ(all[7]["epoch"], 1);
  EXPECT_LT(report->last_loss, report->first_loss);
}

// 37 samples in batches of 16: the last batch is filled up with others. One device that takes all
// 37 at once says what must come out.
TEST_F(TrainerTest, an_evaluation_counts_every_sample_once) {
  TrainOptions options = steps(1);
  const auto report = train_on(3, random_strategy(3, 3), options);
  ASSERT_TRUE(report) << report.error().message;
  ASSERT_TRUE(report->last_evaluation);
  EXPECT_EQ(report->last_evaluation->samples, 37);
  const double right = accuracy(report) * 37;
  EXPECT_NEAR(right, std::round(right), 1e-9);

  options.checkpoint = folder / "ck";
  ASSERT_TRUE(train_on(1, core::single_device(graph), options));
  const Checkpoint c = load_checkpoint(options.checkpoint, graph).value();
  // The same weights into a graph with batch 37, by name.
  const core::Graph whole =
      core::build_model("mlp", {.batch = 37, .dtype = core::DType::kF64}).value();
  Checkpoint moved = c;
  moved.graph_hash = core::hex(whole.hash());
  moved.step = 0;
  moved.step_in_epoch = 0;
  ASSERT_TRUE(save_checkpoint(folder / "moved", whole, moved));
  const auto communicator = make_local_communicator(1);
  const core::Cluster cluster = interpreter::cluster_of(1);
  const core::Strategy alone = core::single_device(whole);
  TrainOptions again = steps(1);
  again.resume = folder / "moved";
  again.optimizer.learning_rate = 1e-300;  // the weights stay
  const auto once =
      train(*communicator, {whole, alone, cluster, catalog, *data.train, data.test.get()}, again);
  ASSERT_TRUE(once) << once.error().message;
  EXPECT_NEAR(accuracy(once), accuracy(report), 1e-9);
  EXPECT_NEAR(once->last_evaluation->loss, report->last_evaluation->loss, 1e-9);
}

// The figures of an evaluation by name; those of the last step of the training before it as
// "training accuracy".
std::map<std::string, double> figures(const core::Result<TrainReport>& report,
                                      const TrainProgress& last) {
  std::map<std::string, double> out{{"loss", report->last_evaluation->loss}};
  for (const core::MetricValue& m : report->last_evaluation->metrics) out[m.name] = m.value;
  for (const core::MetricValue& m : last.metrics) out["training " + m.name] = m.value;
  return out;
}

struct JudgedModel {
  std::string model;
  std::map<std::string, double> parameters;
  std::vector<std::string> metrics;  // of evaluations and of training, ascending
  // Splits the classes of the last layer and of the loss.
  bool splits_vocabulary = false;
};
void PrintTo(const JudgedModel& m, std::ostream* out) { *out << m.model; }

class Metrics : public TrainerTest, public testing::WithParamInterface<JudgedModel> {};

// Samples 37 in batches of 12, two micro-batches in the second half.
TEST_P(Metrics, are_those_of_one_device_under_every_strategy) {
  const JudgedModel& judged = GetParam();
  core::ModelOptions how{.batch = 12, .dtype = core::DType::kF64};
  for (const auto& [name, value] : judged.parameters) how.parameters[name] = value;
  const auto built = core::build_model(judged.model, how);
  ASSERT_TRUE(built) << built.error().message;
  graph = *built;
  if (judged.splits_vocabulary) {
    core::GraphSpec spec = graph.spec();
    for (auto& op : spec.ops)
      if (op.op == core::Op(core::SoftmaxCrossEntropy{})) op.op = core::VocabParallelCrossEntropy{};
    graph = core::Graph::build(spec).value();
  }
  data = make_synthetic_data(graph, 2, 100, 37).value();
  TrainProgress last;
  TrainHooks hooks;
  hooks.progress = [&](const TrainProgress& p) { last = p; };
  for (const int micro_batches : {1, 2}) {
    core::Strategy alone = core::single_device(graph);
    alone.micro_batches = micro_batches;
    const auto one = train_on(1, alone, steps(3), hooks);
    ASSERT_TRUE(one) << one.error().message;
    const auto want = figures(one, last);
    std::vector<std::string> names;
    for (const auto& [name, value] : want) names.push_back(name);
    EXPECT_EQ(names, judged.metrics);
    for (const std::uint64_t seed : {3u, 4u, 5u}) {
      std::mt19937_64 random(seed);
      core::Strategy strategy = interpreter::random_strategy(graph, 3, micro_batches, random);
      if (judged.splits_vocabulary && seed == 3)
        for (std::size_t i = 0; i < graph.ops().size(); ++i)
          if (graph.ops()[i].name == "loss") {
            strategy.ops[i].degrees.assign(graph.ops()[i].definition.axes.size(), 1);
            strategy.ops[i].degrees.back() = 3;
            strategy.ops[i].replicas = 1;
            strategy.ops[i].devices = {core::DeviceId(2), core::DeviceId(0), core::DeviceId(1)};
          }
      const auto several = train_on(3, strategy, steps(3), hooks);
      ASSERT_TRUE(several) << several.error().message;
      const auto got = figures(several, last);
      ASSERT_EQ(got.size(), want.size());
      for (const auto& [name, value] : want)
        EXPECT_NEAR(got.at(name), value, 1e-9 * std::max(1.0, std::abs(value)))
            << name << ": " << interpreter::describe(graph, strategy);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    models, Metrics,
    testing::Values(
        JudgedModel{"mlp", {}, {"accuracy", "loss", "top5_accuracy", "training accuracy"}},
        JudgedModel{"gpt",
                    {{"layers", 1}, {"hidden", 8}, {"heads", 2}, {"vocab", 70}, {"seq", 6}},
                    {"accuracy", "loss", "perplexity", "top5_accuracy", "training accuracy",
                     "training perplexity"}},
        JudgedModel{"gpt",
                    {{"layers", 1}, {"hidden", 8}, {"heads", 2}, {"vocab", 70}, {"seq", 6}},
                    {"accuracy", "loss", "perplexity", "top5_accuracy", "training accuracy",
                     "training perplexity"},
                    true},
        JudgedModel{"xdl",
                    {{"tables", 2}, {"rows", 50}, {"features", 4}},
                    {"accuracy", "auc", "loss", "training accuracy"}},
        JudgedModel{"candle-uno", {{"hidden", 8}, {"feature_layers", 1}, {"layers", 1}}, {"loss"}}),
    [](const auto& c) {
      return (c.param.model == "candle-uno" ? "candle_uno" : c.param.model) +
             (c.param.splits_vocabulary ? "_split" : "");
    });

TEST_F(TrainerTest, perplexity_is_that_of_the_labels_there_are) {
  graph =
      core::build_model(
          "gpt",
          {.batch = 12,
           .dtype = core::DType::kF64,
           .parameters = {{"layers", 1}, {"hidden", 8}, {"heads", 2}, {"vocab", 70}, {"seq", 6}}})
          .value();
  data = make_synthetic_data(graph, 2, 100, 37).value();
  const auto report = train_on(1, core::single_device(graph), steps(1));
  ASSERT_TRUE(report) << report.error().message;
  // All labels of the 37 samples count, none of the eleven that fill the last batch up.
  const core::MetricValue& m = report->last_evaluation->metrics.at(2);
  EXPECT_EQ(m.name, "perplexity");
  EXPECT_NEAR(m.value, std::exp(report->last_evaluation->loss), 1e-9 * m.value);
}

// Weights that are 1e30 times the gradient overflow in the second step, on every backend alike.
TEST_F(TrainerTest, a_loss_that_is_no_number_stops_all_ranks_and_names_the_operator) {
  graph = core::build_model("mlp", {.batch = 16}).value();
  data = make_synthetic_data(graph, 2, 100, 37).value();
  for (const int ranks : {1, 2, 3}) {
    TrainOptions options = steps(20);
    options.optimizer.learning_rate = 1e30;
    options.metrics = folder / "metrics.jsonl";
    options.checkpoint = folder / "ck";
    const auto report =
        train_on(ranks, ranks == 1 ? core::single_device(graph) : data_parallel(ranks), options);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().kind, core::ErrorKind::kFailed);
    EXPECT_THAT(report.error().message,
                testing::MatchesRegex("step 2: the loss is -?(nan|inf); first -?inf in operator "
                                      "fc[123] \\(linear\\), forward, output y.*; learning rate "
                                      "1e\\+30; no checkpoint was written"));
    EXPECT_EQ(report.error().message.find("(rank ") != std::string::npos, ranks > 1);
    const auto all = lines(options.metrics);
    ASSERT_EQ(all.size(), 2u);
    EXPECT_TRUE(all[0]["loss"].is_number());
    EXPECT_TRUE(all[1]["loss"].is_null());
    EXPECT_FALSE(std::filesystem::exists(options.checkpoint));
  }
}

// A weight that is NaN in a checkpoint is found where it is, and the checkpoint stays.
TEST_F(TrainerTest, a_planted_nan_is_named_with_its_weight) {
  TrainOptions options = steps(3);
  options.checkpoint = folder / "ck";
  ASSERT_TRUE(train_on(1, core::single_device(graph), options));
  Checkpoint c = load_checkpoint(options.checkpoint, graph).value();
  const auto fc2 = graph.find_tensor("fc2.weight").value();
  for (WholeTensor& t : c.weights)
    if (t.tensor == fc2.value) {
      const double nan = std::nan("");
      std::memcpy(t.value.data() + 8 * 5, &nan, 8);
    }
  ASSERT_TRUE(save_checkpoint(options.checkpoint, graph, c));
  const std::string bytes = core::read_file(options.checkpoint).value();
  options.resume = options.checkpoint;
  options.steps = 9;
  for (const int ranks : {1, 2}) {
    const auto report =
        train_on(ranks, ranks == 1 ? core::single_device(graph) : data_parallel(ranks), options);
    ASSERT_FALSE(report);
    EXPECT_THAT(
        report.error().message,
        HasSubstr("step 4: the loss is nan; first nan in weight fc2.weight, before the step"));
    EXPECT_THAT(report.error().message, HasSubstr("the last checkpoint, " +
                                                  options.checkpoint.string() + ", is of step 3"));
    EXPECT_EQ(core::read_file(options.checkpoint).value(), bytes);
  }
}

// Passes another source on, with one value changed.
class Planted final : public DataSource {
 public:
  Planted(const DataSource& from, std::string source, std::int64_t sample, double value)
      : from_(from), source_(std::move(source)), sample_(sample), value_(value) {}
  std::string_view name() const override { return from_.name(); }
  std::int64_t samples() const override { return from_.samples(); }
  core::Status check(const core::Graph& graph) const override { return from_.check(graph); }
  void fill(const core::SourceSpec& source, std::span<const std::int64_t> samples,
            const core::Box& box, void* out) const override {
    from_.fill(source, samples, box, out);
    const std::int64_t per_sample =
        core::elements(box) / std::max<std::int64_t>(1, box[0].extent());
    for (std::int64_t i = box[0].begin; i < box[0].end; ++i) {
      if (source.name != source_ || samples[static_cast<std::size_t>(i)] != sample_) continue;
      const std::int64_t at = (i - box[0].begin + 1) * per_sample - 1;
      if (source.desc.dtype == core::DType::kI32)
        static_cast<std::int32_t*>(out)[at] = static_cast<std::int32_t>(value_);
      else if (source.desc.dtype == core::DType::kF32)
        static_cast<float*>(out)[at] = static_cast<float>(value_);
      else
        static_cast<double*>(out)[at] = value_;
    }
  }

 private:
  const DataSource& from_;
  std::string source_;
  std::int64_t sample_;
  double value_;
};

TEST_F(TrainerTest, a_nan_in_the_data_is_named_with_its_sample) {
  data.train = std::make_unique<Planted>(*plain.emplace_back(std::move(data.train)), "images", 29,
                                         std::nan(""));
  for (const int ranks : {1, 2}) {
    core::Strategy strategy = ranks == 1 ? core::single_device(graph) : data_parallel(ranks);
    strategy.micro_batches = ranks;
    const auto report = train_on(ranks, strategy, steps(6));
    ASSERT_FALSE(report);
    EXPECT_THAT(report.error().message,
                HasSubstr("the loss is nan; first nan in the data, source images of synthetic, "
                          "sample 29"));
  }
}

// In f32 the relu of a fused kernel may make 0 of a NaN: the loss stays a number, and the weights
// tell at the end of the epoch, before a checkpoint is overwritten.
TEST_F(TrainerTest, weights_that_are_no_numbers_are_never_saved) {
  graph = core::build_model("mlp", {.batch = 16}).value();
  data = make_synthetic_data(graph, 2, 100, 37).value();
  TrainOptions options = steps(6);
  options.checkpoint = folder / "ck";
  ASSERT_TRUE(train_on(1, core::single_device(graph), options));
  const std::string bytes = core::read_file(options.checkpoint).value();
  options.resume = options.checkpoint;
  options.steps = 12;
  const Planted planted(*data.train, "images", 29, std::nan(""));
  for (const int ranks : {1, 2}) {
    const auto communicator = make_local_communicator(ranks);
    const core::Cluster cluster = interpreter::cluster_of(ranks);
    const core::Strategy strategy = ranks == 1 ? core::single_device(graph) : data_parallel(ranks);
    const auto report = train(*communicator, {graph, strategy, cluster, catalog, planted}, options);
    ASSERT_FALSE(report);
    EXPECT_THAT(
        report.error().message,
        testing::AnyOf(HasSubstr("sample 29"),
                       HasSubstr("but weight fc1.weight is nan on rank 0: an operator behind "
                                 "it does not pass that on; learning rate ")));
    EXPECT_THAT(report.error().message, HasSubstr("the last checkpoint, " +
                                                  options.checkpoint.string() + ", is of step 6"));
    EXPECT_EQ(core::read_file(options.checkpoint).value(), bytes);
  }
}

TEST_F(TrainerTest, a_label_out_of_range_is_named_with_its_sample) {
  data.train =
      std::make_unique<Planted>(*plain.emplace_back(std::move(data.train)), "labels", 29, 10);
  const auto communicator = make_local_communicator(1);
  const core::Cluster cluster = interpreter::cluster_of(1);
  const core::Strategy alone = core::single_device(graph);
  const core::Status status = guarded(*communicator, [&]() -> core::Status {
    SOAPSTONE_TRY(train(*communicator, {graph, alone, cluster, catalog, *data.train}, steps(6)));
    return {};
  });
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message,
            "data synthetic: source labels, sample 29: 10; accepted: 0 to 9");
}

TEST_F(TrainerTest, an_id_beyond_its_table_is_named_with_its_place) {
  graph =
      core::build_model(
          "gpt",
          {.batch = 12,
           .dtype = core::DType::kF64,
           .parameters = {{"layers", 1}, {"hidden", 8}, {"heads", 2}, {"vocab", 70}, {"seq", 6}}})
          .value();
  data = make_synthetic_data(graph, 2, 100, 37).value();
  for (const int id : {70, -1}) {
    const Planted planted(*data.train, "tokens", 29, id);
    const auto communicator = make_local_communicator(2);
    const core::Cluster cluster = interpreter::cluster_of(2);
    const core::Strategy both = data_parallel(2);
    const core::Status status = guarded(*communicator, [&]() -> core::Status {
      SOAPSTONE_TRY(train(*communicator, {graph, both, cluster, catalog, planted}, steps(8)));
      return {};
    });
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().message,
              fmt::format("data synthetic: source tokens, sample 29, position [5]: {}; accepted: 0 "
                          "to 69",
                          id));
  }
}

// With batch_norm, an evaluation goes by the running averages; what fills the last batch up counts
// nowhere: every strategy comes to the same, and to a whole number.
TEST_F(TrainerTest, an_evaluation_counts_every_sample_once_with_batch_norm) {
  graph = core::build_model("inception-block", {.batch = 16, .dtype = core::DType::kF64}).value();
  data = make_synthetic_data(graph, 2, 100, 37).value();
  TrainOptions options = steps(3);
  const auto alone = train_on(1, core::single_device(graph), options);
  ASSERT_TRUE(alone) << alone.error().message;
  const double right = accuracy(alone) * 37;
  EXPECT_NEAR(right, std::round(right), 1e-9);
  EXPECT_GT(right, 0);
  for (const std::uint64_t seed : {3u, 4u}) {
    const auto report = train_on(3, random_strategy(3, seed), options);
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_NEAR(report->last_evaluation->loss, alone->last_evaluation->loss, 1e-9);
    EXPECT_NEAR(accuracy(report) * 37, right, 1e-9);
  }
}

TEST_F(TrainerTest, a_checkpoint_goes_on_under_another_strategy_and_number_of_ranks) {
  TrainOptions whole = steps(10);
  whole.checkpoint = folder / "whole";
  const auto straight = train_on(1, core::single_device(graph), whole);
  ASSERT_TRUE(straight) << straight.error().message;

  // Cancelled from outside, somewhere in the middle.
  std::atomic<bool> cancel{false};
  TrainHooks hooks;
  hooks.cancel = &cancel;
  hooks.progress = [&](const TrainProgress& p) { cancel = p.step >= 1; };
  TrainOptions half = steps(10);
  half.checkpoint = folder / "half";
  const auto first = train_on(4, random_strategy(4, 8), half, hooks);
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_TRUE(first->cancelled);
  ASSERT_LT(first->steps_done, 10);
  ASSERT_GT(first->steps_done, 0);

  TrainOptions rest = steps(10);
  rest.resume = half.checkpoint;
  rest.checkpoint = folder / "rest";
  const auto second = train_on(3, random_strategy(3, 9), rest);
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(second->first_step, first->steps_done);
  EXPECT_EQ(second->steps_done, 10);
  EXPECT_NEAR(second->last_loss, straight->last_loss, 1e-9 * straight->last_loss);

  const Checkpoint a = load_checkpoint(whole.checkpoint, graph).value();
  const Checkpoint b = load_checkpoint(rest.checkpoint, graph).value();
  ASSERT_EQ(a.weights.size(), b.weights.size());
  for (std::size_t t = 0; t < a.weights.size(); ++t) {
    ASSERT_EQ(a.weights[t].states.size(), 1u);
    for (const auto& [x, y] : {std::pair(a.weights[t].value, b.weights[t].value),
                               std::pair(a.weights[t].states[0], b.weights[t].states[0])})
      for (std::size_t i = 0; i + 8 <= x.size(); i += 8) {
        double p, q;
        std::memcpy(&p, x.data() + i, 8);
        std::memcpy(&q, y.data() + i, 8);
        ASSERT_NEAR(p, q, 1e-10);
      }
  }
}

TEST_F(TrainerTest, bad_checkpoints_are_refused_with_what_is_wrong) {
  TrainOptions options = steps(2);
  options.checkpoint = folder / "good";
  ASSERT_TRUE(train_on(1, core::single_device(graph), options));
  const std::string good = core::read_file(options.checkpoint).value();
  const auto error = [&](const std::string& bytes) {
    std::ofstream(folder / "bad", std::ios::binary) << bytes;
    TrainOptions resume = steps(4);
    resume.resume = folder / "bad";
    const auto report = train_on(2, data_parallel(2), resume);
    return report ? std::string("accepted") : report.error().message;
  };
  EXPECT_EQ(error(good), "accepted");
  EXPECT_THAT(error(good.substr(0, good.size() - 1)), HasSubstr("the file is truncated"));
  EXPECT_THAT(error(good + "x"), HasSubstr("too long"));
  EXPECT_THAT(error("{\"format\": \"soapstone.plan/1\"}"), HasSubstr("this is no checkpoint"));
  EXPECT_THAT(error(""), HasSubstr("this is no checkpoint"));
  std::string newer = good;
  newer[newer.find('\n') - 1] = '9';
  EXPECT_THAT(
      error(newer),
      HasSubstr("checkpoint format 9; this program reads format 1: it was written by a newer one"));
  std::string spoilt = good;
  spoilt[spoilt.size() - 100] = static_cast<char>(spoilt[spoilt.size() - 100] ^ 1);
  EXPECT_THAT(error(spoilt), HasSubstr("the file is damaged"));

  TrainOptions absent = steps(4);
  absent.resume = folder / "absent";
  EXPECT_THAT(train_on(1, core::single_device(graph), absent).error().message, HasSubstr("absent"));

  TrainOptions seed = steps(4);
  seed.resume = options.checkpoint;
  seed.seed = 99;
  EXPECT_THAT(train_on(1, core::single_device(graph), seed).error().message, HasSubstr("seed 4"));

  TrainOptions tables = steps(4);
  tables.resume = options.checkpoint;
  tables.optimizer.table_kind = core::TableOptimizer::kAdagrad;
  EXPECT_THAT(train_on(1, core::single_device(graph), tables).error().message,
              HasSubstr("tables were trained with sgd, this run has adagrad"));

  graph = core::build_model("mlp", {.batch = 8, .dtype = core::DType::kF64}).value();
  data = make_synthetic_data(graph, 2, 100, 37).value();
  TrainOptions other = steps(4);
  other.resume = options.checkpoint;
  const auto refused = train_on(1, core::single_device(graph), other);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, core::ErrorKind::kRefused);
  EXPECT_THAT(refused.error().message,
              HasSubstr("model, batch and number format must be the same"));
}

TEST_F(TrainerTest, an_old_checkpoint_survives_when_a_new_one_cannot_be_written) {
  TrainOptions options = steps(2);
  options.checkpoint = folder / "no" / "such" / "folder" / "ck";
  const auto report = train_on(1, core::single_device(graph), options);
  ASSERT_FALSE(report);
  EXPECT_THAT(report.error().message, HasSubstr("no/such/folder"));
}

// No file of this process may grow beyond `bytes`, as on a disk that is full.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    EXPECT_EQ(getrlimit(RLIMIT_FSIZE, &before_), 0);
    const rlimit now{bytes, before_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &now), 0);
  }
  ~FullDisk() {
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &before_), 0);
    std::signal(SIGXFSZ, handler_);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

 private:
  void (*handler_)(int);
  rlimit before_{};
};

TEST_F(TrainerTest, an_old_checkpoint_survives_a_full_disk) {
  TrainOptions options = steps(2);
  options.checkpoint = folder / "ck";
  ASSERT_TRUE(train_on(2, data_parallel(2), options));
  const std::string old = core::read_file(options.checkpoint).value();
  TrainOptions more = steps(4);
  more.resume = more.checkpoint = options.checkpoint;
  // From nothing at all to all but the last byte.
  for (const std::size_t room : {std::size_t{0}, old.size() / 2, old.size() - 1}) {
    const auto report = [&] {
      const FullDisk full(room);
      return train_on(2, data_parallel(2), more);
    }();
    ASSERT_FALSE(report) << room;
    EXPECT_THAT(report.error().message, HasSubstr("ck: File too large"));
    EXPECT_EQ(core::read_file(options.checkpoint).value(), old);
    const std::filesystem::directory_iterator files(folder), none;
    EXPECT_EQ(std::distance(files, none), 1) << "a temporary file is left";
  }
  EXPECT_EQ(load_checkpoint(options.checkpoint, graph).value().step, 2);
  const auto report = train_on(2, data_parallel(2), more);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->first_step, 2);
}

TEST_F(TrainerTest, the_measured_trace_has_every_task_once_and_no_overlaps) {
  TrainOptions options = steps(20);
  options.trace_steps = 8;
  const core::Strategy strategy = random_strategy(3, 12);
  const auto report = train_on(3, strategy, options);
  ASSERT_TRUE(report) << report.error().message;
  const core::Trace& t = report->trace;
  ASSERT_TRUE(core::check(t)) << core::check(t).error().message;
  core::LowerOptions how;
  const auto plan = core::lower(graph, strategy, interpreter::cluster_of(3), catalog, how).value();
  std::size_t tasks = 0;
  for (const auto& c : plan.classes) tasks += c.tasks.size();
  EXPECT_EQ(t.spans.size(), tasks);
  EXPECT_EQ(t.plan_hash, core::hash_of(plan));
  EXPECT_EQ(t.steps, 8u);
  EXPECT_EQ(report->measured_steps, 8);
  EXPECT_EQ(t.step_time, report->median_step_time);
  EXPECT_EQ(t.origin, core::TraceOrigin::kMeasured);
  double flops = 0;
  for (const core::Flops f : t.spans.flops) flops += f.value;
  EXPECT_GT(flops, 0);
  for (std::size_t i = 0; i < t.spans.size(); ++i)
    EXPECT_LE(t.spans.waiting[i], t.spans.end[i] - t.spans.start[i]);
  for (const auto& m : t.memory) {
    EXPECT_GT(m.live_peak, core::Bytes(0));
    EXPECT_LE(m.live_peak, m.arena);
  }
}

TEST_F(TrainerTest, a_running_training_is_traced_now_and_then) {
  TrainOptions options = steps(60);
  options.trace_steps = 8;
  options.trace_after = 1e-9;  // whenever it reports
  std::vector<core::Trace> traces;
  TrainHooks hooks;
  hooks.traced = [&](const core::Trace& trace) { traces.push_back(trace); };
  const auto report = train_on(2, data_parallel(2), options, hooks);
  ASSERT_TRUE(report) << report.error().message;
  ASSERT_FALSE(traces.empty());
  for (const core::Trace& t : traces) {
    EXPECT_TRUE(core::check(t));
    EXPECT_EQ(t.spans.size(), report->trace.spans.size());
    EXPECT_EQ(t.plan_hash, report->trace.plan_hash);
    EXPECT_GE(t.steps, 2u);
    EXPECT_GT(t.step_time.value, 0);
  }
}

TEST_F(TrainerTest, a_paced_training_takes_its_times_and_keeps_its_weights) {
  TrainOptions options = steps(3);
  options.trace_steps = 2;
  options.warm_up_steps = 1;
  options.optimizer.clip_gradient_norm = 5;
  const core::Nanoseconds each(100'000);
  std::int64_t computing = 0;
  options.pace = [&](const core::Plan& plan) {
    std::vector<std::vector<core::Nanoseconds>> times(plan.device_count);
    for (const core::DeviceClass& program : plan.classes) {
      times[program.members[0].value].assign(program.tasks.size(), each);
      for (const core::Task& t : program.tasks) computing += core::runs_beside(t.kind) ? 0 : 1;
    }
    return times;
  };
  data.test = nullptr;
  const auto report = train_on(2, data_parallel(2), options);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->first_loss, 0);
  EXPECT_EQ(report->last_loss, 0);
  // Both devices have as much to compute.
  EXPECT_GT(computing, 20);
  EXPECT_GE(report->least_step_time.value, computing / 2 * each.value);
  EXPECT_TRUE(core::check(report->trace)) << core::check(report->trace).error().message;

  options.pace =
      [](const core::Plan&) -> core::Result<std::vector<std::vector<core::Nanoseconds>>> {
    return core::fail("no times");
  };
  EXPECT_EQ(train_on(2, data_parallel(2), options).error().message, "no times");
}

TEST_F(TrainerTest, fewer_ranks_than_devices_are_refused) {
  const auto communicator = make_local_communicator(1);
  const core::Cluster cluster = interpreter::cluster_of(2);
  const auto report =
      train(*communicator, {graph, data_parallel(2), cluster, catalog, *data.train}, steps(1));
  ASSERT_FALSE(report);
  EXPECT_THAT(report.error().message, HasSubstr("1 ranks for a cluster of 2 devices"));
}

TEST_F(TrainerTest, the_same_training_twice_gives_the_same_bits) {
  TrainOptions options = steps(5);
  std::string files[2];
  for (std::string& f : files) {
    options.checkpoint = folder / "ck";
    ASSERT_TRUE(train_on(4, random_strategy(4, 21), options));
    f = core::read_file(options.checkpoint).value();
  }
  EXPECT_EQ(files[0], files[1]);
}

// Dropout draws by the step: were it active in evaluation, the same weights would give two losses.
TEST_F(TrainerTest, nothing_is_random_in_an_evaluation) {
  graph = core::build_model("transformer-block", {.batch = 16, .dtype = core::DType::kF64}).value();
  data = make_synthetic_data(graph, 2, 16, 37).value();
  std::vector<double> losses;
  TrainHooks hooks;
  hooks.evaluated = [&](const Evaluation& e) { losses.push_back(e.loss); };
  TrainOptions options = steps(3);  // an epoch each
  options.optimizer.learning_rate = 1e-300;
  const auto report = train_on(2, random_strategy(2, 4), options, hooks);
  ASSERT_TRUE(report) << report.error().message;
  ASSERT_EQ(losses.size(), 3u);
  EXPECT_EQ(losses[0], losses[1]);
  EXPECT_EQ(losses[1], losses[2]);
}

}  // namespace
}  // namespace soapstone::runtime
