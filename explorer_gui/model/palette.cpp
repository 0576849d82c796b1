#include "explorer_gui/model/palette.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace soapstone::explorer {

namespace {

constexpr Colour kBlue{0x0072B2}, kSky{0x56B4E9}, kOrange{0xE69F00}, kVermilion{0xD55E00},
    kGreen{0x009E73}, kYellow{0xF0E442}, kPurple{0xCC79A7}, kGrey{0x999999};

double part(Colour c, int shift) { return static_cast<double>((c.rgb >> shift) & 0xFF); }

Colour mix(Colour a, Colour b, double t) {
  const auto channel = [&](int shift) {
    const double v = part(a, shift) * (1 - t) + part(b, shift) * t;
    return static_cast<std::uint32_t>(std::lround(std::clamp(v, 0.0, 255.0))) << shift;
  };
  return {channel(16) | channel(8) | channel(0)};
}

}  // namespace

Work work_of(core::TaskKind kind, core::Phase phase) {
  switch (kind) {
    case core::TaskKind::kTransfer:
      return Work::kCommunication;
    case core::TaskKind::kHostCopy:
      return Work::kHostCopy;
    case core::TaskKind::kLoad:
      return Work::kLoad;
    case core::TaskKind::kUpdate:
    case core::TaskKind::kUpdateRows:
    case core::TaskKind::kNorm:
    case core::TaskKind::kNormRows:
      return Work::kUpdate;
    case core::TaskKind::kCompute:
    case core::TaskKind::kAccumulate:
      break;
  }
  switch (phase) {
    case core::Phase::kBackwardInput:
      return Work::kBackwardInput;
    case core::Phase::kBackwardWeight:
      return Work::kBackwardWeight;
    case core::Phase::kRecompute:
      return Work::kRecompute;
    default:
      return Work::kForward;
  }
}

Ink ink_of(Work work) {
  switch (work) {
    case Work::kForward:
      return {kBlue, Pattern::kSolid};
    case Work::kBackwardInput:
      return {kOrange, Pattern::kSolid};
    case Work::kBackwardWeight:
      return {kYellow, Pattern::kFalling};
    case Work::kRecompute:
      return {kSky, Pattern::kDotted};
    case Work::kUpdate:
      return {kPurple, Pattern::kLevel};
    case Work::kCommunication:
      return {kGreen, Pattern::kRising};
    case Work::kHostCopy:
      return {kVermilion, Pattern::kCrossed};
    case Work::kLoad:
      return {kGrey, Pattern::kSolid};
  }
  return {kGrey, Pattern::kSolid};
}

Ink ink_of_index(std::size_t i) {
  static constexpr std::array<Colour, 12> kColours = {kBlue,
                                                      kOrange,
                                                      kGreen,
                                                      kPurple,
                                                      kSky,
                                                      kVermilion,
                                                      kYellow,
                                                      Colour{0x7A5195},
                                                      Colour{0x3D8B8B},
                                                      Colour{0xA6761D},
                                                      Colour{0x6B8E23},
                                                      kGrey};
  constexpr std::size_t kPatterns = 6;
  return {kColours[i % kColours.size()], static_cast<Pattern>((i / kColours.size()) % kPatterns)};
}

Colour heat(double share, bool dark) {
  const double t = std::clamp(share, 0.0, 1.0);
  // Lightness alone tells the order; the hue goes from pale to vermilion.
  if (!dark) return mix(Colour{0xFFF6EC}, Colour{0x8C2D04}, t);
  constexpr double kKnee = 0.6;
  return t < kKnee ? mix(Colour{0x2A2E35}, kVermilion, t / kKnee)
                   : mix(kVermilion, Colour{0xFFC48A}, (t - kKnee) / (1 - kKnee));
}

Colour change(double share, bool dark) {
  const double t = std::clamp(share, -1.0, 1.0);
  const Colour middle = dark ? Colour{0x3A3F47} : Colour{0xF0F0F0};
  return t < 0 ? mix(middle, kBlue, -t) : mix(middle, kOrange, t);
}

Colour text_on(Colour ground) {
  // Relative luminance of sRGB, WCAG 2.1.
  const auto linear = [&](int shift) {
    const double v = part(ground, shift) / 255;
    return v <= 0.04045 ? v / 12.92 : std::pow((v + 0.055) / 1.055, 2.4);
  };
  const double luminance = 0.2126 * linear(16) + 0.7152 * linear(8) + 0.0722 * linear(0);
  return luminance > 0.179 ? Colour{0x000000} : Colour{0xFFFFFF};
}

}  // namespace soapstone::explorer
