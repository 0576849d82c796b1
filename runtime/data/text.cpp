#include <array>

#include "runtime/data/corpus.hpp"
#include "runtime/data/text_file.hpp"

namespace soapstone::runtime {

core::Result<DataSets> open_text(const core::Graph& graph, const std::filesystem::path& path) {
  static constexpr std::array<std::string_view, 6> kEndings{".txt",    ".rst",    ".md",
                                                            ".txt.gz", ".rst.gz", ".md.gz"};
  const std::filesystem::path from = data_folder(path, {});
  if (from.empty()) return core::usage_error("text: which? accepted: --data-folder FILE or FOLDER");
  std::vector<std::filesystem::path> files{from};
  std::error_code ignored;  // what cannot be looked at cannot be opened either
  if (std::filesystem::is_directory(from, ignored)) {
    SOAPSTONE_ASSIGN(files, files_below(from, kEndings));
  }
  std::vector<std::string> documents;
  for (const auto& file : files) {
    SOAPSTONE_ASSIGN(std::string text, read_text(file));
    documents.push_back(std::move(text));
  }
  return make_corpus("text", graph, documents);
}

}  // namespace soapstone::runtime
