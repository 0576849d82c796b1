// Every operator's steps in double precision, written straight from the formulas in core/ops/*.hpp:
// the oracle of kernels and of whole plans. Slow on purpose, and depends on core only.
//
// Loops run over the part's axis intervals in global indices, so that a reduction over a split axis
// gives a partial sum; what lies outside the unsharded tensor is padding. Every access is checked
// against the operand's box: a box that is derived wrongly throws.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>

#include "core/local_problem.hpp"

namespace soapstone::reference {

// A box of a tensor, row-major and packed. i32 operands are held as doubles too.
struct View {
  core::Box box;
  double* data = nullptr;  // core::elements(box) of them

  // The element at a global index; throws core::InvariantError outside the box.
  double& at(std::span<const std::int64_t> index) const;
  template <class... Index>
  double& operator()(Index... index) const {
    const std::int64_t list[] = {static_cast<std::int64_t>(index)...};
    return at(list);
  }
};

// What random numbers are keyed by besides the global element index; as kernels::RandomKey.
struct RandomKey {
  std::uint64_t seed = 0;
  std::uint64_t step = 0;
  std::uint32_t op = 0;
  std::int64_t sample_offset =
      0;  // added to the first dimension's index to get that in the mini-batch
};

// Whether this part has the operand: a bias exists on the first part of a split reduction only.
bool is_present(const core::LocalProblem& problem, int operand);
// problem.box(operand), or an empty box of the same rank where the operand is not present.
core::Box present_box(const core::LocalProblem& problem, int operand);

// Computes one step of the definition. `operands` are the step's reads, then its writes, each with
// present_box(); what is written is overwritten in full.
void run_step(const core::LocalProblem& problem, int step, std::span<const View> operands,
              const RandomKey& random);

}  // namespace soapstone::reference
