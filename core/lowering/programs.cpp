#include "core/lowering/programs.hpp"

#include <algorithm>
#include <utility>

#include "core/assert.hpp"

namespace soapstone::core::lowering {

namespace {

// Windows for which data may be on its way: a sum in place holds little, and takes long where the
// network is slow.
constexpr std::uint32_t kBehind = 2, kBehindInPlace = 8;

// Devices of a class must agree; they do something else where they do not.
void must_agree(std::uint32_t device_class, std::vector<std::uint64_t> roles) {
  for (const std::uint64_t role : roles)
    if (role != roles[0]) throw Uneven{device_class, std::move(roles)};
}

std::uint64_t extents_key(const Box& box) {
  Hasher h;
  for (const Interval& i : box) h.word(static_cast<std::uint64_t>(i.extent()));
  return h.finish();
}

}  // namespace

Programs::Programs(Plan& plan, Segments& segments, std::vector<std::uint32_t> class_of_device,
                   std::uint64_t number, const Programs* before)
    : plan_(plan),
      segments_(segments),
      class_of_device_(std::move(class_of_device)),
      member_of_device_(class_of_device_.size(), 0),
      number_(number) {
  for (std::uint32_t d = 0; d < class_of_device_.size(); ++d) {
    const std::uint32_t c = class_of_device_[d];
    if (c == kNoIndex) continue;
    if (c >= classes_.size()) classes_.resize(c + 1);
    auto& members = classes_[c].program.members;
    member_of_device_[d] = static_cast<std::uint32_t>(members.size());
    members.push_back(DeviceId(d));
  }
  if (before == nullptr || before->classes_.size() != classes_.size()) return;
  const auto room = [](std::size_t length) { return length + length / 8; };
  for (std::size_t c = 0; c < classes_.size(); ++c) {
    const auto& lengths = before->classes_[c].finished;
    DeviceClass& p = classes_[c].program;
    p.buffers.reserve(room(lengths.buffers));
    p.tasks.reserve(room(lengths.tasks));
    p.uses.reserve(room(lengths.uses));
    p.dependencies.reserve(room(lengths.dependencies));
    classes_[c].buffers.reserve(room(lengths.buffers));
  }
}

const CutPlace& Programs::place(const Cut& cut) {
  CutPlace& place = cut.place;
  if (place.plan == number_) return place;
  place.plan = number_;
  place.spots.clear();
  place.spot_of_class.assign(classes_.size(), kNoIndex);
  // Per spot: what every member has.
  std::vector<std::vector<std::uint64_t>> roles;
  for (std::size_t i = 0; i < cut.layout.size(); ++i) {
    const DeviceId device = cut.layout.devices[i];
    const std::uint32_t c = class_of(device), member = member_of_device_[device.value];
    const Box box = cut.layout.box(i);
    std::uint32_t& spot = place.spot_of_class[c];
    if (spot == kNoIndex) {
      spot = static_cast<std::uint32_t>(place.spots.size());
      place.spots.push_back({c, {}});
      roles.emplace_back(classes_[c].program.members.size(), 0);
    }
    roles[spot][member] = combine(1, extents_key(box));
    if (member == 0) place.spots[spot].box = box;
  }
  for (std::size_t k = 0; k < roles.size(); ++k)
    must_agree(place.spots[k].device_class, std::move(roles[k]));
  return place;
}

void Programs::place_op(std::uint32_t op, const OpStrategy& strategy, const OpSegment& segment) {
  if (op >= op_spots_.size()) op_spots_.resize(op + 1);
  const auto first_shard = static_cast<std::uint32_t>(plan_.shards.size());
  for (const Shard& shard : segment.shards) {
    plan_.shards.push_back(shard);
    plan_.shards.back().op = op;
  }
  const auto rounds = static_cast<std::uint32_t>(segment.shards.size() / strategy.devices.size());
  auto& spots = op_spots_[op];
  spots.clear();
  for (std::uint32_t i = 0; i < strategy.devices.size(); ++i) {
    const DeviceId device = strategy.devices[i];
    const std::uint32_t c = class_of(device), member = member_of_device_[device.value];
    auto spot = std::find_if(spots.begin(), spots.end(),
                             [&](const auto& s) { return s.device_class == c; });
    if (spot == spots.end()) {
      const auto row = static_cast<std::uint32_t>(plan_.member_table.size());
      plan_.member_table.resize(row + rounds * classes_[c].program.members.size(), kNoIndex);
      spot = spots.insert(spots.end(), {c, 0, row});
    }
    for (std::uint32_t r = 0; r < rounds; ++r)
      plan_.member_table[spot->row + r * classes_[c].program.members.size() + member] =
          first_shard + r * static_cast<std::uint32_t>(strategy.devices.size()) + i;
    if (member == 0) spot->first = i;
  }
}

std::uint32_t Programs::new_buffer(std::uint32_t device_class, BufferKind kind,
                                   std::uint32_t tensor, DType dtype, const Box& box, Bytes size,
                                   Memory memory) {
  ClassState& s = classes_[device_class];
  s.program.buffers.push_back({kind, tensor, dtype, box, size, Bytes(-1), memory});
  s.buffers.emplace_back();
  return static_cast<std::uint32_t>(s.program.buffers.size()) - 1;
}

Instance Programs::unfilled(const Cut& cut) {
  const auto first = static_cast<std::uint32_t>(buffers_.size());
  buffers_.resize(buffers_.size() + place(cut).spots.size(), kNoIndex);
  return {&cut, first};
}

Instance Programs::new_instance(const Cut& cut, BufferKind kind, std::uint32_t tensor, DType dtype,
                                Memory memory) {
  const Instance out = unfilled(cut);
  const auto& spots = place(cut).spots;
  for (std::size_t k = 0; k < spots.size(); ++k)
    if (!is_empty(spots[k].box))
      buffers_[out.first + k] = new_buffer(spots[k].device_class, kind, tensor, dtype, spots[k].box,
                                           size_of(dtype) * elements(spots[k].box), memory);
  return out;
}

std::uint32_t Programs::buffer_on(const Instance& instance, std::uint32_t device_class) {
  const std::uint32_t spot = place(*instance.cut).spot_of_class[device_class];
  return spot == kNoIndex ? kNoIndex : buffers_[instance.first + spot];
}

void Programs::put_inside(std::uint32_t whole, std::span<const std::uint32_t> parts,
                          std::uint32_t device_class) {
  ClassState& s = classes_[device_class];
  Bytes at;
  for (const std::uint32_t part : parts) {
    s.program.buffers[part].inside = whole;
    s.program.buffers[part].at = at;
    at += s.program.buffers[part].size;
  }
  s.parts[whole].assign(parts.begin(), parts.end());
}

bool Programs::counts(const Cut& cut, std::uint32_t device_class) {
  std::vector<std::uint64_t> roles(classes_[device_class].program.members.size(), 0);
  for (std::size_t i = 0; i < cut.layout.size(); ++i) {
    const DeviceId device = cut.layout.devices[i];
    if (class_of(device) == device_class && cut.layout.replica(i) == 0)
      roles[member_of_device_[device.value]] = 1;
  }
  const bool out = roles[0] == 1;
  must_agree(device_class, std::move(roles));
  return out;
}

void Programs::depend(ClassState& s, const Task& task, std::uint32_t index, std::uint32_t on) {
  if (on == kNoIndex || on == index) return;
  auto& all = s.program.dependencies;
  const auto begin = all.begin() + task.first_dependency;
  if (std::find(begin, all.end(), on) == all.end()) all.push_back(on);
}

Task& Programs::add_task(std::uint32_t device_class, TaskKind kind, Phase phase,
                         std::span<const BufferUse> uses) {
  ClassState& s = classes_[device_class];
  DeviceClass& p = s.program;
  const auto index = static_cast<std::uint32_t>(p.tasks.size());
  Task t;
  t.kind = kind;
  t.phase = phase;
  t.order = order_;
  t.micro_batch = micro_batch_;
  t.first_use = static_cast<std::uint32_t>(p.uses.size());
  t.use_count = static_cast<std::uint32_t>(uses.size());
  t.first_dependency = static_cast<std::uint32_t>(p.dependencies.size());
  const auto wait_for = [&](std::uint32_t buffer, UseAccess access) {
    if (buffer == kNoIndex) return;
    const BufferState& b = s.buffers[buffer];
    depend(s, t, index, b.last_writer);
    if (access != UseAccess::kRead)
      for (auto r = b.first_reader; r != kNoIndex; r = s.readers[r].next)
        depend(s, t, index, s.readers[r].task);
  };
  const auto mark = [&](std::uint32_t buffer, UseAccess access) {
    if (buffer == kNoIndex) return;
    BufferState& b = s.buffers[buffer];
    if (access == UseAccess::kRead) {
      s.readers.push_back({index, b.first_reader});
      b.first_reader = static_cast<std::uint32_t>(s.readers.size()) - 1;
    } else {
      b.last_writer = index;
      b.first_reader = kNoIndex;
    }
  };
  const auto with_parts = [&](const BufferUse& use, const auto& visit) {
    visit(use.buffer, use.access);
    if (s.parts.empty() || use.buffer == kNoIndex) return;
    if (const auto found = s.parts.find(use.buffer); found != s.parts.end())
      for (const std::uint32_t part : found->second) visit(part, use.access);
  };
  for (const BufferUse& use : uses) {
    p.uses.push_back(use);
    with_parts(use, wait_for);
  }
  for (const BufferUse& use : uses) with_parts(use, mark);
  if (!runs_beside(kind)) {
    for (Recent& recent : s.recent) {
      if (recent.sent.empty()) continue;
      std::erase_if(recent.sent, [&](const auto& sent) {
        if (recent.count < sent.until) return false;
        depend(s, t, index, sent.task);
        return true;
      });
    }
    s.last_computing = index;
  }
  t.dependency_count = static_cast<std::uint32_t>(p.dependencies.size()) - t.first_dependency;
  p.tasks.push_back(t);
  return p.tasks.back();
}

Task& Programs::add_moving(std::uint32_t device_class, TaskKind kind,
                           std::span<const BufferUse> uses, const Moving& how,
                           std::uint32_t behind) {
  ClassState& s = classes_[device_class];
  const auto index = static_cast<std::uint32_t>(s.program.tasks.size());
  Task& t = add_task(device_class, kind, how.phase, uses);
  t.op = how.op;
  t.tensor = how.tensor;
  Recent& recent = s.recent[static_cast<std::size_t>(how.window)];
  const std::uint32_t from = recent.ended[0];
  const auto own = s.program.dependencies_of(t);
  const bool is_later = std::any_of(own.begin(), own.end(), [&](std::uint32_t d) {
    return !runs_beside(s.program.tasks[d].kind) && d >= from;
  });
  if (!is_later) depend(s, t, index, from);
  t.dependency_count =
      static_cast<std::uint32_t>(s.program.dependencies.size()) - t.first_dependency;
  if (behind > 0) recent.sent.push_back({index, recent.count + behind});
  return t;
}

void Programs::ends(Window window, std::uint32_t device_class) {
  ClassState& s = classes_[device_class];
  Recent& recent = s.recent[static_cast<std::size_t>(window)];
  if (s.last_computing == kNoIndex || recent.ended[1] == s.last_computing) return;
  recent.ended[0] = std::exchange(recent.ended[1], s.last_computing);
  ++recent.count;
}

void Programs::needs_workspace(std::uint32_t device_class, Bytes bytes) {
  Bytes& most = classes_[device_class].workspace;
  most = std::max(most, bytes);
}

const std::vector<MoveRole>& Programs::roles(const MoveSegment& segment) {
  if (segment.plan == number_) return segment.roles;
  segment.plan = number_;
  segment.roles.clear();
  std::vector<std::vector<std::uint64_t>> forms;
  std::vector<std::uint32_t> role_of_class(classes_.size(), kNoIndex);
  for (const MoveSegment::Group& group : segment.groups) {
    const bool moves = group.pattern != Pattern::kNone;
    const auto transfer = static_cast<std::uint32_t>(plan_.transfers.size());
    if (moves) plan_.transfers.push_back(group.transfer);
    for (std::size_t k = 0; k < group.members.size(); ++k) {
      const DeviceId device = group.members[k];
      const std::uint32_t c = class_of(device), member = member_of_device_[device.value];
      const bool held = moves && !is_empty(group.transfer.members[k].held),
                 wanted = moves && !is_empty(group.transfer.members[k].wanted);
      const Bytes staging = moves ? group.staging[k] : Bytes(0);
      std::uint32_t& at = role_of_class[c];
      if (at == kNoIndex) {
        at = static_cast<std::uint32_t>(segment.roles.size());
        const std::size_t members = classes_[c].program.members.size();
        MoveRole role{c, group.pattern, held, wanted, staging, kNoIndex};
        if (moves) {
          role.row = static_cast<std::uint32_t>(plan_.member_table.size());
          plan_.member_table.resize(role.row + members, kNoIndex);
        }
        segment.roles.push_back(role);
        forms.emplace_back(members, 0);
      }
      MoveRole& role = segment.roles[at];
      Hasher form;
      form.word(1 + static_cast<std::uint64_t>(group.pattern));
      form.word(static_cast<std::uint64_t>(held) | static_cast<std::uint64_t>(wanted) << 1 |
                static_cast<std::uint64_t>(staging.value > 0) << 2);
      forms[at][member] = form.finish();
      role.staging = std::max(role.staging, staging);
      if (moves && role.row != kNoIndex) plan_.member_table[role.row + member] = transfer;
    }
  }
  for (std::size_t k = 0; k < forms.size(); ++k)
    must_agree(segment.roles[k].device_class, std::move(forms[k]));
  return segment.roles;
}

Instance Programs::moved(const Instance& from, const Cut& to, const Moving& how) {
  if (from.cut->hash == to.hash) return from;
  return moved(from, to, segments_.move(*from.cut, to, how.dtype, how.dims), how);
}

Instance Programs::moved(const Instance& from, const Cut& to, const MoveSegment& segment,
                         const Moving& how) {
  const std::vector<MoveRole>& parts = roles(segment);
  const Instance out = unfilled(to);
  const CutPlace& place_to = place(to);
  bool moves = false;
  for (const MoveRole& role : parts) {
    moves |= role.pattern != Pattern::kNone;
    const std::uint32_t spot = place_to.spot_of_class[role.device_class];
    if (spot == kNoIndex || is_empty(place_to.spots[spot].box)) continue;
    const bool alias =
        role.pattern == Pattern::kNone || (how.consume && role.pattern == Pattern::kAllReduce);
    const Box& box = place_to.spots[spot].box;
    const std::uint32_t buffer =
        alias ? buffer_on(from, role.device_class)
              : new_buffer(role.device_class, how.kind, how.tensor, how.dtype, box,
                           size_of(how.dtype) * elements(box));
    buffers_[out.first + spot] = buffer;
  }
  for (const MoveRole& role : parts) {
    if (role.pattern == Pattern::kNone) continue;
    const std::uint32_t held = role.held ? buffer_on(from, role.device_class) : kNoIndex;
    const std::uint32_t wanted = role.wanted ? buffer_on(out, role.device_class) : kNoIndex;
    std::uint32_t staging = kNoIndex;
    if (role.staging.value > 0)
      staging = new_buffer(role.device_class, BufferKind::kStaging, kNoIndex, how.dtype, {},
                           role.staging);
    const BufferUse uses[] = {{held, UseAccess::kRead},
                              {wanted, held == wanted ? UseAccess::kReadWrite : UseAccess::kWrite},
                              {staging, UseAccess::kWrite}};
    // Sums of gradients are waited for by updates alone; what they leave must not stay till then,
    // nor what a sum in place works with.
    const std::uint32_t behind = held == wanted     ? (staging == kNoIndex ? 0 : kBehindInPlace)
                                 : held != kNoIndex ? kBehind
                                                    : 0;
    add_moving(role.device_class, TaskKind::kTransfer, uses, how, behind).row = role.row;
  }
  if (moves) next();
  return out;
}

Instance Programs::copied(const Instance& from, Memory memory, const Moving& how) {
  const Instance out = new_instance(*from.cut, how.kind, how.tensor, how.dtype, memory);
  copy_onto(from, out, how);
  return out;
}

void Programs::copy_onto(const Instance& from, const Instance& to, const Moving& how) {
  const auto& spots = place(*from.cut).spots;
  for (std::size_t k = 0; k < spots.size(); ++k) {
    const std::uint32_t source = buffers_[from.first + k], goal = buffers_[to.first + k];
    if (source == kNoIndex) continue;
    const BufferUse uses[] = {{source, UseAccess::kRead}, {goal, UseAccess::kWrite}};
    const std::uint32_t c = spots[k].device_class;
    const bool leaves = classes_[c].program.buffers[goal].memory == Memory::kHost;
    add_moving(c, TaskKind::kHostCopy, uses, how, leaves ? kBehind : 0);
  }
  next();
}

void Programs::finish() {
  for (ClassState& s : classes_) {
    if (s.workspace.value > 0)
      s.program.buffers.push_back(
          {BufferKind::kWorkspace, kNoIndex, DType::kF32, {}, s.workspace, Bytes(-1)});
    const DeviceClass& p = s.program;
    s.finished = {p.buffers.size(), p.tasks.size(), p.uses.size(), p.dependencies.size()};
    plan_.classes.push_back(std::move(s.program));
  }
}

}  // namespace soapstone::core::lowering
