// Several processes: training, stopping and going on.
#include <csignal>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>
#include <sqlite3.h>
#include <sys/stat.h>

#include "tests/cli/program.hpp"

namespace soapstone::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

class Ranks : public ProgramTest {
 protected:
  nlohmann::json document(const Outcome& outcome) {
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    const auto json = nlohmann::json::parse(outcome.out, nullptr, false);
    EXPECT_TRUE(json.is_object()) << outcome.out;
    return json;
  }
  bool has_line(const std::string& file) {
    std::error_code error;
    return std::filesystem::file_size(folder() / file, error) > 0 && !error;
  }
};

// Rows that a reader finds; -1 while there is no table yet.
int rows(const std::filesystem::path& file, const char* query) {
  sqlite3* db = nullptr;
  int count = -1;
  if (sqlite3_open_v2(file.c_str(), &db, SQLITE_OPEN_READWRITE, nullptr) == SQLITE_OK) {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(db, query, -1, &statement, nullptr) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
      count = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
  }
  sqlite3_close(db);
  return count;
}

void change(const std::filesystem::path& file, const char* statement) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open_v2(file.c_str(), &db, SQLITE_OPEN_READWRITE, nullptr), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(db, statement, nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(db);
}

std::vector<std::string> with(std::vector<std::string> words, const std::string& word) {
  words.push_back(word);
  return words;
}

TEST_F(Ranks, TrainPredictAndCompare) {
  const Outcome train = run({"train", "mlp", "--batch", "16", "--steps", "3", "--ranks", "2",
                             "--metrics", "metrics.jsonl", "--trace", "measured.json", "--json"});
  const auto json = document(train);
  EXPECT_EQ(json["ranks"], 2);
  EXPECT_EQ(json["synthetic_data"], true);
  EXPECT_THAT(train.err, HasSubstr("synthetic data"));
  EXPECT_THAT(train.err, Not(HasSubstr("\033")));
  ASSERT_EQ(run({"simulate", "mlp", "--batch", "16", "--ranks", "2", "--trace", "predicted.json"})
                .exit_code,
            0);
  const Outcome diff = run({"diff", "predicted.json", "measured.json", "--metrics", "metrics.jsonl",
                            "--markdown", "page.md"});
  EXPECT_EQ(diff.exit_code, 0) << diff.err;
  EXPECT_THAT(diff.out, HasSubstr("mlp: predicted step "));
  EXPECT_THAT(read("page.md"), HasSubstr("\n| 1 | "));
}

TEST_F(Ranks, ClustersLocalMeasuresThisMachine) {
  const auto json =
      document(run({"clusters", "local", "--ranks", "2", "--out", "local.toml", "--json"}));
  EXPECT_EQ(json["node"][0]["devices"], 2);
  for (const char* dtype : {"f32", "f64"})
    EXPECT_GT(json["device_kind"][0]["peak"][dtype].get<double>(), 1e8) << dtype;
  EXPECT_THAT(read("local.toml"), HasSubstr("source = \"measured"));
  // Its curves are in the database, and it is what `local` means from now on.
  for (const std::string cluster : {"local.toml", "local"}) {
    const Outcome predicted = run({"simulate", "mlp", "--cluster", cluster});
    EXPECT_EQ(predicted.exit_code, 0) << predicted.err;
    EXPECT_THAT(predicted.err, Not(HasSubstr("assumed")));
  }
  EXPECT_GT(rows(cache() / "costs.sqlite",
                 "SELECT count(*) FROM curves WHERE curve LIKE 'message local-%'"),
            10);
  expect_refusal(run({"train", "mlp", "--cluster", "local.toml", "--ranks", "3"}), 2,
                 {"--ranks 3", "2 devices"});
}

TEST_F(Ranks, VerifyWithMpi) {
  const auto json = document(run({"verify", "mlp", "--batch", "8", "--steps", "2", "--ranks", "2",
                                  "--backend", "mpi", "--json"}));
  EXPECT_EQ(json["backend"], "mpi");
  EXPECT_EQ(json["passed"], true);
}

TEST_F(Ranks, AreRefusedWithoutMpirun) {
  const Outcome outcome =
      run({"train", "mlp", "--steps", "2", "--ranks", "2", "--checkpoint", "a.checkpoint"},
          {.environment = {{"PATH", folder().string()}}});
  expect_refusal(outcome, 3, {"2 ranks need mpirun", "not on PATH", "openmpi-bin", "--ranks 1"});
  EXPECT_THAT(files(), testing::IsEmpty());
  // One rank needs none.
  EXPECT_EQ(run({"train", "mlp", "--batch", "8", "--steps", "2", "--no-evaluate"},
                {.environment = {{"PATH", folder().string()}}})
                .exit_code,
            0);
}

TEST_F(Ranks, ThatDisagreeAboutThePlanAreRefused) {
  std::vector<std::string> words{"--oversubscribe", "--bind-to", "none"};
  for (const std::string strategy : {"data-parallel", "expert"}) {
    words.insert(words.end(), {"-n", "1", SOAPSTONE_PROGRAM, "train", "mlp", "--batch", "16",
                               "--steps", "5", "--ranks", "2", "--no-evaluate", "--strategy",
                               strategy, "--checkpoint", "a.checkpoint", ":"});
  }
  words.pop_back();
  const Outcome outcome = run(words, {.environment = {}, .program = SOAPSTONE_MPIRUN});
  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, HasSubstr("plan"));
  EXPECT_THAT(outcome.err, HasSubstr("ranks 1 ("));
  EXPECT_THAT(files(), testing::IsEmpty());
}

TEST_F(Ranks, AsManyAsTheClusterHas) {
  expect_refusal(run({"train", "mlp", "--cluster", "p100-4x4", "--ranks", "2"}), 2,
                 {"--ranks 2", "p100-4x4", "16 devices"});
}

TEST_F(Ranks, SayWhatWentWrongOnce) {
  write("a.checkpoint", "{}\n");
  const Outcome outcome = run({"train", "mlp", "--batch", "16", "--steps", "4", "--ranks", "2",
                               "--resume", "a.checkpoint"});
  EXPECT_EQ(outcome.exit_code, 2) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  const auto at = outcome.err.find("a.checkpoint: at offset 0");
  ASSERT_NE(at, std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.err.find("a.checkpoint: at offset 0", at + 1), std::string::npos)
      << outcome.err;
}

TEST_F(Ranks, EndTogetherWhenTheLossIsNoNumber) {
  const Outcome outcome =
      run({"train", "mlp", "--batch", "16", "--steps", "1000", "--ranks", "2", "--learning-rate",
           "1e30", "--metrics", "metrics.jsonl", "--checkpoint", "a.checkpoint"});
  EXPECT_EQ(outcome.exit_code, 1) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  const auto at = outcome.err.find("step 2: the loss is ");
  ASSERT_NE(at, std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.err.find("the loss is ", at + 20), std::string::npos) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("inf in operator fc"));
  EXPECT_THAT(outcome.err, HasSubstr("(rank 0)"));
  EXPECT_THAT(files(), testing::ElementsAre("metrics.jsonl"));
}

TEST_F(Ranks, EndTogetherWhenOneIsRefusedItsMetrics) {
  const Outcome outcome = run({"train", "mlp", "--batch", "16", "--steps", "1000", "--ranks", "2",
                               "--metrics", "/dev/full"});
  EXPECT_EQ(outcome.exit_code, 1) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("/dev/full: No space left on device"));
}

TEST_F(Ranks, SaveOnCtrlCAndGoOnUnderAnotherStrategy) {
  Running training = start({"train", "mlp", "--batch", "16", "--steps", "10000000", "--epochs",
                            "10000", "--ranks", "2", "--no-evaluate", "--checkpoint",
                            "a.checkpoint", "--metrics", "metrics.jsonl", "--json"});
  ASSERT_TRUE(eventually([&] { return has_line("metrics.jsonl") || !training.is_alive(); }));
  training.send(SIGINT);
  const auto stopped = document(training.wait());
  EXPECT_EQ(stopped["cancelled"], true);
  const auto done = stopped["steps"].get<std::int64_t>();
  EXPECT_GT(done, 0);
  EXPECT_THAT(files(), testing::ElementsAre("a.checkpoint", "metrics.jsonl"));

  const Outcome resumed = run({"train", "mlp", "--batch", "16", "--steps", std::to_string(done + 5),
                               "--ranks", "1", "--strategy", "single", "--no-evaluate", "--resume",
                               "a.checkpoint", "--metrics", "metrics.jsonl", "--json"});
  const auto json = document(resumed);
  EXPECT_EQ(json["first_step"], done);
  EXPECT_EQ(json["steps"], done + 5);
  EXPECT_EQ(json["cancelled"], false);
  EXPECT_LT(json["first_loss"].get<double>(), stopped["first_loss"].get<double>())
      << "it goes on, not anew";
  // One line per step, none twice.
  std::istringstream lines(read("metrics.jsonl"));
  std::int64_t step = 0;
  for (std::string line; std::getline(lines, line);)
    EXPECT_EQ(nlohmann::json::parse(line)["step"], ++step);
  EXPECT_EQ(step, done + 5);
}

TEST_F(Ranks, ProfileGoesOnAfterItWasKilled) {
  const std::vector<std::string> command{"profile",    "transformer-block",
                                         "--batch",    "2",
                                         "--ranks",    "1",
                                         "--strategy", "single",
                                         "--time",     "60ms",
                                         "--known",    "keep",
                                         "--json"};
  const auto database = cache() / "costs.sqlite";
  Running profile = start(command);
  ASSERT_TRUE(eventually(
      [&] { return rows(database, "SELECT count(*) FROM costs") >= 3 || !profile.is_alive(); }));
  ASSERT_TRUE(profile.is_alive()) << profile.wait().err;
  profile.send(SIGKILL);
  EXPECT_EQ(profile.wait().exit_code, -SIGKILL);
  EXPECT_EQ(
      rows(database, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"),
      1);
  const int kept = rows(database, "SELECT count(*) FROM costs");
  EXPECT_GE(kept, 3);

  std::vector<std::string> again = command;
  again[9] = "1ms";
  const auto json = document(run(again));
  EXPECT_EQ(json["known_before"], kept);
  EXPECT_LT(json["measured"], json["needed"]);
  EXPECT_EQ(json["measured"].get<int>() + kept, json["needed"].get<int>());
}

TEST_F(Ranks, ProfileMeasuresAgainWhatABusyMachineMeasured) {
  const std::vector<std::string> command{"profile", "mlp",        "--batch", "8",      "--ranks",
                                         "1",       "--strategy", "single",  "--time", "1ms"};
  const auto first = document(run(with(command, "--json")));
  const auto database = cache() / "costs.sqlite";
  change(database, "UPDATE costs SET median_ns = 20 * median_ns");
  const Outcome faster = run(with(command, "--json"));
  EXPECT_EQ(document(faster)["measured"], first["needed"]);
  EXPECT_LT(document(faster)["time_ratio"].get<double>(), 0.5);
  EXPECT_THAT(faster.err, HasSubstr("all are measured again"));
  change(database, "UPDATE costs SET median_ns = 1 + median_ns / 20");
  const Outcome slower = run(with(command, "--json"));
  EXPECT_EQ(document(slower)["measured"], 0);
  EXPECT_THAT(slower.err, HasSubstr("is this machine busy?"));
}

}  // namespace
}  // namespace soapstone::cli
