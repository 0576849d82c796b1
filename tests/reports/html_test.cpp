#include "reports/html.hpp"

#include <algorithm>
#include <cctype>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "core/ops/linear.hpp"
#include "reports/dot.hpp"
#include "reports/memory_curves.hpp"
#include "reports/svg.hpp"
#include "tests/reports/sample.hpp"
#include "tests/support/fake_costs.hpp"

namespace soapstone::reports {
namespace {

using namespace core;
using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

// What stands between the data's script element and its end.
std::string data_text(const std::string& page) {
  const std::string begin = "<script type=\"application/json\" id=\"data\">";
  const auto at = page.find(begin);
  EXPECT_NE(at, std::string::npos);
  return page.substr(at + begin.size(), page.find("</script>", at) - at - begin.size());
}

std::string page_of(const ReportInput& in) {
  const auto drawing = svg(dot(picture(in), ColourBy::kTime, Legend::kWithout));
  return html_page(in, {.colour = ColourBy::kTime,
                        .svg = drawing ? *drawing : "",
                        .notes = {"a note with <angles>"}});
}

ReportInput full() {
  ReportInput in = measured_sample();
  in.ranked = ranked_sample(in);
  in.metrics = TrainingMetrics{
      {{1, 0, 2.5, 100, {{"accuracy", 0.25}}}, {2, 0, {}, 200, {{"accuracy", 0.5}}}},
      {{2, 0, 1.5, {{"accuracy", 0.75}}}}};
  return in;
}

TEST(Html, CarriesItsDataAsJson) {
  const ReportInput in = full();
  const json data = json::parse(data_text(page_of(in)));
  EXPECT_EQ(data.at("model"), "mlp");
  EXPECT_EQ(data.at("notes")[0], "a note with <angles>");
  ASSERT_EQ(data.at("traces").size(), 2u);
  const json& predicted = data.at("traces")[0];
  EXPECT_EQ(predicted.at("origin"), "predicted");
  EXPECT_EQ(predicted.at("step"), in.predicted.step_time.value);
  for (const char* column : {"start", "end", "waiting", "kind", "phase", "task", "label", "row",
                             "bytes", "flops", "source"})
    EXPECT_EQ(predicted.at(column).size(), in.predicted.spans.size()) << column;
  const auto& lane = in.predicted.spans.lane;
  ASSERT_EQ(predicted.at("first").size(), in.predicted.lanes.size() + 1);
  for (std::uint32_t l = 0; l <= in.predicted.lanes.size(); ++l)
    EXPECT_EQ(predicted.at("first")[l],
              std::lower_bound(lane.begin(), lane.end(), l) - lane.begin());
  EXPECT_EQ(predicted.at("end")[3], in.predicted.spans.end[3].value);
  EXPECT_EQ(data.at("traces")[1].at("origin"), "measured");
  EXPECT_EQ(data.at("ops").size(), in.graph.ops().size() + 3);
  EXPECT_EQ(data.at("search").at("strategies")[0].at("shown"), true);
  EXPECT_EQ(data.at("picture").at("colour"), "time");
  EXPECT_EQ(data.at("training").at("steps").at("loss"), json::parse("[2.5, null]"));
  EXPECT_EQ(data.at("training").at("evaluations").at("accuracy"), json::parse("[0.75]"));
}

TEST(Html, ShowsThePredictionAloneWhereNothingElseIsGiven) {
  const json data = json::parse(data_text(page_of(sample(2))));
  EXPECT_EQ(data.at("traces").size(), 1u);
  EXPECT_EQ(data.at("traces")[0].at("lanes").size(), sample(2).predicted.lanes.size());
  EXPECT_TRUE(data.at("search").is_null());
  EXPECT_TRUE(data.at("training").is_null());
}

TEST(Html, IsEndedByNoName) {
  GraphBuilder g("</script><!--<script>&\"");
  const auto x = g.source("x", {{8, 16}, DType::kF32, {}});
  const auto labels = g.source("labels", {{8}, DType::kI32, {}}, 4);
  const auto y = g.add("</script><b>", Linear{.out_features = {4}}, {x});
  Graph graph = g.build_with_loss(y, labels).value();
  const Strategy strategy = single_device(graph);
  const ReportInput in = report_of(std::move(graph), strategy, tests::small_cluster(1, 2, 1));
  const std::string page = page_of(in);
  EXPECT_EQ(count(page, "<script"), 2u);
  EXPECT_EQ(count(page, "</script>"), 2u);
  EXPECT_THAT(page, Not(HasSubstr("<b>")));
  EXPECT_THAT(page, Not(HasSubstr("<!--")));
  EXPECT_THAT(page, HasSubstr("<title>&lt;/script&gt;&lt;!--&lt;script&gt;&amp;&quot; on small"));
  const json data = json::parse(data_text(page));
  EXPECT_EQ(data.at("model"), "</script><!--<script>&\"");
  EXPECT_EQ(data.at("ops")[0].at("name"), "</script><b>");
}

TEST(Html, LoadsNothing) {
  std::string page = page_of(full());
  std::transform(page.begin(), page.end(), page.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const char* reference :
       {"http:", "https:", "src=", "url(", "@import", "fetch(", "<link rel=\"style"})
    EXPECT_THAT(page, Not(HasSubstr(reference)));
  EXPECT_EQ(count(page, "<link"), 1u);  // the empty icon, so that none is asked for
  EXPECT_THAT(page, HasSubstr("<link rel=\"icon\" href=\"data:,\">"));
}

TEST(Html, IsFilledIn) {
  const std::string page = page_of(full());
  EXPECT_THAT(page, testing::StartsWith("<!doctype html>"));
  for (const char* part : {"{{title}}", "{{style}}", "{{graph}}", "{{data}}", "{{script}}"})
    EXPECT_THAT(page, Not(HasSubstr(part)));
  EXPECT_THAT(page, HasSubstr("prefers-color-scheme: dark"));
  EXPECT_THAT(page, HasSubstr("@media print"));
  EXPECT_EQ(count(page, "<svg"), has_graphviz() ? 1u : 0u);
}

TEST(Html, ColoursEveryHolderAndKindOfSpan) {
  // The script takes colours by name from the style sheet.
  const std::string page = page_of(full());
  std::vector<std::string> names{"forward", "backward-input", "backward-weight"};
  for (const auto& [holder, name] : enum_names(Holder{})) {
    std::string variable(name);
    std::replace(variable.begin(), variable.end(), ' ', '-');
    names.push_back(variable);
  }
  for (const auto& [kind, name] : enum_names(TaskKind{}))
    // What is done with rows looks as what is done with whole weights.
    if (kind != TaskKind::kCompute && !name.ends_with("-rows")) names.emplace_back(name);
  // In light and in dark.
  for (const auto& name : names) EXPECT_EQ(count(page, "\n  --" + name + ": #"), 1u) << name;
  for (const auto& name : names) EXPECT_EQ(count(page, "\n    --" + name + ": #"), 1u) << name;
}

}  // namespace
}  // namespace soapstone::reports
