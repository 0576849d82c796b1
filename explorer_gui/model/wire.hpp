// Messages between an explorer and the process that works for it elsewhere, over pipes or sockets.
//
// A message is its length in four bytes, the lowest first, and as many bytes of CBOR (RFC 8949).
// The one who serves greets with {"soapstone": version of the protocol, "version": text, "program":
// path}. Then:
//   client  {"call": id, "method": name, "with": …, "from": n}   from: events that it has already;
//           a call that is known by its id goes on, it is not made twice
//           {"stop": id}   its result is wanted soon    {"forget": id}   it has the result
//   server  {"call": id, "event": n, "value": …}   n ascends from 0
//           {"call": id, "result": …} or {"call": id, "error": text, "kind": …}
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <sys/types.h>

#include "core/json_fwd.hpp"
#include "core/result.hpp"

namespace soapstone::explorer {

inline constexpr int kProtocol = 1;

// Two ends that bytes go in and come out of. Closing it ends a child process that stands behind it.
class Channel {
 public:
  Channel(int in, int out, pid_t child = -1) : in_(in), out_(out), child_(child) {}
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // Whole messages; one thread may read while another one writes. An error: the other end is gone,
  // or what came is no message.
  core::Status write(const core::Json& message);
  core::Result<core::Json> read();
  // Makes a thread that reads come back with an error.
  void shut();

 private:
  int in_, out_;
  pid_t child_;
};

// A program whose standard input and output are the channel; what it complains of comes through.
core::Result<std::unique_ptr<Channel>> channel_to(const std::vector<std::string>& command);

}  // namespace soapstone::explorer
