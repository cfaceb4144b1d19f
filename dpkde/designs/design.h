#ifndef DPKDE_DESIGNS_DESIGN_H_
#define DPKDE_DESIGNS_DESIGN_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/privacy/sensitivity.h"
#include "dpkde/proto/density.pb.h"

namespace dpkde {

// Every design counts in units of 2^-kGridBits: a feature of 1 is the integer 2^20. Fine enough that rounding is far
// below any noise, coarse enough that 2^40 records fit into 63 bits.
inline constexpr int kGridBits = 20;
inline constexpr int64_t kGridUnit = int64_t{1} << kGridBits;

// A sensitivity in grid units, rounded up, and past what `value` may have lost to rounding.
uint64_t GridUnitsUp(double value);

// The group of the count: one unit a record, so its sensitivity is one unit under ADD_REMOVE and 0 under REPLACE.
// `coefficient` is c in an answer's part c * n. Its least share of the budget, 1 %, keeps means (sum / count) useful
// where c is small.
CoordinateGroup CountGroup(size_t coordinate, double coefficient);

// The group of coordinates first and first + stride that a record changes by a vector of a disk: L2 at most `radius`,
// so L1 at most sqrt(2) radius, and twice both under REPLACE, a difference of two such vectors. `coefficient` is c in
// an answer's part c (cos * a + sin * b).
CoordinateGroup DiskGroup(size_t first, size_t stride, int64_t radius, double coefficient);

// A released number is believed to be within so many standard deviations of its noise: what is said to bound an error
// "whatever the data" holds where that is so. Even of Laplace noise only one release in 2.7 million goes beyond, to
// either side. Post-processing, no privacy effect.
constexpr double kPlausibleSds = 10;

// An answer before it is put into words; all of the sum.
struct Answer {
  double sum = 0;
  // Var of the noise in `sum`, exact: it does not depend on the data.
  double noise_variance = 0;
  // Cov of the noise in `sum` and in the released count (in records).
  double count_covariance = 0;
  // Random designs: the estimated variance of approximation and noise together; nullopt for deterministic ones.
  absl::optional<double> total_variance;
  // |E sum - S(y)| is at most this for every number of records and every residual that is plausible (kPlausibleSds);
  // nullopt if nothing is known of this query in particular (see Design::SupError).
  absl::optional<double> bias_bound;
  // The release itself shows that the data are unlike what total_variance was planned for; bias_bound still holds.
  bool is_unlike_plan = false;
};

// A released vector made ready for queries. Immutable; thread-safe.
class ReleasedFunction {
 public:
  virtual ~ReleasedFunction() = default;

  // answers[i] for query row i; queries are finite and, where the design needs it, inside the domain. Post-processing:
  // no privacy effect, and nothing is drawn.
  virtual void Evaluate(MatrixView queries, absl::Span<Answer> answers) const = 0;

  // Replaces the function by the nearest that has the shape of an exact sum over records of non-negative weight, where
  // one is known: tables of l1 and of lp_power for p >= 1 are made convex. Post-processing. To be called before the
  // first Evaluate.
  virtual void Project() {}
};

// A design writes a similarity as f(x, y) = <phi(x), psi(y)>, nearly, with public maps phi and psi. Its integer form
// q(x) = round(2^20 phi(x)) is what an accumulator adds up:
//
//   std::vector<int64_t> sums(design.num_coordinates());
//   design.Accumulate(rows, absl::MakeSpan(sums));          // raw, private
//
// Purity: q(x) is a function of the record's bytes and of public parameters alone: not of its row, its batch, the
// thread or the machine. So neighbouring datasets differ by exactly one q(x) (ADD_REMOVE) or q(x) - q(x') (REPLACE),
// whatever the order and batching, and the norms below bound that difference for every x, NaN and infinities included.
// That holds under the default floating-point environment (DefaultFloatEnvironment), which a design does not set:
// accumulators do, and ThreadPool does around every body. Whoever else calls Accumulate must; elsewhere, where threads
// differ in their environment, one record may move sums by more than its norms.
//
// The last coordinate is always the number of records (in grid units), public under REPLACE and then without noise.
//
// Immutable; thread-safe.
class Design {
 public:
  virtual ~Design() = default;

  virtual size_t dimension() const = 0;
  size_t num_coordinates() const { return count_coordinate() + 1; }
  virtual size_t count_coordinate() const = 0;

  // The complete description: what CreateDesign needs to make an equal design.
  virtual const proto::DesignSpec& spec() const = 0;

  // Disjoint groups that cover all coordinates, with proven sensitivities. The proofs must also hold for records scaled
  // by weights in [0, 1] (AccumulateWeighted); for the count see WeightedGroups.
  virtual const std::vector<CoordinateGroup>& groups() const = 0;

  // The largest |q_j(x)| of any record and coordinate: by default what the groups' norms bound.
  virtual uint64_t LargestCoordinate() const;

  // Adds q(x) of each row (rows x dimension(), any floats) to sums, of length num_coordinates(). Records outside the
  // domain are clamped first.
  virtual void Accumulate(MatrixView rows, absl::Span<int64_t> sums) const = 0;

  // Adds, for each row x, round(w 2^-20 q(x)) coordinate by coordinate, w the row's weight: |w| <= 2^20. Rounding to
  // the nearest integer does not lead beyond |q_j|, which is one; so whatever bounds the absolute values of q(x), norms
  // and shapes alike, bounds those of the weighted vector, and non-negative vectors stay so for w >= 0. As pure as
  // Accumulate. One record at a time, so up to a few times slower; memory: a vector more.
  virtual void AccumulateWeighted(MatrixView rows, absl::Span<const int32_t> weights, absl::Span<int64_t> sums) const;

  // `values` are released sums in grid units, `variances` the noise variance of each group in squared grid units.
  virtual std::unique_ptr<ReleasedFunction> MakeReleasedFunction(absl::Span<const int64_t> values,
                                                                 absl::Span<const double> variances) const = 0;

  // sup |f(x, y) - <phi(x), psi(y)>| over records and queries in the domain; nullopt where no bound holds for certain
  // (random designs). The bias of a sum is at most n times as large.
  virtual absl::optional<double> SupError() const = 0;

  // Root mean square of the approximation error of a sum over n records, before any data is seen. `expected_similarity`
  // is the public guess of the mean of f(x, y) over records and queries (and over pairs of records), 1 if there is
  // none: the worst case.
  virtual double PredictedApproximationError(double n, double expected_similarity) const = 0;

  // The same for records that are spread over many places, as most data are, instead of the worst that have this mean
  // similarity: what the planner ranks by. An estimate, not a bound; by default the above.
  virtual double TypicalApproximationError(double n, double expected_similarity) const {
    return PredictedApproximationError(n, expected_similarity);
  }

  // Where queries have an answer: lattices alias outside the box around the domain, slices outside the domain itself.
  // Other designs extend: they answer with the similarity to the clamped records.
  enum class QueryRegion { kEverywhere, kBoundingBox, kDomain };
  virtual QueryRegion query_region() const { return QueryRegion::kEverywhere; }
};

// So many records, at most, that their sums stay below 2^62.
uint64_t LargestCapacity(const Design& design);

// The groups of weighted sums, for weights that are at most 1 and at least 0 or -1. ADD_REMOVE: as they are, see
// AccumulateWeighted. REPLACE: for non-negative weights as they are, but that the count, now the sum of weights,
// changes by up to one unit and is no longer public; for signed ones twice ADD_REMOVE, a difference of two vectors. The
// count is the last group, as in every design.
std::vector<CoordinateGroup> WeightedGroups(std::vector<CoordinateGroup> groups, bool allow_negative);

// round(weight 2^-20 value), half away from zero; |weight| <= 2^20, |value| < 2^42.
inline int64_t ScaleByWeight(int64_t value, int32_t weight) {
  const int64_t product = value * weight;
  constexpr int64_t kHalf = kGridUnit / 2;
  return product >= 0 ? (product + kHalf) / kGridUnit : -((kHalf - product) / kGridUnit);
}

}  // namespace dpkde

#endif  // DPKDE_DESIGNS_DESIGN_H_
