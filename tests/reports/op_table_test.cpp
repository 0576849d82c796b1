#include "reports/op_table.hpp"

#include <gmock/gmock.h>

#include "tests/reports/sample.hpp"

namespace soapstone::reports {
namespace {

using namespace core;

const OpRow& row(const std::vector<OpRow>& rows, std::string_view name) {
  for (const OpRow& r : rows)
    if (r.name == name) return r;
  throw std::runtime_error("no row");
}

TEST(OpTable, AddsUpInMentalArithmetic) {
  const auto rows = op_table(measured_sample());
  // Forward, input gradient and weight gradient on two devices; relu is fused into fc1.
  const OpRow& fc2 = row(rows, "fc2");
  EXPECT_EQ(fc2.kind, "linear");
  EXPECT_EQ(fc2.split, "n=2");
  EXPECT_EQ(fc2.devices, "0-1");
  EXPECT_EQ(fc2.predicted.compute, 60_ms);
  EXPECT_EQ(fc2.measured->compute, 48_ms);
  // Weight and bias on both devices.
  EXPECT_EQ(fc2.predicted.update, 4_ms);
  EXPECT_EQ(fc2.measured->update, 4_ms);
  // Two all-reduces of two members, each one message long or two; the measured ones take twice
  // that.
  EXPECT_GT(fc2.predicted.transfer, 0_ns);
  EXPECT_EQ(fc2.measured->transfer, 2 * fc2.predicted.transfer.value * Nanoseconds(1));
  EXPECT_EQ(2 * fc2.longest.value, fc2.predicted.all().value);
  EXPECT_EQ(fc2.source, "measured");  // FakeCosts say so
}

TEST(OpTable, LeavesNoTimeOut) {
  const ReportInput in = measured_sample();
  const auto rows = op_table(in);
  ASSERT_EQ(rows.size(), in.graph.ops().size() + 3);
  Nanoseconds predicted, measured;
  Bytes moved;
  for (const OpRow& r : rows) {
    predicted += r.predicted.all();
    measured += r.measured->all();
    moved += r.moved;
  }
  const auto busy = [](const Trace& t) {
    Nanoseconds sum;
    for (std::size_t i = 0; i < t.spans.size(); ++i)
      sum += t.spans.end[i] - t.spans.start[i] - t.spans.waiting[i];
    return sum;
  };
  EXPECT_EQ(predicted, busy(in.predicted));
  EXPECT_EQ(measured, busy(*in.measured));
  Bytes sent;
  for (std::size_t i = 0; i < in.predicted.spans.size(); ++i)
    if (in.predicted.spans.kind[i] == TaskKind::kTransfer) sent += in.predicted.spans.bytes[i];
  EXPECT_EQ(moved, sent);
  EXPECT_GT(moved, 0_B);
}

TEST(OpTable, CountsTheBuffersOfAnOperator) {
  const auto rows = op_table(sample());
  // fc2 on 64 of 128 samples: weight and bias with one state and one gradient each, its output and
  // that output's gradient. The all-reduces' scratch is its too.
  const std::int64_t weights = (128 * 128 + 128) * 4, values = 64 * 128 * 4;
  EXPECT_GE(row(rows, "fc2").memory, Bytes(3 * weights + 2 * values));
  EXPECT_LE(row(rows, "fc2").memory, Bytes(4 * weights + 2 * values));
  // Half of the images and labels.
  EXPECT_EQ(row(rows, "data").memory, Bytes(64 * 28 * 28 * 4 + 64 * 4));
  EXPECT_TRUE(row(rows, "gradient norm").is_empty());
}

TEST(OpTable, KnowsAnErrorOnlyOfWhatWasMeasured) {
  EXPECT_EQ(relative_error(12_ms, 10_ms), 0.2);
  EXPECT_EQ(relative_error(12_ms, 0_ms), std::nullopt);
  EXPECT_EQ(relative_error(12_ms, std::nullopt), std::nullopt);
  EXPECT_FALSE(op_table(sample())[0].measured);
}

}  // namespace
}  // namespace soapstone::reports
