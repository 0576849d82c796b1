#include "core/models/models.hpp"

#include <map>
#include <string>

#include <gtest/gtest.h>

#include "core/models/hugging_face.hpp"
#include "core/strategy.hpp"

namespace soapstone::core {
namespace {

TEST(Models, AllBuildAtTheirDefaultBatchAndSmaller) {
  for (const auto& info : models()) {
    const auto g = build_model(info.name);
    ASSERT_TRUE(g) << info.name << ": " << g.error().message;
    EXPECT_EQ(g->name(), info.name);
    EXPECT_EQ(g->batch(), info.default_batch);
    EXPECT_TRUE(g->correct() || info.name == "candle-uno");  // which has no classes
    const auto one = build_model(info.name, {.batch = 1, .dtype = DType::kF64});
    ASSERT_TRUE(one) << info.name << ": " << one.error().message;
    EXPECT_EQ(one->parameter_count(), g->parameter_count());
    EXPECT_TRUE(check(*one, single_device(*one), 1));
    for (const Tensor& t : one->tensors())
      EXPECT_TRUE(t.desc.dtype != DType::kF32) << info.name << ": " << t.name;
  }
}

TEST(Models, HaveTheParametersOfTheirPapers) {
  const auto count = [](std::string_view name) {
    return build_model(name).value().parameter_count();
  };
  EXPECT_EQ(count("mlp"), 784 * 128 + 128 + 128 * 128 + 128 + 128 * 10 + 10);
  EXPECT_EQ(count("fashion-cnn"), 9 * 32 + 32 + 9 * 32 * 64 + 64 + 3136 * 128 + 128 + 1280 + 10);
  // As torchvision's.
  EXPECT_EQ(count("alexnet"), 61'100'840);
  EXPECT_EQ(count("vgg-16"), 138'357'544);
  EXPECT_EQ(count("resnet-50"), 25'557'032);
  EXPECT_EQ(count("resnet-101"), 44'549'160);
  EXPECT_EQ(count("resnext-50"), 25'028'904);
  EXPECT_EQ(count("inception-v3"), 27'161'264 - 3'326'696);  // the auxiliary classifier's
  // As Hugging Face's.
  EXPECT_EQ(count("gpt2"), 124'439'808);
  EXPECT_EQ(count("gpt2-medium"), 354'823'168);
  EXPECT_EQ(count("gpt2-large"), 774'030'080);
  EXPECT_EQ(count("gpt2-xl"), 1'557'611'200);
  EXPECT_EQ(count("bert-base"), 109'514'298);
  EXPECT_EQ(count("bert-large"), 335'174'458);
  EXPECT_EQ(count("llama2-7b"), 6'738'415'616);
  EXPECT_EQ(count("llama2-13b"), 13'015'864'320);
  EXPECT_EQ(count("llama2-70b"), 68'976'648'192);
  EXPECT_EQ(count("llama3-8b"), 8'030'261'248);
  EXPECT_EQ(count("llama3-70b"), 70'553'706'496);
  EXPECT_EQ(count("mixtral-8x7b"), 46'702'792'704);
  // arXiv 2005.14165, table 2.1, whose figures are rounded.
  EXPECT_NEAR(count("gpt3-1.3b"), 1.3e9, 0.02e9);
  EXPECT_NEAR(count("gpt3-6.7b"), 6.7e9, 0.05e9);
  EXPECT_NEAR(count("gpt3-13b"), 13.0e9, 0.2e9);
  EXPECT_NEAR(count("gpt3-175b"), 175e9, 0.5e9);
}

TEST(Models, HyperParametersAreTakenAndCheckedByName) {
  const auto small = build_model(
      "gpt",
      {.batch = 12,
       .parameters = {{"layers", 4}, {"hidden", 48}, {"heads", 4}, {"seq", 24}, {"vocab", 211}}});
  ASSERT_TRUE(small) << small.error().message;
  EXPECT_EQ(small->tensor(*small->find_tensor("embed.table")).desc.shape, (Shape{211, 48}));
  EXPECT_TRUE(small->find_op("layer3_down"));
  EXPECT_FALSE(small->find_op("layer4_down"));
  const auto error = [](std::string_view model, std::map<std::string, double> parameters) {
    const auto g = build_model(model, {.parameters = std::move(parameters)});
    return g ? std::string() : g.error().message;
  };
  EXPECT_EQ(
      error("gpt", {{"hiden", 4}}).find("gpt has no parameter `hiden`; did you mean `hidden`?"),
      0u);
  EXPECT_EQ(error("gpt", {{"layers", 0}}), "gpt: layers = 0: at least 1 is accepted");
  EXPECT_EQ(error("gpt", {{"layers", 1.5}}), "gpt: layers = 1.5: a whole number is accepted");
  EXPECT_EQ(error("gpt", {{"heads", 7}}), "gpt: hidden = 768 must be a multiple of heads = 7");
  EXPECT_EQ(error("mlp", {{"layers", 3}}),
            "mlp has no parameter `layers`; nothing is accepted here");
}

TEST(Models, ChunksOfARecurrentLayerShareItsWeights) {
  const auto whole = build_model("rnnlm", {.parameters = {{"chunk", 40}}}).value();
  const auto cut = build_model("rnnlm", {.parameters = {{"chunk", 7}}}).value();
  EXPECT_EQ(whole.parameter_count(), cut.parameter_count());
  EXPECT_EQ(cut.parameter_count(),
            10000 * 2048 + 2 * (4 * 2048 * 4096 + 4 * 2048) + 2048 * 10000 + 10000);
  EXPECT_TRUE(cut.find_op("lstm1_5"));  // 5 chunks of 7 steps and one of 5
}

// Multiply and add count as two. Forward of alexnet: 0.714 GFLOP multiplied out per image, twice;
// backward twice that, but for the gradient of the images.
TEST(Models, AlexnetsWorkIsThatOfItsLayers) {
  const double macs = 64. * 55 * 55 * 3 * 121 + 192. * 27 * 27 * 64 * 25 +
                      384. * 13 * 13 * 192 * 9 + 256. * 13 * 13 * 384 * 9 +
                      256. * 13 * 13 * 256 * 9 + 9216. * 4096 + 4096. * 4096 + 4096. * 1000;
  const double first = 64. * 55 * 55 * 3 * 121;
  const double flops = build_model("alexnet", {.batch = 1}).value().flops().value;
  EXPECT_GT(flops, 2 * (3 * macs - first));
  EXPECT_LT(flops, 1.01 * 2 * (3 * macs - first));  // biases, activations, pools
}

// Of a file that must be a config.json.
std::optional<ConfiguredModel> configured(std::string_view text) {
  const auto model = hugging_face_model(text, "config.json");
  EXPECT_TRUE(model) << model.error().message;
  EXPECT_TRUE(!model || *model) << text;
  return model ? *model : std::nullopt;
}

// Keys as the published config.json files have them; those that say nothing about shapes left out.
TEST(HuggingFaceConfig, GivesTheModelsThatTheFilesDescribe) {
  const auto count = [](std::string_view text) {
    const auto model = configured(text);
    if (!model) return std::int64_t{0};
    const auto graph = build_model(model->name, model->options);
    EXPECT_TRUE(graph) << graph.error().message;
    return graph ? graph->parameter_count() : 0;
  };
  EXPECT_EQ(count(R"({"model_type": "gpt2", "n_layer": 12, "n_embd": 768, "n_head": 12,
                      "n_positions": 1024, "n_inner": null, "vocab_size": 50257})"),
            124'439'808);
  EXPECT_EQ(count(R"({"model_type": "bert", "num_hidden_layers": 12, "hidden_size": 768,
                      "num_attention_heads": 12, "intermediate_size": 3072,
                      "max_position_embeddings": 512, "vocab_size": 30522})"),
            109'514'298);
  EXPECT_EQ(count(R"({"model_type": "llama", "num_hidden_layers": 32, "hidden_size": 4096,
                      "num_attention_heads": 32, "num_key_value_heads": 8,
                      "intermediate_size": 14336, "vocab_size": 128256, "rope_theta": 500000.0,
                      "max_position_embeddings": 8192, "attention_bias": false,
                      "tie_word_embeddings": false})"),
            8'030'261'248);
  EXPECT_EQ(count(R"({"model_type": "mistral", "num_hidden_layers": 32, "hidden_size": 4096,
                      "num_attention_heads": 32, "num_key_value_heads": 8,
                      "intermediate_size": 14336, "vocab_size": 32000, "sliding_window": 4096,
                      "max_position_embeddings": 32768, "tie_word_embeddings": false})"),
            7'241'732'096);
  EXPECT_EQ(count(R"({"model_type": "mixtral", "num_hidden_layers": 32, "hidden_size": 4096,
                      "num_attention_heads": 32, "num_key_value_heads": 8,
                      "intermediate_size": 14336, "vocab_size": 32000, "sliding_window": null,
                      "num_local_experts": 8, "num_experts_per_tok": 2, "rope_theta": 1e6})"),
            46'702'792'704);
  EXPECT_EQ(count(R"({"model_type": "qwen2", "num_hidden_layers": 24, "hidden_size": 896,
                      "num_attention_heads": 14, "num_key_value_heads": 2,
                      "intermediate_size": 4864, "vocab_size": 151936, "sliding_window": 32768,
                      "use_sliding_window": false, "tie_word_embeddings": true})"),
            494'032'768);
}

// Per layer, h features of a token, a heads with keys of 128 + 64 and values of 128, latents r of
// queries and 512 of keys and values, and the two norms:
//   queries        h r + r + r a 192, or h a 192 without latents
//   keys, values   h (512 + 64) + 512 + 512 a (128 + 128)
//   output         a 128 h
// and a feed-forward part of 3 h f: dense, or of every expert and of the shared ones, with h e for
// the gate. Embedding and head are vocab h each, the last norm h.
TEST(HuggingFaceConfig, CountsTheParametersOfDeepSeek) {
  const auto count = [](std::string_view text) {
    const auto model = configured(text).value();
    const auto graph = build_model(model.name, model.options);
    EXPECT_TRUE(graph) << graph.error().message;
    return graph->parameter_count();
  };
  // 27 · (2048 · 3072 + 2048 · 576 + 512 + 512 · 4096 + 2048 · 2048 + 2 · 2048)
  //   + 3 · 2048 · 10944 + 26 · ((64 + 2) · 3 · 2048 · 1408 + 64 · 2048) + 2 · 102400 · 2048 + 2048
  EXPECT_EQ(count(R"({"model_type": "deepseek_v2", "num_hidden_layers": 27, "hidden_size": 2048,
                      "num_attention_heads": 16, "num_key_value_heads": 16, "q_lora_rank": null,
                      "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
                      "v_head_dim": 128, "intermediate_size": 10944, "moe_intermediate_size": 1408,
                      "first_k_dense_replace": 1, "n_routed_experts": 64, "n_shared_experts": 2,
                      "num_experts_per_tok": 6, "norm_topk_prob": false, "vocab_size": 102400,
                      "rope_theta": 10000, "rms_norm_eps": 1e-06, "attention_bias": false,
                      "max_position_embeddings": 163840, "tie_word_embeddings": false})"),
            15'706'484'224);  // published as 15.7 B
  EXPECT_EQ(build_model("deepseek-v2-lite").value().parameter_count(), 15'706'484'224);
  // 60 · (5120 · 1536 + 1536 + 1536 · 24576 + 5120 · 576 + 512 + 512 · 32768 + 16384 · 5120
  //       + 2 · 5120)
  //   + 3 · 5120 · 12288 + 59 · ((160 + 2) · 3 · 5120 · 1536 + 160 · 5120) + 2 · 102400 · 5120 +
  //   5120
  EXPECT_EQ(count(R"({"model_type": "deepseek_v2", "num_hidden_layers": 60, "hidden_size": 5120,
                      "num_attention_heads": 128, "num_key_value_heads": 128, "q_lora_rank": 1536,
                      "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
                      "v_head_dim": 128, "intermediate_size": 12288, "moe_intermediate_size": 1536,
                      "first_k_dense_replace": 1, "n_routed_experts": 160, "n_shared_experts": 2,
                      "num_experts_per_tok": 6, "norm_topk_prob": false, "vocab_size": 102400,
                      "max_position_embeddings": 163840, "tie_word_embeddings": false})"),
            235'741'434'880);  // published as 236 B
  EXPECT_EQ(build_model("deepseek-v2").value().parameter_count(), 235'741'434'880);
  // 61 · (7168 · 1536 + 1536 + 1536 · 24576 + 7168 · 576 + 512 + 512 · 32768 + 16384 · 7168
  //       + 2 · 7168)
  //   + 3 · 3 · 7168 · 18432 + 58 · ((256 + 1) · 3 · 7168 · 2048 + 256 · 7168)
  //   + 2 · 129280 · 7168 + 7168
  // The published weights have besides 58 · 256 biases of the routing, which no gradient changes:
  // 671'026'419'200 in all.
  EXPECT_EQ(count(R"({"model_type": "deepseek_v3", "num_hidden_layers": 61, "hidden_size": 7168,
                      "num_attention_heads": 128, "num_key_value_heads": 128, "q_lora_rank": 1536,
                      "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
                      "v_head_dim": 128, "intermediate_size": 18432, "moe_intermediate_size": 2048,
                      "first_k_dense_replace": 3, "n_routed_experts": 256, "n_shared_experts": 1,
                      "num_experts_per_tok": 8, "norm_topk_prob": true, "vocab_size": 129280,
                      "max_position_embeddings": 163840, "tie_word_embeddings": false})"),
            671'026'419'200 - 58 * 256);  // published as 671 B
  EXPECT_EQ(build_model("deepseek-v3").value().parameter_count(), 671'026'404'352);
}

TEST(HuggingFaceConfig, SequencesAreNoLongerThanThePositions) {
  const auto model = configured(
      R"({"model_type": "gpt2", "n_layer": 1, "n_embd": 8, "n_head": 2, "n_positions": 24,
          "vocab_size": 50})");
  ASSERT_TRUE(model);
  EXPECT_EQ(model->options.parameters.at("seq"), 24);
}

TEST(HuggingFaceConfig, WhatItDoesNotKnowItSays) {
  const auto error = [](std::string_view text) {
    const auto model = hugging_face_model(text, "config.json");
    return model ? std::string() : model.error().message;
  };
  EXPECT_EQ(error(R"({"model_type": "rwkv", "hidden_size": 7168, "attention_hidden_size": 512})"),
            "config.json: model_type `rwkv` is not known; accepted: gpt2, bert, qwen2, llama, "
            "mistral, mixtral, deepseek_v2, deepseek_v3. Keys that were understood: hidden_size.");
  EXPECT_EQ(error(R"({"model_type": "gpt2", "n_layer": 12})"),
            "config.json: the key `n_embd` is missing; accepted: a number");
  EXPECT_EQ(error(R"({"model_type": "gpt2", "n_layer": "many"})"),
            "config.json: n_layer = \"many\": accepted: a number");
  EXPECT_EQ(error(R"({"model_type": 2})"),
            "config.json: model_type = 2: accepted: the name of an architecture, such as gpt2");
}

TEST(HuggingFaceConfig, IsNoOtherFile) {
  for (const std::string_view text : {R"({"format": "soapstone.graph/1"})", "[1]", "no JSON"})
    EXPECT_FALSE(hugging_face_model(text, "graph.json").value()) << text;
}

TEST(Models, UnknownNamesAndBatchesAreRefused) {
  const auto unknown = build_model("alexnett");
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().message.find("unknown model `alexnett`; did you mean `alexnet`?"),
            std::string::npos)
      << unknown.error().message;
  EXPECT_EQ(build_model("mlp", {.batch = -1}).error().message, "batch = -1: must be at least 1");
}

}  // namespace
}  // namespace soapstone::core
