#include "explorer_gui/model/history.hpp"

#include <gtest/gtest.h>

namespace soapstone::explorer {
namespace {

Design with_batch(std::int64_t batch) {
  Design d;
  d.model.batch = batch;
  return d;
}

TEST(History, UndoGoesBackToTheVeryBeginningAndRedoForth) {
  History h(with_batch(1));
  h.change("two", with_batch(2));
  h.change("three", with_batch(3));
  h.undo();
  EXPECT_EQ(h.now().model.batch, 2);
  h.undo();
  EXPECT_EQ(h.now(), with_batch(1));
  EXPECT_FALSE(h.can_undo());
  h.undo();  // nothing
  h.redo();
  h.redo();
  EXPECT_EQ(h.now().model.batch, 3);
  EXPECT_FALSE(h.can_redo());
}

TEST(History, AChangeForgetsWhatWasUndone) {
  History h(with_batch(1));
  h.change("two", with_batch(2));
  h.undo();
  h.change("five", with_batch(5));
  EXPECT_FALSE(h.can_redo());
  EXPECT_EQ(h.size(), 2u);
  EXPECT_EQ(h.what(1), "five");
}

TEST(History, WhatChangesNothingIsNoStep) {
  History h(with_batch(1));
  h.change("the same", with_batch(1));
  EXPECT_EQ(h.size(), 1u);
}

TEST(History, ADragIsOneStepAndOneBackToItsBeginningIsNone) {
  History h(with_batch(1));
  h.change("drag", with_batch(2), "batch");
  h.change("drag", with_batch(3), "batch");
  EXPECT_EQ(h.size(), 2u);
  EXPECT_EQ(h.now().model.batch, 3);
  h.change("drag", with_batch(1), "batch");
  EXPECT_EQ(h.size(), 1u);
  h.change("drag", with_batch(4), "batch");
  h.settle();
  h.change("drag", with_batch(5), "batch");
  EXPECT_EQ(h.size(), 3u) << "after the button was let go, another drag begins";
}

}  // namespace
}  // namespace soapstone::explorer
