// The host device's life: Kokkos started and stopped, its threads, and the
// versions that measured costs are keyed by.
#pragma once

#include <string>

namespace soapstone::kernels {

// Starts Kokkos (and OpenMP, which oneDNN uses too) with a number of threads and stops it. Made
// once per process, on the main thread, before any kernel is prepared.
class KokkosScope {
 public:
  explicit KokkosScope(int threads);
  ~KokkosScope();
  KokkosScope(const KokkosScope&) = delete;
  KokkosScope& operator=(const KokkosScope&) = delete;
};

// Threads a kernel runs on. Needs a KokkosScope.
int threads();

std::string kokkos_version();  // "3.4.1 OpenMP"
std::string onednn_version();  // "2.6.3 cpu:gomp"; empty where it is not built

}  // namespace soapstone::kernels
