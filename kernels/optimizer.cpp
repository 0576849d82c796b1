#include "kernels/optimizer.hpp"

#include <algorithm>
#include <array>

#include "kernels/detail/block_access.hpp"

namespace soapstone::kernels {

namespace {

constexpr std::int64_t kChunk = 8192;

template <class T>
void sgd(T* w, const T* grad, T* buffer, std::int64_t count, const SgdUpdate& update) {
  const T rate = static_cast<T>(update.learning_rate), decay = static_cast<T>(update.weight_decay);
  const T mu = static_cast<T>(update.momentum), scale = static_cast<T>(update.gradient_scale);
  const detail::Space space;
  const auto each = [&](auto&& step) {
    detail::parallel_for_chunks(space, "soapstone::optimizer::sgd", count, kChunk,
                                [=](std::int64_t begin, std::int64_t end) {
                                  for (std::int64_t i = begin; i < end; ++i) step(i);
                                });
  };
  if (update.momentum == 0)
    each([=](std::int64_t i) { w[i] -= rate * (scale * grad[i] + decay * w[i]); });
  else if (update.first_step)
    each([=, keep = update.nesterov ? T(1) + mu : T(1)](std::int64_t i) {
      const T g = scale * grad[i] + decay * w[i];
      buffer[i] = g;
      w[i] -= rate * (keep * g);
    });
  else if (update.nesterov)
    each([=](std::int64_t i) {
      const T g = scale * grad[i] + decay * w[i];
      const T b = mu * buffer[i] + g;
      buffer[i] = b;
      w[i] -= rate * (g + mu * b);
    });
  else
    each([=](std::int64_t i) {
      const T b = mu * buffer[i] + (scale * grad[i] + decay * w[i]);
      buffer[i] = b;
      w[i] -= rate * b;
    });
}

}  // namespace

void sgd_update(const Block& weight, const Block& gradient, const Block& momentum_buffer,
                const SgdUpdate& update) {
  SOAPSTONE_ASSERT(detail::same_layout(weight, gradient),
                   "weight {} and gradient {} lie differently", core::print(weight.box),
                   core::print(gradient.box));
  SOAPSTONE_ASSERT(update.momentum == 0 || detail::same_layout(weight, momentum_buffer),
                   "weight {} and momentum buffer {} lie differently", core::print(weight.box),
                   core::print(momentum_buffer.box));
  detail::dispatch_floating(weight.dtype, [&](auto zero) {
    using T = decltype(zero);
    T* buffer = update.momentum == 0 ? nullptr : detail::data_of<T>(momentum_buffer);
    sgd<T>(detail::data_of<T>(weight), detail::data_of<T>(gradient), buffer, weight.size(), update);
  });
}

double sum_of_squares(const Block& block) {
  const std::int64_t count = block.size();
  if (count == 0) return 0;
  constexpr std::int64_t kMostPieces = 256;
  const std::int64_t piece = std::max(kChunk, (count + kMostPieces - 1) / kMostPieces);
  std::array<double, kMostPieces> partial{};
  double* sums = partial.data();
  detail::dispatch_floating(block.dtype, [&](auto zero) {
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
