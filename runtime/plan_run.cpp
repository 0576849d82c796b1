#include "runtime/plan_run.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "core/assert.hpp"
#include "kernels/box_copy.hpp"
#include "runtime/detail/bytes.hpp"

namespace soapstone::runtime {

using kernels::Block;

PlanRun::PlanRun(Communicator& communicator, const core::Graph& graph, const core::Plan& plan,
                 PlanRunOptions options)
    : communicator_(communicator), graph_(graph), plan_(plan) {
  SOAPSTONE_ASSERT(static_cast<std::uint32_t>(communicator.ranks()) >= plan.device_count,
                   "{} ranks for {} devices", communicator.ranks(), plan.device_count);
  const auto own = communicator.own_ranks();
  for (std::size_t k = 0; k < own.size(); ++k) {
    const auto device = static_cast<std::size_t>(own[k]);
    ExecutorOptions each{
        options.seed, nullptr, options.dropped_transfers, communicator.ranks(),
        device < options.pace.size() ? options.pace[device] : std::vector<core::Nanoseconds>{}};
    if (options.weights_of != nullptr) each.weights_of = options.weights_of->executors_[k].get();
    executors_.push_back(
        std::make_unique<Executor>(graph, plan_, core::DeviceId(static_cast<std::uint32_t>(own[k])),
                                   communicator.endpoint(own[k]), each));
    programs_.push_back(executors_.back().get());
  }
}

std::vector<Load> PlanRun::loads() const {
  std::vector<Load> all;
  for (const auto& e : executors_) all.insert(all.end(), e->loads().begin(), e->loads().end());
  return all;
}

void PlanRun::step(const StepSettings& settings) { run(settings, Executor::Purpose::kStep); }

void PlanRun::run(const StepSettings& settings, Executor::Purpose purpose) {
  std::size_t first = 0;
  for (const auto& e : executors_) {
    StepSettings own = settings;
    own.loaded = settings.loaded.subspan(first, e->loads().size());
    first += e->loads().size();
    e->begin_step(own, purpose);
  }
  communicator_.run(programs_);
}

double PlanRun::loss() const {
  double sum = 0;
  for (const auto& e : executors_) sum += e->loss();
  return sum;
}
void PlanRun::add_reported(core::TensorId tensor, std::span<double> sums) const {
  for (const auto& e : executors_) e->add_reported(tensor, sums);
}
std::optional<double> PlanRun::gradient_norm() const {
  for (const auto& e : executors_)
    if (const auto norm = e->gradient_norm()) return norm;
  return std::nullopt;
}

std::vector<NonFinite> PlanRun::find_non_finite(const StepSettings& settings) {
  run(settings, Executor::Purpose::kSearch);
  std::vector<NonFinite> own;
  const auto ranks = communicator_.own_ranks();
  for (std::size_t k = 0; k < executors_.size(); ++k) {
    const NonFiniteTrail& trail = executors_[k]->non_finite();
    for (const auto& found : {trail.first, trail.first_nan}) {
      if (!found) continue;
      own.push_back(*found);
      own.back().rank = ranks[k];
    }
  }
  std::vector<NonFinite> all;
  for (const std::string& part : communicator_.gather(to_bytes(own)))
    for (NonFinite& f : non_finite_from_bytes(part)) all.push_back(std::move(f));
  std::stable_sort(all.begin(), all.end(), [](const NonFinite& a, const NonFinite& b) {
    return a.order != b.order ? a.order < b.order : a.rank < b.rank;
  });
  NonFiniteTrail whole;
  for (const NonFinite& f : all) whole.add(f);
  std::vector<NonFinite> out;
  if (whole.first) out.push_back(*whole.first);
  if (whole.first_nan && !std::isnan(whole.first->value)) out.push_back(*whole.first_nan);
  return out;
}

std::vector<WholeTensor> PlanRun::collect_weights() const {
  std::vector<TensorPart> parts;
  for (const auto& e : executors_)
    for (const WeightPart& w : e->weights())
      if (w.is_owner) parts.push_back({w.tensor, w.value, w.states});
  return gather_parts(communicator_, graph_, parts);
}

std::vector<WholeTensor> gather_parts(Communicator& communicator, const core::Graph& graph,
                                      std::span<const TensorPart> parts) {
  // Per part: tensor, number of states, box, then the bytes of the value and the states as they
  // lie.
  detail::ByteWriter writer;
  for (const TensorPart& p : parts) {
    writer.put(p.tensor);
    writer.put(static_cast<std::uint32_t>(p.states.size()));
    for (const core::Interval& i : p.value.box) writer.put(i);
    const auto size =
        static_cast<std::size_t>((core::size_of(p.value.dtype) * p.value.size()).value);
    writer.put_bytes(p.value.data, size);
    for (const Block& s : p.states) writer.put_bytes(s.data, size);
  }
  const auto texts = communicator.gather(writer.take());
  std::map<std::uint32_t, WholeTensor> whole;
  std::map<std::uint32_t, std::int64_t> covered;
  std::vector<std::byte> aligned;  // a text is not aligned as a block must be
  for (const std::string& text : texts) {
    detail::ByteReader reader(text);
    while (!reader.done()) {
      const auto tensor = reader.get<std::uint32_t>();
      const auto states = reader.get<std::uint32_t>();
      const core::TensorDesc& desc = graph.tensors()[tensor].desc;
      core::Box box;
      for (std::size_t d = 0; d < desc.shape.size(); ++d)
        box.push_back(reader.get<core::Interval>());
      WholeTensor& t = whole[tensor];
      t.tensor = tensor;
      t.desc = {desc.shape, desc.dtype, {}};
      t.states.resize(states);
      const auto size =
          static_cast<std::size_t>((core::size_of(desc.dtype) * core::elements(box)).value);
      aligned.resize(size);
      for (std::uint32_t k = 0; k <= states; ++k) {
        std::vector<std::byte>& into = k == 0 ? t.value : t.states[k - 1];
        into.resize(static_cast<std::size_t>(core::bytes_of(desc).value));
        if (size > 0) std::memcpy(aligned.data(), reader.get_bytes(size), size);
        kernels::copy_box({into.data(), desc.dtype, core::whole(desc.shape), {}},
                          {aligned.data(), desc.dtype, box, desc.order}, box);
      }
      covered[tensor] += core::elements(box);
    }
  }
  std::vector<WholeTensor> result;
  for (auto& [tensor, t] : whole) {
    SOAPSTONE_ASSERT(covered[tensor] == core::elements(t.desc.shape),
                     "{} of {} elements of {} were given", covered[tensor],
                     core::elements(t.desc.shape), graph.tensors()[tensor].name);
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
