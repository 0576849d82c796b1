// Files that are missing, damaged, or cannot be written: the old ones stay as they are.
#include <csignal>
#include <fstream>

#include <gmock/gmock.h>
#include <sched.h>
#include <sys/mount.h>

#include "tests/cli/program.hpp"

namespace soapstone::cli {
namespace {

using testing::AnyOf;
using testing::ElementsAre;
using testing::HasSubstr;

class FullDisk : public ProgramTest {
 protected:
  // A folder `disk` of 16 KiB where mounting is permitted; elsewhere a limit on the size of files
  // does the same.
  RunOptions make_disk() {
    std::filesystem::create_directory(folder() / "disk");
    // In a mount namespace of this process, gone when it ends.
    const bool mounted = unshare(CLONE_NEWNS) == 0 &&
                         mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                         mount("tmpfs", (folder() / "disk").c_str(), "tmpfs", 0, "size=16k") == 0;
    is_mounted_ = mounted;
    return mounted
               ? RunOptions{}
               : RunOptions{
                     .environment = {}, .program = SOAPSTONE_PROGRAM, .file_size_limit = 16 << 10};
  }
  ~FullDisk() override {
    if (is_mounted_) {
      EXPECT_EQ(umount2((folder() / "disk").c_str(), MNT_DETACH), 0);
    }
  }
  void expect_full(const Outcome& outcome, const std::string& file) {
    EXPECT_EQ(outcome.exit_code, 1) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(file + ": "));
    EXPECT_THAT(outcome.err,
                AnyOf(HasSubstr("No space left on device"), HasSubstr("File too large")));
  }
  std::vector<std::string> on_disk() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder() / "disk"))
      names.push_back(entry.path().filename().string());
    return names;
  }
  bool is_mounted_ = false;
};

TEST_F(FullDisk, KeepsTheOldRankedStrategies) {
  const RunOptions limits = make_disk();
  write("disk/ranked.json", "old");
  const Outcome outcome = run({"search", "alexnet", "--cluster", "p100-4x4", "--budget", "50",
                               "--json", "--out", "disk/ranked.json"},
                              limits);
  expect_full(outcome, "cannot write disk/ranked.json");
  EXPECT_EQ(read("disk/ranked.json"), "old");
  EXPECT_THAT(on_disk(), ElementsAre("ranked.json"));
  if (is_mounted_) {
    EXPECT_THAT(outcome.out, HasSubstr("soapstone.ranked/1"));  // the work is not lost
  }
}

TEST_F(FullDisk, KeepsTheOldTraceAndPlan) {
  const RunOptions limits = make_disk();
  for (const std::string kind : {"trace", "plan"}) {
    const std::string file = "disk/" + kind + ".json";
    write(file, "old");
    expect_full(run({"simulate", "alexnet", "--cluster", "p100-4x4", "--" + kind, file}, limits),
                "cannot write " + file);
    EXPECT_EQ(read(file), "old");
  }
}

#ifdef SOAPSTONE_HAS_KERNELS

TEST_F(FullDisk, KeepsTheOldCheckpoint) {
  const RunOptions limits = make_disk();
  write("disk/a.checkpoint", "old");
  expect_full(run({"train", "mlp", "--batch", "16", "--steps", "2", "--no-evaluate", "--checkpoint",
                   "disk/a.checkpoint"},
                  limits),
              "cannot write disk/a.checkpoint");
  EXPECT_EQ(read("disk/a.checkpoint"), "old");
  EXPECT_THAT(on_disk(), ElementsAre("a.checkpoint"));
}

TEST_F(FullDisk, EndsATrainingWhoseMetricsCannotBeWritten) {
  expect_full(run({"train", "mlp", "--batch", "16", "--steps", "2", "--metrics", "/dev/full"}),
              "/dev/full");
}

TEST_F(FullDisk, IsSaidByStdoutToo) {
  // The program's results go to a file here, which may be short.
  const Outcome outcome =
      run({"models", "alexnet", "--json"},
          {.environment = {}, .program = SOAPSTONE_PROGRAM, .file_size_limit = 100});
  EXPECT_EQ(outcome.exit_code, 1);
}

class Data : public ProgramTest {
 protected:
  Outcome train(const std::string& folder) {
    return run({"train", "mlp", "--batch", "2", "--steps", "1", "--data", "fashion-mnist",
                "--data-folder", folder, "--metrics", "metrics.jsonl"});
  }
  static std::string number(std::int64_t n) {
    return {static_cast<char>(n >> 24), static_cast<char>(n >> 16), static_cast<char>(n >> 8),
            static_cast<char>(n)};
  }
  // Files of `samples` images and labels each.
  void write_data(std::int64_t samples) {
    std::filesystem::create_directory(folder() / "data");
    for (const std::string part : {"train", "t10k"}) {
      write("data/" + part + "-images-idx3-ubyte",
            std::string("\0\0\x08\x03", 4) + number(samples) + number(28) + number(28) +
                std::string(static_cast<std::size_t>(samples) * 28 * 28, '\x40'));
      write("data/" + part + "-labels-idx1-ubyte",
            std::string("\0\0\x08\x01", 4) + number(samples) +
                std::string(static_cast<std::size_t>(samples), '\x07'));
    }
  }
};

TEST_F(Data, IsReadFromTheFolderThatIsNamed) {
  write_data(4);
  const Outcome outcome = train("data");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(read("metrics.jsonl"), HasSubstr("fashion-mnist"));
}

TEST_F(Data, InAFolderThatDoesNotExist) {
  const std::vector<std::string> texts{"--data-folder nowhere: there is no such folder", "accepted",
                                       "--data fashion-mnist"};
  expect_refusal(train("nowhere"), 2, texts);
  expect_refusal(run({"verify", "mlp", "--data", "fashion-mnist", "--data-folder", "nowhere"}), 2,
                 texts);
  expect_refusal(run({"generate", "gpt", "--checkpoint", "gpt.ck", "--data-folder", "nowhere"}), 2,
                 {"--data-folder nowhere", "--data wordnet"});
  EXPECT_THAT(files(), testing::IsEmpty());
}

TEST_F(Data, Missing) {
  std::filesystem::create_directory(folder() / "empty");
  expect_refusal(
      train("empty"), 1,
      {"empty/train-images-idx3-ubyte", "No such file", "--data-folder", "dataset-fashion-mnist"});
  EXPECT_THAT(files(), ElementsAre("empty"));
}

TEST_F(Data, Truncated) {
  write_data(4);
  std::filesystem::resize_file(folder() / "data/train-images-idx3-ubyte", 1000);
  expect_refusal(train("data"), 1,
                 {"data/train-images-idx3-ubyte: at offset 16", "expected 3136 values, found 984",
                  "truncated"});
  EXPECT_THAT(files(), ElementsAre("data"));
}

TEST_F(Data, WithFewerLabelsThanImages) {
  write_data(4);
  write("data/train-labels-idx1-ubyte",
        std::string("\0\0\x08\x01", 4) + number(3) + "\x07\x07\x07");
  expect_refusal(train("data"), 1,
                 {"data/train-labels-idx1-ubyte: at offset 4", "expected 4 labels", "found 3"});
}

TEST_F(Data, ThatIsNoIdxFile) {
  write_data(4);
  write("data/train-images-idx3-ubyte", "PNG or something else");
  expect_refusal(
      train("data"), 1,
      {"data/train-images-idx3-ubyte: at offset 0", "expected 00 00 08 03", "found 50 4e 47 20"});
}

TEST_F(Data, UnknownName) {
  expect_refusal(run({"train", "mlp", "--data", "fashion-mnst"}), 2,
                 {"`fashion-mnst`", "did you mean `fashion-mnist`?", "synthetic"});
}

TEST_F(Data, ThatDoesNotSuitTheModel) {
  write_data(4);
  expect_refusal(
      run({"train", "alexnet", "--batch", "2", "--data", "fashion-mnist", "--data-folder", "data"}),
      2, {"[n, 1, 28, 28]", "alexnet", "--data synthetic"});
}

class CheckpointFile : public ProgramTest {
 protected:
  void SetUp() override {
    const Outcome outcome = run({"train", "mlp", "--batch", "16", "--steps", "2", "--no-evaluate",
                                 "--checkpoint", "a.checkpoint"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  }
  Outcome resume(const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments{
        "train",         "mlp",      "--batch",      "16",           "--steps",      "4",
        "--no-evaluate", "--resume", "a.checkpoint", "--checkpoint", "b.checkpoint", "--metrics",
        "metrics.jsonl"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments);
  }
};

TEST_F(CheckpointFile, Missing) {
  std::filesystem::remove(folder() / "a.checkpoint");
  expect_refusal(resume(), 2, {"a.checkpoint", "No such file"});
  EXPECT_THAT(files(), testing::IsEmpty());
}

TEST_F(CheckpointFile, Truncated) {
  std::filesystem::resize_file(folder() / "a.checkpoint", 1000);
  expect_refusal(resume(), 1,
                 {"a.checkpoint", "expected ", "bytes after offset", "the file is truncated"});
  EXPECT_THAT(files(), ElementsAre("a.checkpoint"));
}

TEST_F(CheckpointFile, Corrupted) {
  std::string bytes = read("a.checkpoint");
  bytes[bytes.size() - 5] = static_cast<char>(bytes[bytes.size() - 5] ^ 1);
  write("a.checkpoint", bytes);
  expect_refusal(resume(), 1, {"a.checkpoint", "checksum", "the file is damaged"});
  EXPECT_THAT(files(), ElementsAre("a.checkpoint"));
}

TEST_F(CheckpointFile, ThatIsNone) {
  write("a.checkpoint", "{}\n");
  expect_refusal(resume(), 2, {"a.checkpoint", "soapstone.checkpoint/1", "no checkpoint"});
}

TEST_F(CheckpointFile, OfAnotherGraph) {
  expect_refusal(
      run({"train", "mlp", "--batch", "32", "--steps", "4", "--resume", "a.checkpoint"}), 3,
      {"a.checkpoint", "a checkpoint of mlp", "model, batch and number format must be the same"});
}

TEST_F(CheckpointFile, OfAnotherSeed) {
  expect_refusal(resume({"--seed", "7"}), 3, {"a.checkpoint", "seed 1", "seed 7", "accepted: 1"});
}

TEST_F(CheckpointFile, ThatIsFurtherThanTheTraining) {
  expect_refusal(run({"train", "mlp", "--batch", "16", "--steps", "1", "--resume", "a.checkpoint"}),
                 3, {"a.checkpoint", "2 steps are done", "1 in all"});
}

#endif

}  // namespace
}  // namespace soapstone::cli
