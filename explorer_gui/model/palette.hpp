// What colours and patterns mean. Hues after Okabe and Ito (2008), which people with any kind of
// colour blindness tell apart; patterns say the same again.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/op_definition.hpp"
#include "core/plan.hpp"

namespace soapstone::explorer {

// 0xRRGGBB.
struct Colour {
  std::uint32_t rgb = 0;
  friend bool operator==(const Colour&, const Colour&) = default;
};

enum class Pattern : std::uint8_t {
  kSolid,
  kRising,   // lines /
  kFalling,  // lines \.
  kCrossed,
  kDotted,
  kLevel,  // lines -
};

struct Ink {
  Colour colour;
  Pattern pattern = Pattern::kSolid;
  friend bool operator==(const Ink&, const Ink&) = default;
};

// What a span is, for its colour and for sums.
enum class Work : std::uint8_t {
  kForward,
  kBackwardInput,
  kBackwardWeight,
  kRecompute,
  kUpdate,
  kCommunication,
  kHostCopy,
  kLoad,
};
SOAPSTONE_ENUM_NAMES(Work, {Work::kForward, "forward"}, {Work::kBackwardInput, "input gradients"},
                     {Work::kBackwardWeight, "weight gradients"}, {Work::kRecompute, "recompute"},
                     {Work::kUpdate, "update"}, {Work::kCommunication, "communication"},
                     {Work::kHostCopy, "host copies"}, {Work::kLoad, "load"})
inline constexpr std::size_t kWorks = 8;

Work work_of(core::TaskKind kind, core::Phase phase);
Ink ink_of(Work work);

// Tells up to twelve things apart, then repeats with another pattern.
Ink ink_of_index(std::size_t i);

// From nothing (0) to the most (1): one hue whose lightness falls steadily, so that it is also told
// in grey. `dark`: for a dark background, where it rises.
Colour heat(double share, bool dark);
// From less (-1, blue) over equal (0) to more (1, orange).
Colour change(double share, bool dark);

// The better of black and white on that ground.
Colour text_on(Colour ground);

}  // namespace soapstone::explorer
