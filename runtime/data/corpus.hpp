// What the sources of text have in common.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/graph.hpp"
#include "runtime/data/data_source.hpp"
#include "runtime/data/vocabulary.hpp"

namespace soapstone::runtime {

// Language modelling on whole documents, as open_text says.
core::Result<DataSets> make_corpus(std::string name, const core::Graph& graph,
                                   std::span<const std::string> documents);

// A source of the graph that must hold tokens [n, s]; refused otherwise, with what `data` has.
core::Result<core::SourceSpec> token_source(const core::Graph& graph, std::string_view name,
                                            std::string_view data);

// How well the counts of `training` predict `test`. Tokens lie in [0, vocabulary).
double unigram_entropy(std::span<const std::int32_t> training, std::span<const std::int32_t> test,
                       std::int64_t vocabulary);

// `tokens` at the end of a row of `length`, Vocabulary::kEnd before them.
std::vector<std::int32_t> at_the_end(std::span<const std::int32_t> tokens, std::int64_t length);

// The first states of recurrent layers, source `zeros` of the zoo's models: `box` of it.
void fill_zeros(const core::SourceSpec& source, const core::Box& box, void* out);

}  // namespace soapstone::runtime
