// The machines: devices, and the links between them. Every figure has a unit
// and a source.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "core/json_fwd.hpp"
#include "core/quantity.hpp"
#include "core/reflect.hpp"
#include "core/result.hpp"
#include "core/shape.hpp"

namespace soapstone::core {

// What one device can do. Rates are published or measured peaks; how much of
// them a kernel reaches is the cost model's business.
struct DeviceKind {
  std::string name;
  int threads = 1;                             // of the host, that one device occupies
  std::map<std::string, FlopsPerSecond> peak;  // by number format: f32, f64, bf16, …
  Bytes memory;
  BytesPerSecond memory_bandwidth;  // reads and writes together
  int lanes = 1;  // 1: the processor that computes moves data; 2: an engine of its own
  Nanoseconds launch_overhead;  // per kernel
  std::string source;

  friend bool operator==(const DeviceKind&, const DeviceKind&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("name", self.name);
    visit("threads", self.threads, kOptional);
    visit("peak", self.peak);
    visit("memory", self.memory);
    visit("memory_bandwidth", self.memory_bandwidth);
    visit("lanes", self.lanes);
    visit("launch_overhead", self.launch_overhead);
    visit("source", self.source);
  }
};

// The published peak for a number format, if the kind has one.
std::optional<FlopsPerSecond> peak(const DeviceKind& kind, DType dtype);

enum class InterconnectKind : std::uint8_t { kNvlink, kPcie, kSharedMemory };
SOAPSTONE_ENUM_NAMES(InterconnectKind, {InterconnectKind::kNvlink, "nvlink"},
                     {InterconnectKind::kPcie, "pcie"},
                     {InterconnectKind::kSharedMemory, "shared-memory"})

// How the devices of one node reach each other.
struct InterconnectSpec {
  InterconnectKind kind = InterconnectKind::kSharedMemory;
  BytesPerSecond
      bandwidth;  // shared: of all flows of the node together; else of each device, per direction
  Nanoseconds latency;  // of a message between two devices
  bool shared = false;
  // Not shared: what one pair of devices reaches, per direction, where that is
  // less than a device's whole bandwidth (NVLink without a switch).
  std::optional<BytesPerSecond> pair_bandwidth;
  std::string source;

  friend bool operator==(const InterconnectSpec&, const InterconnectSpec&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("kind", self.kind);
    visit("bandwidth", self.bandwidth);
    visit("latency", self.latency);
    visit("shared", self.shared, kOptional);
    visit("pair_bandwidth", self.pair_bandwidth, kOptional);
    visit("source", self.source);
  }
};

// `count` equal nodes.
struct NodeSpec {
  int count = 1;
  std::string device_kind;                       // a DeviceKind's name
  int devices = 1;                               // per node
  std::optional<InterconnectSpec> interconnect;  // wanted when `devices` > 1

  friend bool operator==(const NodeSpec&, const NodeSpec&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("count", self.count, kOptional);
    visit("device_kind", self.device_kind);
    visit("devices", self.devices, kOptional);
    visit("interconnect", self.interconnect, kOptional);
  }
};

// Between nodes: one adapter per node, shared by its devices, and a switch that
// serves all adapters at full speed.
struct NetworkSpec {
  BytesPerSecond bandwidth;  // of one adapter, per direction
  Nanoseconds latency;       // of a message between two nodes
  std::string source;

  friend bool operator==(const NetworkSpec&, const NetworkSpec&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("bandwidth", self.bandwidth);
    visit("latency", self.latency);
    visit("source", self.source);
  }
};

// What a cluster file says. Different kinds of nodes may stand in one file.
struct ClusterSpec {
  std::string name;
  std::string description;
  std::vector<DeviceKind> device_kind;
  std::vector<NodeSpec> node;
  std::optional<NetworkSpec> network;  // wanted with more than one node

  friend bool operator==(const ClusterSpec&, const ClusterSpec&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("name", self.name);
    visit("description", self.description, kOptional);
    visit("device_kind", self.device_kind);
    visit("node", self.node);
    visit("network", self.network, kOptional);
  }
};

struct LinkTag {};
using LinkId = Id<LinkTag>;

// A resource that flows share: one direction of a wire, a bus, an adapter.
struct Link {
  std::string name;
  BytesPerSecond bandwidth;
  Nanoseconds latency;
  std::string source;

  friend bool operator==(const Link&, const Link&) = default;
};

struct Device {
  std::string name;        // "node1.device3"; "device3" where there is one node
  std::uint32_t kind = 0;  // index into Cluster::kinds()
  std::uint32_t node = 0;

  friend bool operator==(const Device&, const Device&) = default;
};

// The links that a flow uses, in the order in which it meets them. Empty within one device.
class Route {
 public:
  void push_back(LinkId link) { links_[size_++] = link; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const LinkId* begin() const { return links_.data(); }
  const LinkId* end() const { return links_.data() + size_; }
  LinkId operator[](std::size_t i) const { return links_[i]; }

  friend bool operator==(const Route&, const Route&) = default;

 private:
  std::array<LinkId, 3> links_{};
  std::uint32_t size_ = 0;
};

// Immutable; everything follows from the ClusterSpec. Devices are numbered node
// by node in the order of the file, so that neighbours are near.
class Cluster {
 public:
  static constexpr std::string_view kFormat = "soapstone.cluster";
  static constexpr int kVersion = 1;
  static constexpr int kMostDevices = 1 << 16;

  // Errors begin with the path of the offending figure, "at /node/0/devices: ".
  static Result<Cluster> build(ClusterSpec spec);

  Cluster() = default;  // no devices

  const ClusterSpec& spec() const { return spec_; }
  const std::string& name() const { return spec_.name; }
  std::size_t size() const { return devices_.size(); }
  std::size_t nodes() const { return nodes_.size(); }
  std::span<const DeviceKind> kinds() const { return spec_.device_kind; }
  std::span<const Device> devices() const { return devices_; }
  std::span<const Link> links() const { return links_; }
  const Device& device(DeviceId id) const { return devices_[id.value]; }
  const DeviceKind& kind(DeviceId id) const { return spec_.device_kind[device(id).kind]; }
  const Link& link(LinkId id) const { return links_[id.value]; }
  bool same_node(DeviceId a, DeviceId b) const { return device(a).node == device(b).node; }

  // Computed, not stored: constant time, no allocation.
  Route route(DeviceId src, DeviceId dst) const;
  // The latencies of the route, added. Zero within one device.
  Nanoseconds path_latency(DeviceId src, DeviceId dst) const;
  // What a flow that is alone reaches. Not asked within one device.
  BytesPerSecond path_bandwidth(DeviceId src, DeviceId dst) const;
  // A copy inside a device's memory, which reads and writes every byte once.
  Nanoseconds copy_time(DeviceId device, Bytes bytes) const;

  std::uint64_t hash() const { return hash_; }
  friend bool operator==(const Cluster& a, const Cluster& b) { return a.spec_ == b.spec_; }

 private:
  struct Node {
    DeviceId first;  // its devices are numbered from here
    std::uint32_t devices = 0;
    LinkId inside;  // shared: the one link; else the first device's port out
    LinkId pairs;   // the first of devices x devices links, or none
    LinkId adapter_out;
    LinkId adapter_in;
    bool shared = false;
  };

  LinkId add_link(std::string name, BytesPerSecond bandwidth, Nanoseconds latency,
                  const std::string& source);

  ClusterSpec spec_;
  std::vector<Device> devices_;
  std::vector<Node> nodes_;
  std::vector<Link> links_;
  std::uint64_t hash_ = 0;
};

void hash_append(Hasher& h, const Cluster& cluster);
// One line: "p100-4x4: 4 x 4 p100 (nvlink 80 GB/s), network 12.5 GB/s".
void print_append(std::string& out, const Cluster& cluster);
// As a document a cluster is its ClusterSpec.
void json_write(Json& out, const Cluster& cluster);
Status json_read(const Json& in, const JsonPath& path, Cluster& cluster);
Json json_schema(std::type_identity<Cluster>);

// The file that people write (samples/clusters/ has examples). Errors name file, line, key,
// value and what is accepted; `name` stands for the file. The spec is checked
// as Cluster::build does.
Result<ClusterSpec> cluster_from_toml(std::string_view text, const std::string& name);
// Comes back from cluster_from_toml equal.
std::string to_toml(const ClusterSpec& spec);

// Clusters that come with the library; samples/clusters/ holds their files.
std::span<const std::string_view> preset_names();
// The text of a preset's file; an unknown name is an error that lists the names.
Result<std::string_view> preset_toml(std::string_view name);

// A preset's name, or the path of a .toml file, or of a .json document.
Result<Cluster> load_cluster(const std::string& name_or_path);

}  // namespace soapstone::core
