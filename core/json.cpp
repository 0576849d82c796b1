#include "core/json.hpp"

#include <charconv>

namespace soapstone::core {

std::string JsonPath::text() const {
  if (parent_ == nullptr) return std::string(key_);
  std::string out = parent_->text();
  out += '/';
  if (index_ != kKeyed) return out + std::to_string(index_);
  for (const char c : key_) {
    if (c == '~')
      out += "~0";
    else if (c == '/')
      out += "~1";
    else
      out += c;
  }
  return out;
}

std::string json_excerpt(const Json& value) {
  constexpr std::size_t kLongest = 60;
  if (value.is_object())
    return value.empty() ? "{}"
                         : fmt::format("an object with the key `{}`", value.items().begin().key());
  if (value.is_array() && value.size() > 8)
    return fmt::format("a list of {} entries", value.size());
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() > kLongest) {
    std::size_t cut = kLongest;
    while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xc0) == 0x80)
      --cut;  // not inside a UTF-8 letter
    text.resize(cut);
    text += "…";
  }
  return text;
}

tl::unexpected<Error> json_error(const JsonPath& path, const Json& value,
                                 std::string_view accepted) {
  return json_error(path,
                    fmt::format("{} is not accepted; accepted: {}", json_excerpt(value), accepted));
}

tl::unexpected<Error> json_error(const JsonPath& path, std::string_view message) {
  const std::string where = path.text();
  return usage_error("at {}: {}", where.empty() ? "the top" : where, message);
}

void json_write(Json& out, const Interval& value) { out = Json::array({value.begin, value.end}); }

Status json_read(const Json& in, const JsonPath& path, Interval& value) {
  std::array<std::int64_t, 2> ends{};
  SOAPSTONE_TRY(read_json(in, path, ends));
  if (ends[0] > ends[1]) return json_error(path, in, "[begin, end] with begin <= end");
  value = {ends[0], ends[1]};
  return {};
}

namespace detail {

Status check_object(const Json& in, const JsonPath& path) {
  if (!in.is_object()) return json_error(path, in, "an object");
  return {};
}

Status check_list(const Json& in, const JsonPath& path, std::size_t least, std::size_t most) {
  if (in.is_array() && in.size() >= least && in.size() <= most) return {};
  if (least == most) return json_error(path, in, fmt::format("a list of {} entries", least));
  if (most == kMaxRank)
    return json_error(path, in, fmt::format("a list of at most {} entries", most));
  return json_error(path, in, "a list");
}

Status check_keys(const Json& in, const JsonPath& path, const std::vector<FieldInfo>& fields) {
  for (const auto& [key, value] : in.items()) {
    const bool known = std::any_of(fields.begin(), fields.end(),
                                   [&key = key](const auto& f) { return f.name == key; });
    if (known) continue;
    std::vector<std::string_view> names;
    for (const auto& f : fields) names.push_back(f.name);
    return json_error(JsonPath(path, std::string_view(key)),
                      fmt::format("unknown key `{}`; {}", key, accepted_names(key, names)));
  }
  return {};
}

tl::unexpected<Error> missing_key(const JsonPath& path, std::string_view key) {
  return json_error(path, fmt::format("the key `{}` is missing", key));
}

tl::unexpected<Error> nested_error(const JsonPath& path, const Error& error) {
  if (error.message.starts_with("at /"))
    return tl::unexpected(Error{"at " + path.text() + error.message.substr(3), error.kind});
  return tl::unexpected(Error{json_error(path, error.message).value().message, error.kind});
}

}  // namespace detail

namespace {

constexpr std::size_t kColumns = 100;

void append_scalar(std::string& out, const Json& value) { out += value.dump(); }

// Writes `value` on one line; false, with `out` cut off anywhere, once the
// line is longer than `limit` characters.
bool append_line(std::string& out, const Json& value, std::size_t limit) {
  if (value.is_object()) {
    out += '{';
    bool first = true;
    for (const auto& [key, v] : value.items()) {
      if (!first) out += ", ";
      first = false;
      append_scalar(out, key);
      out += ": ";
      if (out.size() > limit || !append_line(out, v, limit)) return false;
    }
    out += '}';
  } else if (value.is_array()) {
    out += '[';
    bool first = true;
    for (const auto& v : value) {
      if (!first) out += ", ";
      first = false;
      if (!append_line(out, v, limit)) return false;
    }
    out += ']';
  } else {
    append_scalar(out, value);
  }
  return out.size() <= limit;
}

void append_json(std::string& out, const Json& value, std::size_t indent, std::size_t line_start,
                 bool top) {
  const std::size_t mark = out.size();
  // One column is kept for the comma that may follow. The top stays open, so
  // that every document begins with its format on a line of its own.
  if (!value.is_structured() || value.empty() ||
      (!top && append_line(out, value, line_start + kColumns - 1))) {
    if (out.size() == mark) append_line(out, value, std::string::npos);
    return;
  }
  out.resize(mark);
  const std::string margin(indent + 2, ' ');
  if (value.is_object()) {
    out += "{";
    bool first = true;
    for (const auto& [key, v] : value.items()) {
      out += first ? "\n" : ",\n";
      first = false;
      const std::size_t start = out.size();
      out += margin;
      append_scalar(out, key);
      out += ": ";
      append_json(out, v, indent + 2, start, false);
    }
    out += '\n';
    out.append(indent, ' ');
    out += '}';
    return;
  }
  const bool fill =
      std::none_of(value.begin(), value.end(), [](const Json& v) { return v.is_structured(); });
  out += "[\n";
  std::size_t start = out.size();
  out += margin;
  bool first = true;
  for (const auto& v : value) {
    if (!first) out += fill ? ", " : ",\n" + margin;
    if (!fill) {
      if (!first) start = out.size() - margin.size();
      append_json(out, v, indent + 2, start, false);
    } else {
      const std::size_t item = out.size();
      append_scalar(out, v);
      if (!first && out.size() + 1 > start + kColumns) {
        out.replace(item - 1, 1, "\n" + margin);
        start = item;
      }
    }
    first = false;
  }
  out += '\n';
  out.append(indent, ' ');
  out += ']';
}

}  // namespace

Result<std::string> json_text(const Json& value) {
  std::string out;
  try {
    append_json(out, value, 0, 0, true);
  } catch (const Json::type_error& error) {
    return fail("a text cannot be written as JSON: {}", error.what());
  }
  out += '\n';
  return out;
}

}  // namespace soapstone::core
