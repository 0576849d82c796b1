#include "cli/data.hpp"

#include <filesystem>

namespace soapstone::cli {

CLI::Option* declare_data(CLI::App& app, DataArguments& data, const std::string& what) {
  std::string names;
  for (const std::string_view name : runtime::data_names())
    names += (names.empty() ? "" : "|") + std::string(name);
  CLI::Option* option =
      app.add_option("--data", data.name, what)->type_name(names)->capture_default_str();
  app.add_option("--data-folder", data.folder,
                 "Where the data's files lie; default: $SOAPSTONE_DATA, or Debian's place")
      ->type_name("FOLDER");
  return option;
}

core::Result<runtime::DataSets> open_data(const DataArguments& data, const core::Graph& graph,
                                          std::uint64_t seed) {
  std::error_code ignored;  // what cannot be looked at cannot be read either
  if (!data.folder.empty() && !std::filesystem::exists(data.folder, ignored))
    return core::usage_error(
        "--data-folder {}: there is no such folder; accepted: the folder that holds the files of "
        "--data {}",
        data.folder, data.name);
  return runtime::open_data(data.name, graph, seed, data.folder);
}

}  // namespace soapstone::cli
