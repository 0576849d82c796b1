// Another program, run beside the explorer, line by line.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/reflect.hpp"
#include "core/result.hpp"

namespace soapstone::explorer {

struct Command {
  std::map<std::string, std::string> environment;  // beside the present one
  std::vector<std::string> arguments;              // the program first

  friend bool operator==(const Command&, const Command&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("environment", self.environment);
    visit("arguments", self.arguments);
  }
};

// As it would be typed into a shell.
std::string shell_text(const Command& command);

// Runs it and waits. `line` is called for every line of its output and its diagnostics, as they
// come; `wanted` some ten times a second. When that is false the program is asked to end (SIGINT),
// after `patience` seconds told to (SIGTERM), and after as many again killed. Gives its exit code,
// 128 + the signal that ended it.
core::Result<int> execute(const Command& command, const std::function<void(std::string_view)>& line,
                          const std::function<bool()>& wanted, double patience = 20);

}  // namespace soapstone::explorer
