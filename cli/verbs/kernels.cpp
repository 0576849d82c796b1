// soapstone kernels [OP]
#include <fmt/core.h>

#include "cli/command.hpp"
#include "cli/common.hpp"
#include "cli/documents.hpp"
#include "cli/output.hpp"
#include "core/local_problem.hpp"
#include "core/suggest.hpp"
#include "kernels/kernel.hpp"

namespace soapstone::cli {

namespace {

// The candidates of every operator of a kind that the model uses, on its whole problem.
core::Status list_kernels(const Invocation& invocation, const std::string& only,
                          const ModelArguments& model) {
  const auto names = core::op_names();
  if (!only.empty() && std::find(names.begin(), names.end(), only) == names.end())
    return core::usage_error("unknown operator `{}`; {}", only, core::accepted_names(only, names));
  KernelsOutput out;
  std::vector<core::Graph> graphs;
  if (model.name.empty()) {
    // Every operator that any model of the zoo has, each once.
    for (const char* name : {"fashion-cnn", "inception-block", "transformer-block"}) {
      ModelArguments one = model;
      one.name = name;
      SOAPSTONE_ASSIGN(core::Graph graph, build_graph(one));
      graphs.push_back(std::move(graph));
    }
  } else {
    SOAPSTONE_ASSIGN(core::Graph graph, build_graph(model));
    graphs.push_back(std::move(graph));
  }
  for (const auto op : names) {
    if (!only.empty() && op != only) continue;
    std::vector<std::string> seen;
    for (const auto& graph : graphs) {
      for (const auto& node : graph.ops()) {
        if (node.op.name() != op) continue;
        const core::LocalProblem problem{node.op, &node.definition,
                                         core::axis_intervals(node.definition, {}, 0)};
        const std::string key = problem.key();
        if (std::find(seen.begin(), seen.end(), key) != seen.end() ||
            (model.name.empty() && !seen.empty()))
          continue;
        seen.push_back(key);
        for (const auto& candidate : kernels::candidates(op, problem.dtype())) {
          const std::string reason = candidate.why_not(problem);
          out.kernels.push_back(
              {std::string(op), std::string(candidate.name), key, reason.empty(), reason});
        }
      }
    }
  }
  if (invocation.json) return print_json(out);
  std::string previous;
  for (const auto& k : out.kernels) {
    if (k.problem != previous) fmt::print("{}{}\n", previous.empty() ? "" : "\n", k.problem);
    previous = k.problem;
    fmt::print("  {:<32} {}\n", k.candidate, k.accepts ? "accepts" : "refuses: " + k.reason);
  }
  return {};
}

Action declare(CLI::App& app) {
  struct Options {
    std::string op;
    ModelArguments model;
  };
  auto options = std::make_shared<Options>();
  app.add_option("op", options->op, "Operator; without it all are listed")->type_name("OPERATOR");
  app.add_option("--model", options->model.name,
                 "Ask for this model's problems instead of a sample of each operator")
      ->type_name("MODEL|FILE");
  app.add_option("--batch", options->model.batch, "Samples per step");
  declare_dtype(app, options->model);
  return [options](const Invocation& invocation) {
    return list_kernels(invocation, options->op, options->model);
  };
}

}  // namespace

const Verb kKernelsVerb{
    "kernels", "List each operator's kernel candidates, fastest first, and why one refuses",
    "soapstone kernels conv2d --model fashion-cnn --batch 128", declare};

}  // namespace soapstone::cli
