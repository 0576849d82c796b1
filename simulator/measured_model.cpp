#include "simulator/measured_model.hpp"

#include <cmath>
#include <optional>

namespace soapstone::simulator {

using namespace core;

namespace {

Nanoseconds on_line(std::int64_t x, std::int64_t x0, Nanoseconds y0, std::int64_t x1,
                    Nanoseconds y1) {
  const double slope = static_cast<double>((y1 - y0).value) / static_cast<double>(x1 - x0);
  return y0 + Nanoseconds(std::llround(slope * static_cast<double>(x - x0)));
}

Cost from_curve(const Curve& curve, std::int64_t size) {
  return {value_at(curve, size),
          curve.contains(size) ? CostSource::kMeasured : CostSource::kFitted};
}

}  // namespace

Nanoseconds value_at(const Curve& curve, std::int64_t size) {
  SOAPSTONE_ASSERT(!curve.empty(), "a curve without points at {}", size);
  const auto above = curve.lower_bound(size);
  if (above == curve.begin()) return above->second.median;
  const auto below = std::prev(above);
  if (above != curve.end())
    return on_line(size, below->first, below->second.median, above->first, above->second.median);
  if (curve.size() == 1)
    return on_line(size, 0, Nanoseconds(0), below->first, below->second.median);
  const auto before = std::prev(below);
  // Never less than what the largest measured size takes.
  return std::max(below->second.median, on_line(size, before->first, before->second.median,
                                                below->first, below->second.median));
}

Result<MeasuredModel> MeasuredModel::load(const CostDatabase& database, int busy,
                                          const CostModel& otherwise) {
  MeasuredModel model;
  model.otherwise_ = &otherwise;
  model.busy_ = busy;
  SOAPSTONE_ASSIGN(model.costs_, database.costs());
  SOAPSTONE_ASSIGN(model.curves_, database.curves());
  return model;
}

Cost MeasuredModel::compute(const LocalProblem& problem, int step, std::string_view candidate,
                            const DeviceKind& device) const {
  const auto found = costs_.find({device.name, device.threads, busy_, problem.key(),
                                  problem.definition->steps[static_cast<std::size_t>(step)].name,
                                  std::string(candidate)});
  if (found == costs_.end()) return otherwise_->compute(problem, step, candidate, device);
  return {found->second.median, CostSource::kMeasured};
}

Cost MeasuredModel::copy(Bytes read, Bytes written, const DeviceKind& device) const {
  const Bytes bytes = read + written;
  if (bytes.value == 0) return {Nanoseconds(0), CostSource::kMeasured};
  const auto found = curves_.find(CurveKey::copy(device, busy_));
  return found == curves_.end() ? otherwise_->copy(read, written, device)
                                : from_curve(found->second, bytes.value);
}

Cost MeasuredModel::update(std::int64_t elements, int state_tensors, DType dtype,
                           const DeviceKind& device) const {
  const auto found = curves_.find(CurveKey::update(device, busy_, state_tensors, dtype));
  return found == curves_.end() ? otherwise_->update(elements, state_tensors, dtype, device)
                                : from_curve(found->second, elements);
}

Cost MeasuredModel::update_rows(std::int64_t rows, std::int64_t features, int state_tensors,
                                DType dtype, const DeviceKind& device) const {
  const auto at = [&](std::int64_t width) -> std::optional<Cost> {
    const auto found =
        curves_.find(CurveKey::update_rows(device, busy_, width, state_tensors, dtype));
    if (found == curves_.end()) return std::nullopt;
    return from_curve(found->second, rows);
  };
  // Between the two nearest measured widths; beyond the widest, as many times as long.
  std::optional<Cost> below;
  std::int64_t below_width = 0;
  for (const std::int64_t width : kMeasuredRowWidths) {
    const auto cost = at(width);
    if (!cost) continue;
    if (width == features) return *cost;
    if (width > features)
      return Cost{
          below ? on_line(features, below_width, below->time, width, cost->time) : cost->time,
          CostSource::kFitted};
    below = cost;
    below_width = width;
  }
  if (below)
    return {
        Nanoseconds(std::llround(static_cast<double>(below->time.value) *
                                 static_cast<double>(features) / static_cast<double>(below_width))),
        CostSource::kFitted};
  return otherwise_->update_rows(rows, features, state_tensors, dtype, device);
}

Cost MeasuredModel::message(const Cluster& cluster, DeviceId src, DeviceId dst, Bytes size,
                            int sharing) const {
  const std::string link = link_kind(cluster, src, dst);
  for (int measured = sharing; measured >= 1; --measured) {
    const auto found = curves_.find(CurveKey::message(cluster.name(), link, measured));
    if (found == curves_.end()) continue;
    Cost cost = from_curve(found->second, size.value);
    if (measured == sharing) return cost;
    const Nanoseconds latency = found->second.begin()->second.median;
    const Nanoseconds rest = std::max(Nanoseconds(0), cost.time - latency);
    return {
        latency + Nanoseconds(std::llround(static_cast<double>(rest.value) * sharing / measured)),
        CostSource::kFitted};
  }
  return otherwise_->message(cluster, src, dst, size, sharing);
}

}  // namespace soapstone::simulator
