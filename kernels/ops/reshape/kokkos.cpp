// reshape: the element of y with the row-major index of that of x; backward the other way; see
// core/ops/reshape.hpp.
//
// x and y in any order (a channels-last image flattened to features is a transposition); overwrites
// y or dx. f32, f64 and i32. Both are cut into dimensions that they have in common, and the copy
// runs over memory of what it writes; where they have none in common it computes every index.
#include <optional>
#include <vector>

#include "kernels/detail/block_access.hpp"
#include "kernels/detail/copy_nest.hpp"
#include "kernels/detail/step_table.hpp"

namespace soapstone::kernels {
namespace {

using namespace detail;

// Dimensions [first, last) of a tensor and the piece of it that a box holds.
struct Group {
  std::size_t first, last;
};

// The row-major range that a box holds of a group of dimensions, if it is one.
std::optional<core::Interval> range_of(const core::Shape& shape, const core::Box& box,
                                       const Group& g) {
  core::Interval range{0, 1};
  bool longer = false;
  for (std::size_t d = g.first; d < g.last; ++d) {
    const std::int64_t extent = box[d].extent();
    if (longer && extent != shape[d]) return std::nullopt;
    range = {range.begin * shape[d] + box[d].begin, (range.end - 1) * shape[d] + box[d].end};
    longer |= extent > 1;
  }
  return range;
}

// Whether the boxes hold the same elements in the same row-major order: so it is where both hold
// the same range of every group of dimensions with equal products.
bool is_local_reshape(const core::Shape& a, const core::Box& a_box, const core::Shape& b,
                      const core::Box& b_box) {
  Group ga{0, 0}, gb{0, 0};
  while (ga.first < a.size() || gb.first < b.size()) {
    std::int64_t pa = ga.last < a.size() ? a[ga.last++] : 1,
                 pb = gb.last < b.size() ? b[gb.last++] : 1;
    while (pa != pb) {
      if (pa < pb && ga.last < a.size())
        pa *= a[ga.last++];
      else if (pb < pa && gb.last < b.size())
        pb *= b[gb.last++];
      else
        return false;
    }
    const auto ra = range_of(a, a_box, ga), rb = range_of(b, b_box, gb);
    if (!ra || !rb || *ra != *rb) return false;
    ga.first = ga.last;
    gb.first = gb.last;
  }
  return true;
}

// Extents that both shapes are products of, and how each lies along them.
struct Common {
  core::Shape extents;
  Strides a, b;
};
std::optional<Common> common_dimensions(const Block& a, const Block& b) {
  const core::Shape ea = core::extents(a.box), eb = core::extents(b.box);
  const Strides sa = strides_of(a), sb = strides_of(b);
  Common common;
  std::size_t i = 0, k = 0;
  std::int64_t left_a = 1, left_b = 1;
  while (true) {
    while (left_a == 1 && i < ea.size()) left_a = ea[i++];
    while (left_b == 1 && k < eb.size()) left_b = eb[k++];
    if (left_a == 1 && left_b == 1) return common;
    const std::int64_t f = std::min(left_a, left_b);
    if (left_a % f != 0 || left_b % f != 0 || common.extents.size() == core::kMaxRank)
      return std::nullopt;
    left_a /= f;
    left_b /= f;
    common.extents.push_back(f);
    common.a.push_back(sa[i - 1] * left_a);
    common.b.push_back(sb[k - 1] * left_b);
  }
}

// Every index for itself.
template <class T>
void copy_by_index(const Space& space, const char* label, const Strided<T>& to,
                   const core::Shape& to_shape, const Strided<T>& from,
                   const core::Shape& from_shape) {
  parallel_for(space, label, to.size, [=](std::int64_t position) {
    std::int64_t to_offset = 0, index = 0, stride = 1;
    for (int d = to.rank - 1; d >= 0; --d) {
      const std::int64_t at = position % to.extent[d];
      position /= to.extent[d];
      to_offset += at * to.stride[d];
      index += (to.begin[d] + at) * stride;
      stride *= to_shape[static_cast<std::size_t>(d)];
    }
    std::int64_t from_offset = 0;
    for (int d = from.rank - 1; d >= 0; --d) {
      const std::int64_t extent = from_shape[static_cast<std::size_t>(d)];
      from_offset += (index % extent - from.begin[d]) * from.stride[d];
      index /= extent;
    }
    to.data[to_offset] = from.data[from_offset];
  });
}

class ReshapeKernel final : public PreparedKernel {
 public:
  explicit ReshapeKernel(const core::LocalProblem& problem) : steps_(*problem.definition) {
    const core::OpDefinition& definition = *problem.definition;
    const int x = definition.operand("x"), y = definition.operand("y");
    x_shape_ = definition.operands[x].desc.shape;
    y_shape_ = definition.operands[y].desc.shape;
    const core::Box x_box = problem.box(x), y_box = problem.box(y);
    SOAPSTONE_ASSERT(core::elements(x_box) == core::elements(y_box),
                     "x has box {} but y has box {}", core::print(x_box), core::print(y_box));
    is_local_ = core::elements(x_box) > 0 && is_local_reshape(x_shape_, x_box, y_shape_, y_box);
  }

  void execute(const StepCall& call) const override {
    if (steps_.name(call) == "forward")
      return copy("soapstone::reshape::forward", steps_.value(call, "y"), y_shape_,
                  steps_.value(call, "x"), x_shape_);
    if (steps_.name(call) == "backward_input")
      return copy("soapstone::reshape::backward_input", steps_.gradient(call, "x"), x_shape_,
                  steps_.gradient(call, "y"), y_shape_);
    unknown_step("reshape/kokkos", steps_.name(call));
  }

 private:
  void copy(const char* label, const Block& to, const core::Shape& to_shape, const Block& from,
            const core::Shape& from_shape) const {
    if (to.data == nullptr || to.size() == 0) return;
    const Space space;
    std::optional<Common> common;
    if (is_local_ && is_row_major(to) && is_row_major(from))
      common = Common{{to.size()}, {1}, {1}};
    else if (is_local_)
      common = common_dimensions(to, from);
    dispatch_any(to.dtype, [&](auto zero) {
      using T = decltype(zero);
      if (common)
        copy_nest<T>(space, label, make_nest<2>(common->extents, {common->a, common->b}),
                     data_of<T>(to), data_of<T>(from));
      else
        copy_by_index<T>(space, label, strided<T>(to), to_shape, strided<T>(from), from_shape);
    });
  }

  StepTable steps_;
  core::Shape x_shape_, y_shape_;  // of the whole tensors
  bool is_local_ = false;          // what is here of y is a reshape of what is here of x
};

}  // namespace

std::unique_ptr<PreparedKernel> reshape_kokkos(const core::LocalProblem& problem) {
  return std::make_unique<ReshapeKernel>(problem);
}

}  // namespace soapstone::kernels
