// Which kernel computes a local problem. Implemented by the kernels room for
// hardware that is here, by NominalCatalog for hardware that is not.
#pragma once

#include <string>
#include <vector>

#include "core/cluster.hpp"
#include "core/local_problem.hpp"

namespace soapstone::core {

struct KernelRefusal {
  std::string candidate;  // e.g. "conv2d/onednn"
  std::string reason;     // a sentence
};

struct KernelChoice {
  std::string candidate;               // e.g. "conv2d/kokkos"
  Bytes workspace;                     // beyond the operands, for all steps
  std::vector<KernelRefusal> refused;  // the faster candidates before it
};

class KernelCatalog {
 public:
  virtual ~KernelCatalog() = default;
  // Forward and backward of a local problem use one candidate.
  virtual KernelChoice choose(const LocalProblem& problem, const DeviceKind& device) const = 0;
};

// For hardware that is absent: "op/nominal", no workspace, nothing refused.
class NominalCatalog final : public KernelCatalog {
 public:
  KernelChoice choose(const LocalProblem& problem, const DeviceKind& device) const override;
};

}  // namespace soapstone::core
