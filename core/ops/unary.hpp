// unary: y = f(x), element by element, with dx = dy f'(x).
//
//   sigmoid σ(x) = 1 / (1 + e^-x)          tanh                    silu x σ(x)
//   exp     log     sqrt                   erf                     softplus ln(1 + e^x)
//   leaky_relu x, below 0 alpha x          elu x, below 0 alpha (e^x - 1)
//   hard_sigmoid min(max(x + 3, 0), 6) / 6                         hard_swish x hard_sigmoid(x)
//   power x^exponent                       square x²               reciprocal 1 / x
//   abs |x|                                negate -x               scale alpha x
//   gelu_tanh x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2
//
// All are PyTorch's of the same name, f' at a kink too (softplus with beta = 1; gelu_tanh is
// GPT-2's gelu; scale multiplies). Outside the domain of log, sqrt or power y is not a number.
// Shapes: x, y any [n, …]. Backward reads whichever of x and y gives f' at less cost.
// FLOPs: counted 10 per element for those with an exponential or logarithm, 1 for the others.
// Sources: Elfwing et al. 2017, arXiv 1702.03118 (silu); Clevert et al. 2015, arXiv 1511.07289
// (elu); Howard et al. 2019, arXiv 1905.02244 (hard_swish); Hendrycks & Gimpel 2016, arXiv
// 1606.08415 (gelu_tanh).
#pragma once

#include <cmath>
#include <optional>

#include "core/ops/elementwise.hpp"

namespace soapstone::core {

enum class UnaryFunction : std::uint8_t {
  kSigmoid,
  kTanh,
  kSilu,
  kExp,
  kLog,
  kSqrt,
  kErf,
  kLeakyRelu,
  kElu,
  kHardSigmoid,
  kHardSwish,
  kPower,
  kAbs,
  kNegate,
  kReciprocal,
  kSquare,
  kGeluTanh,
  kSoftplus,
  kScale,
};
SOAPSTONE_ENUM_NAMES(UnaryFunction, {UnaryFunction::kSigmoid, "sigmoid"},
                     {UnaryFunction::kTanh, "tanh"}, {UnaryFunction::kSilu, "silu"},
                     {UnaryFunction::kExp, "exp"}, {UnaryFunction::kLog, "log"},
                     {UnaryFunction::kSqrt, "sqrt"}, {UnaryFunction::kErf, "erf"},
                     {UnaryFunction::kLeakyRelu, "leaky_relu"}, {UnaryFunction::kElu, "elu"},
                     {UnaryFunction::kHardSigmoid, "hard_sigmoid"},
                     {UnaryFunction::kHardSwish, "hard_swish"}, {UnaryFunction::kPower, "power"},
                     {UnaryFunction::kAbs, "abs"}, {UnaryFunction::kNegate, "negate"},
                     {UnaryFunction::kReciprocal, "reciprocal"}, {UnaryFunction::kSquare, "square"},
                     {UnaryFunction::kGeluTanh, "gelu_tanh"},
                     {UnaryFunction::kSoftplus, "softplus"}, {UnaryFunction::kScale, "scale"})

struct Unary {
  static constexpr std::string_view kName = "unary";
  UnaryFunction function = UnaryFunction::kSigmoid;
  std::optional<double> alpha{};     // leaky_relu (0.01 unless given), elu (1), scale (to be given)
  std::optional<double> exponent{};  // power (to be given)

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    const bool takes_alpha = function == UnaryFunction::kLeakyRelu ||
                             function == UnaryFunction::kElu || function == UnaryFunction::kScale;
    const bool takes_exponent = function == UnaryFunction::kPower;
    if (alpha && !takes_alpha)
      return usage_error("alpha = {}: {} has none, leaky_relu, elu and scale have", *alpha,
                         name_of(function));
    if (exponent && !takes_exponent)
      return usage_error("exponent = {}: {} has none, power has", *exponent, name_of(function));
    if (function == UnaryFunction::kScale && !alpha) return usage_error("scale wants an alpha");
    if (takes_exponent && !exponent) return usage_error("power wants an exponent");
    if (takes_exponent && !(std::isfinite(*exponent) && *exponent != 0))
      return usage_error("exponent = {}: must be finite and not 0", *exponent);
    if (takes_alpha && !std::isfinite(alpha_or_default()))
      return usage_error("alpha = {}: must be finite", *alpha);
    // The sign of y tells that of x.
    if (function != UnaryFunction::kScale && takes_alpha && alpha_or_default() < 0)
      return usage_error("alpha = {}: {} takes 0 or more", *alpha, name_of(function));
    return define_unary(inputs, derivative_from(), has_transcendental() ? 10 : 1);
  }

  double alpha_or_default() const {
    return alpha.value_or(function == UnaryFunction::kLeakyRelu ? 0.01 : 1);
  }

  // What f' is computed from.
  DerivativeFrom derivative_from() const {
    switch (function) {
      case UnaryFunction::kSigmoid:
      case UnaryFunction::kTanh:
      case UnaryFunction::kExp:
      case UnaryFunction::kSqrt:
      case UnaryFunction::kLeakyRelu:
      case UnaryFunction::kElu:
      case UnaryFunction::kHardSigmoid:
      case UnaryFunction::kReciprocal:
        return DerivativeFrom::kOutput;
      case UnaryFunction::kNegate:
      case UnaryFunction::kScale:
        return DerivativeFrom::kNeither;
      default:
        return DerivativeFrom::kInput;
    }
  }

  friend bool operator==(const Unary&, const Unary&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("function", self.function);
    visit("alpha", self.alpha, kOptional);
    visit("exponent", self.exponent, kOptional);
  }

 private:
  bool has_transcendental() const {
    switch (function) {
      case UnaryFunction::kSigmoid:
      case UnaryFunction::kTanh:
      case UnaryFunction::kSilu:
      case UnaryFunction::kExp:
      case UnaryFunction::kLog:
      case UnaryFunction::kErf:
      case UnaryFunction::kElu:
      case UnaryFunction::kPower:
      case UnaryFunction::kGeluTanh:
      case UnaryFunction::kSoftplus:
        return true;
      default:
        return false;
    }
  }
};

}  // namespace soapstone::core
