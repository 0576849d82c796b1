#include <array>

#include "core/suggest.hpp"
#include "runtime/data/data_source.hpp"

namespace soapstone::runtime {

std::span<const std::string_view> data_names() {
  static constexpr std::array<std::string_view, 6> kNames{"fashion-mnist", "synthetic", "text",
                                                          "wordnet",       "linux-doc", "gettext"};
  return kNames;
}

core::Result<DataSets> open_data(std::string_view name, const core::Graph& graph,
                                 std::uint64_t seed, const std::filesystem::path& folder) {
  if (name == "fashion-mnist") return open_fashion_mnist(graph, folder);
  if (name == "synthetic") return make_synthetic_data(graph, seed);
  if (name == "text") return open_text(graph, folder);
  if (name == "wordnet") return open_wordnet(graph, folder);
  if (name == "linux-doc") return open_linux_doc(graph, folder);
  if (name == "gettext") return open_gettext(graph, folder);
  return core::usage_error("unknown data `{}`; {}", name, core::accepted_names(name, data_names()));
}

}  // namespace soapstone::runtime
