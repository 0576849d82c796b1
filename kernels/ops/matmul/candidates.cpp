#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> matmul_kokkos(const core::LocalProblem& problem);
#if SOAPSTONE_HAS_ONEDNN
std::string matmul_onednn_why_not(const core::LocalProblem& problem);
std::unique_ptr<PreparedKernel> matmul_onednn(const core::LocalProblem& problem);
core::Bytes matmul_onednn_workspace(const core::LocalProblem& problem);
#endif

std::span<const Candidate> matmul_candidates() {
  static const Candidate kCandidates[] = {
#if SOAPSTONE_HAS_ONEDNN
    {"matmul/onednn", matmul_onednn_why_not, matmul_onednn, matmul_onednn_workspace,
     /*takes_bf16=*/true},
#endif
    {"matmul/kokkos", [](const core::LocalProblem&) { return std::string(); }, matmul_kokkos},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
