#include "core/ops/rotary_embedding.hpp"

#include <cmath>

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

void rotary_embedding_step(const StepCall& c) {
  const auto& a = c.attributes<core::RotaryEmbedding>();
  const std::int64_t features = c.shape("x")[3];
  const bool forward = c.name() == "forward";
  if (!forward && c.name() != "backward_input") c.unknown_step();
  const View& from = forward ? c.value("x") : c.gradient("y");
  const View& to = forward ? c.value("y") : c.gradient("x");
  for_each_index(c.axes().first(3), [&](Index p) {
    for (std::int64_t i = 0; i < features / 2; ++i) {
      const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(features);
      const double angle = static_cast<double>(position_in_zigzag(p[1], c.shape("x")[1], a.zigzag) +
                                               a.position_offset) *
                           std::pow(a.theta, exponent);
      const double cosine = std::cos(angle), sine = forward ? std::sin(angle) : -std::sin(angle);
      const std::int64_t first = a.interleaved ? 2 * i : i;
      const std::int64_t second = a.interleaved ? 2 * i + 1 : i + features / 2;
      const double u = from(p[0], p[1], p[2], first), v = from(p[0], p[1], p[2], second);
      to(p[0], p[1], p[2], first) = u * cosine - v * sine;
      to(p[0], p[1], p[2], second) = u * sine + v * cosine;
    }
  });
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> rotary_embedding_examples() {
  using namespace core;
  return {{"rotary_embedding", RotaryEmbedding{}, {dense({2, 3, 2, 4})}}};
}

}  // namespace soapstone::oracle
