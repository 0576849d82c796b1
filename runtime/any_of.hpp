// Whether any of several ranks says yes, known to all of them.
#pragma once

#include <cstdint>

#include "runtime/comm/communicator.hpp"

namespace soapstone::runtime {

// In round r a rank tells the rank 2^r further what it has heard so far, and hears from the one 2^r
// before it: after ⌈log2 ranks⌉ rounds every rank has heard of every other. The messages are of one
// byte and under way beside those of the step; one of many ranks waits for nothing but their way.
// Source: the dissemination barrier of Hensgen, Finkel & Manber 1988.
class AnyOf {
 public:
  AnyOf(Endpoint& endpoint, int ranks, int tag) : endpoint_(endpoint), ranks_(ranks), tag_(tag) {}

  // This rank's word. The one before must be answered.
  void say(bool yes) {
    answer_ = yes ? 1 : 0;
    distance_ = 1;
    post();
  }
  // Goes on as far as messages have come; whether the answer is known.
  bool advance() {
    while (!is_known()) {
      const bool heard = endpoint_.test(receive_), told = endpoint_.test(send_);
      if (!heard || !told) return false;
      answer_ |= heard_;
      distance_ *= 2;
      post();
    }
    return true;
  }
  bool is_known() const { return distance_ >= ranks_; }
  bool answer() const { return answer_ != 0; }

 private:
  void post() {
    if (is_known()) return;
    const int own = endpoint_.rank();
    told_ = answer_;
    receive_ =
        endpoint_.receive((own - distance_ + ranks_) % ranks_, tag_, &heard_, core::Bytes(1));
    send_ = endpoint_.send((own + distance_) % ranks_, tag_, &told_, core::Bytes(1));
  }

  Endpoint& endpoint_;
  int ranks_, tag_;
  int distance_ = 1;
  std::uint8_t answer_ = 0, heard_ = 0, told_ = 0;
  Request receive_, send_;
};

}  // namespace soapstone::runtime
