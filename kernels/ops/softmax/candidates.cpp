#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> softmax_kokkos(const core::LocalProblem& problem);
#if SOAPSTONE_HAS_ONEDNN
std::string softmax_onednn_why_not(const core::LocalProblem& problem);
std::unique_ptr<PreparedKernel> softmax_onednn(const core::LocalProblem& problem);
core::Bytes softmax_onednn_workspace(const core::LocalProblem& problem);
#endif

std::span<const Candidate> softmax_candidates() {
  static const Candidate kCandidates[] = {
#if SOAPSTONE_HAS_ONEDNN
    {"softmax/onednn", softmax_onednn_why_not, softmax_onednn, softmax_onednn_workspace,
     /*takes_bf16=*/true},
#endif
    {"softmax/kokkos", [](const core::LocalProblem&) { return std::string(); }, softmax_kokkos},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
