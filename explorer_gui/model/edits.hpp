// Changes of a strategy: from one that is legal to another that is, or the reason why not.
//
// Every function gives a strategy that lower() accepts. What follows from a change changes with it:
// devices follow degrees, operators that come to another stage move to its devices.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/strategy.hpp"
#include "explorer_gui/model/backend.hpp"
#include "search/parallelism.hpp"

namespace soapstone::explorer {

class Session;

// What strategies are edited for. Keeps the graphs of micro-batches; for one thread.
class Ground {
 public:
  explicit Ground(Setting setting);

  const core::Graph& graph() const { return *setting_.graph; }  // of the whole batch
  const core::Cluster& cluster() const { return *setting_.cluster; }
  const Setting& setting() const { return setting_; }
  // What a strategy's tasks compute: one of its micro-batches, in its order of the sequence.
  // Degrees refer to it. Refuses micro-batches that do not divide the batch.
  core::Result<const core::Graph*> micro(const core::Strategy& strategy) const;
  // Whether lowering accepts it; else the first reason.
  core::Status check(const core::Strategy& strategy) const;
  // Likewise what concerns one operator alone.
  core::Status check(const core::Graph& micro, std::uint32_t op,
                     const core::OpStrategy& strategy) const;

 private:
  Setting setting_;
  core::LowerOptions lower_;
  // By micro-batches and chunks of the sequence.
  mutable std::map<std::pair<std::int32_t, std::int32_t>, std::unique_ptr<const core::Graph>>
      micro_;
};

using OpSet = std::set<std::uint32_t>;

// --- one operator -------------------------------------------------------------------------------

// Where an operator may grow: the devices of its stage, then those that no stage has. With one
// stage all devices of the cluster. Ascending.
std::vector<core::DeviceId> devices_within_reach(const Ground& ground,
                                                 const core::Strategy& strategy, std::uint32_t op);

// `count` devices: the first of those that there are or, if they are too few, with the nearest
// others of `reach` behind them: on the node of the first before other nodes, then by the distance
// to what is there already, upwards first. A list that ascends stays so. Empty: there are not so
// many.
std::vector<core::DeviceId> following_devices(std::span<const core::DeviceId> now,
                                              std::size_t count,
                                              std::span<const core::DeviceId> reach,
                                              const core::Cluster& cluster);

// Cut for so many devices (which are left to the caller): the axis with the largest degree changes;
// if the others do not divide the number, they become whole. Where nothing is cut, that is the
// sample axis. Refuses a number for which no axis has enough parts.
core::Result<core::OpStrategy> cut_for(const core::OpNode& node, const core::OpStrategy& strategy,
                                       std::int32_t count);

// Operators with the same attributes on the same shapes, this one included.
OpSet equal_ops(const core::Graph& graph, std::uint32_t op);

// `reach`: devices_within_reach, which many questions about one operator share.
core::Result<core::OpStrategy> with_degree(const Ground& ground, const core::Strategy& strategy,
                                           std::uint32_t op, int axis, std::int32_t degree,
                                           std::span<const core::DeviceId> reach);
core::Result<core::OpStrategy> with_replicas(const Ground& ground, const core::Strategy& strategy,
                                             std::uint32_t op, std::int32_t replicas,
                                             std::span<const core::DeviceId> reach);

// --- some operators -----------------------------------------------------------------------------

// Of the operators that have an axis of that name; the others stay.
core::Result<core::Strategy> set_degree(const Ground& ground, const core::Strategy& strategy,
                                        const OpSet& ops, std::string_view axis,
                                        std::int32_t degree);
core::Result<core::Strategy> set_replicas(const Ground& ground, const core::Strategy& strategy,
                                          const OpSet& ops, std::int32_t replicas);
// In the order in which they are given, row-major over the axes; cut for their number.
core::Result<core::Strategy> set_devices(const Ground& ground, const core::Strategy& strategy,
                                         const OpSet& ops, std::span<const core::DeviceId> devices);
// What two devices compute is exchanged.
core::Result<core::Strategy> swap_devices(const Ground& ground, const core::Strategy& strategy,
                                          const OpSet& ops, core::DeviceId a, core::DeviceId b);
// 0 takes zero_over along, more takes the server's place.
core::Result<core::Strategy> set_zero(const Ground& ground, const core::Strategy& strategy,
                                      const OpSet& ops, std::int32_t zero);
core::Result<core::Strategy> set_zero_over(const Ground& ground, const core::Strategy& strategy,
                                           const OpSet& ops, std::int32_t copies);
enum class Update : std::uint8_t { kEverywhere, kOnServers };
core::Result<core::Strategy> set_update(const Ground& ground, const core::Strategy& strategy,
                                        const OpSet& ops, Update update);
enum class Keep : std::uint8_t { kAll, kRecompute };
core::Result<core::Strategy> set_keep(const Ground& ground, const core::Strategy& strategy,
                                      const OpSet& ops, Keep keep);
core::Result<core::Strategy> set_offload(const Ground& ground, const core::Strategy& strategy,
                                         const OpSet& ops, core::Offload offload);
// Of attention alone; the others stay.
core::Result<core::Strategy> set_style(const Ground& ground, const core::Strategy& strategy,
                                       const OpSet& ops, search::ContextStyle style);
// Axes by their names; what an operator does not have or allow becomes copies. Stages stay, with
// the devices at the same places among those of the stage.
core::Result<core::Strategy> copy_to(const Ground& ground, const core::Strategy& strategy,
                                     std::uint32_t from, const OpSet& ops);
// The selected operators as a block: every place of the graph where the same operators stand in the
// same distances becomes as they are. One operator: all that are equal to it.
core::Result<core::Strategy> copy_to_equal(const Ground& ground, const core::Strategy& strategy,
                                           const OpSet& block);

// --- the step -----------------------------------------------------------------------------------

// Where stages end: stage s has the operators from the end of the one before up to ends[s].
// Refuses stages that do not stand one after the other.
core::Result<std::vector<std::uint32_t>> stage_ends(const core::Strategy& strategy);
// Stage `stage` ends before operator `end`, and the next one begins there.
core::Result<core::Strategy> move_boundary(const Ground& ground, const core::Strategy& strategy,
                                           std::int32_t stage, std::uint32_t end);
core::Result<core::Strategy> set_schedule(const Ground& ground, const core::Strategy& strategy,
                                          core::ScheduleKind kind);
// Action `from` of a rank comes to place `to` of its order; what was named becomes a schedule of
// one's own, and the named one again where it is the same.
core::Result<core::Strategy> move_action(const Ground& ground, const core::Strategy& strategy,
                                         std::int32_t rank, std::size_t from, std::size_t to);
core::Result<core::Strategy> set_micro_batches(const Ground& ground, const core::Strategy& strategy,
                                               std::int32_t count);
core::Result<core::Strategy> set_bucket(const Ground& ground, const core::Strategy& strategy,
                                        core::Bytes bucket);
core::Result<core::Strategy> set_recompute(const Ground& ground, const core::Strategy& strategy,
                                           search::Recompute how);
// "dp=2,tp=4": nothing of what was stays.
core::Result<core::Strategy> from_short_form(const Ground& ground, std::string_view text);
// Why it is none; empty: it is one, though it may not fit the cluster.
std::string short_form_error(std::string_view text);

// --- doing it -----------------------------------------------------------------------------------

// As one step of the history; changes with the same non-empty key become one. An error is told by
// the session and returned.
core::Status apply(Session& session, const std::string& what, core::Result<core::Strategy> next,
                   const std::string& key = {});

// "fc6", "fc6 and fc7", "12 operators".
std::string names_of(const core::Graph& graph, const OpSet& ops);

}  // namespace soapstone::explorer
