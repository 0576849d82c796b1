#include <algorithm>
#include <array>

#include "runtime/data/corpus.hpp"
#include "runtime/data/text_file.hpp"

namespace soapstone::runtime {

namespace {

constexpr const char* kPackages = "/usr/share/doc";

// Documentation/ of the last linux-doc-VERSION that is installed.
std::filesystem::path installed() {
  std::filesystem::path last = std::filesystem::path(kPackages) / "linux-doc-6.1";
  std::error_code error;  // nothing can be listed: nothing is installed
  for (auto it = std::filesystem::directory_iterator(kPackages, error);
       !error && it != std::filesystem::directory_iterator(); it.increment(error))
    if (it->path().filename().string().starts_with("linux-doc-")) last = std::max(last, it->path());
  return last / "Documentation";
}

}  // namespace

core::Result<DataSets> open_linux_doc(const core::Graph& graph,
                                      const std::filesystem::path& folder) {
  static constexpr std::array<std::string_view, 2> kEndings{".rst", ".rst.gz"};
  const std::filesystem::path standard = installed(), from = data_folder(folder, standard);
  auto files = files_below(from, kEndings);
  if (!files) return tl::unexpected(advised(std::move(files.error()), "linux-doc-6.1", standard));
  std::vector<std::string> documents;
  for (const auto& file : *files) {
    if (*file.lexically_relative(from).begin() == "translations") continue;
    SOAPSTONE_ASSIGN(std::string text, read_text(file));
    documents.push_back(std::move(text));
  }
  return make_corpus("linux-doc", graph, documents);
}

}  // namespace soapstone::runtime
