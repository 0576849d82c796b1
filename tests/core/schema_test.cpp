#include "core/schema.hpp"

#include <cstdlib>
#include <ostream>
#include <string>

#include <gtest/gtest.h>

#include "core/cluster.hpp"
#include "core/document.hpp"
#include "core/file.hpp"
#include "core/graph.hpp"
#include "core/plan.hpp"
#include "core/strategy.hpp"
#include "core/trace.hpp"

namespace soapstone::core {
namespace {

enum class Side { kLeft, kRight };
SOAPSTONE_ENUM_NAMES(Side, {Side::kLeft, "left"}, {Side::kRight, "right"})

struct Leaf {
  std::uint8_t size = 3;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("size", self.size, kOptional);
  }
};

struct Tree {
  static constexpr std::string_view kFormat = "soapstone.tree";
  static constexpr int kVersion = 4;
  Side side = Side::kLeft;
  std::vector<Leaf> leaves;
  std::map<std::string, double> weights;
  std::optional<bool> tall;
  OpId root;
  Box box;
  Bytes memory;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("side", self.side);
    visit("leaves", self.leaves);
    visit("weights", self.weights, kOptional);
    visit("tall", self.tall);
    visit("root", self.root);
    visit("box", self.box);
    visit("memory", self.memory);
  }
};

TEST(Schema, FollowsFromTheFields) {
  const Json expected = Json::parse(R"({
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "soapstone.tree",
    "type": "object",
    "properties": {
      "format": {"const": "soapstone.tree/4"},
      "side": {"enum": ["left", "right"]},
      "leaves": {"type": "array", "items": {
        "type": "object",
        "properties": {"size": {"type": "integer", "minimum": 0, "maximum": 255, "default": 3}},
        "required": [],
        "additionalProperties": false}},
      "weights": {"type": "object", "additionalProperties": {"type": "number"}, "default": {}},
      "tall": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
      "root": {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 4294967294},
                         {"type": "null"}]},
      "box": {"type": "array", "items": {
        "type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2,
        "description": "[begin, end): the first index and the one after the last"}, "maxItems": 6},
      "memory": {"type": "integer", "description": "bytes"}
    },
    "required": ["format", "side", "leaves", "tall", "root", "box", "memory"],
    "additionalProperties": false
  })");
  EXPECT_EQ(schema_of<Tree>().dump(2), expected.dump(2));
}

// docs/schema/ is what editors are pointed at; it is generated, and committed
// so that a change of a document's form is seen in review.
struct SchemaFile {
  std::string name;
  std::string (*text)();
};
void PrintTo(const SchemaFile& file, std::ostream* out) { *out << file.name; }

class CommittedSchema : public testing::TestWithParam<SchemaFile> {};

TEST_P(CommittedSchema, IsWhatTheTypesSay) {
  const std::string text = GetParam().text();
  const std::string path =
      std::string(SOAPSTONE_SOURCE_DIR "/docs/schema/") + GetParam().name + ".schema.json";
  const char* update = std::getenv("SOAPSTONE_UPDATE_SCHEMA");
  if (update != nullptr && std::string_view(update) == "1") {
    const Status written = write_file_atomically(path, text);
    ASSERT_TRUE(written) << written.error().message;
  }
  const auto committed = read_file(path);
  ASSERT_TRUE(committed) << committed.error().message << "; SOAPSTONE_UPDATE_SCHEMA=1 writes it";
  EXPECT_EQ(*committed, text) << "the form of a document changed: write it with "
                                 "SOAPSTONE_UPDATE_SCHEMA=1, and raise kVersion if old documents "
                                 "no longer read";
}

// One entry per kind of document.
INSTANTIATE_TEST_SUITE_P(Documents, CommittedSchema,
                         testing::Values(SchemaFile{"cluster", document_schema_text<Cluster>},
                                         SchemaFile{"graph", document_schema_text<GraphSpec>},
                                         SchemaFile{"plan", document_schema_text<Plan>},
                                         SchemaFile{"strategy", document_schema_text<StrategyDocument>},
                                         SchemaFile{"trace", document_schema_text<Trace>}),
                         [](const auto& file) { return file.param.name; });

}  // namespace
}  // namespace soapstone::core
