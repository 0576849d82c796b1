// Quantities as people write them: "16 GiB", "732 GB/s", "100 Gbit/s", "5 us".
//
// Accepted units, written exactly so:
//   Bytes           B kB MB GB TB (powers of 1000), KiB MiB GiB TiB (powers of 1024)
//   Nanoseconds     ns us µs ms s
//   BytesPerSecond  each unit of bytes followed by /s; bit/s kbit/s Mbit/s Gbit/s Tbit/s
//   FlopsPerSecond  FLOP/s kFLOP/s MFLOP/s GFLOP/s TFLOP/s PFLOP/s
//   Flops           FLOP kFLOP MFLOP GFLOP TFLOP PFLOP
// The blank between number and unit may be left out. Numbers are not negative.
#pragma once

#include <string>
#include <string_view>

#include "core/quantity.hpp"
#include "core/result.hpp"

namespace soapstone::core {

// Q is one of the five above. Rounded to the nearest whole byte or nanosecond.
// The error names the text and the accepted units.
template <class Q>
Result<Q> parse_quantity(std::string_view text);

// A text that parse_quantity reads back as exactly this value, "12.5 GB/s": a
// number from 1 to 1000 where a unit allows it, and among those the shortest.
template <class Q>
std::string exact_text(Q value);

// About three digits, for people: "1.23 ms", "15.9 GiB", "-45 ns".
template <class Q>
std::string human_text(Q value);

}  // namespace soapstone::core
