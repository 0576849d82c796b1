// Transformers.
#include "core/models/hyper.hpp"
#include "core/ops/add.hpp"
#include "core/ops/attention.hpp"
#include "core/ops/dropout.hpp"
#include "core/ops/embedding.hpp"
#include "core/ops/experts_linear.hpp"
#include "core/ops/gelu.hpp"
#include "core/ops/layer_norm.hpp"
#include "core/ops/linear.hpp"
#include "core/ops/moe_combine.hpp"
#include "core/ops/moe_dispatch.hpp"
#include "core/ops/rms_norm.hpp"
#include "core/ops/rotary_embedding.hpp"
#include "core/ops/swiglu.hpp"
#include "core/ops/unary.hpp"

namespace soapstone::core::zoo {

namespace {

// Two pre-norm transformer layers with a tied output head, small: a check of everything that
// transformers do.
Result<Graph> transformer_block(const Request& o) {
  constexpr std::int64_t kSequence = 6, kHidden = 16, kHeads = 4, kVocab = 19;
  GraphBuilder g(o.name);
  const auto tokens = g.source("tokens", {{o.batch, kSequence}, DType::kI32, {}}, kVocab);
  const auto positions = g.source("positions", {{o.batch, kSequence}, DType::kI32, {}}, kSequence);
  const auto targets = g.source("labels", {{o.batch, kSequence}, DType::kI32, {}}, kVocab);
  auto x = g.add(
      "embed", Embedding{.vocab = kVocab, .features = kHidden, .init_scale = 0.3, .dtype = o.dtype},
      {tokens});
  const auto p =
      g.add("position",
            Embedding{.vocab = kSequence, .features = kHidden, .init_scale = 0.3, .dtype = o.dtype},
            {positions});
  x = g.add("embed_sum", Add{}, {x, p});
  x = g.add("embed_drop", Dropout{.rate = 0.1}, {x});
  for (int l = 0; l < 2; ++l) {
    const std::string layer = "layer" + std::to_string(l) + "_";
    auto t = g.add(layer + "norm1", LayerNorm{}, {x});
    if (l == 0) {
      t = g.add(layer + "qkv",
                Linear{.out_features = {3, kHeads, kHidden / kHeads}, .packed = true}, {t});
      t = g.add(layer + "attention", Attention{.causal = true}, {t});
    } else {
      const auto q = g.add(layer + "q", Linear{.out_features = {kHeads, kHidden / kHeads}}, {t});
      const auto k = g.add(layer + "k", Linear{.out_features = {kHeads, kHidden / kHeads}}, {t});
      const auto v = g.add(layer + "v", Linear{.out_features = {kHeads, kHidden / kHeads}}, {t});
      t = g.add(layer + "attention", Attention{.causal = true}, {q, k, v});
    }
    t = g.add(layer + "out", Linear{.out_features = {kHidden}, .contracted_dims = 2}, {t});
    x = g.add(layer + "residual1", Add{}, {x, t});
    t = g.add(layer + "norm2", LayerNorm{}, {x});
    t = g.add(layer + "up", Linear{.out_features = {4 * kHidden}}, {t});
    t = g.add(layer + "gelu", Gelu{}, {t});
    t = g.add(layer + "down", Linear{.out_features = {kHidden}}, {t});
    t = g.add(layer + "drop", Dropout{.rate = 0.1}, {t});
    x = g.add(layer + "residual2", Add{}, {x, t});
  }
  x = g.add("final_norm", LayerNorm{}, {x});
  x = g.add("head", Linear{.out_features = {kVocab}, .bias = false}, {x},
            {{"weight", g.tensor("embed.table")}});
  return g.build_with_loss(x, targets);
}

// Words and positions of a batch of sequences; the labels are what comes next.
struct Sequences {
  GraphBuilder& g;
  TensorId words, labels;

  Sequences(GraphBuilder& graph, const Request& o, std::int64_t vocab)
      : g(graph),
        words(g.source("tokens", tokens(o, o["seq"]), vocab)),
        labels(g.source("labels", tokens(o, o["seq"]), vocab)) {}
};

Status heads_divide(const Request& o, std::string_view heads) {
  if (o["hidden"] % o[heads] == 0) return {};
  return usage_error("{}: hidden = {} must be a multiple of {} = {}", o.name, o["hidden"], heads,
                     o[heads]);
}

// A projection; GPT-2's weights start with deviation 0.02.
Op projection(std::int64_t out, bool bias = true, double scale = 0.02) {
  return Linear{.out_features = {out}, .bias = bias, .init_scale = scale};
}

// Pre-norm decoder with learnt positions and a tied head. Sources: Radford et al. 2019 (GPT-2),
// whose gelu is the tanh approximation; Brown et al. 2020, arXiv 2005.14165 (GPT-3).
Result<Graph> gpt(const Request& o) {
  SOAPSTONE_TRY(heads_divide(o, "heads"));
  const std::int64_t h = o["hidden"], heads = o["heads"], vocab = o["vocab"];
  const double rate = o.real("dropout");
  GraphBuilder g(o.name);
  const Sequences data(g, o, vocab);
  const auto positions = g.source("positions", tokens(o, o["seq"]), o["positions"]);
  const auto dropped = [&](const std::string& name, TensorId t) {
    return rate > 0 ? g.add(name, Dropout{.rate = rate}, {t}) : t;
  };
  auto x =
      g.add("embed", Embedding{.vocab = vocab, .features = h, .init_scale = 0.02, .dtype = o.dtype},
            {data.words});
  const auto p =
      g.add("position",
            Embedding{.vocab = o["positions"], .features = h, .init_scale = 0.01, .dtype = o.dtype},
            {positions});
  x = dropped("embed_drop", g.add("embed_sum", Add{}, {x, p}));
  for (std::int64_t l = 0; l < o["layers"]; ++l) {
    const std::string layer = "layer" + std::to_string(l) + "_";
    auto t = g.add(layer + "norm1", LayerNorm{}, {x});
    t = g.add(layer + "qkv",
              Linear{.out_features = {3, heads, h / heads}, .packed = true, .init_scale = 0.02},
              {t});
    t = g.add(layer + "attention", Attention{.causal = true}, {t});
    t = g.add(layer + "out", Linear{.out_features = {h}, .contracted_dims = 2, .init_scale = 0.02},
              {t});
    x = g.add(layer + "residual1", Add{}, {x, dropped(layer + "drop1", t)});
    t = g.add(layer + "norm2", LayerNorm{}, {x});
    t = g.add(layer + "up", projection(o["ffn"] > 0 ? o["ffn"] : 4 * h), {t});
    t = g.add(layer + "gelu", Unary{.function = UnaryFunction::kGeluTanh}, {t});
    t = g.add(layer + "down", projection(h), {t});
    x = g.add(layer + "residual2", Add{}, {x, dropped(layer + "drop2", t)});
  }
  x = g.add("final_norm", LayerNorm{}, {x});
  x = g.add("head", Linear{.out_features = {vocab}, .bias = false}, {x},
            {{"weight", g.tensor("embed.table")}});
  return g.build_with_loss(x, data.labels);
}

// Post-norm encoder with the masked-language-model head, tied to the words' embedding. Sources:
// Devlin et al. 2018, arXiv 1810.04805; Hugging Face's BertForMaskedLM.
Result<Graph> bert(const Request& o) {
  SOAPSTONE_TRY(heads_divide(o, "heads"));
  const std::int64_t h = o["hidden"], heads = o["heads"], vocab = o["vocab"];
  const double rate = o.real("dropout");
  GraphBuilder g(o.name);
  const Sequences data(g, o, vocab);
  const auto positions = g.source("positions", tokens(o, o["seq"]), o["positions"]);
  const auto segments = g.source("segments", tokens(o, o["seq"]), 2);
  const auto embedding = [&](const std::string& name, std::int64_t extent, TensorId ids) {
    return g.add(name,
                 Embedding{.vocab = extent, .features = h, .init_scale = 0.02, .dtype = o.dtype},
                 {ids});
  };
  const auto dropped = [&](const std::string& name, TensorId t) {
    return rate > 0 ? g.add(name, Dropout{.rate = rate}, {t}) : t;
  };
  const LayerNorm norm{.epsilon = 1e-12};
  auto x = embedding("embed", vocab, data.words);
  x = g.add("embed_sum1", Add{}, {x, embedding("position", o["positions"], positions)});
  x = g.add("embed_sum2", Add{}, {x, embedding("segment", 2, segments)});
  x = dropped("embed_drop", g.add("embed_norm", norm, {x}));
  for (std::int64_t l = 0; l < o["layers"]; ++l) {
    const std::string layer = "layer" + std::to_string(l) + "_";
    auto t = g.add(
        layer + "qkv",
        Linear{.out_features = {3, heads, h / heads}, .packed = true, .init_scale = 0.02}, {x});
    t = g.add(layer + "attention", Attention{}, {t});
    t = g.add(layer + "out", Linear{.out_features = {h}, .contracted_dims = 2, .init_scale = 0.02},
              {t});
    x = g.add(layer + "residual1", Add{}, {x, dropped(layer + "drop1", t)});
    x = g.add(layer + "norm1", norm, {x});
    t = g.add(layer + "up", projection(o["ffn"] > 0 ? o["ffn"] : 4 * h), {x});
    t = g.add(layer + "gelu", Gelu{}, {t});
    t = g.add(layer + "down", projection(h), {t});
    x = g.add(layer + "residual2", Add{}, {x, dropped(layer + "drop2", t)});
    x = g.add(layer + "norm2", norm, {x});
  }
  x = g.add("head_transform", projection(h), {x});
  x = g.add("head_gelu", Gelu{}, {x});
  x = g.add("head_norm", norm, {x});
  x = g.add("head", Linear{.out_features = {vocab}, .init_scale = 0.02}, {x},
            {{"weight", g.tensor("embed.table")}});
  return g.build_with_loss(x, data.labels);
}

// Decoder with rms_norm, rotary positions, grouped heads and a gated feed-forward part, which is a
// mixture of experts where there are several. Sources: Touvron et al. 2023, arXiv 2307.09288 (Llama
// 2); arXiv 2407.21783 (Llama 3); Jiang et al. 2023 and 2024, arXiv 2310.06825 (Mistral) and
// 2401.04088 (Mixtral).
Result<Graph> llama(const Request& o) {
  SOAPSTONE_TRY(heads_divide(o, "heads"));
  const std::int64_t h = o["hidden"], heads = o["heads"], kv = o["kv_heads"], vocab = o["vocab"];
  if (heads % kv != 0)
    return usage_error("{}: heads = {} must be a multiple of kv_heads = {}", o.name, heads, kv);
  const std::int64_t features = o["head_dim"] > 0 ? o["head_dim"] : h / heads;
  const bool biased = o["qkv_bias"] > 0;
  GraphBuilder g(o.name);
  const Sequences data(g, o, vocab);
  const RmsNorm norm{.epsilon = o.real("norm_epsilon")};
  const auto rotated = [&](const std::string& name, TensorId t) {
    return g.add(name, RotaryEmbedding{.theta = o.real("rope_theta"), .interleaved = false}, {t});
  };
  auto x =
      g.add("embed", Embedding{.vocab = vocab, .features = h, .init_scale = 0.02, .dtype = o.dtype},
            {data.words});
  for (std::int64_t l = 0; l < o["layers"]; ++l) {
    const std::string layer = "layer" + std::to_string(l) + "_";
    auto t = g.add(layer + "norm1", norm, {x});
    const auto head = [&](const std::string& name, std::int64_t count) {
      return g.add(layer + name,
                   Linear{.out_features = {count, features}, .bias = biased, .init_scale = 0.02},
                   {t});
    };
    const auto q = rotated(layer + "q_rotary", head("q", heads));
    const auto k = rotated(layer + "k_rotary", head("k", kv));
    const auto v = head("v", kv);
    t = g.add(layer + "attention", Attention{.causal = true, .window = o["window"]}, {q, k, v});
    t = g.add(layer + "out",
              Linear{.out_features = {h}, .contracted_dims = 2, .bias = false, .init_scale = 0.02},
              {t});
    x = g.add(layer + "residual1", Add{}, {x, t});
    t = g.add(layer + "norm2", norm, {x});
    if (o["experts"] > 1) {
      const auto expert = [&](const std::string& name, std::int64_t out, TensorId in) {
        return g.add(layer + name,
                     ExpertsLinear{.out_features = out, .bias = false, .init_scale = 0.02}, {in});
      };
      const auto gate_logits = g.add(layer + "router", projection(o["experts"], false), {t});
      const auto sent = g.add(layer + "dispatch",
                              MoeDispatch{.top_k = o["experts_per_token"],
                                          .capacity_factor = o.real("capacity_factor"),
                                          .renormalize = true},
                              {t, gate_logits});
      const auto up = expert("up", o["ffn"], sent), gate = expert("gate", o["ffn"], sent);
      const auto inner = g.add(layer + "swiglu", Swiglu{}, {gate, up});
      t = g.add(layer + "combine", MoeCombine{},
                {expert("down", h, inner), g.tensor(layer + "dispatch.weights"),
                 g.tensor(layer + "dispatch.slots")});
    } else {
      const auto gate = g.add(layer + "gate", projection(o["ffn"], false), {t});
      const auto up = g.add(layer + "up", projection(o["ffn"], false), {t});
      t = g.add(layer + "swiglu", Swiglu{}, {gate, up});
      t = g.add(layer + "down", projection(h, false), {t});
    }
    x = g.add(layer + "residual2", Add{}, {x, t});
  }
  x = g.add("final_norm", norm, {x});
  std::map<std::string, TensorId> tied;
  if (o["tied"] > 0) tied["weight"] = g.tensor("embed.table");
  x = g.add("head", projection(vocab, false), {x}, tied);
  return g.build_with_loss(x, data.labels);
}

std::vector<ModelParameter> gpt_like(double layers, double hidden, double heads, double seq,
                                     double vocab, double positions, double dropout) {
  return {{"layers", layers, "layers"},
          {"hidden", hidden, "features of a token"},
          {"heads", heads, "heads of attention"},
          {"ffn", 0, "features within the feed-forward part; 0: four times hidden", 0},
          {"seq", seq, "tokens of a sequence"},
          {"vocab", vocab, "words"},
          {"positions", positions, "positions that are learnt"},
          {"dropout", dropout, "rate; 0: none", 0}};
}

struct Llama {
  double layers, hidden, heads, kv_heads, ffn, seq, vocab, theta = 10000, experts = 1, top = 2;
  double epsilon = 1e-5;
};
std::vector<ModelParameter> llama_like(const Llama& m) {
  return {{"layers", m.layers, "layers"},
          {"hidden", m.hidden, "features of a token"},
          {"heads", m.heads, "heads of attention"},
          {"kv_heads", m.kv_heads, "heads of keys and values"},
          {"head_dim", 0, "features of a head; 0: hidden / heads", 0},
          {"ffn", m.ffn, "features within the feed-forward part"},
          {"seq", m.seq, "tokens of a sequence"},
          {"vocab", m.vocab, "words"},
          {"rope_theta", m.theta, "base of the rotary angles"},
          {"norm_epsilon", m.epsilon, "of the rms_norms", 0},
          {"window", 0, "keys that a query sees; 0: all before it", 0},
          {"qkv_bias", 0, "1: q, k and v have biases", 0},
          {"tied", 0, "1: the head shares the embedding's weight", 0},
          {"experts", m.experts, "experts of a layer; 1: no mixture"},
          {"experts_per_token", m.top, "experts that a token goes to"},
          {"capacity_factor", 0, "slots per expert ÷ even share; 0: none is dropped", 0}};
}

}  // namespace

std::vector<Entry> language_models() {
  const auto gpt3 = [](double layers, double hidden, double heads) {
    return gpt_like(layers, hidden, heads, 2048, 50257, 2048, 0);
  };
  const std::string_view data = "synthetic";
  return {
      {{"transformer-block", "two small transformer layers with a tied head, for checks", 6, data},
       transformer_block,
       {}},
      {{"gpt", "GPT-2 of any size", 8, data}, gpt, gpt_like(12, 768, 12, 1024, 50257, 1024, 0.1)},
      {{"gpt2", "GPT-2 small", 8, data}, gpt, gpt_like(12, 768, 12, 1024, 50257, 1024, 0.1)},
      {{"gpt2-medium", "GPT-2 medium", 8, data},
       gpt,
       gpt_like(24, 1024, 16, 1024, 50257, 1024, 0.1)},
      {{"gpt2-large", "GPT-2 large", 8, data}, gpt, gpt_like(36, 1280, 20, 1024, 50257, 1024, 0.1)},
      {{"gpt2-xl", "GPT-2 XL", 8, data}, gpt, gpt_like(48, 1600, 25, 1024, 50257, 1024, 0.1)},
      {{"gpt3-1.3b", "GPT-3 XL", 16, data}, gpt, gpt3(24, 2048, 16)},
      {{"gpt3-6.7b", "GPT-3 6.7B", 16, data}, gpt, gpt3(32, 4096, 32)},
      {{"gpt3-13b", "GPT-3 13B", 16, data}, gpt, gpt3(40, 5120, 40)},
      {{"gpt3-175b", "GPT-3", 16, data}, gpt, gpt3(96, 12288, 96)},
      {{"bert-base", "BERT base, masked language model", 32, data},
       bert,
       gpt_like(12, 768, 12, 512, 30522, 512, 0.1)},
      {{"bert-large", "BERT large, masked language model", 32, data},
       bert,
       gpt_like(24, 1024, 16, 512, 30522, 512, 0.1)},
      {{"llama2-7b", "Llama 2 7B", 4, data},
       llama,
       llama_like({32, 4096, 32, 32, 11008, 4096, 32000})},
      {{"llama2-13b", "Llama 2 13B", 4, data},
       llama,
       llama_like({40, 5120, 40, 40, 13824, 4096, 32000})},
      {{"llama2-70b", "Llama 2 70B", 4, data},
       llama,
       llama_like({80, 8192, 64, 8, 28672, 4096, 32000})},
      {{"llama3-8b", "Llama 3 8B", 4, data},
       llama,
       llama_like({32, 4096, 32, 8, 14336, 8192, 128256, 500000})},
      {{"llama3-70b", "Llama 3 70B", 4, data},
       llama,
       llama_like({80, 8192, 64, 8, 28672, 8192, 128256, 500000})},
      {{"mixtral-8x7b", "Mixtral 8×7B, a mixture of experts", 4, data},
       llama,
       llama_like({32, 4096, 32, 8, 14336, 4096, 32000, 1e6, 8, 2})},
  };
}

}  // namespace soapstone::core::zoo
