// Reads ahead: prepares the data of the next mini-batch while the current one is computed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/graph.hpp"
#include "runtime/data/data_source.hpp"
#include "runtime/executor.hpp"

namespace soapstone::runtime {

// The last input of the operator that makes the loss.
core::TensorId labels_of(const core::Graph& graph);

// One thread of its own, which calls nothing but the data source. Batches come in the order in
// which they were asked for.
class BatchReader {
 public:
  // `loads`: what one mini-batch consists of. All but the last outlive this object.
  BatchReader(const core::Graph& graph, const DataSource& source, std::int64_t micro_batch_samples,
              std::vector<Load> loads);
  ~BatchReader();
  BatchReader(const BatchReader&) = delete;
  BatchReader& operator=(const BatchReader&) = delete;

  // The samples from `counted` on have core::kNoLabel for a label: they fill up a mini-batch and
  // add nothing to the loss. Where the loss's labels are no source, all count.
  void request(std::vector<std::int64_t> samples, std::int64_t counted);
  void request(std::vector<std::int64_t> samples);  // all count
  // Waits for the oldest batch asked for. One pointer per load, valid until the next call. Throws
  // DataError where the source gives an i32 value that the graph's operators do not take, and what
  // the source throws.
  std::span<const std::byte* const> next();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace soapstone::runtime
