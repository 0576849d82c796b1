// The document types of core that have no .cpp with JSON of their own.
#include "core/document_impl.hpp"
#include "core/graph.hpp"
#include "core/plan.hpp"
#include "core/ranked_strategies.hpp"
#include "core/strategy.hpp"
#include "core/trace.hpp"

namespace soapstone::core {

SOAPSTONE_INSTANTIATE_DOCUMENT(GraphSpec);
SOAPSTONE_INSTANTIATE_DOCUMENT(Plan);
SOAPSTONE_INSTANTIATE_DOCUMENT(RankedStrategies);
SOAPSTONE_INSTANTIATE_DOCUMENT(StrategyDocument);
SOAPSTONE_INSTANTIATE_DOCUMENT(Trace);

}  // namespace soapstone::core
