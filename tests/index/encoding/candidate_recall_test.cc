#include "dpkde/index/encoding/candidate_recall.h"

#include <gtest/gtest.h>

#include <vector>

namespace dpkde {
namespace {

TEST(CandidateRecallTest, CountsTheBestAmongTheCandidates) {
  const std::vector<float> exact = {5, 4, 3, 2, 1};
  const std::vector<float> estimates = {1, 9, 0, 8, 7};  // order of documents: 1, 3, 4, 0, 2
  EXPECT_EQ(CandidateRecall(estimates, exact, 1, 1, 3), 0);
  EXPECT_EQ(CandidateRecall(estimates, exact, 1, 1, 4), 1);
  EXPECT_EQ(CandidateRecall(estimates, exact, 1, 2, 1), 0.5);
  EXPECT_DOUBLE_EQ(CandidateRecall(estimates, exact, 1, 3, 4), 2 / 3.0);
  EXPECT_EQ(CandidateRecall(estimates, exact, 1, 100, 100), 1);
  EXPECT_EQ(CandidateRecall(exact, exact, 1, 2, 2), 1);
}

TEST(CandidateRecallTest, DuplicatesAreAsGood) {
  // Documents 0 and 1 are equal but for rounding: either is the best.
  const std::vector<float> exact = {2.000001f, 2, 1};
  EXPECT_EQ(CandidateRecall({0, 1, 0}, exact, 1, 1, 1), 1);
  EXPECT_EQ(CandidateRecall({0, 0, 1}, exact, 1, 1, 1), 0);
  EXPECT_EQ(CandidateRecall({0, 1, 0}, {2.00001f, 2, 1}, 1, 1, 1), 0);  // another score
  for (const float scale : {1e-6f, 1e6f}) {
    EXPECT_EQ(CandidateRecall({0, 1, 0}, {2.000001f * scale, 2 * scale, scale}, 1, 1, 1), 1);
    EXPECT_EQ(CandidateRecall({0, 1, 0}, {2.00001f * scale, 2 * scale, scale}, 1, 1, 1), 0);
  }
  EXPECT_EQ(CandidateRecall({0, 0, 0}, exact, 1, 1, 1), 1);      // equal estimates: the first row
  EXPECT_EQ(CandidateRecall({1, 1, 0}, {1, 1, 1}, 1, 1, 2), 1);  // never above 1
}

TEST(CandidateRecallTest, IsTheMeanOverQueries) {
  EXPECT_EQ(CandidateRecall({1, 0, 1, 0}, {1, 0, 0, 1}, 2, 1, 1), 0.5);
  EXPECT_EQ(CandidateRecall({}, {}, 0, 1, 1), 1);
  EXPECT_EQ(CandidateRecall({}, {}, 3, 1, 1), 1);
}

}  // namespace
}  // namespace dpkde
