// The kernels of this machine as a catalog.
#pragma once

#include <memory>

#include "core/kernel_catalog.hpp"
#include "kernels/kernel.hpp"

namespace soapstone::kernels {

// The first candidate that accepts, with the refusals before it. Answers are remembered by problem
// signature; may be asked by several threads at once.
class HostCatalog final : public core::KernelCatalog {
 public:
  HostCatalog();
  ~HostCatalog() override;
  core::KernelChoice choose(const core::LocalProblem& problem,
                            const core::DeviceKind& device) const override;

 private:
  struct Cache;
  std::unique_ptr<Cache> cache_;
};

// Makes the named candidate ready; throws core::InvariantError where it refuses the problem.
std::unique_ptr<PreparedKernel> prepare(std::string_view candidate,
                                        const core::LocalProblem& problem);

}  // namespace soapstone::kernels
