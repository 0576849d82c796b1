#include "reports/svg.hpp"

namespace soapstone::reports {

bool has_graphviz() { return false; }

std::string graphviz_version() { return {}; }

core::Result<std::string> svg(const std::string&) {
  return core::refuse(
      "this soapstone was built without Graphviz (libgraphviz-dev); `dot -Tsvg graph.dot` draws "
      "the same picture");
}

}  // namespace soapstone::reports
