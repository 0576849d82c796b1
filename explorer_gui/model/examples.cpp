#include "explorer_gui/model/examples.hpp"

#include <vector>

namespace soapstone::explorer {

namespace {

ModelChoice of_zoo(const char* name, std::int64_t batch,
                   std::map<std::string, double> parameters = {}) {
  return {name, batch, {}, std::move(parameters)};
}

}  // namespace

std::span<const Example> examples() {
  static const std::vector<Example> all = {
      {"AlexNet on 16 GPUs",
       "Data parallelism against the expert's hybrid, which cuts the large linear layers by their "
       "weights. Press Search for a faster one.",
       {of_zoo("alexnet", 64), "p100-4x4", {"data-parallel", "expert"}, {}}},
      {"Inception-v3 on 64 GPUs",
       "Wide blocks whose branches can be cut differently. Press Search.",
       {of_zoo("inception-v3", 256), "k80-16x4", {"data-parallel", "expert"}, {}}},
      {"GPT-2 as a pipeline",
       "The same four stages under four schedules: look at the idle time in the timeline.",
       {of_zoo("gpt2", 64),
        "p100-4x4",
        {"dp=4,pp=4,micro_batch=1,schedule=gpipe", "dp=4,pp=4,micro_batch=1",
         "dp=4,pp=4,micro_batch=1,vp=3,schedule=interleaved-1f1b",
         "dp=4,pp=4,micro_batch=1,schedule=zb-h1"},
        {}}},
      {"A small Llama on 16 GPUs, four ways",
       "Data, tensor, fully sharded and context parallelism of one transformer of long sequences.",
       {of_zoo("llama2-7b", 16,
               {{"layers", 4}, {"hidden", 1024}, {"heads", 16}, {"kv_heads", 16}, {"seq", 4096}}),
        "p100-4x4",
        {"dp=16", "dp=4,tp=4,sp=1", "dp=16,zero=3", "dp=4,cp=4,cp_style=ring,cp_order=zigzag"},
        {}}},
  };
  return all;
}

}  // namespace soapstone::explorer
