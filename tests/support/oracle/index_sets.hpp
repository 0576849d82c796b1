// Which device must hold, and contributes to, which element of an operand: by enumerating every
// point of the operator's iteration space, without layouts. Slow, for small tensors.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "core/derive.hpp"
#include "core/layout.hpp"
#include "core/op_definition.hpp"
#include "core/result.hpp"
#include "core/strategy.hpp"

namespace soapstone::oracle {

using Element = std::int64_t;  // position in the whole tensor, row-major
using Devices = std::set<core::DeviceId>;

// What device number `index` of the strategy computes of every axis, by counting granules off one
// by one.
std::vector<std::vector<std::int64_t>> points_of(const core::OpDefinition& definition,
                                                 const core::OpStrategy& strategy,
                                                 std::size_t index);

// The elements that some point of a part touches. Empty where the operand exists on other parts
// only.
std::set<Element> touched(const core::OpDefinition& definition, int operand,
                          const core::OpStrategy& strategy, std::size_t index);

// Who computes the gradient or partial sum of an element: sets of devices that compute the same
// contribution. Where there is more than one set, their contributions must be summed.
using Contributions = std::map<Element, std::set<Devices>>;
Contributions contributions(const core::OpDefinition& definition, int operand,
                            const core::OpStrategy& strategy, core::AxisSet reduces);
Contributions contributions_of(const core::Layout& layout, const core::Shape& shape);

// Errors name the operand and the device. `layout` is what operand_layout says.
core::Status check_read(const core::OpDefinition& definition, int operand,
                        const core::OpStrategy& strategy);
// Besides the groups of contributions, sums a number for every point and compares with the whole.
core::Status check_written(const core::OpDefinition& definition, int operand,
                           const core::OpStrategy& strategy, core::AxisSet reduces);
// Both for all operands that the steps read and write.
core::Status check_all(const core::OpDefinition& definition, const core::OpStrategy& strategy);

}  // namespace soapstone::oracle
