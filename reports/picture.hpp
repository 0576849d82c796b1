// The graph and its placement, ready to be drawn: repeated blocks shown once, what moves on the
// edges.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/quantity.hpp"
#include "reports/movements.hpp"
#include "reports/report_input.hpp"

namespace soapstone::reports {

// An operator, or the equal operators of all blocks of a repeat, or a source. The figures are of
// one operator: means over the blocks.
struct PictureNode {
  std::string id;     // "op3"; sources: "source0"
  std::string name;   // "fc1"; "layer0…11_fc1" in a repeat
  std::string kind;   // "linear"; empty: a source
  std::string shape;  // of the first output
  std::string split;
  std::string devices;
  std::vector<std::uint32_t> ops;  // empty: a source
  core::Nanoseconds time;          // predicted, on the device where it takes longest
  core::Bytes memory;              // on the device where it takes most
  core::Bytes moved;               // for it, by all devices
  std::vector<Move> inside;        // between its steps
  std::vector<Move> weights;       // gradients of its weights, and the weights themselves if shared

  friend bool operator==(const PictureNode&, const PictureNode&) = default;
};

// The moves are of one edge: means over the blocks, if both ends are in a repeat.
struct PictureEdge {
  std::uint32_t from = 0, to = 0;  // nodes
  bool to_next_block = false;      // from one block of a repeat to the next
  std::vector<Move> values;        // forward
  std::vector<Move> gradients;     // backward

  friend bool operator==(const PictureEdge&, const PictureEdge&) = default;
};

// Nodes first … first + length - 1 stand for `count` blocks.
struct PictureBlock {
  std::uint32_t first = 0, length = 0, count = 0;

  friend bool operator==(const PictureBlock&, const PictureBlock&) = default;
};

struct Picture {
  std::string title;
  std::vector<PictureNode> nodes;  // operators in the graph's order, then the sources
  std::vector<PictureEdge> edges;
  std::vector<PictureBlock> blocks;

  friend bool operator==(const Picture&, const Picture&) = default;
};

Picture picture(const ReportInput& input);

// What the colour of a node says.
enum class ColourBy : std::uint8_t { kDevices, kTime, kMemory, kBytes };
SOAPSTONE_ENUM_NAMES(ColourBy, {ColourBy::kDevices, "devices"}, {ColourBy::kTime, "time"},
                     {ColourBy::kMemory, "memory"}, {ColourBy::kBytes, "bytes"})

struct LegendEntry {
  std::string text;
  std::string colour;

  friend bool operator==(const LegendEntry&, const LegendEntry&) = default;
};

// Colours as "#rrggbb", light enough for dark text. By devices every set has a colour of its own
// (the thirteenth the first one's again); else white is nothing and the darkest the most.
struct Colouring {
  std::vector<std::string> nodes;
  std::vector<LegendEntry> legend;

  friend bool operator==(const Colouring&, const Colouring&) = default;
};
Colouring colouring(const Picture& picture, ColourBy by);

}  // namespace soapstone::reports
