#include "explorer_gui/model/remote_backend.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>
#include <utility>

#include <fmt/core.h>

#include "core/json.hpp"

namespace soapstone::explorer {

namespace {

using core::Json;
using namespace std::chrono_literals;

// Between two tries to connect again: 0.2 s, twice that, …
constexpr auto kFirstWait = 200ms;
constexpr auto kLongestWait = 10s;
constexpr auto kLook = 50ms;  // how often a call looks whether it is still wanted

struct Call {
  Json message;  // as it was sent
  std::vector<Json> events;
  std::optional<core::Result<Json>> result;
};

class Remote final : public Backend {
 public:
  Remote(std::string place, Connect connect)
      : place_(std::move(place)), connect_(std::move(connect)) {
    std::random_device random;
    name_ = fmt::format("{:08x}{:08x}", random(), random());
  }

  ~Remote() override {
    Remote::close();
    if (reader_.joinable()) reader_.join();
  }

  void close() override {
    const std::scoped_lock lock(mutex_);
    closing_ = true;
    if (channel_) channel_->shut();
    changed_.notify_all();
  }

  core::Status open() {
    SOAPSTONE_ASSIGN(channel_, greeted());
    reader_ = std::thread([this] { read(); });
    return {};
  }

  std::string place() const override { return place_; }
  std::string program() const override { return program_; }
  std::string trouble() const override {
    const std::scoped_lock lock(mutex_);
    return trouble_;
  }

  core::Result<Catalogue> catalogue() override { return typed<Catalogue>("catalogue", {}); }
  core::Result<core::Graph> model(const ModelChoice& choice) override {
    SOAPSTONE_ASSIGN(core::GraphSpec spec, typed<core::GraphSpec>("model", core::to_json(choice)));
    return core::Graph::build(std::move(spec));
  }
  core::Result<core::Cluster> cluster(const std::string& name) override {
    SOAPSTONE_ASSIGN(core::ClusterSpec spec, typed<core::ClusterSpec>("cluster", {{"name", name}}));
    return core::Cluster::build(std::move(spec));
  }
  core::Result<core::Strategy> strategy(const Setting& setting, const std::string& text) override {
    return of_setting<core::Strategy>(setting, "strategy", {{"text", text}});
  }
  core::Result<Evaluation> evaluate(const Setting& setting,
                                    const core::Strategy& strategy) override {
    return of_setting<Evaluation>(setting, "evaluate", {{"strategy", core::to_json(strategy)}});
  }
  core::Result<std::vector<KernelReport>> kernels(const Setting& setting,
                                                  const core::Strategy& strategy,
                                                  std::uint32_t op) override {
    return of_setting<std::vector<KernelReport>>(
        setting, "kernels", {{"strategy", core::to_json(strategy)}, {"op", op}});
  }
  core::Result<WhatIf> what_if(const Setting& setting, const core::Strategy& strategy,
                               const std::string& change) override {
    return of_setting<WhatIf>(setting, "what-if",
                              {{"strategy", core::to_json(strategy)}, {"change", change}});
  }
  core::Result<core::Trace> changed_step(const Setting& setting, const core::Strategy& strategy,
                                         const std::vector<std::string>& changes) override {
    return of_setting<core::Trace>(
        setting, "changed-step",
        {{"strategy", core::to_json(strategy)}, {"changes", core::to_json(changes)}});
  }
  core::Result<core::RankedStrategies> search(const Setting& setting, const SearchRequest& request,
                                              const SearchProgress& progress) override {
    std::optional<SearchReport> last;
    return of_setting<core::RankedStrategies>(
        setting, "search", {{"request", core::to_json(request)}}, [&](const Json* event) {
          if (event)
            if (auto report = core::from_json<SearchReport>(*event)) last = *report;
          return progress(last.value_or(SearchReport{}));
        });
  }
  core::Result<std::string> read(const std::string& path) override {
    return typed<std::string>("read", {{"path", path}});
  }
  core::Status write(const std::string& path, const std::string& text) override {
    SOAPSTONE_TRY(call("write", {{"path", path}, {"text", text}}));
    return {};
  }
  core::Result<std::string> folder_of_run() override { return typed<std::string>("folder", {}); }
  core::Result<int> execute(const Command& command,
                            const std::function<void(std::string_view)>& line,
                            const std::function<bool()>& wanted) override {
    return typed<int>("execute", core::to_json(command), [&](const Json* event) {
      if (event) line(event->get<std::string>());
      return wanted();
    });
  }

 private:
  // Called with every event, and with none now and then; false stops.
  using OnEvent = std::function<bool(const Json*)>;

  core::Result<std::unique_ptr<Channel>> greeted() {
    SOAPSTONE_ASSIGN(std::unique_ptr<Channel> channel, connect_());
    auto greeting = channel->read();
    if (!greeting)
      return core::fail("{}: soapstone serve does not answer there: {}", place_,
                        greeting.error().message);
    const int protocol = greeting->value("soapstone", 0);
    if (protocol != kProtocol)
      return core::fail("{}: soapstone {} there speaks protocol {}, this one {}", place_,
                        greeting->value("version", "?"), protocol, kProtocol);
    program_ = greeting->value("program", "soapstone");
    return channel;
  }

  // Takes what comes; makes the connection again where it is lost.
  void read() {
    while (true) {
      const auto message = channel_->read();
      std::unique_lock lock(mutex_);
      if (closing_) return;
      if (message) {
        take(*message);
        continue;
      }
      trouble_ = fmt::format("the connection to {} is lost; trying again", place_);
      auto wait = std::chrono::milliseconds(kFirstWait);
      while (true) {
        changed_.wait_for(lock, wait, [&] { return closing_; });
        if (closing_) return;
        lock.unlock();
        auto channel = greeted();
        lock.lock();
        if (closing_) return;
        if (channel) {
          channel_ = std::move(*channel);
          break;
        }
        trouble_ = channel.error().message;
        wait = std::min<std::chrono::milliseconds>(2 * wait, kLongestWait);
      }
      trouble_.clear();
      // Another process may serve now, which knows no settings.
      settings_.clear();
      for (auto& [id, c] : calls_) {
        c->message["from"] = c->events.size() + c->taken;
        static_cast<void>(channel_->write(c->message));
      }
    }
  }

  struct Pending : Call {
    std::size_t taken = 0;  // events that the caller has
  };

  void take(const Json& message) {
    const auto found = calls_.find(message.value("call", ""));
    if (found == calls_.end()) return;
    Pending& c = *found->second;
    if (message.contains("event")) {
      // After a connection was made anew some come twice.
      if (message.value("event", std::size_t{0}) == c.events.size() + c.taken)
        c.events.push_back(message.value("value", Json()));
    } else if (message.contains("result")) {
      c.result = message.at("result");
    } else {
      c.result = tl::unexpected(core::Error{
          message.value("error", "?"), static_cast<core::ErrorKind>(message.value("kind", 0))});
    }
    changed_.notify_all();
  }

  core::Result<Json> call(const std::string& method, Json with, const OnEvent& on_event = {}) {
    auto pending = std::make_shared<Pending>();
    std::unique_lock lock(mutex_);
    const std::string id = fmt::format("{}-{}", name_, ++count_);
    pending->message = {{"call", id}, {"method", method}, {"with", std::move(with)}, {"from", 0}};
    calls_[id] = pending;
    // What cannot be sent now is sent when the connection stands again.
    static_cast<void>(channel_->write(pending->message));
    bool stopped = false;
    while (true) {
      changed_.wait_for(lock, kLook,
                        [&] { return closing_ || pending->result || !pending->events.empty(); });
      std::vector<Json> events = std::exchange(pending->events, {});
      pending->taken += events.size();
      if (on_event) {
        lock.unlock();
        bool wanted = true;
        for (const Json& event : events) wanted = on_event(&event) && wanted;
        if (events.empty()) wanted = on_event(nullptr);
        lock.lock();
        if (!wanted && !stopped) {
          stopped = true;
          static_cast<void>(channel_->write({{"stop", id}}));
        }
      }
      if (pending->result && pending->events.empty()) break;
      if (closing_) {
        calls_.erase(id);
        return core::fail("the connection to {} was closed", place_);
      }
    }
    calls_.erase(id);
    static_cast<void>(channel_->write({{"forget", id}}));
    return *pending->result;
  }

  template <class T>
  core::Result<T> typed(const std::string& method, Json with, const OnEvent& on_event = {}) {
    SOAPSTONE_ASSIGN(const Json json, call(method, std::move(with), on_event));
    return core::from_json<T>(json);
  }

  // The other side is told once what a setting is.
  template <class T>
  core::Result<T> of_setting(const Setting& setting, const std::string& method, Json with,
                             const OnEvent& on_event = {}) {
    const std::uint64_t key = setting.key();
    with["setting"] = key;
    for (int tries = 0;; ++tries) {
      bool known = false;
      {
        const std::scoped_lock lock(mutex_);
        known = settings_.contains(key);
      }
      if (!known) {
        SOAPSTONE_TRY(call("setting", {{"graph", core::to_json(setting.graph->spec())},
                                       {"cluster", core::to_json(setting.cluster->spec())},
                                       {"optimizer", core::to_json(setting.optimizer)}}));
        const std::scoped_lock lock(mutex_);
        settings_.insert(key);
      }
      auto result = typed<T>(method, with, on_event);
      if (result || tries > 0 || result.error().message != "unknown setting") return result;
      const std::scoped_lock lock(mutex_);
      settings_.erase(key);
    }
  }

  std::string place_, program_ = "soapstone", name_;
  Connect connect_;
  std::unique_ptr<Channel> channel_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::shared_ptr<Pending>> calls_;
  std::set<std::uint64_t> settings_;  // that the other side knows
  std::uint64_t count_ = 0;
  std::string trouble_;
  bool closing_ = false;
  std::thread reader_;
};

}  // namespace

core::Result<std::unique_ptr<Backend>> remote_backend(std::string place, Connect connect) {
  auto remote = std::make_unique<Remote>(std::move(place), std::move(connect));
  SOAPSTONE_TRY(remote->open());
  return remote;
}

}  // namespace soapstone::explorer
