// unary: y = f(x), dx = dy f'(x); see core/ops/unary.hpp.
//
// Every element alone; x, y, dy, dx in any order. Overwrites y and dx. Forward moves 2 words per
// element, backward 3 (2 where f' is a constant).
#include <cmath>
#include <limits>
#include <type_traits>

#include "core/ops/unary.hpp"
#include "kernels/detail/block_access.hpp"
#include "kernels/detail/nest.hpp"
#include "kernels/detail/runs.hpp"
#include "kernels/detail/simd.hpp"
#include "kernels/detail/step_table.hpp"
#include "kernels/detail/vector_math.hpp"

namespace soapstone::kernels {
namespace {

using namespace detail;

// Every function: value(x) = f(x) and slope = f'(x), from x or from y as Unary::derivative_from
// says (the parameter's name here).
template <class T>
struct Sigmoid {
  T value(T x) const { return logistic(x).value; }
  T slope(T y) const { return y * (T(1) - y); }
};
template <class T>
struct Tanh {
  T value(T x) const { return hyperbolic_tangent(x); }
  T slope(T y) const { return T(1) - y * y; }
};
template <class T>
struct Silu {
  T value(T x) const { return x * logistic(x).value; }
  T slope(T x) const {
    const Logistic<T> s = logistic(x);
    return s.value + x * s.value * s.complement;
  }
};
template <class T>
struct Exp {
  T value(T x) const { return exponential_to_infinity(x); }
  T slope(T y) const { return y; }
};
template <class T>
struct Log {
  T value(T x) const { return logarithm(x); }
  T slope(T x) const { return T(1) / x; }
};
template <class T>
struct Sqrt {
  T value(T x) const { return square_root(x); }
  T slope(T y) const { return T(0.5) / y; }
};
template <class T>
struct Erf {
  T value(T x) const { return error_function(x); }
  T slope(T x) const { return T(1.1283791670955126) * exponential(-x * x); }  // 2 / √π
};
template <class T>
struct LeakyRelu {
  explicit LeakyRelu(const core::Unary& unary) : alpha(static_cast<T>(unary.alpha_or_default())) {}
  T alpha;
  T value(T x) const { return x * (x > T(0) ? T(1) : alpha); }
  T slope(T y) const { return y > T(0) ? T(1) : alpha; }
};
template <class T>
struct Elu {
  explicit Elu(const core::Unary& unary) : alpha(static_cast<T>(unary.alpha_or_default())) {}
  T alpha;
  T value(T x) const {
    const T below = alpha * exponential_minus_one(x < T(0) ? x : T(0));
    return x < T(0) ? below : x;
  }
  T slope(T y) const { return y > T(0) ? T(1) : y + alpha; }
};
template <class T>
struct HardSigmoid {
  T value(T x) const {
    const T above = x + T(3) > T(0) ? x + T(3) : T(0);
    return (above < T(6) ? above : T(6)) / T(6);
  }
  T slope(T y) const { return y > T(0) && y < T(1) ? T(1) / T(6) : T(0); }
};
template <class T>
struct HardSwish {
  T value(T x) const { return x * HardSigmoid<T>().value(x); }
  T slope(T x) const {
    const T middle = x / T(3) + T(0.5), below = x > T(-3) ? middle : T(0);
    return x < T(3) ? below : T(1);
  }
};
template <class T>
struct Abs {
  T value(T x) const { return x < T(0) ? -x : x; }
  T slope(T x) const { return x > T(0) ? T(1) : x < T(0) ? T(-1) : T(0); }
};
template <class T>
struct Negate {
  T value(T x) const { return -x; }
  T slope(T) const { return T(-1); }
};
template <class T>
struct Reciprocal {
  T value(T x) const { return T(1) / x; }
  T slope(T y) const { return -y * y; }
};
template <class T>
struct Square {
  T value(T x) const { return x * x; }
  T slope(T x) const { return T(2) * x; }
};
// (1 + tanh u) / 2 = σ(2u), u = √(2/π) (x + 0.044715 x³).
template <class T>
struct GeluTanh {
  static constexpr T kRate = T(1.5957691216057308), kCubic = T(0.044715);  // 2 √(2/π)
  static Logistic<T> weight(T x) { return logistic(kRate * (x + kCubic * x * x * x)); }
  T value(T x) const { return x * weight(x).value; }
  T slope(T x) const {
    const Logistic<T> w = weight(x);
    return w.value + x * w.value * w.complement * (kRate + T(3) * kRate * kCubic * x * x);
  }
};
// max(x, 0) + ln(1 + e^-|x|) does not overflow.
template <class T>
struct Softplus {
  T value(T x) const {
    return (x > T(0) ? x : T(0)) + logarithm_of_one_plus(exponential(-std::abs(x)));
  }
  T slope(T x) const { return logistic(x).value; }
};
template <class T>
struct Scale {
  explicit Scale(const core::Unary& unary) : alpha(static_cast<T>(unary.alpha_or_default())) {}
  T alpha;
  T value(T x) const { return alpha * x; }
  T slope(T) const { return alpha; }
};

// x^exponent: of float by e^(exponent ln |x|) in double, where the product loses nothing that float
// would show; of a negative x only where the exponent is whole.
template <class T>
class PowerOf;
template <>
class PowerOf<float> {
 public:
  explicit PowerOf(double exponent) : exponent_(exponent) {
    if (exponent != std::trunc(exponent))
      negative_ = std::numeric_limits<double>::quiet_NaN();
    else if (std::fmod(exponent, 2) != 0)
      negative_ = -1;
    if (exponent > 0)
      zero_ = 0;
    else if (exponent < 0)
      zero_ = std::numeric_limits<double>::infinity();
  }
  float operator()(float x) const {
    constexpr double kSmall = 1e-300;  // so that 0 has a logarithm; no other float feels it
    const double size = std::abs(static_cast<double>(x)) + kSmall;
    const double factor = x < 0.0f ? negative_ : x == 0.0f ? zero_ : 1;
    return static_cast<float>(factor * exponential(exponent_ * logarithm(size)));
  }

 private:
  double exponent_;
  double negative_ = 1, zero_ = 1;  // what the power of |x| is multiplied by where x is such
};
template <>
class PowerOf<double> {
 public:
  explicit PowerOf(double exponent) : exponent_(exponent) {}
  double operator()(double x) const { return std::pow(x, exponent_); }

 private:
  double exponent_;
};
template <class T>
struct Power {
  explicit Power(const core::Unary& unary)
      : power(*unary.exponent),
        derivative(*unary.exponent - 1),
        exponent(static_cast<T>(*unary.exponent)) {}
  PowerOf<T> power, derivative;
  T exponent;
  T value(T x) const { return power(x); }
  T slope(T x) const { return exponent * derivative(x); }
};

// The loops of a function over elements that lie side by side. Only they are compiled once per
// function, not what walks the blocks.
template <class T>
struct Loops {
  void (*values)(const core::Unary& unary, const T* x, std::int64_t count, T* y);
  // `source`: x or y, whichever the slope is computed from.
  void (*gradients)(const core::Unary& unary, const T* source, const T* dy, std::int64_t count,
                    T* dx);

  template <class F>
  static Loops of() {
    return {[](const core::Unary& unary, const T* x, std::int64_t count, T* y) {
              const F f = made<F>(unary);
              SOAPSTONE_SIMD
              for (std::int64_t j = 0; j < count; ++j) y[j] = f.value(x[j]);
            },
            [](const core::Unary& unary, const T* source, const T* dy, std::int64_t count, T* dx) {
              const F f = made<F>(unary);
              SOAPSTONE_SIMD
              for (std::int64_t j = 0; j < count; ++j) dx[j] = dy[j] * f.slope(source[j]);
            }};
  }

 private:
  template <class F>
  static F made([[maybe_unused]] const core::Unary& unary) {
    if constexpr (std::is_constructible_v<F, const core::Unary&>)
      return F(unary);
    else
      return F();
  }
};
template <class T>
Loops<T> loops_of(core::UnaryFunction function) {
  switch (function) {
    case core::UnaryFunction::kSigmoid:
      return Loops<T>::template of<Sigmoid<T>>();
    case core::UnaryFunction::kTanh:
      return Loops<T>::template of<Tanh<T>>();
    case core::UnaryFunction::kSilu:
      return Loops<T>::template of<Silu<T>>();
    case core::UnaryFunction::kExp:
      return Loops<T>::template of<Exp<T>>();
    case core::UnaryFunction::kLog:
      return Loops<T>::template of<Log<T>>();
    case core::UnaryFunction::kSqrt:
      return Loops<T>::template of<Sqrt<T>>();
    case core::UnaryFunction::kErf:
      return Loops<T>::template of<Erf<T>>();
    case core::UnaryFunction::kLeakyRelu:
      return Loops<T>::template of<LeakyRelu<T>>();
    case core::UnaryFunction::kElu:
      return Loops<T>::template of<Elu<T>>();
    case core::UnaryFunction::kHardSigmoid:
      return Loops<T>::template of<HardSigmoid<T>>();
    case core::UnaryFunction::kHardSwish:
      return Loops<T>::template of<HardSwish<T>>();
    case core::UnaryFunction::kPower:
      return Loops<T>::template of<Power<T>>();
    case core::UnaryFunction::kAbs:
      return Loops<T>::template of<Abs<T>>();
    case core::UnaryFunction::kNegate:
      return Loops<T>::template of<Negate<T>>();
    case core::UnaryFunction::kReciprocal:
      return Loops<T>::template of<Reciprocal<T>>();
    case core::UnaryFunction::kSquare:
      return Loops<T>::template of<Square<T>>();
    case core::UnaryFunction::kGeluTanh:
      return Loops<T>::template of<GeluTanh<T>>();
    case core::UnaryFunction::kSoftplus:
      return Loops<T>::template of<Softplus<T>>();
    case core::UnaryFunction::kScale:
      return Loops<T>::template of<Scale<T>>();
  }
  SOAPSTONE_ASSERT(false, "unary function {}", static_cast<int>(function));
}

template <class T>
class UnaryKernel final : public PreparedKernel {
 public:
  explicit UnaryKernel(const core::LocalProblem& problem)
      : steps_(*problem.definition),
        unary_(*problem.op.get_if<core::Unary>()),
        loops_(loops_of<T>(unary_.function)) {}

  void execute(const StepCall& call) const override {
    if (steps_.name(call) == "forward")
      return forward(steps_.value(call, "x"), steps_.value(call, "y"));
    if (steps_.name(call) != "backward_input") unknown_step("unary/kokkos", steps_.name(call));
    const core::DerivativeFrom from = unary_.derivative_from();
    const Block& dy = steps_.gradient(call, "y");
    const Block& source = from == core::DerivativeFrom::kInput    ? steps_.value(call, "x")
                          : from == core::DerivativeFrom::kOutput ? steps_.value(call, "y")
                                                                  : dy;
    backward(source, dy, steps_.gradient(call, "x"));
  }

 private:
  void forward(const Block& x_block, const Block& y_block) const {
    if (y_block.data == nullptr) return;
    const auto nest =
        make_nest<2>(core::extents(y_block.box), {strides_of(y_block), strides_of(x_block)});
    T* y = data_of<T>(y_block);
    const T* x = data_of<T>(x_block);
    const core::Unary unary = unary_;
    const auto values = loops_.values;
    for_tiles(Space(), "soapstone::unary::forward", nest, [=](const Tile<2>& tile) {
      const auto& step = nest.stride[0];
      const bool contiguous = nest.contiguous();
      T x_buffer[kPiece], to_buffer[kPiece];
      for (std::int64_t r = 0; r < tile.rows; ++r) {
        T* to = y + tile.offset[0] + r * nest.stride[1][0];
        const T* from = x + tile.offset[1] + r * nest.stride[1][1];
        for_pieces(tile.count, contiguous, [&](std::int64_t first, std::int64_t count) {
          const T* at = side_by_side(from + first * step[1], step[1], count, x_buffer);
          write_run(to + first * step[0], step[0], count, to_buffer,
                    [&](T* target) { values(unary, at, count, target); });
        });
      }
    });
  }

  void backward(const Block& source_block, const Block& dy_block, const Block& dx_block) const {
    if (dx_block.data == nullptr) return;
    const auto nest =
        make_nest<3>(core::extents(dx_block.box),
                     {strides_of(dx_block), strides_of(source_block), strides_of(dy_block)});
    T* dx = data_of<T>(dx_block);
    const T* source = data_of<T>(source_block);
    const T* dy = data_of<T>(dy_block);
    const core::Unary unary = unary_;
    const auto gradients = loops_.gradients;
    for_tiles(Space(), "soapstone::unary::backward_input", nest, [=](const Tile<3>& tile) {
      const auto &step = nest.stride[0], &row = nest.stride[1];
      const bool contiguous = nest.contiguous();
      T source_buffer[kPiece], dy_buffer[kPiece], to_buffer[kPiece];
      for (std::int64_t r = 0; r < tile.rows; ++r) {
        T* to = dx + tile.offset[0] + r * row[0];
        const T* from = source + tile.offset[1] + r * row[1];
        const T* gradient = dy + tile.offset[2] + r * row[2];
        for_pieces(tile.count, contiguous, [&](std::int64_t first, std::int64_t count) {
          const T* at = side_by_side(from + first * step[1], step[1], count, source_buffer);
          const T* of_y = side_by_side(gradient + first * step[2], step[2], count, dy_buffer);
          write_run(to + first * step[0], step[0], count, to_buffer,
                    [&](T* target) { gradients(unary, at, of_y, count, target); });
        });
      }
    });
  }

  StepTable steps_;
  core::Unary unary_;
  Loops<T> loops_;
};

}  // namespace

std::unique_ptr<PreparedKernel> unary_kokkos(const core::LocalProblem& problem) {
  return detail::prepare_floating<UnaryKernel>(problem);
}

}  // namespace soapstone::kernels
