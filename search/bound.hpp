// What no strategy can beat.
#pragma once

#include "core/cluster.hpp"
#include "core/graph.hpp"
#include "core/lower.hpp"
#include "core/result.hpp"

namespace soapstone::search {

// All FLOPs of a training step, computed by all devices at once, each at its peak. Every strategy
// computes them somewhere, whatever it moves, waits for or computes twice, so that no predicted
// step is shorter while no kernel is faster than the peak that the cluster tells (the roofline
// never is). Of number formats without a peak: that of f32 divided by their size over four bytes;
// without that either, they count for nothing. Where devices differ and several formats are used,
// only the format that takes longest counts: each device may be best at another one.
// The optimizer of `options` decides which gradients there are.
core::Result<core::Nanoseconds> lower_bound(const core::Graph& graph, const core::Cluster& cluster,
                                            const core::LowerOptions& options = {});

}  // namespace soapstone::search
