#include "reports/summary.hpp"

#include <gmock/gmock.h>

#include "tests/reports/sample.hpp"

namespace soapstone::reports {
namespace {

using namespace core;
using testing::HasSubstr;
using testing::Not;

const char* const kLines =
    R"({"kind":"step","step":1,"epoch":0,"loss":2.5,"samples_per_second":100}
{"kind":"step","step":2,"epoch":0,"loss":1.25,"accuracy":0.5,"samples_per_second":200.4}

{"kind":"evaluation","step":2,"epoch":0,"samples":10,"loss":1.5,"accuracy":0.875,"auc":0.91234,"auc_error":0.001}
{"kind":"step","step":3,"epoch":1,"loss":null,"samples_per_second":300}
)";

TEST(TrainingMetrics, AreReadLineByLine) {
  const auto metrics = metrics_from_text(kLines, "metrics.jsonl");
  ASSERT_TRUE(metrics) << metrics.error().message;
  ASSERT_EQ(metrics->steps.size(), 3u);
  EXPECT_EQ(metrics->steps[1], (StepMetrics{2, 0, 1.25, 200.4, {{"accuracy", 0.5}}}));
  EXPECT_EQ(metrics->steps[2].loss, std::nullopt);
  EXPECT_EQ(metrics->evaluations,
            (std::vector<EvaluationMetrics>{{2, 0, 1.5, {{"accuracy", 0.875}, {"auc", 0.91234}}}}));
  EXPECT_TRUE(metrics_from_text("", "empty")->steps.empty());
}

TEST(TrainingMetrics, NameTheLineThatIsNone) {
  for (const std::string bad :
       {"{", "7", "{\"kind\":\"step\"}", "{\"kind\":\"end\",\"epoch\":1}"}) {
    const auto metrics = metrics_from_text(kLines + bad, "metrics.jsonl");
    ASSERT_FALSE(metrics) << bad;
    EXPECT_EQ(metrics.error().kind, ErrorKind::kUsage);
    EXPECT_THAT(metrics.error().message, HasSubstr("metrics.jsonl:6: accepted: "));
  }
}

TEST(Summary, HoldsAllItIsGiven) {
  ReportInput in = measured_sample();
  in.ranked = ranked_sample(in);
  in.metrics = metrics_from_text(kLines, "").value();
  const std::string page = summary_page(in);
  EXPECT_THAT(page, HasSubstr("# mlp\n\nA batch of 128 on small: flatten…loss n=2 on 0-1.\n\n"));
  EXPECT_THAT(page, HasSubstr("## Strategies\n\n20 looked at by mcmc on small.\n\n"));
  EXPECT_THAT(page, HasSubstr("\n| 2 | 6 ms | 2.133e+04 | 4 MiB | single |\n"));
  EXPECT_THAT(page, HasSubstr("## Prediction and measurement\n\n"));
  EXPECT_THAT(page, HasSubstr("| compute | "));
  EXPECT_THAT(page, HasSubstr("| +25.0 % |"));  // 10 ms for 8 ms
  EXPECT_THAT(page,
              HasSubstr("| epoch | loss | test loss | test accuracy | test auc | samples/s |\n"
                        "|---|---|---|---|---|---|\n"
                        "| 1 | 1.2500 | 1.5000 | 87.50 % | 0.9123 | 200 |\n"
                        "| 2 | – | – | – | – | 300 |\n"));
}

TEST(Summary, LeavesOutWhatItIsNotGiven) {
  const std::string page = summary_page(sample());
  EXPECT_THAT(page, HasSubstr("## Prediction\n\nPredicted step "));
  EXPECT_THAT(page, Not(HasSubstr("easured")));
  EXPECT_THAT(page, Not(HasSubstr("## Strategies")));
  EXPECT_THAT(page, Not(HasSubstr("## Training")));
}

}  // namespace
}  // namespace soapstone::reports
