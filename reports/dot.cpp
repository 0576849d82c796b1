#include "reports/dot.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/core.h>

#include "core/units.hpp"

namespace soapstone::reports {

using namespace core;

namespace {

// A quoted string; \n in it is a line break.
std::string dot_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  return out + "\"";
}

std::string moves_text(const std::vector<Move>& moves, std::string_view before) {
  std::string out;
  for (const Move& m : moves)
    out += fmt::format("\n{}{} {}", before, name_of(m.pattern), human_text(m.bytes));
  return out;
}

std::string label(const PictureNode& node) {
  std::string out = node.name;
  if (node.kind.empty()) return out + "\n" + node.shape;
  out += fmt::format("\n{} {}\n{}{}on {}\n{} · {}", node.kind, node.shape, node.split,
                     node.split.empty() ? "" : " ", node.devices, human_text(node.time),
                     human_text(node.memory));
  return out + moves_text(node.inside, "inside: ") + moves_text(node.weights, "weights: ");
}

// Wider for more: a point for nothing, one more for every factor of 4096.
double width(const PictureEdge& edge) {
  double bytes = 0;
  for (const auto* moves : {&edge.values, &edge.gradients})
    for (const Move& m : *moves) bytes += static_cast<double>(m.bytes.value);
  return 1 + std::log2(1 + bytes) / 12;
}

std::string edge_text(const Picture& picture, const PictureEdge& edge) {
  std::string text = moves_text(edge.values, "  → ") + moves_text(edge.gradients, "  ← ");
  if (!text.empty()) text.erase(0, 1);  // its first line break
  std::string attributes;
  const auto add = [&](std::string_view name, const std::string& value) {
    attributes += fmt::format("{}{}={}", attributes.empty() ? "" : ", ", name, value);
  };
  if (!text.empty()) {
    add("label", dot_string(text));
    add("penwidth", fmt::format("{:.1f}", width(edge)));
    add("color", "\"#c2560c\"");
  }
  if (edge.to_next_block) {
    // Against the order of the drawing.
    add("style", "dashed");
    add("constraint", "false");
  }
  return fmt::format("  {} -> {}{};\n", picture.nodes[edge.from].id, picture.nodes[edge.to].id,
                     attributes.empty() ? "" : " [" + attributes + "]");
}

std::string legend_text(const std::vector<LegendEntry>& legend, const std::string& meaning) {
  std::string out = fmt::format(
      "  subgraph cluster_legend {{\n    label={};\n    color=\"#bbbbbb\";\n", dot_string(meaning));
  for (std::size_t i = 0; i < legend.size(); ++i) {
    out += fmt::format("    legend{} [id=legend{}, label={}, fillcolor=\"{}\"];\n", i, i,
                       dot_string(legend[i].text), legend[i].colour);
    if (i > 0) out += fmt::format("    legend{} -> legend{} [style=invis];\n", i - 1, i);
  }
  return out + "  }\n";
}

}  // namespace

std::string dot(const Picture& picture, ColourBy by, Legend legend) {
  return dot(picture, colouring(picture, by), std::string(name_of(by)), legend);
}

std::string dot(const Picture& picture, const Colouring& colours, const std::string& meaning,
                Legend legend) {
  std::string out = fmt::format(
      "digraph {} {{\n"
      "  graph [bgcolor=white, fontname=\"Helvetica,Arial,sans-serif\", fontsize=11, nodesep=0.25, "
      "ranksep=0.35];\n"
      "  node [shape=box, style=\"rounded,filled\", color=\"#555555\", fontcolor=\"#1b1f24\", "
      "fontname=\"Helvetica,Arial,sans-serif\", fontsize=10, margin=\"0.12,0.06\", height=0.3];\n"
      "  edge [color=\"#777777\", fontname=\"Helvetica,Arial,sans-serif\", fontsize=9, "
      "arrowsize=0.6];\n",
      dot_string(picture.title));
  for (std::size_t n = 0, block = 0; n < picture.nodes.size(); ++n) {
    const PictureNode& node = picture.nodes[n];
    const bool opens = block < picture.blocks.size() && picture.blocks[block].first == n;
    if (opens)
      out += fmt::format(
          "  subgraph cluster_{} {{\n  label=\"×{}\";\n  style=\"rounded,dashed\";\n  "
          "color=\"#555555\";\n  fontsize=14;\n",
          block, picture.blocks[block].count);
    out += fmt::format("  {} [id={}, label={}, fillcolor=\"{}\"{}];\n", node.id, node.id,
                       dot_string(label(node)), colours.nodes[n],
                       node.kind.empty() ? ", shape=ellipse, style=filled" : "");
    if (block < picture.blocks.size() &&
        n + 1 == picture.blocks[block].first + picture.blocks[block].length) {
      out += "  }\n";
      ++block;
    }
  }
  for (const PictureEdge& edge : picture.edges) out += edge_text(picture, edge);
  if (legend == Legend::kWith && !colours.legend.empty())
    out += legend_text(colours.legend, meaning);
  return out + "}\n";
}

}  // namespace soapstone::reports
