// Everything about a strategy as files in one folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/result.hpp"
#include "reports/picture.hpp"
#include "reports/report_input.hpp"

namespace soapstone::reports {

struct WrittenFile {
  std::string name, what;  // in the folder; as half a sentence
  std::int64_t bytes = 0;
};
struct WrittenReport {
  std::vector<WrittenFile> files;
  std::vector<std::string> notes;  // what is not there, and why
};

// The page (index.html), the drawing of the graph (DOT; SVG and PDF with Graphviz), timelines for
// Perfetto, tables (CSV) and a summary (Markdown). Makes the folder where there is none; files of
// these names are replaced, each as a whole. Errors: the folder is a file, or cannot be written.
core::Result<WrittenReport> write_report(const std::filesystem::path& folder,
                                         const ReportInput& input, ColourBy colour);

}  // namespace soapstone::reports
