// What explorers of tests find: the zoo, the presets, nominal kernels and the roofline.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "explorer_gui/model/local_backend.hpp"
#include "explorer_gui/model/session.hpp"

namespace soapstone::explorer {

Resources world();

// A folder of its own, empty, removed at the end.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// A session in such a folder, with a model, a cluster and strategies; nothing is at work any more.
struct Work {
  Folder folder;
  std::unique_ptr<Session> session;

  // `program`: what is launched.
  explicit Work(const std::string& program = "false");
  Work(const std::string& model, std::int64_t batch, const std::string& cluster,
       std::vector<std::string> strategies = {}, const std::string& program = "false");
  Session& operator*() { return *session; }
  Session* operator->() { return session.get(); }
};

}  // namespace soapstone::explorer
