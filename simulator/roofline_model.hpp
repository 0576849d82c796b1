// Costs from the published figures of the hardware.
#pragma once

#include <string_view>

#include "core/cost_model.hpp"

namespace soapstone::simulator {

// Which share of its published peaks a device or link reaches.
struct Efficiency {
  double compute = 1;  // of peak FLOP/s
  double memory = 1;   // of memory bandwidth
  double link = 1;     // of link bandwidth
  std::string_view source;

  friend bool operator==(const Efficiency&, const Efficiency&) = default;
};

// By the class of the device: one that communicates while it computes (two
// lanes) is taken for an accelerator, any other for a processor.
Efficiency default_efficiency(const core::DeviceKind& device);

// compute  max(FLOPs / (peak · e), bytes / (bandwidth · e)) + launch overhead
// copy     bytes / (bandwidth · e) + launch overhead; nothing to move: no time
// update   every weight, gradient and state tensor read once, weight and states written: as copy
// update_rows  likewise of the rows that are met, and their ids sorted
// message  latency of the path + bytes · sharing / (bandwidth of the path · e)
class RooflineModel final : public core::CostModel {
 public:
  RooflineModel() = default;
  // The same efficiency for all devices.
  explicit RooflineModel(Efficiency efficiency) : fixed_(true), efficiency_(efficiency) {}

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
  Efficiency efficiency(const core::DeviceKind& device) const {
    return fixed_ ? efficiency_ : default_efficiency(device);
  }
  bool fixed_ = false;
  Efficiency efficiency_;
};

}  // namespace soapstone::simulator
