// How good a model is, from counts that are added up over devices, micro-batches and steps.
#pragma once

#include <span>
#include <string>

#include "core/op_definition.hpp"

namespace soapstone::core {

struct MetricValue {
  std::string name;
  MetricKind kind = MetricKind::kShare;
  double value = 0;  // NaN where nothing was counted
  double error = 0;  // the true value is at most so far away; kAreaUnderCurve only

  friend bool operator==(const MetricValue&, const MetricValue&) = default;
};

// `value` and `over`: the sums of the operands that the metric names; `value` times its scale.
//   kShare           value / over
//   kExpOfMean       exp(value / over)
//   kAreaUnderCurve  value [2, bins]: how many answers of class 0 and of class 1 have a score in
//                    each bin, ascending. The share of pairs, one of each class, in which that of
//                    class 1 stands in the higher bin; pairs in one bin count half, as equal scores
//                    do (Mann & Whitney 1947). `error`: half the share of pairs in one bin.
MetricValue metric_value(std::string name, MetricKind kind, std::span<const double> value,
                         std::span<const double> over);

// For people, with the name: "accuracy 91.23 %", "auc 0.8012", "auc 0.80 ± 0.01".
std::string text(const MetricValue& metric);

}  // namespace soapstone::core
