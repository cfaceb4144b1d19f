#include "dpkde/tools/density_options.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"
#include "dpkde/designs/design.h"
#include "dpkde/designs/design_factory.h"
#include "dpkde/designs/landmark_design.h"
#include "dpkde/noise/mechanism.h"
#include "dpkde/tools/exit_code.h"
#include "dpkde/tools/reference_points.h"
#include "dpkde/tools/shared_flags.h"
#include "dpkde/tools/subcommand.h"
#include "dpkde/tools/suggestion.h"

ABSL_FLAG(
    std::string, similarity, "",
    "`NAME`. Kernels, with r_p = |x-y|_p and h = --bandwidth: gaussian exp(-r_2^2 / (2 h^2)); laplacian exp(-r_1 / h); "
    "exponential exp(-r_2 / h); matern (--nu); rational_quadratic (1 + r_2^2 / (2 a h^2))^-a (--alpha); cauchy "
    "1 / (1 + r_2^2 / h^2); inverse_l2 1 / (1 + r_2 / h); inverse_l1; product_cauchy; p_stable, the collisions of "
    "floor((<a, x> + b) / h); angular (1 - angle / pi)^p (--p; no bandwidth). Distances: l1, lp_power (--p), "
    "l2, l2_squared. Products: cosine, inner_product.");
ABSL_FLAG(absl::optional<double>, nu, absl::nullopt, "Smoothness of matern: 0.5, 1.5 or 2.5.");
ABSL_FLAG(absl::optional<double>, alpha, absl::nullopt, "Exponent of rational_quadratic; > 0.");
ABSL_FLAG(absl::optional<double>, p, absl::nullopt,
          "Power of lp_power, in (0, 2], and of angular, a whole number up to 16.");
ABSL_FLAG(std::string, design, "auto",
          "`NAME`: auto, landmark (needs --reference), spline_grid, lattice, axis, slice, moments, monte_carlo, "
          "orthogonal or "
          "hadamard. Published mechanisms, for comparison, which auto never takes: lsq_rff, lsq_fgt, race, "
          "exponential_sum, tree, tree_sums, tree_centered.");
ABSL_FLAG(absl::optional<uint32_t>, features, absl::nullopt, "Number of Monte-Carlo features; left out: planned.");
ABSL_FLAG(
    absl::optional<uint32_t>, reduce_to, absl::nullopt,
    "Maps records and queries to so many dimensions first, by a random map; functions of Euclidean distance with a "
    "domain only. With l2 and a tree: the number of projections, each with a tree of its own.");
ABSL_FLAG(absl::optional<double>, expected_similarity, absl::nullopt,
          "Public guess of the mean similarity of records and queries, in (0, 1], for planning. Left out: 1, the worst "
          "case.");
ABSL_FLAG(std::string, landmark_choice, "kmeans",
          "How a --reference of more than 2,048 points becomes so many landmarks: `kmeans|leverage|uniform`.");

namespace dpkde {
namespace {

// All but KIND_UNSPECIFIED.
std::vector<std::string> SimilarityNames() {
  std::vector<std::string> names;
  const auto* kinds = proto::SimilaritySpec::Kind_descriptor();
  for (int i = 1; i < kinds->value_count(); ++i) names.push_back(absl::AsciiStrToLower(kinds->value(i)->name()));
  return names;
}

}  // namespace

absl::StatusOr<DensityOptions> DensityOptions::Parse() {
  if (absl::GetFlag(FLAGS_similarity).empty()) return UsageError("--similarity is missing");
  const auto kind = SimilarityKindFromName(absl::GetFlag(FLAGS_similarity));
  if (!kind.ok()) {
    return UsageError(absl::StrCat(std::string(kind.status().message()),
                                   DidYouMean(absl::GetFlag(FLAGS_similarity), SimilarityNames())));
  }
  proto::SimilaritySpec spec;
  spec.set_kind(*kind);
  if (const auto bandwidth = absl::GetFlag(FLAGS_bandwidth); bandwidth.has_value()) {
    // Zero stands for "unset" in the message, but not on a command line.
    DPKDE_RETURN_IF_ERROR(FlagError(CheckPositive("--bandwidth", *bandwidth)));
    spec.set_bandwidth(*bandwidth);
  } else if (*kind <= proto::SimilaritySpec::PRODUCT_CAUCHY) {
    return UsageError("--bandwidth is missing");
  }
  spec.set_nu(absl::GetFlag(FLAGS_nu).value_or(0));
  spec.set_alpha(absl::GetFlag(FLAGS_alpha).value_or(0));
  spec.set_p(absl::GetFlag(FLAGS_p).value_or(0));
  const absl::StatusOr<Similarity> similarity = Similarity::Create(spec);
  if (!similarity.ok()) return FlagError(similarity.status());
  DensityOptions options{*similarity};

  const std::string design = absl::GetFlag(FLAGS_design);
  DPKDE_RETURN_IF_ERROR(CheckChoice(
      "design", design,
      {"auto", "landmark", "spline_grid", "lattice", "axis", "slice", "moments", "monte_carlo", "orthogonal",
       "hadamard", "lsq_rff", "lsq_fgt", "race", "exponential_sum", "tree", "tree_sums", "tree_centered"}));
  if (design != "auto") options.design = design;
  options.features = absl::GetFlag(FLAGS_features);
  if (options.features.has_value()) {
    DPKDE_RETURN_IF_ERROR(FlagError(CheckInRange("--features", *options.features, 1, 1 << 20)));
    if (design != "monte_carlo" && design != "orthogonal" && design != "hadamard" && design != "lsq_rff") {
      return UsageError(
          "--features needs --design=monte_carlo, --design=orthogonal, --design=hadamard or --design=lsq_rff");
    }
  }
  options.reduce_to = absl::GetFlag(FLAGS_reduce_to);
  if (options.reduce_to.has_value()) {
    DPKDE_RETURN_IF_ERROR(FlagError(CheckInRange("--reduce_to", *options.reduce_to, 1, 65535)));
  }
  if (!absl::GetFlag(FLAGS_reference).empty()) {
    if (design != "auto" && design != "landmark") {
      return UsageError("--reference needs --design=landmark, or none");
    }
    if (!HasLandmarks(options.similarity)) {
      return UsageError(absl::StrCat("--reference is not taken by ", options.similarity.name(),
                                     ", which is neither a kernel nor a distance that landmarks serve"));
    }
  } else if (design == "landmark") {
    return UsageError("--design=landmark needs --reference");
  }
  const std::string choice = absl::GetFlag(FLAGS_landmark_choice);
  DPKDE_RETURN_IF_ERROR(CheckChoice("landmark_choice", choice, {"kmeans", "leverage", "uniform"}));
  options.landmark_choice = choice == "leverage"  ? LandmarkChoice::kLeverage
                            : choice == "uniform" ? LandmarkChoice::kUniform
                                                  : LandmarkChoice::kKMeans;
  options.expected_similarity = absl::GetFlag(FLAGS_expected_similarity);
  if (const auto s = options.expected_similarity; s.has_value() && !(*s > 0 && *s <= 1)) {
    return UsageError(absl::StrCat("--expected_similarity must be greater than 0 and at most 1, but is ", *s));
  }
  return options;
}

std::vector<std::string> DensityOptions::Given() {
  std::vector<std::string> given;
  const auto add = [&](const char* name, bool is_given) {
    if (is_given) given.push_back(name);
  };
  add("--similarity", !absl::GetFlag(FLAGS_similarity).empty());
  add("--bandwidth", absl::GetFlag(FLAGS_bandwidth).has_value());
  add("--nu", absl::GetFlag(FLAGS_nu).has_value());
  add("--alpha", absl::GetFlag(FLAGS_alpha).has_value());
  add("--p", absl::GetFlag(FLAGS_p).has_value());
  add("--design", absl::GetFlag(FLAGS_design) != "auto");
  add("--features", absl::GetFlag(FLAGS_features).has_value());
  add("--reduce_to", absl::GetFlag(FLAGS_reduce_to).has_value());
  add("--expected_similarity", absl::GetFlag(FLAGS_expected_similarity).has_value());
  add("--landmark_choice", absl::GetFlag(FLAGS_landmark_choice) != "kmeans");
  return given;
}

std::vector<std::string> DensityOptions::AssertedPublic() const {
  std::vector<std::string> asserted = {"similarity and its parameters"};
  if (expected_similarity.has_value()) asserted.push_back("expected similarity");
  if (design.has_value()) asserted.push_back("design");
  if (features.has_value()) asserted.push_back("features");
  if (reduce_to.has_value()) asserted.push_back("reduced dimension");
  if (landmark_choice != LandmarkChoice::kKMeans) asserted.push_back("landmark choice");
  return asserted;
}

absl::Status PrintDensityPlan(const PlanInputs& inputs, const PlanResult& plan) {
  absl::PrintF("n = %.10g\n%-40s %-9s %12s %12s %12s %12s %12s\n", inputs.public_n, "design", "noise", "values",
               "noise_rmse", "approx_rmse", "total_rmse", "typical_rmse");
  for (const Candidate& candidate : plan.candidates) {
    absl::PrintF("%-40s %-9s %12d %12.5g %12.5g %12.5g %12.5g%s\n", DescribeDesign(candidate.design),
                 MechanismName(candidate.mechanism), candidate.num_coordinates, candidate.noise_error,
                 candidate.approximation_error, candidate.total_error(), candidate.typical_error(),
                 &candidate == &plan.candidates[0] ? "  <- chosen" : "");
  }
  for (const std::string& exclusion : plan.exclusions) absl::PrintF("left out: %s\n", exclusion);
  for (const std::string& assumption : plan.assumptions) absl::PrintF("assumed: %s\n", assumption);
  for (const std::string& warning : plan.warnings) absl::PrintF("warning: %s\n", warning);

  const Candidate& choice = plan.candidates[0];
  DPKDE_ASSIGN_OR_RETURN(
      const std::unique_ptr<Design> design,
      CreateDesign(inputs.similarity, inputs.dimension, inputs.domain, MakeReleasePlan(inputs, choice).design()));
  const std::vector<CoordinateGroup> groups = PlannedGroups(design->groups(), inputs);
  DPKDE_ASSIGN_OR_RETURN(const Mechanism mechanism, Mechanism::Calibrate(choice.mechanism, groups, inputs.privacy));
  const auto variances = std::minmax_element(mechanism.variances().begin(), mechanism.variances().end());
  absl::PrintF("chosen: %s, %s noise; scales (standard deviations) of %.6g to %.6g records; spends %s\n",
               DescribeDesign(choice.design), MechanismName(choice.mechanism), std::sqrt(*variances.first) / kGridUnit,
               std::sqrt(*variances.second) / kGridUnit,
               inputs.privacy.rho().has_value()
                   ? absl::StrFormat("rho = %.10g", mechanism.guarantee().rho)
                   : absl::StrFormat("epsilon = %.10g, delta = %.10g", mechanism.guarantee().epsilon,
                                     mechanism.guarantee().delta));
  const Sensitivity& first = SensitivityOf(groups[0], inputs.privacy.neighboring());
  absl::PrintF("sensitivity of each of %d groups: L1 %.8g, L2 %.8g; of the %s: %d\n\n", groups.size() - 1,
               static_cast<double>(first.l1) / kGridUnit, static_cast<double>(first.l2) / kGridUnit,
               inputs.weights.has_value() ? "sum of weights, in bounds" : "count",
               SensitivityOf(groups.back(), inputs.privacy.neighboring()).l1 / kGridUnit);
  return absl::OkStatus();
}

}  // namespace dpkde
