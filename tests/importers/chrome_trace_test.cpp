#include "importers/chrome_trace.hpp"

#include <gtest/gtest.h>

#include "core/ops/conv2d.hpp"
#include "core/ops/linear.hpp"
#include "core/ops/relu.hpp"
#include "core/ops/reshape.hpp"
#include "reports/chrome_trace.hpp"
#include "tests/reports/sample.hpp"

namespace soapstone::importers {
namespace {

using namespace core;

// --- events, in microseconds --------------------------------------------------------------------

std::string event(const std::string& category, const std::string& name, double begin,
                  double duration, const std::string& thread = "1", const std::string& args = "") {
  return fmt::format(
      R"({{"ph":"X","cat":"{}","name":"{}","pid":100,"tid":{},"ts":{:.3f},"dur":{:.3f},"args":{{{}}}}})",
      category, name, thread, begin, duration, args);
}
std::string op(const std::string& name, double begin, double duration, int sequence = -1) {
  return event("cpu_op", name, begin, duration, "1",
               sequence < 0 ? "" : fmt::format(R"("Sequence number":{})", sequence));
}
std::string note(const std::string& name, double begin, double duration) {
  return event("user_annotation", name, begin, duration);
}
// A kernel and its launch.
std::string kernel(const std::string& name, double launch, double begin, double duration,
                   int correlation, int stream = 7, const std::string& args = "") {
  const std::string both = fmt::format(R"("correlation":{})", correlation);
  return event("cuda_runtime", "cudaLaunchKernel", launch, 1, "1", both) + ",\n" +
         fmt::format(
             R"({{"ph":"X","cat":"kernel","name":"{}","pid":0,"tid":{},"ts":{:.3f},"dur":{:.3f},"args":{{"device":0,"stream":{},{}{}}}}})",
             name, stream, begin, duration, stream, both, args.empty() ? "" : "," + args);
}
std::string list(const std::vector<std::string>& events) {
  std::string out;
  for (const std::string& e : events) out += (out.empty() ? "" : ",\n") + e;
  return "[\n" + out + "\n]";
}
std::string kineto(int rank, int world, const std::vector<std::string>& events,
                   const std::string& more = "") {
  return fmt::format(
      R"({{"schemaVersion":1,"distributedInfo":{{"backend":"nccl","rank":{},"world_size":{}}},{}"traceEvents":{}}})",
      rank, world, more, list(events));
}

// --- what is read -------------------------------------------------------------------------------

ImportedTrace read(const std::vector<std::string>& texts, const Graph* graph = nullptr) {
  std::vector<TraceText> files;
  for (std::size_t i = 0; i < texts.size(); ++i)
    files.push_back({fmt::format("file{}.json", i), texts[i]});
  auto result = read_chrome_trace(files, graph);
  EXPECT_TRUE(result) << result.error().message;
  return result ? std::move(*result) : ImportedTrace{};
}
std::string error_of(const std::vector<std::string>& texts) {
  std::vector<TraceText> files;
  for (std::size_t i = 0; i < texts.size(); ++i)
    files.push_back({fmt::format("file{}.json", i), texts[i]});
  const auto result = read_chrome_trace(files, nullptr);
  return result ? std::string("none") : result.error().message;
}
// "0 conv1 forward 1000-3000": lane, label, ns.
std::vector<std::string> spans(const ImportedTrace& imported) {
  const Spans& s = imported.trace.spans;
  std::vector<std::string> out;
  for (std::size_t i = 0; i < s.size(); ++i)
    out.push_back(fmt::format("{} {} {}-{}", s.lane[i], imported.trace.labels[s.label[i]],
                              s.start[i].value, s.end[i].value));
  return out;
}
using Lines = std::vector<std::string>;

// Two convolutions, a relu, a linear layer.
Graph small_net() {
  GraphBuilder g("small");
  auto x = g.source("x", {{4, 1, 8, 8}, DType::kF32, {}});
  const auto labels = g.source("labels", {{4}, DType::kI32, {}}, 10);
  x = g.add("conv1", Conv2D{.out_channels = 2, .kernel = {3, 3}, .padding = {1, 1, 1, 1}}, {x});
  x = g.add("act", Relu{}, {x});
  x = g.add("conv2", Conv2D{.out_channels = 2, .kernel = {3, 3}, .padding = {1, 1, 1, 1}}, {x});
  x = g.add("flat", Reshape{.shape = {4, 128}}, {x});
  x = g.add("head", Linear{.out_features = {10}}, {x});
  auto graph = g.build_with_loss(x, labels);
  EXPECT_TRUE(graph) << graph.error().message;
  return *graph;
}

// --- one rank -----------------------------------------------------------------------------------

TEST(ChromeTraceReader, TakesTheLastStepOfACpuAndTheOperatorsThatNoOtherCalled) {
  const auto t = read({kineto(
      0, 1,
      {note("ProfilerStep#3", 0, 100), note("ProfilerStep#4", 100, 50.5), op("aten::linear", 10, 5),
       op("aten::linear", 110, 20), op("aten::addmm", 112, 10), op("aten::relu", 130.25, 4)})});
  EXPECT_EQ(t.step, "step 4 is shown, the last of 2 that are marked");
  EXPECT_EQ(spans(t), (Lines{"0 aten::linear 10000-30000", "0 aten::relu 30250-34250"}));
  EXPECT_EQ(t.trace.step_time, Nanoseconds(50'500));  // of the mark
  EXPECT_EQ(t.trace.origin, TraceOrigin::kMeasured);
  EXPECT_EQ(t.trace.lanes, (std::vector<Lane>{{DeviceId(0), LaneKind::kCompute}}));
  EXPECT_TRUE(check(t.trace));
}

TEST(ChromeTraceReader, GivesKernelsToTheStepThatLaunchedThemAndALaneToEveryStream) {
  const std::string sum = R"("Collective name":"allreduce","In msg nelems":1000,"dtype":"Float")";
  const std::string copy =
      R"x({"ph":"X","cat":"gpu_memcpy","name":"Memcpy HtoD (Pageable -> Device)","pid":0,"tid":7,)x"
      R"x("ts":150,"dur":1,"args":{"device":0,"stream":7,"bytes":64}})x";
  const auto t = read({kineto(
      0, 1,
      {note("ProfilerStep#1", 0, 100), note("ProfilerStep#2", 100, 100),
       kernel("early", 90, 120, 10, 1),  // of step 1, though it runs in 2
       kernel("void gemm<4>(float*)", 110, 130, 20, 2), kernel("gemm2", 111, 150, 5, 3, 8),
       kernel("ncclDevKernel_AllReduce_Sum_f32_RING_LL(x)", 112, 160, 40, 4, 20, sum), copy})});
  // Times from the first kernel of the step on.
  EXPECT_EQ(spans(t), (Lines{"0 gemm 0-20000", "1 gemm2 20000-25000",
                             "2 Memcpy HtoD (Pageable -> Device) 20000-21000",
                             "3 ncclDevKernel_AllReduce_Sum_f32_RING_LL 30000-70000"}));
  EXPECT_EQ(t.trace.step_time, Nanoseconds(100'000));
  const DeviceId zero(0);
  EXPECT_EQ(t.trace.lanes, (std::vector<Lane>{{zero, LaneKind::kCompute},
                                              {zero, LaneKind::kCompute},
                                              {zero, LaneKind::kCommunication},
                                              {zero, LaneKind::kCommunication}}));
  const Spans& s = t.trace.spans;
  EXPECT_EQ(s.kind, (std::vector{TaskKind::kCompute, TaskKind::kCompute, TaskKind::kHostCopy,
                                 TaskKind::kTransfer}));
  EXPECT_EQ(s.bytes[2], Bytes(64));
  EXPECT_EQ(s.bytes[3], Bytes(4000));
}

TEST(ChromeTraceReader, PairsBeginsWithEndsAndLetsInnerSpansHideOuterOnes) {
  const auto at = [](const char* phase, const char* name, int time) {
    return fmt::format(R"({{"ph":"{}","name":"{}","pid":1,"tid":2,"ts":{}}})", phase, name, time);
  };
  const auto t = read({list({at("B", "outer", 0), at("B", "inner", 2), at("E", "", 5),
                             at("B", "innermost", 6), at("E", "", 7), at("E", "", 10),
                             at("B", "never ends", 11), at("E", "x", 12), at("E", "y", 13)})});
  EXPECT_EQ(spans(t),
            (Lines{"0 outer 0-2000", "0 inner 2000-5000", "0 outer 5000-6000",
                   "0 innermost 6000-7000", "0 outer 7000-10000", "0 never ends 11000-12000"}));
  EXPECT_EQ(t.remarks, Lines{"file0.json: 1 events have a begin without an end or an end without a "
                             "begin; left out"});
  EXPECT_EQ(t.step, "all of the trace is shown: no step is marked in it");
}

TEST(ChromeTraceReader, KeepsWhatLiesDeepInsideForTheInnermost) {
  const auto t = read({list({event("x", "a", 0, 100), event("x", "b", 10, 40),
                             event("x", "c", 20, 50)})});  // c goes on when b has ended
  EXPECT_EQ(spans(t),
            (Lines{"0 a 0-10000", "0 b 10000-20000", "0 c 20000-70000", "0 a 70000-100000"}));
}

TEST(ChromeTraceReader, ReadsWhatThereIsOfAFileThatEndsTooEarly) {
  const std::string whole = kineto(0, 1, {op("one", 0, 1), op("two", 2, 1), op("three", 4, 1)});
  const auto t = read({whole.substr(0, whole.find("three") + 3)});
  EXPECT_EQ(spans(t), (Lines{"0 one 0-1000", "0 two 2000-3000"}));
  EXPECT_EQ(t.remarks, Lines{"file0.json ends too early: what was written before is shown"});
  // Chrome accepts an array without its bracket, and a comma before it.
  const std::string array = list({op("one", 0, 1), op("two", 2, 1)});
  EXPECT_EQ(spans(read({array.substr(0, array.size() - 2)})).size(), 2u);
  EXPECT_EQ(spans(read({array.substr(0, array.size() - 2) + ",\n]"})).size(), 2u);
}

TEST(ChromeTraceReader, KeepsNanosecondsOfTimesThatBeginIn1970) {
  const auto t = read({list(
      {R"({"ph":"X","cat":"cpu_op","name":"a","pid":1,"tid":1,"ts":1712195495519689.123,"dur":1.0005})",
       R"({"ph":"X","cat":"cpu_op","name":"b","pid":1,"tid":1,"ts":1712195495519691.001,"dur":1e1})"})});
  EXPECT_EQ(spans(t), (Lines{"0 a 0-1001", "0 b 1878-11878"}));
}

TEST(ChromeTraceReader, PutsSpansThatOverlapBesideEachOtherUnlessRoundingMadeThem) {
  const auto t = read({kineto(
      0, 1, {kernel("a", 0, 10, 5, 1), kernel("b", 1, 14.5, 5, 2), kernel("c", 2, 16, 5, 3)})});
  // b begins half a microsecond before a ends, c 3.5 before b does.
  EXPECT_EQ(spans(t), (Lines{"0 a 0-5000", "0 b 5000-9500", "1 c 6000-11000"}));
}

TEST(ChromeTraceReader, FindsDevicesAndStepsOfXla) {
  const auto meta = [](int pid, int tid, const std::string& what, const std::string& name) {
    return fmt::format(R"({{"ph":"M","pid":{},"tid":{},"name":"{}","args":{{"name":"{}"}}}})", pid,
                       tid, what, name);
  };
  const auto span = [](int tid, const std::string& name, int begin, int duration,
                       const std::string& path = "") {
    return fmt::format(
        R"({{"ph":"X","pid":3,"tid":{},"name":"{}","ts":{},"dur":{},"args":{{"tf_op":"{}"}}}})",
        tid, name, begin, duration, path);
  };
  const Graph graph = small_net();
  const auto t =
      read({list({meta(3, 0, "process_name", "/device:TPU:0"), meta(3, 1, "thread_name", "Steps"),
                  meta(3, 2, "thread_name", "XLA Modules"), meta(3, 3, "thread_name", "XLA Ops"),
                  span(1, "7", 0, 50), span(1, "8", 50, 50), span(2, "jit_train", 50, 40),
                  span(3, "fusion.1", 10, 10), span(3, "fusion.1", 60, 10, "jit(train)/conv1/conv"),
                  span(3, "fusion.2", 70, 5, "jit(train)/transpose(jvp(conv1))/conv"),
                  span(3, "all-reduce.3", 75, 5)})},
           &graph);
  EXPECT_EQ(t.step, "step 8 is shown, the last of 2 that are marked");
  EXPECT_EQ(spans(t), (Lines{"0 conv1 forward 0-10000", "0 conv1 backward_input 10000-15000",
                             "1 all-reduce.3 15000-20000"}));
}

// --- clocks -------------------------------------------------------------------------------------

// A rank whose clock is `ahead` us ahead: it computes 10 us, then all ranks sum from 30 to 50 us
// (but it waits from 10 on), twice.
std::string two_sums(int rank, double ahead, const std::string& more = "") {
  const std::string sum =
      R"("Collective name":"allreduce","Process Group Name":"0","In msg nelems":10,"dtype":"Half")";
  const double begin = rank == 0 ? 10 : 30;
  return kineto(
      rank, 2,
      {note("ProfilerStep#1", ahead, 200), kernel("work", ahead, ahead, begin, 1),
       kernel("ncclKernel_AllReduce", ahead + 1, ahead + begin, 50 - begin, 2, 20, sum),
       kernel("ncclKernel_AllReduce", ahead + 2, ahead + 60, 40 + 0.1 * rank, 3, 20, sum)},
      more);
}

TEST(ChromeTraceReader, AlignsClocksOnTheEndsOfCollectives) {
  const auto t = read({two_sums(0, 0), two_sums(1, 1500)});
  ASSERT_EQ(t.clocks.size(), 2u);
  // The second one ends 100 ns later: the median of 1,500,000 and 1,500,100 lies between.
  EXPECT_EQ(t.clocks[1].offset, Nanoseconds(1'500'050));
  EXPECT_EQ(t.clocks[1].collectives, 2u);
  EXPECT_EQ(t.clocks[1].largest_spread, Nanoseconds(50));
  EXPECT_EQ(notes(t)[1],
            "clock offsets: rank 1 +1,500,050 ns against rank 0 (2 collectives, off by 50 ns in "
            "the median, 50 ns at most)");
  // Rank 1 began 50 ns before rank 0 by its clock, and so did all that it did.
  EXPECT_EQ(spans(t),
            (Lines{"0 work 50-10050", "1 ncclKernel_AllReduce 10050-50050",
                   "1 ncclKernel_AllReduce 60050-100050", "2 work 0-30000",
                   "3 ncclKernel_AllReduce 30000-50000", "3 ncclKernel_AllReduce 60000-100100"}));
  // Rank 0 waits for rank 1 to begin at 30000.
  EXPECT_EQ(t.trace.spans.waiting[1], Nanoseconds(30000 - 10050));
  EXPECT_EQ(t.trace.spans.waiting[4], Nanoseconds(0));
  EXPECT_TRUE(check(t.trace));
}

TEST(ChromeTraceReader, KnowsRanksByWhatTheyAreNotByTheOrderOfFiles) {
  const auto t = read({two_sums(1, 1500), two_sums(0, 0)});
  EXPECT_EQ(t.ranks, (std::vector{DeviceId(0), DeviceId(1)}));
  EXPECT_EQ(t.clocks[1].offset, Nanoseconds(1'500'050));
}

TEST(ChromeTraceReader, AddsTheBaseOfEveryFile) {
  const auto t = read({two_sums(0, 0, R"("baseTimeNanoseconds":1700000000000000000,)"),
                       two_sums(1, 0, R"("baseTimeNanoseconds":1700000000000000007,)")});
  EXPECT_EQ(t.clocks[1].offset, Nanoseconds(57));
}

TEST(ChromeTraceReader, TellsRanksThatShareNoCollectiveAndRanksThatAreMissing) {
  const auto t = read({kineto(0, 4, {op("a", 0, 1)}), kineto(3, 4, {op("a", 5, 1)})});
  EXPECT_EQ(notes(t), (Lines{"all of the trace is shown: no step is marked in it",
                             "clock offsets: ranks share no collective, clocks stay as they are",
                             "of 4 ranks 2 are here; missing: 1, 2"}));
  EXPECT_EQ(spans(t), (Lines{"0 a 0-1000", "1 a 5000-6000"}));
  EXPECT_EQ(t.trace.lanes[1].device, DeviceId(3));
}

TEST(ChromeTraceReader, DoesNotAlignOnMessagesOrOnBroadcasts) {
  const auto with = [](int rank, const std::string& name) {
    return kineto(rank, 2, {kernel("ncclDevKernel_" + name, 0, 100 * rank, 5, 1)});
  };
  for (const char* name : {"SendRecv", "Broadcast_RING_LL"})
    EXPECT_EQ(read({with(0, name), with(1, name)}).clocks[1].collectives, 0u) << name;
  EXPECT_EQ(read({with(0, "AllGather"), with(1, "AllGather")}).clocks[1].offset,
            Nanoseconds(100'000));
}

TEST(ChromeTraceReader, DoesNotMatchCollectivesOfWhichRanksHaveDifferentNumbers) {
  const auto sums = [](int rank, int count) {
    std::vector<std::string> events;
    for (int i = 0; i < count; ++i)
      events.push_back(kernel("ncclDevKernel_AllReduce", i, 10 * i + rank, 5, i + 1));
    return kineto(rank, 2, events);
  };
  EXPECT_EQ(read({sums(0, 3), sums(1, 2)}).clocks[1].collectives, 0u);
  EXPECT_EQ(read({sums(0, 3), sums(1, 3)}).clocks[1].collectives, 3u);
}

TEST(ChromeTraceReader, TakesGlooOnThreadsForCommunication) {
  const auto rank = [](int r) {
    return kineto(r, 2,
                  {op("aten::mul", 0, 10), op("c10d::allreduce_", 10, 1),
                   event("user_annotation", "gloo:all_reduce", 12 + 100 * r, 20, "55")});
  };
  const auto t = read({rank(0), rank(1)});
  EXPECT_EQ(t.clocks[1].offset, Nanoseconds(100'000));
  EXPECT_EQ(t.trace.lanes[1], (Lane{DeviceId(0), LaneKind::kCommunication}));
  EXPECT_EQ(t.trace.labels[t.trace.spans.label[1]], "gloo:all_reduce");
  EXPECT_EQ(t.trace.spans.size(), 4u);  // what began it is not counted twice
}

TEST(ChromeTraceReader, SeesAProcessPerRankInOneFile) {
  std::string text = list({op("a", 0, 1), op("b", 1, 1)});
  text.replace(text.rfind("\"pid\":100"), 9, "\"pid\":200");
  const auto t = read({text});
  EXPECT_EQ(t.ranks, (std::vector{DeviceId(0), DeviceId(1)}));
  EXPECT_EQ(spans(t), (Lines{"0 a 0-1000", "1 b 1000-2000"}));
}

// --- operators ----------------------------------------------------------------------------------

TEST(ChromeTraceReader, MapsCallsByKindAndOrderAndTheBackwardPassBySequence) {
  const Graph graph = small_net();
  const std::string backward = "autograd::engine::evaluate_function: ";
  const auto t = read({kineto(0, 1,
                              {op("aten::conv2d", 0, 10, 1), op("aten::relu", 10, 1, 2),
                               op("aten::conv2d", 11, 10, 3), op("aten::flatten", 21, 1, 4),
                               op("aten::linear", 22, 4, 5), op("aten::addmm", 23, 2, 6),
                               op(backward + "AddmmBackward0", 30, 8, 6),
                               op(backward + "ConvolutionBackward0", 40, 20, 3),
                               op(backward + "ConvolutionBackward0", 60, 20, 1),
                               note("Optimizer.step#SGD.step", 90, 10), op("aten::add_", 92, 5)})},
                      &graph);
  EXPECT_EQ(
      spans(t),
      (Lines{"0 conv1 forward 0-10000", "0 act forward 10000-11000", "0 conv2 forward 11000-21000",
             "0 flat forward 21000-22000", "0 head forward 22000-26000",
             "0 head backward_input 30000-38000", "0 conv2 backward_input 40000-60000",
             "0 conv1 backward_input 60000-80000", "0 Optimizer.step#SGD.step 92000-97000"}));
  EXPECT_EQ(t.trace.spans.kind.back(), TaskKind::kUpdate);
  EXPECT_EQ(t.mapping.computing, Nanoseconds(79'000));
  EXPECT_EQ(t.mapping.mapped, Nanoseconds(74'000));
  EXPECT_EQ(t.mapping.unmapped,
            (std::vector<TimeOfName>{{"Optimizer.step#SGD.step", Nanoseconds(5'000)}}));
  EXPECT_EQ(notes(t)[1],
            "mapped 93.7 % of 79 us of device time to operators of small; largest unmapped: "
            "Optimizer.step#SGD.step 5 us");
}

TEST(ChromeTraceReader, DoesNotMapAKindOfWhichThereAreMoreCallsThanOperators) {
  const Graph graph = small_net();
  const auto t = read({kineto(0, 1,
                              {op("aten::conv2d", 0, 10), op("aten::conv2d", 10, 10),
                               op("aten::conv2d", 20, 10), op("aten::linear", 30, 10)})},
                      &graph);
  EXPECT_EQ(t.trace.labels, (Lines{"aten::conv2d", "head forward"}));
  EXPECT_DOUBLE_EQ(t.mapping.share(), 0.25);
}

TEST(ChromeTraceReader, MapsByTheNamesOfModulesAndAnnotations) {
  const Graph graph = small_net();
  const auto module = [](const std::string& name, double begin, double duration) {
    return event("python_function", "nn.Module: " + name, begin, duration);
  };
  const auto t =
      read({kineto(0, 1,
                   {module("Net_0", 0, 100), module("Conv2_0", 0, 10),
                    note("model.CONV2.forward", 1, 8), op("aten::mystery", 2, 5),
                    note("head", 20, 10), op("aten::other", 22, 5), op("aten::head", 40, 5)})},
           &graph);
  // A function of the framework is no name of an operator.
  EXPECT_EQ(spans(t), (Lines{"0 conv2 forward 0-5000", "0 head forward 20000-25000",
                             "0 aten::head 38000-43000"}));
}

TEST(ChromeTraceReader, GivesKernelsToTheOperatorOfTheCallThatLaunchedThem) {
  const Graph graph = small_net();
  const std::string backward = "autograd::engine::evaluate_function: ";
  const auto t =
      read({kineto(0, 1,
                   {op("aten::conv2d", 0, 10, 1), op("aten::conv2d", 10, 10, 2),
                    op(backward + "ConvolutionBackward0", 30, 10, 2), kernel("gemm", 5, 90, 10, 9),
                    kernel("gemm", 15, 100, 10, 1), kernel("dgrad_engine", 31, 110, 10, 2),
                    kernel("wgrad_engine", 33, 120, 10, 3), kernel("of nobody", 50, 130, 10, 4)})},
           &graph);
  EXPECT_EQ(spans(t), (Lines{"0 conv1 forward 0-10000", "0 conv2 forward 10000-20000",
                             "0 conv2 backward_input 20000-30000",
                             "0 conv2 backward_weight 30000-40000", "0 of nobody 40000-50000"}));
}

TEST(ChromeTraceReader, GivesTracesOfOneProgramOnePlan) {
  const auto at = [](double begin, const char* last) {
    return read({kineto(0, 1, {op("a", begin, 1), op(last, begin + 2, 3)})}).trace.plan_hash;
  };
  EXPECT_EQ(at(0, "b"), at(77, "b"));
  EXPECT_NE(at(0, "b"), at(0, "c"));
}

// --- Soapstone's own ----------------------------------------------------------------------------

TEST(ChromeTraceReader, OpensWhatReportsWriteWithTheSameSpans) {
  const reports::ReportInput in = reports::measured_sample();
  for (const bool measured : {false, true}) {
    reports::ReportInput written = in;
    if (!measured) written.measured.reset();
    const Trace& expected = measured ? *in.measured : in.predicted;
    const Trace t = read({reports::chrome_trace(written)}, &in.graph).trace;
    EXPECT_EQ(t.graph, expected.graph);
    EXPECT_EQ(t.lanes, expected.lanes);
    EXPECT_EQ(t.spans.lane, expected.spans.lane);
    EXPECT_EQ(t.spans.start, expected.spans.start);
    EXPECT_EQ(t.spans.end, expected.spans.end);
    EXPECT_EQ(t.spans.waiting, expected.spans.waiting);
    EXPECT_EQ(t.spans.kind, expected.spans.kind);
    EXPECT_EQ(t.spans.phase, expected.spans.phase);
    EXPECT_EQ(t.spans.bytes, expected.spans.bytes);
    EXPECT_EQ(t.spans.flops, expected.spans.flops);
    ASSERT_EQ(t.spans.size(), expected.spans.size());
    for (std::size_t i = 0; i < t.spans.size(); ++i)
      EXPECT_EQ(t.labels[t.spans.label[i]], expected.labels[expected.spans.label[i]]);
  }
}

// --- what is refused ----------------------------------------------------------------------------

TEST(ChromeTraceReader, SaysWhatIsWrongAndWhatIsAccepted) {
  EXPECT_EQ(error_of({R"({"format":"soapstone.strategy/1"})"}),
            "file0.json: no `traceEvents` is in it; a Chrome trace is accepted: a JSON object with "
            "`traceEvents`, or an array of events");
  EXPECT_EQ(error_of({"hello"}),
            "file0.json:1: this is no JSON; a Chrome trace is accepted: a JSON object with "
            "`traceEvents`, or an array of events");
  EXPECT_EQ(error_of({"{\"traceEvents\": [\n{\"ph\": \"X\"\n \"ts\": 1}]}"}),
            "file0.json:3: this is no JSON; a Chrome trace is accepted: a JSON object with "
            "`traceEvents`, or an array of events");
  EXPECT_EQ(error_of({R"([{"ph":"X","name":"a","pid":1,"tid":1,"ts":"soon","dur":1}])"}),
            "file0.json:1: `ts` of event `a` is `soon`; microseconds are accepted");
  EXPECT_EQ(error_of({R"([{"ph":"X","name":"a","pid":1,"tid":1,"ts":1,"dur":-1}])"}),
            "file0.json:1: `dur` of event `a` is `-1`; microseconds from 0 on are accepted");
  EXPECT_EQ(error_of({R"({"traceEvents":[]})"}),
            "file0.json: no span of a device, thread or operator is in it");
  EXPECT_EQ(error_of({"\x1f\x8b\x08"}),
            "file0.json: is compressed; unpack it first: gunzip file0.json");
  EXPECT_EQ(error_of({kineto(2, 4, {op("a", 0, 1)}), kineto(2, 4, {op("a", 0, 1)})}),
            "file0.json and file1.json are both of rank 2; one file per rank is accepted");
  EXPECT_EQ(error_of({list({op("a", 0, 1), op("b", 1e15, 1)})}),
            "file0.json: its events lie 11574 days apart; at most 104 are accepted");
}

TEST(ChromeTraceReader, IsNotTakenForWhatItIsNot) {
  EXPECT_TRUE(is_chrome_trace(list({op("a", 0, 1)})));
  EXPECT_TRUE(is_chrome_trace("  " + kineto(0, 1, {op("a", 0, 1)})));
  EXPECT_TRUE(is_chrome_trace("\x1f\x8b"));
  for (const char* other : {"", "{}", "[1, 2]", "{\"format\": \"soapstone.trace/1\"}", "ph"})
    EXPECT_FALSE(is_chrome_trace(other)) << other;
}

TEST(ChromeTraceReader, SurvivesEveryPrefixAndEveryMissingCharacter) {
  const std::string text = two_sums(0, 3, R"("baseTimeNanoseconds":17,)");
  const auto survives = [](const std::string& broken) {
    const std::vector<TraceText> files{{"file", broken}};
    const auto result = read_chrome_trace(files, nullptr);
    if (result)
      EXPECT_TRUE(check(result->trace));
    else
      EXPECT_TRUE(result.error().message.starts_with("file:")) << result.error().message;
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    survives(text.substr(0, i));
    survives(text.substr(0, i) + text.substr(i + 1));
  }
}

}  // namespace
}  // namespace soapstone::importers
