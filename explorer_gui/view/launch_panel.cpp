// Trains by the strategy that is shown, and watches it.
#include <algorithm>
#include <cmath>
#include <vector>

#include <fmt/core.h>
#include <imgui.h>
#include <imgui_stdlib.h>
#include <implot.h>

#include "core/units.hpp"
#include "explorer_gui/view/detail/draw.hpp"
#include "explorer_gui/view/panel.hpp"

namespace soapstone::explorer::view {

namespace {

class LaunchPanel final : public Panel {
 public:
  LaunchPanel()
      : Panel("Launch", Dock::kRight,
              "Train by the strategy that is shown, on this machine, on hosts or under Slurm.") {}

  void add_actions(Ui& ui) override {
    Session& s = ui.session;
    ui.actions.add({"launch.start", "Train by this strategy", "Ctrl+Enter",
                    "Starts a training by the strategy that is shown and measures its steps.",
                    [&s] { s.launch(); },
                    [&s] {
                      if (s.launch_run().running) return std::string("A training is running.");
                      return why_no_launch(s.design(), s.next_launch());
                    }});
    ui.actions.add(
        {"launch.stop", "Stop the training", "",
         "It ends after the step that it is in, and writes its trace.", [&s] { s.stop_launch(); },
         [&s] {
           return s.launch_run().running ? std::string() : std::string("No training is running.");
         }});
  }

  void draw(Ui& ui) override {
    Session& s = ui.session;
    if (!s.design().complete()) {
      ImGui::TextDisabled("Choose a model and a cluster first.");
      return;
    }
    choices(ui);
    command(ui);
    const LaunchRun& run = s.launch_run();
    const Action* start = ui.actions.find("launch.start");
    const Action* stop = ui.actions.find("launch.stop");
    if (button("Launch", start->refusal(), start->tip)) start->run();
    ImGui::SameLine();
    if (button(run.stopping ? "Stopping…" : "Stop", stop->refusal(), stop->tip)) stop->run();
    if (run.running) {
      ImGui::SameLine();
      ImGui::TextDisabled(run.metrics.steps.empty() ? "starting…" : "running");
    } else if (run.exit_code == 0) {
      ImGui::SameLine();
      coloured(ui.colours.good, "done; its trace is open");
    }
    if (!run.error.empty()) coloured_wrapped(ui.colours.bad, run.error);
    curves(ui, run);
    log(ui, run);
  }

 private:
  void choices(Ui& ui) {
    Session& s = ui.session;
    LaunchChoice& c = s.next_launch();
    const float width = ui.points(150);
    ImGui::SetNextItemWidth(width);
    if (ImGui::BeginCombo("where", std::string(core::name_of(c.place)).c_str())) {
      for (const auto& [place, name] : enum_names(LaunchPlace{}))
        if (ImGui::Selectable(std::string(name).c_str(), place == c.place)) c.place = place;
      ImGui::EndCombo();
    }
    ImGui::SameLine();
    ImGui::TextDisabled("%zu ranks, one per device", s.design().cluster->size());
    if (c.place == LaunchPlace::kHostFile) {
      ImGui::SetNextItemWidth(-ui.points(80));
      ImGui::InputTextWithHint("hosts", "file with a line per host", &c.host_file);
    }
    if (c.place == LaunchPlace::kSlurm) {
      ImGui::SetNextItemWidth(ui.points(90));
      ImGui::InputInt("nodes", &c.nodes);
      ImGui::SameLine();
      ImGui::SetNextItemWidth(ui.points(110));
      ImGui::InputTextWithHint("partition", "the usual one", &c.partition);
    }
    ImGui::SetNextItemWidth(width);
    ImGui::InputText("data", &c.data);
    tip("synthetic, or a data set (soapstone train --help lists them).");
    int steps = static_cast<int>(c.steps);
    ImGui::SetNextItemWidth(ui.points(110));
    if (ImGui::InputInt("steps", &steps, 10, 100)) c.steps = steps;
    ImGui::SameLine();
    ImGui::SetNextItemWidth(ui.points(110));
    ImGui::InputInt("threads", &c.threads);
    tip("Per rank; 0: the cores of a host shared among its ranks.");
    ImGui::Checkbox("pace", &c.pace);
    tip("Computing tasks take the time that is predicted instead of computing, so that more ranks "
        "than there are cores can be measured; data moves as ever, losses mean nothing.");
  }

  void command(Ui& ui) {
    Session& s = ui.session;
    LaunchChoice choice = s.next_launch();
    choice.program = "soapstone";
    if (!why_no_launch(s.design(), choice).empty()) return;
    const std::string text = shell_text(launch_command(s.design(), choice, run_files("RUN")));
    ImGui::PushFont(ui.fonts.code, 0);
    coloured_wrapped(ui.colours.quiet, text);
    ImGui::PopFont();
    tip("This is what Launch runs; RUN is a new folder with the strategy and the cluster.");
    if (ImGui::SmallButton("Copy the command")) {
      // With files that exist: those of the last run, or as it is.
      const LaunchRun& run = s.launch_run();
      ImGui::SetClipboardText(
          run.files.folder.empty()
              ? text.c_str()
              : shell_text(launch_command(s.design(), choice, run.files)).c_str());
    }
  }

  static void curves(Ui& ui, const LaunchRun& run) {
    if (run.metrics.steps.empty()) return;
    std::vector<double> steps, loss, speed_steps, speed;
    for (const auto& m : run.metrics.steps) {
      if (m.loss) {
        steps.push_back(static_cast<double>(m.step));
        loss.push_back(*m.loss);
      }
      if (m.samples_per_second) {
        speed_steps.push_back(static_cast<double>(m.step));
        speed.push_back(*m.samples_per_second);
      }
    }
    const auto& last = run.metrics.steps.back();
    label(fmt::format(
        "step {}{}{}", last.step, last.loss ? fmt::format(", loss {:.4f}", *last.loss) : "",
        last.samples_per_second ? fmt::format(", {:.4g} samples/s", *last.samples_per_second)
                                : ""));
    const auto curve = [&](const char* name, const std::vector<double>& x,
                           const std::vector<double>& y) {
      if (x.empty() || !ImPlot::BeginPlot(name, {-1, ui.points(130)}, ImPlotFlags_NoLegend)) return;
      const auto [low, high] = std::minmax_element(y.begin(), y.end());
      const double room = std::max(0.05 * (*high - *low), 1e-9 + 0.01 * std::abs(*high));
      ImPlot::SetupAxes(nullptr, nullptr);
      ImPlot::SetupAxesLimits(x.front(), std::max(x.back(), x.front() + 1), *low - room,
                              *high + room, ImPlotCond_Always);
      ImPlot::PlotLine(name, x.data(), y.data(), static_cast<int>(x.size()));
      ImPlot::EndPlot();
    };
    curve("loss", steps, loss);
    curve("samples/s", speed_steps, speed);
  }

  void log(Ui& ui, const LaunchRun& run) {
    if (run.log.empty()) return;
    ImGui::SeparatorText("Output");
    if (ImGui::BeginChild("log", {0, 0}, ImGuiChildFlags_Borders,
                          ImGuiWindowFlags_HorizontalScrollbar)) {
      ImGui::PushFont(ui.fonts.code, 0);
      ImGuiListClipper clipper;
      clipper.Begin(static_cast<int>(run.log.size()));
      while (clipper.Step())
        for (int i = clipper.DisplayStart; i < clipper.DisplayEnd; ++i)
          label(run.log[static_cast<std::size_t>(i)]);
      ImGui::PopFont();
      if (run.log.size() != lines_) ImGui::SetScrollHereY(1);
      lines_ = run.log.size();
    }
    ImGui::EndChild();
  }

  std::size_t lines_ = 0;
};

}  // namespace

std::unique_ptr<Panel> launch_panel() { return std::make_unique<LaunchPanel>(); }

}  // namespace soapstone::explorer::view
