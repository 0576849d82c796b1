#include "explorer_gui/model/provenance.hpp"

#include <algorithm>

#include <fmt/core.h>

#include "core/units.hpp"
#include "search/expert.hpp"
#include "search/parallelism.hpp"

namespace soapstone::explorer {

namespace {

// In quotes where a shell would take it apart.
std::string shell_word(const std::string& word) {
  static constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=,./:@%#";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// Whether --strategy reads the origin as this strategy: a search with pins keeps a "data-parallel"
// of its own.
bool is_text(const Design& design, const NamedStrategy& s) {
  if (s.origin.ends_with(".json")) return true;
  core::Result<core::Strategy> same = core::refuse("no text");
  if (s.origin == "single") {
    same = core::single_device(*design.graph);
  } else if (s.origin == "data-parallel") {
    std::vector<core::DeviceId> devices;
    for (std::uint32_t d = 0; d < design.cluster->size(); ++d) devices.emplace_back(d);
    same = core::data_parallel(*design.graph, devices);
  } else if (s.origin == "expert") {
    same = search::expert(*design.graph, *design.cluster);
  } else if (s.origin.find('=') != std::string::npos && s.origin.find(' ') == std::string::npos) {
    if (const auto p = search::parse_parallelism(s.origin))
      same = search::hybrid(*design.graph, *design.cluster, *p);
  }
  return same && *same == *s.strategy;
}

// "--micro-batch" of "micro_batch".
std::string option(std::string name) {
  std::replace(name.begin(), name.end(), '_', '-');
  return "--" + name;
}

std::string percent(double share) { return fmt::format("{:.1f} %", 100 * share); }

}  // namespace

std::string text(const Provenance& p) {
  std::string out = fmt::format("{}: {}\n", p.name, p.value);
  if (!p.formula.empty()) out += fmt::format("= {}\n", p.formula);
  for (const auto& [name, value] : p.inputs) out += fmt::format("  {}: {}\n", name, value);
  if (!p.source.empty()) out += fmt::format("source: {}\n", p.source);
  if (!p.uncertainty.empty()) out += fmt::format("uncertainty: {}\n", p.uncertainty);
  if (!p.command.empty()) out += p.command + "\n";
  return out;
}

std::string strategy_argument(const Design& design, const NamedStrategy& strategy,
                              const std::string& file) {
  return shell_word(is_text(design, strategy) ? strategy.origin : file);
}

std::string command_line(const Design& design, const NamedStrategy& strategy, std::string_view verb,
                         std::string_view more) {
  if (!design.complete()) return {};
  std::string out;
  const std::string strategy_text = strategy_argument(design, strategy, "strategy.json");
  if (strategy_text == "strategy.json") {
    out += fmt::format("# {} first goes into a file (Ctrl+Shift+S)\n", strategy.name);
  }
  out +=
      fmt::format("soapstone {} {} --batch {}", verb,
                  shell_word(design.model.name.empty() ? design.graph->name() : design.model.name),
                  design.graph->batch());
  if (design.model.dtype) out += fmt::format(" --dtype {}", core::name_of(*design.model.dtype));
  for (const auto& [name, value] : design.model.parameters)
    out += fmt::format(" {} {:g}", option(name), value);
  const auto presets = core::preset_names();
  const std::string& cluster = design.cluster->name();
  bool is_preset = false;
  if (std::find(presets.begin(), presets.end(), cluster) != presets.end()) {
    const auto preset = core::load_cluster(cluster);
    is_preset = preset && *preset == *design.cluster;
  }
  if (!is_preset)
    out = fmt::format("# {} first goes into a file (Save the cluster…)\n", cluster) + out;
  out += fmt::format(" --cluster {}", is_preset ? cluster : "cluster.toml");
  out += fmt::format(" --strategy {}", strategy_text);
  const OptimizerChoice usual, &o = design.optimizer;
  if (o.kind != usual.kind) out += fmt::format(" --optimizer {}", core::name_of(o.kind));
  if (o.momentum != usual.momentum) out += fmt::format(" --momentum {:g}", o.momentum);
  if (o.weight_decay != usual.weight_decay)
    out += fmt::format(" --weight-decay {:g}", o.weight_decay);
  if (o.tables != usual.tables)
    out += fmt::format(" --table-optimizer {}", core::name_of(o.tables));
  if (o.clip) out += " --clip";
  if (!more.empty()) out += fmt::format(" {}", more);
  return out;
}

std::string source_of(const Evaluation* e) {
  if (!e) return "The search that found it simulated it; it is simulated again when it is shown.";
  if (e->measured_share <= 0)
    return "A simulation. The times of its kernels come from the roofline of each device: peaks, "
           "bandwidths and overheads of the cluster file.";
  return fmt::format(
      "A simulation. {} of its computing time comes from kernels that were measured, the rest from "
      "fits and the roofline.",
      percent(e->measured_share));
}

std::string uncertainty_of(const Evaluation* e, const core::Trace* measured) {
  if (e && measured && measured->step_time.value > 0) {
    const double error =
        static_cast<double>(e->step_time.value) / static_cast<double>(measured->step_time.value) -
        1;
    return fmt::format("Measured were {} (median of {} steps): the prediction is {:.1f} % too {}.",
                       core::human_text(measured->step_time), measured->steps,
                       100 * (error < 0 ? -error : error), error < 0 ? "low" : "high");
  }
  if (e && e->measured_share > 0)
    return "This strategy was not measured here: open a trace of it, or compare with `soapstone "
           "bench`.";
  return "Nothing of it was measured: what a roofline leaves out is not known. `soapstone clusters "
         "local` and `soapstone profile` measure.";
}

Provenance provenance_of(const Design& design, std::span<const StrategyRow> rows, std::size_t i,
                         StrategyColumn column, const Evaluation* evaluation,
                         const core::Trace* measured) {
  const StrategyRow& row = rows[i];
  Provenance p;
  p.name = fmt::format("{} of {}", title_of(column), row.name);
  p.value = cell_text(row, column);
  p.source = source_of(evaluation);
  p.uncertainty = uncertainty_of(evaluation, measured);
  std::string_view verb = "simulate", more;
  const auto input = [&](std::string_view name, StrategyColumn of) {
    p.inputs.emplace_back(name, cell_text(row, of));
  };
  const auto batch = [&] {
    p.inputs.emplace_back("samples of a step", fmt::format("{}", design.graph->batch()));
  };
  switch (column) {
    case StrategyColumn::kStepTime:
      p.formula = "the end of the last span of the predicted trace";
      if (evaluation) {
        p.inputs.emplace_back("spans", fmt::format("{}", evaluation->trace.spans.size()));
        p.inputs.emplace_back("lanes", fmt::format("{}", evaluation->trace.lanes.size()));
      }
      break;
    case StrategyColumn::kRatio:
      p.formula = "step time ÷ step time of the baseline";
      input("step time", StrategyColumn::kStepTime);
      for (const StrategyRow& other : rows)
        if (other.baseline)
          p.inputs.emplace_back("step time of " + other.name,
                                cell_text(other, StrategyColumn::kStepTime));
      verb = "explain";
      break;
    case StrategyColumn::kAboveBound:
      p.formula = "step time ÷ (FLOPs of the step ÷ sum of the peaks of all devices)";
      input("step time", StrategyColumn::kStepTime);
      verb = "search";
      break;
    case StrategyColumn::kSamplesPerSecond:
      p.formula = "samples of a step ÷ step time";
      batch();
      input("step time", StrategyColumn::kStepTime);
      break;
    case StrategyColumn::kMemory:
      p.formula = "the largest arena of any device: what a rank allocates, to the byte";
      if (evaluation && !evaluation->memory.empty()) {
        const auto fullest = std::max_element(
            evaluation->memory.begin(), evaluation->memory.end(), [](const auto& a, const auto& b) {
              return a.holders.allocated() < b.holders.allocated();
            });
        p.inputs.emplace_back("devices", fullest->devices);
        simulator::MemoryHolders::fields(
            fullest->holders, [&](std::string_view name, const core::Bytes& bytes, auto...) {
              if (bytes.value > 0)
                p.inputs.emplace_back(std::string(name), core::human_text(bytes));
            });
      }
      p.source = "The plan: buffers are placed before anything runs.";
      p.uncertainty =
          "Exact for what the plan places; libraries and the runtime's own code come on "
          "top.";
      break;
    case StrategyColumn::kDeviceTime:
      p.formula = "devices in use × step time";
      input("devices in use", StrategyColumn::kDevices);
      input("step time", StrategyColumn::kStepTime);
      break;
    case StrategyColumn::kDeviceHours:
      p.formula = "devices in use × step time ÷ samples of a step × 1,000,000";
      input("devices in use", StrategyColumn::kDevices);
      input("step time", StrategyColumn::kStepTime);
      batch();
      break;
    case StrategyColumn::kExposed:
    case StrategyColumn::kIdle:
      p.formula = "1 − computing − the other, mean over the devices in use";
      if (row.computing) p.inputs.emplace_back("computing", percent(*row.computing));
      input("exposed communication", StrategyColumn::kExposed);
      input("idle", StrategyColumn::kIdle);
      verb = "explain";
      break;
    case StrategyColumn::kDevices:
      p.formula = "devices that have a part of any operator";
      p.source = "The strategy.";
      p.uncertainty = "Exact.";
      break;
    case StrategyColumn::kPins:
      p.formula = "pinned operators that are cut and placed as in the strategy that is shown";
      p.inputs.emplace_back("pinned operators", fmt::format("{}", design.pinned.size()));
      p.source = "The strategy.";
      p.uncertainty = "Exact.";
      break;
    case StrategyColumn::kStar:
    case StrategyColumn::kName:
    case StrategyColumn::kState:
    case StrategyColumn::kOrigin:
      p.source.clear();
      p.uncertainty.clear();
      break;
  }
  if (const NamedStrategy* s = design.find(row.id))
    p.command = command_line(design, *s, verb, more);
  return p;
}

}  // namespace soapstone::explorer
