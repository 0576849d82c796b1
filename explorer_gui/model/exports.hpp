// What leaves the explorer for other programs and for people without it. Written by jobs; the
// session says what was saved, or why not.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "core/ranked_strategies.hpp"
#include "explorer_gui/model/session.hpp"

namespace soapstone::explorer {

// Writes a file by a job: `write` on its thread; what it answers is said behind "saved FILE".
void write_by_job(Session& session, const std::filesystem::path& file,
                  std::function<core::Result<std::string>()> write);

// A report as the verb `report` writes it (reports/report_folder.hpp) of the strategy that is
// shown, with its measured trace where one is open that fits, and all strategies of the design.
void export_report(Session& session, const std::filesystem::path& folder);
// The predicted trace of the strategy that is shown, in the form that the file's name says
// (core/trace_file.hpp).
void export_trace(Session& session, const std::filesystem::path& file);
// The predicted and the measured trace for Perfetto or chrome://tracing.
void export_chrome_trace(Session& session, const std::filesystem::path& file);

// The strategies of a design of which anything is known, as an answer of a search: those that fit
// first, then by step time.
core::RankedStrategies ranked_of(const Session& session);

}  // namespace soapstone::explorer
