#include "tests/cli/program.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <thread>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/file.hpp"

namespace soapstone::cli {

namespace {

std::string text_of(const std::filesystem::path& file) {
  const auto text = core::read_file(file);
  EXPECT_TRUE(text) << (text ? "" : text.error().message);
  return text ? *text : "";
}

// Between fork and exec: nothing here allocates.
[[noreturn]] void become(const char* const* argv, const char* const* environment,
                         const char* folder, const char* out, const char* err,
                         std::int64_t file_size_limit) {
  const int nothing = open("/dev/null", O_RDONLY);
  const int first = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600),
            second = open(err, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (nothing < 0 || first < 0 || second < 0 || dup2(nothing, 0) < 0 || dup2(first, 1) < 0 ||
      dup2(second, 2) < 0 || chdir(folder) != 0)
    _exit(126);
  if (file_size_limit > 0) {
    const rlimit limit{static_cast<rlim_t>(file_size_limit), static_cast<rlim_t>(file_size_limit)};
    if (std::signal(SIGXFSZ, SIG_IGN) == SIG_ERR || setrlimit(RLIMIT_FSIZE, &limit) != 0)
      _exit(126);
  }
  execve(argv[0], const_cast<char* const*>(argv), const_cast<char* const*>(environment));
  _exit(127);
}

}  // namespace

Running::~Running() {
  if (!is_alive()) return;
  send(SIGKILL);
  (void)waitpid(pid_, &status_, 0);
}

bool Running::is_alive() {
  if (!ended_) ended_ = waitpid(pid_, &status_, WNOHANG) == pid_;
  return !ended_;
}

void Running::send(int signal) { EXPECT_EQ(kill(pid_, signal), 0); }

Outcome Running::wait() {
  const auto start = std::chrono::steady_clock::now();
  while (is_alive()) {
    if (std::chrono::steady_clock::now() - start > std::chrono::minutes(1)) {
      ADD_FAILURE() << "still running after a minute; stderr so far: " << text_of(err_);
      send(SIGKILL);
      ended_ = waitpid(pid_, &status_, 0) == pid_;
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return {WIFEXITED(status_) ? WEXITSTATUS(status_) : -WTERMSIG(status_), text_of(out_),
          text_of(err_)};
}

ProgramTest::ProgramTest() {
  std::string name = (std::filesystem::temp_directory_path() / "soapstone-cli-XXXXXX").string();
  EXPECT_NE(mkdtemp(name.data()), nullptr);
  root_ = name;
  folder_ = root_ / "work";
  for (const char* part : {"work", "home", "cache", "streams"})
    std::filesystem::create_directory(root_ / part);
}

ProgramTest::~ProgramTest() {
  std::error_code ignored;  // a rank that was killed may still be closing its files
  std::filesystem::remove_all(root_, ignored);
}

Running ProgramTest::start(const std::vector<std::string>& arguments, const RunOptions& options) {
  std::map<std::string, std::string> environment;
  for (char** e = environ; *e != nullptr; ++e) {
    const std::string_view entry = *e;
    const auto equals = entry.find('=');
    environment[std::string(entry.substr(0, equals))] =
        entry.substr(std::min(equals, entry.size() - 1) + 1);
  }
  for (const char* name : {"SOAPSTONE_DATA", "SOAPSTONE_MPIRUN_ARGS"}) environment.erase(name);
  environment["HOME"] = (root_ / "home").string();
  environment["XDG_CACHE_HOME"] = (root_ / "cache").string();
  environment["OMP_NUM_THREADS"] = "1";
  for (const auto& [key, value] : options.environment) environment[key] = value;

  std::vector<std::string> lines;
  for (const auto& [key, value] : environment) lines.push_back(key + "=" + value);
  std::vector<const char*> argv{options.program.c_str()}, envp;
  for (const auto& a : arguments) argv.push_back(a.c_str());
  for (const auto& l : lines) envp.push_back(l.c_str());
  argv.push_back(nullptr);
  envp.push_back(nullptr);
  ++runs_;
  const auto out = root_ / "streams" / ("out-" + std::to_string(runs_)),
             err = root_ / "streams" / ("err-" + std::to_string(runs_));
  const pid_t pid = fork();
  if (pid == 0)
    become(argv.data(), envp.data(), folder_.c_str(), out.c_str(), err.c_str(),
           options.file_size_limit);
  EXPECT_GT(pid, 0);
  return {pid, out, err};
}

Outcome ProgramTest::run(const std::vector<std::string>& arguments, const RunOptions& options) {
  return start(arguments, options).wait();
}

void ProgramTest::write(const std::string& file, std::string_view text) {
  std::ofstream(folder_ / file, std::ios::binary) << text;
}

std::string ProgramTest::read(const std::string& file) { return text_of(folder_ / file); }

std::vector<std::string> ProgramTest::files() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder_))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

void sleep_a_little() { std::this_thread::sleep_for(std::chrono::milliseconds(20)); }

void expect_refusal(const Outcome& outcome, int exit_code, const std::vector<std::string>& texts) {
  EXPECT_EQ(outcome.exit_code, exit_code) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  for (const auto& text : texts) EXPECT_THAT(outcome.err, testing::HasSubstr(text));
}

}  // namespace soapstone::cli
