#include "simulator/roofline_model.hpp"

#include <algorithm>

#include "core/derive.hpp"

namespace soapstone::simulator {

using namespace core;

namespace {

constexpr Efficiency kAccelerator{0.6, 0.75, 0.9,
                                  "assumed: a mix of large and middling convolutions and matrix "
                                  "products; link: 18.3 of 20 GB/s measured between "
                                  "two NVLink 1.0 GPUs (Dell HPC, V100-SXM2 on C4130)"};
constexpr Efficiency kProcessor{
    0.5, 0.7, 0.8, "assumed: vectorised kernels, STREAM-like passes, sockets or shared memory"};

Nanoseconds at_rate(Bytes bytes, BytesPerSecond rate, double efficiency) {
  return bytes / BytesPerSecond(rate.value * efficiency);
}

}  // namespace

Efficiency default_efficiency(const DeviceKind& device) {
  return device.lanes > 1 ? kAccelerator : kProcessor;
}

Cost RooflineModel::compute(const LocalProblem& problem, int step_index, std::string_view,
                            const DeviceKind& device) const {
  const Efficiency e = efficiency(device);
  const Step& step = problem.definition->steps[static_cast<std::size_t>(step_index)];
  Nanoseconds time = at_rate(step_bytes(*problem.definition, step, problem.axes),
                             device.memory_bandwidth, e.memory);
  // A format without a published peak is taken to run at the peak of f32 divided by its size over
  // four bytes.
  const DType dtype = problem.dtype();
  auto rate = peak(device, dtype);
  if (!rate)
    if (const auto f32 = peak(device, DType::kF32))
      rate = FlopsPerSecond(f32->value * 4.0 / static_cast<double>(size_of(dtype).value));
  if (rate)
    time = std::max(time, step_flops(*problem.definition, step, problem.axes) /
                              FlopsPerSecond(rate->value * e.compute));
  return {time + device.launch_overhead, CostSource::kRoofline};
}

Cost RooflineModel::copy(Bytes read, Bytes written, const DeviceKind& device) const {
  const Bytes bytes = read + written;
  if (bytes.value == 0) return {};
  return {
      at_rate(bytes, device.memory_bandwidth, efficiency(device).memory) + device.launch_overhead,
      CostSource::kRoofline};
}

Cost RooflineModel::update(std::int64_t elements, int state_tensors, DType dtype,
                           const DeviceKind& device) const {
  const Bytes tensor = size_of(dtype) * elements;
  return copy(tensor * (2 + state_tensors), tensor * (1 + state_tensors), device);
}

Cost RooflineModel::update_rows(std::int64_t rows, std::int64_t features, int state_tensors,
                                DType dtype, const DeviceKind& device) const {
  const Bytes met = size_of(dtype) * rows * features;
  // Ids are read, and keys of eight bytes pass through a sort of two rounds.
  const Bytes keys(rows * (4 + 2 * 2 * 8));
  return copy(met * (2 + state_tensors) + keys, met * (1 + state_tensors), device);
}

Cost RooflineModel::message(const Cluster& cluster, DeviceId src, DeviceId dst, Bytes size,
                            int sharing) const {
  const double e = std::min(efficiency(cluster.kind(src)).link, efficiency(cluster.kind(dst)).link);
  return {
      cluster.path_latency(src, dst) + at_rate(size * sharing, cluster.path_bandwidth(src, dst), e),
      CostSource::kRoofline};
}

}  // namespace soapstone::simulator
