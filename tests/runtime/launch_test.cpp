#include "runtime/launch.hpp"

#include <cstdlib>
#include <map>
#include <string>

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
    for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_ID", "SLURM_PROCID",
                             "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", "SLURM_NODEID",
                             "SLURM_STEP_TASKS_PER_NODE", "SLURM_CPU_BIND_TYPE"}) {
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
    EXPECT_EQ(here.launcher, "slurm");
  }
}

TEST_F(Launcher, a_batch_script_of_slurm_is_no_rank) {
  tell({{"SLURM_NTASKS", "4"}, {"SLURM_PROCID", "0"}, {"SLURM_NODEID", "0"}});
  EXPECT_EQ(surroundings().ranks, 0);
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
  pin_to_cores({.ranks = 8, .rank = 3, .ranks_on_host = 0, .rank_on_host = 3, .launcher = "slurm"},
               1);
  cpu_set_t now;
  ASSERT_EQ(sched_getaffinity(0, sizeof now, &now), 0);
  EXPECT_EQ(CPU_COUNT(&now), cores());
}

}  // namespace
}  // namespace soapstone::runtime
