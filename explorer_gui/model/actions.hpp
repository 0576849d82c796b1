// Everything that can be done, by name: menus, shortcuts and the command palette are made of it.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace soapstone::explorer {

struct Action {
  std::string id;        // "edit.undo"; before the first dot: its menu
  std::string title;     // "Undo"
  std::string shortcut;  // "Ctrl+Z", or empty
  std::string tip;       // what it does, as a sentence
  std::function<void()> run;
  std::function<std::string()> why_not;  // empty, or gives empty: it can be done now

  std::string refusal() const { return why_not ? why_not() : std::string(); }
};

// A key or a gesture of a part of the window, and what it does.
struct KeyHelp {
  std::string keys;  // "W, wheel up"
  std::string what;  // "come nearer"
};

// Whether the key of a shortcut is F1 to F12, which no text takes.
bool is_function_key(std::string_view shortcut);

class Actions {
 public:
  // The id and the shortcut are new.
  void add(Action action);
  const Action* find(std::string_view id) const;
  std::span<const Action> all() const { return actions_; }
  // Runs it if it can be done; otherwise gives the reason.
  std::string run(std::string_view id) const;
  // Those whose title or id have the letters of `text` in their order, the best fitting first:
  // whole words before beginnings of words before letters that lie apart.
  std::vector<const Action*> matching(std::string_view text) const;

 private:
  std::vector<Action> actions_;
};

// How well `text` fits into `name`, by its letters in their order; below 0: not at all.
int fit(std::string_view name, std::string_view text);

}  // namespace soapstone::explorer
