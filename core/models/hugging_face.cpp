#include "core/models/hugging_face.hpp"

#include <algorithm>
#include <span>
#include <vector>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "core/suggest.hpp"

namespace soapstone::core {

namespace {

// How one of its keys is called here.
struct Key {
  std::string_view theirs, ours;
  enum class Presence { kRequired, kOptional } presence = Presence::kRequired;
};
constexpr auto kMustBe = Key::Presence::kRequired;
constexpr auto kMayBe = Key::Presence::kOptional;

constexpr Key kGpt2[] = {{"n_layer", "layers", kMustBe},        {"n_embd", "hidden", kMustBe},
                         {"n_head", "heads", kMustBe},          {"n_inner", "ffn", kMayBe},
                         {"n_positions", "positions", kMustBe}, {"vocab_size", "vocab", kMustBe},
                         {"resid_pdrop", "dropout", kMayBe}};
constexpr Key kBert[] = {
    {"num_hidden_layers", "layers", kMustBe},          {"hidden_size", "hidden", kMustBe},
    {"num_attention_heads", "heads", kMustBe},         {"intermediate_size", "ffn", kMustBe},
    {"max_position_embeddings", "positions", kMustBe}, {"vocab_size", "vocab", kMustBe},
    {"hidden_dropout_prob", "dropout", kMayBe}};
constexpr Key kLlama[] = {{"num_hidden_layers", "layers", kMustBe},
                          {"hidden_size", "hidden", kMustBe},
                          {"num_attention_heads", "heads", kMustBe},
                          {"num_key_value_heads", "kv_heads", kMayBe},
                          {"head_dim", "head_dim", kMayBe},
                          {"intermediate_size", "ffn", kMustBe},
                          {"vocab_size", "vocab", kMustBe},
                          {"rope_theta", "rope_theta", kMayBe},
                          {"rms_norm_eps", "norm_epsilon", kMayBe},
                          {"sliding_window", "window", kMayBe},
                          {"attention_bias", "qkv_bias", kMayBe},
                          {"tie_word_embeddings", "tied", kMayBe},
                          {"num_local_experts", "experts", kMayBe},
                          {"num_experts_per_tok", "experts_per_token", kMayBe}};

constexpr Key kDeepSeek[] = {{"num_hidden_layers", "layers", kMustBe},
                             {"hidden_size", "hidden", kMustBe},
                             {"num_attention_heads", "heads", kMustBe},
                             {"q_lora_rank", "q_rank", kMayBe},
                             {"kv_lora_rank", "kv_rank", kMustBe},
                             {"qk_nope_head_dim", "nope_dim", kMustBe},
                             {"qk_rope_head_dim", "rope_dim", kMustBe},
                             {"v_head_dim", "value_dim", kMustBe},
                             {"intermediate_size", "ffn", kMustBe},
                             {"first_k_dense_replace", "dense_layers", kMustBe},
                             {"moe_intermediate_size", "expert_ffn", kMustBe},
                             {"n_routed_experts", "experts", kMustBe},
                             {"n_shared_experts", "shared_experts", kMayBe},
                             {"num_experts_per_tok", "experts_per_token", kMustBe},
                             {"norm_topk_prob", "renormalize", kMayBe},
                             {"vocab_size", "vocab", kMustBe},
                             {"rope_theta", "rope_theta", kMayBe},
                             {"rms_norm_eps", "norm_epsilon", kMayBe},
                             {"tie_word_embeddings", "tied", kMayBe}};

struct Architecture {
  std::string_view type, model;
  std::span<const Key> keys;
  std::string_view positions;  // the key that bounds a sequence
  // Switched on by the architecture, without a key.
  std::string_view always = "";
};
constexpr Architecture kArchitectures[] = {
    {"gpt2", "gpt", kGpt2, "n_positions"},
    {"bert", "bert-base", kBert, "max_position_embeddings"},
    {"llama", "llama2-7b", kLlama, "max_position_embeddings"},
    {"mistral", "llama2-7b", kLlama, "max_position_embeddings"},
    {"mixtral", "mixtral-8x7b", kLlama, "max_position_embeddings"},
    {"qwen2", "llama2-7b", kLlama, "max_position_embeddings", "qkv_bias"},
    {"deepseek_v2", "deepseek-v2-lite", kDeepSeek, "max_position_embeddings"},
    {"deepseek_v3", "deepseek-v3", kDeepSeek, "max_position_embeddings"},
};

}  // namespace

Result<std::optional<ConfiguredModel>> hugging_face_model(std::string_view text,
                                                          const std::string& file) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("model_type")) return std::nullopt;
  const auto type = json.find("model_type");
  if (!type->is_string())
    return usage_error("{}: model_type = {}: accepted: the name of an architecture, such as gpt2",
                       file, type->dump());
  const auto name = type->get<std::string>();
  std::vector<std::string_view> names;
  for (const Architecture& a : kArchitectures) names.push_back(a.type);
  const auto found = std::find_if(std::begin(kArchitectures), std::end(kArchitectures),
                                  [&](const Architecture& a) { return a.type == name; });
  if (found == std::end(kArchitectures)) {
    std::string understood;
    for (const auto& [key, ignored] : json.items())
      for (const auto keys : {std::span<const Key>(kGpt2), std::span<const Key>(kBert),
                              std::span<const Key>(kLlama), std::span<const Key>(kDeepSeek)})
        if (understood.find(" " + key + ",") == std::string::npos &&
            std::any_of(keys.begin(), keys.end(), [&](const Key& k) { return k.theirs == key; }))
          understood += " " + key + ",";
    if (!understood.empty()) understood.back() = '.';
    return refuse("{}: model_type `{}` is not known; {}. Keys that were understood:{}", file, name,
                  accepted_names(name, names), understood.empty() ? " none." : understood);
  }
  ConfiguredModel out;
  out.name = found->model;
  auto& values = out.options.parameters;
  for (const Key& key : found->keys) {
    const auto value = json.find(key.theirs);
    if (value == json.end() || value->is_null()) {
      if (key.presence == kMayBe) continue;
      return usage_error("{}: the key `{}` is missing; accepted: a number", file, key.theirs);
    }
    if (!value->is_number() && !value->is_boolean())
      return usage_error("{}: {} = {}: accepted: a number", file, key.theirs, value->dump());
    values[std::string(key.ours)] =
        value->is_boolean() ? (value->get<bool>() ? 1.0 : 0.0) : value->get<double>();
  }
  // As many as there are of queries, unless it says otherwise.
  if (values.contains("heads") && found->keys.data() == kLlama)
    values.try_emplace("kv_heads", values["heads"]);
  if (!found->always.empty()) values[std::string(found->always)] = 1;
  // A key that is null, or is not there, is none of it, not what the model has by default.
  if (found->keys.data() == kDeepSeek)
    for (const char* none : {"q_rank", "shared_experts"}) values.try_emplace(none, 0);
  // Qwen has the key and says beside it that it is not used.
  if (const auto used = json.find("use_sliding_window");
      used != json.end() && used->is_boolean() && !used->get<bool>())
    values.erase("window");
  for (const ModelInfo& info : models())
    if (info.name == out.name)
      for (const ModelParameter& p : info.parameters)
        if (p.name == "seq") {
          double longest = p.value;
          if (const auto positions = json.find(found->positions);
              positions != json.end() && positions->is_number())
            longest = std::min(longest, positions->get<double>());
          values["seq"] = longest;
        }
  return std::optional(std::move(out));
}

}  // namespace soapstone::core
