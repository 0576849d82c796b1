#include "explorer_gui/model/explanation.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/core.h>

#include "core/units.hpp"
#include "search/parallelism.hpp"

namespace soapstone::explorer {

namespace {

constexpr std::size_t kMostFacts = 12;
constexpr std::size_t kMostAnswers = 20;

std::optional<std::int32_t> whole_number(std::string_view text) {
  std::int32_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return n;
}

using Change = std::function<core::Result<core::Strategy>(const Ground&, const core::Strategy&)>;

OpSet all_ops(const core::Strategy& strategy) {
  OpSet out;
  for (std::uint32_t i = 0; i < strategy.ops.size(); ++i) out.insert(out.end(), i);
  return out;
}

Change bucket_of(core::Bytes bytes) {
  return [bytes](const Ground& ground, const core::Strategy& s) -> core::Result<core::Strategy> {
    const bool divided = std::any_of(s.ops.begin(), s.ops.end(),
                                     [](const auto& op) { return op.zero > 0 || op.server; });
    if (divided)
      return core::refuse("Buckets are for gradients of whole copies: zero=0 and server=0 first.");
    return set_bucket(ground, s, bytes);
  };
}

Change zero_of(std::int32_t level) {
  return [level](const Ground& ground, const core::Strategy& s) -> core::Result<core::Strategy> {
    if (level > 0 && s.bucket.value > 0)
      return core::refuse("Gradients are in buckets of {}: bucket=0 first.",
                          core::human_text(s.bucket));
    return set_zero(ground, s, all_ops(s), level);
  };
}

// Of "key=value"; null: it is no single change.
Change change_of(std::string_view key, const std::string& value) {
  if (key == "bucket") {
    const auto bytes = core::parse_quantity<core::Bytes>(value);
    return bytes ? bucket_of(*bytes) : nullptr;
  }
  if (key == "zero") {
    const auto level = whole_number(value);
    return level && *level >= 0 && *level <= 3 ? zero_of(*level) : nullptr;
  }
  if (key == "recompute") {
    const auto how = core::enum_from_name<search::Recompute>(value);
    if (!how) return nullptr;
    return [how = *how](const Ground& ground, const core::Strategy& s) {
      return set_recompute(ground, s, how);
    };
  }
  if (key == "schedule") {
    const auto kind = core::enum_from_name<core::ScheduleKind>(value);
    if (!kind) return nullptr;
    return [kind = *kind](const Ground& ground, const core::Strategy& s) {
      return set_schedule(ground, s, kind);
    };
  }
  if (key == "offload") {
    const auto what = core::enum_from_name<core::Offload>(value);
    if (!what) return nullptr;
    return [what = *what](const Ground& ground, const core::Strategy& s) {
      return set_offload(ground, s, all_ops(s), what);
    };
  }
  if (key == "server" && value == "0")
    return [](const Ground& ground, const core::Strategy& s) {
      return set_update(ground, s, all_ops(s), Update::kEverywhere);
    };
  return nullptr;
}

core::Result<core::Strategy> twice_the_micro_batches(const Ground& ground,
                                                     const core::Strategy& s) {
  return set_micro_batches(ground, s, 2 * s.micro_batches);
}

std::string percent(double share) { return fmt::format("{:.1f} %", 100 * share); }

}  // namespace

std::optional<HintEdit> edit_of_hint(const std::string& hint) {
  if (hint.starts_with("more micro-batches") || hint.starts_with("a smaller micro_batch"))
    return HintEdit{"twice the micro-batches", {}, twice_the_micro_batches};
  if (hint.find("--strategy expert") != std::string::npos)
    return HintEdit{"expert", "expert", nullptr};
  // "key=value" with nothing but words behind it.
  std::string word = hint.substr(0, hint.find_first_of(": "));
  if (word.ends_with(',')) word.pop_back();
  const std::size_t equals = word.find('=');
  if (equals == std::string::npos || word.find(',') != std::string::npos) return std::nullopt;
  Change change = change_of(std::string_view(word).substr(0, equals), word.substr(equals + 1));
  if (!change) return std::nullopt;
  return HintEdit{word, {}, std::move(change)};
}

std::string refusal_of(const Ground& ground, const core::Strategy& strategy, const HintEdit& edit) {
  if (!edit.strategy.empty()) return {};
  const auto next = edit.change(ground, strategy);
  return next ? std::string() : next.error().message;
}

void do_hint(Session& session, const HintEdit& edit) {
  const NamedStrategy* const shown = session.design().shown();
  if (!edit.strategy.empty()) {
    session.add_strategy(edit.strategy);
  } else if (shown) {
    const Ground ground(session.design().setting());
    (void)apply(session, edit.name, edit.change(ground, *shown->strategy));
  }
}

core::Result<Explanation> explanation_of(const Setting& setting, ComparedStep step) {
  Explanation out;
  const core::Plan* const plan = step.plan();
  if (!plan || !step.strategy)
    return core::refuse(
        "The trace is not of the plan of this strategy: only its prediction can be explained.");
  SOAPSTONE_ASSIGN(out.analysis, simulator::analyse(*plan, *step.trace));
  out.facts = simulator::explain({.graph = *setting.graph,
                                  .strategy = *step.strategy,
                                  .cluster = *setting.cluster,
                                  .plan = *plan,
                                  .trace = *step.trace,
                                  .analysis = out.analysis},
                                 kMostFacts);
  const Ground ground(setting);
  for (const simulator::Fact& fact : out.facts) {
    auto& hints = out.hints.emplace_back();
    for (const std::string& text : fact.hints) {
      Hint& hint = hints.emplace_back();
      hint.text = text;
      hint.edit = edit_of_hint(text);
      if (!hint.edit) continue;
      hint.refusal = refusal_of(ground, *step.strategy, *hint.edit);
      // The button says what; beside it stands why.
      if (text.starts_with(hint.edit->name))
        hint.text = text.substr(std::min(text.size(), hint.edit->name.size() + 2));
    }
  }
  out.step = std::move(step);
  return out;
}

std::string title_of(const simulator::Fact& fact) {
  const std::string kind(core::name_of(fact.kind));
  return fact.about.empty() || fact.about == kind ? kind : kind + ": " + fact.about;
}

std::string headline(const simulator::Fact& fact, core::Nanoseconds step_time) {
  if (fact.kind == simulator::FactKind::kMemory)
    return fmt::format("{} allocated", core::human_text(fact.bytes));
  const double share = step_time.value == 0 ? 0
                                            : static_cast<double>(fact.saves.value) /
                                                  static_cast<double>(step_time.value);
  return fmt::format("saves at most {} ({})", core::human_text(fact.saves), percent(share));
}

Provenance provenance_of_fact(const Design& design, const Explanation& e, std::size_t i) {
  const simulator::Fact& f = e.facts[i];
  Provenance p;
  p.name = title_of(f);
  p.value = headline(f, e.step.trace->step_time);
  const auto nanoseconds = [](core::Nanoseconds t) {
    return fmt::format("{} ({} ns)", core::human_text(t), t.value);
  };
  switch (f.kind) {
    case simulator::FactKind::kMemory:
      p.formula = "the arena of the fullest device, by what holds it at the peak";
      break;
    case simulator::FactKind::kBubble:
    case simulator::FactKind::kHost:
      p.formula = "idle time that it is the cause of, mean over the devices: no more can be saved";
      break;
    case simulator::FactKind::kCommunication:
    case simulator::FactKind::kStraggler:
    case simulator::FactKind::kOperator:
    case simulator::FactKind::kRecompute:
    case simulator::FactKind::kUpdate:
      p.formula = "end of the step − its end if these spans took no time, in the same order";
      break;
  }
  p.inputs.emplace_back("step time", nanoseconds(e.step.trace->step_time));
  if (f.kind == simulator::FactKind::kMemory) {
    p.inputs.emplace_back("allocated", core::human_text(f.bytes));
    p.inputs.emplace_back("share of " + f.about, percent(f.share));
  } else {
    p.inputs.emplace_back("time, mean over the devices", nanoseconds(f.time));
    p.inputs.emplace_back("share of the step", percent(f.share));
    p.inputs.emplace_back("saves", nanoseconds(f.saves));
    if (f.bytes.value > 0) p.inputs.emplace_back("moved", core::human_text(f.bytes));
  }
  p.inputs.emplace_back("spans", fmt::format("{}", f.spans.size()));
  p.source = e.step.trace->origin == core::TraceOrigin::kMeasured
                 ? "The measured trace, on the graph of what waited for what."
                 : source_of(e.step.evaluation.get());
  p.uncertainty =
      "Exact for this trace and its order; what another order or emptier links would give, only "
      "simulating again tells (the line “what if”).";
  if (const NamedStrategy* s = design.shown()) {
    std::string more = fmt::format("--facts {}", kMostFacts);
    if (e.step.trace->origin == core::TraceOrigin::kMeasured) more += " --trace measured.json";
    p.command = command_line(design, *s, "explain", more);
  }
  return p;
}

struct Explainer::State {
  ComparedStep asked;
  std::shared_ptr<const Explanation> now;
  bool working = false;
  std::string error;
};

Explainer::Explainer() : state_(std::make_shared<State>()) {}
std::shared_ptr<const Explanation> Explainer::now() const { return state_->now; }
bool Explainer::working() const { return state_->working; }
std::string Explainer::error() const { return state_->error; }

void Explainer::refresh(Session& session, Against trace) {
  const Design& d = session.design();
  const NamedStrategy* const shown = d.shown();
  if (!d.complete() || !shown) {
    state_->now = nullptr;
    state_->asked = {};
    return;
  }
  ComparedStep step = predicted_step(*shown, session.shown());
  if (!step.evaluation) return;  // soon
  if (trace == Against::kMeasured)
    if (const auto measured = session.measured()) step.trace = measured;
  if (state_->asked == step) return;
  state_->asked = step;
  state_->working = true;
  session.jobs().start(
      "explaining",
      [state = state_, setting = d.setting(), step](JobContext&) -> Jobs::Finish {
        auto done = explanation_of(setting, step);
        std::shared_ptr<const Explanation> now;
        if (done) now = std::make_shared<const Explanation>(std::move(*done));
        return [state, now, step, error = now ? std::string() : done.error().message] {
          if (!(state->asked == step)) return;
          state->working = false;
          state->error = error;
          state->now = now;
        };
      },
      "explain");
}

std::string WhatIfAnswer::words() const {
  if (!step) return error.empty() ? change + ": …" : error;
  const double ratio =
      step->before.value == 0
          ? 0
          : static_cast<double>(step->after.value) / static_cast<double>(step->before.value) - 1;
  return fmt::format("{}: {} → {} ({:+.1f} %)", step->words, core::human_text(step->before),
                     core::human_text(step->after), 100 * ratio);
}

struct WhatIfs::State {
  std::vector<WhatIfAnswer> answers;
  std::size_t open = 0;  // questions without an answer
};

WhatIfs::WhatIfs() : state_(std::make_shared<State>()) {}
const std::vector<WhatIfAnswer>& WhatIfs::answers() const { return state_->answers; }
bool WhatIfs::working() const { return state_->open > 0; }

void WhatIfs::ask(Session& session, const std::string& change) {
  const Design& d = session.design();
  const NamedStrategy* const shown = d.shown();
  if (!d.complete() || !shown || change.empty()) return;
  ++state_->open;
  session.jobs().start(
      "what if " + change,
      [state = state_, backend = session.shared_backend(), setting = d.setting(),
       strategy = shown->strategy, name = shown->name, change](JobContext&) -> Jobs::Finish {
        auto done = backend->what_if(setting, *strategy, change);
        return [state, change, name, done = std::move(done)] {
          --state->open;
          WhatIfAnswer answer{change, name, {}, {}};
          if (done)
            answer.step = *done;
          else
            answer.error = done.error().message;
          state->answers.insert(state->answers.begin(), std::move(answer));
          if (state->answers.size() > kMostAnswers) state->answers.pop_back();
        };
      });
}

std::vector<std::string> suggested_changes(const core::Cluster& cluster,
                                           const Explanation* explanation) {
  std::vector<std::string> out;
  if (cluster.nodes() > 1) {
    out.emplace_back("link:network*2");
  } else if (cluster.size() > 1 && cluster.spec().node[0].interconnect) {
    out.push_back(
        fmt::format("link:{}*2", core::name_of(cluster.spec().node[0].interconnect->kind)));
  }
  if (explanation)
    for (const simulator::Fact& f : explanation->facts)
      if (f.kind == simulator::FactKind::kOperator) {
        out.push_back(fmt::format("op:{}=free", f.about));
        break;
      }
  if (!cluster.kinds().empty()) out.push_back(fmt::format("device:{}*2", cluster.kinds()[0].name));
  out.emplace_back(cluster.nodes() > 1 ? "add:node" : "add:device");
  return out;
}

}  // namespace soapstone::explorer
