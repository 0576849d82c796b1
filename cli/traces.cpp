#include "cli/traces.hpp"

#include <cstdio>
#include <utility>

#include <fmt/core.h>

#include "cli/common.hpp"
#include "reports/report_input.hpp"

namespace soapstone::cli {

core::Result<importers::OpenedTrace> open_trace(const Invocation& invocation,
                                                const std::string& what, const core::Graph* graph) {
  SOAPSTONE_ASSIGN(importers::OpenedTrace opened, importers::open_trace(what, graph));
  std::FILE* const out = invocation.json ? stderr : stdout;
  if (!opened.notes.empty()) fmt::print(out, "{}\n", what);
  for (const std::string& note : opened.notes) fmt::print(out, "  {}\n", note);
  return opened;
}

core::Result<core::Trace> load_trace_of(const core::Plan& plan, const std::string& file,
                                        core::TraceOrigin origin) {
  SOAPSTONE_ASSIGN(importers::OpenedTrace opened, importers::open_trace(file, nullptr));
  if (opened.is_foreign)
    return core::refuse(
        "{}: is of another framework, so that its spans are of no plan; a trace of this plan is "
        "accepted here. `soapstone diff`, `explain --trace` and `explore` open it",
        file);
  if (const auto status = reports::check_trace(plan, opened.trace, origin); !status)
    return tl::unexpected(in_file(file, status.error()));
  return std::move(opened.trace);
}

}  // namespace soapstone::cli
