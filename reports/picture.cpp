#include "reports/picture.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>

#include "core/units.hpp"
#include "reports/op_table.hpp"
#include "reports/repeats.hpp"

namespace soapstone::reports {

using namespace core;

namespace {

// "layer0…11_fc1" for layer0_fc1 to layer11_fc1.
std::string common_name(std::string_view first, std::string_view last) {
  const std::size_t shorter = std::min(first.size(), last.size());
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  std::size_t front = 0, back = 0;
  while (front < shorter && first[front] == last[front]) ++front;
  while (front > 0 && is_digit(first[front - 1])) --front;  // numbers stay whole
  while (back < shorter - front && first[first.size() - 1 - back] == last[last.size() - 1 - back])
    ++back;
  while (back > 0 && is_digit(first[first.size() - back])) --back;
  return fmt::format(
      "{}{}…{}{}", first.substr(0, front), first.substr(front, first.size() - front - back),
      last.substr(front, last.size() - front - back), last.substr(last.size() - back));
}

class Painter {
 public:
  explicit Painter(const ReportInput& input)
      : input_(input),
        graph_(input.graph),
        repeats_(find_repeats(graph_, input.strategy)),
        moves_(movements(graph_, input.plan, input.predicted)) {}

  Picture paint() {
    out_.title = graph_.name();
    add_ops();
    add_sources();
    for (std::size_t n = 0; n < out_.nodes.size(); ++n) finish_node(out_.nodes[n]);
    add_edges();
    return std::move(out_);
  }

 private:
  void add_ops() {
    const auto rows = op_table(input_);
    std::size_t next = 0;
    for (std::uint32_t op = 0; op < graph_.ops().size();) {
      const bool repeated = next < repeats_.size() && repeats_[next].first == op;
      const Repeat block = repeated ? repeats_[next++] : Repeat{op, 1, 1};
      if (repeated)
        out_.blocks.push_back(
            {static_cast<std::uint32_t>(out_.nodes.size()), block.length, block.count});
      for (std::uint32_t i = 0; i < block.length; ++i) {
        PictureNode node;
        node.id = fmt::format("op{}", op + i);
        for (std::uint32_t k = 0; k < block.count; ++k) {
          const std::uint32_t member = op + i + k * block.length;
          node.ops.push_back(member);
          node_of_op_[member] = static_cast<std::uint32_t>(out_.nodes.size());
          block_of_op_[member] = k;
          node.time += rows[member].longest;
          node.memory += rows[member].memory;
          node.moved += rows[member].moved;
        }
        node.time.value /= block.count;
        node.memory.value /= block.count;
        node.moved.value /= block.count;
        const OpRow& row = rows[op + i];
        node.name = repeated ? common_name(row.name, rows[node.ops.back()].name) : row.name;
        node.kind = row.kind;
        node.split = row.split;
        node.devices = row.devices;
        const OpNode& of = graph_.op(OpId(op + i));
        for (const int k : of.definition.operands_of(OperandRole::kOutput)) {
          node.shape = print(of.definition.operands[static_cast<std::size_t>(k)].desc.shape);
          break;
        }
        out_.nodes.push_back(std::move(node));
      }
      op += block.length * block.count;
    }
  }

  void add_sources() {
    for (std::uint32_t t = 0; t < graph_.tensors().size(); ++t) {
      const Tensor& tensor = graph_.tensors()[t];
      if (tensor.role != TensorRole::kSource || tensor.uses.empty()) continue;
      node_of_source_[t] = static_cast<std::uint32_t>(out_.nodes.size());
      PictureNode node;
      node.id = fmt::format("source{}", node_of_source_.size() - 1);
      node.name = tensor.name;
      node.shape = print(tensor.desc.shape);
      out_.nodes.push_back(std::move(node));
    }
  }

  void finish_node(PictureNode& node) {
    OpMoves sum;
    for (const std::uint32_t op : node.ops) {
      sum.inside.add(moves_.ops[op].inside);
      sum.weights.add(moves_.ops[op].weights);
    }
    const auto count = std::max<std::int64_t>(1, static_cast<std::int64_t>(node.ops.size()));
    node.inside = sum.inside.mean(count);
    node.weights = sum.weights.mean(count);
  }

  void add_edges() {
    struct Sum {
      EdgeMoves moves;
      std::int64_t count = 0;
    };
    std::map<std::tuple<std::uint32_t, std::uint32_t, bool>, Sum> sums;
    for (std::uint32_t t = 0; t < graph_.tensors().size(); ++t) {
      const Tensor& tensor = graph_.tensors()[t];
      if (tensor.role == TensorRole::kWeight) continue;
      std::set<std::uint32_t> users;
      for (const OperandRef& use : tensor.uses) users.insert(use.op.value);
      for (const std::uint32_t user : users) {
        const std::uint32_t to = node_of_op_.at(user);
        std::uint32_t from = 0;
        bool to_next_block = false;
        if (tensor.role == TensorRole::kSource) {
          from = node_of_source_.at(t);
        } else {
          const std::uint32_t producer = tensor.producer.op.value;
          from = node_of_op_.at(producer);
          to_next_block =
              same_repeat(from, to) && block_of_op_.at(producer) != block_of_op_.at(user);
        }
        Sum& sum = sums[{from, to, to_next_block}];
        ++sum.count;
        const auto found = moves_.edges.find({t, user});
        if (found == moves_.edges.end()) continue;
        sum.moves.values.add(found->second.values);
        sum.moves.gradients.add(found->second.gradients);
      }
    }
    for (const auto& [key, sum] : sums)
      out_.edges.push_back({.from = std::get<0>(key),
                            .to = std::get<1>(key),
                            .to_next_block = std::get<2>(key),
                            .values = sum.moves.values.mean(sum.count),
                            .gradients = sum.moves.gradients.mean(sum.count)});
  }

  bool same_repeat(std::uint32_t a, std::uint32_t b) const {
    for (const PictureBlock& block : out_.blocks) {
      const auto inside = [&](std::uint32_t n) {
        return n >= block.first && n < block.first + block.length;
      };
      if (inside(a)) return inside(b);
    }
    return false;
  }

  const ReportInput& input_;
  const Graph& graph_;
  const std::vector<Repeat> repeats_;
  const Movements moves_;
  std::map<std::uint32_t, std::uint32_t> node_of_op_, block_of_op_, node_of_source_;
  Picture out_;
};

// Twelve that are told apart and carry dark text: Set3 of ColorBrewer (colorbrewer2.org).
constexpr std::array<std::string_view, 12> kSetColours{"#8dd3c7", "#ffffb3", "#bebada", "#fb8072",
                                                       "#80b1d3", "#fdb462", "#b3de69", "#fccde5",
                                                       "#d9d9d9", "#bc80bd", "#ccebc5", "#ffed6f"};
constexpr std::string_view kNoColour = "#ffffff";

// From white to orange: `share` in [0, 1].
std::string scale_colour(double share) {
  constexpr double kEnds[2][3] = {{255, 255, 255}, {244, 142, 60}};
  std::string out = "#";
  for (int c = 0; c < 3; ++c)
    out += fmt::format("{:02x}", std::lround(kEnds[0][c] + share * (kEnds[1][c] - kEnds[0][c])));
  return out;
}

std::int64_t amount(const PictureNode& node, ColourBy by) {
  switch (by) {
    case ColourBy::kTime:
      return node.time.value;
    case ColourBy::kMemory:
      return node.memory.value;
    case ColourBy::kBytes:
      return node.moved.value;
    case ColourBy::kDevices:
      break;
  }
  return 0;
}

}  // namespace

Picture picture(const ReportInput& input) { return Painter(input).paint(); }

Colouring colouring(const Picture& picture, ColourBy by) {
  Colouring out;
  if (by == ColourBy::kDevices) {
    std::map<std::string, std::string> colours;
    for (const PictureNode& node : picture.nodes) {
      if (node.kind.empty()) {
        out.nodes.emplace_back(kNoColour);
        continue;
      }
      const auto [it, is_new] =
          colours.emplace(node.devices, kSetColours[colours.size() % kSetColours.size()]);
      if (is_new)
        out.legend.push_back({node.devices.find_first_of("-,") == std::string::npos
                                  ? "device " + node.devices
                                  : "devices " + node.devices,
                              it->second});
      out.nodes.push_back(it->second);
    }
    return out;
  }
  std::int64_t most = 0;
  for (const PictureNode& node : picture.nodes) most = std::max(most, amount(node, by));
  for (const PictureNode& node : picture.nodes)
    out.nodes.push_back(most == 0 ? std::string(kNoColour)
                                  : scale_colour(static_cast<double>(amount(node, by)) /
                                                 static_cast<double>(most)));
  constexpr int kSteps = 4;
  for (int i = 0; i <= kSteps && most > 0; ++i) {
    const std::int64_t value = most * i / kSteps;
    out.legend.push_back(
        {by == ColourBy::kTime ? human_text(Nanoseconds(value)) : human_text(Bytes(value)),
         scale_colour(static_cast<double>(i) / kSteps)});
  }
  return out;
}

}  // namespace soapstone::reports
