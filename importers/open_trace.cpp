#include "importers/open_trace.hpp"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "core/file.hpp"
#include "core/trace_file.hpp"
#include "importers/chrome_trace.hpp"

namespace soapstone::importers {

using namespace core;

Result<std::vector<std::string>> trace_files(const std::string& what) {
  std::error_code error;
  std::vector<std::string> out;
  if (std::filesystem::is_directory(what, error)) {
    auto it = std::filesystem::directory_iterator(what, error);
    for (; !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
      const std::string name = it->path().filename().string();
      std::error_code ignored;  // what cannot be looked at is no file
      if (it->is_regular_file(ignored) && (name.ends_with(".json") || name.ends_with(".json.gz")))
        out.push_back(it->path().string());
    }
    if (error) return usage_error("{}: {}", what, error.message());
    std::sort(out.begin(), out.end());
    if (out.empty())
      return usage_error(
          "{}: the folder has no file that ends in .json; Chrome traces, one per "
          "rank, are accepted",
          what);
    return out;
  }
  if (std::filesystem::exists(what, error) || what.find(',') == std::string::npos)
    return std::vector{what};
  for (std::size_t from = 0; from <= what.size();) {
    const std::size_t comma = std::min(what.find(',', from), what.size());
    if (comma > from) out.push_back(what.substr(from, comma - from));
    from = comma + 1;
  }
  return out;
}

Result<OpenedTrace> open_trace(const std::string& what, const Graph* graph) {
  SOAPSTONE_ASSIGN(const std::vector<std::string> names, trace_files(what));
  std::vector<std::string> texts;
  std::vector<TraceText> traces;
  std::size_t others = 0;
  texts.reserve(names.size());  // views are made of them
  OpenedTrace out;
  for (const std::string& name : names) {
    SOAPSTONE_ASSIGN(std::string text, read_file(name));
    if (is_trace_file(text) || is_trace_text(text) || !is_chrome_trace(text)) {
      if (names.size() == 1 && name == what) {
        SOAPSTONE_ASSIGN(out.trace, trace_from_bytes(text, name));
        return out;
      }
      ++others;
      continue;
    }
    texts.push_back(std::move(text));
    traces.push_back({name, texts.back()});
  }
  if (traces.empty())
    return usage_error(
        "{}: none of {} files is a Chrome trace; a JSON object with `traceEvents`, "
        "or an array of events, is accepted",
        what, others);
  SOAPSTONE_ASSIGN(ImportedTrace imported, read_chrome_trace(traces, graph));
  out.is_foreign = true;
  out.notes = notes(imported);
  if (others > 0)
    out.notes.push_back(
        fmt::format("{} files of {} are no Chrome traces and left out", others, what));
  out.trace = std::move(imported.trace);
  return out;
}

}  // namespace soapstone::importers
