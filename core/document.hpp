// Versioned documents: what Soapstone's rooms hand to each other on disk.
//
// A document is a JSON object whose first key is "format":
//     { "format": "soapstone.strategy/1", … the fields of the value … }
// A type is a document when it names its kind and version:
//     static constexpr std::string_view kFormat = "soapstone.strategy";
//     static constexpr int kVersion = 1;
// and its .cpp includes core/document_impl.hpp and says, in namespace
// soapstone::core, SOAPSTONE_INSTANTIATE_DOCUMENT(Strategy);
//
// Every error names the file, the line, the key, the value and what would be
// accepted: "best.json:12: at /ops/3/degrees/0: -1 is not accepted; accepted: …".
#pragma once

#include <concepts>
#include <filesystem>
#include <string>
#include <string_view>

#include "core/file.hpp"
#include "core/result.hpp"

namespace soapstone::core {

template <class T>
concept Document = requires {
  { T::kFormat } -> std::convertible_to<std::string_view>;
  { T::kVersion } -> std::convertible_to<int>;
};

// Fails only on a text inside the value that is not UTF-8.
template <Document T>
Result<std::string> document_text(const T& value);

// `name` stands for the file in errors.
template <Document T>
Result<T> document_from_text(std::string_view text, const std::string& name);

// Writes atomically (file.hpp): on an error the old file is still there.
template <Document T>
Status save_document(const std::filesystem::path& path, const T& value);

template <Document T>
Result<T> load_document(const std::filesystem::path& path);

// The JSON Schema (draft 2020-12) of the document, as text.
template <Document T>
std::string document_schema_text();

// What a file says it is, so that a program can choose how to read it.
struct DocumentFormat {
  std::string kind;  // "soapstone.strategy"
  int version = 0;

  friend bool operator==(const DocumentFormat&, const DocumentFormat&) = default;
};
Result<DocumentFormat> document_format(std::string_view text, const std::string& name);

}  // namespace soapstone::core
