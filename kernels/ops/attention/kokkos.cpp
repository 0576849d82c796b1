// attention: y[n, i, h] = Σ_j p_ij v[n, j, g], p_ij = exp(s_ij - lse_i), s_ij = q_i · k_j / √d +
// mask_ij, causal: for j ≤ i + (keys - queries) only, and j > i + (keys - queries) - window, in
// positions of the whole tensors; g is the group of head h; see core/ops/attention.hpp.
//   dv_j = Σ_h Σ_i p_ij dy_i, ds_ij = p_ij (dy_i · v_j - y_i · dy_i), dq_i = Σ_j ds_ij k_j / √d,
//   dk_j = Σ_h Σ_i ds_ij q_i / √d, Σ_h over the heads of the group.
//
// Shapes: q, y [n, queries, h, d], k, v [n, keys, g, d], or qkv [n, s, 3, h, d]; mask [n, keys] or
// [n, queries, keys]; lse [n, h, queries]. Any order; all overwritten.
//
// Scores are computed in tiles of kQueries × kKeys, never as a whole (Dao et al. 2022, arXiv
// 2205.14135): forward rescales its sums when a larger score appears; backward computes p again
// from lse. Tiles that causality or the window hide are left out. Tiles are kept transposed (a row
// per key), so that queries, the vector's lanes, have maxima and sums of their own. Forward is
// parallel over (n, h, query tile), backward over (n, g), whose owner adds up dk and dv; where
// there are few, the query tiles are cut too, and the parts of dk and dv added up in order.
//
// In zig-zag order a tile has queries whose positions follow each other, and goes through the runs
// of the keys one after the other: within two runs a key is hidden by the same comparison of
// indices as in order.
//
// A round of a ring is the same over a block of keys: forward begins with the sums of the round
// before and leaves its own undivided.
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "core/ops/attention.hpp"
#include "core/zigzag.hpp"
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
// Backward cuts the query tiles until there are kTasks tasks, or parts of kPartTiles.
constexpr std::int64_t kTasks = 8, kPartTiles = 8;

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
  explicit AttentionKernel(const core::LocalProblem& problem) : steps_(*problem.definition) {
    const core::OpDefinition& definition = *problem.definition;
    const auto& op = *problem.op.get_if<core::Attention>();
    const auto part = [&](const char* axis) { return problem.axes[definition.axis(axis)]; };
    causal_ = op.causal;
    window_ = op.window;
    for (const core::Operand& operand : definition.operands) packed_ |= operand.name == "qkv";
    samples_ = part("n").extent();
    queries_ = part("s");
    const auto runs = [&](const char* name, const core::Interval& indices) {
      const core::Axis& axis = definition.axes[definition.axis(name)];
      return core::zigzag_runs(indices, axis.extent, axis.zigzag);
    };
    for (const core::Run& run : runs("s", queries_))
      for (std::int64_t i = run.indices.begin; i < run.indices.end; i += kQueries)
        tiles_.push_back(
            {i - queries_.begin, std::min(kQueries, run.indices.end - i), run.position_of(i)});
    features_ = part("d").extent();
    width_ = padded<T>(features_);
    keys_ = part("t");
    keys_ahead_ =
        definition.axes[definition.axis("t")].extent - definition.axes[definition.axis("s")].extent;
    heads_ = part("head").extent() *
             definition.operands[definition.operand("y")].dims[2].stride;  // of a group
    groups_ = heads_;
    if (!packed_) {
      const core::Operand& k = definition.operands[definition.operand("k")];
      const core::DimMap &seen = k.dims[1], &group = k.dims[2];
      keys_ = core::image(seen, problem.axes[seen.axis], k.desc.shape[1]);
      groups_ = core::image(group, part("head"), k.desc.shape[2]).extent();
    }
    key_runs_ = runs("t", keys_);
  }

  core::Bytes workspace() const override {
    const std::int64_t forward = lanes(samples_ * heads_ * query_tiles()) * forward_elements();
    const std::int64_t backward =
        lanes(samples_ * groups_ * parts()) * backward_elements() + (parts() - 1) * part_elements();
    return core::Bytes(std::max(forward, backward) * static_cast<std::int64_t>(sizeof(T)));
  }

  void execute(const StepCall& call) const override {
    if (samples_ * heads_ * queries_.extent() == 0) return zero_keys(call);
    const std::string_view step = steps_.name(call);
    if (step == "forward" || step == "ring_forward") return forward(call);
    if (step == "backward_input" || step == "ring_backward") return backward(call);
    if (step == "ring_start") return ring_start(call);
    if (step == "ring_end") return ring_end(call);
    if (step == "ring_backward_end") return ring_backward_end(call);
    unknown_step("attention/kokkos", steps_.name(call));
  }

 private:
  static std::int64_t lanes(std::int64_t tasks) { return std::min(tasks, kLanes); }
  std::int64_t query_tiles() const { return static_cast<std::int64_t>(tiles_.size()); }
  std::int64_t group_heads() const {
    return groups_ > 0 ? std::max<std::int64_t>(1, heads_ / groups_) : 1;
  }
  // Backward: into how many parts the query tiles of a group's heads are cut.
  std::int64_t parts() const {
    const std::int64_t tasks = samples_ * groups_;
    if (tasks == 0) return 1;
    return std::max<std::int64_t>(
        1, std::min((kTasks + tasks - 1) / tasks, group_heads() * query_tiles() / kPartTiles));
  }
  std::int64_t part_elements() const {  // dk and dv
    return 2 * samples_ * groups_ * keys_.extent() * features_;
  }
  std::int64_t forward_elements() const {
    return width_ * (2 * kQueries + 2 * kKeys) + kKeys * kQueries;
  }
  std::int64_t backward_elements() const {
    return width_ * (5 * kQueries + 3 * kKeys) + 2 * kKeys * kQueries;
  }

  bool in_ring(const StepCall& call) const { return steps_.name(call).starts_with("ring"); }
  // q, k or v of the operator.
  Heads<T> given(const StepCall& call, int which) const {
    static constexpr std::string_view kNames[] = {"q", "k", "v"};
    return packed_ ? heads_of<T>(steps_.value(call, "qkv"), which)
                   : heads_of<T>(steps_.value(call, kNames[which]));
  }
  Heads<T> given_gradient(const StepCall& call, int which) const {
    static constexpr std::string_view kNames[] = {"q", "k", "v"};
    return packed_ ? heads_of<T>(steps_.gradient(call, "qkv"), which)
                   : heads_of<T>(steps_.gradient(call, kNames[which]));
  }
  // What a step computes with: in a ring the block that is here.
  Heads<T> input(const StepCall& call, int which) const {
    if (!in_ring(call)) return given(call, which);
    if (which > 0) return heads_of<T>(steps_.value(call, "keys_values"), which - 1);
    return heads_of<T>(steps_.value(call, packed_ ? "queries" : "q"));
  }
  Heads<T> input_gradient(const StepCall& call, int which) const {
    if (!in_ring(call)) return given_gradient(call, which);
    if (which > 0) return heads_of<T>(steps_.value(call, "key_value_gradients"), which - 1);
    return heads_of<T>(steps_.value(call, "query_gradient"));
  }

  // body(sample, head, position) for `heads` of them, in parallel over tiles of positions.
  template <class Body>
  void for_rows(const char* label, std::int64_t heads, std::int64_t length,
                const Body& body) const {
    const std::int64_t tiles = (length + kQueries - 1) / kQueries;
    parallel_for(Space(), label, samples_ * heads * tiles, [=](std::int64_t task) {
      const std::int64_t sample = task / tiles / heads, head = task / tiles % heads,
                         first = task % tiles * kQueries;
      for (std::int64_t i = first; i < std::min(length, first + kQueries); ++i)
        body(sample, head, i);
    });
  }
  void copy(const char* label, const Heads<T>& from, const Heads<T>& to, std::int64_t heads) const {
    if (to.data == nullptr) return;
    const std::int64_t d = features_;
    for_rows(label, heads, to.length, [=](auto sample, auto head, auto i) {
      const T* x = from.at(sample, head, i);
      T* y = to.at(sample, head, i);
      for (std::int64_t f = 0; f < d; ++f) y[f * to.d] = x[f * from.d];
    });
  }

  void ring_start(const StepCall& call) const {
    const char* label = "soapstone::attention::ring_start";
    if (packed_) copy(label, given(call, 0), heads_of<T>(steps_.value(call, "queries")), heads_);
    for (const int which : {0, 1})
      copy(label, given(call, 1 + which), heads_of<T>(steps_.value(call, "keys_values"), which),
           groups_);
    const auto sums = heads_of<T>(steps_.written(call, "sums"));
    const auto seen = strided<T>(steps_.written(call, "seen"));
    const std::int64_t d = features_;
    for_rows(label, heads_, sums.length, [=](auto sample, auto head, auto i) {
      for (std::int64_t f = 0; f < d; ++f) sums.at(sample, head, i)[f * sums.d] = T(0);
      seen(sample, head, i, 0) = seen(sample, head, i, 1) = T(0);
    });
  }

  void ring_end(const StepCall& call) const {
    const auto sums = heads_of<T>(steps_.value(call, "sums"));
    const auto seen = strided<T>(steps_.value(call, "seen"));
    const auto y = heads_of<T>(steps_.value(call, "y"));
    const auto lse = strided<T>(steps_.value(call, "lse"));
    const std::int64_t d = features_;
    for_rows("soapstone::attention::ring_end", heads_, y.length,
             [=](auto sample, auto head, auto i) {
               const T total = seen(sample, head, i, 1);
               const bool sees = total != T(0);
               const T factor = sees ? T(1) / total : T(0);
               const T* from = sums.at(sample, head, i);
               T* to = y.at(sample, head, i);
               for (std::int64_t f = 0; f < d; ++f) to[f * y.d] = from[f * sums.d] * factor;
               lse(sample, head, i) = sees ? seen(sample, head, i, 0) + std::log(total) : T(0);
             });
  }

  void ring_backward_end(const StepCall& call) const {
    const char* label = "soapstone::attention::ring_backward_end";
    for (const int which : {0, 1, 2})
      copy(label, input_gradient(call, which), given_gradient(call, which),
           which == 0 ? heads_ : groups_);
  }

  // Without queries the gradients of keys and values are zero.
  void zero_keys(const StepCall& call) const {
    if (steps_.name(call) != "backward_input") return;
    for (int which = 1; which < 3 && !packed_; ++which) {
      const Heads<T> g = input_gradient(call, which);
      if (g.data == nullptr) continue;
      const AttentionKernel* self = this;
      parallel_for(Space(), "soapstone::attention::backward_input_zero", samples_ * groups_,
                   [=](std::int64_t task) {
                     self->clear(g, task / self->groups_, task % self->groups_, {0, g.length});
                   });
    }
  }

  void clear(const Heads<T>& x, std::int64_t sample, std::int64_t head,
             const core::Interval& positions) const {
    for (std::int64_t s = positions.begin; s < positions.end; ++s)
      for (std::int64_t f = 0; f < features_; ++f) x.at(sample, head, s)[f * x.d] = T(0);
  }

  // A tile of queries whose positions follow each other.
  struct QueryTile {
    std::int64_t first, count;  // indices in the block
    std::int64_t position;      // of the first, in the whole sequence
  };
  // What it sees of a run of keys, as indices in the block.
  struct SeenKeys {
    std::int64_t begin, end;  // keys that one of the queries sees
    std::int64_t first_end;   // keys of the first query end here; of the others one later each
    std::int64_t extent() const { return std::max<std::int64_t>(0, end - begin); }
  };
  SeenKeys seen_keys(const QueryTile& q, const core::Run& run) const {
    SeenKeys k{run.indices.begin - keys_.begin, run.indices.end - keys_.begin, 0};
    k.first_end = k.end;
    if (causal_) {
      k.first_end = k.begin + q.position + keys_ahead_ + 1 - run.position;
      k.end = std::min(k.end, k.first_end + q.count - 1);
    }
    if (window_ > 0) k.begin = std::max(k.begin, k.first_end - window_);
    return k;
  }
  // body(seen, first, count) for the tiles of keys that the queries see.
  template <class Body>
  void for_key_tiles(const QueryTile& q, const Body& body) const {
    for (const core::Run& run : key_runs_) {
      const SeenKeys seen = seen_keys(q, run);
      for (std::int64_t first = seen.begin; first < seen.end; first += kKeys)
        body(seen, first, std::min(kKeys, seen.end - first));
    }
  }

  // scores[j, i] for keys first + j: the mask is added, and -∞ where query i does not see the key.
  void mask(const QueryTile& q, const SeenKeys& seen, const Strided<T>& added, std::int64_t sample,
            std::int64_t first, std::int64_t count, T* scores) const {
    constexpr T kHidden = -std::numeric_limits<T>::infinity();
    if (added.rank == 2)
      for (std::int64_t j = 0; j < count; ++j) {
        const T value = added(sample, first + j);
        SOAPSTONE_SIMD
        for (std::int64_t i = 0; i < kQueries; ++i) scores[j * kQueries + i] += value;
      }
    if (added.rank == 3)
      for (std::int64_t i = 0; i < q.count; ++i) {
        const T* row = &added(sample, q.first + i, first);
        const std::int64_t step = added.stride[2];
        for (std::int64_t j = 0; j < count; ++j) scores[j * kQueries + i] += row[j * step];
      }
    if (causal_ && first + count > seen.first_end)
      for (std::int64_t j = 0; j < count; ++j) {
        const std::int64_t blind =
            std::min(kQueries, first + j - seen.first_end + 1);  // the first so many queries
        for (std::int64_t i = 0; i < blind; ++i) scores[j * kQueries + i] = kHidden;
      }
    if (window_ > 0 && first < seen.first_end + q.count - 1 - window_)
      for (std::int64_t j = 0; j < count; ++j) {
        const std::int64_t seeing = std::max<std::int64_t>(
            0, first + j - seen.first_end + 1 + window_);  // queries up to here
        for (std::int64_t i = seeing; i < kQueries; ++i) scores[j * kQueries + i] = kHidden;
      }
  }
  // Without dimensions where there is none. Its keys are those of the whole tensor.
  Strided<T> added_mask(const StepCall& call) const {
    const Block& block = steps_.value(call, "mask");
    if (block.size() == 0) return {};
    Strided<T> m = strided<T>(block);
    m.data += keys_.begin * m.stride[m.rank - 1];
    return m;
  }

  struct Forward {
    Heads<T> q, k, v, y;
    Strided<T> lse, added;
    // Of a ring, instead of y and lse.
    Heads<T> sums_before, sums;
    Strided<T> seen_before, seen;
  };

  void forward(const StepCall& call) const {
    Forward a;
    a.q = input(call, 0), a.k = input(call, 1), a.v = input(call, 2);
    a.added = added_mask(call);
    if (in_ring(call)) {
      a.sums_before = heads_of<T>(steps_.value(call, "sums"));
      a.sums = heads_of<T>(steps_.written(call, "sums"));
      a.seen_before = strided<T>(steps_.value(call, "seen"));
      a.seen = strided<T>(steps_.written(call, "seen"));
    } else {
      a.y = heads_of<T>(steps_.value(call, "y"));
      a.lse = strided<T>(steps_.value(call, "lse"));
    }
    const std::int64_t tiles = query_tiles(), tasks = samples_ * heads_ * tiles,
                       workers = lanes(tasks);
    auto* workspace = static_cast<T*>(call.workspace);
    const std::int64_t elements = forward_elements();
    const AttentionKernel* self = this;
    parallel_for(Space(), "soapstone::attention::forward", workers, [=](std::int64_t lane) {
      for (std::int64_t task = lane; task < tasks; task += workers)
        self->forward_tile(a, task / tiles / self->heads_, task / tiles % self->heads_,
                           self->tiles_[static_cast<std::size_t>(task % tiles)],
                           workspace + lane * elements);
    });
  }

  void forward_tile(const Forward& a, std::int64_t sample, std::int64_t head, const QueryTile& tile,
                    T* memory) const {
    const auto &q = a.q, &k = a.k, &v = a.v;
    const bool goes_on = a.sums.data != nullptr;
    const std::int64_t d = features_, width = width_, group = head / group_heads();
    const auto take = [&](std::int64_t count) { return std::exchange(memory, memory + count); };
    T* scores = take(kKeys * kQueries);
    T* columns = take(kQueries * width);  // q transposed
    T* sums = take(kQueries * width);     // Σ_j exp(s_ij - largest_i) v_j; q before that
    T* keys = take(kKeys * width);
    T* values = take(kKeys * width);
    T largest[kQueries], total[kQueries], correction[kQueries], shift[kQueries];
    load(q, q.at(sample, head, tile.first), tile.count, d, T(1) / std::sqrt(static_cast<T>(d)),
         kQueries, width, sums);
    transpose(sums, width, d, columns);
    for (std::int64_t i = 0; i < kQueries * width; ++i) sums[i] = T(0);
    for (std::int64_t i = 0; i < kQueries; ++i) {
      largest[i] = -std::numeric_limits<T>::infinity();
      total[i] = T(0);
    }
    if (goes_on) {
      load(a.sums_before, a.sums_before.at(sample, head, tile.first), tile.count, d, T(1), kQueries,
           width, sums);
      for (std::int64_t i = 0; i < tile.count; ++i) {
        total[i] = a.seen_before(sample, head, tile.first + i, 1);
        if (total[i] > T(0)) largest[i] = a.seen_before(sample, head, tile.first + i, 0);
      }
    }
    bool has_sums = goes_on;
    for_key_tiles(tile, [&](const SeenKeys& seen, std::int64_t first, std::int64_t count) {
      load(k, k.at(sample, group, first), count, d, T(1), kKeys, width, keys);
      load(v, v.at(sample, group, first), count, d, T(1), kKeys, width, values);
      product<Into::kZero, T>(kKeys, kQueries, d, {keys, width, 1}, columns, scores);
      mask(tile, seen, a.added, sample, first, count, scores);
      SOAPSTONE_SIMD
      for (std::int64_t i = 0; i < kQueries; ++i) correction[i] = largest[i];
      for (std::int64_t j = 0; j < count; ++j) {
        const T* row = scores + j * kQueries;
        SOAPSTONE_SIMD
        for (std::int64_t i = 0; i < kQueries; ++i)
          largest[i] = row[i] > largest[i] ? row[i] : largest[i];
      }
      // A query that has seen no key yet has -∞, which has no difference to itself.
      SOAPSTONE_SIMD
      for (std::int64_t i = 0; i < kQueries; ++i) {
        shift[i] = largest[i] >= std::numeric_limits<T>::lowest() ? largest[i] : T(0);
        correction[i] = exponential(correction[i] - shift[i]);
        total[i] *= correction[i];
      }
      for (std::int64_t j = 0; j < count; ++j) {
        T* row = scores + j * kQueries;
        SOAPSTONE_SIMD
        for (std::int64_t i = 0; i < kQueries; ++i) {
          row[i] = exponential(row[i] - shift[i]);
          total[i] += row[i];
        }
      }
      if (std::exchange(has_sums, true))
        for (std::int64_t i = 0; i < kQueries; ++i) {
          SOAPSTONE_SIMD
          for (std::int64_t f = 0; f < width; ++f) sums[i * width + f] *= correction[i];
        }
      product<Into::kSum, T>(kQueries, width, count, {scores, 1, kQueries}, values, sums);
    });
    const Heads<T>& y = goes_on ? a.sums : a.y;
    for (std::int64_t i = 0; i < tile.count; ++i) {
      T* to = y.at(sample, head, tile.first + i);
      const bool sees = total[i] != T(0);
      const T factor = !sees ? T(0) : goes_on ? T(1) : T(1) / total[i];
      for (std::int64_t f = 0; f < d; ++f) to[f * y.d] = sums[i * width + f] * factor;
      if (goes_on) {
        a.seen(sample, head, tile.first + i, 0) = sees ? largest[i] : T(0);
        a.seen(sample, head, tile.first + i, 1) = total[i];
      } else {
        a.lse(sample, head, tile.first + i) = sees ? largest[i] + std::log(total[i]) : T(0);
      }
    }
  }

  struct Backward {
    Heads<T> q, k, v, y, dy, dq, dk, dv;
    Strided<T> lse;
    Strided<T> added;
    T* parts = nullptr;  // of dk and dv, but for the first: [part - 1][dk or dv][n][g][keys][d]
  };
  // dk (0) or dv (1) of a part: the gradient itself for the last; nothing where nobody wants it.
  Heads<T> part_of(const Backward& b, std::int64_t part, int which) const {
    const Heads<T>& whole = which == 0 ? b.dk : b.dv;
    if (part == parts() - 1 || whole.data == nullptr) return whole;
    const std::int64_t length = keys_.extent(), head = length * features_;
    return {b.parts + part * part_elements() + which * samples_ * groups_ * head,
            groups_ * head,
            features_,
            head,
            1,
            length};
  }
  // body(tile, head of the group) for what a part computes: parts see about as many keys each.
  template <class Body>
  void for_tiles_of(std::int64_t part, const Body& body) const {
    const std::int64_t heads = group_heads(), cut = parts();
    const auto work = [&](const QueryTile& tile) {
      std::int64_t keys = 1;
      for (const core::Run& run : key_runs_) keys += seen_keys(tile, run).extent();
      return keys;
    };
    std::int64_t total = 0, before = 0;
    for (const QueryTile& tile : tiles_) total += heads * work(tile);
    for (const QueryTile& tile : tiles_) {
      for (std::int64_t head = 0; head < heads; ++head) {
        if (before * cut / total == part) body(tile, head);
        before += work(tile);
      }
    }
  }
  core::Interval keys_of(std::int64_t part) const {
    core::Interval keys{keys_.extent(), 0};
    for_tiles_of(part, [&](const QueryTile& tile, std::int64_t) {
      for (const core::Run& run : key_runs_) {
        const SeenKeys seen = seen_keys(tile, run);
        if (seen.extent() == 0) continue;
        keys.begin = std::min(keys.begin, seen.begin);
        keys.end = std::max(keys.end, seen.end);
      }
    });
    return keys;
  }

  void backward(const StepCall& call) const {
    Backward b;
    b.q = input(call, 0), b.k = input(call, 1), b.v = input(call, 2);
    b.y = heads_of<T>(steps_.value(call, "y"));
    b.dy = heads_of<T>(steps_.gradient(call, "y"));
    b.lse = strided<T>(steps_.value(call, "lse"));
    b.dq = input_gradient(call, 0), b.dk = input_gradient(call, 1), b.dv = input_gradient(call, 2);
    b.added = added_mask(call);
    const std::int64_t cut = parts(), tasks = samples_ * groups_ * cut, workers = lanes(tasks),
                       elements = backward_elements();
    auto* workspace = static_cast<T*>(call.workspace);
    b.parts = workspace + workers * elements;
    const AttentionKernel* self = this;
    parallel_for(Space(), "soapstone::attention::backward_input", workers, [=](std::int64_t lane) {
      for (std::int64_t task = lane; task < tasks; task += workers)
        self->backward_part(b, task / cut / self->groups_, task / cut % self->groups_, task % cut,
                            workspace + lane * elements);
    });
    const std::int64_t key_tiles = (keys_.extent() + kKeys - 1) / kKeys;
    if (cut > 1)
      parallel_for(Space(), "soapstone::attention::backward_input_sum",
                   samples_ * groups_ * key_tiles, [=](std::int64_t task) {
                     const std::int64_t head = task / key_tiles, first = task % key_tiles * kKeys;
                     for (const int which : {0, 1})
                       self->add_parts(b, head / self->groups_, head % self->groups_, which,
                                       {first, first + kKeys});
                   });
  }

  void add_parts(const Backward& b, std::int64_t sample, std::int64_t group, int which,
                 const core::Interval& positions) const {
    const std::int64_t last = parts() - 1;
    const Heads<T> to = part_of(b, last, which);
    if (to.data == nullptr) return;
    for (std::int64_t part = 0; part < last; ++part) {
      const Heads<T> from = part_of(b, part, which);
      const core::Interval keys = core::intersect(keys_of(part), positions);
      for (std::int64_t j = keys.begin; j < keys.end; ++j)
        add_row(from.at(sample, group, j), to.at(sample, group, j), to.d);
    }
  }
  // to[f · step] += from[f]
  void add_row(const T* from, T* to, std::int64_t step) const {
    if (step == 1) {
      SOAPSTONE_SIMD
      for (std::int64_t f = 0; f < features_; ++f) to[f] += from[f];
    } else {
      for (std::int64_t f = 0; f < features_; ++f) to[f * step] += from[f];
    }
  }

  void backward_part(const Backward& b, std::int64_t sample, std::int64_t group, std::int64_t part,
                     T* memory) const {
    const Heads<T> dk = part_of(b, part, 0), dv = part_of(b, part, 1);
    const core::Interval keys =
        part == parts() - 1 ? core::Interval{0, keys_.extent()} : keys_of(part);
    if (dk.data != nullptr) clear(dk, sample, group, keys);
    if (dv.data != nullptr) clear(dv, sample, group, keys);
    for_tiles_of(part, [&](const QueryTile& tile, std::int64_t head) {
      backward_tile(b, dk, dv, sample, group, group * group_heads() + head, tile, memory);
    });
  }

  void backward_tile(const Backward& b, const Heads<T>& dk, const Heads<T>& dv, std::int64_t sample,
                     std::int64_t group, std::int64_t head, const QueryTile& tile,
                     T* memory) const {
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
    const auto add_rows = [&](const Heads<T>& to, std::int64_t first, std::int64_t count) {
      for (std::int64_t j = 0; j < count; ++j)
        add_row(sums + j * width, to.at(sample, group, first + j), to.d);
    };
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
    for_key_tiles(tile, [&](const SeenKeys& seen, std::int64_t first, std::int64_t count) {
      load(b.k, b.k.at(sample, group, first), count, d, T(1), kKeys, width, keys);
      load(b.v, b.v.at(sample, group, first), count, d, T(1), kKeys, width, values);
      product<Into::kZero, T>(kKeys, kQueries, d, {keys, width, 1}, q_columns, p);
      product<Into::kZero, T>(kKeys, kQueries, d, {values, width, 1}, dy_columns, ds);
      mask(tile, seen, b.added, sample, first, count, p);
      for (std::int64_t j = 0; j < count; ++j) {
        T *p_row = p + j * kQueries, *ds_row = ds + j * kQueries;
        SOAPSTONE_SIMD
        for (std::int64_t i = 0; i < kQueries; ++i) {
          p_row[i] = exponential(p_row[i] - lse[i]);
          ds_row[i] = p_row[i] * (ds_row[i] - delta[i]);
        }
      }
      if (dv.data != nullptr) {
        product<Into::kZero, T>(kKeys, width, kQueries, {p, kQueries, 1}, dy_rows, sums);
        add_rows(dv, first, count);
      }
      if (dk.data != nullptr) {
        product<Into::kZero, T>(kKeys, width, kQueries, {ds, kQueries, 1}, q_rows, sums);
        add_rows(dk, first, count);
      }
      if (b.dq.data != nullptr)
        product<Into::kSum, T>(kQueries, width, count, {ds, 1, kQueries}, keys, dq);
    });
    if (b.dq.data == nullptr) return;
    for (std::int64_t i = 0; i < tile.count; ++i) {
      T* to = b.dq.at(sample, head, tile.first + i);
      for (std::int64_t f = 0; f < d; ++f) to[f * b.dq.d] = dq[i * width + f] * scale;
    }
  }

  StepTable steps_;
  bool causal_ = false;
  std::int64_t window_ = 0;
  bool packed_ = false;
  std::int64_t samples_ = 0;
  core::Interval queries_, keys_;        // indices in the whole sequences
  std::vector<QueryTile> tiles_;         // of the queries
  std::vector<core::Run> key_runs_;      // of the keys
  std::int64_t heads_ = 0, groups_ = 0;  // of queries; of keys and values
  std::int64_t features_ = 0;
  std::int64_t width_ = 0;       // features, padded
  std::int64_t keys_ahead_ = 0;  // keys that lie before the first query
};

}  // namespace

std::unique_ptr<PreparedKernel> attention_kokkos(const core::LocalProblem& problem) {
  return detail::prepare_floating<AttentionKernel>(problem);
}

}  // namespace soapstone::kernels
