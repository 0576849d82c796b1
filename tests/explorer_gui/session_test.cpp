#include "explorer_gui/model/session.hpp"

#include <fstream>

#include <gtest/gtest.h>

#include "core/document.hpp"
#include "core/file.hpp"
#include "explorer_gui/model/exports.hpp"
#include "tests/explorer_gui/world.hpp"

namespace soapstone::explorer {
namespace {

std::string last_message(const Session& s) {
  return s.messages().empty() ? std::string() : s.messages().back().text;
}

core::Status split_features(core::Strategy& strategy, const core::Graph& graph) {
  // fc6 by its output features over four devices.
  const auto op = graph.find_op("fc6");
  auto& o = strategy.ops[op->value];
  o.degrees.assign(o.degrees.size(), 1);
  o.degrees[1] = 4;
  o.devices = {core::DeviceId(0), core::DeviceId(1), core::DeviceId(2), core::DeviceId(3)};
  return {};
}

TEST(Session, AModelAndAClusterAreEnoughToSeeAStep) {
  Work w("alexnet", 64, "p100-4x4");
  ASSERT_TRUE(w->design().complete());
  ASSERT_NE(w->design().shown(), nullptr);
  EXPECT_EQ(w->design().shown()->name, "data-parallel");
  const auto shown = w->shown();
  ASSERT_NE(shown, nullptr);
  EXPECT_GT(shown->step_time.value, 0);
  EXPECT_EQ(shown->trace.step_time, shown->step_time);
  EXPECT_TRUE(w->messages().empty());
}

TEST(Session, AnEditOfAFoundStrategyIsACopyThatIsComparedWithIt) {
  Work w("alexnet", 64, "p100-4x4");
  const StrategyId original = w->design().current;
  const core::Strategy before = *w->design().shown()->strategy;
  const auto change = [&](core::Strategy& s) { return split_features(s, *w->design().graph); };
  ASSERT_TRUE(w->edit("split fc6", change));
  w->finish_jobs();
  EXPECT_NE(w->design().current, original);
  EXPECT_EQ(w->design().baseline, original);
  EXPECT_EQ(*w->design().find(original)->strategy, before);
  ASSERT_NE(w->shown(), nullptr);
  EXPECT_NE(w->shown()->step_time, w->compared()->step_time);
  // A second edit goes on with the copy.
  const StrategyId copy = w->design().current;
  ASSERT_TRUE(w->edit("two micro-batches", [](core::Strategy& s) -> core::Status {
    s.micro_batches = 2;
    return {};
  }));
  EXPECT_EQ(w->design().current, copy);
}

TEST(Session, UndoingEverythingGivesTheVeryFirstDesign) {
  Work w("alexnet", 64, "p100-4x4");
  const Design first = w->design();
  const std::size_t steps = w->history().at();
  ASSERT_TRUE(
      w->edit("split", [&](core::Strategy& s) { return split_features(s, *w->design().graph); }));
  w->pin({0, 1}, true);
  w->rename(w->design().current, "mine");
  w->star(w->design().current, true);
  w->finish_jobs();
  EXPECT_FALSE(w->design() == first);
  while (w->history().at() > steps) w->undo();
  EXPECT_EQ(w->design(), first);
  while (w->history().can_redo()) w->redo();
  EXPECT_EQ(w->design().shown()->name, "mine");
  EXPECT_EQ(w->design().pinned.size(), 2u);
}

TEST(Session, AnIllegalEditSaysWhyAndChangesNothing) {
  Work w("alexnet", 64, "p100-4x4");
  const Design before = w->design();
  const auto status = w->edit("too much", [](core::Strategy& s) -> core::Status {
    s.ops[0].degrees[0] = 1000;
    return {};
  });
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("1000"), std::string::npos) << status.error().message;
  EXPECT_EQ(w->design(), before);
}

TEST(Session, ASearchAddsWhatItFindsAndShowsTheFastest) {
  Work w("alexnet", 64, "p100-4x4");
  w->next_search().budget = "300";
  w->search();
  EXPECT_TRUE(w->search_run().running);
  w->finish_jobs();
  EXPECT_FALSE(w->search_run().running);
  EXPECT_FALSE(w->search_run().curve.empty());
  const core::Nanoseconds first = w->evaluated(w->design().current).figures->step_time;
  for (const NamedStrategy& s : w->design().strategies) {
    const auto& e = w->evaluated(s.id);
    if (e.figures && e.figures->why_not.empty()) {
      EXPECT_LE(first, e.figures->step_time) << s.name;
    }
  }
  w->finish_jobs();
  // What the search told of it is what its simulation says.
  EXPECT_EQ(w->shown()->step_time, first);
}

TEST(Session, PinnedOperatorsStayAsTheyAre) {
  Work w("alexnet", 64, "p100-4x4");
  const auto op = w->design().graph->find_op("fc6")->value;
  const core::OpStrategy pinned = w->design().shown()->strategy->ops[op];
  w->pin({op}, true);
  w->next_search().budget = "300";
  w->search();
  w->finish_jobs();
  std::size_t found = 0;
  for (const NamedStrategy& s : w->design().strategies) {
    if (s.origin.find("mcmc") == std::string::npos) continue;
    ++found;
    EXPECT_EQ(s.strategy->ops[op], pinned) << s.name;
  }
  EXPECT_GT(found, 0u);
}

TEST(Session, ADesignIsSavedOpenedAndTheSame) {
  Work w("alexnet", 64, "p100-4x4");
  w->pin({2}, true);
  w->star(w->design().current, true);
  EXPECT_TRUE(w->unsaved());
  const auto file = w.folder.path() / "design.json";
  ASSERT_TRUE(w->save_design(file));
  EXPECT_FALSE(w->unsaved());
  const Design saved = w->design();

  Work other;
  other->open(file.string());
  other->finish_jobs();
  EXPECT_EQ(other->design(), saved);
  EXPECT_FALSE(other->unsaved());
  EXPECT_EQ(other->settings().recent, std::vector<std::string>{file.string()});
}

TEST(Session, OpeningSomethingElseCanBeUndone) {
  Work w("alexnet", 64, "p100-4x4");
  w->pin({2}, true);
  w->selection().ops = {1};
  const Design before = w->design();
  w->choose_model({"mlp", 32, {}, {}});
  w->finish_jobs();
  EXPECT_EQ(w->design().graph->name(), "mlp");
  EXPECT_TRUE(w->selection().ops.empty()) << "they are operators of another model";
  while (!(w->design() == before) && w->history().can_undo()) w->undo();
  EXPECT_EQ(w->design(), before);
}

TEST(Session, StrategiesTracesAndClustersAreTheDocumentsOfTheCommandLine) {
  Work w("alexnet", 64, "p100-4x4");
  const auto strategy = w.folder.path() / "strategy.json", trace = w.folder.path() / "trace.json",
             cluster = w.folder.path() / "cluster.toml";
  ASSERT_TRUE(w->save_strategy(strategy));
  export_trace(*w, trace);
  w->finish_jobs();
  ASSERT_TRUE(w->save_cluster(cluster));
  const auto document = core::load_document<core::StrategyDocument>(strategy);
  ASSERT_TRUE(document);
  EXPECT_EQ(core::from_document(*w->design().graph, *document), *w->design().shown()->strategy);
  w->open(trace.string());
  w->finish_jobs();
  ASSERT_EQ(w->traces().size(), 1u);
  EXPECT_EQ(*w->traces()[0].trace, w->shown()->trace);
  EXPECT_EQ(w->measured(), w->traces()[0].trace) << "it is of the strategy that is shown";
  EXPECT_EQ(core::load_cluster(cluster.string()).value(), *w->design().cluster);
}

TEST(Session, ATraceShowsWithoutAModel) {
  Work w("alexnet", 64, "p100-4x4");
  const auto trace = w.folder.path() / "trace.json";
  export_trace(*w, trace);
  w->finish_jobs();
  Work other;
  other->open(trace.string());
  other->finish_jobs();
  ASSERT_EQ(other->traces().size(), 1u);
  EXPECT_EQ(other->measured(), other->traces()[0].trace);
}

TEST(Session, WhatCannotBeOpenedIsSaidAndLeavesEverythingAsItIs) {
  Work w("alexnet", 64, "p100-4x4");
  const Design before = w->design();
  const auto write = [&](const char* name, const std::string& text) {
    const auto file = w.folder.path() / name;
    std::ofstream(file) << text;
    return file.string();
  };
  const std::string half = write("half.json", R"({"format": "soapstone.strategy/1", "graph": )");
  const std::string foreign = write("foreign.json", R"({"traceEvents": []})");
  const std::string newer = write("newer.json", R"({"format": "soapstone.strategy/99"})");
  const std::string plan = write("plan.json", R"({"format": "soapstone.plan/3"})");
  for (const std::string& file :
       {half, foreign, newer, plan, std::string("/nowhere/at/all.json")}) {
    const std::size_t messages = w->messages().size();
    w->open(file);
    w->finish_jobs();
    ASSERT_GT(w->messages().size(), messages) << file;
    EXPECT_NE(last_message(*w).find(file), std::string::npos) << last_message(*w);
    EXPECT_EQ(w->messages().back().kind, Message::Kind::kError);
    EXPECT_EQ(w->design(), before) << file;
  }
}

TEST(Session, AChangedClusterIsAStepThatCanBeUndone) {
  Work w("alexnet", 64, "p100-4x4");
  const auto before = w->shown()->step_time;
  core::ClusterSpec spec = w->design().cluster->spec();
  spec.network->bandwidth = core::BytesPerSecond(spec.network->bandwidth.value * 4);
  ASSERT_TRUE(w->set_cluster(spec, "network 4 times as fast"));
  w->finish_jobs();
  EXPECT_LT(w->shown()->step_time, before);
  w->undo();
  w->finish_jobs();
  EXPECT_EQ(w->shown()->step_time, before);
}

TEST(Session, StrategiesOfDevicesThatAreGoneAreMadeAnewOrLeftOut) {
  Work w("alexnet", 64, "p100-4x4", {"data-parallel", "single"});
  ASSERT_TRUE(w->edit("split", [&](core::Strategy& s) -> core::Status {
    auto& o = s.ops[w->design().graph->find_op("fc6")->value];
    o.devices = {core::DeviceId(15)};
    return {};
  }));
  w->finish_jobs();
  ASSERT_EQ(w->design().strategies.size(), 3u);
  const Design before = w->design();
  core::ClusterSpec spec = w->design().cluster->spec();
  spec.node[0].count = 2;
  ASSERT_TRUE(w->set_cluster(spec, "two nodes"));
  w->finish_jobs();
  ASSERT_EQ(w->design().strategies.size(), 2u) << "nothing says how the edited one would be now";
  EXPECT_EQ(w->design().strategies[0].strategy->ops[0].devices.size(), 8u);
  EXPECT_NE(last_message(*w).find("1 of the strategies"), std::string::npos) << last_message(*w);
  w->undo();
  EXPECT_EQ(w->design(), before) << "all of it is one step";
}

TEST(Session, MemoryThatIsNotThereIsSaid) {
  Work w("alexnet", 64, "p100-4x4");
  core::ClusterSpec spec = w->design().cluster->spec();
  spec.device_kind[0].memory = core::Bytes(100 << 20);
  ASSERT_TRUE(w->set_cluster(spec, "little memory"));
  w->finish_jobs();
  const auto& e = w->evaluated(w->design().current);
  ASSERT_TRUE(e.figures);
  EXPECT_NE(e.figures->why_not.find("100 MiB"), std::string::npos) << e.figures->why_not;
}

TEST(Session, WorkThatWasNotSavedIsFoundAfterACrash) {
  Work w("alexnet", 64, "p100-4x4");
  w->pin({1}, true);
  w->autosave();
  EXPECT_TRUE(w->left_behind().empty()) << "this process is still there";
  // As a process that is gone has left it: no process has this number.
  const auto folder = w->folder();
  std::filesystem::path mine;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().filename().string().starts_with("unsaved-")) mine = entry.path();
  ASSERT_FALSE(mine.empty());
  std::filesystem::copy_file(mine, folder / "unsaved-99999999.json");
  const auto left = w->left_behind();
  ASSERT_EQ(left.size(), 1u);
  Work other;
  other->open(left[0].string());
  other->finish_jobs();
  EXPECT_EQ(other->design(), w->design());
  w->discard(left[0]);
  EXPECT_TRUE(w->left_behind().empty());
}

TEST(Session, TracesOpenInEitherFormAndDamagedOnesLeaveWhatIsOpen) {
  Work w("alexnet", 64, "p100-4x4");
  const auto binary = w.folder.path() / "a.trace", json = w.folder.path() / "a.json",
             cut = w.folder.path() / "cut.trace";
  export_trace(*w, binary);
  w->finish_jobs();
  export_trace(*w, json);
  w->finish_jobs();
  const auto bytes = core::read_file(binary);
  ASSERT_TRUE(bytes);
  ASSERT_TRUE(core::write_file_atomically(cut, bytes->substr(0, bytes->size() / 2)));
  for (const auto& file : {binary, json, cut}) {
    w->open(file.string());
    w->finish_jobs();
  }
  ASSERT_EQ(w->traces().size(), 2u);
  EXPECT_EQ(w->traces()[0].name, "a.trace");
  EXPECT_EQ(*w->traces()[0].trace, *w->traces()[1].trace);
  EXPECT_EQ(*w->traces()[0].trace, w->shown()->trace);
  EXPECT_TRUE(last_message(*w).starts_with(cut.string())) << last_message(*w);
  EXPECT_EQ(w->settings().recent.front(), json.string());
}

TEST(Session, TracesOfOtherFrameworksOpenTogetherAndSayWhatIsToKnow) {
  Work w("mlp", 64, "p100-4x4");
  const auto rank = [&](int number, int ahead) {
    const std::string text = fmt::format(
        R"({{"distributedInfo":{{"rank":{},"world_size":2}},"traceEvents":[)"
        R"({{"ph":"X","cat":"user_annotation","name":"fc1","pid":1,"tid":1,"ts":{},"dur":9}},)"
        R"({{"ph":"X","cat":"cpu_op","name":"aten::x","pid":1,"tid":1,"ts":{},"dur":8}},)"
        R"({{"ph":"X","cat":"user_annotation","name":"gloo:all_reduce","pid":1,"tid":2,"ts":{},)"
        R"("dur":5}}]}})",
        number, ahead, ahead, ahead + 10);
    const auto file = w.folder.path() / fmt::format("run{}.json", number);
    EXPECT_TRUE(core::write_file_atomically(file, text));
    return file.string();
  };
  const std::vector<std::string> files{rank(0, 0), rank(1, 1500)};
  const std::size_t before = w->messages().size();
  w->open(files);
  w->finish_jobs();
  ASSERT_EQ(w->traces().size(), 1u);
  const OpenTrace& opened = w->traces()[0];
  EXPECT_EQ(opened.name, "run0.json and 1 more");
  EXPECT_EQ(opened.trace->lanes.size(), 4u);
  ASSERT_EQ(opened.notes.size(), 3u);
  EXPECT_TRUE(opened.notes[1].starts_with("clock offsets: rank 1 +1,500,000 ns"))
      << opened.notes[1];
  EXPECT_EQ(opened.notes[2], "mapped 100.0 % of 16 us of device time to operators of mlp");
  ASSERT_EQ(w->messages().size(), before + 3);
  EXPECT_EQ(w->messages()[before].text, opened.name + ": " + opened.notes[0]);
  // It stays beside the strategy that is shown, and a folder is its files.
  EXPECT_NE(w->shown(), nullptr);
  Folder only;
  for (const std::string& file : files)
    std::filesystem::copy(file, only.path() / std::filesystem::path(file).filename());
  w->open(only.path().string());
  w->finish_jobs();
  ASSERT_EQ(w->traces().size(), 2u);
  EXPECT_EQ(*w->traces()[1].trace, *w->traces()[0].trace);
}

}  // namespace
}  // namespace soapstone::explorer
