// One member's part in a transfer of a plan, over point-to-point messages in
// the order of core's step schedules.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "core/plan.hpp"
#include "kernels/kernel.hpp"
#include "runtime/comm/communicator.hpp"

namespace soapstone::runtime {

// What the member must do, worked out once: allocates here, never afterwards.
// Peers are ranks; rank = device number.
class PreparedTransfer {
 public:
  PreparedTransfer(const core::Transfer& transfer, std::uint32_t member);

  // Tags that one run takes, counted from its first.
  std::uint32_t tags() const { return tags_; }
  core::Bytes staging() const { return staging_; }
  std::size_t most_requests() const {
    return std::max<std::size_t>(2, sends_.size() + receives_.size());
  }

 private:
  friend class TransferRun;
  // A box of the tensor, packed at an offset (in elements) of the staging buffer.
  struct Piece {
    core::Box box;
    std::int64_t offset = 0;
    bool is_own = false;  // boxes: copied straight from what is held
  };
  struct Parcel {
    int peer = 0;
    std::int64_t offset = 0, count = 0;  // in the staging buffer
  };
  enum class Working : std::uint8_t { kWanted, kHeld, kStaging };

  core::Pattern pattern_;
  core::DType dtype_;
  core::DimOrder order_;
  std::vector<int> peers_;  // rank of every member
  bool add_ = false;        // boxes: what arrives is added
  bool zero_first_ = false;
  std::uint32_t tags_ = 1;
  core::Bytes staging_;
  // Collectives.
  Working working_ = Working::kStaging;
  std::vector<core::ScheduleStep> steps_;
  std::int64_t receive_base_ = 0;  // all-to-all: where the receive buffer begins
  std::int64_t scratch_ = 0;       // where what will be added is received
  core::OwnCopy own_copy_;
  // Before and after: what is packed from `held`, what is unpacked into `wanted`, in this order.
  std::vector<Piece> pack_, unpack_;
  // Boxes.
  std::vector<Parcel> sends_, receives_;
};

struct TransferBuffers {
  kernels::Block held;    // no data: gives nothing
  kernels::Block wanted;  // no data: gets nothing
  void* staging = nullptr;
};

// A run of a prepared transfer that can be put aside whenever it must wait. Many may be under way
// at once: all their tags differ.
class TransferRun {
 public:
  // Room for the requests of any transfer that will be run.
  explicit TransferRun(std::size_t most_requests) { requests_.reserve(most_requests); }

  void begin(const PreparedTransfer& transfer, const TransferBuffers& buffers,
             std::int64_t first_tag);
  Progress advance(Endpoint& endpoint);
  // "round 2 of an all-reduce: a message from rank 1"; empty if it waits for nothing.
  std::string waits_for() const;

 private:
  void start(Endpoint& endpoint);
  void finish();
  void add_received(const core::ScheduleStep& step);
  char* at(std::int64_t element) const;  // of the working buffer
  char* staging_at(std::int64_t element) const;

  const PreparedTransfer* transfer_ = nullptr;
  TransferBuffers buffers_;
  std::int64_t first_tag_ = 0;
  bool started_ = false;
  bool posted_ = false;
  std::size_t step_ = 0;
  std::vector<Request> requests_;  // of the step, or of all parcels: receives first
};

}  // namespace soapstone::runtime
