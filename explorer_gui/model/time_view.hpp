// The part of a step that is looked at, and the marks of its axis.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/quantity.hpp"

namespace soapstone::explorer {

// Times in nanoseconds from the start of the step. Doubles, since an edge may lie between two.
struct TimeView {
  double from = 0, to = 1;
  double first = 0, last = 1;  // of everything there is

  double length() const { return to - from; }
  // Of a range that is `width` pixels wide.
  double per_pixel(double width) const { return length() / (width > 0 ? width : 1); }
  double x_of(double time, double width) const { return (time - from) / length() * width; }
  double time_of(double x, double width) const {
    return from + x / (width > 0 ? width : 1) * length();
  }
  bool whole() const { return from <= first && to >= last; }

  // A new extent; what is looked at stays, but whoever saw everything sees everything.
  void set_extent(double first_time, double last_time);
  void show_all();
  // The range, with some room around it.
  void show(double begin, double end);
  // `factor` < 1 comes nearer; the time `at` stays where it is.
  void zoom(double at, double factor);
  void pan(double by);

  friend bool operator==(const TimeView&, const TimeView&) = default;

 private:
  void clamp();
};

struct Tick {
  double time = 0;
  std::string text;  // empty: a small mark

  friend bool operator==(const Tick&, const Tick&) = default;
};
// Marks at round times (1, 2 or 5 times a power of ten), texts at least `apart` pixels apart, each
// with its unit; between them small marks at fifths or halves.
std::vector<Tick> ticks(const TimeView& view, double width, double apart);

}  // namespace soapstone::explorer
