// One Kokkos for all cases of the executable, on the main thread.
#include <optional>

#include <gtest/gtest.h>

#include "kernels/device.hpp"

namespace soapstone::runtime {
namespace {

class KokkosEnvironment : public testing::Environment {
  // One thread: several that wait for each other crawl when tests run side by side.
  void SetUp() override { scope_.emplace(1); }
  void TearDown() override { scope_.reset(); }
  std::optional<kernels::KokkosScope> scope_;
};

[[maybe_unused]] testing::Environment* const kKokkos =
    testing::AddGlobalTestEnvironment(new KokkosEnvironment);

}  // namespace
}  // namespace soapstone::runtime
