#include "cli/output.hpp"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdio>

#include <unistd.h>

namespace soapstone::cli {

namespace {

// Columns a UTF-8 text takes, one per code point.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

bool is_number(std::string_view text) {
  return !text.empty() && (std::isdigit(static_cast<unsigned char>(text[0])) || text[0] == '-' ||
                           text[0] == '+' || text[0] == '~');
}

constexpr std::string_view kEraseLine = "\r\033[K";

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()), 0);
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], width(row[c]));
  }
  std::vector<bool> right(widths.size(), rows.size() > 1);
  for (std::size_t r = 1; r < rows.size(); ++r)
    for (std::size_t c = 0; c < rows[r].size(); ++c)
      if (!rows[r][c].empty() && !is_number(rows[r][c])) right[c] = false;
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t c = 0; c < row.size(); ++c) {
      const std::string pad(widths[c] - width(row[c]), ' ');
      if (c > 0) line += "  ";
      line += right[c] ? pad + row[c] : row[c] + pad;
    }
    while (!line.empty() && line.back() == ' ') line.pop_back();
    out += line + "\n";
  }
  return out;
}

ProgressBar::ProgressBar(std::string title)
    : title_(std::move(title)), terminal_(isatty(STDERR_FILENO) == 1) {}

ProgressBar::~ProgressBar() {
  if (!last_.empty())
    fmt::print(stderr, "{}{}\n", terminal_ ? kEraseLine : std::string_view(), last_);
}

void ProgressBar::say(std::string_view line) {
  fmt::print(stderr, "{}{}\n{}", terminal_ ? kEraseLine : std::string_view(), line,
             terminal_ ? last_ : std::string());
  std::fflush(stderr);
}

void ProgressBar::show(double fraction, std::string_view text) {
  constexpr int kWidth = 24;
  const int filled = static_cast<int>(std::clamp(fraction, 0.0, 1.0) * kWidth);
  last_ = fmt::format("{} [{}{}] {:3.0f}% {}", title_,
                      std::string(static_cast<std::size_t>(filled), '='),
                      std::string(static_cast<std::size_t>(kWidth - filled), ' '),
                      100 * std::clamp(fraction, 0.0, 1.0), text);
  if (!terminal_ || (fraction < 1 && now() - shown_at_ < 0.1)) return;
  shown_at_ = now();
  fmt::print(stderr, "{}{}", kEraseLine, last_);
  std::fflush(stderr);
}

}  // namespace soapstone::cli
