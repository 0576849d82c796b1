// Private to the zoo: hyper-parameters and what several models share.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/models/models.hpp"

namespace soapstone::core::zoo {

// A model as it is built: its name, batch and number type, and the values of its parameters.
struct Request {
  std::string name;
  std::int64_t batch = 1;
  DType dtype = DType::kF32;
  std::map<std::string, double, std::less<>> values;

  double real(std::string_view parameter) const;  // throws InvariantError where it has none
  std::int64_t operator[](std::string_view parameter) const {
    return static_cast<std::int64_t>(real(parameter));
  }
};

using Build = Result<Graph> (*)(const Request&);

struct Entry {
  ModelInfo info;
  Build build;
  std::vector<ModelParameter> parameters;
};

// Each file's models.
std::vector<Entry> vision_models();
std::vector<Entry> language_models();
std::vector<Entry> recurrent_models();
std::vector<Entry> recommendation_models();

inline TensorDesc images(const Request& r, std::int64_t c, std::int64_t h, std::int64_t w) {
  return {{r.batch, c, h, w}, r.dtype, channels_last(4)};
}
inline TensorDesc labels(const Request& r) { return {{r.batch}, DType::kI32, {}}; }
inline TensorDesc tokens(const Request& r, std::int64_t length) {
  return {{r.batch, length}, DType::kI32, {}};
}

}  // namespace soapstone::core::zoo
