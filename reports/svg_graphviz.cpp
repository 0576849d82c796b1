#include <memory>
#include <mutex>

#include <graphviz/cgraph.h>
#include <graphviz/graphviz_version.h>
#include <graphviz/gvc.h>

#include "reports/detail/graphviz.hpp"
#include "reports/svg.hpp"

namespace soapstone::reports {

namespace {

// Graphviz reports through one function for the whole process.
std::string& complaints() {
  static std::string text;
  return text;
}

int complain(char* text) {
  complaints() += text;
  return 0;
}

std::mutex& mutex() {
  static std::mutex one;
  return one;
}

core::Result<std::string> draw(const std::string& dot, const char* format) {
  const detail::Graphviz graphviz;
  GVC_t* const context = graphviz.context();
  const std::unique_ptr<Agraph_t, int (*)(Agraph_t*)> graph(agmemread(dot.c_str()), agclose);
  if (!graph) return tl::unexpected(graphviz.error("cannot read the graph"));
  if (gvLayout(context, graph.get(), "dot") != 0)
    return tl::unexpected(graphviz.error("cannot lay the graph out"));
  const auto free_layout = [context](Agraph_t* g) { (void)gvFreeLayout(context, g); };
  const std::unique_ptr<Agraph_t, decltype(free_layout)> layout(graph.get(), free_layout);
  char* data = nullptr;
  unsigned size = 0;
  if (gvRenderData(context, graph.get(), format, &data, &size) != 0 || data == nullptr)
    return tl::unexpected(graphviz.error(fmt::format("cannot draw the graph as {}", format)));
  const std::unique_ptr<char, void (*)(char*)> text(data, gvFreeRenderData);
  return std::string(data, size);
}

}  // namespace

detail::Graphviz::Graphviz() : lock_(mutex()) {
  complaints().clear();
  agseterr(AGERR);
  agseterrf(complain);
}

GVC_s* detail::Graphviz::context() const {
  static GVC_t* const one = gvContext();
  return one;
}

core::Error detail::Graphviz::error(std::string_view what) const {
  std::string text = complaints();
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return {fmt::format("Graphviz {}{}{}", what, text.empty() ? "" : ": ", text)};
}

bool has_graphviz() { return true; }

std::string graphviz_version() { return PACKAGE_VERSION; }

core::Result<std::string> svg(const std::string& dot) { return draw(dot, "svg"); }

core::Result<std::string> pdf(const std::string& dot) { return draw(dot, "pdf"); }

}  // namespace soapstone::reports
