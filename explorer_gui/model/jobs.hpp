// Work beside the window: on worker threads, with progress, and results that come back to the
// thread that draws.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace soapstone::explorer {

// What a job says about itself while it works.
class JobContext {
 public:
  // `fraction` in [0, 1]; below 0: not known.
  void progress(double fraction, std::string text);
  // Whether its result is still wanted. Waits while the job is paused.
  bool wanted();

 private:
  friend class Jobs;
  std::atomic<bool> cancelled_{false};
  std::mutex mutex_;
  std::condition_variable resumed_;
  bool paused_ = false;
  double fraction_ = -1;
  std::string text_;
};

struct JobStatus {
  std::uint64_t id = 0;
  std::string title;
  double fraction = -1;
  std::string text;
  std::chrono::nanoseconds elapsed{};
  bool started = false;
  bool paused = false;
  bool cancelled = false;
};

// Made, asked and polled by one thread.
class Jobs {
 public:
  // What is done with the result, on the thread that polls. Not called for a job that is cancelled.
  using Finish = std::function<void()>;
  using Work = std::function<Finish(JobContext&)>;

  explicit Jobs(int workers = 3);
  ~Jobs();  // cancels everything and waits
  Jobs(const Jobs&) = delete;
  Jobs& operator=(const Jobs&) = delete;

  // A job with a key takes the place of the one with the same key, which is cancelled.
  std::uint64_t start(std::string title, Work work, std::string key = {});
  void cancel(std::uint64_t id);
  void pause(std::uint64_t id, bool paused);
  // Calls the Finish of every job that is done; false: there was none.
  bool poll();
  // Polls until nothing is left to do. For tests, and for the end of a program.
  void finish();
  std::vector<JobStatus> running() const;  // in the order of their start
  // What jobs threw that broke down, each told once.
  std::vector<std::string> take_failures();

 private:
  struct Job;
  void work();

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Job>> waiting_;
  std::vector<std::shared_ptr<Job>> jobs_;  // not polled yet
  std::vector<std::string> failures_;
  bool closing_ = false;
  std::uint64_t next_ = 1;
  std::vector<std::thread> threads_;
};

}  // namespace soapstone::explorer
