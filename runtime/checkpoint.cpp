#include "runtime/checkpoint.hpp"

#include <bit>
#include <charconv>
#include <cstring>

#include <zlib.h>

#include "core/file.hpp"
#include "core/json.hpp"
#include "core/strategy.hpp"

namespace soapstone::runtime {

static_assert(std::endian::native == std::endian::little, "checkpoints hold little-endian numbers");

namespace {

constexpr std::string_view kKind = "soapstone.checkpoint/";
constexpr int kVersion = 1;

struct TensorEntry {
  std::string name;
  core::DType dtype = core::DType::kF32;
  core::Shape shape;
  std::uint32_t optimizer_states = 0;

  friend bool operator==(const TensorEntry&, const TensorEntry&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("name", self.name);
    visit("dtype", self.dtype);
    visit("shape", self.shape);
    visit("optimizer_states", self.optimizer_states);
  }
};

struct Header {
  std::string graph, graph_hash;
  std::int64_t step = 0, epoch = 0, step_in_epoch = 0;
  std::uint64_t seed = 0;
  std::string data;
  OptimizerSettings optimizer;
  std::vector<TensorEntry> tensors;

  friend bool operator==(const Header&, const Header&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("graph", self.graph);
    visit("graph_hash", self.graph_hash);
    visit("step", self.step);
    visit("epoch", self.epoch);
    visit("step_in_epoch", self.step_in_epoch);
    visit("seed", self.seed);
    visit("data", self.data);
    visit("optimizer", self.optimizer);
    visit("tensors", self.tensors);
  }
};

std::uint32_t checksum(std::string_view bytes) {
  uLong crc = crc32(0, nullptr, 0);
  while (!bytes.empty()) {
    const auto piece = bytes.substr(0, 1u << 30);
    crc = crc32(crc, reinterpret_cast<const Bytef*>(piece.data()), static_cast<uInt>(piece.size()));
    bytes.remove_prefix(piece.size());
  }
  return static_cast<std::uint32_t>(crc);
}

// Three numbers, blank between them.
bool parse_numbers(std::string_view line, std::uint64_t (&numbers)[3]) {
  const char* at = line.data();
  const char* const end = at + line.size();
  for (std::uint64_t& n : numbers) {
    while (at < end && *at == ' ') ++at;
    const auto [next, error] = std::from_chars(at, end, n);
    if (error != std::errc()) return false;
    at = next;
  }
  return at == end;
}

}  // namespace

core::Status save_checkpoint(const std::filesystem::path& path, const core::Graph& graph,
                             const Checkpoint& c) {
  Header header{c.graph, c.graph_hash, c.step,      c.epoch, c.step_in_epoch,
                c.seed,  c.data,       c.optimizer, {}};
  std::size_t size = 0;
  for (const WholeTensor& t : c.weights) {
    header.tensors.push_back({graph.tensors()[t.tensor].name, t.desc.dtype, t.desc.shape,
                              static_cast<std::uint32_t>(t.states.size())});
    size += t.value.size() * (1 + t.states.size());
  }
  SOAPSTONE_ASSIGN(const std::string text, core::json_text(core::to_json(header)));
  std::string body = text;
  body.reserve(text.size() + size);
  const auto add = [&](const std::vector<std::byte>& bytes) {
    body.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  for (const WholeTensor& t : c.weights) {
    add(t.value);
    for (const auto& s : t.states) add(s);
  }
  std::string file =
      fmt::format("{}{}\n{} {} {}\n", kKind, kVersion, text.size(), size, checksum(body));
  file += body;
  return core::write_file_atomically(path, file);
}

core::Result<Checkpoint> load_checkpoint(const std::filesystem::path& path,
                                         const core::Graph& graph) {
  const std::string name = path.string();
  SOAPSTONE_ASSIGN(const std::string file, core::read_file(path));
  std::string_view rest = file;
  const auto line = [&] {
    const auto end = std::min(rest.find('\n'), rest.size());
    const std::string_view l = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return l;
  };
  const std::string_view first = rest.substr(0, kKind.size());
  if (first != kKind)
    return core::usage_error("{}: at offset 0: expected `{}{}`: this is no checkpoint", name, kKind,
                             kVersion);
  const std::string_view format = line();
  int version = 0;
  (void)std::from_chars(format.data() + kKind.size(), format.data() + format.size(), version);
  if (version != kVersion)
    return core::refuse("{}: checkpoint format {}; this program reads format {}{}", name,
                        format.substr(kKind.size()), kVersion,
                        version > kVersion ? ": it was written by a newer one" : "");
  std::uint64_t numbers[3] = {};
  if (!parse_numbers(line(), numbers))
    return core::fail("{}: line 2: expected the lengths of header and data and a checksum", name);
  const auto [header_size, data_size, expected] = numbers;
  if (header_size > rest.size() || data_size != rest.size() - header_size)
    return core::fail("{}: expected {} bytes after offset {}, found {}: the file is {}", name,
                      header_size + data_size, file.size() - rest.size(), rest.size(),
                      header_size + data_size > rest.size() ? "truncated" : "too long");
  if (const std::uint32_t found = checksum(rest); found != expected)
    return core::fail("{}: checksum {:08x} was written, {:08x} is found: the file is damaged", name,
                      expected, found);

  core::Json json = core::Json::parse(rest.substr(0, header_size), nullptr, false);
  if (json.is_discarded()) return core::fail("{}: line 3: the header is not JSON", name);
  auto header = core::from_json<Header>(json);
  if (!header) return core::usage_error("{}: line 3: {}", name, header.error().message);
  if (header->graph_hash != core::hex(graph.hash()))
    return core::refuse(
        "{}: a checkpoint of {} ({}), this is {} ({}); model, batch and number format must be the "
        "same",
        name, header->graph, header->graph_hash, graph.name(), core::hex(graph.hash()));
  Checkpoint c{header->graph, header->graph_hash,    header->step,
               header->epoch, header->step_in_epoch, header->seed,
               header->data,  header->optimizer,     {}};
  rest.remove_prefix(header_size);
  const auto take = [&](std::size_t size) {
    const auto* at = reinterpret_cast<const std::byte*>(rest.data());
    std::vector<std::byte> bytes(at, at + size);
    rest.remove_prefix(size);
    return bytes;
  };
  std::size_t weights = 0;
  for (const core::Tensor& t : graph.tensors()) weights += t.role == core::TensorRole::kWeight;
  for (const TensorEntry& entry : header->tensors) {
    const auto id = graph.find_tensor(entry.name);
    if (!id || graph.tensor(*id).role != core::TensorRole::kWeight ||
        graph.tensor(*id).desc.shape != entry.shape || graph.tensor(*id).desc.dtype != entry.dtype)
      return core::fail("{}: {} has no weight {} {}", name, graph.name(), entry.name,
                        core::print(entry.shape));
    WholeTensor t;
    t.tensor = id->value;
    t.desc = {entry.shape, entry.dtype, {}};
    const auto size = static_cast<std::size_t>(core::bytes_of(t.desc).value);
    if (size * (1 + entry.optimizer_states) > rest.size())
      return core::fail("{}: {} needs {} bytes, {} are left", name, entry.name,
                        size * (1 + entry.optimizer_states), rest.size());
    t.value = take(size);
    for (std::uint32_t k = 0; k < entry.optimizer_states; ++k) t.states.push_back(take(size));
    c.weights.push_back(std::move(t));
  }
  if (c.weights.size() != weights || !rest.empty())
    return core::fail("{}: {} of the {} weights of {}, and {} bytes more", name, c.weights.size(),
                      weights, graph.name(), rest.size());
  return c;
}

}  // namespace soapstone::runtime
