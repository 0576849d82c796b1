#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> conv2d_kokkos(const core::LocalProblem& problem);
core::Bytes conv2d_kokkos_workspace(const core::LocalProblem& problem);
#if SOAPSTONE_HAS_ONEDNN
std::string conv2d_onednn_why_not(const core::LocalProblem& problem);
std::unique_ptr<PreparedKernel> conv2d_onednn(const core::LocalProblem& problem);
core::Bytes conv2d_onednn_workspace(const core::LocalProblem& problem);
#endif

std::span<const Candidate> conv2d_candidates() {
  static const Candidate kCandidates[] = {
#if SOAPSTONE_HAS_ONEDNN
    {"conv2d/onednn", conv2d_onednn_why_not, conv2d_onednn, conv2d_onednn_workspace,
     /*takes_bf16=*/true},
#endif
    {"conv2d/kokkos", [](const core::LocalProblem&) { return std::string(); }, conv2d_kokkos,
     conv2d_kokkos_workspace},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
