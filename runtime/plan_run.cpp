#include "runtime/plan_run.hpp"

#include <algorithm>
#include <cstring>
#include <map>

#include "core/assert.hpp"
#include "kernels/box_copy.hpp"
#include "runtime/detail/bytes.hpp"

namespace soapstone::runtime {

using kernels::Block;

PlanRun::PlanRun(Communicator& communicator, const core::Graph& graph, const core::Plan& plan, PlanRunOptions options)
    : communicator_(communicator), graph_(graph), plan_(plan) {
  SOAPSTONE_ASSERT(static_cast<std::uint32_t>(communicator.ranks()) >= plan.device_count, "{} ranks for {} devices",
                   communicator.ranks(), plan.device_count);
  const auto own = communicator.own_ranks();
  for (std::size_t k = 0; k < own.size(); ++k) {
    ExecutorOptions each{options.seed, nullptr, options.dropped_transfers};
    if (options.weights_of != nullptr) each.weights_of = options.weights_of->executors_[k].get();
    executors_.push_back(std::make_unique<Executor>(graph, plan_, core::DeviceId(static_cast<std::uint32_t>(own[k])),
                                                    communicator.endpoint(own[k]), each));
    programs_.push_back(executors_.back().get());
  }
}

std::vector<Load> PlanRun::loads() const {
  std::vector<Load> all;
  for (const auto& e : executors_) all.insert(all.end(), e->loads().begin(), e->loads().end());
  return all;
}

void PlanRun::step(const StepSettings& settings) {
  std::size_t first = 0;
  for (const auto& e : executors_) {
    StepSettings own = settings;
    own.loaded = settings.loaded.subspan(first, e->loads().size());
    first += e->loads().size();
    e->begin_step(own);
  }
  communicator_.run(programs_);
}

double PlanRun::loss() const {
  double sum = 0;
  for (const auto& e : executors_) sum += e->loss();
  return sum;
}
double PlanRun::correct() const {
  double sum = 0;
  for (const auto& e : executors_) sum += e->correct();
  return sum;
}
std::optional<double> PlanRun::gradient_norm() const {
  for (const auto& e : executors_)
    if (const auto norm = e->gradient_norm()) return norm;
  return std::nullopt;
}

std::vector<WholeTensor> PlanRun::collect_weights() const {
  // Per part: tensor, number of states, box, then the bytes of the value and the states as they lie.
  detail::ByteWriter writer;
  for (const auto& e : executors_)
    for (const WeightPart& w : e->weights()) {
      if (!w.is_owner) continue;
      writer.put(w.tensor);
      writer.put(static_cast<std::uint32_t>(w.states.size()));
      for (const core::Interval& i : w.value.box) writer.put(i);
      const auto size = static_cast<std::size_t>((core::size_of(w.value.dtype) * w.value.size()).value);
      writer.put_bytes(w.value.data, size);
      for (const Block& s : w.states) writer.put_bytes(s.data, size);
    }
  const auto parts = communicator_.gather(writer.take());
  std::map<std::uint32_t, WholeTensor> whole;
  std::map<std::uint32_t, std::int64_t> covered;
  for (const std::string& part : parts) {
    detail::ByteReader reader(part);
    while (!reader.done()) {
      const auto tensor = reader.get<std::uint32_t>();
      const auto states = reader.get<std::uint32_t>();
      const core::TensorDesc& desc = graph_.tensors()[tensor].desc;
      core::Box box;
      for (std::size_t d = 0; d < desc.shape.size(); ++d) box.push_back(reader.get<core::Interval>());
      WholeTensor& t = whole[tensor];
      t.tensor = tensor;
      t.desc = {desc.shape, desc.dtype, {}};
      const auto whole_size = static_cast<std::size_t>(core::bytes_of(desc).value);
      t.value.resize(whole_size);
      t.states.resize(states);
      const auto size = static_cast<std::size_t>((core::size_of(desc.dtype) * core::elements(box)).value);
      const auto put = [&](std::vector<std::byte>& into) {
        into.resize(whole_size);
        // The text is not aligned as a block must be.
        std::vector<std::byte> aligned(size);
        if (size > 0) std::memcpy(aligned.data(), reader.get_bytes(size), size);
        kernels::copy_box({into.data(), desc.dtype, core::whole(desc.shape), {}},
                          {aligned.data(), desc.dtype, box, desc.order}, box);
      };
      put(t.value);
      for (auto& s : t.states) put(s);
      covered[tensor] += core::elements(box);
    }
  }
  std::vector<WholeTensor> result;
  for (auto& [tensor, t] : whole) {
    SOAPSTONE_ASSERT(covered[tensor] == core::elements(t.desc.shape), "{} of {} elements of {} are owned",
                     covered[tensor], core::elements(t.desc.shape), graph_.tensors()[tensor].name);
    result.push_back(std::move(t));
  }
  return result;
}

void PlanRun::distribute_weights(std::span<const WholeTensor> weights) {
  detail::ByteWriter writer;
  for (const WholeTensor& t : weights) {
    writer.put(t.tensor);
    writer.put(static_cast<std::uint32_t>(t.states.size()));
    writer.put_bytes(t.value.data(), t.value.size());
    for (const auto& s : t.states) writer.put_bytes(s.data(), s.size());
  }
  const std::string all = communicator_.broadcast(writer.take());
  detail::ByteReader reader(all);
  while (!reader.done()) {
    const auto tensor = reader.get<std::uint32_t>();
    const auto states = reader.get<std::uint32_t>();
    const core::TensorDesc& desc = graph_.tensors()[tensor].desc;
    const auto size = static_cast<std::size_t>(core::bytes_of(desc).value);
    std::vector<std::byte> aligned(size);
    for (std::uint32_t k = 0; k <= states; ++k) {
      if (size > 0) std::memcpy(aligned.data(), reader.get_bytes(size), size);
      const Block from{aligned.data(), desc.dtype, core::whole(desc.shape), {}};
      for (const auto& e : executors_)
        for (const WeightPart& w : e->weights()) {
          if (w.tensor != tensor) continue;
          if (k > 0 && k > w.states.size()) continue;
          const Block& to = k == 0 ? w.value : w.states[k - 1];
          kernels::copy_box(to, from, to.box);
        }
    }
  }
}

}  // namespace soapstone::runtime
