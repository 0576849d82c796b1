// soapstone doctor
#include <cstdlib>
#include <filesystem>
#include <thread>

#include <fmt/core.h>

#include "cli/command.hpp"
#include "cli/common.hpp"
#include "cli/documents.hpp"
#include "cli/output.hpp"
#include "core/version_text.hpp"
#ifdef SOAPSTONE_HAS_KERNELS
#include "kernels/device.hpp"
#include "runtime/data/data_source.hpp"
#include "runtime/launch.hpp"
#endif

namespace soapstone::cli {

namespace {

std::string find_program(const std::string& name) {
  const char* path = std::getenv("PATH");
  if (path == nullptr) return "";
  std::string folders = path;
  for (std::size_t begin = 0; begin <= folders.size();) {
    const std::size_t end = std::min(folders.find(':', begin), folders.size());
    const std::filesystem::path candidate =
        std::filesystem::path(folders.substr(begin, end - begin)) / name;
    std::error_code error;
    if (std::filesystem::is_regular_file(candidate, error)) return candidate.string();
    begin = end + 1;
  }
  return "";
}

core::Status doctor(const Invocation& invocation) {
  DoctorOutput out;
  const auto check = [&](std::string name, bool ok, std::string found, std::string gives) {
    out.checks.push_back({std::move(name), std::move(found), std::move(gives), ok});
  };
  check("soapstone", true, std::string(core::version_text()),
        "search and simulation on any machine");
  check("processor", true, fmt::format("{} hardware threads", std::thread::hardware_concurrency()),
        "ranks of at least one thread each");
#ifdef SOAPSTONE_HAS_KERNELS
  check("Kokkos", true, kernels::kokkos_version(), "portable kernels: train, verify, profile");
  const std::string onednn = kernels::onednn_version();
  check("oneDNN", !onednn.empty(), onednn.empty() ? "not built in" : onednn,
        "fast kernels on CPUs (conv2d, linear, pool2d)");
  const std::string mpi = runtime::mpi_version();
  check("MPI", !mpi.empty(), mpi.empty() ? "not built in" : mpi,
        "training over several processes and hosts");
  ModelArguments model;
  model.name = "mlp";
  SOAPSTONE_ASSIGN(const core::Graph graph, build_graph(model));
  const auto data = runtime::open_data("fashion-mnist", graph, 0);
  check("Fashion-MNIST", data.has_value(),
        data ? fmt::format("{} training images", data->train->samples()) : data.error().message,
        "train --data fashion-mnist");
#else
  check("Kokkos", false, "not built in; scripts/setup.sh provides it",
        "portable kernels: train, verify, profile");
#endif
  const std::string mpirun = find_program("mpirun");
  check("mpirun", !mpirun.empty(), mpirun.empty() ? "not on PATH; package openmpi-bin" : mpirun,
        "train --ranks N");
  const std::string ip = find_program("ip").empty() ? "" : find_program("tc");
  check("iproute2", !ip.empty(), ip.empty() ? "ip or tc not on PATH; package iproute2" : ip,
        "scripts/shaped_hosts.sh");
  const auto database = default_database();
  check("cost database", std::filesystem::exists(database),
        std::filesystem::exists(database) ? database.string()
                                          : "none yet; soapstone profile makes it",
        "predictions from measurements");
  const auto local = local_cluster_file(2);
  check("local cluster", std::filesystem::exists(local),
        std::filesystem::exists(local) ? local.string() : "not measured; soapstone clusters local",
        "--cluster local with measured links");
  if (invocation.json) return print_json(out);
  std::vector<std::vector<std::string>> rows{{"", "part", "found", "gives"}};
  for (const auto& c : out.checks) rows.push_back({c.ok ? "ok" : "--", c.name, c.found, c.gives});
  fmt::print("{}", table(rows));
  return {};
}

Action declare(CLI::App&) { return doctor; }

}  // namespace

const Verb kDoctorVerb{"doctor", "Say what was found on this machine and what each part gives",
                       "soapstone doctor", declare};

}  // namespace soapstone::cli
