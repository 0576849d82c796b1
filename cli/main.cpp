// soapstone: searches, simulates and runs parallel training strategies.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/core.h>

#include "cli/command.hpp"
#include "cli/declarations.hpp"
#include "core/suggest.hpp"
#include "core/version_text.hpp"

namespace {

using namespace soapstone;

constexpr const cli::Verb* kVerbs[] = {
    &cli::kModelsVerb,  &cli::kClustersVerb,
#ifdef SOAPSTONE_HAS_KERNELS
    &cli::kKernelsVerb, &cli::kProfileVerb,
#endif
    &cli::kSearchVerb,  &cli::kSimulateVerb,   &cli::kExplainVerb,
#ifdef SOAPSTONE_HAS_KERNELS
    &cli::kTrainVerb,   &cli::kGenerateVerb,   &cli::kVerifyVerb,  &cli::kBenchVerb,
#endif
#ifdef SOAPSTONE_HAS_EXPLORER
    &cli::kExploreVerb,
#endif
    &cli::kServeVerb,   &cli::kDiffVerb,       &cli::kReportVerb,  &cli::kDoctorVerb,
    &cli::kHelpVerb,    &cli::kCompletionVerb, &cli::kManVerb,
};

int exit_code(core::ErrorKind kind) {
  switch (kind) {
    case core::ErrorKind::kFailed:
      return 1;
    case core::ErrorKind::kUsage:
      return 2;
    case core::ErrorKind::kRefused:
      return 3;
  }
  return 1;
}

int complain(const std::string& message, int code) {
  std::fflush(stdout);
  if (!message.empty())
    fmt::print(stderr, "soapstone: {}\n", message);  // empty: another rank says it
  return code;
}

// What the verb was given and does not know; the parser's own words offer no name.
std::string unexpected_argument(const CLI::App& verb) {
  std::vector<std::string> names;
  for (const CLI::Option* option : verb.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  const auto rest = verb.remaining();
  const auto option = std::find_if(rest.begin(), rest.end(),
                                   [](const std::string& a) { return a.starts_with("-"); });
  if (option != rest.end()) {
    const std::string name = option->substr(0, option->find('='));
    return fmt::format(
        "unknown option `{}` of {}; {}", name, verb.get_name(),
        core::accepted_names(name, std::vector<std::string_view>(names.begin(), names.end())));
  }
  return fmt::format(
      "{} takes no further argument: `{}`\n  soapstone {} --help lists what is accepted",
      verb.get_name(), rest.empty() ? std::string() : rest.back(), verb.get_name());
}

std::string executable(const char* called_as) {
  std::error_code error;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? std::string(called_as) : path.string();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Finds the fastest way to train a neural network on a cluster, shows why, and runs it.",
      "soapstone"};
  app.set_version_flag("--version", std::string(core::version_text()));
  app.require_subcommand(1);
  app.failure_message(CLI::FailureMessage::simple);

  cli::Invocation invocation;
  invocation.program = executable(argv[0]);
  invocation.arguments.assign(argv + 1, argv + argc);
  std::vector<std::string_view> names;
  std::map<const CLI::App*, cli::Action> actions;
  std::set<std::string_view> verbs;  // those that are not listed too
  for (const cli::Verb* verb : kVerbs) {
    CLI::App* sub = app.add_subcommand(std::string(verb->name), std::string(verb->description));
    sub->footer(fmt::format("{}{}", cli::kExampleHeading, verb->example));
    if (verb->answer == cli::Answer::kDocument)
      sub->add_flag("--json", invocation.json,
                    "Print one JSON document (docs/schema) instead of text");
    actions[sub] = verb->declare(*sub);
    verbs.insert(verb->name);
    if (!sub->get_group().empty()) names.push_back(verb->name);
  }

  // The parser calls an unknown verb an unexpected argument; people want to know which verbs there
  // are.
  if (argc == 1)
    return complain(fmt::format("a verb is wanted; {}\n  soapstone --help tells what each does",
                                core::accepted_names("", names)),
                    2);
  if (argv[1][0] != '-' && verbs.find(argv[1]) == verbs.end())
    return complain(
        fmt::format("unknown verb `{}`; {}", argv[1], core::accepted_names(argv[1], names)), 2);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ExtrasError&) {
    const auto given = app.get_subcommands();
    return complain(unexpected_argument(given.empty() ? app : *given[0]), 2);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    const auto given = app.get_subcommands();
    return complain(fmt::format("{}\n  soapstone {}--help lists what is accepted", error.what(),
                                given.empty() ? "" : given[0]->get_name() + " "),
                    2);
  }
  try {
    const core::Status status = actions.at(app.get_subcommands()[0])(invocation);
    if (!status) return complain(status.error().message, exit_code(status.error().kind));
    if (std::fflush(stdout) != 0) return complain("cannot write to stdout", 1);
    return cli::kExitOk;
  } catch (const std::exception& error) {
    return complain(error.what(), 1);
  }
}
