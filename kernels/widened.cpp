#include "kernels/widened.hpp"

#include <algorithm>
#include <vector>

#include "core/assert.hpp"
#include "kernels/detail/block_access.hpp"
#include "kernels/detail/nest.hpp"

namespace soapstone::kernels {

namespace {

constexpr std::int64_t kAlignment = 64;

constexpr std::int64_t aligned(std::int64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// The problem with f32 in place of bf16.
class F32Problem {
 public:
  explicit F32Problem(const core::LocalProblem& problem)
      : definition_(*problem.definition), problem_{problem.op, &definition_, problem.axes} {
    for (core::Operand& operand : definition_.operands)
      operand.desc.dtype = core::master_of(operand.desc.dtype);
  }
  F32Problem(const F32Problem&) = delete;
  F32Problem& operator=(const F32Problem&) = delete;
  operator const core::LocalProblem&() const { return problem_; }  // NOLINT: it is one

 private:
  core::OpDefinition definition_;
  core::LocalProblem problem_;
};

// Of the step that has most of them.
std::int64_t bytes_of_copies(const core::LocalProblem& problem) {
  std::int64_t most = 0;
  for (const core::Step& step : problem.definition->steps) {
    std::int64_t bytes = 0;
    for (const auto* refs : {&step.reads, &step.writes})
      for (const core::Ref ref : *refs)
        if (problem.definition->operands[ref.operand].desc.dtype == core::DType::kBF16)
          bytes += aligned(4 * core::elements(problem.box(ref.operand)));
    most = std::max(most, bytes);
  }
  return most;
}

template <class From, class To>
void convert(const char* label, const Block& from, const Block& to) {
  const From* source = detail::data_of<From>(from);
  To* target = detail::data_of<To>(to);
  detail::parallel_for_chunks(detail::Space(), label, from.size(), 16384,
                              [=](std::int64_t begin, std::int64_t end) {
                                for (std::int64_t i = begin; i < end; ++i) target[i] = source[i];
                              });
}

class WidenedKernel final : public PreparedKernel {
 public:
  WidenedKernel(std::unique_ptr<PreparedKernel> inner, const core::LocalProblem& problem)
      : inner_(std::move(inner)), copies_(bytes_of_copies(problem)) {
    std::size_t most = 0;
    for (const core::Step& step : problem.definition->steps) {
      reads_.push_back(step.reads.size());
      most = std::max(most, step.reads.size() + step.writes.size());
    }
    wide_.resize(most);
  }

  core::Bytes workspace() const override {
    return core::Bytes(aligned(inner_->workspace().value) + copies_);
  }

  void execute(const StepCall& call) const override {
    std::byte* free = static_cast<std::byte*>(call.workspace) + aligned(inner_->workspace().value);
    const std::size_t reads = reads_[static_cast<std::size_t>(call.step)];
    for (std::size_t k = 0; k < call.operands.size(); ++k) {
      wide_[k] = call.operands[k];
      if (wide_[k].dtype != core::DType::kBF16) continue;
      wide_[k].dtype = core::DType::kF32;
      if (wide_[k].size() == 0) continue;
      wide_[k].data = free;
      free += aligned(4 * wide_[k].size());
      if (k < reads) convert<Bf16, float>("soapstone::widened::widen", call.operands[k], wide_[k]);
    }
    StepCall inner = call;
    inner.operands = std::span(wide_).first(call.operands.size());
    inner_->execute(inner);
    for (std::size_t k = reads; k < call.operands.size(); ++k)
      if (call.operands[k].dtype == core::DType::kBF16 && call.operands[k].size() > 0)
        convert<float, Bf16>("soapstone::widened::round", wide_[k], call.operands[k]);
  }

 private:
  std::unique_ptr<PreparedKernel> inner_;
  std::int64_t copies_;
  std::vector<std::size_t> reads_;   // how many, per step
  mutable std::vector<Block> wide_;  // the blocks of the present call
};

}  // namespace

Candidate widened(const Candidate& inner) {
  Candidate outer;
  outer.name = inner.name + "@f32";
  outer.why_not = [inner](const core::LocalProblem& problem) {
    return problem.dtype() == core::DType::kBF16 ? inner.why_not(F32Problem(problem))
                                                 : inner.name + "@f32 is for bf16, this is " +
                                                       std::string(core::name_of(problem.dtype()));
  };
  outer.prepare = [inner](const core::LocalProblem& problem) -> std::unique_ptr<PreparedKernel> {
    return std::make_unique<WidenedKernel>(inner.prepare(F32Problem(problem)), problem);
  };
  outer.workspace = [inner](const core::LocalProblem& problem) {
    const F32Problem wide(problem);
    const core::Bytes own =
        inner.workspace ? inner.workspace(wide) : inner.prepare(wide)->workspace();
    return core::Bytes(aligned(own.value) + bytes_of_copies(problem));
  };
  return outer;
}

}  // namespace soapstone::kernels
