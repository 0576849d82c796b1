#include "core/placement.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <functional>
#include <iterator>
#include <map>
#include <numeric>
#include <queue>
#include <set>
#include <utility>

#include "core/classes_in_parallel.hpp"

namespace soapstone::core {

namespace {

std::int64_t aligned(std::int64_t bytes) { return aligned_size(Bytes(bytes)).value; }

// When tasks certainly run. The n-th computing task starts at 2n - 1 and ends at 2n; what runs
// beside starts after the last computing task that it waits for, and has ended before the first
// that waits for it.
struct Certain {
  std::vector<std::int64_t> start, end;

  explicit Certain(const DeviceClass& p) : start(p.tasks.size(), 0), end(p.tasks.size(), kNever) {
    std::int64_t now = 0;
    for (std::size_t i = 0; i < p.tasks.size(); ++i) {
      if (!runs_beside(p.tasks[i].kind)) {
        start[i] = ++now;
        end[i] = ++now;
        continue;
      }
      for (const auto d : p.dependencies_of(p.tasks[i]))
        start[i] = std::max(start[i], runs_beside(p.tasks[d].kind) ? start[d] : end[d]);
    }
    for (std::size_t i = p.tasks.size(); i-- > 0;)
      for (const auto d : p.dependencies_of(p.tasks[i]))
        if (runs_beside(p.tasks[d].kind))
          end[d] = std::min(end[d], runs_beside(p.tasks[i].kind) ? end[i] : start[i]);
  }

  static constexpr std::int64_t kNever = INT64_MAX;
};

// Bytes given out and taken back in the order of time, from the smallest gap that is large enough.
class Gaps {
 public:
  std::int64_t take(std::int64_t size) {
    const auto fit = by_size_.lower_bound({size, 0});
    if (fit == by_size_.end()) {
      // At the end, where a gap may help.
      std::int64_t offset = end_;
      if (!by_offset_.empty()) {
        const auto last = std::prev(by_offset_.end());
        if (last->first + last->second == end_) {
          offset = last->first;
          by_size_.erase({last->second, last->first});
          by_offset_.erase(last);
        }
      }
      end_ = offset + size;
      return offset;
    }
    const auto [found, offset] = *fit;
    by_size_.erase(fit);
    by_offset_.erase(offset);
    if (found > size) insert(offset + size, found - size);
    return offset;
  }

  void give_back(std::int64_t offset, std::int64_t size) {
    auto after = by_offset_.lower_bound(offset);
    if (after != by_offset_.end() && offset + size == after->first) {
      size += after->second;
      by_size_.erase({after->second, after->first});
      after = by_offset_.erase(after);
    }
    if (after != by_offset_.begin()) {
      const auto before = std::prev(after);
      if (before->first + before->second == offset) {
        offset = before->first;
        size += before->second;
        by_size_.erase({before->second, before->first});
        by_offset_.erase(before);
      }
    }
    insert(offset, size);
  }

  std::int64_t end() const { return end_; }

 private:
  void insert(std::int64_t offset, std::int64_t size) {
    by_offset_.emplace(offset, size);
    by_size_.emplace(size, offset);
  }

  std::map<std::int64_t, std::int64_t> by_offset_;
  std::set<std::pair<std::int64_t, std::int64_t>> by_size_;
  std::int64_t end_ = 0;
};

// What has been placed, by its offset. Its lives stand in columns of small numbers, so that one
// instruction compares many of them.
class Shelf {
 public:
  static constexpr std::size_t kMost = 16000;  // so many numbers there are

  // Takes these buffers.
  Shelf(const std::vector<std::uint32_t>& buffers, const std::vector<Lifetime>& life) {
    std::int64_t last = 0;
    for (const std::uint32_t b : buffers)
      for (const std::int64_t time : {life[b].start, life[b].end})
        if (time != INT64_MAX) last = std::max(last, time);
    // Times count by their order alone: they get numbers without gaps.
    number_.assign(static_cast<std::size_t>(last) + 2, 0);
    for (const std::uint32_t b : buffers) number_of(life[b].start) = number_of(life[b].end) = 1;
    std::int16_t next = 0;
    for (std::int16_t& number : number_) number = number == 1 ? next++ : next;
  }

  // Puts a buffer to the lowest offset from `from` on that is free of those it lives beside.
  std::int64_t put(std::int64_t from, std::int64_t size, const Lifetime& life) {
    const std::int16_t start = number_of(life.start), stop = number_of(life.end);
    const std::int64_t begin = lowest(from, size, start, stop);
    const auto at =
        std::upper_bound(placed_.begin(), placed_.end(), begin,
                         [](std::int64_t offset, const Placed& p) { return offset < p.begin; });
    insert(start_, at - placed_.begin(), start);
    insert(stop_, at - placed_.begin(), stop);
    placed_.insert(at, {begin, begin + size});
    return begin;
  }

 private:
  struct Placed {
    std::int64_t begin, end;  // bytes
  };
  static constexpr std::size_t kBlock = 64;
  // Times this, eight bytes of 0 or 1 have the first as lowest bit of the highest byte, and so on.
  static constexpr std::uint64_t kGather =
      std::endian::native == std::endian::little ? 0x0102040810204080ull : 0x8040201008040201ull;

  std::int16_t& number_of(std::int64_t time) {
    return time == INT64_MAX ? number_.back() : number_[static_cast<std::size_t>(time)];
  }

  std::int64_t lowest(std::int64_t from, std::int64_t size, std::int16_t start,
                      std::int16_t stop) const {
    for (std::size_t block = 0; block < placed_.size(); block += kBlock) {
      std::array<std::uint8_t, kBlock> meets;
      const std::int16_t* starts = start_.data() + block;
      const std::int16_t* stops = stop_.data() + block;
      for (std::size_t i = 0; i < kBlock; ++i) meets[i] = (starts[i] < stop) & (stops[i] > start);
      std::uint64_t met = 0;
      for (std::size_t i = 0; i < kBlock; i += 8) {
        std::uint64_t eight;
        std::memcpy(&eight, &meets[i], sizeof eight);
        met |= (eight * kGather >> 56) << i;
      }
      for (; met != 0; met &= met - 1) {
        const Placed& other = placed_[block + static_cast<std::size_t>(std::countr_zero(met))];
        if (from + size <= other.begin) return from;
        from = std::max(from, other.end);
      }
    }
    return from;
  }

  // Columns are whole blocks, filled up with lives that meet none.
  void insert(std::vector<std::int16_t>& column, std::ptrdiff_t at, std::int16_t value) const {
    if (placed_.size() == column.size()) column.resize(column.size() + kBlock, kNone);
    const auto end = column.begin() + static_cast<std::ptrdiff_t>(placed_.size());
    std::copy_backward(column.begin() + at, end, end + 1);
    column[static_cast<std::size_t>(at)] = value;
  }
  static constexpr std::int16_t kNone = -1;

  std::vector<std::int16_t> number_;        // per time
  std::vector<Placed> placed_;              // ascending
  std::vector<std::int16_t> start_, stop_;  // of their lives
};

// Each at the lowest offset that is free of those it lives beside, the largest first: little is
// wasted, but time grows with the square of their number.
std::int64_t place_by_size(DeviceClass& p, const std::vector<Lifetime>& life,
                           std::vector<std::uint32_t> order) {
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) {
    if (life[a].always != life[b].always) return life[a].always;
    return p.buffers[a].size > p.buffers[b].size;
  });
  Shelf shelf(order, life);
  // What lives always comes first and lies without gaps.
  std::int64_t arena = 0, always = 0;
  for (const std::uint32_t b : order) {
    Buffer& own = p.buffers[b];
    const std::int64_t size = aligned(own.size.value);
    if (size == 0) {
      own.offset = Bytes(0);
      continue;
    }
    if (life[b].always) {
      own.offset = Bytes(always);
      always += size;
      arena = always;
      continue;
    }
    own.offset = Bytes(shelf.put(always, size, life[b]));
    arena = std::max(arena, own.offset.value + size);
  }
  return arena;
}

// As they begin to live.
std::int64_t place_by_time(DeviceClass& p, const std::vector<Lifetime>& life,
                           std::vector<std::uint32_t> order) {
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) {
    if (life[a].always != life[b].always) return life[a].always;
    return life[a].start < life[b].start;
  });
  Gaps gaps;
  using End = std::pair<std::int64_t, std::uint32_t>;
  std::priority_queue<End, std::vector<End>, std::greater<>> alive;
  for (const std::uint32_t b : order) {
    const bool is_used = life[b].always || life[b].start < life[b].end;
    for (; !alive.empty() && is_used && !life[b].always && alive.top().first <= life[b].start;
         alive.pop()) {
      const Buffer& other = p.buffers[alive.top().second];
      gaps.give_back(other.offset.value, aligned(other.size.value));
    }
    const std::int64_t size = aligned(p.buffers[b].size.value);
    p.buffers[b].offset = Bytes(is_used && size > 0 ? gaps.take(size) : 0);
    if (is_used && size > 0 && !life[b].always) alive.emplace(life[b].end, b);
    if (!is_used && size > gaps.end()) p.buffers[b].offset = Bytes(gaps.take(size));
  }
  return gaps.end();
}

}  // namespace

std::vector<Lifetime> lifetimes(const DeviceClass& p) {
  const Certain times(p);
  std::vector<Lifetime> life(p.buffers.size());
  for (std::size_t b = 0; b < p.buffers.size(); ++b)
    life[b].always = lives_always(p.buffers[b].kind);
  for (std::uint32_t i = 0; i < p.tasks.size(); ++i)
    for (const BufferUse& use : p.uses_of(p.tasks[i])) {
      if (use.buffer == kNoIndex) continue;
      const std::uint32_t whole = p.buffers[use.buffer].inside;
      Lifetime& l = life[whole == kNoIndex ? use.buffer : whole];
      l.start = std::min(l.start, times.start[i]);
      l.end = std::max(l.end, times.end[i]);
    }
  return life;
}

namespace {

void place_buffers(DeviceClass& p) {
  const std::vector<Lifetime> life = lifetimes(p);
  constexpr std::size_t kFew = 3000;
  static_assert(kFew <= Shelf::kMost);
  for (const Memory memory : {Memory::kDevice, Memory::kHost}) {
    std::vector<std::uint32_t> order;
    for (std::uint32_t b = 0; b < p.buffers.size(); ++b)
      if (p.buffers[b].memory == memory && p.buffers[b].inside == kNoIndex) order.push_back(b);
    const bool is_few = order.size() <= kFew;
    (memory == Memory::kHost ? p.host_arena : p.arena) =
        Bytes(is_few ? place_by_size(p, life, std::move(order))
                     : place_by_time(p, life, std::move(order)));
  }
  for (Buffer& b : p.buffers)
    if (b.inside != kNoIndex) b.offset = p.buffers[b.inside].offset + b.at;
}

}  // namespace

void place_buffers(Plan& plan) {
  for_each_class(plan, [&](std::size_t c) { place_buffers(plan.classes[c]); });
}

}  // namespace soapstone::core
