// Recurrent networks, unrolled into chunks of time steps that are placed separately. Their shapes
// are those of the FlexFlow paper, arXiv 1807.05358, table 2.
#include "core/models/hyper.hpp"
#include "core/ops/attention.hpp"
#include "core/ops/concat.hpp"
#include "core/ops/embedding.hpp"
#include "core/ops/linear.hpp"
#include "core/ops/lstm.hpp"
#include "core/ops/reshape.hpp"
#include "core/ops/split.hpp"
#include "core/ops/unary.hpp"

namespace soapstone::core::zoo {

namespace {

using State = std::pair<TensorId, TensorId>;  // h, c

// Pieces of a sequence in time, and the last states of every layer.
struct Unrolled {
  std::vector<TensorId> chunks;
  std::vector<State> last;
};

// Lengths of the chunks of `seq` steps, `chunk` each but for the last.
std::vector<std::int64_t> chunk_lengths(std::int64_t seq, std::int64_t chunk) {
  std::vector<std::int64_t> lengths;
  for (std::int64_t at = 0; at < seq; at += chunk) lengths.push_back(std::min(chunk, seq - at));
  return lengths;
}

std::vector<TensorId> cut(GraphBuilder& g, const std::string& name, TensorId x,
                          const std::vector<std::int64_t>& lengths) {
  if (lengths.size() == 1) return {x};
  g.add(name, Split{.dim = 1, .sizes = lengths}, {x});
  std::vector<TensorId> pieces;
  for (std::size_t k = 0; k < lengths.size(); ++k)
    pieces.push_back(g.tensor(name + ".y" + std::to_string(k)));
  return pieces;
}

// Every layer begins with zeros, which the data delivers.
std::vector<State> zero_states(GraphBuilder& g, const Request& o) {
  const TensorId zeros = g.source("zeros", {{o.batch, o["hidden"]}, o.dtype, {}});
  return std::vector<State>(static_cast<std::size_t>(o["layers"]), {zeros, zeros});
}

// Layers of lstm over the chunks; all chunks of a layer share its weights.
Unrolled unroll(GraphBuilder& g, const std::string& name, std::vector<TensorId> chunks,
                std::int64_t hidden, const std::vector<State>& initial) {
  Unrolled out;
  for (std::size_t l = 0; l < initial.size(); ++l) {
    const std::string layer = name + std::to_string(l);
    State state = initial[l];
    for (std::size_t k = 0; k < chunks.size(); ++k) {
      const std::string op = layer + "_" + std::to_string(k);
      std::map<std::string, TensorId> tied;
      if (k > 0)
        for (const char* w : {"w_ih", "w_hh", "bias"}) tied[w] = g.tensor(layer + "_0." + w);
      chunks[k] = g.add(op, Lstm{.hidden = hidden}, {chunks[k], state.first, state.second},
                        std::move(tied));
      state = {g.tensor(op + ".h"), g.tensor(op + ".c")};
    }
    out.last.push_back(state);
  }
  out.chunks = std::move(chunks);
  return out;
}

TensorId joined(GraphBuilder& g, const std::string& name, std::vector<TensorId> chunks) {
  return chunks.size() == 1 ? chunks[0] : g.add(name, Concat{.dim = 1}, std::move(chunks));
}

TensorId embedded(GraphBuilder& g, const Request& o, const std::string& name, TensorId words,
                  std::int64_t vocab) {
  return g.add(
      name,
      Embedding{.vocab = vocab, .features = o["embedding"], .init_scale = 0.1, .dtype = o.dtype},
      {words});
}

// Language model: what is the next word?
Result<Graph> rnnlm(const Request& o) {
  GraphBuilder g(o.name);
  const auto words = g.source("tokens", tokens(o, o["seq"]), o["vocab"]);
  const auto y = g.source("labels", tokens(o, o["seq"]), o["vocab"]);
  const auto x = embedded(g, o, "embed", words, o["vocab"]);
  const auto lengths = chunk_lengths(o["seq"], o["chunk"]);
  const auto rnn = unroll(g, "lstm", cut(g, "cut", x, lengths), o["hidden"], zero_states(g, o));
  const auto logits =
      g.add("head", Linear{.out_features = {o["vocab"]}}, {joined(g, "join", rnn.chunks)});
  return g.build_with_loss(logits, y);
}

// Text classification: of which class is the text?
Result<Graph> rnntc(const Request& o) {
  GraphBuilder g(o.name);
  const auto words = g.source("tokens", tokens(o, o["seq"]), o["vocab"]);
  const auto y = g.source("labels", labels(o), o["classes"]);
  const auto x = embedded(g, o, "embed", words, o["vocab"]);
  const auto lengths = chunk_lengths(o["seq"], o["chunk"]);
  const auto rnn = unroll(g, "lstm", cut(g, "cut", x, lengths), o["hidden"], zero_states(g, o));
  const auto logits =
      g.add("head", Linear{.out_features = {o["classes"]}}, {rnn.last.back().first});
  return g.build_with_loss(logits, y);
}

// Translation: encoder and decoder, whose last layer looks at the encoder's by dot products (Luong
// et al. 2015, arXiv 1508.04025): h~ = tanh(W (context, h)).
Result<Graph> nmt(const Request& o) {
  const std::int64_t hidden = o["hidden"];
  GraphBuilder g(o.name);
  const auto words = g.source("tokens", tokens(o, o["seq"]), o["vocab"]);
  const auto begun = g.source("target_tokens", tokens(o, o["seq"]), o["vocab"]);
  const auto y = g.source("labels", tokens(o, o["seq"]), o["vocab"]);
  const auto lengths = chunk_lengths(o["seq"], o["chunk"]);
  const auto pieces = [&](const std::string& side, TensorId ids) {
    return cut(g, side + "_cut", embedded(g, o, side + "_embed", ids, o["vocab"]), lengths);
  };
  const auto encoder = unroll(g, "encoder", pieces("source", words), hidden, zero_states(g, o));
  const auto decoder = unroll(g, "decoder", pieces("target", begun), hidden, encoder.last);
  const auto memory = joined(g, "encoder_join", encoder.chunks);
  const auto state = joined(g, "decoder_join", decoder.chunks);
  // One head of all features.
  const auto head = [&](const std::string& name, TensorId x) {
    return g.add(name, Linear{.out_features = {1, hidden}, .bias = false}, {x});
  };
  auto context = g.add("attention", Attention{},
                       {head("query", state), head("key", memory), head("value", memory)});
  context = g.add("context", Linear{.out_features = {hidden}, .contracted_dims = 2, .bias = false},
                  {context});
  auto x = g.add("context_concat", Concat{.dim = 2}, {context, state});
  x = g.add("attended", Linear{.out_features = {hidden}, .bias = false}, {x});
  x = g.add("attended_tanh", Unary{.function = UnaryFunction::kTanh}, {x});
  x = g.add("head", Linear{.out_features = {o["vocab"]}}, {x});
  return g.build_with_loss(x, y);
}

std::vector<ModelParameter> recurrent(double layers, double hidden, double vocab) {
  return {{"layers", layers, "layers of lstm"},
          {"hidden", hidden, "features of a state"},
          {"embedding", hidden, "features of a word"},
          {"seq", 40, "time steps"},
          {"chunk", 10, "time steps of an operator; all chunks of a layer share its weights"},
          {"vocab", vocab, "words"}};
}

}  // namespace

std::vector<Entry> recurrent_models() {
  auto classification = recurrent(4, 1024, 10000);
  classification.push_back({"classes", 2, "classes", 2});
  return {
      {{"rnntc", "text classification, 4 layers of LSTM", 64, "synthetic"}, rnntc, classification},
      {{"rnnlm", "language model, 2 layers of LSTM", 64, "synthetic"},
       rnnlm,
       recurrent(2, 2048, 10000)},
      {{"nmt", "translation, 4 layers of LSTM encoder and decoder with attention", 64, "synthetic"},
       nmt,
       recurrent(4, 1024, 32000)},
  };
}

}  // namespace soapstone::core::zoo
