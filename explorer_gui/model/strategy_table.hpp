// The strategies of a design as a table: what each takes, sorted and filtered.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/quantity.hpp"
#include "core/reflect.hpp"
#include "explorer_gui/model/design.hpp"
#include "explorer_gui/model/session.hpp"

namespace soapstone::explorer {

enum class StrategyState : std::uint8_t {
  kFits,
  kTooLarge,  // needs more memory than there is
  kFailed,    // cannot be lowered or simulated
  kUnknown,   // is not simulated yet
};
SOAPSTONE_ENUM_NAMES(StrategyState, {StrategyState::kFits, "fits"},
                     {StrategyState::kTooLarge, "too large"}, {StrategyState::kFailed, "failed"},
                     {StrategyState::kUnknown, "not simulated yet"})

// What is not known of a strategy (yet) is none.
struct StrategyRow {
  StrategyId id = 0;
  std::string name, origin;
  bool starred = false;
  bool shown = false;
  bool baseline = false;
  StrategyState state = StrategyState::kUnknown;
  std::string why_not;  // as a sentence, where it does not fit or failed
  std::optional<core::Nanoseconds> step_time;
  std::optional<double> ratio;        // step time ÷ the baseline's
  std::optional<double> above_bound;  // step time ÷ what no strategy can beat
  std::optional<double> samples_per_second;
  std::optional<core::Bytes> memory;  // allocated, on the device that needs most
  std::size_t devices = 0;            // that have a part of any operator
  // Devices × step time: what a step costs. Clusters name no prices.
  std::optional<core::Nanoseconds> device_time;
  std::optional<double> device_hours;              // per million samples
  std::optional<double> computing, exposed, idle;  // shares of the step, mean over the devices
  std::size_t pins_kept = 0;  // of the pinned operators, as in the strategy that is shown

  friend bool operator==(const StrategyRow&, const StrategyRow&) = default;
};

// One row per strategy, in the order of the design. `known`: what is known of a strategy, or null.
using KnownOf = std::function<const Evaluated*(StrategyId)>;
// `bound`: search::lower_bound.
std::vector<StrategyRow> strategy_rows(const Design& design, const KnownOf& known,
                                       std::optional<core::Nanoseconds> bound = {});

enum class StrategyColumn : std::uint8_t {
  kStar,
  kName,
  kStepTime,
  kRatio,
  kAboveBound,
  kSamplesPerSecond,
  kMemory,
  kDevices,
  kDeviceTime,
  kDeviceHours,
  kExposed,
  kIdle,
  kPins,
  kState,
  kOrigin,
};
inline constexpr std::size_t kStrategyColumns = 15;
// A heading, and what it means with its unit, as sentences.
std::string_view title_of(StrategyColumn column);
std::string_view meaning_of(StrategyColumn column);
// As it stands in the table; "–" for what is not known.
std::string cell_text(const StrategyRow& row, StrategyColumn column);

struct StrategyQuery {
  std::string text;  // all of its words stand somewhere in name or origin, in any case
  bool starred_only = false;
  bool fitting_only = false;
  std::optional<StrategyColumn> by;  // none: the order of the design
  bool descending = false;

  friend bool operator==(const StrategyQuery&, const StrategyQuery&) = default;
};

// Indices into `rows` of what the query leaves, sorted. Equal ones stay in their order; what is not
// known stands last, ascending or descending. Names are compared by their numbers too: #2 < #10.
std::vector<std::size_t> chosen(std::span<const StrategyRow> rows, const StrategyQuery& query);

// Less is better in both.
struct ParetoPoint {
  double time = 0;
  double memory = 0;
};
// Indices of the points that no other is better than in one and as good as in the other, by
// ascending time. Of equal points all.
std::vector<std::size_t> pareto_front(std::span<const ParetoPoint> points);

// The point that is nearest to `at` and no farther than `within`. In pixels.
struct ScreenPoint {
  float x = 0, y = 0;
};
std::optional<std::size_t> nearest(std::span<const ScreenPoint> points, ScreenPoint at,
                                   float within);

// The strategies that fit, as such points.
struct Pareto {
  std::vector<std::size_t> fitting, too_large;  // rows
  std::vector<std::size_t> front;               // rows, by ascending time
};
Pareto pareto_of(std::span<const StrategyRow> rows);

// For spreadsheets: RFC 4180, times in nanoseconds, empty cells for what is not known.
std::string strategies_csv(const Design& design, std::span<const StrategyRow> rows);
// To paste into a pull request: what is planned for what, and the rows as a table. `why`: a
// sentence that tells the strategy that is shown from its baseline, or empty.
std::string summary_markdown(const Design& design, std::span<const StrategyRow> rows,
                             std::string_view why);

}  // namespace soapstone::explorer
