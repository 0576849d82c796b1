#include "explorer_gui/model/graph_folds.hpp"

#include <algorithm>
#include <deque>

#include <fmt/core.h>

#include "core/reflect.hpp"

namespace soapstone::explorer {

using namespace core;

namespace {

constexpr std::uint32_t kLeastBlock = 3;
constexpr std::size_t kMostSources = 6;
// Longer blocks of one level are not looked for, nor repeats that fold less than this share of a
// long level away: the time that it takes stays in proportion to the level.
constexpr std::size_t kLongestBlock = 256;
constexpr std::size_t kLeastShare = 200;
// Below so many boxes the largest ones are opened even if their level does not fit.
constexpr std::size_t kFewBoxes = 16;

bool parts_names(char c) { return c == '_' || c == '.' || c == '/' || c == ':'; }

// The name up to its first separator at or behind `from`.
std::string_view beginning(std::string_view name, std::size_t from) {
  for (std::size_t i = from; i < name.size(); ++i)
    if (parts_names(name[i])) return name.substr(0, i);
  return name;
}

// "layer0…11" for layer0 and layer11, else "first…last".
std::string range_name(std::string_view first, std::string_view last) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const std::size_t shorter = std::min(first.size(), last.size());
  std::size_t front = 0;
  while (front < shorter && first[front] == last[front]) ++front;
  while (front > 0 && is_digit(first[front - 1])) --front;  // numbers stay whole
  std::size_t a = front, b = front;
  while (a < first.size() && is_digit(first[a])) ++a;
  while (b < last.size() && is_digit(last[b])) ++b;
  if (a > front && b > front && first.substr(a) == last.substr(b))
    return fmt::format("{}…{}{}", first.substr(0, a), last.substr(front, b - front),
                       first.substr(a));
  return fmt::format("{}…{}", first, last);
}

class Builder {
 public:
  Builder(const Graph& graph, std::size_t most)
      : graph_(graph), most_(std::max<std::size_t>(most, 4)) {
    for (const OpNode& node : graph_.ops()) {
      Hasher h;
      append_hash(h, node.op);
      for (const TensorId t : node.tensors)
        if (t.valid()) append_hash(h, graph_.tensor(t).desc);
      looks_.push_back(h.finish());
    }
    // Tensors that are alive behind every operator: where few are, a row is cut well.
    alive_.assign(graph_.ops().size() + 1, 0);
    for (const Tensor& t : graph_.tensors()) {
      if (t.role != TensorRole::kActivation || t.uses.empty()) continue;
      ++alive_[t.producer.op.value + 1];
      --alive_[t.uses.back().op.value + 1];
    }
    for (std::size_t i = 1; i < alive_.size(); ++i) alive_[i] += alive_[i - 1];
  }

  FoldTree build() {
    // A draft first; then numbered so that parents stand before their children.
    Draft root{Fold::Kind::kBlock, graph_.name(), 0, ops(), {}};
    root.children = level(0, ops(), 0);
    cut(root.children);
    std::vector<Draft> sources;
    for (std::uint32_t t = 0; t < graph_.tensors().size(); ++t) {
      const Tensor& tensor = graph_.tensors()[t];
      if (tensor.role == TensorRole::kSource && !tensor.uses.empty())
        sources.push_back({Fold::Kind::kSource, tensor.name, t, 1, {}});
    }
    if (sources.size() > kMostSources) {
      Draft all{Fold::Kind::kSources, fmt::format("{} inputs", sources.size()), 0,
                static_cast<std::uint32_t>(sources.size()), std::move(sources)};
      sources.clear();
      sources.push_back(std::move(all));
    }
    root.children.insert(root.children.begin(), std::make_move_iterator(sources.begin()),
                         std::make_move_iterator(sources.end()));
    tree_.fold_of_op.resize(ops());
    add(root, kNoFold, 0);
    return std::move(tree_);
  }

 private:
  struct Draft {
    Fold::Kind kind = Fold::Kind::kOp;
    std::string name;
    std::uint32_t first = 0, length = 0;
    std::vector<Draft> children;
  };

  std::uint32_t ops() const { return static_cast<std::uint32_t>(graph_.ops().size()); }
  std::string_view name(std::uint32_t op) const { return graph_.ops()[op].name; }

  void add(const Draft& draft, std::uint32_t parent, std::uint32_t depth) {
    const auto id = static_cast<std::uint32_t>(tree_.folds.size());
    tree_.folds.push_back({draft.kind, draft.name, draft.first, draft.length, parent, depth, {}});
    if (parent != kNoFold) tree_.folds[parent].children.push_back(id);
    if (draft.kind == Fold::Kind::kOp) tree_.fold_of_op[draft.first] = id;
    for (const Draft& child : draft.children) add(child, id, depth + 1);
  }

  // Operators first … first + length - 1, whose names agree in their first `known` letters.
  std::vector<Draft> level(std::uint32_t first, std::uint32_t length, std::size_t known) {
    std::vector<Draft> out;
    for (std::uint32_t op = first; op < first + length;) {
      const std::string_view begin = beginning(name(op), known);
      std::uint32_t count = 1;
      while (op + count < first + length && beginning(name(op + count), known) == begin) ++count;
      if (count == length && count > 1 && begin.size() < longest(first, length)) {
        return level(first, length, begin.size() + 1);
      }
      if (count >= kLeastBlock) {
        Draft block{Fold::Kind::kBlock, std::string(begin), op, count, {}};
        block.children = level(op, count, begin.size() + 1);
        cut(block.children);
        out.push_back(std::move(block));
      } else {
        for (std::uint32_t i = op; i < op + count; ++i)
          out.push_back({Fold::Kind::kOp, std::string(name(i)), i, 1, {}});
      }
      op += count;
    }
    return repeated(std::move(out));
  }

  std::size_t longest(std::uint32_t first, std::uint32_t length) const {
    std::size_t most = 0;
    for (std::uint32_t op = first; op < first + length; ++op)
      most = std::max(most, name(op).size());
    return most;
  }

  // --- repeats
  // ------------------------------------------------------------------------------------

  // Whether the operators from b on are like those from a on, inside and among each other.
  bool equal(std::uint32_t a, std::uint32_t b, std::uint32_t length) const {
    for (std::uint32_t i = 0; i < length; ++i) {
      if (looks_[a + i] != looks_[b + i]) return false;
      const auto &x = graph_.ops()[a + i].tensors, &y = graph_.ops()[b + i].tensors;
      if (x.size() != y.size()) return false;
      for (std::size_t k = 0; k < x.size(); ++k) {
        if (x[k].valid() != y[k].valid()) return false;
        if (!x[k].valid()) continue;
        const Tensor &of_x = graph_.tensor(x[k]), &of_y = graph_.tensor(y[k]);
        if (of_x.role != of_y.role) return false;
        if (of_x.role != TensorRole::kActivation) continue;
        const std::uint32_t from_x = of_x.producer.op.value, from_y = of_y.producer.op.value;
        if ((from_x >= a) != (from_y >= b)) return false;
        if (from_x >= a &&
            (from_x - a != from_y - b || of_x.producer.operand != of_y.producer.operand))
          return false;
      }
    }
    return true;
  }

  struct Found {
    std::size_t first = 0, length = 0, count = 0;  // children
    std::size_t folded = 0;                        // children that go away
  };

  // The repeat among children begin … end - 1 that folds most away.
  Found best_repeat(const std::vector<Draft>& items, const std::vector<std::uint64_t>& looks,
                    std::size_t begin, std::size_t end) const {
    Found best;
    best.folded = items.size() / kLeastShare;
    for (std::size_t first = begin; first < end; ++first)
      for (std::size_t length = 1; first + 2 * length <= end && length <= kLongestBlock; ++length) {
        if (end - first - length <= best.folded) break;
        if (looks[first] != looks[first + length]) continue;
        std::size_t count = 1;
        while (first + length * (count + 1) <= end &&
               std::equal(looks.begin() + static_cast<std::ptrdiff_t>(first),
                          looks.begin() + static_cast<std::ptrdiff_t>(first + length),
                          looks.begin() + static_cast<std::ptrdiff_t>(first + length * count)))
          ++count;
        if (count < 2) continue;
        // Few operators are seen at once: folding them hides more than it helps.
        const std::uint32_t block =
            items[first + length - 1].first + items[first + length - 1].length - items[first].first;
        if (block * count < 2 * kLeastBlock || (block < kLeastBlock && count < 4)) continue;
        std::size_t same = 1;
        while (same < count && equal(items[first].first, items[first + same * length].first, block))
          ++same;
        if (same < 2 || block * same < 2 * kLeastBlock) continue;
        if (length * (same - 1) > best.folded) best = {first, length, same, length * (same - 1)};
      }
    return best;
  }

  std::vector<Draft> repeated(std::vector<Draft> items) {
    std::vector<std::uint64_t> looks;
    for (const Draft& d : items) {
      Hasher h;
      for (std::uint32_t op = d.first; op < d.first + d.length; ++op) h.word(looks_[op]);
      looks.push_back(h.finish());
    }
    std::vector<Draft> out;
    const auto take = [&](auto&& self, std::size_t begin, std::size_t end) -> void {
      const Found found = best_repeat(items, looks, begin, end);
      if (found.count == 0) {
        for (std::size_t i = begin; i < end; ++i) out.push_back(std::move(items[i]));
        return;
      }
      self(self, begin, found.first);
      out.push_back(repeat(items, found));
      self(self, found.first + found.length * found.count, end);
    };
    take(take, 0, items.size());
    return out;
  }

  static Draft repeat(std::vector<Draft>& items, const Found& found) {
    Draft all{Fold::Kind::kRepeat, {}, items[found.first].first, 0, {}};
    for (std::size_t k = 0; k < found.count; ++k) {
      const std::size_t begin = found.first + k * found.length;
      if (found.length == 1) {
        all.children.push_back(std::move(items[begin]));
      } else {
        Draft block{Fold::Kind::kBlock,
                    range_name(items[begin].name, items[begin + found.length - 1].name),
                    items[begin].first,
                    0,
                    {}};
        for (std::size_t i = begin; i < begin + found.length; ++i) {
          block.length += items[i].length;
          block.children.push_back(std::move(items[i]));
        }
        all.children.push_back(std::move(block));
      }
      all.length += all.children.back().length;
    }
    all.name = range_name(all.children.front().name, all.children.back().name);
    return all;
  }

  // --- long rows
  // ----------------------------------------------------------------------------------

  // Children that stand beside each other become blocks until there are few enough.
  void cut(std::vector<Draft>& items) const {
    while (items.size() > most_) {
      const std::size_t parts = std::max<std::size_t>(
          2, std::min(most_ / 2, (items.size() + most_ / 2 - 1) / (most_ / 2)));
      std::vector<Draft> out;
      std::size_t begin = 0;
      for (std::size_t p = 1; p <= parts; ++p) {
        std::size_t end = items.size() * p / parts;
        if (p < parts) {
          // The best place within a quarter of a part to either side.
          const std::size_t reach = items.size() / parts / 4;
          std::size_t best = end;
          for (std::size_t at = std::max(begin + 1, end - reach);
               at <= std::min(items.size() - 1, end + reach); ++at)
            if (alive_[items[at].first] < alive_[items[best].first]) best = at;
          end = best;
        }
        if (end <= begin) continue;
        if (end - begin == 1) {
          out.push_back(std::move(items[begin]));
        } else {
          Draft block{Fold::Kind::kBlock,
                      range_name(items[begin].name, items[end - 1].name),
                      items[begin].first,
                      0,
                      {}};
          for (std::size_t i = begin; i < end; ++i) {
            block.length += items[i].length;
            block.children.push_back(std::move(items[i]));
          }
          cut(block.children);
          out.push_back(std::move(block));
        }
        begin = end;
      }
      items = std::move(out);
    }
  }

  const Graph& graph_;
  const std::size_t most_;
  std::vector<std::uint64_t> looks_;  // per operator: attributes and shapes
  std::vector<std::int64_t> alive_;   // tensors that cross the border before an operator
  FoldTree tree_;
};

}  // namespace

FoldTree fold_tree(const Graph& graph, std::size_t most) { return Builder(graph, most).build(); }

std::vector<Shown> first_sight(const FoldTree& tree, std::size_t most) {
  std::vector<Shown> open(tree.folds.size(), Shown::kClosed);
  open[0] = Shown::kEach;
  std::vector<std::uint32_t> boxes = tree.folds[0].children;
  const auto inside = [&](std::uint32_t f) -> const std::vector<std::uint32_t>& {
    return content(tree, f, opened(tree, f));
  };
  while (true) {
    std::vector<std::uint32_t> closed;
    std::size_t after = boxes.size();
    for (const std::uint32_t f : boxes)
      if (tree.folds[f].opens() && tree.folds[f].kind != Fold::Kind::kSources) {
        closed.push_back(f);
        after += inside(f).size() - 1;
      }
    if (closed.empty()) return open;
    // The whole level, or the repeats of it, or while there are few boxes the largest.
    std::stable_sort(closed.begin(), closed.end(), [&](std::uint32_t a, std::uint32_t b) {
      const Fold &x = tree.folds[a], &y = tree.folds[b];
      const bool repeats_a = x.kind == Fold::Kind::kRepeat,
                 repeats_b = y.kind == Fold::Kind::kRepeat;
      return repeats_a != repeats_b ? repeats_a : x.length > y.length;
    });
    std::vector<std::uint32_t> chosen;
    std::size_t now = boxes.size();
    for (const std::uint32_t f : closed) {
      const std::size_t with = now + inside(f).size() - 1;
      const bool wanted =
          after <= most || (tree.folds[f].kind == Fold::Kind::kRepeat) || now < kFewBoxes;
      if (!wanted || with > most) continue;
      chosen.push_back(f);
      now = with;
    }
    if (chosen.empty()) return open;
    std::vector<std::uint32_t> next;
    for (const std::uint32_t f : boxes) {
      if (std::find(chosen.begin(), chosen.end(), f) == chosen.end()) {
        next.push_back(f);
        continue;
      }
      open[f] = opened(tree, f);
      const auto& children = inside(f);
      next.insert(next.end(), children.begin(), children.end());
    }
    boxes = std::move(next);
  }
}

Shown opened(const FoldTree& tree, std::uint32_t fold) {
  const Fold& f = tree.folds[fold];
  return f.kind == Fold::Kind::kRepeat && tree.folds[f.children.front()].opens() ? Shown::kOnce
                                                                                 : Shown::kEach;
}

const std::vector<std::uint32_t>& content(const FoldTree& tree, std::uint32_t fold, Shown shown) {
  const Fold& f = tree.folds[fold];
  return f.kind == Fold::Kind::kRepeat && shown == Shown::kOnce
             ? tree.folds[f.children.front()].children
             : f.children;
}

void reveal(const FoldTree& tree, std::uint32_t op, std::vector<Shown>& open) {
  if (op >= tree.fold_of_op.size()) return;
  std::uint32_t at = 0;
  while (tree.folds[at].opens()) {
    if (open[at] == Shown::kClosed) open[at] = opened(tree, at);
    const Fold& fold = tree.folds[at];
    if (fold.kind == Fold::Kind::kRepeat && open[at] == Shown::kOnce)
      op = fold.first + (op - fold.first) % tree.folds[fold.children.front()].length;
    const auto& children = content(tree, at, open[at]);
    const auto child = std::find_if(children.begin(), children.end(), [&](std::uint32_t c) {
      const Fold& f = tree.folds[c];
      return f.kind != Fold::Kind::kSource && f.kind != Fold::Kind::kSources && op >= f.first &&
             op < f.first + f.length;
    });
    if (child == children.end()) return;
    at = *child;
  }
}

}  // namespace soapstone::explorer
