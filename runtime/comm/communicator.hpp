// How ranks talk to each other. One rank runs one device's program.
//
// A process runs one rank (`mpi`) or all of them (`local`). What a process does
// as such (bootstrap, reports) stands in Communicator; what a rank's program
// does while it trains stands in Endpoint.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/quantity.hpp"
#include "core/result.hpp"

namespace soapstone::runtime {

// A call of a communication library failed, or the ranks contradict each other.
struct CommunicationError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Another rank stopped; the message names it and says why.
struct RankFailure : CommunicationError {
  RankFailure(int failed_rank, const std::string& what)
      : CommunicationError(what), rank(failed_rank) {}
  int rank;
};

// No rank of the `local` backend can go on; the message says what every one waits for.
struct Deadlock : CommunicationError {
  using CommunicationError::CommunicationError;
};

class Endpoint;

// A message under way. Move-only; given up when destroyed before it is complete.
class Request {
 public:
  Request() = default;
  Request(Request&& other) noexcept
      : owner_(std::exchange(other.owner_, nullptr)), handle_(other.handle_) {}
  Request& operator=(Request&& other) noexcept;
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;
  ~Request();

  bool pending() const { return owner_ != nullptr; }

 private:
  friend class Endpoint;
  Request(Endpoint* owner, std::uint64_t handle) : owner_(owner), handle_(handle) {}
  Endpoint* owner_ = nullptr;
  std::uint64_t handle_ = 0;
};

// One rank's end of all its connections. Nothing here allocates once as many
// messages were under way before. Between two ranks, messages of one tag arrive
// in the order in which they were sent.
class Endpoint {
 public:
  virtual ~Endpoint() = default;

  virtual int rank() const = 0;
  virtual int largest_tag() const = 0;

  // The memory stays untouched, or unread, until the request is complete.
  Request receive(int peer, int tag, void* data, core::Bytes size) {
    ++activity_;
    return {this, post_receive(peer, tag, data, size)};
  }
  Request send(int peer, int tag, const void* data, core::Bytes size) {
    ++activity_;
    return {this, post_send(peer, tag, data, size)};
  }
  // Whether it is complete, and if so forgets it. A request that is not pending is complete.
  bool test(Request& request) {
    if (!request.pending()) return true;
    if (!is_complete(request.handle_)) return false;
    request.owner_ = nullptr;
    ++activity_;
    return true;
  }
  // For one who waits: lets others run, and throws RankFailure where a rank has
  // stopped. `attempt` counts the calls since something happened.
  virtual void relax(std::uint32_t attempt) = 0;

  // Grows whenever a message is posted or found complete.
  std::uint64_t activity() const { return activity_; }

 protected:
  virtual std::uint64_t post_receive(int peer, int tag, void* data, core::Bytes size) = 0;
  virtual std::uint64_t post_send(int peer, int tag, const void* data, core::Bytes size) = 0;
  virtual bool is_complete(std::uint64_t& handle) = 0;
  virtual void give_up(std::uint64_t handle) noexcept = 0;

 private:
  friend class Request;
  std::uint64_t activity_ = 0;
};

inline Request::~Request() {
  if (owner_ != nullptr) owner_->give_up(handle_);
}
inline Request& Request::operator=(Request&& other) noexcept {
  if (this != &other) {
    if (owner_ != nullptr) owner_->give_up(handle_);
    owner_ = std::exchange(other.owner_, nullptr);
    handle_ = other.handle_;
  }
  return *this;
}

enum class Progress : std::uint8_t { kWaiting, kDone };

// What one rank does, in pieces: each runs until it is done or must wait for a message.
class Program {
 public:
  virtual ~Program() = default;
  virtual Progress advance() = 0;
  // One line: what it waits for.
  virtual std::string waits_for() const = 0;
};

// All ranks as one process sees them. Its members are called by every process in the same order.
class Communicator {
 public:
  virtual ~Communicator() = default;

  virtual std::string_view backend() const = 0;
  virtual int ranks() const = 0;
  virtual int processes() const = 0;
  virtual int process() const = 0;
  // The ranks of this process, ascending.
  virtual std::span<const int> own_ranks() const = 0;
  virtual Endpoint& endpoint(int rank) = 0;

  // Runs the programs of this process's ranks (one per own rank, in their order) until all are
  // done.
  virtual void run(std::span<Program* const> programs) = 0;

  // The parts of all processes, by process, on process 0; empty elsewhere.
  virtual std::vector<std::string> gather(const std::string& part) = 0;
  // What process 0 gives.
  virtual std::string broadcast(const std::string& text) = 0;
  // Tells all other processes that this one stops, and why, and waits (briefly) until they know.
  virtual void announce_failure(const std::string& why) noexcept = 0;

  // Built from the above.
  void barrier();
  // Element by element, summed over processes in their order; equal bits everywhere.
  void sum(std::span<double> values);
  // The first failure among all processes, with its rank; the same everywhere.
  core::Status agree(const core::Status& own);
};

// Runs `work`. What it throws becomes an error, of which all other processes are told, so that none
// waits for this one for ever; they fail with an error that names this rank.
core::Status guarded(Communicator& communicator, const std::function<core::Status()>& work);

// "local" or "mpi". `ranks`: how many; 0 with mpi: as many as were started, and
// another number than that is refused.
core::Result<std::unique_ptr<Communicator>> make_communicator(std::string_view backend, int ranks);

}  // namespace soapstone::runtime
