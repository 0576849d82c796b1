#include "explorer_gui/model/strategy_table.hpp"

#include <algorithm>
#include <cctype>
#include <set>

#include <fmt/core.h>

#include "core/units.hpp"
#include "explorer_gui/model/provenance.hpp"
#include "reports/csv.hpp"

namespace soapstone::explorer {

namespace {

constexpr std::string_view kNone = "–";

std::size_t devices_in_use(const core::Strategy& strategy) {
  std::set<core::DeviceId> devices;
  for (const core::OpStrategy& op : strategy.ops)
    devices.insert(op.devices.begin(), op.devices.end());
  return devices.size();
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Digits that stand together are one number.
int compare_names(std::string_view a, std::string_view b) {
  std::size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    if (is_digit(a[i]) && is_digit(b[j])) {
      while (i < a.size() && a[i] == '0') ++i;
      while (j < b.size() && b[j] == '0') ++j;
      const std::size_t from_i = i, from_j = j;
      while (i < a.size() && is_digit(a[i])) ++i;
      while (j < b.size() && is_digit(b[j])) ++j;
      if (i - from_i != j - from_j) return i - from_i < j - from_j ? -1 : 1;
      const int order = a.substr(from_i, i - from_i).compare(b.substr(from_j, j - from_j));
      if (order != 0) return order;
      continue;
    }
    const int x = std::tolower(static_cast<unsigned char>(a[i]));
    const int y = std::tolower(static_cast<unsigned char>(b[j]));
    if (x != y) return x < y ? -1 : 1;
    ++i;
    ++j;
  }
  if (a.size() - i != b.size() - j) return a.size() - i < b.size() - j ? -1 : 1;
  return 0;
}

// The value of a column that is a number.
std::optional<double> number_of(const StrategyRow& row, StrategyColumn column) {
  const auto time = [](const std::optional<core::Nanoseconds>& t) -> std::optional<double> {
    if (!t) return std::nullopt;
    return static_cast<double>(t->value);
  };
  switch (column) {
    case StrategyColumn::kStar:
      return row.starred ? 1 : 0;
    case StrategyColumn::kStepTime:
      return time(row.step_time);
    case StrategyColumn::kRatio:
      return row.ratio;
    case StrategyColumn::kAboveBound:
      return row.above_bound;
    case StrategyColumn::kSamplesPerSecond:
      return row.samples_per_second;
    case StrategyColumn::kMemory:
      return row.memory ? std::optional(static_cast<double>(row.memory->value)) : std::nullopt;
    case StrategyColumn::kDevices:
      return static_cast<double>(row.devices);
    case StrategyColumn::kDeviceTime:
      return time(row.device_time);
    case StrategyColumn::kDeviceHours:
      return row.device_hours;
    case StrategyColumn::kExposed:
      return row.exposed;
    case StrategyColumn::kIdle:
      return row.idle;
    case StrategyColumn::kPins:
      return static_cast<double>(row.pins_kept);
    case StrategyColumn::kState:
      return static_cast<double>(row.state);
    case StrategyColumn::kName:
    case StrategyColumn::kOrigin:
      break;
  }
  return std::nullopt;
}

// a < b, equal: 0, a > b.
int compare(const StrategyRow& a, const StrategyRow& b, StrategyColumn by, bool descending) {
  int order = 0;
  if (by == StrategyColumn::kName || by == StrategyColumn::kOrigin) {
    order = by == StrategyColumn::kName ? compare_names(a.name, b.name)
                                        : compare_names(a.origin, b.origin);
  } else {
    const auto x = number_of(a, by), y = number_of(b, by);
    if (!x || !y) return (x ? 0 : 1) - (y ? 0 : 1);  // in both directions
    order = *x < *y ? -1 : *x > *y ? 1 : 0;
  }
  return descending ? -order : order;
}

bool matches(const StrategyRow& row, const std::string& words) {
  const std::string where = lower(row.name) + "\n" + lower(row.origin);
  std::size_t at = 0;
  while (at < words.size()) {
    const std::size_t from = words.find_first_not_of(' ', at);
    if (from == std::string::npos) break;
    at = std::min(words.find(' ', from), words.size());
    if (where.find(words.substr(from, at - from)) == std::string::npos) return false;
  }
  return true;
}

// In a table of Markdown a bar ends a cell.
std::string markdown_cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

template <class T>
std::string csv_number(const std::optional<T>& value) {
  if (!value) return {};
  if constexpr (std::is_same_v<T, double>)
    return fmt::format("{:.6g}", *value);
  else
    return fmt::format("{}", value->value);
}

}  // namespace

std::vector<StrategyRow> strategy_rows(const Design& design, const KnownOf& known,
                                       std::optional<core::Nanoseconds> bound) {
  std::vector<StrategyRow> rows;
  if (!design.complete()) return rows;
  const Evaluated* const base = design.baseline ? known(*design.baseline) : nullptr;
  const NamedStrategy* const shown = design.shown();
  std::vector<std::uint32_t> pinned;
  for (const std::string& name : design.pinned)
    if (const auto op = design.graph->find_op(name)) pinned.push_back(op->value);
  for (const NamedStrategy& s : design.strategies) {
    StrategyRow& row = rows.emplace_back();
    row.id = s.id;
    row.name = s.name;
    row.origin = s.origin;
    row.starred = s.starred;
    row.shown = s.id == design.current;
    row.baseline = design.baseline == s.id;
    row.devices = devices_in_use(*s.strategy);
    if (shown)
      for (const std::uint32_t op : pinned)
        if (s.strategy->ops[op] == shown->strategy->ops[op]) ++row.pins_kept;
    const Evaluated* const e = known(s.id);
    if (!e) continue;
    if (e->state == Evaluated::State::kFailed) {
      row.state = StrategyState::kFailed;
      row.why_not = e->error;
    }
    if (!e->figures) continue;
    const Figures& f = *e->figures;
    if (row.state != StrategyState::kFailed) {
      row.state = f.why_not.empty() ? StrategyState::kFits : StrategyState::kTooLarge;
      row.why_not = f.why_not;
    }
    row.step_time = f.step_time;
    row.samples_per_second = f.samples_per_second;
    row.memory = f.peak_memory;
    row.device_time = f.step_time * static_cast<std::int64_t>(row.devices);
    if (design.graph->batch() > 0)
      row.device_hours =
          core::seconds(*row.device_time) / static_cast<double>(design.graph->batch()) * 1e6 / 3600;
    if (base && base->figures && base->figures->step_time.value > 0)
      row.ratio = static_cast<double>(f.step_time.value) /
                  static_cast<double>(base->figures->step_time.value);
    if (bound && bound->value > 0)
      row.above_bound = static_cast<double>(f.step_time.value) / static_cast<double>(bound->value);
    if (f.is_complete()) {
      row.computing = f.use.computing;
      row.exposed = f.use.exposed_communication;
      row.idle = f.use.idle;
    }
  }
  return rows;
}

std::string_view title_of(StrategyColumn column) {
  switch (column) {
    case StrategyColumn::kStar:
      return "*";
    case StrategyColumn::kName:
      return "strategy";
    case StrategyColumn::kStepTime:
      return "step";
    case StrategyColumn::kRatio:
      return "× baseline";
    case StrategyColumn::kAboveBound:
      return "× bound";
    case StrategyColumn::kSamplesPerSecond:
      return "samples/s";
    case StrategyColumn::kMemory:
      return "memory";
    case StrategyColumn::kDevices:
      return "devices";
    case StrategyColumn::kDeviceTime:
      return "device time";
    case StrategyColumn::kDeviceHours:
      return "device h/M";
    case StrategyColumn::kExposed:
      return "exposed";
    case StrategyColumn::kIdle:
      return "idle";
    case StrategyColumn::kPins:
      return "pins";
    case StrategyColumn::kState:
      return "state";
    case StrategyColumn::kOrigin:
      return "origin";
  }
  return "";
}

std::string_view meaning_of(StrategyColumn column) {
  switch (column) {
    case StrategyColumn::kStar:
      return "Strategies to keep in sight.";
    case StrategyColumn::kName:
      return "What you call it. A click shows it in all panels, a double click renames it.";
    case StrategyColumn::kStepTime:
      return "Predicted time of one training step.";
    case StrategyColumn::kRatio:
      return "Step time divided by that of the baseline; below 1 is faster.";
    case StrategyColumn::kAboveBound:
      return "Step time divided by its lower bound: all FLOPs of the step on all devices of the "
             "cluster at their peak. No strategy is below 1.";
    case StrategyColumn::kSamplesPerSecond:
      return "Samples of the batch per second of the step.";
    case StrategyColumn::kMemory:
      return "Allocated on the device that needs most, in bytes.";
    case StrategyColumn::kDevices:
      return "Devices that have a part of any operator.";
    case StrategyColumn::kDeviceTime:
      return "Devices in use × step time: what a step costs. Clusters name no prices, so there is "
             "no money here.";
    case StrategyColumn::kDeviceHours:
      return "Device-hours for a million samples: devices in use × step time ÷ samples of a step. "
             "Times the price of a device-hour it is money.";
    case StrategyColumn::kExposed:
      return "Share of the step in which a device moves data and computes nothing, mean over the "
             "devices in use.";
    case StrategyColumn::kIdle:
      return "Share of the step in which a device does nothing at all: bubbles of a pipeline, "
             "waiting for others. Mean over the devices in use.";
    case StrategyColumn::kPins:
      return "How many of the pinned operators are as in the strategy that is shown.";
    case StrategyColumn::kState:
      return "Whether it fits into the memory of its devices; the tip of a cell says why not.";
    case StrategyColumn::kOrigin:
      return "Where it comes from.";
  }
  return "";
}

std::string cell_text(const StrategyRow& row, StrategyColumn column) {
  const auto share = [](const std::optional<double>& s) {
    return s ? fmt::format("{:.1f} %", 100 * *s) : std::string(kNone);
  };
  const auto quantity = [](const auto& q) { return q ? core::human_text(*q) : std::string(kNone); };
  switch (column) {
    case StrategyColumn::kStar:
      return row.starred ? "*" : "";
    case StrategyColumn::kName:
      return row.name;
    case StrategyColumn::kStepTime:
      return quantity(row.step_time);
    case StrategyColumn::kRatio:
      return row.ratio ? fmt::format("{:.3f}", *row.ratio) : std::string(kNone);
    case StrategyColumn::kAboveBound:
      return row.above_bound ? fmt::format("{:.2f}", *row.above_bound) : std::string(kNone);
    case StrategyColumn::kSamplesPerSecond:
      return row.samples_per_second ? fmt::format("{:.4g}", *row.samples_per_second)
                                    : std::string(kNone);
    case StrategyColumn::kMemory:
      return quantity(row.memory);
    case StrategyColumn::kDevices:
      return fmt::format("{}", row.devices);
    case StrategyColumn::kDeviceTime:
      return quantity(row.device_time);
    case StrategyColumn::kDeviceHours:
      return row.device_hours ? fmt::format("{:.3g}", *row.device_hours) : std::string(kNone);
    case StrategyColumn::kExposed:
      return share(row.exposed);
    case StrategyColumn::kIdle:
      return share(row.idle);
    case StrategyColumn::kPins:
      return fmt::format("{}", row.pins_kept);
    case StrategyColumn::kState:
      return std::string(core::name_of(row.state));
    case StrategyColumn::kOrigin:
      return row.origin;
  }
  return {};
}

std::vector<std::size_t> chosen(std::span<const StrategyRow> rows, const StrategyQuery& query) {
  std::vector<std::size_t> out;
  const std::string words = lower(query.text);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (query.starred_only && !rows[i].starred) continue;
    if (query.fitting_only && rows[i].state != StrategyState::kFits) continue;
    if (matches(rows[i], words)) out.push_back(i);
  }
  if (query.by)
    std::stable_sort(out.begin(), out.end(), [&](std::size_t a, std::size_t b) {
      return compare(rows[a], rows[b], *query.by, query.descending) < 0;
    });
  return out;
}

std::vector<std::size_t> pareto_front(std::span<const ParetoPoint> points) {
  std::vector<std::size_t> order(points.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return points[a].time != points[b].time ? points[a].time < points[b].time
                                            : points[a].memory < points[b].memory;
  });
  std::vector<std::size_t> front;
  for (const std::size_t i : order) {
    if (!front.empty()) {
      const ParetoPoint& last = points[front.back()];
      const bool is_same = last.time == points[i].time && last.memory == points[i].memory;
      if (!is_same && points[i].memory >= last.memory) continue;
    }
    front.push_back(i);
  }
  return front;
}

std::optional<std::size_t> nearest(std::span<const ScreenPoint> points, ScreenPoint at,
                                   float within) {
  std::optional<std::size_t> best;
  float least = within * within;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const float x = points[i].x - at.x, y = points[i].y - at.y;
    if (x * x + y * y > least) continue;
    least = x * x + y * y;
    best = i;
  }
  return best;
}

Pareto pareto_of(std::span<const StrategyRow> rows) {
  Pareto out;
  std::vector<ParetoPoint> points;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!rows[i].step_time || !rows[i].memory) continue;
    if (rows[i].state != StrategyState::kFits) {
      out.too_large.push_back(i);
      continue;
    }
    out.fitting.push_back(i);
    points.push_back({static_cast<double>(rows[i].step_time->value),
                      static_cast<double>(rows[i].memory->value)});
  }
  for (const std::size_t k : pareto_front(points)) out.front.push_back(out.fitting[k]);
  return out;
}

std::string strategies_csv(const Design& design, std::span<const StrategyRow> rows) {
  std::string out =
      "name,origin,starred,baseline,state,why_not,step_time_ns,ratio,samples_per_second,"
      "peak_memory_bytes,devices,device_time_ns,device_hours_per_million_samples,computing,"
      "exposed_communication,idle,strategy\n";
  for (const StrategyRow& row : rows) {
    const NamedStrategy* const s = design.find(row.id);
    out += fmt::format(
        "{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}\n", reports::csv_cell(row.name),
        reports::csv_cell(row.origin), row.starred ? "yes" : "no", row.baseline ? "yes" : "no",
        core::name_of(row.state), reports::csv_cell(row.why_not), csv_number(row.step_time),
        csv_number(row.ratio), csv_number(row.samples_per_second), csv_number(row.memory),
        row.devices, csv_number(row.device_time), csv_number(row.device_hours),
        csv_number(row.computing), csv_number(row.exposed), csv_number(row.idle),
        s && design.graph ? reports::csv_cell(core::summary(*design.graph, *s->strategy))
                          : std::string());
  }
  return out;
}

std::string summary_markdown(const Design& design, std::span<const StrategyRow> rows,
                             std::string_view why) {
  if (!design.complete()) return {};
  std::string out = fmt::format("## {} with a batch of {} on {}\n\n", design.graph->name(),
                                design.graph->batch(), design.cluster->name());
  if (!why.empty()) out += fmt::format("{}\n\n", why);
  static constexpr StrategyColumn kColumns[] = {
      StrategyColumn::kName,    StrategyColumn::kStepTime,
      StrategyColumn::kRatio,   StrategyColumn::kSamplesPerSecond,
      StrategyColumn::kMemory,  StrategyColumn::kDevices,
      StrategyColumn::kExposed, StrategyColumn::kIdle,
      StrategyColumn::kState};
  std::string rule;
  for (const StrategyColumn c : kColumns) {
    out += fmt::format("| {} ", title_of(c));
    const bool is_word = c == StrategyColumn::kName || c == StrategyColumn::kState;
    rule += is_word ? "|---" : "|---:";
  }
  out += "|\n" + rule + "|\n";
  for (const StrategyRow& row : rows) {
    for (const StrategyColumn c : kColumns) {
      std::string text = markdown_cell(cell_text(row, c));
      if (c == StrategyColumn::kName && row.shown) text = "**" + text + "**";
      if (c == StrategyColumn::kName && row.baseline) text += " (baseline)";
      out += fmt::format("| {} ", text);
    }
    out += "|\n";
  }
  if (const NamedStrategy* s = design.shown()) {
    out += fmt::format("\n{}: `{}`\n\n", s->name, core::summary(*design.graph, *s->strategy));
    out += "```\n" + command_line(design, *s, "simulate") + "\n```\n";
  }
  return out;
}

}  // namespace soapstone::explorer
