// Models by name.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/graph.hpp"
#include "core/result.hpp"

namespace soapstone::core {

struct ModelOptions {
  std::int64_t batch = 0;  // samples per step; 0: the model's default
  DType dtype = DType::kF32;
};

struct ModelInfo {
  std::string_view name;
  std::string_view description;
  std::int64_t default_batch = 0;
  std::string_view data;  // the data set it trains on, or "synthetic"
};

std::span<const ModelInfo> models();
// Unknown names are refused with the nearest known one.
Result<Graph> build_model(std::string_view name, const ModelOptions& options = {});

}  // namespace soapstone::core
