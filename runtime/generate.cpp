#include "runtime/generate.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "core/assert.hpp"
#include "core/lower.hpp"
#include "core/ops/softmax_cross_entropy.hpp"
#include "kernels/bf16.hpp"
#include "kernels/box_copy.hpp"
#include "kernels/random.hpp"
#include "runtime/checkpoint.hpp"
#include "runtime/data/batch_reader.hpp"
#include "runtime/data/corpus.hpp"
#include "runtime/detail/bytes.hpp"
#include "runtime/plan_run.hpp"

namespace soapstone::runtime {

namespace {

using Tokens = std::vector<std::int32_t>;

// One text as it grows.
struct Text {
  Tokens given;  // the message, or what stands before the continuation
  Tokens made;
  Tokens reference;
  bool done = false;
};

// The texts of one batch as the model's sources: sample i is text i.
class Prompts final : public DataSource {
 public:
  Prompts(const core::Graph& graph, bool translates, std::int64_t length)
      : batch_(graph.batch()), translates_(translates), length_(length) {}

  std::string_view name() const override { return "prompts"; }
  std::int64_t samples() const override { return batch_; }
  core::Status check(const core::Graph&) const override { return {}; }

  // Where the logits of every text's next token stand.
  std::vector<std::int64_t> set(std::span<const Text> texts) {
    tokens_.clear();
    begun_.clear();
    std::vector<std::int64_t> places;
    for (std::int64_t i = 0; i < batch_; ++i) {
      // What fills the batch up is made and left.
      const Text& text = texts[std::min(static_cast<std::size_t>(i), texts.size() - 1)];
      Tokens row;
      if (translates_) {
        const auto message = at_the_end(text.given, length_);
        tokens_.insert(tokens_.end(), message.begin(), message.end());
        row.push_back(Vocabulary::kEnd);
      } else {
        row = text.given;
      }
      row.insert(row.end(), text.made.begin(), text.made.end());
      // A text longer than the sequence goes on from its last part.
      if (static_cast<std::int64_t>(row.size()) > length_)
        row.erase(row.begin(), row.end() - static_cast<std::ptrdiff_t>(length_));
      places.push_back(static_cast<std::int64_t>(row.size()) - 1);
      row.resize(static_cast<std::size_t>(length_), Vocabulary::kEnd);
      Tokens& fed = translates_ ? begun_ : tokens_;
      fed.insert(fed.end(), row.begin(), row.end());
    }
    return places;
  }

  void fill(const core::SourceSpec& source, std::span<const std::int64_t> samples,
            const core::Box& box, void* out) const override {
    if (source.name == "zeros") return fill_zeros(source, box, out);
    auto* to = static_cast<std::int32_t*>(out);
    for (std::int64_t i = box[0].begin; i < box[0].end; ++i)
      for (std::int64_t s = box[1].begin; s < box[1].end; ++s) {
        const auto at =
            static_cast<std::size_t>(samples[static_cast<std::size_t>(i)] * length_ + s);
        *to++ = source.name == "tokens"          ? tokens_[at]
                : source.name == "target_tokens" ? begun_[at]
                : source.name == "positions"     ? static_cast<std::int32_t>(s)
                                                 : core::kNoLabel;
      }
  }

 private:
  std::int64_t batch_;
  bool translates_;
  std::int64_t length_;
  Tokens tokens_, begun_;  // one row per sample
};

// Element `place` of text i of a batch, for all i: logits [n, classes].
class LogitRows {
 public:
  LogitRows(const core::Graph& graph, core::TensorId logits)
      : tensor_(logits.value), classes_(graph.tensor(logits).desc.shape[2]) {}

  void begin(std::vector<std::int64_t> places) {
    places_ = std::move(places);
    writer_ = {};
  }

  // `value` in the index space of a micro-batch of `samples`.
  void add(std::uint32_t tensor, std::uint32_t micro_batch, std::int64_t samples,
           const kernels::Block& value) {
    if (tensor != tensor_) return;
    for (std::int64_t i = value.box[0].begin; i < value.box[0].end; ++i) {
      const std::int64_t text = micro_batch * samples + i;
      const std::int64_t place = places_[static_cast<std::size_t>(text)];
      if (place < value.box[1].begin || place >= value.box[1].end) continue;
      const core::Box row{{i, i + 1}, {place, place + 1}, value.box[2]};
      numbers_.resize(static_cast<std::size_t>(core::elements(row)));
      kernels::copy_box({numbers_.data(), value.dtype, row, {}}, value, row);
      writer_.put(text);
      writer_.put(value.box[2].begin);
      writer_.put(value.box[2].end);
      for (std::size_t k = 0; k < numbers_.size(); ++k) writer_.put(number(value.dtype, k));
    }
  }

  // On process 0, from what all processes have.
  std::vector<std::vector<double>> gather(Communicator& communicator) {
    const auto texts = communicator.gather(writer_.take());
    std::vector<std::vector<double>> rows(
        places_.size(), std::vector<double>(static_cast<std::size_t>(classes_),
                                            -std::numeric_limits<double>::infinity()));
    for (const std::string& text : texts) {
      detail::ByteReader reader(text);
      while (!reader.done()) {
        auto& row = rows[static_cast<std::size_t>(reader.get<std::int64_t>())];
        const auto begin = reader.get<std::int64_t>(), end = reader.get<std::int64_t>();
        for (std::int64_t c = begin; c < end; ++c)
          row[static_cast<std::size_t>(c)] = reader.get<double>();
      }
    }
    return rows;
  }

 private:
  double number(core::DType dtype, std::size_t k) const {
    const void* data = numbers_.data();
    switch (dtype) {
      case core::DType::kF64:
        return static_cast<const double*>(data)[k];
      case core::DType::kF32:
        return static_cast<const float*>(data)[k];
      case core::DType::kBF16:
        return static_cast<const kernels::Bf16*>(data)[k];
      case core::DType::kI32:
        return static_cast<const std::int32_t*>(data)[k];
    }
    return 0;
  }

  std::uint32_t tensor_;
  std::int64_t classes_;
  std::vector<std::int64_t> places_;
  std::vector<double> numbers_;  // room for a row of any format
  detail::ByteWriter writer_;
};

class Generator {
 public:
  Generator(Communicator& communicator, const GenerateProblem& problem,
            const GenerateOptions& options)
      : communicator_(communicator), p_(problem), options_(options) {}

  core::Result<std::vector<GeneratedText>> run(
      const std::function<void(std::int64_t, std::int64_t)>& progress) {
    SOAPSTONE_TRY(communicator_.agree(prepare()));
    SOAPSTONE_TRY(compare_plans(communicator_, run_->plan()));
    SOAPSTONE_TRY(load());
    std::vector<Text> texts;
    const core::Status begun = begin(texts);
    SOAPSTONE_TRY(communicator_.agree(begun));
    const auto batch = static_cast<std::size_t>(p_.graph.batch());
    const std::size_t batches = (texts.size() + batch - 1) / batch;
    const std::int64_t most = static_cast<std::int64_t>(batches) * length_;
    for (std::size_t k = 0; k < batches; ++k) {
      const std::span<Text> part =
          std::span(texts).subspan(k * batch, std::min(batch, texts.size() - k * batch));
      for (std::int64_t made = 0; made < length_; ++made) {
        if (progress && communicator_.process() == 0)
          progress(static_cast<std::int64_t>(k) * length_ + made, most);
        grow(part, k * batch);
        if (std::all_of(part.begin(), part.end(), [](const Text& t) { return t.done; })) break;
      }
    }
    if (progress && communicator_.process() == 0) progress(most, most);
    std::vector<GeneratedText> out;
    for (const Text& t : texts) {
      const Vocabulary& v = *p_.data.vocabulary();
      out.push_back({v.decode(t.given), v.decode(t.made), v.decode(t.reference)});
    }
    return out;
  }

 private:
  core::Status prepare() {
    if (p_.data.vocabulary() == nullptr)
      return core::usage_error("{} is no text; accepted: data of text", p_.data.name());
    SOAPSTONE_TRY(p_.data.check(p_.graph));
    if (options_.prompts.empty() && (options_.count < 1 || options_.count > p_.data.samples()))
      return core::usage_error("count = {}: from 1 to {} is accepted", options_.count,
                               p_.data.samples());
    if (options_.length < 0 || !(options_.temperature >= 0))
      return core::usage_error("length = {}, temperature = {}: 0 or more is accepted",
                               options_.length, options_.temperature);
    const core::OpNode& loss = p_.graph.op(p_.graph.tensor(p_.graph.loss()).producer.op);
    const auto inputs = loss.definition.operands_of(core::OperandRole::kInput);
    const core::TensorId logits = loss.tensors[static_cast<std::size_t>(inputs.front())];
    const core::Shape shape = p_.graph.tensor(logits).desc.shape;
    translates_ = p_.graph.find_tensor("target_tokens").has_value();
    SOAPSTONE_ASSIGN(
        const core::SourceSpec fed,
        token_source(p_.graph, translates_ ? "target_tokens" : "tokens", p_.data.name()));
    sequence_ = fed.desc.shape[1];
    if (shape.size() != 3 || shape[1] != sequence_ || shape[2] < p_.data.vocabulary()->size())
      return core::usage_error(
          "{}: {} computes the loss from {} {}; accepted: logits [n, {}, at least {}]",
          p_.graph.name(), loss.name, p_.graph.tensor(logits).name, core::print(shape), sequence_,
          p_.data.vocabulary()->size());
    if (static_cast<std::size_t>(communicator_.ranks()) < p_.cluster.size())
      return core::usage_error("{} ranks for a cluster of {} devices; accepted: at least {}",
                               communicator_.ranks(), p_.cluster.size(), p_.cluster.size());
    length_ = options_.length;
    if (length_ == 0) length_ = translates_ ? sequence_ : sequence_ - sequence_ / 2;
    // A translation does not go on beyond the sequence: its beginning would get lost.
    if (translates_) length_ = std::min(length_, sequence_);

    core::LowerOptions how;
    how.training = false;
    core::Strategy in_order = p_.strategy;  // logits are read by their positions
    in_order.zigzag = 0;
    SOAPSTONE_ASSIGN(const core::Plan plan,
                     core::lower(p_.graph, in_order, p_.cluster, p_.catalog, how));
    run_ = std::make_unique<PlanRun>(communicator_, p_.graph, plan, PlanRunOptions{});
    rows_ = std::make_unique<LogitRows>(p_.graph, logits);
    for (const auto& e : run_->executors())
      e->observe_reads(
          p_.graph.tensor(p_.graph.loss()).producer.op,
          [this](std::uint32_t tensor, std::uint32_t micro_batch, const kernels::Block& value) {
            rows_->add(tensor, micro_batch, run_->micro_batch_samples(), value);
          });
    prompts_ = std::make_unique<Prompts>(p_.graph, translates_, sequence_);
    reader_ = std::make_unique<BatchReader>(p_.graph, *prompts_, run_->micro_batch_samples(),
                                            run_->loads());
    return {};
  }

  // Process 0 reads; the others may stand on machines that do not have the file.
  core::Status load() {
    std::vector<WholeTensor> weights;
    core::Status status;
    if (communicator_.process() == 0) {
      auto checkpoint = load_checkpoint(options_.checkpoint, p_.graph);
      if (!checkpoint)
        status = tl::unexpected(checkpoint.error());
      else if (checkpoint->data != p_.data.name())
        status = core::refuse("{}: trained on {}, these are tokens of {}",
                              options_.checkpoint.string(), checkpoint->data, p_.data.name());
      else
        weights = std::move(checkpoint->weights);
    }
    SOAPSTONE_TRY(communicator_.agree(status));
    run_->distribute_weights(weights);
    return {};
  }

  // Row `sample` of a source, as far as it is text.
  Tokens row_of(std::string_view name, std::int64_t sample) const {
    const auto& sources = p_.graph.spec().sources;
    const auto source = std::find_if(sources.begin(), sources.end(),
                                     [&](const core::SourceSpec& s) { return s.name == name; });
    Tokens row(static_cast<std::size_t>(sequence_));
    p_.data.fill(*source, std::span(&sample, 1), {{0, 1}, {0, sequence_}}, row.data());
    return row;
  }

  core::Status begin(std::vector<Text>& texts) const {
    for (const std::string& prompt : options_.prompts) {
      Text t;
      t.given = p_.data.vocabulary()->encode(prompt);
      const auto given = static_cast<std::int64_t>(t.given.size());
      if (given == 0 || (translates_ && given > sequence_))
        return core::usage_error("`{}` has {} tokens; from 1{} are accepted", prompt, given,
                                 translates_ ? fmt::format(" to {}", sequence_) : " on");
      texts.push_back(std::move(t));
    }
    if (!texts.empty()) return {};
    // Evenly over the data.
    for (std::int64_t k = 0; k < options_.count; ++k) {
      const std::int64_t sample = k * p_.data.samples() / options_.count;
      Text t;
      t.given = row_of("tokens", sample);
      t.reference = row_of("labels", sample);
      if (translates_) {
        const auto words = std::find_if(t.given.begin(), t.given.end(),
                                        [](std::int32_t w) { return w != Vocabulary::kEnd; });
        t.given.erase(t.given.begin(), words);
      } else {
        // Label s is token s + 1.
        t.given.resize(static_cast<std::size_t>(std::max<std::int64_t>(1, sequence_ / 2)));
        t.reference.erase(t.reference.begin(),
                          t.reference.begin() + static_cast<std::ptrdiff_t>(t.given.size()) - 1);
      }
      texts.push_back(std::move(t));
    }
    return {};
  }

  // One more token for every text; `first`: the number of the first of them.
  void grow(std::span<Text> texts, std::size_t first) {
    rows_->begin(prompts_->set(texts));
    std::vector<std::int64_t> samples;
    for (std::int64_t i = 0; i < p_.graph.batch(); ++i) samples.push_back(i);
    reader_->request(std::move(samples));
    StepSettings settings;
    settings.loaded = reader_->next();
    run_->step(settings);
    const auto logits = rows_->gather(communicator_);
    detail::ByteWriter writer;
    for (std::size_t i = 0; communicator_.process() == 0 && i < texts.size(); ++i)
      writer.put(choose(logits[i], first + i, texts[i].made.size()));
    const std::string all = communicator_.broadcast(writer.take());
    detail::ByteReader reader(all);
    for (Text& t : texts) {
      const auto token = reader.get<std::int32_t>();
      if (t.done) continue;
      t.done = token == Vocabulary::kEnd;
      if (!t.done) t.made.push_back(token);
    }
  }

  std::int32_t choose(const std::vector<double>& logits, std::size_t text,
                      std::size_t place) const {
    const auto count = p_.data.vocabulary()->size();
    const auto end = logits.begin() + count;  // a model may have more classes
    const auto best = std::max_element(logits.begin(), end);
    if (options_.temperature == 0) return static_cast<std::int32_t>(best - logits.begin());
    std::vector<double> sums;
    for (auto it = logits.begin(); it != end; ++it)
      sums.push_back((sums.empty() ? 0 : sums.back()) +
                     std::exp((*it - *best) / options_.temperature));
    const kernels::RandomStream stream{options_.seed, kernels::RandomUse::kSynthetic,
                                       static_cast<std::uint32_t>(text), 0};
    const double at = kernels::uniform01(stream, place) * sums.back();
    const auto found = std::upper_bound(sums.begin(), sums.end() - 1, at);
    return static_cast<std::int32_t>(found - sums.begin());
  }

  Communicator& communicator_;
  const GenerateProblem& p_;
  const GenerateOptions& options_;
  bool translates_ = false;
  std::int64_t sequence_ = 0, length_ = 0;
  std::unique_ptr<PlanRun> run_;
  std::unique_ptr<LogitRows> rows_;
  std::unique_ptr<Prompts> prompts_;
  std::unique_ptr<BatchReader> reader_;
};

}  // namespace

core::Result<std::vector<GeneratedText>> generate(
    Communicator& communicator, const GenerateProblem& problem, const GenerateOptions& options,
    const std::function<void(std::int64_t, std::int64_t)>& progress) {
  return Generator(communicator, problem, options).run(progress);
}

}  // namespace soapstone::runtime
