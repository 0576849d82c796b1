#include "explorer_gui/model/time_view.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/core.h>

namespace soapstone::explorer {

namespace {

// Nobody looks at less than that.
constexpr double kShortest = 20;
// How much of the extent may stand empty at either end.
constexpr double kBeyond = 0.02;

}  // namespace

void TimeView::set_extent(double first_time, double last_time) {
  const bool all = whole();
  first = first_time;
  last = std::max(last_time, first_time + 1);
  if (all)
    show_all();
  else
    clamp();
}

void TimeView::show_all() {
  from = first - kBeyond * (last - first);
  to = last + kBeyond * (last - first);
}

void TimeView::show(double begin, double end) {
  const double room = std::max((end - begin) * 0.1, kShortest / 2);
  from = begin - room;
  to = end + room;
  clamp();
}

void TimeView::zoom(double at, double factor) {
  const double most = (1 + 2 * kBeyond) * (last - first);
  const double next = std::clamp(length() * factor, std::min(kShortest, most), most);
  const double share = (at - from) / length();
  from = at - share * next;
  to = from + next;
  clamp();
}

void TimeView::pan(double by) {
  from += by;
  to += by;
  clamp();
}

void TimeView::clamp() {
  const double beyond = kBeyond * (last - first);
  if (length() >= last - first + 2 * beyond) return show_all();
  if (from < first - beyond) {
    to += first - beyond - from;
    from = first - beyond;
  }
  if (to > last + beyond) {
    from -= to - last - beyond;
    to = last + beyond;
  }
}

std::vector<Tick> ticks(const TimeView& view, double width, double apart) {
  std::vector<Tick> out;
  if (width <= 0 || apart <= 0) return out;
  const double least = std::max(view.per_pixel(width) * apart, 1.0);
  const double power = std::pow(10.0, std::floor(std::log10(least)));
  // Rounding may leave a power of ten a little below itself.
  const double digit = least / power;
  const double step = power * (digit <= 1 + 1e-9 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10);
  const double rounds = step / std::pow(10.0, std::floor(std::log10(step) + 1e-9));
  const int parts = rounds < 1.5 || rounds > 4 ? 5 : 4;  // 1 and 5 in fifths, 2 in halves of 1
  struct Unit {
    double size;
    const char* name;
  };
  // One unit for the whole axis, and as many digits as tell two marks apart.
  const double largest = std::max(std::abs(view.from), std::abs(view.to));
  const Unit unit = largest >= 1e9   ? Unit{1e9, "s"}
                    : largest >= 1e6 ? Unit{1e6, "ms"}
                    : largest >= 1e3 ? Unit{1e3, "µs"}
                                     : Unit{1, "ns"};
  const int digits = std::max(0, static_cast<int>(std::ceil(-std::log10(step / unit.size) - 1e-9)));
  const bool small_marks = step / parts >= 1;
  const auto begin = static_cast<std::int64_t>(std::floor(view.from / step));
  const auto end = static_cast<std::int64_t>(std::ceil(view.to / step));
  for (std::int64_t i = begin; i <= end; ++i) {
    const double time = static_cast<double>(i) * step;
    if (time >= view.from && time <= view.to)
      out.push_back({time, fmt::format("{:.{}f} {}", time / unit.size, digits, unit.name)});
    if (!small_marks) continue;
    for (int part = 1; part < parts; ++part) {
      const double between = time + step * part / parts;
      if (between >= view.from && between <= view.to) out.push_back({between, {}});
    }
  }
  return out;
}

}  // namespace soapstone::explorer
