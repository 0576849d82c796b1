// Which operator of a graph something on a foreign trace belongs to.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/graph.hpp"

namespace soapstone::importers::detail {

// By name: of the operators whose name stands in a text between separators (anything but letters
// and digits), the one with the longest name. Case and the kind of separator do not count:
// "layer3_fc" is found in "model.Layer3.fc". A name that is a bare kind ("relu", "add") is found in
// that text alone, since frameworks call their own functions so.
class OperatorNames {
 public:
  explicit OperatorNames(const core::Graph& graph);

  std::optional<core::OpId> in(std::string_view text) const;

  // By kind: the operators of the kind that a function of the framework computes ("aten::addmm",
  // "ConvolutionBackward0"), in the graph's order; null: no kind is known by that name.
  const std::vector<core::OpId>* of_function(std::string_view function) const;

 private:
  std::unordered_map<std::string, core::OpId> by_name_;  // as words joined by dots
  std::size_t most_words_ = 1;
  std::unordered_map<std::string, std::vector<core::OpId>> by_kind_;
};

}  // namespace soapstone::importers::detail
