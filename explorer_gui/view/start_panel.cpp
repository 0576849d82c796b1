// What to begin with: a model, a cluster, and Search; or a file.
#include <algorithm>
#include <array>

#include <fmt/core.h>
#include <imgui.h>
#include <imgui_stdlib.h>

#include "core/models/models.hpp"
#include "core/units.hpp"
#include "explorer_gui/model/examples.hpp"
#include "explorer_gui/view/detail/draw.hpp"
#include "explorer_gui/view/panel.hpp"

namespace soapstone::explorer::view {

namespace {

class StartPanel final : public Panel {
 public:
  StartPanel()
      : Panel("Start", Dock::kLeft,
              "Choose a model, a cluster and what to search; open samples and recent files.") {}

  void draw(Ui& ui) override {
    Session& s = ui.session;
    heading(ui, "Model");
    choose(ui, "##model", s.design().graph ? s.design().model.name : "choose a model",
           s.catalogue().models, model_filter_, [&](const std::string& name) {
             ModelChoice choice = s.design().model;
             if (choice.name != name) choice = {};
             choice.name = name;
             s.choose_model(choice);
             batch_ = 0;
           });
    if (s.design().graph) batch(ui);

    heading(ui, "Cluster");
    choose(ui, "##cluster", s.design().cluster ? s.design().cluster->name() : "choose a cluster",
           s.catalogue().clusters, cluster_filter_,
           [&](const std::string& name) { s.choose_cluster(name); });
    if (s.design().cluster) {
      const core::Cluster& c = *s.design().cluster;
      ImGui::TextDisabled("%zu devices on %zu %s", c.size(), c.nodes(),
                          c.nodes() == 1 ? "node" : "nodes");
    }

    heading(ui, "Optimizer");
    optimizer(ui);

    heading(ui, "Search");
    search(ui);

    if (!s.settings().recent.empty()) {
      heading(ui, "Recent files");
      files(s, s.settings().recent);
    }
    heading(ui, "Examples");
    for (const Example& example : examples()) {
      if (ImGui::Selectable(std::string(example.title).c_str())) s.begin(example.beginning);
      tip(example.about);
    }
    if (!s.catalogue().samples.empty()) {
      heading(ui, "Find what is wrong");
      for (const Choice& sample : s.catalogue().samples) {
        if (ImGui::Selectable(fmt::format("{}##{}", sample.description, sample.name).c_str()))
          s.open(sample.name);
        tip(sample.name);
      }
    }
    ImGui::Spacing();
    ImGui::TextDisabled("Files can be dropped on the window.");
  }

 private:
  static void heading(Ui& ui, const char* text) {
    ImGui::Spacing();
    ImGui::PushFont(ui.fonts.bold, 0);
    label(text);
    ImGui::PopFont();
  }

  // A list with a filter; the description of each stands beside it.
  template <class Chosen>
  static void choose(Ui& ui, const char* id, const std::string& now,
                     const std::vector<Choice>& choices, std::string& filter, Chosen&& chosen) {
    ImGui::SetNextItemWidth(-1);
    ImGui::SetNextWindowSizeConstraints({ui.points(380), 0}, {ui.points(640), ui.points(420)});
    if (!ImGui::BeginCombo(id, now.c_str(), ImGuiComboFlags_HeightLargest)) return;
    if (ImGui::IsWindowAppearing()) {
      filter.clear();
      ImGui::SetKeyboardFocusHere();
    }
    ImGui::SetNextItemWidth(-1);
    ImGui::InputTextWithHint("##filter", "filter", &filter);
    for (const Choice& c : choices) {
      if (!filter.empty() && fit(c.name, filter) < 0) continue;
      if (ImGui::Selectable(c.name.c_str(), c.name == now)) chosen(c.name);
      ImGui::SameLine(ui.points(150));
      ImGui::TextDisabled("%s", fitted(c.description, ui.points(440)).c_str());
      tip(c.description);
    }
    ImGui::EndCombo();
  }

  void batch(Ui& ui) {
    Session& s = ui.session;
    if (batch_ == 0) batch_ = static_cast<int>(s.design().graph->batch());
    ImGui::SetNextItemWidth(ui.points(90));
    ImGui::InputInt("samples per step", &batch_, 0, 0);
    if (ImGui::IsItemDeactivatedAfterEdit() && batch_ > 0 && batch_ != s.design().graph->batch()) {
      ModelChoice choice = s.design().model;
      choice.batch = batch_;
      s.choose_model(choice);
    }
    ImGui::TextDisabled("%zu operators", s.design().graph->ops().size());
    hyper_parameters(ui);
  }

  // Of the zoo's models; a file has none.
  static void hyper_parameters(Ui& ui) {
    Session& s = ui.session;
    const auto all = core::models();
    const auto info = std::find_if(all.begin(), all.end(), [&](const core::ModelInfo& m) {
      return m.name == s.design().model.name;
    });
    if (info == all.end() || !ImGui::TreeNode("Hyper-parameters")) return;
    ModelChoice choice = s.design().model;
    const core::DType now = choice.dtype.value_or(core::DType::kF32);
    ImGui::SetNextItemWidth(ui.points(90));
    if (ImGui::BeginCombo("number format", std::string(core::name_of(now)).c_str())) {
      for (const core::DType dtype : {core::DType::kF32, core::DType::kBF16, core::DType::kF64})
        if (ImGui::Selectable(std::string(core::name_of(dtype)).c_str(), dtype == now)) {
          choice.dtype = dtype;
          s.choose_model(choice);
        }
      ImGui::EndCombo();
    }
    tip("Of activations; weights of bf16 models and what optimizers keep stay f32.");
    for (const core::ModelParameter& p : info->parameters) {
      const std::string name(p.name);
      const auto chosen = choice.parameters.find(name);
      double value = chosen == choice.parameters.end() ? p.value : chosen->second;
      ImGui::SetNextItemWidth(ui.points(90));
      if (ImGui::InputDouble(name.c_str(), &value, 0, 0, "%.6g",
                             ImGuiInputTextFlags_EnterReturnsTrue)) {
        choice.parameters[name] = value;
        s.choose_model(choice);
      }
      tip(fmt::format("{}; {:g} by itself, {:g} at least. Enter builds the model anew.",
                      p.description, p.value, p.least));
    }
    ImGui::TreePop();
  }

  static void optimizer(Ui& ui) {
    Session& s = ui.session;
    OptimizerChoice o = s.design().optimizer;
    const std::string now(core::name_of(o.kind));
    ImGui::SetNextItemWidth(ui.points(140));
    if (ImGui::BeginCombo("##optimizer", now.c_str())) {
      for (const auto& [kind, name] : core::enum_names(core::OptimizerKind{}))
        if (ImGui::Selectable(std::string(name).c_str(), kind == o.kind)) {
          o.kind = kind;
          s.set_optimizer(o);
        }
      ImGui::EndCombo();
    }
    tip("What it keeps per weight takes memory; see --optimizer of every verb.");
    ImGui::SameLine();
    if (ImGui::Checkbox("clip gradients", &o.clip)) s.set_optimizer(o);
    tip("Gradients are clipped by their global norm, which all devices sum first.");
  }

  void search(Ui& ui) {
    Session& s = ui.session;
    SearchRequest& r = s.next_search();
    ImGui::SetNextItemWidth(ui.points(90));
    ImGui::InputText("budget", &r.budget);
    tip("A time (10s, 2min) or a number of proposals (5000).");
    ImGui::SameLine();
    ImGui::SetNextItemWidth(ui.points(110));
    if (ImGui::BeginCombo("##searcher", r.searcher.c_str())) {
      for (const char* name : {"mcmc", "exhaustive"})
        if (ImGui::Selectable(name, r.searcher == name)) r.searcher = name;
      ImGui::EndCombo();
    }
    tip("mcmc: proposes changes at random, keeps what is faster. exhaustive: every strategy, of "
        "small models.");
    int micro_batches = r.micro_batches;
    ImGui::SetNextItemWidth(ui.points(90));
    if (ImGui::InputInt("micro-batches", &micro_batches))
      r.micro_batches = std::max(1, micro_batches);
    ImGui::SetNextItemWidth(ui.points(90));
    if (ImGui::InputTextWithHint("memory limit", "none", &limit_)) {
      const auto limit = core::parse_quantity<core::Bytes>(limit_);
      limit_error_ = limit || limit_.empty() ? "" : limit.error().message;
      r.memory_limit.reset();
      if (limit) r.memory_limit = *limit;
    }
    tip("Per device, such as 12GiB; none: what each device has.");
    if (!limit_error_.empty()) coloured_wrapped(ui.colours.bad, limit_error_);

    const SearchRun& run = s.search_run();
    if (!run.running) {
      const Action* start = ui.actions.find("search.start");
      if (button("Search", start->refusal(), start->tip)) start->run();
      if (!s.design().pinned.empty()) {
        ImGui::SameLine();
        ImGui::TextDisabled("%zu operators stay as they are", s.design().pinned.size());
      }
      return;
    }
    ImGui::ProgressBar(
        static_cast<float>(run.last.fraction), {-1, 0},
        fmt::format("{} proposals, best {}", run.last.proposals,
                    run.last.best ? core::human_text(*run.last.best) : std::string("none yet"))
            .c_str());
    if (ImGui::Button(run.paused ? "Resume" : "Pause")) s.pause_search(!run.paused);
    ImGui::SameLine();
    if (ImGui::Button("Stop")) s.stop_search();
  }

  static void files(Session& s, const std::vector<std::string>& recent) {
    for (const std::string& file : std::vector(recent)) {
      const auto slash = file.rfind('/');
      const std::string name = slash == std::string::npos ? file : file.substr(slash + 1);
      if (ImGui::Selectable(fmt::format("{}##{}", name, file).c_str())) s.open(file);
      tip(file);
    }
  }

  std::string model_filter_, cluster_filter_, limit_, limit_error_;
  int batch_ = 0;
};

}  // namespace

std::unique_ptr<Panel> start_panel() { return std::make_unique<StartPanel>(); }

}  // namespace soapstone::explorer::view
