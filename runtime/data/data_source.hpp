// Where samples come from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "core/graph.hpp"
#include "core/result.hpp"

namespace soapstone::runtime {

class Vocabulary;

// A value of a data set that does not fit the graph; the message names both.
struct DataError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// What a model of text must beat: every token is predicted by how often it comes in the training
// part, whatever stands before it (counts plus one).
struct Baseline {
  double nats_per_token = 0;   // of the labels of the test part
  double bytes_per_token = 0;  // of the test part: what compares different vocabularies
};

// Immutable, so that several threads may read it.
class DataSource {
 public:
  virtual ~DataSource() = default;
  virtual std::string_view name() const = 0;
  virtual bool is_synthetic() const { return false; }
  virtual std::int64_t samples() const = 0;
  // Whether it has what the graph's sources ask for.
  virtual core::Status check(const core::Graph& graph) const = 0;
  // Writes `box` of a source, in which index i of the first dimension stands for sample
  // `samples[i]`, densely packed in the source's order and dtype.
  virtual void fill(const core::SourceSpec& source, std::span<const std::int64_t> samples,
                    const core::Box& box, void* out) const = 0;

  // What the tokens stand for; null: it is no text.
  virtual const Vocabulary* vocabulary() const { return nullptr; }
  // Of the test part of text.
  virtual std::optional<Baseline> baseline() const { return std::nullopt; }
};

struct DataSets {
  std::unique_ptr<DataSource> train, test;
};

// What open_data knows.
std::span<const std::string_view> data_names();

// `folder` of files: empty for $SOAPSTONE_DATA, or where Debian's package puts them.
core::Result<DataSets> open_data(std::string_view name, const core::Graph& graph,
                                 std::uint64_t seed, const std::filesystem::path& folder = {});

// Fashion-MNIST (Xiao, Rasul, Vollgraf 2017, arXiv 1708.07747): 60,000 and 10,000 images [1, 28,
// 28] of 10 classes in IDX files, gzipped or not. Pixels become (x / 255 - 0.2860) / 0.3530: mean
// and standard deviation of the training images. Sources "images" and "labels".
core::Result<DataSets> open_fashion_mnist(const core::Graph& graph,
                                          const std::filesystem::path& folder);

// Random numbers from which can be learnt, for any graph; not data. Counter-based: the value of an
// element depends on the seed, the sample and the element's index alone.
//   labels [n]        class hash(sample) mod classes; other floating-point sources are that class's
//                     fixed pattern plus noise of twice its size
//   tokens [n, s]     uniform; labels [n, s] = (5 token + 7) mod classes
//   positions [n, s]  the index s
core::Result<DataSets> make_synthetic_data(const core::Graph& graph, std::uint64_t seed,
                                           std::int64_t train_samples = 60000,
                                           std::int64_t test_samples = 2000);

// Language modelling on `path`: a text file, or all *.txt, *.rst and *.md below a folder, each also
// gzipped. Sources "tokens" [n, s], "labels" [n, s] (the next token), "positions" [n, s] and
// "zeros". The text is encoded by a Vocabulary of the training part with as many tokens as the
// model has, and cut into samples of s tokens. Every file is cut at ends of lines into parts of a
// two-hundredth of all text, at most 64 KiB; every tenth part is for testing.
core::Result<DataSets> open_text(const core::Graph& graph, const std::filesystem::path& path);

// Text: the glosses and example sentences of WordNet 3 (Fellbaum 1998), one synset per line, from
// the files data.noun, data.verb, data.adj and data.adv.
core::Result<DataSets> open_wordnet(const core::Graph& graph, const std::filesystem::path& folder);

// Text: the English reStructuredText of the Linux kernel's documentation.
core::Result<DataSets> open_linux_doc(const core::Graph& graph,
                                      const std::filesystem::path& folder);

// Translation from the messages of all *.mo below `folder` (GNU gettext): from English to the
// language of the folder; by default LibreOffice's to German. Sources "tokens" [n, s] (the message
// with Vocabulary::kEnd before it up to s, so that a recurrent encoder ends with its last word),
// "target_tokens" [n, s] (kEnd, then the translation) and "labels" [n, s] (the translation, kEnd,
// then core::kNoLabel). One Vocabulary for both languages. Marks of keyboard shortcuts (~ and _)
// are taken out; equal pairs, untranslated ones and those longer than s tokens are left out. A
// tenth of the messages, by their hash, is for testing: no message is in both parts.
core::Result<DataSets> open_gettext(const core::Graph& graph, const std::filesystem::path& folder);

}  // namespace soapstone::runtime
