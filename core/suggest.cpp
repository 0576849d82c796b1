#include "core/suggest.hpp"

#include <algorithm>
#include <cctype>
#include <numeric>
#include <utility>

#include <fmt/core.h>

namespace soapstone::core {

namespace {

char lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

}  // namespace

std::size_t edit_distance(std::string_view a, std::string_view b) {
  // Three rows of the usual table: distance of a's first i letters to b's first j.
  std::vector<std::size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::swap(before, above);
    std::swap(above, row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = lower(a[i - 1]) == lower(b[j - 1]);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (same ? 0 : 1)});
      if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
          lower(a[i - 2]) == lower(b[j - 1]))
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row[b.size()];
}

std::vector<std::string_view> nearest_first(std::string_view given,
                                            std::span<const std::string_view> candidates) {
  std::vector<std::pair<std::size_t, std::string_view>> ranked;
  for (const auto name : candidates) ranked.emplace_back(edit_distance(given, name), name);
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string_view> names;
  for (const auto& [distance, name] : ranked) names.push_back(name);
  return names;
}

std::optional<std::string_view> nearest_name(std::string_view given,
                                             std::span<const std::string_view> candidates) {
  const auto names = nearest_first(given, candidates);
  if (names.empty()) return std::nullopt;
  const std::size_t forgiven = std::max<std::size_t>(1, names.front().size() / 3);
  if (edit_distance(given, names.front()) > forgiven) return std::nullopt;
  return names.front();
}

std::string accepted_names(std::string_view given, std::span<const std::string_view> candidates) {
  if (candidates.empty()) return "nothing is accepted here";
  std::string text;
  if (const auto near = nearest_name(given, candidates))
    text = fmt::format("did you mean `{}`? ", *near);
  text += "accepted: ";
  bool first = true;
  for (const auto name : nearest_first(given, candidates)) {
    if (!first) text += ", ";
    first = false;
    text += name;
  }
  return text;
}

}  // namespace soapstone::core
