#include "tests/support/conformance/false_candidates.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <ostream>
#include <utility>
#include <vector>

#include "core/assert.hpp"
#include "tests/support/conformance/block_call.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::conformance {

namespace {

using reference::for_each_index;
using reference::Index;

std::size_t bytes_of(const kernels::Block& b) {
  return static_cast<std::size_t>((core::size_of(b.dtype) * b.size()).value);
}

template <Flaw flaw>
class ReferenceKernel final : public kernels::PreparedKernel {
 public:
  explicit ReferenceKernel(const core::LocalProblem& problem) : problem_(problem) {}

  void execute(const kernels::StepCall& call) const override {
    const std::size_t reads =
        problem_.definition->steps[static_cast<std::size_t>(call.step)].reads.size();
    std::vector<std::vector<double>> values;
    std::vector<reference::View> views;
    for (const kernels::Block& block : call.operands)
      values.emplace_back(static_cast<std::size_t>(block.size()));
    for (std::size_t k = 0; k < values.size(); ++k) {
      views.push_back({call.operands[k].box, values[k].data()});
      if (k < reads)
        for_each_index(views[k].box, [&](Index p) { views[k].at(p) = load(call.operands[k], p); });
    }
    reference::run_step(
        problem_, call.step, views,
        {call.random.seed, call.random.step, call.random.op, call.random.sample_offset});
    for (std::size_t k = reads; k < values.size(); ++k)
      write(call.operands[k], call.operands[0], views[k]);
    if (flaw == Flaw::kSpoilsInput && bytes_of(call.operands[0]) > 0)
      ++*static_cast<char*>(call.operands[0].data);
    ++calls_;
  }

 private:
  void write(const kernels::Block& to, const kernels::Block& first_read,
             const reference::View& result) const {
    std::int64_t left = to.size();
    double* const end = result.data + left;
    double* const largest = std::max_element(
        result.data, end, [](double a, double b) { return std::abs(a) < std::abs(b); });
    for_each_index(to.box, [&](Index p) {
      double value = result.at(p);
      if (flaw == Flaw::kMissesLast && --left == 0) return;
      if (flaw == Flaw::kZeros) value = 0;
      if (flaw == Flaw::kOffByALittle && &result.at(p) == largest) value *= 1 + 1e-4;
      if (flaw == Flaw::kAccumulates) value += load(to, p);
      if (flaw == Flaw::kRemembers && calls_ % 2 == 1) value = -value;
      store(to, p, value);
    });
    if (flaw == Flaw::kCopiesInput && std::min(bytes_of(to), bytes_of(first_read)) > 0)
      std::memcpy(to.data, first_read.data, std::min(bytes_of(to), bytes_of(first_read)));
    if (flaw == Flaw::kWritesBeside && to.size() > 0) static_cast<char*>(to.data)[bytes_of(to)] = 0;
  }

  core::LocalProblem problem_;
  mutable int calls_ = 0;
};

template <Flaw flaw>
kernels::Candidate candidate_with() {
  return {
      .name = "",
      .why_not = [](const core::LocalProblem&) -> std::string {
        return flaw == Flaw::kRefusesAll ? "takes nothing" : "";
      },
      .prepare = [](const core::LocalProblem& problem) -> std::unique_ptr<kernels::PreparedKernel> {
        return std::make_unique<ReferenceKernel<flaw>>(problem);
      }};
}

struct Entry {
  Flaw flaw;
  std::string_view name;
  kernels::Candidate candidate;
};
const Entry kEntries[] = {
    {Flaw::kNone, "is the reference", candidate_with<Flaw::kNone>()},
    {Flaw::kZeros, "writes zeros", candidate_with<Flaw::kZeros>()},
    {Flaw::kCopiesInput, "copies its input", candidate_with<Flaw::kCopiesInput>()},
    {Flaw::kMissesLast, "misses the last element", candidate_with<Flaw::kMissesLast>()},
    {Flaw::kOffByALittle, "is off by a little", candidate_with<Flaw::kOffByALittle>()},
    {Flaw::kAccumulates, "accumulates", candidate_with<Flaw::kAccumulates>()},
    {Flaw::kWritesBeside, "writes beside its block", candidate_with<Flaw::kWritesBeside>()},
    {Flaw::kSpoilsInput, "spoils its input", candidate_with<Flaw::kSpoilsInput>()},
    {Flaw::kRefusesAll, "refuses all", candidate_with<Flaw::kRefusesAll>()},
    {Flaw::kRemembers, "remembers", candidate_with<Flaw::kRemembers>()},
};

const Entry& entry(Flaw flaw) {
  for (const Entry& e : kEntries)
    if (e.flaw == flaw) return e;
  SOAPSTONE_ASSERT(false, "no candidate with flaw {}", static_cast<int>(flaw));
}

}  // namespace

kernels::Candidate reference_candidate(Flaw flaw) {
  kernels::Candidate candidate = entry(flaw).candidate;
  candidate.name = entry(flaw).name;
  return candidate;
}

std::string_view name_of(Flaw flaw) { return entry(flaw).name; }

void PrintTo(Flaw flaw, std::ostream* out) { *out << name_of(flaw); }

}  // namespace soapstone::conformance
