#include "kernels/row_update.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "kernels/detail/prefetch.hpp"
#include "kernels/detail/rows.hpp"
#include "kernels/detail/simd.hpp"

namespace soapstone::kernels {

namespace {

using namespace detail;

constexpr std::int64_t kColumns = 256;     // summed at a time
constexpr std::int64_t kMostPieces = 256;  // of all positions, each handled by one thread
constexpr std::int64_t kAhead = 8;         // positions that are fetched before they are needed

std::int64_t rows_in(const Block& block) {
  return block.size() == 0 ? 0 : block.size() / block.box.back().extent();
}

// Keys (row << 32 | position) in ascending order, and what a row of dy is multiplied by.
struct Sorted {
  const std::uint64_t* keys = nullptr;
  std::int64_t count = 0;
  const double* scale = nullptr;      // null: 1
  const void* const* data = nullptr;  // of the rows of every part
  std::int64_t parts = 0;
  std::int64_t positions = 0;  // of one part
  std::int64_t length = 1;     // positions of one row of dy

  std::int64_t row(std::int64_t k) const { return static_cast<std::int64_t>(keys[k] >> 32); }
  std::int64_t position(std::int64_t k) const {
    return static_cast<std::int64_t>(keys[k] & 0xffffffffu);
  }
};

// Stable, by the row alone: positions stay in their order. `other` is scratch; the result lies in
// what is returned.
std::uint64_t* sort_by_row(std::uint64_t* keys, std::uint64_t* other, std::int64_t count,
                           std::int64_t rows) {
  constexpr int kDigit = 11;
  const int bits = std::bit_width(static_cast<std::uint64_t>(std::max<std::int64_t>(1, rows - 1)));
  std::array<std::int32_t, (1 << kDigit) + 1> first;  // NOLINT: filled below
  for (int shift = 32; shift < 32 + bits; shift += kDigit) {
    first.fill(0);
    const auto digit = [=](std::uint64_t key) {
      return static_cast<std::size_t>((key >> shift) & ((1u << kDigit) - 1));
    };
    for (std::int64_t k = 0; k < count; ++k) ++first[digit(keys[k]) + 1];
    for (std::size_t d = 1; d < first.size(); ++d) first[d] += first[d - 1];
    for (std::int64_t k = 0; k < count; ++k) other[first[digit(keys[k])]++] = keys[k];
    std::swap(keys, other);
  }
  return keys;
}

Sorted sorted(const core::Box& table, const RowGradients& gradients, void* workspace) {
  SOAPSTONE_ASSERT(gradients.rows != core::RowGradient::kNone && !gradients.parts.empty(),
                   "a gradient of {} parts", gradients.parts.size());
  Sorted out;
  const RowBlocks& first = gradients.parts[0];
  out.positions = first.ids.size();
  const std::int64_t rows = rows_in(first.rows);
  if (out.positions == 0) return out;
  SOAPSTONE_ASSERT(rows > 0 && out.positions % rows == 0, "{} ids for {} rows", out.positions,
                   rows);
  out.length = out.positions / rows;
  const auto parts = static_cast<std::int64_t>(gradients.parts.size());
  SOAPSTONE_ASSERT(parts * out.positions < std::int64_t{1} << 31, "{} ids", parts * out.positions);
  auto* keys = static_cast<std::uint64_t*>(workspace);
  auto* other = keys + parts * out.positions;
  auto* scale = reinterpret_cast<double*>(other + parts * out.positions);
  auto* data = reinterpret_cast<const void**>(scale + parts * rows);
  const bool is_mean = gradients.rows == core::RowGradient::kMean;
  const core::Interval vocab = table[0];
  for (std::int64_t m = 0; m < parts; ++m) {
    const RowBlocks& part = gradients.parts[static_cast<std::size_t>(m)];
    SOAPSTONE_ASSERT(part.ids.size() == out.positions && rows_in(part.rows) == rows &&
                         part.rows.box.back() == table[1],
                     "{} ids and rows {} beside {} ids and rows {} of table {}", part.ids.size(),
                     core::print(part.rows.box), out.positions, core::print(first.rows.box),
                     core::print(table));
    data[m] = part.rows.data;
    const auto ids = rows_of<const std::int32_t>(part.ids, Trailing::kNone);
    for (std::int64_t r = 0; r < rows; ++r) {
      std::int64_t met = 0;
      for (std::int64_t p = r * out.length; p < (r + 1) * out.length; ++p) {
        const std::int64_t id = *ids.row(p);
        met += id >= 0 ? 1 : 0;
        if (id >= vocab.begin && id < vocab.end)
          keys[out.count++] = static_cast<std::uint64_t>(id - vocab.begin) << 32 |
                              static_cast<std::uint64_t>(m * out.positions + p);
      }
      if (is_mean) scale[m * rows + r] = met > 0 ? 1 / static_cast<double>(met) : 0;
    }
  }
  out.keys = sort_by_row(keys, other, out.count, vocab.extent());
  if (is_mean) out.scale = scale;
  out.data = data;
  out.parts = parts;
  return out;
}

// visit(piece, row, first column, columns, gradient in T) for every row that is met, its columns in
// pieces of kColumns; and prepare(row) some time before. Every row is visited by one thread.
template <class T, class G, class Prepare, class Visit>
void for_merged_rows(const char* label, const Sorted& keys, const RowGradients& gradients,
                     std::int64_t columns, const Prepare& prepare, const Visit& visit) {
  if (keys.count == 0 || columns == 0) return;
  // All parts lie alike.
  const Rows<G> first = rows_of<G>(gradients.parts[0].rows);
  const std::int64_t grain = std::max({std::int64_t{1}, std::int64_t{8192} / columns,
                                       (keys.count + kMostPieces - 1) / kMostPieces});
  // Frequent ids make some rows long: pieces are handed out as threads become free.
  using Dynamic = Kokkos::RangePolicy<Space, Kokkos::IndexType<std::int64_t>,
                                      Kokkos::Schedule<Kokkos::Dynamic>>;
  if_contiguous(first.step == 1, [&](auto is_contiguous) {
    Kokkos::parallel_for(
        label_text(label),
        Dynamic(Space(), 0, (keys.count + grain - 1) / grain, Kokkos::ChunkSize(1)),
        [=](std::int64_t piece) {
          const auto row_of = [&](std::int64_t k) {
            std::int64_t p = keys.position(k), part = 0;
            if (keys.parts > 1) part = p / keys.positions, p %= keys.positions;
            const std::int64_t r = keys.length == 1 ? p : p / keys.length;
            return static_cast<const G*>(keys.data[part]) + (first.row(r) - first.data);
          };
          const auto factor_of = [&](std::int64_t k) {
            return keys.scale == nullptr ? 1.0 : keys.scale[keys.position(k) / keys.length];
          };
          const auto step = step_of(is_contiguous, first.step);
          // A row belongs to the piece in which its positions begin.
          std::int64_t k = piece * grain;
          while (k > 0 && k < keys.count && keys.row(k) == keys.row(k - 1)) ++k;
          const std::int64_t end = std::min(keys.count, (piece + 1) * grain);
          while (k < end) {
            std::int64_t next = k + 1;
            while (next < keys.count && keys.row(next) == keys.row(k)) ++next;
            if (k + kAhead < keys.count) {
              prepare(keys.row(k + kAhead));
              prefetch_row(row_of(k + kAhead), columns);
            }
            for (std::int64_t j0 = 0; j0 < columns; j0 += kColumns) {
              const std::int64_t count = std::min(kColumns, columns - j0);
              T merged[kColumns];  // NOLINT: filled below
              if (next == k + 1 && keys.scale == nullptr) {
                const G* from = row_of(k) + j0 * step;
                for (std::int64_t j = 0; j < count; ++j) merged[j] = static_cast<T>(from[j * step]);
              } else {
                double sums[kColumns];  // NOLINT: filled below
                std::fill_n(sums, count, 0.0);
                for (std::int64_t i = k; i < next; ++i) {
                  const G* from = row_of(i) + j0 * step;
                  const double factor = factor_of(i);
                  SOAPSTONE_SIMD
                  for (std::int64_t j = 0; j < count; ++j)
                    sums[j] += factor * static_cast<double>(from[j * step]);
                }
                for (std::int64_t j = 0; j < count; ++j) merged[j] = static_cast<T>(sums[j]);
              }
              visit(piece, keys.row(k), j0, count, merged);
            }
            k = next;
          }
        });
  });
}

// body(T{}, G{}): the dtypes of the table and of the rows of its gradient.
template <class Body>
void dispatch_table(core::DType table, const RowGradients& gradients, const Body& body) {
  dispatch_master(table, [&](auto t) {
    dispatch_floating(gradients.parts[0].rows.dtype, [&](auto g) { body(t, g); });
  });
}

}  // namespace

core::Bytes row_workspace(const RowGradients& gradients) {
  std::int64_t positions = 0, rows = 0;
  for (const RowBlocks& part : gradients.parts) {
    positions += part.ids.size();
    rows += rows_in(part.rows);
  }
  return core::Bytes(core::row_merge_workspace(positions, rows,
                                               static_cast<std::int64_t>(gradients.parts.size())));
}

void update_rows(const Block& weight, const RowGradients& gradients, std::span<const Block> states,
                 const OptimizerUpdate& update, void* workspace) {
  SOAPSTONE_ASSERT(core::keeps_rows_of_zeros(update.kind, update.momentum, update.weight_decay),
                   "{} with momentum {} and weight decay {} changes rows that no id meets",
                   core::name_of(update.kind), update.momentum, update.weight_decay);
  SOAPSTONE_ASSERT(
      static_cast<int>(states.size()) == core::optimizer_states(update.kind, update.momentum),
      "{} state tensors, {} wants {}", states.size(), core::name_of(update.kind),
      core::optimizer_states(update.kind, update.momentum));
  for (const Block& s : states)
    SOAPSTONE_ASSERT(same_layout(weight, s), "weight {} and state {} lie differently",
                     core::print(weight.box), core::print(s.box));
  const Sorted keys = sorted(weight.box, gradients, workspace);
  dispatch_table(weight.dtype, gradients, [&](auto zero, auto of_rows) {
    using T = decltype(zero);
    using G = decltype(of_rows);
    const Rows<T> w = rows_of<T>(weight);
    const T rate = static_cast<T>(update.learning_rate);
    const T scale = static_cast<T>(update.gradient_scale);
    const auto fetch = [=](std::int64_t row) { prefetch_row(w.row(row), w.columns); };
    if (update.kind == core::OptimizerKind::kSgd) {
      for_merged_rows<T, G>(
          "soapstone::optimizer::sgd_rows", keys, gradients, w.columns, fetch,
          [=](std::int64_t, std::int64_t row, std::int64_t j0, std::int64_t count, const T* g) {
            T* to = w.row(row) + j0 * w.step;
            SOAPSTONE_SIMD
            for (std::int64_t j = 0; j < count; ++j) to[j * w.step] -= rate * (scale * g[j]);
          });
      return;
    }
    const Rows<T> s = rows_of<T>(states[0]);
    const T epsilon = static_cast<T>(update.epsilon);
    const auto fetch_both = [=](std::int64_t row) {
      fetch(row);
      prefetch_row(s.row(row), s.columns);
    };
    for_merged_rows<T, G>(
        "soapstone::optimizer::adagrad_rows", keys, gradients, w.columns, fetch_both,
        [=](std::int64_t, std::int64_t row, std::int64_t j0, std::int64_t count, const T* g) {
          T* to = w.row(row) + j0 * w.step;
          T* sum = s.row(row) + j0 * s.step;
          SOAPSTONE_SIMD
          for (std::int64_t j = 0; j < count; ++j) {
            const T scaled = scale * g[j];
            const T squares = sum[j * s.step] + scaled * scaled;
            sum[j * s.step] = squares;
            to[j * w.step] -= rate * scaled / (std::sqrt(squares) + epsilon);
          }
        });
  });
}

double sum_of_squares(const core::Box& table, core::DType dtype, const RowGradients& gradients,
                      void* workspace) {
  const Sorted keys = sorted(table, gradients, workspace);
  std::array<double, kMostPieces> partial{};
  double* sums = partial.data();
  dispatch_table(dtype, gradients, [&](auto zero, auto of_rows) {
    using T = decltype(zero);
    using G = decltype(of_rows);
    for_merged_rows<T, G>(
        "soapstone::optimizer::sum_of_squares_rows", keys, gradients, table[1].extent(),
        [](std::int64_t) {},
        [=](std::int64_t piece, std::int64_t, std::int64_t, std::int64_t count, const T* g) {
          double sum = 0;
          SOAPSTONE_SIMD_SUM(sum)
          for (std::int64_t j = 0; j < count; ++j)
            sum += static_cast<double>(g[j]) * static_cast<double>(g[j]);
          sums[piece] += sum;
        });
  });
  double sum = 0;
  for (const double v : partial) sum += v;
  return sum;
}

void expand_rows(const Block& gradient, const RowGradients& gradients, void* workspace) {
  const Sorted keys = sorted(gradient.box, gradients, workspace);
  dispatch_table(gradient.dtype, gradients, [&](auto zero, auto of_rows) {
    using T = decltype(zero);
    using G = decltype(of_rows);
    const Rows<T> to = rows_of<T>(gradient);
    std::fill_n(data_of<T>(gradient), gradient.size(), T(0));
    for_merged_rows<T, G>(
        "soapstone::optimizer::expand_rows", keys, gradients, to.columns, [](std::int64_t) {},
        [=](std::int64_t, std::int64_t row, std::int64_t j0, std::int64_t count, const T* g) {
          T* into = to.row(row) + j0 * to.step;
          for (std::int64_t j = 0; j < count; ++j) into[j * to.step] = g[j];
        });
  });
}

}  // namespace soapstone::kernels
