#include "core/json.hpp"

#include <cstdint>
#include <variant>

#include <gtest/gtest.h>

namespace soapstone::core {
namespace {

enum class Fruit { kApple, kPear, kPlum };
SOAPSTONE_ENUM_NAMES(Fruit, {Fruit::kApple, "apple"}, {Fruit::kPear, "pear"},
                     {Fruit::kPlum, "plum"})

struct Small {
  int degree = 1;
  std::optional<double> share;

  friend bool operator==(const Small&, const Small&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("degree", self.degree);
    visit("share", self.share, kOptional);
  }
};

struct Everything {
  bool flag = false;
  std::int8_t tiny = 0;
  std::uint64_t huge = 0;
  std::int64_t low = 0;
  double rate = 0;
  std::string text;
  Fruit fruit = Fruit::kApple;
  Bytes memory;
  BytesPerSecond bandwidth;
  OpId op;
  OpId none;
  std::vector<Small> list;
  std::vector<bool> bits;
  std::array<int, 2> pair{};
  std::optional<Fruit> maybe;
  std::map<std::string, FlopsPerSecond> peak;
  Shape shape;
  Box box;
  std::vector<std::string> extra{"default"};

  friend bool operator==(const Everything&, const Everything&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("flag", self.flag);
    visit("tiny", self.tiny);
    visit("huge", self.huge);
    visit("low", self.low);
    visit("rate", self.rate);
    visit("text", self.text);
    visit("fruit", self.fruit);
    visit("memory", self.memory);
    visit("bandwidth", self.bandwidth);
    visit("op", self.op);
    visit("none", self.none);
    visit("list", self.list);
    visit("bits", self.bits);
    visit("pair", self.pair);
    visit("maybe", self.maybe);
    visit("peak", self.peak);
    visit("shape", self.shape);
    visit("box", self.box);
    visit("extra", self.extra, kOptional);
  }
};

Everything full() {
  Everything e;
  e.flag = true;
  e.tiny = -128;
  e.huge = std::numeric_limits<std::uint64_t>::max();
  e.low = std::numeric_limits<std::int64_t>::min();
  e.rate = 0.1;
  e.text = "grün \"quoted\"\n";
  e.fruit = Fruit::kPlum;
  e.memory = 16_GiB;
  e.bandwidth = BytesPerSecond(7.32e11);
  e.op = OpId(3);
  e.list = {{2, 0.5}, {7, std::nullopt}};
  e.bits = {true, false};
  e.pair = {4, -5};
  e.maybe = Fruit::kPear;
  e.peak = {{"f32", FlopsPerSecond(1.06e13)}, {"f64", FlopsPerSecond(5.3e12)}};
  e.shape = {64, 3, 224, 224};
  e.box = {{0, 32}, {5, 5}};
  e.extra = {};
  return e;
}

// Two alternatives and a customised variant of them: the codec must not take
// an alternative for the variant, though each converts to it.
struct Circle {
  int radius = 0;
  friend bool operator==(const Circle&, const Circle&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("radius", self.radius);
  }
};
struct Square {
  int side = 0;
  friend bool operator==(const Square&, const Square&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("side", self.side);
  }
};
using Figure = std::variant<Circle, Square>;
void json_write(Json& out, const Figure& figure) {
  out = std::visit([](const auto& f) { return to_json(f); }, figure);
}
Status json_read(const Json& in, const std::string& path, Figure& figure) {
  if (in.contains("radius")) {
    SOAPSTONE_ASSIGN(figure, from_json<Circle>(in, path));
  } else {
    SOAPSTONE_ASSIGN(figure, from_json<Square>(in, path));
  }
  return {};
}

struct Ordered {
  int low = 0;
  int high = 0;
  int width = 0;  // derived
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("low", self.low);
    visit("high", self.high);
  }
};
Status after_read(Ordered& value) {
  if (value.low > value.high) return refuse("at /low: {} is above `high`", value.low);
  if (value.low == value.high) return fail("empty");
  value.width = value.high - value.low;
  return {};
}

template <class T>
std::string error_of(std::string_view text) {
  const auto result = from_json<T>(Json::parse(text), "/here");
  return result ? "no error" : result.error().message;
}

TEST(Json, EveryKindOfValueComesBackEqual) {
  const Everything e = full();
  const Json json = Json::parse(to_json(e).dump());
  const auto back = from_json<Everything>(json);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(*back, e);
  EXPECT_EQ(hash_of(back->shape), hash_of(e.shape));
}

TEST(Json, ValuesAreWrittenAsDocumented) {
  const Json json = to_json(full());
  EXPECT_EQ(json["fruit"], "plum");
  EXPECT_EQ(json["memory"], 17179869184);
  EXPECT_EQ(json["op"], 3);
  EXPECT_TRUE(json["none"].is_null());
  EXPECT_EQ(json["box"].dump(), "[[0,32],[5,5]]");
  EXPECT_EQ(json["peak"].dump(), R"({"f32":10600000000000.0,"f64":5300000000000.0})");
  EXPECT_EQ(json.begin().key(), "flag") << "keys keep the order of fields()";
}

TEST(Json, AnOptionalKeyIsLeftOutExactlyWhenItHasItsDefault) {
  EXPECT_EQ(to_json(Small{3, std::nullopt}).dump(), R"({"degree":3})");
  EXPECT_EQ(to_json(Small{3, 0.25}).dump(), R"({"degree":3,"share":0.25})");
  Everything e;
  EXPECT_FALSE(to_json(e).contains("extra"));
  EXPECT_EQ(from_json<Everything>(to_json(e))->extra, std::vector<std::string>{"default"});
  e.extra.clear();  // not the default, though empty
  EXPECT_EQ(to_json(e)["extra"].dump(), "[]");
}

TEST(Json, ACustomisedVariantDoesNotCaptureItsAlternatives) {
  const std::vector<Figure> figures{Circle{2}, Square{3}};
  EXPECT_EQ(to_json(figures).dump(), R"([{"radius":2},{"side":3}])");
  EXPECT_EQ(*from_json<std::vector<Figure>>(to_json(figures)), figures);
  EXPECT_EQ(error_of<std::vector<Figure>>(R"([{"radius":2},{"side":"x"}])"),
            "at /here/1/side: \"x\" is not accepted; accepted: an integer from -2147483648 to "
            "2147483647");
}

TEST(Json, NumbersThatDoNotFitAreErrors) {
  EXPECT_EQ(error_of<std::uint8_t>("256"),
            "at /here: 256 is not accepted; accepted: an integer from 0 to 255");
  EXPECT_EQ(error_of<std::uint8_t>("-1"),
            "at /here: -1 is not accepted; accepted: an integer from 0 to 255");
  EXPECT_EQ(error_of<std::int8_t>("-129"),
            "at /here: -129 is not accepted; accepted: an integer from -128 to 127");
  EXPECT_EQ(error_of<std::uint16_t>("1.5"),
            "at /here: 1.5 is not accepted; accepted: an integer from 0 to 65535");
  EXPECT_EQ(error_of<std::uint16_t>("true"),
            "at /here: true is not accepted; accepted: an integer from 0 to 65535");
  EXPECT_EQ(error_of<std::int64_t>("9223372036854775808"),
            "at /here: 9223372036854775808 is not accepted; accepted: an integer from "
            "-9223372036854775808 to "
            "9223372036854775807");
  EXPECT_EQ(error_of<Bytes>("\"16\"").substr(0, 31), "at /here: \"16\" is not accepted;");
  EXPECT_EQ(error_of<double>("null"), "at /here: null is not accepted; accepted: a number");
  EXPECT_EQ(*from_json<double>(Json(7)), 7.0) << "a whole number is a number too";
}

TEST(Json, AnInfiniteNumberIsNeverWritten) {
  EXPECT_THROW(to_json(std::numeric_limits<double>::infinity()), InvariantError);
  EXPECT_THROW(to_json(Flops(std::nan(""))), InvariantError);
}

TEST(Json, WrongKindsOfValuesAreErrors) {
  EXPECT_EQ(error_of<bool>("1"), "at /here: 1 is not accepted; accepted: true or false");
  EXPECT_EQ(error_of<std::string>("[1, 2]"), "at /here: [1,2] is not accepted; accepted: a string");
  EXPECT_EQ(error_of<std::vector<int>>("{\"a\": 1}"),
            "at /here: an object with the key `a` is not accepted; accepted: a list");
  EXPECT_EQ((error_of<std::array<int, 2>>("[1, 2, 3]")),
            "at /here: [1,2,3] is not accepted; accepted: a list of 2 entries");
  EXPECT_EQ(error_of<Shape>("[1, 2, 3, 4, 5, 6, 7]"),
            "at /here: [1,2,3,4,5,6,7] is not accepted; accepted: a list of at most 6 entries");
  EXPECT_EQ(error_of<Small>("[]"), "at /here: [] is not accepted; accepted: an object");
  EXPECT_EQ(
      error_of<OpId>("4294967295"),
      "at /here: 4294967295 is not accepted; accepted: an index from 0 to 4294967294, or null");
  EXPECT_EQ(error_of<Interval>("[3, 2]"),
            "at /here: [3,2] is not accepted; accepted: [begin, end] with begin <= end");
}

TEST(Json, AnUnknownNameListsTheAcceptedOnesNearestFirst) {
  EXPECT_EQ(
      error_of<Fruit>("\"plumm\""),
      "at /here: \"plumm\" is not accepted; did you mean `plum`? accepted: plum, pear, apple");
  EXPECT_EQ(error_of<Fruit>("2"), "at /here: 2 is not accepted; accepted: pear, plum, apple");
}

TEST(Json, AnUnknownKeyIsNamedWithTheNearestAcceptedOne) {
  EXPECT_EQ(error_of<Small>(R"({"degre": 2})"),
            "at /here/degre: unknown key `degre`; did you mean `degree`? accepted: degree, share");
}

TEST(Json, AMissingKeyIsAnErrorUnlessItIsOptional) {
  EXPECT_EQ(error_of<Small>(R"({"share": 0.5})"), "at /here: the key `degree` is missing");
  EXPECT_EQ(error_of<Small>(R"({"degree": 2})"), "no error");
}

TEST(Json, ErrorsCarryThePathToTheValue) {
  EXPECT_EQ(
      error_of<std::vector<Small>>(R"([{"degree": 1}, {"degree": []}])"),
      "at /here/1/degree: [] is not accepted; accepted: an integer from -2147483648 to 2147483647");
  using Named = std::map<std::string, std::vector<int>>;
  EXPECT_EQ(error_of<Named>(R"({"a/b~c": [1, null]})").substr(0, 23), "at /here/a~1b~0c/1: nul");
  EXPECT_EQ(
      from_json<int>(Json("x")).error().message,
      "at the top: \"x\" is not accepted; accepted: an integer from -2147483648 to 2147483647");
}

TEST(Json, ACheckAfterReadingMayRefuseAndDerive) {
  EXPECT_EQ(from_json<Ordered>(Json::parse(R"({"low": 2, "high": 5})"))->width, 3);
  EXPECT_EQ(error_of<std::vector<Ordered>>(R"([{"low": 3, "high": 2}])"),
            "at /here/0/low: 3 is above `high`");
  EXPECT_EQ(error_of<std::vector<Ordered>>(R"([{"low": 3, "high": 3}])"), "at /here/0: empty");
  EXPECT_EQ(from_json<Ordered>(Json::parse(R"({"low": 3, "high": 2})")).error().kind,
            ErrorKind::kRefused);
}

TEST(Json, LongValuesAreCutInErrors) {
  EXPECT_EQ(json_excerpt(Json(std::string(100, 'a'))), "\"" + std::string(59, 'a') + "…");
  EXPECT_EQ(json_excerpt(Json(std::vector<int>(9, 1))), "a list of 9 entries");
  EXPECT_EQ(json_excerpt(Json(std::string("\xff"))), "\"\xef\xbf\xbd\"")
      << "bytes that are no text are replaced";
}

TEST(Json, TextKeepsShortValuesOnOneLineAndFillsLongLists) {
  Json json = Json::object();
  json["a"] = Json::array({1, 2, 3});
  json["b"] = {{"c", Json::object()}, {"d", "x"}};
  EXPECT_EQ(*json_text(json), "{\n  \"a\": [1, 2, 3],\n  \"b\": {\"c\": {}, \"d\": \"x\"}\n}\n");

  std::vector<int> numbers(100);
  for (int i = 0; i < 100; ++i) numbers[static_cast<std::size_t>(i)] = 1000 + i;
  const std::string text = *json_text(Json{{"n", numbers}});
  // 4 digits, a comma and a blank each: a margin of 4 and 16 of them are 99 columns.
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2 + 7 + 2);
  std::size_t longest = 0, start = 0;
  for (std::size_t i = 0; i < text.size(); ++i)
    if (text[i] == '\n') longest = std::max(longest, i - start), start = i + 1;
  EXPECT_EQ(longest, 99u);
  EXPECT_EQ(Json::parse(text)["n"].get<std::vector<int>>(), numbers);
}

TEST(Json, TextOfAStringThatIsNotUtf8IsAnError) {
  EXPECT_FALSE(json_text(Json(std::string("\xff"))));
}

}  // namespace
}  // namespace soapstone::core
