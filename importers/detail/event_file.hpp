// The events of a Chrome trace, as far as they say what devices did.
//
// Source: "Trace Event Format", the document of Chrome's tracing project (complete events X, begin
// and end B and E, metadata M); what PyTorch's Kineto writes into `cat` and `args`
// (github.com/pytorch/kineto, libkineto/src/output_json.cpp); XLA's profiler, whose devices are
// processes called "/device:…".
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/plan.hpp"
#include "core/result.hpp"

namespace soapstone::importers::detail {

// Texts that occur many times, each once. Text 0 is empty.
class Texts {
 public:
  Texts() { (void)add(""); }
  std::uint32_t add(std::string_view text);
  const std::string& operator[](std::uint32_t i) const { return texts_[i]; }
  std::size_t size() const { return texts_.size(); }

 private:
  std::deque<std::string> texts_;  // does not move what `index_` looks at
  std::unordered_map<std::string_view, std::uint32_t> index_;
};

enum class EventKind : std::uint8_t {
  kKernel,      // on a device's stream
  kMemoryCopy,  // the same
  kMemorySet,   // the same
  kLaunch,      // a call of the device's runtime that put something on a stream
  kOperator,    // of the framework, on a thread
  kAnnotation,  // a named range on a thread
  kModule,      // a call of a module of the model, on a thread
  kOther,       // any other span
};

constexpr std::int64_t kNoNumber = -1;

struct Event {
  std::int64_t begin = 0, end = 0;  // ns
  EventKind kind = EventKind::kOther;
  std::uint32_t track = 0;  // index into EventFile::tracks
  std::uint32_t name = 0;   // these are texts
  std::uint32_t category = 0;
  std::uint32_t collective = 0;  // "Collective name"
  std::uint32_t group = 0;       // "Process Group Name"
  std::uint32_t path = 0;        // XLA: the operation's name in the program
  std::uint32_t phase = 0;       // Soapstone's own: these three
  std::int64_t waiting = 0;
  double flops = 0;
  std::int64_t bytes = 0;
  std::int64_t device = kNoNumber, stream = kNoNumber;
  std::int64_t correlation = kNoNumber;  // of a kernel and its launch
  std::int64_t external = kNoNumber;     // of a kernel and its operator
  std::int64_t sequence = kNoNumber;     // of an operator and its backward pass
};

// A thread of a process, or a stream of a device.
struct Track {
  std::string process, thread;            // as the file numbers them
  std::string process_name, thread_name;  // may be empty
};

struct EventFile {
  std::string name;
  std::vector<Event> events;  // in the file's order
  std::vector<Track> tracks;
  std::optional<std::int64_t> rank, world;
  std::map<std::string, std::vector<std::int64_t>> groups;  // ranks by the name of their group
  std::string graph;                                        // Soapstone's own: the model
  bool truncated = false;
  std::size_t unfinished = 0;  // begins without an end, and ends without a begin
};

// Whether a text looks like a Chrome trace near its beginning, or is a compressed file that may
// hold one. Quick, also for large texts that are none.
bool looks_like_events(std::string_view text);

// An object with `traceEvents`, or an array of events, which may end too early; `name` stands for
// the file in errors. Times are nanoseconds, exact for up to three decimals of a microsecond.
core::Result<EventFile> read_events(std::string_view text, const std::string& name, Texts& texts);

}  // namespace soapstone::importers::detail
