#include "core/plan.hpp"

#include <algorithm>
#include <functional>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "core/document.hpp"
#include "core/json.hpp"
#include "core/lower.hpp"
#include "core/models/models.hpp"
#include "core/ops/linear.hpp"
#include "core/ops/relu.hpp"
#include "core/placement.hpp"
#include "tests/support/interpreter/interpreter.hpp"
#include "tests/support/interpreter/plan_writer.hpp"
#include "tests/support/interpreter/strategies.hpp"

namespace soapstone::core {
namespace {

struct Sample {
  Graph graph;
  Plan plan;
};
// Two data-parallel devices; the second layer is cut by its reduction.
Sample sample() {
  GraphBuilder g("sample");
  auto x = g.source("x", {{4, 3}, DType::kF64, {}});
  const auto y = g.source("y", {{4}, DType::kI32, {}}, 2);
  x = g.add("fc1", Linear{.out_features = {6}, .activation = Activation::kRelu}, {x});
  x = g.add("fc2", Linear{.out_features = {2}}, {x});
  Graph graph = g.build_with_loss(x, y).value();
  Strategy s = data_parallel(graph, std::vector{DeviceId(0), DeviceId(1)});
  s.ops[1].degrees = {1, 1, 2};
  Plan plan = lower(graph, s, interpreter::cluster_of(2), interpreter::WorkspaceCatalog{},
                    {.clip_gradient_norm = true})
                  .value();
  return {std::move(graph), std::move(plan)};
}

std::string refusal(const std::function<void(Plan&)>& change) {
  Sample s = sample();
  change(s.plan);
  const Status status = check(s.graph, s.plan);
  return status ? "accepted" : status.error().message;
}
Task& find_task(Plan& p, TaskKind kind) {
  for (Task& t : p.classes[0].tasks)
    if (t.kind == kind) return t;
  SOAPSTONE_ASSERT(false, "no {}", name_of(kind));
}
std::uint32_t index_of(const Plan& p, const Task& t) {
  return static_cast<std::uint32_t>(&t - p.classes[0].tasks.data());
}
bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST(Plan, CheckNamesWhatIsWrongWithUpdatesOfRows) {
  const Graph graph =
      build_model("xdl", {.batch = 6, .parameters = {{"tables", 1}, {"rows", 40}, {"features", 4}}})
          .value();
  LowerOptions how = lower_options(OptimizerKind::kAdagrad, 0, 0, TableOptimizer::kSame);
  how.clip_gradient_norm = true;
  const auto refused = [&](const std::function<void(Plan&)>& change) {
    Plan plan = lower(graph, single_device(graph), interpreter::cluster_of(1),
                      interpreter::WorkspaceCatalog{}, how)
                    .value();
    change(plan);
    const Status status = check(graph, plan);
    return status ? "accepted" : status.error().message;
  };
  const auto expect = [&](const std::function<void(Plan&)>& change, std::string_view part) {
    const std::string message = refused(change);
    EXPECT_TRUE(has(message, part)) << message << "\ninstead of: " << part;
  };
  expect([](Plan&) {}, "accepted");
  expect([](Plan& p) { find_task(p, TaskKind::kUpdateRows).use_count = 3; },
         "update-rows uses 3 buffers: 4 to 5 are accepted");
  expect([](Plan& p) { find_task(p, TaskKind::kNormRows).use_count = 2; },
         "norm-rows uses 2 buffers: 3 to 3 are accepted");
  expect([](Plan& p) { p.table_states = 0; }, "update-rows uses 5 buffers: 3 to 4 are accepted");
  expect([](Plan& p) { find_task(p, TaskKind::kUpdateRows).step = 0; },
         "update-rows of step forward, whose gradient does not come as rows");
  expect([](Plan& p) { find_task(p, TaskKind::kNormRows).tensor = 999; }, "tensor 999 of");
  expect([](Plan& p) { find_task(p, TaskKind::kUpdateRows).row = kNoIndex - 1; },
         "row is out of range");
  expect([](Plan& p) { p.member_table[find_task(p, TaskKind::kNormRows).row] = 999; },
         "member table entry 999");
}

TEST(Plan, CheckNamesTheRuleThatIsBroken) {
  EXPECT_EQ(refusal([](Plan&) {}), "accepted");
  const auto expect = [](const std::function<void(Plan&)>& change, std::string_view part) {
    const std::string message = refusal(change);
    EXPECT_TRUE(has(message, part)) << message << "\ninstead of: " << part;
  };
  expect([](Plan& p) { p.graph_hash ^= 1; }, "the plan was made for graph sample");
  expect([](Plan& p) { p.micro_batches = 0; }, "micro_batches = 0");
  expect([](Plan& p) { p.classes[1].members = {DeviceId(0)}; }, "device 0 is in two classes");
  expect([](Plan& p) { p.classes[1].members = {DeviceId(2)}; }, "device 2 of 2");
  expect([](Plan& p) { p.classes[1].members = {}; }, "class 1 has no members");
  expect([](Plan& p) { p.classes[0].tasks[1].order = 1000000; }, "comes before an earlier task");
  expect([](Plan& p) { p.classes[0].tasks[3].first_use = 1u << 31; }, "uses are out of range");
  expect(
      [](Plan& p) {
        p.classes[0].tasks[3].first_dependency = 1u << 31;
        p.classes[0].tasks[3].dependency_count = 1;
      },
      "dependencies are out of range");
  expect(
      [](Plan& p) {
        for (auto& d : p.classes[0].dependencies) d = 5;
      },
      "depends on task 5, which is not earlier");
  expect([](Plan& p) { p.classes[0].uses[0].buffer = 12345; }, "uses buffer 12345 of");
  expect([](Plan& p) { p.classes[0].uses[0].access = UseAccess::kRead; }, "before it is written");
  expect([](Plan& p) { find_task(p, TaskKind::kLoad).tensor = 999; }, "tensor 999 of");
  expect([](Plan& p) { find_task(p, TaskKind::kLoad).use_count = 0; },
         "load uses 0 buffers: 1 to 1 are accepted");
  expect([](Plan& p) { find_task(p, TaskKind::kLoad).micro_batch = 1; }, "micro-batch 1 of 1");
  expect([](Plan& p) { find_task(p, TaskKind::kCompute).step = 99; },
         "computes step 99 of operator 0");
  expect([](Plan& p) { find_task(p, TaskKind::kCompute).op = kNoIndex; }, "computes step");
  expect([](Plan& p) { find_task(p, TaskKind::kCompute).row = kNoIndex - 1; },
         "row is out of range");
  expect(
      [](Plan& p) {
        p.shards[0].op = 2;
        p.shards[0].axes.assign(2, {0, 1});
      },
      "on a shard of operator 2");
  expect([](Plan& p) { p.shards[0].op = 77; }, "shard 0: operator 77 of 3");
  expect([](Plan& p) { p.shards[0].axes.pop_back(); }, "shard 0: 2 axes, fc1 has 3");
  expect([](Plan& p) { p.shards[1].candidate = 9; }, "shard 1: candidate 9 of");
  expect([](Plan& p) { p.member_table[find_task(p, TaskKind::kTransfer).row] = 999; },
         "member table entry 999");
  expect(
      [](Plan& p) {
        // Device 1 leaves out its part of the last transfer, which is in place.
        const auto last = std::find_if(p.classes[1].tasks.rbegin(), p.classes[1].tasks.rend(),
                                       [](const Task& t) { return t.kind == TaskKind::kTransfer; });
        last->kind = TaskKind::kLoad, last->use_count = 1, last->tensor = 0;
        p.classes[1].uses[last->first_use] = {0, UseAccess::kWrite};
      },
      "devices [0] take part, its members are [0, 1]");
  expect([](Plan& p) { p.transfers[0].members[1].device = DeviceId(7); },
         "transfer 0: device 7 of 2");
  expect([](Plan& p) { p.transfers[0].root = 2; }, "root 2 of 2 members");
  expect(
      [](Plan& p) {
        for (auto& t : p.transfers)
          if (t.pattern != Pattern::kBoxes) {
            t.pattern = Pattern::kAllToAll, t.algorithm = Algorithm::kRing;
            return;
          }
      },
      "every pair of members exchanges");
  expect(
      [](Plan& p) {
        p.transfers[0].pattern = Pattern::kBoxes;
        p.transfers[0].messages = {{0, 5, {}}};
      },
      "a message from 0 to 5 of 2 members");
  expect(
      [](Plan& p) {
        auto& t = p.transfers[0];
        t.pattern = Pattern::kBoxes;
        Box outside = t.members[0].held;
        outside[0].end += 100;
        t.messages = {{0, 1, outside}};
      },
      "is not in what member 0 holds");
  expect([](Plan& p) { p.classes[0].buffers[0].tensor = 500; }, "buffer 0: tensor 500 of");
  expect([](Plan& p) { p.classes[0].buffers[0].size = Bytes(8); }, "buffer 0: 8 bytes for");
  expect([](Plan& p) { p.classes[0].arena = Bytes(64); }, "of an arena of 64");
}

TEST(Plan, DocumentsGoThereAndBack) {
  const Plan plan = sample().plan;
  const auto read = document_from_text<Plan>(document_text(plan).value(), "test");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, plan);
  EXPECT_EQ(hash_of(*read), hash_of(plan));
  EXPECT_EQ(print(*read), print(plan));
  Plan other = plan;
  other.classes[1].tasks.back().order += 1;
  EXPECT_NE(other, plan);
  EXPECT_NE(hash_of(other), hash_of(plan));
}

TEST(Plan, LabelsSayWhatATaskDoes) {
  const Sample s = sample();
  std::string labels;
  for (const Task& t : s.plan.classes[0].tasks)
    labels += task_label(s.graph, s.plan, s.plan.classes[0], t) + "\n";
  for (const std::string_view part :
       {"x load\n", "fc1 forward\n", "fc1.y all-to-all\n", "fc2 backward_weight\n",
        "fc1.weight gradient all-reduce\n", "gradient norm\n", "gradient norm all-reduce\n",
        "fc2.bias update\n"})
    EXPECT_TRUE(has(labels, part)) << part << " is not in\n" << labels;
  EXPECT_EQ(place_of(s.plan, DeviceId(1)).class_index, 1u);
  EXPECT_EQ(place_of(s.plan, DeviceId(9)).class_index, kNoIndex);
}

TEST(Plan, StagingAndTrafficOfATransferAreThoseOfItsSchedule) {
  Transfer t;
  t.dtype = DType::kF32;
  t.pattern = Pattern::kAllGather;
  t.algorithm = Algorithm::kRing;
  for (std::uint32_t d = 0; d < 3; ++d)
    t.members.push_back({DeviceId(d), {part_of(10, 1, 3, static_cast<int>(d))}, {{0, 10}}});
  EXPECT_EQ(collective_of(t).counts, (std::vector<std::int64_t>{4, 3, 3}));
  EXPECT_EQ(staging_bytes(t, 0), Bytes(40));
  EXPECT_EQ(bytes_sent(t, 0),
            Bytes(4 * (4 + 3)));  // its own piece, then the one that came from member 2
  t.pattern = Pattern::kBoxes;
  t.messages = {{0, 0, {{0, 4}}}, {1, 0, {{4, 7}}}, {0, 2, {{0, 4}}}};
  EXPECT_EQ(staging_bytes(t, 0), Bytes(4 * 7));  // what stays is not packed
  EXPECT_EQ(bytes_sent(t, 0), Bytes(16));
  EXPECT_EQ(bytes_sent(t, 2), Bytes(0));
  t.messages.clear();
  t.pattern = Pattern::kAllReduce;
  t.algorithm = Algorithm::kRing;
  for (auto& m : t.members) m.held = m.wanted = {{0, 9}};
  EXPECT_EQ(staging_bytes(t, 1), Bytes(12));  // a piece that arrives to be added
}

// relu -> relu -> relu on one device: the first block is free when the third is made.
TEST(PlaceBuffers, BlocksAreSharedOnlyInOneOrder) {
  GraphBuilder g("chain");
  auto x = g.source("x", {{1, 16}, DType::kF64, {}});
  const auto y = g.source("y", {{1}, DType::kI32, {}}, 4);
  x = g.add("a", Relu{}, {x});
  x = g.add("b", Relu{}, {x});
  x = g.add("c", Linear{.out_features = {4}}, {x});
  const Graph graph = g.build_with_loss(x, y).value();
  const Plan plan = lower(graph, single_device(graph), interpreter::cluster_of(1), NominalCatalog{},
                          {.training = false})
                        .value();
  const auto offset_of = [&](std::string_view tensor) {
    for (const Buffer& b : plan.classes[0].buffers)
      if (b.tensor != kNoIndex && graph.tensors()[b.tensor].name == tensor) return b.offset.value;
    return std::int64_t{-1};
  };
  EXPECT_EQ(offset_of("x"), offset_of("b.y"));
  EXPECT_NE(offset_of("x"), offset_of("a.y"));
  EXPECT_NE(offset_of("a.y"), offset_of("b.y"));
  for (const Buffer& b : plan.classes[0].buffers) EXPECT_EQ(b.offset.value % 64, 0);
}

// Tasks that use few of their buffers; most live shortly, some to the end, some are never used.
DeviceClass random_program(std::mt19937_64& random) {
  const auto below = [&](std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); };
  DeviceClass p;
  p.members = {DeviceId(0)};
  const std::uint32_t tasks = 1 + below(200), buffers = 1 + below(400);
  for (std::uint32_t b = 0; b < buffers; ++b) {
    Buffer buffer;
    buffer.kind = below(10) == 0 ? BufferKind::kWeight : BufferKind::kActivation;
    buffer.size = Bytes(8 * below(below(2) ? 400 : 20));
    buffer.memory = below(8) == 0 ? Memory::kHost : Memory::kDevice;
    p.buffers.push_back(buffer);
  }
  for (std::uint32_t i = 0; i < tasks; ++i) {
    Task t;
    t.kind = below(3) == 0 ? TaskKind::kTransfer : TaskKind::kCompute;
    t.order = i;
    t.first_use = static_cast<std::uint32_t>(p.uses.size());
    t.use_count = 3;
    for (std::uint32_t u = 0; u < t.use_count; ++u)
      p.uses.push_back({(buffers * i / tasks + below(below(4) ? 10 : buffers)) % buffers,
                        UseAccess::kReadWrite});
    t.first_dependency = static_cast<std::uint32_t>(p.dependencies.size());
    t.dependency_count = i > 0 ? below(3) : 0;
    for (std::uint32_t d = 0; d < t.dependency_count; ++d) p.dependencies.push_back(below(i));
    p.tasks.push_back(t);
  }
  return p;
}

// Largest first, each at the lowest offset of all that may be it: behind what lives always or
// behind what it lives beside.
void place_plainly(DeviceClass& p, Memory memory) {
  const std::vector<Lifetime> life = lifetimes(p);
  std::vector<std::size_t> order;
  for (std::size_t b = 0; b < p.buffers.size(); ++b)
    if (p.buffers[b].memory == memory) order.push_back(b);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) {
    if (life[a].always != life[b].always) return life[a].always;
    return p.buffers[a].size > p.buffers[b].size;
  });
  Bytes always, arena;
  std::vector<std::size_t> placed;
  for (const std::size_t b : order) {
    Buffer& own = p.buffers[b];
    const Bytes size = aligned_size(own.size);
    if (life[b].always || size.value == 0) {
      own.offset = size.value == 0 ? Bytes(0) : always;
      always += size;
      arena = std::max(arena, always);
      continue;
    }
    std::vector<std::size_t> beside;
    for (const std::size_t other : placed)
      if (life[other].start < life[b].end && life[b].start < life[other].end)
        beside.push_back(other);
    const auto end_of = [&](std::size_t other) {
      return p.buffers[other].offset + aligned_size(p.buffers[other].size);
    };
    std::vector<Bytes> offsets = {always};
    for (const std::size_t other : beside) offsets.push_back(end_of(other));
    std::sort(offsets.begin(), offsets.end());
    own.offset = *std::find_if(offsets.begin(), offsets.end(), [&](Bytes at) {
      return std::none_of(beside.begin(), beside.end(), [&](std::size_t other) {
        return at < end_of(other) && p.buffers[other].offset < at + size;
      });
    });
    arena = std::max(arena, own.offset + size);
    placed.push_back(b);
  }
  (memory == Memory::kHost ? p.host_arena : p.arena) = arena;
}

TEST(PlaceBuffers, LieAsLowAsTheirLivesAllowTheLargestFirst) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 40; ++round) {
    Plan plan;
    for (int c = 0; c < 3; ++c) plan.classes.push_back(random_program(random));
    Plan plain = plan;
    place_buffers(plan);
    for (DeviceClass& p : plain.classes)
      for (const Memory memory : {Memory::kDevice, Memory::kHost}) place_plainly(p, memory);
    for (std::size_t c = 0; c < plan.classes.size(); ++c)
      for (std::size_t b = 0; b < plan.classes[c].buffers.size(); ++b)
        ASSERT_EQ(plan.classes[c].buffers[b].offset, plain.classes[c].buffers[b].offset)
            << "round " << round << ", class " << c << ", buffer " << b;
    ASSERT_TRUE(plan == plain) << "round " << round;
  }
}

// The brute-force check sees what placement must avoid.
TEST(CheckMemory, FindsRacesAndSharedBytes) {
  const Sample s = sample();
  ASSERT_TRUE(interpreter::check_memory(s.plan));
  // Without its dependencies a transfer races.
  Plan racing = s.plan;
  for (Task& t : racing.classes[0].tasks) t.dependency_count = 0;
  EXPECT_FALSE(interpreter::check_memory(racing));
  // Everything at offset 0.
  Plan crushed = s.plan;
  for (Buffer& b : crushed.classes[0].buffers) b.offset = Bytes(0);
  EXPECT_FALSE(interpreter::check_memory(crushed));
  EXPECT_THROW(interpreter::run_plan(s.graph, crushed, {}), InvariantError);
}

// Gradients of two weights in one bucket that is summed over two devices as a whole; what the
// bucket is made of comes from the host's memory.
TEST(CheckMemory, KnowsPartsOfBuffersAndTheHostsMemory) {
  const auto made = [] {
    DeviceClass p;
    p.members = {DeviceId(0)};
    const auto buffer = [&](std::int64_t bytes, Memory memory, std::uint32_t inside = kNoIndex,
                            std::int64_t at = 0) {
      Buffer b{BufferKind::kActivation, kNoIndex, DType::kF64, {{0, bytes / 8}}, Bytes(bytes)};
      b.memory = memory;
      b.inside = inside;
      b.at = Bytes(at);
      p.buffers.push_back(b);
    };
    buffer(128, Memory::kDevice);        // 0: the bucket
    buffer(64, Memory::kDevice, 0);      // 1: its first half
    buffer(64, Memory::kDevice, 0, 64);  // 2: its second half
    buffer(64, Memory::kHost);           // 3
    buffer(64, Memory::kDevice);         // 4
    const auto task = [&](TaskKind kind, std::vector<BufferUse> uses,
                          std::vector<std::uint32_t> dependencies) {
      Task t;
      t.kind = kind;
      t.order = static_cast<std::uint32_t>(p.tasks.size());
      t.first_use = static_cast<std::uint32_t>(p.uses.size());
      t.use_count = static_cast<std::uint32_t>(uses.size());
      t.first_dependency = static_cast<std::uint32_t>(p.dependencies.size());
      t.dependency_count = static_cast<std::uint32_t>(dependencies.size());
      p.uses.insert(p.uses.end(), uses.begin(), uses.end());
      p.dependencies.insert(p.dependencies.end(), dependencies.begin(), dependencies.end());
      p.tasks.push_back(t);
    };
    constexpr auto kRead = UseAccess::kRead, kWrite = UseAccess::kWrite;
    task(TaskKind::kLoad, {{4, kWrite}}, {});                   // 0
    task(TaskKind::kHostCopy, {{4, kRead}, {3, kWrite}}, {0});  // 1
    task(TaskKind::kHostCopy, {{3, kRead}, {1, kWrite}}, {1});  // 2
    task(TaskKind::kHostCopy, {{3, kRead}, {2, kWrite}}, {1});  // 3
    task(TaskKind::kLoad, {{0, kRead}}, {2, 3});                // 4
    Plan plan;
    plan.classes.push_back(p);
    place_buffers(plan);
    return plan;
  };
  const Plan plan = made();
  const Status good = interpreter::check_memory(plan);
  EXPECT_TRUE(good) << good.error().message;
  EXPECT_EQ(plan.classes[0].host_arena, 64_B);
  const auto message = [&](auto change) {
    Plan changed = plan;
    change(changed.classes[0]);
    const Status s = interpreter::check_memory(changed);
    return s ? std::string("accepted") : s.error().message;
  };
  // The bucket is read although one of its parts may not be there yet.
  EXPECT_EQ(message([](DeviceClass& p) { p.tasks[4].dependency_count = 1; }),
            "device 0: tasks 3 and 4 race for buffer 0");
  EXPECT_EQ(message([](DeviceClass& p) { p.buffers[2].offset += Bytes(64); }),
            "device 0: buffer 2 does not lie in buffer 0");
  // What buffer 4 held has left when the bucket is begun.
  EXPECT_EQ(message([](DeviceClass& p) {
              for (std::size_t b = 0; b < 3; ++b) p.buffers[b].offset = p.buffers[b].at;
              p.buffers[4].offset = Bytes(0);
            }),
            "accepted");
  EXPECT_EQ(message([](DeviceClass& p) {
              p.buffers[3].memory = Memory::kDevice;
              for (std::size_t b = 0; b < 3; ++b) p.buffers[b].offset = p.buffers[b].at;
              p.buffers[3].offset = Bytes(0);
              p.buffers[4].offset = Bytes(128);
            }),
            "device 0: buffers 0 and 3 share bytes and live at the same time");
}

TEST(Plan, AnUnwrittenBufferIsNoticed) {
  Sample s = sample();
  Task& load = find_task(s.plan, TaskKind::kLoad);
  const std::uint32_t buffer = s.plan.classes[0].uses_of(load)[0].buffer;
  s.plan.classes[0].tasks.erase(s.plan.classes[0].tasks.begin() + index_of(s.plan, load));
  for (auto& d : s.plan.classes[0].dependencies) d -= d > 0;
  EXPECT_TRUE(has(check(s.graph, s.plan).error().message,
                  fmt::format("reads buffer {} before it is written", buffer)));
}

}  // namespace
}  // namespace soapstone::core
