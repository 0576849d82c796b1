// A trace from wherever: Soapstone's own, or that of another framework.
#pragma once

#include <string>
#include <vector>

#include "core/graph.hpp"
#include "core/result.hpp"
#include "core/trace.hpp"

namespace soapstone::importers {

struct OpenedTrace {
  core::Trace trace;
  bool is_foreign = false;         // of another framework: it has no plan
  std::vector<std::string> notes;  // what to know before believing it (chrome_trace.hpp)
};

// The names of the files that `what` stands for: a file, the files of a folder that end in .json,
// sorted, or names with commas between them.
core::Result<std::vector<std::string>> trace_files(const std::string& what);

// `what` is a file of either kind, a folder of files of one run, one per rank (those in it that are
// Chrome traces), or their names with commas between them. `graph`, whose operators foreign spans
// are mapped to, may be null.
core::Result<OpenedTrace> open_trace(const std::string& what, const core::Graph* graph);

}  // namespace soapstone::importers
