// Works for explorers elsewhere: a backend behind a wire. Calls go on when a connection is lost;
// whoever connects again and asks for them by their ids gets what happened meanwhile.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/json_fwd.hpp"
#include "explorer_gui/model/backend.hpp"
#include "explorer_gui/model/wire.hpp"

namespace soapstone::explorer {

class Server {
 public:
  explicit Server(std::shared_ptr<Backend> backend, std::string version);
  ~Server();  // stops all calls and waits for them
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Greets, and answers until the other end is gone. For several connections at once, each on a
  // thread of its own.
  void serve(Channel& channel);
  // Calls that are at work, or whose result nobody has fetched.
  std::size_t busy() const;

 private:
  struct Call;

  void begin(const std::string& id, const std::string& method, const core::Json& with);
  core::Result<core::Json> answer(Call& call, const std::string& method, const core::Json& with);
  core::Result<Setting> setting_of(const core::Json& with) const;

  std::shared_ptr<Backend> backend_;
  std::string version_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::shared_ptr<Call>> calls_;
  std::map<std::uint64_t, Setting> settings_;  // by key
};

}  // namespace soapstone::explorer
