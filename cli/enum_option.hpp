// Options whose values are the names of an enum.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/core.h>

#include "core/reflect.hpp"
#include "core/suggest.hpp"

namespace soapstone::cli {

// The names of an enum as the type name of an option: "sgd|adamw".
template <core::NamedEnum T>
std::string joined_names() {
  std::string names;
  for (const auto& [ignored, name] : enum_names(T{}))
    names += (names.empty() ? "" : "|") + std::string(name);
  return names;
}

// Another name is a usage error that offers the nearest one. `value` holds the default.
template <core::NamedEnum T>
CLI::Option* declare_names(CLI::App& app, const std::string& option, T& value,
                           const std::string& what) {
  return app
      .add_option_function<std::string>(
          option,
          [&value, option](const std::string& text) {
            const auto found = core::enum_from_name<T>(text);
            if (!found) {
              std::vector<std::string_view> names;
              for (const auto& [ignored, name] : enum_names(T{})) names.push_back(name);
              throw CLI::ValidationError(
                  option, fmt::format("`{}`: {}", text, core::accepted_names(text, names)));
            }
            value = *found;
          },
          fmt::format("{}; default: {}", what, core::name_of(value)))
      ->type_name(joined_names<T>());
}

}  // namespace soapstone::cli
