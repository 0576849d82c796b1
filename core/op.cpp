#include "core/op.hpp"

#include "core/json.hpp"
#include "core/ops/all.hpp"  // generated from all.def
#include "core/schema.hpp"
#include "core/suggest.hpp"

namespace soapstone::core {

namespace detail {

struct OpTable {
  std::string_view name;
  Result<OpDefinition> (*define)(const void*, std::span<const TensorDesc>);
  std::shared_ptr<const void> (*for_micro_batches)(const void*, std::int64_t,
                                                   std::span<const TensorDesc>);
  std::shared_ptr<const void> (*in_zigzag)(const void*, AxisSet, std::int64_t);
  bool (*equal)(const void*, const void*);
  void (*hash)(Hasher&, const void*);
  void (*print)(std::string&, const void*);
  Json (*to_json)(const void*);
  Json (*schema)();
  Result<Op> (*from_json)(const Json&, const JsonPath&);
};

template <class T>
const OpTable& op_table() {
  static const auto attributes = [](const void* p) -> const T& {
    return *static_cast<const T*>(p);
  };
  static const OpTable table{
      T::kName,
      [](const void* p, std::span<const TensorDesc> inputs) {
        return attributes(p).define(inputs);
      },
      [](const void* p, std::int64_t count,
         std::span<const TensorDesc> inputs) -> std::shared_ptr<const void> {
        if constexpr (requires(const T& t) { t.for_micro_batches(count, inputs); })
          return std::make_shared<const T>(attributes(p).for_micro_batches(count, inputs));
        else
          return nullptr;
      },
      [](const void* p, AxisSet axes, std::int64_t chunks) -> std::shared_ptr<const void> {
        if constexpr (requires(const T& t) { t.in_zigzag(axes, chunks); })
          return std::make_shared<const T>(attributes(p).in_zigzag(axes, chunks));
        else
          return nullptr;
      },
      [](const void* a, const void* b) { return attributes(a) == attributes(b); },
      [](Hasher& h, const void* p) { append_hash(h, attributes(p)); },
      [](std::string& out, const void* p) { append_text(out, attributes(p)); },
      [](const void* p) { return core::to_json(attributes(p)); },
      [] { return value_schema<T>(); },
      [](const Json& in, const JsonPath& path) -> Result<Op> {
        SOAPSTONE_ASSIGN(T value, core::from_json<T>(in, path));
        return Op(std::move(value));
      }};
  return table;
}

#define SOAPSTONE_OP(Type, name)                                                               \
  static_assert(OpSpec<Type>, #Type " does not provide what an operator must");                \
  static_assert(std::string_view(#name) == Type::kName, #Type "::kName differs from all.def"); \
  template const OpTable& op_table<Type>();
#include "core/ops/all.def"
#undef SOAPSTONE_OP

}  // namespace detail

namespace {

const detail::OpTable* const kTables[] = {
#define SOAPSTONE_OP(Type, name) &detail::op_table<Type>(),
#include "core/ops/all.def"
#undef SOAPSTONE_OP
};

}  // namespace

std::span<const std::string_view> op_names() {
  static constexpr std::string_view kNames[] = {
#define SOAPSTONE_OP(Type, name) #name,
#include "core/ops/all.def"
#undef SOAPSTONE_OP
  };
  return kNames;
}

std::string_view Op::name() const { return table_ ? table_->name : "none"; }

Result<OpDefinition> Op::define(std::span<const TensorDesc> inputs) const {
  SOAPSTONE_ASSERT(valid(), "an empty Op has no definition");
  SOAPSTONE_ASSIGN(OpDefinition definition, table_->define(attributes_.get(), inputs));
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Operand& operand = definition.operands[i];
    if (operand.differentiable && operand.desc.dtype == DType::kI32)
      return usage_error("input {} is i32: bf16, f32 or f64 is wanted", operand.name);
    if (operand.desc != inputs[i])
      return usage_error("input {} lies in memory as dimensions {}: {} is wanted", operand.name,
                         print(inputs[i].order), print(operand.desc.order));
  }
  return definition;
}

Op Op::for_micro_batches(std::int64_t count, std::span<const TensorDesc> inputs) const {
  auto attributes = table_->for_micro_batches(attributes_.get(), count, inputs);
  return attributes ? Op(table_, std::move(attributes)) : *this;
}

std::optional<Op> Op::in_zigzag(AxisSet axes, std::int64_t chunks) const {
  auto attributes = table_->in_zigzag(attributes_.get(), axes, chunks);
  if (!attributes) return std::nullopt;
  return Op(table_, std::move(attributes));
}

bool Op::equals(const Op& other) const {
  return table_ == other.table_ &&
         (table_ == nullptr || table_->equal(attributes_.get(), other.attributes_.get()));
}

void Op::hash_into(Hasher& h) const {
  h.bytes(name());
  if (valid()) table_->hash(h, attributes_.get());
}

void Op::print_into(std::string& out) const {
  out += name();
  if (valid()) table_->print(out, attributes_.get());
}

void Op::write(Json& out) const {
  SOAPSTONE_ASSERT(valid(), "an empty Op cannot be written");
  out = Json::object();
  out[std::string(name())] = table_->to_json(attributes_.get());
}

Status Op::read(const Json& in, const JsonPath& path, Op& op) {
  if (!in.is_object() || in.size() != 1)
    return json_error(path, in, "an object with one key, the operator's name, e.g. {\"relu\": {}}");
  const std::string& name = in.begin().key();
  for (const auto* table : kTables)
    if (table->name == name) {
      SOAPSTONE_ASSIGN(op, table->from_json(in.begin().value(), JsonPath(path, name)));
      return {};
    }
  return json_error(
      path, fmt::format("unknown operator `{}`; {}", name, accepted_names(name, op_names())));
}

// An object with one key, the operator's name.
Json json_schema(std::type_identity<Op>) {
  Json choices = Json::array();
  for (const auto* table : kTables) {
    Json one = Json::object();
    one["type"] = "object";
    one["properties"] = Json{{std::string(table->name), table->schema()}};
    one["required"] = Json::array({std::string(table->name)});
    one["additionalProperties"] = false;
    choices.push_back(std::move(one));
  }
  return Json{{"oneOf", std::move(choices)}};
}

}  // namespace soapstone::core
