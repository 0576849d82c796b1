#include "explorer_gui/model/jobs.hpp"

#include <algorithm>
#include <exception>
#include <utility>

namespace soapstone::explorer {

void JobContext::progress(double fraction, std::string text) {
  const std::scoped_lock lock(mutex_);
  fraction_ = fraction;
  text_ = std::move(text);
}

bool JobContext::wanted() {
  std::unique_lock lock(mutex_);
  resumed_.wait(lock, [&] { return !paused_ || cancelled_; });
  return !cancelled_;
}

struct Jobs::Job {
  std::uint64_t id = 0;
  std::string title, key;
  Work work;
  JobContext context;
  Finish finish;
  std::chrono::steady_clock::time_point began{};
  bool started = false, done = false;
};

Jobs::Jobs(int workers) {
  for (int i = 0; i < workers; ++i) threads_.emplace_back([this] { work(); });
}

Jobs::~Jobs() {
  {
    const std::scoped_lock lock(mutex_);
    closing_ = true;
    waiting_.clear();
    for (const auto& job : jobs_) {
      const std::scoped_lock inner(job->context.mutex_);
      job->context.cancelled_ = true;
      job->context.resumed_.notify_all();
    }
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

std::uint64_t Jobs::start(std::string title, Work work, std::string key) {
  auto job = std::make_shared<Job>();
  job->title = std::move(title);
  job->key = std::move(key);
  job->work = std::move(work);
  std::uint64_t before = 0;
  {
    const std::scoped_lock lock(mutex_);
    job->id = next_++;
    for (const auto& other : jobs_)
      if (!job->key.empty() && other->key == job->key && !other->context.cancelled_)
        before = other->id;
  }
  if (before != 0) cancel(before);
  {
    const std::scoped_lock lock(mutex_);
    jobs_.push_back(job);
    waiting_.push_back(job);
  }
  changed_.notify_one();
  return job->id;
}

void Jobs::cancel(std::uint64_t id) {
  const std::scoped_lock lock(mutex_);
  for (const auto& job : jobs_)
    if (job->id == id) {
      const std::scoped_lock inner(job->context.mutex_);
      job->context.cancelled_ = true;
      job->context.resumed_.notify_all();
    }
  // One that has not begun never will.
  std::erase_if(waiting_, [&](const auto& job) {
    if (job->id == id) job->done = true;
    return job->id == id;
  });
}

void Jobs::pause(std::uint64_t id, bool paused) {
  const std::scoped_lock lock(mutex_);
  for (const auto& job : jobs_)
    if (job->id == id) {
      const std::scoped_lock inner(job->context.mutex_);
      job->context.paused_ = paused;
      job->context.resumed_.notify_all();
    }
}

bool Jobs::poll() {
  std::vector<std::shared_ptr<Job>> done;
  {
    const std::scoped_lock lock(mutex_);
    const auto rest = std::stable_partition(jobs_.begin(), jobs_.end(),
                                            [](const auto& job) { return !job->done; });
    done.assign(rest, jobs_.end());
    jobs_.erase(rest, jobs_.end());
  }
  for (const auto& job : done)
    if (!job->context.cancelled_ && job->finish) job->finish();
  return !done.empty();
}

void Jobs::finish() {
  while (true) {
    poll();
    std::unique_lock lock(mutex_);
    if (jobs_.empty()) return;
    changed_.wait(lock, [&] {
      return std::any_of(jobs_.begin(), jobs_.end(), [](const auto& job) { return job->done; });
    });
  }
}

std::vector<JobStatus> Jobs::running() const {
  const std::scoped_lock lock(mutex_);
  std::vector<JobStatus> out;
  for (const auto& job : jobs_) {
    if (job->done) continue;
    JobStatus s;
    s.id = job->id;
    s.title = job->title;
    s.started = job->started;
    s.cancelled = job->context.cancelled_;
    if (job->started) s.elapsed = std::chrono::steady_clock::now() - job->began;
    const std::scoped_lock inner(job->context.mutex_);
    s.fraction = job->context.fraction_;
    s.text = job->context.text_;
    s.paused = job->context.paused_;
    out.push_back(std::move(s));
  }
  return out;
}

std::vector<std::string> Jobs::take_failures() {
  const std::scoped_lock lock(mutex_);
  return std::exchange(failures_, {});
}

void Jobs::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return closing_ || !waiting_.empty(); });
    if (closing_) return;
    const std::shared_ptr<Job> job = waiting_.front();
    waiting_.pop_front();
    job->started = true;
    job->began = std::chrono::steady_clock::now();
    lock.unlock();
    Finish finish;
    std::string failure;
    try {
      finish = job->work(job->context);
    } catch (const std::exception& error) {
      failure = job->title + ": " + error.what();
    }
    lock.lock();
    if (!failure.empty()) failures_.push_back(std::move(failure));
    job->finish = std::move(finish);
    job->done = true;
    changed_.notify_all();
  }
}

}  // namespace soapstone::explorer
