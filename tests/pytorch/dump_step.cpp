// One step of a model of the zoo in double precision on one device, as files that another program
// can repeat it from.
//
//     pytorch_dump_step --models                          names of the zoo, one a line
//     pytorch_dump_step FOLDER MODEL BATCH [NAME=VALUE …]  NAME: a hyper-parameter
//
// Writes FOLDER/step.json, with the loss and every hyper-parameter, and FOLDER/tensors, to whose
// bytes it points: `sources`, `weights` before the step (states among them), `gradients`, and
// `after`: the states after the step. All row-major, f64 or i32 as this machine has them. Dropout
// is off. Weights that start as zeros or ones would hide what is done with them: something is added
// to every one.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>
#include <string>

#include <fmt/core.h>

#include "core/file.hpp"
#include "core/json.hpp"
#include "core/lower.hpp"
#include "core/models/models.hpp"
#include "core/ops/dropout.hpp"
#include "kernels/box_copy.hpp"
#include "kernels/catalog.hpp"
#include "kernels/device.hpp"
#include "kernels/random.hpp"
#include "runtime/comm/local.hpp"
#include "runtime/data/batch_reader.hpp"
#include "runtime/data/sampler.hpp"
#include "runtime/gradient_recorder.hpp"
#include "runtime/optimizer.hpp"
#include "runtime/plan_run.hpp"
#include "tests/support/interpreter/strategies.hpp"

namespace soapstone::runtime {
namespace {

constexpr std::uint64_t kSeed = 7;

// The file `tensors`, and what step.json says of it.
class TensorFile {
 public:
  explicit TensorFile(const std::filesystem::path& path) : file_(path, std::ios::binary) {}

  core::Json put(const std::string& name, const core::TensorDesc& desc, const void* row_major) {
    constexpr std::int64_t kAlignment = 8;
    const std::int64_t size = core::bytes_of(desc).value, padding = -size & (kAlignment - 1);
    core::Json entry;
    entry["name"] = name;
    entry["dtype"] = std::string(core::name_of(desc.dtype));
    entry["shape"] = core::to_json(desc.shape);
    entry["offset"] = offset_;
    file_.write(static_cast<const char*>(row_major), size);
    file_.write("\0\0\0\0\0\0\0", padding);
    offset_ += size + padding;
    return entry;
  }
  core::Status finish() {
    file_.flush();
    if (!file_) return core::fail("tensors: {}", std::strerror(errno));
    return {};
  }

 private:
  std::ofstream file_;
  std::int64_t offset_ = 0;
};

std::vector<std::byte> row_major(const core::TensorDesc& desc, const void* value) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(core::bytes_of(desc).value));
  const core::Box box = core::whole(desc.shape);
  kernels::copy_box({bytes.data(), desc.dtype, box, {}},
                    {const_cast<void*>(value), desc.dtype, box, desc.order}, box);
  return bytes;
}

// As much as keeps activations of the size that they have.
void disturb(WholeTensor& weight) {
  const kernels::RandomStream stream{kSeed, kernels::RandomUse::kInitialize, 1000 + weight.tensor,
                                     0};
  const std::size_t count = weight.value.size() / sizeof(double);
  const auto fan_in = static_cast<double>(count) /
                      static_cast<double>(std::max<std::int64_t>(1, weight.desc.shape[0]));
  for (std::size_t i = 0; i < count; ++i) {
    double value;
    std::memcpy(&value, weight.value.data() + i * sizeof value, sizeof value);
    value += 0.3 / std::sqrt(9 + fan_in) * (2 * kernels::uniform01(stream, i) - 1);
    std::memcpy(weight.value.data() + i * sizeof value, &value, sizeof value);
  }
}

// The graph as it is, but nothing is dropped.
core::Result<core::Graph> without_dropout(const core::Graph& graph) {
  core::GraphSpec spec = graph.spec();
  for (core::OpNodeSpec& node : spec.ops)
    if (node.op.get_if<core::Dropout>() != nullptr) node.op = core::Dropout{.rate = 0};
  return core::Graph::build(std::move(spec));
}

core::Status dump(const std::filesystem::path& folder, std::string_view model,
                  const core::ModelOptions& options) {
  SOAPSTONE_ASSIGN(const core::Graph built, core::build_model(model, options));
  SOAPSTONE_ASSIGN(const core::Graph graph, without_dropout(built));
  const core::Cluster cluster = interpreter::cluster_of(1);
  const kernels::HostCatalog catalog;
  // Plain SGD, so that the gradients of tables come as rows where they can.
  const OptimizerSettings optimizer{.momentum = 0};
  SOAPSTONE_ASSIGN(const core::Plan plan, core::lower(graph, core::single_device(graph), cluster,
                                                      catalog, lower_options(optimizer)));
  SOAPSTONE_ASSIGN(const DataSets data, make_synthetic_data(graph, kSeed));
  const auto communicator = make_local_communicator(1);
  PlanRun run(*communicator, graph, plan, {kSeed, nullptr, {}});
  BatchReader reader(graph, *data.train, run.micro_batch_samples(), run.loads());
  reader.request(Sampler(data.train->samples(), graph.batch(), kSeed).batch(0, 0));
  const auto loaded = reader.next();

  TensorFile file(folder / "tensors");
  core::Json out;
  out["model"] = std::string(model);
  for (const core::ModelInfo& info : core::models())
    if (info.name == model)
      for (const core::ModelParameter& p : info.parameters)
        out["parameters"][std::string(p.name)] = p.value;
  for (const auto& [name, value] : options.parameters) out["parameters"][name] = value;
  const auto loads = run.loads();
  for (std::size_t k = 0; k < loads.size(); ++k) {
    const core::Tensor& t = graph.tensors()[loads[k].tensor];
    out["sources"].push_back(
        file.put(t.name, {t.desc.shape, t.desc.dtype, {}}, row_major(t.desc, loaded[k]).data()));
  }
  const auto put = [&](const WholeTensor& t) {
    return file.put(graph.tensors()[t.tensor].name, t.desc, t.value.data());
  };

  auto weights = run.collect_weights();
  for (WholeTensor& w : weights) {
    disturb(w);
    out["weights"].push_back(put(w));
  }
  run.distribute_weights(weights);

  const GradientRecorder recorder(run);
  run.step({0, update_of(optimizer, 0, 1), 0, loaded, table_update_of(optimizer, 0, 1)});
  out["loss"] = run.loss();
  std::vector<bool> has_gradient(graph.tensors().size());
  for (const WholeTensor& g : recorder.gather(*communicator, graph)) {
    has_gradient[g.tensor] = true;
    out["gradients"].push_back(put(g));
  }
  std::vector<TensorPart> states;
  for (const WeightPart& w : run.executors().front()->weights())
    if (!has_gradient[w.tensor]) states.push_back({w.tensor, w.value, {}});
  out["after"] = core::Json::array();
  for (const WholeTensor& t : gather_parts(*communicator, graph, states))
    out["after"].push_back(put(t));
  SOAPSTONE_TRY(file.finish());
  SOAPSTONE_ASSIGN(const std::string text, core::json_text(out));
  return core::write_file_atomically(folder / "step.json", text);
}

core::Result<double> number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    return core::usage_error("`{}` is no number", text);
  return value;
}

core::Status main(std::span<char* const> arguments) {
  if (arguments.size() == 1 && std::string_view(arguments[0]) == "--models") {
    for (const core::ModelInfo& info : core::models()) fmt::print("{}\n", info.name);
    return {};
  }
  if (arguments.size() < 3)
    return core::usage_error("takes --models, or FOLDER MODEL BATCH [NAME=VALUE …]");
  core::ModelOptions options;
  options.dtype = core::DType::kF64;
  SOAPSTONE_ASSIGN(const double batch, number(arguments[2]));
  options.batch = static_cast<std::int64_t>(batch);
  for (const std::string_view argument : arguments.subspan(3)) {
    const auto at = argument.find('=');
    if (at == std::string_view::npos)
      return core::usage_error("`{}`: NAME=VALUE is accepted", argument);
    SOAPSTONE_ASSIGN(const double value, number(argument.substr(at + 1)));
    options.parameters[std::string(argument.substr(0, at))] = value;
  }
  const kernels::KokkosScope kokkos(2);
  return dump(arguments[0], arguments[1], options);
}

}  // namespace
}  // namespace soapstone::runtime

int main(int count, char** arguments) {
  const auto status = soapstone::runtime::main({arguments + 1, arguments + count});
  if (status) return 0;
  fmt::print(stderr, "pytorch_dump_step: {}\n", status.error().message);
  return status.error().kind == soapstone::core::ErrorKind::kUsage ? 2 : 1;
}
