// What must be measured before plans can be predicted from measurements alone.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "core/cluster.hpp"
#include "core/graph.hpp"
#include "core/kernel_catalog.hpp"
#include "core/local_problem.hpp"
#include "core/lower.hpp"
#include "core/plan.hpp"
#include "core/result.hpp"
#include "core/strategy.hpp"

namespace soapstone::simulator {

struct RequiredProblem {
  std::string op;  // the first operator that has it, for messages
  core::LocalProblem problem;
  int step = 0;
  std::string candidate;
  std::string device_kind;
  int threads = 1;

  const std::string& step_name() const {
    return problem.definition->steps[static_cast<std::size_t>(step)].name;
  }
};

// Distinct (local problem, step, candidate, device kind), in the order in which
// the first plan that has them uses them.
class RequiredProblems {
 public:
  // Both outlive this object.
  RequiredProblems(const core::Graph& graph, const core::Cluster& cluster)
      : graph_(graph), cluster_(cluster) {}

  core::Status add(const core::Plan& plan);
  core::Status add(const core::Strategy& strategy, const core::KernelCatalog& catalog,
                   core::LowerOptions options = {});

  const std::vector<RequiredProblem>& list() const { return list_; }

 private:
  const core::Graph& graph_;
  const core::Cluster& cluster_;
  // Of plans, which the problems point into, by number of micro-batches and zigzag.
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::shared_ptr<const core::Graph>> graphs_;
  std::set<std::tuple<std::uint64_t, int, std::string, std::uint32_t>> known_;
  std::vector<RequiredProblem> list_;
};

}  // namespace soapstone::simulator
