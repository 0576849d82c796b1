#include "explorer_gui/model/exports.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "core/file.hpp"
#include "core/trace_file.hpp"
#include "reports/chrome_trace.hpp"
#include "reports/report_folder.hpp"

namespace soapstone::explorer {

using core::Result;
using core::Status;

void write_by_job(Session& session, const std::filesystem::path& file,
                  std::function<Result<std::string>()> write) {
  session.jobs().start("writing " + file.string(),
                       [&session, file, write = std::move(write)](JobContext&) -> Jobs::Finish {
                         const Result<std::string> written = write();
                         return [&session, file, written] {
                           if (written)
                             session.say("saved " + file.string() + *written);
                           else
                             session.complain(written.error().message);
                         };
                       });
}

namespace {

// What a report is made of, or why there is none. Large values are shared until a job copies them.
struct Source {
  std::shared_ptr<const core::Graph> graph;
  std::shared_ptr<const core::Cluster> cluster;
  std::shared_ptr<const core::Strategy> strategy;
  std::shared_ptr<const Evaluation> evaluation;
  std::shared_ptr<const core::Trace> measured;

  // `note`: why the measured trace is left out.
  reports::ReportInput input(std::string& note) const {
    reports::ReportInput out{*graph, *cluster, *strategy, evaluation->plan, evaluation->trace,
                             {},     {},       {}};
    if (!measured) return out;
    const Status fits =
        reports::check_trace(evaluation->plan, *measured, core::TraceOrigin::kMeasured);
    if (fits)
      out.measured = *measured;
    else
      note = "; without the open trace: " + fits.error().message;
    return out;
  }
};

Result<Source> source_of(Session& session) {
  const Design& d = session.design();
  const NamedStrategy* const shown = d.shown();
  Source out;
  if (d.complete() && shown) out.evaluation = session.shown();
  if (!out.evaluation) return core::refuse("there is no simulated strategy to write about yet");
  out.graph = d.graph;
  out.cluster = d.cluster;
  out.strategy = shown->strategy;
  out.measured = session.measured();
  return out;
}

}  // namespace

void export_report(Session& session, const std::filesystem::path& folder) {
  auto source = source_of(session);
  if (!source) return session.complain(source.error().message);
  write_by_job(session, folder / "index.html",
               [folder, source = *source, ranked = ranked_of(session)]() -> Result<std::string> {
                 std::string note;
                 reports::ReportInput input = source.input(note);
                 if (ranked.strategies.size() > 1) input.ranked = ranked;
                 SOAPSTONE_ASSIGN(
                     const auto written,
                     reports::write_report(folder, input, reports::ColourBy::kDevices));
                 std::string said = " and ";
                 said += std::to_string(written.files.size() - 1) + " more files" + note;
                 for (const std::string& missing : written.notes) said += ". " + missing;
                 return said;
               });
}

void export_trace(Session& session, const std::filesystem::path& file) {
  auto source = source_of(session);
  if (!source) return session.complain(source.error().message);
  write_by_job(session, file, [file, evaluation = source->evaluation]() -> Result<std::string> {
    SOAPSTONE_TRY(core::save_trace(file, evaluation->trace));
    return std::string();
  });
}

void export_chrome_trace(Session& session, const std::filesystem::path& file) {
  auto source = source_of(session);
  if (!source) return session.complain(source.error().message);
  write_by_job(session, file, [file, source = *source]() -> Result<std::string> {
    std::string note;
    const std::string text = reports::chrome_trace(source.input(note));
    SOAPSTONE_TRY(core::write_file_atomically(file, text));
    return note;
  });
}

core::RankedStrategies ranked_of(const Session& session) {
  const Design& d = session.design();
  core::RankedStrategies out;
  if (!d.complete()) return out;
  out.graph = d.graph->name();
  out.graph_hash = core::hex(d.graph->hash());
  out.cluster = d.cluster->name();
  out.batch = d.graph->batch();
  out.searcher = "explorer";
  for (const NamedStrategy& s : d.strategies) {
    const Evaluated* const known = session.known(s.id);
    if (!known || !known->figures) continue;
    const Figures& f = *known->figures;
    out.strategies.push_back({core::to_document(*d.graph, *s.strategy), f.step_time, f.peak_memory,
                              f.samples_per_second, s.name, f.why_not.empty(), f.why_not});
  }
  out.proposals = static_cast<std::int64_t>(out.strategies.size());
  std::stable_sort(out.strategies.begin(), out.strategies.end(), [](const auto& a, const auto& b) {
    return std::pair(!a.feasible, a.step_time) < std::pair(!b.feasible, b.step_time);
  });
  return out;
}

}  // namespace soapstone::explorer
