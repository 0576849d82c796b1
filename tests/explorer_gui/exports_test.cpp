#include "explorer_gui/model/exports.hpp"

#include <set>

#include <gmock/gmock.h>

#include "core/document.hpp"
#include "core/file.hpp"
#include "core/trace_file.hpp"
#include "tests/explorer_gui/world.hpp"

namespace soapstone::explorer {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Exports, AReportIsAFolderThatNeedsNothingElse) {
  Work w("alexnet", 64, "p100-4x4", {"data-parallel", "expert"});
  const auto folder = w.folder.path() / "report";
  for (const NamedStrategy& s : w->design().strategies) {
    w->show(s.id);
    w->finish_jobs();
  }
  export_report(*w, folder);
  w->finish_jobs();
  ASSERT_FALSE(w->messages().empty());
  EXPECT_EQ(w->messages().back().kind, Message::Kind::kNote) << w->messages().back().text;
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    names.insert(entry.path().filename().string());
  for (const char* name :
       {"index.html", "graph.dot", "trace.json", "ops.csv", "strategies.csv", "summary.md"})
    EXPECT_TRUE(names.contains(name)) << name;
  EXPECT_THAT(core::read_file(folder / "summary.md").value(), HasSubstr("expert"));
  EXPECT_THAT(core::read_file(folder / "index.html").value(), Not(HasSubstr("\"origin\":\"measured\"")));
}

TEST(Exports, AMeasuredTraceThatFitsIsInTheReportAndAnotherOneIsNot) {
  Work w("alexnet", 64, "p100-4x4");
  core::Trace measured = w->shown()->trace;
  measured.origin = core::TraceOrigin::kMeasured;
  const auto file = w.folder.path() / "measured.json";
  ASSERT_TRUE(core::save_trace(file, measured));
  w->open(file.string());
  w->finish_jobs();
  export_chrome_trace(*w, w.folder.path() / "both.json");
  w->finish_jobs();
  EXPECT_THAT(core::read_file(w.folder.path() / "both.json").value(), HasSubstr("measured"));
  // Of the same strategy, but with another optimizer: no plan of this trace.
  w->set_optimizer({.kind = core::OptimizerKind::kAdamW});
  w->finish_jobs();
  export_chrome_trace(*w, w.folder.path() / "alone.json");
  w->finish_jobs();
  EXPECT_THAT(w->messages().back().text, HasSubstr("without the open trace"));
  EXPECT_THAT(core::read_file(w.folder.path() / "alone.json").value(), Not(HasSubstr("measured")));
}

TEST(Exports, WhatCannotBeWrittenIsSaid) {
  Work none;
  export_report(*none, none.folder.path() / "report");
  EXPECT_THAT(none->messages().back().text, HasSubstr("there is no simulated strategy"));
  Work w("alexnet", 64, "p100-4x4");
  const auto file = w.folder.path() / "file";
  ASSERT_TRUE(core::write_file_atomically(file, "kept"));
  export_report(*w, file);
  w->finish_jobs();
  EXPECT_EQ(w->messages().back().kind, Message::Kind::kError);
  EXPECT_THAT(w->messages().back().text, HasSubstr("the name of a folder is accepted"));
  EXPECT_EQ(core::read_file(file).value(), "kept");
}

TEST(Exports, StrategiesStandInTheOrderOfTheirSteps) {
  Work w("alexnet", 64, "p100-4x4", {"single", "expert", "data-parallel"});
  for (const NamedStrategy& s : w->design().strategies) w->evaluated(s.id), w->finish_jobs();
  const core::RankedStrategies ranked = ranked_of(*w);
  ASSERT_EQ(ranked.strategies.size(), 3u);
  EXPECT_EQ(ranked.strategies[0].origin, "expert");
  for (std::size_t i = 1; i < 3; ++i)
    EXPECT_LE(ranked.strategies[i - 1].step_time, ranked.strategies[i].step_time);
}

}  // namespace
}  // namespace soapstone::explorer
