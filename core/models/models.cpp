#include "core/models/models.hpp"

#include <algorithm>
#include <cmath>

#include "core/assert.hpp"
#include "core/models/hyper.hpp"
#include "core/suggest.hpp"

namespace soapstone::core {

namespace zoo {

double Request::real(std::string_view parameter) const {
  const auto found = values.find(parameter);
  SOAPSTONE_ASSERT(found != values.end(), "{} has no parameter {}", name, parameter);
  return found->second;
}

namespace {

const std::vector<Entry>& entries() {
  static const std::vector<Entry> list = [] {
    std::vector<Entry> all;
    for (auto part :
         {vision_models(), language_models(), recurrent_models(), recommendation_models()})
      all.insert(all.end(), part.begin(), part.end());
    for (Entry& e : all) e.info.parameters = e.parameters;
    return all;
  }();
  return list;
}

Result<Request> request_of(const Entry& entry, const ModelOptions& options) {
  Request request{std::string(entry.info.name),
                  options.batch > 0 ? options.batch : entry.info.default_batch,
                  options.dtype,
                  {}};
  std::vector<std::string_view> names;
  for (const ModelParameter& p : entry.parameters) {
    names.push_back(p.name);
    request.values.emplace(p.name, p.value);
  }
  for (const auto& [name, value] : options.parameters) {
    const auto known = std::find_if(entry.parameters.begin(), entry.parameters.end(),
                                    [&](const ModelParameter& p) { return p.name == name; });
    if (known == entry.parameters.end())
      return usage_error("{} has no parameter `{}`; {}", entry.info.name, name,
                         accepted_names(name, names));
    if (!(value >= known->least) || !std::isfinite(value))
      return usage_error("{}: {} = {}: at least {} is accepted", entry.info.name, name, value,
                         known->least);
    // Counts are whole numbers; what may be a fraction has one as its default, or may be 0.
    const bool is_count = known->least >= 1;
    if (is_count && value != std::floor(value))
      return usage_error("{}: {} = {}: a whole number is accepted", entry.info.name, name, value);
    request.values[name] = value;
  }
  return request;
}

}  // namespace

}  // namespace zoo

std::span<const ModelInfo> models() {
  static const std::vector<ModelInfo> list = [] {
    std::vector<ModelInfo> infos;
    for (const auto& e : zoo::entries()) infos.push_back(e.info);
    return infos;
  }();
  return list;
}

std::span<const ModelParameter> model_parameters() {
  static const std::vector<ModelParameter> list = [] {
    std::vector<ModelParameter> all;
    for (const auto& e : zoo::entries())
      for (const ModelParameter& p : e.parameters)
        if (std::none_of(all.begin(), all.end(),
                         [&](const ModelParameter& known) { return known.name == p.name; }))
          all.push_back(p);
    return all;
  }();
  return list;
}

Result<Graph> build_model(std::string_view name, const ModelOptions& options) {
  if (options.batch < 0) return usage_error("batch = {}: must be at least 1", options.batch);
  std::vector<std::string_view> names;
  for (const auto& e : zoo::entries()) {
    names.push_back(e.info.name);
    if (e.info.name != name) continue;
    SOAPSTONE_ASSIGN(const zoo::Request request, zoo::request_of(e, options));
    return e.build(request);
  }
  return usage_error("unknown model `{}`; {}", name, accepted_names(name, names));
}

}  // namespace soapstone::core
