#include "tests/support/conformance/block_call.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <vector>

#include "core/assert.hpp"
#include "kernels/bf16.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::conformance {

namespace {

using reference::for_each_index;
using reference::Index;

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kGuard = 256;  // bytes before and after
constexpr unsigned char kGuardByte = 0xa5;
// As f32, f64: quiet NaN; 7e22 and 8e180. As i32: -1; a large number.
constexpr unsigned char kRubbish[2] = {0xff, 0x65};

// Aligned memory between two guards.
class Memory {
 public:
  Memory(std::size_t size, unsigned char fill)
      : size_(size),
        bytes_(static_cast<unsigned char*>(
            ::operator new(size + 2 * kGuard, std::align_val_t(kAlignment)))) {
    std::fill_n(bytes_, size + 2 * kGuard, kGuardByte);
    std::fill_n(data(), size, fill);
  }
  Memory(Memory&& other) noexcept
      : size_(other.size_), bytes_(std::exchange(other.bytes_, nullptr)) {}
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { ::operator delete(bytes_, std::align_val_t(kAlignment)); }

  unsigned char* data() const { return bytes_ + kGuard; }
  std::size_t size() const { return size_; }
  bool guards_hold() const {
    const auto untouched = [](unsigned char b) { return b == kGuardByte; };
    return std::all_of(bytes_, bytes_ + kGuard, untouched) &&
           std::all_of(data() + size_, data() + size_ + kGuard, untouched);
  }
  bool operator==(const Memory& o) const {
    return size_ == o.size_ && std::memcmp(data(), o.data(), size_) == 0;
  }

 private:
  std::size_t size_;
  unsigned char* bytes_;
};

std::int64_t offset_of(const kernels::Block& block, Index index) {
  const core::Shape strides = core::packed_strides(core::extents(block.box), block.order);
  std::int64_t offset = 0;
  for (std::size_t d = 0; d < index.size(); ++d)
    offset += (index[d] - block.box[d].begin) * strides[d];
  return offset;
}

struct Attempt {
  std::vector<Memory> memory;
  std::vector<kernels::Block> blocks;
};

Attempt attempt(const kernels::PreparedKernel& kernel, const PartCall& call,
                unsigned char rubbish) {
  const core::Step& step = call.problem.definition->steps[static_cast<std::size_t>(call.step)];
  Attempt a;
  std::vector<const core::Operand*> operands;
  for (const auto* refs : {&step.reads, &step.writes})
    for (const core::Ref& r : *refs)
      operands.push_back(&call.problem.definition->operands[r.operand]);
  for (std::size_t k = 0; k < operands.size(); ++k) {
    const reference::View& view = call.operands[k];
    const core::TensorDesc& desc = operands[k]->desc;
    const auto count = core::elements(view.box);
    a.memory.emplace_back(static_cast<std::size_t>((core::size_of(desc.dtype) * count).value),
                          rubbish);
    a.blocks.push_back(
        {count > 0 ? a.memory.back().data() : nullptr, desc.dtype, view.box, desc.order});
    if (k < step.reads.size())
      for_each_index(view.box, [&](Index p) { store(a.blocks.back(), p, view.at(p)); });
  }
  // What was read is compared with what it was.
  std::vector<Memory> before;
  for (std::size_t k = 0; k < step.reads.size(); ++k) {
    before.emplace_back(a.memory[k].size(), 0);
    std::copy_n(a.memory[k].data(), a.memory[k].size(), before.back().data());
  }
  const Memory workspace(static_cast<std::size_t>(kernel.workspace().value), rubbish);
  kernel.execute(
      {.step = call.step,
       .operands = a.blocks,
       .workspace = workspace.size() > 0 ? workspace.data() : nullptr,
       .random = {call.random.seed, call.random.step, call.random.op, call.random.sample_offset}});
  SOAPSTONE_ASSERT(workspace.guards_hold(), "step {}: wrote beside the workspace of {} bytes",
                   step.name, workspace.size());
  for (std::size_t k = 0; k < operands.size(); ++k) {
    SOAPSTONE_ASSERT(a.memory[k].guards_hold(), "step {}: wrote beside the block of {}", step.name,
                     operands[k]->name);
    SOAPSTONE_ASSERT(k >= before.size() || before[k] == a.memory[k],
                     "step {}: changed {}, which it reads", step.name, operands[k]->name);
  }
  return a;
}

}  // namespace

double load(const kernels::Block& block, Index index) {
  const std::int64_t at = offset_of(block, index);
  switch (block.dtype) {
    case core::DType::kF32:
      return static_cast<double>(static_cast<const float*>(block.data)[at]);
    case core::DType::kF64:
      return static_cast<const double*>(block.data)[at];
    case core::DType::kBF16:
      return static_cast<double>(
          static_cast<float>(static_cast<const kernels::Bf16*>(block.data)[at]));
    case core::DType::kI32:
      return static_cast<double>(static_cast<const std::int32_t*>(block.data)[at]);
  }
  return 0;
}

void store(const kernels::Block& block, Index index, double value) {
  const std::int64_t at = offset_of(block, index);
  switch (block.dtype) {
    case core::DType::kF32:
      static_cast<float*>(block.data)[at] = static_cast<float>(value);
      break;
    case core::DType::kF64:
      static_cast<double*>(block.data)[at] = value;
      break;
    case core::DType::kBF16:
      static_cast<kernels::Bf16*>(block.data)[at] = kernels::Bf16(value);
      break;
    case core::DType::kI32:
      static_cast<std::int32_t*>(block.data)[at] = static_cast<std::int32_t>(value);
      break;
  }
}

void run_kernel(const kernels::PreparedKernel& kernel, const PartCall& call) {
  const core::Step& step = call.problem.definition->steps[static_cast<std::size_t>(call.step)];
  const Attempt first = attempt(kernel, call, kRubbish[0]),
                second = attempt(kernel, call, kRubbish[1]);
  for (std::size_t k = step.reads.size(); k < call.operands.size(); ++k) {
    const core::Operand& operand =
        call.problem.definition->operands[step.writes[k - step.reads.size()].operand];
    SOAPSTONE_ASSERT(first.memory[k] == second.memory[k],
                     "step {}: two runs wrote different bits to {}", step.name, operand.name);
    for_each_index(call.operands[k].box,
                   [&](Index p) { call.operands[k].at(p) = load(first.blocks[k], p); });
  }
}

}  // namespace soapstone::conformance
