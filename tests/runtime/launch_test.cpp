#include "runtime/launch.hpp"

#include <cstdlib>
#include <map>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

namespace soapstone::runtime {
namespace {

// What launchers tell their processes; taken back at the end, as is what the test itself was
// started with.
class Launcher : public testing::Test {
 protected:
  Launcher() {
    for (const char* name :
         {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_ID", "SLURM_PROCID",
          "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", "SLURM_NODEID", "SLURM_STEP_TASKS_PER_NODE",
          "SLURM_CPU_BIND_TYPE", "SLURM_JOB_CPUS_PER_NODE", "SLURM_JOB_ID", "SLURM_JOB_NUM_NODES",
          "SLURM_JOB_NODELIST", "PMI_RANK", "PMIX_RANK", "MPI_LOCALNRANKS", "MPI_LOCALRANKID"}) {
      if (const char* value = std::getenv(name)) before_[name] = value;
      unsetenv(name);
    }
    sched_getaffinity(0, sizeof cores_, &cores_);
  }
  ~Launcher() override {
    for (const auto& [name, ignored] : set_) unsetenv(name.c_str());
    for (const auto& [name, value] : before_) setenv(name.c_str(), value.c_str(), 1);
    sched_setaffinity(0, sizeof cores_, &cores_);
  }
  void tell(const std::map<std::string, std::string>& variables) {
    for (const auto& [name, value] : variables) {
      setenv(name.c_str(), value.c_str(), 1);
      set_[name] = value;
    }
  }
  int cores() const { return CPU_COUNT(&cores_); }

 private:
  std::map<std::string, std::string> before_, set_;
  cpu_set_t cores_;
};

TEST_F(Launcher, by_hand_there_are_no_ranks) { EXPECT_EQ(surroundings().ranks, 0); }

TEST_F(Launcher, mpirun_tells_ranks_and_host) {
  tell({{"OMPI_COMM_WORLD_SIZE", "6"},
        {"OMPI_COMM_WORLD_RANK", "4"},
        {"OMPI_COMM_WORLD_LOCAL_SIZE", "3"},
        {"OMPI_COMM_WORLD_LOCAL_RANK", "1"}});
  const Surroundings here = surroundings();
  EXPECT_EQ(here.ranks, 6);
  EXPECT_EQ(here.rank, 4);
  EXPECT_EQ(here.ranks_on_host, 3);
  EXPECT_EQ(here.rank_on_host, 1);
  EXPECT_EQ(here.launcher, "mpirun");
}

TEST_F(Launcher, srun_tells_ranks_and_those_of_the_node) {
  for (const auto& [node, tasks] :
       std::map<std::string, int>{{"0", 2}, {"2", 2}, {"3", 1}, {"4", 5}}) {
    tell({{"SLURM_STEP_ID", "0"},
          {"SLURM_PROCID", "3"},
          {"SLURM_STEP_NUM_TASKS", "12"},
          {"SLURM_LOCALID", "1"},
          {"SLURM_NODEID", node},
          {"SLURM_STEP_TASKS_PER_NODE", "2(x3),1,5"}});
    const Surroundings here = surroundings();
    EXPECT_EQ(here.ranks, 12);
    EXPECT_EQ(here.rank, 3);
    EXPECT_EQ(here.ranks_on_host, tasks) << "node " << node;
    EXPECT_EQ(here.rank_on_host, 1);
    EXPECT_EQ(here.launcher, "srun");
  }
}

TEST_F(Launcher, a_batch_script_of_slurm_is_no_rank) {
  tell({{"SLURM_NTASKS", "4"}, {"SLURM_PROCID", "0"}, {"SLURM_NODEID", "0"}});
  EXPECT_EQ(surroundings().ranks, 0);
}

TEST_F(Launcher, a_shell_of_srun_is_no_rank) {
  tell({{"SLURM_STEP_ID", "0"},
        {"SLURM_PROCID", "0"},
        {"SLURM_STEP_NUM_TASKS", "1"},
        {"SLURM_STEP_TASKS_PER_NODE", "1"}});
  EXPECT_EQ(surroundings().ranks, 0);
}

TEST_F(Launcher, mpich_within_a_step_of_slurm_tells_its_own_ranks) {
  // Its proxies are the tasks of the step.
  tell({{"SLURM_STEP_ID", "0"},
        {"SLURM_PROCID", "1"},
        {"SLURM_STEP_NUM_TASKS", "2"},
        {"PMI_SIZE", "8"},
        {"PMI_RANK", "5"},
        {"MPI_LOCALNRANKS", "4"},
        {"MPI_LOCALRANKID", "1"}});
  const Surroundings here = surroundings();
  EXPECT_EQ(here.ranks, 8);
  EXPECT_EQ(here.rank, 5);
  EXPECT_EQ(here.ranks_on_host, 4);
  EXPECT_EQ(here.launcher, "mpirun");
}

TEST_F(Launcher, pmi2_of_srun_leaves_the_node_to_slurm) {
  tell({{"SLURM_STEP_ID", "0"},
        {"SLURM_PROCID", "1"},
        {"SLURM_STEP_NUM_TASKS", "2"},
        {"SLURM_STEP_TASKS_PER_NODE", "2"},
        {"SLURM_LOCALID", "1"},
        {"PMI_SIZE", "2"},
        {"PMI_RANK", "1"}});
  EXPECT_EQ(surroundings().ranks_on_host, 2);
  EXPECT_EQ(surroundings().launcher, "srun");
}

TEST_F(Launcher, ranks_that_mpi_cannot_join_are_refused) {
  const Surroundings by_srun{.ranks = 3, .rank = 1, .launcher = "srun"};
  const core::Status refused = check_can_join(by_srun);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, core::ErrorKind::kRefused);
  for (const char* part : {"3 processes", "--mpi=pmix", "salloc -n 3 mpirun", "--ranks 3"})
    EXPECT_THAT(refused.error().message, testing::HasSubstr(part));

  EXPECT_TRUE(check_can_join({}));
  EXPECT_TRUE(check_can_join({.ranks = 3, .launcher = "mpirun"}));
  tell({{"PMIX_RANK", "1"}});
  EXPECT_TRUE(check_can_join(by_srun));
}

TEST_F(Launcher, slurm_tells_the_job) {
  EXPECT_EQ(slurm_job().id, "");
  tell({{"SLURM_JOB_ID", "17"}, {"SLURM_JOB_NUM_NODES", "2"}, {"SLURM_JOB_NODELIST", "node[1-2]"}});
  EXPECT_EQ(slurm_job().id, "17");
  EXPECT_EQ(slurm_job().nodes, 2);
  EXPECT_EQ(slurm_job().node_list, "node[1-2]");
}

TEST_F(Launcher, ranks_share_what_slurm_gave_the_job_of_a_host) {
  tell({{"SLURM_NODEID", "1"}, {"SLURM_JOB_CPUS_PER_NODE", "1000,1"}});
  EXPECT_EQ(threads_for_rank({.ranks = 4, .ranks_on_host = 1}, 0), 1);
  EXPECT_EQ(threads_for_rank({.ranks = 4, .ranks_on_host = 1}, 3), 3);
  tell({{"SLURM_NODEID", "0"}});
  EXPECT_EQ(threads_for_rank({.ranks = 4, .ranks_on_host = 1}, 0), cores());
}

TEST_F(Launcher, a_rank_is_not_pinned_where_other_jobs_may_be) {
  if (cores() < 2) GTEST_SKIP() << "one core";
  tell({{"SLURM_JOB_CPUS_PER_NODE", "1(x2)"}});
  pin_to_cores({.ranks = 2, .rank = 1, .ranks_on_host = 1, .rank_on_host = 0}, 1);
  cpu_set_t now;
  ASSERT_EQ(sched_getaffinity(0, sizeof now, &now), 0);
  EXPECT_EQ(CPU_COUNT(&now), cores());
}

TEST_F(Launcher, ranks_of_a_host_share_its_cores) {
  EXPECT_EQ(threads_for_rank({.ranks = 4, .ranks_on_host = 1}, 0), cores());
  EXPECT_EQ(threads_for_rank({.ranks = 4, .ranks_on_host = 1000}, 0), 1);
  EXPECT_EQ(threads_for_rank({.ranks = 4, .ranks_on_host = 1}, 3), 3);
}

TEST_F(Launcher, a_rank_is_pinned_to_its_own_share) {
  if (cores() < 2) GTEST_SKIP() << "one core";
  pin_to_cores({.ranks = 2, .rank = 1, .ranks_on_host = 2, .rank_on_host = 1}, 1);
  cpu_set_t now;
  ASSERT_EQ(sched_getaffinity(0, sizeof now, &now), 0);
  EXPECT_EQ(CPU_COUNT(&now), 1);
}

TEST_F(Launcher, a_rank_whose_neighbours_are_not_known_is_left_where_it_is) {
  // Local rank 3 of a host that did not say how many it has.
  pin_to_cores({.ranks = 8, .rank = 3, .ranks_on_host = 0, .rank_on_host = 3, .launcher = "srun"},
               1);
  cpu_set_t now;
  ASSERT_EQ(sched_getaffinity(0, sizeof now, &now), 0);
  EXPECT_EQ(CPU_COUNT(&now), cores());
}

}  // namespace
}  // namespace soapstone::runtime
