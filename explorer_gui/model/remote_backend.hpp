// The work done by `soapstone serve` on another machine.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/result.hpp"
#include "explorer_gui/model/backend.hpp"
#include "explorer_gui/model/wire.hpp"

namespace soapstone::explorer {

// Makes a connection, such as `ssh HOST soapstone serve`.
using Connect = std::function<core::Result<std::unique_ptr<Channel>>()>;

// Connects, or says why not. A connection that is lost later is made again, and calls that were
// under way go on: what was asked for is not computed twice.
core::Result<std::unique_ptr<Backend>> remote_backend(std::string place, Connect connect);

}  // namespace soapstone::explorer
