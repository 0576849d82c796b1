#include "core/cluster.hpp"

#include <algorithm>

#include "core/assert.hpp"
#include "core/detail/cluster_presets.hpp"
#include "core/document_impl.hpp"
#include "core/suggest.hpp"
#include "core/units.hpp"

namespace soapstone::core {

namespace {

constexpr std::string_view kNumberFormats[] = {"f32", "f64", "bf16", "f16", "tf32"};

tl::unexpected<Error> not_accepted(const std::string& path, const std::string& value,
                                   std::string_view accepted) {
  return usage_error("at {}: {} is not accepted; accepted: {}", path, value, accepted);
}

template <class Q>
Status check_rate(const std::string& path, Q rate) {
  if (rate.value > 0) return {};
  return not_accepted(path, exact_text(rate), "more than zero");
}

Status check_latency(const std::string& path, Nanoseconds latency) {
  if (latency.value >= 0) return {};
  return not_accepted(path, fmt::format("{} ns", latency.value), "zero or more");
}

Status check_source(const std::string& path, const std::string& source) {
  if (!source.empty()) return {};
  return not_accepted(path + "/source", "\"\"",
                      "where the figures come from: a data sheet, an address, a measurement");
}

Status check_range(const std::string& path, int value, int least, int most) {
  if (value >= least && value <= most) return {};
  return not_accepted(path, fmt::format("{}", value),
                      fmt::format("an integer from {} to {}", least, most));
}

Status check(const DeviceKind& kind, const std::string& path) {
  if (kind.name.empty()) return not_accepted(path + "/name", "\"\"", "a name");
  SOAPSTONE_TRY(check_range(path + "/threads", kind.threads, 1, 4096));
  if (kind.peak.empty())
    return usage_error("at {}/peak: no peak is given; accepted: at least one, e.g. f32", path);
  for (const auto& [format, rate] : kind.peak) {
    if (std::find(std::begin(kNumberFormats), std::end(kNumberFormats), format) ==
        std::end(kNumberFormats))
      return usage_error("at {}/peak/{}: unknown number format; {}", path, format,
                         accepted_names(format, kNumberFormats));
    SOAPSTONE_TRY(check_rate(path + "/peak/" + format, rate));
  }
  SOAPSTONE_TRY(check_rate(path + "/memory", kind.memory));
  SOAPSTONE_TRY(check_rate(path + "/memory_bandwidth", kind.memory_bandwidth));
  SOAPSTONE_TRY(check_range(path + "/lanes", kind.lanes, 1, 2));
  SOAPSTONE_TRY(check_latency(path + "/launch_overhead", kind.launch_overhead));
  return check_source(path, kind.source);
}

Status check(const InterconnectSpec& spec, const std::string& path) {
  SOAPSTONE_TRY(check_rate(path + "/bandwidth", spec.bandwidth));
  SOAPSTONE_TRY(check_latency(path + "/latency", spec.latency));
  if (spec.pair_bandwidth) {
    SOAPSTONE_TRY(check_rate(path + "/pair_bandwidth", *spec.pair_bandwidth));
    if (spec.shared)
      return usage_error("at {}/pair_bandwidth: a shared interconnect has no pairs; leave it out",
                         path);
    if (*spec.pair_bandwidth > spec.bandwidth)
      return not_accepted(path + "/pair_bandwidth", exact_text(*spec.pair_bandwidth),
                          fmt::format("at most the device's {}", exact_text(spec.bandwidth)));
  }
  return check_source(path, spec.source);
}

Status check(const ClusterSpec& spec) {
  if (spec.name.empty()) return not_accepted("/name", "\"\"", "a name");
  std::vector<std::string_view> kinds;
  for (std::size_t i = 0; i < spec.device_kind.size(); ++i) {
    const std::string path = fmt::format("/device_kind/{}", i);
    const DeviceKind& kind = spec.device_kind[i];
    SOAPSTONE_TRY(check(kind, path));
    if (std::find(kinds.begin(), kinds.end(), kind.name) != kinds.end())
      return usage_error("at {}/name: a device kind `{}` is there already", path, kind.name);
    kinds.push_back(kind.name);
  }
  if (spec.node.empty()) return usage_error("at /node: no node is given; accepted: at least one");
  std::int64_t nodes = 0;
  std::int64_t devices = 0;
  for (std::size_t i = 0; i < spec.node.size(); ++i) {
    const std::string path = fmt::format("/node/{}", i);
    const NodeSpec& node = spec.node[i];
    SOAPSTONE_TRY(check_range(path + "/count", node.count, 1, Cluster::kMostDevices));
    SOAPSTONE_TRY(check_range(path + "/devices", node.devices, 1, Cluster::kMostDevices));
    if (std::find(kinds.begin(), kinds.end(), node.device_kind) == kinds.end())
      return usage_error("at {}/device_kind: no device kind is named `{}`; {}", path,
                         node.device_kind, accepted_names(node.device_kind, kinds));
    if (node.interconnect) SOAPSTONE_TRY(check(*node.interconnect, path + "/interconnect"));
    if (node.devices > 1 && !node.interconnect)
      return usage_error(
          "at {}: the key `interconnect` is missing; {} devices of one node need one", path,
          node.devices);
    nodes += node.count;
    devices += std::int64_t{node.count} * node.devices;
  }
  if (devices > Cluster::kMostDevices)
    return not_accepted("/node", fmt::format("a cluster of {} devices", devices),
                        fmt::format("at most {}", Cluster::kMostDevices));
  if (nodes > 1 && !spec.network)
    return usage_error(
        "at /network: the network between {} nodes is missing; accepted: a bandwidth, a latency "
        "and "
        "a source",
        nodes);
  if (spec.network) {
    SOAPSTONE_TRY(check_rate("/network/bandwidth", spec.network->bandwidth));
    SOAPSTONE_TRY(check_latency("/network/latency", spec.network->latency));
    SOAPSTONE_TRY(check_source("/network", spec.network->source));
  }
  return {};
}

LinkId after(LinkId first, std::size_t steps) {
  return LinkId(first.value + static_cast<std::uint32_t>(steps));
}

}  // namespace

std::optional<FlopsPerSecond> peak(const DeviceKind& kind, DType dtype) {
  const auto found = kind.peak.find(std::string(name_of(dtype)));
  return found == kind.peak.end() ? std::nullopt : std::optional(found->second);
}

LinkId Cluster::add_link(std::string name, BytesPerSecond bandwidth, Nanoseconds latency,
                         const std::string& source) {
  links_.push_back({std::move(name), bandwidth, latency, source});
  return LinkId(static_cast<std::uint32_t>(links_.size() - 1));
}

Result<Cluster> Cluster::build(ClusterSpec spec) {
  SOAPSTONE_TRY(check(spec));
  Cluster c;
  c.spec_ = std::move(spec);
  c.hash_ = hash_of(c.spec_);
  const bool several = c.spec_.node.size() > 1 || c.spec_.node.front().count > 1;
  for (const NodeSpec& spec_node : c.spec_.node) {
    const auto kind =
        std::find_if(c.spec_.device_kind.begin(), c.spec_.device_kind.end(),
                     [&](const DeviceKind& k) { return k.name == spec_node.device_kind; });
    for (int n = 0; n < spec_node.count; ++n) {
      const auto index = static_cast<std::uint32_t>(c.nodes_.size());
      const std::string node_name = fmt::format("node{}", index);
      Node node;
      node.first = DeviceId(static_cast<std::uint32_t>(c.devices_.size()));
      node.devices = static_cast<std::uint32_t>(spec_node.devices);
      for (int d = 0; d < spec_node.devices; ++d)
        c.devices_.push_back(
            {several ? fmt::format("{}.device{}", node_name, d) : fmt::format("device{}", d),
             static_cast<std::uint32_t>(kind - c.spec_.device_kind.begin()), index});
      if (spec_node.devices > 1) {
        const InterconnectSpec& inside = *spec_node.interconnect;
        const auto medium = name_of(inside.kind);
        const auto device_name = [&](std::uint32_t d) {
          return c.devices_[node.first.value + d].name;
        };
        node.shared = inside.shared;
        if (inside.shared) {
          node.inside =
              c.add_link(several ? fmt::format("{} {}", node_name, medium) : std::string(medium),
                         inside.bandwidth, inside.latency, inside.source);
        } else {
          // Out and in of each device in turn; the latency is counted once, on the way out.
          for (std::uint32_t d = 0; d < node.devices; ++d) {
            const LinkId out = c.add_link(fmt::format("{} {} out", device_name(d), medium),
                                          inside.bandwidth, inside.latency, inside.source);
            if (d == 0) node.inside = out;
            c.add_link(fmt::format("{} {} in", device_name(d), medium), inside.bandwidth,
                       Nanoseconds(0), inside.source);
          }
        }
        if (inside.pair_bandwidth) {
          for (std::uint32_t a = 0; a < node.devices; ++a)
            for (std::uint32_t b = 0; b < node.devices; ++b) {
              if (a == b) continue;
              const LinkId pair =
                  c.add_link(fmt::format("{} to {} {}", device_name(a), device_name(b), medium),
                             *inside.pair_bandwidth, Nanoseconds(0), inside.source);
              if (!node.pairs.valid()) node.pairs = pair;
            }
        }
      }
      if (several) {
        const NetworkSpec& network = *c.spec_.network;
        node.adapter_out = c.add_link(node_name + " network out", network.bandwidth,
                                      network.latency, network.source);
        node.adapter_in = c.add_link(node_name + " network in", network.bandwidth, Nanoseconds(0),
                                     network.source);
      }
      c.nodes_.push_back(node);
    }
  }
  return c;
}

Route Cluster::route(DeviceId src, DeviceId dst) const {
  Route route;
  if (src == dst) return route;
  const Node& from = nodes_[device(src).node];
  const Node& to = nodes_[device(dst).node];
  if (&from != &to) {
    route.push_back(from.adapter_out);
    route.push_back(to.adapter_in);
    return route;
  }
  if (from.shared) {
    route.push_back(from.inside);
    return route;
  }
  const std::size_t a = src.value - from.first.value;
  const std::size_t b = dst.value - from.first.value;
  route.push_back(after(from.inside, 2 * a));
  // Each device has a link to all others but itself.
  if (from.pairs.valid())
    route.push_back(after(from.pairs, a * (from.devices - 1) + (b < a ? b : b - 1)));
  route.push_back(after(from.inside, 2 * b + 1));
  return route;
}

Nanoseconds Cluster::path_latency(DeviceId src, DeviceId dst) const {
  Nanoseconds sum;
  for (const LinkId id : route(src, dst)) sum += link(id).latency;
  return sum;
}

BytesPerSecond Cluster::path_bandwidth(DeviceId src, DeviceId dst) const {
  const Route path = route(src, dst);
  SOAPSTONE_ASSERT(!path.empty(), "the path from device {} to itself", src.value);
  BytesPerSecond least = link(path[0]).bandwidth;
  for (const LinkId id : path) least = std::min(least, link(id).bandwidth);
  return least;
}

Nanoseconds Cluster::copy_time(DeviceId device, Bytes bytes) const {
  return bytes * 2 / kind(device).memory_bandwidth;
}

void hash_append(Hasher& h, const Cluster& cluster) { h.word(cluster.hash()); }

void print_append(std::string& out, const Cluster& cluster) {
  out += cluster.name();
  out += ": ";
  bool first = true;
  for (const NodeSpec& node : cluster.spec().node) {
    if (!first) out += " + ";
    first = false;
    out += fmt::format("{} x {} {}", node.count, node.devices, node.device_kind);
    if (node.interconnect)
      out += fmt::format(" ({} {})", name_of(node.interconnect->kind),
                         human_text(node.interconnect->bandwidth));
  }
  if (cluster.spec().network) out += ", network " + human_text(cluster.spec().network->bandwidth);
}

void json_write(Json& out, const Cluster& cluster) { write_json(out, cluster.spec()); }

Status json_read(const Json& in, const JsonPath& path, Cluster& cluster) {
  ClusterSpec spec;
  SOAPSTONE_TRY(read_json(in, path, spec));
  Result<Cluster> built = Cluster::build(std::move(spec));
  if (!built) return detail::nested_error(path, built.error());
  cluster = std::move(*built);
  return {};
}

Json json_schema(std::type_identity<Cluster>) { return value_schema<ClusterSpec>(); }

SOAPSTONE_INSTANTIATE_DOCUMENT(Cluster);

std::span<const std::string_view> preset_names() {
  static const std::vector<std::string_view> names = [] {
    std::vector<std::string_view> list;
    for (const auto& [name, text] : detail::cluster_presets()) list.push_back(name);
    return list;
  }();
  return names;
}

Result<std::string_view> preset_toml(std::string_view name) {
  for (const auto& [preset, text] : detail::cluster_presets())
    if (preset == name) return text;
  return usage_error("no cluster is named `{}`; {}, or the path of a .toml or .json file", name,
                     accepted_names(name, preset_names()));
}

Result<Cluster> load_cluster(const std::string& name_or_path) {
  const std::filesystem::path path(name_or_path);
  if (path.extension() == ".json") return load_document<Cluster>(path);
  if (path.extension() == ".toml" || path.has_parent_path()) {
    SOAPSTONE_ASSIGN(const std::string text, read_file(path));
    SOAPSTONE_ASSIGN(ClusterSpec spec, cluster_from_toml(text, name_or_path));
    return Cluster::build(std::move(spec));
  }
  SOAPSTONE_ASSIGN(const std::string_view text, preset_toml(name_or_path));
  SOAPSTONE_ASSIGN(ClusterSpec spec, cluster_from_toml(text, name_or_path + ".toml"));
  return Cluster::build(std::move(spec));
}

}  // namespace soapstone::core
