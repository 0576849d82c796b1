// Finds the operands of a step by name.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kernels/kernel.hpp"

namespace soapstone::kernels::detail {

// The steps of a definition, copied out of it, so that a prepared kernel may outlive it.
class StepTable {
 public:
  explicit StepTable(const core::OpDefinition& definition);

  std::string_view name(const StepCall& call) const { return steps_[call.step].name; }
  // The block of an operand, or of its gradient, in this call. One that the step does not have is
  // an empty Block, as is the bias of a part that has none.
  const Block& value(const StepCall& call, std::string_view operand) const;
  const Block& gradient(const StepCall& call, std::string_view operand) const;
  // Of an operand that a step both reads and writes: where it goes.
  const Block& written(const StepCall& call, std::string_view operand) const;
  bool has(std::string_view step) const;

 private:
  struct Slot {
    std::string operand;
    bool gradient = false;
  };
  struct NamedStep {
    std::string name;
    std::vector<Slot> slots;  // what is read, then what is written
  };
  const Block& find(const StepCall& call, std::string_view operand, bool gradient) const;
  std::vector<NamedStep> steps_;
};

// For the end of an execute() that went through the steps it knows.
[[noreturn]] void unknown_step(std::string_view candidate, std::string_view step);

}  // namespace soapstone::kernels::detail
