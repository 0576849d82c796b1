// The bodies of document.hpp's templates. Heavy: only the .cpp file of a
// document type includes this, and instantiates them for its type.
#pragma once

#include "core/document.hpp"
#include "core/json.hpp"
#include "core/schema.hpp"

namespace soapstone::core {

namespace detail {

// Parses `text`, checks its "format", and removes that key.
Result<Json> parse_document(std::string_view text, const std::string& name, std::string_view kind,
                            int version);

// Puts the file and the line in front of an error whose message begins with "at PATH: ".
Error locate_error(const Error& error, std::string_view text, const std::string& name);

// `fields` with the key "format" in front.
Json with_format(Json fields, std::string_view kind, int version);

}  // namespace detail

template <Document T>
Result<std::string> document_text(const T& value) {
  return json_text(detail::with_format(to_json(value), T::kFormat, T::kVersion));
}

template <Document T>
Result<T> document_from_text(std::string_view text, const std::string& name) {
  SOAPSTONE_ASSIGN(const Json json, detail::parse_document(text, name, T::kFormat, T::kVersion));
  Result<T> value = from_json<T>(json);
  if (!value) return tl::unexpected(detail::locate_error(value.error(), text, name));
  return value;
}

template <Document T>
Status save_document(const std::filesystem::path& path, const T& value) {
  const Result<std::string> text = document_text(value);
  if (!text) return fail("cannot write {}: {}", path.string(), text.error().message);
  return write_file_atomically(path, *text);
}

template <Document T>
Result<T> load_document(const std::filesystem::path& path) {
  SOAPSTONE_ASSIGN(const std::string text, read_file(path));
  return document_from_text<T>(text, path.string());
}

template <Document T>
std::string document_schema_text() {
  return json_text(schema_of<T>()).value();
}

#define SOAPSTONE_INSTANTIATE_DOCUMENT(T)                                         \
  template Result<std::string> document_text<T>(const T&);                        \
  template Result<T> document_from_text<T>(std::string_view, const std::string&); \
  template Status save_document<T>(const std::filesystem::path&, const T&);       \
  template Result<T> load_document<T>(const std::filesystem::path&);              \
  template std::string document_schema_text<T>()

}  // namespace soapstone::core
