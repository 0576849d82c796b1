#include "simulator/analysis/memory.hpp"

#include <algorithm>
#include <utility>

#include <fmt/core.h>

#include "core/assert.hpp"
#include "core/classes_in_parallel.hpp"
#include "core/placement.hpp"
#include "core/strategy.hpp"
#include "core/units.hpp"

namespace soapstone::simulator {

using namespace core;

namespace {

Bytes& holder(MemoryHolders& of, BufferKind kind) {
  switch (kind) {
    case BufferKind::kWeight:
    case BufferKind::kGatheredWeight:
      return of.weights;
    case BufferKind::kOptimizerState:
      return of.optimizer;
    case BufferKind::kWeightGradient:
      return of.gradients;
    case BufferKind::kSource:
    case BufferKind::kActivation:
    case BufferKind::kActivationGradient:
    case BufferKind::kInternal:
      return of.activations;
    case BufferKind::kStaging:
      return of.communication;
    case BufferKind::kWorkspace:
      return of.workspace;
    case BufferKind::kScalar:
      return of.other;
  }
  return of.other;
}

}  // namespace

MemoryHolders memory_holders(const DeviceClass& program) {
  SOAPSTONE_ASSERT(program.arena.value >= 0, "the buffers of device {} are not placed",
                   program.members[0].value);
  const std::vector<Lifetime> life = lifetimes(program);
  // Of bytes alive, from a place of the tasks on; the last stands for the end of the step.
  std::vector<std::int64_t> change(2 * program.tasks.size() + 2, 0);
  const auto change_at = [&](std::int64_t place) -> std::int64_t& {
    return place == INT64_MAX ? change.back() : change[static_cast<std::size_t>(place)];
  };
  const auto counts = [&](std::size_t b) {
    return program.buffers[b].memory == Memory::kDevice && program.buffers[b].inside == kNoIndex &&
           (life[b].always || life[b].start < life[b].end);
  };
  for (std::size_t b = 0; b < life.size(); ++b) {
    if (!counts(b) || life[b].always) continue;
    change_at(life[b].start) += program.buffers[b].size.value;
    change_at(life[b].end) -= program.buffers[b].size.value;
  }
  std::int64_t alive = 0, most = 0, peak = 0;
  for (std::size_t place = 0; place < change.size(); ++place) {
    alive += change[place];
    if (alive > most) most = alive, peak = static_cast<std::int64_t>(place);
  }
  MemoryHolders out;
  Bytes used;
  for (std::size_t b = 0; b < life.size(); ++b) {
    if (!counts(b)) continue;
    if (!life[b].always && (life[b].start > peak || life[b].end <= peak)) continue;
    holder(out, program.buffers[b].kind) += program.buffers[b].size;
    used += program.buffers[b].size;
  }
  out.unused = program.arena - used;
  out.host = program.host_arena;
  return out;
}

std::vector<DevicesMemory> memory_of_devices(const Plan& plan) {
  struct Row {
    MemoryHolders holders;
    std::vector<DeviceId> devices;
  };
  std::vector<MemoryHolders> holders_of_class(plan.classes.size());
  for_each_class(plan,
                 [&](std::size_t c) { holders_of_class[c] = memory_holders(plan.classes[c]); });
  std::vector<Row> rows;
  for (std::size_t c = 0; c < plan.classes.size(); ++c) {
    const DeviceClass& program = plan.classes[c];
    const MemoryHolders& holders = holders_of_class[c];
    auto row =
        std::find_if(rows.begin(), rows.end(), [&](const Row& r) { return r.holders == holders; });
    if (row == rows.end()) row = rows.insert(rows.end(), Row{holders, {}});
    row->devices.insert(row->devices.end(), program.members.begin(), program.members.end());
  }
  for (Row& row : rows) std::sort(row.devices.begin(), row.devices.end());
  std::sort(rows.begin(), rows.end(),
            [](const Row& a, const Row& b) { return a.devices[0] < b.devices[0]; });
  std::vector<DevicesMemory> out;
  for (const Row& row : rows) out.push_back({device_text(row.devices), row.holders});
  return out;
}

std::string text(const std::vector<DevicesMemory>& rows, std::size_t most) {
  std::vector<const DevicesMemory*> shown;
  for (const auto& row : rows) shown.push_back(&row);
  if (shown.size() > most) {
    std::stable_sort(shown.begin(), shown.end(), [](const auto* a, const auto* b) {
      return a->holders.allocated() > b->holders.allocated();
    });
    shown.resize(most);
  }
  const bool has_host = std::any_of(shown.begin(), shown.end(),
                                    [](const auto* r) { return r->holders.host.value > 0; });
  std::string out = fmt::format("{:<16}{:>10}", "devices", "allocated");
  MemoryHolders none;
  MemoryHolders::fields(none, [&](std::string_view name, const Bytes&, auto...) {
    if (name != "host" || has_host) out += fmt::format("{:>15}", name);
  });
  for (const DevicesMemory* row : shown) {
    const std::string devices =
        row->devices.size() > 15 ? row->devices.substr(0, 12) + "…" : row->devices;
    // A format's width counts the bytes of an ellipsis.
    out += fmt::format("\n{:<{}}{:>10}", devices, devices == row->devices ? 16 : 18,
                       human_text(row->holders.allocated()));
    MemoryHolders::fields(row->holders, [&](std::string_view name, const Bytes& bytes, auto...) {
      if (name != "host" || has_host) out += fmt::format("{:>15}", human_text(bytes));
    });
  }
  if (rows.size() > shown.size())
    out += fmt::format("\n{} more rows hold less", rows.size() - shown.size());
  return out;
}

}  // namespace soapstone::simulator
