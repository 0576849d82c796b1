// Ctrl-C.
#include <csignal>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "tests/cli/program.hpp"

namespace soapstone::cli {
namespace {

class Interrupt : public ProgramTest {};

TEST_F(Interrupt, KeepsTheBestThatASearchHasFound) {
  Running search = start({"search", "mlp", "--cluster", "p100-4x4", "--budget", "1000000000",
                          "--out", "ranked.json", "--json"});
  // There is no sign of life without a terminal: it is given the time to begin.
  for (int i = 0; i < 25; ++i) sleep_a_little();
  search.send(SIGINT);
  const Outcome outcome = search.wait();
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, testing::HasSubstr("stopped early"));
  const auto json = nlohmann::json::parse(read("ranked.json"), nullptr, false);
  ASSERT_TRUE(json.is_object());
  EXPECT_EQ(json, nlohmann::json::parse(outcome.out, nullptr, false));
  EXPECT_EQ(json["cancelled"], true);
  EXPECT_GT(json["proposals"], 0);
  EXPECT_FALSE(json["strategies"].empty());
}

}  // namespace
}  // namespace soapstone::cli
