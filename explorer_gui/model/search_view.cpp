#include "explorer_gui/model/search_view.hpp"

#include <fmt/core.h>

#include "core/units.hpp"
#include "search/bound.hpp"

namespace soapstone::explorer {

std::string with_commas(std::int64_t n) {
  std::string digits = std::to_string(n < 0 ? -n : n);
  for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, ",");
  return n < 0 ? "-" + digits : digits;
}

SearchView search_view(const SearchRun& run, SearchAxis axis,
                       std::optional<core::Nanoseconds> baseline,
                       std::optional<core::Nanoseconds> bound) {
  SearchView out;
  if (bound && bound->value > 0) out.bound = static_cast<double>(bound->value) * 1e-6;
  const auto put = [&](const SearchReport& r, core::Nanoseconds best) {
    out.x.push_back(axis == SearchAxis::kProposals ? static_cast<double>(r.proposals)
                                                   : core::seconds(r.elapsed));
    out.best.push_back(static_cast<double>(best.value) * 1e-6);
  };
  for (const SearchReport& r : run.curve)
    if (r.best) put(r, *r.best);
  if (run.last.best && !out.x.empty()) put(run.last, *run.last.best);
  if (run.last.elapsed.value > 0)
    out.proposals_per_second =
        static_cast<double>(run.last.proposals) / core::seconds(run.last.elapsed);
  if (!run.error.empty()) {
    out.words = run.error;
    return out;
  }
  if (run.last.proposals == 0) {
    out.words = run.running ? "The search begins." : "No search yet.";
    return out;
  }
  out.words = fmt::format("{} proposals in {} ({}/s)", with_commas(run.last.proposals),
                          core::human_text(run.last.elapsed),
                          with_commas(static_cast<std::int64_t>(out.proposals_per_second + 0.5)));
  if (!run.last.best) {
    out.words += ", nothing yet that fits";
  } else {
    out.words += fmt::format(", best {}", core::human_text(*run.last.best));
    if (baseline && run.last.best->value > 0)
      out.words += fmt::format(
          " ({:.2f} × as fast as the baseline)",
          static_cast<double>(baseline->value) / static_cast<double>(run.last.best->value));
    if (out.bound)
      out.words += fmt::format(", {:.2f} × the lower bound",
                               static_cast<double>(run.last.best->value) * 1e-6 / *out.bound);
  }
  if (run.paused) out.words += ", paused";
  return out;
}

std::optional<core::Nanoseconds> lower_bound_of(const Setting& setting) {
  const auto bound =
      search::lower_bound(*setting.graph, *setting.cluster, setting.optimizer.lower_options());
  return bound ? std::optional(*bound) : std::nullopt;
}

}  // namespace soapstone::explorer
