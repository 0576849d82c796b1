// Cluster files as people write them. A small codec over fields(), like the
// JSON one, with two differences: a quantity is a text with its unit, and
// errors point into the file directly.
#include <algorithm>
#include <charconv>
#include <limits>
#include <sstream>
#include <type_traits>

#include <toml++/toml.h>

#include "core/cluster.hpp"
#include "core/suggest.hpp"
#include "core/units.hpp"

namespace soapstone::core {

namespace {

// Where a key stands: "cluster.toml:7: device_kind[0].memory".
struct Place {
  std::string file;
  std::string key;

  Place member(std::string_view name) const {
    return {file, key.empty() ? std::string(name) : fmt::format("{}.{}", key, name)};
  }
  Place element(std::size_t index) const { return {file, fmt::format("{}[{}]", key, index)}; }
};

tl::unexpected<Error> error_at(const toml::node& node, const Place& place, std::string_view what) {
  const std::string key = place.key.empty() ? "" : place.key + ": ";
  return usage_error("{}:{}: {}{}", place.file, node.source().begin.line, key, what);
}

std::string excerpt(const toml::node& node) {
  if (node.is_table()) return "a table";
  if (node.is_array()) return "a list";
  std::ostringstream out;
  node.visit([&](const auto& n) {
    if constexpr (toml::is_string<decltype(n)>)
      out << '"' << n.get() << '"';
    else if constexpr (toml::is_value<decltype(n)>)
      out << toml::node_view<const toml::node>(n);
  });
  return out.str();
}

tl::unexpected<Error> wrong(const toml::node& node, const Place& place, std::string_view accepted) {
  return error_at(node, place,
                  fmt::format("{} is not accepted; accepted: {}", excerpt(node), accepted));
}

// Of the file itself, which has no line to point to.
template <class IsList>
tl::unexpected<Error> missing_at_top(const std::string& file, std::string_view key, IsList) {
  return usage_error(
      "{}: the key `{}` is missing; accepted: {}", file, key,
      IsList::value ? fmt::format("tables headed [[{}]]", key) : "a text before the first table");
}

template <class T>
Status read(const toml::node& in, const Place& place, T& out);

template <class T>
Status read_table(const toml::node& in, const Place& place, T& out) {
  const toml::table* table = in.as_table();
  if (table == nullptr) return wrong(in, place, "a table");
  std::vector<std::string_view> names;
  T::fields(out, [&](std::string_view name, auto&&...) { names.push_back(name); });
  for (const auto& [key, value] : *table) {
    if (std::find(names.begin(), names.end(), key.str()) != names.end()) continue;
    return error_at(
        value, place.member(key.str()),
        fmt::format("unknown key `{}`; {}", key.str(), accepted_names(key.str(), names)));
  }
  Status status;
  T::fields(out, [&](std::string_view name, auto& member, auto... option) {
    if (!status) return;
    if (const toml::node* found = table->get(name))
      status = read(*found, place.member(name), member);
    else if (sizeof...(option) == 0)
      status =
          place.key.empty()
              ? missing_at_top(place.file, name, IsVector<std::remove_cvref_t<decltype(member)>>{})
              : error_at(in, place, fmt::format("the key `{}` is missing", name));
  });
  return status;
}

template <class T>
Status read(const toml::node& in, const Place& place, T& out) {
  if constexpr (IsQuantity<T>::value) {
    const auto* text = in.as_string();
    const auto value = parse_quantity<T>(text != nullptr ? text->get() : std::string_view{});
    if (value) return out = *value, Status{};
    if (text != nullptr) return error_at(in, place, value.error().message);
    // The unit is what is missing; the same message with the value as written.
    std::string message = value.error().message;
    message.replace(0, 2, excerpt(in));
    return error_at(in, place, message);
  } else if constexpr (IsOptional<T>::value) {
    return read(in, place, out.emplace());
  } else if constexpr (IsVector<T>::value) {
    const toml::array* list = in.as_array();
    if (list == nullptr) return wrong(in, place, fmt::format("tables headed [[{}]]", place.key));
    for (std::size_t i = 0; i < list->size(); ++i)
      SOAPSTONE_TRY(read((*list)[i], place.element(i), out.emplace_back()));
    return {};
  } else if constexpr (IsStringMap<T>::value) {
    const toml::table* table = in.as_table();
    if (table == nullptr) return wrong(in, place, "a table");
    for (const auto& [key, value] : *table)
      SOAPSTONE_TRY(read(value, place.member(key.str()), out[std::string(key.str())]));
    return {};
  } else if constexpr (NamedEnum<T>) {
    std::vector<std::string_view> names;
    for (const auto& [value, name] : enum_names(T{})) names.push_back(name);
    const auto* text = in.as_string();
    if (text != nullptr)
      if (const auto value = enum_from_name<T>(text->get())) return out = *value, Status{};
    return error_at(
        in, place,
        fmt::format("{} is not accepted; {}", excerpt(in),
                    accepted_names(text != nullptr ? std::string_view(text->get()) : "", names)));
  } else if constexpr (std::is_same_v<T, bool>) {
    if (!in.is_boolean()) return wrong(in, place, "true or false");
    out = in.as_boolean()->get();
    return {};
  } else if constexpr (std::is_same_v<T, int>) {
    using Limits = std::numeric_limits<int>;
    const auto* number = in.as_integer();
    if (number == nullptr || number->get() < Limits::min() || number->get() > Limits::max())
      return wrong(in, place, "an integer");
    out = static_cast<int>(number->get());
    return {};
  } else if constexpr (std::is_same_v<T, std::string>) {
    if (!in.is_string()) return wrong(in, place, "a text in quotes");
    out = in.as_string()->get();
    return {};
  } else {
    static_assert(Reflected<T>);
    return read_table(in, place, out);
  }
}

// Cluster::build's "at /node/0/devices: what", said of the file: the line of
// the deepest part of the path that is there, and the key as TOML writes it.
Error locate(const Error& error, const toml::table& root, const std::string& file) {
  if (!error.message.starts_with("at /"))
    return {fmt::format("{}: {}", file, error.message), error.kind};
  const std::size_t end = error.message.find(": ");
  std::string_view path = std::string_view(error.message).substr(4, end - 4);
  const toml::node* node = &root;
  Place place{file, ""};
  while (!path.empty()) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    const std::string_view step = path.substr(0, slash);
    path.remove_prefix(std::min(slash + 1, path.size()));
    const toml::node* below = nullptr;
    if (const toml::array* list = node == nullptr ? nullptr : node->as_array()) {
      std::size_t index = 0;
      std::from_chars(step.data(), step.data() + step.size(), index);  // build() writes digits here
      place = place.element(index);
      below = list->get(index);
    } else {
      place = place.member(step);
      if (const toml::table* table = node->as_table()) below = table->get(step);
    }
    if (below == nullptr) break;
    node = below;
  }
  if (!path.empty()) place = place.member(path);
  if (node == &root)
    return {fmt::format("{}: {}, in a table headed [{}], such as at the end of the file", file,
                        error.message.substr(end + 2), place.key),
            error.kind};
  return {error_at(*node, place, error.message.substr(end + 2)).value().message, error.kind};
}

std::string toml_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\')
      out += {'\\', c};
    else if (c == '\n')
      out += "\\n";
    else if (c == '\t')
      out += "\\t";
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      out += fmt::format("\\u{:04X}", static_cast<unsigned char>(c));
    else
      out += c;
  }
  return out + '"';
}

template <class T>
constexpr bool kIsTableList = false;
template <class T>
constexpr bool kIsTableList<std::vector<T>> = Reflected<T>;

// Writes the plain keys of a table, then its sub-tables under their own heads.
template <class T>
void write(std::string& out, const std::string& head, const T& value) {
  const T initial{};
  std::vector<const void*> initials;
  T::fields(initial,
            [&](std::string_view, const auto& member, auto...) { initials.push_back(&member); });
  std::size_t index = 0;
  T::fields(value, [&](std::string_view name, const auto& member, auto... option) {
    using M = std::remove_cvref_t<decltype(member)>;
    const bool is_default = member == *static_cast<const M*>(initials[index++]);
    if (sizeof...(option) > 0 && is_default) return;
    if constexpr (IsQuantity<M>::value) {
      out += fmt::format("{} = {}\n", name, toml_text(exact_text(member)));
    } else if constexpr (IsOptional<M>::value) {
      if constexpr (IsQuantity<typename M::value_type>::value)
        out += fmt::format("{} = {}\n", name, toml_text(exact_text(*member)));
    } else if constexpr (IsStringMap<M>::value) {
      out += fmt::format("{} = {{", name);
      bool first = true;
      for (const auto& [key, rate] : member) {
        out += fmt::format("{} {} = {}", first ? "" : ",", key, toml_text(exact_text(rate)));
        first = false;
      }
      out += " }\n";
    } else if constexpr (NamedEnum<M>) {
      out += fmt::format("{} = {}\n", name, toml_text(name_of(member)));
    } else if constexpr (std::is_same_v<M, std::string>) {
      out += fmt::format("{} = {}\n", name, toml_text(member));
    } else if constexpr (std::is_arithmetic_v<M>) {
      out += fmt::format("{} = {}\n", name, member);
    } else {
      static_assert(kIsTableList<M>);
    }
  });
  T::fields(value, [&](std::string_view name, const auto& member, auto...) {
    using M = std::remove_cvref_t<decltype(member)>;
    const std::string below = head.empty() ? std::string(name) : fmt::format("{}.{}", head, name);
    if constexpr (kIsTableList<M>) {
      for (const auto& element : member) {
        out += fmt::format("\n[[{}]]\n", below);
        write(out, below, element);
      }
    } else if constexpr (IsOptional<M>::value) {
      if constexpr (Reflected<typename M::value_type>) {
        if (!member) return;
        out += fmt::format("\n[{}]\n", below);
        write(out, below, *member);
      }
    }
  });
}

}  // namespace

Result<ClusterSpec> cluster_from_toml(std::string_view text, const std::string& name) {
  toml::table root;
  try {
    root = toml::parse(text, name);
  } catch (const toml::parse_error& error) {
    const auto& begin = error.source().begin;
    return usage_error("{}:{}:{}: not TOML: {}", name, begin.line, begin.column,
                       error.description());
  }
  ClusterSpec spec;
  SOAPSTONE_TRY(read(root, {name, ""}, spec));
  if (const auto built = Cluster::build(spec); !built)
    return tl::unexpected(locate(built.error(), root, name));
  return spec;
}

std::string to_toml(const ClusterSpec& spec) {
  std::string out;
  write(out, "", spec);
  return out;
}

}  // namespace soapstone::core
