#include "runtime/comm/mpi.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <thread>

#include <mpi.h>
#include <sched.h>

#include "core/assert.hpp"

namespace soapstone::runtime {

namespace {

using Clock = std::chrono::steady_clock;

// Every MPI call goes through this: an error becomes an exception that says which call it was.
void check(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  if (MPI_Error_string(code, text, &length) != MPI_SUCCESS) length = 0;
  throw CommunicationError(fmt::format("{} failed: {}", call,
                                       length > 0
                                           ? std::string(text, static_cast<std::size_t>(length))
                                           : fmt::format("error {}", code)));
}
#define SOAPSTONE_MPI(call) check((call), #call)

static_assert(sizeof(MPI_Request) <= sizeof(std::uint64_t));
std::uint64_t pack(MPI_Request request) {
  std::uint64_t handle = 0;
  std::memcpy(&handle, &request, sizeof(request));
  return handle;
}
MPI_Request unpack(std::uint64_t handle) {
  MPI_Request request;
  std::memcpy(&request, &handle, sizeof(request));
  return request;
}

int count_of(core::Bytes size) {
  if (size.value > 0x7fffffff)
    throw CommunicationError(
        fmt::format("a message of {} bytes: MPI takes at most {}", size.value, 0x7fffffff));
  return static_cast<int>(size.value);
}

class MpiEndpoint final : public Endpoint {
 public:
  static constexpr int kFailureTag = 1, kHeardTag = 2;

  MpiEndpoint() {
    SOAPSTONE_MPI(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
    for (MPI_Comm* c : {&data_, &control_, &host_}) {
      SOAPSTONE_MPI(MPI_Comm_dup(MPI_COMM_WORLD, c));
      SOAPSTONE_MPI(MPI_Comm_set_errhandler(*c, MPI_ERRORS_RETURN));
    }
    SOAPSTONE_MPI(MPI_Comm_rank(data_, &rank_));
    SOAPSTONE_MPI(MPI_Comm_size(data_, &ranks_));
    void* bound = nullptr;
    int found = 0;
    SOAPSTONE_MPI(MPI_Comm_get_attr(data_, MPI_TAG_UB, &bound, &found));
    largest_tag_ = found ? *static_cast<int*>(bound) : 32767;
    // Ranks of this host beside each other, to know whether they have cores of their own.
    MPI_Comm node = MPI_COMM_NULL;
    SOAPSTONE_MPI(
        MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node));
    int here = 1;
    SOAPSTONE_MPI(MPI_Comm_size(node, &here));
    SOAPSTONE_MPI(MPI_Comm_free(&node));
    crowded_ = here > static_cast<int>(std::thread::hardware_concurrency());
  }

  void free_communicators() {
    for (MPI_Comm* c : {&data_, &control_, &host_}) SOAPSTONE_MPI(MPI_Comm_free(c));
  }

  int rank() const override { return rank_; }
  int ranks() const { return ranks_; }
  int largest_tag() const override { return largest_tag_; }
  MPI_Comm host() const { return host_; }
  MPI_Comm control() const { return control_; }

  // Spins at first, because a message on one host takes about a microsecond.
  void relax(std::uint32_t attempt) override {
    if (attempt % 256 == 255) look_for_failures();
    if (crowded_ || attempt > 2000) sched_yield();
    if (crowded_ && attempt > 20000) std::this_thread::sleep_for(std::chrono::microseconds(50));
  }

  void look_for_failures() {
    int found = 0;
    MPI_Status status;
    SOAPSTONE_MPI(MPI_Iprobe(MPI_ANY_SOURCE, kFailureTag, control_, &found, &status));
    if (!found) return;
    has_failed_ = true;
    throw RankFailure(status.MPI_SOURCE, receive_failure(status));
  }

  // This rank or another: from now on nobody may wait for all.
  bool has_failed() const { return has_failed_; }
  void fail() { has_failed_ = true; }

  // What the failed rank says; answers it, so that it may stop.
  std::string receive_failure(const MPI_Status& status) {
    int length = 0;
    SOAPSTONE_MPI(MPI_Get_count(&status, MPI_CHAR, &length));
    std::string why(static_cast<std::size_t>(length), ' ');
    SOAPSTONE_MPI(MPI_Recv(why.data(), length, MPI_CHAR, status.MPI_SOURCE, kFailureTag, control_,
                           MPI_STATUS_IGNORE));
    SOAPSTONE_MPI(MPI_Send(nullptr, 0, MPI_CHAR, status.MPI_SOURCE, kHeardTag, control_));
    return fmt::format("rank {} stopped: {}", status.MPI_SOURCE, why);
  }

  void wait(MPI_Request& request) {
    for (std::uint32_t attempt = 0;; ++attempt) {
      int done = 0;
      SOAPSTONE_MPI(MPI_Test(&request, &done, MPI_STATUS_IGNORE));
      if (done) return;
      relax(attempt);
    }
  }

 protected:
  std::uint64_t post_receive(int peer, int tag, void* data, core::Bytes size) override {
    MPI_Request request;
    SOAPSTONE_MPI(MPI_Irecv(data, count_of(size), MPI_BYTE, peer, tag, data_, &request));
    return pack(request);
  }
  std::uint64_t post_send(int peer, int tag, const void* data, core::Bytes size) override {
    MPI_Request request;
    SOAPSTONE_MPI(MPI_Isend(data, count_of(size), MPI_BYTE, peer, tag, data_, &request));
    return pack(request);
  }
  bool is_complete(std::uint64_t& handle) override {
    MPI_Request request = unpack(handle);
    int done = 0;
    SOAPSTONE_MPI(MPI_Test(&request, &done, MPI_STATUS_IGNORE));
    handle = pack(request);
    return done != 0;
  }
  // Only when an exception is on its way: the process is about to stop, an error changes nothing.
  void give_up(std::uint64_t handle) noexcept override {
    MPI_Request request = unpack(handle);
    if (MPI_Cancel(&request) == MPI_SUCCESS) (void)MPI_Request_free(&request);
  }

 private:
  MPI_Comm data_ = MPI_COMM_NULL, control_ = MPI_COMM_NULL, host_ = MPI_COMM_NULL;
  int rank_ = 0, ranks_ = 1, largest_tag_ = 32767;
  bool crowded_ = false;
  bool has_failed_ = false;
};

class MpiCommunicator final : public Communicator {
 public:
  explicit MpiCommunicator(bool started_here) : started_here_(started_here) {
    own_ = {endpoint_.rank()};
  }

  // After a failure MPI_Finalize would wait for ranks that never come.
  ~MpiCommunicator() override {
    if (endpoint_.has_failed()) return;
    try {
      endpoint_.free_communicators();
      if (started_here_) SOAPSTONE_MPI(MPI_Finalize());
    } catch (const CommunicationError& error) {
      std::fprintf(stderr, "rank %d: %s\n", own_[0], error.what());
    }
  }

  std::string_view backend() const override { return "mpi"; }
  int ranks() const override { return endpoint_.ranks(); }
  int processes() const override { return endpoint_.ranks(); }
  int process() const override { return endpoint_.rank(); }
  std::span<const int> own_ranks() const override { return own_; }
  Endpoint& endpoint(int rank) override {
    SOAPSTONE_ASSERT(rank == own_[0], "rank {} is not of this process, which runs {}", rank,
                     own_[0]);
    return endpoint_;
  }

  void run(std::span<Program* const> programs) override {
    SOAPSTONE_ASSERT(programs.size() == 1, "{} programs for one rank", programs.size());
    std::uint32_t attempt = 0;
    std::uint64_t seen = endpoint_.activity();
    while (programs[0]->advance() == Progress::kWaiting) {
      if (endpoint_.activity() != seen) {
        seen = endpoint_.activity();
        attempt = 0;
      }
      endpoint_.relax(attempt++);
    }
  }

  std::vector<std::string> gather(const std::string& part) override {
    if (process() != 0) {
      send_text(0, part);
      return {};
    }
    std::vector<std::string> parts{part};
    for (int p = 1; p < processes(); ++p) parts.push_back(receive_text(p));
    return parts;
  }

  std::string broadcast(const std::string& text) override {
    if (process() != 0) return receive_text(0);
    for (int p = 1; p < processes(); ++p) send_text(p, text);
    return text;
  }

  void announce_failure(const std::string& why) noexcept override {
    endpoint_.fail();
    try {
      const MPI_Comm control = endpoint_.control();
      std::vector<MPI_Request> sends;
      std::vector<bool> knows(static_cast<std::size_t>(ranks()), false);
      knows[static_cast<std::size_t>(own_[0])] = true;
      for (int r = 0; r < ranks(); ++r) {
        if (r == own_[0]) continue;
        sends.emplace_back();
        SOAPSTONE_MPI(MPI_Isend(why.data(),
                                static_cast<int>(std::min<std::size_t>(why.size(), 2000)), MPI_CHAR,
                                r, MpiEndpoint::kFailureTag, control, &sends.back()));
      }
      const auto end = Clock::now() + std::chrono::seconds(4);
      while (Clock::now() < end && std::find(knows.begin(), knows.end(), false) != knows.end()) {
        int found = 0;
        MPI_Status status;
        SOAPSTONE_MPI(MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, control, &found, &status));
        if (!found) {
          sched_yield();
          continue;
        }
        knows[static_cast<std::size_t>(status.MPI_SOURCE)] = true;  // it heard, or failed itself
        if (status.MPI_TAG == MpiEndpoint::kFailureTag)
          (void)endpoint_.receive_failure(status);
        else
          SOAPSTONE_MPI(MPI_Recv(nullptr, 0, MPI_CHAR, status.MPI_SOURCE, MpiEndpoint::kHeardTag,
                                 control, MPI_STATUS_IGNORE));
      }
    } catch (const std::exception& error) {
      std::fprintf(stderr, "rank %d: the others could not be told: %s\n", own_[0], error.what());
    }
  }

 private:
  static constexpr int kLengthTag = 0, kTextTag = 1;

  void send_text(int peer, const std::string& text) {
    std::int64_t length = static_cast<std::int64_t>(text.size());
    MPI_Request request;
    SOAPSTONE_MPI(MPI_Isend(&length, 1, MPI_INT64_T, peer, kLengthTag, endpoint_.host(), &request));
    endpoint_.wait(request);
    for (std::size_t at = 0; at < text.size(); at += kPiece) {
      const auto count = static_cast<int>(std::min(kPiece, text.size() - at));
      SOAPSTONE_MPI(
          MPI_Isend(text.data() + at, count, MPI_CHAR, peer, kTextTag, endpoint_.host(), &request));
      endpoint_.wait(request);
    }
  }

  std::string receive_text(int peer) {
    std::int64_t length = 0;
    MPI_Request request;
    SOAPSTONE_MPI(MPI_Irecv(&length, 1, MPI_INT64_T, peer, kLengthTag, endpoint_.host(), &request));
    endpoint_.wait(request);
    std::string text(static_cast<std::size_t>(length), ' ');
    for (std::size_t at = 0; at < text.size(); at += kPiece) {
      const auto count = static_cast<int>(std::min(kPiece, text.size() - at));
      SOAPSTONE_MPI(
          MPI_Irecv(text.data() + at, count, MPI_CHAR, peer, kTextTag, endpoint_.host(), &request));
      endpoint_.wait(request);
    }
    return text;
  }

  static constexpr std::size_t kPiece = std::size_t{1} << 28;
  MpiEndpoint endpoint_;
  std::vector<int> own_;
  bool started_here_;
};

}  // namespace

core::Result<std::unique_ptr<Communicator>> make_mpi_communicator(int ranks) {
  int is_initialized = 0, is_finalized = 0;
  SOAPSTONE_MPI(MPI_Initialized(&is_initialized));
  SOAPSTONE_MPI(MPI_Finalized(&is_finalized));
  if (is_finalized)
    return core::refuse("MPI was finalized in this process and cannot be started again");
  if (!is_initialized) {
    int level = 0;
    SOAPSTONE_MPI(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &level));
    SOAPSTONE_ASSERT(level >= MPI_THREAD_FUNNELED, "this MPI allows no other threads (level {})",
                     level);
  }
  auto made = std::make_unique<MpiCommunicator>(!is_initialized);
  if (ranks > 0 && made->ranks() != ranks) {
    const int started = made->ranks();
    return core::usage_error(
        "{} ranks were asked for, but mpirun started {}; accepted: {}, or none given", ranks,
        started, started);
  }
  return made;
}

}  // namespace soapstone::runtime
