// A display for tests: the one that there is, or Xvfb.
#pragma once

#include <string>

namespace soapstone::explorer {

// Why there is none; empty: DISPLAY names one, until the end of the program.
std::string why_no_display();

}  // namespace soapstone::explorer
