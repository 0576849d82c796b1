// The JSON value type by name only, for headers that declare a customisation.
//
// A type that is not described by fields() declares, in its own namespace and
// in its own header, so that every user of the codec sees the same choice:
//     void json_write(Json& out, const T& value);
//     Status json_read(const Json& in, const JsonPath& path, T& value);
//     Json json_schema(std::type_identity<T>);   // see schema.hpp
// (`const std::string& path` works too, a little slower.)
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace soapstone::core {

// Keeps the keys in the order in which they were written.
using Json = nlohmann::ordered_json;

// Where a value lies in a document, as a chain towards the root: the text (a
// JSON pointer, `/ops/3/degrees/0`) is made only when an error needs it. A
// path lives no longer than the parent it was made from.
class JsonPath {
 public:
  JsonPath() = default;  // the root
  JsonPath(std::string_view pointer)
      : key_(pointer) {}  // NOLINT: implicit, for callers with a text
  JsonPath(const std::string& pointer) : key_(pointer) {}  // NOLINT
  JsonPath(const char* pointer) : key_(pointer) {}         // NOLINT
  JsonPath(const JsonPath& parent, std::string_view key) : parent_(&parent), key_(key) {}
  JsonPath(const JsonPath& parent, std::size_t index) : parent_(&parent), index_(index) {}

  std::string text()
      const;  // with `~` and `/` inside a key escaped as RFC 6901 says; the root is ""
  operator std::string() const {
    return text();
  }  // NOLINT: implicit, for readers that take a string

 private:
  static constexpr std::size_t kKeyed = static_cast<std::size_t>(-1);
  const JsonPath* parent_ = nullptr;
  std::string_view key_;
  std::size_t index_ = kKeyed;
};

}  // namespace soapstone::core
