#include "explorer_gui/model/session.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <utility>

#include <fmt/core.h>
#include <unistd.h>

#include "core/document.hpp"
#include "core/file.hpp"
#include "core/reflect.hpp"
#include "core/trace_file.hpp"
#include "importers/chrome_trace.hpp"
#include "importers/open_trace.hpp"

namespace soapstone::explorer {

namespace {

// Evaluations that are kept whole. The others keep their figures.
constexpr std::size_t kMostFull = 12;
constexpr std::string_view kEdited = "edited from ";

Figures figures_of(const Evaluation& e) {
  return {e.step_time, e.peak_memory, e.samples_per_second, e.use, e.why_not};
}

ModelChoice named(const std::string& file) {
  ModelChoice choice;
  choice.name = file;
  return choice;
}

bool fits(const Design& design, const core::Strategy& strategy) {
  return core::check(*design.graph, strategy, static_cast<std::uint32_t>(design.cluster->size()))
      .has_value();
}

std::string file_name(const std::string& path) {
  return std::filesystem::path(path).filename().string();
}

}  // namespace

// What a search tells while it runs; shared with its thread.
struct Session::Progress {
  std::mutex mutex;
  SearchReport last;
  std::vector<SearchReport> curve;
  bool stop = false;
};

// What a training tells while it runs; shared with its thread.
struct Session::LaunchProgress {
  std::mutex mutex;
  std::vector<std::string> log;
  reports::TrainingMetrics metrics;
  std::uint64_t number = 0;  // grows with both
  std::uint64_t seen = 0;
  std::atomic<bool> stop = false;
  std::shared_ptr<const core::Trace> trace;  // of the steps so far
};

Session::Session(std::shared_ptr<Backend> backend, std::filesystem::path folder)
    : backend_(std::move(backend)), folder_(std::move(folder)), settings_(load_settings(folder_)) {
  saved_ = history_.shared();
  jobs_.start("looking around", [backend = backend_, this](JobContext&) -> Jobs::Finish {
    auto found = backend->catalogue();
    return [this, found = std::move(found)] {
      if (found)
        catalogue_ = *found;
      else
        complain(found.error().message);
    };
  });
}

Session::~Session() {
  backend_->close();
  (void)save_settings(folder_, settings_);
  std::error_code ignored;
  std::filesystem::remove(autosave_file(), ignored);
}

bool Session::poll() {
  const std::uint64_t before = revision_;
  if (jobs_.poll()) ++revision_;
  for (std::string& failure : jobs_.take_failures()) complain(std::move(failure));
  if (search_.running && progress_) {
    const std::scoped_lock lock(progress_->mutex);
    if (!(search_.last == progress_->last)) {
      search_.last = progress_->last;
      search_.curve = progress_->curve;
      ++revision_;
    }
  }
  if (launch_.running && launch_progress_) {
    const std::scoped_lock lock(launch_progress_->mutex);
    if (launch_progress_->seen != launch_progress_->number) {
      launch_progress_->seen = launch_progress_->number;
      launch_.log = launch_progress_->log;
      launch_.metrics = launch_progress_->metrics;
      show_running(launch_progress_->trace);
      ++revision_;
    }
  }
  return revision_ != before;
}

void Session::finish_jobs() {
  jobs_.finish();
  ++revision_;
  poll();
}

void Session::add_message(Message::Kind kind, std::string text) {
  const std::uint64_t number = messages_.empty() ? 1 : messages_.back().number + 1;
  messages_.push_back({kind, std::move(text), number});
  ++revision_;
}

// --- what is open -------------------------------------------------------------------------------

void Session::start(Design design, std::string what) {
  // What was open before is a step back.
  const bool nothing_yet = !history_.now().graph && !history_.now().cluster;
  if (nothing_yet)
    history_ = History(std::move(design), std::move(what));
  else
    history_.change(std::move(what), std::move(design));
  saved_ = history_.shared();
  after_change();
}

void Session::change(std::string what, Design next, std::string key) {
  history_.change(std::move(what), std::move(next), std::move(key));
  after_change();
}

void Session::after_change() {
  ++revision_;
  if (design().graph != of_graph_) {
    // Operators and spans of another model mean nothing here.
    of_graph_ = design().graph;
    selection_ = {};
    last_shown_ = nullptr;
  }
  const NamedStrategy* shown = design().shown();
  const Evaluated* now = shown ? known(shown->id) : nullptr;
  if (question_.of && (!now || now->full != question_.of)) question_ = {};
  if (!design().complete()) return;
  if (design().current != 0) want(design().current);
  if (design().baseline) want(*design().baseline);
}

void Session::open(const std::vector<std::string>& files) {
  if (files.empty()) return;
  const std::string what =
      files.size() == 1 ? file_name(files[0]) : fmt::format("{} files", files.size());
  jobs_.start("opening " + what, [this, backend = backend_, files,
                                  graph = design().graph](JobContext&) {
    std::vector<Jobs::Finish> then;
    const auto failed = [&](const core::Error& error) {
      then.push_back([this, message = error.message] { complain(message); });
    };
    // What Chrome traces there are.
    std::vector<std::string> names, texts;
    for (const std::string& named : files) {
      // A folder of this machine; a file's name stands for itself, commas and all.
      std::vector<std::string> inside{named};
      std::error_code ignored;  // what cannot be looked at is read, and told by that
      if (std::filesystem::is_directory(named, ignored)) {
        auto found = importers::trace_files(named);
        if (!found) {
          failed(found.error());
          continue;
        }
        inside = std::move(*found);
      }
      for (const std::string& file : inside) {
        auto text = backend->read(file);
        if (!text) {
          failed(text.error());
        } else if (core::is_trace_file(*text) || core::is_trace_text(*text)) {
          // Traces may be large.
          auto trace = core::trace_from_bytes(*text, file);
          if (!trace) {
            failed(trace.error());
            continue;
          }
          OpenTrace opened{
              file_name(file), std::make_shared<const core::Trace>(std::move(*trace)), {}};
          then.push_back([this, file, opened = std::move(opened)] { take_trace(file, opened); });
        } else if (importers::is_chrome_trace(*text)) {
          names.push_back(file);
          texts.push_back(std::move(*text));
        } else {
          then.push_back([this, file, text = std::move(*text)] { take_document(file, text); });
        }
      }
    }
    if (!names.empty()) {
      std::vector<importers::TraceText> traces;
      for (std::size_t i = 0; i < names.size(); ++i) traces.push_back({names[i], texts[i]});
      auto imported = importers::read_chrome_trace(traces, graph.get());
      if (!imported) {
        failed(imported.error());
      } else {
        OpenTrace opened;
        opened.name = file_name(names[0]);
        if (names.size() > 1) opened.name += fmt::format(" and {} more", names.size() - 1);
        opened.notes = importers::notes(*imported);
        opened.trace = std::make_shared<const core::Trace>(std::move(imported->trace));
        then.push_back(
            [this, file = names[0], opened = std::move(opened)] { take_trace(file, opened); });
      }
    }
    return Jobs::Finish([then = std::move(then)] {
      for (const Jobs::Finish& finish : then) finish();
    });
  });
}

void Session::take_document(const std::string& file, const std::string& text) {
  const auto opened = [&] {
    if (!file.starts_with("sample:")) settings_.opened(file);
  };
  if (file.ends_with(".toml")) {
    auto spec = core::cluster_from_toml(text, file);
    if (!spec) return complain(spec.error().message);
    if (const auto status = set_cluster(std::move(*spec), "cluster " + file_name(file)); !status)
      return complain(file + ": " + status.error().message);
    return opened();
  }
  const auto format = core::document_format(text, file);
  if (!format) {
    // A model that another program wrote (Hugging Face's config.json), if it is one.
    if (file.ends_with("config.json")) return choose_model(named(file));
    return complain(format.error().message);
  }
  if (format->kind == core::GraphSpec::kFormat) {
    choose_model(named(file));
  } else if (format->kind == core::Cluster::kFormat) {
    choose_cluster(file);
  } else if (format->kind == DesignDocument::kFormat) {
    const auto document = core::document_from_text<DesignDocument>(text, file);
    if (!document) return complain(document.error().message);
    auto design = from_document(*document);
    if (!design) return complain(file + ": " + design.error().message);
    start(std::move(*design), "opened " + file_name(file));
  } else if (format->kind == core::Trace::kFormat) {
    auto trace = core::trace_from_bytes(text, file);
    if (!trace) return complain(trace.error().message);
    return take_trace(
        file, {file_name(file), std::make_shared<const core::Trace>(std::move(*trace)), {}});
  } else if (format->kind == core::StrategyDocument::kFormat ||
             format->kind == core::RankedStrategies::kFormat) {
    if (!design().complete()) {
      complain(file + ": is for a model and a cluster; choose both first");
      return;
    }
    if (format->kind == core::StrategyDocument::kFormat) {
      add_strategy(file);
    } else {
      auto ranked = core::document_from_text<core::RankedStrategies>(text, file);
      if (!ranked) return complain(ranked.error().message);
      if (ranked->graph_hash != core::hex(design().graph->hash()) ||
          ranked->cluster != design().cluster->name())
        return complain(
            fmt::format("{}: was searched for {} with a batch of {} on {}; open are {} "
                        "with a batch of {} on {}",
                        file, ranked->graph, ranked->batch, ranked->cluster, design().graph->name(),
                        design().graph->batch(), design().cluster->name()));
      take(std::move(*ranked), "opened " + file_name(file));
    }
  } else {
    return complain(fmt::format(
        "{}: is a {}; models, clusters, strategies, traces, ranked strategies and designs are "
        "opened",
        file, format->kind));
  }
  opened();
}

void Session::take_trace(const std::string& file, OpenTrace opened) {
  for (const std::string& note : opened.notes) say(opened.name + ": " + note);
  traces_.push_back(std::move(opened));
  settings_.opened(file);
  ++revision_;
}

void Session::begin(const Beginning& beginning) {
  jobs_.start("opening", [this, backend = backend_, beginning](JobContext&) -> Jobs::Finish {
    Design first;
    std::string error;
    if (beginning.model) {
      first.model = *beginning.model;
      auto graph = backend->model(*beginning.model);
      if (graph)
        first.graph = std::make_shared<const core::Graph>(std::move(*graph));
      else
        error = graph.error().message;
    }
    if (!beginning.cluster.empty() && error.empty()) {
      auto cluster = backend->cluster(beginning.cluster);
      if (cluster)
        first.cluster = std::make_shared<const core::Cluster>(std::move(*cluster));
      else
        error = cluster.error().message;
    }
    return [this, beginning, first = std::move(first), error] {
      if (!error.empty()) complain(error);
      if (first.graph || first.cluster) start(first, "start");
      if (error.empty() && !beginning.strategies.empty()) add_strategies(beginning.strategies);
      if (beginning.strategies.empty()) start_with_first_strategy();
      open(beginning.files);
    };
  });
}

void Session::choose_model(const ModelChoice& choice) {
  jobs_.start(
      "model " + choice.name,
      [this, backend = backend_, choice](JobContext&) -> Jobs::Finish {
        auto graph = backend->model(choice);
        if (!graph) return [this, message = graph.error().message] { complain(message); };
        return [this, choice, graph = std::make_shared<const core::Graph>(std::move(*graph))] {
          Design next;  // strategies are of one model
          next.model = choice;
          next.graph = graph;
          next.cluster = design().cluster;
          next.optimizer = design().optimizer;
          start(std::move(next), "model " + choice.name);
          start_with_first_strategy();
        };
      },
      "model");
}

void Session::choose_cluster(const std::string& name) {
  jobs_.start(
      "cluster " + name,
      [this, backend = backend_, name](JobContext&) -> Jobs::Finish {
        auto cluster = backend->cluster(name);
        if (!cluster) return [this, message = cluster.error().message] { complain(message); };
        return [this, name, cluster = std::move(*cluster)] {
          if (const auto status = set_cluster(cluster.spec(), "cluster " + name); !status)
            complain(status.error().message);
        };
      },
      "cluster");
}

core::Status Session::set_cluster(core::ClusterSpec spec, const std::string& what,
                                  const std::string& key) {
  SOAPSTONE_ASSIGN(core::Cluster cluster, core::Cluster::build(std::move(spec)));
  Design next = design();
  next.cluster = std::make_shared<const core::Cluster>(std::move(cluster));
  const bool all_fit =
      !next.graph || std::all_of(next.strategies.begin(), next.strategies.end(),
                                 [&](const NamedStrategy& s) { return fits(next, *s.strategy); });
  if (all_fit) {
    change(what, std::move(next), key);
    start_with_first_strategy();
    return {};
  }
  // Strategies that name devices which are gone are made anew where a text says how. All in one
  // step, so that one undo takes it back.
  jobs_.start(
      what,
      [this, backend = backend_, before = history_.shared(), next, what,
       key](JobContext&) -> Jobs::Finish {
        Design made = next;
        made.strategies.clear();
        std::size_t lost = 0;
        const auto again = [&](const std::string& text) -> std::shared_ptr<const core::Strategy> {
          auto strategy = backend->strategy(made.setting(), text);
          if (!strategy || !fits(made, *strategy)) return nullptr;
          return std::make_shared<const core::Strategy>(std::move(*strategy));
        };
        for (NamedStrategy s : next.strategies) {
          if (!fits(made, *s.strategy)) s.strategy = again(s.origin);
          if (s.strategy)
            made.strategies.push_back(std::move(s));
          else
            ++lost;
        }
        if (made.strategies.empty())
          if (auto first = again("data-parallel"))
            made.strategies.push_back({.id = 1,
                                       .name = "data-parallel",
                                       .origin = "data-parallel",
                                       .strategy = std::move(first)});
        if (!made.find(made.current))
          made.current = made.strategies.empty() ? 0 : made.strategies.front().id;
        if (made.baseline && !made.find(*made.baseline)) made.baseline.reset();
        return [this, before, made = std::move(made), what, key, lost] {
          if (history_.shared() != before) return;  // something else was done meanwhile
          change(what, made, key);
          if (lost > 0)
            say(fmt::format(
                "{} of the strategies name devices that {} does not have; they are left out", lost,
                design().cluster->name()));
        };
      },
      "cluster");
  return {};
}

void Session::start_with_first_strategy() {
  if (design().complete() && design().strategies.empty()) add_strategy("data-parallel");
}

std::shared_ptr<const core::Trace> Session::measured() const {
  const NamedStrategy* shown = design().shown();
  if (!shown) return traces_.empty() ? nullptr : traces_.back().trace;
  core::Hasher h;
  core::append_hash(h, *shown->strategy);
  for (auto it = traces_.rbegin(); it != traces_.rend(); ++it)
    if (it->trace->strategy_hash == h.finish()) return it->trace;
  return nullptr;
}

void Session::close_trace(std::size_t i) {
  if (i < traces_.size()) traces_.erase(traces_.begin() + static_cast<std::ptrdiff_t>(i));
  ++revision_;
}

core::Status Session::save_design(const std::filesystem::path& file) {
  if (!design().complete())
    return core::refuse("there is nothing to save before a model and a cluster are chosen");
  SOAPSTONE_TRY(core::save_document(file, to_document(design())));
  saved_ = history_.shared();
  settings_.opened(file.string());
  return {};
}

core::Status Session::save_strategy(const std::filesystem::path& file) const {
  const NamedStrategy* shown = design().shown();
  if (!shown) return core::refuse("there is no strategy to save");
  return core::save_document(file, core::to_document(*design().graph, *shown->strategy));
}

core::Status Session::save_cluster(const std::filesystem::path& file) const {
  if (!design().cluster) return core::refuse("there is no cluster to save");
  return core::write_file_atomically(file, core::to_toml(design().cluster->spec()));
}

// --- strategies ---------------------------------------------------------------------------------

void Session::add(NamedStrategy strategy, const std::string& what) {
  Design next = design();
  strategy.id = next.fresh_id();
  if (!next.baseline && next.current != 0) next.baseline = next.current;
  next.current = strategy.id;
  next.strategies.push_back(std::move(strategy));
  change(what, std::move(next));
}

void Session::add_strategy(const std::string& text) { add_strategies({text}); }

// One job, so that they come in the order in which they are named.
void Session::add_strategies(const std::vector<std::string>& texts) {
  if (!design().complete()) return complain("choose a model and a cluster first");
  jobs_.start(
      "strategy " + texts[0],
      [this, backend = backend_, setting = design().setting(), texts](JobContext&) -> Jobs::Finish {
        std::vector<std::pair<std::string, std::shared_ptr<const core::Strategy>>> made;
        std::vector<std::string> errors;
        for (const std::string& text : texts) {
          auto strategy = backend->strategy(setting, text);
          if (strategy)
            made.emplace_back(text, std::make_shared<const core::Strategy>(std::move(*strategy)));
          else
            errors.push_back(strategy.error().message);
        }
        return [this, made = std::move(made), errors, key = setting.key()] {
          for (const std::string& error : errors) complain(error);
          if (!design().complete() || design().setting().key() != key) return;
          for (const auto& [text, strategy] : made)
            add({.name = file_name(text), .origin = text, .strategy = strategy},
                "strategy " + file_name(text));
        };
      });
}

void Session::show(StrategyId id) {
  Design next = design();
  if (!next.find(id) || next.current == id) return;
  next.current = id;
  const std::string what = "show " + next.find(id)->name;
  // What is looked at is no work: steps that only look are joined.
  change(what, std::move(next), "show");
}

void Session::compare_with(std::optional<StrategyId> id) {
  Design next = design();
  if (id && !next.find(*id)) return;
  next.baseline = id;
  const std::string what =
      id ? "compare with " + next.find(*id)->name : std::string("compare with nothing");
  change(what, std::move(next), "compare");
}

void Session::star(StrategyId id, bool starred) {
  Design next = design();
  for (auto& s : next.strategies)
    if (s.id == id) s.starred = starred;
  change(starred ? "star" : "take the star away", std::move(next));
}

void Session::rename(StrategyId id, const std::string& name) {
  Design next = design();
  for (auto& s : next.strategies)
    if (s.id == id) s.name = name;
  change("rename to " + name, std::move(next));
}

void Session::remove(StrategyId id) {
  Design next = design();
  const NamedStrategy* gone = next.find(id);
  if (!gone) return;
  const std::string what = "remove " + gone->name;
  std::erase_if(next.strategies, [&](const auto& s) { return s.id == id; });
  if (next.current == id) next.current = next.strategies.empty() ? 0 : next.strategies.front().id;
  if (next.baseline == id) next.baseline.reset();
  change(what, std::move(next));
}

std::uint64_t Session::key_of(const core::Strategy& strategy) const {
  core::Hasher h;
  h.word(design().setting().key());
  core::append_hash(h, strategy);
  return h.finish();
}

const Evaluated& Session::evaluated(StrategyId id) {
  static const Evaluated kNone;
  const NamedStrategy* s = design().find(id);
  if (!s || !design().complete()) return kNone;
  const std::uint64_t key = key_of(*s->strategy);
  const auto it = evaluated_.find(key);
  if (it == evaluated_.end()) want(id);
  return evaluated_[key];
}

const Evaluated* Session::known(StrategyId id) const {
  const NamedStrategy* s = design().find(id);
  if (!s || !design().complete()) return nullptr;
  const auto it = evaluated_.find(key_of(*s->strategy));
  return it == evaluated_.end() ? nullptr : &it->second;
}

void Session::complete_figures(StrategyId id) {
  const NamedStrategy* s = design().find(id);
  if (!s || !design().complete()) return;
  for (const JobStatus& job : jobs_.running())
    if (job.id == completing_) return;
  completing_ =
      jobs_.start("simulating " + s->name,
                  [this, backend = backend_, setting = design().setting(), strategy = s->strategy,
                   key = key_of(*s->strategy)](JobContext&) -> Jobs::Finish {
                    auto done = backend->evaluate(setting, *strategy);
                    return [this, key, figures = done ? figures_of(*done) : Figures(),
                            error = done ? std::string() : done.error().message] {
                      Evaluated& now = evaluated_[key];
                      if (error.empty()) {
                        now.figures = figures;
                      } else if (now.state != Evaluated::State::kRunning) {
                        now.state = Evaluated::State::kFailed;
                        now.error = error;
                      }
                    };
                  });
}

void Session::want(StrategyId id) {
  const NamedStrategy* s = design().find(id);
  if (!s) return;
  const std::uint64_t key = key_of(*s->strategy);
  const bool current = id == design().current;
  Evaluated& e = evaluated_[key];
  std::erase(full_, key);
  full_.push_back(key);
  if (e.full) {
    if (current) last_shown_ = e.full;
    return;
  }
  if (e.state == Evaluated::State::kRunning || e.state == Evaluated::State::kFailed) return;
  e.state = Evaluated::State::kRunning;
  jobs_.start("simulating " + s->name,
              [this, backend = backend_, setting = design().setting(), strategy = s->strategy,
               key](JobContext&) -> Jobs::Finish {
                auto done = backend->evaluate(setting, *strategy);
                std::shared_ptr<const Evaluation> full;
                if (done) full = std::make_shared<const Evaluation>(std::move(*done));
                return [this, key, full, error = full ? std::string() : done.error().message] {
                  Evaluated& now = evaluated_[key];
                  now.state = full ? Evaluated::State::kReady : Evaluated::State::kFailed;
                  now.error = error;
                  if (full) {
                    now.full = full;
                    now.figures = figures_of(*full);
                    const NamedStrategy* shown = design().shown();
                    if (shown && key_of(*shown->strategy) == key) last_shown_ = full;
                  }
                  while (full_.size() > kMostFull) {
                    Evaluated& oldest = evaluated_[full_.front()];
                    if (oldest.state == Evaluated::State::kReady) {
                      oldest.full = nullptr;
                      oldest.state = Evaluated::State::kMissing;
                    }
                    full_.erase(full_.begin());
                  }
                };
              });
}

std::shared_ptr<const Evaluation> Session::shown() {
  if (design().current == 0) return nullptr;
  const Evaluated& e = evaluated(design().current);
  if (!e.full) want(design().current);
  return e.full;
}

std::shared_ptr<const Evaluation> Session::compared() {
  if (!design().baseline) return nullptr;
  const Evaluated& e = evaluated(*design().baseline);
  if (!e.full) want(*design().baseline);
  return e.full;
}

const Evaluated* Session::known_at(std::size_t step) const {
  const Design& then = history_.design(step);
  if (!then.complete() || !then.shown()) return nullptr;
  core::Hasher h;
  h.word(then.setting().key());
  core::append_hash(h, *then.shown()->strategy);
  const auto known = evaluated_.find(h.finish());
  return known == evaluated_.end() ? nullptr : &known->second;
}

std::shared_ptr<const Evaluation> Session::evaluated_at(std::size_t step) const {
  const Evaluated* known = known_at(step);
  return known ? known->full : nullptr;
}

std::optional<Figures> Session::figures_at(std::size_t step) const {
  const Evaluated* known = known_at(step);
  return known ? known->figures : std::nullopt;
}

std::shared_ptr<const Evaluation> Session::before() const {
  if (history_.at() == 0) return nullptr;
  const Evaluated *then = known_at(history_.at() - 1), *now = known_at(history_.at());
  return then && then != now ? then->full : nullptr;
}

// --- what if ------------------------------------------------------------------------------------

void Session::ask(Changes changes) {
  const auto of = shown();
  if (!of) return;
  if (question_.of != of) question_ = {};
  if (question_.changes == changes) return;
  question_.of = of;
  question_.changes = std::move(changes);
  question_.error.clear();
  if (!question_.stands()) question_ = {};
  ++revision_;
  answer();
}

void Session::answer() {
  if (!question_.waits()) return;
  for (const JobStatus& job : jobs_.running())
    if (job.id == answering_ && !job.cancelled) return;
  answering_ = jobs_.start("what if",
                           [this, backend = backend_, setting = design().setting(),
                            strategy = design().shown()->strategy, of = question_.of,
                            changes = question_.changes](JobContext&) -> Jobs::Finish {
                             std::vector<std::string> texts;
                             for (const simulator::Change& c : changes)
                               texts.push_back(simulator::to_text(c));
                             auto done = backend->changed_step(setting, *strategy, texts);
                             std::shared_ptr<const core::Trace> trace;
                             if (done)
                               trace = std::make_shared<const core::Trace>(std::move(*done));
                             return [this, of, changes, trace,
                                     error = trace ? std::string() : done.error().message] {
                               if (question_.of == of) {
                                 if (trace) {
                                   question_.trace = trace;
                                   question_.answered = changes;
                                 } else if (question_.changes == changes) {
                                   question_.error = error;
                                 }
                               }
                               answer();
                             };
                           });
}

// --- edits --------------------------------------------------------------------------------------

core::Status Session::try_edit(
    const std::function<core::Status(core::Strategy&)>& change_it) const {
  const NamedStrategy* shown = design().shown();
  if (!shown) return core::refuse("there is no strategy to edit");
  core::Strategy strategy = *shown->strategy;
  SOAPSTONE_TRY(change_it(strategy));
  SOAPSTONE_TRY(
      core::check(*design().graph, strategy, static_cast<std::uint32_t>(design().cluster->size())));
  const auto pipeline = core::pipeline_of(*design().graph, strategy, true);
  if (!pipeline) return tl::unexpected(pipeline.error());
  return {};
}

core::Status Session::edit(const std::string& what,
                           const std::function<core::Status(core::Strategy&)>& change_it,
                           const std::string& key) {
  SOAPSTONE_TRY(try_edit(change_it));
  Design next = design();
  const NamedStrategy shown = *next.shown();
  auto strategy = std::make_shared<core::Strategy>(*shown.strategy);
  SOAPSTONE_TRY(change_it(*strategy));
  if (*strategy == *shown.strategy) return {};
  if (shown.origin.starts_with(kEdited)) {
    for (auto& s : next.strategies)
      if (s.id == shown.id) s.strategy = std::move(strategy);
  } else {
    const StrategyId id = next.fresh_id();
    next.strategies.push_back({.id = id,
                               .name = shown.name + " (edited)",
                               .origin = std::string(kEdited) + shown.name,
                               .strategy = std::move(strategy)});
    next.current = id;
    next.baseline = shown.id;
  }
  change(what, std::move(next), key);
  return {};
}

void Session::set_optimizer(const OptimizerChoice& optimizer) {
  Design next = design();
  next.optimizer = optimizer;
  change("optimizer", std::move(next), "optimizer");
}

void Session::pin(const std::set<std::uint32_t>& ops, bool pinned) {
  if (!design().graph) return;
  Design next = design();
  for (const std::uint32_t op : ops) {
    const std::string& name = next.graph->ops()[op].name;
    if (pinned)
      next.pinned.insert(name);
    else
      next.pinned.erase(name);
  }
  change(pinned ? "pin" : "unpin", std::move(next));
}

void Session::undo() {
  history_.undo();
  after_change();
}
void Session::redo() {
  history_.redo();
  after_change();
}
void Session::go_to(std::size_t step) {
  if (step < history_.size()) history_.go_to(step);
  after_change();
}

// --- searches -----------------------------------------------------------------------------------

void Session::search() {
  if (!design().complete()) return complain("choose a model and a cluster first");
  if (search_.running) jobs_.cancel(search_.job);
  SearchRequest request = next_search_;
  request.pins.clear();
  if (const NamedStrategy* shown = design().shown())
    for (const std::string& name : design().pinned)
      if (const auto op = design().graph->find_op(name))
        request.pins[name] = shown->strategy->ops[op->value];
  search_ = {};
  search_.request = request;
  search_.running = true;
  auto progress = progress_ = std::make_shared<Progress>();
  search_.job = jobs_.start(
      "searching",
      [this, backend = backend_, setting = design().setting(), request,
       progress](JobContext& context) -> Jobs::Finish {
        auto ranked = backend->search(setting, request, [&](const SearchReport& report) {
          context.progress(report.fraction, fmt::format("{} proposals", report.proposals));
          const bool wanted = context.wanted();
          const std::scoped_lock lock(progress->mutex);
          if (report.best &&
              (progress->curve.empty() || *report.best < *progress->curve.back().best))
            progress->curve.push_back(report);
          progress->last = report;
          return wanted && !progress->stop;
        });
        return [this, progress, key = setting.key(), ranked = std::move(ranked)]() mutable {
          if (progress != progress_) return;
          search_.running = false;
          {
            const std::scoped_lock lock(progress->mutex);
            search_.last = progress->last;
            search_.curve = progress->curve;
          }
          if (!ranked) {
            search_.error = ranked.error().message;
            return complain("search: " + search_.error);
          }
          if (!design().complete() || design().setting().key() != key)
            return say("the search's model or cluster is open no more; its answer is left out");
          take(std::move(*ranked), "search");
        };
      },
      "search");
  ++revision_;
}

void Session::stop_search() {
  if (!search_.running) return;
  {
    const std::scoped_lock lock(progress_->mutex);
    progress_->stop = true;
  }
  pause_search(false);
}

void Session::pause_search(bool paused) {
  if (!search_.running) return;
  search_.paused = paused;
  jobs_.pause(search_.job, paused);
  ++revision_;
}

void Session::take(core::RankedStrategies ranked, const std::string& what) {
  Design next = design();
  StrategyId first = 0;
  std::size_t rank = 0, added = 0;
  for (const core::RankedStrategy& r : ranked.strategies) {
    ++rank;
    auto strategy = core::from_document(*next.graph, r.strategy);
    if (!strategy) {
      complain(fmt::format("{}: strategy {}: {}", what, rank, strategy.error().message));
      continue;
    }
    const auto same = std::find_if(next.strategies.begin(), next.strategies.end(),
                                   [&](const auto& s) { return *s.strategy == *strategy; });
    StrategyId id = 0;
    if (same != next.strategies.end()) {
      id = same->id;
    } else {
      id = next.fresh_id();
      next.strategies.push_back(
          {.id = id,
           .name = fmt::format("{} #{}", r.origin, rank),
           .origin = r.origin,
           .strategy = std::make_shared<const core::Strategy>(std::move(*strategy))});
      ++added;
    }
    if (first == 0) first = id;
    // Figures are known already; the rest is computed when it is looked at.
    Evaluated& e = evaluated_[key_of(*next.find(id)->strategy)];
    if (!e.figures)
      e.figures = Figures{r.step_time, r.peak_memory, r.samples_per_second, {}, r.why_not};
  }
  if (first != 0) {
    if (!next.baseline && next.current != 0 && next.current != first) next.baseline = next.current;
    next.current = first;
  }
  change(fmt::format("{}: {} strategies", what, added), std::move(next));
}

// --- launches -----------------------------------------------------------------------------------

void Session::launch() {
  if (launch_.running) return complain("a training is running; stop it first");
  LaunchChoice choice = next_launch_;
  choice.program = backend_->program();
  if (const std::string why = why_no_launch(design(), choice); !why.empty()) return complain(why);
  launch_ = {};
  launch_.running = true;
  auto progress = launch_progress_ = std::make_shared<LaunchProgress>();
  const auto design = history_.shared();
  launch_.job = jobs_.start(
      "training",
      [this, backend = backend_, design, choice, progress](JobContext& context) -> Jobs::Finish {
        RunFiles files;
        Command command;
        const auto run = [&]() -> core::Result<int> {
          SOAPSTONE_ASSIGN(const std::string folder, backend->folder_of_run());
          files = run_files(folder);
          SOAPSTONE_ASSIGN(
              const std::string strategy,
              core::document_text(core::to_document(*design->graph, *design->shown()->strategy)));
          SOAPSTONE_TRY(backend->write(files.strategy, strategy));
          SOAPSTONE_TRY(backend->write(files.cluster, core::to_toml(design->cluster->spec())));
          command = launch_command(*design, choice, files);
          {
            const std::scoped_lock lock(progress->mutex);
            progress->log.push_back("$ " + shell_text(command));
            ++progress->number;
          }
          auto read_at = std::chrono::steady_clock::now(), trace_at = read_at;
          std::size_t trace_hash = 0;
          return backend->execute(
              command,
              [&](std::string_view line) {
                const std::scoped_lock lock(progress->mutex);
                add_line(progress->log, line);
                ++progress->number;
              },
              [&] {
                const auto now = std::chrono::steady_clock::now();
                if (!choice.pace && now - read_at > std::chrono::milliseconds(500)) {
                  read_at = now;
                  // The last line may be half written; then the one before is the last.
                  if (auto text = backend->read(files.metrics)) {
                    text->resize(text->rfind('\n') == std::string::npos ? 0
                                                                        : text->rfind('\n') + 1);
                    if (auto metrics = reports::metrics_from_text(*text, files.metrics)) {
                      const std::scoped_lock lock(progress->mutex);
                      progress->metrics = std::move(*metrics);
                      ++progress->number;
                    }
                  }
                }
                if (now - trace_at > std::chrono::seconds(2)) {
                  trace_at = now;
                  const auto bytes = backend->read(files.trace);
                  const std::size_t hash = bytes ? std::hash<std::string>()(*bytes) : trace_hash;
                  if (hash != trace_hash) {
                    trace_hash = hash;
                    if (auto trace = core::trace_from_bytes(*bytes, files.trace)) {
                      const std::scoped_lock lock(progress->mutex);
                      progress->trace = std::make_shared<const core::Trace>(std::move(*trace));
                      ++progress->number;
                    }
                  }
                }
                return context.wanted() && !progress->stop;
              });
        };
        const core::Result<int> code = run();
        reports::TrainingMetrics metrics;
        if (auto text = backend->read(files.metrics))
          metrics = reports::metrics_from_text(*text, files.metrics).value_or(metrics);
        return [this, progress, code, files, metrics = std::move(metrics)] {
          if (progress != launch_progress_) return;
          launch_.running = false;
          show_running(nullptr);
          launch_.files = files;
          launch_.log = progress->log;
          if (!metrics.steps.empty()) launch_.metrics = metrics;
          if (!code) {
            launch_.error = code.error().message;
          } else {
            launch_.exit_code = *code;
            if (*code != 0)
              launch_.error =
                  fmt::format("the training ended with {}\n{}", *code, failure_text(launch_.log));
          }
          if (!launch_.error.empty()) return complain(launch_.error);
          open(files.trace);
        };
      });
  ++revision_;
}

// The trace of a training that runs stands in for the one that it leaves.
void Session::show_running(std::shared_ptr<const core::Trace> trace) {
  const auto running = std::find_if(traces_.begin(), traces_.end(), [&](const OpenTrace& open) {
    return launch_.trace && open.trace == launch_.trace;
  });
  launch_.trace = trace;
  if (!trace) {
    if (running != traces_.end()) traces_.erase(running);
  } else if (running != traces_.end()) {
    running->trace = std::move(trace);
  } else {
    traces_.push_back({"measured so far", std::move(trace), {}});
  }
  ++revision_;
}

void Session::stop_launch() {
  if (!launch_.running) return;
  launch_progress_->stop = true;
  launch_.stopping = true;
  ++revision_;
}

// --- work that was not saved --------------------------------------------------------------------

std::filesystem::path Session::autosave_file() const {
  return folder_ / fmt::format("unsaved-{}.json", ::getpid());
}

void Session::autosave() {
  if (!design().complete() || !unsaved() || autosaved_ == history_.shared()) return;
  std::error_code ignored;
  std::filesystem::create_directories(folder_, ignored);
  if (core::save_document(autosave_file(), to_document(design()))) autosaved_ = history_.shared();
}

std::vector<std::filesystem::path> Session::left_behind() const {
  std::vector<std::filesystem::path> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
    const std::string name = entry.path().filename().string();
    int process = 0;
    if (std::sscanf(name.c_str(), "unsaved-%d.json", &process) != 1 || process == ::getpid())
      continue;
    if (::kill(process, 0) == 0) continue;  // it is still at work
    found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    std::error_code ignored;
    return std::filesystem::last_write_time(a, ignored) >
           std::filesystem::last_write_time(b, ignored);
  });
  return found;
}

void Session::discard(const std::filesystem::path& left) {
  std::error_code ignored;
  std::filesystem::remove(left, ignored);
  ++revision_;
}

}  // namespace soapstone::explorer
