#include <memory>
#include <mutex>

#include <graphviz/cgraph.h>
#include <graphviz/graphviz_version.h>
#include <graphviz/gvc.h>

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

core::Error error(std::string_view what) {
  std::string text = complaints();
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return {fmt::format("Graphviz {}{}{}", what, text.empty() ? "" : ": ", text)};
}

}  // namespace

bool has_graphviz() { return true; }

std::string graphviz_version() { return PACKAGE_VERSION; }

core::Result<std::string> svg(const std::string& dot) {
  // The library keeps its state in globals. Its text plugin (2.43) remembers fonts of the first
  // context it saw and reads them with the next one, so there is one context, never freed.
  static std::mutex mutex;
  const std::scoped_lock lock(mutex);
  static GVC_t* const context = gvContext();
  complaints().clear();
  agseterr(AGERR);
  agseterrf(complain);

  const std::unique_ptr<Agraph_t, int (*)(Agraph_t*)> graph(agmemread(dot.c_str()), agclose);
  if (!graph) return tl::unexpected(error("cannot read the graph"));
  if (gvLayout(context, graph.get(), "dot") != 0)
    return tl::unexpected(error("cannot lay the graph out"));
  const auto free_layout = [](Agraph_t* g) { (void)gvFreeLayout(context, g); };
  const std::unique_ptr<Agraph_t, decltype(free_layout)> layout(graph.get(), free_layout);
  char* data = nullptr;
  unsigned size = 0;
  if (gvRenderData(context, graph.get(), "svg", &data, &size) != 0 || data == nullptr)
    return tl::unexpected(error("cannot draw the graph"));
  const std::unique_ptr<char, void (*)(char*)> text(data, gvFreeRenderData);
  return std::string(data, size);
}

}  // namespace soapstone::reports
