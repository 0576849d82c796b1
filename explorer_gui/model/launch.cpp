#include "explorer_gui/model/launch.hpp"

#include <algorithm>

#include <fmt/core.h>

namespace soapstone::explorer {

namespace {

constexpr std::size_t kMostLines = 2000;

}  // namespace

RunFiles run_files(const std::string& folder) {
  return {folder, folder + "/strategy.json", folder + "/cluster.toml", folder + "/metrics.jsonl",
          folder + "/measured.json"};
}

std::string why_no_launch(const Design& design, const LaunchChoice& choice) {
  if (!design.shown()) return "There is no strategy to train by.";
  if (choice.steps < 1) return "At least one step is wanted.";
  if (choice.threads < 0) return "Threads per rank: 0 (shared) or more.";
  if (choice.place == LaunchPlace::kHostFile && choice.host_file.empty())
    return "Name a file with a line per host.";
  if (choice.place == LaunchPlace::kSlurm &&
      (choice.nodes < 1 || choice.nodes > static_cast<int>(design.cluster->size())))
    return fmt::format("{} ranks fit on 1 to {} nodes.", design.cluster->size(),
                       design.cluster->size());
  return "";
}

Command launch_command(const Design& design, const LaunchChoice& choice, const RunFiles& files) {
  Command out;
  auto& a = out.arguments;
  const auto add = [&](std::string option, std::string value) {
    a.push_back(std::move(option));
    a.push_back(std::move(value));
  };
  const std::size_t ranks = design.cluster->size();
  if (choice.place == LaunchPlace::kHostFile)
    out.environment["SOAPSTONE_MPIRUN_ARGS"] = "--hostfile " + choice.host_file;
  if (choice.place == LaunchPlace::kSlurm) {
    a.push_back("salloc");
    add("-N", std::to_string(choice.nodes));
    add("-n", std::to_string(ranks));
    if (!choice.partition.empty()) add("-p", choice.partition);
  }
  a.push_back(choice.program);
  a.push_back("train");
  a.push_back(design.model.name);
  add("--batch", std::to_string(design.graph->batch()));
  if (design.model.dtype) add("--dtype", std::string(core::name_of(*design.model.dtype)));
  for (const auto& [name, value] : design.model.parameters) {
    std::string option = "--" + name;
    std::replace(option.begin(), option.end(), '_', '-');
    add(std::move(option), fmt::format("{}", value));
  }
  add("--cluster", files.cluster);
  add("--ranks", std::to_string(ranks));
  if (choice.threads > 0) add("--threads", std::to_string(choice.threads));
  add("--strategy", files.strategy);
  const OptimizerChoice& o = design.optimizer;
  add("--optimizer", std::string(core::name_of(o.kind)));
  if (o.kind == core::OptimizerKind::kSgd) add("--momentum", fmt::format("{}", o.momentum));
  if (o.weight_decay != 0) add("--weight-decay", fmt::format("{}", o.weight_decay));
  if (o.tables != core::TableOptimizer::kSame)
    add("--table-optimizer", std::string(core::name_of(o.tables)));
  if (o.clip) add("--clip-norm", "1");
  if (choice.learning_rate > 0) add("--lr", fmt::format("{}", choice.learning_rate));
  add("--data", choice.data);
  add("--steps", std::to_string(choice.steps));
  a.push_back("--no-evaluate");
  if (choice.pace)
    a.push_back("--pace");
  else
    add("--metrics", files.metrics);
  add("--trace", files.trace);
  return out;
}

void add_line(std::vector<std::string>& log, std::string_view line) {
  if (log.size() >= kMostLines) log.erase(log.begin(), log.begin() + kMostLines / 4);
  log.emplace_back(line);
}

std::string failure_text(const std::vector<std::string>& log, std::size_t most) {
  // The first complaint of the program is the cause; what mpirun says about it comes after.
  auto first = std::find_if(log.begin(), log.end(), [](const std::string& l) {
    return l.starts_with("soapstone: ") || l.find("rror") != std::string::npos;
  });
  if (first == log.end())
    first = log.end() - static_cast<std::ptrdiff_t>(std::min(most, log.size()));
  std::string out;
  for (std::size_t n = 0; first != log.end() && n < most; ++first, ++n)
    out += (n == 0 ? "" : "\n") + *first;
  return out;
}

}  // namespace soapstone::explorer
