// Measured times, kept in one file between runs.
//
// An entry belongs to the host and the versions of the kernel libraries that
// it was measured with. Entries of another host or version are stale: they
// stay in the file, are counted, and are never used.
//
// A program that is killed while writing leaves what it had finished.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/cluster.hpp"
#include "core/local_problem.hpp"
#include "core/quantity.hpp"
#include "core/result.hpp"
#include "simulator/required_problems.hpp"

namespace soapstone::simulator {

// Where and with what one measures, e.g. {"node7", "oneDNN 2.6.3, Kokkos 3.4.01, Open MPI 4.1.4"}.
struct Environment {
  std::string host;
  std::string versions;

  friend bool operator==(const Environment&, const Environment&) = default;
};

struct Measurement {
  core::Nanoseconds median;
  core::Nanoseconds spread;  // between the quartiles
  int repeats = 0;

  friend bool operator==(const Measurement&, const Measurement&) = default;
};

// One step of a local problem.
struct CostKey {
  std::string device_kind;
  int threads = 1;
  int busy = 1;         // devices of the host that computed at the same time, this one included
  std::string problem;  // LocalProblem::key()
  std::string step;
  std::string candidate;

  friend auto operator<=>(const CostKey&, const CostKey&) = default;
};
CostKey cost_key(const RequiredProblem& required, int busy);

// A quantity measured at several sizes, between which it is interpolated.
struct CurveKey {
  std::string text;

  // Bytes read and written by a local pass.
  static CurveKey copy(const core::DeviceKind& device, int busy);
  // Elements updated by the optimizer.
  static CurveKey update(const core::DeviceKind& device, int busy, int state_tensors,
                         core::DType dtype);
  // Rows of a table that the optimizer updates, each of so many features.
  static CurveKey update_rows(const core::DeviceKind& device, int busy, std::int64_t features,
                              int state_tensors, core::DType dtype);
  // Bytes of a message, while `sharing` such messages share the link. `link` as of link_kind().
  static CurveKey message(const std::string& cluster, const std::string& link, int sharing);

  friend auto operator<=>(const CurveKey&, const CurveKey&) = default;
};

// "shared-memory", "nvlink", …: the kind of the node's interconnect; "network" between nodes.
std::string link_kind(const core::Cluster& cluster, core::DeviceId src, core::DeviceId dst);

// Of the library that keeps the database: "3.40.1".
std::string sqlite_version();

using Curve = std::map<std::int64_t, Measurement>;  // by size

class CostDatabase {
 public:
  // Creates the file where there is none. Errors name the file and what it is instead.
  static core::Result<CostDatabase> open(const std::filesystem::path& path,
                                         Environment environment);
  ~CostDatabase();
  CostDatabase(CostDatabase&&) noexcept;
  CostDatabase& operator=(CostDatabase&&) noexcept;

  const Environment& environment() const;

  // An entry that is there already is replaced. Each call is one transaction.
  core::Status put(const CostKey& key, const Measurement& measurement);
  core::Status put(std::span<const std::pair<CostKey, Measurement>> entries);
  core::Status put(const CurveKey& key, std::int64_t size, const Measurement& measurement);

  // Nothing where there is none, or a stale one only.
  core::Result<std::optional<Measurement>> get(const CostKey& key) const;
  core::Result<Curve> get(const CurveKey& key) const;

  // All that are not stale.
  core::Result<std::map<CostKey, Measurement>> costs() const;
  core::Result<std::map<CurveKey, Curve>> curves() const;

  // Those that have no entry yet, in their order.
  core::Result<std::vector<RequiredProblem>> missing(std::span<const RequiredProblem> required,
                                                     int busy) const;

  struct Statistics {
    std::int64_t costs = 0;  // usable
    std::int64_t curve_points = 0;
    std::int64_t stale = 0;    // of another host or version, of both kinds
    double median_spread = 0;  // of usable costs: median of spread ÷ median
    friend bool operator==(const Statistics&, const Statistics&) = default;
    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
      visit("costs", self.costs);
      visit("curve_points", self.curve_points);
      visit("stale", self.stale);
      visit("median_spread", self.median_spread);
    }
  };
  core::Result<Statistics> statistics() const;

 private:
  struct Impl;
  explicit CostDatabase(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace soapstone::simulator
