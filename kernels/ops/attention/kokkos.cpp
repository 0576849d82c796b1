// attention: y[n, i, h] = Σ_j p_ij v[n, j, h], p_ij = exp(s_ij - lse_i), s_ij = q_i · k_j / √d,
// causal: for j ≤ i + (keys - queries) only, in positions of the whole tensors; see
// core/ops/attention.hpp.
//   dv_j = Σ_i p_ij dy_i, ds_ij = p_ij (dy_i · v_j - y_i · dy_i), dq_i = Σ_j ds_ij k_j / √d,
//   dk_j = Σ_i ds_ij q_i / √d.
//
// Shapes: q, y [n, queries, h, d], k, v [n, keys, h, d], or qkv [n, s, 3, h, d]; lse [n, h,
// queries]. Any order; all overwritten.
//
// Scores are computed in tiles of kQueries × kKeys, never as a whole (Dao et al. 2022, arXiv
// 2205.14135): forward rescales its sums when a larger score appears; backward computes p again
// from lse. Tiles are kept transposed (a row per key), so that queries, the vector's lanes, have
// maxima and sums of their own. Forward is parallel over (n, h, query tile), backward over (n, h),
// whose owner alone adds up dk and dv.
#include <cmath>
#include <limits>

#include "core/ops/attention.hpp"
#include "kernels/detail/block_access.hpp"
#include "kernels/detail/simd.hpp"
#include "kernels/detail/step_table.hpp"
#include "kernels/detail/vector_math.hpp"

namespace soapstone::kernels {
namespace {

using namespace detail;

// The innermost block of a product: kHigh rows of kWide bytes, which fill the vector registers.
#if defined(__AVX512F__)
constexpr std::int64_t kHigh = 8, kWide = 128;
#else
constexpr std::int64_t kHigh = 4, kWide = 64;
#endif
constexpr std::int64_t kQueries = 64, kKeys = 64;  // of a tile
constexpr std::int64_t kLanes = 32;                // workers with memory of their own

// Elements of a padded row: a multiple of a block's width, so that products need no edges.
template <class T>
std::int64_t padded(std::int64_t features) {
  constexpr std::int64_t kColumns = kWide / static_cast<std::int64_t>(sizeof(T));
  return (features + kColumns - 1) / kColumns * kColumns;
}

// a[i, k] at data + i * row + k * column.
template <class T>
struct Left {
  const T* data;
  std::int64_t row, column;
};

enum class Into { kZero, kSum };
// c[m, n] = or += Σ_k a[i, k] b[k, n]; b and c have rows of n elements; m is a multiple of kHigh, n
// of a block's width.
template <Into into, class T>
void product(std::int64_t m, std::int64_t n, std::int64_t count, const Left<T>& a, const T* b,
             T* c) {
  constexpr std::int64_t kColumns = kWide / static_cast<std::int64_t>(sizeof(T));
  for (std::int64_t j0 = 0; j0 < n; j0 += kColumns)
    for (std::int64_t i0 = 0; i0 < m; i0 += kHigh) {
      T sums[kHigh][kColumns];
      T* to = c + i0 * n + j0;
      for (std::int64_t i = 0; i < kHigh; ++i)
        for (std::int64_t j = 0; j < kColumns; ++j)
          sums[i][j] = into == Into::kSum ? to[i * n + j] : T(0);
      const T* left = a.data + i0 * a.row;
      for (std::int64_t k = 0; k < count; ++k) {
        const T* right = b + k * n + j0;
        for (std::int64_t i = 0; i < kHigh; ++i) {
          const T factor = left[i * a.row + k * a.column];
          SOAPSTONE_SIMD
          for (std::int64_t j = 0; j < kColumns; ++j) sums[i][j] += factor * right[j];
        }
      }
      for (std::int64_t i = 0; i < kHigh; ++i)
        for (std::int64_t j = 0; j < kColumns; ++j) to[i * n + j] = sums[i][j];
    }
}

// q, k, v, y or a gradient of one: [n, s, h, d].
template <class T>
struct Heads {
  T* data = nullptr;
  std::int64_t n = 0, s = 0, h = 0, d = 0;  // strides
  std::int64_t length = 0;                  // extent of s

  T* at(std::int64_t sample, std::int64_t head, std::int64_t position) const {
    return data + sample * n + head * h + position * s;
  }
};
// `which` of a packed qkv.
template <class T>
Heads<T> heads_of(const Block& block, int which = 0) {
  if (block.data == nullptr) return {};
  const Strided<T> x = strided<T>(block);
  if (x.rank == 4) return {x.data, x.stride[0], x.stride[1], x.stride[2], x.stride[3], x.extent[1]};
  return {x.data + which * x.stride[2],
          x.stride[0],
          x.stride[1],
          x.stride[3],
          x.stride[4],
          x.extent[1]};
}

// rows[r, f] = factor · x at position first + r, zero beyond `count` rows and d features.
template <class T>
void load(const Heads<T>& x, const T* first, std::int64_t count, std::int64_t d, T factor,
          std::int64_t height, std::int64_t width, T* rows) {
  for (std::int64_t r = 0; r < height; ++r) {
    T* to = rows + r * width;
    const T* from = first + r * x.s;
    const std::int64_t features = r < count ? d : 0;
    if (x.d == 1) {
      SOAPSTONE_SIMD
      for (std::int64_t f = 0; f < features; ++f) to[f] = factor * from[f];
    } else {
      for (std::int64_t f = 0; f < features; ++f) to[f] = factor * from[f * x.d];
    }
    for (std::int64_t f = features; f < width; ++f) to[f] = T(0);
  }
}

// columns[f, r] = rows[r, f] of a tile of queries.
template <class T>
void transpose(const T* rows, std::int64_t width, std::int64_t d, T* columns) {
  for (std::int64_t f = 0; f < d; ++f)
    for (std::int64_t r = 0; r < kQueries; ++r) columns[f * kQueries + r] = rows[r * width + f];
}

template <class T>
class AttentionKernel final : public PreparedKernel {
 public:
  explicit AttentionKernel(const core::LocalProblem& problem)
      : steps_(*problem.definition),
        causal_(problem.op.get_if<core::Attention>()->causal),
        samples_(problem.axes[problem.definition->axis("n")].extent()),
        queries_(problem.axes[problem.definition->axis("s")]),
        heads_(problem.axes[problem.definition->axis("head")].extent()),
        keys_(problem.axes[problem.definition->axis("t")].extent()),
        features_(problem.axes[problem.definition->axis("d")].extent()),
        width_(padded<T>(features_)),
        keys_ahead_(problem.definition->axes[problem.definition->axis("t")].extent -
                    problem.definition->axes[problem.definition->axis("s")].extent) {
    for (const core::Operand& operand : problem.definition->operands)
      packed_ |= operand.name == "qkv";
  }

  core::Bytes workspace() const override {
    const std::int64_t forward = lanes(samples_ * heads_ * query_tiles()) * forward_elements();
    const std::int64_t backward = lanes(samples_ * heads_) * backward_elements();
    return core::Bytes(std::max(forward, backward) * static_cast<std::int64_t>(sizeof(T)));
  }

  void execute(const StepCall& call) const override {
    if (samples_ * heads_ * queries_.extent() == 0) return zero_keys(call);
    if (steps_.name(call) == "forward") return forward(call);
    if (steps_.name(call) == "backward_input") return backward(call);
    unknown_step("attention/kokkos", steps_.name(call));
  }

 private:
  static std::int64_t lanes(std::int64_t tasks) { return std::min(tasks, kLanes); }
  std::int64_t query_tiles() const { return (queries_.extent() + kQueries - 1) / kQueries; }
  std::int64_t forward_elements() const {
    return width_ * (2 * kQueries + 2 * kKeys) + kKeys * kQueries;
  }
  std::int64_t backward_elements() const {
    return width_ * (5 * kQueries + 3 * kKeys) + 2 * kKeys * kQueries;
  }

  template <class U>
  Heads<U> input(const StepCall& call, int which) const {
    static constexpr std::string_view kNames[] = {"q", "k", "v"};
    return packed_ ? heads_of<U>(steps_.value(call, "qkv"), which)
                   : heads_of<U>(steps_.value(call, kNames[which]));
  }
  Heads<T> input_gradient(const StepCall& call, int which) const {
    static constexpr std::string_view kNames[] = {"q", "k", "v"};
    return packed_ ? heads_of<T>(steps_.gradient(call, "qkv"), which)
                   : heads_of<T>(steps_.gradient(call, kNames[which]));
  }

  // Without queries the gradients of keys and values are zero.
  void zero_keys(const StepCall& call) const {
    if (steps_.name(call) != "backward_input") return;
    for (int which = 1; which < 3 && !packed_; ++which) {
      const Heads<T> g = input_gradient(call, which);
      if (g.data == nullptr) continue;
      const AttentionKernel* self = this;
      parallel_for(
          Space(), "soapstone::attention::backward_input_zero", samples_ * heads_,
          [=](std::int64_t task) { self->clear(g, task / self->heads_, task % self->heads_); });
    }
  }

  void clear(const Heads<T>& x, std::int64_t sample, std::int64_t head) const {
    for (std::int64_t s = 0; s < x.length; ++s)
      for (std::int64_t f = 0; f < features_; ++f) x.at(sample, head, s)[f * x.d] = T(0);
  }

  // A tile of queries: which of them there are and what they see.
  struct QueryTile {
    std::int64_t first, count;   // positions in the block
    std::int64_t visible_first;  // keys that the first query sees; the others see one more each
    std::int64_t visible;        // keys that the last one sees
  };
  QueryTile query_tile(std::int64_t index) const {
    QueryTile q{index * kQueries, 0, keys_, keys_};
    q.count = std::min(kQueries, queries_.extent() - q.first);
    if (causal_) {
      q.visible_first = queries_.begin + q.first + keys_ahead_ + 1;
      q.visible = std::min(keys_, q.visible_first + q.count - 1);
    }
    return q;
  }

  // scores[j, i] = value where query i does not see key first + j.
  void mask(const QueryTile& q, std::int64_t first, std::int64_t count, T value, T* scores) const {
    if (!causal_ || first + count <= q.visible_first) return;
    for (std::int64_t j = 0; j < count; ++j) {
      const std::int64_t blind =
          std::min(kQueries, first + j - q.visible_first + 1);  // the first so many queries
      for (std::int64_t i = 0; i < blind; ++i) scores[j * kQueries + i] = value;
    }
  }

  void forward(const StepCall& call) const {
    const auto q = input<T>(call, 0), k = input<T>(call, 1), v = input<T>(call, 2);
    const auto y = heads_of<T>(steps_.value(call, "y"));
    const auto lse = strided<T>(steps_.value(call, "lse"));
    const std::int64_t tiles = query_tiles(), tasks = samples_ * heads_ * tiles,
                       workers = lanes(tasks);
    auto* workspace = static_cast<T*>(call.workspace);
    const std::int64_t elements = forward_elements();
    const AttentionKernel* self = this;
    parallel_for(Space(), "soapstone::attention::forward", workers, [=](std::int64_t lane) {
      for (std::int64_t task = lane; task < tasks; task += workers)
        self->forward_tile(q, k, v, y, lse, task / tiles / self->heads_,
                           task / tiles % self->heads_, self->query_tile(task % tiles),
                           workspace + lane * elements);
    });
  }

  void forward_tile(const Heads<T>& q, const Heads<T>& k, const Heads<T>& v, const Heads<T>& y,
                    const Strided<T>& lse, std::int64_t sample, std::int64_t head,
                    const QueryTile& tile, T* memory) const {
    const std::int64_t d = features_, width = width_;
    const auto take = [&](std::int64_t count) { return std::exchange(memory, memory + count); };
    T* scores = take(kKeys * kQueries);
    T* columns = take(kQueries * width);  // q transposed
    T* sums = take(kQueries * width);     // Σ_j exp(s_ij - largest_i) v_j; q before that
    T* keys = take(kKeys * width);
    T* values = take(kKeys * width);
    T largest[kQueries], total[kQueries], correction[kQueries];
    load(q, q.at(sample, head, tile.first), tile.count, d, T(1) / std::sqrt(static_cast<T>(d)),
         kQueries, width, sums);
    transpose(sums, width, d, columns);
    for (std::int64_t i = 0; i < kQueries * width; ++i) sums[i] = T(0);
    for (std::int64_t i = 0; i < kQueries; ++i) {
      largest[i] = -std::numeric_limits<T>::infinity();
      total[i] = T(0);
    }
    for (std::int64_t first = 0; first < tile.visible; first += kKeys) {
      const std::int64_t count = std::min(kKeys, tile.visible - first);
      load(k, k.at(sample, head, first), count, d, T(1), kKeys, width, keys);
      load(v, v.at(sample, head, first), count, d, T(1), kKeys, width, values);
      product<Into::kZero, T>(kKeys, kQueries, d, {keys, width, 1}, columns, scores);
      mask(tile, first, count, -std::numeric_limits<T>::infinity(), scores);
      // Every query sees key 0, so that the largest score is a number after the first tile.
      SOAPSTONE_SIMD
      for (std::int64_t i = 0; i < kQueries; ++i) correction[i] = largest[i];
      for (std::int64_t j = 0; j < count; ++j) {
        const T* row = scores + j * kQueries;
        SOAPSTONE_SIMD
        for (std::int64_t i = 0; i < kQueries; ++i)
          largest[i] = row[i] > largest[i] ? row[i] : largest[i];
      }
      SOAPSTONE_SIMD
      for (std::int64_t i = 0; i < kQueries; ++i) {
        correction[i] = exponential(correction[i] - largest[i]);
        total[i] *= correction[i];
      }
      for (std::int64_t j = 0; j < count; ++j) {
        T* row = scores + j * kQueries;
        SOAPSTONE_SIMD
        for (std::int64_t i = 0; i < kQueries; ++i) {
          row[i] = exponential(row[i] - largest[i]);
          total[i] += row[i];
        }
      }
      if (first > 0)
        for (std::int64_t i = 0; i < kQueries; ++i) {
          SOAPSTONE_SIMD
          for (std::int64_t f = 0; f < width; ++f) sums[i * width + f] *= correction[i];
        }
      product<Into::kSum, T>(kQueries, width, count, {scores, 1, kQueries}, values, sums);
    }
    for (std::int64_t i = 0; i < tile.count; ++i) {
      T* to = y.at(sample, head, tile.first + i);
      const T factor = T(1) / total[i];
      for (std::int64_t f = 0; f < d; ++f) to[f * y.d] = sums[i * width + f] * factor;
      lse(sample, head, tile.first + i) = largest[i] + std::log(total[i]);
    }
  }

  struct Backward {
    Heads<T> q, k, v, y, dy, dq, dk, dv;
    Strided<T> lse;
  };

  void backward(const StepCall& call) const {
    Backward b;
    b.q = input<T>(call, 0), b.k = input<T>(call, 1), b.v = input<T>(call, 2);
    b.y = heads_of<T>(steps_.value(call, "y"));
    b.dy = heads_of<T>(steps_.gradient(call, "y"));
    b.lse = strided<T>(steps_.value(call, "lse"));
    b.dq = input_gradient(call, 0), b.dk = input_gradient(call, 1), b.dv = input_gradient(call, 2);
    const std::int64_t tasks = samples_ * heads_, workers = lanes(tasks),
                       elements = backward_elements();
    auto* workspace = static_cast<T*>(call.workspace);
    const AttentionKernel* self = this;
    parallel_for(Space(), "soapstone::attention::backward_input", workers, [=](std::int64_t lane) {
      for (std::int64_t task = lane; task < tasks; task += workers)
        self->backward_head(b, task / self->heads_, task % self->heads_,
                            workspace + lane * elements);
    });
  }

  void backward_head(const Backward& b, std::int64_t sample, std::int64_t head, T* memory) const {
    const std::int64_t d = features_, width = width_;
    const T scale = T(1) / std::sqrt(static_cast<T>(d));
    const auto take = [&](std::int64_t count) { return std::exchange(memory, memory + count); };
    T* p = take(kKeys * kQueries);
    T* ds = take(kKeys * kQueries);
    T* q_rows = take(kQueries * width);
    T* q_columns = take(kQueries * width);
    T* dy_rows = take(kQueries * width);
    T* dy_columns = take(kQueries * width);
    T* dq = take(kQueries * width);
    T* keys = take(kKeys * width);
    T* values = take(kKeys * width);
    T* sums = take(kKeys * width);
    T lse[kQueries], delta[kQueries];  // delta_i = y_i · dy_i = Σ_j p_ij (dy_i · v_j)
    if (b.dk.data != nullptr) clear(b.dk, sample, head);
    if (b.dv.data != nullptr) clear(b.dv, sample, head);
    const auto add_rows = [&](const Heads<T>& to, std::int64_t first, std::int64_t count) {
      for (std::int64_t j = 0; j < count; ++j) {
        T* row = to.at(sample, head, first + j);
        const T* from = sums + j * width;
        if (to.d == 1) {
          SOAPSTONE_SIMD
          for (std::int64_t f = 0; f < d; ++f) row[f] += from[f];
        } else {
          for (std::int64_t f = 0; f < d; ++f) row[f * to.d] += from[f];
        }
      }
    };
    for (std::int64_t t = 0; t < query_tiles(); ++t) {
      const QueryTile tile = query_tile(t);
      load(b.y, b.y.at(sample, head, tile.first), tile.count, d, T(1), kQueries, width, q_rows);
      load(b.dy, b.dy.at(sample, head, tile.first), tile.count, d, T(1), kQueries, width, dy_rows);
      for (std::int64_t i = 0; i < kQueries; ++i) {
        T dot = 0;
        SOAPSTONE_SIMD_SUM(dot)
        for (std::int64_t f = 0; f < d; ++f) dot += q_rows[i * width + f] * dy_rows[i * width + f];
        delta[i] = dot;
        lse[i] = i < tile.count ? b.lse(sample, head, tile.first + i) : T(0);
      }
      load(b.q, b.q.at(sample, head, tile.first), tile.count, d, scale, kQueries, width, q_rows);
      transpose(q_rows, width, d, q_columns);
      transpose(dy_rows, width, d, dy_columns);
      for (std::int64_t i = 0; i < kQueries * width; ++i) dq[i] = T(0);
      for (std::int64_t first = 0; first < tile.visible; first += kKeys) {
        const std::int64_t count = std::min(kKeys, tile.visible - first);
        load(b.k, b.k.at(sample, head, first), count, d, T(1), kKeys, width, keys);
        load(b.v, b.v.at(sample, head, first), count, d, T(1), kKeys, width, values);
        product<Into::kZero, T>(kKeys, kQueries, d, {keys, width, 1}, q_columns, p);
        product<Into::kZero, T>(kKeys, kQueries, d, {values, width, 1}, dy_columns, ds);
        mask(tile, first, count, -std::numeric_limits<T>::infinity(), p);
        for (std::int64_t j = 0; j < count; ++j) {
          T *p_row = p + j * kQueries, *ds_row = ds + j * kQueries;
          SOAPSTONE_SIMD
          for (std::int64_t i = 0; i < kQueries; ++i) {
            p_row[i] = exponential(p_row[i] - lse[i]);
            ds_row[i] = p_row[i] * (ds_row[i] - delta[i]);
          }
        }
        if (b.dv.data != nullptr) {
          product<Into::kZero, T>(kKeys, width, kQueries, {p, kQueries, 1}, dy_rows, sums);
          add_rows(b.dv, first, count);
        }
        if (b.dk.data != nullptr) {
          product<Into::kZero, T>(kKeys, width, kQueries, {ds, kQueries, 1}, q_rows, sums);
          add_rows(b.dk, first, count);
        }
        if (b.dq.data != nullptr)
          product<Into::kSum, T>(kQueries, width, count, {ds, 1, kQueries}, keys, dq);
      }
      if (b.dq.data == nullptr) continue;
      for (std::int64_t i = 0; i < tile.count; ++i) {
        T* to = b.dq.at(sample, head, tile.first + i);
        for (std::int64_t f = 0; f < d; ++f) to[f * b.dq.d] = dq[i * width + f] * scale;
      }
    }
  }

  StepTable steps_;
  bool causal_;
  bool packed_ = false;
  std::int64_t samples_;
  core::Interval queries_;  // positions in the whole sequence
  std::int64_t heads_, keys_, features_;
  std::int64_t width_;       // features, padded
  std::int64_t keys_ahead_;  // keys that lie before the first query
};

}  // namespace

std::unique_ptr<PreparedKernel> attention_kokkos(const core::LocalProblem& problem) {
  return detail::prepare_floating<AttentionKernel>(problem);
}

}  // namespace soapstone::kernels
