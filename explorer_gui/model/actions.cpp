#include "explorer_gui/model/actions.hpp"

#include <algorithm>
#include <cctype>
#include <utility>

#include "core/assert.hpp"

namespace soapstone::explorer {

namespace {

char lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }
bool letter(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }

}  // namespace

bool is_function_key(std::string_view shortcut) {
  const std::string_view key = shortcut.substr(shortcut.rfind('+') + 1);
  if (key.size() < 2 || key.size() > 3 || key[0] != 'F' || key[1] == '0') return false;
  int number = 0;
  for (const char digit : key.substr(1)) {
    if (digit < '0' || digit > '9') return false;
    number = 10 * number + (digit - '0');
  }
  return number <= 12;
}

void Actions::add(Action action) {
  for (const Action& other : actions_) {
    SOAPSTONE_ASSERT(other.id != action.id, "action {}", action.id);
    SOAPSTONE_ASSERT(action.shortcut.empty() || other.shortcut != action.shortcut,
                     "{} of {} and {}", action.shortcut, other.id, action.id);
  }
  actions_.push_back(std::move(action));
}

const Action* Actions::find(std::string_view id) const {
  const auto it =
      std::find_if(actions_.begin(), actions_.end(), [&](const Action& a) { return a.id == id; });
  return it == actions_.end() ? nullptr : &*it;
}

std::string Actions::run(std::string_view id) const {
  const Action* action = find(id);
  SOAPSTONE_ASSERT(action != nullptr, "no action {}", id);
  std::string refusal = action->refusal();
  if (refusal.empty()) action->run();
  return refusal;
}

int fit(std::string_view name, std::string_view text) {
  int score = 0;
  std::size_t at = 0;
  bool adjacent = false;
  for (const char c : text) {
    if (c == ' ') {
      adjacent = false;
      continue;
    }
    std::size_t i = at;
    // The beginning of a word is preferred to a letter in the midst of one.
    std::size_t found = std::string_view::npos;
    if (adjacent && i < name.size() && lower(name[i]) == lower(c)) found = i;
    for (; found == std::string_view::npos && i < name.size(); ++i)
      if (lower(name[i]) == lower(c) && (i == 0 || !letter(name[i - 1]))) found = i;
    for (i = at; found == std::string_view::npos && i < name.size(); ++i)
      if (lower(name[i]) == lower(c)) found = i;
    if (found == std::string_view::npos) return -1;
    const bool begins = found == 0 || !letter(name[found - 1]);
    score += adjacent && found == at ? 4 : begins ? 3 : 1;
    at = found + 1;
    adjacent = true;
  }
  return score;
}

std::vector<const Action*> Actions::matching(std::string_view text) const {
  std::vector<std::pair<int, const Action*>> found;
  for (const Action& a : actions_) {
    const int score = std::max(fit(a.title, text) * 2, fit(a.id, text));
    if (score >= 0) found.emplace_back(score, &a);
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<const Action*> out;
  for (const auto& [ignored, action] : found) out.push_back(action);
  return out;
}

}  // namespace soapstone::explorer
