#include "runtime/data/vocabulary.hpp"

#include <algorithm>
#include <array>
#include <queue>

namespace soapstone::runtime {

namespace {

enum class Kind { kLetter, kDigit, kSpace, kOther };

Kind kind_of(char c) {
  const auto byte = static_cast<unsigned char>(c);
  if (byte >= 0x80 || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z'))
    return Kind::kLetter;
  if (byte >= '0' && byte <= '9') return Kind::kDigit;
  return byte <= ' ' ? Kind::kSpace : Kind::kOther;
}

constexpr std::size_t kLongestWord = 48;  // bytes; longer runs are cut

std::uint64_t pair_of(std::int32_t a, std::int32_t b) {
  return static_cast<std::uint64_t>(a) << 32 | static_cast<std::uint32_t>(b);
}

// A word of the texts while pairs are merged.
struct Word {
  std::vector<std::int32_t> tokens;
  std::int64_t count = 0;
};

// Pairs of neighbours in words with how often they come and where.
class Pairs {
 public:
  explicit Pairs(std::vector<Word>& words) : words_(words) {
    for (std::uint32_t w = 0; w < words.size(); ++w) count(w, 1);
    changed_.clear();
    for (const auto& [pair, known] : pairs_) queue_.push({known.count, ~pair});
  }

  // The most frequent one, of several the smallest; its count is 0 when no pair is left.
  std::pair<std::uint64_t, std::int64_t> best() {
    while (!queue_.empty()) {
      const auto [count, pair] = queue_.top();
      if (pairs_[~pair].count == count) return {~pair, count};
      queue_.pop();  // its count has changed since, and stands there again
    }
    return {0, 0};
  }

  void merge(std::uint64_t pair, std::int32_t into) {
    const auto a = static_cast<std::int32_t>(pair >> 32), b = static_cast<std::int32_t>(pair);
    const std::vector<std::uint32_t> where = std::move(pairs_[pair].words);
    for (const std::uint32_t w : where) {
      std::vector<std::int32_t>& tokens = words_[w].tokens;
      if (!holds(tokens, a, b)) continue;  // merged already, or listed twice
      count(w, -1);
      std::size_t to = 0;
      for (std::size_t from = 0; from < tokens.size(); ++from, ++to) {
        const bool here = from + 1 < tokens.size() && tokens[from] == a && tokens[from + 1] == b;
        tokens[to] = here ? into : tokens[from];
        from += here ? 1 : 0;
      }
      tokens.resize(to);
      count(w, 1);
    }
    for (const std::uint64_t p : changed_) queue_.push({pairs_[p].count, ~p});
    changed_.clear();
  }

 private:
  struct Known {
    std::int64_t count = 0;
    std::vector<std::uint32_t> words;  // that have it or had it
  };

  static bool holds(const std::vector<std::int32_t>& tokens, std::int32_t a, std::int32_t b) {
    for (std::size_t k = 0; k + 1 < tokens.size(); ++k)
      if (tokens[k] == a && tokens[k + 1] == b) return true;
    return false;
  }

  void count(std::uint32_t w, std::int64_t sign) {
    const Word& word = words_[w];
    for (std::size_t k = 0; k + 1 < word.tokens.size(); ++k) {
      const std::uint64_t p = pair_of(word.tokens[k], word.tokens[k + 1]);
      Known& known = pairs_[p];
      known.count += sign * word.count;
      if (sign > 0 && (known.words.empty() || known.words.back() != w)) known.words.push_back(w);
      changed_.push_back(p);
    }
  }

  std::vector<Word>& words_;
  std::unordered_map<std::uint64_t, Known> pairs_;
  std::vector<std::uint64_t> changed_;
  std::priority_queue<std::pair<std::int64_t, std::uint64_t>> queue_;  // count, pair inverted
};

}  // namespace

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  std::size_t at = 0;
  while (at < text.size()) {
    std::size_t end = at;
    const bool leads =
        text[at] == ' ' && at + 1 < text.size() && kind_of(text[at + 1]) != Kind::kSpace;
    if (leads) ++end;
    const Kind kind = kind_of(text[end]);
    while (end < text.size() && kind_of(text[end]) == kind && end - at < kLongestWord) ++end;
    // The last space of several belongs to the word after it.
    if (kind == Kind::kSpace && end < text.size() && kind_of(text[end]) != Kind::kSpace &&
        text[end - 1] == ' ' && end - at > 1)
      --end;
    words.push_back(text.substr(at, end - at));
    at = end;
  }
  return words;
}

core::Result<Vocabulary> Vocabulary::learn(std::span<const std::string_view> texts,
                                           std::int64_t size) {
  Vocabulary v;
  v.tokens_ = {"", "\xef\xbf\xbd"};
  std::array<bool, 256> seen{};
  for (const std::string_view text : texts)
    for (const char c : text) seen[static_cast<unsigned char>(c)] = true;
  for (std::size_t byte = 0; byte < seen.size(); ++byte) {
    if (!seen[byte]) continue;
    v.of_byte_[byte] = static_cast<std::int32_t>(v.tokens_.size());
    v.tokens_.emplace_back(1, static_cast<char>(byte));
  }
  if (v.size() > size)
    return core::usage_error(
        "a vocabulary of {} tokens for text of {} different bytes; accepted: at least {}", size,
        v.size() - 2, v.size());

  constexpr std::size_t kCounted = std::size_t{16} << 20;
  std::map<std::string_view, std::int64_t> counts;
  std::size_t total = 0;
  for (std::string_view text : texts) {
    text = text.substr(0, kCounted - total);
    for (const std::string_view word : words_of(text)) ++counts[word];
    total += text.size();
  }
  std::vector<Word> words;
  for (const auto& [text, count] : counts) {
    Word word{{}, count};
    for (const char c : text) word.tokens.push_back(v.of_byte_[static_cast<unsigned char>(c)]);
    words.push_back(std::move(word));
  }
  Pairs pairs(words);
  while (v.size() < size) {
    const auto [pair, count] = pairs.best();
    if (count < 2) break;
    const auto token = static_cast<std::int32_t>(v.tokens_.size());
    v.tokens_.push_back(v.tokens_[pair >> 32] + v.tokens_[pair & 0xffffffffu]);
    v.merged_[pair] = token;
    pairs.merge(pair, token);
  }
  std::size_t k = 0;
  for (const auto& [text, count] : counts) v.known_.emplace(text, std::move(words[k++].tokens));
  return v;
}

std::vector<std::int32_t> Vocabulary::encode_word(std::string_view word) const {
  std::vector<std::int32_t> tokens;
  for (const char c : word) tokens.push_back(of_byte_[static_cast<unsigned char>(c)]);
  for (;;) {
    // What was merged first is merged first: later tokens have greater numbers.
    std::int32_t least = 0;
    std::uint64_t pair = 0;
    for (std::size_t k = 0; k + 1 < tokens.size(); ++k) {
      const std::uint64_t p = pair_of(tokens[k], tokens[k + 1]);
      const auto found = merged_.find(p);
      if (found == merged_.end() || (least != 0 && found->second >= least)) continue;
      least = found->second;
      pair = p;
    }
    if (least == 0) return tokens;
    std::size_t to = 0;
    for (std::size_t from = 0; from < tokens.size(); ++from, ++to) {
      const bool here = from + 1 < tokens.size() && pair_of(tokens[from], tokens[from + 1]) == pair;
      tokens[to] = here ? least : tokens[from];
      from += here ? 1 : 0;
    }
    tokens.resize(to);
  }
}

std::vector<std::int32_t> Vocabulary::encode(std::string_view text) const {
  std::vector<std::int32_t> tokens;
  for (const std::string_view word : words_of(text)) {
    const auto found = known_.find(std::string(word));
    if (found != known_.end()) {
      tokens.insert(tokens.end(), found->second.begin(), found->second.end());
    } else {
      const auto own = encode_word(word);
      tokens.insert(tokens.end(), own.begin(), own.end());
    }
  }
  return tokens;
}

std::string Vocabulary::decode(std::span<const std::int32_t> tokens) const {
  std::string text;
  for (const std::int32_t t : tokens)
    if (t > 0 && t < size()) text += tokens_[static_cast<std::size_t>(t)];
  return text;
}

}  // namespace soapstone::runtime
