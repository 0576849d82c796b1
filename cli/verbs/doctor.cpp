// soapstone doctor
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cli/command.hpp"
#include "cli/common.hpp"
#include "cli/costs.hpp"
#include "cli/documents.hpp"
#include "cli/output.hpp"
#include "core/file.hpp"
#include "core/units.hpp"
#include "core/version_text.hpp"
#include "reports/svg.hpp"
#include "simulator/cost_database.hpp"
#ifdef SOAPSTONE_HAS_EXPLORER
#include "explorer_gui/view/window.hpp"
#endif
#ifdef SOAPSTONE_HAS_KERNELS
#include "kernels/device.hpp"
#include "runtime/data/data_source.hpp"
#include "runtime/launch.hpp"
#endif

namespace soapstone::cli {

namespace {

// Which vectors this program was compiled for; vendors' libraries look for themselves.
constexpr bool kHasAvx2 =
#ifdef __AVX2__
    true;
#else
    false;
#endif
constexpr bool kHasAvx512 =
#ifdef __AVX512F__
    true;
#else
    false;
#endif

// Empty where there is none, or it is not for this user.
std::string text_of(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// The first line of what a program prints, if it ends well.
std::string first_line_of(const std::string& program, const std::string& arguments) {
  std::string quoted = "'";
  for (const char c : program) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  const std::string command = quoted + "' " + arguments + " 2>/dev/null";
  std::FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return "";
  std::string out;
  for (int c; (c = std::fgetc(pipe)) != EOF;) out += static_cast<char>(c);
  if (pclose(pipe) != 0) return "";
  return out.substr(0, out.find('\n'));
}

// What follows "key : " in a file such as /proc/cpuinfo, the first time.
std::string value_in(const std::string& text, std::string_view key) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(key)) continue;
    const auto colon = line.find(':');
    const auto begin = line.find_first_not_of(" \t", colon + 1);
    if (colon != std::string::npos && begin != std::string::npos) return line.substr(begin);
  }
  return "";
}

std::string bytes_text(double bytes) {
  return core::human_text(core::Bytes(static_cast<std::int64_t>(bytes)));
}

// A limit of the cgroup that this process is in or of one around it: the least number in its files
// `name` (version 2), or in the file of version 1. None: no limit.
struct CgroupLimits {
  std::optional<double> memory;  // bytes
  std::optional<double> cores;
};

void take_least(std::optional<double>& least, double value) {
  least = least ? std::min(*least, value) : value;
}

CgroupLimits cgroup_limits() {
  const std::filesystem::path root = "/sys/fs/cgroup";
  CgroupLimits limits;
  std::istringstream groups(text_of("/proc/self/cgroup"));
  for (std::string line; std::getline(groups, line);) {
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    std::filesystem::path group = line.substr(second + 1);
    const std::filesystem::path base = controllers.empty() ? root : root / controllers;
    for (group = group.relative_path();; group = group.parent_path()) {
      const auto number = [&](const char* file) -> std::optional<double> {
        std::istringstream in(text_of(base / group / file));
        double value = 0;
        if (!(in >> value) || value < 0 || value >= 0x1p62) return {};  // "max", -1, 2^63 - 4096
        return value;
      };
      for (const char* file : {"memory.max", "memory.limit_in_bytes"})
        if (const auto bytes = number(file)) take_least(limits.memory, *bytes);
      std::istringstream quota(text_of(base / group / "cpu.max"));
      double time = 0, period = 0;
      if (quota >> time >> period) take_least(limits.cores, time / period);
      const auto v1_time = number("cpu.cfs_quota_us"), v1_period = number("cpu.cfs_period_us");
      if (v1_time && v1_period) take_least(limits.cores, *v1_time / *v1_period);
      if (group.empty()) break;
    }
  }
  return limits;
}

int allowed_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 0;
}

class Checks {
 public:
  void add(std::string name, bool ok, std::string found, std::string gives) {
    out_.checks.push_back({std::move(name), std::move(found), std::move(gives), ok});
  }
  const DoctorOutput& output() const { return out_; }

 private:
  DoctorOutput out_;
};

void check_program(Checks& checks) {
#ifdef __clang__
  const std::string compiler = fmt::format("Clang {}", __clang_version__);
#else
  const std::string compiler = fmt::format("GCC {}", __VERSION__);
#endif
  checks.add("soapstone", true,
             fmt::format("{}, built with {}{}", core::version_text(), compiler,
                         kHasAvx512 ? ", AVX-512"
                         : kHasAvx2 ? ", AVX2"
                                    : ", portable instruction set"),
             "search and simulation on any machine");
  const std::string cxx = core::find_program("c++"), cmake = core::find_program("cmake");
  checks.add("compiler", !cxx.empty() && !cmake.empty(),
             cxx.empty()     ? "no c++ on PATH; package build-essential"
             : cmake.empty() ? "no cmake on PATH; package cmake"
                             : fmt::format("{} {}, {}", cxx,
                                           first_line_of(cxx, "-dumpfullversion -dumpversion"),
                                           first_line_of(cmake, "--version")),
             "building from source, your own operators");
}

void check_processor(Checks& checks) {
  const std::string cpuinfo = text_of("/proc/cpuinfo");
  const std::string model = value_in(cpuinfo, "model name");
  const long online = sysconf(_SC_NPROCESSORS_ONLN);
  const int allowed = allowed_cores();
  const CgroupLimits limits = cgroup_limits();
  std::string cores =
      fmt::format("{}, {} hardware threads", model.empty() ? "unknown" : model, online);
  if (allowed != online) cores += fmt::format(", {} allowed to this process", allowed);
  if (limits.cores)
    cores +=
        fmt::format(", cgroup allows the time of {:.3g}, which makes times uneven", *limits.cores);
  checks.add("processor", !limits.cores || *limits.cores >= allowed, cores,
             "ranks of at least one thread each");

  std::istringstream words(value_in(cpuinfo, "flags"));
  std::set<std::string> flags;
  for (std::string word; words >> word;) flags.insert(word);
  const auto instructions = [&](const char* name, bool has, bool used, const char* gives) {
    checks.add(name, has && used,
               !has ? "this processor has none"
               : used
                   ? "yes"
                   : "yes, but this program was built without; configure with SOAPSTONE_NATIVE=ON",
               gives);
  };
  instructions("AVX2", flags.contains("avx2") && flags.contains("fma"), kHasAvx2,
               "vectors of 8 f32 with fused multiply-add");
  instructions("AVX-512", flags.contains("avx512f"), kHasAvx512, "vectors of 16 f32");
  // What follows is used by oneDNN, which asks the processor itself.
  instructions("AVX-512 BF16", flags.contains("avx512_bf16"), true,
               "bf16 products in hardware, by oneDNN");
  instructions("AMX", flags.contains("amx_bf16"), true,
               "bf16 products of tiles in hardware, by oneDNN");

  const std::string meminfo = text_of("/proc/meminfo");
  const double total = std::atof(value_in(meminfo, "MemTotal").c_str()) * 1024;
  const double available = std::atof(value_in(meminfo, "MemAvailable").c_str()) * 1024;
  std::string memory = fmt::format("{}, {} available", bytes_text(total), bytes_text(available));
  if (limits.memory) memory += fmt::format(", cgroup allows {}", bytes_text(*limits.memory));
  checks.add("memory", true, memory, "what the ranks of this machine share");

  rlimit files{}, locked{}, space{};
  getrlimit(RLIMIT_NOFILE, &files);
  getrlimit(RLIMIT_MEMLOCK, &locked);
  getrlimit(RLIMIT_AS, &space);
  const auto limit = [](rlim_t value, bool bytes) {
    return value == RLIM_INFINITY ? "unlimited"
           : bytes                ? bytes_text(static_cast<double>(value))
                                  : std::to_string(value);
  };
  constexpr rlim_t kFewFiles = 256;
  checks.add("limits", files.rlim_cur >= kFewFiles && space.rlim_cur == RLIM_INFINITY,
             fmt::format("open files {} (ulimit -n), address space {} (-v), locked memory {} (-l)",
                         limit(files.rlim_cur, false), limit(space.rlim_cur, true),
                         limit(locked.rlim_cur, true)),
             fmt::format("{} files: connections to ranks; locked memory: InfiniBand", kFewFiles));
}

void check_libraries(Checks& checks) {
#ifdef SOAPSTONE_HAS_KERNELS
  checks.add("Kokkos", true,
             fmt::format("{}, built with {}", kernels::kokkos_version(), SOAPSTONE_KOKKOS_DEVICES),
             "portable kernels: train, verify, profile, bench");
  const std::string onednn = kernels::onednn_version();
  checks.add("oneDNN", !onednn.empty(),
             onednn.empty() ? "not built in; package libdnnl-dev" : onednn,
             "fast kernels on CPUs (conv2d, linear, pool2d)");
  const std::string mpi = runtime::mpi_version();
  checks.add("MPI", !mpi.empty(), mpi.empty() ? "not built in; package libopenmpi-dev" : mpi,
             "training over several processes and hosts");
#else
  checks.add("Kokkos", false, "not built in; scripts/setup.sh provides it",
             "portable kernels: train, verify, profile, bench");
#endif
#ifdef SOAPSTONE_HAS_EXPLORER
  const auto display = explorer::view::display();
  std::string window = display ? *display : display.error().message;
  window = window.substr(0, window.find('\n'));
#else
  const bool display = false;
  const std::string window = "not built in; scripts/setup.sh provides Dear ImGui and GLFW";
#endif
  checks.add("window", static_cast<bool>(display), window, "soapstone explore");
  const std::string graphviz = reports::graphviz_version();
  checks.add("Graphviz", !graphviz.empty(),
             graphviz.empty() ? "not built in; package libgraphviz-dev" : graphviz,
             "drawings of graphs in reports");
  checks.add("SQLite", true, simulator::sqlite_version(), "the cost database");

  const std::string driver = value_in(text_of("/proc/driver/nvidia/version"), "NVRM version");
  const std::string nvidia_smi = core::find_program("nvidia-smi");
  const std::string gpus =
      nvidia_smi.empty()
          ? ""
          : first_line_of(nvidia_smi, "--query-gpu=name,driver_version --format=csv,noheader");
  checks.add("GPU", false,
             !gpus.empty()     ? fmt::format("{}; this build has no CUDA backend", gpus)
             : !driver.empty() ? fmt::format("driver {}; this build has no CUDA backend", driver)
             : !nvidia_smi.empty()
                 ? fmt::format("{} finds none; this build has no CUDA backend", nvidia_smi)
                 : "no NVIDIA driver, no nvidia-smi on PATH; this build has no "
                   "CUDA backend",
             "nothing yet: training runs on CPUs");
}

void check_programs(Checks& checks) {
  const std::string mpirun = core::find_program("mpirun");
  checks.add("mpirun", !mpirun.empty(),
             mpirun.empty() ? "not on PATH; package openmpi-bin"
                            : fmt::format("{}, {}", mpirun, first_line_of(mpirun, "--version")),
             "train --ranks N");
#ifdef SOAPSTONE_HAS_KERNELS
  const runtime::SlurmJob job = runtime::slurm_job();
  const std::string srun = core::find_program("srun");
  checks.add("Slurm", !job.id.empty() || !srun.empty(),
             !job.id.empty()
                 ? fmt::format("job {} on {} node(s): {}", job.id, job.nodes, job.node_list)
             : srun.empty() ? "no srun on PATH"
                            : srun + ", in no job",
             "train on the nodes of a job (docs/cluster.md)");
#endif
  const std::string ip = core::find_program("ip").empty() ? "" : core::find_program("tc");
  checks.add("iproute2", !ip.empty(), ip.empty() ? "ip or tc not on PATH; package iproute2" : ip,
             "scripts/shaped_hosts.sh");
  const std::string python = core::find_program("python3");
  const std::string versions =
      python.empty() ? ""
                     : first_line_of(python,
                                     "-c 'import platform, importlib.metadata as m\n"
                                     "def v(name):\n"
                                     "  try: return m.version(name)\n"
                                     "  except m.PackageNotFoundError: return \"\"\n"
                                     "print(platform.python_version(), v(\"torch\"))'");
  const std::size_t blank = std::min(versions.find(' '), versions.size());
  const std::string version = versions.substr(0, blank);
  const std::string torch = versions.substr(std::min(blank + 1, versions.size()));
  checks.add("Python", !version.empty(),
             python.empty()    ? "no python3 on PATH; package python3"
             : version.empty() ? python + " does not run"
                               : fmt::format("{} {}", python, version),
             "tests of layering and schemas");
  checks.add("PyTorch", !torch.empty(),
             torch.empty() ? "not among python3's packages; package python3-torch" : torch,
             "an oracle for tests, and comparisons of speed");
}

core::Status check_data(Checks& checks) {
#ifdef SOAPSTONE_HAS_KERNELS
  ModelArguments model;
  model.name = "mlp";
  SOAPSTONE_ASSIGN(const core::Graph graph, build_graph(model));
  const auto data = runtime::open_data("fashion-mnist", graph, 0);
  const char* set = std::getenv("SOAPSTONE_DATA");
  checks.add("Fashion-MNIST", data.has_value(),
             data ? fmt::format("{} training and {} test images in {}", data->train->samples(),
                                data->test->samples(),
                                set != nullptr && *set != '\0' ? set : "Debian's folder")
                  : data.error().message,
             "train --data fashion-mnist");
#else
  (void)checks;
#endif
  return {};
}

void check_measurements(Checks& checks) {
  const auto cache = cache_folder();
  std::error_code error;
  double size = 0;
  for (auto it = std::filesystem::recursive_directory_iterator(cache, error);
       !error && it != std::filesystem::recursive_directory_iterator(); it.increment(error)) {
    std::error_code unreadable;
    if (const auto bytes = it->is_regular_file(unreadable) ? it->file_size(unreadable) : 0;
        !unreadable)
      size += static_cast<double>(bytes);
  }
  const bool is_folder = std::filesystem::is_directory(cache, error);
  const bool exists = std::filesystem::exists(cache, error);
  const bool writable = is_folder && access(cache.c_str(), W_OK) == 0;
  checks.add("cache folder", !exists || writable,
             !exists      ? fmt::format("{}, not made yet", cache.string())
             : !is_folder ? fmt::format("{} is no folder", cache.string())
             : !writable  ? fmt::format("{} cannot be written", cache.string())
                          : fmt::format("{}, {}", cache.string(), bytes_text(size)),
             "measurements kept between runs");

  const auto file = default_database();
  if (!std::filesystem::exists(file, error)) {  // opening would make one
    checks.add("cost database", false, "none yet; soapstone profile makes it",
               "predictions from measurements");
  } else {
    const auto database = simulator::CostDatabase::open(file, environment());
    const auto statistics =
        database ? database->statistics() : tl::unexpected<core::Error>(database.error());
    checks.add(
        "cost database", statistics && statistics->costs + statistics->curve_points > 0,
        statistics
            ? fmt::format("{}, {}, {} costs and {} points of curves of this machine, "
                          "{} of others or older versions",
                          file.string(),
                          bytes_text(static_cast<double>(std::filesystem::file_size(file, error))),
                          statistics->costs, statistics->curve_points, statistics->stale)
            : statistics.error().message,
        "predictions from measurements");
  }

  std::vector<std::string> clusters;
  const std::string prefix = fmt::format("local-{}-", host_name());
  for (auto it = std::filesystem::directory_iterator(cache, error);
       !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.starts_with(prefix) && name.ends_with(".toml"))
      clusters.push_back(name.substr(prefix.size(), name.size() - prefix.size() - 5));
  }
  std::sort(clusters.begin(), clusters.end());
  checks.add("local cluster", !clusters.empty(),
             clusters.empty() ? "not measured; soapstone clusters local"
                              : fmt::format("measured as {} ranks", fmt::join(clusters, ", ")),
             "--cluster local with measured links");
}

core::Status doctor(const Invocation& invocation) {
  Checks checks;
  check_program(checks);
  check_processor(checks);
  check_libraries(checks);
  check_programs(checks);
  SOAPSTONE_TRY(check_data(checks));
  check_measurements(checks);
  const DoctorOutput& out = checks.output();
  if (invocation.json) return print_json(out);
  std::vector<std::vector<std::string>> rows{{"", "part", "gives", "found"}};
  for (const auto& c : out.checks) rows.push_back({c.ok ? "ok" : "--", c.name, c.gives, c.found});
  fmt::print("{}", table(rows));
  return {};
}

Action declare(CLI::App&) { return doctor; }

}  // namespace

const Verb kDoctorVerb{"doctor", "Say what was found on this machine and what each part gives",
                       "soapstone doctor", declare};

}  // namespace soapstone::cli
