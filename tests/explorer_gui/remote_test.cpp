#include <atomic>
#include <chrono>
#include <fstream>
#include <thread>

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "explorer_gui/model/remote_backend.hpp"
#include "explorer_gui/model/server.hpp"
#include "tests/explorer_gui/world.hpp"

namespace soapstone::explorer {
namespace {

// A server in this process and connections to it that can be cut.
struct Elsewhere {
  Folder folder;
  std::shared_ptr<Server> server;
  std::vector<std::jthread> threads;
  std::vector<std::shared_ptr<Channel>> ends;  // of the server
  std::mutex mutex;
  std::atomic<int> connections = 0;

  Elsewhere() {
    Resources resources = world();
    resources.runs = folder.path() / "runs";
    resources.program = "there";
    server = std::make_shared<Server>(local_backend(std::move(resources)), "test");
  }
  ~Elsewhere() { cut(); }

  Connect connect() {
    return [this]() -> core::Result<std::unique_ptr<Channel>> {
      int fds[2];
      if (::socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) return core::fail("no socket");
      auto end = std::make_shared<Channel>(fds[1], fds[1]);
      const std::scoped_lock lock(mutex);
      ends.push_back(end);
      ++connections;
      threads.emplace_back([this, end] { server->serve(*end); });
      return std::make_unique<Channel>(fds[0], fds[0]);
    };
  }
  void cut() {
    const std::scoped_lock lock(mutex);
    for (const auto& end : ends) end->shut();
  }
};

TEST(Remote, GivesWhatALocalOneGives) {
  Elsewhere there;
  const std::shared_ptr<Backend> remote = remote_backend("there", there.connect()).value();
  const std::shared_ptr<Backend> local = local_backend(world());
  EXPECT_EQ(remote->program(), "there");
  EXPECT_EQ(remote->catalogue(), local->catalogue());
  ModelChoice choice;
  choice.name = "alexnet";
  choice.batch = 64;
  Setting setting;
  setting.graph = std::make_shared<const core::Graph>(remote->model(choice).value());
  setting.cluster = std::make_shared<const core::Cluster>(remote->cluster("p100-4x4").value());
  EXPECT_EQ(setting.graph->hash(), local->model(choice)->hash());
  const core::Strategy strategy = remote->strategy(setting, "data-parallel").value();
  EXPECT_EQ(strategy, local->strategy(setting, "data-parallel").value());
  EXPECT_EQ(remote->evaluate(setting, strategy).value(),
            local->evaluate(setting, strategy).value());
  EXPECT_EQ(remote->kernels(setting, strategy, 0).value(),
            local->kernels(setting, strategy, 0).value());
  EXPECT_EQ(remote->what_if(setting, strategy, "link:network*2").value(),
            local->what_if(setting, strategy, "link:network*2").value());
  const std::vector<std::string> changes{"link:network*2", "task:fc6 forward=free"};
  EXPECT_EQ(remote->changed_step(setting, strategy, changes).value(),
            local->changed_step(setting, strategy, changes).value());
  EXPECT_FALSE(remote->changed_step(setting, strategy, {"add:node"}));
  SearchRequest request;
  request.budget = "100";
  const auto never_ends = [](const SearchReport&) { return true; };
  EXPECT_EQ(remote->search(setting, request, never_ends).value(),
            local->search(setting, request, never_ends).value());
}

TEST(Remote, ErrorsComeThroughAsTheyAre) {
  Elsewhere there;
  const auto remote = remote_backend("there", there.connect()).value();
  const auto local = local_backend(world());
  ModelChoice choice;
  choice.name = "alexnot";
  EXPECT_EQ(remote->model(choice).error(), local->model(choice).error());
  EXPECT_EQ(remote->cluster("p100").error(), local->cluster("p100").error());
}

TEST(Remote, ASearchGoesOnWhenTheConnectionIsLost) {
  Elsewhere there;
  const std::shared_ptr<Backend> remote = remote_backend("there", there.connect()).value();
  ModelChoice choice;
  choice.name = "alexnet";
  Setting setting;
  setting.graph = std::make_shared<const core::Graph>(remote->model(choice).value());
  setting.cluster = std::make_shared<const core::Cluster>(remote->cluster("p100-4x4").value());
  SearchRequest request;
  request.budget = "3000";
  std::int64_t proposals = 0;
  bool was_cut = false;
  const auto ranked = remote->search(setting, request, [&](const SearchReport& report) {
    EXPECT_GE(report.proposals, proposals) << "it did not begin again";
    proposals = report.proposals;
    if (!was_cut && report.proposals > 0) {
      was_cut = true;
      there.cut();
    }
    return true;
  });
  ASSERT_TRUE(ranked) << ranked.error().message;
  EXPECT_TRUE(was_cut);
  EXPECT_GE(there.connections.load(), 2);
  EXPECT_EQ(ranked, local_backend(world())->search(setting, request,
                                                   [](const SearchReport&) { return true; }));
}

TEST(Remote, ASearchThatIsStoppedGivesTheBestSoFar) {
  Elsewhere there;
  const std::shared_ptr<Backend> remote = remote_backend("there", there.connect()).value();
  ModelChoice choice;
  choice.name = "alexnet";
  Setting setting;
  setting.graph = std::make_shared<const core::Graph>(remote->model(choice).value());
  setting.cluster = std::make_shared<const core::Cluster>(remote->cluster("p100-4x4").value());
  SearchRequest request;
  request.budget = "60min";
  const auto ranked = remote->search(
      setting, request, [&](const SearchReport& report) { return report.proposals < 100; });
  ASSERT_TRUE(ranked) << ranked.error().message;
  EXPECT_TRUE(ranked->cancelled);
  EXPECT_FALSE(ranked->strategies.empty());
}

TEST(Remote, ProgramsRunThereAndTheirLinesComeInOrder) {
  Elsewhere there;
  const auto remote = remote_backend("there", there.connect()).value();
  const std::string folder = remote->folder_of_run().value();
  ASSERT_TRUE(remote->write(folder + "/words", "hello"));
  std::vector<std::string> lines;
  const auto code = remote->execute(
      {{},
       {"sh", "-c", "cat " + folder + "/words; echo; for i in 1 2 3; do echo $i; done; exit 4"}},
      [&](std::string_view line) { lines.emplace_back(line); }, [] { return true; });
  EXPECT_EQ(code, 4);
  EXPECT_EQ(lines, (std::vector<std::string>{"hello", "1", "2", "3"}));
  EXPECT_EQ(remote->read(folder + "/words"), "hello");
}

TEST(Remote, AShellThatPrintsSomethingIsAnErrorThatSaysSo) {
  const auto noisy = remote_backend("there", [] {
    return channel_to({"sh", "-c", "echo Welcome to this cluster; sleep 1"});
  });
  ASSERT_FALSE(noisy);
  EXPECT_NE(noisy.error().message.find("`Welc`"), std::string::npos) << noisy.error().message;
  const auto absent = remote_backend("there", [] { return channel_to({"/no/such/ssh"}); });
  ASSERT_FALSE(absent);
  EXPECT_NE(absent.error().message.find("does not answer"), std::string::npos);
}

TEST(Remote, ClosingEndsCallsThatWait) {
  Elsewhere there;
  auto connect = there.connect();
  std::atomic<bool> allowed = true;
  const std::shared_ptr<Backend> remote =
      remote_backend("there", [&]() -> core::Result<std::unique_ptr<Channel>> {
        if (!allowed) return core::fail("no way there");
        return connect();
      }).value();
  allowed = false;
  there.cut();
  std::thread closer([&] {
    while (remote->trouble().empty()) std::this_thread::yield();
    remote->close();
  });
  EXPECT_FALSE(remote->catalogue());
  closer.join();
}

TEST(Remote, ASessionWorksThereAsHere) {
  Elsewhere there;
  Folder folder;
  Session session(remote_backend("there", there.connect()).value(), folder.path());
  Session::Beginning beginning;
  beginning.model = ModelChoice{"alexnet", 64, {}, {}};
  beginning.cluster = "p100-4x4";
  session.begin(beginning);
  session.finish_jobs();
  ASSERT_NE(session.shown(), nullptr);
  Work here("alexnet", 64, "p100-4x4");
  EXPECT_EQ(*session.shown(), *here->shown());
}

}  // namespace
}  // namespace soapstone::explorer
