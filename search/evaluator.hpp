// What a strategy costs.
#pragma once

#include <optional>
#include <string>

#include "core/lower.hpp"
#include "core/strategy.hpp"
#include "search/problem.hpp"
#include "simulator/simulate.hpp"

namespace soapstone::search {

struct Evaluation {
  core::Nanoseconds step_time;
  core::Bytes excess;  // beyond the limit of the device that exceeds it most; 0: fits everywhere
};

class Evaluator {
 public:
  // The problem outlives this object.
  explicit Evaluator(const Problem& problem);

  // Nothing if the step takes longer than `give_up_above`. The strategy must be legal.
  std::optional<Evaluation> evaluate(const core::Strategy& strategy,
                                     core::Nanoseconds give_up_above = simulator::kNever);

  // The same with all that a person wants to know.
  struct Report {
    core::Nanoseconds step_time;
    core::Bytes peak_memory;  // of the device that needs most
    std::string why_not;      // the memory limit that it exceeds, as a sentence, or empty
  };
  Report report(const core::Strategy& strategy);

  // Of a device; nothing: unlimited.
  std::optional<core::Bytes> limit(core::DeviceId device) const;

 private:
  core::Plan lower(const core::Strategy& strategy);

  const Problem& problem_;
  core::Lowering lowering_;
  simulator::Simulator simulator_;
};

}  // namespace soapstone::search
