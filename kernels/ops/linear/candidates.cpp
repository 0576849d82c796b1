#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> linear_kokkos(const core::LocalProblem& problem);
core::Bytes linear_kokkos_workspace(const core::LocalProblem& problem);
#if SOAPSTONE_HAS_ONEDNN
std::string linear_onednn_why_not(const core::LocalProblem& problem);
std::unique_ptr<PreparedKernel> linear_onednn(const core::LocalProblem& problem);
core::Bytes linear_onednn_workspace(const core::LocalProblem& problem);
#endif

std::span<const Candidate> linear_candidates() {
  static const Candidate kCandidates[] = {
#if SOAPSTONE_HAS_ONEDNN
    {"linear/onednn", linear_onednn_why_not, linear_onednn, linear_onednn_workspace,
     /*takes_bf16=*/true},
#endif
    {"linear/kokkos", [](const core::LocalProblem&) { return std::string(); }, linear_kokkos,
     linear_kokkos_workspace},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
