#include "tests/support/conformance/check_candidates.hpp"

#include <algorithm>
#include <set>

#include "core/assert.hpp"
#include "tests/support/conformance/block_call.hpp"
#include "tests/support/conformance/sharded_run.hpp"
#include "tests/support/conformance/tolerance.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::conformance {

namespace {

constexpr int kMostDevices = 4;

std::string index_text(const core::Box& box, std::size_t element) {
  const auto local =
      reference::row_major_index(core::extents(box), static_cast<std::int64_t>(element));
  std::string out = "[";
  for (std::size_t d = 0; d < box.size(); ++d)
    out += fmt::format("{}{}", d ? ", " : "", local[d] + box[d].begin);
  return out + "]";
}

double tolerance_of(const core::Operand& operand, core::Ref ref, double coefficient, double epsilon,
                    double growth) {
  // Counts and indices are exact.
  const bool exact =
      operand.desc.dtype == core::DType::kI32 ||
      (operand.role != core::OperandRole::kWeight && !operand.differentiable && !ref.gradient);
  return exact ? 0 : coefficient * epsilon * growth;
}

std::string compared_text(const Comparison& c, const std::string& what, const core::Box& box,
                          std::span<const double> got, std::span<const double> want,
                          double tolerance) {
  return fmt::format(
      "{} at {} is {:.9g}, the reference {:.9g}: the error {:.3g} is {:.3g} × the tolerance {:.3g}",
      what, index_text(box, c.element), got[c.element], want[c.element],
      std::abs(got[c.element] - want[c.element]), c.margin, tolerance);
}

// One candidate in one dtype over the splits of one problem.
class Subject {
 public:
  Subject(const kernels::Candidate& candidate, bool is_last, const OpProblem& problem,
          Report& report)
      : candidate_(&candidate),
        is_last_(is_last),
        problem_(&problem),
        report_(&report),
        name_(fmt::format("{} {}", candidate.name, core::name_of(problem.dtype))) {
    tally();
  }

  Tally& tally() { return report_->tallies[name_]; }

  // Null where it refuses or fails. Prepared once per part, for all steps and splits, as training
  // does.
  const kernels::PreparedKernel* prepared(const core::LocalProblem& local) {
    const auto [it, is_new] = prepared_.try_emplace(describe(local));
    if (!is_new) return it->second.get();
    const std::string why_not = candidate_->why_not(local);
    if (!why_not.empty()) {
      ++tally().refusals;
      if (is_last_) fail(local, "the last candidate refuses: " + why_not);
      return nullptr;
    }
    try {
      const core::LocalProblem passing = local;  // the kernel may not point to it
      it->second = candidate_->prepare(passing);
      if (candidate_->workspace != nullptr)
        SOAPSTONE_ASSERT(candidate_->workspace(local) == it->second->workspace(),
                         "{} bytes of workspace are promised, {} wanted",
                         candidate_->workspace(local).value, it->second->workspace().value);
    } catch (const std::exception& e) {
      fail(local, std::string("prepare: ") + e.what());
    }
    return it->second.get();
  }

  // Whether it takes every part; counts the split if so.
  bool takes(const core::OpStrategy& split) {
    for (std::size_t i = 0; i < split.devices.size(); ++i)
      if (prepared({problem_->op, &problem_->definition,
                    core::axis_intervals(problem_->definition, split, i)}) == nullptr)
        return false;
    ++tally().splits;
    return true;
  }

  void fail(const core::LocalProblem& local, const std::string& what) {
    report_->failures.push_back(fmt::format("{} {}: {}", name_, describe(local), what));
  }
  void fail(const core::OpStrategy& split, const std::string& what) {
    report_->failures.push_back(
        fmt::format("{} split {}: {}", name_, describe(problem_->definition, split), what));
  }

  // `call` holds the reference's results.
  void check_step(const PartCall& call, const std::map<core::Ref, double>& growth) {
    const core::Step& step = problem_->definition.steps[static_cast<std::size_t>(call.step)];
    const auto key = [&](core::Ref ref) { return std::pair(describe(call.problem), ref); };
    const kernels::PreparedKernel* kernel = prepared(call.problem);
    if (kernel == nullptr) return;
    std::vector<std::vector<double>> values;
    std::vector<reference::View> views(call.operands.begin(), call.operands.end());
    for (const auto& view : views)
      values.emplace_back(view.data, view.data + core::elements(view.box));
    for (std::size_t k = 0; k < views.size(); ++k) {
      if (k < step.reads.size() && is_private(problem_->operand(step.reads[k]))) {
        const auto own = private_.find(key(step.reads[k]));
        if (own == private_.end()) return;  // the step before failed and said so
        values[k] = own->second;
      }
      views[k].data = values[k].data();
    }
    try {
      run_kernel(*kernel, {call.problem, call.step, views, call.random});
    } catch (const std::exception& e) {
      fail(call.problem, e.what());
      return;
    }
    ++tally().steps;
    for (std::size_t k = 0; k < step.writes.size(); ++k) {
      const core::Ref ref = step.writes[k];
      const core::Operand& operand = problem_->operand(ref);
      const auto& got = values[step.reads.size() + k];
      if (is_private(operand)) {
        private_[key(ref)] = got;
        continue;
      }
      const std::span<const double> want(call.operands[step.reads.size() + k].data, got.size());
      const double tolerance = tolerance_of(
          operand, ref, kStepCoefficient,
          epsilon_of(problem_->dtype == core::DType::kBF16 ? problem_->dtype : operand.desc.dtype),
          growth.at(ref));
      const Comparison c = compare(got, want, tolerance);
      tally().margin = std::max(tally().margin, c.margin);
      if (!c.passed)
        fail(call.problem,
             fmt::format("step {}: ", step.name) + compared_text(c, problem_->name_of(ref),
                                                                 views[step.reads.size() + k].box,
                                                                 got, want, tolerance));
    }
  }

  void check_split(const core::OpStrategy& split, const Tensors& want,
                   const std::map<core::Ref, double>& growth, core::StepUse use) {
    if (!takes(split)) return;
    Tensors got;
    try {
      got = run_op(*problem_, split,
                   [&](const PartCall& call) {
                     run_kernel(*prepared(call.problem), call);
                     ++tally().steps;
                   },
                   {.run = use, .round_between_steps = true});
    } catch (const std::exception& e) {
      fail(split, e.what());
      return;
    }
    for (const auto& [ref, values] : want) {
      const core::Operand& operand = problem_->operand(ref);
      if (is_private(operand)) continue;
      const double tolerance = tolerance_of(operand, ref, kChainCoefficient,
                                            epsilon_of(problem_->dtype), growth.at(ref));
      const Comparison c = compare(got.at(ref), values, tolerance);
      tally().margin = std::max(tally().margin, c.margin);
      if (!c.passed)
        fail(split, compared_text(c, problem_->name_of(ref), core::whole(operand.desc.shape),
                                  got.at(ref), values, tolerance));
    }
  }

 private:
  const kernels::Candidate* candidate_;
  bool is_last_;
  const OpProblem* problem_;
  Report* report_;
  std::string name_;
  std::map<std::string, std::unique_ptr<kernels::PreparedKernel>> prepared_;
  std::map<std::pair<std::string, core::Ref>, std::vector<double>> private_;
};

std::vector<Subject> subjects_of(const OpProblem& problem,
                                 std::span<const kernels::Candidate> candidates, Report& report) {
  std::vector<Subject> subjects;
  for (const auto& candidate : candidates)
    subjects.emplace_back(candidate, &candidate == &candidates.back(), problem, report);
  return subjects;
}

}  // namespace

void Tally::add(const Tally& o) {
  splits += o.splits;
  refusals += o.refusals;
  steps += o.steps;
  margin = std::max(margin, o.margin);
}

std::string Report::text() const {
  constexpr std::size_t kMost = 5;
  std::string out;
  for (std::size_t i = 0; i < failures.size() && i < kMost; ++i) out += failures[i] + "\n";
  if (failures.size() > kMost) out += fmt::format("and {} more\n", failures.size() - kMost);
  return out;
}

Report check_parts(const OpCase& c, std::span<const kernels::Candidate> candidates,
                   std::size_t most_splits, std::span<const core::DType> dtypes,
                   core::StepUse use) {
  Report report;
  for (const core::DType dtype : dtypes) {
    const OpProblem problem = make_problem(c, dtype);
    auto subjects = subjects_of(problem, candidates, report);
    std::set<std::pair<std::string, int>> done;  // equal parts of several splits are compared once
    for (const auto& split :
         splits_of(problem.definition, kMostDevices, most_splits_of(c, most_splits))) {
      run_op(problem, split,
             [&](const PartCall& call) {
               run_reference(call);
               if (!done.insert({describe(call.problem), call.step}).second) return;
               const auto growth = growth_of_step(problem, call);
               for (Subject& subject : subjects) subject.check_step(call, growth);
             },
             {.run = use, .round_between_steps = true});
      for (Subject& subject : subjects) subject.takes(split);
    }
  }
  return report;
}

Report check_splits(const OpCase& c, std::span<const kernels::Candidate> candidates,
                    std::size_t most_splits, std::span<const core::DType> dtypes,
                    core::StepUse use) {
  Report report;
  for (const core::DType dtype : dtypes) {
    const OpProblem problem = make_problem(c, dtype);
    const Tensors want =
        run_op(problem, unsharded(problem.definition), run_reference, {.run = use});
    const auto growth = growth_of(problem, want, use);
    auto subjects = subjects_of(problem, candidates, report);
    for (const auto& split :
         splits_of(problem.definition, kMostDevices, most_splits_of(c, most_splits)))
      for (Subject& subject : subjects) subject.check_split(split, want, growth, use);
  }
  return report;
}

}  // namespace soapstone::conformance
