// Steps of linear, conv2d and pool2d per candidate, on the layers of fashion-cnn and AlexNet:
//   kernels_bench --benchmark_filter='fashion.*onednn'
// Threads: SOAPSTONE_THREADS, else those of the machine.
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>
#include <fmt/core.h>

#include "core/ops/conv2d.hpp"
#include "core/ops/linear.hpp"
#include "core/ops/pool2d.hpp"
#include "kernels/device.hpp"
#include "kernels/init.hpp"
#include "kernels/kernel.hpp"

namespace soapstone {
namespace {

struct FreeAligned {
  void operator()(void* p) const { std::free(p); }
};
using Memory = std::unique_ptr<void, FreeAligned>;

Memory allocate(std::int64_t bytes) {
  const auto padded = static_cast<std::size_t>((bytes + 63) / 64 * 64 + 64);
  Memory memory(std::aligned_alloc(64, padded));
  std::memset(memory.get(), 0, padded);
  return memory;
}

// One operator on one device, with memory for every operand and gradient.
class Layer {
 public:
  Layer(const core::Op& op, const core::TensorDesc& input)
      : definition_(op.define(std::span(&input, 1)).value()) {
    problem_ = {op, &definition_, core::axis_intervals(definition_, {}, 0)};
  }
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  const core::OpDefinition& definition() const { return definition_; }
  const core::LocalProblem& problem() const { return problem_; }

  // The operands of a step, filled with numbers between -1 and 1.
  std::vector<kernels::Block> blocks(const core::Step& step) {
    std::vector<kernels::Block> list;
    for (const auto* refs : {&step.reads, &step.writes})
      for (const core::Ref& ref : *refs) list.push_back(block(ref));
    return list;
  }

 private:
  kernels::Block block(const core::Ref& ref) {
    const core::Operand& operand = definition_.operands[ref.operand];
    Memory& memory = memory_[ref];
    kernels::Block block{memory.get(), operand.desc.dtype, problem_.box(ref.operand),
                         operand.desc.order};
    if (memory) return block;
    memory = allocate(core::bytes_of(operand.desc).value);
    block.data = memory.get();
    if (block.dtype != core::DType::kI32)
      kernels::initialize(block, operand.desc.shape, {core::InitKind::kUniform, 1.0}, 1,
                          ref.operand);
    return block;
  }

  core::OpDefinition definition_;
  core::LocalProblem problem_;
  std::map<core::Ref, Memory> memory_;
};

void run_step(benchmark::State& state, Layer& layer, const kernels::Candidate& candidate,
              int index) {
  const core::Step& step = layer.definition().steps[index];
  const auto kernel = candidate.prepare(layer.problem());
  const Memory workspace = allocate(kernel->workspace().value);
  // What an earlier step leaves for this one (a pool's choice).
  for (int earlier = 0; earlier < index; ++earlier)
    if (core::step_is_used(layer.definition().steps[earlier], {})) {
      const auto blocks = layer.blocks(layer.definition().steps[earlier]);
      kernel->execute({earlier, blocks, workspace.get(), {}});
    }
  const auto blocks = layer.blocks(step);
  for (auto _ : state) kernel->execute({index, blocks, workspace.get(), {}});
  const double flops = core::step_flops(step, layer.problem().axes).value;
  state.counters["GFLOP/s"] =
      benchmark::Counter(flops * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
  const auto bytes =
      static_cast<double>(core::step_bytes(layer.definition(), step, layer.problem().axes).value);
  state.counters["GB/s"] =
      benchmark::Counter(bytes * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

core::TensorDesc image(std::int64_t n, std::int64_t c, std::int64_t side, core::DType dtype) {
  return {{n, c, side, side}, dtype, core::channels_last(4)};
}

void register_layer(const std::string& name, const core::Op& op, const core::TensorDesc& input) {
  const Layer layer(op, input);
  for (const kernels::Candidate& candidate : kernels::candidates(op.name())) {
    if (!candidate.why_not(layer.problem()).empty()) continue;
    for (std::size_t s = 0; s < layer.definition().steps.size(); ++s) {
      const core::Step& step = layer.definition().steps[s];
      if (!core::step_is_used(step, {})) continue;
      const std::string title =
          fmt::format("{}/{}/{}/{}", name, candidate.name, core::name_of(input.dtype), step.name);
      const auto run = [op, input, &candidate, s](benchmark::State& state) {
        Layer local(op, input);
        run_step(state, local, candidate, static_cast<int>(s));
      };
      benchmark::RegisterBenchmark(title.c_str(), run)
          ->UseRealTime()
          ->Unit(benchmark::kMicrosecond);
    }
  }
}

void register_all() {
  using core::Activation;
  using core::Conv2D;
  using core::Linear;
  using core::Pool2D;
  for (const core::DType t : {core::DType::kF32, core::DType::kF64}) {
    const auto conv = [&](const std::string& name, Conv2D op, std::int64_t n, std::int64_t c,
                          std::int64_t side) {
      op.activation = Activation::kRelu;
      register_layer(name, op, image(n, c, side, t));
    };
    const auto linear = [&](const std::string& name, std::int64_t n, std::int64_t in,
                            std::int64_t out) {
      register_layer(name, Linear{.out_features = {out}}, {{n, in}, t, {}});
    };
    conv("conv/tiny", {.out_channels = 4, .kernel = {3, 3}, .padding = {1, 1, 1, 1}}, 2, 3, 6);
    linear("linear/tiny", 4, 8, 6);
    register_layer("pool/tiny", Pool2D{}, image(2, 3, 6, t));

    conv("fashion/conv1", {.out_channels = 32, .kernel = {3, 3}, .padding = {1, 1, 1, 1}}, 128, 1,
         28);
    register_layer("fashion/pool1", Pool2D{}, image(128, 32, 28, t));
    conv("fashion/conv2", {.out_channels = 64, .kernel = {3, 3}, .padding = {1, 1, 1, 1}}, 128, 32,
         14);
    register_layer("fashion/pool2", Pool2D{}, image(128, 64, 14, t));
    linear("fashion/fc1", 128, 3136, 128);
    linear("fashion/fc2", 128, 128, 10);

    conv("alexnet/conv1",
         {.out_channels = 64, .kernel = {11, 11}, .stride = {4, 4}, .padding = {2, 2, 2, 2}}, 32, 3,
         224);
    register_layer("alexnet/pool1", Pool2D{.kernel = {3, 3}, .stride = {2, 2}},
                   image(32, 64, 55, t));
    conv("alexnet/conv2", {.out_channels = 192, .kernel = {5, 5}, .padding = {2, 2, 2, 2}}, 32, 64,
         27);
    conv("alexnet/conv3", {.out_channels = 384, .kernel = {3, 3}, .padding = {1, 1, 1, 1}}, 32, 192,
         13);
    linear("alexnet/fc6", 32, 9216, 4096);
    linear("alexnet/fc8", 32, 4096, 1000);
  }
}

int threads() {
  if (const char* text = std::getenv("SOAPSTONE_THREADS")) return std::max(1, std::atoi(text));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace
}  // namespace soapstone

int main(int argc, char** argv) {
  const soapstone::kernels::KokkosScope scope(soapstone::threads());
  soapstone::register_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
