// How long a task takes. Composed by the simulator: measured before modelled.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/cluster.hpp"
#include "core/local_problem.hpp"

namespace soapstone::core {

enum class CostSource : std::uint8_t {
  kMeasured,  // a cost database entry for this very problem
  kFitted,    // interpolated between measurements
  kRoofline,  // max(FLOPs / peak, bytes / bandwidth)
};
SOAPSTONE_ENUM_NAMES(CostSource, {CostSource::kMeasured, "measured"},
                     {CostSource::kFitted, "fitted"}, {CostSource::kRoofline, "roofline"})

struct Cost {
  Nanoseconds time;
  CostSource source = CostSource::kRoofline;
};

class CostModel {
 public:
  virtual ~CostModel() = default;
  // One step of a local problem by the named kernel candidate.
  virtual Cost compute(const LocalProblem& problem, int step, std::string_view candidate,
                       const DeviceKind& device) const = 0;
  // A local pass that reads `read` and writes `written` bytes: pack, unpack, accumulate, load.
  virtual Cost copy(Bytes read, Bytes written, const DeviceKind& device) const = 0;
  // The optimizer's update of `elements` weights with `state_tensors` state tensors of the same
  // size.
  virtual Cost update(std::int64_t elements, int state_tensors, DType dtype,
                      const DeviceKind& device) const = 0;
  // The optimizer's update of the rows of a table that `rows` ids meet, `features` weights each,
  // from a gradient that comes as rows: sorted by id, merged, applied.
  virtual Cost update_rows(std::int64_t rows, std::int64_t features, int state_tensors, DType dtype,
                           const DeviceKind& device) const = 0;
  // A message of `size` over an otherwise idle route of the cluster: how long
  // from the moment both ends are ready, when `sharing` such flows share its bottleneck.
  virtual Cost message(const Cluster& cluster, DeviceId src, DeviceId dst, Bytes size,
                       int sharing) const = 0;
};

}  // namespace soapstone::core
