// moe_dispatch: y[n, e, c] = x[n, s] where slots[n, s, k] = e·C + c, else 0; weights[n, s, k] = p
// of the k-th largest logit; dx[n, s] = Σ_k dy[n, slot]; with W = dweights, 0 where the token was
// dropped, and q = p over all experts or, renormalised, over the top_k alone,
//   dlogits_j = q_j (W_j - Σ_k q_k W_k) + p_j (g_j - Σ_i p_i g_i), g the gradient of load_loss by
//   p;
// see core/ops/moe_dispatch.hpp.
//
// Shapes: x [n, s, d], logits [n, s, g], y [n, e, c, d] of this part's experts, weights and slots
// [n, s, top_k], load [n, g], load_loss [1]. Any order; all overwritten. Sums are added up in
// double. Forward: tokens choose side by side, a sample's tokens then take their slots one after
// the other, and rows of y fetch their token.
#include <cmath>
#include <cstring>

#include "core/ops/moe_dispatch.hpp"
#include "core/zigzag.hpp"
#include "kernels/detail/block_access.hpp"
#include "kernels/detail/simd.hpp"
#include "kernels/detail/step_table.hpp"
#include "kernels/detail/vector_math.hpp"

namespace soapstone::kernels {
namespace {

using namespace detail;

template <class T>
class MoeDispatchKernel final : public PreparedKernel {
 public:
  explicit MoeDispatchKernel(const core::LocalProblem& problem) : steps_(*problem.definition) {
    const core::OpDefinition& definition = *problem.definition;
    const auto& op = *problem.op.get_if<core::MoeDispatch>();
    const auto part = [&](const char* axis) {
      return problem.axes[static_cast<std::size_t>(definition.axis(axis))];
    };
    const auto samples =
        definition.axes[static_cast<std::size_t>(definition.axis("n"))].extent;  // of all parts
    top_k_ = op.top_k;
    zigzag_ = op.zigzag;
    renormalize_ = op.renormalize;
    samples_ = part("n").extent();
    tokens_ = part("s").extent();
    gates_ = part("g").extent();
    experts_ = part("e");
    features_ = part("d").extent();
    slots_of_expert_ = op.capacity(tokens_, gates_);
    balances_ = op.load_loss > 0;
    const auto count = static_cast<double>(op.mean_over > 0 ? op.mean_over : samples);
    if (balances_ && count > 0 && tokens_ > 0)
      load_scale_ = op.load_loss * static_cast<double>(gates_) /
                    (count * static_cast<double>(tokens_) * static_cast<double>(tokens_));
  }

  core::Bytes workspace() const override {
    const std::int64_t forward =
        (balances_ ? (samples_ * (tokens_ + gates_)) * bytes<double>() : 0) +
        samples_ * (gates_ + experts_.extent() * slots_of_expert_) * bytes<std::int32_t>();
    const std::int64_t backward = samples_ * tokens_ * top_k_ * bytes<std::int32_t>();
    return core::Bytes(std::max(forward, backward));
  }

  void execute(const StepCall& call) const override {
    const auto step = steps_.name(call);
    if (step == "forward") return forward(call);
    if (step == "backward_input") return backward_input(call);
    if (step == "backward_gate") return backward_gate(call);
    unknown_step("moe_dispatch/kokkos", step);
  }

 private:
  static constexpr std::int64_t kColumns = 256;  // features summed at a time
  static constexpr std::int64_t kGrain = 8192;   // elements a thread takes at a time
  template <class U>
  static constexpr std::int64_t bytes() {
    return static_cast<std::int64_t>(sizeof(U));
  }
  static std::int64_t rows_at_a_time(std::int64_t columns) {
    return std::max<std::int64_t>(1, kGrain / std::max<std::int64_t>(1, columns));
  }

  // chosen(k): the expert with the k-th largest logit, the first of equals.
  template <class Chosen>
  void choose(const Strided<T>& logits, std::int64_t n, std::int64_t s,
              const Chosen& chosen) const {
    for (std::int64_t k = 0; k < top_k_; ++k) {
      std::int32_t best = -1;
      for (std::int32_t j = 0; j < static_cast<std::int32_t>(gates_); ++j) {
        bool taken = false;
        for (std::int64_t before = 0; before < k; ++before) taken |= chosen(before) == j;
        if (!taken && (best < 0 || logits(n, s, j) > logits(n, s, best))) best = j;
      }
      chosen(k) = best;
    }
  }
  // Σ_j exp(logit_j - largest)
  double sum_of_all(const Strided<T>& logits, std::int64_t n, std::int64_t s, T largest) const {
    double sum = 0;
    for (std::int64_t j = 0; j < gates_; ++j)
      sum += static_cast<double>(exponential(logits(n, s, j) - largest));
    return sum;
  }
  template <class Chosen>
  double sum_of_chosen(const Strided<T>& logits, std::int64_t n, std::int64_t s, T largest,
                       const Chosen& chosen) const {
    double sum = 0;
    for (std::int64_t k = 0; k < top_k_; ++k)
      sum += static_cast<double>(exponential(logits(n, s, chosen(k)) - largest));
    return sum;
  }

  void forward(const StepCall& call) const {
    const Space space;
    const auto x = strided<T>(steps_.value(call, "x"));
    const auto logits = strided<T>(steps_.value(call, "logits"));
    const auto y = strided<T>(steps_.value(call, "y"));
    const auto weights = strided<T>(steps_.value(call, "weights"));
    const auto slots = strided<std::int32_t>(steps_.value(call, "slots"));
    const auto load = strided<T>(steps_.value(call, "load"));
    const std::int64_t samples = samples_, tokens = tokens_, gates = gates_, top_k = top_k_,
                       capacity = slots_of_expert_;
    const std::int64_t rows = experts_.extent() * capacity;  // of y in a sample
    const MoeDispatchKernel* self = this;
    auto* lse = static_cast<double*>(call.workspace);           // [n, s], with load_loss alone
    double* shares = lse + (balances_ ? samples * tokens : 0);  // [n, g]: of load_loss
    auto* used =
        reinterpret_cast<std::int32_t*>(shares + (balances_ ? samples * gates : 0));  // [n, g]
    std::int32_t* token_of = used + samples * gates;                                  // [n, rows]

    parallel_for_chunks(
        space, "soapstone::moe_dispatch::choose", samples * tokens, rows_at_a_time(gates * top_k),
        [=](std::int64_t begin, std::int64_t end) {
          for (std::int64_t token = begin; token < end; ++token) {
            const std::int64_t n = token / tokens, s = token % tokens;
            // The experts stand in `slots` until the slots are known.
            const auto chosen = [&](std::int64_t k) -> std::int32_t& { return slots(n, s, k); };
            self->choose(logits, n, s, chosen);
            const T largest = logits(n, s, chosen(0));
            double all = 0;
            if (!self->renormalize_ || self->balances_)
              all = self->sum_of_all(logits, n, s, largest);
            const double sum =
                self->renormalize_ ? self->sum_of_chosen(logits, n, s, largest, chosen) : all;
            for (std::int64_t k = 0; k < top_k; ++k)
              weights(n, s, k) = static_cast<T>(
                  static_cast<double>(exponential(logits(n, s, chosen(k)) - largest)) / sum);
            if (self->balances_) lse[token] = static_cast<double>(largest) + std::log(all);
          }
        });
    parallel_for(space, "soapstone::moe_dispatch::assign", samples, [=](std::int64_t n) {
      std::int32_t* taken = used + n * gates;
      std::int32_t* token_at = token_of + n * rows;
      for (std::int64_t j = 0; j < gates; ++j) taken[j] = 0;
      for (std::int64_t r = 0; r < rows; ++r) token_at[r] = -1;
      if (self->balances_)
        for (std::int64_t j = 0; j < gates; ++j) load(n, j) = T(0);
      for (std::int64_t position = 0; position < tokens; ++position) {
        const std::int64_t s = core::zigzag_index(position, tokens, self->zigzag_);
        for (std::int64_t k = 0; k < top_k; ++k) {
          const std::int32_t expert = slots(n, s, k);
          if (self->balances_ && k == 0) load(n, expert) += T(1);
          if (taken[expert] == capacity) {
            slots(n, s, k) = -1;
            weights(n, s, k) = T(0);
            continue;
          }
          const std::int64_t slot = expert * capacity + taken[expert]++;
          slots(n, s, k) = static_cast<std::int32_t>(slot);
          const std::int64_t row = slot - self->experts_.begin * capacity;
          if (row >= 0 && row < rows) token_at[row] = static_cast<std::int32_t>(s);
        }
      }
    });
    const std::int64_t features = features_;
    parallel_for_chunks(
        space, "soapstone::moe_dispatch::forward", features > 0 ? samples * rows : 0,
        rows_at_a_time(features), [=](std::int64_t begin, std::int64_t end) {
          for (std::int64_t row = begin; row < end; ++row) {
            const std::int64_t n = row / rows, e = row % rows / capacity, c = row % capacity;
            T* to = &y(n, e, c, 0);
            const std::int64_t to_step = y.stride[3];
            if (token_of[row] < 0) {
              for (std::int64_t f = 0; f < features; ++f) to[f * to_step] = T(0);
              continue;
            }
            const T* from = &x(n, token_of[row], 0);
            const std::int64_t from_step = x.stride[2];
            if (to_step == 1 && from_step == 1)
              std::memcpy(to, from, static_cast<std::size_t>(features) * sizeof(T));
            else
              for (std::int64_t f = 0; f < features; ++f) to[f * to_step] = from[f * from_step];
          }
        });
    if (!balances_) return;
    parallel_for(space, "soapstone::moe_dispatch::load", samples * gates, [=](std::int64_t i) {
      const std::int64_t n = i / gates, j = i % gates;
      double sum = 0;
      for (std::int64_t s = 0; s < tokens; ++s)
        sum += static_cast<double>(exponential(
            static_cast<T>(static_cast<double>(logits(n, s, j)) - lse[n * tokens + s])));
      shares[i] = sum * static_cast<double>(load(n, j));
    });
    T* loss = data_of<T>(steps_.value(call, "load_loss"));
    parallel_for(space, "soapstone::moe_dispatch::load_loss", 1, [=](std::int64_t) {
      double sum = 0;
      for (std::int64_t i = 0; i < samples * gates; ++i) sum += shares[i];
      loss[0] = static_cast<T>(sum * self->load_scale_);
    });
  }

  void backward_input(const StepCall& call) const {
    const auto slots = strided<std::int32_t>(steps_.value(call, "slots"));
    const auto dy = strided<T>(steps_.gradient(call, "y"));
    const auto dx = strided<T>(steps_.gradient(call, "x"));
    if (dx.data == nullptr) return;
    const std::int64_t tokens = tokens_, top_k = top_k_, capacity = slots_of_expert_,
                       features = features_;
    const core::Interval here{experts_.begin * capacity, experts_.end * capacity};
    parallel_for_chunks(Space(), "soapstone::moe_dispatch::backward_input", samples_ * tokens,
                        rows_at_a_time(features * top_k),
                        [=](std::int64_t begin, std::int64_t end) {
                          for (std::int64_t token = begin; token < end; ++token) {
                            const std::int64_t n = token / tokens, s = token % tokens;
                            for (std::int64_t f0 = 0; f0 < features; f0 += kColumns) {
                              const std::int64_t count = std::min(kColumns, features - f0);
                              double sums[kColumns] = {};
                              for (std::int64_t k = 0; k < top_k; ++k) {
                                const std::int64_t slot = slots(n, s, k);
                                if (slot < here.begin || slot >= here.end) continue;
                                const std::int64_t row = slot - here.begin;
                                const T* from = &dy(n, row / capacity, row % capacity, f0);
                                const std::int64_t step = dy.stride[3];
                                if (step == 1) {
                                  SOAPSTONE_SIMD
                                  for (std::int64_t f = 0; f < count; ++f)
                                    sums[f] += static_cast<double>(from[f]);
                                } else {
                                  for (std::int64_t f = 0; f < count; ++f)
                                    sums[f] += static_cast<double>(from[f * step]);
                                }
                              }
                              T* to = &dx(n, s, f0);
                              for (std::int64_t f = 0; f < count; ++f)
                                to[f * dx.stride[2]] = static_cast<T>(sums[f]);
                            }
                          }
                        });
  }

  void backward_gate(const StepCall& call) const {
    const auto logits = strided<T>(steps_.value(call, "logits"));
    const auto slots = strided<std::int32_t>(steps_.value(call, "slots"));
    const auto load = strided<T>(steps_.value(call, "load"));
    const auto dweights = strided<T>(steps_.gradient(call, "weights"));
    const auto dlogits = strided<T>(steps_.gradient(call, "logits"));
    if (dlogits.data == nullptr) return;
    const std::int64_t tokens = tokens_, gates = gates_, top_k = top_k_;
    auto* workspace = static_cast<std::int32_t*>(call.workspace);  // [n, s, top_k]
    const MoeDispatchKernel* self = this;
    parallel_for_chunks(
        Space(), "soapstone::moe_dispatch::backward_gate", samples_ * tokens,
        rows_at_a_time(gates * top_k), [=](std::int64_t begin, std::int64_t end) {
          for (std::int64_t token = begin; token < end; ++token) {
            const std::int64_t n = token / tokens, s = token % tokens;
            // Chosen again: a slot does not tell which expert had none left.
            const auto chosen = [&](std::int64_t k) -> std::int32_t& {
              return workspace[token * top_k + k];
            };
            self->choose(logits, n, s, chosen);
            const T largest = logits(n, s, chosen(0));
            double all = 0;
            if (!self->renormalize_ || self->balances_)
              all = self->sum_of_all(logits, n, s, largest);
            const double sum =
                self->renormalize_ ? self->sum_of_chosen(logits, n, s, largest, chosen) : all;
            const auto power = [&](std::int64_t j) {
              return static_cast<double>(exponential(logits(n, s, j) - largest));
            };
            const auto wanted = [&](std::int64_t k) {
              return slots(n, s, k) < 0 ? 0.0 : static_cast<double>(dweights(n, s, k));
            };
            const auto pull = [&](std::int64_t j) {
              return self->load_scale_ * static_cast<double>(load(n, j));
            };
            double mean = 0, mean_pull = 0;
            for (std::int64_t k = 0; k < top_k; ++k) mean += power(chosen(k)) / sum * wanted(k);
            if (self->balances_)
              for (std::int64_t j = 0; j < gates; ++j) mean_pull += power(j) / all * pull(j);
            for (std::int64_t j = 0; j < gates; ++j) {
              double own = 0;
              bool counts = !self->renormalize_;
              for (std::int64_t k = 0; k < top_k; ++k)
                if (chosen(k) == j) {
                  own = wanted(k);
                  counts = true;
                }
              double gradient = counts ? power(j) / sum * (own - mean) : 0;
              if (self->balances_) gradient += power(j) / all * (pull(j) - mean_pull);
              dlogits(n, s, j) = static_cast<T>(gradient);
            }
          }
        });
  }

  StepTable steps_;
  std::int64_t top_k_ = 1, zigzag_ = 0;
  bool renormalize_ = false;
  bool balances_ = false;  // has load_loss
  double load_scale_ = 0;  // load_loss = load_scale · Σ load Σ_s p
  std::int64_t samples_ = 0, tokens_ = 0, gates_ = 0, features_ = 0, slots_of_expert_ = 0;
  core::Interval experts_;  // whose slots are here
};

}  // namespace

std::unique_ptr<PreparedKernel> moe_dispatch_kokkos(const core::LocalProblem& problem) {
  return prepare_floating<MoeDispatchKernel>(problem);
}

}  // namespace soapstone::kernels
