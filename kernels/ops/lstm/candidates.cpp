#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> lstm_kokkos(const core::LocalProblem& problem);
#if SOAPSTONE_HAS_ONEDNN
std::string lstm_onednn_why_not(const core::LocalProblem& problem);
std::unique_ptr<PreparedKernel> lstm_onednn(const core::LocalProblem& problem);
#endif

std::span<const Candidate> lstm_candidates() {
  static const Candidate kCandidates[] = {
#if SOAPSTONE_HAS_ONEDNN
    {"lstm/onednn", lstm_onednn_why_not, lstm_onednn, nullptr, /*takes_bf16=*/true},
#endif
    {"lstm/kokkos", [](const core::LocalProblem&) { return std::string(); }, lstm_kokkos},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
