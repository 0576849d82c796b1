// Printing of results: documents as JSON, tables as aligned text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/document.hpp"

namespace soapstone::cli {

// One column per entry of a row; numbers (a leading digit, sign or `~`) are aligned to the right.
// The first row is the heading.
std::string table(const std::vector<std::vector<std::string>>& rows);

// The document on stdout.
template <core::Document T>
core::Status print_json(const T& value) {
  auto text = core::document_text(value);
  if (!text) return tl::unexpected(text.error());
  fmt::print("{}", *text);
  return {};
}

// A bar on stderr that is redrawn in place on a terminal and stays silent elsewhere but for its
// last state.
class ProgressBar {
 public:
  explicit ProgressBar(std::string title);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  // `fraction` in [0, 1].
  void show(double fraction, std::string_view text);
  // A line of its own, above the bar.
  void say(std::string_view line);

 private:
  std::string title_;
  std::string last_;
  bool terminal_ = false;
  double shown_at_ = 0;
};

}  // namespace soapstone::cli
