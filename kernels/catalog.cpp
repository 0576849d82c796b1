#include "kernels/catalog.hpp"

#include <map>
#include <mutex>
#include <unordered_map>

#include "core/assert.hpp"
#include "kernels/detail/host_threads.hpp"
#include "kernels/widened.hpp"

namespace soapstone::kernels {

#define SOAPSTONE_OP(Type, name) std::span<const Candidate> name##_candidates();
#include "core/ops/all.def"
#undef SOAPSTONE_OP

namespace {

struct Entry {
  std::string_view op;
  std::span<const Candidate> (*candidates)();
};

constexpr Entry kEntries[] = {
#define SOAPSTONE_OP(Type, name) {#name, &name##_candidates},
#include "core/ops/all.def"
#undef SOAPSTONE_OP
};

}  // namespace

std::span<const Candidate> candidates(std::string_view op, core::DType dtype) {
  if (dtype == core::DType::kBF16) {
    static const auto kForBf16 = [] {
      std::map<std::string_view, std::vector<Candidate>> lists;
      for (const Entry& entry : kEntries) {
        for (const Candidate& own : entry.candidates())
          if (own.takes_bf16) lists[entry.op].push_back(own);
        for (const Candidate& own : entry.candidates()) lists[entry.op].push_back(widened(own));
      }
      return lists;
    }();
    const auto found = kForBf16.find(op);
    return found == kForBf16.end() ? std::span<const Candidate>() : found->second;
  }
  for (const Entry& entry : kEntries)
    if (entry.op == op) return entry.candidates();
  return {};
}

const Candidate* find_candidate(std::string_view name) {
  const std::string_view op = name.substr(0, name.find('/'));
  for (const core::DType dtype : {core::DType::kF32, core::DType::kBF16})
    for (const Candidate& candidate : candidates(op, dtype))
      if (candidate.name == name) return &candidate;
  return nullptr;
}

struct HostCatalog::Cache {
  std::mutex mutex;
  std::unordered_map<std::uint64_t, core::KernelChoice> choices;
};

HostCatalog::HostCatalog() : cache_(std::make_unique<Cache>()) {}
HostCatalog::~HostCatalog() = default;

core::KernelChoice HostCatalog::choose(const core::LocalProblem& problem,
                                       const core::DeviceKind& device) const {
  core::Hasher hasher;
  hasher.word(problem.signature());
  hasher.word(static_cast<std::uint64_t>(device.threads));
  const std::uint64_t key = hasher.finish();
  {
    const std::lock_guard lock(cache_->mutex);
    if (const auto found = cache_->choices.find(key); found != cache_->choices.end())
      return found->second;
  }
  // Scratch memory grows with the number of threads, which is not that of the caller.
  const detail::HostThreads threads(device.threads);
  core::KernelChoice choice;
  for (const Candidate& candidate : candidates(problem.op.name(), problem.dtype())) {
    if (std::string reason = candidate.why_not(problem); !reason.empty()) {
      choice.refused.push_back({std::string(candidate.name), std::move(reason)});
      continue;
    }
    choice.candidate = candidate.name;
    choice.workspace = candidate.workspace ? candidate.workspace(problem)
                                           : candidate.prepare(problem)->workspace();
    break;
  }
  SOAPSTONE_ASSERT(!choice.candidate.empty(), "no kernel accepts {}", problem.key());
  const std::lock_guard lock(cache_->mutex);
  cache_->choices.emplace(key, choice);
  return choice;
}

std::unique_ptr<PreparedKernel> prepare(std::string_view candidate,
                                        const core::LocalProblem& problem) {
  const Candidate* found = find_candidate(candidate);
  SOAPSTONE_ASSERT(found != nullptr, "there is no kernel {}", candidate);
  const std::string reason = found->why_not(problem);
  SOAPSTONE_ASSERT(reason.empty(), "{} refuses {}: {}", candidate, problem.key(), reason);
  return found->prepare(problem);
}

}  // namespace soapstone::kernels
