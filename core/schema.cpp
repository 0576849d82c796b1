#include "core/schema.hpp"

namespace soapstone::core {

Json json_schema(std::type_identity<Interval>) {
  Json out = detail::list_schema(value_schema<std::int64_t>(), 2, 2);
  out["description"] = "[begin, end): the first index and the one after the last";
  return out;
}

namespace detail {

Json object_schema() {
  return {{"type", "object"},
          {"properties", Json::object()},
          {"required", Json::array()},
          {"additionalProperties", false}};
}

Json list_schema(Json items, std::size_t least, std::size_t most) {
  Json out = {{"type", "array"}, {"items", std::move(items)}};
  if (least > 0) out["minItems"] = least;
  if (most != std::numeric_limits<std::size_t>::max()) out["maxItems"] = most;
  return out;
}

Json nullable_schema(Json value) {
  return {{"anyOf", Json::array({std::move(value), Json{{"type", "null"}}})}};
}

Json document_schema(Json value, std::string_view kind, int version) {
  Json properties = {{"format", {{"const", fmt::format("{}/{}", kind, version)}}}};
  for (auto& [key, property] : value["properties"].items()) properties[key] = std::move(property);
  Json required = Json::array({"format"});
  for (auto& key : value["required"]) required.push_back(key);
  Json out = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
              {"title", std::string(kind)}};
  for (auto& [key, part] : value.items()) out[key] = std::move(part);
  out["properties"] = std::move(properties);
  out["required"] = std::move(required);
  return out;
}

}  // namespace detail

}  // namespace soapstone::core
