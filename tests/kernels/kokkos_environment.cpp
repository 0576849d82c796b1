// Kokkos for all tests of the executable.
#include <optional>

#include <gtest/gtest.h>

#include "kernels/device.hpp"

namespace soapstone::kernels {
namespace {

class Kokkos : public testing::Environment {
 public:
  void SetUp() override { scope_.emplace(2); }
  void TearDown() override { scope_.reset(); }

 private:
  std::optional<KokkosScope> scope_;
};

[[maybe_unused]] const auto* const kEnvironment = testing::AddGlobalTestEnvironment(new Kokkos);

}  // namespace
}  // namespace soapstone::kernels
