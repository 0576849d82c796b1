#include "explorer_gui/model/link_strips.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include <fmt/core.h>

#include "core/units.hpp"

namespace soapstone::explorer {

namespace {

// A link's name has its kind as a word.
bool has_word(std::string_view name, std::string_view word) {
  for (std::size_t at = name.find(word); at != std::string_view::npos; at = name.find(word, at + 1))
    if ((at == 0 || name[at - 1] == ' ') &&
        (at + word.size() == name.size() || name[at + word.size()] == ' '))
      return true;
  return false;
}

// A device's own ports, and what its node shares: a network adapter, one medium for all. Those are
// on all of its ways to the others of its node, or out of it.
std::set<core::LinkId> links_of(const core::Cluster& cluster, core::DeviceId device) {
  std::set<core::LinkId> out;
  const std::uint32_t node = cluster.device(device).node;
  bool outside = false;
  std::map<core::LinkId, int> ways;
  int others = 0;
  for (std::uint32_t d = 0; d < cluster.size(); ++d) {
    const core::DeviceId other(d);
    if (other == device) continue;
    const auto there = cluster.route(device, other), back = cluster.route(other, device);
    if (cluster.device(other).node == node) {
      ++others;
      for (const auto& route : {there, back})
        for (const core::LinkId link : route) ++ways[link];
    } else if (!std::exchange(outside, true)) {  // all ways out of the node are alike
      out.insert(*there.begin());
      out.insert(*(back.end() - 1));
    }
  }
  for (const auto& [link, count] : ways)
    if (count >= others || has_word(cluster.link(link).name, cluster.device(device).name))
      out.insert(link);
  return out;
}

}  // namespace

std::vector<LinkStrip> link_strips(const core::Cluster& cluster, const LinkLoad& load,
                                   core::Nanoseconds step, const LinkChoice& choice,
                                   std::size_t most, const std::vector<double>& factors) {
  std::vector<LinkStrip> out;
  if (load.size() != cluster.links().size() || step.value <= 0) return out;
  std::set<core::LinkId> of_device;
  if (choice.device) of_device = links_of(cluster, *choice.device);
  for (std::uint32_t l = 0; l < load.size(); ++l) {
    const core::LinkId id(l);
    const core::Link& link = cluster.link(id);
    if (load.moved(id).value <= 0 || (choice.device && !of_device.contains(id)) ||
        (!choice.kind.empty() && !has_word(link.name, choice.kind)))
      continue;
    LinkStrip& strip = out.emplace_back();
    strip.link = id;
    strip.name = link.name;
    strip.bandwidth =
        core::BytesPerSecond(link.bandwidth.value * (l < factors.size() ? factors[l] : 1));
    strip.moved = load.moved(id);
    strip.mean = static_cast<double>(strip.moved.value) * 1e9 /
                 (static_cast<double>(step.value) * strip.bandwidth.value);
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const LinkStrip& a, const LinkStrip& b) { return a.mean > b.mean; });
  if (out.size() > most) out.resize(most);
  for (LinkStrip& strip : out) {
    for (const auto& [time, rate] : load.changes(strip.link)) {
      const double share = rate / strip.bandwidth.value;
      if (!strip.load.time.empty() && strip.load.time.back() == time.value) {
        strip.load.value.back() = share;
      } else {
        strip.load.time.push_back(time.value);
        strip.load.value.push_back(share);
      }
    }
    for (const double share : strip.load.value) strip.load.most = std::max(strip.load.most, share);
  }
  return out;
}

double load_at(const LinkStrip& strip, double time) {
  const auto& times = strip.load.time;
  const auto after =
      std::upper_bound(times.begin(), times.end(), time,
                       [](double t, std::int64_t at) { return t < static_cast<double>(at); });
  return after == times.begin()
             ? 0
             : strip.load.value[static_cast<std::size_t>(after - times.begin()) - 1];
}

std::vector<std::string> describe(const LinkStrip& strip, double time) {
  const double share = load_at(strip, time);
  std::vector<std::string> out{
      fmt::format("{}: {}, {:.0f} % of {}", strip.name,
                  core::human_text(core::BytesPerSecond(share * strip.bandwidth.value)),
                  100 * share, core::human_text(strip.bandwidth)),
      fmt::format("{} in the step, {:.1f} % in the mean, at most {:.0f} %",
                  core::human_text(strip.moved), 100 * strip.mean, 100 * strip.load.most)};
  if (strip.load.most > 1.005)
    out.emplace_back(
        "Above 100 %: more than the cluster's description says that the link carries.");
  return out;
}

}  // namespace soapstone::explorer
