// Bytes alive over time, by what holds them.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "core/plan.hpp"
#include "core/trace.hpp"

namespace soapstone::reports {

enum class Holder : std::uint8_t {
  kWeights,
  kOptimizerState,
  kWeightGradients,
  kActivations,  // with what operators keep for their backward pass
  kActivationGradients,
  kData,           // of the micro-batch
  kCommunication,  // packed pieces and scratch of transfers
  kWorkspace,      // of kernels
};
SOAPSTONE_ENUM_NAMES(Holder, {Holder::kWeights, "weights"},
                     {Holder::kOptimizerState, "optimizer state"},
                     {Holder::kWeightGradients, "weight gradients"},
                     {Holder::kActivations, "activations"},
                     {Holder::kActivationGradients, "activation gradients"},
                     {Holder::kData, "data"}, {Holder::kCommunication, "communication"},
                     {Holder::kWorkspace, "workspace"})
inline constexpr std::size_t kHolders = 8;
Holder holder_of(core::BufferKind kind);

// held[h][i] bytes from time[i] on.
struct MemoryCurve {
  core::DeviceId device;
  std::vector<core::Nanoseconds> time;
  std::array<std::vector<core::Bytes>, kHolders> held;
  std::size_t peak = 0;  // the first entry with the largest sum
  core::Bytes peak_bytes;
  core::Bytes arena;  // what the device allocates

  friend bool operator==(const MemoryCurve&, const MemoryCurve&) = default;
};

// One per device of the trace, ascending. A buffer lives from the start of the first task that uses
// it to the end of the last; weights, optimizer state and workspace always.
std::vector<MemoryCurve> memory_curves(const core::Plan& plan, const core::Trace& trace);
// Of one device; without entries where the trace does not have it.
MemoryCurve memory_curve(const core::Plan& plan, const core::Trace& trace, core::DeviceId device);

}  // namespace soapstone::reports
