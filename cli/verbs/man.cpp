// soapstone man: the manual page, for `man -l` and for installing.
#include <algorithm>
#include <array>
#include <utility>

#include <fmt/core.h>

#include "cli/command.hpp"
#include "cli/common.hpp"
#include "cli/declarations.hpp"
#include "core/version_text.hpp"

namespace soapstone::cli {

namespace {

constexpr std::size_t kLineLength = 70;  // what is escaped takes more

// Without what roff would take for itself; in lines of at most 80 characters.
std::string escaped(std::string_view text) {
  std::string out;
  bool begins_line = true;
  std::size_t line = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == ' ' && line + std::min(text.find(' ', i + 1), text.size()) - i > kLineLength) c = '\n';
    line = c == '\n' ? 0 : line + 1 + (c == '-' || c == '\\');
    if (begins_line && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else
      out += c;
    begins_line = c == '\n';
  }
  return out;
}

std::string bold(std::string_view text) { return "\\fB" + escaped(text) + "\\fR"; }
std::string italic(std::string_view text) { return "\\fI" + escaped(text) + "\\fR"; }

std::string described(const std::string& head, std::string_view text) {
  return fmt::format(".TP\n{}\n{}\n", head, escaped(text));
}

std::string sentence(std::string_view text) {
  return std::string(text) + (text.ends_with(".") ? "" : ".");
}

std::string entry(const DeclaredOption& option) {
  std::string head;
  if (!option.argument.empty())
    head = italic(option.argument) + " (" + escaped(option.values.label) + ")";
  for (const std::string& name : option.names) head += (head.empty() ? "" : ", ") + bold(name);
  if (option.takes_value() && option.argument.empty()) head += " " + italic(option.values.label);
  std::string text = sentence(option.description);
  if (option.required && option.argument.empty()) text += " Required.";
  if (!option.default_value.empty()) text += " Default: " + option.default_value + ".";
  return described(head, text);
}

bool is_of_every_verb(const DeclaredOption& option) {
  return option.names.back() == "--help" || option.names.back() == "--json";
}

std::string usage(const DeclaredVerb& verb) {
  std::string out = bold("soapstone " + verb.name);
  if (!verb.options.empty()) out += " [" + italic("option") + " ...]";
  for (const auto& argument : verb.arguments)
    out += argument.required ? " " + italic(argument.argument)
                             : " [" + italic(argument.argument) + "]";
  return out;
}

constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kExitStatus{{
    {"0", "Done."},
    {"1", "Tried and failed."},
    {"2", "The request, or a file that it names, is wrong."},
    {"3", "Well formed, but not possible here."},
}};

constexpr std::array<std::pair<std::string_view, std::string_view>, 10> kEnvironment{{
    {"XDG_CACHE_HOME", "Where the cache folder soapstone lies; $HOME/.cache unless set."},
    {"XDG_CONFIG_HOME",
     "Where the explorer's folder soapstone lies: its settings, work that was not saved; "
     "$HOME/.config unless set."},
    {"XDG_RUNTIME_DIR", "Where serve waits for explorers; a temporary folder of yours unless set."},
    {"HOME", "Used where XDG_CACHE_HOME or XDG_CONFIG_HOME is not set."},
    {"SOAPSTONE_SSH", "The program that explore --host starts instead of ssh."},
    {"SOAPSTONE_DATA", "Folder of the data sets' files; train's --data-folder comes before it."},
    {"SOAPSTONE_MPIRUN_ARGS", "Further arguments for mpirun where ranks are started: hosts, say."},
    {"PATH", "Where mpirun is looked for."},
    {"OMP_PROC_BIND",
     "Placement of a rank's threads. Ranks are pinned to their share of the cores."},
    {"SLURM_*", "Set by Slurm: the job whose nodes mpirun uses, or the rank that srun started."},
}};

constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kFiles{{
    {"~/.cache/soapstone/costs.sqlite", "Measured costs: written by profile, read by predictions."},
    {"~/.cache/soapstone/local-HOST-RANKS.toml",
     "This machine as a cluster: written by `clusters local`, read by `--cluster local`."},
    {"/usr/share/datasets/fashion-mnist",
     "Fashion-MNIST, as Debian's package dataset-fashion-mnist puts it."},
}};

std::string verb_section(const DeclaredVerb& verb, std::vector<std::string>& groups,
                         std::string& shared) {
  std::string out = fmt::format(".SS {}\n{}.\n.PP\n{}\n", escaped(verb.name),
                                escaped(verb.description), usage(verb));
  for (const auto& argument : verb.arguments) out += entry(argument);
  std::string also;
  for (const auto& option : verb.options) {
    if (is_of_every_verb(option)) continue;
    if (option.group != kHyperParameterGroup)
      out += entry(option);
    else
      also = option.group;
  }
  if (also.empty()) return out;
  if (groups.empty() || groups.back() != also) {
    groups.push_back(also);
    shared += fmt::format(".SS {}\n", escaped(also));
    for (const auto& option : verb.options)
      if (option.group == also) shared += entry(option);
  }
  return out + fmt::format(".PP\nAnd those below under\n\\(lq{}\\(rq.\n", escaped(also));
}

std::string page(const CLI::App& program) {
  const auto verbs = declared_verbs(program);
  std::string out = fmt::format(
      ".\\\" Generated by `soapstone man`.\n"
      ".TH SOAPSTONE 1 \"\" \"soapstone {}\" \"User Commands\"\n"
      ".SH NAME\nsoapstone \\- search, simulate and run parallel training strategies\n"
      ".SH SYNOPSIS\n{} {} [{} ...]\n.br\n{} [{}]\n"
      ".SH DESCRIPTION\n{}\n.PP\n",
      core::version_text(), bold("soapstone"), italic("verb"), italic("option"),
      bold("soapstone help"), italic("verb"), escaped(program.get_description()));
  out += escaped(
      "Results go to the standard output, as text or with --json as one document; diagnostics and "
      "progress go to the standard error. A model is one of the zoo, a graph document, or a "
      "config.json of Hugging Face; a cluster is a preset, a TOML file, or this machine. A trace is "
      "one of Soapstone, or Chrome trace events in JSON as PyTorch, JAX and others write them: a "
      "file, a folder with a file per rank, or names with commas between them.\n");

  std::string shared, examples, of_every_verb;
  std::vector<std::string> groups;
  out += ".SH VERBS\n";
  for (const auto& verb : verbs) {
    if (verb.hidden) continue;
    out += verb_section(verb, groups, shared);
    examples += fmt::format(".PP\n{}:\n.PP\n.RS 4\n.nf\n{}\n.fi\n.RE\n", escaped(verb.description),
                            escaped(verb.example));
    if (!of_every_verb.empty()) continue;
    for (const auto& option : verb.options)
      if (is_of_every_verb(option)) of_every_verb += entry(option);
  }
  out += shared;
  out += ".SH OPTIONS\nOf every verb that gives a result:\n" + of_every_verb;
  out += ".PP\nOf the program itself:\n";
  for (const auto& option : declared_options(program)) out += entry(option);
  const auto list = [&](std::string_view title, const auto& entries) {
    out += fmt::format(".SH {}\n", title);
    for (const auto& [name, text] : entries) out += described(bold(name), text);
  };
  list("EXIT STATUS", kExitStatus);
  list("ENVIRONMENT", kEnvironment);
  list("FILES", kFiles);
  return out + ".SH EXAMPLES\n" + examples.substr(examples.find('\n') + 1);
}

Action declare(CLI::App& app) {
  app.group("");  // of use when installing only: not among the verbs that are listed
  return [&program = program_of(app)](const Invocation&) -> core::Status {
    fmt::print("{}", page(program));
    return {};
  };
}

}  // namespace

const Verb kManVerb{"man", "Print the manual page", "soapstone man", declare, Answer::kText};

}  // namespace soapstone::cli
