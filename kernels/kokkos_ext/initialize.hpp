// Kokkos::initialize with a number of threads, as every supported Kokkos spells it.
#pragma once

#include <string>

#include <Kokkos_Core.hpp>

namespace soapstone::kernels::kokkos_ext {

inline void initialize(int threads) {
#if KOKKOS_VERSION >= 30700
  Kokkos::initialize(
      Kokkos::InitializationSettings().set_num_threads(threads).set_disable_warnings(true));
#else
  Kokkos::InitArguments arguments;
  arguments.num_threads = threads;
  arguments.disable_warnings = true;
  Kokkos::initialize(arguments);
#endif
}

inline std::string version() {
  return std::to_string(KOKKOS_VERSION / 10000) + "." + std::to_string(KOKKOS_VERSION / 100 % 100) +
         "." + std::to_string(KOKKOS_VERSION % 100);
}

}  // namespace soapstone::kernels::kokkos_ext
