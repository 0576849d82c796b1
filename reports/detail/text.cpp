#include "reports/detail/text.hpp"

#include <nlohmann/json.hpp>

namespace soapstone::reports::detail {

using namespace core;

std::string split_text(const OpNode& node, const OpStrategy& strategy) {
  std::string out;
  const auto add = [&](std::string_view name, std::int32_t degree) {
    if (degree > 1) out += fmt::format("{}{}={}", out.empty() ? "" : " ", name, degree);
  };
  for (std::size_t a = 0; a < strategy.degrees.size(); ++a)
    add(node.definition.axes[a].name, strategy.degrees[a]);
  add("replicas", strategy.replicas);
  return out;
}

std::string json_string(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::vector<PlanPlace> places_of(const Plan& plan) {
  std::vector<PlanPlace> places(plan.device_count);
  for (std::uint32_t c = 0; c < plan.classes.size(); ++c)
    for (std::uint32_t m = 0; m < plan.classes[c].members.size(); ++m)
      places[plan.classes[c].members[m].value] = {c, m};
  return places;
}

}  // namespace soapstone::reports::detail
