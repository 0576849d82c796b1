// What holds for every operator's definition and attributes; what each computes stands in
// tests/ops/.
#include "core/op.hpp"

#include <set>

#include <gtest/gtest.h>

#include "core/derive.hpp"
#include "core/json.hpp"
#include "core/ops/add.hpp"
#include "core/ops/conv2d.hpp"
#include "core/ops/linear.hpp"
#include "core/ops/relu.hpp"
#include "core/schema.hpp"
#include "tests/support/oracle/small_ops.hpp"

namespace soapstone::core {
namespace {

TEST(Ops, EveryOperatorHasASmallExample) {
  std::set<std::string_view> seen;
  for (const auto& small : oracle::small_ops()) seen.insert(small.op.name());
  for (const auto name : op_names()) EXPECT_TRUE(seen.contains(name)) << name;
}

TEST(Ops, DefinitionsAreWellFormed) {
  for (const auto& small : oracle::small_ops()) {
    SCOPED_TRACE(small.name);
    const OpDefinition d = small.definition();
    std::set<std::string> names;
    for (const Axis& a : d.axes) {
      EXPECT_TRUE(names.insert("axis " + a.name).second) << a.name;
      EXPECT_GE(a.extent, 1);
    }
    EXPECT_EQ(d.operands_of(OperandRole::kInput).size(), small.inputs.size());
    for (const Operand& o : d.operands) {
      EXPECT_TRUE(names.insert(o.name).second) << o.name;
      ASSERT_EQ(o.dims.size(), o.desc.shape.size());
      std::set<int> axes;
      for (std::size_t k = 0; k < o.dims.size(); ++k) {
        const DimMap& m = o.dims[k];
        if (m.axis < 0) continue;
        ASSERT_LT(static_cast<std::size_t>(m.axis), d.axes.size());
        EXPECT_TRUE(axes.insert(m.axis).second)
            << o.name << ": two dimensions follow one axis, which no layout can say";
        EXPECT_FALSE(o.first_part_of.has(m.axis)) << o.name;
        // What the loss is made of must be covered by the parts without gap or overlap.
        if (o.role == OperandRole::kOutput || o.role == OperandRole::kWeight ||
            o.role == OperandRole::kInternal) {
          std::int64_t covered = 0;
          for (std::int64_t i = 0; i < d.axes[static_cast<std::size_t>(m.axis)].extent; ++i) {
            const Interval touched = image(m, {i, i + 1}, o.desc.shape[k]);
            if (touched.empty()) continue;
            EXPECT_EQ(touched.begin, covered) << o.name << " at " << i;
            covered = touched.end;
          }
          EXPECT_EQ(covered, o.desc.shape[k]) << o.name;
        }
      }
    }
  }
}

TEST(Ops, StepsReadOnlyWhatIsThereAndGiveEveryGradientOnce) {
  for (const auto& small : oracle::small_ops()) {
    const OpDefinition d = small.definition();
    // Whole, and with all axes split.
    AxisSet everything;
    for (std::size_t a = 0; a < d.axes.size(); ++a) everything.insert(static_cast<int>(a));
    for (const AxisSet split : {AxisSet{}, everything}) {
      SCOPED_TRACE(small.name + (split.empty() ? " whole" : " split"));
      std::set<Ref> known;
      std::multiset<Ref> written;
      for (std::size_t k = 0; k < d.operands.size(); ++k) {
        const auto ref = static_cast<std::uint16_t>(k);
        if (d.operands[k].role == OperandRole::kInput || d.operands[k].role == OperandRole::kWeight)
          known.insert({ref, false});
        if (d.operands[k].role == OperandRole::kOutput && d.operands[k].differentiable)
          known.insert({ref, true});
      }
      Phase phase = Phase::kForward;
      for (const Step& step : d.steps) {
        if (!step_is_used(step, split) && !step_is_used(step, split, StepUse::kEvaluation))
          continue;
        EXPECT_TRUE(step.phase != Phase::kForward || phase == Phase::kForward)
            << step.name << ": forward steps come first";
        phase = step.phase;
        for (const Ref& r : step.reads)
          EXPECT_TRUE(known.contains(r)) << step.name << " reads " << d.operands[r.operand].name;
        for (const Ref& w : step.writes) {
          known.insert(w);
          written.insert(w);
        }
      }
      for (std::size_t k = 0; k < d.operands.size(); ++k) {
        const auto ref = static_cast<std::uint16_t>(k);
        const Operand& o = d.operands[k];
        const bool has_gradient =
            o.differentiable && (o.role == OperandRole::kInput || o.role == OperandRole::kWeight);
        if (o.role == OperandRole::kOutput) {
          EXPECT_EQ(written.count({ref, false}), 1u) << o.name;
        }
        if (o.role == OperandRole::kInput || o.role == OperandRole::kWeight) {
          EXPECT_EQ(written.count({ref, true}), has_gradient ? 1u : 0u) << o.name;
        }
      }
    }
  }
}

TEST(Ops, AttributesCompareHashPrintAndComeBackFromJson) {
  std::set<std::uint64_t> hashes;
  const auto small = oracle::small_ops();
  for (const auto& a : small) {
    const auto read = from_json<Op>(to_json(a.op));
    ASSERT_TRUE(read) << a.name << ": " << read.error().message;
    EXPECT_EQ(*read, a.op);
    EXPECT_EQ(hash_of(*read), hash_of(a.op));
    EXPECT_EQ(print(*read), print(a.op));
    for (const auto& b : small)
      EXPECT_EQ(a.op == b.op, hash_of(a.op) == hash_of(b.op)) << a.name << " " << b.name;
  }
  EXPECT_EQ(print(Op(Linear{.out_features = {3}})),
            "linear{out_features=[3], contracted_dims=1, packed=false, bias=true, activation=none, "
            "init_scale=0}");
  EXPECT_EQ(Op(Relu{}).get_if<Add>(), nullptr);
  ASSERT_NE(Op(Conv2D{.out_channels = 4}).get_if<Conv2D>(), nullptr);
  EXPECT_EQ(Op(Conv2D{.out_channels = 4}).get_if<Conv2D>()->out_channels, 4);
}

TEST(Ops, AnUnknownOperatorOrAttributeIsRefusedWithTheNearest) {
  const auto op = from_json<Op>(Json::parse(R"({"liner": {}})"));
  ASSERT_FALSE(op);
  EXPECT_NE(op.error().message.find("unknown operator `liner`; did you mean `linear`?"),
            std::string::npos)
      << op.error().message;
  const auto key = from_json<Op>(Json::parse(R"({"linear": {"out_feature": [3]}})"));
  ASSERT_FALSE(key);
  EXPECT_NE(key.error().message.find("out_features"), std::string::npos) << key.error().message;
  EXPECT_FALSE(from_json<Op>(Json::parse(R"({"relu": {}, "gelu": {}})")));
}

TEST(Ops, TheSchemaHasOneChoicePerOperator) {
  const Json schema = json_schema(std::type_identity<Op>{});
  ASSERT_EQ(schema["oneOf"].size(), op_names().size());
  for (std::size_t k = 0; k < op_names().size(); ++k)
    EXPECT_EQ(schema["oneOf"][k]["required"][0], std::string(op_names()[k]));
}

TEST(Ops, InputsThatDoNotFitAreRefusedWithTheirValues) {
  const auto message = [](const Op& op, std::vector<TensorDesc> inputs) {
    const auto d = op.define(inputs);
    return d ? std::string("accepted") : d.error().message;
  };
  const TensorDesc dense{{2, 3}, DType::kF64, {}},
      image{{2, 3, 4, 4}, DType::kF64, channels_last(4)};
  EXPECT_EQ(message(Add{}, {dense}), "takes two inputs, got 1");
  EXPECT_EQ(message(Relu{}, {{{2, 3}, DType::kI32, {}}}),
            "input x is i32: bf16, f32 or f64 is wanted");
  EXPECT_EQ(message(Conv2D{.out_channels = 4, .groups = 2}, {image}),
            "groups = 2 must divide 3 input channels and out_channels = 4");
  EXPECT_NE(message(Conv2D{.out_channels = 4, .kernel = {6, 1}}, {image}).find("does not fit"),
            std::string::npos);
  EXPECT_EQ(message(Linear{.out_features = {}}, {dense}),
            "out_features is empty: give at least one extent");
}

}  // namespace
}  // namespace soapstone::core
