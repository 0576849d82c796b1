#include "kernels/device.hpp"

#include "core/assert.hpp"
#include "kernels/detail/host_threads.hpp"
#include "kernels/detail/space.hpp"
#include "kernels/kokkos_ext/initialize.hpp"
#if SOAPSTONE_HAS_ONEDNN
#include "kernels/onednn/onednn.hpp"
#endif

namespace soapstone::kernels {

KokkosScope::KokkosScope(int threads) {
  SOAPSTONE_ASSERT(threads >= 1, "{} threads", threads);
  SOAPSTONE_ASSERT(!Kokkos::is_initialized(), "a KokkosScope exists already");
  detail::set_host_threads(threads);  // also where Kokkos was built without OpenMP: oneDNN asks it
  kokkos_ext::initialize(threads);
}

KokkosScope::~KokkosScope() { Kokkos::finalize(); }

int threads() { return static_cast<int>(detail::Space().concurrency()); }

std::string kokkos_version() { return kokkos_ext::version() + " " + detail::Space::name(); }

std::string onednn_version() {
#if SOAPSTONE_HAS_ONEDNN
  return onednn::version();
#else
  return {};
#endif
}

}  // namespace soapstone::kernels
