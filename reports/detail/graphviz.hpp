// The one context of Graphviz's library in this process, without its headers.
#pragma once

#include <mutex>
#include <string>
#include <string_view>

#include "core/result.hpp"

struct GVC_s;

namespace soapstone::reports::detail {

// The library keeps its state in globals. Its text plugin (2.43) remembers fonts of the first
// context it saw and reads them with the next one, so there is one context, never freed, that one
// thread uses at a time: while this lives.
class Graphviz {
 public:
  Graphviz();

  GVC_s* context() const;
  // "Graphviz WHAT: " and what the library said since this was made.
  core::Error error(std::string_view what) const;

 private:
  std::scoped_lock<std::mutex> lock_;
};

}  // namespace soapstone::reports::detail
