// soapstone in jobs of a Slurm cluster of two nodes, which scripts/slurm_test_cluster.sh makes of
// this machine. Both nodes have one host name: nodes are told apart by SLURMD_NODENAME.
#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "tests/cli/program.hpp"

namespace soapstone::cli {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::UnorderedElementsAre;

const std::string kCluster = SOAPSTONE_SOURCE_DIR "/scripts/slurm_test_cluster.sh";
const std::string kTrain =
    SOAPSTONE_PROGRAM " train mlp --batch 32 --steps 6 --no-evaluate --threads 1";

int count(const std::string& text, const std::string& part) {
  int found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

class Slurm : public ProgramTest {
 protected:
  void SetUp() override {
    const Outcome possible = run({"-l"}, {.environment = {}, .program = kCluster});
    if (possible.exit_code == 77) GTEST_SKIP() << possible.err;
    ASSERT_EQ(possible.exit_code, 0) << possible.err;
  }

  // A line of a shell on the login node. What ranks write into ranks.txt is "rank node".
  Outcome in_cluster(const std::string& line) {
    write("agent",
          "#!/bin/sh\necho $OMPI_COMM_WORLD_RANK $SLURMD_NODENAME >>ranks.txt\nexec \"$@\"\n");
    std::filesystem::permissions(folder() / "agent", std::filesystem::perms::owner_all);
    return run({"--", "bash", "-c", line},
               {.environment = {{"OMPI_MCA_orte_fork_agent", (folder() / "agent").string()}},
                .program = kCluster});
  }

  std::vector<std::string> lines(const std::string& file) {
    std::stringstream text(read(file));
    std::vector<std::string> found;
    for (std::string line; std::getline(text, line);) found.push_back(line);
    return found;
  }
  std::vector<double> losses(const std::string& metrics) {
    std::vector<double> found;
    for (const auto& line : lines(metrics)) {
      const auto record = nlohmann::json::parse(line);
      if (record["kind"] == "step") found.push_back(record["loss"]);
    }
    return found;
  }
  // A job's losses are those of two ranks without Slurm, bit by bit.
  void expect_losses_of_a_local_run(const std::string& metrics) {
    const Outcome local = run({"-c", kTrain + " --ranks 2 --metrics local.jsonl"},
                              {.environment = {}, .program = "/bin/bash"});
    ASSERT_EQ(local.exit_code, 0) << local.err;
    EXPECT_EQ(losses("local.jsonl").size(), 6u);
    EXPECT_EQ(losses(metrics), losses("local.jsonl"));
  }
};

TEST_F(Slurm, mpirun_in_salloc_trains_on_both_nodes) {
  // No --ranks: mpirun says how many there are.
  const Outcome job = in_cluster("salloc -N2 -n2 mpirun " + kTrain + " --metrics job.jsonl");
  ASSERT_EQ(job.exit_code, 0) << job.err;
  EXPECT_THAT(lines("ranks.txt"), UnorderedElementsAre("0 node1", "1 node2"));
  EXPECT_THAT(job.err, HasSubstr("2 rank(s) of 1 thread(s)"));
  expect_losses_of_a_local_run("job.jsonl");
}

TEST_F(Slurm, soapstone_in_salloc_starts_its_ranks_on_both_nodes) {
  const Outcome job = in_cluster("salloc -N2 -n2 " + kTrain + " --ranks 2 --metrics job.jsonl");
  ASSERT_EQ(job.exit_code, 0) << job.err;
  EXPECT_THAT(lines("ranks.txt"), UnorderedElementsAre("0 node1", "1 node2"));
  EXPECT_THAT(job.err, HasSubstr("mpirun starts 2 ranks in Slurm job 1 on 2 node(s): node[1-2]"));
  EXPECT_THAT(job.err, Not(HasSubstr("timings mean nothing")));
  expect_losses_of_a_local_run("job.jsonl");
}

TEST_F(Slurm, soapstone_in_a_batch_script_starts_its_ranks_on_both_nodes) {
  write("job.sh", fmt::format("#!/bin/bash\n#SBATCH --nodes=2 --ntasks=2 --output=job.txt\n"
                              "{} --ranks 2 --metrics job.jsonl\n",
                              kTrain));
  const Outcome job = in_cluster("sbatch --wait job.sh");
  ASSERT_EQ(job.exit_code, 0) << job.err << read("job.txt");
  EXPECT_THAT(read("job.txt"), HasSubstr("on 2 node(s): node[1-2]"));
  EXPECT_THAT(lines("ranks.txt"), UnorderedElementsAre("0 node1", "1 node2"));
  expect_losses_of_a_local_run("job.jsonl");
}

TEST_F(Slurm, a_failed_training_fails_the_job) {
  const Outcome job = in_cluster("salloc -N2 -n2 " + kTrain + " --ranks 2 --resume there-is-none");
  EXPECT_EQ(job.exit_code, 2) << job.err;
  EXPECT_THAT(job.err, HasSubstr("there-is-none"));
}

TEST_F(Slurm, ranks_of_srun_join_by_pmix) {
  // Two tasks of one node: between nodes of one host name Slurm's PMIx cannot start.
  const Outcome job = in_cluster(
      "srun --mpi=list 2>&1 | grep -q pmix || exit 77\n"
      "srun --mpi=pmix -N1 -n2 " +
      kTrain + " --ranks 2 --metrics job.jsonl");
  if (job.exit_code == 77) GTEST_SKIP() << "this Slurm has no PMIx";
  ASSERT_EQ(job.exit_code, 0) << job.err;
  expect_losses_of_a_local_run("job.jsonl");
}

TEST_F(Slurm, ranks_of_srun_that_cannot_join_are_told_what_can) {
  const Outcome job = in_cluster("srun --mpi=none -N2 -n2 " + kTrain + " --ranks 2");
  EXPECT_EQ(job.exit_code, 3) << job.err;
  EXPECT_EQ(count(job.err, "srun started 2 processes that MPI cannot join"), 1) << job.err;
  EXPECT_THAT(job.err, HasSubstr("salloc -n 2 mpirun"));
  EXPECT_THAT(job.err, Not(HasSubstr("MPI_Init"))) << "MPI was asked all the same";
}

TEST_F(Slurm, a_single_task_of_srun_trains_alone) {
  const Outcome job = in_cluster("srun -n1 " + kTrain);
  EXPECT_EQ(job.exit_code, 0) << job.err;
  EXPECT_THAT(job.err, HasSubstr("1 rank(s)"));
}

TEST_F(Slurm, a_shell_of_srun_starts_ranks) {
  const Outcome job = in_cluster("srun -n1 bash -c '" + kTrain + " --ranks 2 --metrics job.jsonl'");
  ASSERT_EQ(job.exit_code, 0) << job.err;
  expect_losses_of_a_local_run("job.jsonl");
}

TEST_F(Slurm, doctor_names_the_job) {
  const Outcome outside = in_cluster(SOAPSTONE_PROGRAM " doctor");
  EXPECT_THAT(outside.out, HasSubstr("srun, in no job"));
  const Outcome inside = in_cluster("salloc -N2 " SOAPSTONE_PROGRAM " doctor");
  EXPECT_THAT(inside.out, HasSubstr("job 1 on 2 node(s): node[1-2]"));
}

// The daemons' process ids, and the folder, of a cluster that ran `cat *.pid` and `pwd` in it.
class SlurmEnds : public Slurm {
 protected:
  const std::string kTell =
      "cd $(dirname $SLURM_CONF) && cat *.pid >$OLDPWD/pids && pwd >$OLDPWD/at";

  // A process that only waits to be asked for its exit code is gone.
  static bool is_gone(const std::string& pid) {
    std::ifstream stat("/proc/" + pid + "/stat");
    std::string text;
    return !std::getline(stat, text) || text.find(") Z ") != std::string::npos;
  }
  bool is_all_gone() {
    const auto pids = lines("pids");
    return pids.size() == 4 && std::all_of(pids.begin(), pids.end(), is_gone);
  }
};

TEST_F(SlurmEnds, when_the_command_has_ended) {
  EXPECT_EQ(in_cluster(kTell + "; exit 5").exit_code, 5);
  EXPECT_TRUE(is_all_gone());
  EXPECT_FALSE(std::filesystem::exists(lines("at").at(0)));
}

TEST_F(SlurmEnds, when_it_is_told_to) {
  Running cluster = start({"--", "bash", "-c", kTell + "; exec srun -N2 sleep 1000"},
                          {.environment = {}, .program = kCluster});
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(folder() / "at"); }));
  cluster.send(SIGTERM);
  EXPECT_EQ(cluster.wait().exit_code, 130);
  EXPECT_TRUE(is_all_gone());
  EXPECT_FALSE(std::filesystem::exists(lines("at").at(0)));
}

TEST_F(SlurmEnds, when_it_is_killed) {
  Running cluster = start({"--", "bash", "-c", kTell + "; exec sleep 20"},
                          {.environment = {}, .program = kCluster});
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(folder() / "at"); }));
  cluster.send(SIGKILL);
  cluster.wait();
  EXPECT_TRUE(eventually([&] { return is_all_gone(); }));
  std::filesystem::remove_all(lines("at").at(0));
}

}  // namespace
}  // namespace soapstone::cli
