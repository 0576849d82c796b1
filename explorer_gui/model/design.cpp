#include "explorer_gui/model/design.hpp"

#include <algorithm>

#include "core/document_impl.hpp"

namespace soapstone::explorer {

const NamedStrategy* Design::find(StrategyId id) const {
  const auto it =
      std::find_if(strategies.begin(), strategies.end(), [&](const auto& s) { return s.id == id; });
  return it == strategies.end() ? nullptr : &*it;
}

StrategyId Design::fresh_id() const {
  StrategyId largest = 0;
  for (const auto& s : strategies) largest = std::max(largest, s.id);
  return largest + 1;
}

namespace {

template <class T>
bool same(const std::shared_ptr<const T>& a, const std::shared_ptr<const T>& b) {
  return a == b || (a && b && a->hash() == b->hash());
}

}  // namespace

bool operator==(const Design& a, const Design& b) {
  return a.model == b.model && same(a.graph, b.graph) && same(a.cluster, b.cluster) &&
         a.optimizer == b.optimizer && a.strategies == b.strategies && a.current == b.current &&
         a.baseline == b.baseline && a.pinned == b.pinned;
}

DesignDocument to_document(const Design& design) {
  DesignDocument out;
  out.model = design.model;
  out.graph = design.graph->spec();
  out.cluster = design.cluster->spec();
  out.optimizer = design.optimizer;
  for (const NamedStrategy& s : design.strategies)
    out.strategies.push_back(
        {s.id, s.name, s.origin, s.starred, core::to_document(*design.graph, *s.strategy)});
  out.current = design.current;
  out.baseline = design.baseline;
  out.pinned.assign(design.pinned.begin(), design.pinned.end());
  return out;
}

core::Result<Design> from_document(const DesignDocument& document) {
  Design out;
  out.model = document.model;
  SOAPSTONE_ASSIGN(core::Graph graph, core::Graph::build(document.graph));
  out.graph = std::make_shared<const core::Graph>(std::move(graph));
  SOAPSTONE_ASSIGN(core::Cluster cluster, core::Cluster::build(document.cluster));
  out.cluster = std::make_shared<const core::Cluster>(std::move(cluster));
  out.optimizer = document.optimizer;
  for (const DesignStrategy& s : document.strategies) {
    if (s.id == 0 || out.find(s.id))
      return core::usage_error("strategies: id {} is 0 or stands there twice", s.id);
    auto strategy = core::from_document(*out.graph, s.strategy);
    if (!strategy)
      return core::usage_error("strategies: `{}`: {}", s.name, strategy.error().message);
    if (const auto status =
            core::check(*out.graph, *strategy, static_cast<std::uint32_t>(out.cluster->size()));
        !status)
      return core::usage_error("strategies: `{}`: {}", s.name, status.error().message);
    out.strategies.push_back({s.id, s.name, s.origin,
                              std::make_shared<const core::Strategy>(std::move(*strategy)),
                              s.starred});
  }
  if (document.current != 0 && !out.find(document.current))
    return core::usage_error("current: there is no strategy {}", document.current);
  out.current = document.current;
  if (document.baseline && !out.find(*document.baseline))
    return core::usage_error("baseline: there is no strategy {}", *document.baseline);
  out.baseline = document.baseline;
  for (const std::string& name : document.pinned) {
    if (!out.graph->find_op(name))
      return core::usage_error("pinned: the model has no operator `{}`", name);
    out.pinned.insert(name);
  }
  return out;
}

}  // namespace soapstone::explorer

namespace soapstone::core {
SOAPSTONE_INSTANTIATE_DOCUMENT(explorer::DesignDocument);
}
