#include "core/ops/embedding_bag.hpp"

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

void embedding_bag_step(const StepCall& c) {
  const bool is_mean = c.attributes<core::EmbeddingBag>().mode == core::BagMode::kMean;
  const core::Interval length = c.axis("l"), vocab = c.axis("vocab");
  const auto id_at = [&](std::int64_t n, std::int64_t l) {
    return static_cast<std::int64_t>(c.value("ids")(n, l));
  };
  for_each_index(core::Box{c.axis("n"), length, c.axis("d")}, [&](Index p) {
    const auto n = p[0], f = p[2], id = id_at(n, p[1]);
    if (id < vocab.begin || id >= vocab.end) return;
    double count = 0;
    for (auto l = length.begin; l < length.end; ++l)
      count += id_at(n, l) == core::kPaddingId ? 0 : 1;
    const double scale = is_mean ? 1 / count : 1;
    if (c.name() == "forward")
      c.value("y")(n, f) += scale * c.value("table")(id, f);
    else if (c.name() == "backward_weight")
      c.gradient("table")(id, f) += scale * c.gradient("y")(n, f);
    else
      c.unknown_step();
  });
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> embedding_bag_examples() {
  using namespace core;
  return {{"embedding_bag",
           EmbeddingBag{.vocab = 7, .features = 3, .dtype = DType::kF64},
           {ids({2, 3})}},
          {"embedding_bag_mean",
           EmbeddingBag{.vocab = 5, .features = 3, .mode = BagMode::kMean, .dtype = DType::kF64},
           {ids({2, 3})}}};
}

}  // namespace soapstone::oracle
