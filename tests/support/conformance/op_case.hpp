// One line of an operator's table of shapes, and the numbers it is run with.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <map>
#include <string>
#include <vector>

#include "core/derive.hpp"
#include "core/op.hpp"
#include "tests/support/reference/reference.hpp"

namespace soapstone::conformance {

enum class Values {
  kDistinct,  // of magnitude 0.1 to 1
  kTied,      // a few distinct ones only, so that maxima are met more than once
};

struct OpCase {
  std::string name;  // a test's name: letters, digits and underscores
  core::Op op;
  std::vector<core::TensorDesc> inputs;      // f32 stands for the dtype under test
  core::Op op_in_f64 = {}, op_in_bf16 = {};  // where the dtype is an attribute
  Values values = Values::kDistinct;
  double offset = 0;  // added to the inputs
  // Longer than the blocks that kernels work in: the slow reference runs few splits of it.
  bool large = false;
  std::int64_t classes = 1;  // i32 inputs are in [0, classes)
  std::int64_t third = 0;    // what every third i32 input is instead; 0: in [0, classes) as well
};
void PrintTo(const OpCase& c, std::ostream* out);

// Row-major f32, i32, and channels-last f32.
core::TensorDesc floats(core::Shape shape);
core::TensorDesc integers(core::Shape shape);
core::TensorDesc image(core::Shape shape);

// Tensors whole and row-major, by operand.
using Tensors = std::map<core::Ref, std::vector<double>>;

// An operator on inputs, weights and gradients of outputs that are given.
struct OpProblem {
  core::Op op;
  core::OpDefinition definition;
  core::DType dtype = core::DType::kF32;
  Values values = Values::kDistinct;
  Tensors given;
  reference::RandomKey random;

  std::string name_of(core::Ref ref) const;  // "weight" or "gradient of weight"
  const core::Operand& operand(core::Ref ref) const { return definition.operands[ref.operand]; }
};

// What a candidate remembers between its own steps in a form of its own: not compared.
bool is_private(const core::Operand& operand);

// What is given: inputs, weights, and the gradients that steps read but none writes.
std::vector<core::Ref> given_refs(const core::OpDefinition& definition);

// Pseudo-random values that every machine agrees on and that are exact in their dtype.
OpProblem make_problem(const OpCase& c, core::DType dtype);

// The nearest value that the dtype holds.
double rounded_to(core::DType dtype, double value);
double epsilon_of(core::DType dtype);

// For tests in mental arithmetic: runs the reference of the unsharded operator in f64 on tensors
// given by name, "grad y" for a gradient, and returns what its steps write, by name.
std::map<std::string, std::vector<double>> evaluate(
    const core::Op& op, std::vector<core::TensorDesc> inputs,
    const std::map<std::string, std::vector<double>>& given,
    const reference::RandomKey& random = {});
// Likewise the forward pass of an evaluation.
std::map<std::string, std::vector<double>> evaluate_without_training(
    const core::Op& op, std::vector<core::TensorDesc> inputs,
    const std::map<std::string, std::vector<double>>& given);

}  // namespace soapstone::conformance
