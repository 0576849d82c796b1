#include "importers/chrome_trace.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <iterator>
#include <limits>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "core/assert.hpp"
#include "core/reflect.hpp"
#include "core/units.hpp"
#include "importers/detail/event_file.hpp"
#include "importers/detail/operator_names.hpp"

namespace soapstone::importers {

using namespace core;
using detail::Event;
using detail::EventFile;
using detail::EventKind;
using detail::kNoNumber;
using detail::OperatorNames;
using detail::Texts;
using detail::Track;

namespace {

constexpr std::int64_t kRounding = 1000;  // ns by which spans of a lane may overlap
constexpr std::string_view kStepMark = "ProfilerStep#";
constexpr std::string_view kBackwardCall = "autograd::engine::evaluate_function: ";
constexpr std::string_view kOptimizer = "Optimizer.step#";

// --- what is known of a rank --------------------------------------------------------------------

// What the framework itself was called for, with everything that it called in turn.
struct Call {
  std::int64_t begin = 0, end = 0;
  std::uint32_t track = 0;
  std::uint32_t name = 0;
  Phase phase = Phase::kForward;
  std::uint32_t update = 0;             // the optimizer's annotation around it
  std::vector<std::int64_t> sequences;  // of it and of what it calls
  std::optional<OpId> op;
};

struct Collective {
  std::uint32_t group = 0, name = 0;  // texts
  std::int64_t bytes = 0;
  bool of_all = true;  // ends on all ranks at once
  std::uint64_t key = 0;
};

struct Span {
  std::int64_t begin = 0, end = 0, launched = 0;
  LaneKind lane = LaneKind::kCompute;
  std::int64_t place = 0;  // the stream or thread
  TaskKind kind = TaskKind::kCompute;
  Phase phase = Phase::kForward;
  std::uint32_t name = 0;
  std::uint32_t path = 0;  // XLA
  std::uint32_t call = kNoIndex;
  std::uint32_t collective = kNoIndex;
  std::int64_t waiting = 0;
  Bytes bytes;
  Flops flops;
  std::optional<OpId> op;
};

struct Mark {
  std::int64_t number = 0, begin = 0, end = 0;
};

struct Rank {
  std::int64_t number = 0;
  const EventFile* file = nullptr;
  std::vector<Span> spans;
  std::vector<Call> calls;  // by track, then begin
  std::vector<Collective> collectives;
  std::vector<Mark> marks;
  bool marks_begin_it = false;  // the marks are of the threads that compute
};

bool starts_with_any(std::string_view text, std::initializer_list<std::string_view> beginnings) {
  return std::any_of(beginnings.begin(), beginnings.end(),
                     [&](std::string_view b) { return text.starts_with(b); });
}

std::string lowered(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

// "ncclDevKernel_AllReduce_Sum_f32_RING_LL(…)", "all-reduce.3" of XLA.
bool is_collective_kernel(std::string_view name) {
  const std::string low = lowered(name);
  if (low.find("nccl") != std::string::npos || low.find("rccl") != std::string::npos) return true;
  return starts_with_any(low, {"all-reduce", "all-gather", "reduce-scatter", "all-to-all",
                               "collective-permute", "collective-broadcast"});
}

// "gloo:all_reduce".
bool is_backend_annotation(std::string_view name) {
  return starts_with_any(name, {"gloo:", "mpi:", "ucc:", "nccl:", "xccl:", "hccl:"});
}

// Whether all ranks are done at once. Not so after a broadcast, a reduction to one rank or a
// message.
bool ends_together(std::string_view name) {
  const std::string low = lowered(name);
  std::string letters;
  for (const char c : low)
    if (c >= 'a' && c <= 'z') letters += c;
  for (const std::string_view known :
       {"allreduce", "allgather", "reducescatter", "alltoall", "barrier"})
    if (letters.find(known) != std::string::npos) return true;
  return false;
}

// "void at::native::reduce_kernel<512, …>(…)" is called at::native::reduce_kernel.
std::string short_name(std::string_view name) {
  constexpr std::string_view kNameless = "(anonymous namespace)::";
  std::string text(name);
  for (std::size_t at; (at = text.find(kNameless)) != std::string::npos;)
    text.erase(at, kNameless.size());
  if (text.starts_with("void ")) text.erase(0, 5);
  // Memcpy HtoD (Pageable -> Device) stays whole.
  const std::size_t cut = text.find_first_of("<(");
  if (cut == std::string::npos || cut == 0 || text[cut - 1] == ' ') return text;
  return text.substr(0, cut);
}

std::optional<std::int64_t> number_in(std::string_view text) {
  std::int64_t value = 0;
  std::size_t digits = 0;
  for (; digits < text.size() && digits < 9 && text[digits] >= '0' && text[digits] <= '9'; ++digits)
    value = 10 * value + (text[digits] - '0');
  return digits == 0 ? std::nullopt : std::optional(value);
}

std::optional<std::int64_t> rank_in_name(const std::string& file) {
  const std::string name = lowered(std::filesystem::path(file).filename().string());
  for (const std::string_view word : {"rank", "worker", "_"}) {
    const std::size_t found = name.rfind(word);
    if (found == std::string::npos) continue;
    std::string_view rest = std::string_view(name).substr(found + word.size());
    while (!rest.empty() && (rest[0] == '-' || rest[0] == '_' || rest[0] == '=' || rest[0] == ' '))
      rest.remove_prefix(1);
    if (const auto number = number_in(rest)) return number;
  }
  return std::nullopt;
}

// --- a file's ranks -----------------------------------------------------------------------------

class RankReader {
 public:
  RankReader(const EventFile& file, Texts& texts, const OperatorNames* names)
      : file_(file), texts_(texts), names_(names) {}

  // Ranks are numbered from 0 on, in the order of devices or processes.
  std::vector<Rank> read() {
    const auto has = [&](auto&& is) {
      return std::any_of(file_.events.begin(), file_.events.end(), is);
    };
    if (has([](const Event& e) {
          return e.kind == EventKind::kKernel || e.kind == EventKind::kMemoryCopy ||
                 e.kind == EventKind::kMemorySet;
        }))
      of_kernels();
    else if (has([&](const Event& e) { return is_xla(e); }))
      of_xla();
    else if (has([](const Event& e) { return e.kind == EventKind::kOperator; }))
      of_operators();
    else if (has([&](const Event& e) { return device_of_ours(e).has_value(); }))
      of_soapstone();
    else
      of_threads();
    std::vector<Rank> out;
    for (auto& [key, rank] : ranks_) {
      if (rank.spans.empty()) continue;
      rank.file = &file_;
      rank.number = static_cast<std::int64_t>(out.size());
      out.push_back(std::move(rank));
    }
    return out;
  }

 private:
  static std::int64_t number_or_hash(const std::string& text) {
    std::int64_t value = 0;
    for (const char c : text) {
      if (c < '0' || c > '9' || value > INT64_MAX / 10 - 10) {
        Hasher h;
        h.bytes(text);
        return static_cast<std::int64_t>(h.finish() >> 1);
      }
      value = 10 * value + (c - '0');
    }
    return value;
  }

  // --- threads: calls, marks, annotations

  // Of the threads that `wanted` takes, into `rank`.
  template <class Wanted>
  void read_threads(Rank& rank, Wanted&& wanted) {
    std::vector<const Event*> order;
    for (const Event& e : file_.events)
      if ((e.kind == EventKind::kOperator || e.kind == EventKind::kAnnotation ||
           e.kind == EventKind::kModule) &&
          wanted(e))
        order.push_back(&e);
    std::stable_sort(order.begin(), order.end(), [](const Event* a, const Event* b) {
      return std::tuple(a->track, a->begin, -a->end) < std::tuple(b->track, b->begin, -b->end);
    });
    std::vector<const Event*> around;
    for (const Event* e : order) {
      while (!around.empty() &&
             (around.back()->track != e->track || around.back()->end <= e->begin))
        around.pop_back();
      const std::string& name = texts_[e->name];
      if (e->kind == EventKind::kAnnotation && name.starts_with(kStepMark)) {
        if (const auto n = number_in(std::string_view(name).substr(kStepMark.size())))
          rank.marks.push_back({*n, e->begin, e->end});
      } else if (e->kind == EventKind::kOperator) {
        const bool is_inner = std::any_of(around.begin(), around.end(), [](const Event* o) {
          return o->kind == EventKind::kOperator;
        });
        if (!is_inner) begin_call(rank, *e, around);
        if (e->sequence != kNoNumber) rank.calls.back().sequences.push_back(e->sequence);
        if (e->external != kNoNumber && e->collective != 0) comm_of_external_[e->external] = e;
      }
      around.push_back(e);
    }
    std::sort(rank.marks.begin(), rank.marks.end(),
              [](const Mark& a, const Mark& b) { return a.number < b.number; });
  }

  void begin_call(Rank& rank, const Event& e, const std::vector<const Event*>& around) {
    Call& call = rank.calls.emplace_back();
    call.begin = e.begin;
    call.end = e.end;
    call.track = e.track;
    call.name = e.name;
    const std::string& name = texts_[e.name];
    if (name.starts_with(kBackwardCall)) {
      call.phase = Phase::kBackwardInput;
      call.name = texts_.add(std::string_view(name).substr(kBackwardCall.size()));
    } else if (name.find("Backward") != std::string::npos) {
      call.phase = Phase::kBackwardInput;
    }
    for (auto it = around.rbegin(); it != around.rend(); ++it) {
      if (texts_[(*it)->name].starts_with(kOptimizer)) {
        call.phase = Phase::kUpdate;
        call.update = (*it)->name;
      }
      if (!call.op) call.op = op_named((*it)->name);
    }
    // An operator of one's own may have a telling name; aten::add and the like have none.
    if (!call.op && name.find("::") == std::string::npos) call.op = op_named(e.name);
    if (call.phase == Phase::kUpdate) call.op.reset();
  }

  std::optional<OpId> op_named(std::uint32_t text) {
    if (!names_ || text == 0) return std::nullopt;
    const auto [it, is_new] = op_of_text_.emplace(text, std::nullopt);
    if (is_new && !texts_[text].starts_with(kStepMark)) it->second = names_->in(texts_[text]);
    return it->second;
  }

  // --- GPUs and the like, of Kineto

  void of_kernels() {
    Rank threads;
    read_threads(threads, [](const Event&) { return true; });
    std::unordered_map<std::int64_t, const Event*> launches;
    for (const Event& e : file_.events)
      if (e.kind == EventKind::kLaunch) launches.emplace(e.correlation, &e);
    std::vector<const Event*> backend;
    for (const Event& e : file_.events)
      if (e.kind == EventKind::kAnnotation && is_backend_annotation(texts_[e.name]))
        backend.push_back(&e);
    std::sort(backend.begin(), backend.end(), [](const Event* a, const Event* b) {
      return std::tuple(a->track, a->begin) < std::tuple(b->track, b->begin);
    });
    // What a launch was for, as the backend of communication calls it.
    const auto annotation_at = [&](std::uint32_t track, std::int64_t time) -> const Event* {
      const auto it = std::upper_bound(
          backend.begin(), backend.end(), std::tuple(track, time),
          [](const auto& key, const Event* e) { return key < std::tuple(e->track, e->begin); });
      if (it == backend.begin()) return nullptr;
      const Event* e = *std::prev(it);
      return e->track == track && e->end >= time ? e : nullptr;
    };
    // A call of the thread, by its begin.
    const auto call_at = [&](std::uint32_t track, std::int64_t time) -> std::uint32_t {
      const auto it = std::upper_bound(
          threads.calls.begin(), threads.calls.end(), std::tuple(track, time),
          [](const auto& key, const Call& c) { return key < std::tuple(c.track, c.begin); });
      if (it == threads.calls.begin()) return kNoIndex;
      const Call& call = *std::prev(it);
      if (call.track != track || call.end < time) return kNoIndex;
      return static_cast<std::uint32_t>(std::prev(it) - threads.calls.begin());
    };
    for (const Event& e : file_.events) {
      if (e.kind != EventKind::kKernel && e.kind != EventKind::kMemoryCopy &&
          e.kind != EventKind::kMemorySet)
        continue;
      const std::int64_t device =
          e.device != kNoNumber ? e.device : number_or_hash(file_.tracks[e.track].process);
      Rank& rank = ranks_[device];
      Span s;
      s.begin = s.launched = e.begin;
      s.end = e.end;
      s.place = e.stream != kNoNumber ? e.stream : number_or_hash(file_.tracks[e.track].thread);
      s.bytes = Bytes(std::max<std::int64_t>(0, e.bytes));
      const Event* purpose = nullptr;
      if (const auto l = launches.find(e.correlation);
          e.correlation != kNoNumber && l != launches.end()) {
        s.launched = l->second->begin;
        s.call = call_at(l->second->track, l->second->begin);
        purpose = annotation_at(l->second->track, l->second->begin);
      }
      const std::string& name = texts_[e.name];
      s.name = texts_.add(short_name(name));
      if (e.kind == EventKind::kKernel && (e.collective != 0 || is_collective_kernel(name))) {
        add_collective(rank, s, e, purpose);
      } else if (e.kind == EventKind::kMemoryCopy && (name.find("HtoD") != std::string::npos ||
                                                      name.find("DtoH") != std::string::npos)) {
        s.lane = LaneKind::kCommunication;
        s.kind = TaskKind::kHostCopy;
      } else if (s.call != kNoIndex) {
        const Call& call = threads.calls[s.call];
        s.phase = call.phase;
        if (call.phase == Phase::kUpdate) s.kind = TaskKind::kUpdate;
        if (call.phase == Phase::kBackwardInput &&
            (name.find("wgrad") != std::string::npos || name.find("bgrad") != std::string::npos))
          s.phase = Phase::kBackwardWeight;
      }
      rank.spans.push_back(std::move(s));
    }
    for (auto& [device, rank] : ranks_) {
      rank.calls = threads.calls;
      rank.marks = threads.marks;
    }
  }

  void add_collective(Rank& rank, Span& s, const Event& e, const Event* purpose = nullptr) {
    s.lane = LaneKind::kCommunication;
    s.kind = TaskKind::kTransfer;
    Collective c;
    c.name = e.collective;
    c.group = e.group;
    c.bytes = e.bytes;
    if (c.name == 0)
      if (const auto found = comm_of_external_.find(e.external); found != comm_of_external_.end()) {
        c.name = found->second->collective;
        c.group = found->second->group;
        c.bytes = found->second->bytes;
        s.bytes = Bytes(std::max<std::int64_t>(0, c.bytes));
      }
    if (c.name == 0) c.name = purpose ? purpose->name : s.name;
    c.of_all = ends_together(texts_[c.name]);
    s.collective = static_cast<std::uint32_t>(rank.collectives.size());
    rank.collectives.push_back(c);
  }

  // --- CPUs, of Kineto

  void of_operators() {
    std::set<std::string> processes;
    for (const Event& e : file_.events)
      if (e.kind == EventKind::kOperator) processes.insert(file_.tracks[e.track].process);
    for (const std::string& process : processes) {
      Rank& rank = ranks_[number_or_hash(process)];
      const auto is_its = [&](const Event& e) { return file_.tracks[e.track].process == process; };
      read_threads(rank, is_its);
      rank.marks_begin_it = true;
      bool has_backend = false;
      for (const Event& e : file_.events) {
        if (e.kind != EventKind::kAnnotation || !is_its(e) ||
            !is_backend_annotation(texts_[e.name]))
          continue;
        has_backend = true;
        Span s;
        s.begin = s.launched = e.begin;
        s.end = e.end;
        s.place = e.track;
        s.name = e.name;
        s.bytes = Bytes(std::max<std::int64_t>(0, e.bytes));
        add_collective(rank, s, e);
        rank.spans.push_back(std::move(s));
      }
      for (std::uint32_t i = 0; i < rank.calls.size(); ++i) {
        const Call& call = rank.calls[i];
        const bool moves = texts_[call.name].starts_with("c10d::");
        if (moves && has_backend) continue;  // it began what the backend's thread does
        Span s;
        s.begin = s.launched = call.begin;
        s.end = call.end;
        s.place = call.track;
        s.name = call.name;
        s.phase = call.phase;
        if (call.phase == Phase::kUpdate) s.kind = TaskKind::kUpdate;
        if (texts_[call.name].find("AccumulateGrad") != std::string::npos) {
          s.kind = TaskKind::kAccumulate;
          s.phase = Phase::kBackwardWeight;
        }
        s.call = i;
        if (moves) {
          Event e;
          add_collective(rank, s, e);
        }
        rank.spans.push_back(std::move(s));
      }
    }
  }

  // --- XLA

  bool is_xla(const Event& e) const {
    const Track& t = file_.tracks[e.track];
    return t.process_name.starts_with("/device:") &&
           (t.thread_name == "XLA Ops" || t.thread_name.starts_with("Stream"));
  }

  void of_xla() {
    for (const Event& e : file_.events) {
      const Track& t = file_.tracks[e.track];
      if (!t.process_name.starts_with("/device:")) continue;
      if (t.thread_name == "Steps") {
        if (const auto n = number_in(texts_[e.name]))
          ranks_[number_or_hash(t.process)].marks.push_back({*n, e.begin, e.end});
        continue;
      }
      if (!is_xla(e)) continue;
      Rank& rank = ranks_[number_or_hash(t.process)];
      Span s;
      s.begin = s.launched = e.begin;
      s.end = e.end;
      s.place = e.track;
      s.bytes = Bytes(std::max<std::int64_t>(0, e.bytes));
      const std::string& name = texts_[e.name];
      s.name = texts_.add(short_name(name));
      s.path = e.path;
      if (is_collective_kernel(name)) {
        add_collective(rank, s, e);
      } else {
        s.op = op_named(e.path);
        const std::string path = lowered(texts_[e.path]);
        if (path.find("transpose(jvp") != std::string::npos ||
            path.find("gradient") != std::string::npos)
          s.phase = Phase::kBackwardInput;
      }
      rank.spans.push_back(std::move(s));
    }
    for (auto& [process, rank] : ranks_) innermost(rank.spans);
  }

  // --- what Soapstone writes

  // "device 3 communication 2".
  std::optional<std::pair<std::int64_t, LaneKind>> device_of_ours(const Event& e) const {
    constexpr std::string_view kDevice = "device ";
    std::string_view name = file_.tracks[e.track].thread_name;
    const std::string& process = file_.tracks[e.track].process_name;
    if (!name.starts_with(kDevice) || !enum_from_name<TraceOrigin>(process)) return std::nullopt;
    name.remove_prefix(kDevice.size());
    const auto number = number_in(name);
    const std::size_t space = name.find(' ');
    if (!number || space == std::string_view::npos) return std::nullopt;
    name.remove_prefix(space + 1);
    const auto kind = enum_from_name<LaneKind>(name.substr(0, name.find(' ')));
    return kind ? std::optional(std::pair(*number, *kind)) : std::nullopt;
  }

  // The measured trace, where there are two.
  void of_soapstone() {
    const auto is_measured = [&](const Event& e) {
      return file_.tracks[e.track].process_name == name_of(TraceOrigin::kMeasured);
    };
    const bool measured = std::any_of(file_.events.begin(), file_.events.end(), is_measured);
    for (const Event& e : file_.events) {
      const auto device = device_of_ours(e);
      if (!device || is_measured(e) != measured) continue;
      Rank& rank = ranks_[device->first];
      Span s;
      s.begin = s.launched = e.begin;
      s.end = e.end;
      s.lane = device->second;
      s.place = e.track;
      s.kind = enum_from_name<TaskKind>(texts_[e.category]).value_or(TaskKind::kCompute);
      s.phase = enum_from_name<Phase>(texts_[e.phase]).value_or(Phase::kForward);
      s.name = e.name;
      s.waiting = std::clamp<std::int64_t>(e.waiting, 0, e.end - e.begin);
      s.bytes = Bytes(std::max<std::int64_t>(0, e.bytes));
      s.flops = Flops(e.flops);
      s.op = op_named(e.name);
      rank.spans.push_back(std::move(s));
    }
  }

  // --- anything else

  void of_threads() {
    for (const Event& e : file_.events) {
      if (e.kind == EventKind::kModule || e.kind == EventKind::kLaunch) continue;
      Rank& rank = ranks_[number_or_hash(file_.tracks[e.track].process)];
      Span s;
      s.begin = s.launched = e.begin;
      s.end = e.end;
      s.place = e.track;
      s.name = e.name;
      if (is_collective_kernel(texts_[e.name]) || is_backend_annotation(texts_[e.name]))
        add_collective(rank, s, e);
      else
        s.op = op_named(e.name);
      rank.spans.push_back(std::move(s));
    }
    for (auto& [process, rank] : ranks_) innermost(rank.spans);
  }

  // Of spans that lie in each other: every moment is of the innermost.
  static void innermost(std::vector<Span>& spans) {
    std::stable_sort(spans.begin(), spans.end(), [](const Span& a, const Span& b) {
      return std::tuple(a.lane, a.place, a.begin, -a.end) <
             std::tuple(b.lane, b.place, b.begin, -b.end);
    });
    std::vector<Span> out;
    std::vector<Span> around;  // begin: from where on they are not yet told
    const auto tell = [&](Span& s, std::int64_t until) {
      if (until > s.begin) {
        out.push_back(s);
        out.back().end = until;
      }
      s.begin = std::max(s.begin, until);
    };
    const auto leave = [&](auto&& is_over) {
      while (!around.empty() && is_over(around.back())) {
        Span s = around.back();
        around.pop_back();
        tell(s, s.end);
        if (!around.empty() && around.back().place == s.place)
          around.back().begin = std::max(around.back().begin, s.begin);
      }
    };
    for (const Span& s : spans) {
      leave([&](const Span& o) {
        return o.place != s.place || o.lane != s.lane || o.end <= s.begin;
      });
      if (s.end == s.begin) {
        out.push_back(s);
        continue;
      }
      if (!around.empty()) {
        // What only begins inside goes on by itself.
        tell(around.back(), s.begin);
        if (around.back().end < s.end) around.back().end = around.back().begin;
      }
      around.push_back(s);
    }
    leave([](const Span&) { return true; });
    spans = std::move(out);
  }

  const EventFile& file_;
  Texts& texts_;
  const OperatorNames* names_;
  std::map<std::int64_t, Rank> ranks_;  // by device or process
  std::unordered_map<std::int64_t, const Event*> comm_of_external_;
  std::unordered_map<std::uint32_t, std::optional<OpId>> op_of_text_;
};

// --- of all ranks -------------------------------------------------------------------------------

struct Window {
  std::int64_t begin = INT64_MIN, end = INT64_MAX;
  bool has(std::int64_t time) const { return time >= begin && time < end; }
};

class Importer {
 public:
  explicit Importer(const Graph* graph) : graph_(graph) {
    if (graph) names_.emplace(*graph);
  }

  Result<ImportedTrace> import(std::span<const TraceText> texts) {
    for (const TraceText& text : texts) {
      SOAPSTONE_ASSIGN(EventFile file, read_events(text.text, text.name, texts_));
      files_.push_back(std::move(file));
    }
    SOAPSTONE_TRY(find_ranks());
    choose_step();
    identify_collectives();
    align_clocks();
    keep_step();
    map_operators();
    build();
    SOAPSTONE_TRY(check(out_.trace));
    return std::move(out_);
  }

 private:
  Status find_ranks() {
    std::vector<std::vector<Rank>> of_file;
    bool one_each = true, all_named = true;
    std::set<std::int64_t> named;
    for (EventFile& file : files_) {
      of_file.push_back(RankReader(file, texts_, names_ ? &*names_ : nullptr).read());
      if (of_file.back().empty())
        return usage_error("{}: no span of a device, thread or operator is in it", file.name);
      one_each &= of_file.back().size() == 1;
      if (!file.rank) file.rank = files_.size() > 1 ? rank_in_name(file.name) : std::nullopt;
      all_named &= file.rank.has_value();
      if (file.truncated)
        out_.remarks.push_back(
            fmt::format("{} ends too early: what was written before is shown", file.name));
      if (file.unfinished > 0)
        out_.remarks.push_back(fmt::format(
            "{}: {} events have a begin without an end or an end without a begin; left out",
            file.name, file.unfinished));
    }
    std::map<std::int64_t, const EventFile*> seen;
    if (one_each && all_named)
      for (const EventFile& file : files_) {
        const auto [it, is_new] = seen.emplace(*file.rank, &file);
        if (!is_new)
          return usage_error("{} and {} are both of rank {}; one file per rank is accepted",
                             it->second->name, file.name, *file.rank);
      }
    std::vector<std::size_t> order(files_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    if (all_named)
      std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return *files_[a].rank < *files_[b].rank;
      });
    for (const std::size_t f : order)
      for (Rank& rank : of_file[f]) {
        if (one_each && all_named)
          rank.number = *files_[f].rank;
        else if (files_.size() > 1)
          rank.number = static_cast<std::int64_t>(ranks_.size());
        ranks_.push_back(std::move(rank));
      }
    if (!all_named && files_.size() > 1)
      out_.remarks.push_back("not every file says which rank it is of: ranks are in their order");
    for (const Rank& rank : ranks_)
      if (rank.number < 0 || rank.number >= DeviceId::kNone)
        return usage_error("{}: rank {} is not accepted; accepted: 0 to {}", rank.file->name,
                           rank.number, DeviceId::kNone - 1);
    tell_missing(one_each && all_named);
    return {};
  }

  void tell_missing(bool numbered) {
    std::int64_t world = 0;
    for (const EventFile& file : files_) world = std::max(world, file.world.value_or(0));
    if (!numbered || world <= static_cast<std::int64_t>(ranks_.size())) return;
    constexpr std::size_t kMost = 8;
    std::string missing;
    std::size_t count = 0;
    std::set<std::int64_t> have;
    for (const Rank& rank : ranks_) have.insert(rank.number);
    for (std::int64_t r = 0; r < world; ++r) {
      if (have.contains(r)) continue;
      if (++count <= kMost) missing += fmt::format("{}{}", count > 1 ? ", " : "", r);
    }
    if (count > kMost) missing += fmt::format(" and {} more", count - kMost);
    out_.remarks.push_back(fmt::format("of {} ranks {} {} here; missing: {}", world, ranks_.size(),
                                       ranks_.size() == 1 ? "is" : "are", missing));
  }

  // --- the step

  void choose_step() {
    std::map<std::int64_t, std::size_t> having;
    for (const Rank& rank : ranks_) {
      std::set<std::int64_t> numbers;
      for (const Mark& mark : rank.marks) numbers.insert(mark.number);
      for (const std::int64_t n : numbers) ++having[n];
    }
    // Of the common ones the last in which something is computed.
    std::size_t common = 0;
    for (auto it = having.rbegin(); it != having.rend(); ++it) {
      if (it->second != ranks_.size()) continue;
      ++common;
      if (!step_ && has_spans(it->first)) step_ = it->first;
    }
    windows_.resize(ranks_.size());
    if (!step_) {
      out_.step = fmt::format("all of the trace is shown: {}",
                              having.empty() ? "no step is marked in it"
                              : common == 0  ? "no step is marked on all ranks"
                                             : "nothing was computed in the steps that are marked");
      return;
    }
    out_.step = common == 1 ? fmt::format("step {} is shown, the only one that is marked", *step_)
                            : fmt::format("step {} is shown, the last of {} that are marked{}",
                                          *step_, common, ranks_.size() > 1 ? " on all ranks" : "");
    for (std::size_t r = 0; r < ranks_.size(); ++r)
      for (const Mark& mark : ranks_[r].marks)
        if (mark.number == *step_) windows_[r] = {mark.begin, mark.end};
  }

  bool has_spans(std::int64_t step) const {
    return std::any_of(ranks_.begin(), ranks_.end(), [&](const Rank& rank) {
      return std::any_of(rank.marks.begin(), rank.marks.end(), [&](const Mark& mark) {
        return mark.number == step &&
               std::any_of(rank.spans.begin(), rank.spans.end(), [&](const Span& s) {
                 return Window{mark.begin, mark.end}.has(s.launched);
               });
      });
    });
  }

  // --- clocks

  // The key of a collective: its group, its name, in which step, the how manieth of how many.
  void identify_collectives() {
    for (Rank& rank : ranks_) {
      std::vector<const Span*> order;
      for (const Span& s : rank.spans)
        if (s.collective != kNoIndex && rank.collectives[s.collective].of_all) order.push_back(&s);
      std::stable_sort(order.begin(), order.end(),
                       [](const Span* a, const Span* b) { return a->begin < b->begin; });
      using Key = std::tuple<std::uint32_t, std::uint32_t, std::int64_t, std::int64_t>;
      std::map<Key, std::vector<std::uint32_t>> found;
      for (const Span* s : order) {
        const Collective& c = rank.collectives[s->collective];
        std::int64_t step = -1;
        for (const Mark& mark : rank.marks)
          if (s->launched >= mark.begin && s->launched < mark.end) step = mark.number;
        if (!rank.marks.empty() && step < 0) continue;
        // Groups without a name are told apart by what they move.
        found[{c.group, c.name, step, c.group == 0 ? c.bytes : 0}].push_back(s->collective);
      }
      for (const auto& [key, list] : found)
        for (std::size_t i = 0; i < list.size(); ++i) {
          const auto& [group, name, step, bytes] = key;
          Hasher h;
          for (const std::uint64_t word :
               {std::uint64_t{group}, std::uint64_t{name}, static_cast<std::uint64_t>(step),
                static_cast<std::uint64_t>(bytes), std::uint64_t{i}, std::uint64_t{list.size()}})
            h.word(word);
          // Ranks of other groups of that name are not in it.
          if (const auto ranks = rank.file->groups.find(texts_[group]);
              ranks != rank.file->groups.end())
            append_hash(h, ranks->second);
          rank.collectives[list[i]].key = h.finish();
        }
    }
  }

  void align_clocks() {
    // Soapstone's own traces are by one clock.
    if (ranks_.size() < 2 || !files_[0].graph.empty()) return;
    std::vector<std::vector<Occurrence>> occurrences(ranks_.size());
    for (std::size_t r = 0; r < ranks_.size(); ++r)
      for (const Span& s : ranks_[r].spans)
        if (s.collective != kNoIndex && ranks_[r].collectives[s.collective].key != 0)
          occurrences[r].push_back(
              {ranks_[r].collectives[s.collective].key, Nanoseconds(s.begin), Nanoseconds(s.end)});
    out_.clocks = clock_offsets(occurrences);
    std::unordered_map<std::uint64_t, std::int64_t> last_begin;
    const auto each = [&](auto&& visit) {
      for (Rank& rank : ranks_)
        for (Span& s : rank.spans)
          if (s.collective != kNoIndex && rank.collectives[s.collective].key != 0)
            visit(s, rank.collectives[s.collective].key);
    };
    for (std::size_t r = 0; r < ranks_.size(); ++r) {
      const std::int64_t offset = out_.clocks[r].offset.value;
      for (Span& s : ranks_[r].spans)
        for (std::int64_t* time : {&s.begin, &s.end, &s.launched}) *time -= offset;
      if (windows_[r].begin != INT64_MIN)
        for (std::int64_t* time : {&windows_[r].begin, &windows_[r].end}) *time -= offset;
    }
    each([&](const Span& s, std::uint64_t key) {
      auto& last = last_begin.emplace(key, INT64_MIN).first->second;
      last = std::max(last, s.begin);
    });
    each([&](Span& s, std::uint64_t key) {
      s.waiting = std::clamp<std::int64_t>(last_begin[key] - s.begin, 0, s.end - s.begin);
    });
  }

  void keep_step() {
    if (!step_) return;
    for (std::size_t r = 0; r < ranks_.size(); ++r)
      std::erase_if(ranks_[r].spans,
                    [w = windows_[r]](const Span& s) { return !w.has(s.launched); });
  }

  // --- operators

  void map_operators() {
    for (Rank& rank : ranks_) {
      if (names_) map_calls(rank);
      for (Span& s : rank.spans)
        if (s.call != kNoIndex && s.lane == LaneKind::kCompute && !s.op)
          s.op = rank.calls[s.call].op;
    }
  }

  // Of calls that computed something in the step.
  void map_calls(Rank& rank) {
    std::vector<std::uint32_t> used;
    for (const Span& s : rank.spans)
      if (s.call != kNoIndex && s.lane == LaneKind::kCompute) used.push_back(s.call);
    std::sort(used.begin(), used.end(), [&](std::uint32_t a, std::uint32_t b) {
      return std::tuple(rank.calls[a].begin, a) < std::tuple(rank.calls[b].begin, b);
    });
    used.erase(std::unique(used.begin(), used.end()), used.end());
    by_order(rank, used, Phase::kForward);
    std::unordered_map<std::int64_t, std::optional<OpId>> of_sequence;
    for (const std::uint32_t c : used)
      if (rank.calls[c].phase == Phase::kForward)
        for (const std::int64_t n : rank.calls[c].sequences) of_sequence[n] = rank.calls[c].op;
    for (const std::uint32_t c : used) {
      Call& call = rank.calls[c];
      if (call.phase != Phase::kBackwardInput || call.op) continue;
      for (const std::int64_t n : call.sequences)
        if (const auto found = of_sequence.find(n); !call.op && found != of_sequence.end())
          call.op = found->second;
    }
    by_order(rank, used, Phase::kBackwardInput);
  }

  // Calls of a kind, all of them, are the graph's operators of that kind, if they are as many.
  void by_order(Rank& rank, const std::vector<std::uint32_t>& used, Phase phase) {
    std::map<const std::vector<OpId>*, std::vector<std::uint32_t>> of_kind;
    for (const std::uint32_t c : used) {
      const Call& call = rank.calls[c];
      if (call.phase != phase) continue;
      if (phase != Phase::kForward && !call.sequences.empty()) continue;
      if (const auto* ops = names_->of_function(texts_[call.name])) of_kind[ops].push_back(c);
    }
    for (auto& [ops, calls] : of_kind) {
      if (ops->size() != calls.size()) continue;
      if (phase != Phase::kForward) std::reverse(calls.begin(), calls.end());
      for (std::size_t i = 0; i < calls.size(); ++i)
        if (!rank.calls[calls[i]].op) rank.calls[calls[i]].op = (*ops)[i];
    }
  }

  // --- the trace

  // As Soapstone's own traces call it; PyTorch's name where it has another one.
  std::string label_of(const Rank& rank, const Span& s) const {
    if (s.op && rank.file->graph.empty()) {
      const OpNode& node = graph_->op(*s.op);
      for (const auto& step : node.definition.steps)
        if (step.phase == s.phase) return node.name + " " + step.name;
      return node.name + " " + std::string(name_of(s.phase));
    }
    if (s.call != kNoIndex && rank.calls[s.call].update != 0)
      return texts_[rank.calls[s.call].update];
    return texts_[s.name];
  }

  void build() {
    Trace& t = out_.trace;
    t.origin = TraceOrigin::kMeasured;
    t.graph = graph_ ? graph_->name() : files_[0].graph.empty() ? "unknown model" : files_[0].graph;
    std::unordered_map<std::string, std::uint32_t> labels;
    Hasher plan;
    std::int64_t zero = INT64_MAX, last = INT64_MIN, marked = 0;
    for (std::size_t r = 0; r < ranks_.size(); ++r) {
      if (ranks_[r].marks_begin_it && step_) zero = std::min(zero, windows_[r].begin);
      if (step_) marked = std::max(marked, windows_[r].end - windows_[r].begin);
      for (const Span& s : ranks_[r].spans) {
        zero = std::min(zero, s.begin);
        last = std::max(last, s.end);
      }
    }
    std::unordered_map<std::string, std::int64_t> unmapped;
    for (Rank& rank : ranks_) {
      out_.ranks.push_back(DeviceId{static_cast<std::uint32_t>(rank.number)});
      std::stable_sort(rank.spans.begin(), rank.spans.end(), [](const Span& a, const Span& b) {
        return std::tuple(a.lane, a.place, a.begin, a.end) <
               std::tuple(b.lane, b.place, b.begin, b.end);
      });
      // What a device does first is its first task.
      std::vector<std::uint32_t> tasks(rank.spans.size()), by_begin(rank.spans.size());
      std::iota(by_begin.begin(), by_begin.end(), 0u);
      std::stable_sort(by_begin.begin(), by_begin.end(), [&](std::uint32_t a, std::uint32_t b) {
        return rank.spans[a].begin < rank.spans[b].begin;
      });
      for (std::uint32_t i = 0; i < by_begin.size(); ++i) tasks[by_begin[i]] = i;
      plan.word(static_cast<std::uint64_t>(rank.number));
      std::vector<std::int64_t> end_of_lane;  // of one stream or thread
      std::size_t first_lane = 0;
      for (std::size_t i = 0; i < rank.spans.size(); ++i) {
        const Span& s = rank.spans[i];
        if (i == 0 || s.lane != rank.spans[i - 1].lane || s.place != rank.spans[i - 1].place) {
          end_of_lane.clear();
          first_lane = t.lanes.size();
        }
        std::size_t lane = 0;
        const std::int64_t allowed = std::min(kRounding, s.end - s.begin);
        while (lane < end_of_lane.size() && end_of_lane[lane] > s.begin + allowed) ++lane;
        if (lane == end_of_lane.size()) {
          end_of_lane.push_back(INT64_MIN);
          t.lanes.push_back({out_.ranks.back(), s.lane});
        }
        const std::int64_t begin = std::max(s.begin, end_of_lane[lane]);
        end_of_lane[lane] = s.end;
        const auto [label, is_new] =
            labels.emplace(label_of(rank, s), static_cast<std::uint32_t>(t.labels.size()));
        if (is_new) t.labels.push_back(label->first);
        Spans& spans = t.spans;
        spans.lane.push_back(static_cast<std::uint32_t>(first_lane + lane));
        spans.start.push_back(Nanoseconds(begin - zero));
        spans.end.push_back(Nanoseconds(s.end - zero));
        spans.waiting.push_back(Nanoseconds(std::min(s.waiting, s.end - begin)));
        spans.task.push_back(tasks[i]);
        spans.kind.push_back(s.kind);
        spans.phase.push_back(s.phase);
        spans.label.push_back(label->second);
        spans.bytes.push_back(s.bytes);
        spans.flops.push_back(s.flops);
        spans.source.push_back(CostSource::kMeasured);
        if (s.lane == LaneKind::kCompute) {
          out_.mapping.computing += Nanoseconds(s.end - begin);
          if (s.op)
            out_.mapping.mapped += Nanoseconds(s.end - begin);
          else
            unmapped[label->first] += s.end - begin;
        }
      }
      for (const std::uint32_t i : by_begin) plan.bytes(label_of(rank, rank.spans[i]));
    }
    // Traces of one program compare task by task.
    t.plan_hash = plan.finish() | 1;
    sort_spans(t);
    t.step_time = Nanoseconds(t.spans.size() == 0 ? 0 : std::max(marked, last - zero));
    if (!graph_) return;
    out_.has_mapping = true;
    out_.mapping.graph = graph_->name();
    for (auto& [name, time] : unmapped) out_.mapping.unmapped.push_back({name, Nanoseconds(time)});
    std::sort(out_.mapping.unmapped.begin(), out_.mapping.unmapped.end(),
              [](const TimeOfName& a, const TimeOfName& b) {
                return std::tuple(-a.time.value, a.name) < std::tuple(-b.time.value, b.name);
              });
  }

  const Graph* graph_;
  std::optional<OperatorNames> names_;
  Texts texts_;
  std::vector<EventFile> files_;
  std::vector<Rank> ranks_;
  std::optional<std::int64_t> step_;
  std::vector<Window> windows_;  // of the step, by rank
  ImportedTrace out_;
};

std::string with_sign(Nanoseconds t) {
  std::string digits = std::to_string(t.value < 0 ? -t.value : t.value);
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<std::size_t>(at), ",");
  return (t.value < 0 ? "-" : "+") + digits + " ns";
}

std::string clock_note(const ImportedTrace& imported, std::size_t most_ranks) {
  std::vector<std::size_t> order, alone;
  for (std::size_t r = 0; r < imported.clocks.size(); ++r) {
    const ClockOffset& c = imported.clocks[r];
    if (c.collectives > 0)
      order.push_back(r);
    else if (r > 0)
      alone.push_back(r);
  }
  const auto list = [&](const std::vector<std::size_t>& ranks) {
    std::string text;
    for (std::size_t i = 0; i < std::min(ranks.size(), most_ranks); ++i)
      text += fmt::format("{}{}", i > 0 ? ", " : "", imported.ranks[ranks[i]].value);
    if (ranks.size() > most_ranks) text += fmt::format(" and {} more", ranks.size() - most_ranks);
    return text;
  };
  if (order.empty()) return "clock offsets: ranks share no collective, clocks stay as they are";
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::abs(imported.clocks[a].offset.value) > std::abs(imported.clocks[b].offset.value);
  });
  const std::size_t count = order.size();
  if (order.size() > most_ranks) order.resize(most_ranks);
  if (count <= most_ranks) std::sort(order.begin(), order.end());
  std::string text = "clock offsets: ";
  for (std::size_t i = 0; i < order.size(); ++i) {
    const ClockOffset& c = imported.clocks[order[i]];
    text += fmt::format(
        "{}rank {} {} against rank {} ({} collective{}, off by {} ns in the "
        "median, {} ns at most)",
        i > 0 ? "; " : "", imported.ranks[order[i]].value, with_sign(c.offset),
        imported.ranks[c.reference].value, c.collectives, c.collectives == 1 ? "" : "s",
        c.median_spread.value, c.largest_spread.value);
  }
  if (count > order.size()) text += fmt::format("; {} more are less far off", count - order.size());
  if (!alone.empty())
    text += fmt::format("; as they are, for lack of a collective with rank {}: {}",
                        imported.ranks[0].value, list(alone));
  return text;
}

}  // namespace

double Mapping::share() const {
  return computing.value == 0
             ? 0
             : static_cast<double>(mapped.value) / static_cast<double>(computing.value);
}

bool is_chrome_trace(std::string_view text) { return detail::looks_like_events(text); }

Result<ImportedTrace> read_chrome_trace(std::span<const TraceText> files, const Graph* graph) {
  SOAPSTONE_ASSERT(!files.empty(), "no file");
  return Importer(graph).import(files);
}

std::vector<std::string> notes(const ImportedTrace& imported, std::size_t most_ranks) {
  std::vector<std::string> out{imported.step};
  if (!imported.clocks.empty()) out.push_back(clock_note(imported, most_ranks));
  if (imported.has_mapping) {
    const Mapping& m = imported.mapping;
    std::string text = fmt::format("mapped {:.1f} % of {} of device time to operators of {}",
                                   100 * m.share(), human_text(m.computing), m.graph);
    constexpr std::size_t kMost = 4;
    for (std::size_t i = 0; i < std::min(m.unmapped.size(), kMost); ++i)
      text += fmt::format("{}{} {}", i == 0 ? "; largest unmapped: " : ", ", m.unmapped[i].name,
                          human_text(m.unmapped[i].time));
    out.push_back(std::move(text));
  }
  out.insert(out.end(), imported.remarks.begin(), imported.remarks.end());
  return out;
}

}  // namespace soapstone::importers
