// What the verb report writes, and what it refuses to mix.
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "tests/cli/program.hpp"

namespace soapstone::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Not;

// A search, its best strategy simulated, and a trace as if measured.
class Report : public ProgramTest {
 protected:
  void SetUp() override {
    good({"search", "mlp", "--batch", "16", "--cluster", "p100-4x4", "--budget", "20", "--out",
          "ranked.json"});
    simulate({"--batch", "16", "--strategy", "ranked.json#1"}, "predicted.json");
    auto trace = nlohmann::ordered_json::parse(read("predicted.json"));
    trace["origin"] = "measured";
    trace["steps"] = 5;
    write("measured.json", trace.dump());
    write("metrics.jsonl",
          "{\"kind\":\"step\",\"step\":1,\"epoch\":0,\"loss\":2.5,\"samples_per_second\":100}\n");
  }
  Outcome good(const std::vector<std::string>& arguments) {
    Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.exit_code, 0) << arguments[0] << ": " << outcome.err;
    return outcome;
  }
  void simulate(std::vector<std::string> more, const std::string& trace) {
    std::vector<std::string> arguments{"simulate", "mlp",     "--cluster",
                                       "p100-4x4", "--trace", trace};
    arguments.insert(arguments.end(), more.begin(), more.end());
    good(arguments);
  }
  std::vector<std::string> command(const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments{"report",    "mlp",      "--batch",    "16",
                                       "--cluster", "p100-4x4", "--strategy", "ranked.json#1",
                                       "--out",     "out"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  // With no folder left behind.
  void refused(const std::vector<std::string>& more, const std::vector<std::string>& texts) {
    expect_refusal(run(command(more)), 2, texts);
    EXPECT_FALSE(std::filesystem::exists(folder() / "out"));
  }
  std::vector<std::string> written() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder() / "out"))
      names.push_back(entry.path().filename().string());
    return names;
  }
};

TEST_F(Report, WritesEverythingAboutAStrategy) {
  const Outcome outcome =
      good(command({"--ranked", "ranked.json", "--predicted", "predicted.json", "--measured",
                    "measured.json", "--metrics", "metrics.jsonl", "--colour", "time", "--json"}));
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json["format"], "soapstone.report/1");
  EXPECT_EQ(json["predicted_step_time_ns"], json["measured_step_time_ns"]);
  EXPECT_EQ(json["step_relative_error"], 0);
  EXPECT_THAT(written(), IsSupersetOf({"graph.dot", "trace.json", "ops.csv", "strategies.csv",
                                       "summary.md", "index.html"}));
  // Two drawings, or why there are none.
  EXPECT_EQ(json["files"].size() + json["notes"].size(), 8u);
  ASSERT_EQ(written().size(), json["files"].size());
  for (const auto& file : json["files"])
    EXPECT_EQ(read("out/" + file["name"].get<std::string>()).size(), file["bytes"]);
  EXPECT_THAT(read("out/graph.dot"), HasSubstr("label=\"time\""));
  EXPECT_THAT(read("out/summary.md"), HasSubstr("## Training"));
  EXPECT_THAT(read("out/strategies.csv"), HasSubstr("\n1,"));
  EXPECT_THAT(read("out/ops.csv"), HasSubstr("\nfc1,linear,"));
  EXPECT_TRUE(nlohmann::json::accept(read("out/trace.json")));
  EXPECT_THAT(read("out/index.html"), HasSubstr("\"origin\":\"measured\""));
  // Again into the same folder: the same bytes.
  const std::string page = read("out/index.html");
  good(command({"--ranked", "ranked.json", "--predicted", "predicted.json", "--measured",
                "measured.json", "--metrics", "metrics.jsonl", "--colour", "time"}));
  EXPECT_EQ(read("out/index.html"), page);
}

TEST_F(Report, SimulatesWhereNoPredictionIsGiven) {
  const Outcome outcome = good(command());
  EXPECT_THAT(outcome.out, HasSubstr("out/index.html"));
  EXPECT_THAT(written(), Not(testing::Contains("strategies.csv")));
  const std::string alone = read("out/trace.json");
  good(command({"--predicted", "predicted.json"}));
  EXPECT_EQ(read("out/trace.json"), alone);
  EXPECT_THAT(read("out/index.html"), Not(HasSubstr("\"origin\":\"measured\"")));
}

TEST_F(Report, RefusesTracesOfSomethingElse) {
  simulate({"--batch", "16", "--strategy", "single"}, "single.json");
  refused({"--predicted", "single.json"},
          {"single.json: the trace of mlp and what is asked for have different strategies"});
  simulate({"--batch", "16", "--strategy", "ranked.json#1", "--optimizer", "adamw"}, "adamw.json");
  refused({"--predicted", "adamw.json"},
          {"adamw.json: the trace of mlp and what is asked for", "optimizer"});
  auto trace = nlohmann::ordered_json::parse(read("measured.json"));
  trace["graph"] = "alexnet";
  write("alexnet.json", trace.dump());
  refused({"--measured", "alexnet.json"},
          {"alexnet.json: the trace is of graph alexnet; accepted: mlp"});
  refused({"--measured", "predicted.json"},
          {"predicted.json: this trace is predicted; accepted: one that is measured"});
  refused({"--predicted", "measured.json"},
          {"measured.json: this trace is measured; accepted: one that is predicted"});
  refused({"--measured", "nowhere.json"}, {"nowhere.json", "No such file"});
}

TEST_F(Report, RefusesStrategiesAndMetricsOfSomethingElse) {
  auto ranked = nlohmann::ordered_json::parse(read("ranked.json"));
  ranked["cluster"] = "k80-16x4";
  write("other.json", ranked.dump());
  refused({"--ranked", "other.json"},
          {"other.json: the strategies are for cluster k80-16x4; accepted: p100-4x4"});
  good({"search", "mlp", "--batch", "32", "--cluster", "p100-4x4", "--budget", "5", "--out",
        "batch.json"});
  refused({"--ranked", "batch.json"}, {"batch.json: ", "a batch of 32", "accepted: a batch of 16"});
  write("metrics.jsonl", "{\"kind\":\"start\"}\n");
  refused({"--metrics", "metrics.jsonl"}, {"metrics.jsonl:1: accepted: "});
}

TEST_F(Report, RefusesWhatCannotBeAFolderOrAColour) {
  write("file", "");
  expect_refusal(run({"report", "mlp", "--cluster", "p100-4x4", "--out", "file"}), 2,
                 {"--out file", "this is no folder"});
  refused({"--colour", "devces"}, {"--colour", "`devces`", "did you mean `devices`?", "bytes"});
  expect_refusal(run({"report", "mlp"}), 2, {"--out is required"});
}

}  // namespace
}  // namespace soapstone::cli
