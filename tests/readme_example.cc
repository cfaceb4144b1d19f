// The example of README.md, compiled; readme_test.sh holds the two together.

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/noise/bit_source.h"
#include "dpkde/planner/planner.h"
#include "dpkde/sketch/accumulator.h"
#include "dpkde/sketch/release.h"
#include "tests/testing/vectors.h"

// Makes a release of `records`, private, and answers `queries` from it.
absl::StatusOr<std::vector<dpkde::DensityEstimate>> PrivateDensity(dpkde::MatrixView records, dpkde::MatrixView queries) {
  dpkde::proto::SimilaritySpec spec;
  spec.set_kind(dpkde::proto::SimilaritySpec::GAUSSIAN);
  spec.set_bandwidth(1.0);
  DPKDE_ASSIGN_OR_RETURN(dpkde::Similarity similarity, dpkde::Similarity::Create(spec));
  DPKDE_ASSIGN_OR_RETURN(dpkde::Domain domain, dpkde::Domain::CenteredBox({-180, 15}, {-60, 72}));
  DPKDE_ASSIGN_OR_RETURN(dpkde::PrivacySpec privacy, dpkde::PrivacySpec::Pure(1.0, dpkde::Neighboring::kAddRemove));

  dpkde::PlanInputs inputs{similarity, /*dimension=*/2, domain, privacy};
  inputs.public_n = 40000;  // a public guess, never the number of private records
  DPKDE_ASSIGN_OR_RETURN(dpkde::PlanResult planned, dpkde::Plan(inputs));

  dpkde::ThreadPool pool;
  DPKDE_ASSIGN_OR_RETURN(dpkde::Accumulator accumulator,
                         dpkde::Accumulator::Create(dpkde::MakeReleasePlan(inputs, planned.candidates[0]),
                                                    dpkde::Accumulator::BadRecords::kFail, pool));
  DPKDE_RETURN_IF_ERROR(accumulator.Add(records));  // any number of batches; Merge() joins shards

  dpkde::SystemBitSource noise;
  DPKDE_ASSIGN_OR_RETURN(dpkde::Release release, std::move(accumulator).Privatize(noise));
  return release.Estimate(queries, pool);
}

TEST(ReadmeExampleTest, Answers) {
  const dpkde::Points records = dpkde::LoadPoints("tests/testdata/us_zipcodes.npy");
  const std::vector<float> new_york = {-74.006f, 40.7128f};
  const auto estimates = PrivateDensity(records.view(), {new_york.data(), 1, 2});
  ASSERT_TRUE(estimates.ok()) << estimates.status();
  EXPECT_NEAR((*estimates)[0].sum, 1763, 8 * (*estimates)[0].std_error);
}
