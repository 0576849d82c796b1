#include "simulator/cost_database.hpp"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/file.hpp"
#include "core/kernel_catalog.hpp"
#include "core/lower.hpp"
#include "core/models/models.hpp"
#include "core/strategy.hpp"
#include "simulator/measured_model.hpp"
#include "simulator/roofline_model.hpp"
#include "simulator/simulate.hpp"
#include "tests/support/fake_costs.hpp"

namespace soapstone::simulator {
namespace {

using namespace core;

class CostDatabaseTest : public ::testing::Test {
 protected:
  CostDatabaseTest()
      : folder_(std::filesystem::temp_directory_path() /
                fmt::format("soapstone-costs-{}-{}", getpid(),
                            ::testing::UnitTest::GetInstance()->current_test_info()->name())) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  ~CostDatabaseTest() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path file() const { return folder_ / "costs.db"; }
  CostDatabase open(Environment e = {"here", "kernels 1"}) const {
    return CostDatabase::open(file(), std::move(e)).value();
  }

  std::filesystem::path folder_;
};

const CostKey kKey{"toy", 2, 1, "linear{…} n=4", "forward", "linear/kokkos"};
const Measurement kTen{10_ms, 1_ms, 7};

TEST_F(CostDatabaseTest, KeepsWhatItWasGiven) {
  {
    CostDatabase db = open();
    ASSERT_TRUE(db.put(kKey, kTen));
    ASSERT_TRUE(db.put(CurveKey::message("local", "network", 2), 1024, kTen));
  }
  const CostDatabase db = open();
  EXPECT_EQ(db.get(kKey).value(), kTen);
  EXPECT_EQ(db.get(CurveKey::message("local", "network", 2)).value(), (Curve{{1024, kTen}}));
  CostKey other = kKey;
  other.busy = 2;
  EXPECT_EQ(db.get(other).value(), std::nullopt);
  EXPECT_EQ(db.costs().value(), (std::map<CostKey, Measurement>{{kKey, kTen}}));
}

TEST_F(CostDatabaseTest, ANewMeasurementReplacesTheOld) {
  CostDatabase db = open();
  ASSERT_TRUE(db.put(kKey, kTen));
  ASSERT_TRUE(db.put(kKey, {20_ms, 0_ms, 9}));
  EXPECT_EQ(db.get(kKey).value(), (Measurement{20_ms, 0_ms, 9}));
  EXPECT_EQ(db.statistics().value().costs, 1);
}

TEST_F(CostDatabaseTest, EntriesOfAnotherHostOrVersionAreCountedAndNotUsed) {
  {
    CostDatabase db = open();
    ASSERT_TRUE(db.put(kKey, kTen));
    ASSERT_TRUE(db.put(CurveKey{"copy"}, 1, kTen));
  }
  for (const Environment& e :
       {Environment{"there", "kernels 1"}, Environment{"here", "kernels 2"}}) {
    CostDatabase db = open(e);
    EXPECT_EQ(db.get(kKey).value(), std::nullopt);
    EXPECT_TRUE(db.costs().value().empty());
    EXPECT_TRUE(db.curves().value().empty());
    EXPECT_EQ(
        db.statistics().value(),
        (CostDatabase::Statistics{.costs = 0, .curve_points = 0, .stale = 2, .median_spread = 0}));
  }
  CostDatabase::Statistics own = open().statistics().value();
  EXPECT_EQ(own, (CostDatabase::Statistics{
                     .costs = 1, .curve_points = 1, .stale = 0, .median_spread = 0.1}));
}

TEST_F(CostDatabaseTest, RefusesWhatIsNotACostDatabase) {
  std::ofstream(file()) << "these are no costs, and long enough not to be taken for an empty file: "
                        << std::string(2000, '.');
  const auto text = CostDatabase::open(file(), {});
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().message, file().string() + ": not a cost database (not an SQLite file)");
  EXPECT_FALSE(CostDatabase::open(folder_ / "missing" / "costs.db", {}));
  EXPECT_NE(CostDatabase::open(folder_ / "missing" / "costs.db", {})
                .error()
                .message.find("missing/costs.db"),
            std::string::npos);
}

// The header of an SQLite file holds the schema's number at byte 60 and the program's at byte 68,
// big end first.
TEST_F(CostDatabaseTest, RefusesDatabasesOfOtherProgramsAndOfOtherVersions) {
  open();
  const std::string whole = read_file(file()).value();
  const auto with = [&](std::size_t at, char byte) {
    std::string bytes = whole;
    bytes[at] = byte;
    std::ofstream(file(), std::ios::binary) << bytes;
    const auto opened = CostDatabase::open(file(), {});
    return opened ? std::string("opened") : opened.error().message.substr(file().string().size());
  };
  EXPECT_EQ(with(68, 1), ": not a cost database (an SQLite file of another program)");
  EXPECT_EQ(with(63, 9), ": a cost database with schema 9; this Soapstone reads schema 1");
  EXPECT_EQ(with(63, 1), "opened");
}

TEST_F(CostDatabaseTest, RefusesADamagedFile) {
  {
    CostDatabase db = open();
    std::vector<std::pair<CostKey, Measurement>> many;
    for (int k = 0; k < 2000; ++k) {
      many.emplace_back(kKey, kTen);
      many.back().first.threads = k;
    }
    ASSERT_TRUE(db.put(many));
  }
  std::string bytes = read_file(file()).value();
  ASSERT_GT(bytes.size(), 40000u);
  for (std::size_t i = 8192; i < 20000; ++i) bytes[i] = static_cast<char>(i * 7);
  std::ofstream(file(), std::ios::binary) << bytes;
  const auto damaged = CostDatabase::open(file(), {"here", "kernels 1"});
  ASSERT_FALSE(damaged);
  EXPECT_NE(damaged.error().message.find("damaged"), std::string::npos) << damaged.error().message;
}

// A child writes as fast as it can and is killed at some moment; what is left is a whole database
// with every entry that the child had reported as written.
TEST_F(CostDatabaseTest, StaysWholeWhenItsWriterIsKilled) {
  for (int round = 0; round < 6; ++round) {
    int channel[2];
    ASSERT_EQ(pipe(channel), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto db = CostDatabase::open(file(), {"here", "kernels 1"});
      if (!db) _exit(1);
      for (int k = 0;; ++k) {
        CostKey key = kKey;
        key.threads = round * 1'000'000 + k;
        if (!db->put(key, kTen)) _exit(2);
        if (write(channel[1], &key.threads, sizeof key.threads) != sizeof key.threads) _exit(3);
      }
    }
    close(channel[1]);
    std::vector<int> reported;
    int threads = 0;
    for (int k = 0;
         k < 40 + 13 * round && read(channel[0], &threads, sizeof threads) == sizeof threads; ++k)
      reported.push_back(threads);
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << WEXITSTATUS(status);
    close(channel[0]);
    ASSERT_GE(reported.size(), 40u);
    const auto db = CostDatabase::open(file(), {"here", "kernels 1"});
    ASSERT_TRUE(db) << db.error().message;
    for (const int t : reported) {
      CostKey key = kKey;
      key.threads = t;
      ASSERT_EQ(db->get(key).value(), kTen) << t;
    }
  }
}

TEST_F(CostDatabaseTest, KnowsWhatIsMissing) {
  const Graph graph = build_model("mlp").value();
  const Cluster cluster = tests::small_cluster(1, 2, 1);
  const NominalCatalog catalog;
  RequiredProblems required(graph, cluster);
  const std::vector<DeviceId> both{DeviceId(0), DeviceId(1)};
  ASSERT_TRUE(required.add(data_parallel(graph, both), catalog));
  const std::size_t steps = required.list().size();
  // Both devices have the same problems: as many as one device has steps.
  const Plan plan = lower(graph, data_parallel(graph, both), cluster, catalog).value();
  std::size_t tasks = 0;
  for (const Task& t : plan.classes[0].tasks) tasks += t.kind == TaskKind::kCompute;
  EXPECT_EQ(steps, tasks);
  ASSERT_TRUE(required.add(data_parallel(graph, both), catalog));
  EXPECT_EQ(required.list().size(), steps);
  ASSERT_TRUE(required.add(single_device(graph), catalog));
  EXPECT_EQ(required.list().size(),
            2 * steps);  // the whole batch is another problem for every step

  CostDatabase db = open();
  EXPECT_EQ(db.missing(required.list(), 2).value().size(), 2 * steps);
  for (std::size_t k = 0; k < 5; ++k) ASSERT_TRUE(db.put(cost_key(required.list()[k], 2), kTen));
  const auto missing = db.missing(required.list(), 2).value();
  ASSERT_EQ(missing.size(), 2 * steps - 5);
  EXPECT_EQ(missing[0].step_name(), required.list()[5].step_name());
  EXPECT_EQ(db.missing(required.list(), 1).value().size(), 2 * steps);
}

TEST(Curve, IsStraightBetweenItsPoints) {
  const Curve curve{{100, {10_ns, 0_ns, 1}}, {200, {30_ns, 0_ns, 1}}, {400, {70_ns, 0_ns, 1}}};
  EXPECT_EQ(value_at(curve, 100), 10_ns);
  EXPECT_EQ(value_at(curve, 150), 20_ns);
  EXPECT_EQ(value_at(curve, 300), 50_ns);
  EXPECT_EQ(value_at(curve, 500), 90_ns);
  EXPECT_EQ(value_at(curve, 1), 10_ns);
  EXPECT_EQ(value_at(Curve{{100, {10_ns, 0_ns, 1}}}, 300), 30_ns);
}

TEST_F(CostDatabaseTest, MeasuredCostsComeFirstAndSayTheirSource) {
  const Graph graph = build_model("mlp").value();
  const Cluster cluster = tests::small_cluster(1, 2, 1);
  const DeviceKind& toy = cluster.kinds()[0];
  const NominalCatalog catalog;
  const RooflineModel roofline;
  RequiredProblems required(graph, cluster);
  ASSERT_TRUE(required.add(single_device(graph), catalog));

  CostDatabase db = open();
  // Every step 1 ms but the last one, which nobody measured.
  for (std::size_t k = 0; k + 1 < required.list().size(); ++k)
    ASSERT_TRUE(db.put(cost_key(required.list()[k], 1), {1_ms, 0_ms, 5}));
  ASSERT_TRUE(db.put(CurveKey::copy(toy, 1), 1000, {4_us, 0_ns, 5}));
  ASSERT_TRUE(db.put(CurveKey::update(toy, 1, 1, DType::kF32), 10, {7_us, 0_ns, 5}));
  ASSERT_TRUE(db.put(CurveKey::update_rows(toy, 1, 16, 0, DType::kF32), 100, {2_us, 0_ns, 5}));
  ASSERT_TRUE(db.put(CurveKey::update_rows(toy, 1, 64, 0, DType::kF32), 100, {8_us, 0_ns, 5}));
  ASSERT_TRUE(db.put(CurveKey::message("small", "pcie", 1), 0, {1_us, 0_ns, 5}));
  ASSERT_TRUE(db.put(CurveKey::message("small", "pcie", 1), 1000, {5_us, 0_ns, 5}));
  const MeasuredModel model = MeasuredModel::load(db, 1, roofline).value();

  const auto& known = required.list().front();
  const auto& unknown = required.list().back();
  EXPECT_EQ(model.compute(known.problem, known.step, known.candidate, toy).time, 1_ms);
  EXPECT_EQ(model.compute(known.problem, known.step, known.candidate, toy).source,
            CostSource::kMeasured);
  EXPECT_EQ(model.compute(unknown.problem, unknown.step, unknown.candidate, toy).source,
            CostSource::kRoofline);
  EXPECT_EQ(model.copy(Bytes(400), Bytes(600), toy).time, 4_us);
  EXPECT_EQ(model.copy(Bytes(400), Bytes(1600), toy).source, CostSource::kFitted);
  EXPECT_EQ(model.copy(Bytes(400), Bytes(1600), toy).time, 8_us);
  EXPECT_EQ(model.update(10, 1, DType::kF32, toy).time, 7_us);
  EXPECT_EQ(model.update(10, 2, DType::kF32, toy).source, CostSource::kRoofline);
  // By rows at the nearest widths.
  const auto rows = [&](std::int64_t features, int states = 0) {
    return model.update_rows(100, features, states, DType::kF32, toy);
  };
  EXPECT_EQ(rows(64).time, 8_us);
  EXPECT_EQ(rows(64).source, CostSource::kMeasured);
  EXPECT_EQ(rows(8).time, 2_us);
  EXPECT_EQ(rows(40).time, 5_us);
  EXPECT_EQ(rows(128).time, 16_us);
  EXPECT_EQ(rows(40).source, CostSource::kFitted);
  EXPECT_EQ(rows(64, 1).source, CostSource::kRoofline);
  EXPECT_EQ(model.message(cluster, DeviceId(0), DeviceId(1), Bytes(500), 1).time, 3_us);
  // Latency once, the rest twice.
  EXPECT_EQ(model.message(cluster, DeviceId(0), DeviceId(1), Bytes(500), 2).time,
            1_us + 2_us + 2_us);

  // In a trace every span says where its time comes from.
  const Plan plan = lower(graph, single_device(graph), cluster, catalog).value();
  const Trace trace = simulate(graph, plan, cluster, model).value();
  std::int64_t modelled = 0;
  for (std::size_t i = 0; i < trace.spans.size(); ++i)
    if (trace.spans.kind[i] == TaskKind::kCompute)
      modelled += trace.spans.source[i] == CostSource::kRoofline;
  EXPECT_EQ(modelled, 1);
}

TEST(LinkKind, IsTheInterconnectInsideAndTheNetworkBetweenNodes) {
  const Cluster cluster = tests::small_cluster(2, 2, 1);
  EXPECT_EQ(link_kind(cluster, DeviceId(2), DeviceId(3)), "pcie");
  EXPECT_EQ(link_kind(cluster, DeviceId(1), DeviceId(2)), "network");
}

}  // namespace
}  // namespace soapstone::simulator
