#include "explorer_gui/model/launch.hpp"

#include <chrono>

#include <gtest/gtest.h>

#include "tests/explorer_gui/world.hpp"

namespace soapstone::explorer {
namespace {

std::vector<std::string> lines_of(const Command& command, int& code) {
  std::vector<std::string> lines;
  const auto result = execute(
      command, [&](std::string_view line) { lines.emplace_back(line); }, [] { return true; });
  EXPECT_TRUE(result) << result.error().message;
  code = result.value_or(-1);
  return lines;
}

TEST(Process, GivesEveryLineOfBothStreamsAndTheExitCode) {
  int code = 0;
  const auto lines = lines_of(
      {{{"WORD", "it's"}}, {"sh", "-c", "echo one; echo $WORD >&2; printf last; exit 3"}}, code);
  EXPECT_EQ(lines, (std::vector<std::string>{"one", "it's", "last"}));
  EXPECT_EQ(code, 3);
}

TEST(Process, WhatCannotBeStartedIsSaid) {
  const auto result = execute(
      {{}, {"/no/such/program"}}, [](std::string_view) {}, [] { return true; });
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find("/no/such/program"), std::string::npos);
}

TEST(Process, IsAskedToEndAndThenToldTo) {
  // It takes no notice of the first signal.
  const auto result = execute(
      {{}, {"sh", "-c", "trap '' INT; sleep 60"}}, [](std::string_view) {}, [] { return false; },
      0.2);
  ASSERT_TRUE(result);
  EXPECT_GT(*result, 128);
}

TEST(Launch, TheCommandIsOneForTheShell) {
  Work w("gpt", 8, "p100-4x4");
  LaunchChoice choice;
  choice.steps = 20;
  const std::string text =
      shell_text(launch_command(w->design(), choice, run_files("/runs/my run")));
  EXPECT_EQ(
      text,
      "soapstone train gpt --batch 8 --cluster '/runs/my run/cluster.toml' --ranks 16 "
      "--strategy '/runs/my run/strategy.json' --optimizer sgd --momentum 0.9 --data synthetic "
      "--steps 20 --no-evaluate --metrics '/runs/my run/metrics.jsonl' --trace "
      "'/runs/my run/measured.json'");
}

TEST(Launch, HostsAndSlurmComeBefore) {
  Work w("gpt", 8, "p100-4x4");
  LaunchChoice choice;
  choice.place = LaunchPlace::kHostFile;
  EXPECT_NE(why_no_launch(w->design(), choice), "");
  choice.host_file = "hosts";
  EXPECT_EQ(why_no_launch(w->design(), choice), "");
  EXPECT_TRUE(shell_text(launch_command(w->design(), choice, run_files("r")))
                  .starts_with("SOAPSTONE_MPIRUN_ARGS='--hostfile hosts' soapstone train gpt "));
  choice.place = LaunchPlace::kSlurm;
  choice.nodes = 4;
  choice.partition = "gpu";
  EXPECT_TRUE(shell_text(launch_command(w->design(), choice, run_files("r")))
                  .starts_with("salloc -N 4 -n 16 -p gpu soapstone train gpt "));
}

TEST(Launch, AFailureIsToldWithTheLinesOfTheProgramThatFailed) {
  const std::vector<std::string> log{"training gpt", "soapstone: rank 1: out of memory", "---",
                                     "mpirun noticed that something ended"};
  EXPECT_EQ(failure_text(log, 2), "soapstone: rank 1: out of memory\n---");
  EXPECT_EQ(failure_text({"a", "b", "c"}, 2), "b\nc");
}

TEST(Launch, AProgramThatFailsIsAMessageAndNothingElseChanges) {
  Work w("gpt", 8, "p100-4x4");
  const Design before = w->design();
  w->launch();  // the program of these tests is `false`
  w->finish_jobs();
  EXPECT_FALSE(w->launch_run().running);
  EXPECT_EQ(w->launch_run().exit_code, 1);
  EXPECT_NE(w->launch_run().error.find("ended with 1"), std::string::npos);
  EXPECT_EQ(w->design(), before);
}

}  // namespace
}  // namespace soapstone::explorer
