#include "core/ops/dropout.hpp"

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/philox.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

void dropout_step(const StepCall& c) {
  const double rate = c.attributes<core::Dropout>().rate;
  const auto& zigzag = c.attributes<core::Dropout>().zigzag;
  const core::Shape& shape = c.shape("x");
  for_each_index(c.axes(), [&](Index p) {
    std::vector<std::int64_t> in_mini_batch(p.begin(), p.end());
    for (std::size_t d = 0; d < zigzag.size(); ++d)
      in_mini_batch[d] = position_in_zigzag(p[d], shape[d], zigzag[d]);
    in_mini_batch[0] += c.random.sample_offset;
    const auto element = static_cast<std::uint64_t>(row_major_position(shape, in_mini_batch));
    const bool keep = dropout_uniform(c.random.seed, c.random.step, c.random.op, element) >= rate;
    const double factor = keep ? 1 / (1 - rate) : 0;
    if (c.name() == "forward")
      c.value("y").at(p) = c.value("x").at(p) * factor;
    else if (c.name() == "backward_input")
      c.gradient("x").at(p) = c.gradient("y").at(p) * factor;
    else
      c.unknown_step();
  });
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> dropout_examples() {
  using namespace core;
  return {{"dropout", Dropout{.rate = 0.3}, {dense({3, 4})}}};
}

}  // namespace soapstone::oracle
