#include "core/ops/batch_norm.hpp"

#include <cmath>

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

void batch_norm_step(const StepCall& c) {
  const double epsilon = c.attributes<core::BatchNorm>().epsilon;
  const core::Shape& shape = c.shape("x");
  const double count = static_cast<double>(core::elements(shape) / shape[1]);
  const auto mean = [&](std::int64_t ch) { return c.value("sums")(0, ch) / count; };
  const auto inverse_deviation = [&](std::int64_t ch) {
    return 1 / std::sqrt(c.value("sums")(1, ch) / count - mean(ch) * mean(ch) + epsilon);
  };
  const auto normalized = [&](Index p) {
    return (c.value("x").at(p) - mean(p[1])) * inverse_deviation(p[1]);
  };

  if (c.name() == "statistics") {
    for_each_index(c.axes(), [&](Index p) {
      const double x = c.value("x").at(p);
      c.value("sums")(0, p[1]) += x;
      c.value("sums")(1, p[1]) += x * x;
    });
  } else if (c.name() == "recall") {
    for (auto ch = c.axis("c").begin; ch < c.axis("c").end; ++ch) {
      const double m = c.value("running_mean")(ch);
      c.value("sums")(0, ch) = m * count;
      c.value("sums")(1, ch) = (c.value("running_var")(ch) + m * m) * count;
    }
  } else if (c.name() == "remember") {
    const double momentum = c.attributes<core::BatchNorm>().momentum;
    for (auto ch = c.axis("c").begin; ch < c.axis("c").end; ++ch) {
      const double variance = c.value("sums")(1, ch) / count - mean(ch) * mean(ch);
      const auto average = [&](std::string_view name, double now) {
        c.written(name)(ch) = (1 - momentum) * c.value(name)(ch) + momentum * now;
      };
      average("running_mean", mean(ch));
      average("running_var", variance * count / std::max(1.0, count - 1));
    }
  } else if (c.name() == "normalize") {
    for_each_index(c.axes(), [&](Index p) {
      c.value("y").at(p) = c.value("gamma")(p[1]) * normalized(p) + c.value("beta")(p[1]);
    });
  } else if (c.name() == "backward_statistics") {
    for_each_index(c.axes(), [&](Index p) {
      c.value("grad_sums")(0, p[1]) += c.gradient("y").at(p);
      c.value("grad_sums")(1, p[1]) += c.gradient("y").at(p) * normalized(p);
    });
  } else if (c.name() == "backward_input") {
    const View& grad_sums = c.value("grad_sums");
    for_each_index(c.axes(), [&](Index p) {
      c.gradient("x").at(p) = c.value("gamma")(p[1]) * inverse_deviation(p[1]) *
                              (c.gradient("y").at(p) - grad_sums(0, p[1]) / count -
                               normalized(p) * grad_sums(1, p[1]) / count);
    });
  } else if (c.name() == "backward_weight") {
    for (auto ch = c.axis("c").begin; ch < c.axis("c").end; ++ch) {
      c.gradient("beta")(ch) = c.value("grad_sums")(0, ch);
      c.gradient("gamma")(ch) = c.value("grad_sums")(1, ch);
    }
  } else {
    c.unknown_step();
  }
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> batch_norm_examples() {
  using namespace core;
  return {{"batch_norm", BatchNorm{}, {image({3, 2, 3, 2})}},
          {"batch_norm_dense", BatchNorm{}, {dense({5, 3})}}};
}

}  // namespace soapstone::oracle
