#include "runtime/comm/local.hpp"

#include <cstring>
#include <numeric>
#include <optional>

#include "core/assert.hpp"

namespace soapstone::runtime {

namespace {

constexpr std::uint32_t kNone = 0xffffffffu;

// One posted end of a message.
struct Slot {
  int src = 0, dst = 0, tag = 0;
  void* data = nullptr;
  std::int64_t size = 0;
  bool is_send = false;
  bool complete = false;
  std::uint32_t next = kNone;  // in its queue, or in the list of free slots
};

// The ends that wait for their counterpart, oldest first.
struct Queue {
  std::uint32_t first = kNone, last = kNone;
};

class Fabric {
 public:
  explicit Fabric(int ranks)
      : ranks_(ranks),
        queues_(2 * static_cast<std::size_t>(ranks) * static_cast<std::size_t>(ranks)) {}

  std::uint32_t post(bool is_send, int src, int dst, int tag, void* data, std::int64_t size) {
    SOAPSTONE_ASSERT(src >= 0 && src < ranks_ && dst >= 0 && dst < ranks_ && src != dst,
                     "a message from rank {} to rank {} of {}", src, dst, ranks_);
    const std::uint32_t slot = take();
    slots_[slot] = {src, dst, tag, data, size, is_send, false, kNone};
    if (const auto other = unqueue(queue(!is_send, src, dst), tag)) {
      Slot &mine = slots_[slot], &theirs = slots_[*other];
      mine.complete = theirs.complete = true;
      if (mine.size != theirs.size)
        throw CommunicationError(fmt::format(
            "rank {} sends {} bytes to rank {} (tag {}), which receives {} bytes", src,
            is_send ? mine.size : theirs.size, dst, tag, is_send ? theirs.size : mine.size));
      if (size > 0) {
        if (is_send)
          std::memcpy(theirs.data, data, static_cast<std::size_t>(size));
        else
          std::memcpy(data, theirs.data, static_cast<std::size_t>(size));
      }
    } else {
      Queue& own = queue(is_send, src, dst);
      if (own.last == kNone)
        own.first = slot;
      else
        slots_[own.last].next = slot;
      own.last = slot;
    }
    return slot;
  }

  bool take_if_complete(std::uint32_t slot) {
    if (!slots_[slot].complete) return false;
    release(slot);
    return true;
  }

  void give_up(std::uint32_t slot) {
    if (!slots_[slot].complete) {
      Queue& own = queue(slots_[slot].is_send, slots_[slot].src, slots_[slot].dst);
      std::uint32_t before = kNone;
      for (std::uint32_t s = own.first; s != slot; s = slots_[s].next) before = s;
      remove(own, before, slot);
    }
    release(slot);
  }

 private:
  std::uint32_t take() {
    if (free_ == kNone) {
      slots_.emplace_back();
      return static_cast<std::uint32_t>(slots_.size()) - 1;
    }
    return std::exchange(free_, slots_[free_].next);
  }
  void release(std::uint32_t slot) {
    slots_[slot].next = free_;
    free_ = slot;
  }
  Queue& queue(bool is_send, int src, int dst) {
    return queues_[(static_cast<std::size_t>(src) * static_cast<std::size_t>(ranks_) +
                    static_cast<std::size_t>(dst)) *
                       2 +
                   (is_send ? 1 : 0)];
  }
  void remove(Queue& from, std::uint32_t before, std::uint32_t slot) {
    if (before == kNone)
      from.first = slots_[slot].next;
    else
      slots_[before].next = slots_[slot].next;
    if (from.last == slot) from.last = before;
  }
  std::optional<std::uint32_t> unqueue(Queue& from, int tag) {
    std::uint32_t before = kNone;
    for (std::uint32_t s = from.first; s != kNone; before = s, s = slots_[s].next) {
      if (slots_[s].tag != tag) continue;
      remove(from, before, s);
      return s;
    }
    return std::nullopt;
  }

  int ranks_;
  std::vector<Slot> slots_;
  std::uint32_t free_ = kNone;
  std::vector<Queue> queues_;  // [src][dst][receives, sends]
};

class LocalEndpoint final : public Endpoint {
 public:
  LocalEndpoint(Fabric& fabric, int rank) : fabric_(fabric), rank_(rank) {}
  int rank() const override { return rank_; }
  int largest_tag() const override { return 0x7fffffff; }
  void relax(std::uint32_t) override {}

 protected:
  std::uint64_t post_receive(int peer, int tag, void* data, core::Bytes size) override {
    return fabric_.post(false, peer, rank_, tag, data, size.value);
  }
  std::uint64_t post_send(int peer, int tag, const void* data, core::Bytes size) override {
    return fabric_.post(true, rank_, peer, tag, const_cast<void*>(data), size.value);
  }
  bool is_complete(std::uint64_t& handle) override {
    return fabric_.take_if_complete(static_cast<std::uint32_t>(handle));
  }
  void give_up(std::uint64_t handle) noexcept override {
    fabric_.give_up(static_cast<std::uint32_t>(handle));
  }

 private:
  Fabric& fabric_;
  int rank_;
};

class LocalCommunicator final : public Communicator {
 public:
  explicit LocalCommunicator(int ranks) : fabric_(ranks), ranks_(static_cast<std::size_t>(ranks)) {
    std::iota(ranks_.begin(), ranks_.end(), 0);
    for (int r = 0; r < ranks; ++r)
      endpoints_.push_back(std::make_unique<LocalEndpoint>(fabric_, r));
  }
  std::string_view backend() const override { return "local"; }
  int ranks() const override { return static_cast<int>(ranks_.size()); }
  int processes() const override { return 1; }
  int process() const override { return 0; }
  std::span<const int> own_ranks() const override { return ranks_; }
  Endpoint& endpoint(int rank) override { return *endpoints_.at(static_cast<std::size_t>(rank)); }

  void run(std::span<Program* const> programs) override {
    SOAPSTONE_ASSERT(programs.size() == ranks_.size(), "{} programs for {} ranks", programs.size(),
                     ranks_.size());
    done_.assign(programs.size(), false);
    std::size_t left = programs.size();
    while (left > 0) {
      const std::uint64_t before = activity();
      bool moved = false;
      for (std::size_t r = 0; r < programs.size(); ++r) {
        if (done_[r] || programs[r]->advance() == Progress::kWaiting) continue;
        done_[r] = moved = true;
        --left;
      }
      if (moved || activity() != before) continue;
      std::string what = "no rank can go on:";
      for (std::size_t r = 0; r < programs.size(); ++r)
        what += fmt::format("\n  rank {}: {}", r, done_[r] ? "is done" : programs[r]->waits_for());
      throw Deadlock(what);
    }
  }

  std::vector<std::string> gather(const std::string& part) override { return {part}; }
  std::string broadcast(const std::string& text) override { return text; }
  void announce_failure(const std::string&) noexcept override {}

 private:
  std::uint64_t activity() const {
    std::uint64_t sum = 0;
    for (const auto& e : endpoints_) sum += e->activity();
    return sum;
  }

  Fabric fabric_;
  std::vector<int> ranks_;
  std::vector<std::unique_ptr<LocalEndpoint>> endpoints_;
  std::vector<bool> done_;  // of a run: kept, so that a step allocates nothing
};

}  // namespace

std::unique_ptr<Communicator> make_local_communicator(int ranks) {
  return std::make_unique<LocalCommunicator>(ranks);
}

}  // namespace soapstone::runtime
