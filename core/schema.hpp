// JSON Schema (draft 2020-12) from the same fields() that the codec uses, so
// that an editor can check and complete a document as it is typed. Heavy: only
// a .cpp file includes this.
//
// A type with json_read() of its own gives its schema by
//     Json json_schema(std::type_identity<T>);
// found by ADL and declared in the type's header (json_fwd.hpp).
#pragma once

#include <limits>
#include <string>
#include <string_view>
#include <type_traits>

#include "core/json.hpp"

namespace soapstone::core {

// The schema of a value of type T, as it may stand inside a document.
template <class T>
Json value_schema();

// The schema of a document: the value's, with "format" as its first key.
template <class T>
Json schema_of();

Json json_schema(std::type_identity<Interval>);

namespace detail {

// {"type": "object", …} to which `properties` and `required` are added.
Json object_schema();
Json list_schema(Json items, std::size_t least, std::size_t most);
Json document_schema(Json value, std::string_view kind, int version);
Json nullable_schema(Json value);

constexpr std::string_view unit_name(Nanoseconds) { return "nanoseconds"; }
constexpr std::string_view unit_name(Bytes) { return "bytes"; }
constexpr std::string_view unit_name(Flops) { return "floating-point operations"; }
constexpr std::string_view unit_name(BytesPerSecond) { return "bytes per second"; }
constexpr std::string_view unit_name(FlopsPerSecond) {
  return "floating-point operations per second";
}

template <class T>
Json fields_schema() {
  Json out = object_schema();
  const auto& infos = field_infos<T>();
  std::size_t index = 0;
  T::fields(default_value<T>(), [&](std::string_view name, const auto& member, auto...) {
    using Member = std::remove_cvref_t<decltype(member)>;
    Json property = value_schema<Member>();
    const bool optional = infos[index++].optional;
    if (optional) property["default"] = to_json(member);
    out["properties"][std::string(name)] = std::move(property);
    if (!optional) out["required"].push_back(std::string(name));
  });
  return out;
}

}  // namespace detail

template <class T>
Json value_schema() {
  if constexpr (detail::CustomJson<T>) {
    return json_schema(std::type_identity<T>{});
  } else if constexpr (IsQuantity<T>::value) {
    Json out = value_schema<typename T::rep>();
    out["description"] = std::string(detail::unit_name(T{}));
    return out;
  } else if constexpr (IsId<T>::value) {
    return detail::nullable_schema(
        {{"type", "integer"}, {"minimum", 0}, {"maximum", T::kNone - 1}});
  } else if constexpr (Reflected<T>) {
    return detail::fields_schema<T>();
  } else if constexpr (NamedEnum<T>) {
    Json names = Json::array();
    for (const auto& [value, name] : enum_names(T{})) names.push_back(std::string(name));
    return {{"enum", std::move(names)}};
  } else if constexpr (IsVector<T>::value) {
    return detail::list_schema(value_schema<typename T::value_type>(), 0,
                               std::numeric_limits<std::size_t>::max());
  } else if constexpr (IsArray<T>::value) {
    return detail::list_schema(value_schema<typename T::value_type>(), std::tuple_size_v<T>,
                               std::tuple_size_v<T>);
  } else if constexpr (detail::IsSmallList<T>::value) {
    return detail::list_schema(value_schema<typename T::value_type>(), 0, kMaxRank);
  } else if constexpr (IsStringMap<T>::value) {
    return {{"type", "object"}, {"additionalProperties", value_schema<typename T::mapped_type>()}};
  } else if constexpr (IsOptional<T>::value) {
    return detail::nullable_schema(value_schema<typename T::value_type>());
  } else if constexpr (std::is_same_v<T, bool>) {
    return {{"type", "boolean"}};
  } else if constexpr (std::integral<T>) {
    using Limits = std::numeric_limits<T>;
    Json out = {{"type", "integer"}};
    // The ends of wide integers are left out: they tell a reader nothing.
    if constexpr (std::is_unsigned_v<T>) out["minimum"] = 0;
    if constexpr (std::is_signed_v<T> && sizeof(T) < 4) out["minimum"] = Limits::min();
    if constexpr (sizeof(T) < 4) out["maximum"] = Limits::max();
    return out;
  } else if constexpr (std::floating_point<T>) {
    return {{"type", "number"}};
  } else {
    static_assert(std::is_same_v<T, std::string>,
                  "give this type fields(), enum_names() or json_schema()");
    return {{"type", "string"}};
  }
}

template <class T>
Json schema_of() {
  return detail::document_schema(value_schema<T>(), T::kFormat, T::kVersion);
}

}  // namespace soapstone::core
