// Why a step takes as long as it does, what to try against that, and what it would be if something
// were otherwise.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/graph.hpp"
#include "core/result.hpp"
#include "core/strategy.hpp"
#include "explorer_gui/model/comparison.hpp"
#include "explorer_gui/model/edits.hpp"
#include "explorer_gui/model/provenance.hpp"
#include "explorer_gui/model/session.hpp"
#include "simulator/analysis/analyse.hpp"
#include "simulator/analysis/explain.hpp"

namespace soapstone::explorer {

// What a hint says to do, where that is one change of the strategy.
struct HintEdit {
  std::string name;      // "bucket=25MB", "expert"
  std::string strategy;  // not empty: another strategy, as for Session::add_strategy
  std::function<core::Result<core::Strategy>(const Ground&, const core::Strategy&)>
      change;  // otherwise
};
// Of a hint of simulator::explain: "zero=1: every copy …". None where a person has to choose more
// ("fewer stages").
std::optional<HintEdit> edit_of_hint(const std::string& hint);
// Why it cannot be done with that strategy; empty: it can.
std::string refusal_of(const Ground& ground, const core::Strategy& strategy, const HintEdit& edit);
// Does it: an edit of the strategy that is shown, or another strategy. The session tells an error.
void do_hint(Session& session, const HintEdit& edit);

struct Hint {
  std::string text;  // as simulator::explain gives it
  std::optional<HintEdit> edit;
  std::string refusal;
};

struct Explanation {
  ComparedStep step;
  simulator::StepAnalysis analysis;
  std::vector<simulator::Fact> facts;    // what would save most first; memory last
  std::vector<std::vector<Hint>> hints;  // per fact
};
core::Result<Explanation> explanation_of(const Setting& setting, ComparedStep step);

// "operator: fc6".
std::string title_of(const simulator::Fact& fact);
// "saves at most 3.1 ms (8.2 %)"; of memory what is allocated.
std::string headline(const simulator::Fact& fact, core::Nanoseconds step_time);
Provenance provenance_of_fact(const Design& design, const Explanation& explanation,
                              std::size_t fact);

// The explanation of what is shown. The work is done by jobs of the session.
class Explainer {
 public:
  Explainer();
  // Once per frame. `measured`: of the measured trace, where it is of the plan.
  void refresh(Session& session, Against trace);
  std::shared_ptr<const Explanation> now() const;  // the last one that was ready; may be null
  bool working() const;
  std::string error() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

struct WhatIfAnswer {
  std::string change;    // as it was typed
  std::string strategy;  // that it was asked of
  std::optional<WhatIf> step;
  std::string error;

  // "links `network` with 2 times the bandwidth: 31 ms → 24 ms (-22.6 %)", or the error.
  std::string words() const;
};

// Questions and their answers, the last one first.
class WhatIfs {
 public:
  WhatIfs();
  void ask(Session& session, const std::string& change);
  const std::vector<WhatIfAnswer>& answers() const;
  bool working() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// Questions worth asking of the strategy: from its facts and its cluster.
std::vector<std::string> suggested_changes(const core::Cluster& cluster,
                                           const Explanation* explanation);

}  // namespace soapstone::explorer
