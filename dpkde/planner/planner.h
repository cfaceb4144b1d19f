#ifndef DPKDE_PLANNER_PLANNER_H_
#define DPKDE_PLANNER_PLANNER_H_

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "dpkde/planner/landmark_fit.h"
#include "dpkde/privacy/privacy_spec.h"
#include "dpkde/privacy/sensitivity.h"
#include "dpkde/proto/density.pb.h"
#include "dpkde/similarity/domain.h"
#include "dpkde/similarity/similarity.h"

namespace dpkde {

// Everything that planning may look at: public values only. There is deliberately no reader and no accumulator here.
struct PlanInputs {
  Similarity similarity;
  size_t dimension = 0;
  // May have an origin (CenteredBox), to which landmarks are then relative too; the plan gets it.
  absl::optional<Domain> domain;
  // What the release may spend.
  PrivacySpec privacy;
  // A public number of records: the row count under REPLACE, a guess or a noised count under ADD_REMOVE. Never the row
  // count of a private file: the choice would publish it.
  double public_n = 0;
  // A public guess of the mean of f over records and queries; nullopt: predictions
  // are for 1, the worst case, all records in one place; the ranking for the geometric mean of that and of records
  // spread evenly over the domain (or, where there is none to speak of, for the similarity that is hardest).
  absl::optional<double> expected_similarity = absl::nullopt;
  // Set for weighted sums; public. Predictions are then for weights of the bound each.
  absl::optional<proto::WeightSpec> weights = absl::nullopt;
  // Restricts the designs to one name (DesignName); nullopt: all but those of published mechanisms
  // (race is considered for kernels of hashes: angular has no other).
  absl::optional<std::string> design = absl::nullopt;
  // Restricts the noise; nullopt: all that the privacy allows.
  absl::optional<proto::Mechanism> mechanism = absl::nullopt;
  // Maps records and queries to so many dimensions first (reduced_design.h); nullopt: only where that is found to help.
  absl::optional<uint32_t> reduce_to = absl::nullopt;
  // Fixes the number of Monte-Carlo features; nullopt: chosen.
  absl::optional<uint32_t> features = absl::nullopt;
  // Of the budget, for the count, if that is more than the design gives it; in [0, 1). For whom means matter more than
  // sums.
  double least_count_share = 0;
  // Leaves out what has more coordinates, such as what many releases at a time could not hold.
  size_t most_coordinates = std::numeric_limits<size_t>::max();
  // Where no design is admissible: whether the error says why of each, or only what to mend first.
  bool all_reasons = true;
  uint64_t public_seed = 0;
  // Landmark designs from public reference points; nullptr: none are at hand. Also tells the expected similarity where
  // the user does not.
  std::shared_ptr<const LandmarkFit> landmarks = nullptr;
};

// One admissible combination and the error to expect of it, in units of the sum.
struct Candidate {
  // Complete, but for the points and the projection of landmarks, which MakeReleasePlan puts in.
  proto::DesignSpec design;
  proto::Mechanism mechanism = proto::MECHANISM_UNSPECIFIED;
  size_t num_coordinates = 0;
  // Root mean square over queries uniform in the domain (landmarks: like the reference): of the noise, exact, and of
  // the approximation, predicted.
  double noise_error = 0;
  double approximation_error = 0;
  double total_error() const;
  // The same for records spread over many places, where approximation errors partly cancel; the ranking goes by it. An
  // estimate: approximation_error is what clustered records may come to.
  double typical_approximation_error = 0;
  double typical_error() const;
};

struct PlanResult {
  // Best first. Never empty.
  std::vector<Candidate> candidates;
  // Why the others were left out: "lattice: needs a domain".
  std::vector<std::string> exclusions;
  // What was assumed for want of a hint, in words.
  std::vector<std::string> assumptions;
  // What the user should know before paying: that so few records matter to an answer that noise drowns them.
  std::vector<std::string> warnings;
};

// Predicts the error of every admissible design, noise and size, and sorts by what is typical: sqrt(noise^2 +
// typical approximation^2). Candidates within 1 % of the best (5 % of a grid of a low degree) are considered equal, and
// the one with fewest coordinates is put first.
//
// Sizes considered: landmark ranks 1 to 1,024 (LandmarkFit); axis harmonics 2^2 .. 2^14; slices of 4, 8, .. directions
// and 1, 3, 7, .. harmonics, up to 2^14 pairs; lattice tolerance 10^-2 .. 10^-6; spline cells of 0.35 to 2 bandwidths,
// cubic with three ridges, linear and quadratic; 2^5, 3 2^4, 2^6, .. 2^12 Monte-Carlo features, and on to 2^16 while
// twice as many, which cost a record and a query twice the time, err less by 5 % (in 16 dimensions a query then takes
// some 50 microseconds and a record 95; so many only of `orthogonal` up to 2^22 / dimension, of `hadamard`, and of
// kernels that have neither). Where they are asked for: 2^0 .. 2^16 lsq_rff features, as many of all terms of sums of
// exponentials, for four tolerances; trees of 1 to 17 levels, rings of six ratios, of l2 on 4, 8, .. 256 projections
// and to 8 levels; fast Gauss transforms with cells of 0.5 to 2.8 bandwidths and 1 to 8 terms; 2^0 .. 2^12 rows of 2048
// counters (of p_stable and angular always; angular: 2^p counters).
//
// kInvalidArgument if nothing is admissible, with the reasons, and where float32 is too coarse for the bandwidth
// (CheckResolution). No privacy effect: reads public values only.
absl::StatusOr<PlanResult> Plan(const PlanInputs& inputs);

// The groups that noise is planned for, of a design with these.
std::vector<CoordinateGroup> PlannedGroups(std::vector<CoordinateGroup> groups, const PlanInputs& inputs);

// The plan of a candidate, ready for Accumulator::Create.
proto::ReleasePlan MakeReleasePlan(const PlanInputs& inputs, const Candidate& candidate);

// The least number of Monte-Carlo features for an approximation error of at most `target` in a sum over n records: m =
// n^2 v / target^2, rounded up, with v = s (1 - s) for a mean similarity s, and 1/2 where none is known
// (MonteCarloApproximationError). kInvalidArgument unless n and target are finite and positive, 0 < s < 1, and m is at
// most 2^20.
absl::StatusOr<uint32_t> SuggestFeatures(double n, absl::optional<double> expected_similarity, double target);

// The highest harmonic of the axis design of l1 in a box for a root-mean-square approximation error of at most `target`
// in a sum over n records, whatever they are: K = (4 / (3 pi^4))^(1/3) (n R / target)^(2/3), rounded up to an odd
// number, R the box's diagonal; the terms beyond K have mean square R_i^2 / 2 sum_{odd k > K} (4 / (pi k)^2)^2 on each
// axis. kInvalidArgument unless n and target are finite and positive, and K is at most 2^16.
absl::StatusOr<uint32_t> SuggestHarmonics(double n, const Domain& domain, double target);

// "laplace", "gaussian".
std::string MechanismName(proto::Mechanism mechanism);

}  // namespace dpkde

#endif  // DPKDE_PLANNER_PLANNER_H_
