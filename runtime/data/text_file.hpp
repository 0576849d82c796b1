// Whole text files, plain or gzipped.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"

namespace soapstone::runtime {

// The bytes of a plain or gzipped file, of at most 1 GiB. The error names the file.
core::Result<std::string> read_zipped(const std::filesystem::path& path);

// As read_zipped; a NUL byte is refused with its line: that is no text.
core::Result<std::string> read_text(const std::filesystem::path& path);

// Regular files below `folder` whose names end with one of `endings`, by name. None is an error,
// which says what is looked for.
core::Result<std::vector<std::filesystem::path>> files_below(
    const std::filesystem::path& folder, std::span<const std::string_view> endings);

// `folder`, or else $SOAPSTONE_DATA, or else `standard`.
std::filesystem::path data_folder(const std::filesystem::path& folder,
                                  const std::filesystem::path& standard);

// The error with where the files come from.
core::Error advised(core::Error error, std::string_view package,
                    const std::filesystem::path& standard);

}  // namespace soapstone::runtime
