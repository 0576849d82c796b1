#include "core/trace_file.hpp"

#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <limits>
#include <optional>
#include <type_traits>

#include "core/document.hpp"
#include "core/file.hpp"
#include "core/json.hpp"

namespace soapstone::core {

namespace {

constexpr std::string_view kMagic = "\x89STRACE\n";
constexpr std::uint32_t kBinaryVersion = 1;

// What an entry of a column is on disk: an unsigned integer of its width.
template <std::size_t kWidth>
struct Unsigned;
template <>
struct Unsigned<1> {
  using type = std::uint8_t;
};
template <>
struct Unsigned<4> {
  using type = std::uint32_t;
};
template <>
struct Unsigned<8> {
  using type = std::uint64_t;
};

// Quantities, enumerations and integers have nothing but their value in memory.
template <class T>
concept Plain = std::is_trivially_copyable_v<T> &&
    (sizeof(T) == 1 || sizeof(T) == 4 || sizeof(T) == 8);

template <class T>
T swapped(T value) {
  auto bytes = std::bit_cast<std::array<unsigned char, sizeof(T)>>(value);
  for (std::size_t i = 0; i < sizeof(T) / 2; ++i) std::swap(bytes[i], bytes[sizeof(T) - 1 - i]);
  return std::bit_cast<T>(bytes);
}

template <class T>
T little_endian(T value) {
  return std::endian::native == std::endian::little ? value : swapped(value);
}

// --- writing ------------------------------------------------------------------------------------

class Writer {
 public:
  explicit Writer(std::size_t about) { out_.reserve(about); }

  template <Plain T>
  void put(T value) {
    const auto raw = little_endian(std::bit_cast<typename Unsigned<sizeof(T)>::type>(value));
    out_.append(reinterpret_cast<const char*>(&raw), sizeof raw);
  }
  void put_text(std::string_view text) {
    SOAPSTONE_ASSERT(text.size() <= std::numeric_limits<std::uint32_t>::max(), "a text of {} bytes",
                     text.size());
    put(static_cast<std::uint32_t>(text.size()));
    out_ += text;
  }
  template <Plain T>
  void put_all(const std::vector<T>& column) {
    if constexpr (std::endian::native == std::endian::little)
      out_.append(reinterpret_cast<const char*>(column.data()), column.size() * sizeof(T));
    else
      for (const T& value : column) put(value);
  }
  void put_at(std::size_t at, std::uint64_t value) {
    const std::uint64_t raw = little_endian(value);
    std::memcpy(out_.data() + at, &raw, sizeof raw);
  }
  std::size_t size() const { return out_.size(); }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

// --- reading ------------------------------------------------------------------------------------

// Every step says what it reads, so that an error can.
class Reader {
 public:
  Reader(std::string_view bytes, const std::string& name) : bytes_(bytes), name_(name) {}

  template <class... Args>
  tl::unexpected<Error> error(fmt::format_string<Args...> format, Args&&... args) const {
    return usage_error("{}: at byte {}: {}", name_, at_,
                       fmt::format(format, std::forward<Args>(args)...));
  }

  std::size_t left() const { return bytes_.size() - at_; }
  void skip(std::size_t count) { at_ += count; }

  template <Plain T>
  Status get(T& value, std::string_view what) {
    SOAPSTONE_TRY(need(1, sizeof(T), what));
    typename Unsigned<sizeof(T)>::type raw;
    std::memcpy(&raw, bytes_.data() + at_, sizeof raw);
    value = std::bit_cast<T>(little_endian(raw));
    at_ += sizeof raw;
    return {};
  }
  template <NamedEnum E>
  Status get_enum(E& value, std::string_view what) {
    std::underlying_type_t<E> raw{};
    SOAPSTONE_TRY(get(raw, what));
    if (!is_value<E>(raw)) {
      at_ -= sizeof raw;
      return error("{} is {}; accepted: 0 to {}", what, raw, enum_names(E{}).size() - 1);
    }
    value = static_cast<E>(raw);
    return {};
  }
  Status get_text(std::string& text, std::string_view what) {
    std::uint32_t length = 0;
    SOAPSTONE_TRY(get(length, what));
    SOAPSTONE_TRY(need(length, 1, what));
    text.assign(bytes_.substr(at_, length));
    at_ += length;
    return {};
  }
  template <Plain T>
  Status get_all(std::vector<T>& column, std::uint64_t count, std::string_view what) {
    SOAPSTONE_TRY(need(count, sizeof(T), what));
    column.resize(count);
    if (count > 0) std::memcpy(column.data(), bytes_.data() + at_, count * sizeof(T));
    if constexpr (std::endian::native != std::endian::little)
      for (T& value : column) value = swapped(value);
    if constexpr (NamedEnum<T>)
      for (std::uint64_t i = 0; i < count; ++i) {
        const auto raw = static_cast<std::underlying_type_t<T>>(column[i]);
        if (is_value<T>(raw)) continue;
        at_ += i * sizeof(T);
        return error("{} of span {} is {}; accepted: 0 to {}", what, i, raw,
                     enum_names(T{}).size() - 1);
      }
    at_ += count * sizeof(T);
    return {};
  }
  // A count of things that take at least so many bytes each.
  template <class N>
  Status get_count(N& count, std::size_t least, std::string_view what) {
    SOAPSTONE_TRY(get(count, what));
    return need(count, least, what);
  }

 private:
  // The names of an enumeration that is written by its value stand for 0, 1, 2, ….
  template <NamedEnum E>
  static bool is_value(std::underlying_type_t<E> raw) {
    static_assert(sizeof(E) == 1);
    return raw < enum_names(E{}).size();
  }
  Status need(std::uint64_t count, std::size_t each, std::string_view what) const {
    if (count <= left() / each) return {};
    return error("{}: {} bytes are wanted, {} are left", what,
                 count > std::numeric_limits<std::uint64_t>::max() / each
                     ? std::numeric_limits<std::uint64_t>::max()
                     : count * each,
                 left());
  }

  std::string_view bytes_;
  const std::string& name_;
  std::size_t at_ = 0;
};

Result<Trace> from_binary(std::string_view bytes, const std::string& name) {
  Reader in(bytes, name);
  in.skip(kMagic.size());
  std::uint32_t version = 0;
  std::uint64_t length = 0;
  SOAPSTONE_TRY(in.get(version, "the version"));
  if (version > kBinaryVersion)
    return refuse(
        "{}: this is version {} of a binary trace, written by a newer Soapstone; this one reads "
        "version {}",
        name, version, kBinaryVersion);
  if (version < kBinaryVersion)
    return refuse("{}: there is no version {} of a binary trace; this Soapstone reads version {}",
                  name, version, kBinaryVersion);
  SOAPSTONE_TRY(in.get(length, "the length"));
  if (length != bytes.size())
    return usage_error("{}: the file has {} bytes, {} were written: it is damaged", name,
                       bytes.size(), length);
  Trace t;
  SOAPSTONE_TRY(in.get_enum(t.origin, "origin"));
  SOAPSTONE_TRY(in.get_text(t.graph, "graph"));
  SOAPSTONE_TRY(in.get(t.plan_hash, "plan hash"));
  SOAPSTONE_TRY(in.get(t.graph_hash, "graph hash"));
  SOAPSTONE_TRY(in.get(t.strategy_hash, "strategy hash"));
  SOAPSTONE_TRY(in.get(t.step_time, "step time"));
  SOAPSTONE_TRY(in.get(t.steps, "steps"));
  std::uint32_t labels = 0, lanes = 0, counters = 0;
  SOAPSTONE_TRY(in.get_count(labels, sizeof(std::uint32_t), "labels"));
  t.labels.resize(labels);
  for (std::string& label : t.labels) SOAPSTONE_TRY(in.get_text(label, "a label"));
  SOAPSTONE_TRY(in.get_count(lanes, 5, "lanes"));
  t.lanes.resize(lanes);
  for (Lane& lane : t.lanes) {
    SOAPSTONE_TRY(in.get(lane.device, "a lane's device"));
    SOAPSTONE_TRY(in.get_enum(lane.kind, "a lane's kind"));
  }
  std::uint64_t spans = 0;
  SOAPSTONE_TRY(in.get_count(spans, 1, "spans"));
  Status status;
  Spans::fields(t.spans, [&](std::string_view column, auto& values, auto...) {
    if (!status) return;
    status = [&]() -> Status {
      std::string found;
      std::uint8_t width = 0;
      SOAPSTONE_TRY(in.get_text(found, "a column's name"));
      if (found != column)
        return in.error("the column of spans is `{}`, wanted is `{}`", json_excerpt(Json(found)),
                        column);
      SOAPSTONE_TRY(in.get(width, column));
      if (width != sizeof(values[0]))
        return in.error("column {} has {} bytes per span, wanted are {}", column, width,
                        sizeof(values[0]));
      return in.get_all(values, spans, column);
    }();
  });
  SOAPSTONE_TRY(status);
  SOAPSTONE_TRY(in.get_count(counters, 28, "memory counters"));
  t.memory.resize(counters);
  for (MemoryCounter& counter : t.memory) {
    std::uint64_t entries = 0;
    SOAPSTONE_TRY(in.get(counter.device, "a counter's device"));
    SOAPSTONE_TRY(in.get(counter.live_peak, "a counter's peak"));
    SOAPSTONE_TRY(in.get(counter.arena, "a counter's arena"));
    SOAPSTONE_TRY(in.get_count(entries, 16, "a counter"));
    SOAPSTONE_TRY(in.get_all(counter.time, entries, "a counter's times"));
    SOAPSTONE_TRY(in.get_all(counter.value, entries, "a counter's values"));
  }
  if (in.left() > 0) return in.error("{} bytes are left over", in.left());
  return t;
}

// --- JSON, fast ---------------------------------------------------------------------------------

// Reads the trace that save_document writes, a column at a time and without a tree in between. It
// accepts less than the general reader does and says nothing about what it does not accept: then
// the general reader reads again, and finds the same value or the words for what is wrong.
class FastJson {
 public:
  explicit FastJson(std::string_view text) : at_(text.data()), end_(at_ + text.size()) {}

  bool read(Trace& trace) {
    bool has_format = false;
    if (!object([&](std::string_view key) {
          if (key != "format") return field(trace, key);
          std::string format;
          has_format =
              value(format) && format == fmt::format("{}/{}", Trace::kFormat, Trace::kVersion);
          return has_format;
        }))
      return false;
    space();
    return has_format && at_ == end_ && complete<Trace>(seen_top_);
  }

 private:
  void space() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\t' || *at_ == '\r')) ++at_;
  }
  bool take(char c) {
    space();
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }

  // Keys without escapes.
  template <class Member>
  bool object(Member&& member) {
    if (!take('{')) return false;
    if (take('}')) return true;
    do {
      std::string_view key;
      if (!plain_text(key) || !take(':') || !member(key)) return false;
    } while (take(','));
    return take('}');
  }

  bool plain_text(std::string_view& text) {
    if (!take('"')) return false;
    const char* const begin = at_;
    while (at_ != end_ && *at_ != '"') {
      if (*at_ == '\\' || static_cast<signed char>(*at_) < ' ') return false;  // and not ASCII
      ++at_;
    }
    if (at_ == end_) return false;
    text = {begin, static_cast<std::size_t>(at_ - begin)};
    ++at_;
    return true;
  }

  // A text with anything in it is left to the library.
  bool any_text(std::string& text) {
    space();
    const char* const begin = at_;
    std::string_view plain;
    if (plain_text(plain)) {
      text = plain;
      return true;
    }
    at_ = begin;
    if (at_ == end_ || *at_ != '"') return false;
    ++at_;
    while (at_ != end_ && *at_ != '"') at_ += *at_ == '\\' && end_ - at_ > 1 ? 2 : 1;
    if (at_ >= end_) return false;
    ++at_;
    const Json json = Json::parse(begin, at_, nullptr, false);
    if (!json.is_string()) return false;
    text = json.get<std::string>();
    return true;
  }

  template <class T>
  bool number(T& out) {
    space();
    // JSON has neither a plus, nor zeros in front, nor the names of what is no number.
    const char* first = at_;
    if (first != end_ && *first == '-') ++first;
    if (first == end_ || *first < '0' || *first > '9') return false;
    if (*first == '0' && first + 1 != end_ && first[1] >= '0' && first[1] <= '9') return false;
    const auto [stop, code] = std::from_chars(at_, end_, out);
    if (code != std::errc{}) return false;
    at_ = stop;
    // An integer must not go on as another number; 1.e5 is none at all.
    return at_ == end_ || (*at_ != '.' && *at_ != 'e' && *at_ != 'E' && at_[-1] != '.');
  }

  template <class T>
  bool value(T& out) {
    if constexpr (IsQuantity<T>::value) {
      return value(out.value);
    } else if constexpr (IsId<T>::value) {
      return number(out.value) && out.valid();
    } else if constexpr (NamedEnum<T>) {
      std::string_view name;
      if (!plain_text(name)) return false;
      for (const auto& [e, known] : enum_names(T{}))
        if (known == name) return out = e, true;
      return false;
    } else if constexpr (IsVector<T>::value) {
      return list(out);
    } else if constexpr (std::is_same_v<T, std::string>) {
      return any_text(out);
    } else if constexpr (std::is_arithmetic_v<T>) {
      return number(out);
    } else {
      std::uint64_t seen = 0;
      return object([&](std::string_view key) { return member(out, key, seen); }) &&
             complete<T>(seen);
    }
  }

  template <class T>
  bool list(std::vector<T>& out) {
    out.clear();
    if (!take('[')) return false;
    if (take(']')) return true;
    do {
      if (!value(out.emplace_back())) return false;
    } while (take(','));
    return take(']');
  }

  // One of the fields, and for the first time.
  template <class T>
  bool member(T& out, std::string_view key, std::uint64_t& seen) {
    bool good = false;
    std::uint64_t bit = 1;
    T::fields(out, [&](std::string_view name, auto& field, auto...) {
      if (name == key && (seen & bit) == 0) {
        seen |= bit;
        good = value(field);
      }
      bit <<= 1;
    });
    return good;
  }
  bool field(Trace& trace, std::string_view key) { return member(trace, key, seen_top_); }

  template <class T>
  static bool complete(std::uint64_t seen) {
    bool all = true;
    std::uint64_t bit = 1;
    T::fields(detail::default_value<T>(), [&](std::string_view, const auto&, auto... optional) {
      if (sizeof...(optional) == 0 && (seen & bit) == 0) all = false;
      bit <<= 1;
    });
    return all;
  }

  const char* at_;
  const char* end_;
  std::uint64_t seen_top_ = 0;
};

}  // namespace

bool is_trace_file(std::string_view bytes) { return bytes.starts_with(kMagic); }

bool is_trace_text(std::string_view text) {
  constexpr std::size_t kNear = 256;
  const std::string_view beginning = text.substr(0, kNear);
  const auto format = beginning.find("\"format\"");
  return format != std::string_view::npos &&
         beginning.find(Trace::kFormat, format) != std::string_view::npos;
}

std::string trace_bytes(const Trace& trace) {
  Writer out(1024 + 64 * trace.spans.size());
  for (const char c : kMagic) out.put(c);
  out.put(kBinaryVersion);
  const std::size_t length_at = out.size();
  out.put(std::uint64_t{0});
  out.put(trace.origin);
  out.put_text(trace.graph);
  out.put(trace.plan_hash);
  out.put(trace.graph_hash);
  out.put(trace.strategy_hash);
  out.put(trace.step_time);
  out.put(trace.steps);
  out.put(static_cast<std::uint32_t>(trace.labels.size()));
  for (const std::string& label : trace.labels) out.put_text(label);
  out.put(static_cast<std::uint32_t>(trace.lanes.size()));
  for (const Lane& lane : trace.lanes) {
    out.put(lane.device);
    out.put(lane.kind);
  }
  out.put(static_cast<std::uint64_t>(trace.spans.size()));
  Spans::fields(trace.spans, [&](std::string_view name, const auto& column, auto...) {
    SOAPSTONE_ASSERT(column.size() == trace.spans.size(), "column {} has {} entries of {}", name,
                     column.size(), trace.spans.size());
    out.put_text(name);
    out.put(static_cast<std::uint8_t>(sizeof(column[0])));
    out.put_all(column);
  });
  out.put(static_cast<std::uint32_t>(trace.memory.size()));
  for (const MemoryCounter& counter : trace.memory) {
    out.put(counter.device);
    out.put(counter.live_peak);
    out.put(counter.arena);
    out.put(static_cast<std::uint64_t>(counter.time.size()));
    out.put_all(counter.time);
    out.put_all(counter.value);
  }
  out.put_at(length_at, out.size());
  return out.take();
}

Result<Trace> trace_from_bytes(std::string_view bytes, const std::string& name) {
  const auto checked = [&](Trace trace) -> Result<Trace> {
    if (const Status status = check(trace); !status)
      return tl::unexpected(
          Error{fmt::format("{}: {}", name, status.error().message), status.error().kind});
    return trace;
  };
  if (is_trace_file(bytes)) {
    SOAPSTONE_ASSIGN(Trace trace, from_binary(bytes, name));
    return checked(std::move(trace));
  }
  // The beginning of the magic alone: what is left of a binary trace.
  if (!bytes.empty() && kMagic.starts_with(bytes))
    return usage_error("{}: the file has {} bytes: no more than the beginning of a binary trace",
                       name, bytes.size());
  Trace trace;
  if (FastJson(bytes).read(trace)) return checked(std::move(trace));
  SOAPSTONE_ASSIGN(trace, document_from_text<Trace>(bytes, name));
  return checked(std::move(trace));
}

Status save_trace(const std::filesystem::path& path, const Trace& trace) {
  if (path.extension() == ".trace") return write_file_atomically(path, trace_bytes(trace));
  return save_document(path, trace);
}

Result<Trace> load_trace(const std::filesystem::path& path) {
  SOAPSTONE_ASSIGN(const std::string bytes, read_file(path));
  return trace_from_bytes(bytes, path.string());
}

}  // namespace soapstone::core
