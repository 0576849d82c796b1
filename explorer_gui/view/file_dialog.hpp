// Asks for a file: a line to type it, and the folder's content to click through.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace soapstone::explorer::view {

class FileDialog {
 public:
  enum class Purpose { kOpen, kSave, kFolder };  // kFolder: to write into, may be new
  using Chosen = std::function<void(const std::string&)>;

  // `title` is unique among dialogs. Replaces one that is open.
  void ask(std::string title, Purpose purpose, std::string name, Chosen chosen);
  void draw();

 private:
  void list();

  std::string title_, text_;
  Purpose purpose_ = Purpose::kOpen;
  Chosen chosen_;
  std::filesystem::path folder_;
  struct Entry {
    std::string name;
    bool is_folder = false;
  };
  std::vector<Entry> entries_;
  std::string listed_, error_;
  bool asked_ = false, overwrite_ = false;
};

}  // namespace soapstone::explorer::view
