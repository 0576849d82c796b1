// soapstone help [VERB]
#include <memory>

#include <fmt/core.h>

#include "cli/command.hpp"
#include "cli/declarations.hpp"
#include "core/suggest.hpp"

namespace soapstone::cli {

namespace {

core::Status help(const CLI::App& program, const std::string& verb) {
  const CLI::App* asked = &program;
  if (!verb.empty()) {
    std::vector<std::string_view> names;
    for (const CLI::App* app : program.get_subcommands({})) {
      names.push_back(app->get_name());
      if (app->get_name() == verb) asked = app;
    }
    if (asked == &program)
      return core::usage_error("unknown verb `{}`; {}", verb, core::accepted_names(verb, names));
  }
  const std::string name = program.get_name() + (verb.empty() ? "" : " " + verb);
  fmt::print("{}", program.get_formatter()->make_help(asked, name, CLI::AppFormatMode::Normal));
  return {};
}

Action declare(CLI::App& app) {
  auto verb = std::make_shared<std::string>();
  app.add_option("verb", *verb, "The verb; without it all are listed")->type_name("VERB");
  return [verb, &program = program_of(app)](const Invocation&) { return help(program, *verb); };
}

}  // namespace

const Verb kHelpVerb{"help", "Tell what a verb does and which options it has",
                     "soapstone help search", declare, Answer::kText};

}  // namespace soapstone::cli
