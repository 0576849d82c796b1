// What a kernel candidate is. One operator has an ordered list of them,
// fastest first; the portable Kokkos kernel is last and always accepts.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/local_problem.hpp"
#include "core/shape.hpp"

namespace soapstone::kernels {

// A densely packed block of a tensor in memory: `box` says which global
// indices it holds, `order` how its dimensions lie (core::TensorDesc::order).
struct Block {
  void* data = nullptr;
  core::DType dtype = core::DType::kF32;
  core::Box box;
  core::DimOrder order;

  // A block without dimensions is one that is absent.
  std::int64_t size() const { return box.empty() ? 0 : core::elements(box); }
};

// What random numbers are keyed by besides the global element index.
struct RandomKey {
  std::uint64_t seed = 0;  // of the run
  std::uint64_t step = 0;  // training step; micro-batches of a step have distinct offsets
  std::uint32_t op = 0;    // index of the operator in the graph
  // What is added to the first dimension's index to get that in the mini-batch: the number of the
  // micro-batch times the extent of the operator's first input in one micro-batch. These are
  // samples where the dimension is the batch, and rows where a reshape merged others into it.
  std::int64_t sample_offset = 0;
  bool is_evaluation = false;  // nothing is random: dropout passes its input on
};

struct StepCall {
  int step = 0;                     // index into the definition's steps
  std::span<const Block> operands;  // in the order of the step's reads, then its writes
  void* workspace = nullptr;        // PreparedKernel::workspace() bytes, 64-byte aligned
  RandomKey random;
};

// A local problem made ready on one device: primitives created, shapes
// resolved. Execution allocates nothing and leaves no state behind, so that
// one prepared kernel serves all micro-batches. Called from the main thread only.
class PreparedKernel {
 public:
  virtual ~PreparedKernel() = default;
  virtual core::Bytes workspace() const { return core::Bytes(0); }
  // What a step writes is overwritten in full, also where nothing contributes (zeros).
  // Blocks may be empty (an extent of 0) and then have no data.
  virtual void execute(const StepCall& call) const = 0;
};

struct Candidate {
  std::string name;  // e.g. "conv2d/onednn"
  // Empty: accepts. Otherwise a sentence that names the value in the way.
  std::function<std::string(const core::LocalProblem& problem)> why_not;
  std::function<std::unique_ptr<PreparedKernel>(const core::LocalProblem& problem)> prepare;
  // PreparedKernel::workspace() without preparing, for searches; null: prepare and ask.
  std::function<core::Bytes(const core::LocalProblem& problem)> workspace = nullptr;
  bool takes_bf16 = false;  // else f32 and f64 alone
};

// The candidates of an operator, fastest first. Defined per operator in
// kernels/ops/<name>/candidates.cpp; collected from core/ops/all.def. For bf16: those that take it,
// then every one widened (widened.hpp).
std::span<const Candidate> candidates(std::string_view op, core::DType dtype = core::DType::kF32);
const Candidate* find_candidate(std::string_view name);

}  // namespace soapstone::kernels
