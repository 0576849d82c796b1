// What a person works on: a model, a cluster and strategies for them. One value; what the person
// did is a list of such values (history.hpp).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/strategy.hpp"
#include "explorer_gui/model/backend.hpp"

namespace soapstone::explorer {

using StrategyId = std::uint32_t;

struct NamedStrategy {
  StrategyId id = 0;
  std::string name;    // what the person calls it
  std::string origin;  // "data-parallel", "mcmc from expert", "edited from 3", "best.json"
  std::shared_ptr<const core::Strategy> strategy;
  bool starred = false;

  friend bool operator==(const NamedStrategy& a, const NamedStrategy& b) {
    return a.id == b.id && a.name == b.name && a.origin == b.origin && a.starred == b.starred &&
           (a.strategy == b.strategy || (a.strategy && b.strategy && *a.strategy == *b.strategy));
  }
};

// Immutable once in the history; copies share graph, cluster and strategies.
struct Design {
  ModelChoice model;
  std::shared_ptr<const core::Graph> graph;      // none: no model yet
  std::shared_ptr<const core::Cluster> cluster;  // none: no cluster yet
  OptimizerChoice optimizer;
  std::vector<NamedStrategy> strategies;
  StrategyId current = 0;                // the one that is looked at; 0: none
  std::optional<StrategyId> baseline{};  // what it is compared with
  std::set<std::string> pinned{};        // operators that searches leave as they are in `current`

  bool complete() const { return graph && cluster; }
  Setting setting() const { return {graph, cluster, optimizer}; }
  const NamedStrategy* find(StrategyId id) const;
  const NamedStrategy* shown() const { return find(current); }
  const NamedStrategy* compared() const { return baseline ? find(*baseline) : nullptr; }
  // An id that no strategy has yet.
  StrategyId fresh_id() const;

  friend bool operator==(const Design& a, const Design& b);
};

// The file form: `soapstone explore FILE` goes on with it.
struct DesignStrategy {
  StrategyId id = 0;
  std::string name, origin;
  bool starred = false;
  core::StrategyDocument strategy;

  friend bool operator==(const DesignStrategy&, const DesignStrategy&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("id", self.id);
    visit("name", self.name);
    visit("origin", self.origin);
    visit("starred", self.starred, core::kOptional);
    visit("strategy", self.strategy);
  }
};
struct DesignDocument {
  static constexpr std::string_view kFormat = "soapstone.design";
  static constexpr int kVersion = 1;
  ModelChoice model;
  core::GraphSpec graph;
  core::ClusterSpec cluster;
  OptimizerChoice optimizer;
  std::vector<DesignStrategy> strategies;
  StrategyId current = 0;
  std::optional<StrategyId> baseline;
  std::vector<std::string> pinned;

  friend bool operator==(const DesignDocument&, const DesignDocument&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("model", self.model);
    visit("graph", self.graph);
    visit("cluster", self.cluster);
    visit("optimizer", self.optimizer);
    visit("strategies", self.strategies);
    visit("current", self.current);
    visit("baseline", self.baseline, core::kOptional);
    visit("pinned", self.pinned, core::kOptional);
  }
};
// The design is complete.
DesignDocument to_document(const Design& design);
core::Result<Design> from_document(const DesignDocument& document);

}  // namespace soapstone::explorer
