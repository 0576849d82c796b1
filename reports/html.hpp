// The report as one page that needs nothing else.
#pragma once

#include <string>
#include <vector>

#include "reports/picture.hpp"
#include "reports/report_input.hpp"

namespace soapstone::reports {

struct PageOptions {
  ColourBy colour = ColourBy::kDevices;  // the reader can choose another
  std::string svg;                       // the drawing, without its legend; empty: none
  std::vector<std::string> notes;        // sentences for the reader
};

// HTML with its style, its script and all data inside (reports/page/). Ranked and per-operator
// tables, timelines and memory on one axis, the graph, the training.
std::string html_page(const ReportInput& input, const PageOptions& options);

}  // namespace soapstone::reports
