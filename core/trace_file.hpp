// Traces on disk, small and large.
//
// Two forms hold the same values: the JSON document (document.hpp), and a binary one that a
// program reads as fast as the disk gives it. Files whose name ends in .trace are written in the
// latter. What is read says itself which one it is.
//
// The binary form, little endian; a text is its length (u32) and its bytes:
//   "\x89STRACE\n", version (u32), length of the file in bytes (u64)
//   origin (u8), graph (text), plan, graph and strategy hash (u64 each), step time in ns (i64),
//   steps (u32)
//   labels: how many (u32), a text each
//   lanes: how many (u32), device (u32) and kind (u8) each
//   spans: how many (u64), then every column of Spans: name (text), bytes per entry (u8), entries
//   memory: how many (u32); each: device (u32), live peak, arena (i64 each), how many (u64),
//   times (i64 each), values (i64 each)
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "core/result.hpp"
#include "core/trace.hpp"

namespace soapstone::core {

// Whether bytes begin as the binary form does.
bool is_trace_file(std::string_view bytes);
// Whether a JSON text says near its beginning that it is a trace.
bool is_trace_text(std::string_view text);

std::string trace_bytes(const Trace& trace);
// Either form; checked (trace.hpp). `name` stands for the file in errors, which name the offset in
// the binary form, and line and key in the other.
Result<Trace> trace_from_bytes(std::string_view bytes, const std::string& name);

// Atomically (file.hpp).
Status save_trace(const std::filesystem::path& path, const Trace& trace);
Result<Trace> load_trace(const std::filesystem::path& path);

}  // namespace soapstone::core
