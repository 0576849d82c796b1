// main() of every test executable: GoogleTest, plus one line per failed case that repeats it.
#include <cstdio>
#include <string>
#include <utility>

#include <gtest/gtest.h>

namespace {

class RepeatCommand : public testing::EmptyTestEventListener {
 public:
  explicit RepeatCommand(std::string program) : program_(std::move(program)) {}

  void OnTestEnd(const testing::TestInfo& test) override {
    if (test.result()->Failed()) {
      std::printf("repeat with: OMP_PROC_BIND=false %s --gtest_filter='%s.%s'\n", program_.c_str(),
                  test.test_suite_name(), test.name());
    }
  }

 private:
  std::string program_;
};

}  // namespace

int main(int argc, char** argv) {
  const std::string program = argv[0];
  testing::InitGoogleTest(&argc, argv);
  testing::UnitTest::GetInstance()->listeners().Append(new RepeatCommand(program));
  return RUN_ALL_TESTS();
}
