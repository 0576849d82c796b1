// Values to JSON and back, derived from reflect.hpp. Heavy: only a .cpp file
// (or another header that says the same of itself) includes this one.
//
// How each type is written, and what is read back without loss:
//   integers, doubles (finite), bool, strings    as themselves
//   named enumerations                           by name
//   Quantity                                     the plain number, in its unit
//   Id                                           the number; null for none
//   vector, array, SmallList                     array
//   optional                                     the value, or null
//   map<string, T>                               object
//   types with fields()                          object; kOptional keys equal to their default are
//   left out Interval                                     [begin, end] anything else json_write /
//   json_read (json_fwd.hpp)
// After a type with fields() is read, `Status after_read(T&)`, where declared
// beside T, may check the value and rebuild what is derived from it; its
// message may begin with "at /links/3: ", relative to the value.
//
// Reading is strict: unknown keys, missing keys, numbers that do not fit and
// fractions where an integer is wanted are errors, "at /ops/3/degrees/0: -1 is
// not accepted; accepted: an integer from 1 to 7".
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/assert.hpp"
#include "core/json_fwd.hpp"
#include "core/reflect.hpp"
#include "core/result.hpp"
#include "core/shape.hpp"
#include "core/suggest.hpp"

namespace soapstone::core {

template <class T>
Json to_json(const T& value);

// `path` is where `in` lies in its document and is only used in errors.
template <class T>
Result<T> from_json(const Json& in, const JsonPath& path = {});

// The same into a value that exists already; left half-read on an error.
template <class T>
Status read_json(const Json& in, const JsonPath& path, T& out);

// One line of at most about 60 characters, for errors.
std::string json_excerpt(const Json& value);

// "at PATH: VALUE is not accepted; accepted: ACCEPTED".
tl::unexpected<Error> json_error(const JsonPath& path, const Json& value,
                                 std::string_view accepted);

// "at PATH: MESSAGE". The document layer finds the line by this form.
tl::unexpected<Error> json_error(const JsonPath& path, std::string_view message);

// Indented by two spaces; what fits on a line of 100 columns stays on one, and
// long lists of numbers are filled line by line. Fails on a string that is not UTF-8.
Result<std::string> json_text(const Json& value);

void json_write(Json& out, const Interval& value);
Status json_read(const Json& in, const JsonPath& path, Interval& value);

namespace detail {

template <class T>
struct IsSmallList : std::false_type {};
template <class T>
struct IsSmallList<SmallList<T>> : std::true_type {};

// Asked of json_read, whose parameter binds to T itself: json_write(Json&, const
// variant<A, B>&) would also accept an A.
template <class T>
concept CustomJson = requires(const Json& in, const JsonPath& path, T& value) {
  json_read(in, path, value);
};

struct FieldInfo {
  std::string_view name;
  bool optional = false;
  const void* initial = nullptr;  // the member of the default value
};

template <class T>
const T& default_value() {
  static const T value{};
  return value;
}

// The fields of T, which are the same for every value of T.
template <class T>
const std::vector<FieldInfo>& field_infos() {
  static const std::vector<FieldInfo> infos = [] {
    std::vector<FieldInfo> list;
    T::fields(default_value<T>(), [&](std::string_view name, const auto& member, auto... option) {
      list.push_back({name, sizeof...(option) > 0, &member});
    });
    return list;
  }();
  return infos;
}

// Errors unless every key of the object `in` is a field.
Status check_keys(const Json& in, const JsonPath& path, const std::vector<FieldInfo>& fields);
Status check_object(const Json& in, const JsonPath& path);
Status check_list(const Json& in, const JsonPath& path, std::size_t least, std::size_t most);
tl::unexpected<Error> missing_key(const JsonPath& path, std::string_view key);
// `error` came from a check that knows nothing of `path`; it may begin with a
// path of its own, relative to the value ("at /links/3: …").
tl::unexpected<Error> nested_error(const JsonPath& path, const Error& error);

template <class T>
void write_fields(Json& out, const T& value) {
  out = Json::object();
  const auto& infos = field_infos<T>();
  std::size_t index = 0;
  T::fields(value, [&](std::string_view name, const auto& member, auto...) {
    using Member = std::remove_cvref_t<decltype(member)>;
    const FieldInfo& info = infos[index++];
    if constexpr (std::equality_comparable<Member>) {
      if (info.optional && member == *static_cast<const Member*>(info.initial)) return;
    }
    // Appended without a look-up: field names are distinct.
    out.template get_ref<Json::object_t&>().emplace_back(std::string(name), to_json(member));
  });
}

template <class T>
Status read_fields(const Json& in, const JsonPath& path, T& out) {
  SOAPSTONE_TRY(check_object(in, path));
  SOAPSTONE_TRY(check_keys(in, path, field_infos<T>()));
  Status status;
  T::fields(out, [&](std::string_view name, auto& member, auto... option) {
    if (!status) return;
    const auto found = in.find(name);
    if (found != in.end())
      status = read_json(*found, JsonPath(path, name), member);
    else if (sizeof...(option) == 0)
      status = missing_key(path, name);
  });
  if constexpr (requires { after_read(out); }) {
    if (status) {
      status = after_read(out);
      if (!status) return nested_error(path, status.error());
    }
  }
  return status;
}

template <std::integral T>
Status read_integer(const Json& in, const JsonPath& path, T& out) {
  using Limits = std::numeric_limits<T>;
  if (in.is_number_unsigned()) {
    const auto v = in.get<std::uint64_t>();
    if (std::in_range<T>(v)) return out = static_cast<T>(v), Status{};
  } else if (in.is_number_integer()) {
    const auto v = in.get<std::int64_t>();
    if (std::in_range<T>(v)) return out = static_cast<T>(v), Status{};
  }
  return json_error(path, in,
                    fmt::format("an integer from {} to {}", Limits::min(), Limits::max()));
}

}  // namespace detail

template <class T>
void write_json(Json& out, const T& value) {
  if constexpr (detail::CustomJson<T>) {
    json_write(out, value);
  } else if constexpr (IsQuantity<T>::value) {
    write_json(out, value.value);
  } else if constexpr (IsId<T>::value) {
    if (value.valid())
      out = value.value;
    else
      out = nullptr;
  } else if constexpr (Reflected<const T>) {
    detail::write_fields(out, value);
  } else if constexpr (NamedEnum<T>) {
    out = std::string(name_of(value));
  } else if constexpr (IsVector<T>::value || IsArray<T>::value || detail::IsSmallList<T>::value) {
    out = Json::array();
    auto& list = out.template get_ref<Json::array_t&>();
    list.reserve(value.size());
    for (const auto& v : value)
      list.push_back(to_json(static_cast<const typename T::value_type&>(v)));
  } else if constexpr (IsStringMap<T>::value) {
    out = Json::object();
    for (const auto& [key, v] : value)
      out.template get_ref<Json::object_t&>().emplace_back(key, to_json(v));
  } else if constexpr (IsOptional<T>::value) {
    if (value)
      write_json(out, *value);
    else
      out = nullptr;
  } else if constexpr (std::floating_point<T>) {
    SOAPSTONE_ASSERT(std::isfinite(value), "{} cannot be written to JSON", value);
    out = value;
  } else {
    static_assert(std::is_arithmetic_v<T> || std::is_same_v<T, std::string> ||
                      std::is_same_v<T, std::string_view>,
                  "give this type fields(), enum_names() or json_write()");
    out = value;
  }
}

template <class T>
Json to_json(const T& value) {
  Json out;
  write_json(out, value);
  return out;
}

template <class T>
Status read_json(const Json& in, const JsonPath& path, T& out) {
  if constexpr (detail::CustomJson<T>) {
    return json_read(in, path, out);
  } else if constexpr (IsQuantity<T>::value) {
    return read_json(in, path, out.value);
  } else if constexpr (IsId<T>::value) {
    if (in.is_null()) return out = T{}, Status{};
    std::uint32_t v = T::kNone;
    if (!detail::read_integer(in, path, v) || v == T::kNone)
      return json_error(path, in, fmt::format("an index from 0 to {}, or null", T::kNone - 1));
    out = T{v};
    return {};
  } else if constexpr (Reflected<T>) {
    return detail::read_fields(in, path, out);
  } else if constexpr (NamedEnum<T>) {
    if (in.is_string())
      if (const auto e = enum_from_name<T>(in.get_ref<const std::string&>()))
        return out = *e, Status{};
    std::vector<std::string_view> names;
    for (const auto& [e, name] : enum_names(T{})) names.push_back(name);
    const std::string given = in.is_string() ? in.get<std::string>() : std::string{};
    return json_error(path, fmt::format("{} is not accepted; {}", json_excerpt(in),
                                        accepted_names(given, names)));
  } else if constexpr (IsVector<T>::value) {
    SOAPSTONE_TRY(detail::check_list(in, path, 0, std::numeric_limits<std::size_t>::max()));
    out.clear();
    out.reserve(in.size());
    for (std::size_t i = 0; i < in.size(); ++i) {
      typename T::value_type element{};
      SOAPSTONE_TRY(read_json(in[i], JsonPath(path, i), element));
      out.push_back(std::move(element));
    }
    return {};
  } else if constexpr (IsArray<T>::value) {
    SOAPSTONE_TRY(detail::check_list(in, path, out.size(), out.size()));
    for (std::size_t i = 0; i < out.size(); ++i)
      SOAPSTONE_TRY(read_json(in[i], JsonPath(path, i), out[i]));
    return {};
  } else if constexpr (detail::IsSmallList<T>::value) {
    SOAPSTONE_TRY(detail::check_list(in, path, 0, kMaxRank));
    out = T{};
    for (std::size_t i = 0; i < in.size(); ++i) {
      typename T::value_type element{};
      SOAPSTONE_TRY(read_json(in[i], JsonPath(path, i), element));
      out.push_back(element);
    }
    return {};
  } else if constexpr (IsStringMap<T>::value) {
    SOAPSTONE_TRY(detail::check_object(in, path));
    out.clear();
    for (const auto& [key, v] : in.items())
      SOAPSTONE_TRY(read_json(v, JsonPath(path, std::string_view(key)), out[key]));
    return {};
  } else if constexpr (IsOptional<T>::value) {
    if (in.is_null()) return out.reset(), Status{};
    return read_json(in, path, out.emplace());
  } else if constexpr (std::is_same_v<T, bool>) {
    if (!in.is_boolean()) return json_error(path, in, "true or false");
    out = in.get<bool>();
    return {};
  } else if constexpr (std::integral<T>) {
    return detail::read_integer(in, path, out);
  } else if constexpr (std::floating_point<T>) {
    if (!in.is_number()) return json_error(path, in, "a number");
    out = in.get<T>();
    return {};
  } else {
    static_assert(std::is_same_v<T, std::string>,
                  "give this type fields(), enum_names() or json_read()");
    if (!in.is_string()) return json_error(path, in, "a string");
    out = in.get_ref<const std::string&>();
    return {};
  }
}

template <class T>
Result<T> from_json(const Json& in, const JsonPath& path) {
  T value{};
  SOAPSTONE_TRY(read_json(in, path, value));
  return value;
}

}  // namespace soapstone::core
