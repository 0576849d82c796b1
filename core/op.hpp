// An operator: attributes only, no tensors and no devices. The set is closed
// (core/ops/all.def); only op.cpp sees it whole.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "core/json_fwd.hpp"
#include "core/op_definition.hpp"

namespace soapstone::core {

// What an operator's attribute struct provides: its name, equality, fields()
// for JSON, hashing, printing and property tables, and its definition on given
// inputs (an error where their shapes do not fit).
template <class T>
concept OpSpec = requires {
  { T::kName } -> std::convertible_to<std::string_view>;
}
&&Reflected<T>&& requires(const T& t, std::span<const TensorDesc> inputs) {
  { t.define(inputs) } -> std::same_as<Result<OpDefinition>>;
};

namespace detail {
struct OpTable;  // the functions of one operator, in op.cpp
template <class T>
const OpTable& op_table();  // instantiated in op.cpp for every line of all.def
}  // namespace detail

class Op {
 public:
  Op() = default;
  template <OpSpec T>
  Op(T attributes)  // NOLINT: an attribute struct is an operator
      : table_(&detail::op_table<T>()),
        attributes_(std::make_shared<const T>(std::move(attributes))) {}

  bool valid() const { return table_ != nullptr; }
  std::string_view name() const;
  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const;

  // The same operator on one of `count` equal micro-batches, where `inputs` are
  // those of the whole mini-batch: only operators that average over the batch differ.
  Op for_micro_batches(std::int64_t count, std::span<const TensorDesc> inputs) const;

  // The same operator where those of its axes stand in zig-zag order of so many chunks: what it
  // makes of an element depends on the element's position as before. Nothing if positions mean
  // nothing to it.
  std::optional<Op> in_zigzag(AxisSet axes, std::int64_t chunks) const;

  // The attributes if this is a T, else null.
  template <OpSpec T>
  const T* get_if() const {
    return table_ == &detail::op_table<T>() ? static_cast<const T*>(attributes_.get()) : nullptr;
  }

  // Defined here, so that they are never candidates for an attribute struct that would convert to
  // an Op.
  friend bool operator==(const Op& a, const Op& b) { return a.equals(b); }
  friend void hash_append(Hasher& h, const Op& op) { op.hash_into(h); }
  friend void print_append(std::string& out, const Op& op) {
    op.print_into(out);
  }  // linear{out_features=[10], …}
  friend void json_write(Json& out, const Op& op) {
    op.write(out);
  }  // {"linear": {"out_features": [10]}}
  friend Status json_read(const Json& in, const JsonPath& path, Op& op) {
    return read(in, path, op);
  }
  friend Json json_schema(std::type_identity<Op>);

  Op(const detail::OpTable* table, std::shared_ptr<const void> attributes)
      : table_(table), attributes_(std::move(attributes)) {}

 private:
  bool equals(const Op& other) const;
  void hash_into(Hasher& h) const;
  void print_into(std::string& out) const;
  void write(Json& out) const;
  static Status read(const Json& in, const JsonPath& path, Op& op);

  const detail::OpTable* table_ = nullptr;
  std::shared_ptr<const void> attributes_;
};

// Names of all operators, in the order of all.def.
std::span<const std::string_view> op_names();

}  // namespace soapstone::core
