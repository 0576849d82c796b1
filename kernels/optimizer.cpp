#include "kernels/optimizer.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/detail/block_access.hpp"

namespace soapstone::kernels {

namespace {

constexpr std::int64_t kChunk = 8192;

// step(i) for every element.
template <class Step>
void for_elements(const char* label, std::int64_t count, const Step& step) {
  detail::parallel_for_chunks(detail::Space(), label, count, kChunk,
                              [=](std::int64_t begin, std::int64_t end) {
                                for (std::int64_t i = begin; i < end; ++i) step(i);
                              });
}

template <class T>
void sgd(T* w, const T* grad, T* buffer, std::int64_t count, const OptimizerUpdate& update) {
  constexpr const char* kLabel = "soapstone::optimizer::sgd";
  const T rate = static_cast<T>(update.learning_rate), decay = static_cast<T>(update.weight_decay);
  const T mu = static_cast<T>(update.momentum), scale = static_cast<T>(update.gradient_scale);
  if (update.momentum == 0)
    for_elements(kLabel, count,
                 [=](std::int64_t i) { w[i] -= rate * (scale * grad[i] + decay * w[i]); });
  else if (update.step == 0)  // the buffer holds nothing yet
    for_elements(kLabel, count, [=, keep = update.nesterov ? T(1) + mu : T(1)](std::int64_t i) {
      const T g = scale * grad[i] + decay * w[i];
      buffer[i] = g;
      w[i] -= rate * (keep * g);
    });
  else if (update.nesterov)
    for_elements(kLabel, count, [=](std::int64_t i) {
      const T g = scale * grad[i] + decay * w[i];
      const T b = mu * buffer[i] + g;
      buffer[i] = b;
      w[i] -= rate * (g + mu * b);
    });
  else
    for_elements(kLabel, count, [=](std::int64_t i) {
      const T b = mu * buffer[i] + (scale * grad[i] + decay * w[i]);
      buffer[i] = b;
      w[i] -= rate * b;
    });
}

template <class T>
void adamw(T* w, const T* grad, T* m, T* v, std::int64_t count, const OptimizerUpdate& update) {
  const auto t = static_cast<double>(update.step + 1);
  const T keep = static_cast<T>(1 - update.learning_rate * update.weight_decay);
  const T rate = static_cast<T>(update.learning_rate / (1 - std::pow(update.beta1, t)));
  const T correction = static_cast<T>(1 / std::sqrt(1 - std::pow(update.beta2, t)));
  const T b1 = static_cast<T>(update.beta1), b2 = static_cast<T>(update.beta2);
  const T c1 = static_cast<T>(1 - update.beta1), c2 = static_cast<T>(1 - update.beta2);
  const T scale = static_cast<T>(update.gradient_scale);
  const T epsilon = static_cast<T>(update.epsilon);
  for_elements("soapstone::optimizer::adamw", count, [=](std::int64_t i) {
    const T g = scale * grad[i];
    const T first = b1 * m[i] + c1 * g, second = b2 * v[i] + c2 * g * g;
    m[i] = first;
    v[i] = second;
    w[i] = keep * w[i] - rate * first / (std::sqrt(second) * correction + epsilon);
  });
}

template <class T>
void adagrad(T* w, const T* grad, T* sum, std::int64_t count, const OptimizerUpdate& update) {
  const T rate = static_cast<T>(update.learning_rate), decay = static_cast<T>(update.weight_decay);
  const T scale = static_cast<T>(update.gradient_scale);
  const T epsilon = static_cast<T>(update.epsilon);
  for_elements("soapstone::optimizer::adagrad", count, [=](std::int64_t i) {
    const T g = scale * grad[i] + decay * w[i];
    const T squares = sum[i] + g * g;
    sum[i] = squares;
    w[i] -= rate * g / (std::sqrt(squares) + epsilon);
  });
}

}  // namespace

void update_weight(const Block& weight, const Block& gradient, std::span<const Block> states,
                   const OptimizerUpdate& update) {
  SOAPSTONE_ASSERT(
      static_cast<int>(states.size()) == core::optimizer_states(update.kind, update.momentum),
      "{} state tensors, {} wants {}", states.size(), core::name_of(update.kind),
      core::optimizer_states(update.kind, update.momentum));
  SOAPSTONE_ASSERT(detail::same_layout(weight, gradient),
                   "weight {} and gradient {} lie differently", core::print(weight.box),
                   core::print(gradient.box));
  for (const Block& s : states)
    SOAPSTONE_ASSERT(detail::same_layout(weight, s), "weight {} and state {} lie differently",
                     core::print(weight.box), core::print(s.box));
  detail::dispatch_master(weight.dtype, [&](auto zero) {
    using T = decltype(zero);
    T* w = detail::data_of<T>(weight);
    const T* g = detail::data_of<T>(gradient);
    const auto state = [&](std::size_t k) {
      return k < states.size() ? detail::data_of<T>(states[k]) : nullptr;
    };
    switch (update.kind) {
      case core::OptimizerKind::kSgd:
        return sgd<T>(w, g, state(0), weight.size(), update);
      case core::OptimizerKind::kAdamW:
        return adamw<T>(w, g, state(0), state(1), weight.size(), update);
      case core::OptimizerKind::kAdagrad:
        return adagrad<T>(w, g, state(0), weight.size(), update);
    }
  });
}

double sum_of_squares(const Block& block) {
  const std::int64_t count = block.size();
  if (count == 0) return 0;
  constexpr std::int64_t kMostPieces = 256;
  const std::int64_t piece = std::max(kChunk, (count + kMostPieces - 1) / kMostPieces);
  std::array<double, kMostPieces> partial{};
  double* sums = partial.data();
  detail::dispatch_master(block.dtype, [&](auto zero) {
    using T = decltype(zero);
    const T* data = detail::data_of<T>(block);
    detail::parallel_for_chunks(
        detail::Space(), "soapstone::optimizer::sum_of_squares", count, piece,
        [=](std::int64_t begin, std::int64_t end) {
          std::array<double, 16> lane{};  // so that the loop vectorises in a fixed order
          std::int64_t i = begin;
          for (; i + 16 <= end; i += 16)
            for (int k = 0; k < 16; ++k) {
              const double v = static_cast<double>(data[i + k]);
              lane[k] += v * v;
            }
          for (int k = 0; i < end; ++i, ++k) lane[k] += static_cast<double>(data[i]) * data[i];
          double sum = 0;
          for (const double v : lane) sum += v;
          sums[begin / piece] = sum;
        });
  });
  double sum = 0;
  for (const double v : partial) sum += v;
  return sum;
}

}  // namespace soapstone::kernels
