#include "cli/documents.hpp"

#include "core/document_impl.hpp"

namespace soapstone::core {

SOAPSTONE_INSTANTIATE_DOCUMENT(cli::ClustersOutput);
SOAPSTONE_INSTANTIATE_DOCUMENT(cli::DiffOutput);
SOAPSTONE_INSTANTIATE_DOCUMENT(cli::BenchOutput);
SOAPSTONE_INSTANTIATE_DOCUMENT(cli::DoctorOutput);
SOAPSTONE_INSTANTIATE_DOCUMENT(cli::ExplainOutput);
SOAPSTONE_INSTANTIATE_DOCUMENT(cli::KernelsOutput);
SOAPSTONE_INSTANTIATE_DOCUMENT(cli::ModelsOutput);
SOAPSTONE_INSTANTIATE_DOCUMENT(cli::ProfileOutput);
SOAPSTONE_INSTANTIATE_DOCUMENT(cli::ReportOutput);
SOAPSTONE_INSTANTIATE_DOCUMENT(cli::SimulateOutput);
SOAPSTONE_INSTANTIATE_DOCUMENT(cli::TrainOutput);
SOAPSTONE_INSTANTIATE_DOCUMENT(cli::GenerateOutput);
#ifdef SOAPSTONE_HAS_KERNELS
SOAPSTONE_INSTANTIATE_DOCUMENT(cli::VerifyOutput);
#endif

}  // namespace soapstone::core

namespace soapstone::cli {

core::Error located(const core::Error& error, std::string_view pointer, std::string_view text,
                    const std::string& file) {
  return core::detail::locate_error({fmt::format("at {}: {}", pointer, error.message), error.kind},
                                    text, file);
}

}  // namespace soapstone::cli
