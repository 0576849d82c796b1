#include "importers/open_trace.hpp"

#include <filesystem>

#include <gtest/gtest.h>
#include <unistd.h>

#include "core/file.hpp"
#include "core/trace_file.hpp"

namespace soapstone::importers {
namespace {

using namespace core;

constexpr std::string_view kOneSpan =
    R"([{"ph":"X","cat":"cpu_op","name":"a","pid":1,"tid":1,"ts":1,"dur":2}])";

class OpenTrace : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "soapstone-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string file(const std::string& name, std::string_view text) {
    EXPECT_TRUE(write_file_atomically(folder_ / name, text));
    return (folder_ / name).string();
  }
  std::filesystem::path folder_;
};

TEST_F(OpenTrace, TakesAFileAFolderOrSeveralNames) {
  const std::string one = file("run_rank1.json", kOneSpan), zero = file("run_rank0.json", kOneSpan);
  file("notes.txt", "not read");
  EXPECT_EQ(open_trace(one, nullptr)->trace.lanes.size(), 1u);
  for (const std::string& what : {folder_.string(), one + "," + zero}) {
    const auto opened = open_trace(what, nullptr);
    ASSERT_TRUE(opened) << opened.error().message;
    EXPECT_TRUE(opened->is_foreign);
    EXPECT_EQ(opened->trace.lanes[1].device, DeviceId(1));
    EXPECT_EQ(opened->notes.size(), 2u);  // the step, the clocks
  }
}

TEST_F(OpenTrace, LeavesOutWhatIsNoTraceInAFolder) {
  file("rank0.json", kOneSpan);
  file("strategy.json", "{\"format\": \"soapstone.strategy/1\"}");
  const auto opened = open_trace(folder_.string(), nullptr);
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(opened->notes.back(),
            fmt::format("1 files of {} are no Chrome traces and left out", folder_.string()));
}

TEST_F(OpenTrace, OpensSoapstonesOwn) {
  Trace t;
  t.graph = "traceEvents";
  ASSERT_TRUE(save_trace(folder_ / "own.trace", t));
  ASSERT_TRUE(save_trace(folder_ / "own.json", t));
  for (const char* name : {"own.trace", "own.json"}) {
    const auto opened = open_trace((folder_ / name).string(), nullptr);
    ASSERT_TRUE(opened) << opened.error().message;
    EXPECT_FALSE(opened->is_foreign);
    EXPECT_EQ(opened->trace, t);
    EXPECT_TRUE(opened->notes.empty());
  }
}

TEST_F(OpenTrace, SaysWhatIsMissing) {
  const auto error = [](const std::string& what) {
    const auto opened = open_trace(what, nullptr);
    return opened ? std::string("none") : opened.error().message;
  };
  EXPECT_EQ(error(folder_.string()),
            folder_.string() +
                ": the folder has no file that ends in .json; Chrome traces, one per rank, are "
                "accepted");
  const std::string other = file("other.json", "{}");
  EXPECT_EQ(error(folder_.string()),
            folder_.string() +
                ": none of 1 files is a Chrome trace; a JSON object with `traceEvents`, or an "
                "array of events, is accepted");
  EXPECT_TRUE(error(other).starts_with(other)) << error(other);
  EXPECT_NE(error("/none.json").find("/none.json"), std::string::npos);
}

}  // namespace
}  // namespace soapstone::importers
