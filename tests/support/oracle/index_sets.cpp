#include "tests/support/oracle/index_sets.hpp"

#include <algorithm>

namespace soapstone::oracle {

namespace {

using core::AxisSet;
using core::Operand;
using Point = std::vector<std::int64_t>;  // one index per axis

// visit(index) for every choice of one entry per list; never if a list is empty.
template <class Visit>
void for_each_choice(const std::vector<std::vector<std::int64_t>>& lists, const Visit& visit) {
  for (const auto& l : lists)
    if (l.empty()) return;
  std::vector<std::size_t> at(lists.size(), 0);
  Point chosen(lists.size());
  while (true) {
    for (std::size_t i = 0; i < lists.size(); ++i) chosen[i] = lists[i][at[i]];
    visit(chosen);
    std::size_t i = lists.size();
    while (i > 0 && ++at[i - 1] == lists[i - 1].size()) at[--i] = 0;
    if (i == 0) return;
  }
}

// The elements of an operand that one point touches.
std::vector<Element> touched_by(const Operand& operand, const Point& point) {
  std::vector<std::vector<std::int64_t>> lists;
  for (std::size_t d = 0; d < operand.dims.size(); ++d) {
    const core::DimMap& map = operand.dims[d];
    const std::int64_t extent = operand.desc.shape[d];
    std::vector<std::int64_t> list;
    const std::int64_t first =
        map.axis < 0 ? 0 : point[static_cast<std::size_t>(map.axis)] * map.stride + map.offset;
    const std::int64_t count = map.axis < 0 ? extent : map.extent;
    for (std::int64_t i = first; i < first + count; ++i)
      if (i >= 0 && i < extent) list.push_back(i);
    lists.push_back(std::move(list));
  }
  std::vector<Element> elements;
  for_each_choice(lists, [&](const Point& index) {
    Element e = 0;
    for (std::size_t d = 0; d < index.size(); ++d) e = e * operand.desc.shape[d] + index[d];
    elements.push_back(e);
  });
  return elements;
}

bool exists_on(const Operand& operand, const std::vector<std::vector<std::int64_t>>& points) {
  for (std::size_t a = 0; a < points.size(); ++a)
    if (operand.first_part_of.has(static_cast<int>(a)) && points[a].front() != 0) return false;
  return true;
}

// Axes outside `kept` are held at one index: points that differ in them only are one point.
std::vector<std::vector<std::int64_t>> only(std::vector<std::vector<std::int64_t>> points,
                                            AxisSet kept) {
  for (std::size_t a = 0; a < points.size(); ++a)
    if (!kept.has(static_cast<int>(a))) points[a] = {0};
  return points;
}

core::Box hull(const core::Shape& shape, const std::set<Element>& elements) {
  core::Box box(shape.size(), core::Interval{});
  bool first = true;
  for (Element e : elements) {
    for (std::size_t d = shape.size(); d-- > 0;) {
      const std::int64_t i = e % shape[d];
      e /= shape[d];
      box[d] = first ? core::Interval{i, i + 1}
                     : core::Interval{std::min(box[d].begin, i), std::max(box[d].end, i + 1)};
    }
    first = false;
  }
  return box;
}

std::set<Element> elements_of(const core::Shape& shape, const core::Box& box) {
  std::vector<std::vector<std::int64_t>> lists;
  for (const auto& interval : box) {
    lists.emplace_back();
    for (std::int64_t i = interval.begin; i < interval.end; ++i) lists.back().push_back(i);
  }
  std::set<Element> out;
  for_each_choice(lists, [&](const Point& index) {
    Element e = 0;
    for (std::size_t d = 0; d < index.size(); ++d) e = e * shape[d] + index[d];
    out.insert(e);
  });
  return out;
}

// The value that a point stands for in the sums.
std::int64_t value_of(const Point& point) {
  std::uint64_t h = 7;
  for (const auto i : point) h = h * 1000003 + static_cast<std::uint64_t>(i) + 11;
  return static_cast<std::int64_t>((h >> 7) % 1000) + 1;
}

}  // namespace

std::vector<std::vector<std::int64_t>> points_of(const core::OpDefinition& definition,
                                                 const core::OpStrategy& strategy,
                                                 std::size_t index) {
  std::vector<std::vector<std::int64_t>> points(definition.axes.size());
  // Which part of every axis: devices are counted up, replicas fastest, then the last axis.
  std::vector<std::size_t> part(definition.axes.size() + 1, 0);
  for (std::size_t i = 0; i < index; ++i) {
    std::size_t a = part.size();
    while (a > 0) {
      --a;
      const auto count = a + 1 == part.size() ? strategy.replicas : strategy.degrees[a];
      if (++part[a] < static_cast<std::size_t>(count)) break;
      part[a] = 0;
    }
  }
  for (std::size_t a = 0; a < definition.axes.size(); ++a) {
    const core::Axis& axis = definition.axes[a];
    // In a ring a device has of the axis that it goes over the part that it has of the other.
    const bool goes_round = strategy.ring && static_cast<int>(a) == definition.rounds.over;
    const std::size_t cut = goes_round ? static_cast<std::size_t>(definition.rounds.along) : a;
    // Deal granules out like cards to know how many each part has; then parts lie one after the
    // other.
    std::vector<std::int64_t> granules(static_cast<std::size_t>(strategy.degrees[cut]), 0);
    for (std::int64_t g = 0; g * axis.granularity < axis.extent; ++g)
      ++granules[static_cast<std::size_t>(g) % granules.size()];
    std::int64_t granule = 0;
    for (std::size_t p = 0; p <= part[cut]; ++p)
      for (std::int64_t k = 0; k < granules[p]; ++k, ++granule)
        for (std::int64_t i = granule * axis.granularity;
             p == part[cut] && i < std::min(axis.extent, (granule + 1) * axis.granularity); ++i)
          points[a].push_back(i);
  }
  return points;
}

std::set<Element> touched(const core::OpDefinition& definition, int operand_index,
                          const core::OpStrategy& strategy, std::size_t index) {
  const Operand& operand = definition.operands[static_cast<std::size_t>(operand_index)];
  const auto points = points_of(definition, strategy, index);
  std::set<Element> out;
  if (!exists_on(operand, points)) return out;
  for_each_choice(only(points, operand.followed()), [&](const Point& p) {
    for (const Element e : touched_by(operand, p)) out.insert(e);
  });
  return out;
}

Contributions contributions(const core::OpDefinition& definition, int operand_index,
                            const core::OpStrategy& strategy, AxisSet reduces) {
  const Operand& operand = definition.operands[static_cast<std::size_t>(operand_index)];
  std::map<Element, std::map<std::set<Point>, Devices>> by_points;
  for (std::size_t i = 0; i < strategy.devices.size(); ++i) {
    const auto points = points_of(definition, strategy, i);
    if (!exists_on(operand, points)) continue;
    std::map<Element, std::set<Point>> here;
    for_each_choice(only(points, operand.followed() | reduces), [&](const Point& p) {
      for (const Element e : touched_by(operand, p)) here[e].insert(p);
    });
    for (auto& [e, set] : here) by_points[e][std::move(set)].insert(strategy.devices[i]);
  }
  Contributions out;
  for (auto& [e, groups] : by_points)
    for (auto& [set, devices] : groups) out[e].insert(devices);
  return out;
}

Contributions contributions_of(const core::Layout& layout, const core::Shape& shape) {
  Contributions out;
  const auto replicas = static_cast<std::size_t>(layout.replicas);
  for (std::size_t unit = 0; unit < layout.size() / replicas; ++unit) {
    Devices devices;
    for (std::size_t r = 0; r < replicas; ++r) devices.insert(layout.devices[unit * replicas + r]);
    for (const Element e : elements_of(shape, layout.box(unit * replicas))) out[e].insert(devices);
  }
  return out;
}

core::Status check_read(const core::OpDefinition& definition, int operand_index,
                        const core::OpStrategy& strategy) {
  const Operand& operand = definition.operands[static_cast<std::size_t>(operand_index)];
  const core::Layout layout =
      core::operand_layout(definition, operand_index, strategy, core::Access::kRead);
  if (layout.partials != 1 || layout.overlap != core::Overlap::kCopy)
    return core::fail("{}: what is read is a value, not a sum: {}", operand.name,
                      core::print(layout));
  std::size_t holders = 0;
  for (std::size_t i = 0; i < strategy.devices.size(); ++i) {
    const bool exists = exists_on(operand, points_of(definition, strategy, i));
    const std::int64_t shard = layout.shard_on(strategy.devices[i]);
    if ((shard >= 0) != exists)
      return core::fail("{}: device {} has it: {}, layout {}", operand.name,
                        strategy.devices[i].value, exists, core::print(layout));
    if (!exists) continue;
    ++holders;
    const core::Box box = layout.box(static_cast<std::size_t>(shard));
    const core::Box wanted =
        hull(operand.desc.shape, touched(definition, operand_index, strategy, i));
    if (box != wanted ||
        core::operand_box(operand, core::axis_intervals(definition, strategy, i)) != wanted)
      return core::fail("{}: device {} touches {}, the layout says {}", operand.name,
                        strategy.devices[i].value, core::print(wanted), core::print(box));
  }
  if (holders != layout.size())
    return core::fail("{}: {} devices hold it, the layout has {}", operand.name, holders,
                      layout.size());
  return {};
}

core::Status check_written(const core::OpDefinition& definition, int operand_index,
                           const core::OpStrategy& strategy, AxisSet reduces) {
  const Operand& operand = definition.operands[static_cast<std::size_t>(operand_index)];
  const core::Shape& shape = operand.desc.shape;
  const core::Layout layout =
      core::operand_layout(definition, operand_index, strategy, core::Access::kWritten, reduces);
  // Every point's number, summed over the points that touch an element: on one device, and per
  // device.
  const AxisSet summed = operand.followed() | reduces;
  std::map<Element, std::int64_t> whole, total;
  std::vector<std::vector<std::int64_t>> everything;
  for (const auto& axis : definition.axes) {
    everything.emplace_back();
    for (std::int64_t i = 0; i < axis.extent; ++i) everything.back().push_back(i);
  }
  for_each_choice(only(everything, summed), [&](const Point& p) {
    for (const Element e : touched_by(operand, p)) whole[e] += value_of(p);
  });
  std::vector<std::map<Element, std::int64_t>> parts(layout.size());
  for (std::size_t i = 0; i < strategy.devices.size(); ++i) {
    const auto points = points_of(definition, strategy, i);
    if (!exists_on(operand, points)) continue;
    const std::int64_t shard = layout.shard_on(strategy.devices[i]);
    if (shard < 0)
      return core::fail("{}: device {} writes it and is not in {}", operand.name,
                        strategy.devices[i].value, core::print(layout));
    const auto box = elements_of(shape, layout.box(static_cast<std::size_t>(shard)));
    auto& part = parts[static_cast<std::size_t>(shard)];
    for (const Element e : box) part[e] = 0;
    std::string outside;
    for_each_choice(only(points, summed), [&](const Point& p) {
      for (const Element e : touched_by(operand, p)) {
        if (!box.contains(e))
          outside = fmt::format("{}: device {} writes element {} outside its box", operand.name,
                                strategy.devices[i].value, e);
        part[e] += value_of(p);
      }
    });
    if (!outside.empty()) return core::fail("{}", outside);
  }
  const auto replicas = static_cast<std::size_t>(layout.replicas);
  for (std::size_t s = 0; s < parts.size(); ++s) {
    if (parts[s] != parts[s - s % replicas])
      return core::fail("{}: replicas {} and {} differ: {}", operand.name, s, s - s % replicas,
                        core::print(layout));
    if (s % replicas == 0)
      for (const auto& [e, v] : parts[s]) total[e] += v;
  }
  for (const auto& [e, v] : whole)
    if (!total.contains(e) || total[e] != v)
      return core::fail("{}: element {} sums to {} instead of {}: {}", operand.name, e,
                        total.contains(e) ? total[e] : -1, v, core::print(layout));
  // Who must be summed. A box may hold more than is touched (strides), which adds zeros.
  const Contributions wanted = contributions(definition, operand_index, strategy, reduces);
  const Contributions found = contributions_of(layout, shape);
  for (const auto& [e, groups] : wanted) {
    const auto at = found.find(e);
    if (at == found.end() ||
        !std::includes(at->second.begin(), at->second.end(), groups.begin(), groups.end()))
      return core::fail("{}: element {} has other contributions than {}", operand.name, e,
                        core::print(layout));
    if (at->second.size() > 1 && layout.partials == 1 && layout.overlap != core::Overlap::kSum)
      return core::fail("{}: element {} has {} contributions but the layout is no sum: {}",
                        operand.name, e, groups.size(), core::print(layout));
    for (const Devices& extra : at->second) {
      if (groups.contains(extra)) continue;
      for (const core::DeviceId d : extra)
        if (parts[static_cast<std::size_t>(layout.shard_on(d))].at(e) != 0)
          return core::fail("{}: element {} is written by others than it should be", operand.name,
                            e);
    }
  }
  return {};
}

core::Status check_all(const core::OpDefinition& definition, const core::OpStrategy& strategy) {
  const AxisSet split = core::split_axes(definition, strategy);
  for (const core::Step& step : definition.steps) {
    if (!core::step_is_used(step, split)) continue;
    for (const core::Ref& r : step.reads)
      SOAPSTONE_TRY(check_read(definition, r.operand, strategy));
    // After the last round all sums over what went round are complete.
    AxisSet reduces = step.reduces;
    if (core::is_in_rounds(definition, strategy, step))
      for (const int axis : {definition.rounds.along, definition.rounds.over})
        reduces.bits &= ~(1u << axis);
    for (const core::Ref& w : step.writes)
      SOAPSTONE_TRY(check_written(definition, w.operand, strategy, reduces));
  }
  return {};
}

}  // namespace soapstone::oracle
