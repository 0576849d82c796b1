#include "core/schema.hpp"

#include <string>

#include <gtest/gtest.h>

#include "core/cluster.hpp"
#include "core/document.hpp"
#include "core/graph.hpp"
#include "core/plan.hpp"
#include "core/ranked_strategies.hpp"
#include "core/strategy.hpp"
#include "core/trace.hpp"
#include "tests/support/committed_schema.hpp"

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

class CommittedSchema : public testing::TestWithParam<SchemaFile> {};

TEST_P(CommittedSchema, IsWhatTheTypesSay) { expect_committed(GetParam()); }

// One entry per kind of document.
INSTANTIATE_TEST_SUITE_P(
    Documents, CommittedSchema,
    testing::Values(SchemaFile{"cluster", document_schema_text<Cluster>},
                    SchemaFile{"graph", document_schema_text<GraphSpec>},
                    SchemaFile{"plan", document_schema_text<Plan>},
                    SchemaFile{"ranked", document_schema_text<RankedStrategies>},
                    SchemaFile{"strategy", document_schema_text<StrategyDocument>},
                    SchemaFile{"trace", document_schema_text<Trace>}),
    [](const auto& file) { return file.param.name; });

}  // namespace
}  // namespace soapstone::core
