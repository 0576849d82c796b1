#include "runtime/gradient_recorder.hpp"

#include <algorithm>

namespace soapstone::runtime {

GradientRecorder::GradientRecorder(PlanRun& run) : run_(run) {
  for (const auto& e : run.executors())
    e->observe_updates([this, executor = e.get()](std::uint32_t tensor,
                                                  const kernels::Block& weight,
                                                  const kernels::Block& gradient) {
      const auto parts = executor->weights();
      const auto own = std::find_if(parts.begin(), parts.end(), [&](const WeightPart& w) {
        return w.tensor == tensor && w.value.data == weight.data;
      });
      if (own == parts.end() || !own->is_owner) return;
      const auto size =
          static_cast<std::size_t>((core::size_of(gradient.dtype) * gradient.size()).value);
      const auto* bytes = static_cast<const std::byte*>(gradient.data);
      copies_.push_back({{bytes, bytes + size}, {tensor, gradient, {}}});
      copies_.back().part.value.data = copies_.back().bytes.data();
    });
}

GradientRecorder::~GradientRecorder() {
  for (const auto& e : run_.executors()) e->observe_updates({});
}

std::vector<WholeTensor> GradientRecorder::gather(Communicator& communicator,
                                                  const core::Graph& graph) const {
  std::vector<TensorPart> parts;
  for (const Copy& c : copies_) parts.push_back(c.part);
  return gather_parts(communicator, graph, parts);
}

}  // namespace soapstone::runtime
