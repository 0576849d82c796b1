#include "reports/csv.hpp"

#include <gmock/gmock.h>

#include "tests/reports/sample.hpp"

namespace soapstone::reports {
namespace {

using namespace core;
using testing::HasSubstr;
using testing::StartsWith;

TEST(Csv, QuotesWhatNeedsIt) {
  EXPECT_EQ(csv_cell("plain text"), "plain text");
  EXPECT_EQ(csv_cell(""), "");
  EXPECT_EQ(csv_cell("0,2"), "\"0,2\"");
  EXPECT_EQ(csv_cell("a \"b\""), "\"a \"\"b\"\"\"");
  EXPECT_EQ(csv_cell("two\nlines"), "\"two\nlines\"");
  EXPECT_EQ(csv_cell("\r"), "\"\r\"");
}

TEST(Csv, HasALinePerOperator) {
  const OpRow row{.name = "fc,1",
                  .kind = "linear",
                  .split = "n=2",
                  .devices = "0,2",
                  .predicted = {30_ns, 10_ns, 0_ns},
                  .measured = WorkTimes{20_ns, 20_ns, 0_ns},
                  .longest = 20_ns,
                  .moved = 64_B,
                  .memory = 128_B,
                  .source = "roofline"};
  OpRow predicted = row;
  predicted.measured.reset();
  OpRow empty;
  empty.name = "empty";
  const OpRow rows[] = {row, predicted, empty};
  EXPECT_EQ(ops_csv(rows),
            "operator,kind,split,devices,predicted_compute_ns,measured_compute_ns,compute_error,"
            "predicted_transfer_ns,measured_transfer_ns,transfer_error,predicted_update_ns,"
            "measured_update_ns,update_error,moved_bytes,memory_bytes,cost_source\n"
            "\"fc,1\",linear,n=2,\"0,2\",30,20,0.5,10,20,-0.5,0,0,,64,128,roofline\n"
            "\"fc,1\",linear,n=2,\"0,2\",30,,,10,,,0,,,64,128,roofline\n");
}

TEST(Csv, HasALinePerStrategy) {
  const ReportInput in = sample();
  const auto rows = strategy_table(in.graph, ranked_sample(in), in.strategy);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_TRUE(rows[0].is_shown);
  EXPECT_FALSE(rows[1].is_shown);
  const std::string text = strategies_csv(rows);
  EXPECT_THAT(text, StartsWith("rank,step_time_ns,samples_per_second,peak_memory_bytes,origin,"
                               "feasible,why_not,strategy\n"
                               "1,5000000,25600,3145728,data-parallel,yes,,"));
  EXPECT_THAT(text, HasSubstr("\n2,6000000,21333.3,4194304,single,no,\"needs 4 MiB, \"\"toy\"\" "
                              "has 3\",flatten…loss on 0\n"));
}

}  // namespace
}  // namespace soapstone::reports
