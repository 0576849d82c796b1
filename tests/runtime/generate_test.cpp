// Text that trained models make up.
#include "runtime/generate.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/models/models.hpp"
#include "core/ops/softmax_cross_entropy.hpp"
#include "kernels/catalog.hpp"
#include "runtime/comm/local.hpp"
#include "runtime/data/corpus.hpp"
#include "runtime/trainer.hpp"
#include "tests/support/interpreter/strategies.hpp"

namespace soapstone::runtime {
namespace {

using testing::HasSubstr;
using Tokens = std::vector<std::int32_t>;

// Four pairs, told apart by their first letter alone in places: the model has to look.
const std::vector<std::pair<std::string, std::string>> kPairs{
    {"file", "Datei"}, {"line", "Zeile"}, {"page", "Seite"}, {"word", "Wort"}};

class Pairs final : public DataSource {
 public:
  explicit Pairs(std::int64_t length) : length_(length) {
    std::vector<std::string_view> texts;
    for (const auto& [message, translation] : kPairs) {
      texts.push_back(message);
      texts.push_back(translation);
    }
    vocabulary_ = Vocabulary::learn(texts, 24).value();
  }
  std::string_view name() const override { return "pairs"; }
  std::int64_t samples() const override { return static_cast<std::int64_t>(kPairs.size()); }
  core::Status check(const core::Graph&) const override { return {}; }
  const Vocabulary* vocabulary() const override { return &vocabulary_; }
  void fill(const core::SourceSpec& source, std::span<const std::int64_t> samples,
            const core::Box& box, void* out) const override {
    if (source.name == "zeros") {
      std::fill_n(static_cast<double*>(out), core::elements(box), 0.0);
      return;
    }
    auto* to = static_cast<std::int32_t*>(out);
    for (std::int64_t i = box[0].begin; i < box[0].end; ++i) {
      const auto& [message, translation] =
          kPairs[static_cast<std::size_t>(samples[static_cast<std::size_t>(i)])];
      Tokens row = at_the_end(vocabulary_.encode(message), length_);
      if (source.name != "tokens") {
        row = vocabulary_.encode(translation);
        if (source.name == "target_tokens") row.insert(row.begin(), Vocabulary::kEnd);
        if (source.name == "labels") row.push_back(Vocabulary::kEnd);
        row.resize(static_cast<std::size_t>(length_),
                   source.name == "labels" ? core::kNoLabel : Vocabulary::kEnd);
      }
      to = std::copy(row.begin() + box[1].begin, row.begin() + box[1].end, to);
    }
  }

 private:
  std::int64_t length_;
  Vocabulary vocabulary_;
};

class GenerateTest : public testing::Test {
 protected:
  GenerateTest() {
    std::string name =
        (std::filesystem::temp_directory_path() / "soapstone-generate-XXXXXX").string();
    folder = mkdtemp(name.data());
  }
  ~GenerateTest() override { std::filesystem::remove_all(folder); }

  void train_on(const core::Graph& graph, const DataSource& data, std::int64_t steps) {
    TrainOptions o;
    o.steps = steps;
    o.optimizer.kind = core::OptimizerKind::kAdamW;
    o.optimizer.learning_rate = 0.02;
    o.checkpoint = folder / "ck";
    const auto communicator = make_local_communicator(1);
    const core::Cluster cluster = interpreter::cluster_of(1);
    const core::Strategy alone = core::single_device(graph);
    const auto report = train(*communicator, {graph, alone, cluster, catalog, data}, o);
    ASSERT_TRUE(report) << report.error().message;
    if (steps > 1) {
      EXPECT_LT(report->last_loss, 0.1) << "it has learnt nothing by heart";
    }
  }
  core::Result<std::vector<GeneratedText>> generated(const core::Graph& graph,
                                                     const DataSource& data,
                                                     GenerateOptions options, int devices,
                                                     const core::Strategy& strategy) {
    options.checkpoint = folder / "ck";
    const auto communicator = make_local_communicator(devices);
    const core::Cluster cluster = interpreter::cluster_of(devices);
    return generate(*communicator, {graph, strategy, cluster, catalog, data}, options);
  }

  kernels::HostCatalog catalog;
  std::filesystem::path folder;
};

core::Graph translator() {
  return core::build_model("nmt", {.batch = 4,
                                   .dtype = core::DType::kF64,
                                   .parameters = {{"layers", 1},
                                                  {"hidden", 16},
                                                  {"embedding", 8},
                                                  {"seq", 8},
                                                  {"chunk", 4},
                                                  {"vocab", 24}}})
      .value();
}

TEST_F(GenerateTest, a_model_that_has_learnt_four_pairs_by_heart_translates_them) {
  const core::Graph graph = translator();
  const Pairs data(8);
  train_on(graph, data, 500);
  GenerateOptions options;
  options.count = 4;
  std::mt19937_64 random(5);
  const auto check = [&](int devices, const core::Strategy& strategy) {
    const auto texts = generated(graph, data, options, devices, strategy);
    ASSERT_TRUE(texts) << texts.error().message;
    ASSERT_EQ(texts->size(), 4u);
    for (std::size_t k = 0; k < 4; ++k) {
      EXPECT_EQ((*texts)[k].given, kPairs[k].first);
      EXPECT_EQ((*texts)[k].made, kPairs[k].second);
      EXPECT_EQ((*texts)[k].reference, kPairs[k].second);
    }
  };
  check(1, core::single_device(graph));
  for (int k = 0; k < 3; ++k) check(3, interpreter::random_strategy(graph, 3, 2, random));

  // Prompts instead, more than a batch has, of which one comes twice.
  options.prompts = {"page", "word", "file", "page", "line"};
  const auto texts = generated(graph, data, options, 1, core::single_device(graph));
  ASSERT_TRUE(texts) << texts.error().message;
  std::vector<std::string> made;
  for (const GeneratedText& t : *texts) made.push_back(t.made);
  EXPECT_EQ(made, (std::vector<std::string>{"Seite", "Wort", "Datei", "Seite", "Zeile"}));
}

TEST_F(GenerateTest, a_model_that_has_learnt_a_text_by_heart_goes_on_with_it) {
  const core::Graph graph = core::build_model("gpt", {.batch = 4,
                                                      .dtype = core::DType::kF64,
                                                      .parameters = {{"layers", 1},
                                                                     {"hidden", 16},
                                                                     {"heads", 2},
                                                                     {"seq", 8},
                                                                     {"positions", 8},
                                                                     {"vocab", 12},
                                                                     {"dropout", 0}}})
                                .value();
  std::string text;
  for (int k = 0; k < 100; ++k) text += "abcdefghi\n";
  std::ofstream(folder / "text") << text;
  const DataSets sets = open_text(graph, folder / "text").value();
  train_on(graph, *sets.train, 200);
  GenerateOptions options;
  options.prompts = {"cd", "hi\nabcdefghi\n"};
  options.length = 14;  // beyond the sequence
  const auto texts = generated(graph, *sets.test, options, 1, core::single_device(graph));
  ASSERT_TRUE(texts) << texts.error().message;
  EXPECT_EQ((*texts)[0].made.substr(0, 12), "efghi\nabcdef");
  EXPECT_EQ((*texts)[1].made.substr(0, 12), "abcdefghi\nab");

  // Drawn: follows from the seed; at a high temperature it is something else.
  options.temperature = 100;
  const auto draw = [&](std::uint64_t seed) {
    options.seed = seed;
    return generated(graph, *sets.test, options, 1, core::single_device(graph)).value()[0].made;
  };
  EXPECT_EQ(draw(3), draw(3));
  EXPECT_NE(draw(3), draw(4));
}

TEST_F(GenerateTest, what_cannot_be_is_refused) {
  const core::Graph graph = translator();
  const Pairs data(8);
  const auto error = [&](GenerateOptions options) {
    const auto texts = generated(graph, data, std::move(options), 1, core::single_device(graph));
    return texts ? std::string("accepted") : texts.error().message;
  };
  EXPECT_THAT(error({}), HasSubstr("count = 5: from 1 to 4 is accepted"));
  GenerateOptions options;
  options.count = 1;
  EXPECT_THAT(error(options), HasSubstr("ck: No such file"));
  train_on(graph, data, 1);
  EXPECT_EQ(error(options), "accepted");
  options.prompts = {"a word too many"};
  EXPECT_THAT(error(options), HasSubstr("tokens; from 1 to 8 are accepted"));
  options.prompts = {""};
  EXPECT_THAT(error(options), HasSubstr("`` has 0 tokens"));

  const core::Graph images = core::build_model("mlp").value();
  const DataSets numbers = make_synthetic_data(images, 1).value();
  const auto none = generated(images, *numbers.train, {}, 1, core::single_device(images));
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().message, HasSubstr("synthetic is no text"));
}

}  // namespace
}  // namespace soapstone::runtime
