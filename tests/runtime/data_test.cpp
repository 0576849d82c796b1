// Data: files, made-up samples, their order, reading ahead.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/models/models.hpp"
#include "runtime/data/batch_reader.hpp"
#include "runtime/data/data_source.hpp"
#include "runtime/data/idx.hpp"
#include "runtime/data/sampler.hpp"
#include "tests/runtime/folder.hpp"

namespace soapstone::runtime {
namespace {

using testing::HasSubstr;

std::string header(std::initializer_list<int> extents) {
  std::string bytes{'\0', '\0', '\x08', static_cast<char>(extents.size())};
  for (const int e : extents)
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(e >> shift & 0xff);
  return bytes;
}

TEST(Idx, plain_and_gzipped_files_give_the_same_values) {
  const Folder folder;
  const std::string bytes = header({2, 3}) + "abcdef";
  for (const auto& path :
       {folder.write("plain", bytes), folder.write_gzipped("zipped.gz", bytes)}) {
    const auto array = read_idx(path, 2);
    ASSERT_TRUE(array) << array.error().message;
    EXPECT_EQ(array->shape, (std::vector<std::int64_t>{2, 3}));
    EXPECT_EQ(std::string(array->values.begin(), array->values.end()), "abcdef");
  }
}

TEST(Idx, bad_files_are_refused_with_name_offset_and_what_was_expected) {
  const Folder folder;
  const auto error = [](const std::filesystem::path& path, int rank) {
    const auto array = read_idx(path, rank);
    return array ? std::string("accepted") : array.error().message;
  };
  EXPECT_THAT(error(folder.path() / "absent", 1), HasSubstr("absent: No such file or directory"));
  EXPECT_THAT(error(folder.write("empty", ""), 1),
              HasSubstr("empty: at offset 0: expected 4 bytes of an IDX header, found 0"));
  EXPECT_THAT(error(folder.write("text", "hello, world"), 1),
              HasSubstr("text: at offset 0: expected 00 00 08 01 (an IDX file of unsigned bytes "
                        "with 1 dimensions), found 68 65"));
  EXPECT_THAT(error(folder.write("rank", header({2, 3}) + "abcdef"), 3),
              HasSubstr("expected 00 00 08 03"));
  EXPECT_THAT(error(folder.write("short", header({2, 3}) + "abcde"), 2),
              HasSubstr("short: at offset 12: expected 6 values, found 5: the file is truncated"));
  EXPECT_THAT(error(folder.write("long", header({2, 3}) + "abcdefg"), 2),
              HasSubstr("long: at offset 18: expected the end of the file, found more bytes"));
  EXPECT_THAT(error(folder.write("none", header({0})), 1),
              HasSubstr("none: at offset 4: dimension 0 has extent 0"));
  EXPECT_THAT(error(folder.write("huge", header({0x7fffffff, 0x7fffffff}) + "abc"), 2),
              HasSubstr("huge: at offset 8: dimension 1 has extent 2147483647"));
  EXPECT_THAT(error(folder.path(), 1), HasSubstr(folder.path().string()));

  std::ifstream in(folder.write_gzipped("whole.gz", header({4000}) + std::string(4000, 'x')),
                   std::ios::binary);
  std::string zipped((std::istreambuf_iterator<char>(in)), {});
  EXPECT_THAT(error(folder.write("cut.gz", zipped.substr(0, zipped.size() / 2)), 1),
              HasSubstr("truncated"));
  zipped[zipped.size() / 2] = static_cast<char>(zipped[zipped.size() / 2] ^ 0x55);
  EXPECT_THAT(error(folder.write("spoilt.gz", zipped), 1),
              testing::AnyOf(HasSubstr("damaged"), HasSubstr("truncated")));
}

TEST(FashionMnist, missing_files_are_refused_with_where_they_come_from) {
  const Folder folder;
  const auto graph = core::build_model("mlp").value();
  const auto sets = open_data("fashion-mnist", graph, 1, folder.path());
  ASSERT_FALSE(sets);
  EXPECT_THAT(sets.error().message, HasSubstr("train-images-idx3-ubyte.gz: No such file"));
  EXPECT_THAT(sets.error().message, HasSubstr("dataset-fashion-mnist"));
}

TEST(FashionMnist, labels_out_of_range_and_counts_that_differ_are_refused) {
  const auto graph = core::build_model("mlp", {.batch = 1}).value();
  const auto error = [&](const std::string& labels) {
    const Folder folder;
    for (const char* part : {"train", "t10k"}) {
      folder.write(std::string(part) + "-images-idx3-ubyte",
                   header({2, 28, 28}) + std::string(2 * 784, '\x10'));
      folder.write(std::string(part) + "-labels-idx1-ubyte", labels);
    }
    const auto sets = open_data("fashion-mnist", graph, 1, folder.path());
    return sets ? std::string("accepted") : sets.error().message;
  };
  EXPECT_EQ(error(header({2}) + std::string("\x01\x09", 2)), "accepted");
  EXPECT_THAT(error(header({2}) + std::string("\x01\x0a", 2)),
              HasSubstr("at offset 9: sample 1 of fashion-mnist has label 10; accepted: 0 to 9"));
  EXPECT_THAT(error(header({3}) + std::string("\x01\x02\x03", 3)), HasSubstr("expected 2 labels"));
}

TEST(FashionMnist, the_installed_files_hold_sixty_and_ten_thousand_images) {
  if (!std::filesystem::exists("/usr/share/datasets/fashion-mnist"))
    GTEST_SKIP() << "dataset-fashion-mnist is not installed";
  const auto graph = core::build_model("mlp").value();
  const auto sets = open_fashion_mnist(graph, "/usr/share/datasets/fashion-mnist");
  ASSERT_TRUE(sets) << sets.error().message;
  EXPECT_EQ(sets->train->samples(), 60000);
  EXPECT_EQ(sets->test->samples(), 10000);
  // Standardised: mean 0 and variance 1 over the training images.
  const core::SourceSpec& images = graph.spec().sources[0];
  std::vector<std::int64_t> samples(6000);
  std::vector<float> values(samples.size() * 784);
  double sum = 0, squares = 0;
  for (std::int64_t first = 0; first < 60000; first += 6000) {
    std::iota(samples.begin(), samples.end(), first);
    sets->train->fill(images, samples, {{0, 6000}, {0, 1}, {0, 28}, {0, 28}}, values.data());
    for (const float v : values) sum += v, squares += double{v} * v;
  }
  EXPECT_NEAR(sum / (60000.0 * 784), 0, 1e-3);
  EXPECT_NEAR(squares / (60000.0 * 784), 1, 1e-3);
}

TEST(FashionMnist, models_with_other_sources_are_refused) {
  const auto graph = core::build_model("transformer-block").value();
  if (!std::filesystem::exists("/usr/share/datasets/fashion-mnist"))
    GTEST_SKIP() << "dataset-fashion-mnist is not installed";
  const auto sets = open_fashion_mnist(graph, "/usr/share/datasets/fashion-mnist");
  ASSERT_FALSE(sets);
  EXPECT_THAT(sets.error().message, HasSubstr("transformer-block wants tokens"));
}

TEST(Data, an_unknown_name_is_refused_with_the_nearest) {
  const auto sets = open_data("fashion-minst", core::build_model("mlp").value(), 1);
  ASSERT_FALSE(sets);
  EXPECT_THAT(sets.error().message, HasSubstr("did you mean `fashion-mnist`?"));
}

TEST(SyntheticData, a_part_of_a_box_has_the_values_of_the_whole) {
  const auto graph = core::build_model("inception-block").value();
  const auto sets = make_synthetic_data(graph, 5).value();
  const core::SourceSpec& images = graph.spec().sources[0];
  const std::int64_t samples[] = {7, 3, 9, 11, 2, 5};
  const core::Box whole = core::whole(images.desc.shape);  // [6, 3, 13, 11], channels last
  std::vector<float> all(static_cast<std::size_t>(core::elements(whole)));
  sets.train->fill(images, samples, whole, all.data());
  const core::Box part{{2, 5}, {1, 3}, {4, 9}, {0, 6}};
  std::vector<float> some(static_cast<std::size_t>(core::elements(part)));
  sets.train->fill(images, samples, part, some.data());
  std::size_t k = 0;
  for (std::int64_t n = 2; n < 5; ++n)
    for (std::int64_t h = 4; h < 9; ++h)
      for (std::int64_t w = 0; w < 6; ++w)
        for (std::int64_t c = 1; c < 3; ++c)
          ASSERT_EQ(some[k++], all[static_cast<std::size_t>(((n * 13 + h) * 11 + w) * 3 + c)]);
  EXPECT_TRUE(sets.train->is_synthetic());
  EXPECT_EQ(sets.train->name(), "synthetic");
}

TEST(SyntheticData, labels_of_tokens_are_the_rule_that_is_to_be_learnt) {
  const auto graph = core::build_model("transformer-block").value();
  const auto sets = make_synthetic_data(graph, 5).value();
  const std::int64_t samples[] = {0, 1, 2, 3, 4, 5};
  const core::Box box{{0, 6}, {0, 6}};
  std::vector<std::int32_t> values[3];
  for (std::size_t k = 0; k < 3; ++k) {
    values[k].resize(36);
    sets.train->fill(graph.spec().sources[k], samples, box, values[k].data());
  }
  std::set<std::int32_t> seen;
  for (std::size_t i = 0; i < 36; ++i) {
    EXPECT_EQ(values[1][i], static_cast<std::int32_t>(i % 6));
    EXPECT_EQ(values[2][i], (5 * values[0][i] + 7) % 19);
    seen.insert(values[0][i]);
  }
  EXPECT_GT(seen.size(), 10u);
}

TEST(Sampler, every_epoch_is_a_permutation_of_its_own_that_comes_back) {
  const auto first = shuffled(1000, 7, 0), second = shuffled(1000, 7, 1),
             other_seed = shuffled(1000, 8, 0);
  EXPECT_EQ(first, shuffled(1000, 7, 0));
  EXPECT_NE(first, second);
  EXPECT_NE(first, other_seed);
  for (auto order : {first, second, other_seed}) {
    EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));
    std::sort(order.begin(), order.end());
    for (std::int64_t i = 0; i < 1000; ++i) ASSERT_EQ(order[static_cast<std::size_t>(i)], i);
  }
  // Where a sample stands is uniform: the mean place of sample 0 over many epochs is the middle.
  double sum = 0;
  for (int epoch = 0; epoch < 400; ++epoch) {
    const auto order = shuffled(101, 3, epoch);
    sum += static_cast<double>(std::find(order.begin(), order.end(), 0) - order.begin());
  }
  EXPECT_NEAR(sum / 400, 50, 6);  // standard error 29 / sqrt(400) = 1.5
}

TEST(Sampler, a_batch_can_be_asked_for_out_of_order) {
  Sampler one(10, 3, 5), two(10, 3, 5);
  EXPECT_EQ(one.steps_per_epoch(), 3);
  const auto late = one.batch(4, 2);
  (void)two.batch(0, 0);
  EXPECT_EQ(two.batch(4, 2), late);
}

TEST(BatchReader, batches_come_in_order_and_stay_until_the_next) {
  const auto graph = core::build_model("transformer-block").value();
  const auto sets = make_synthetic_data(graph, 5).value();
  const std::uint32_t tokens = graph.find_tensor("tokens")->value;
  BatchReader reader(graph, *sets.train, 3,
                     {{tokens, 0, {{0, 3}, {0, 6}}, core::Bytes(72)},
                      {tokens, 1, {{1, 2}, {2, 4}}, core::Bytes(8)}});
  const auto expected = [&](std::int64_t sample) {
    std::vector<std::int32_t> row(6);
    const std::int64_t samples[] = {sample};
    sets.train->fill(graph.spec().sources[0], samples, {{0, 1}, {0, 6}}, row.data());
    return row;
  };
  for (std::int64_t k = 0; k < 20; ++k) reader.request({k, k + 1, k + 2, k + 3, k + 4, k + 5});
  for (std::int64_t k = 0; k < 20; ++k) {
    const auto loaded = reader.next();
    const auto* first = reinterpret_cast<const std::int32_t*>(loaded[0]);
    const auto* second = reinterpret_cast<const std::int32_t*>(loaded[1]);
    const auto row = expected(k + 2), other = expected(k + 4);
    EXPECT_TRUE(std::equal(row.begin(), row.end(), first + 12));
    EXPECT_EQ(second[0], other[2]);
    EXPECT_EQ(second[1], other[3]);
  }
}

}  // namespace
}  // namespace soapstone::runtime
