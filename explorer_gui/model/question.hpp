// What if: a task took that long, a link were that fast. Questions are asked of a step that is
// simulated and change nothing: they are no step of the history. Several stand together.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/cluster.hpp"
#include "core/plan.hpp"
#include "core/trace.hpp"
#include "explorer_gui/model/backend.hpp"
#include "simulator/analysis/what_if.hpp"

namespace soapstone::explorer {

using Changes = std::vector<simulator::Change>;

// What is asked, and the last answer.
struct Question {
  Changes changes;                       // that stand; none: nothing is asked
  std::shared_ptr<const Evaluation> of;  // the step that they are asked of
  // The step with the changes `answered`, which may be those of a moment ago; null: with none.
  std::shared_ptr<const core::Trace> trace;
  Changes answered;
  std::string error;  // why there is no answer to `changes`, or empty

  bool stands() const { return !changes.empty(); }
  bool waits() const { return !(changes == answered) && error.empty(); }
};

// The changes with one more, in the place of those of the same thing or of the same tasks; a factor
// of 1 takes those away.
Changes with(Changes changes, simulator::Change change);
// The changes without that one.
Changes without(Changes changes, std::size_t i);

// --- a task's time ------------------------------------------------------------------------------
// What the end of a span is dragged for.
enum class DragScope : std::uint8_t { kTask, kDevice, kEveryMicroBatch };
SOAPSTONE_ENUM_NAMES(DragScope, {DragScope::kTask, "the task on all its devices"},
                     {DragScope::kDevice, "on this device alone"},
                     {DragScope::kEveryMicroBatch, "in every micro-batch"})

// Empty, or why the end of this span cannot be dragged.
std::string why_not_dragged(const core::Plan* plan, const core::Trace& trace, std::size_t span);
// How long a span is whose end is dragged by so many pixels: not below nothing, and `usual` near
// that.
std::int64_t dragged_length(std::int64_t length, double pixels, double nanoseconds_per_pixel,
                            std::int64_t usual, double reach_in_pixels);
// That a span of `trace`, which is of the plan and without changes, takes so long, where it and
// those that go with it take as many times what they took.
simulator::Change task_change(const core::Plan& plan, const core::Trace& trace, std::size_t span,
                              std::int64_t length, DragScope scope);
// The span of the same task on the same device in another trace of the same plan.
std::optional<std::size_t> same_span(const core::Trace& of, std::size_t span,
                                     const core::Trace& in);

// --- links --------------------------------------------------------------------------------------
struct LinkSpeed {
  std::string kind;                // "network", "nvlink": as changes name them
  core::BytesPerSecond bandwidth;  // of the first of that kind, as the cluster says
  double factor = 1;               // that the changes give it; infinite: free

  friend bool operator==(const LinkSpeed&, const LinkSpeed&) = default;
};
inline constexpr double kSlowestLink = 0.05, kFastestLink = 20;  // what may be asked for
std::vector<LinkSpeed> link_speeds(const core::Cluster& cluster, const Changes& changes);
simulator::Change link_change(const std::string& kind, double factor);
// The cluster whose links are as the changes say; tasks' times are no cluster's.
core::ClusterSpec kept(const core::ClusterSpec& cluster, const Changes& changes);
// Empty, or why nothing can be kept.
std::string why_not_kept(const Changes& changes);

// --- words --------------------------------------------------------------------------------------
// "12.3 ms → 13.1 ms (+6.5 %)".
std::string step_words(core::Nanoseconds before, core::Nanoseconds after);
// "fc6 forward takes 2 times as long", or "3 changes".
std::string headline(const Changes& changes);
// One line each.
std::vector<std::string> lines(const Changes& changes);

}  // namespace soapstone::explorer
