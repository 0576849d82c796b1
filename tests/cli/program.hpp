// The built soapstone, run in a folder of its own.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <sys/types.h>

namespace soapstone::cli {

struct Outcome {
  int exit_code = -1;  // minus the signal that ended it
  std::string out, err;
};

struct RunOptions {
  std::map<std::string, std::string> environment;  // besides what the test has
  std::string program = SOAPSTONE_PROGRAM;         // or what starts it
  std::int64_t file_size_limit = 0;  // bytes; longer files fail as on a full disk; 0: none
};

// A running soapstone. Killed when destroyed before it was waited for.
class Running {
 public:
  Running(pid_t pid, std::filesystem::path out, std::filesystem::path err)
      : pid_(pid), out_(std::move(out)), err_(std::move(err)) {}
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running();

  bool is_alive();
  void send(int signal);
  // Kills it, and fails the test, where it takes longer than a minute.
  Outcome wait();

 private:
  pid_t pid_;
  bool ended_ = false;
  int status_ = 0;
  std::filesystem::path out_, err_;
};

// An empty folder in which programs run; HOME and the cache folder lie beside it, so that nothing
// of the user's is read or written. Removed at the end.
class ProgramTest : public testing::Test {
 protected:
  ProgramTest();
  ~ProgramTest() override;

  Outcome run(const std::vector<std::string>& arguments, const RunOptions& options = {});
  Running start(const std::vector<std::string>& arguments, const RunOptions& options = {});

  const std::filesystem::path& folder() const { return folder_; }
  std::filesystem::path cache() const { return root_ / "cache" / "soapstone"; }

  // Relative to the folder.
  void write(const std::string& file, std::string_view text);
  std::string read(const std::string& file);
  // Names of everything in the folder, ascending.
  std::vector<std::string> files();

 private:
  std::filesystem::path root_, folder_;
  int runs_ = 0;
};

// Calls `done` until it is true; false after half a minute.
template <class Done>
bool eventually(Done done);
void sleep_a_little();

// What a refusal must look like: an exit code, all of the texts on stderr, nothing on stdout.
void expect_refusal(const Outcome& outcome, int exit_code, const std::vector<std::string>& texts);

template <class Done>
bool eventually(Done done) {
  for (int i = 0; i < 1500; ++i) {
    if (done()) return true;
    sleep_a_little();
  }
  return false;
}

}  // namespace soapstone::cli
