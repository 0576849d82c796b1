#include "explorer_gui/model/explanation.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "tests/explorer_gui/world.hpp"

namespace soapstone::explorer {
namespace {

using namespace core::literals;

std::string name_of_edit(const std::string& hint) {
  const auto edit = edit_of_hint(hint);
  return edit ? edit->name : "none";
}

TEST(Hints, AreEditsWhereTheyAreOneChange) {
  EXPECT_EQ(name_of_edit("bucket=25MB: many small gradients in one transfer"), "bucket=25MB");
  EXPECT_EQ(name_of_edit("recompute=selective, then full"), "recompute=selective");
  EXPECT_EQ(name_of_edit("zero=2 if memory allows: weights are not gathered"), "zero=2");
  EXPECT_EQ(name_of_edit("schedule=zb-h1: gradients of weights wait for a bubble"),
            "schedule=zb-h1");
  EXPECT_EQ(name_of_edit("offload=none if memory allows"), "offload=none");
  EXPECT_EQ(name_of_edit("fc6 cut by its weights (search finds how; or --strategy expert)"),
            "expert");
  EXPECT_EQ(name_of_edit("more micro-batches (a smaller micro_batch, or a larger --batch)"),
            "twice the micro-batches");
  // These leave something to choose.
  EXPECT_EQ(name_of_edit("schedule=interleaved-1f1b,vp=2: smaller stages"), "none");
  EXPECT_EQ(name_of_edit("zero_over=COPIES: gather among neighbours only"), "none");
  EXPECT_EQ(name_of_edit("zero=9: no such level"), "none");
  EXPECT_EQ(name_of_edit("fewer stages (pp, vp), cut where less crosses"), "none");
}

TEST(Hints, AreDoneAsEditsThatCanBeUndone) {
  Work w("alexnet", 64, "p100-4x4");
  const Ground ground(w->design().setting());
  const auto refusal = [&](const std::string& hint) {
    return refusal_of(ground, *w->design().shown()->strategy, *edit_of_hint(hint));
  };
  do_hint(*w, *edit_of_hint("bucket=25MB: fewer transfers"));
  EXPECT_EQ(w->design().shown()->strategy->bucket, core::Bytes(25'000'000));
  const std::string zero = "zero=1: parts of the optimizer";
  EXPECT_NE(refusal(zero).find("23.8 MiB"), std::string::npos) << refusal(zero);
  const Design before = w->design();
  do_hint(*w, *edit_of_hint(zero));
  EXPECT_EQ(w->design(), before) << "it was refused";
  EXPECT_EQ(w->messages().back().text, refusal(zero));
  w->undo();
  EXPECT_EQ(w->design().shown()->strategy->bucket, 0_B);
  EXPECT_EQ(refusal(zero), "");
  do_hint(*w, *edit_of_hint(zero));
  const auto fc6 = w->design().graph->find_op("fc6")->value;
  EXPECT_EQ(w->design().shown()->strategy->ops[fc6].zero, 1);
  w->finish_jobs();
  EXPECT_NE(w->shown(), nullptr) << w->evaluated(w->design().current).error;
  EXPECT_NE(refusal("bucket=25MB: fewer transfers").find("zero=0"), std::string::npos);
  do_hint(*w, *edit_of_hint("more micro-batches (a smaller micro_batch)"));
  EXPECT_EQ(w->design().shown()->strategy->micro_batches, 2);
}

TEST(Explanation, WhatWouldSaveMostStandsFirstAndMemoryLast) {
  Work w("alexnet", 64, "p100-4x4");
  Explainer explainer;
  explainer.refresh(*w, Against::kBaseline);
  EXPECT_TRUE(explainer.working());
  w->finish_jobs();
  const auto now = explainer.now();
  ASSERT_NE(now, nullptr) << explainer.error();
  ASSERT_GT(now->facts.size(), 2u);
  EXPECT_EQ(now->facts.back().kind, simulator::FactKind::kMemory);
  for (std::size_t i = 1; i + 1 < now->facts.size(); ++i)
    EXPECT_GE(now->facts[i - 1].saves, now->facts[i].saves);
  // Data parallelism of alexnet between nodes waits for gradients.
  EXPECT_EQ(now->facts[0].kind, simulator::FactKind::kCommunication);
  const Provenance p = provenance_of_fact(w->design(), *now, 0);
  EXPECT_EQ(p.value, headline(now->facts[0], w->shown()->step_time));
  EXPECT_EQ(p.command,
            "soapstone explain alexnet --batch 64 --cluster p100-4x4 --strategy data-parallel "
            "--facts 12");
}

TEST(Explanation, AHeadlineIsWhatCanBeSaved) {
  simulator::Fact fact;
  fact.kind = simulator::FactKind::kOperator;
  fact.saves = 2_ms;
  EXPECT_EQ(headline(fact, 8_ms), "saves at most 2 ms (25.0 %)");
  fact.kind = simulator::FactKind::kMemory;
  fact.bytes = 4_GiB;
  EXPECT_EQ(headline(fact, 8_ms), "4 GiB allocated");
}

TEST(WhatIfs, AreAnsweredByAnotherSimulation) {
  Work w("alexnet", 64, "p100-4x4");
  WhatIfs questions;
  questions.ask(*w, "link:network*2");
  EXPECT_TRUE(questions.working());
  w->finish_jobs();
  questions.ask(*w, "op:nothing=free");
  w->finish_jobs();
  EXPECT_FALSE(questions.working());
  ASSERT_EQ(questions.answers().size(), 2u);
  EXPECT_NE(questions.answers()[0].words().find("nothing"), std::string::npos)
      << questions.answers()[0].words();
  const WhatIfAnswer& faster = questions.answers()[1];
  ASSERT_TRUE(faster.step);
  EXPECT_EQ(faster.step->before, w->shown()->step_time);
  EXPECT_LT(faster.step->after, faster.step->before);
}

TEST(WhatIfs, TellBeforeAndAfter) {
  WhatIfAnswer answer;
  answer.step = WhatIf{"twice as fast", 10_ms, 8_ms};
  EXPECT_EQ(answer.words(), "twice as fast: 10 ms → 8 ms (-20.0 %)");
}

TEST(WhatIfs, SuggestionsAreAboutThisCluster) {
  Work w("alexnet", 64, "p100-4x4");
  EXPECT_EQ(suggested_changes(*w->design().cluster, nullptr),
            (std::vector<std::string>{"link:network*2", "device:p100*2", "add:node"}));
}

}  // namespace
}  // namespace soapstone::explorer
