#include "cli/measure.hpp"

namespace soapstone::cli {

core::Status measure_local_cluster(const Invocation&, int, const std::string&) {
  return core::refuse(
      "this soapstone was built without kernels and cannot measure: configure with Kokkos "
      "(scripts/setup.sh)");
}

}  // namespace soapstone::cli
