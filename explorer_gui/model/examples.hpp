// What a newcomer opens first: models on clusters with strategies that are worth comparing.
#pragma once

#include <span>
#include <string_view>

#include "explorer_gui/model/session.hpp"

namespace soapstone::explorer {

struct Example {
  std::string_view title, about;  // a few words; a sentence or two
  Session::Beginning beginning;
};
// All of the zoo and the presets, each simulated within a second or two.
std::span<const Example> examples();

}  // namespace soapstone::explorer
