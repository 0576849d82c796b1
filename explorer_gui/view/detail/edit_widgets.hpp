// What the panels that change strategies share.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "explorer_gui/model/edits.hpp"
#include "explorer_gui/model/inspection.hpp"
#include "explorer_gui/view/panel.hpp"

namespace soapstone::explorer::view {

// The ground of the design, made anew when model, cluster or optimizer change.
class KeptGround {
 public:
  void refresh(const Design& design);
  const Ground& operator*() const { return *ground_; }
  std::uint64_t made() const { return made_; }  // grows with every one

 private:
  std::optional<Ground> ground_;
  std::uint64_t made_ = 0;
};

// What the last edit changed; worked out beside the window.
class ChangeView {
 public:
  void refresh(Session& session);
  // None: there was no edit, or it is still simulated.
  const Change* get() const { return change_.get(); }
  bool waiting() const { return waiting_; }

 private:
  std::shared_ptr<const Evaluation> before_, after_;
  std::shared_ptr<const Change> change_;
  bool waiting_ = false;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

// "1.23 ms → 1.10 ms (-10.6 %)", memory, and in the tooltip what became slower and faster.
void change_line(Ui& ui, const ChangeView& changes);
// Operators that became slower and faster, as a table; a click selects one.
void change_table(Ui& ui, const Change& change);

// A list of numbers, those that cannot be are grey and say why; nothing: nothing was chosen.
// `names`: instead of numbers.
std::optional<std::int32_t> choice_box(const char* id, std::optional<std::int32_t> now,
                                       const std::vector<DegreeChoice>& choices,
                                       const std::map<std::int32_t, std::string>& names);
// The same with a step down and a step up beside it: "##degree n", "-##n", "+##n".
std::optional<std::int32_t> degree_box(Ui& ui, const std::string& name,
                                       std::optional<std::int32_t> now,
                                       const std::vector<DegreeChoice>& choices);
// On, off, or some of both.
std::optional<bool> switch_box(const char* text, std::optional<bool> now,
                               const std::string& why_not);

}  // namespace soapstone::explorer::view
