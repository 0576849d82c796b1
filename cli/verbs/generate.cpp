// soapstone generate MODEL
#include "runtime/generate.hpp"

#include <fmt/core.h>

#include "cli/command.hpp"
#include "cli/common.hpp"
#include "cli/data.hpp"
#include "cli/documents.hpp"
#include "cli/output.hpp"
#include "cli/ranks.hpp"
#include "core/document.hpp"
#include "kernels/catalog.hpp"
#include "kernels/device.hpp"
#include "runtime/data/data_source.hpp"
#include "runtime/launch.hpp"

namespace soapstone::cli {

namespace {

struct Options {
  ModelArguments model;
  ClusterArguments cluster;  // ranks 0: as many as the cluster has devices; 1 with `local`
  int threads = 0;
  std::string strategy = "data-parallel";
  DataArguments data{.name = "wordnet"};
  bool training_part = false;
  runtime::GenerateOptions generate;
};

core::Status generate_text(const Invocation& invocation, Options options) {
  SOAPSTONE_ASSIGN(const core::Graph graph, build_graph(options.model));
  SOAPSTONE_ASSIGN(const core::Cluster cluster,
                   load_cluster_of_ranks(options.cluster, options.strategy));
  const int ranks = static_cast<int>(cluster.size());
  SOAPSTONE_ASSIGN(const core::Strategy strategy, load_strategy(graph, cluster, options.strategy));
  SOAPSTONE_ASSIGN(const runtime::DataSets sets,
                   open_data(options.data, graph, options.generate.seed));
  const runtime::DataSource& data = options.training_part ? *sets.train : *sets.test;

  SOAPSTONE_ASSIGN(const bool done, run_as_ranks(invocation, ranks, options.threads));
  if (done) return {};
  const kernels::KokkosScope kokkos(
      runtime::threads_for_rank(runtime::surroundings(), options.threads));
  const kernels::HostCatalog catalog;
  SOAPSTONE_ASSIGN(const auto communicator, open_communicator(ranks));
  const bool first = communicator->process() == 0;
  core::Result<std::vector<runtime::GeneratedText>> texts;
  const core::Status finished = run_on_ranks(*communicator, [&]() -> core::Status {
    ProgressBar bar("generate");
    texts = runtime::generate(*communicator, {graph, strategy, cluster, catalog, data},
                              options.generate, [&](std::int64_t made, std::int64_t most) {
                                bar.show(static_cast<double>(made) / static_cast<double>(most),
                                         fmt::format("{} of at most {} tokens", made, most));
                              });
    SOAPSTONE_TRY(texts);
    return {};
  });
  SOAPSTONE_TRY(finished);
  if (!first) return {};

  if (invocation.json) {
    GenerateOutput out{graph.name(), std::string(data.name()), {}};
    for (const runtime::GeneratedText& t : *texts)
      out.texts.push_back({t.given, t.made, t.reference});
    return print_json(out);
  }
  for (const runtime::GeneratedText& t : *texts) {
    fmt::print("given  {}\nmade   {}\n", t.given, t.made);
    if (options.generate.prompts.empty()) fmt::print("data   {}\n", t.reference);
    fmt::print("\n");
  }
  return {};
}

Action declare(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("--checkpoint", o->generate.checkpoint, "What `train` saved")
      ->type_name("FILE")
      ->required();
  declare_data(app, o->data, "The text that it was trained on: says what tokens stand for")
      ->type_name("text|wordnet|linux-doc|gettext");
  app.add_option("--prompt", o->generate.prompts,
                 "Text to go on from or to translate; may be given several times")
      ->type_name("TEXT");
  app.add_option("--count", o->generate.count, "Without prompts: so many samples of the test part")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_flag("--training-part", o->training_part, "Samples of the training part instead");
  app.add_option("--length", o->generate.length,
                 "Most tokens per text; 0: half a sequence, of a translation a whole one")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--temperature", o->generate.temperature,
                 "0: the likeliest token; more: drawn from softmax(logits / temperature)")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--seed", o->generate.seed, "Of what is drawn")->capture_default_str();
  app.add_option("--cluster", o->cluster.name,
                 "File that `clusters local` wrote, or `local`: this machine")
      ->type_name("local|FILE")
      ->capture_default_str();
  app.add_option("--ranks", o->cluster.ranks,
                 "Processes, one per device, started under mpirun unless they run already; "
                 "default: as many as the cluster has, 1 with `local`")
      ->check(CLI::Range(1, 4096));
  app.add_option("--threads", o->threads, "Per rank; default: the cores shared among the ranks")
      ->check(CLI::NonNegativeNumber);
  declare_strategy(app, o->strategy);
  declare_model(app, o->model);
  return [o](const Invocation& invocation) { return generate_text(invocation, *o); };
}

}  // namespace

const Verb kGenerateVerb{
    "generate", "Continue or translate text with a trained model",
    "soapstone generate gpt --data wordnet --checkpoint gpt.ck --prompt \"a kind of \"", declare};

}  // namespace soapstone::cli
