#include "tests/support/conformance/tolerance.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "core/assert.hpp"
#include "core/reflect.hpp"

namespace soapstone::conformance {

namespace {

constexpr double kMove = 0x1p-24;
constexpr int kDraws = 2;

// 1 ± amount, the same for the same arguments.
double nudge(int draw, core::Ref ref, std::size_t element, double amount) {
  core::Hasher h;
  h.word(static_cast<std::uint64_t>(draw));
  core::append_hash(h, ref);
  h.word(element);
  return 1 + (h.finish() >> 63 ? amount : -amount);
}

// A rounding of this operand in units of one in `unit`. Where the operand is the coarser one it is
// exact.
double scale_of(const OpProblem& problem, core::Ref ref, core::DType unit) {
  // A small move breaks ties, and then the result is another one.
  if (problem.values == Values::kTied) return 0;
  if (problem.operand(ref).desc.dtype == core::DType::kI32) return 0;
  // Products may round a weight to bf16.
  if (problem.dtype == core::DType::kBF16) return 1;
  return std::min(1.0, epsilon_of(problem.operand(ref).desc.dtype) / epsilon_of(unit));
}

void include_difference(double& spread, std::span<const double> there,
                        std::span<const double> here) {
  for (std::size_t i = 0; i < here.size(); ++i)
    spread = std::max(spread, std::abs(there[i] - here[i]) / kMove);
}

// √R max |values|.
double rounding_of_sum(const core::Step& step, std::span<const core::Interval> axes,
                       std::span<const double> values) {
  double largest = 0;
  for (const double v : values) largest = std::max(largest, std::abs(v));
  const double results = static_cast<double>(std::max<std::size_t>(1, values.size()));
  return std::sqrt(std::max(1.0, core::step_flops(step, axes).value / (2 * results))) * largest;
}

}  // namespace

std::map<core::Ref, double> growth_of_step(const OpProblem& problem, const PartCall& call) {
  const core::Step& step = problem.definition.steps[static_cast<std::size_t>(call.step)];
  const auto writes = call.operands.subspan(step.reads.size());
  std::vector<double> spread(writes.size(), 0);
  const core::DType unit = problem.operand(step.writes[0]).desc.dtype;
  for (int draw = 0; draw < kDraws; ++draw) {
    std::vector<std::vector<double>> moved;
    std::vector<reference::View> views(call.operands.begin(), call.operands.end());
    for (const auto& view : views)
      moved.emplace_back(view.data, view.data + core::elements(view.box));
    for (std::size_t k = 0; k < views.size(); ++k) {
      views[k].data = moved[k].data();
      if (k >= step.reads.size()) continue;
      const double amount = kMove * scale_of(problem, step.reads[k], unit);
      for (std::size_t i = 0; i < moved[k].size(); ++i)
        moved[k][i] *= nudge(draw, step.reads[k], i, amount);
    }
    run_reference({call.problem, call.step, views, call.random});
    for (std::size_t k = 0; k < writes.size(); ++k)
      include_difference(spread[k], moved[step.reads.size() + k],
                         {writes[k].data, static_cast<std::size_t>(core::elements(writes[k].box))});
  }
  std::map<core::Ref, double> growth;
  for (std::size_t k = 0; k < writes.size(); ++k) {
    const std::span<const double> values(writes[k].data,
                                         static_cast<std::size_t>(core::elements(writes[k].box)));
    growth[step.writes[k]] = spread[k] + rounding_of_sum(step, call.problem.axes, values);
  }
  return growth;
}

std::map<core::Ref, double> growth_of(const OpProblem& problem, const Tensors& results,
                                      core::StepUse use) {
  std::map<core::Ref, double> growth;
  for (int draw = 0; draw < kDraws; ++draw) {
    const auto move = [&](core::Ref ref, std::span<double> values) {
      const double amount = kMove * scale_of(problem, ref, problem.dtype);
      for (std::size_t i = 0; i < values.size(); ++i) values[i] *= nudge(draw, ref, i, amount);
    };
    OpProblem there = problem;
    for (auto& [ref, values] : there.given) move(ref, values);
    const auto run = [&](const PartCall& call) {
      run_reference(call);
      const core::Step& step = problem.definition.steps[static_cast<std::size_t>(call.step)];
      for (std::size_t k = 0; k < step.writes.size(); ++k) {
        const auto& view = call.operands[step.reads.size() + k];
        move(step.writes[k], {view.data, static_cast<std::size_t>(core::elements(view.box))});
      }
    };
    const Tensors moved = run_op(there, unsharded(problem.definition), run, {.run = use});
    for (const auto& [ref, values] : results)
      include_difference(growth[ref], moved.at(ref), values);
  }
  const auto axes = core::axis_intervals(problem.definition, unsharded(problem.definition), 0);
  for (const core::Step& step : problem.definition.steps) {
    if (!core::step_is_used(step, {}, use)) continue;
    for (const core::Ref& ref : step.writes)
      if (const auto values = results.find(ref); values != results.end())
        growth[ref] += rounding_of_sum(step, axes, values->second);
  }
  return growth;
}

Comparison compare(std::span<const double> got, std::span<const double> want, double tolerance) {
  SOAPSTONE_ASSERT(got.size() == want.size(), "{} values against {}", got.size(), want.size());
  Comparison c;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double error = std::abs(got[i] - want[i]);
    if (error == 0) continue;
    double margin = error / tolerance;  // infinite where equality is wanted
    if (std::isnan(margin)) margin = INFINITY;
    if (margin <= c.margin) continue;
    c.margin = margin;
    c.element = i;
    c.passed = c.passed && margin <= 1;
  }
  return c;
}

}  // namespace soapstone::conformance
