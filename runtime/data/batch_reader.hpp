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

  void request(std::vector<std::int64_t> samples);
  // Waits for the oldest batch asked for. One pointer per load, valid until the next call.
  std::span<const std::byte* const> next();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace soapstone::runtime
