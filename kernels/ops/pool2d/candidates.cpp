#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> pool2d_kokkos(const core::LocalProblem& problem);
#if SOAPSTONE_HAS_ONEDNN
std::string pool2d_onednn_why_not(const core::LocalProblem& problem);
std::unique_ptr<PreparedKernel> pool2d_onednn(const core::LocalProblem& problem);
core::Bytes pool2d_onednn_workspace(const core::LocalProblem& problem);
#endif

std::span<const Candidate> pool2d_candidates() {
  static const Candidate kCandidates[] = {
#if SOAPSTONE_HAS_ONEDNN
    {"pool2d/onednn", pool2d_onednn_why_not, pool2d_onednn, pool2d_onednn_workspace,
     /*takes_bf16=*/true},
#endif
    {"pool2d/kokkos", [](const core::LocalProblem&) { return std::string(); }, pool2d_kokkos},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
