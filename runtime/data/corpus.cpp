#include "runtime/data/corpus.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

namespace soapstone::runtime {

namespace {

// A stream of tokens, of which sample i has those from i s on.
class Corpus final : public DataSource {
 public:
  Corpus(std::string name, std::shared_ptr<const Vocabulary> vocabulary,
         std::vector<std::int32_t> tokens, std::int64_t length)
      : name_(std::move(name)),
        vocabulary_(std::move(vocabulary)),
        tokens_(std::move(tokens)),
        length_(length) {}

  std::string_view name() const override { return name_; }
  std::int64_t samples() const override {
    return (static_cast<std::int64_t>(tokens_.size()) - 1) / length_;
  }
  const Vocabulary* vocabulary() const override { return vocabulary_.get(); }
  std::optional<Baseline> baseline() const override { return baseline_; }
  std::span<const std::int32_t> tokens() const { return tokens_; }
  void set_baseline(Baseline baseline) { baseline_ = baseline; }

  core::Status check(const core::Graph& graph) const override {
    for (const core::SourceSpec& s : graph.spec().sources) {
      if (s.name == "zeros") continue;
      const bool is_words = s.name == "tokens" || s.name == "labels";
      if (is_words || s.name == "positions") {
        SOAPSTONE_ASSIGN(const core::SourceSpec spec, token_source(graph, s.name, name_));
        const std::int64_t needed = is_words ? vocabulary_->size() : length_;
        if (spec.desc.shape[1] != length_ || spec.classes < needed)
          return core::usage_error("{} has {} [n, {}] of {} classes; {} wants {} of {} classes",
                                   name_, s.name, length_, needed, graph.name(),
                                   core::print(spec.desc.shape), spec.classes);
      } else {
        return core::usage_error(
            "{} has tokens, labels and positions [n, s] and zeros; {} wants {} "
            "(--data synthetic suits every model)",
            name_, graph.name(), s.name);
      }
    }
    return {};
  }

  void fill(const core::SourceSpec& source, std::span<const std::int64_t> samples,
            const core::Box& box, void* out) const override {
    if (source.name == "zeros") return fill_zeros(source, box, out);
    auto* to = static_cast<std::int32_t*>(out);
    for (std::int64_t i = box[0].begin; i < box[0].end; ++i) {
      const std::int64_t first = samples[static_cast<std::size_t>(i)] * length_;
      for (std::int64_t s = box[1].begin; s < box[1].end; ++s)
        *to++ =
            source.name == "positions"
                ? static_cast<std::int32_t>(s)
                : tokens_[static_cast<std::size_t>(first + s + (source.name == "labels" ? 1 : 0))];
    }
  }

 private:
  std::string name_;
  std::shared_ptr<const Vocabulary> vocabulary_;
  std::vector<std::int32_t> tokens_;
  std::int64_t length_;
  std::optional<Baseline> baseline_;
};

// Parts of about `size` bytes that end with lines.
std::vector<std::string_view> parts_of(std::string_view text, std::size_t size) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::size_t end =
        text.size() <= size ? text.size() : std::min(text.find('\n', size), text.size() - 1) + 1;
    parts.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return parts;
}

}  // namespace

core::Result<core::SourceSpec> token_source(const core::Graph& graph, std::string_view name,
                                            std::string_view data) {
  for (const core::SourceSpec& s : graph.spec().sources)
    if (s.name == name && s.desc.shape.size() == 2 && s.desc.dtype == core::DType::kI32) return s;
  return core::usage_error(
      "{} is {} [n, s] of whole numbers; {} has no such source (--data synthetic suits every "
      "model)",
      data, name, graph.name());
}

double unigram_entropy(std::span<const std::int32_t> training, std::span<const std::int32_t> test,
                       std::int64_t vocabulary) {
  std::vector<double> counts(static_cast<std::size_t>(vocabulary), 1);
  for (const std::int32_t t : training) counts[static_cast<std::size_t>(t)] += 1;
  const double total = static_cast<double>(training.size()) + static_cast<double>(vocabulary);
  double sum = 0;
  for (const std::int32_t t : test) sum -= std::log(counts[static_cast<std::size_t>(t)] / total);
  return sum / static_cast<double>(test.size());
}

std::vector<std::int32_t> at_the_end(std::span<const std::int32_t> tokens, std::int64_t length) {
  std::vector<std::int32_t> row(static_cast<std::size_t>(length), Vocabulary::kEnd);
  std::copy(tokens.begin(), tokens.end(), row.end() - static_cast<std::ptrdiff_t>(tokens.size()));
  return row;
}

core::Result<DataSets> make_corpus(std::string name, const core::Graph& graph,
                                   std::span<const std::string> documents) {
  SOAPSTONE_ASSIGN(const core::SourceSpec words, token_source(graph, "tokens", name));
  const std::int64_t length = words.desc.shape[1];
  constexpr std::size_t kParts = 200, kLargest = 64 << 10;
  std::size_t total = 0;
  for (const std::string& d : documents) total += d.size();
  const std::size_t size = std::clamp<std::size_t>(total / kParts, 1, kLargest);
  std::vector<std::string_view> train, test;
  std::vector<std::string_view> parts;
  for (const std::string& d : documents)
    for (const std::string_view part : parts_of(d, size)) {
      const bool is_test = parts.size() % 10 == 9;
      (is_test ? test : train).push_back(part);
      parts.push_back(part);
    }

  auto learnt = Vocabulary::learn(train, words.classes);
  if (!learnt) {
    learnt.error().message = fmt::format("{}: {}", name, learnt.error().message);
    return tl::unexpected(learnt.error());
  }
  const auto vocabulary = std::make_shared<const Vocabulary>(std::move(*learnt));
  const auto encoded = [&](std::span<const std::string_view> texts) {
    std::vector<std::int32_t> tokens;
    for (std::size_t k = 0; k < texts.size(); ++k) {
      // What follows on the part before it belongs to the same text.
      const bool follows = k > 0 && texts[k - 1].data() + texts[k - 1].size() == texts[k].data();
      if (!follows) tokens.push_back(Vocabulary::kEnd);
      const auto own = vocabulary->encode(texts[k]);
      tokens.insert(tokens.end(), own.begin(), own.end());
    }
    return tokens;
  };
  DataSets sets;
  auto training = std::make_unique<Corpus>(name, vocabulary, encoded(train), length);
  auto testing = std::make_unique<Corpus>(name, vocabulary, encoded(test), length);
  if (testing->tokens().size() <= static_cast<std::size_t>(length))
    return core::usage_error(
        "{}: {} bytes of text in {} parts, of which every tenth is for testing: those have {} "
        "tokens; accepted: at least one sample of {} and the token after it",
        name, total, parts.size(), testing->tokens().size(), length);
  double bytes = 0;
  for (const std::string_view t : test) bytes += static_cast<double>(t.size());
  const Baseline baseline{
      unigram_entropy(training->tokens(), testing->tokens(), vocabulary->size()),
      bytes / static_cast<double>(testing->tokens().size())};
  testing->set_baseline(baseline);
  SOAPSTONE_TRY(training->check(graph));
  sets.train = std::move(training);
  sets.test = std::move(testing);
  return sets;
}

void fill_zeros(const core::SourceSpec& source, const core::Box& box, void* out) {
  // All bits 0 are the number 0 in every format.
  std::memset(
      out, 0,
      static_cast<std::size_t>((core::size_of(source.desc.dtype) * core::elements(box)).value));
}

}  // namespace soapstone::runtime
