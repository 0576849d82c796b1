// bf16 for kernels that do not take it.
#pragma once

#include "kernels/kernel.hpp"

namespace soapstone::kernels {

// Runs an f32 candidate on bf16 operands: they are copied into f32 in the workspace before, and
// rounded back after each step. Costs 6 bytes of traffic per element read or written beyond what
// the candidate itself costs. Its name is that of the candidate + "@f32".
Candidate widened(const Candidate& inner);

}  // namespace soapstone::kernels
