// What the timelines cost: opening a trace, and a frame while somebody zooms and moves about.
//
// Arguments: spans, and lanes that share them. Times are of the processor, not of the clock.
// median_ms, p99_ms: of one frame.
#include <algorithm>
#include <cmath>
#include <ctime>
#include <filesystem>
#include <map>
#include <random>
#include <vector>

#include <benchmark/benchmark.h>
#include <fmt/core.h>

#include "core/document.hpp"
#include "core/file.hpp"
#include "core/trace_file.hpp"
#include "explorer_gui/model/time_view.hpp"
#include "explorer_gui/model/timeline.hpp"
#ifdef SOAPSTONE_BENCH_WINDOW
#include <imgui.h>
#include <implot.h>

#include "explorer_gui/model/local_backend.hpp"
#include "explorer_gui/view/panel.hpp"
#endif

namespace {

using namespace soapstone;
using namespace soapstone::explorer;

// Devices with a lane that computes and one that moves data. Layers of a thousand short spans with
// a long one between them, a pause now and then; no two devices alike, so that none is folded.
core::Trace made_up(std::size_t spans, std::size_t lanes) {
  core::Trace t;
  t.graph = "made-up";
  t.plan_hash = 1;
  constexpr std::size_t kLabels = 4096;
  for (std::size_t l = 0; l < kLabels; ++l)
    t.labels.push_back(fmt::format("block{}.layer{}.forward", l / 16, l % 16));
  for (std::size_t l = 0; l < lanes; ++l)
    t.lanes.push_back({core::DeviceId(static_cast<std::uint32_t>(l / 2)),
                       l % 2 == 0 ? core::LaneKind::kCompute : core::LaneKind::kCommunication});
  std::mt19937_64 random(1);
  core::Spans& s = t.spans;
  core::Spans::fields(s, [&](std::string_view, auto& column, auto...) { column.reserve(spans); });
  for (std::size_t l = 0; l < lanes; ++l) {
    const std::size_t count = spans / lanes + (l < spans % lanes ? 1 : 0);
    std::int64_t now = static_cast<std::int64_t>(random() % 1000);
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t r = random();
      if (r % 97 == 0) now += static_cast<std::int64_t>(r >> 44);
      const auto length =
          static_cast<std::int64_t>(i % 1000 == 999 ? 4'000'000 : 200 + (r >> 20) % 8000);
      s.lane.push_back(static_cast<std::uint32_t>(l));
      s.start.emplace_back(now);
      s.end.emplace_back(now + length);
      s.waiting.emplace_back(l % 2 == 0 ? 0 : length / 4);
      s.task.push_back(static_cast<std::uint32_t>(i));
      s.kind.push_back(l % 2 == 0 ? core::TaskKind::kCompute : core::TaskKind::kTransfer);
      s.phase.push_back(static_cast<core::Phase>(i / 500 % 3));
      s.label.push_back(static_cast<std::uint32_t>((i + l) % kLabels));
      s.bytes.emplace_back(length * 10);
      s.flops.emplace_back(static_cast<double>(length) * 1000);
      s.source.push_back(core::CostSource::kRoofline);
      now += length + static_cast<std::int64_t>((r >> 12) % 50);
      t.step_time = std::max(t.step_time, s.end.back());
    }
  }
  return t;
}

std::shared_ptr<const core::Trace> trace_of(const benchmark::State& state) {
  static std::map<std::pair<std::int64_t, std::int64_t>, std::shared_ptr<const core::Trace>> kept;
  const std::pair key(state.range(0), state.range(1));
  if (!kept.contains(key)) {
    kept.clear();  // one at a time is large enough
    kept[key] = std::make_shared<const core::Trace>(
        made_up(static_cast<std::size_t>(key.first), static_cast<std::size_t>(key.second)));
  }
  return kept[key];
}

std::filesystem::path file_of(const char* ending) {
  return std::filesystem::temp_directory_path() / fmt::format("soapstone-bench{}", ending);
}

double processor_ms() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_nsec) * 1e-6;
}

void tell(benchmark::State& state, std::vector<double>& frames) {
  if (frames.empty()) return;
  std::sort(frames.begin(), frames.end());
  state.counters["median_ms"] = frames[frames.size() / 2];
  state.counters["p99_ms"] = frames[frames.size() * 99 / 100];
}

void open_file(benchmark::State& state, const char* ending) {
  const auto file = file_of(ending);
  if (!core::save_trace(file, *trace_of(state))) {
    state.SkipWithError("cannot write");
    return;
  }
  for (auto _ : state) {
    auto trace = core::load_trace(file);
    if (!trace) {
      state.SkipWithError("cannot read");
      break;
    }
    const auto timeline = Timeline::make(
        {{"predicted", std::make_shared<const core::Trace>(std::move(*trace)), {}, {}}}, nullptr);
    benchmark::DoNotOptimize(timeline->groups().size());
  }
  state.counters["file_MB"] = static_cast<double>(std::filesystem::file_size(file)) / 1e6;
  std::filesystem::remove(file);
}

void open_binary(benchmark::State& state) { open_file(state, ".trace"); }
void open_json(benchmark::State& state) { open_file(state, ".json"); }
// The reader that all documents have, for comparison.
void open_json_as_any_document(benchmark::State& state) {
  const auto file = file_of(".json");
  if (!core::save_document(file, *trace_of(state))) state.SkipWithError("cannot write");
  for (auto _ : state) benchmark::DoNotOptimize(core::load_document<core::Trace>(file));
  std::filesystem::remove(file);
}

// What the model answers for a frame of 1,600 pixels with 50 lanes: a random place, at a
// magnification between the whole step and a microsecond.
void query(benchmark::State& state) {
  const auto timeline = Timeline::make({{"predicted", trace_of(state), {}, {}}}, nullptr);
  TimeView view;
  view.set_extent(static_cast<double>(timeline->first()), static_cast<double>(timeline->last()));
  const auto lanes = static_cast<std::size_t>(state.range(1));
  std::mt19937_64 random(2);
  std::vector<double> frames;
  std::vector<Box> boxes;
  std::size_t most = 0;
  for (auto _ : state) {
    const double length =
        view.last * std::pow(1000.0 / view.last, static_cast<double>(random() % 1000) / 1000);
    const double from = (view.last - length) * static_cast<double>(random() % 1000) / 1000;
    const std::size_t first =
        random() % std::max<std::size_t>(1, lanes - std::min<std::size_t>(lanes - 1, 50));
    const double before = processor_ms();
    const std::int64_t grain = grain_of(length / 1600, 3);
    std::size_t count = 0;
    for (std::size_t lane = first; lane < std::min(lanes, first + 50); ++lane) {
      boxes.clear();
      timeline->index(0).boxes(lane, from, from + length, grain, boxes);
      count += boxes.size();
    }
    benchmark::DoNotOptimize(count);
    frames.push_back(processor_ms() - before);
    most = std::max(most, count);
  }
  tell(state, frames);
  state.counters["most_boxes"] = static_cast<double>(most);
  std::size_t bytes = timeline->index(0).bytes();
  core::Spans::fields(timeline->trace(0).spans, [&](std::string_view, const auto& column, auto...) {
    bytes += column.size() * sizeof(column[0]);
  });
  state.counters["bytes_per_span"] =
      static_cast<double>(bytes) / static_cast<double>(timeline->trace(0).spans.size());
}

#ifdef SOAPSTONE_BENCH_WINDOW
// The whole panel in Dear ImGui without a screen: building its draw lists, not drawing them.
void panel(benchmark::State& state) {
  const auto folder = std::filesystem::temp_directory_path() / "soapstone-bench";
  std::filesystem::create_directories(folder);
  const auto file = folder / "bench.trace";
  if (!core::save_trace(file, *trace_of(state))) state.SkipWithError("cannot write");
  Resources resources;
  resources.catalogue = []() -> core::Result<Catalogue> { return Catalogue{}; };
  Session session(local_backend(std::move(resources)), folder);
  session.open(file.string());
  session.finish_jobs();
  ImGui::CreateContext();
  ImPlot::CreateContext();
  ImGuiIO& io = ImGui::GetIO();
  io.IniFilename = nullptr;
  io.DisplaySize = {1920, 1080};
  io.BackendFlags |= ImGuiBackendFlags_RendererHasVtxOffset | ImGuiBackendFlags_RendererHasTextures;
  Actions actions;
  view::Ui ui{session, actions, view::load_fonts(), view::signals(Theme::kDark), 1};
  view::apply_theme(Theme::kDark, 1);
  const auto timeline = view::timeline_panel();
  const auto frame = [&] {
    io.DeltaTime = 1.0F / 60;
    session.poll();
    ImGui::NewFrame();
    ImGui::SetNextWindowPos({0, 0});
    ImGui::SetNextWindowSize(io.DisplaySize);
    if (ImGui::Begin("Timeline")) timeline->draw(ui);
    ImGui::End();
    ImGui::Render();
    for (ImTextureData* texture : ImGui::GetPlatformIO().Textures)
      if (texture->Status != ImTextureStatus_OK) {
        texture->SetTexID(1);
        texture->SetStatus(texture->Status == ImTextureStatus_WantDestroy
                               ? ImTextureStatus_Destroyed
                               : ImTextureStatus_OK);
      }
  };
  for (int i = 0; i < 4; ++i) {
    frame();
    session.finish_jobs();
  }
  std::mt19937_64 random(3);
  std::vector<double> frames;
  double vertices = 0;
  const auto somewhere = [&](float least, float most) {
    return least + (most - least) * static_cast<float>(random() % 1000) / 1000;
  };
  for (auto _ : state) {
    // A while at one place, nearer or further; then elsewhere.
    if (frames.size() % 8 == 0) io.AddMousePosEvent(somewhere(250, 1800), somewhere(120, 800));
    if (random() % 3 == 0) io.AddKeyEvent(ImGuiMod_Shift, random() % 2 == 0);
    if (random() % 24 == 0) {
      io.AddKeyEvent(ImGuiKey_Home, true);
      io.AddKeyEvent(ImGuiKey_Home, false);
    }
    io.AddMouseWheelEvent(0, random() % 3 == 0 ? -1.0F : 1.0F);
    const double before = processor_ms();
    frame();
    frames.push_back(processor_ms() - before);
    vertices = std::max(vertices, static_cast<double>(ImGui::GetDrawData()->TotalVtxCount));
  }
  tell(state, frames);
  state.counters["most_vertices"] = vertices;
  for (ImTextureData* texture : ImGui::GetPlatformIO().Textures) {
    texture->SetTexID(ImTextureID_Invalid);
    texture->SetStatus(ImTextureStatus_Destroyed);
  }
  ImPlot::DestroyContext();
  ImGui::DestroyContext();
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
}
#endif

constexpr auto kMs = benchmark::kMillisecond;

BENCHMARK(query)->Name("query/tiny")->Args({2000, 8})->Iterations(20)->Unit(kMs);
BENCHMARK(query)->Name("query")->Args({10'000'000, 1024})->Iterations(1000)->Unit(kMs);
BENCHMARK(query)->Name("query")->Args({10'000'000, 2})->Iterations(1000)->Unit(kMs);
#ifdef SOAPSTONE_BENCH_WINDOW
BENCHMARK(panel)->Name("panel/tiny")->Args({2000, 8})->Iterations(20)->Unit(kMs);
BENCHMARK(panel)->Name("panel")->Args({10'000'000, 1024})->Iterations(1000)->Unit(kMs);
#endif
BENCHMARK(open_binary)->Name("open/tiny")->Args({2000, 8})->Iterations(2)->Unit(kMs);
BENCHMARK(open_json)->Name("open_json/tiny")->Args({2000, 8})->Iterations(2)->Unit(kMs);
BENCHMARK(open_binary)->Name("open")->Args({1'000'000, 1024})->Iterations(3)->Unit(kMs);
BENCHMARK(open_binary)->Name("open")->Args({10'000'000, 1024})->Iterations(1)->Unit(kMs);
BENCHMARK(open_json)->Name("open_json")->Args({1'000'000, 1024})->Iterations(3)->Unit(kMs);
BENCHMARK(open_json)->Name("open_json")->Args({10'000'000, 1024})->Iterations(1)->Unit(kMs);
BENCHMARK(open_json_as_any_document)
    ->Name("open_json_as_any_document")
    ->Args({1'000'000, 1024})
    ->Iterations(1)
    ->Unit(kMs);

}  // namespace
