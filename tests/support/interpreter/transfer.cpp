#include "tests/support/interpreter/transfer.hpp"

#include <algorithm>
#include <cmath>

#include "core/assert.hpp"
#include "tests/support/reference/reference.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::interpreter {

namespace {

using core::Box;
using core::Pattern;
using reference::for_each_index;
using reference::Index;

reference::View view(const Box& box, const Values& values) {
  return {box, const_cast<double*>(values.data())};
}

// Elements of `box` in the physical order of the tensor, packed.
template <class Visit>
void for_each_packed(const Box& box, const core::DimOrder& order, const Visit& visit) {
  const core::Shape strides = core::packed_strides(core::extents(box), order);
  for_each_index(box, [&](Index p) {
    std::int64_t at = 0;
    for (std::size_t d = 0; d < box.size(); ++d) at += (p[d] - box[d].begin) * strides[d];
    visit(p, static_cast<std::size_t>(at));
  });
}

std::vector<Values> by_boxes(const core::Transfer& t, const std::vector<Values>& held) {
  std::vector<Values> wanted;
  for (const auto& member : t.members)
    wanted.emplace_back(static_cast<std::size_t>(core::elements(member.wanted)), 0.0);
  std::vector<std::vector<int>> arrivals;
  for (const auto& w : wanted) arrivals.emplace_back(w.size(), 0);
  const auto put = [&](std::size_t src, std::size_t dst, const Box& box) {
    SOAPSTONE_ASSERT(
        core::contains(t.members[src].held, box) && core::contains(t.members[dst].wanted, box),
        "{} goes from {} to {}", core::print(box), core::print(t.members[src].held),
        core::print(t.members[dst].wanted));
    std::vector<double> count(arrivals[dst].begin(), arrivals[dst].end());
    for_each_index(box, [&](Index p) {
      const double value = view(t.members[src].held, held[src]).at(p);
      double& into = view(t.members[dst].wanted, wanted[dst]).at(p);
      into = t.sum || t.pattern == Pattern::kAllReduce || t.pattern == Pattern::kReduceScatter
                 ? into + value
                 : value;
      view(t.members[dst].wanted, count).at(p) += 1;
    });
    for (std::size_t i = 0; i < count.size(); ++i) arrivals[dst][i] = static_cast<int>(count[i]);
  };
  const bool sums =
      t.sum || t.pattern == Pattern::kAllReduce || t.pattern == Pattern::kReduceScatter;
  if (t.pattern == Pattern::kBoxes) {
    for (const auto& m : t.messages) put(m.src, m.dst, m.box);
  } else {
    for (std::size_t dst = 0; dst < t.members.size(); ++dst)
      for (std::size_t src = 0; src < t.members.size(); ++src) {
        if (t.pattern == Pattern::kBroadcast && src != t.root) continue;
        const Box common = core::intersect(t.members[src].held, t.members[dst].wanted);
        if (!core::is_empty(common)) put(src, dst, common);
      }
  }
  for (std::size_t dst = 0; dst < wanted.size(); ++dst)
    for (const int n : arrivals[dst])
      SOAPSTONE_ASSERT(sums || n == 1, "an element that member {} wants arrives {} times ({})", dst,
                       n, core::name_of(t.pattern));
  return wanted;
}

// Working buffers as plan.hpp describes them, and the schedule's steps round by round.
std::vector<Values> by_schedule(const core::Transfer& t, const std::vector<Values>& held) {
  const core::Collective collective = core::collective_of(t);
  const core::Schedule schedule = core::make_schedule(collective);
  const std::size_t count = t.members.size();
  const auto pack = [&](const Box& box, const Box& part, const Values& from, Values& into,
                        std::size_t at) {
    into.resize(std::max(into.size(), at + static_cast<std::size_t>(core::elements(part))));
    for_each_packed(part, t.order,
                    [&](Index p, std::size_t k) { into[at + k] = view(box, from).at(p); });
  };
  const auto unpack = [&](const Box& box, const Box& part, const Values& from, std::size_t at,
                          Values& into) {
    for_each_packed(part, t.order,
                    [&](Index p, std::size_t k) { view(box, into).at(p) = from[at + k]; });
  };
  std::vector<Values> send(count), receive(count), wanted;
  for (const auto& member : t.members)
    wanted.emplace_back(static_cast<std::size_t>(core::elements(member.wanted)), std::nan(""));
  const bool is_all_to_all = t.pattern == Pattern::kAllToAll;
  for (std::size_t k = 0; k < count; ++k) {
    const auto& member = t.members[k];
    if (is_all_to_all) {
      std::size_t in = 0;
      for (std::size_t j = 0; j < count; ++j) {
        const Box out = core::intersect(member.held, t.members[j].wanted);
        pack(member.held, out, held[k], send[k], send[k].size());
        in += static_cast<std::size_t>(
            core::elements(core::intersect(t.members[j].held, member.wanted)));
      }
      receive[k].assign(in, std::nan(""));
    } else if (t.pattern == Pattern::kAllReduce) {
      pack(member.held, member.held, held[k], send[k], 0);
    } else if (t.pattern == Pattern::kBroadcast) {
      send[k].assign(static_cast<std::size_t>(core::elements(t.members[t.root].held)),
                     std::nan(""));
      if (k == t.root) pack(member.held, member.held, held[k], send[k], 0);
    } else {
      const bool gather = t.pattern == Pattern::kAllGather;
      for (std::size_t j = 0; j < count; ++j) {
        const Box part = gather ? t.members[j].held : t.members[j].wanted;
        const std::size_t at = send[k].size();
        if (!gather || j == k)
          pack(member.held, part, held[k], send[k], at);
        else
          send[k].resize(at + static_cast<std::size_t>(core::elements(part)), std::nan(""));
      }
    }
  }
  for (std::size_t k = 0; k < schedule.own_copies.size(); ++k) {
    const auto& own = schedule.own_copies[k];
    for (std::int64_t i = 0; i < own.send.extent(); ++i)
      receive[k][static_cast<std::size_t>(own.receive.begin + i)] =
          send[k][static_cast<std::size_t>(own.send.begin + i)];
  }
  // All messages of a round leave before any arrives.
  const auto order = core::steps_by_round(schedule);
  for (std::size_t begin = 0; begin < order.size();) {
    std::size_t end = begin;
    while (end < order.size() &&
           schedule.steps[order[end]].round == schedule.steps[order[begin]].round)
      ++end;
    std::map<std::pair<std::uint32_t, std::uint32_t>, Values> messages;
    for (std::size_t i = begin; i < end; ++i) {
      const auto& s = schedule.steps[order[i]];
      if (!s.send_to.valid()) continue;
      const Values& from = send[s.member.value];
      messages[{s.member.value, s.send_to.value}] =
          Values(from.begin() + s.send.begin, from.begin() + s.send.end);
    }
    for (std::size_t i = begin; i < end; ++i) {
      const auto& s = schedule.steps[order[i]];
      if (!s.receive_from.valid()) continue;
      const Values& message = messages.at({s.receive_from.value, s.member.value});
      Values& into = is_all_to_all ? receive[s.member.value] : send[s.member.value];
      for (std::int64_t e = 0; e < s.receive.extent(); ++e) {
        double& v = into[static_cast<std::size_t>(s.receive.begin + e)];
        v = (s.reduce ? v : 0) + message[static_cast<std::size_t>(e)];
      }
    }
    begin = end;
  }
  for (std::size_t k = 0; k < count; ++k) {
    const auto& member = t.members[k];
    if (is_all_to_all) {
      std::size_t at = 0;
      for (std::size_t j = 0; j < count; ++j) {
        const Box part = core::intersect(t.members[j].held, member.wanted);
        unpack(member.wanted, part, receive[k], at, wanted[k]);
        at += static_cast<std::size_t>(core::elements(part));
      }
    } else if (t.pattern == Pattern::kAllReduce || t.pattern == Pattern::kBroadcast) {
      if (!core::is_empty(member.wanted))
        unpack(member.wanted, member.wanted, send[k], 0, wanted[k]);
    } else if (t.pattern == Pattern::kReduceScatter) {
      std::size_t at = 0;
      for (std::size_t j = 0; j < k; ++j)
        at += static_cast<std::size_t>(core::elements(t.members[j].wanted));
      unpack(member.wanted, member.wanted, send[k], at, wanted[k]);
    } else {
      std::size_t at = 0;
      for (std::size_t j = 0; j < count; ++j) {
        unpack(member.wanted, t.members[j].held, send[k], at, wanted[k]);
        at += static_cast<std::size_t>(core::elements(t.members[j].held));
      }
    }
  }
  return wanted;
}

}  // namespace

std::vector<Values> transferred(const core::Transfer& t, const std::vector<Values>& held) {
  SOAPSTONE_ASSERT(t.pattern != Pattern::kNone, "a transfer of nothing");
  SOAPSTONE_ASSERT(t.pattern == Pattern::kBoxes || t.messages.empty(), "{} with messages",
                   core::name_of(t.pattern));
  const auto plain = by_boxes(t, held);
  if (t.pattern == Pattern::kBoxes) return plain;
  auto scheduled = by_schedule(t, held);
  double largest = 0;
  for (const auto& h : held)
    for (const double v : h) largest = std::max(largest, std::abs(v));
  for (std::size_t k = 0; k < plain.size(); ++k)
    for (std::size_t i = 0; i < plain[k].size(); ++i)
      SOAPSTONE_ASSERT(std::abs(plain[k][i] - scheduled[k][i]) <=
                           1e-14 * static_cast<double>(held.size()) * largest,
                       "{} by {}: member {} gets {} instead of {}", core::name_of(t.pattern),
                       core::name_of(t.algorithm), k, scheduled[k][i], plain[k][i]);
  return scheduled;
}

std::vector<Values> kept_without(const core::Transfer& t, const std::vector<Values>& held) {
  std::vector<Values> wanted;
  for (std::size_t k = 0; k < t.members.size(); ++k) {
    const auto& member = t.members[k];
    wanted.emplace_back(static_cast<std::size_t>(core::elements(member.wanted)), 0.0);
    for_each_index(
        core::intersect(member.held.empty() ? Box(member.wanted.size(), {}) : member.held,
                        member.wanted),
        [&](Index p) { view(member.wanted, wanted[k]).at(p) = view(member.held, held[k]).at(p); });
  }
  return wanted;
}

}  // namespace soapstone::interpreter
