#include <fmt/core.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "explorer_gui/model/remote_backend.hpp"
#include "tests/explorer_gui/world.hpp"

namespace soapstone::explorer {
namespace {

TEST(Serve, LivesOnWhenTheConnectionIsGoneAndKnowsWhatItWasTold) {
  const auto connect = [] {
    return channel_to({SOAPSTONE_PROGRAM, "serve", "--linger", "2", "--name",
                       fmt::format("test-{}", ::getpid())});
  };
  const auto process_of = [](Backend& backend) {
    // What the serving process starts is its child.
    std::string parent;
    const auto code = backend.execute(
        {{}, {"sh", "-c", "echo $PPID"}}, [&](std::string_view line) { parent = line; },
        [] { return true; });
    EXPECT_EQ(code, 0);
    return parent;
  };
  std::string first;
  {
    const auto remote = remote_backend("there", connect);
    ASSERT_TRUE(remote) << remote.error().message;
    EXPECT_FALSE((*remote)->catalogue()->models.empty());
    EXPECT_EQ((*remote)->program(), SOAPSTONE_PROGRAM);
    first = process_of(**remote);
  }
  const auto again = remote_backend("there", connect);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(process_of(**again), first);
}

}  // namespace
}  // namespace soapstone::explorer
