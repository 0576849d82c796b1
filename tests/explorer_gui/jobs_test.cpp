#include "explorer_gui/model/jobs.hpp"

#include <future>
#include <stdexcept>

#include <gtest/gtest.h>

namespace soapstone::explorer {
namespace {

TEST(Jobs, ResultsComeBackToTheThreadThatPolls) {
  Jobs jobs;
  const auto here = std::this_thread::get_id();
  std::thread::id worked, finished;
  jobs.start("work", [&](JobContext&) -> Jobs::Finish {
    worked = std::this_thread::get_id();
    return [&] { finished = std::this_thread::get_id(); };
  });
  jobs.finish();
  EXPECT_NE(worked, here);
  EXPECT_EQ(finished, here);
  EXPECT_TRUE(jobs.running().empty());
}

TEST(Jobs, OneWithTheKeyOfAnotherTakesItsPlace) {
  Jobs jobs(1);
  std::promise<void> go;
  const std::shared_future<void> gone = go.get_future().share();
  int last = 0;
  const auto set = [&](int value) {
    return [&last, gone, value](JobContext&) -> Jobs::Finish {
      gone.wait();
      return [&last, value] { last = value; };
    };
  };
  jobs.start("first", set(1), "same");
  jobs.start("second", set(2), "same");
  jobs.start("third", set(3), "same");
  go.set_value();
  jobs.finish();
  EXPECT_EQ(last, 3);
}

TEST(Jobs, ACancelledJobIsToldAndItsResultIsNotTaken) {
  Jobs jobs;
  std::promise<void> began;
  bool taken = false;
  const auto id = jobs.start("long", [&](JobContext& context) -> Jobs::Finish {
    began.set_value();
    while (context.wanted()) std::this_thread::yield();
    return [&] { taken = true; };
  });
  began.get_future().wait();
  jobs.cancel(id);
  jobs.finish();
  EXPECT_FALSE(taken);
}

TEST(Jobs, APausedJobWaitsUntilItIsResumed) {
  Jobs jobs;
  std::promise<void> began, may_ask;
  std::atomic<bool> passed = false;
  const auto id = jobs.start("pausing", [&](JobContext& context) -> Jobs::Finish {
    began.set_value();
    may_ask.get_future().wait();
    context.wanted();
    passed = true;
    return {};
  });
  began.get_future().wait();
  jobs.pause(id, true);
  may_ask.set_value();
  ASSERT_EQ(jobs.running().size(), 1u);
  EXPECT_TRUE(jobs.running()[0].paused);
  EXPECT_FALSE(passed);
  jobs.pause(id, false);
  jobs.finish();
  EXPECT_TRUE(passed);
}

TEST(Jobs, WhatAJobThrowsIsToldOnce) {
  Jobs jobs;
  jobs.start("bad", [](JobContext&) -> Jobs::Finish { throw std::runtime_error("broken"); });
  jobs.finish();
  EXPECT_EQ(jobs.take_failures(), std::vector<std::string>{"bad: broken"});
  EXPECT_TRUE(jobs.take_failures().empty());
}

}  // namespace
}  // namespace soapstone::explorer
