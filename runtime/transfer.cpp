#include "runtime/transfer.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <numeric>

#include "core/assert.hpp"
#include "kernels/box_copy.hpp"

namespace soapstone::runtime {

using core::Pattern;

namespace {

// `count` elements in a row, as a block of one dimension.
kernels::Block flat(void* data, core::DType dtype, std::int64_t count) {
  return {data, dtype, core::Box{core::Interval{0, count}}, {}};
}

}  // namespace

PreparedTransfer::PreparedTransfer(const core::Transfer& t, std::uint32_t member)
    : pattern_(t.pattern),
      dtype_(t.dtype),
      order_(t.order),
      staging_(core::staging_bytes(t, member)) {
  for (const core::TransferMember& m : t.members)
    peers_.push_back(static_cast<int>(m.device.value));
  const core::TransferMember& self = t.members[member];
  std::int64_t offset = 0;
  const auto put = [&](std::vector<Piece>& list, const core::Box& box) {
    list.push_back({box, offset, false});
    offset += core::elements(box);
  };

  if (t.pattern == Pattern::kBoxes) {
    std::map<std::uint32_t, std::vector<const core::Message*>> to, from;
    for (const core::Message& m : t.messages) {
      if (m.src == m.dst || core::is_empty(m.box)) continue;
      if (m.src == member) to[m.dst].push_back(&m);
      if (m.dst == member) from[m.src].push_back(&m);
    }
    for (const auto& [peer, messages] : to) {
      const std::int64_t begin = offset;
      for (const core::Message* m : messages) put(pack_, m->box);
      sends_.push_back({peers_[peer], begin, offset - begin});
    }
    std::map<const core::Message*, std::int64_t> place;
    for (const auto& [peer, messages] : from) {
      const std::int64_t begin = offset;
      for (const core::Message* m : messages) {
        place[m] = offset;
        offset += core::elements(m->box);
      }
      receives_.push_back({peers_[peer], begin, offset - begin});
    }
    std::int64_t covered = 0;
    for (const core::Message& m : t.messages) {
      if (m.dst != member || core::is_empty(m.box)) continue;
      covered += core::elements(m.box);
      const bool own = m.src == member;
      unpack_.push_back({m.box, own ? 0 : place.at(&m), own});
    }
    add_ = t.sum;
    zero_first_ = t.sum || covered < core::elements(self.wanted);
    return;
  }

  const core::Collective collective = core::collective_of(t);
  steps_ = core::make_steps(collective, member);
  tags_ = std::max(1u, core::rounds_of(t.pattern, t.algorithm, collective.members));
  switch (t.pattern) {
    case Pattern::kAllReduce:
    case Pattern::kBroadcast:
      // A root that keeps nothing sends from what it holds (and may get its own values back).
      working_ = core::is_empty(self.wanted) ? Working::kHeld : Working::kWanted;
      break;
    case Pattern::kAllGather:
      for (std::uint32_t k = 0; k < t.members.size(); ++k) {
        put(unpack_, t.members[k].held);
        if (k == member) pack_.push_back(unpack_.back());
      }
      break;
    case Pattern::kReduceScatter:
      for (std::uint32_t k = 0; k < t.members.size(); ++k) {
        put(pack_, t.members[k].wanted);
        if (k == member) unpack_.push_back(pack_.back());
      }
      break;
    case Pattern::kAllToAll:
      for (const core::TransferMember& m : t.members)
        put(pack_, core::intersect(self.held, m.wanted));
      receive_base_ = offset;
      for (const core::TransferMember& m : t.members)
        put(unpack_, core::intersect(m.held, self.wanted));
      own_copy_ = core::own_copy(collective, member);
      break;
    case Pattern::kBoxes:
    case Pattern::kNone:
      break;
  }
  scratch_ = offset;
}

void TransferRun::begin(const PreparedTransfer& transfer, const TransferBuffers& buffers,
                        std::int64_t first_tag) {
  SOAPSTONE_ASSERT(transfer.staging_.value == 0 || buffers.staging != nullptr,
                   "{} bytes of staging are missing", transfer.staging_.value);
  transfer_ = &transfer;
  buffers_ = buffers;
  first_tag_ = first_tag;
  started_ = posted_ = false;
  step_ = 0;
  requests_.clear();
}

char* TransferRun::staging_at(std::int64_t element) const {
  return static_cast<char*>(buffers_.staging) + element * core::size_of(transfer_->dtype_).value;
}

char* TransferRun::at(std::int64_t element) const {
  if (transfer_->working_ == PreparedTransfer::Working::kStaging) return staging_at(element);
  const kernels::Block& block =
      transfer_->working_ == PreparedTransfer::Working::kHeld ? buffers_.held : buffers_.wanted;
  return static_cast<char*>(block.data) + element * core::size_of(transfer_->dtype_).value;
}

void TransferRun::start(Endpoint& endpoint) {
  const PreparedTransfer& t = *transfer_;
  const std::int64_t width = core::size_of(t.dtype_).value;
  const int tag = static_cast<int>(first_tag_);
  if (t.pattern_ == Pattern::kBoxes)
    for (const auto& p : t.receives_)
      requests_.push_back(
          endpoint.receive(p.peer, tag, staging_at(p.offset), core::Bytes(p.count * width)));
  for (const auto& p : t.pack_)
    kernels::copy_box({staging_at(p.offset), t.dtype_, p.box, t.order_}, buffers_.held, p.box);
  if (t.pattern_ == Pattern::kBoxes) {
    for (const auto& p : t.sends_)
      requests_.push_back(
          endpoint.send(p.peer, tag, staging_at(p.offset), core::Bytes(p.count * width)));
    return;
  }
  if (t.working_ == PreparedTransfer::Working::kWanted && buffers_.held.data != nullptr &&
      buffers_.held.data != buffers_.wanted.data)
    kernels::copy_box(buffers_.wanted, buffers_.held, buffers_.wanted.box);
  if (!t.own_copy_.send.empty())
    std::memcpy(staging_at(t.receive_base_ + t.own_copy_.receive.begin),
                staging_at(t.own_copy_.send.begin),
                static_cast<std::size_t>(t.own_copy_.send.extent() * width));
}

void TransferRun::add_received(const core::ScheduleStep& step) {
  const std::int64_t count = step.receive.extent();
  const core::Box all{core::Interval{0, count}};
  kernels::add_box(flat(at(step.receive.begin), transfer_->dtype_, count),
                   flat(staging_at(transfer_->scratch_), transfer_->dtype_, count), all);
}

void TransferRun::finish() {
  const PreparedTransfer& t = *transfer_;
  if (buffers_.wanted.data == nullptr) return;
  if (t.zero_first_) kernels::fill_zero(buffers_.wanted);
  for (const auto& p : t.unpack_) {
    const kernels::Block from =
        p.is_own ? buffers_.held : kernels::Block{staging_at(p.offset), t.dtype_, p.box, t.order_};
    if (t.add_)
      kernels::add_box(buffers_.wanted, from, p.box);
    else
      kernels::copy_box(buffers_.wanted, from, p.box);
  }
}

Progress TransferRun::advance(Endpoint& endpoint) {
  const PreparedTransfer& t = *transfer_;
  if (!started_) {
    start(endpoint);
    started_ = true;
  }
  const auto all_complete = [&] {
    bool all = true;
    for (Request& r : requests_) all = endpoint.test(r) && all;
    return all;
  };
  if (t.pattern_ == Pattern::kBoxes) {
    if (!all_complete()) return Progress::kWaiting;
  } else {
    const std::int64_t width = core::size_of(t.dtype_).value;
    for (; step_ < t.steps_.size(); ++step_) {
      const core::ScheduleStep& s = t.steps_[step_];
      if (!posted_) {
        const int tag = static_cast<int>(first_tag_ + s.round);
        requests_.clear();
        if (s.receive_from.valid()) {
          char* into = s.reduce ? staging_at(t.scratch_) : at(s.receive.begin + t.receive_base_);
          requests_.push_back(endpoint.receive(t.peers_[s.receive_from.value], tag, into,
                                               core::Bytes(s.receive.extent() * width)));
        }
        if (s.send_to.valid())
          requests_.push_back(endpoint.send(t.peers_[s.send_to.value], tag, at(s.send.begin),
                                            core::Bytes(s.send.extent() * width)));
        posted_ = true;
      }
      if (!all_complete()) return Progress::kWaiting;
      if (s.reduce) add_received(s);
      posted_ = false;
    }
  }
  requests_.clear();
  finish();
  transfer_ = nullptr;
  return Progress::kDone;
}

std::string TransferRun::waits_for() const {
  if (transfer_ == nullptr) return {};
  const PreparedTransfer& t = *transfer_;
  std::string out;
  const auto add = [&](const char* what, int peer) {
    out += fmt::format("{}{} rank {}", out.empty() ? "" : ", ", what, peer);
  };
  if (t.pattern_ == Pattern::kBoxes) {
    for (std::size_t k = 0; k < requests_.size(); ++k) {
      if (!requests_[k].pending()) continue;
      if (k < t.receives_.size())
        add("a message from", t.receives_[k].peer);
      else
        add("to be heard by", t.sends_[k - t.receives_.size()].peer);
    }
    return out;
  }
  const core::ScheduleStep& s = t.steps_[step_];
  std::size_t k = 0;
  if (s.receive_from.valid() && requests_[k++].pending())
    add("a message from", t.peers_[s.receive_from.value]);
  if (s.send_to.valid() && requests_[k].pending()) add("to be heard by", t.peers_[s.send_to.value]);
  return fmt::format("round {} of {}: {}", s.round, name_of(t.pattern_), out);
}

}  // namespace soapstone::runtime
