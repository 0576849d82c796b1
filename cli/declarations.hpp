// What verbs and options there are, read back from what verbs declare to CLI11: for shell
// completion and the manual.
//
// The type name of an option says what its values are, in its help and here: words joined by `|`.
// Words in capitals stand for more than themselves, all others are values.
//   MODEL     a model of the zoo              FILE    a file
//   CLUSTER   a preset                        FOLDER  a folder
//   OPERATOR  a kind of operator              VERB    a verb
//   any other (INT, TIME): nothing that could be listed
// A check CLI::IsMember lists its values too.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

namespace soapstone::cli {

struct DeclaredValues {
  std::string label;               // as the help shows it; empty: a flag
  std::vector<std::string> words;  // those that can be listed
  bool files = false, folders = false;
};

struct DeclaredOption {
  std::vector<std::string> names;  // "-h", "--help"; none: an argument by its position
  std::string argument;            // its name where it goes by position
  std::string description;
  std::string default_value;
  std::string group;
  bool required = false;
  DeclaredValues values;

  bool takes_value() const { return !values.label.empty(); }
};

struct DeclaredVerb {
  std::string name;
  std::string description;
  std::string example;  // a command line
  bool hidden = false;
  std::vector<DeclaredOption> arguments, options;
};

// `app`: the program or any of its verbs.
const CLI::App& program_of(const CLI::App& app);
std::vector<DeclaredVerb> declared_verbs(const CLI::App& program);
// Those of the program itself.
std::vector<DeclaredOption> declared_options(const CLI::App& program);

// What stands before a verb's example in its help.
inline constexpr std::string_view kExampleHeading = "Example:\n  ";

}  // namespace soapstone::cli
