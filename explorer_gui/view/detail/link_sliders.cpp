#include "explorer_gui/view/detail/link_sliders.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/core.h>
#include <imgui.h>

#include "core/units.hpp"
#include "explorer_gui/model/question.hpp"
#include "explorer_gui/view/detail/draw.hpp"

namespace soapstone::explorer::view {

void link_sliders(Ui& ui, float width, Flow flow) {
  Session& s = ui.session;
  if (!s.design().cluster) return;
  bool first = true;
  for (const LinkSpeed& link : link_speeds(*s.design().cluster, s.question().changes)) {
    if (!first && flow == Flow::kBeside) ImGui::SameLine();
    first = false;
    auto factor = static_cast<float>(std::isfinite(link.factor) ? link.factor : kFastestLink);
    ImGui::SetNextItemWidth(width);
    ImGui::BeginDisabled(!s.known(s.design().current) || !s.known(s.design().current)->full);
    if (ImGui::SliderFloat((link.kind + "##speed").c_str(), &factor,
                           static_cast<float>(kSlowestLink), static_cast<float>(kFastestLink), "",
                           ImGuiSliderFlags_Logarithmic | ImGuiSliderFlags_NoRoundToFormat))
      s.ask(with(s.question().changes,
                 link_change(link.kind,
                             std::clamp(static_cast<double>(factor), kSlowestLink, kFastestLink))));
    ImGui::EndDisabled();
    tip(
        fmt::format("What if all links `{}` were so many times as fast as {}? The timeline and the "
                    "step's time follow while it is dragged. Ctrl+click: type a number.",
                    link.kind, core::human_text(link.bandwidth)));
    ImGui::SameLine();
    ImGui::TextDisabled(
        "%s", fmt::format("{} × {:.2g}", core::human_text(link.bandwidth), link.factor).c_str());
  }
}

void answer_line(Ui& ui, Flow flow) {
  const auto next = [&] {
    if (flow == Flow::kBeside) ImGui::SameLine();
  };
  Session& s = ui.session;
  const Question& q = s.question();
  if (flow == Flow::kBelow) ImGui::PushTextWrapPos(0);
  label(headline(q.changes));
  if (flow == Flow::kBelow) ImGui::PopTextWrapPos();
  std::string all;
  for (const std::string& line : lines(q.changes)) all += (all.empty() ? "" : "\n") + line;
  if (!all.empty()) tip(all);
  if (!q.error.empty()) {
    coloured_wrapped(ui.colours.bad, q.error);
  } else if (q.trace && q.of) {
    next();
    const bool slower = q.trace->step_time > q.of->step_time;
    coloured(q.trace->step_time == q.of->step_time ? ui.colours.quiet
             : slower                              ? ui.colours.warning
                                                   : ui.colours.good,
             "step " + step_words(q.of->step_time, q.trace->step_time));
    tip("The step as it is predicted, and with everything that is asked; simulated again.\n" + all);
  }
  if (q.waits()) {
    next();
    ImGui::TextDisabled("…");
    tip("The newest question is simulated.");
  }
  if (!q.stands()) return;
  next();
  if (button("Keep##what if", why_not_kept(q.changes),
             "Makes the speed of links the cluster's, which is an edit. The rest of the question "
             "ends.")) {
    if (const auto status = s.set_cluster(kept(s.design().cluster->spec(), q.changes),
                                          "keep: " + headline(q.changes));
        !status)
      s.complain(status.error().message);
    return;
  }
  ImGui::SameLine();
  if (button("Reset##what if", "",
             "Ends the question: the step as it is predicted. Key: Escape in "
             "the timeline."))
    s.ask({});
}

}  // namespace soapstone::explorer::view
