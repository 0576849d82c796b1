// Transformers.
#include "core/models/hyper.hpp"
#include "core/ops/add.hpp"
#include "core/ops/attention.hpp"
#include "core/ops/concat.hpp"
#include "core/ops/dropout.hpp"
#include "core/ops/embedding.hpp"
#include "core/ops/experts_linear.hpp"
#include "core/ops/gelu.hpp"
#include "core/ops/layer_norm.hpp"
#include "core/ops/linear.hpp"
#include "core/ops/moe_combine.hpp"
#include "core/ops/moe_dispatch.hpp"
#include "core/ops/pad.hpp"
#include "core/ops/rms_norm.hpp"
#include "core/ops/rotary_embedding.hpp"
#include "core/ops/slice.hpp"
#include "core/ops/split.hpp"
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

// The gated feed-forward part.
TensorId gated(GraphBuilder& g, const std::string& prefix, std::int64_t inner, TensorId t) {
  const std::int64_t h = g.desc(t).shape.back();
  const auto gate = g.add(prefix + "gate", projection(inner, false), {t});
  const auto up = g.add(prefix + "up", projection(inner, false), {t});
  return g.add(prefix + "down", projection(h, false),
               {g.add(prefix + "swiglu", Swiglu{}, {gate, up})});
}

// A mixture of gated experts with `inner` features each.
TensorId mixture(GraphBuilder& g, const Request& o, const std::string& layer, std::int64_t inner,
                 bool renormalize, TensorId t) {
  const std::int64_t h = g.desc(t).shape.back();
  const auto expert = [&](const std::string& name, std::int64_t out, TensorId in) {
    return g.add(layer + name,
                 ExpertsLinear{.out_features = out, .bias = false, .init_scale = 0.02}, {in});
  };
  const auto gate_logits = g.add(layer + "router", projection(o["experts"], false), {t});
  const auto sent = g.add(layer + "dispatch",
                          MoeDispatch{.top_k = o["experts_per_token"],
                                      .capacity_factor = o.real("capacity_factor"),
                                      .renormalize = renormalize},
                          {t, gate_logits});
  const auto up = expert("up", inner, sent), gate = expert("gate", inner, sent);
  const auto product = g.add(layer + "swiglu", Swiglu{}, {gate, up});
  return g.add(layer + "combine", MoeCombine{},
               {expert("down", h, product), g.tensor(layer + "dispatch.weights"),
                g.tensor(layer + "dispatch.slots")});
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
    t = o["experts"] > 1 ? mixture(g, o, layer, o["ffn"], true, t) : gated(g, layer, o["ffn"], t);
    x = g.add(layer + "residual2", Add{}, {x, t});
  }
  x = g.add("final_norm", norm, {x});
  std::map<std::string, TensorId> tied;
  if (o["tied"] > 0) tied["weight"] = g.tensor("embed.table");
  x = g.add("head", projection(vocab, false), {x}, tied);
  return g.build_with_loss(x, data.labels);
}

// Decoder with latent attention: keys and values of all heads come from kv_rank features of a
// token, and one key with rotary positions is shared by the heads; queries likewise from q_rank
// features where there are so many. Behind `dense_layers` layers the feed-forward part is a mixture
// of experts beside shared ones. Values are shorter than keys: attention takes them with zeros
// behind, which are cut off again. Left out: what does not show in shapes (groups of experts,
// biases and scales of the routing, YaRN's scaling of positions). Sources: DeepSeek-AI 2024, arXiv
// 2405.04434 (V2) and 2412.19437 (V3); modeling_deepseek.py beside the published weights.
Result<Graph> deepseek(const Request& o) {
  const std::int64_t h = o["hidden"], heads = o["heads"], vocab = o["vocab"];
  const std::int64_t nope = o["nope_dim"], rope = o["rope_dim"], value = o["value_dim"];
  if (value > nope + rope)
    return usage_error("{}: value_dim = {} must be at most nope_dim + rope_dim = {}", o.name, value,
                       nope + rope);
  GraphBuilder g(o.name);
  const Sequences data(g, o, vocab);
  const RmsNorm norm{.epsilon = o.real("norm_epsilon")};
  const RotaryEmbedding rotary{.theta = o.real("rope_theta")};
  const auto to_heads = [](std::int64_t count, std::int64_t features) {
    return Linear{.out_features = {count, features}, .bias = false, .init_scale = 0.02};
  };
  // Zeros around the features of a head.
  const auto padded = [&](const std::string& name, std::int64_t before, std::int64_t after,
                          TensorId t) {
    return before + after == 0
               ? t
               : g.add(name, Pad{.before = {0, 0, 0, before}, .after = {0, 0, 0, after}}, {t});
  };
  auto x =
      g.add("embed", Embedding{.vocab = vocab, .features = h, .init_scale = 0.02, .dtype = o.dtype},
            {data.words});
  for (std::int64_t l = 0; l < o["layers"]; ++l) {
    const std::string layer = "layer" + std::to_string(l) + "_";
    auto t = g.add(layer + "norm1", norm, {x});
    auto latent = t;
    if (o["q_rank"] > 0)
      latent = g.add(layer + "q_norm", norm,
                     {g.add(layer + "q_down", projection(o["q_rank"], false), {t})});
    auto q = g.add(layer + "q", to_heads(heads, nope + rope), {latent});
    q = g.add(layer + "q_parts", Split{.dim = 3, .sizes = {nope, rope}}, {q});
    q = g.add(layer + "q_joined", Concat{.dim = 3},
              {q, g.add(layer + "q_rotary", rotary, {g.tensor(layer + "q_parts.y1")})});
    latent = g.add(layer + "kv_norm", norm,
                   {g.add(layer + "kv_down", projection(o["kv_rank"], false), {t})});
    const auto kv = g.add(layer + "kv", to_heads(heads, nope + value), {latent});
    auto k = g.add(layer + "kv_parts", Split{.dim = 3, .sizes = {nope, value}}, {kv});
    auto v = g.tensor(layer + "kv_parts.y1");
    // The shared key behind every head's own.
    const auto shared =
        g.add(layer + "k_rotary", rotary, {g.add(layer + "k_shared", to_heads(1, rope), {t})});
    k = g.add(layer + "k", Add{},
              {padded(layer + "k_own_padded", 0, rope, k),
               padded(layer + "k_shared_padded", nope, 0, shared)});
    v = padded(layer + "v_padded", 0, nope + rope - value, v);
    t = g.add(layer + "attention", Attention{.causal = true}, {q, k, v});
    if (value < nope + rope)
      t = g.add(layer + "attention_cut", Slice{.starts = {0, 0, 0, 0}, .stops = {0, 0, 0, value}},
                {t});
    t = g.add(layer + "out",
              Linear{.out_features = {h}, .contracted_dims = 2, .bias = false, .init_scale = 0.02},
              {t});
    x = g.add(layer + "residual1", Add{}, {x, t});
    t = g.add(layer + "norm2", norm, {x});
    if (l < o["dense_layers"] || o["experts"] == 1) {
      t = gated(g, layer, o["ffn"], t);
    } else {
      const auto all = t;
      t = mixture(g, o, layer, o["expert_ffn"], o["renormalize"] > 0, all);
      if (o["shared_experts"] > 0)
        t = g.add(layer + "experts", Add{},
                  {t, gated(g, layer + "shared_", o["shared_experts"] * o["expert_ffn"], all)});
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

struct DeepSeek {
  double layers, hidden, heads, q_rank, ffn, dense_layers, expert_ffn, experts, shared, top;
  double renormalize, vocab;
};
std::vector<ModelParameter> deepseek_like(const DeepSeek& m) {
  return {{"layers", m.layers, "layers"},
          {"hidden", m.hidden, "features of a token"},
          {"heads", m.heads, "heads of attention"},
          {"q_rank", m.q_rank, "latent features of queries; 0: queries come from all features", 0},
          {"kv_rank", 512, "latent features of keys and values"},
          {"nope_dim", 128, "features of a head's key without positions"},
          {"rope_dim", 64, "features of a key with rotary positions"},
          {"value_dim", 128, "features of a head's value"},
          {"ffn", m.ffn, "features within the feed-forward part"},
          {"dense_layers", m.dense_layers, "first layers without a mixture", 0},
          {"expert_ffn", m.expert_ffn, "features within an expert"},
          {"experts", m.experts, "experts of a layer; 1: no mixture"},
          {"shared_experts", m.shared, "experts that every token goes to", 0},
          {"experts_per_token", m.top, "experts that a token goes to"},
          {"renormalize", m.renormalize, "1: the weights of a token's experts add up to 1", 0},
          {"capacity_factor", 0, "slots per expert ÷ even share; 0: none is dropped", 0},
          {"seq", 4096, "tokens of a sequence"},
          {"vocab", m.vocab, "words"},
          {"rope_theta", 10000, "base of the rotary angles"},
          {"norm_epsilon", 1e-6, "of the rms_norms", 0},
          {"tied", 0, "1: the head shares the embedding's weight", 0}};
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
      {{"deepseek-v2-lite", "DeepSeek-V2-Lite, latent attention, a mixture of experts", 4, data},
       deepseek,
       deepseek_like({27, 2048, 16, 0, 10944, 1, 1408, 64, 2, 6, 0, 102400})},
      {{"deepseek-v2", "DeepSeek-V2, latent attention, a mixture of experts", 4, data},
       deepseek,
       deepseek_like({60, 5120, 128, 1536, 12288, 1, 1536, 160, 2, 6, 0, 102400})},
      {{"deepseek-v3", "DeepSeek-V3, latent attention, a mixture of experts", 4, data},
       deepseek,
       deepseek_like({61, 7168, 128, 1536, 18432, 3, 2048, 256, 1, 8, 1, 129280})},
  };
}

}  // namespace soapstone::core::zoo
