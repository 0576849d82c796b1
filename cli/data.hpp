// The arguments that say what a model is trained or checked on.
#pragma once

#include <cstdint>
#include <string>

#include <CLI/CLI.hpp>

#include "core/graph.hpp"
#include "core/result.hpp"
#include "runtime/data/data_source.hpp"

namespace soapstone::cli {

struct DataArguments {
  std::string name;  // of runtime::data_names()
  std::string
      folder{};  // of its files; empty: $SOAPSTONE_DATA, or where Debian's package puts them
};
// `what` describes --data, which is returned.
CLI::Option* declare_data(CLI::App& app, DataArguments& data, const std::string& what);
core::Result<runtime::DataSets> open_data(const DataArguments& data, const core::Graph& graph,
                                          std::uint64_t seed);

}  // namespace soapstone::cli
