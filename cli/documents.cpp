#include "cli/documents.hpp"

#include "core/document_impl.hpp"

namespace soapstone::core {

SOAPSTONE_INSTANTIATE_DOCUMENT(cli::ClustersOutput);
SOAPSTONE_INSTANTIATE_DOCUMENT(cli::DoctorOutput);
SOAPSTONE_INSTANTIATE_DOCUMENT(cli::KernelsOutput);
SOAPSTONE_INSTANTIATE_DOCUMENT(cli::ModelsOutput);
SOAPSTONE_INSTANTIATE_DOCUMENT(cli::SimulateOutput);

}  // namespace soapstone::core
