// Runs an operator's kernel candidates over a case and says where they differ from the reference.
// Knows no Kokkos: candidates are handed in, so that false ones can be.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "kernels/kernel.hpp"
#include "tests/support/conformance/op_case.hpp"

namespace soapstone::conformance {

inline constexpr std::size_t kMostSplits = 20;  // of one case
inline constexpr core::DType kUsualDTypes[] = {core::DType::kF32, core::DType::kF64};

// What became of one candidate in one dtype.
struct Tally {
  int splits = 0;     // (shape × split) pairs that ran
  int refusals = 0;   // local problems that it did not take
  int steps = 0;      // step calls compared
  double margin = 0;  // largest error / tolerance among them

  void add(const Tally& o);
};
// By "linear/onednn f32".
using Tallies = std::map<std::string, Tally>;

struct Report {
  Tallies tallies;
  std::vector<std::string> failures;  // a line each

  std::string text() const;  // the first few
};

// Each step of each part on the inputs that the reference has: every candidate × dtype × a
// selection of splits. What a candidate keeps for itself (i32 internals) is its own from step to
// step. `use`: the steps of a training or of an evaluation.
Report check_parts(const OpCase& c, std::span<const kernels::Candidate> candidates,
                   std::size_t most_splits = kMostSplits,
                   std::span<const core::DType> dtypes = kUsualDTypes,
                   core::StepUse use = core::StepUse::kTraining);

// The whole chain of steps by the kernels alone, put together and compared with the unsharded
// reference. A split of which a part is refused does not run.
Report check_splits(const OpCase& c, std::span<const kernels::Candidate> candidates,
                    std::size_t most_splits = kMostSplits,
                    std::span<const core::DType> dtypes = kUsualDTypes,
                    core::StepUse use = core::StepUse::kTraining);

}  // namespace soapstone::conformance
