// A step of training takes no memory from the heap.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <map>
#include <new>
#include <numeric>

#include <gtest/gtest.h>

#include "core/lower.hpp"
#include "core/models/models.hpp"
#include "kernels/catalog.hpp"
#include "runtime/comm/local.hpp"
#include "runtime/data/data_source.hpp"
#include "runtime/plan_run.hpp"
#include "tests/support/interpreter/strategies.hpp"

namespace {

std::atomic<bool> counting{false};
std::atomic<std::int64_t> allocations{0}, largest{0};

void* counted(std::size_t size) {
  if (counting) {
    ++allocations;
    if (static_cast<std::int64_t>(size) > largest) largest = static_cast<std::int64_t>(size);
  }
  if (void* p = std::malloc(size > 0 ? size : 1)) return p;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t size) { return counted(size); }
void* operator new[](std::size_t size) { return counted(size); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t) noexcept { std::free(p); }

namespace soapstone::runtime {
namespace {

struct Setting {
  const char* model;
  core::DType dtype;
  int most;  // allocations
};

class Step : public testing::TestWithParam<Setting> {};

TEST_P(Step, allocates_nothing_that_grows_with_the_model) {
  const Setting setting = GetParam();
  std::map<std::string, double> parameters;
  if (std::string(setting.model) == "dlrm") parameters["rows"] = 100;
  const core::Graph graph =
      core::build_model(setting.model,
                        {.batch = 16, .dtype = setting.dtype, .parameters = parameters})
          .value();
  const core::Cluster cluster = interpreter::cluster_of(2);
  const kernels::HostCatalog catalog;
  const core::DeviceId devices[] = {core::DeviceId(0), core::DeviceId(1)};
  core::LowerOptions how =
      core::lower_options(core::OptimizerKind::kSgd, 0.9, 0, core::TableOptimizer::kAdagrad);
  how.clip_gradient_norm = true;
  const auto plan =
      core::lower(graph, core::data_parallel(graph, devices), cluster, catalog, how).value();
  const auto communicator = make_local_communicator(2);
  PlanRun run(*communicator, graph, plan, {1, nullptr, {}});
  const auto data = make_synthetic_data(graph, 1).value();
  std::vector<std::int64_t> samples(16);
  std::iota(samples.begin(), samples.end(), 0);
  std::vector<std::vector<double>> blocks;
  std::vector<const std::byte*> loaded;
  for (const Load& l : run.loads()) {
    blocks.emplace_back(static_cast<std::size_t>(l.size.value / 8 + 1));
    for (const auto& s : graph.spec().sources)
      if (s.name == graph.tensors()[l.tensor].name)
        data.train->fill(s, samples, l.box, blocks.back().data());
    loaded.push_back(reinterpret_cast<const std::byte*>(blocks.back().data()));
  }
  const StepSettings settings{
      0,
      {.learning_rate = 0.01, .momentum = 0.9},
      1,
      loaded,
      kernels::OptimizerUpdate{.kind = core::OptimizerKind::kAdagrad, .learning_rate = 0.01}};
  run.step(settings);
  run.step(settings);
  allocations = largest = 0;
  counting = true;
  run.step(settings);
  counting = false;
  RecordProperty("allocations", static_cast<int>(allocations));
  std::printf("%d allocations, the largest of %d bytes\n", static_cast<int>(allocations),
              static_cast<int>(largest));
  EXPECT_LE(largest, setting.most > 0 ? 256 : 0);
  EXPECT_LE(allocations, setting.most);
}

// Soapstone itself takes nothing. dnnl_primitive_execute puts its arguments, given as an array,
// into a std::unordered_map, and makes an execution context of it: about 6 small pieces per call in
// version 2.6, which a caller cannot avoid. There were 96, 358 and 368 of them, nothing else.
INSTANTIATE_TEST_SUITE_P(Models, Step,
                         testing::Values(Setting{"mlp", core::DType::kF32, 128},
                                         Setting{"mlp", core::DType::kF64, 0},
                                         Setting{"inception-block", core::DType::kF32, 480},
                                         Setting{"inception-block", core::DType::kF64, 0},
                                         Setting{"transformer-block", core::DType::kF32, 490},
                                         Setting{"transformer-block", core::DType::kF64, 0},
                                         Setting{"dlrm", core::DType::kF64, 0}),
                         [](const auto& instance) {
                           std::string name = fmt::format("{}_{}", instance.param.model,
                                                          core::name_of(instance.param.dtype));
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace soapstone::runtime
