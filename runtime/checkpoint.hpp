// The state of a training between two steps, on disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/graph.hpp"
#include "core/result.hpp"
#include "runtime/optimizer.hpp"
#include "runtime/plan_run.hpp"

namespace soapstone::runtime {

// Tensors are whole and by name: it does not matter how they lay on devices. Random numbers and the
// order of samples follow from the seed and the step.
struct Checkpoint {
  std::string graph;
  std::string graph_hash;  // hexadecimal
  std::int64_t step = 0;   // steps done
  std::int64_t epoch = 0;  // the one that the next step belongs to
  std::int64_t step_in_epoch = 0;
  std::uint64_t seed = 0;
  std::string data;  // name of the data source
  OptimizerSettings optimizer;
  std::vector<WholeTensor> weights;
};

// File: the line "soapstone.checkpoint/1", the length of the header and of the data, a CRC-32 of
// both (decimal, one line), the header (JSON), then the tensors' values as raw little-endian
// numbers in row-major order, weights and their optimizer states alternating. Written atomically.
core::Status save_checkpoint(const std::filesystem::path& path, const core::Graph& graph,
                             const Checkpoint& checkpoint);

// Refuses what is truncated, damaged, newer, no checkpoint, or of another graph; says which.
core::Result<Checkpoint> load_checkpoint(const std::filesystem::path& path,
                                         const core::Graph& graph);

}  // namespace soapstone::runtime
