// Costs from measurements, and from another model where there are none.
#pragma once

#include <map>
#include <unordered_map>

#include "core/cost_model.hpp"
#include "simulator/cost_database.hpp"

namespace soapstone::simulator {

// Features per row for which updates of rows are measured, ascending.
inline constexpr std::int64_t kMeasuredRowWidths[] = {16, 64, 256};

// The value of a curve at `size`: on the straight line between its two
// neighbours; below the smallest size its time (latency), beyond the largest
// on the line through the last two, or in proportion where there is one only.
// The curve is not empty.
core::Nanoseconds value_at(const Curve& curve, std::int64_t size);

// Takes a copy of what the database holds now. A measured size or problem is
// kMeasured, between sizes kFitted, and everything else is what `otherwise` says.
//
// Updates of rows go by the number of rows at the two nearest measured widths.
//
// Copies go by the bytes that they read and write together. Messages that
// share a link more than was measured take the latency once and the rest as
// many times over as there are more of them.
class MeasuredModel final : public core::CostModel {
 public:
  // `busy`: devices of a host that compute at the same time. `otherwise` outlives this object.
  static core::Result<MeasuredModel> load(const CostDatabase& database, int busy,
                                          const core::CostModel& otherwise);

  core::Cost compute(const core::LocalProblem& problem, int step, std::string_view candidate,
                     const core::DeviceKind& device) const override;
  core::Cost copy(core::Bytes read, core::Bytes written,
                  const core::DeviceKind& device) const override;
  core::Cost update(std::int64_t elements, int state_tensors, core::DType dtype,
                    const core::DeviceKind& device) const override;
  core::Cost update_rows(std::int64_t rows, std::int64_t features, int state_tensors,
                         core::DType dtype, const core::DeviceKind& device) const override;
  core::Cost message(const core::Cluster& cluster, core::DeviceId src, core::DeviceId dst,
                     core::Bytes size, int sharing) const override;

 private:
  const core::CostModel* otherwise_ = nullptr;
  int busy_ = 1;
  std::map<CostKey, Measurement> costs_;
  std::map<CurveKey, Curve> curves_;
};

}  // namespace soapstone::simulator
