// One description per value type, from which hashing, printing, JSON and the
// JSON schema are derived.
//
// A type takes part by a static member template
//     template <class Self, class Visit> static void fields(Self& self, Visit&& visit) {
//       visit("name", self.name);             // a required key
//       visit("bias", self.bias, kOptional);  // may be absent: keeps its default
//     }
// and an enumeration by an overload `EnumNames<E> enum_names(E)` found by ADL.
#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "core/quantity.hpp"

namespace soapstone::core {

struct OptionalKey {};
inline constexpr OptionalKey kOptional{};

struct AnyVisitor {
  template <class... A>
  void operator()(std::string_view, A&&...) const {}
};

template <class T>
concept Reflected = requires(T& t) {
  std::remove_const_t<T>::fields(t, AnyVisitor{});
};

// Pairs of enumerator and its name in documents.
template <class E>
using EnumNames = std::span<const std::pair<E, std::string_view>>;

template <class E>
concept NamedEnum = std::is_enum_v<E> && requires(E e) {
  { enum_names(e) } -> std::same_as<EnumNames<E>>;
};

template <NamedEnum E>
std::string_view name_of(E e) {
  for (const auto& [value, name] : enum_names(e))
    if (value == e) return name;
  return "?";
}

template <NamedEnum E>
std::optional<E> enum_from_name(std::string_view name) {
  for (const auto& [value, n] : enum_names(E{}))
    if (n == name) return value;
  return std::nullopt;
}

// Declares `enum_names` for an enumeration. Usage, in the enum's namespace:
//   SOAPSTONE_ENUM_NAMES(Phase, {Phase::kForward, "forward"}, ...);
#define SOAPSTONE_ENUM_NAMES(E, ...)                                          \
  inline ::soapstone::core::EnumNames<E> enum_names(E) {                      \
    static constexpr std::pair<E, std::string_view> kNames[] = {__VA_ARGS__}; \
    return kNames;                                                            \
  }

template <class T>
struct IsVector : std::false_type {};
template <class T, class A>
struct IsVector<std::vector<T, A>> : std::true_type {};
template <class T>
struct IsArray : std::false_type {};
template <class T, std::size_t N>
struct IsArray<std::array<T, N>> : std::true_type {};
template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};
template <class T>
struct IsStringMap : std::false_type {};
template <class T>
struct IsStringMap<std::map<std::string, T>> : std::true_type {};
template <class T>
struct IsQuantity : std::false_type {};
template <class U, class R>
struct IsQuantity<Quantity<U, R>> : std::true_type {};
template <class T>
struct IsId : std::false_type {};
template <class Tag>
struct IsId<Id<Tag>> : std::true_type {};

// A 64-bit hash that is the same in every process and on every machine (FNV-1a
// over words, finished with splitmix64).
class Hasher {
 public:
  void word(std::uint64_t w) {
    state_ ^= w;
    state_ *= 0x100000001b3ull;
    state_ ^= state_ >> 29;
  }
  void bytes(std::string_view s) {
    word(s.size());
    for (unsigned char c : s) word(c);
  }
  std::uint64_t finish() const {
    std::uint64_t z = state_ + 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }

 private:
  std::uint64_t state_ = 0xcbf29ce484222325ull;
};

// Appends `value` to the hash. Types without fields provide `void hash_append(Hasher&, const T&)`.
template <class T>
void append_hash(Hasher& h, const T& value) {
  if constexpr (requires { hash_append(h, value); }) {
    hash_append(h, value);
  } else if constexpr (IsQuantity<T>::value || IsId<T>::value) {
    append_hash(h, value.value);
  } else if constexpr (Reflected<const T>) {
    T::fields(value,
              [&](std::string_view, const auto& member, auto...) { append_hash(h, member); });
  } else if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, std::string_view>) {
    h.bytes(value);
  } else if constexpr (IsVector<T>::value || IsArray<T>::value) {
    h.word(value.size());
    for (const auto& v : value) append_hash(h, v);
  } else if constexpr (IsStringMap<T>::value) {
    h.word(value.size());
    for (const auto& [k, v] : value) {
      h.bytes(k);
      append_hash(h, v);
    }
  } else if constexpr (IsOptional<T>::value) {
    h.word(value.has_value());
    if (value) append_hash(h, *value);
  } else if constexpr (std::is_floating_point_v<T>) {
    h.word(std::bit_cast<std::uint64_t>(static_cast<double>(value)));
  } else {
    static_assert(std::is_integral_v<T> || std::is_enum_v<T>,
                  "give this type fields() or hash_append()");
    h.word(static_cast<std::uint64_t>(value));
  }
}

template <class T>
std::uint64_t hash_of(const T& value) {
  Hasher h;
  append_hash(h, value);
  return h.finish();
}

// Appends a one-line text form, `name=value` inside braces. Types without
// fields may provide `void print_append(std::string&, const T&)`.
template <class T>
void append_text(std::string& out, const T& value) {
  if constexpr (requires { print_append(out, value); }) {
    print_append(out, value);
  } else if constexpr (IsQuantity<T>::value) {
    append_text(out, value.value);
  } else if constexpr (IsId<T>::value) {
    out += value.valid() ? fmt::format("{}", value.value) : "none";
  } else if constexpr (Reflected<const T>) {
    out += '{';
    bool first = true;
    T::fields(value, [&](std::string_view name, const auto& member, auto...) {
      if (!first) out += ", ";
      first = false;
      out += name;
      out += '=';
      append_text(out, member);
    });
    out += '}';
  } else if constexpr (NamedEnum<T>) {
    out += name_of(value);
  } else if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, std::string_view>) {
    out += value;
  } else if constexpr (IsVector<T>::value || IsArray<T>::value) {
    out += '[';
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (i) out += ", ";
      append_text(out, static_cast<const typename T::value_type&>(value[i]));
    }
    out += ']';
  } else if constexpr (IsStringMap<T>::value) {
    out += '{';
    bool first = true;
    for (const auto& [k, v] : value) {
      if (!first) out += ", ";
      first = false;
      out += k + "=";
      append_text(out, v);
    }
    out += '}';
  } else if constexpr (IsOptional<T>::value) {
    if (value)
      append_text(out, *value);
    else
      out += "none";
  } else {
    out += fmt::format("{}", value);
  }
}

template <class T>
std::string print(const T& value) {
  std::string out;
  append_text(out, value);
  return out;
}

}  // namespace soapstone::core
