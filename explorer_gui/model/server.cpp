#include "explorer_gui/model/server.hpp"

#include <atomic>
#include <optional>
#include <set>
#include <utility>

#include "core/json.hpp"

namespace soapstone::explorer {

using core::Json;

struct Server::Call {
  std::thread thread;
  std::vector<Json> events;  // since the call began
  std::optional<core::Result<Json>> result;
  std::atomic<bool> stop = false;
};

Server::Server(std::shared_ptr<Backend> backend, std::string version)
    : backend_(std::move(backend)), version_(std::move(version)) {}

Server::~Server() {
  std::map<std::string, std::shared_ptr<Call>> calls;
  {
    const std::scoped_lock lock(mutex_);
    calls = calls_;
  }
  for (auto& [id, call] : calls) call->stop = true;
  for (auto& [id, call] : calls)
    if (call->thread.joinable()) call->thread.join();
}

std::size_t Server::busy() const {
  const std::scoped_lock lock(mutex_);
  return calls_.size();
}

core::Result<Setting> Server::setting_of(const Json& with) const {
  SOAPSTONE_ASSIGN(const std::uint64_t key,
                   core::from_json<std::uint64_t>(with.value("setting", Json())));
  const std::scoped_lock lock(mutex_);
  const auto found = settings_.find(key);
  if (found == settings_.end()) return core::fail("unknown setting");
  return found->second;
}

core::Result<Json> Server::answer(Call& call, const std::string& method, const Json& with) {
  const auto tell = [&](Json event) {
    const std::scoped_lock lock(mutex_);
    call.events.push_back(std::move(event));
    changed_.notify_all();
  };
  const auto json = [](const auto& result) -> core::Result<Json> {
    if (!result) return tl::unexpected(result.error());
    return core::to_json(*result);
  };
  const auto text = [&](const char* name) { return with.value(name, std::string()); };
  if (method == "catalogue") return json(backend_->catalogue());
  if (method == "model") {
    SOAPSTONE_ASSIGN(const auto choice, core::from_json<ModelChoice>(with));
    SOAPSTONE_ASSIGN(const core::Graph graph, backend_->model(choice));
    return core::to_json(graph.spec());
  }
  if (method == "cluster") {
    SOAPSTONE_ASSIGN(const core::Cluster cluster, backend_->cluster(text("name")));
    return core::to_json(cluster.spec());
  }
  if (method == "setting") {
    Setting setting;
    SOAPSTONE_ASSIGN(core::GraphSpec spec, core::from_json<core::GraphSpec>(with.at("graph")));
    SOAPSTONE_ASSIGN(core::Graph graph, core::Graph::build(std::move(spec)));
    SOAPSTONE_ASSIGN(core::ClusterSpec machines,
                     core::from_json<core::ClusterSpec>(with.at("cluster")));
    SOAPSTONE_ASSIGN(core::Cluster cluster, core::Cluster::build(std::move(machines)));
    SOAPSTONE_ASSIGN(setting.optimizer, core::from_json<OptimizerChoice>(with.at("optimizer")));
    setting.graph = std::make_shared<const core::Graph>(std::move(graph));
    setting.cluster = std::make_shared<const core::Cluster>(std::move(cluster));
    const std::scoped_lock lock(mutex_);
    settings_[setting.key()] = setting;
    return core::to_json(setting.key());
  }
  if (method == "strategy") {
    SOAPSTONE_ASSIGN(const Setting setting, setting_of(with));
    return json(backend_->strategy(setting, text("text")));
  }
  if (method == "evaluate") {
    SOAPSTONE_ASSIGN(const Setting setting, setting_of(with));
    SOAPSTONE_ASSIGN(const auto strategy, core::from_json<core::Strategy>(with.at("strategy")));
    return json(backend_->evaluate(setting, strategy));
  }
  if (method == "kernels") {
    SOAPSTONE_ASSIGN(const Setting setting, setting_of(with));
    SOAPSTONE_ASSIGN(const auto strategy, core::from_json<core::Strategy>(with.at("strategy")));
    SOAPSTONE_ASSIGN(const auto op, core::from_json<std::uint32_t>(with.at("op")));
    return json(backend_->kernels(setting, strategy, op));
  }
  if (method == "what-if") {
    SOAPSTONE_ASSIGN(const Setting setting, setting_of(with));
    SOAPSTONE_ASSIGN(const auto strategy, core::from_json<core::Strategy>(with.at("strategy")));
    return json(backend_->what_if(setting, strategy, text("change")));
  }
  if (method == "changed-step") {
    SOAPSTONE_ASSIGN(const Setting setting, setting_of(with));
    SOAPSTONE_ASSIGN(const auto strategy, core::from_json<core::Strategy>(with.at("strategy")));
    SOAPSTONE_ASSIGN(const auto changes,
                     core::from_json<std::vector<std::string>>(with.at("changes")));
    return json(backend_->changed_step(setting, strategy, changes));
  }
  if (method == "search") {
    SOAPSTONE_ASSIGN(const Setting setting, setting_of(with));
    SOAPSTONE_ASSIGN(const auto request, core::from_json<SearchRequest>(with.at("request")));
    return json(backend_->search(setting, request, [&](const SearchReport& report) {
      tell(core::to_json(report));
      return !call.stop;
    }));
  }
  if (method == "read") return json(backend_->read(text("path")));
  if (method == "write") {
    SOAPSTONE_TRY(backend_->write(text("path"), text("text")));
    return Json(nullptr);
  }
  if (method == "folder") return json(backend_->folder_of_run());
  if (method == "execute") {
    SOAPSTONE_ASSIGN(const auto command, core::from_json<Command>(with));
    return json(backend_->execute(
        command, [&](std::string_view line) { tell(Json(std::string(line))); },
        [&] { return !call.stop; }));
  }
  return core::usage_error("there is no call `{}`", method);
}

void Server::begin(const std::string& id, const std::string& method, const Json& with) {
  const std::scoped_lock lock(mutex_);
  if (calls_.contains(id)) return;
  auto call = std::make_shared<Call>();
  calls_[id] = call;
  call->thread = std::thread([this, call, method, with] {
    core::Result<Json> result;
    try {
      result = answer(*call, method, with);
    } catch (const std::exception& error) {
      result = core::fail("{}: {}", method, error.what());
    }
    const std::scoped_lock done(mutex_);
    call->result = std::move(result);
    changed_.notify_all();
  });
}

void Server::serve(Channel& channel) {
  if (!channel.write(
          {{"soapstone", kProtocol}, {"version", version_}, {"program", backend_->program()}}))
    return;
  // What this connection asked for: how many events of it were sent.
  std::map<std::string, std::size_t> sent;
  bool open = true;
  std::thread writer([&] {
    std::unique_lock lock(mutex_);
    while (open) {
      std::vector<Json> messages;
      for (auto it = sent.begin(); it != sent.end();) {
        const auto found = calls_.find(it->first);
        if (found == calls_.end()) {
          it = sent.erase(it);
          continue;
        }
        const Call& call = *found->second;
        for (; it->second < call.events.size(); ++it->second)
          messages.push_back(
              {{"call", it->first}, {"event", it->second}, {"value", call.events[it->second]}});
        if (!call.result) {
          ++it;
          continue;
        }
        if (*call.result)
          messages.push_back({{"call", it->first}, {"result", **call.result}});
        else
          messages.push_back({{"call", it->first},
                              {"error", call.result->error().message},
                              {"kind", static_cast<int>(call.result->error().kind)}});
        it = sent.erase(it);
      }
      if (messages.empty()) {
        changed_.wait(lock);
        continue;
      }
      lock.unlock();
      for (const Json& message : messages)
        if (!channel.write(message)) break;
      lock.lock();
    }
  });
  while (true) {
    const auto message = channel.read();
    if (!message) break;
    if (message->contains("call")) {
      const std::string id = message->value("call", "");
      begin(id, message->value("method", ""), message->value("with", Json()));
      const std::scoped_lock lock(mutex_);
      sent[id] = message->value("from", std::size_t{0});
      changed_.notify_all();
    } else if (message->contains("stop") || message->contains("forget")) {
      const bool forget = message->contains("forget");
      const std::string id = message->value(forget ? "forget" : "stop", "");
      std::shared_ptr<Call> call;
      {
        const std::scoped_lock lock(mutex_);
        const auto found = calls_.find(id);
        if (found == calls_.end()) continue;
        call = found->second;
        call->stop = true;
        if (forget && call->result) calls_.erase(found);
      }
      if (forget && call->result && call->thread.joinable()) call->thread.join();
    }
  }
  {
    const std::scoped_lock lock(mutex_);
    open = false;
    changed_.notify_all();
  }
  writer.join();
}

}  // namespace soapstone::explorer
