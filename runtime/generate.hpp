// Text that a trained model makes up: continuations and translations.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/cluster.hpp"
#include "core/graph.hpp"
#include "core/kernel_catalog.hpp"
#include "core/result.hpp"
#include "core/strategy.hpp"
#include "runtime/comm/communicator.hpp"
#include "runtime/data/data_source.hpp"

namespace soapstone::runtime {

// All outlive the call.
struct GenerateProblem {
  const core::Graph& graph;
  const core::Strategy& strategy;
  const core::Cluster& cluster;  // device k is rank k
  const core::KernelCatalog& catalog;
  const DataSource& data;  // of text; says what tokens stand for
};

struct GenerateOptions {
  std::filesystem::path checkpoint;
  std::vector<std::string> prompts;  // empty: `count` samples of the data
  std::int64_t count = 5;
  std::int64_t length = 0;  // most tokens per text; 0: as many as the model's sequence has
  double temperature = 0;   // 0: always the likeliest token; else drawn from softmax(logits / it)
  std::uint64_t seed = 1;   // of what is drawn
};

// A translation: `given` is the message. A continuation: `given` is what stands before it, of a
// sample its first half.
struct GeneratedText {
  std::string given, made;
  std::string reference;  // of a sample: what the data has
};

// A graph with a source "target_tokens" translates, any other continues "tokens". Its logits must
// be [n, s, classes], the first input of the operator that makes the loss, and those of a token
// depend on the tokens before it alone: every token costs one forward pass, for a whole batch of
// texts. Refuses what is not so. Every process calls it with the same arguments and gets the same
// texts. `progress`, on process 0: how many tokens of the most that can be made are made.
core::Result<std::vector<GeneratedText>> generate(
    Communicator& communicator, const GenerateProblem& problem, const GenerateOptions& options,
    const std::function<void(std::int64_t made, std::int64_t most)>& progress = {});

}  // namespace soapstone::runtime
