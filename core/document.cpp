#include "core/document.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <utility>

#include "core/document_impl.hpp"

namespace soapstone::core {

namespace {

// Deeper documents are refused: no document of ours is, and a file full of
// brackets must not exhaust the stack.
constexpr int kDeepest = 100;

// Walks a text that is known to be JSON, without building anything, and finds
// where values stand.
class Walker {
 public:
  Walker(std::string_view text, std::string_view pointer) : text_(text), pointer_(pointer) {}

  // Visits everything; afterwards found(), deep() and duplicate() are known.
  void walk() {
    space();
    found_ = at_;
    value(pointer_, 0, true);
  }

  // Offset of the deepest part of the pointer that exists: of the key, or of the list's entry.
  std::size_t found() const { return found_; }
  bool deep() const { return deep_; }
  // Offset and text of a key that its object has twice.
  const std::optional<std::pair<std::size_t, std::string>>& duplicate() const { return duplicate_; }

 private:
  void space() {
    while (at_ < text_.size() &&
           std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos)
      ++at_;
  }
  bool take(char c) {
    space();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  std::string_view raw_string() {
    const std::size_t start = at_++;
    while (at_ < text_.size() && text_[at_] != '"') at_ += text_[at_] == '\\' ? 2 : 1;
    at_ = std::min(at_ + 1, text_.size());
    return text_.substr(start, at_ - start);
  }

  // The rest of the pointer below `key`, when `rest` goes through it.
  static std::optional<std::string_view> below(std::string_view rest, std::string_view escaped) {
    if (!rest.starts_with('/') || !rest.substr(1).starts_with(escaped)) return std::nullopt;
    rest.remove_prefix(1 + escaped.size());
    if (!rest.empty() && rest.front() != '/') return std::nullopt;
    return rest;
  }

  void value(std::string_view rest, int depth, bool on_way) {
    space();
    if (depth > kDeepest) {
      deep_ = true;
      at_ = text_.size();
      return;
    }
    if (take('{')) {
      std::set<std::string> keys;
      while (!take('}') && at_ < text_.size()) {
        take(',');
        space();
        const std::size_t start = at_;
        const std::string key = Json::parse(raw_string()).get<std::string>();
        if (!keys.insert(key).second && !duplicate_) duplicate_ = {start, key};
        take(':');
        const JsonPath root;
        const std::string step = JsonPath(root, std::string_view(key)).text().substr(1);
        member(on_way ? below(rest, step) : std::nullopt, start, depth);
      }
    } else if (take('[')) {
      std::size_t index = 0;
      while (!take(']') && at_ < text_.size()) {
        take(',');
        space();
        member(on_way ? below(rest, std::to_string(index++)) : std::nullopt, at_, depth);
      }
    } else if (at_ < text_.size() && text_[at_] == '"') {
      raw_string();
    } else {
      while (at_ < text_.size() &&
             std::string_view(",]} \t\r\n").find(text_[at_]) == std::string_view::npos)
        ++at_;
    }
  }

  void member(std::optional<std::string_view> rest, std::size_t start, int depth) {
    if (rest) found_ = start;
    value(rest.value_or(""), depth + 1, rest.has_value());
  }

  std::string_view text_;
  std::string_view pointer_;
  std::size_t at_ = 0;
  std::size_t found_ = 0;
  bool deep_ = false;
  std::optional<std::pair<std::size_t, std::string>> duplicate_;
};

std::size_t line_of(std::string_view text, std::size_t offset) {
  return 1 + static_cast<std::size_t>(std::count(
                 text.begin(), text.begin() + static_cast<std::ptrdiff_t>(offset), '\n'));
}

Result<Json> parse_text(std::string_view text, const std::string& name) {
  Json json;
  try {
    json = Json::parse(text);
  } catch (const Json::exception& error) {
    // The library's text reads "[json.exception.parse_error.101] parse error at
    // line 3, column 5: what"; the file, the line and what are enough.
    std::string what = error.what();
    // It quotes what it has read, also of files that are no text.
    for (char& c : what)
      if (c < ' ' || c > '~') c = '?';
    if (const auto close = what.find("] "); close != std::string::npos)
      what = what.substr(close + 2);
    const std::string start = "parse error at line ";
    if (!what.starts_with(start)) return usage_error("{}: not JSON: {}", name, what);
    const auto comma = what.find(", column ");
    const auto colon = what.find(": ", comma);
    const std::string line = what.substr(start.size(), comma - start.size());
    const std::string column = what.substr(comma + 9, colon - comma - 9);
    return usage_error("{}:{}:{}: not JSON: {}", name, line, column, what.substr(colon + 2));
  }
  Walker walker(text, "");
  walker.walk();
  if (walker.deep())
    return usage_error("{}: nested deeper than {} levels, which no document is", name, kDeepest);
  if (const auto& twice = walker.duplicate())
    return usage_error("{}:{}: the key `{}` stands twice in one object", name,
                       line_of(text, twice->first), twice->second);
  return json;
}

Result<DocumentFormat> read_format(const Json& json, std::string_view text,
                                   const std::string& name) {
  const std::string accepted =
      "accepted: an object whose key `format` is \"soapstone.KIND/VERSION\"";
  if (!json.is_object())
    return usage_error("{}:1: {} is not accepted; {}", name, json_excerpt(json), accepted);
  const auto found = json.find("format");
  if (found == json.end())
    return usage_error("{}:1: the key `format` is missing; {}", name, accepted);
  Walker walker(text, "/format");
  walker.walk();
  const auto wrong = [&] {
    return usage_error("{}:{}: at /format: {} is not accepted; {}", name,
                       line_of(text, walker.found()), json_excerpt(*found), accepted);
  };
  if (!found->is_string()) return wrong();
  const auto& format = found->get_ref<const std::string&>();
  const auto slash = format.find('/');
  if (slash == std::string::npos || slash == 0) return wrong();
  DocumentFormat result{format.substr(0, slash), 0};
  const char* end = format.data() + format.size();
  const auto [stop, code] = std::from_chars(format.data() + slash + 1, end, result.version);
  if (code != std::errc{} || stop != end || result.version < 1) return wrong();
  return result;
}

}  // namespace

Result<DocumentFormat> document_format(std::string_view text, const std::string& name) {
  SOAPSTONE_ASSIGN(const Json json, parse_text(text, name));
  return read_format(json, text, name);
}

namespace detail {

Result<Json> parse_document(std::string_view text, const std::string& name, std::string_view kind,
                            int version) {
  SOAPSTONE_ASSIGN(Json json, parse_text(text, name));
  SOAPSTONE_ASSIGN(const DocumentFormat format, read_format(json, text, name));
  if (format.kind != kind)
    return usage_error("{}: this is a {} document, a {} document is wanted", name, format.kind,
                       kind);
  if (format.version > version)
    return refuse(
        "{}: this is version {} of {}, written by a newer Soapstone; this one reads version {}",
        name, format.version, kind, version);
  if (format.version < version)
    return refuse(
        "{}: this is version {} of {}, which is no longer read; this Soapstone reads version {}",
        name, format.version, kind, version);
  json.erase("format");
  return json;
}

Error locate_error(const Error& error, std::string_view text, const std::string& name) {
  std::string_view pointer;
  if (error.message.starts_with("at /")) {
    pointer = error.message;
    pointer = pointer.substr(3, pointer.find(": ") - 3);
  }
  Walker walker(text, pointer);
  walker.walk();
  return {fmt::format("{}:{}: {}", name, line_of(text, walker.found()), error.message), error.kind};
}

Json with_format(Json fields, std::string_view kind, int version) {
  SOAPSTONE_ASSERT(fields.is_object(), "a document of kind {} is not written as an object", kind);
  Json out = Json::object();
  auto& members = out.get_ref<Json::object_t&>();
  members.emplace_back("format", fmt::format("{}/{}", kind, version));
  for (auto& member : fields.get_ref<Json::object_t&>()) members.push_back(std::move(member));
  return out;
}

}  // namespace detail

}  // namespace soapstone::core
