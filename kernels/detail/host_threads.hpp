// The number of threads that libraries which ask OpenMP will use.
#pragma once

#ifdef _OPENMP
#include <omp.h>
#endif

namespace soapstone::kernels::detail {

inline void set_host_threads([[maybe_unused]] int threads) {
#ifdef _OPENMP
  omp_set_num_threads(threads);
#endif
}

// For the calling thread, until the end of the scope.
class HostThreads {
 public:
  explicit HostThreads(int threads) {
#ifdef _OPENMP
    before_ = omp_get_max_threads();
#endif
    set_host_threads(threads);
  }
  ~HostThreads() { set_host_threads(before_); }
  HostThreads(const HostThreads&) = delete;
  HostThreads& operator=(const HostThreads&) = delete;

 private:
  int before_ = 1;
};

}  // namespace soapstone::kernels::detail
