// Where a number comes from: its formula, what went into it, who says so, how sure that is, and the
// command that gives it again.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "explorer_gui/model/design.hpp"
#include "explorer_gui/model/session.hpp"
#include "explorer_gui/model/strategy_table.hpp"

namespace soapstone::explorer {

struct Provenance {
  std::string name;                                         // "step time of data-parallel"
  std::string value;                                        // with its unit
  std::string formula;                                      // "devices in use × step time"
  std::vector<std::pair<std::string, std::string>> inputs;  // name, value with its unit
  std::string source;                                       // a sentence
  std::string uncertainty;                                  // a sentence
  std::string command;                                      // for a shell

  friend bool operator==(const Provenance&, const Provenance&) = default;
};

// To paste somewhere: a line per part.
std::string text(const Provenance& provenance);

// "soapstone simulate alexnet --batch 64 --cluster p100-4x4 --strategy data-parallel". A strategy
// that no text names is saved first, as a comment above says.
std::string command_line(const Design& design, const NamedStrategy& strategy, std::string_view verb,
                         std::string_view more = {});

// The text by which --strategy reads it, or `file` where there is none.
std::string strategy_argument(const Design& design, const NamedStrategy& strategy,
                              const std::string& file);

// Of a cell of the table. `evaluation`: of the row's strategy, where it is at hand; `measured`: a
// trace of it, or null.
Provenance provenance_of(const Design& design, std::span<const StrategyRow> rows, std::size_t row,
                         StrategyColumn column, const Evaluation* evaluation,
                         const core::Trace* measured);

// How sure a predicted time is, in a sentence.
std::string uncertainty_of(const Evaluation* evaluation, const core::Trace* measured);
// What the times of a prediction come from, in a sentence.
std::string source_of(const Evaluation* evaluation);

}  // namespace soapstone::explorer
