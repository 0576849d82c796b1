// Text as tokens: pieces of words.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/result.hpp"

namespace soapstone::runtime {

// Byte-pair encoding (Gage 1994; Sennrich et al. 2016, arXiv 1508.07909): beginning with single
// bytes, the most frequent pair of neighbours within a word becomes a token of its own, over and
// over. A word is a run of letters, of digits or of other signs, with the space before it; runs of
// white space are words too. It follows from the text alone, so that nothing is kept beside a
// checkpoint. Immutable.
class Vocabulary {
 public:
  static constexpr std::int32_t kEnd = 0;      // of a text; also stands where one begins, and pads
  static constexpr std::int32_t kUnknown = 1;  // a byte that the texts do not have

  // At most `size` tokens; fewer if no pair comes twice. Refuses a size without room for every byte
  // that the texts have. What comes after the first 16 MiB is not counted.
  static core::Result<Vocabulary> learn(std::span<const std::string_view> texts, std::int64_t size);

  std::int64_t size() const { return static_cast<std::int64_t>(tokens_.size()); }
  std::vector<std::int32_t> encode(std::string_view text) const;
  // Tokens that are none and kEnd give nothing, kUnknown gives U+FFFD.
  std::string decode(std::span<const std::int32_t> tokens) const;

 private:
  std::vector<std::int32_t> encode_word(std::string_view word) const;

  std::vector<std::string> tokens_;  // the bytes that a token stands for
  std::vector<std::int32_t> of_byte_ = std::vector<std::int32_t>(256, kUnknown);
  std::unordered_map<std::uint64_t, std::int32_t> merged_;  // both tokens -> the one they become
  std::unordered_map<std::string, std::vector<std::int32_t>> known_;  // words of the texts
};

// The words of a text, in their order; together they are the text.
std::vector<std::string_view> words_of(std::string_view text);

}  // namespace soapstone::runtime
