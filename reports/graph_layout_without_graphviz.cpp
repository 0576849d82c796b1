#include "reports/graph_layout.hpp"

namespace soapstone::reports {

core::Result<GraphLayout> graph_layout(const LayoutInput& input) { return layered_layout(input); }

}  // namespace soapstone::reports
