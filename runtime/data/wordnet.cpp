#include "runtime/data/corpus.hpp"
#include "runtime/data/text_file.hpp"

namespace soapstone::runtime {

namespace {

constexpr const char* kDebianFolder = "/usr/share/wordnet";

// wndb(5WN): lines of a licence begin with two spaces, all others are a synset, `|`, its gloss.
core::Result<std::string> glosses_of(const std::filesystem::path& path) {
  SOAPSTONE_ASSIGN(const std::string text, read_text(path));
  std::string glosses;
  std::size_t number = 0;
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    ++number;
    if (line.starts_with("  ")) continue;
    const std::size_t bar = line.find("| ");
    if (bar == std::string_view::npos)
      return core::usage_error("{}:{}: no `| ` before a gloss; accepted: a data file of WordNet",
                               path.string(), number);
    line.remove_prefix(bar + 2);
    glosses += line.substr(0, line.find_last_not_of(" \r") + 1);
    glosses += '\n';
  }
  return glosses;
}

}  // namespace

core::Result<DataSets> open_wordnet(const core::Graph& graph, const std::filesystem::path& folder) {
  const std::filesystem::path from = data_folder(folder, kDebianFolder);
  std::vector<std::string> documents;
  for (const char* part : {"noun", "verb", "adj", "adv"}) {
    auto glosses = glosses_of(from / (std::string("data.") + part));
    if (!glosses)
      return tl::unexpected(advised(std::move(glosses.error()), "wordnet-base", kDebianFolder));
    documents.push_back(std::move(*glosses));
  }
  return make_corpus("wordnet", graph, documents);
}

}  // namespace soapstone::runtime
