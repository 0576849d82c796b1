#include "reports/svg.hpp"

namespace soapstone::reports {

namespace {

core::Result<std::string> without(std::string_view format) {
  return core::refuse(
      "this soapstone was built without Graphviz (libgraphviz-dev); `dot -T{} graph.dot` draws "
      "the same picture",
      format);
}

}  // namespace

bool has_graphviz() { return false; }

std::string graphviz_version() { return {}; }

core::Result<std::string> svg(const std::string&) { return without("svg"); }

core::Result<std::string> pdf(const std::string&) { return without("pdf"); }

}  // namespace soapstone::reports
