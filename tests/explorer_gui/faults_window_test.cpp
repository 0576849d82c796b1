// samples/faults/ in the window: what is wrong stands on the first screen, before anything is
// clicked. That it is the right thing, and mended in four actions: faults_test.cpp.
#include <algorithm>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "tests/explorer_gui/display.hpp"
#include "tests/explorer_gui/driven.hpp"
#include "tests/explorer_gui/world.hpp"

namespace soapstone::explorer {
namespace {

struct Shown {
  const char* sample;
  std::string_view title;  // of the first card begins so
};

class FaultsWindow : public testing::TestWithParam<Shown> {};

TEST_P(FaultsWindow, WhatIsWrongStandsOnTheFirstScreen) {
  SOAPSTONE_WINDOW();
  Work work;
  Driven driven(work);
  driven.drive([&](ImGuiTestContext* c) { c->MouseMoveToPos({2, 2}); });
  work->open(std::string("sample:") + GetParam().sample);
  for (int i = 0; i < 3; ++i) driven.settle();
  driven.drive([&](ImGuiTestContext* c) {
    c->SetRef("//Why");
    const ImGuiTestItemInfo card = c->ItemInfo("**/$$0/###card");
    EXPECT_TRUE(std::string_view(card.DebugLabel).starts_with(GetParam().title)) << card.DebugLabel;
    EXPECT_GT(card.RectClipped.GetHeight(), 0);
    // And the text below it.
    EXPECT_LT(card.RectFull.Max.y + 5 * card.RectFull.GetHeight(),
              card.Window->ParentWindow->ClipRect.Max.y);
  });
  driven.picture(std::string("fault-") + GetParam().sample);
}

INSTANTIATE_TEST_SUITE_P(, FaultsWindow,
                         testing::Values(Shown{"slow-link", "communication: all-reduce"},
                                         Shown{"straggler", "straggler: devices 12-15"},
                                         Shown{"unbalanced-stage", "bubble: pipeline"},
                                         Shown{"wrong-bucket", "communication: all-reduce"},
                                         Shown{"bad-placement", "communication: all-reduce"},
                                         Shown{"memory-overflow", "memory: "}),
                         [](const auto& fault) {
                           std::string name = fault.param.sample;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace soapstone::explorer
