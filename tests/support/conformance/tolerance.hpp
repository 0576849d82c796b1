// How far a result may be from the reference:
//
//   |got - want| <= coefficient × eps(dtype) × growth
//
// growth = √R max |want| + max over elements of |f(x (1 ± d)) - f(x)| / d for random signs and a
// small d.
//
// The first term is what adding R terms up one after the other may lose; R is half the FLOPs per
// result that the operator declares. The second is how much one relative rounding of every input
// moves the result: m √R for a sum of R terms of magnitude m, the large numbers for a difference of
// large numbers. It is measured with the double-precision reference and not declared.
#pragma once

#include <map>
#include <span>

#include "tests/support/conformance/op_case.hpp"
#include "tests/support/conformance/sharded_run.hpp"

namespace soapstone::conformance {

// Of a kernel's step on the inputs that the reference had: a few roundings per term.
inline constexpr double kStepCoefficient = 4;
// Of a chain of steps, where the roundings of one are inputs of the next, and of sums in another
// order.
inline constexpr double kChainCoefficient = 16;

// Of what one step of one part wrote, with regard to what it reads.
std::map<core::Ref, double> growth_of_step(const OpProblem& problem, const PartCall& call);

// Of every tensor that the steps of the unsharded operator wrote, `results`, with regard to what is
// given and to what one step passes to another.
std::map<core::Ref, double> growth_of(const OpProblem& problem, const Tensors& results,
                                      core::StepUse use = core::StepUse::kTraining);

struct Comparison {
  bool passed = true;
  double margin = 0;        // largest error / tolerance
  std::size_t element = 0;  // where
};
// A tolerance of 0 wants equality. NaN never passes.
Comparison compare(std::span<const double> got, std::span<const double> want, double tolerance);

}  // namespace soapstone::conformance
