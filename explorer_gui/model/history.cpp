#include "explorer_gui/model/history.hpp"

#include <utility>

#include "core/assert.hpp"

namespace soapstone::explorer {

History::History(Design first, std::string what) {
  steps_.push_back({std::move(what), {}, std::make_shared<const Design>(std::move(first))});
}

void History::change(std::string what, Design next, std::string key) {
  if (next == now()) return;
  steps_.resize(at_ + 1);
  auto design = std::make_shared<const Design>(std::move(next));
  if (at_ > 0 && !key.empty() && steps_[at_].key == key) {
    // Dragged back to where it began: there was no step.
    if (*design == *steps_[at_ - 1].design) {
      steps_.pop_back();
      --at_;
    } else {
      steps_[at_] = {std::move(what), std::move(key), std::move(design)};
    }
    return;
  }
  steps_.push_back({std::move(what), std::move(key), std::move(design)});
  ++at_;
}

void History::settle() { steps_[at_].key.clear(); }

void History::undo() {
  if (!can_undo()) return;
  settle();
  --at_;
}

void History::redo() {
  if (can_redo()) ++at_;
}

void History::go_to(std::size_t step) {
  SOAPSTONE_ASSERT(step < steps_.size(), "step {} of {}", step, steps_.size());
  settle();
  at_ = step;
}

}  // namespace soapstone::explorer
