#include "core/suggest.hpp"

#include <gtest/gtest.h>

namespace soapstone::core {
namespace {

using Names = std::vector<std::string_view>;

TEST(Suggest, DistanceCountsEditsAndNeighbourSwaps) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("ring", ""), 4u);
  EXPECT_EQ(edit_distance("ring", "rings"), 1u);
  EXPECT_EQ(edit_distance("ring", "rign"), 1u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("ReLU", "relu"), 0u);
}

TEST(Suggest, TheNearestNameIsGivenOnlyWhenItIsNear) {
  const Names names{"exhaustive", "optcnn", "mcmc"};
  EXPECT_EQ(nearest_name("mcmcm", names), "mcmc");
  EXPECT_EQ(nearest_name("exaustiv", names), "exhaustive");
  EXPECT_EQ(nearest_name("banana", names), std::nullopt);
  EXPECT_EQ(nearest_name("x", Names{}), std::nullopt);
}

TEST(Suggest, AcceptedNamesAreListedNearestFirst) {
  EXPECT_EQ(accepted_names("trea", Names{"ring", "tree"}),
            "did you mean `tree`? accepted: tree, ring");
  EXPECT_EQ(accepted_names("banana", Names{"ring", "tree"}), "accepted: ring, tree");
  EXPECT_EQ(accepted_names("x", Names{}), "nothing is accepted here");
}

}  // namespace
}  // namespace soapstone::core
