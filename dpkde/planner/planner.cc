#include "dpkde/planner/planner.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "dpkde/base/exceptions.h"
#include "dpkde/base/float_environment.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"
#include "dpkde/designs/design.h"
#include "dpkde/designs/design_factory.h"
#include "dpkde/designs/directions.h"
#include "dpkde/designs/exponential_sum_design.h"
#include "dpkde/designs/fourier_design.h"
#include "dpkde/designs/landmark_design.h"
#include "dpkde/designs/lsq_rff_design.h"
#include "dpkde/designs/race_design.h"
#include "dpkde/designs/reduced_design.h"
#include "dpkde/designs/slice_design.h"
#include "dpkde/noise/mechanism.h"
#include "dpkde/similarity/resolution.h"

namespace dpkde {
namespace {

constexpr double kLatticeTolerances[] = {1e-2, 1e-3, 1e-4, 1e-5, 1e-6};
constexpr double kCellsPerBandwidth[] = {0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.4, 1.5, 2.0};
constexpr double kRidges[] = {1e-6, 1e-4, 1e-3};  // of cubic splines
constexpr double kLowDegreeRidge = 1e-4;          // of others, to which it matters less
constexpr uint32_t kMostHarmonics = 16384;
constexpr uint32_t kMostSlicePairs = 16384;
constexpr uint32_t kMostTreeLevels = 17;
constexpr uint32_t kFewestTreeProjections = 4;  // of l2
constexpr uint32_t kMostTreeProjections = 256;
constexpr uint32_t kMostProjectedTreeLevels = 8;
constexpr double kTreeAlphas[] = {0.01, 0.02, 0.05, 0.1, 0.2, 0.5};
constexpr double kFgtCellsPerBandwidth[] = {0.5, 0.7, 1.0, 1.4, 2.0, 2.8};
constexpr uint32_t kMostFgtTerms = 8;
constexpr double kExponentialTolerances[] = {0.1, 0.03, 0.01, 0.003};
constexpr uint32_t kMostRaceRows = 4096;
constexpr uint32_t kMostRaceCounters = 1 << 23;
constexpr uint32_t kRaceBuckets = 2048;
constexpr uint32_t kFewestFeatures = 32;
constexpr uint32_t kMostFeatures = 65536;
// More of them, which cost records and queries time in proportion, only where twice as many err less by this factor.
constexpr uint32_t kManyFeatures = 4096;
constexpr double kWorthTwiceTheFeatures = 0.95;

// Best first; of those within 1 % the one with fewest coordinates. What is typical of grids of a low degree is known
// less well, so of those within 5 %.
void SortCandidates(std::vector<Candidate>& candidates) {
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.typical_error() < b.typical_error(); });
  const double good_enough =
      candidates[0].typical_error() * (candidates[0].design.spline_grid().degree() > 0 ? 1.05 : 1.01);
  auto choice = candidates.begin();
  for (auto it = candidates.begin(); it != candidates.end() && it->typical_error() <= good_enough; ++it) {
    if (it->num_coordinates < choice->num_coordinates) choice = it;
  }
  std::rotate(candidates.begin(), choice, choice + 1);
}

class Planner {
 public:
  explicit Planner(const PlanInputs& inputs) : inputs_(inputs) {
    if (inputs.mechanism.has_value()) {
      mechanisms_ = {*inputs.mechanism};
    } else {
      mechanisms_ = {proto::KNORM, proto::LAPLACE};
      if (inputs.privacy.allows_gaussian()) mechanisms_.push_back(proto::GAUSSIAN);
    }
  }

  absl::StatusOr<PlanResult> Run() {
    DPKDE_RETURN_IF_ERROR(CheckFinite("public number of records", inputs_.public_n));
    if (inputs_.weights.has_value()) {
      DPKDE_RETURN_IF_ERROR(CheckPositive("weight bound", inputs_.weights->bound()));
    }
    const double similarity = ExpectedSimilarity().value_or(1);
    if (!(similarity > 0 && similarity <= 1)) {
      return absl::InvalidArgumentError(
          absl::StrCat("expected similarity must be greater than 0 and at most 1, but is ", similarity));
    }
    ranking_similarity_ = similarity;
    if (inputs_.similarity.is_kernel() && !ExpectedSimilarity().has_value()) {
      // Between all records in one place and records spread evenly, in the middle of a logarithmic scale.
      const absl::optional<double> evenly = TypicalSimilarity();
      if (evenly.has_value()) ranking_similarity_ = std::sqrt(*evenly);
      result_.assumptions.push_back(
          absl::StrCat("predicted errors are the worst case, all records in one place; the choice is for ",
                       evenly.has_value() ? absl::StrFormat("a mean similarity of %.2g", ranking_similarity_)
                                          : "records in many places",
                       "; a public guess of the mean similarity sharpens both"));
    }
    Consider("landmark", &Planner::AddLandmarks);
    Consider("spline_grid", &Planner::AddSplineGrids);
    Consider("lattice", &Planner::AddLattices);
    Consider("axis", &Planner::AddAxes);
    Consider("slice", &Planner::AddSlices);
    Consider("moments", &Planner::AddMoments);
    Consider("hadamard", &Planner::AddHadamard);
    Consider("orthogonal", &Planner::AddOrthogonal);
    Consider("monte_carlo", &Planner::AddMonteCarlo);
    // Published mechanisms, only if asked for.
    if (inputs_.design == "lsq_rff") Consider("lsq_rff", &Planner::AddLsqRff);
    if (inputs_.design == "lsq_fgt") Consider("lsq_fgt", &Planner::AddLsqFgt);
    if (inputs_.design == "exponential_sum") Consider("exponential_sum", &Planner::AddExponentialSums);
    if (inputs_.design == "race" || inputs_.similarity.is_hash_kernel()) {
      Consider("race", &Planner::AddRace);
    }
    for (const char* tree : {"tree", "tree_sums", "tree_centered"}) {
      if (inputs_.design == tree) Consider(tree, &Planner::AddTrees);
    }
    if (result_.candidates.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("no design is admissible: ", WhyNone()));
    }
    SortCandidates(result_.candidates);
    WarnOfFewRecords();
    return std::move(result_);
  }

 private:
  void Consider(const std::string& name, absl::Status (Planner::*add)()) {
    if (inputs_.design.has_value() && *inputs_.design != name) return;
    const absl::Status status = (this->*add)();
    if (!status.ok()) result_.exclusions.push_back(absl::StrCat(name, ": ", std::string(status.message())));
    if (status.ok()) {
      for (const auto& [what, why] : refusals_) result_.exclusions.push_back(absl::StrCat(what, ": ", why));
    }
    refusals_.clear();
  }

  // Adds the design under every mechanism.
  absl::Status Add(const proto::DesignSpec& spec, std::vector<CoordinateGroup> groups, double approximation_error,
                   absl::optional<double> typical_approximation_error = absl::nullopt) {
    size_t coordinates = 0;
    for (const CoordinateGroup& group : groups) coordinates += group.count;
    if (coordinates > inputs_.most_coordinates) {
      refusals_.emplace(absl::StrCat(DesignName(spec), " of more than ", inputs_.most_coordinates, " values"),
                        "too large for what it is asked for");
      return absl::OkStatus();
    }
    double unit = 1;
    if (inputs_.weights.has_value()) unit = inputs_.weights->bound();
    groups = PlannedGroups(std::move(groups), inputs_);
    const bool has_shape = std::any_of(groups.begin(), groups.end(),
                                       [](const CoordinateGroup& group) { return group.shape != GroupShape::kCross; });
    absl::Status refusal;
    bool added = false;
    for (proto::Mechanism kind : mechanisms_) {
      // Without shapes, K-norm noise is Laplace noise.
      if (kind == proto::KNORM && !has_shape && mechanisms_.size() > 1) continue;
      const absl::StatusOr<Mechanism> mechanism = Mechanism::Calibrate(kind, groups, inputs_.privacy);
      if (!mechanism.ok()) {
        // The other noises may do; of many sizes the first is enough to say why.
        refusal = mechanism.status();
        refusals_.emplace(absl::StrCat(DesignName(spec), " with ", MechanismName(kind), " noise"),
                          std::string(refusal.message()));
        continue;
      }
      added = true;
      Candidate candidate;
      candidate.design = spec;
      candidate.mechanism = kind;
      candidate.num_coordinates = coordinates;
      candidate.noise_error = unit * std::sqrt(mechanism->PredictedVariance()) / kGridUnit;
      candidate.approximation_error = unit * approximation_error;
      candidate.typical_approximation_error = unit * typical_approximation_error.value_or(approximation_error);
      result_.candidates.push_back(std::move(candidate));
    }
    return added ? absl::OkStatus() : refusal;
  }

  absl::Status AddDesign(const proto::DesignSpec& spec) {
    DPKDE_ASSIGN_OR_RETURN(const std::unique_ptr<Design> design,
                           CreateDesign(inputs_.similarity, inputs_.dimension, inputs_.domain, spec));
    return Add(spec, design->groups(), design->PredictedApproximationError(N(), ExpectedSimilarity().value_or(1)),
               design->TypicalApproximationError(N(), ranking_similarity_));
  }

  absl::Status AddLandmarks() {
    if (inputs_.landmarks == nullptr) return absl::InvalidArgumentError("needs public reference points");
    if (inputs_.weights.has_value() && inputs_.weights->allow_negative()) {
      return absl::InvalidArgumentError("needs weights of one sign");
    }
    for (size_t i = 0; i < inputs_.landmarks->ranks().size(); ++i) {
      proto::DesignSpec spec;
      *spec.mutable_landmark() = inputs_.landmarks->outline(i);
      const double error = LandmarkApproximationError(spec.landmark(), N());
      const double cautious = inputs_.landmarks->CautiousError(i, N());
      DPKDE_RETURN_IF_ERROR(Add(spec, LandmarkGroups(inputs_.similarity, spec.landmark()), error, cautious));
    }
    return absl::OkStatus();
  }

  absl::Status AddLattices() {
    for (double tolerance : kLatticeTolerances) {
      proto::DesignSpec spec;
      spec.mutable_lattice()->set_tolerance(tolerance);
      DPKDE_RETURN_IF_ERROR(AddDesign(spec));
    }
    return absl::OkStatus();
  }

  absl::Status AddAxes() {
    absl::Status status;
    bool added = false;
    for (uint32_t harmonics = 4; harmonics <= kMostHarmonics; harmonics *= 2) {
      proto::DesignSpec spec;
      spec.mutable_axis()->set_harmonics(harmonics);
      status = AddDesign(spec);
      if (!status.ok()) break;
      added = true;
    }
    return added ? absl::OkStatus() : status;
  }

  absl::Status AddSlices() {
    // The smallest one, to hear from the design whether its conditions hold.
    proto::DesignSpec spec;
    proto::SliceSpec& slice = *spec.mutable_slice();
    slice.set_directions(1);
    slice.set_harmonics(1);
    slice.set_public_seed(inputs_.public_seed);
    DPKDE_RETURN_IF_ERROR(CreateDesign(inputs_.similarity, inputs_.dimension, inputs_.domain, spec).status());
    const Domain& domain = *inputs_.domain;
    for (uint32_t harmonics = 1; harmonics <= 4095; harmonics = 2 * harmonics + 1) {
      slice.set_harmonics(harmonics);
      const double mean_square_bias = SliceMeanSquareBias(domain, harmonics);
      const uint32_t most = inputs_.dimension == 1 ? 1 : 2 * kMostSlicePairs / (harmonics + 1);
      for (uint32_t directions = inputs_.dimension == 1 ? 1 : 4; directions <= most; directions *= 2) {
        slice.set_directions(directions);
        DPKDE_RETURN_IF_ERROR(Add(spec, SliceGroups(domain, slice),
                                  SliceApproximationError(domain, slice, mean_square_bias, N()),
                                  TypicalSliceApproximationError(domain, slice, mean_square_bias, N())));
      }
    }
    return absl::OkStatus();
  }

  absl::Status AddMoments() {
    proto::DesignSpec spec;
    spec.mutable_moments();
    return AddDesign(spec);
  }

  absl::Status AddSplineGrids() {
    if (!inputs_.domain.has_value()) return absl::InvalidArgumentError("needs a domain");
    bool added = false;
    absl::Status last;
    std::vector<uint32_t> previous;
    for (double ratio : kCellsPerBandwidth) {
      std::vector<uint32_t> cells;
      for (size_t i = 0; i < inputs_.dimension; ++i) {
        const double count = std::ceil(inputs_.domain->width(i) / (ratio * inputs_.similarity.bandwidth()));
        cells.push_back(static_cast<uint32_t>(std::min(std::max(count, 1.0), 4294967295.0)));
      }
      if (cells == previous) continue;
      previous = cells;
      proto::DesignSpec spec;
      proto::SplineGridSpec& grid = *spec.mutable_spline_grid();
      *grid.mutable_cells() = {cells.begin(), cells.end()};
      const auto add = [&](double ridge) {
        grid.set_ridge(ridge);
        const absl::Status status = AddDesign(spec);
        if (status.ok()) {
          added = true;
        } else {
          last = status;
        }
        return status.ok();
      };
      for (double ridge : kRidges) {
        if (!add(ridge)) break;
      }
      for (uint32_t degree : {1, 2}) {
        grid.set_degree(degree);
        if (!add(kLowDegreeRidge)) break;
      }
    }
    return added ? absl::OkStatus() : last;
  }

  absl::Status AddHadamard() {
    proto::DesignSpec spec;
    spec.mutable_monte_carlo()->set_hadamard(true);
    return AddRandom(std::move(spec), kMostFeatures);
  }

  absl::Status AddOrthogonal() {
    proto::DesignSpec spec;
    spec.mutable_monte_carlo()->set_orthogonal(true);
    return AddRandom(std::move(spec), MostDenseFeatures());
  }

  absl::Status AddMonteCarlo() {
    proto::DesignSpec spec;
    spec.mutable_monte_carlo();
    // Of functions of Euclidean distance, the structured ones are better.
    return AddRandom(std::move(spec), inputs_.similarity.is_euclidean() ? kManyFeatures : MostDenseFeatures());
  }

  // Directions without structure take memory, and orthogonal ones time to draw, in proportion to the dimension.
  uint32_t MostDenseFeatures() const {
    uint32_t most = kMostFeatures;
    while (most > kManyFeatures && most * inputs_.dimension > kMostDirectionEntries) most /= 2;
    return most;
  }

  absl::Status AddRandom(proto::DesignSpec spec, uint32_t most) {
    uint32_t features = inputs_.features.value_or(kFewestFeatures);
    most = inputs_.features.value_or(most);
    // One feature, to hear from the design whether its conditions hold.
    spec.mutable_monte_carlo()->set_features(1);
    spec.mutable_monte_carlo()->set_public_seed(inputs_.public_seed);
    spec.mutable_monte_carlo()->set_stratified(true);
    DPKDE_RETURN_IF_ERROR(CreateDesign(inputs_.similarity, inputs_.dimension, inputs_.domain, spec).status());
    const double similarity = ExpectedSimilarity().value_or(1);
    double half_as_many = std::numeric_limits<double>::infinity();
    while (features <= most) {
      const size_t first = result_.candidates.size();
      spec.mutable_monte_carlo()->set_features(features);
      const double worst = MonteCarloApproximationError(N(), similarity, features);
      const double typical =
          TypicalMonteCarloApproximationError(N(), similarity, features, inputs_.dimension,
                                              spec.monte_carlo().orthogonal() || spec.monte_carlo().hadamard());
      // What is typical of others does not hold for a kernel that falls off as slowly as p_stable.
      DPKDE_RETURN_IF_ERROR(Add(spec, MonteCarloGroups(features), worst,
                                inputs_.similarity.kind() == proto::SimilaritySpec::P_STABLE ? worst : typical));
      if (features >= most) break;
      if (features < kManyFeatures) {
        // 32, 48, 64, 96, ..
        features = (features & (features - 1)) == 0 ? features / 2 * 3 : features / 3 * 4;
        continue;
      }
      double best = std::numeric_limits<double>::infinity();
      for (size_t i = first; i < result_.candidates.size(); ++i) {
        best = std::min(best, result_.candidates[i].typical_error());
      }
      if (best > kWorthTwiceTheFeatures * half_as_many) {
        result_.candidates.resize(first);
        break;
      }
      half_as_many = best;
      features *= 2;
    }
    return absl::OkStatus();
  }

  absl::Status AddLsqRff() {
    proto::DesignSpec spec;
    proto::LsqRffSpec& rff = *spec.mutable_lsq_rff();
    rff.set_features(1);
    rff.set_public_seed(inputs_.public_seed);
    DPKDE_RETURN_IF_ERROR(CreateDesign(inputs_.similarity, inputs_.dimension, inputs_.domain, spec).status());
    const double similarity = ExpectedSimilarity().value_or(1);
    const uint32_t most = inputs_.features.value_or(kMostFeatures);
    for (uint32_t features = inputs_.features.value_or(1); features <= most; features *= 2) {
      rff.set_features(features);
      DPKDE_RETURN_IF_ERROR(Add(spec, LsqRffGroups(features), LsqRffApproximationError(N(), similarity, features),
                                TypicalLsqRffApproximationError(N(), similarity, features, inputs_.dimension)));
    }
    return absl::OkStatus();
  }

  absl::Status AddExponentialSums() {
    proto::DesignSpec spec;
    proto::ExponentialSumSpec& exponentials = *spec.mutable_exponential_sum();
    exponentials.set_public_seed(inputs_.public_seed);
    const double similarity = ExpectedSimilarity().value_or(1);
    for (double tolerance : kExponentialTolerances) {
      exponentials.set_tolerance(tolerance);
      exponentials.set_features(1);
      DPKDE_RETURN_IF_ERROR(CreateDesign(inputs_.similarity, inputs_.dimension, inputs_.domain, spec).status());
      DPKDE_ASSIGN_OR_RETURN(const ExponentialSum sum,
                             MakeExponentialSum(inputs_.similarity, inputs_.domain, tolerance));
      for (uint32_t features = 1; features * sum.terms.size() <= kMostFeatures; features *= 2) {
        exponentials.set_features(features);
        const auto error = [&](bool typical) {
          return ExponentialSumApproximationError(inputs_.similarity, sum, N(), similarity, features, inputs_.dimension,
                                                  typical);
        };
        DPKDE_RETURN_IF_ERROR(Add(spec, ExponentialSumGroups(sum, features), error(false), error(true)));
      }
    }
    return absl::OkStatus();
  }

  absl::Status AddLsqFgt() {
    if (!inputs_.domain.has_value()) return absl::InvalidArgumentError("needs a domain");
    absl::Status status;
    bool added = false;
    for (double ratio : kFgtCellsPerBandwidth) {
      proto::DesignSpec spec;
      for (size_t i = 0; i < inputs_.dimension; ++i) {
        const double count = std::ceil(inputs_.domain->width(i) / (ratio * inputs_.similarity.bandwidth()));
        spec.mutable_lsq_fgt()->add_cells(static_cast<uint32_t>(std::min(std::max(count, 1.0), 4294967295.0)));
      }
      for (uint32_t terms = 1; terms <= kMostFgtTerms; ++terms) {
        spec.mutable_lsq_fgt()->set_terms(terms);
        status = AddDesign(spec);
        if (!status.ok()) break;
        added = true;
      }
    }
    return added ? absl::OkStatus() : status;
  }

  absl::Status AddRace() {
    proto::DesignSpec spec;
    proto::RaceSpec& race = *spec.mutable_race();
    race.set_rows(1);
    const uint32_t buckets = RaceBuckets(inputs_.similarity, kRaceBuckets);
    const double share = RaceShare(inputs_.similarity, buckets);
    race.set_buckets(buckets);
    race.set_public_seed(inputs_.public_seed);
    DPKDE_RETURN_IF_ERROR(CreateDesign(inputs_.similarity, inputs_.dimension, inputs_.domain, spec).status());
    for (uint32_t rows = 1; rows <= kMostRaceRows && rows * buckets <= kMostRaceCounters; rows *= 2) {
      race.set_rows(rows);
      DPKDE_RETURN_IF_ERROR(
          Add(spec, RaceGroups(rows, buckets, share),
              RaceApproximationError(N(), ExpectedSimilarity().value_or(1), rows, share),
              TypicalRaceApproximationError(inputs_.similarity, N(), ranking_similarity_, rows, share)));
    }
    return absl::OkStatus();
  }

  absl::Status AddTrees() {
    proto::DesignSpec spec;
    spec.mutable_tree()->set_variant(*inputs_.design == "tree"        ? proto::TreeSpec::RINGS
                                     : *inputs_.design == "tree_sums" ? proto::TreeSpec::SUMS
                                                                      : proto::TreeSpec::CENTERED);
    if (inputs_.similarity.kind() != proto::SimilaritySpec::L2) return AddTreeSizes(spec);
    absl::Status status;
    bool added = false;
    proto::ReductionSpec& projections = *spec.mutable_reduction();
    projections.set_public_seed(inputs_.public_seed);
    const uint32_t most = inputs_.reduce_to.value_or(kMostTreeProjections);
    for (uint32_t count = inputs_.reduce_to.value_or(kFewestTreeProjections); count <= most; count *= 2) {
      projections.set_dimension(count);
      status = AddTreeSizes(spec);
      if (!status.ok()) break;
      added = true;
    }
    return added ? absl::OkStatus() : status;
  }

  absl::Status AddTreeSizes(proto::DesignSpec spec) {
    proto::TreeSpec& tree = *spec.mutable_tree();
    absl::Status status;
    bool added = false;
    const uint32_t most = spec.has_reduction() ? kMostProjectedTreeLevels : kMostTreeLevels;
    for (uint32_t levels = 1; levels <= most; ++levels) {
      tree.set_levels(levels);
      for (double alpha : kTreeAlphas) {
        const bool rings = tree.variant() == proto::TreeSpec::RINGS;
        if (rings) tree.set_alpha(alpha);
        status = AddDesign(spec);
        if (!status.ok() || !rings) break;
      }
      if (!status.ok()) break;
      added = true;
    }
    return added ? absl::OkStatus() : status;
  }

  // The user's guess, or what the reference shows.
  absl::optional<double> ExpectedSimilarity() const {
    if (inputs_.expected_similarity.has_value() || inputs_.landmarks == nullptr || !inputs_.similarity.is_kernel()) {
      return inputs_.expected_similarity;
    }
    return std::min(std::max(inputs_.landmarks->mean_similarity(), 1e-300), 1.0);
  }

  // The mean similarity: the above, or, for products over the axes of a box, that of records and queries spread
  // evenly, which real data exceed; nullopt if neither is at hand.
  absl::optional<double> TypicalSimilarity() const {
    if (ExpectedSimilarity().has_value()) return ExpectedSimilarity();
    if (!inputs_.domain.has_value() || !inputs_.similarity.is_product()) return absl::nullopt;
    double similarity = 1;
    for (size_t i = 0; i < inputs_.dimension; ++i) {
      // The mean over |t| <= width of f(t) (1 - |t| / width), by the midpoint rule on a scale that resolves the kernel.
      constexpr int kSteps = 2000;
      const double width = inputs_.domain->width(i);
      const double reach = std::min(width, 40 * inputs_.similarity.bandwidth());
      double sum = 0;
      for (int step = 0; step < kSteps; ++step) {
        const double t = (step + 0.5) / kSteps * reach;
        sum += inputs_.similarity.EvaluateAxis(t) * (1 - t / width);
      }
      similarity *= std::min(1.0, 2 * sum * reach / kSteps / width);
    }
    return similarity;
  }

  // What to mend first, or everything.
  std::string WhyNone() const {
    if (inputs_.all_reasons) return absl::StrJoin(result_.exclusions, "; ");
    // A design that all but the budget admits; one that wants a domain; what was asked for; anything but landmarks, which
    // most do not have.
    const auto rank = [&](const std::string& exclusion) {
      if (absl::StrContains(exclusion, "epsilon")) return 0;
      if (!inputs_.domain.has_value() && absl::StrContains(exclusion, "a domain")) return 1;
      return absl::StartsWith(exclusion, "landmark: needs") ? 3 : 2;
    };
    const auto first =
        std::min_element(result_.exclusions.begin(), result_.exclusions.end(),
                         [&](const std::string& a, const std::string& b) { return rank(a) < rank(b); });
    if (first == result_.exclusions.end()) return "none is of that name";
    return *first;
  }

  void WarnOfFewRecords() {
    if (!inputs_.similarity.is_kernel()) return;
    const absl::optional<double> similarity = TypicalSimilarity();
    const double error = result_.candidates[0].typical_error();
    if (!similarity.has_value() || N() * *similarity >= 2 * error) return;
    result_.warnings.push_back(absl::StrFormat(
        "a typical answer, about %.3g records%s, is drowned by an error of about %.3g: the bandwidth makes too few "
        "records "
        "matter; use a larger one, or more epsilon",
        N() * *similarity, ExpectedSimilarity().has_value() ? "" : " if they were spread evenly", error));
  }

  double N() const { return std::max(inputs_.public_n, 0.0); }

  static constexpr size_t kMostDirectionEntries = 1 << 22;

  const PlanInputs& inputs_;
  std::vector<proto::Mechanism> mechanisms_;
  double ranking_similarity_ = 1;
  std::map<std::string, std::string> refusals_;  // of a design's noises, by name
  PlanResult result_;
};

}  // namespace

double Candidate::total_error() const { return std::hypot(noise_error, approximation_error); }

double Candidate::typical_error() const { return std::hypot(noise_error, typical_approximation_error); }

namespace {

// Whether coordinates are relative to one origin, and fine enough for the bandwidth.
absl::Status CheckCoordinates(const PlanInputs& inputs) {
  const LandmarkFit* const landmarks = inputs.landmarks.get();
  if (inputs.domain.has_value()) {
    if (landmarks != nullptr && landmarks->origin() != inputs.domain->origin()) {
      return absl::InvalidArgumentError("landmarks and domain must be relative to one origin");
    }
    return CheckResolution(inputs.similarity, *inputs.domain);
  }
  if (landmarks == nullptr) return absl::OkStatus();
  return CheckResolution(inputs.similarity, landmarks->Reach(), landmarks->origin());
}

// Plans for the reduced records; what the map errs is part of each candidate's approximation.
absl::StatusOr<PlanResult> PlanReduced(const PlanInputs& inputs, uint32_t dimension) {
  if (!inputs.similarity.is_euclidean()) {
    return absl::InvalidArgumentError(absl::StrCat("a reduction needs a function of Euclidean distance, which ",
                                                   inputs.similarity.name(), " is not"));
  }
  if (!inputs.domain.has_value()) return absl::InvalidArgumentError("a reduction needs a domain");
  PlanInputs reduced = inputs;
  reduced.dimension = dimension;
  DPKDE_ASSIGN_OR_RETURN(reduced.domain, ReducedDomain(*inputs.domain, dimension));
  reduced.landmarks = nullptr;
  reduced.reduce_to = absl::nullopt;
  DPKDE_ASSIGN_OR_RETURN(PlanResult result, Planner(reduced).Run());
  const double unit = inputs.weights.has_value() ? inputs.weights->bound() : 1;
  const double error =
      unit * ReductionError(inputs.similarity, *inputs.domain, dimension, std::max(inputs.public_n, 0.0));
  for (Candidate& candidate : result.candidates) {
    proto::ReductionSpec& reduction = *candidate.design.mutable_reduction();
    reduction.set_dimension(dimension);
    reduction.set_hadamard(inputs.dimension >= StructuredDirections::kLeastDimension);
    reduction.set_public_seed(inputs.public_seed);
    candidate.approximation_error = std::hypot(candidate.approximation_error, error);
    candidate.typical_approximation_error = std::hypot(candidate.typical_approximation_error, error);
  }
  SortCandidates(result.candidates);
  return result;
}

}  // namespace

absl::StatusOr<PlanResult> Plan(const PlanInputs& inputs) try {
  const DefaultFloatEnvironment environment;
  DPKDE_RETURN_IF_ERROR(CheckCoordinates(inputs));
  // Trees of l2 are planned with their reduction.
  const bool is_tree = inputs.design.has_value() && absl::StartsWith(*inputs.design, "tree");
  if (inputs.reduce_to.has_value() && !(is_tree && inputs.similarity.kind() == proto::SimilaritySpec::L2)) {
    return PlanReduced(inputs, *inputs.reduce_to);
  }
  DPKDE_ASSIGN_OR_RETURN(PlanResult result, Planner(inputs).Run());
  // Pure noise on moments grows with the root of the dimension; elsewhere a map saves time, not noise.
  if (inputs.similarity.kind() != proto::SimilaritySpec::L2_SQUARED || inputs.dimension < 64) return result;
  for (uint32_t dimension = 8; dimension < inputs.dimension; dimension *= 2) {
    DPKDE_ASSIGN_OR_RETURN(PlanResult reduced, PlanReduced(inputs, dimension));
    std::move(reduced.candidates.begin(), reduced.candidates.end(), std::back_inserter(result.candidates));
  }
  SortCandidates(result.candidates);
  return result;
} catch (...) {
  return StatusOfException();
}

std::vector<CoordinateGroup> PlannedGroups(std::vector<CoordinateGroup> groups, const PlanInputs& inputs) {
  if (inputs.weights.has_value()) groups = WeightedGroups(std::move(groups), inputs.weights->allow_negative());
  groups.back().least_share = std::max(groups.back().least_share, inputs.least_count_share);
  return groups;
}

proto::ReleasePlan MakeReleasePlan(const PlanInputs& inputs, const Candidate& candidate) {
  proto::ReleasePlan plan;
  *plan.mutable_similarity() = inputs.similarity.spec();
  plan.set_dimension(static_cast<uint32_t>(inputs.dimension));
  if (inputs.domain.has_value()) {
    *plan.mutable_domain() = inputs.domain->ToProto();
    *plan.mutable_origin() = {inputs.domain->origin().begin(), inputs.domain->origin().end()};
  } else if (inputs.landmarks != nullptr) {
    *plan.mutable_origin() = {inputs.landmarks->origin().begin(), inputs.landmarks->origin().end()};
  }
  *plan.mutable_design() = candidate.design;
  if (candidate.design.has_landmark() && candidate.design.landmark().points().empty()) {
    *plan.mutable_design()->mutable_landmark() = inputs.landmarks->Complete(candidate.design.landmark());
  }
  plan.set_mechanism(candidate.mechanism);
  *plan.mutable_privacy() = inputs.privacy.ToProto();
  if (inputs.weights.has_value()) *plan.mutable_weights() = *inputs.weights;
  plan.set_capacity(uint64_t{1} << 40);
  return plan;
}

absl::StatusOr<uint32_t> SuggestFeatures(double n, absl::optional<double> expected_similarity, double target) try {
  const DefaultFloatEnvironment environment;
  DPKDE_RETURN_IF_ERROR(CheckPositive("number of records", n));
  DPKDE_RETURN_IF_ERROR(CheckPositive("target error", target));
  const double s = expected_similarity.value_or(1);
  if (expected_similarity.has_value() && !(s > 0 && s < 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected similarity must be greater than 0 and less than 1, but is ", s));
  }
  // The error falls with the square root of the features.
  const double features = std::ceil(std::pow(MonteCarloApproximationError(n, s, 1) / target, 2));
  if (!(features <= 1 << 20)) {
    return absl::InvalidArgumentError(absl::StrCat("target error needs more than 2^20 features, ", features));
  }
  return static_cast<uint32_t>(std::max(features, 1.0));
} catch (...) {
  return StatusOfException();
}

absl::StatusOr<uint32_t> SuggestHarmonics(double n, const Domain& domain, double target) try {
  const DefaultFloatEnvironment environment;
  DPKDE_RETURN_IF_ERROR(CheckPositive("number of records", n));
  DPKDE_RETURN_IF_ERROR(CheckPositive("target error", target));
  double square = 0;
  for (size_t i = 0; i < domain.dimension(); ++i) square += domain.width(i) * domain.width(i);
  constexpr double kFactor = 0.23921;  // (4 / (3 pi^4))^(1/3), rounded up
  const double harmonics = std::ceil(kFactor * std::pow(n * std::sqrt(square) / target, 2.0 / 3));
  if (!(harmonics < 1 << 16)) {
    return absl::InvalidArgumentError(absl::StrCat("target error needs more than 2^16 harmonics, ", harmonics));
  }
  return static_cast<uint32_t>(std::max(harmonics, 1.0)) | 1;
} catch (...) {
  return StatusOfException();
}

std::string MechanismName(proto::Mechanism mechanism) {
  return absl::AsciiStrToLower(proto::Mechanism_Name(mechanism));
}

}  // namespace dpkde
