#include "reports/repeats.hpp"

#include <algorithm>

namespace soapstone::reports {

using namespace core;

namespace {

constexpr std::uint32_t kLeastOps = 3;

class Finder {
 public:
  Finder(const Graph& graph, const Strategy& strategy) : graph_(graph), strategy_(strategy) {}

  void find(std::uint32_t begin, std::uint32_t end, std::vector<Repeat>& out) const {
    Repeat best;
    for (std::uint32_t first = begin; first < end; ++first)
      for (std::uint32_t length = 1; first + 2 * length <= end; ++length) {
        // Even if all that follows were equal it would be worse.
        if (end - first - length < folded(best)) break;
        Repeat repeat{first, length, 1};
        while (first + length * (repeat.count + 1) <= end && continues(repeat)) ++repeat.count;
        if (repeat.count < 2 || length * repeat.count < kLeastOps) continue;
        if (folded(repeat) > folded(best) ||
            (folded(repeat) == folded(best) && length == best.length &&
             handed_on(repeat) < handed_on(best)))
          best = repeat;
      }
    if (best.count == 0) return;
    find(begin, best.first, out);
    out.push_back(best);
    find(best.first + best.length * best.count, end, out);
  }

 private:
  static std::uint32_t folded(const Repeat& r) {
    return r.count == 0 ? 0 : r.length * (r.count - 1);
  }

  // Tensors that go from the first block to what follows: few where a block is cut well.
  std::size_t handed_on(const Repeat& r) const {
    const std::uint32_t end = r.first + r.length;
    std::size_t count = 0;
    for (const Tensor& t : graph_.tensors())
      if (t.role == TensorRole::kActivation && t.producer.op.value < end && !t.uses.empty() &&
          t.uses.back().op.value >= end)
        ++count;
    return count;
  }

  // Whether the block behind the repeat's last one is equal to it.
  bool continues(const Repeat& r) const {
    const std::uint32_t last = r.first + r.length * (r.count - 1);
    for (std::uint32_t i = 0; i < r.length; ++i)
      if (!equal(r, last + i)) return false;
    return true;
  }

  // Whether operator a and the one a block's length behind it are equal.
  bool equal(const Repeat& r, std::uint32_t a) const {
    const std::uint32_t b = a + r.length;
    const OpNode &x = graph_.ops()[a], &y = graph_.ops()[b];
    if (x.op != y.op || strategy_.ops[a] != strategy_.ops[b] ||
        x.tensors.size() != y.tensors.size())
      return false;
    for (std::size_t i = 0; i < x.tensors.size(); ++i) {
      if (x.tensors[i].valid() != y.tensors[i].valid()) return false;
      if (x.tensors[i].valid() && !same_place(r, a, x.tensors[i], y.tensors[i])) return false;
    }
    return true;
  }

  bool same_place(const Repeat& r, std::uint32_t a, TensorId of_a, TensorId of_b) const {
    const Tensor &x = graph_.tensor(of_a), &y = graph_.tensor(of_b);
    if (x.role != y.role || x.desc != y.desc || x.needs_gradient != y.needs_gradient) return false;
    const std::uint32_t from_x = x.producer.op.value, from_y = y.producer.op.value;
    const bool outside = x.role == TensorRole::kSource || from_x < r.first;
    if (of_a == of_b) return outside;
    if (x.role == TensorRole::kSource) return false;
    if (from_x + r.length == from_y && x.producer.operand == y.producer.operand) return true;
    // What enters the first block from outside comes to the second from the first.
    return outside && x.role == TensorRole::kActivation && a < r.first + r.length &&
           from_y >= r.first && from_y < r.first + r.length;
  }

  const Graph& graph_;
  const Strategy& strategy_;
};

}  // namespace

std::vector<Repeat> find_repeats(const Graph& graph, const Strategy& strategy) {
  std::vector<Repeat> out;
  Finder(graph, strategy).find(0, static_cast<std::uint32_t>(graph.ops().size()), out);
  return out;
}

}  // namespace soapstone::reports
