#include "importers/detail/operator_names.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace soapstone::importers::detail {

using core::OpId;

namespace {

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> out;
  bool in_word = false;
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (std::isalnum(u)) {
      if (!in_word) out.emplace_back();
      out.back() += static_cast<char>(std::tolower(u));
    }
    in_word = std::isalnum(u) != 0;
  }
  return out;
}

std::string joined(const std::vector<std::string>& words, std::size_t from, std::size_t to) {
  std::string out;
  for (std::size_t i = from; i < to; ++i) out += (i > from ? "." : "") + words[i];
  return out;
}

// Letters and digits alone, in lower case.
std::string bare(std::string_view text) {
  std::string out;
  for (const std::string& word : words_of(text)) out += word;
  return out;
}

// What frameworks call what an operator computes, where that is not the operator's own name: the
// functions of PyTorch (native_functions.yaml) and the nodes of its backward pass
// (derivatives.yaml), without case and punctuation.
struct Alias {
  std::string_view function, kind;
};
constexpr std::array<Alias, 40> kAliases{{
    {"addmm", "linear"},
    {"convolution", "conv2d"},
    {"convolutionoverrideable", "conv2d"},
    {"mkldnnconvolution", "conv2d"},
    {"cudnnconvolution", "conv2d"},
    {"maxpool2d", "pool2d"},
    {"maxpool2dwithindices", "pool2d"},
    {"avgpool2d", "pool2d"},
    {"adaptiveavgpool2d", "adaptive_pool2d"},
    {"adaptivemaxpool2d", "adaptive_pool2d"},
    {"clampmin", "relu"},
    {"cat", "concat"},
    {"stack", "concat"},
    {"flatten", "reshape"},
    {"view", "reshape"},
    {"unsafeview", "reshape"},
    {"nativebatchnorm", "batch_norm"},
    {"cudnnbatchnorm", "batch_norm"},
    {"nativelayernorm", "layer_norm"},
    {"nativegroupnorm", "group_norm"},
    {"fusedrmsnorm", "rms_norm"},
    {"nativedropout", "dropout"},
    {"scaleddotproductattention", "attention"},
    {"scaleddotproductflashattention", "attention"},
    {"scaleddotproductefficientattention", "attention"},
    {"scaleddotproductcudnnattention", "attention"},
    {"multiheadattention", "attention"},
    {"crossentropyloss", "softmax_cross_entropy"},
    {"nllloss", "softmax_cross_entropy"},
    {"permute", "transpose"},
    {"constantpadnd", "pad"},
    {"bmm", "matmul"},
    {"mm", "matmul"},
    {"cudnnrnn", "lstm"},
    {"logsoftmax", "softmax"},
    {"sum", "reduce"},
    {"mean", "reduce"},
    {"to", "cast"},
    {"tocopy", "cast"},
    {"binarycrossentropywithlogits", "binary_cross_entropy"},
}};

}  // namespace

OperatorNames::OperatorNames(const core::Graph& graph) {
  for (std::size_t i = 0; i < graph.ops().size(); ++i) {
    const core::OpNode& node = graph.ops()[i];
    const OpId id{static_cast<std::uint32_t>(i)};
    by_kind_[bare(node.op.name())].push_back(id);
    const auto words = words_of(node.name);
    if (words.empty()) continue;
    most_words_ = std::max(most_words_, words.size());
    by_name_.emplace(joined(words, 0, words.size()), id);
  }
}

std::optional<OpId> OperatorNames::in(std::string_view text) const {
  const auto words = words_of(text);
  for (std::size_t count = std::min(most_words_, words.size()); count > 0; --count)
    for (std::size_t from = words.size() - count + 1; from-- > 0;) {
      const auto found = by_name_.find(joined(words, from, from + count));
      if (found == by_name_.end()) continue;
      if (count == 1 && words.size() > 1) {
        const auto& names = core::op_names();
        if (std::any_of(names.begin(), names.end(),
                        [&](std::string_view kind) { return kind == words[from]; }))
          continue;
      }
      return found->second;
    }
  return std::nullopt;
}

const std::vector<OpId>* OperatorNames::of_function(std::string_view function) const {
  if (const auto colons = function.rfind(':'); colons != std::string_view::npos)
    function.remove_prefix(colons + 1);
  if (const auto backward = function.find("Backward"); backward != std::string_view::npos)
    function = function.substr(0, backward);
  std::string name = bare(function);
  for (const Alias& alias : kAliases)
    if (alias.function == name) name = bare(alias.kind);
  const auto found = by_kind_.find(name);
  return found == by_kind_.end() ? nullptr : &found->second;
}

}  // namespace soapstone::importers::detail
