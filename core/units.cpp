#include "core/units.hpp"

#include <charconv>
#include <cmath>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include "core/suggest.hpp"

namespace soapstone::core {

namespace {

// One of a unit is 10^decimal * 2^binary of the base unit. Kept apart, so that
// "10.6 TFLOP/s" is read as 10.6e12, correctly rounded.
struct UnitName {
  std::string_view name;
  int decimal = 0;
  int binary = 0;
  bool shown = true;  // human_text chooses among these, which must ascend
};

template <class Q>
struct UnitsOf;

template <>
struct UnitsOf<Bytes> {
  static constexpr std::string_view kWhat = "an amount of memory such as \"16 GiB\"";
  static constexpr UnitName kUnits[] = {
      {"B", 0, 0},         {"KiB", 0, 10},      {"MiB", 0, 20},
      {"GiB", 0, 30},      {"TiB", 0, 40},      {"kB", 3, 0, false},
      {"MB", 6, 0, false}, {"GB", 9, 0, false}, {"TB", 12, 0, false}};
};
template <>
struct UnitsOf<Nanoseconds> {
  static constexpr std::string_view kWhat = "a time such as \"5 us\"";
  static constexpr UnitName kUnits[] = {
      {"ns", 0}, {"us", 3}, {"ms", 6}, {"s", 9}, {"µs", 3, 0, false}};
};
template <>
struct UnitsOf<BytesPerSecond> {
  static constexpr std::string_view kWhat = "a bandwidth such as \"12.5 GB/s\"";
  static constexpr UnitName kUnits[] = {{"B/s", 0},
                                        {"kB/s", 3},
                                        {"MB/s", 6},
                                        {"GB/s", 9},
                                        {"TB/s", 12},
                                        {"KiB/s", 0, 10, false},
                                        {"MiB/s", 0, 20, false},
                                        {"GiB/s", 0, 30, false},
                                        {"TiB/s", 0, 40, false},
                                        {"bit/s", 0, -3, false},
                                        {"kbit/s", 3, -3, false},
                                        {"Mbit/s", 6, -3, false},
                                        {"Gbit/s", 9, -3, false},
                                        {"Tbit/s", 12, -3, false}};
};
template <>
struct UnitsOf<FlopsPerSecond> {
  static constexpr std::string_view kWhat = "a rate such as \"10.6 TFLOP/s\"";
  static constexpr UnitName kUnits[] = {{"FLOP/s", 0},  {"kFLOP/s", 3},  {"MFLOP/s", 6},
                                        {"GFLOP/s", 9}, {"TFLOP/s", 12}, {"PFLOP/s", 15}};
};
template <>
struct UnitsOf<Flops> {
  static constexpr std::string_view kWhat = "an amount of work such as \"7.7 GFLOP\"";
  static constexpr UnitName kUnits[] = {{"FLOP", 0},  {"kFLOP", 3},  {"MFLOP", 6},
                                        {"GFLOP", 9}, {"TFLOP", 12}, {"PFLOP", 15}};
};

// `number` (digits, a point, an exponent) times the unit; nothing if it is no number.
std::optional<double> scaled(std::string_view number, const UnitName& unit) {
  // The decimal exponent is added to the text, so that only one rounding happens.
  int exponent = 0;
  std::string mantissa(number);
  if (const auto e = number.find_first_of("eE"); e != std::string_view::npos) {
    const char* end = number.data() + number.size();
    const char* begin = number.data() + e + 1;
    if (begin != end && *begin == '+') ++begin;
    const auto [stop, code] = std::from_chars(begin, end, exponent);
    if (code != std::errc{} || stop != end || std::abs(exponent) > 400) return std::nullopt;
    mantissa.resize(e);
  }
  if (mantissa.empty() || mantissa.find_first_not_of("0123456789.") != std::string::npos)
    return std::nullopt;
  mantissa += fmt::format("e{}", exponent + unit.decimal);
  double value = 0;
  const char* end = mantissa.data() + mantissa.size();
  const auto [stop, code] = std::from_chars(mantissa.data(), end, value);
  if (code != std::errc{} || stop != end) return std::nullopt;
  value = std::ldexp(value, unit.binary);
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

tl::unexpected<Error> not_accepted(std::string_view text, std::string_view unit,
                                   std::string_view what, std::span<const UnitName> units) {
  std::vector<std::string_view> names;
  for (const auto& u : units) names.push_back(u.name);
  return usage_error("\"{}\" is not accepted; {} is wanted; {}", text, what,
                     accepted_names(unit, names));
}

// At most three digits, without an exponent.
std::string three_digits(double value) {
  const int decimals = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  std::string text = fmt::format("{:.{}f}", value, decimals);
  if (text.find('.') != std::string::npos) {
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
  }
  return text;
}

double factor(const UnitName& unit) {
  return std::ldexp(std::pow(10.0, unit.decimal), unit.binary);
}

}  // namespace

template <class Q>
Result<Q> parse_quantity(std::string_view text) {
  const std::span<const UnitName> units = UnitsOf<Q>::kUnits;
  const std::string_view whole = trimmed(text);
  const std::string_view number_letters = "0123456789.";
  std::size_t length = whole.find_first_not_of(number_letters);
  length = length == std::string_view::npos ? whole.size() : length;
  // An exponent: e or E, perhaps a sign, then a digit.
  if (length > 0 && length < whole.size() && (whole[length] == 'e' || whole[length] == 'E')) {
    std::size_t next = length + 1;
    if (next < whole.size() && (whole[next] == '+' || whole[next] == '-')) ++next;
    const std::size_t first_digit = next;
    while (next < whole.size() && whole[next] >= '0' && whole[next] <= '9') ++next;
    if (next > first_digit) length = next;
  }
  const std::string_view name = trimmed(whole.substr(length));
  for (const auto& unit : units) {
    if (unit.name != name) continue;
    if constexpr (std::is_integral_v<typename Q::rep>) {
      // A double does not hold every count; digits alone are read as they are.
      const bool base = unit.decimal == 0 && unit.binary == 0;
      typename Q::rep count = 0;
      const auto [stop, code] = std::from_chars(whole.data(), whole.data() + length, count);
      if (base && code == std::errc{} && stop == whole.data() + length) return Q(count);
    }
    const auto value = scaled(whole.substr(0, length), unit);
    if (!value) break;
    if constexpr (std::is_floating_point_v<typename Q::rep>) {
      return Q(*value);
    } else {
      if (*value >= 9223372036854775808.0) break;
      return Q(static_cast<typename Q::rep>(std::llround(*value)));
    }
  }
  return not_accepted(text, name, UnitsOf<Q>::kWhat, units);
}

template <class Q>
std::string exact_text(Q value) {
  const std::string base = fmt::format("{} {}", value.value, UnitsOf<Q>::kUnits[0].name);
  if (value.value == 0) return base;
  std::string best;
  bool best_plain = false;
  for (const auto& unit : UnitsOf<Q>::kUnits) {
    if (unit.binary < 0) continue;  // bits are read, bytes are written
    const double amount = static_cast<double>(value.value) / factor(unit);
    const std::string text = fmt::format("{} {}", amount, unit.name);
    const auto back = parse_quantity<Q>(text);
    if (!back || *back != value) continue;
    const bool plain = amount >= 1 && amount < 1000;
    if (best.empty() || plain > best_plain || (plain == best_plain && text.size() <= best.size())) {
      best = text;
      best_plain = plain;
    }
  }
  return best.empty() ? base : best;
}

template <class Q>
std::string human_text(Q value) {
  const double amount = std::abs(static_cast<double>(value.value));
  const std::string sign = value.value < 0 ? "-" : "";
  const UnitName* chosen = &UnitsOf<Q>::kUnits[0];
  for (const auto& unit : UnitsOf<Q>::kUnits) {
    // 999.6 us is shown as 1 ms: the unit is chosen after rounding.
    if (unit.shown && amount >= factor(unit) * 0.9995) chosen = &unit;
  }
  return fmt::format("{}{} {}", sign, three_digits(amount / factor(*chosen)), chosen->name);
}

#define SOAPSTONE_INSTANTIATE_UNITS(Q)                    \
  template Result<Q> parse_quantity<Q>(std::string_view); \
  template std::string exact_text<Q>(Q);                  \
  template std::string human_text<Q>(Q)

SOAPSTONE_INSTANTIATE_UNITS(Bytes);
SOAPSTONE_INSTANTIATE_UNITS(Nanoseconds);
SOAPSTONE_INSTANTIATE_UNITS(BytesPerSecond);
SOAPSTONE_INSTANTIATE_UNITS(FlopsPerSecond);
SOAPSTONE_INSTANTIATE_UNITS(Flops);

}  // namespace soapstone::core
