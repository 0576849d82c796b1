#include "core/ops/group_norm.hpp"

#include <cmath>

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

void group_norm_step(const StepCall& c) {
  const auto& a = c.attributes<core::GroupNorm>();
  const core::Shape& shape = c.shape("x");
  const std::int64_t together = shape[1] / a.groups;  // channels of a group
  double count = static_cast<double>(together);
  for (std::size_t d = 2; d < shape.size(); ++d) count *= static_cast<double>(shape[d]);
  const auto group = [&](Index p) { return p[1] / together; };
  const auto mean = [&](Index p) { return c.value("sums")(p[0], group(p), 0) / count; };
  const auto inverse_deviation = [&](Index p) {
    const double mean_of_squares = c.value("sums")(p[0], group(p), 1) / count;
    return 1 / std::sqrt(mean_of_squares - mean(p) * mean(p) + a.epsilon);
  };
  const auto normalized = [&](Index p) {
    return (c.value("x").at(p) - mean(p)) * inverse_deviation(p);
  };
  const auto scaled = [&](Index p) { return c.value("gamma")(p[1]) * c.gradient("y").at(p); };

  // The elements of this part: its groups' channels stand for the axis of groups.
  std::vector<core::Interval> part(c.axes().begin(), c.axes().end());
  part[1] = {part[1].begin * together, part[1].end * together};
  for_each_index(part, [&](Index p) {
    if (c.name() == "statistics") {
      const double x = c.value("x").at(p);
      c.value("sums")(p[0], group(p), 0) += x;
      c.value("sums")(p[0], group(p), 1) += x * x;
    } else if (c.name() == "normalize") {
      c.value("y").at(p) = c.value("gamma")(p[1]) * normalized(p) + c.value("beta")(p[1]);
    } else if (c.name() == "backward_statistics") {
      c.value("grad_sums")(p[0], group(p), 0) += scaled(p);
      c.value("grad_sums")(p[0], group(p), 1) += scaled(p) * normalized(p);
    } else if (c.name() == "backward_input") {
      const View& grad_sums = c.value("grad_sums");
      c.gradient("x").at(p) =
          inverse_deviation(p) * (scaled(p) - grad_sums(p[0], group(p), 0) / count -
                                  normalized(p) * grad_sums(p[0], group(p), 1) / count);
    } else if (c.name() == "backward_weight") {
      c.gradient("beta")(p[1]) += c.gradient("y").at(p);
      c.gradient("gamma")(p[1]) += c.gradient("y").at(p) * normalized(p);
    } else {
      c.unknown_step();
    }
  });
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> group_norm_examples() {
  using namespace core;
  return {{"group_norm", GroupNorm{.groups = 2}, {image({2, 4, 3, 2})}}};
}

}  // namespace soapstone::oracle
