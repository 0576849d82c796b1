// The explorer without its window: what is open, what is computed of it, and everything that a
// person can do with it. One thread owns it and polls it once per frame; nothing here blocks.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/ranked_strategies.hpp"
#include "core/trace.hpp"
#include "explorer_gui/model/backend.hpp"
#include "explorer_gui/model/history.hpp"
#include "explorer_gui/model/jobs.hpp"
#include "explorer_gui/model/launch.hpp"
#include "explorer_gui/model/question.hpp"
#include "explorer_gui/model/selection.hpp"
#include "explorer_gui/model/settings.hpp"

namespace soapstone::explorer {

// What is known of a strategy's step.
struct Figures {
  core::Nanoseconds step_time;
  core::Bytes peak_memory;
  double samples_per_second = 0;
  simulator::Utilization use;
  std::string why_not;  // it does not fit, as a sentence; or empty

  // A search tells everything but `use`.
  bool is_complete() const { return use.computing + use.exposed_communication + use.idle > 0; }
  friend bool operator==(const Figures&, const Figures&) = default;
};

struct Evaluated {
  enum class State : std::uint8_t { kMissing, kRunning, kReady, kFailed };
  State state = State::kMissing;
  std::optional<Figures> figures;          // stay when `full` is given up
  std::shared_ptr<const Evaluation> full;  // of those that were looked at last
  std::string error;
};

struct OpenTrace {
  std::string name;  // of its file
  std::shared_ptr<const core::Trace> trace;
  // Of another framework's: what to know before believing it (importers/chrome_trace.hpp).
  std::vector<std::string> notes;
};

struct Message {
  enum class Kind : std::uint8_t { kNote, kError };
  Kind kind = Kind::kNote;
  std::string text;
  std::uint64_t number = 0;  // ascending
};

// A search while it runs and after.
struct SearchRun {
  SearchRequest request;
  std::uint64_t job = 0;
  bool running = false;
  bool paused = false;
  SearchReport last;
  std::vector<SearchReport> curve;  // where `best` became better
  std::string error;
};

class Session {
 public:
  explicit Session(std::shared_ptr<Backend> backend,
                   std::filesystem::path folder = config_folder());
  ~Session();

  // Takes in what jobs have done; true: something that is shown has changed.
  bool poll();
  // Grows with everything that is shown.
  std::uint64_t revision() const { return revision_; }
  // Polls until no job is left. For tests and for programs without a window.
  void finish_jobs();

  // --- what is open -----------------------------------------------------------------------------
  const Design& design() const { return history_.now(); }
  const History& history() const { return history_; }
  const Catalogue& catalogue() const { return catalogue_; }
  // A model, strategy, trace, answer of a search, design or cluster file: what it says it is.
  void open(const std::string& file) { open(std::vector{file}); }
  // Chrome traces among them are of one run, a rank each; a folder stands for its files.
  void open(const std::vector<std::string>& files);
  // What a command line names: model and cluster first, then strategies, then files.
  struct Beginning {
    std::optional<ModelChoice> model;
    std::string cluster;                  // empty: none
    std::vector<std::string> strategies;  // as for add_strategy; none: data parallelism
    std::vector<std::string> files;
  };
  void begin(const Beginning& beginning);
  void choose_model(const ModelChoice& choice);
  void choose_cluster(const std::string& name);
  const std::vector<OpenTrace>& traces() const { return traces_; }
  // The first measured trace of the strategy that is shown, else any trace of it; may be none.
  std::shared_ptr<const core::Trace> measured() const;
  void close_trace(std::size_t i);
  core::Status save_design(const std::filesystem::path& file);
  core::Status save_strategy(const std::filesystem::path& file) const;
  core::Status save_cluster(const std::filesystem::path& file) const;
  // Differs from what was saved or opened last.
  bool unsaved() const { return !saved_ || !(*saved_ == history_.now()); }

  // --- strategies -------------------------------------------------------------------------------
  // By its text: "data-parallel", "dp=2,tp=2", a file. Becomes the one that is shown.
  void add_strategy(const std::string& text);
  void add_strategies(const std::vector<std::string>& texts);
  void show(StrategyId id);
  void compare_with(std::optional<StrategyId> id);
  void star(StrategyId id, bool starred);
  void rename(StrategyId id, const std::string& name);
  void remove(StrategyId id);
  const Evaluated& evaluated(StrategyId id);
  // The same without having anything computed; null: nothing is known.
  const Evaluated* known(StrategyId id) const;
  // Has the figures of a strategy computed that are not known yet, beside what is looked at. One
  // strategy at a time: does nothing while another one's are.
  void complete_figures(StrategyId id);
  // Of the strategy that is shown, or that it is compared with; may be none.
  std::shared_ptr<const Evaluation> shown();
  std::shared_ptr<const Evaluation> compared();
  // Of what was shown before the last change of the design, or at that step of the history; none:
  // it was the same, or it is not known any more.
  std::shared_ptr<const Evaluation> before() const;
  std::shared_ptr<const Evaluation> evaluated_at(std::size_t step) const;
  std::optional<Figures> figures_at(std::size_t step) const;
  // The last one that was ready: stays on the screen while an edit is computed.
  std::shared_ptr<const Evaluation> last_shown() const { return last_shown_; }

  // --- edits ------------------------------------------------------------------------------------
  // Changes the strategy that is shown. One that was found or opened stays, and an edited copy is
  // shown instead, compared with it. An error (of `change`, or because the outcome is illegal)
  // leaves everything as it is.
  core::Status edit(const std::string& what,
                    const std::function<core::Status(core::Strategy&)>& change,
                    const std::string& key = {});
  // Whether such an edit would be legal, and if not, why not.
  core::Status try_edit(const std::function<core::Status(core::Strategy&)>& change) const;
  void settle() { history_.settle(); }
  core::Status set_cluster(core::ClusterSpec spec, const std::string& what,
                           const std::string& key = {});
  void set_optimizer(const OptimizerChoice& optimizer);
  void pin(const std::set<std::uint32_t>& ops, bool pinned);
  void undo();
  void redo();
  void go_to(std::size_t step);

  // --- what if ----------------------------------------------------------------------------------
  // Asks how long the step that is shown would take with these changes, in the place of those that
  // were asked before; with none nothing is asked. While one answer is worked out, only the newest
  // question waits. Ends when another step is shown.
  void ask(Changes changes);
  const Question& question() const { return question_; }

  // --- searches ---------------------------------------------------------------------------------
  SearchRequest& next_search() { return next_search_; }
  // With the pins of the design; the one that runs is stopped.
  void search();
  void stop_search();  // keeps the best so far
  void pause_search(bool paused);
  const SearchRun& search_run() const { return search_; }

  // --- launches ---------------------------------------------------------------------------------
  LaunchChoice& next_launch() { return next_launch_; }
  // Trains by the strategy that is shown. The trace that it measures is opened at its end.
  void launch();
  void stop_launch();  // it ends after the step that it is in
  const LaunchRun& launch_run() const { return launch_; }

  // --- everything else --------------------------------------------------------------------------
  Selection& selection() { return selection_; }
  const Selection& selection() const { return selection_; }
  Settings& settings() { return settings_; }
  const std::filesystem::path& folder() const { return folder_; }
  Jobs& jobs() { return jobs_; }
  Backend& backend() { return *backend_; }
  std::shared_ptr<Backend> shared_backend() { return backend_; }
  const std::vector<Message>& messages() const { return messages_; }
  void say(std::string text) { add_message(Message::Kind::kNote, std::move(text)); }
  void complain(std::string text) { add_message(Message::Kind::kError, std::move(text)); }
  void changed() { ++revision_; }

  // --- work that was not saved ------------------------------------------------------------------
  // Writes unsaved work beside the settings, where another session finds it after a crash.
  void autosave();
  // Work that a session which is gone has left: files, the newest first.
  std::vector<std::filesystem::path> left_behind() const;
  void discard(const std::filesystem::path& left);

 private:
  struct Progress;
  struct LaunchProgress;

  void add_message(Message::Kind kind, std::string text);
  void start(Design design, std::string what);  // something else is open from now on
  void change(std::string what, Design next, std::string key = {});
  void after_change();
  void want(StrategyId id);
  void answer();
  std::uint64_t key_of(const core::Strategy& strategy) const;
  const Evaluated* known_at(std::size_t step) const;
  void take(core::RankedStrategies ranked, const std::string& what);
  void take_document(const std::string& file, const std::string& text);
  void take_trace(const std::string& file, OpenTrace opened);
  void show_running(std::shared_ptr<const core::Trace> trace);
  void add(NamedStrategy strategy, const std::string& what);
  void start_with_first_strategy();
  std::filesystem::path autosave_file() const;

  std::shared_ptr<Backend> backend_;
  std::filesystem::path folder_;
  Settings settings_;
  Catalogue catalogue_;
  History history_;
  std::shared_ptr<const Design> saved_;
  std::shared_ptr<const Design> autosaved_;
  std::map<std::uint64_t, Evaluated> evaluated_;
  std::vector<std::uint64_t>
      full_;                      // keys with a full evaluation, the last one that was wanted last
  std::uint64_t completing_ = 0;  // the job
  std::shared_ptr<const Evaluation> last_shown_;
  Question question_;
  std::uint64_t answering_ = 0;  // the job
  std::vector<OpenTrace> traces_;
  Selection selection_;
  std::shared_ptr<const core::Graph> of_graph_;  // whose operators `selection_` means
  SearchRequest next_search_;
  SearchRun search_;
  std::shared_ptr<Progress> progress_;
  LaunchChoice next_launch_;
  LaunchRun launch_;
  std::shared_ptr<LaunchProgress> launch_progress_;
  std::vector<Message> messages_;
  std::uint64_t revision_ = 1;
  Jobs jobs_;  // last: its threads end before what they use
};

}  // namespace soapstone::explorer
