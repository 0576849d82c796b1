#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> gru_kokkos(const core::LocalProblem& problem);
#if SOAPSTONE_HAS_ONEDNN
std::string gru_onednn_why_not(const core::LocalProblem& problem);
std::unique_ptr<PreparedKernel> gru_onednn(const core::LocalProblem& problem);
#endif

std::span<const Candidate> gru_candidates() {
  static const Candidate kCandidates[] = {
#if SOAPSTONE_HAS_ONEDNN
    {"gru/onednn", gru_onednn_why_not, gru_onednn, nullptr, /*takes_bf16=*/true},
#endif
    {"gru/kokkos", [](const core::LocalProblem&) { return std::string(); }, gru_kokkos},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
