// Models that a Hugging Face config.json describes, as models of the zoo.
#pragma once

#include <string>
#include <string_view>

#include "core/models/models.hpp"
#include "core/result.hpp"

namespace soapstone::core {

struct ConfiguredModel {
  std::string name;      // of the zoo
  ModelOptions options;  // `parameters` as the file says
};

// Whether the text is such a file: a JSON object with the key `model_type`.
bool is_hugging_face_config(std::string_view text);

// Architectures gpt2, bert, llama, mistral, mixtral, qwen2, deepseek_v2 and deepseek_v3; another one is refused with the keys
// that were understood. Sequences are as long as the zoo's, or as the positions that there are.
// Errors name `file`, the key, its value and what is accepted.
Result<ConfiguredModel> hugging_face_model(std::string_view text, const std::string& file);

}  // namespace soapstone::core
