// What every verb does at small size, and what it prints.
#include <regex>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "tests/cli/program.hpp"

namespace soapstone::cli {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class Verbs : public ProgramTest {
 protected:
  Outcome good(const std::vector<std::string>& arguments) {
    Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.exit_code, 0) << arguments[0] << ": " << outcome.err;
    EXPECT_THAT(outcome.out, Not(IsEmpty()));
    EXPECT_THAT(outcome.out + outcome.err, Not(HasSubstr("\033")))
        << "no terminal, no escape codes";
    return outcome;
  }
  // Exactly one document on stdout.
  nlohmann::json document(std::vector<std::string> arguments, const std::string& format) {
    arguments.push_back("--json");
    const auto json = nlohmann::json::parse(good(arguments).out, nullptr, false);
    EXPECT_TRUE(json.is_object()) << "stdout of " << arguments[0] << " is no single JSON document";
    EXPECT_EQ(json.value("format", ""), format);
    return json;
  }
};

const std::vector<std::string> kVerbs{
    "models",  "clusters", "search", "simulate", "diff",  "report",  "doctor", "explain",
#ifdef SOAPSTONE_HAS_KERNELS
    "kernels", "profile",  "train",  "verify",   "bench", "generate"
#endif
};

TEST_F(Verbs, ShowAnExampleInTheirHelp) {
  const std::string all = good({"--help"}).out;
  for (const auto& verb : kVerbs) {
    EXPECT_THAT(all, HasSubstr("\n  " + verb + " "));
    const Outcome outcome = good({verb, "--help"});
    EXPECT_THAT(outcome.out, HasSubstr("Example:\n  soapstone " + verb));
    EXPECT_THAT(outcome.out, HasSubstr("--json"));
  }
}

// Where they stand in the help of a verb: what is its own, then groups, and last what most models
// have no use for.
TEST_F(Verbs, TellTheirOwnOptionsFirst) {
  const std::map<std::string, std::vector<std::string>> order{
      {"search", {"--budget", "\nCluster and costs:", "--cluster", "\nOptimizer:", "--clip"}},
      {"simulate", {"--trace", "\nCluster and costs:", "--cluster", "\nOptimizer:", "--clip"}},
      {"explain", {"--what-if", "\nCluster and costs:", "--cluster", "\nOptimizer:", "--clip"}},
      {"report", {"--measured", "\nCluster and costs:", "--cluster", "\nOptimizer:", "--clip"}},
#ifdef SOAPSTONE_HAS_KERNELS
      {"train", {"--data", "--epochs", "\nOptimizer:", "--clip-norm"}},
#endif
  };
  for (const auto& [verb, own] : order) {
    const std::string help = good({verb, "--help"}).out;
    std::vector<std::string> all{"\nOptions:"};
    all.insert(all.end(), own.begin(), own.end());
    for (const char* last :
         {"\nModel:", "--batch", "\nHyper-parameters", "--dropout", "--kv-heads"})
      all.emplace_back(last);
    std::size_t at = 0;
    for (const std::string& text : all) {
      const std::size_t next = help.find((text[0] == '-' ? "\n  " : "") + text, at);
      EXPECT_NE(next, std::string::npos) << verb << ": " << text << " is not where it should be";
      at = std::min(next, help.size());
    }
  }
}

TEST_F(Verbs, HaveExamplesWhoseOptionsExist) {
  for (const auto& verb : kVerbs) {
    const std::string help = good({verb, "--help"}).out;
    const std::string example = help.substr(help.find("Example:"));
    const std::regex option("--[a-z-]+");
    for (auto it = std::sregex_iterator(example.begin(), example.end(), option);
         it != std::sregex_iterator(); ++it)
      EXPECT_TRUE(std::regex_search(help, std::regex("\n  (-[a-z],)?" + it->str() + " ")))
          << verb << ": " << it->str();
  }
}

TEST_F(Verbs, TellTheirVersion) { EXPECT_THAT(good({"--version"}).out, HasSubstr("0.1")); }

TEST_F(Verbs, ListModels) {
  EXPECT_THAT(good({"models"}).out, HasSubstr("fashion-cnn"));
  EXPECT_THAT(good({"models", "fashion-cnn", "--batch", "128"}).out, HasSubstr("conv1"));
  const auto json = document({"models"}, "soapstone.models/1");
  const auto graph = document({"models", "mlp"}, "soapstone.graph/1");
  // The batch that goes without saying is the model's.
  for (const auto& model : json["models"])
    if (model["name"] == "mlp") {
      EXPECT_EQ(graph["sources"][0]["desc"]["shape"][0], model["default_batch"]);
    }
}

TEST_F(Verbs, ReadAGraphDocument) {
  write("graph.json", good({"models", "mlp", "--batch", "16", "--json"}).out);
  EXPECT_EQ(document({"simulate", "graph.json", "--cluster", "p100-4x4"},
                     "soapstone.prediction/1")["batch"],
            16);
  expect_refusal(run({"models", "graph.json", "--batch", "8"}), 2,
                 {"--batch 8", "graph.json", "16"});
  expect_refusal(run({"models", "graph.json", "--dtype", "f64"}), 2,
                 {"graph.json", "f32", "f64 is wanted"});
}

TEST_F(Verbs, ListAndShowClusters) {
  EXPECT_THAT(good({"clusters"}).out, HasSubstr("p100-4x4"));
  document({"clusters"}, "soapstone.clusters/1");
  document({"clusters", "p100-4x4"}, "soapstone.cluster/1");
  // What is shown can be read again.
  write("cluster.toml", good({"clusters", "p100-4x4"}).out);
  EXPECT_EQ(good({"clusters", "cluster.toml"}).out, read("cluster.toml"));
}

TEST_F(Verbs, Diagnose) {
  EXPECT_THAT(good({"doctor"}).out, HasSubstr("mpirun"));
  EXPECT_THAT(document({"doctor"}, "soapstone.doctor/1")["checks"], Not(IsEmpty()));
  EXPECT_FALSE(std::filesystem::exists(cache() / "costs.sqlite")) << "looking changes nothing";
}

#ifdef SOAPSTONE_HAS_WINDOW
TEST_F(Verbs, WithoutADisplayTheExplorerSaysWhatElseThereIs) {
  const Outcome outcome = run({"explore", "alexnet", "--cluster", "p100-4x4"},
                              {.environment = {{"DISPLAY", ""}, {"WAYLAND_DISPLAY", ""}}});
  expect_refusal(outcome, 3, {"no window can be opened", "xvfb-run", "soapstone report"});
}
#endif

TEST_F(Verbs, TheShareOfPeakIsOfTheModelsNumberFormat) {
  // Of 312 TFLOP/s in bf16, not of 19.5 in f32.
  const auto json =
      document({"simulate", "gpt", "--dtype", "bf16", "--hidden", "4096", "--heads", "32",
                "--layers", "2", "--cluster", "a100-128x8", "--strategy", "single"},
               "soapstone.prediction/1");
  EXPECT_NEAR(json["share_of_peak"].get<double>(), json["tflops_per_device"].get<double>() / 312,
              1e-9);
}

TEST_F(Verbs, SearchSimulateAndCompare) {
  const Outcome search = good({"search", "alexnet", "--batch", "64", "--cluster", "p100-4x4",
                               "--budget", "50", "--seed", "3", "--out", "ranked.json"});
  for (const char* what : {"samples/s", "TFLOP/s per device", "% of peak"})
    EXPECT_THAT(search.out, HasSubstr(what));
  EXPECT_THAT(search.err, HasSubstr("100% 50 proposals"));
  const auto json = document({"search", "alexnet", "--batch", "64", "--cluster", "p100-4x4",
                              "--budget", "50", "--seed", "3"},
                             "soapstone.ranked/1");
  EXPECT_EQ(json, nlohmann::json::parse(read("ranked.json")))
      << "same seed and proposals, same answer";

  const auto best =
      document({"simulate", "alexnet", "--batch", "64", "--cluster", "p100-4x4", "--strategy",
                "ranked.json#1", "--trace", "best.json", "--plan", "plan.json"},
               "soapstone.prediction/1");
  EXPECT_EQ(best["step_time_ns"], json["strategies"][0]["step_time_ns"]);
  // Without a number it is the first; a strategy of its own is read as well.
  EXPECT_EQ(document({"simulate", "alexnet", "--batch", "64", "--cluster", "p100-4x4", "--strategy",
                      "ranked.json"},
                     "soapstone.prediction/1"),
            best);
  auto own = json["strategies"][1]["strategy"];
  own["format"] = "soapstone.strategy/1";
  write("own.json", own.dump());
  EXPECT_EQ(document({"simulate", "alexnet", "--batch", "64", "--cluster", "p100-4x4", "--strategy",
                      "own.json"},
                     "soapstone.prediction/1")["step_time_ns"],
            json["strategies"][1]["step_time_ns"]);

  good({"simulate", "alexnet", "--batch", "64", "--cluster", "p100-4x4", "--trace",
        "data-parallel.json"});
  EXPECT_THAT(good({"diff", "best.json", "data-parallel.json", "--ranked", "ranked.json",
                    "--markdown", "page.md"})
                  .out,
              AllOf(HasSubstr("all-reduce"), HasSubstr("Both traces are predicted."),
                    HasSubstr(" second "), Not(HasSubstr("measured"))));
  EXPECT_THAT(read("page.md"), AllOf(HasSubstr("## Strategies"), HasSubstr("## Two traces"),
                                     Not(HasSubstr("measured"))));
  document({"diff", "best.json", "data-parallel.json"}, "soapstone.diff/1");
  const auto explained =
      document({"explain", "alexnet", "--batch", "64", "--cluster", "p100-4x4", "--trace",
                "data-parallel.json", "--what-if", "link:network*2", "--what-if", "add:node",
                "--against", "best.json", "--ranked", "ranked.json", "--spans", "3"},
               "soapstone.explanation/1");
  EXPECT_EQ(explained["facts"][0]["about"], "all-reduce of gradients over 0-15");
  EXPECT_LT(explained["what_if"][0]["step_time_ns"], explained["step_time_ns"]);
  ASSERT_EQ(explained["comparisons"].size(), 3u);
  for (const auto& comparison : explained["comparisons"]) {
    std::int64_t first = 0, second = 0;
    for (const auto& term : comparison["waterfall"]["terms"]) {
      first += term["first_ns"].get<std::int64_t>();
      second += term["second_ns"].get<std::int64_t>();
    }
    EXPECT_EQ(first, comparison["waterfall"]["first_ns"]);
    EXPECT_EQ(second, comparison["waterfall"]["second_ns"]);
  }
  EXPECT_THAT(
      good({"explain", "alexnet", "--batch", "64", "--cluster", "p100-4x4", "--against", "expert"})
          .out,
      AllOf(HasSubstr("is exposed all-reduce of gradients over 0-15; without it"),
            HasSubstr("critical path, by operator"), HasSubstr(" ms more than expert (")));
  EXPECT_THAT(files(), ElementsAre("best.json", "data-parallel.json", "own.json", "page.md",
                                   "plan.json", "ranked.json"));
}

TEST_F(Verbs, TakeDataParallelAndThisMachineWhereNothingIsSaid) {
  const auto bare = document({"simulate", "mlp"}, "soapstone.prediction/1");
  EXPECT_EQ(bare, document({"simulate", "mlp", "--strategy", "data-parallel", "--cluster", "local"},
                           "soapstone.prediction/1"));
  EXPECT_EQ(bare["cluster"], "local-2");
  EXPECT_EQ(document({"simulate", "mlp", "--ranks", "4"}, "soapstone.prediction/1")["cluster"],
            "local-4");
  for (const std::string strategy : {"single", "expert"})
    document({"simulate", "mlp", "--strategy", strategy}, "soapstone.prediction/1");
}

TEST_F(Verbs, ReadABudgetInTimeAndInProposals) {
  EXPECT_EQ(document({"search", "mlp", "--cluster", "p100-4x4", "--budget", "7"},
                     "soapstone.ranked/1")["proposals"],
            7);
  EXPECT_TRUE(document({"search", "mlp", "--cluster", "p100-4x4", "--budget", "100ms"},
                       "soapstone.ranked/1")
                  .contains("elapsed_ns"));
}

TEST_F(Verbs, SearchAroundPins) {
  write(
      "pins.json",
      R"({"format": "soapstone.strategy/1", "graph": "mlp", "graph_hash": "", "ops": {"fc1": {"devices": [5]}}})");
  const auto json =
      document({"search", "mlp", "--cluster", "p100-4x4", "--budget", "20", "--pins", "pins.json"},
               "soapstone.ranked/1");
  EXPECT_EQ(json["strategies"][0]["strategy"]["ops"]["fc1"]["devices"],
            nlohmann::json::parse("[5]"));
}

TEST_F(Verbs, PutATrainingIntoTheSummary) {
  good({"simulate", "mlp", "--cluster", "p100-4x4", "--trace", "t.json"});
  write("metrics.jsonl", R"({"kind":"step","step":1,"epoch":0,"loss":2.5,"samples_per_second":100}
{"kind":"step","step":2,"epoch":0,"loss":1.25,"samples_per_second":200.4}
{"kind":"evaluation","step":2,"epoch":0,"samples":10,"loss":1.5,"accuracy":0.875}
{"kind":"step","step":3,"epoch":1,"loss":null,"samples_per_second":300}
)");
  good({"diff", "t.json", "t.json", "--metrics", "metrics.jsonl", "--markdown", "page.md"});
  EXPECT_THAT(read("page.md"),
              HasSubstr("| 1 | 1.2500 | 1.5000 | 87.50 % | 200 |\n| 2 | – | – | – | 300 |\n"));
}

#ifdef SOAPSTONE_HAS_KERNELS

// The loss falls as in f32, memory of activations is saved, and a checkpoint goes on.
TEST_F(Verbs, TrainInBf16) {
  const auto train = [&](const std::string& dtype, std::vector<std::string> more) {
    std::vector<std::string> arguments{"train",   "fashion-cnn", "--batch",      "32",
                                       "--dtype", dtype,         "--no-evaluate"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return document(arguments, "soapstone.training/1");
  };
  const auto narrow = train("bf16", {"--steps", "40", "--checkpoint", "a.checkpoint"});
  const auto wide = train("f32", {"--steps", "40"});
  EXPECT_NEAR(narrow["first_loss"].get<double>(), wide["first_loss"].get<double>(), 0.05);
  EXPECT_LT(narrow["last_loss"].get<double>(), 0.7 * narrow["first_loss"].get<double>());
  EXPECT_LT(narrow["peak_memory_bytes"].get<double>(),
            0.8 * wide["peak_memory_bytes"].get<double>());
  const auto resumed = train("bf16", {"--steps", "42", "--resume", "a.checkpoint"});
  EXPECT_EQ(resumed["first_step"], 40);
}

TEST_F(Verbs, ListKernels) {
  EXPECT_THAT(good({"kernels", "conv2d", "--model", "fashion-cnn", "--batch", "128"}).out,
              HasSubstr("accepts"));
  document({"kernels"}, "soapstone.kernels/1");
  expect_refusal(run({"kernels", "conv2"}), 2,
                 {"unknown operator `conv2`", "did you mean `conv2d`?", "linear"});
}

TEST_F(Verbs, VerifyAStrategy) {
  EXPECT_THAT(good({"verify", "mlp", "--batch", "8", "--steps", "2"}).out, HasSubstr("(local)"));
  const auto json = document({"verify", "mlp", "--batch", "8", "--ranks", "4", "--random", "3",
                              "--steps", "3", "--seed", "7"},
                             "soapstone.verification/1");
  EXPECT_EQ(json["passed"], true);
  EXPECT_EQ(json["strategies"].size(), 3u);
  expect_refusal(run({"verify", "mlp", "--backend", "mpj"}), 2,
                 {"--backend `mpj`", "did you mean `mpi`?", "local"});
}

TEST_F(Verbs, TakeAHybridStrategyInItsShortForm) {
  const std::vector<std::string> gpt{"gpt",     "--layers", "2",     "--hidden", "16",
                                     "--heads", "2",        "--seq", "8",        "--vocab",
                                     "32",      "--batch",  "8"};
  const auto with = [&](std::vector<std::string> before, std::vector<std::string> after) {
    before.insert(before.end(), gpt.begin(), gpt.end());
    before.insert(before.end(), after.begin(), after.end());
    return before;
  };
  // As many ranks as it asks for.
  const auto json =
      document(with({"verify"}, {"--steps", "2", "--parallel",
                                 "dp=2,pp=2,schedule=zb-h1,micro_batch=1,zero=2,recompute=full"}),
               "soapstone.verification/1");
  EXPECT_EQ(json["ranks"], 4);
  EXPECT_EQ(json["passed"], true);
  EXPECT_THAT(good(with({"simulate"}, {"--parallel", "tp=2,sp=1"})).out, HasSubstr("predicted"));
  expect_refusal(run(with({"simulate"}, {"--parallel", "tp=2,xp=1"})), 2,
                 {"--parallel", "unknown key `xp`", "accepted"});
  expect_refusal(run(with({"simulate"}, {"--parallel", "dp=3"})), 2,
                 {"dp = 3", "batch of 8", "for example"});
  expect_refusal(run(with({"simulate"}, {"--parallel", "dp=2", "--strategy", "single"})), 2,
                 {"--parallel"});
}

TEST_F(Verbs, FailWhereAStrategyDiffersByMoreThanIsAccepted) {
  const Outcome outcome =
      run({"verify", "mlp", "--batch", "8", "--steps", "2", "--tolerance", "0"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("differs from one device by"));
}

TEST_F(Verbs, TrainOnOneRank) {
  const auto json = document({"train", "mlp", "--batch", "16", "--steps", "3", "--metrics",
                              "metrics.jsonl", "--trace", "trace.json"},
                             "soapstone.training/1");
  EXPECT_EQ(json["ranks"], 1);
  const auto trace = nlohmann::json::parse(read("trace.json"));
  EXPECT_EQ(trace["step_time"], json["step_time_ns"]) << "reports tell the time that train told";
  EXPECT_EQ(trace["steps"], json["measured_steps"]);
  EXPECT_EQ(json["steps"], 3);
  EXPECT_EQ(json["data"], "synthetic");
  EXPECT_GT(json["step_time_ns"], 0) << "a short training is measured all the same";
  EXPECT_THAT(read("metrics.jsonl"), HasSubstr("\"kind\":\"evaluation\""));
}

TEST_F(Verbs, PaceATraining) {
  const auto json =
      document({"train", "mlp", "--batch", "16", "--steps", "3", "--pace", "--trace", "trace.json"},
               "soapstone.training/1");
  EXPECT_EQ(json["paced"], true);
  EXPECT_TRUE(json["last_loss"].is_null());
  EXPECT_GT(json["step_time_ns"], 0);
  EXPECT_THAT(good({"train", "mlp", "--batch", "16", "--steps", "2", "--pace"}).out,
              HasSubstr("paced: nothing was computed"));
  for (const std::string other : {"--checkpoint", "--resume", "--metrics"})
    expect_refusal(run({"train", "mlp", "--steps", "2", "--pace", other, "file"}), 2,
                   {"--pace with " + other, "accepted: one of them"});
  expect_refusal(run({"train", "mlp", "--steps", "2", "--database", "costs"}), 2,
                 {"--database costs", "accepted: --pace with it"});
}

TEST_F(Verbs, GoOnWithATextThatAModelWasTrainedOn) {
  std::string text;
  for (int k = 0; k < 200; ++k) text += "once upon a time\n";
  write("text", text);
  const std::vector<std::string> model{"gpt",      "--batch",     "2",       "--layers", "1",
                                       "--hidden", "8",           "--heads", "1",        "--seq",
                                       "8",        "--positions", "8",       "--vocab",  "20"};
  const auto with = [&](std::string verb, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), model.begin(), model.end());
    arguments.insert(arguments.begin(), std::move(verb));
    arguments.insert(arguments.end(),
                     {"--data", "text", "--data-folder", "text", "--checkpoint", "ck"});
    return arguments;
  };
  EXPECT_THAT(good(with("train", {"--steps", "3"})).err, HasSubstr("unigram baseline"));
  const auto json =
      document(with("generate", {"--prompt", "once", "--length", "3"}), "soapstone.generation/1");
  ASSERT_EQ(json["texts"].size(), 1u);
  EXPECT_EQ(json["texts"][0]["given"], "once");
  EXPECT_EQ(json["texts"][0]["reference"], "");
  EXPECT_THAT(good(with("generate", {"--count", "2"})).out, HasSubstr("\nmade   "));
}

TEST_F(Verbs, MeasureCostsOnce) {
  const std::vector<std::string> command{"profile", "mlp", "--batch",    "8",
                                         "--ranks", "1",   "--strategy", "single",
                                         "--time",  "1ms", "--known",    "keep"};
  const auto unmeasured =
      document({"simulate", "mlp", "--batch", "8", "--ranks", "1"}, "soapstone.prediction/1");
  EXPECT_EQ(unmeasured["measured_share"], 0);
  const auto first = document(command, "soapstone.profile/1");
  EXPECT_EQ(first["known_before"], 0);
  EXPECT_EQ(first["measured"], first["needed"]);
  EXPECT_EQ(first["database"], (cache() / "costs.sqlite").string());
  const auto second = document(command, "soapstone.profile/1");
  EXPECT_EQ(second["measured"], 0);
  // And predictions are made of them.
  EXPECT_GT(document({"simulate", "mlp", "--batch", "8", "--ranks", "1"},
                     "soapstone.prediction/1")["measured_share"],
            unmeasured["measured_share"]);
}

TEST_F(Verbs, RefuseToMeasureAnotherMachine) {
  expect_refusal(run({"profile", "mlp", "--cluster", "p100-4x4"}), 3,
                 {"p100-4x4 is not this machine", "soapstone clusters local"});
}

#endif

}  // namespace
}  // namespace soapstone::cli
