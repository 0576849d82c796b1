#include "core/units.hpp"

#include <cstdint>
#include <limits>

#include <gtest/gtest.h>

namespace soapstone::core {
namespace {

TEST(Units, AmountsOfMemoryAreReadInBinaryAndDecimalUnits) {
  EXPECT_EQ(*parse_quantity<Bytes>("16 GiB"), 16_GiB);
  EXPECT_EQ(*parse_quantity<Bytes>("1.5KiB"), 1536_B);
  EXPECT_EQ(*parse_quantity<Bytes>(" 2 GB "), Bytes(2'000'000'000));
  EXPECT_EQ(*parse_quantity<Bytes>("0 B"), Bytes(0));
}

TEST(Units, TimesAreReadToTheNearestNanosecond) {
  EXPECT_EQ(*parse_quantity<Nanoseconds>("5 us"), 5_us);
  EXPECT_EQ(*parse_quantity<Nanoseconds>("5 µs"), 5_us);
  EXPECT_EQ(*parse_quantity<Nanoseconds>("250ms"), 250_ms);
  EXPECT_EQ(*parse_quantity<Nanoseconds>("0.6 ns"), 1_ns);
  EXPECT_EQ(*parse_quantity<Nanoseconds>("1.5e-3 s"), 1500_us);
}

TEST(Units, BitsAreEighthsOfBytes) {
  EXPECT_EQ(*parse_quantity<BytesPerSecond>("100 Gbit/s"), BytesPerSecond(12.5e9));
  EXPECT_EQ(*parse_quantity<BytesPerSecond>("732 GB/s"), BytesPerSecond(732e9));
  EXPECT_EQ(*parse_quantity<BytesPerSecond>("1 GiB/s"), BytesPerSecond(1073741824.0));
}

TEST(Units, DecimalFractionsAreRoundedOnce) {
  EXPECT_EQ(parse_quantity<FlopsPerSecond>("10.6 TFLOP/s")->value, 10.6e12);
  EXPECT_EQ(parse_quantity<FlopsPerSecond>("4.37 TFLOP/s")->value, 4.37e12);
  EXPECT_EQ(parse_quantity<Flops>("7.7 GFLOP")->value, 7.7e9);
}

TEST(Units, AnUnknownUnitListsTheAcceptedOnesNearestFirst) {
  EXPECT_EQ(
      parse_quantity<Nanoseconds>("5 sec").error().message,
      "\"5 sec\" is not accepted; a time such as \"5 us\" is wanted; accepted: s, ns, us, ms, µs");
  EXPECT_EQ(parse_quantity<FlopsPerSecond>("5 TFLOPS").error().message,
            "\"5 TFLOPS\" is not accepted; a rate such as \"10.6 TFLOP/s\" is wanted; did you mean "
            "`TFLOP/s`? "
            "accepted: TFLOP/s, FLOP/s, kFLOP/s, MFLOP/s, GFLOP/s, PFLOP/s");
}

TEST(Units, WhatIsNoNumberWithAUnitIsAnError) {
  for (const char* text :
       {"", "16", "GiB", "-1 GiB", "1.2.3 GiB", "1e GiB", "1e999 GiB", "nan B", "inf B", "0x10 B",
        "1 Gb", "1 GIB", "9223372036854775808 B", ". B", "1,5 GiB", "16 GiB/s"})
    EXPECT_FALSE(parse_quantity<Bytes>(text)) << text;
}

TEST(Units, ExactTextComesBackAsTheSameValue) {
  EXPECT_EQ(exact_text(16_GiB), "16 GiB");
  EXPECT_EQ(exact_text(BytesPerSecond(12.5e9)), "12.5 GB/s");
  EXPECT_EQ(exact_text(FlopsPerSecond(10.6e12)), "10.6 TFLOP/s");
  EXPECT_EQ(exact_text(FlopsPerSecond(1.455e12)), "1.455 TFLOP/s");
  EXPECT_EQ(exact_text(BytesPerSecond(15.75e9)), "15.75 GB/s");
  EXPECT_EQ(exact_text(1500_ns), "1.5 us");
  EXPECT_EQ(exact_text(0_ns), "0 ns");
  for (std::int64_t v : {std::int64_t{1}, std::int64_t{1023}, std::int64_t{123456789123456789},
                         std::numeric_limits<std::int64_t>::max() - 1024})
    EXPECT_EQ(parse_quantity<Bytes>(exact_text(Bytes(v))).value_or(Bytes(-1)), Bytes(v))
        << exact_text(Bytes(v));
  for (double v : {0.1, 1.0 / 3.0, 123456.789, 3.3e20})
    EXPECT_EQ(*parse_quantity<BytesPerSecond>(exact_text(BytesPerSecond(v))), BytesPerSecond(v));
}

TEST(Units, HumanTextHasAboutThreeDigits) {
  EXPECT_EQ(human_text(0_ns), "0 ns");
  EXPECT_EQ(human_text(999_ns), "999 ns");
  EXPECT_EQ(human_text(1234_us), "1.23 ms");
  EXPECT_EQ(human_text(Nanoseconds(999'600)), "1 ms");
  EXPECT_EQ(human_text(45'600_ns), "45.6 us");
  EXPECT_EQ(human_text(Nanoseconds(-1500)), "-1.5 us");
  EXPECT_EQ(human_text(Nanoseconds(7'200'000'000'000)), "7200 s");
  EXPECT_EQ(human_text(Bytes(17'072'000'000)), "15.9 GiB");
  EXPECT_EQ(human_text(1000_MiB), "1000 MiB");
  EXPECT_EQ(human_text(BytesPerSecond(732e9)), "732 GB/s");
  EXPECT_EQ(human_text(Flops(7.7e9)), "7.7 GFLOP");
}

}  // namespace
}  // namespace soapstone::core
