// Whole files, read and written so that no reader ever sees half of one.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "core/result.hpp"

namespace soapstone::core {

// The bytes of a file. The error names the file and says what the system says.
Result<std::string> read_file(const std::filesystem::path& path);

// Writes to a temporary name in the same folder, synchronises it with the disk
// and renames it: whoever reads `path` finds the old bytes or the new ones. On
// an error (full disk, folder not writable, …) the old file is untouched, the
// temporary is removed, and the message names the file and says what the
// system says. A link is followed; what exists and is no regular file (a pipe,
// /dev/stdout) is written in place. Permissions of an existing file are kept.
Status write_file_atomically(const std::filesystem::path& path, std::string_view bytes);

// The path of a program, looked for on PATH as a shell does; empty where there is none.
std::string find_program(const std::string& name);

}  // namespace soapstone::core
