// The schemas of what verbs print with --json.
#include "cli/documents.hpp"

#include <gtest/gtest.h>

#include "core/document.hpp"
#include "tests/support/committed_schema.hpp"

namespace soapstone::cli {
namespace {

using core::document_schema_text;

class OutputSchema : public testing::TestWithParam<SchemaFile> {};

TEST_P(OutputSchema, IsWhatTheTypesSay) { expect_committed(GetParam()); }

// One entry per format of cli/documents.hpp.
const SchemaFile kSchemas[] = {
    {"bench", document_schema_text<BenchOutput>},
    {"clusters", document_schema_text<ClustersOutput>},
    {"diff", document_schema_text<DiffOutput>},
    {"doctor", document_schema_text<DoctorOutput>},
    {"explanation", document_schema_text<ExplainOutput>},
    {"generation", document_schema_text<GenerateOutput>},
    {"kernels", document_schema_text<KernelsOutput>},
    {"models", document_schema_text<ModelsOutput>},
    {"prediction", document_schema_text<SimulateOutput>},
    {"profile", document_schema_text<ProfileOutput>},
    {"report", document_schema_text<ReportOutput>},
    {"training", document_schema_text<TrainOutput>},
#ifdef SOAPSTONE_HAS_KERNELS
    {"verification", document_schema_text<VerifyOutput>},
#endif
};
INSTANTIATE_TEST_SUITE_P(Documents, OutputSchema, testing::ValuesIn(kSchemas),
                         [](const auto& file) { return file.param.name; });

}  // namespace
}  // namespace soapstone::cli
