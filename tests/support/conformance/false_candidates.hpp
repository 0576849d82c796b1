// Candidates made of the reference, right and wrong: what the conformance suite must tell apart.
#pragma once

#include <iosfwd>
#include <string_view>

#include "kernels/kernel.hpp"

namespace soapstone::conformance {

enum class Flaw {
  kNone,
  kZeros,         // writes zeros
  kCopiesInput,   // writes the bytes of what it reads first
  kMissesLast,    // leaves the last element of what it writes as it was
  kOffByALittle,  // the largest element of what it writes is wrong by a part in 10,000
  kAccumulates,   // adds to what was there
  kWritesBeside,  // one element too many
  kSpoilsInput,   // changes what it reads
  kRefusesAll,    // takes nothing
  kRemembers,     // every second call gives another result
};
inline constexpr Flaw kFlaws[] = {Flaw::kZeros,        Flaw::kCopiesInput, Flaw::kMissesLast,
                                  Flaw::kOffByALittle, Flaw::kAccumulates, Flaw::kWritesBeside,
                                  Flaw::kSpoilsInput,  Flaw::kRefusesAll,  Flaw::kRemembers};

kernels::Candidate reference_candidate(Flaw flaw);
std::string_view name_of(Flaw flaw);
void PrintTo(Flaw flaw, std::ostream* out);

}  // namespace soapstone::conformance
