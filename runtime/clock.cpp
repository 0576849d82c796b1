#include "runtime/clock.hpp"

#include <chrono>
#include <limits>
#include <memory>

namespace soapstone::runtime {

std::int64_t steady_now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

namespace {

constexpr int kRounds = 30;
constexpr int kTag = 0;

// Rank 0 asks each other rank in turn; the answer is that rank's time. At the end it says the
// offset.
class Asker final : public Program {
 public:
  Asker(Endpoint& endpoint, int ranks) : endpoint_(endpoint), ranks_(ranks) {}

  Progress advance() override {
    for (; peer_ < ranks_; ++peer_) {
      for (; round_ < kRounds; ++round_) {
        if (!posted_) {
          receive_ = endpoint_.receive(peer_, kTag, &theirs_, core::Bytes(8));
          asked_ = steady_now();
          send_ = endpoint_.send(peer_, kTag, &nothing_, core::Bytes(8));
          posted_ = true;
        }
        const bool sent = endpoint_.test(send_), received = endpoint_.test(receive_);
        if (!sent || !received) return Progress::kWaiting;
        const std::int64_t answered = steady_now();
        if (answered - asked_ < least_) {
          least_ = answered - asked_;
          offset_ = asked_ + (answered - asked_) / 2 - theirs_;
        }
        posted_ = false;
      }
      if (!posted_) {
        send_ = endpoint_.send(peer_, kTag, &offset_, core::Bytes(8));
        posted_ = true;
      }
      if (!endpoint_.test(send_)) return Progress::kWaiting;
      posted_ = false;
      round_ = 0;
      least_ = std::numeric_limits<std::int64_t>::max();
    }
    return Progress::kDone;
  }
  std::string waits_for() const override { return fmt::format("the clock of rank {}", peer_); }

 private:
  Endpoint& endpoint_;
  int ranks_, peer_ = 1, round_ = 0;
  bool posted_ = false;
  std::int64_t asked_ = 0, theirs_ = 0, offset_ = 0, nothing_ = 0;
  std::int64_t least_ = std::numeric_limits<std::int64_t>::max();
  Request send_, receive_;
};

class Answerer final : public Program {
 public:
  explicit Answerer(Endpoint& endpoint) : endpoint_(endpoint) {}

  Progress advance() override {
    for (; round_ <= kRounds; ++round_) {
      if (!receiving_ && !sending_) {
        receive_ = endpoint_.receive(0, kTag, &got_, core::Bytes(8));
        receiving_ = true;
      }
      if (receiving_) {
        if (!endpoint_.test(receive_)) return Progress::kWaiting;
        receiving_ = false;
        if (round_ == kRounds) continue;  // that was the offset
        mine_ = steady_now();
        send_ = endpoint_.send(0, kTag, &mine_, core::Bytes(8));
        sending_ = true;
      }
      if (!endpoint_.test(send_)) return Progress::kWaiting;
      sending_ = false;
    }
    return Progress::kDone;
  }
  std::string waits_for() const override { return "the clock of rank 0"; }
  std::int64_t offset() const { return got_; }

 private:
  Endpoint& endpoint_;
  int round_ = 0;
  bool receiving_ = false, sending_ = false;
  std::int64_t got_ = 0, mine_ = 0;
  Request send_, receive_;
};

}  // namespace

std::vector<std::int64_t> clock_offsets(Communicator& communicator) {
  const auto own = communicator.own_ranks();
  std::vector<std::int64_t> offsets(own.size(), 0);
  if (communicator.processes() == 1) return offsets;  // one clock
  std::vector<std::unique_ptr<Program>> programs;
  std::vector<Program*> pointers;
  for (const int rank : own) {
    if (rank == 0)
      programs.push_back(
          std::make_unique<Asker>(communicator.endpoint(rank), communicator.ranks()));
    else
      programs.push_back(std::make_unique<Answerer>(communicator.endpoint(rank)));
    pointers.push_back(programs.back().get());
  }
  communicator.run(pointers);
  for (std::size_t k = 0; k < own.size(); ++k)
    if (own[k] != 0) offsets[k] = static_cast<const Answerer&>(*programs[k]).offset();
  return offsets;
}

}  // namespace soapstone::runtime
