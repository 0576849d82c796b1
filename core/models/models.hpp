// Models by name.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "core/graph.hpp"
#include "core/result.hpp"

namespace soapstone::core {

// A hyper-parameter and its default.
struct ModelParameter {
  std::string_view name;
  double value = 0;
  std::string_view description;
  double least = 1;
};

struct ModelOptions {
  std::int64_t batch = 0;  // samples per step; 0: the model's default
  DType dtype = DType::kF32;
  std::map<std::string, double> parameters = {};  // those that differ from their defaults
};

struct ModelInfo {
  std::string_view name;
  std::string_view description;
  std::int64_t default_batch = 0;
  std::string_view data;  // the data set it trains on, or "synthetic"
  std::span<const ModelParameter> parameters = {};
};

std::span<const ModelInfo> models();
// The parameters that some model has, each once, in the order of the models.
std::span<const ModelParameter> model_parameters();
// Unknown names, of models and of parameters, are refused with the nearest known one.
Result<Graph> build_model(std::string_view name, const ModelOptions& options = {});

}  // namespace soapstone::core
