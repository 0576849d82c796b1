#include "runtime/launch.hpp"

namespace soapstone::runtime {

std::string mpi_version() { return ""; }

}  // namespace soapstone::runtime
