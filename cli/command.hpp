// What a verb of the command line is, and how it answers.
//
// Results go to stdout, as text for people or with --json as one document
// described by a schema; diagnostics and progress go to stderr.
// Exit codes: 0 ok, 1 failed, 2 usage, 3 refused.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

#include "core/result.hpp"

namespace soapstone::cli {

inline constexpr int kExitOk = 0;

// What every verb gets besides its own options.
struct Invocation {
  bool json = false;
  std::string program;                 // this executable, to start ranks of it
  std::vector<std::string> arguments;  // as given, without the program
};

// Runs after parsing. An error is printed and turned into its exit code.
using Action = std::function<core::Status(const Invocation&)>;

enum class Answer {
  kDocument,  // text, or with --json a document
  kText,      // text only: --json is not offered
};

struct Verb {
  std::string_view name;
  std::string_view description;
  std::string_view example;  // a line that works as it stands
  // Declares the verb's options and returns what it does. The options' variables live in the
  // returned action.
  Action (*declare)(CLI::App& app);
  Answer answer = Answer::kDocument;
};

// One per file in cli/verbs/.
extern const Verb kBenchVerb;
extern const Verb kClustersVerb;
extern const Verb kCompletionVerb;
extern const Verb kDiffVerb;
extern const Verb kDoctorVerb;
extern const Verb kExplainVerb;
extern const Verb kExploreVerb;
extern const Verb kHelpVerb;
extern const Verb kGenerateVerb;
extern const Verb kKernelsVerb;
extern const Verb kManVerb;
extern const Verb kModelsVerb;
extern const Verb kProfileVerb;
extern const Verb kReportVerb;
extern const Verb kSearchVerb;
extern const Verb kServeVerb;
extern const Verb kSimulateVerb;
extern const Verb kTrainVerb;
extern const Verb kVerifyVerb;

}  // namespace soapstone::cli
