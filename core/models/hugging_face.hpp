// Models that a Hugging Face config.json describes, as models of the zoo.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/models/models.hpp"
#include "core/result.hpp"

namespace soapstone::core {

struct ConfiguredModel {
  std::string name;      // of the zoo
  ModelOptions options;  // `parameters` as the file says
};

// Nothing where the text is no such file: a JSON object with the key `model_type`. Architectures
// gpt2, bert, llama, mistral, mixtral, qwen2, deepseek_v2 and deepseek_v3; another one is refused
// with the keys that were understood. Sequences are as long as the zoo's, or as the positions that
// there are. Errors name `file`, the key, its value and what is accepted.
Result<std::optional<ConfiguredModel>> hugging_face_model(std::string_view text,
                                                          const std::string& file);

}  // namespace soapstone::core
