#include "core/document.hpp"

#include <csignal>
#include <fstream>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/document_impl.hpp"

namespace soapstone::core {
namespace {

namespace fs = std::filesystem;

struct Step {
  int degree = 1;
  std::string name;
  friend bool operator==(const Step&, const Step&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("degree", self.degree);
    visit("name", self.name, kOptional);
  }
};

struct Recipe {
  static constexpr std::string_view kFormat = "soapstone.recipe";
  static constexpr int kVersion = 2;
  std::vector<Step> steps;
  friend bool operator==(const Recipe&, const Recipe&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("steps", self.steps);
  }
};

class Document : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "soapstone-document-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }
  static std::string error_of(std::string_view text) {
    const auto result = document_from_text<Recipe>(text, "r.json");
    return result ? "no error" : result.error().message;
  }

  // Runs `check` in a process of its own, whose limits and rights it may spoil.
  template <class Check>
  static bool in_child(Check check) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(check() ? 0 : 1);
    int code = -1;
    return child > 0 && ::waitpid(child, &code, 0) == child && code == 0;
  }

  fs::path folder_;
};

TEST_F(Document, AValueComesBackFromDiskEqual) {
  const Recipe recipe{{{4, "mix"}, {2, ""}}};
  const fs::path path = folder_ / "r.json";
  ASSERT_TRUE(save_document(path, recipe));
  EXPECT_EQ(*load_document<Recipe>(path), recipe);
  EXPECT_EQ(files(), 1u) << "no temporary stays behind";
}

TEST_F(Document, TheFormatIsTheFirstKey) {
  EXPECT_EQ(*document_text(Recipe{{{4, "mix"}}}),
            "{\n  \"format\": \"soapstone.recipe/2\",\n  \"steps\": [{\"degree\": 4, \"name\": "
            "\"mix\"}]\n}\n");
}

TEST_F(Document, TheSameValueGivesTheSameBytes) {
  const Recipe recipe{{{4, "mix"}}};
  const std::string text = *document_text(recipe);
  EXPECT_EQ(*document_text(*document_from_text<Recipe>(text, "r.json")), text);
}

TEST_F(Document, MalformedTextIsLocatedByLineAndColumn) {
  const std::string message =
      error_of("{\n  \"format\": \"soapstone.recipe/2\",\n  \"steps\": [1,, 2]\n}");
  EXPECT_EQ(message.substr(0, 32), "r.json:3:15: not JSON: syntax er") << message;
  EXPECT_EQ(error_of("").substr(0, 21), "r.json:1:1: not JSON:");
}

TEST_F(Document, AWrongValueIsLocatedByLineAndKey) {
  EXPECT_EQ(
      error_of("{\n  \"format\": \"soapstone.recipe/2\",\n  \"steps\": [\n    {\"degree\": 1},\n"
               "    {\"name\": \"a\\\"]}\",\n     \"degree\": 1.5}\n  ]\n}\n"),
      "r.json:6: at /steps/1/degree: 1.5 is not accepted; accepted: an integer from -2147483648 to "
      "2147483647");
  EXPECT_EQ(error_of("{\n \"format\": \"soapstone.recipe/2\",\n \"steps\": [],\n \"stesp\": 1}"),
            "r.json:4: at /stesp: unknown key `stesp`; did you mean `steps`? accepted: steps");
  EXPECT_EQ(error_of("\n{\"format\": \"soapstone.recipe/2\"}"),
            "r.json:2: at the top: the key `steps` is missing");
  EXPECT_EQ(
      error_of("{\"format\": \"soapstone.recipe/2\",\n \"steps\": [\n {\"degree\": 1},\n\n {}]}"),
      "r.json:5: at /steps/1: the key `degree` is missing");
}

TEST_F(Document, AKeyThatStandsTwiceIsAnError) {
  EXPECT_EQ(error_of("{\"format\": \"soapstone.recipe/2\",\n \"steps\": [],\n \"steps\": []}"),
            "r.json:3: the key `steps` stands twice in one object");
}

TEST_F(Document, AnotherKindOfDocumentIsNamed) {
  const auto result = document_from_text<Recipe>("{\"format\": \"soapstone.trace/1\"}", "t.json");
  EXPECT_EQ(result.error().message,
            "t.json: this is a soapstone.trace document, a soapstone.recipe document is wanted");
  EXPECT_EQ(result.error().kind, ErrorKind::kUsage);
}

TEST_F(Document, AnotherVersionIsRefused) {
  const auto newer =
      document_from_text<Recipe>("{\"format\": \"soapstone.recipe/3\", \"later\": 1}", "r.json");
  EXPECT_EQ(newer.error().message,
            "r.json: this is version 3 of soapstone.recipe, written by a newer Soapstone; this one "
            "reads version 2");
  EXPECT_EQ(newer.error().kind, ErrorKind::kRefused);
  EXPECT_EQ(error_of("{\"format\": \"soapstone.recipe/1\"}"),
            "r.json: this is version 1 of soapstone.recipe, which is no longer read; this "
            "Soapstone reads version 2");
}

TEST_F(Document, AFileThatIsNoDocumentSaysWhatIsMissing) {
  const std::string accepted =
      "; accepted: an object whose key `format` is \"soapstone.KIND/VERSION\"";
  EXPECT_EQ(error_of("[1]"), "r.json:1: [1] is not accepted" + accepted);
  EXPECT_EQ(error_of("{\"steps\": []}"), "r.json:1: the key `format` is missing" + accepted);
  EXPECT_EQ(error_of("{\"steps\": [],\n\"format\": 7}"),
            "r.json:2: at /format: 7 is not accepted" + accepted);
  EXPECT_EQ(error_of("{\"format\": \"soapstone.recipe\"}"),
            "r.json:1: at /format: \"soapstone.recipe\" is not accepted" + accepted);
  EXPECT_EQ(error_of("{\"format\": \"soapstone.recipe/2x\"}"),
            "r.json:1: at /format: \"soapstone.recipe/2x\" is not accepted" + accepted);
}

TEST_F(Document, ItsFormatCanBeAskedBeforeReadingIt) {
  EXPECT_EQ(*document_format("{\"format\": \"soapstone.trace/7\", \"x\": 1}", "t"),
            (DocumentFormat{"soapstone.trace", 7}));
  EXPECT_FALSE(document_format("{}", "t"));
}

TEST_F(Document, AHundredThousandBracketsAreAnErrorAndNotACrash) {
  const std::string text =
      "{\"format\": \"soapstone.recipe/2\", \"steps\": " + std::string(100'000, '[') +
      std::string(100'000, ']') + "}";
  EXPECT_EQ(error_of(text), "r.json: nested deeper than 100 levels, which no document is");
}

TEST_F(Document, EveryTruncationOfADocumentIsAnErrorAndNotACrash) {
  const std::string text = *document_text(Recipe{{{4, "m\\i\"x"}, {2, "é"}}});
  for (std::size_t length = 0; length + 2 < text.size(); ++length)
    EXPECT_FALSE(document_from_text<Recipe>(text.substr(0, length), "r.json")) << length;
}

TEST_F(Document, AMissingFileIsNamedWithTheSystemsWords) {
  EXPECT_EQ(load_document<Recipe>("/nowhere/r.json").error().message,
            "cannot read /nowhere/r.json: No such file or directory");
  EXPECT_EQ(load_document<Recipe>(folder_).error().message,
            "cannot read " + folder_.string() + ": Is a directory");
}

TEST_F(Document, AFolderThatIsMissingIsNamedWithTheSystemsWords) {
  EXPECT_EQ(save_document("/nowhere/r.json", Recipe{}).error().message,
            "cannot write /nowhere/r.json: No such file or directory");
  EXPECT_EQ(save_document(folder_, Recipe{}).error().message,
            "cannot write " + folder_.string() + ": Is a directory");
}

TEST_F(Document, AFullDeviceIsAnError) {
  EXPECT_EQ(write_file_atomically("/dev/full", "bytes").error().message,
            "cannot write /dev/full: No space left on device");
}

TEST_F(Document, AWriteThatFailsHalfwayLeavesTheOldFileAndNothingElse) {
  const fs::path path = folder_ / "r.json";
  ASSERT_TRUE(write_file_atomically(path, "old"));
  EXPECT_TRUE(in_child([&] {
    std::signal(SIGXFSZ, SIG_IGN);  // as if the disk were full after 1000 bytes
    const rlimit limit{1000, 1000};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return false;
    const Status status = write_file_atomically(path, std::string(5000, 'n'));
    return !status &&
           status.error().message == "cannot write " + path.string() + ": File too large";
  }));
  EXPECT_EQ(*read_file(path), "old");
  EXPECT_EQ(files(), 1u);
}

TEST_F(Document, AFolderThatIsNotWritableLeavesTheOldFile) {
  const fs::path path = folder_ / "r.json";
  ASSERT_TRUE(write_file_atomically(path, "old"));
  fs::permissions(folder_, fs::perms(0555));
  EXPECT_TRUE(in_child([&] {
    if (::geteuid() == 0 && ::setuid(65534) != 0)
      return false;  // root may write everywhere, nobody may not
    const Status status = write_file_atomically(path, "new");
    return !status &&
           status.error().message == "cannot write " + path.string() + ": Permission denied";
  }));
  fs::permissions(folder_, fs::perms(0755));
  EXPECT_EQ(*read_file(path), "old");
  EXPECT_EQ(files(), 1u);
}

TEST_F(Document, PermissionsAndLinksOfAnExistingFileStay) {
  const fs::path path = folder_ / "real.json", link = folder_ / "link.json";
  ASSERT_TRUE(write_file_atomically(path, "old"));
  fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write);
  fs::create_symlink(path, link);
  ASSERT_TRUE(write_file_atomically(link, "new"));
  EXPECT_TRUE(fs::is_symlink(link));
  EXPECT_EQ(*read_file(path), "new");
  EXPECT_EQ(fs::status(path).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

}  // namespace
}  // namespace soapstone::core
