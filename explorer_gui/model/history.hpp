// Undo and redo: every state that a person's work went through, with what led to it.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "explorer_gui/model/design.hpp"

namespace soapstone::explorer {

class History {
 public:
  // Begins anew, with one state.
  explicit History(Design first = {}, std::string what = "start");

  const Design& now() const { return *steps_[at_].design; }
  std::shared_ptr<const Design> shared() const { return steps_[at_].design; }

  // What was undone is forgotten. A state equal to the present one is no step. A change with the
  // same non-empty key as the last one replaces it (a slider that is dragged is one step).
  void change(std::string what, Design next, std::string key = {});
  // The last change is complete: the next one with its key is a step of its own.
  void settle();

  bool can_undo() const { return at_ > 0; }
  bool can_redo() const { return at_ + 1 < steps_.size(); }
  void undo();
  void redo();
  void go_to(std::size_t step);

  std::size_t size() const { return steps_.size(); }
  std::size_t at() const { return at_; }
  const std::string& what(std::size_t step) const { return steps_[step].what; }
  const Design& design(std::size_t step) const { return *steps_[step].design; }

 private:
  struct Step {
    std::string what;
    std::string key;
    std::shared_ptr<const Design> design;
  };
  std::vector<Step> steps_;
  std::size_t at_ = 0;
};

}  // namespace soapstone::explorer
