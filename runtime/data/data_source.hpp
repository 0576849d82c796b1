// Where samples come from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/graph.hpp"
#include "core/result.hpp"

namespace soapstone::runtime {

// Immutable, so that several threads may read it.
class DataSource {
 public:
  virtual ~DataSource() = default;
  virtual std::string_view name() const = 0;
  virtual bool is_synthetic() const { return false; }
  virtual std::int64_t samples() const = 0;
  // Whether it has what the graph's sources ask for.
  virtual core::Status check(const core::Graph& graph) const = 0;
  // Writes `box` of a source, in which index i of the first dimension stands for sample
  // `samples[i]`, densely packed in the source's order and dtype.
  virtual void fill(const core::SourceSpec& source, std::span<const std::int64_t> samples,
                    const core::Box& box, void* out) const = 0;
};

struct DataSets {
  std::unique_ptr<DataSource> train, test;
};

// "fashion-mnist" or "synthetic". `folder` of files: empty for $SOAPSTONE_DATA, or where Debian's
// package puts them.
core::Result<DataSets> open_data(std::string_view name, const core::Graph& graph,
                                 std::uint64_t seed, const std::filesystem::path& folder = {});

// Fashion-MNIST (Xiao, Rasul, Vollgraf 2017, arXiv 1708.07747): 60,000 and 10,000 images [1, 28,
// 28] of 10 classes in IDX files, gzipped or not. Pixels become (x / 255 - 0.2860) / 0.3530: mean
// and standard deviation of the training images. Sources "images" and "labels".
core::Result<DataSets> open_fashion_mnist(const core::Graph& graph,
                                          const std::filesystem::path& folder);

// Random numbers from which can be learnt, for any graph; not data. Counter-based: the value of an
// element depends on the seed, the sample and the element's index alone.
//   labels [n]        class hash(sample) mod classes; other floating-point sources are that class's
//                     fixed pattern plus noise of twice its size
//   tokens [n, s]     uniform; labels [n, s] = (5 token + 7) mod classes
//   positions [n, s]  the index s
core::Result<DataSets> make_synthetic_data(const core::Graph& graph, std::uint64_t seed,
                                           std::int64_t train_samples = 60000,
                                           std::int64_t test_samples = 2000);

}  // namespace soapstone::runtime
