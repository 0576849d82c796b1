#include "importers/detail/event_file.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstring>

#include <nlohmann/json.hpp>

#include "core/json_fwd.hpp"

namespace soapstone::importers::detail {

using namespace core;

namespace {

constexpr std::string_view kGzip = "\x1f\x8b";

// Walks over JSON without making values of it. What a function returns false for is either the end
// of the text (at_end) or something that is no JSON.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : begin_(text.data()), at_(begin_) {
    end_ = begin_ + text.size();
  }

  bool at_end() const { return at_ == end_; }
  std::size_t line() const { return 1 + static_cast<std::size_t>(std::count(begin_, at_, '\n')); }
  void space() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
  }
  char peek() {
    space();
    return at_ == end_ ? '\0' : *at_;
  }
  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }

  // What stands between the quotes, escapes and all.
  bool text(std::string_view& out) {
    if (!take('"')) return false;
    const char* const from = at_;
    if (!after_text()) return false;
    out = {from, static_cast<std::size_t>(at_ - 1 - from)};
    return true;
  }

  // A text without its quotes, or anything else as it is written.
  bool scalar(std::string_view& out) {
    if (peek() == '"') return text(out);
    const char* const from = at_;
    if (!skip()) return false;
    out = {from, static_cast<std::size_t>(at_ - from)};
    return true;
  }

  bool skip() {
    const char first = peek();
    if (first == '"') {
      ++at_;
      return after_text();
    }
    if (first == '{' || first == '[') {
      int depth = 0;
      while (at_ != end_) {
        const char c = *at_++;
        if (c == '"') {
          if (!after_text()) return false;
        } else if (c == '{' || c == '[') {
          ++depth;
        } else if ((c == '}' || c == ']') && --depth == 0) {
          return true;
        }
      }
      return false;
    }
    // Numbers and words; writers in Python write NaN and Infinity too.
    const char* const from = at_;
    while (at_ != end_ && (std::isalnum(static_cast<unsigned char>(*at_)) || *at_ == '-' ||
                           *at_ == '+' || *at_ == '.'))
      ++at_;
    return at_ != from && at_ != end_;
  }

  // Calls member(key) at every value, which takes or skips it.
  template <class Member>
  bool object(Member&& member) {
    if (!take('{')) return false;
    if (take('}')) return true;
    do {
      std::string_view key;
      if (!text(key) || !take(':') || !member(key)) return false;
    } while (take(','));
    return take('}');
  }

 private:
  bool after_text() {
    while (at_ != end_) {
      const auto* quote =
          static_cast<const char*>(std::memchr(at_, '"', static_cast<std::size_t>(end_ - at_)));
      if (!quote) break;
      const char* back = quote;
      while (back != at_ && back[-1] == '\\') --back;
      at_ = quote + 1;
      if ((quote - back) % 2 == 0) return true;
    }
    at_ = end_;
    return false;
  }

  const char* begin_;
  const char* at_;
  const char* end_;
};

// Without its escapes; as it stands where they are wrong.
std::string plain(std::string_view raw) {
  if (raw.find('\\') == std::string_view::npos) return std::string(raw);
  const Json json = Json::parse('"' + std::string(raw) + '"', nullptr, false);
  return json.is_string() ? json.get<std::string>() : std::string(raw);
}

std::optional<std::int64_t> integer(std::string_view text) {
  std::int64_t value = 0;
  const auto [stop, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> real(std::string_view text) {
  double value = 0;
  const auto [stop, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc{} || stop != text.data() + text.size() || !std::isfinite(value))
    return std::nullopt;
  return value;
}

// Bounds within which sums and differences of times stay integers of nanoseconds: 71 years before
// and after the base, which is before 2065; 17 years for an event, 104 days for a file.
constexpr std::int64_t kLatest = std::int64_t{1} << 51;        // us
constexpr std::int64_t kLongest = std::int64_t{1} << 49;       // us
constexpr std::int64_t kLastBase = 3'000'000'000'000'000'000;  // ns
constexpr std::int64_t kDay = 86'400'000'000'000;              // ns
constexpr std::int64_t kLongestFile = std::int64_t{1} << 53;   // ns

// Microseconds as they are written to nanoseconds, the digits after the third rounded. Nothing:
// no number, or a larger one than `most`.
std::optional<std::int64_t> nanoseconds(std::string_view text, std::int64_t most) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const std::size_t dot = text.find('.');
  const auto whole = integer(text.substr(0, dot));
  std::int64_t out = 0;
  if (!whole || *whole < 0 || text.find_first_of("eE") != std::string_view::npos) {
    const auto value = real(text);
    if (!value || *value < 0 || *value > static_cast<double>(most)) return std::nullopt;
    out = std::llround(*value * 1000);
  } else {
    if (*whole > most) return std::nullopt;
    out = *whole * 1000;
    if (dot != std::string_view::npos) {
      std::string_view digits = text.substr(dot + 1);
      std::int64_t fraction = 0;
      for (std::size_t i = 0; i < 3; ++i) {
        const char c = i < digits.size() ? digits[i] : '0';
        if (c < '0' || c > '9') return std::nullopt;
        fraction = 10 * fraction + (c - '0');
      }
      if (digits.size() > 3 && digits[3] >= '5') ++fraction;
      out += fraction;
    }
  }
  return negative ? -out : out;
}

std::int64_t bytes_of(std::string_view dtype) {
  struct Size {
    std::string_view name;
    std::int64_t bytes;
  };
  static constexpr std::array<Size, 14> kSizes{{{"Float", 4},
                                                {"Double", 8},
                                                {"Half", 2},
                                                {"BFloat16", 2},
                                                {"Int", 4},
                                                {"Long", 8},
                                                {"Short", 2},
                                                {"Char", 1},
                                                {"Byte", 1},
                                                {"Bool", 1},
                                                {"Float8_e4m3fn", 1},
                                                {"Float8_e5m2", 1},
                                                {"ComplexFloat", 8},
                                                {"ComplexDouble", 16}}};
  for (const Size& size : kSizes)
    if (size.name == dtype) return size.bytes;
  return 0;
}

// What the categories of Kineto, past and present, and of its other devices mean.
std::optional<EventKind> kind_of(std::string_view category, std::string_view name) {
  struct Known {
    std::string_view category;
    EventKind kind;
  };
  static constexpr std::array<Known, 13> kKnown{{
      {"kernel", EventKind::kKernel},
      {"Kernel", EventKind::kKernel},
      {"mtia_ccp_events", EventKind::kKernel},
      {"gpu_memcpy", EventKind::kMemoryCopy},
      {"Memcpy", EventKind::kMemoryCopy},
      {"gpu_memset", EventKind::kMemorySet},
      {"Memset", EventKind::kMemorySet},
      {"cpu_op", EventKind::kOperator},
      {"Operator", EventKind::kOperator},
      {"user_annotation", EventKind::kAnnotation},
      {"Runtime", EventKind::kLaunch},
      {"cuda_runtime", EventKind::kLaunch},
      {"cuda_driver", EventKind::kLaunch},
  }};
  for (const Known& known : kKnown)
    if (known.category == category) {
      // Kineto before 2021 called annotations operators.
      if (category == "Operator" && name.starts_with("ProfilerStep#"))
        return EventKind::kAnnotation;
      return known.kind;
    }
  if (category.ends_with("_runtime") || category.ends_with("_driver")) return EventKind::kLaunch;
  if (category == "python_function") {
    if (name.starts_with("nn.Module: ")) return EventKind::kModule;
    return std::nullopt;
  }
  // The profiler's own, and the shadows of annotations on streams.
  for (const std::string_view ignored :
       {"gpu_user_annotation", "Trace", "overhead", "Overhead", "ac2g", "fwdbwd"})
    if (category == ignored) return std::nullopt;
  return EventKind::kOther;
}

class Reader {
 public:
  Reader(std::string_view text, const std::string& name, Texts& texts) : in_(text), texts_(texts) {
    file_.name = name;
  }

  Result<EventFile> read() {
    bool has_events = false, good = false;
    if (in_.peek() == '[') {
      has_events = true;
      good = events();
    } else {
      good = in_.object([&](std::string_view key) {
        if (key == "traceEvents") {
          has_events = true;
          return in_.peek() == '[' && events();
        }
        std::string_view value;
        if (!in_.scalar(value)) return false;
        header(key, value);
        return true;
      });
    }
    if (!error_.empty()) return usage_error("{}:{}: {}", file_.name, in_.line(), error_);
    if (!good && !(has_events && in_.at_end()))
      return usage_error(
          "{}:{}: {}; a Chrome trace is accepted: a JSON object with `traceEvents`, "
          "or an array of events",
          file_.name, in_.line(), in_.at_end() ? "the file ends too early" : "this is no JSON");
    if (!has_events)
      return usage_error(
          "{}: no `traceEvents` is in it; a Chrome trace is accepted: a JSON object "
          "with `traceEvents`, or an array of events",
          file_.name);
    file_.truncated = !good;
    for (const auto& [track, open] : open_) file_.unfinished += open.size();
    std::int64_t first = INT64_MAX, last = INT64_MIN;
    for (Event& e : file_.events) {
      e.begin += base_;
      e.end += base_;
      first = std::min(first, e.begin);
      last = std::max(last, e.end);
    }
    if (!file_.events.empty() && last - first > kLongestFile)
      return usage_error("{}: its events lie {} days apart; at most {} are accepted", file_.name,
                         (last - first) / kDay, kLongestFile / kDay);
    for (Track& track : file_.tracks)
      if (const auto found = process_names_.find(track.process); found != process_names_.end())
        track.process_name = found->second;
    return std::move(file_);
  }

 private:
  void header(std::string_view key, std::string_view value) {
    if (key == "baseTimeNanoseconds") {
      base_ = std::clamp<std::int64_t>(integer(value).value_or(0), 0, kLastBase);
    } else if (key == "distributedInfo") {
      const Json info = Json::parse(value, nullptr, false);
      if (!info.is_object()) return;
      const auto number = [&](const char* name) -> std::optional<std::int64_t> {
        const auto found = info.find(name);
        if (found == info.end() || !found->is_number_integer()) return std::nullopt;
        return found->get<std::int64_t>();
      };
      file_.rank = number("rank");
      file_.world = number("world_size");
      const auto groups = info.find("pg_config");
      if (groups == info.end() || !groups->is_array()) return;
      for (const Json& group : *groups) {
        if (!group.is_object() || !group.contains("pg_name") || !group.contains("ranks")) continue;
        const Json &name = group.at("pg_name"), &ranks = group.at("ranks");
        if (!name.is_string() || !ranks.is_array()) continue;
        auto& list = file_.groups[name.get<std::string>()];
        for (const Json& rank : ranks)
          if (rank.is_number_integer()) list.push_back(rank.get<std::int64_t>());
      }
    } else if (key == "otherData") {
      const Json data = Json::parse(value, nullptr, false);
      if (data.is_object() && data.contains("graph") && data.at("graph").is_string())
        file_.graph = data.at("graph").get<std::string>();
    }
  }

  bool events() {
    if (!in_.take('[')) return false;
    if (in_.take(']')) return true;
    do {
      if (in_.peek() == ']') break;  // Chrome accepts a comma before it
      if (!event()) return false;
    } while (in_.take(','));
    return in_.take(']');
  }

  struct Raw {
    std::string_view name, category, phase, process, thread, begin, duration;
    std::string_view label;  // args.name, of metadata
    std::string_view dtype;
    std::int64_t elements = 0;
  };

  bool event() {
    Raw raw;
    Event e;
    if (!in_.object([&](std::string_view key) {
          if (key == "args" && in_.peek() == '{')
            return in_.object([&](std::string_view inner) { return argument(inner, raw, e); });
          std::string_view value;
          if (!in_.scalar(value)) return false;
          if (key == "ph")
            raw.phase = value;
          else if (key == "name")
            raw.name = value;
          else if (key == "cat")
            raw.category = value;
          else if (key == "pid")
            raw.process = value;
          else if (key == "tid")
            raw.thread = value;
          else if (key == "ts")
            raw.begin = value;
          else if (key == "dur")
            raw.duration = value;
          return true;
        }))
      return false;
    return take(raw, e);
  }

  bool argument(std::string_view key, Raw& raw, Event& e) {
    std::string_view value;
    if (!in_.scalar(value)) return false;
    const auto number = [&](std::int64_t& out) { out = integer(value).value_or(out); };
    if (key == "name")
      raw.label = value;
    else if (key == "correlation")
      number(e.correlation);
    else if (key == "External id" || key == "external id")
      number(e.external);
    else if (key == "Sequence number")
      number(e.sequence);
    else if (key == "device")
      number(e.device);
    else if (key == "stream")
      number(e.stream);
    else if (key == "bytes" || key == "Bytes")
      number(e.bytes);
    else if (key == "In msg nelems")
      number(raw.elements);
    else if (key == "dtype")
      raw.dtype = value;
    else if (key == "Collective name")
      e.collective = texts_.add(plain(value));
    else if (key == "Process Group Name")
      e.group = texts_.add(plain(value));
    else if (key == "tf_op" || (key == "long_name" && e.path == 0))
      e.path = texts_.add(plain(value));
    else if (key == "phase")
      e.phase = texts_.add(plain(value));
    else if (key == "waiting_us")
      e.waiting = nanoseconds(value, kLongest).value_or(0);
    else if (key == "flops")
      e.flops = real(value).value_or(0);
    return true;
  }

  std::uint32_t track_of(const Raw& raw) {
    key_.assign(raw.process);
    key_ += '\n';
    key_ += raw.thread;
    const auto [it, is_new] =
        tracks_.emplace(key_, static_cast<std::uint32_t>(file_.tracks.size()));
    if (is_new)
      file_.tracks.push_back({plain(raw.process), plain(raw.thread), std::string(), std::string()});
    return it->second;
  }

  bool take(const Raw& raw, Event& e) {
    const char phase = raw.phase.empty() ? '\0' : raw.phase[0];
    if (phase == 'M') {
      if (raw.name == "process_name") process_names_[plain(raw.process)] = plain(raw.label);
      // Kineto names a thread twice, the second time as it calls itself.
      if (raw.name == "thread_name") file_.tracks[track_of(raw)].thread_name = plain(raw.label);
      return true;
    }
    if (phase != 'X' && phase != 'B' && phase != 'E') return true;
    const auto begin = nanoseconds(raw.begin, kLatest);
    if (!begin) {
      error_ =
          fmt::format("`ts` of event `{}` is `{}`; microseconds are accepted", raw.name, raw.begin);
      return false;
    }
    if (phase == 'E') {
      auto& open = open_[track_of(raw)];
      if (open.empty()) {
        ++file_.unfinished;
        return true;
      }
      Begun done = open.back();
      open.pop_back();
      done.event.end = std::max(done.event.begin, *begin);
      if (done.counts) file_.events.push_back(done.event);
      return true;
    }
    const auto kind = kind_of(raw.category, raw.name);
    if (!kind && phase == 'X') return true;
    e.kind = kind.value_or(EventKind::kOther);
    if (phase == 'X' && e.kind == EventKind::kLaunch && e.correlation == kNoNumber) return true;
    e.track = track_of(raw);
    e.name = texts_.add(plain(raw.name));
    e.category = texts_.add(plain(raw.category));
    if (e.bytes == 0 && raw.elements > 0) e.bytes = raw.elements * bytes_of(raw.dtype);
    e.begin = *begin;
    if (phase == 'B') {
      open_[e.track].push_back({e, kind.has_value()});
      return true;
    }
    // Without one, an event lasts no time.
    const auto duration =
        raw.duration.empty() ? std::optional<std::int64_t>(0) : nanoseconds(raw.duration, kLongest);
    if (!duration || *duration < 0) {
      error_ = fmt::format("`dur` of event `{}` is `{}`; microseconds from 0 on are accepted",
                           raw.name, raw.duration);
      return false;
    }
    e.end = e.begin + *duration;
    file_.events.push_back(e);
    return true;
  }

  Scanner in_;
  Texts& texts_;
  EventFile file_;
  std::int64_t base_ = 0;
  std::string error_, key_;
  std::unordered_map<std::string, std::uint32_t> tracks_;
  std::map<std::string, std::string> process_names_;
  struct Begun {
    Event event;
    bool counts = true;
  };
  std::map<std::uint32_t, std::vector<Begun>> open_;  // by track
};

}  // namespace

std::uint32_t Texts::add(std::string_view text) {
  if (const auto found = index_.find(text); found != index_.end()) return found->second;
  const auto number = static_cast<std::uint32_t>(texts_.size());
  index_.emplace(texts_.emplace_back(text), number);
  return number;
}

bool looks_like_events(std::string_view text) {
  constexpr std::size_t kNear = std::size_t{1} << 24, kFirstEvent = 4096;
  if (text.starts_with(kGzip)) return true;
  const std::size_t first = text.find_first_not_of(" \n\r\t");
  if (first == std::string_view::npos) return false;
  if (text[first] == '[')
    return text.substr(first, kFirstEvent).find("\"ph\"") != std::string_view::npos;
  return text[first] == '{' &&
         text.substr(0, kNear).find("\"traceEvents\"") != std::string_view::npos;
}

Result<EventFile> read_events(std::string_view text, const std::string& name, Texts& texts) {
  if (text.starts_with(kGzip))
    return usage_error("{}: is compressed; unpack it first: gunzip {}", name, name);
  return Reader(text, name, texts).read();
}

}  // namespace soapstone::importers::detail
