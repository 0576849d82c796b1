#include "explorer_gui/model/examples.hpp"

#include <gtest/gtest.h>

#include "tests/explorer_gui/world.hpp"

namespace soapstone::explorer {
namespace {

TEST(Examples, OpenWithAllTheirStrategiesAndNothingToComplainAbout) {
  for (const Example& example : examples()) {
    SCOPED_TRACE(std::string(example.title));
    Work w;
    w->begin(example.beginning);
    w->finish_jobs();
    EXPECT_EQ(w->design().strategies.size(), example.beginning.strategies.size());
    for (const NamedStrategy& s : w->design().strategies) {
      w->show(s.id);
      w->finish_jobs();
      ASSERT_NE(w->shown(), nullptr) << s.name;
      EXPECT_GT(w->shown()->step_time.value, 0) << s.name;
    }
    for (const Message& m : w->messages()) EXPECT_EQ(m.kind, Message::Kind::kNote) << m.text;
  }
}

}  // namespace
}  // namespace soapstone::explorer
