// The programs of a plan while it is made: one per class of devices that do the same.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "core/lowering/segments.hpp"
#include "core/plan.hpp"

namespace soapstone::core::lowering {

// A tensor (or gradient, or internal) as it lies in buffers.
struct Instance {
  const Cut* cut = nullptr;
  std::uint32_t first = 0;  // of Programs' list of buffers, one per spot of the cut

  explicit operator bool() const { return cut != nullptr; }
};

// Thrown where devices of one class turn out to do different things: what each of them does.
struct Uneven {
  std::uint32_t device_class = 0;
  std::vector<std::uint64_t> roles;  // per member
};

// How far ahead of computing data may be moved, and how long behind it may be on its way: from one
// operator with weights to the next but one, or from one action of the pipeline to the next but
// one. This bounds the memory of what has come too early and of what has not left yet. In a ring:
// from one round to the next but one.
enum class Window : std::uint8_t { kOperator, kAction, kRound };

class Programs {
 public:
  // `class_of_device`: kNoIndex where a device has nothing to do; classes are numbered in the order
  // of their first device. `before`: the programs of another plan, which are about as long; may be
  // null.
  Programs(Plan& plan, Segments& segments, std::vector<std::uint32_t> class_of_device,
           std::uint64_t number, const Programs* before);

  std::size_t size() const { return classes_.size(); }
  DeviceClass& program(std::uint32_t device_class) { return classes_[device_class].program; }
  std::uint32_t class_of(DeviceId device) const { return class_of_device_[device.value]; }

  const CutPlace& place(const Cut& cut);
  // Where the members of the classes stand among the devices of operator `op`: rows of shards.
  struct OpSpot {
    std::uint32_t device_class = 0;
    std::uint32_t first = 0;  // place of the class's first member among the operator's devices
    std::uint32_t row = 0;    // of the member table; those of later rounds follow
  };
  void place_op(std::uint32_t op, const OpStrategy& strategy, const OpSegment& segment);
  std::span<const OpSpot> spots(std::uint32_t op) const { return op_spots_[op]; }

  std::uint32_t new_buffer(std::uint32_t device_class, BufferKind kind, std::uint32_t tensor,
                           DType dtype, const Box& box, Bytes size,
                           Memory memory = Memory::kDevice);
  Instance new_instance(const Cut& cut, BufferKind kind, std::uint32_t tensor, DType dtype,
                        Memory memory = Memory::kDevice);
  // On a class; kNoIndex: it has nothing of it.
  std::uint32_t buffer_on(const Instance& instance, std::uint32_t device_class);
  std::span<std::uint32_t> buffers(const Instance& instance) {
    return std::span(buffers_).subspan(instance.first, place(*instance.cut).spots.size());
  }
  Instance unfilled(const Cut& cut);  // its buffers are to be named

  // Buffers become parts of another one: what uses that one uses them.
  void put_inside(std::uint32_t whole, std::span<const std::uint32_t> parts,
                  std::uint32_t device_class);
  // Whether a class has the copy of a tensor that counts where each is to be counted once.
  bool counts(const Cut& cut, std::uint32_t device_class);

  // Appends a task; its dependencies follow from what it uses.
  Task& add_task(std::uint32_t device_class, TaskKind kind, Phase phase,
                 std::span<const BufferUse> uses);
  // What one operator, or one transfer, does on all devices has one place in the total order.
  void next() { ++order_; }
  void set_micro_batch(std::uint16_t micro_batch) { micro_batch_ = micro_batch; }
  std::uint16_t micro_batch() const { return micro_batch_; }
  void ends(Window window, std::uint32_t device_class);
  void needs_workspace(std::uint32_t device_class, Bytes bytes);

  struct Moving {
    BufferKind kind = BufferKind::kActivation;
    std::uint32_t op = kNoIndex, tensor = kNoIndex;
    Phase phase = Phase::kForward;
    DType dtype = DType::kF32;
    DimOrder dims;
    bool consume = false;  // nobody else reads it, so that an all-reduce may run in place
    Window window = Window::kOperator;
  };
  // Makes `from` available in layout `to`.
  Instance moved(const Instance& from, const Cut& to, const Moving& how);
  Instance moved(const Instance& from, const Cut& to, const MoveSegment& segment,
                 const Moving& how);
  const std::vector<MoveRole>& roles(const MoveSegment& segment);
  // Into the other memory, or back.
  Instance copied(const Instance& from, Memory memory, const Moving& how);
  void copy_onto(const Instance& from, const Instance& to, const Moving& how);

  // Ends the making: workspaces, and the programs into the plan.
  void finish();

 private:
  struct BufferState {
    std::uint32_t last_writer = kNoIndex;
    std::uint32_t first_reader = kNoIndex;  // since; of `readers`
  };
  struct Reader {
    std::uint32_t task = 0, next = kNoIndex;
  };
  struct Recent {
    std::uint32_t ended[2] = {kNoIndex, kNoIndex};  // last computing task of the last but one, last
    std::uint32_t count = 0;                        // windows ended
    struct Sent {
      std::uint32_t task = 0, until = 0;  // computing waits for it in this window, at the latest
    };
    std::vector<Sent> sent;  // that no task waits for yet
  };
  struct ClassState {
    DeviceClass program;
    std::vector<BufferState> buffers;
    std::vector<Reader> readers;
    std::map<std::uint32_t, std::vector<std::uint32_t>> parts;  // of buffers that have some
    std::uint32_t last_computing = kNoIndex;
    Recent recent[3];  // per window
    Bytes workspace;
    struct {
      std::size_t buffers = 0, tasks = 0, uses = 0, dependencies = 0;
    } finished;  // how many the program had
  };

  static void depend(ClassState& s, const Task& task, std::uint32_t index, std::uint32_t on);
  // A task that moves data, within its window. `behind`: for how many windows it may be on its way
  // after the present one; 0: for any number, since what it brings is waited for anyway.
  Task& add_moving(std::uint32_t device_class, TaskKind kind, std::span<const BufferUse> uses,
                   const Moving& how, std::uint32_t behind);

  Plan& plan_;
  Segments& segments_;
  std::vector<std::uint32_t> class_of_device_, member_of_device_;
  std::uint64_t number_;
  std::vector<ClassState> classes_;
  std::vector<std::uint32_t> buffers_;  // of all instances
  std::vector<std::vector<OpSpot>> op_spots_;
  std::uint32_t order_ = 0;
  std::uint16_t micro_batch_ = 0;
};

}  // namespace soapstone::core::lowering
