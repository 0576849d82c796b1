#include "explorer_gui/model/actions.hpp"

#include <gtest/gtest.h>

#include "core/assert.hpp"

namespace soapstone::explorer {
namespace {

Action named(std::string id, std::string title, std::string shortcut = {}) {
  return {std::move(id), std::move(title), std::move(shortcut), "", [] {}, {}};
}

TEST(Actions, RunsWhatCanBeDoneAndSaysWhyNotOtherwise) {
  Actions actions;
  int runs = 0;
  bool allowed = false;
  Action undo = named("edit.undo", "Undo");
  undo.run = [&] { ++runs; };
  undo.why_not = [&] { return allowed ? std::string() : std::string("There is nothing to undo."); };
  actions.add(undo);
  EXPECT_EQ(actions.run("edit.undo"), "There is nothing to undo.");
  EXPECT_EQ(runs, 0);
  allowed = true;
  EXPECT_EQ(actions.run("edit.undo"), "");
  EXPECT_EQ(runs, 1);
}

TEST(Actions, FunctionKeysAreF1ToF12AlsoBesideOthers) {
  for (const char* key : {"F1", "F9", "F12", "Shift+F5", "Ctrl+Shift+F10"})
    EXPECT_TRUE(is_function_key(key)) << key;
  for (const char* key : {"F", "F0", "F13", "F1x", "Ctrl+F", "Find", "F01", "F1+A", ""})
    EXPECT_FALSE(is_function_key(key)) << key;
}

TEST(Actions, TwoOfOneShortcutAreABrokenInvariant) {
  Actions actions;
  actions.add(named("a.one", "One", "Ctrl+P"));
  EXPECT_THROW(actions.add(named("a.two", "Two", "Ctrl+P")), core::InvariantError);
  EXPECT_THROW(actions.add(named("a.one", "Three")), core::InvariantError);
}

TEST(Actions, ThePaletteFindsByLettersInTheirOrderBestFirst) {
  Actions actions;
  actions.add(named("file.save_strategy", "Save the strategy"));
  actions.add(named("search.stop", "Stop the search"));
  actions.add(named("search.start", "Search"));
  const auto found = actions.matching("sea");
  ASSERT_GE(found.size(), 2u);
  EXPECT_EQ(found[0]->id, "search.start");
  const auto initials = actions.matching("sts");
  ASSERT_FALSE(initials.empty());
  EXPECT_EQ(initials[0]->title, "Stop the search") << "s(top) t(he) s(earch)";
  EXPECT_TRUE(actions.matching("xyz").empty());
  EXPECT_EQ(actions.matching("").size(), 3u);
}

}  // namespace
}  // namespace soapstone::explorer
