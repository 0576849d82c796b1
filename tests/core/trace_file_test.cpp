#include "core/trace_file.hpp"

#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include "core/document.hpp"
#include "core/file.hpp"

namespace soapstone::core {
namespace {

Trace sample(std::size_t spans = 7) {
  Trace t;
  t.origin = TraceOrigin::kMeasured;
  t.graph = "alex \"net\" ünï";
  t.plan_hash = 0xfedcba9876543210u;
  t.graph_hash = 3;
  t.strategy_hash = 4;
  t.steps = 50;
  t.labels = {"conv1.forward", "conv1.weight gradient all-reduce", ""};
  t.lanes = {{DeviceId(0), LaneKind::kCompute}, {DeviceId(5), LaneKind::kCommunication}};
  for (std::size_t i = 0; i < spans; ++i) {
    const auto n = static_cast<std::int64_t>(i);
    t.spans.lane.push_back(i < spans / 2 ? 0 : 1);
    t.spans.start.emplace_back(10 * n);
    t.spans.end.emplace_back(10 * n + 7);
    t.spans.waiting.emplace_back(n % 3);
    t.spans.task.push_back(static_cast<std::uint32_t>(i));
    t.spans.kind.push_back(i % 2 == 0 ? TaskKind::kCompute : TaskKind::kTransfer);
    t.spans.phase.push_back(Phase::kBackwardInput);
    t.spans.label.push_back(static_cast<std::uint32_t>(i % 3));
    t.spans.bytes.emplace_back(n << 33);
    t.spans.flops.emplace_back(1.5e18 * static_cast<double>(n));
    t.spans.source.push_back(CostSource::kFitted);
  }
  t.step_time = Nanoseconds(10 * static_cast<std::int64_t>(spans));
  t.memory = {
      {DeviceId(0), {Nanoseconds(0), Nanoseconds(5)}, {Bytes(1), Bytes(2)}, Bytes(2), Bytes(4)},
      {}};
  return t;
}

class TraceFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "soapstone-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path folder_;
};

std::string error_of(const Result<Trace>& result) {
  return result ? std::string("none") : result.error().message;
}

TEST_F(TraceFile, BothFormsComeBackEqual) {
  for (const std::size_t spans : {0u, 1u, 7u, 300u}) {
    const Trace t = sample(spans);
    for (const char* name : {"a.trace", "a.json"}) {
      ASSERT_TRUE(save_trace(folder_ / name, t));
      const auto back = load_trace(folder_ / name);
      ASSERT_TRUE(back) << back.error().message;
      EXPECT_EQ(*back, t);
    }
  }
  // What is in a file decides, not its name.
  std::filesystem::rename(folder_ / "a.trace", folder_ / "b.json");
  EXPECT_TRUE(load_trace(folder_ / "b.json"));
  EXPECT_TRUE(is_trace_file(*read_file(folder_ / "b.json")));
  EXPECT_FALSE(is_trace_file(*read_file(folder_ / "a.json")));
  EXPECT_TRUE(is_trace_text(*read_file(folder_ / "a.json")));
}

TEST_F(TraceFile, ABinaryTraceThatIsCutAnywhereIsRefused) {
  const std::string bytes = trace_bytes(sample(40));
  for (std::size_t length = 0; length < bytes.size(); length += length < 200 ? 1 : 100) {
    const auto result = trace_from_bytes(bytes.substr(0, length), "cut.trace");
    ASSERT_FALSE(result) << length;
    EXPECT_TRUE(error_of(result).starts_with("cut.trace")) << error_of(result);
    // The same with a length that agrees: every part says where it ends too early.
    if (length < 20) continue;
    std::string patched = bytes.substr(0, length);
    for (std::size_t i = 0; i < 8; ++i)
      patched[12 + i] = static_cast<char>((length >> (8 * i)) & 0xff);
    const auto deep = trace_from_bytes(patched, "cut.trace");
    ASSERT_FALSE(deep) << length;
    EXPECT_TRUE(error_of(deep).starts_with("cut.trace: at byte ")) << error_of(deep);
  }
}

TEST_F(TraceFile, AByteThatIsWrongIsAnErrorOrAnotherValueButNothingElse) {
  const std::string bytes = trace_bytes(sample(9));
  for (std::size_t at = 0; at < bytes.size(); ++at)
    for (const char wrong : {'\0', '\xff', '\x7f'}) {
      std::string other = bytes;
      other[at] = wrong;
      const auto result = trace_from_bytes(other, "wrong.trace");
      if (!result) {
        EXPECT_TRUE(error_of(result).starts_with("wrong.trace")) << error_of(result);
      }
    }
}

TEST_F(TraceFile, ErrorsSayWhatIsWrongAndWhere) {
  const std::string bytes = trace_bytes(sample());
  EXPECT_EQ(
      error_of(trace_from_bytes(bytes.substr(0, 100), "a.trace")),
      fmt::format("a.trace: the file has 100 bytes, {} were written: it is damaged", bytes.size()));
  std::string newer = bytes;
  newer[8] = 2;
  EXPECT_EQ(error_of(trace_from_bytes(newer, "a.trace")),
            "a.trace: this is version 2 of a binary trace, written by a newer Soapstone; this one "
            "reads version 1");
  std::string origin = bytes;
  origin[20] = 9;
  EXPECT_EQ(error_of(trace_from_bytes(origin, "a.trace")),
            "a.trace: at byte 20: origin is 9; accepted: 0 to 1");
  EXPECT_EQ(error_of(trace_from_bytes("\x89STR", "a.trace")),
            "a.trace: the file has 4 bytes: no more than the beginning of a binary trace");
  std::string renamed = bytes;
  renamed.replace(renamed.find("waiting"), 7, "Waiting");
  EXPECT_NE(error_of(trace_from_bytes(renamed, "a.trace"))
                .find("the column of spans is `\"Waiting\"`, wanted is `waiting`"),
            std::string::npos)
      << error_of(trace_from_bytes(renamed, "a.trace"));
  EXPECT_EQ(error_of(trace_from_bytes("\x7f"
                                      "ELF\x01",
                                      "a.trace"))
                .substr(0, 7),
            "a.trace");
  // What is not a trace's is said as for every document.
  EXPECT_EQ(error_of(trace_from_bytes("{\"format\": \"soapstone.plan/3\"}", "p.json")),
            "p.json: this is a soapstone.plan document, a soapstone.trace document is wanted");
}

TEST_F(TraceFile, SpansThatOverlapAreRefusedInBothForms) {
  Trace t = sample();
  t.spans.end[0] = Nanoseconds(15);
  EXPECT_EQ(error_of(trace_from_bytes(trace_bytes(t), "a.trace")),
            "a.trace: span 1: starts at 10 ns before span 0 of its lane ends at 15 ns");
  EXPECT_EQ(error_of(trace_from_bytes(*document_text(t), "a.json")),
            "a.json: span 1: starts at 10 ns before span 0 of its lane ends at 15 ns");
  t = sample();
  t.memory[0].value.pop_back();
  EXPECT_EQ(error_of(trace_from_bytes(*document_text(t), "a.json")),
            "a.json: memory 0: 2 times, 1 values");
}

// The fast reader of JSON and the general one agree on every text.
TEST_F(TraceFile, JsonIsReadAsEveryDocumentIs) {
  const std::string text = *document_text(sample());
  const auto agree = [](const std::string& changed) {
    const auto fast = trace_from_bytes(changed, "a.json");
    const auto general = document_from_text<Trace>(changed, "a.json");
    if (general && check(*general)) {
      ASSERT_TRUE(fast) << fast.error().message;
      EXPECT_EQ(*fast, *general);
    } else {
      ASSERT_FALSE(fast) << changed;
      if (!general) {
        EXPECT_EQ(fast.error().message, general.error().message);
      }
    }
  };
  agree(text);
  for (std::size_t length = 0; length < text.size(); length += 100) agree(text.substr(0, length));
  // A character changed or left out, everywhere.
  for (std::size_t at = 0; at < text.size(); at += 7) {
    for (const char c : {'0', '-', '.', 'e', '"', ',', ']', ' ', '\\', '\x80'}) {
      std::string changed = text;
      changed[at] = c;
      agree(changed);
    }
    std::string shorter = text;
    shorter.erase(at, 1);
    agree(shorter);
  }
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"\"steps\"", "\"stops\""},
           {"\"steps\"", "\"graph\""},
           {"\"conv1.forward\"", "\"\\u00e9\\n\\ud83d\\ude00\""},
           {"\"measured\"", "\"measurd\""},
           {"\"compute\"", "null"},
           {": 50", ": 50.0"},
           {": 50", ": 5e1"},
           {": 50", ": 4294967296"},
           {": 50", ": -1"},
           {": 50", ": 050"}}) {
    std::string changed = text;
    const auto at = changed.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    changed.replace(at, from.size(), to);
    agree(changed);
  }
}

TEST_F(TraceFile, WhatCannotBeWrittenLeavesWhatWasThere) {
  const auto file = folder_ / "a.trace";
  ASSERT_TRUE(save_trace(file, sample(3)));
  EXPECT_FALSE(save_trace(folder_ / "missing" / "a.trace", sample(4)));
  EXPECT_EQ(load_trace(file)->spans.size(), 3u);
  EXPECT_FALSE(load_trace(folder_ / "none.trace"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

}  // namespace
}  // namespace soapstone::core
