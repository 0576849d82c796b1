// Ranks as processes: what holds with the local backend holds with mpi, and nobody waits for the
// dead.
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/launch.hpp"

namespace soapstone::runtime {
namespace {

using testing::AnyOf;
using testing::HasSubstr;

struct Outcome {
  int exit_code = -1;
  double seconds = 0;
  std::string output;  // both streams
};

// launch_ranks in a process of its own, whose output is read. `meanwhile` gets its process id.
Outcome launch(int ranks, const std::vector<std::string>& arguments,
               const std::function<void(pid_t)>& meanwhile = {}) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  const auto start = std::chrono::steady_clock::now();
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDOUT_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    const auto code = launch_ranks(SOAPSTONE_MPI_RANK, arguments, {.ranks = ranks, .threads = 1});
    if (!code) std::fprintf(stderr, "%s\n", code.error().message.c_str());
    std::fflush(nullptr);
    _exit(code ? *code : 99);
  }
  close(ends[1]);
  std::thread other;
  if (meanwhile) other = std::thread([&] { meanwhile(child); });
  Outcome run;
  std::array<char, 4096> piece;
  for (ssize_t n; (n = read(ends[0], piece.data(), piece.size())) > 0;)
    run.output.append(piece.data(), static_cast<std::size_t>(n));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (other.joinable()) other.join();
  run.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return run;
}

TEST(Mpi, random_strategies_equal_one_device_on_three_ranks) {
  const Outcome run = launch(3, {"verify"});
  ASSERT_EQ(run.exit_code, 0) << run.output;
  const auto at = run.output.find("worst ");
  ASSERT_NE(at, std::string::npos) << run.output;
  EXPECT_LE(std::stod(run.output.substr(at + 6)), 1e-9) << run.output;
}

TEST(Mpi, ranks_with_another_plan_are_named) {
  const Outcome run = launch(2, {"disagree"});
  EXPECT_NE(run.exit_code, 0);
  EXPECT_THAT(run.output, HasSubstr("process 0: ranks 1 ("));
  EXPECT_THAT(run.output, HasSubstr("have another plan than rank 0"));
}

TEST(Mpi, a_rank_that_fails_stops_the_others_with_its_name_and_reason) {
  const Outcome run = launch(2, {"die", "throw"});
  EXPECT_NE(run.exit_code, 0);
  EXPECT_LT(run.seconds, 10);
  EXPECT_THAT(run.output, HasSubstr("process 0: rank 1 stopped: the disk of rank 1 is on fire"));
}

TEST(Mpi, a_rank_that_is_killed_stops_the_others_and_is_named) {
  const Outcome run = launch(2, {"die", "kill"});
  EXPECT_NE(run.exit_code, 0);
  EXPECT_LT(run.seconds, 10);
  EXPECT_THAT(run.output, AnyOf(HasSubstr("process rank 1"), HasSubstr("rank 1")));
  EXPECT_THAT(run.output, HasSubstr("signal 9"));
}

TEST(Mpi, a_rank_that_just_ends_stops_the_others_and_is_named) {
  const Outcome run = launch(2, {"die", "exit"});
  EXPECT_NE(run.exit_code, 0);
  EXPECT_LT(run.seconds, 10);
  EXPECT_THAT(run.output, AnyOf(HasSubstr("rank 1"), HasSubstr(",1]")));
}

TEST(Mpi, an_interrupt_saves_a_checkpoint_and_ends_in_good_order) {
  const auto checkpoint =
      std::filesystem::temp_directory_path() / fmt::format("soapstone-interrupt-{}", getpid());
  const Outcome run = launch(2, {"train", checkpoint.string()}, [](pid_t child) {
    std::this_thread::sleep_for(std::chrono::seconds(4));
    kill(child, SIGINT);
  });
  EXPECT_EQ(run.exit_code, 0) << run.output;
  EXPECT_THAT(run.output, HasSubstr("cancelled true at step"));
  EXPECT_TRUE(std::filesystem::exists(checkpoint));
  std::filesystem::remove(checkpoint);
}

TEST(Mpi, a_nan_in_the_data_stops_all_ranks_with_one_reason) {
  const Outcome run = launch(2, {"nan"});
  EXPECT_EQ(run.exit_code, 1) << run.output;
  for (const char* process : {"process 0: ", "process 1: "})
    EXPECT_THAT(run.output,
                testing::ContainsRegex(
                    process +
                    std::string("step [1-3]: the loss is nan; first nan in the data, source images "
                                "of synthetic, sample 29 .rank [01].; learning rate")));
}

TEST(Mpi, links_and_updates_are_measured_on_all_ranks) {
  const Outcome run = launch(2, {"probe"});
  ASSERT_EQ(run.exit_code, 0) << run.output;
  EXPECT_THAT(run.output,
              testing::ContainsRegex("latency [0-9]+ ns bandwidth [0-9.e+]+ B/s update [0-9]+ ns"));
}

TEST(Launch, without_mpirun_says_what_to_do) {
  const std::string path = std::getenv("PATH");
  setenv("PATH", "/nonexistent", 1);
  const auto code = launch_ranks(SOAPSTONE_MPI_RANK, {}, {.ranks = 2, .threads = 1});
  setenv("PATH", path.c_str(), 1);
  ASSERT_FALSE(code);
  EXPECT_EQ(code.error().kind, core::ErrorKind::kRefused);
  EXPECT_THAT(code.error().message, HasSubstr("openmpi-bin"));
}

}  // namespace
}  // namespace soapstone::runtime
