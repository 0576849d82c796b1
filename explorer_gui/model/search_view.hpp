// A search as a curve and a few words, while it runs and after.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "explorer_gui/model/session.hpp"

namespace soapstone::explorer {

enum class SearchAxis : std::uint8_t { kProposals, kTime };
SOAPSTONE_ENUM_NAMES(SearchAxis, {SearchAxis::kProposals, "proposals"}, {SearchAxis::kTime, "time"})

struct SearchView {
  // Steps: best[i] milliseconds from x[i] (proposals, or seconds) on; the last one is now.
  std::vector<double> x, best;
  std::optional<double> bound;      // milliseconds: no strategy can be faster
  double proposals_per_second = 0;  // mean since the beginning; pauses do not count
  std::string words;                // "1,234 proposals in 5.2 s (237/s), best 4.1 ms …"
};
// `baseline`: the step time that the best is compared with. `bound`: search::lower_bound.
SearchView search_view(const SearchRun& run, SearchAxis axis,
                       std::optional<core::Nanoseconds> baseline,
                       std::optional<core::Nanoseconds> bound = {});

// Of all strategies (search/bound.hpp); none: the model cannot be lowered.
std::optional<core::Nanoseconds> lower_bound_of(const Setting& setting);

// "1,234,567".
std::string with_commas(std::int64_t n);

}  // namespace soapstone::explorer
