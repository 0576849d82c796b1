#include <algorithm>
#include <array>
#include <cctype>
#include <memory>
#include <set>

#include "core/ops/softmax_cross_entropy.hpp"
#include "core/reflect.hpp"
#include "runtime/data/corpus.hpp"
#include "runtime/data/mo.hpp"
#include "runtime/data/text_file.hpp"

namespace soapstone::runtime {

namespace {

constexpr const char* kDebianFolder = "/usr/lib/libreoffice/program/resource/de";

using Pair = std::pair<std::string, std::string>;  // message, translation

// The rows of a source, one after the other.
using Rows = std::vector<std::int32_t>;

class Translations final : public DataSource {
 public:
  Translations(std::shared_ptr<const Vocabulary> vocabulary, std::int64_t length)
      : vocabulary_(std::move(vocabulary)), length_(length) {}

  std::string_view name() const override { return "gettext"; }
  std::int64_t samples() const override {
    return static_cast<std::int64_t>(labels_.size()) / length_;
  }
  const Vocabulary* vocabulary() const override { return vocabulary_.get(); }
  std::optional<Baseline> baseline() const override { return baseline_; }
  std::span<const std::int32_t> targets() const { return targets_; }
  void set_baseline(Baseline baseline) { baseline_ = baseline; }

  // Unless one of both is too long.
  void add(const Pair& pair) {
    const auto message = vocabulary_->encode(pair.first);
    auto translation = vocabulary_->encode(pair.second);
    translation.push_back(Vocabulary::kEnd);
    const auto most = static_cast<std::size_t>(length_);
    if (message.size() > most || translation.size() > most) return;
    bytes_ += pair.second.size();
    const auto put = [&](Rows& rows, std::vector<std::int32_t> row, std::int32_t pad) {
      row.resize(most, pad);
      rows.insert(rows.end(), row.begin(), row.end());
    };
    put(tokens_, at_the_end(message, length_), Vocabulary::kEnd);
    put(labels_, translation, core::kNoLabel);
    targets_.insert(targets_.end(), translation.begin(), translation.end());
    translation.insert(translation.begin(), Vocabulary::kEnd);
    put(begun_, translation, Vocabulary::kEnd);
  }
  double bytes_per_token() const {
    return static_cast<double>(bytes_) / static_cast<double>(targets_.size());
  }

  core::Status check(const core::Graph& graph) const override {
    for (const core::SourceSpec& s : graph.spec().sources) {
      if (s.name == "zeros") continue;
      if (rows_of(s.name) == nullptr)
        return core::usage_error(
            "gettext has tokens, target_tokens and labels [n, s] and zeros; {} wants {} (--data "
            "synthetic suits every model)",
            graph.name(), s.name);
      SOAPSTONE_ASSIGN(const core::SourceSpec spec, token_source(graph, s.name, name()));
      if (spec.desc.shape[1] != length_ || spec.classes < vocabulary_->size())
        return core::usage_error("gettext has {} [n, {}] of {} classes; {} wants {} of {} classes",
                                 s.name, length_, vocabulary_->size(), graph.name(),
                                 core::print(spec.desc.shape), spec.classes);
    }
    return {};
  }

  void fill(const core::SourceSpec& source, std::span<const std::int64_t> samples,
            const core::Box& box, void* out) const override {
    if (source.name == "zeros") return fill_zeros(source, box, out);
    const Rows& rows = *rows_of(source.name);
    auto* to = static_cast<std::int32_t*>(out);
    for (std::int64_t i = box[0].begin; i < box[0].end; ++i) {
      const auto row = rows.begin() + samples[static_cast<std::size_t>(i)] * length_;
      to = std::copy(row + box[1].begin, row + box[1].end, to);
    }
  }

 private:
  const Rows* rows_of(std::string_view source) const {
    return source == "tokens"          ? &tokens_
           : source == "target_tokens" ? &begun_
           : source == "labels"        ? &labels_
                                       : nullptr;
  }

  std::shared_ptr<const Vocabulary> vocabulary_;
  std::int64_t length_;
  Rows tokens_, begun_, labels_;
  std::vector<std::int32_t> targets_;  // all labels that count
  std::size_t bytes_ = 0;              // of the translations
  std::optional<Baseline> baseline_;
};

// Without the mark of a keyboard shortcut: one ~ or _ alone of its kind, before a letter or digit.
std::string unmarked(std::string text) {
  for (const char mark : {'~', '_'}) {
    const std::size_t at = text.find(mark);
    if (at == std::string::npos || text.find(mark, at + 1) != std::string::npos) continue;
    if (at + 1 == text.size()) continue;
    const auto next = static_cast<unsigned char>(text[at + 1]);
    if (std::isalnum(next) != 0 || next >= 0x80) text.erase(at, 1);
  }
  return text;
}

}  // namespace

core::Result<DataSets> open_gettext(const core::Graph& graph, const std::filesystem::path& folder) {
  static constexpr std::array<std::string_view, 1> kEndings{".mo"};
  SOAPSTONE_ASSIGN(const core::SourceSpec words, token_source(graph, "target_tokens", "gettext"));
  const std::int64_t length = words.desc.shape[1];
  auto files = files_below(data_folder(folder, kDebianFolder), kEndings);
  if (!files)
    return tl::unexpected(advised(std::move(files.error()), "libreoffice-l10n-de", kDebianFolder));
  std::set<Pair> pairs;
  for (const auto& file : *files) {
    SOAPSTONE_ASSIGN(const std::string bytes, read_zipped(file));
    SOAPSTONE_ASSIGN(const std::vector<Message> messages, read_mo(bytes, file.string()));
    const auto add = [&](const std::string& id, const std::string& text) {
      Pair pair{unmarked(id), unmarked(text)};
      if (!pair.first.empty() && !pair.second.empty() && pair.first != pair.second)
        pairs.insert(std::move(pair));
    };
    for (const Message& m : messages) {
      add(m.id, m.text.front());
      if (!m.plural.empty()) add(m.plural, m.text.back());
    }
  }
  std::vector<Pair> train, test;
  for (const Pair& p : pairs) {
    core::Hasher hash;
    core::append_hash(hash, p.first);
    ((hash.finish() >> 32) % 10 == 0 ? test : train).push_back(p);
  }
  std::vector<std::string_view> texts;
  for (const Pair& p : train) {
    texts.push_back(p.first);
    texts.push_back(p.second);
  }
  auto learnt = Vocabulary::learn(texts, words.classes);
  if (!learnt) {
    learnt.error().message = fmt::format("gettext: {}", learnt.error().message);
    return tl::unexpected(learnt.error());
  }
  const auto vocabulary = std::make_shared<const Vocabulary>(std::move(*learnt));
  DataSets sets;
  const auto made = [&](const std::vector<Pair>& from) {
    auto source = std::make_unique<Translations>(vocabulary, length);
    for (const Pair& p : from) source->add(p);
    return source;
  };
  auto training = made(train), testing = made(test);
  if (training->samples() == 0 || testing->samples() == 0)
    return core::usage_error(
        "gettext: {} pairs, of which {} for training and {} for testing have at most {} tokens; "
        "accepted: at least one of each",
        pairs.size(), training->samples(), testing->samples(), length);
  testing->set_baseline(
      {unigram_entropy(training->targets(), testing->targets(), vocabulary->size()),
       testing->bytes_per_token()});
  SOAPSTONE_TRY(training->check(graph));
  sets.train = std::move(training);
  sets.test = std::move(testing);
  return sets;
}

}  // namespace soapstone::runtime
