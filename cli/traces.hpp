// Traces that a command line names: Soapstone's own, or of another framework.
#pragma once

#include <string>

#include "cli/command.hpp"
#include "core/plan.hpp"
#include "importers/open_trace.hpp"

namespace soapstone::cli {

// What --help and the errors say is accepted.
inline constexpr const char* kTraceType = "FILE|FOLDER";

// A trace of either kind (importers/open_trace.hpp). What is to know of a foreign one is printed:
// with the result, or beside it where that is a document.
core::Result<importers::OpenedTrace> open_trace(const Invocation& invocation,
                                                const std::string& what, const core::Graph* graph);

// A trace of this plan; a foreign one is refused.
core::Result<core::Trace> load_trace_of(const core::Plan& plan, const std::string& file,
                                        core::TraceOrigin origin);

}  // namespace soapstone::cli
