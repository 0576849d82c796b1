// Hands a part's tensors to a kernel candidate as blocks of memory, and takes the results back.
#pragma once

#include <memory>
#include <string>

#include "kernels/kernel.hpp"
#include "tests/support/conformance/sharded_run.hpp"

namespace soapstone::conformance {

// Element `index` of a block as a double, and back.
double load(const kernels::Block& block, std::span<const std::int64_t> index);
void store(const kernels::Block& block, std::span<const std::int64_t> index, double value);

// Runs the step twice over different rubbish in what is written and in the workspace; the views
// that are written get the result. Throws core::InvariantError where the two differ in a bit, what
// is read was changed, or a byte beside a block was.
void run_kernel(const kernels::PreparedKernel& kernel, const PartCall& call);

}  // namespace soapstone::conformance
