// What people get wrong: every refusal names what was given and what is accepted, and leaves
// nothing behind.
#include <filesystem>
#include <map>

#include <gmock/gmock.h>
#include <unistd.h>

#include "tests/cli/program.hpp"

namespace soapstone::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class BadInput : public ProgramTest {
 protected:
  // A strategy for mlp whose operators are the given JSON object, written over several lines.
  void write_strategy(const std::string& ops) {
    write("strategy.json",
          "{\n  \"format\": \"soapstone.strategy/1\",\n  \"graph\": \"mlp\",\n  \"graph_hash\": "
          "\"\",\n  \"ops\": {\n    " +
              ops + "\n  }\n}\n");
  }
  Outcome simulate_strategy() {
    return run({"simulate", "mlp", "--cluster", "p100-4x4", "--strategy", "strategy.json",
                "--trace", "trace.json"});
  }
};

TEST_F(BadInput, UnknownVerb) {
  expect_refusal(run({"modles"}), 2,
                 {"unknown verb `modles`", "did you mean `models`?", "simulate"});
}

TEST_F(BadInput, NoVerb) {
  expect_refusal(run({}), 2, {"a verb is wanted", "models", "search", "soapstone --help"});
}

TEST_F(BadInput, UnknownOption) {
  expect_refusal(run({"search", "mlp", "--budgt", "3"}), 2,
                 {"unknown option `--budgt` of search", "did you mean `--budget`?"});
}

TEST_F(BadInput, TooManyArguments) {
  expect_refusal(run({"models", "mlp", "alexnet"}), 2, {"`alexnet`", "soapstone models --help"});
}

TEST_F(BadInput, MissingArgument) {
  expect_refusal(run({"search"}), 2, {"model is required", "soapstone search --help"});
}

TEST_F(BadInput, OptionThatIsNoNumber) {
  expect_refusal(run({"search", "mlp", "--seed", "abc"}), 2, {"--seed", "abc"});
}

TEST_F(BadInput, UnknownModel) {
  expect_refusal(run({"models", "fashion-cn"}), 2,
                 {"unknown model `fashion-cn`", "did you mean `fashion-cnn`?", "alexnet"});
}

TEST_F(BadInput, NegativeBatch) {
  expect_refusal(run({"models", "mlp", "--batch", "-1"}), 2, {"--batch -1", "at least 1"});
}

TEST_F(BadInput, UnknownDtype) {
  expect_refusal(run({"models", "mlp", "--dtype", "f16"}), 2,
                 {"--dtype", "f16", "bf16, f32 or f64"});
}

TEST_F(BadInput, UnknownCluster) {
  expect_refusal(run({"search", "mlp", "--cluster", "p100-4x5", "--out", "ranked.json"}), 2,
                 {"`p100-4x5`", "did you mean `p100-4x4`?", ".toml or .json file"});
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(BadInput, MissingClusterFile) {
  expect_refusal(run({"clusters", "nowhere.toml"}), 2, {"nowhere.toml", "No such file"});
}

TEST_F(BadInput, UnknownSearcher) {
  expect_refusal(run({"search", "mlp", "--searcher", "mcmd"}), 2,
                 {"--searcher `mcmd`", "did you mean `mcmc`?", "exhaustive"});
}

TEST_F(BadInput, MalformedBudget) {
  expect_refusal(run({"search", "mlp", "--budget", "10 parsecs"}), 2,
                 {"`10 parsecs`", "10s", "a number of proposals"});
}

TEST_F(BadInput, MalformedMemoryLimit) {
  expect_refusal(run({"search", "mlp", "--memory-limit", "12Gib"}), 2,
                 {"--memory-limit", "12Gib", "did you mean `GiB`?"});
}

TEST_F(BadInput, UnknownStrategyName) {
  expect_refusal(
      run({"simulate", "mlp", "--cluster", "p100-4x4", "--strategy", "exprt"}), 2,
      {"--strategy `exprt`", "did you mean `expert`?", "single", "data-parallel", "ranked.json#K"});
}

TEST_F(BadInput, RankedStrategyThatIsNotThere) {
  ASSERT_EQ(run({"search", "mlp", "--cluster", "p100-4x4", "--budget", "5", "--top", "1", "--out",
                 "ranked.json"})
                .exit_code,
            0);
  for (const std::string wanted :
       {"ranked.json#0", "ranked.json#99", "ranked.json#x", "ranked.json#"})
    expect_refusal(run({"simulate", "mlp", "--cluster", "p100-4x4", "--strategy", wanted}), 2,
                   {"--strategy " + wanted, "strategies #1 to #"});
}

TEST_F(BadInput, MalformedToml) {
  write("cluster.toml", "name = \"x\"\n\n[[device_kind]]\nname = = 3\n");
  expect_refusal(run({"clusters", "cluster.toml"}), 2, {"cluster.toml:4:", "not TOML"});
}

TEST_F(BadInput, UnknownKeyInToml) {
  write("cluster.toml", "name = \"x\"\n\n[[device_kind]]\nname = \"gpu\"\nmemry = \"16 GiB\"\n");
  expect_refusal(run({"clusters", "cluster.toml"}), 2,
                 {"cluster.toml:5", "`memry`", "did you mean `memory`?", "accepted: "});
}

TEST_F(BadInput, UnitInTomlThatDoesNotExist) {
  const std::string good = run({"clusters", "p100-4x4"}).out;
  const auto at = good.find("16 GiB");
  ASSERT_NE(at, std::string::npos);
  write("cluster.toml", good.substr(0, at) + "16 Gib" + good.substr(at + 6));
  expect_refusal(run({"clusters", "cluster.toml"}), 2,
                 {"cluster.toml:", "memory", "16 Gib", "did you mean `GiB`?"});
}

TEST_F(BadInput, MalformedJson) {
  write_strategy("\"fc1\": {\"degrees\": {\"o\": }}");
  expect_refusal(simulate_strategy(), 2, {"strategy.json:6:", "not JSON"});
  EXPECT_THAT(files(), ElementsAre("strategy.json"));
}

TEST_F(BadInput, UnknownKeyInJson) {
  write_strategy("\"fc1\": {\"degres\": {\"o\": 2}, \"devices\": [0, 1]}");
  expect_refusal(simulate_strategy(), 2,
                 {"strategy.json:6: at /ops/fc1/degres", "`degres`", "did you mean `degrees`?"});
}

TEST_F(BadInput, WrongTypeInJson) {
  write_strategy("\"fc1\": {\"degrees\": {\"o\": \"two\"}, \"devices\": [0, 1]}");
  expect_refusal(simulate_strategy(), 2,
                 {"strategy.json:6: at /ops/fc1/degrees/o", "\"two\"", "accepted: an integer"});
}

TEST_F(BadInput, DocumentOfAnotherKind) {
  write("trace.json", "{\"format\": \"soapstone.trace/1\"}");
  expect_refusal(run({"simulate", "mlp", "--cluster", "p100-4x4", "--strategy", "trace.json"}), 2,
                 {"trace.json", "soapstone.trace", "soapstone.strategy"});
}

// Every kind of document that a verb reads.
TEST_F(BadInput, DocumentOfANewerVersion) {
  const std::vector<std::string> on_cluster{"mlp", "--cluster", "p100-4x4"};
  const auto with = [&](std::vector<std::string> words, const std::vector<std::string>& more) {
    words.insert(words.end(), on_cluster.begin(), on_cluster.end());
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  const std::map<std::string, std::vector<std::vector<std::string>>> readers{
      {"graph", {{"models", "graph.json"}}},
      {"cluster", {{"clusters", "cluster.json"}, {"search", "mlp", "--cluster", "cluster.json"}}},
      {"strategy",
       {with({"simulate"}, {"--strategy", "strategy.json"}),
        with({"search"}, {"--pins", "strategy.json"})}},
      {"ranked",
       {with({"simulate"}, {"--strategy", "ranked.json#1"}),
        with({"report"}, {"--ranked", "ranked.json", "--out", "report"})}},
      {"trace",
       {{"diff", "trace.json", "trace.json"},
        with({"explain"}, {"--trace", "trace.json"}),
        with({"explain"}, {"--against", "trace.json"}),
        with({"report"}, {"--predicted", "trace.json", "--out", "report"})}},
  };
  for (const auto& [kind, commands] : readers) {
    write(kind + ".json", "{\"format\": \"soapstone." + kind + "/9\"}");
    for (const auto& command : commands)
      expect_refusal(run(command), 3,
                     {kind + ".json: this is version 9 of soapstone." + kind,
                      "written by a newer Soapstone; this one reads version 1"});
  }
  write("a.checkpoint", "soapstone.checkpoint/9\n1\n");
  const Outcome resumed = run({"train", "mlp", "--steps", "2", "--resume", "a.checkpoint"});
  EXPECT_EQ(resumed.exit_code, 3);
  EXPECT_THAT(resumed.err, HasSubstr("a.checkpoint: checkpoint format 9; this program reads format "
                                     "1: it was written by a newer one"));
}

TEST_F(BadInput, ExplanationOfWhatIsNotThere) {
  const auto explain = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words{"explain", "mlp", "--cluster", "p100-4x4"};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  };
  expect_refusal(explain({"--what-if", "op:fc9=free"}), 2,
                 {"--what-if `op:fc9=free`: mlp has no operator `fc9`; did you mean `fc1`?"});
  expect_refusal(explain({"--what-if", "link:network"}), 2,
                 {"--what-if `link:network`: `*K` or `=free` is missing; accepted: op:NAME"});
  expect_refusal(explain({"--against", "exprt"}), 2, {"no such file; did you mean `expert`?"});
  expect_refusal(explain({"--basis", "path"}), 2, {"--basis", "`path`", "critical-path"});
  EXPECT_EQ(run({"simulate", "mlp", "--cluster", "p100-4x4", "--strategy", "single", "--trace",
                 "single.json"})
                .exit_code,
            0);
  expect_refusal(explain({"--trace", "single.json"}), 2,
                 {"single.json: the trace of mlp and what is asked for have different strategies"});
  EXPECT_EQ(explain({"--strategy", "single", "--trace", "single.json"}).exit_code, 0);
}

TEST_F(BadInput, DocumentThatCannotBeRead) {
  std::filesystem::create_directory(folder() / "folder");
  write("binary", std::string_view("\x7f\x45\x4c\x46\x00\x01\xff\xfe", 8));
  write("half.json", "{\n  \"format\": \"soapstone.strategy/1\",\n  \"graph\": \"ml");
  const std::map<std::string, std::string> files{{"folder", "cannot read folder: Is a directory"},
                                                 {"binary", "binary:1:1: not JSON: "},
                                                 {"half.json", "half.json:3:"},
                                                 {"none.json", "No such file"}};
  for (const auto& [file, text] : files) {
    expect_refusal(run({"models", file}), 2,
                   {file == "none.json" ? "cannot read none.json: " + text : text});
    expect_refusal(run({"diff", file, file}), 2,
                   {file == "folder" ? "folder: the folder has no file that ends in .json" : text});
    if (file != "none.json")
      expect_refusal(run({"simulate", "mlp", "--cluster", "p100-4x4", "--strategy", file}), 2,
                     {text});
  }
  if (geteuid() == 0) return;  // whom no permission binds
  write("secret.json", "{}");
  std::filesystem::permissions(folder() / "secret.json", std::filesystem::perms::none);
  expect_refusal(run({"models", "secret.json"}), 2, {"cannot read secret.json: Permission denied"});
}

TEST_F(BadInput, ModelThatIsNeitherInTheZooNorAFile) {
  expect_refusal(run({"models", "mlpp"}), 2,
                 {"unknown model `mlpp`; did you mean `mlp`?",
                  "or the path of a graph document or a Hugging Face config.json"});
  // A folder of a model's name does not hide the model.
  std::filesystem::create_directory(folder() / "mlp");
  EXPECT_EQ(run({"models", "mlp"}).exit_code, 0);
}

TEST_F(BadInput, HuggingFaceConfigOfAnUnknownArchitecture) {
  write("config.json", R"({"model_type": "mamba", "hidden_size": 768, "ssm_size": 16})");
  expect_refusal(run({"models", "config.json"}), 3,
                 {"config.json: model_type `mamba` is not known", "accepted: ", "llama",
                  "Keys that were understood: hidden_size."});
}

// A graph of `classes` labels over ten logits, or of ids up to `classes` in a table of ten rows.
std::string graph_of(std::int64_t classes, const std::string& op) {
  const bool is_loss = op == "softmax_cross_entropy";
  return R"({
  "format": "soapstone.graph/1",
  "name": "small",
  "sources": [
    {"name": "x", "desc": {"shape": [4, 3], "dtype": "f32"}},
    {"name": "ids", "desc": {"shape": [4], "dtype": "i32"}, "classes": )" +
         std::to_string(is_loss ? 10 : classes) + R"(},
    {"name": "labels", "desc": {"shape": [4], "dtype": "i32"}, "classes": )" +
         std::to_string(is_loss ? classes : 10) + R"(}
  ],
  "ops": [
    {"name": "words", "op": {"embedding": {"vocab": 10, "features": 10}}, "inputs": ["ids"]},
    {"name": "loss", "op": {"softmax_cross_entropy": {}}, "inputs": ["words.y", "labels"]}
  ],
  "loss": "loss.loss"
})";
}

TEST_F(BadInput, LabelsAndIdsOutOfRange) {
  write("graph.json", graph_of(10, ""));
  EXPECT_EQ(run({"train", "graph.json", "--steps", "1"}).exit_code, 0);
  write("graph.json", graph_of(12, "softmax_cross_entropy"));
  expect_refusal(
      run({"train", "graph.json", "--steps", "1"}), 2,
      {"graph.json: loss (softmax_cross_entropy): labels in [0, 10) are accepted, source "
       "labels has values in [0, 12)"});
  write("graph.json", graph_of(11, "embedding"));
  expect_refusal(
      run({"train", "graph.json", "--steps", "1"}), 2,
      {"graph.json: words (embedding): ids in [0, 10) are accepted, source ids has values "
       "in [0, 11)"});
}

// The weights overflow in the second step.
TEST_F(BadInput, LearningRateThatEndsInNoNumber) {
  const Outcome outcome =
      run({"train", "mlp", "--batch", "16", "--steps", "20", "--learning-rate", "1e30", "--metrics",
           "metrics.jsonl", "--checkpoint", "a.checkpoint", "--trace", "trace.json", "--json"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, HasSubstr("step 2: the loss is "));
  EXPECT_THAT(outcome.err, HasSubstr("inf in operator fc"));
  EXPECT_THAT(outcome.err, HasSubstr("learning rate 1e+30; no checkpoint was written"));
  EXPECT_THAT(files(), ElementsAre("metrics.jsonl"));
}

TEST_F(BadInput, TraceOfAnotherPlan) {
  const auto trace = [&](std::vector<std::string> more, const std::string& file) {
    std::vector<std::string> words{"simulate", "mlp", "--cluster", "p100-4x4", "--trace", file};
    words.insert(words.end(), more.begin(), more.end());
    ASSERT_EQ(run(words).exit_code, 0);
  };
  trace({}, "t.json");
  trace({"--batch", "64"}, "batch.json");
  trace({"--strategy", "single"}, "single.json");
  trace({"--optimizer", "adamw"}, "adam.json");
  const std::map<std::string, std::string> differences{
      {"batch.json", "another batch, number type or options of the model (graph "},
      {"single.json", "different strategies (strategy "},
      {"adam.json", "another cluster, optimizer, clipping or kernels (plan "}};
  for (const auto& [file, text] : differences) {
    expect_refusal(
        run({"report", "mlp", "--cluster", "p100-4x4", "--predicted", file, "--out", "report"}), 2,
        {file + ": the trace of mlp and what is asked for have " + text});
    const Outcome diff = run({"diff", "t.json", file});
    EXPECT_EQ(diff.exit_code, 0);
    EXPECT_THAT(diff.out, HasSubstr("The traces have " + text));
  }
}

TEST_F(BadInput, IllegalDegree) {
  write_strategy("\"fc1\": {\"degrees\": {\"o\": 5000}, \"devices\": [0]}");
  expect_refusal(simulate_strategy(), 2,
                 {"strategy.json:6: at /ops/fc1", "degree 5000 of axis o", "1 to 128 is accepted"});
  EXPECT_THAT(files(), ElementsAre("strategy.json"));
}

TEST_F(BadInput, IllegalDevice) {
  write_strategy("\"fc1\": {\"devices\": [16]}");
  expect_refusal(simulate_strategy(), 2,
                 {"strategy.json:6: at /ops/fc1", "device 16", "devices 0 to 15"});
}

TEST_F(BadInput, DeviceThatIsListedTwice) {
  write_strategy("\"fc1\": {\"degrees\": {\"o\": 2}, \"devices\": [3, 3]}");
  expect_refusal(simulate_strategy(), 2,
                 {"strategy.json:6: at /ops/fc1", "device 3 is listed twice"});
}

TEST_F(BadInput, DevicesThatAreNotTheProductOfDegreesAndReplicas) {
  write_strategy("\"fc1\": {\"degrees\": {\"o\": 2}, \"replicas\": 2, \"devices\": [0, 1, 2]}");
  expect_refusal(simulate_strategy(), 2,
                 {"strategy.json:6: at /ops/fc1", "want 4 devices, 3 are listed"});
}

TEST_F(BadInput, UnknownAxis) {
  write_strategy("\"fc1\": {\"degrees\": {\"x\": 2}, \"devices\": [0, 1]}");
  expect_refusal(simulate_strategy(), 2,
                 {"strategy.json:6: at /ops/fc1", "no axis `x`", "accepted: "});
}

TEST_F(BadInput, StrategyWithAnOperatorOfAnotherGraph) {
  write_strategy("\"fc1\": {\"devices\": [0]},\n    \"fc4\": {\"devices\": [0]}");
  expect_refusal(simulate_strategy(), 2,
                 {"strategy.json:7: at /ops/fc4", "no operator `fc4`", "did you mean `fc"});
}

TEST_F(BadInput, StrategyOfAnotherGraph) {
  ASSERT_EQ(run({"search", "mlp", "--batch", "64", "--cluster", "p100-4x4", "--budget", "5",
                 "--out", "ranked.json"})
                .exit_code,
            0);
  expect_refusal(run({"simulate", "mlp", "--batch", "32", "--cluster", "p100-4x4", "--strategy",
                      "ranked.json#1", "--trace", "trace.json"}),
                 2,
                 {"ranked.json:", "/strategies/0/strategy/graph_hash",
                  "model, batch and options must be the same"});
  EXPECT_THAT(files(), ElementsAre("ranked.json"));
}

TEST_F(BadInput, ClusterSmallerThanTheStrategy) {
  write_strategy("\"fc1\": {\"degrees\": {\"o\": 4}, \"devices\": [0, 1, 2, 3]}");
  expect_refusal(run({"simulate", "mlp", "--ranks", "2", "--strategy", "strategy.json"}), 2,
                 {"strategy.json:6: at /ops/fc1", "device 2", "devices 0 to 1"});
}

TEST_F(BadInput, RanksOfAClusterThatHasOtherwise) {
  expect_refusal(run({"simulate", "mlp", "--cluster", "p100-4x4", "--ranks", "3"}), 2,
                 {"--ranks 3", "16 devices", "--cluster local"});
}

TEST_F(BadInput, MemoryLimitThatNothingMeets) {
  const Outcome outcome = run({"search", "mlp", "--cluster", "p100-4x4", "--budget", "20",
                               "--memory-limit", "1KiB", "--out", "ranked.json"});
  expect_refusal(outcome, 3, {"memory limit 1 KiB", "the least that would do is "});
  EXPECT_THAT(files(), IsEmpty());
  // It would do indeed.
  const std::string before = "the least that would do is ";
  const auto at = outcome.err.find(before) + before.size();
  const std::string least = outcome.err.substr(at, outcome.err.find(" per device", at) - at);
  EXPECT_THAT(least, testing::MatchesRegex("[0-9.]+ [KMG]iB")) << "as the limit is told";
  const Outcome again =
      run({"search", "mlp", "--cluster", "p100-4x4", "--budget", "20", "--memory-limit", least});
  EXPECT_EQ(again.exit_code, 0) << least << ": " << again.err;
}

TEST_F(BadInput, FolderThatDoesNotExist) {
  // Said before the work, not after it.
  expect_refusal(run({"search", "mlp", "--budget", "10min", "--out", "nowhere/ranked.json"}), 2,
                 {"--out nowhere/ranked.json", "no folder nowhere"});
  expect_refusal(run({"simulate", "mlp", "--trace", "nowhere/trace.json"}), 2,
                 {"--trace nowhere/trace.json"});
}

TEST_F(BadInput, TracesOfDifferentModels) {
  for (const std::string model : {"mlp", "alexnet"})
    ASSERT_EQ(
        run({"simulate", model, "--cluster", "p100-4x4", "--trace", model + ".json"}).exit_code, 0);
  const Outcome outcome = run({"diff", "mlp.json", "alexnet.json", "--markdown", "page.md"});
  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_THAT(outcome.err, HasSubstr("mlp"));
  EXPECT_THAT(outcome.err, HasSubstr("alexnet"));
  EXPECT_THAT(files(), Not(testing::Contains("page.md")));
}

TEST_F(BadInput, MetricsThatAreNone) {
  ASSERT_EQ(run({"simulate", "mlp", "--cluster", "p100-4x4", "--trace", "t.json"}).exit_code, 0);
  write("metrics.jsonl", "{\"kind\":\"step\",\"epoch\":0}\nnonsense\n");
  expect_refusal(
      run({"diff", "t.json", "t.json", "--metrics", "metrics.jsonl", "--markdown", "page.md"}), 2,
      {"metrics.jsonl:2", "accepted: ", "train --metrics"});
  EXPECT_THAT(files(), ElementsAre("metrics.jsonl", "t.json"));
}

TEST_F(BadInput, DatabaseThatIsNone) {
  write("costs.sqlite", "this is not a database, whatever its name says\n");
  const Outcome outcome = run({"simulate", "mlp", "--database", "costs.sqlite"});
  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_THAT(outcome.err, HasSubstr("costs.sqlite"));
  EXPECT_EQ(read("costs.sqlite"), "this is not a database, whatever its name says\n");
}

}  // namespace
}  // namespace soapstone::cli
