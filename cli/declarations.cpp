#include "cli/declarations.hpp"

#include <algorithm>
#include <cctype>

#include "core/cluster.hpp"
#include "core/models/models.hpp"
#include "core/op.hpp"

namespace soapstone::cli {

namespace {

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(separator, begin), text.size());
    if (end > begin) parts.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

bool is_in_capitals(std::string_view word) {
  return std::all_of(word.begin(), word.end(), [](unsigned char c) { return std::isupper(c); });
}

void append_kind(const CLI::App& program, std::string_view kind, DeclaredValues& values) {
  if (kind == "FILE") values.files = true;
  if (kind == "FOLDER") values.folders = true;
  if (kind == "MODEL")
    for (const auto& model : core::models()) values.words.emplace_back(model.name);
  if (kind == "CLUSTER")
    for (const auto name : core::preset_names()) values.words.emplace_back(name);
  if (kind == "OPERATOR")
    for (const auto name : core::op_names()) values.words.emplace_back(name);
  if (kind == "VERB")
    for (const CLI::App* verb : program.get_subcommands({}))
      if (!verb->get_group().empty()) values.words.push_back(verb->get_name());
}

// From "MODEL|FILE", "INT:INT in [1 - 64]" or "TEXT:{check,keep}".
DeclaredValues values_of(const CLI::App& program, const CLI::Option& option) {
  DeclaredValues values;
  if (option.get_items_expected_max() == 0) return values;
  const std::string type = option.get_type_name();
  const std::size_t check = std::min(type.find(':'), type.size());
  values.label = type.substr(0, check);
  for (const std::string& word : split(values.label, '|')) {
    if (is_in_capitals(word))
      append_kind(program, word, values);
    else
      values.words.push_back(word);
  }
  if (values.files) values.folders = false;  // who completes files completes folders
  if (const auto list = type.find(":{"); list != std::string::npos && type.ends_with("}")) {
    values.words = split(std::string_view(type).substr(list + 2, type.size() - list - 3), ',');
    values.label.clear();
    for (const std::string& word : values.words)
      values.label += (values.label.empty() ? "" : "|") + word;
  }
  return values;
}

DeclaredOption declared(const CLI::App& program, const CLI::Option& option) {
  DeclaredOption out;
  for (const std::string& name : option.get_snames()) out.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) out.names.push_back("--" + name);
  if (option.get_positional()) out.argument = option.get_name(true);
  out.description = option.get_description();
  out.default_value = option.get_default_str();
  out.group = option.get_group();
  out.required = option.get_required();
  out.values = values_of(program, option);
  return out;
}

}  // namespace

const CLI::App& program_of(const CLI::App& app) {
  return app.get_parent() == nullptr ? app : program_of(*app.get_parent());
}

std::vector<DeclaredOption> declared_options(const CLI::App& program) {
  std::vector<DeclaredOption> options;
  for (const CLI::Option* option : program.get_options())
    options.push_back(declared(program, *option));
  return options;
}

std::vector<DeclaredVerb> declared_verbs(const CLI::App& program) {
  std::vector<DeclaredVerb> verbs;
  for (const CLI::App* app : program.get_subcommands({})) {
    DeclaredVerb verb;
    verb.name = app->get_name();
    verb.description = app->get_description();
    const std::string footer = app->get_footer();
    if (footer.starts_with(kExampleHeading)) verb.example = footer.substr(kExampleHeading.size());
    verb.hidden = app->get_group().empty();
    for (const CLI::Option* option : app->get_options()) {
      DeclaredOption one = declared(program, *option);
      (one.names.empty() ? verb.arguments : verb.options).push_back(std::move(one));
    }
    verbs.push_back(std::move(verb));
  }
  return verbs;
}

}  // namespace soapstone::cli
