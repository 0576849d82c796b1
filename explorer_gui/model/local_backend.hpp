// The work done in this process.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "core/cost_model.hpp"
#include "core/kernel_catalog.hpp"
#include "explorer_gui/model/backend.hpp"

namespace soapstone::explorer {

// What a cluster's kernels and times come from. Not for several threads at once.
struct Costs {
  std::shared_ptr<const core::CostModel> model;
  std::shared_ptr<const core::KernelCatalog> catalog;
};

// How the program finds things, as it does for its verbs. Called from several threads at once.
struct Resources {
  std::function<core::Result<Catalogue>()> catalogue;
  std::function<core::Result<core::Graph>(const ModelChoice&)> model;
  std::function<core::Result<core::Cluster>(const std::string&)> cluster;
  std::function<core::Result<core::Strategy>(const core::Graph&, const core::Cluster&,
                                             const std::string&)>
      strategy;
  std::function<core::Result<Costs>(const core::Cluster&)> costs;
  std::string program = "soapstone";  // for launches
  std::filesystem::path runs;         // the folder that the folders of runs are made in
};

// Evaluations of one setting share what they have in common, so that a strategy that differs from
// the one before in one operator costs little.
std::unique_ptr<Backend> local_backend(Resources resources);

// Of the lanes in which something is computed or moved.
simulator::Utilization utilization_in_use(const core::Trace& trace);

}  // namespace soapstone::explorer
