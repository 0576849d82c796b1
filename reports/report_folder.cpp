#include "reports/report_folder.hpp"

#include <system_error>
#include <utility>

#include "core/file.hpp"
#include "reports/chrome_trace.hpp"
#include "reports/csv.hpp"
#include "reports/dot.hpp"
#include "reports/html.hpp"
#include "reports/op_table.hpp"
#include "reports/strategy_table.hpp"
#include "reports/summary.hpp"
#include "reports/svg.hpp"

namespace soapstone::reports {

namespace {

core::Status make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  if (std::filesystem::exists(folder, error) && !std::filesystem::is_directory(folder, error))
    return core::usage_error("{}: this is no folder; the name of a folder is accepted",
                             folder.string());
  std::filesystem::create_directories(folder, error);
  if (error) return core::fail("{}: cannot be made: {}", folder.string(), error.message());
  return {};
}

}  // namespace

core::Result<WrittenReport> write_report(const std::filesystem::path& folder,
                                         const ReportInput& input, ColourBy colour) {
  SOAPSTONE_TRY(make_folder(folder));
  WrittenReport out;
  const auto write = [&](std::string name, std::string what,
                         const std::string& text) -> core::Status {
    SOAPSTONE_TRY(core::write_file_atomically(folder / name, text));
    out.files.push_back({std::move(name), std::move(what), static_cast<std::int64_t>(text.size())});
    return {};
  };
  const Picture picture = reports::picture(input);
  PageOptions page{.colour = colour, .svg = {}, .notes = {}};
  const std::string drawing = dot(picture, colour);
  SOAPSTONE_TRY(write("graph.dot", "the graph and its placement, for Graphviz", drawing));
  if (const auto drawn = svg(drawing); drawn) {
    SOAPSTONE_TRY(write("graph.svg", "the same, drawn", *drawn));
    SOAPSTONE_ASSIGN(page.svg, svg(dot(picture, colour, Legend::kWithout)));
  } else {
    page.notes.push_back("No graph.svg: " + drawn.error().message + ".");
  }
  if (const auto drawn = pdf(drawing); drawn) {
    SOAPSTONE_TRY(write("graph.pdf", "the same, to print", *drawn));
  } else {
    page.notes.push_back("No graph.pdf: " + drawn.error().message + ".");
  }
  SOAPSTONE_TRY(
      write("trace.json", "timelines for Perfetto or chrome://tracing", chrome_trace(input)));
  SOAPSTONE_TRY(write("ops.csv", "times and memory of every operator", ops_csv(op_table(input))));
  if (input.ranked)
    SOAPSTONE_TRY(
        write("strategies.csv", "the ranked strategies",
              strategies_csv(strategy_table(input.graph, *input.ranked, input.strategy))));
  SOAPSTONE_TRY(write("summary.md", "a summary in Markdown", summary_page(input)));
  SOAPSTONE_TRY(write("index.html", "all of it as one page", html_page(input, page)));
  out.notes = std::move(page.notes);
  return out;
}

}  // namespace soapstone::reports
