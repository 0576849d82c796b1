// One step of training (or evaluation) as tasks: values, gradients, weights, pipeline.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/lower.hpp"
#include "core/lowering/programs.hpp"
#include "core/lowering/segments.hpp"
#include "core/strategy.hpp"

namespace soapstone::core {

namespace lowering {

struct GradientSlot {
  std::uint64_t layout = 0;
  Instance instance;
  int expected = 0;
  int contributed = 0;
};

// What there is of the tensors: of weights for the whole step, of all others per micro-batch.
struct Held {
  struct Value {
    Instance instance;
    Instance host = {};  // on its way there
    bool on_host = false;
  };
  std::vector<std::vector<Value>> values;        // per tensor, each in another layout
  std::vector<std::vector<GradientSlot>> slots;  // per tensor, by written layout
  std::vector<Instance> gradients;               // per tensor, as its producer reads it
  // Of a micro-batch alone. Per tensor: as its producer wrote it. Per operator: internals and own
  // outputs, as read.
  std::vector<Instance> made;
  std::vector<std::vector<std::pair<Ref, Value>>> own;
  // What other stages are waiting for: values, and gradients in a written layout.
  struct Gradient {
    TensorId tensor;
    Instance instance;
    std::uint32_t op;
  };
  std::vector<TensorId> outgoing;
  std::vector<Gradient> outgoing_gradients;

  Held(std::size_t tensors, std::size_t ops)
      : values(tensors), slots(tensors), gradients(tensors), made(tensors), own(ops) {}

  // In a layout; null: there is none.
  Value* value(TensorId t, std::uint64_t layout) {
    for (Value& v : values[t.value])
      if (v.instance.cut->hash == layout) return &v;
    return nullptr;
  }
};

}  // namespace lowering

struct Lowering::Impl {
  Impl(const Graph& in, const Cluster& on, const KernelCatalog& with, LowerOptions how)
      : graph(in), cluster(on), options(how), segments(on, with, how.training, how.patterns) {}

  Result<Plan> lower(const Strategy& strategy);

 private:
  using Cut = lowering::Cut;
  using CutPtr = lowering::CutPtr;
  using Instance = lowering::Instance;
  using Held = lowering::Held;
  using GradientSlot = lowering::GradientSlot;
  using OpSegment = lowering::OpSegment;
  using Window = lowering::Window;
  using Moving = lowering::Programs::Moving;

  // --- lower.cpp: the whole
  void make(std::vector<std::uint32_t> class_of_device);
  std::vector<std::uint32_t> classes_of(const Strategy& of) const;

  bool is_weight(TensorId t) const { return g->tensor(t).role == TensorRole::kWeight; }
  Held& held(TensorId t) { return is_weight(t) ? *weights : *now; }
  const OpStrategy& strategy_of(std::uint32_t op) const { return strategy->ops[op]; }
  std::int32_t stage_of(std::uint32_t op) const { return strategy_of(op).stage; }
  Phase phase_of(const Step& step) const { return recomputing ? Phase::kRecompute : step.phase; }
  BufferKind kind_of_value(TensorId t) const;
  BufferKind kind_of_copy(TensorId t) const;

  // --- values.cpp: what operators read and write
  void run_step(std::uint32_t op, int step_index);
  void load_sources(std::int32_t stage);
  std::vector<const Cut*> readers_of(TensorId t, bool producer_reads) const;
  bool is_read(TensorId t, const Cut& cut, std::int32_t stage, bool elsewhere) const;
  bool is_read_again(TensorId t, const Cut& cut, std::int32_t stage) const;
  bool reads_later(const OpSegment& segment, const OpDefinition& def, const Ref& ref) const;
  // What a step made for later steps of the same operator.
  void keep_internal(std::uint32_t op, const Ref& ref, const Instance& made, Phase phase);
  // Makes a tensor's value available to its readers: those of the operator's own stage now, those
  // of others when the stage has done its part of the micro-batch.
  void distribute(TensorId t, const Instance& made, std::uint32_t op, bool producer_reads,
                  bool to_other_stages = false);
  Instance value_in(TensorId t, const Cut& cut, std::uint32_t op, Phase phase);
  std::optional<Instance> source_of(std::uint32_t op, const Ref& ref, Phase phase);
  void compute_again(std::uint32_t op);
  void forget(std::int32_t stage);
  // What an operator made goes to the host's memory, and what comes from there.
  bool is_offloaded(std::uint32_t op) const;
  void send_to_host(std::uint32_t op);
  void leave_on_host(std::int32_t stage);
  Instance copied(const Instance& from, Memory memory, std::uint32_t op, std::uint32_t tensor,
                  DType dtype, Phase phase);
  Instance on_device(Held::Value& value, std::uint32_t op, std::uint32_t tensor, DType dtype);

  // --- rounds.cpp: what goes round in a ring
  void run_rounds(std::uint32_t op, int step_index);
  Instance hop(const Instance& from, const Cut& to, const Moving& how);

  // --- gradients.cpp: contributions and where they go
  void expect_gradients(std::vector<std::vector<GradientSlot>>& of, bool of_weights);
  GradientSlot& slot_of(TensorId t, const Cut& cut);
  void contributed(TensorId t, GradientSlot& slot, std::uint32_t op);
  void return_gradient(TensorId t, const Instance& sum, std::uint32_t op);
  void accumulate(const Instance& from, const Instance& to, std::uint32_t op, std::uint32_t tensor);
  bool comes_as_rows(const OpNode& node, const Step& step) const;
  void gather_rows(std::uint32_t op, const Step& step);
  std::uint16_t ids_of(const Table& table) const;
  Instance return_to_weight(TensorId t, const Instance& sum, const Moving& how);
  bool goes_into_bucket(TensorId t, const lowering::MoveSegment& segment) const;
  void add_to_bucket(const Instance& gradient, const lowering::MoveSegment& segment,
                     const Moving& how);
  void send_bucket(std::size_t index);
  std::pair<const Cut&, const Cut&> own_sum(Layout partial);

  // --- weights.cpp: where they live and how they are updated
  std::int32_t zero_of(TensorId weight) const;
  bool has_server(TensorId weight) const;
  Status find_homes();
  void place_weights();
  void distribute_weights();
  Instance gather_weight(TensorId t, const Cut& cut, const Moving& how);
  struct Home;
  static bool can_sum_in_groups(const Cut& sum, const Home& home);
  Instance sum_in_groups(TensorId t, const Instance& sum, const Moving& how);
  std::pair<const Cut*, const Cut*> shares_of(const Cut& sum, const Home& home);
  void release_weights(std::uint32_t op);
  void update_weights();
  Instance gradient_norm();
  void use_rows(std::uint32_t t, std::uint32_t device_class, std::vector<BufferUse>& uses);
  void add_row_task(TaskKind kind, std::uint32_t t, std::uint32_t device_class,
                    std::span<const BufferUse> uses);

  // --- pipeline.cpp: the order of it all
  void run_pipeline();
  void enter(const PipelineAction& action);
  void run_action(const PipelineAction& action);
  void finish_action(const PipelineAction& action);
  void ends(Window window, std::uint32_t op);

  const Graph& graph;
  const Cluster& cluster;
  LowerOptions options;

  // Kept between calls.
  std::map<std::pair<std::int32_t, std::int32_t>, Graph> micro_graphs;  // by number, zigzag
  lowering::Segments segments;
  std::uint64_t plans = 0;  // tried so far

  // Of the plan being made.
  const Graph* g = nullptr;  // of a micro-batch
  const Strategy* strategy = nullptr;
  Plan plan;
  std::unique_ptr<lowering::Programs> programs;
  std::vector<std::shared_ptr<const OpSegment>> ops;
  Pipeline pipeline;
  std::unique_ptr<Held> weights;                     // of weights
  std::vector<std::unique_ptr<Held>> batches;        // per micro-batch, while it is under way
  std::vector<std::size_t> actions_left;             // per micro-batch
  std::vector<std::vector<GradientSlot>> new_slots;  // of a micro-batch that begins
  Held* now = nullptr;                               // of the present micro-batch
  struct Home {
    CutPtr cut;     // where a weight lives
    CutPtr copies;  // where its first reader wants it
    // Hybrid sharding: groups of so many copies have all parts each (0: none), and sums of
    // gradients as they lie between the sum inside the groups and the one over them.
    std::int32_t group = 0;
    CutPtr partial;
  };
  std::vector<Home> homes;  // per tensor
  bool recomputing = false;
  std::vector<bool> by_rows;                 // per tensor: a table that training updates by rows
  std::vector<std::optional<Table>> tables;  // per tensor: a weight that is updated by rows
  struct Rows {
    Instance ids, rows;
  };
  std::vector<std::vector<Rows>> rows;  // per tensor, per micro-batch: its gradient
  // Gradients that wait for others to be summed over the same devices.
  struct Bucket {
    std::uint64_t key = 0;  // devices and dtype
    DType dtype = DType::kF32;
    std::vector<std::vector<DeviceId>> groups;  // that sum
    std::vector<Instance> parts;
    std::uint32_t op = 0;  // whose gradient came last
    Bytes bytes;           // on the device that has most
  };
  std::vector<Bucket> buckets;
  std::vector<CutPtr> own_cuts;  // that belong to no operator
};

}  // namespace soapstone::core
