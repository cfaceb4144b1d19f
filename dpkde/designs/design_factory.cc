#include "dpkde/designs/design_factory.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/designs/axis_design.h"
#include "dpkde/designs/exponential_sum_design.h"
#include "dpkde/designs/fourier_design.h"
#include "dpkde/designs/landmark_design.h"
#include "dpkde/designs/lsq_fgt_design.h"
#include "dpkde/designs/lsq_rff_design.h"
#include "dpkde/designs/moments_design.h"
#include "dpkde/designs/race_design.h"
#include "dpkde/designs/reduced_design.h"
#include "dpkde/designs/slice_design.h"
#include "dpkde/designs/spline_grid.h"
#include "dpkde/designs/tree_design.h"
#include "dpkde/similarity/resolution.h"

namespace dpkde {
namespace {

Similarity L1() {
  proto::SimilaritySpec spec;
  spec.set_kind(proto::SimilaritySpec::L1);
  return *Similarity::Create(spec);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Design>> CreateDesign(const Similarity& similarity, size_t dimension,
                                                     const absl::optional<Domain>& domain,
                                                     const proto::DesignSpec& spec) {
  DPKDE_RETURN_IF_ERROR(CheckScale(similarity, domain));
  if (domain.has_value() && !domain->origin().empty() && !similarity.is_shift_invariant()) {
    return absl::InvalidArgumentError(
        absl::StrCat(similarity.name(), " is no function of x - y: its domain must have no origin"));
  }
  if (spec.has_reduction()) {
    if (!domain.has_value() || domain->dimension() != dimension) {
      return absl::InvalidArgumentError("a reduction needs a domain of the records' dimension");
    }
    const uint32_t reduced_dimension = spec.reduction().dimension();
    proto::DesignSpec inner_spec = spec;
    inner_spec.clear_reduction();
    const bool to_l1 = IsReducedToL1(similarity, inner_spec);
    DPKDE_ASSIGN_OR_RETURN(const Domain reduced, ReducedDomain(*domain, reduced_dimension, to_l1));
    std::unique_ptr<Design> inner;
    if (to_l1) {
      DPKDE_ASSIGN_OR_RETURN(inner,
                             MakeTreeDesign(L1(), reduced, spec.tree(), ReducedDeviation(*domain, reduced_dimension)));
    } else {
      DPKDE_ASSIGN_OR_RETURN(inner, CreateDesign(similarity, reduced_dimension, reduced, inner_spec));
    }
    return MakeReducedDesign(similarity, *domain, spec.reduction(), std::move(inner));
  }
  if (spec.design_case() == proto::DesignSpec::kMonteCarlo) {
    return MakeMonteCarloDesign(similarity, dimension, domain, spec.monte_carlo());
  }
  if (spec.design_case() == proto::DesignSpec::DESIGN_NOT_SET) {
    return absl::InvalidArgumentError("design is missing or unknown");
  }
  if (spec.has_moments()) return MakeMomentsDesign(similarity, dimension, domain);
  if (spec.has_landmark()) return MakeLandmarkDesign(similarity, dimension, domain, spec.landmark());
  if (spec.has_lsq_rff()) return MakeLsqRffDesign(similarity, dimension, domain, spec.lsq_rff());
  if (spec.has_exponential_sum()) {
    return MakeExponentialSumDesign(similarity, dimension, domain, spec.exponential_sum());
  }
  if (spec.has_race()) return MakeRaceDesign(similarity, dimension, domain, spec.race());
  if (!domain.has_value()) {
    return absl::InvalidArgumentError(absl::StrCat("the ", DesignName(spec), " design needs a domain"));
  }
  if (domain->dimension() != dimension) {
    return absl::InvalidArgumentError(
        absl::StrCat("domain must have ", dimension, " coordinates, but has ", domain->dimension()));
  }
  if (spec.has_lattice()) return MakeLatticeDesign(similarity, *domain, spec.lattice());
  if (spec.has_axis()) return MakeAxisDesign(similarity, *domain, spec.axis());
  if (spec.has_slice()) return MakeSliceDesign(similarity, *domain, spec.slice());
  if (spec.has_lsq_fgt()) return MakeLsqFgtDesign(similarity, *domain, spec.lsq_fgt());
  if (spec.has_tree()) return MakeTreeDesign(similarity, *domain, spec.tree());
  return MakeSplineGridDesign(similarity, *domain, spec.spline_grid());
}

namespace {

// Of a grid with so many values an axis; saturates.
int64_t Product(const google::protobuf::RepeatedField<uint32_t>& axes, int64_t add, int64_t times) {
  int64_t product = 1;
  for (const uint32_t cells : axes) product = std::min((cells + add) * times * product, int64_t{1} << 30);
  return product;
}

// How many coordinates the spec says that there are, or at least how many: all that it can say.
struct Stated {
  int64_t coordinates = 1;
  bool exactly = false;
};

Stated CoordinatesOf(const proto::DesignSpec& spec, size_t dimension) {
  const int64_t d = spec.has_reduction() ? spec.reduction().dimension() : static_cast<int64_t>(dimension);
  if (spec.has_monte_carlo()) return {2 * int64_t{spec.monte_carlo().features()} + 1, true};
  if (spec.has_slice()) {
    return {2 * int64_t{spec.slice().directions()} * ((int64_t{spec.slice().harmonics()} + 1) / 2) + 1, true};
  }
  if (spec.has_lsq_rff()) return {int64_t{spec.lsq_rff().features()} + 1, true};
  if (spec.has_race()) return {int64_t{spec.race().rows()} * spec.race().buckets() + 1, true};
  if (spec.has_spline_grid()) {
    const int64_t degree = spec.spline_grid().degree() == 0 ? 3 : spec.spline_grid().degree();
    return {Product(spec.spline_grid().cells(), degree, 1) + 1, true};
  }
  if (spec.has_lsq_fgt()) return {Product(spec.lsq_fgt().cells(), 0, spec.lsq_fgt().terms()) + 1, true};
  if (spec.has_tree() && spec.tree().levels() <= 20) {
    const int64_t nodes = (int64_t{2} << spec.tree().levels()) - 2;
    return {nodes * (spec.tree().variant() == proto::TreeSpec::RINGS ? 1 : 2) * d + 1, true};
  }
  // A pair each; of l1 every other one is 0.
  if (spec.has_axis()) return {int64_t{spec.axis().harmonics()} * d, false};
  // There is one term at least.
  if (spec.has_exponential_sum()) return {int64_t{spec.exponential_sum().features()} + 1, false};
  if (spec.has_landmark()) return {int64_t{spec.landmark().rank()} + 1, false};
  if (spec.has_moments()) return {d, false};
  return {};
}

}  // namespace

absl::Status CheckStatedCoordinates(const proto::DesignSpec& spec, size_t dimension, int64_t values) {
  const Stated stated = CoordinatesOf(spec, dimension);
  if (stated.exactly ? values == stated.coordinates : values >= stated.coordinates) return absl::OkStatus();
  return absl::InvalidArgumentError("values do not fit the design");
}

std::string DesignName(const proto::DesignSpec& spec) {
  switch (spec.design_case()) {
    case proto::DesignSpec::kLattice:
      return "lattice";
    case proto::DesignSpec::kMonteCarlo:
      if (spec.monte_carlo().hadamard()) return "hadamard";
      return spec.monte_carlo().orthogonal() ? "orthogonal" : "monte_carlo";
    case proto::DesignSpec::kSplineGrid:
      return "spline_grid";
    case proto::DesignSpec::kAxis:
      return "axis";
    case proto::DesignSpec::kMoments:
      return "moments";
    case proto::DesignSpec::kSlice:
      return "slice";
    case proto::DesignSpec::kLandmark:
      return "landmark";
    case proto::DesignSpec::kLsqRff:
      return "lsq_rff";
    case proto::DesignSpec::kLsqFgt:
      return "lsq_fgt";
    case proto::DesignSpec::kRace:
      return "race";
    case proto::DesignSpec::kExponentialSum:
      return "exponential_sum";
    case proto::DesignSpec::kTree:
      return spec.tree().variant() == proto::TreeSpec::SUMS       ? "tree_sums"
             : spec.tree().variant() == proto::TreeSpec::CENTERED ? "tree_centered"
                                                                  : "tree";
    default:
      return "none";
  }
}

std::string DescribeDesign(const proto::DesignSpec& spec) {
  if (spec.has_reduction()) {
    proto::DesignSpec inner = spec;
    inner.clear_reduction();
    return absl::StrCat(DescribeDesign(inner), " reduced_to=", spec.reduction().dimension());
  }
  switch (spec.design_case()) {
    case proto::DesignSpec::kLattice:
      return absl::StrCat("lattice tolerance=", spec.lattice().tolerance());
    case proto::DesignSpec::kMonteCarlo:
      return absl::StrCat(DesignName(spec), " features=", spec.monte_carlo().features());
    case proto::DesignSpec::kSplineGrid:
      return absl::StrCat(
          "spline_grid cells=", absl::StrJoin(spec.spline_grid().cells(), "x"), " ridge=", spec.spline_grid().ridge(),
          spec.spline_grid().degree() == 0 ? "" : absl::StrCat(" degree=", spec.spline_grid().degree()));
    case proto::DesignSpec::kAxis:
      return absl::StrCat("axis harmonics=", spec.axis().harmonics());
    case proto::DesignSpec::kSlice:
      return absl::StrCat("slice directions=", spec.slice().directions(), " harmonics=", spec.slice().harmonics());
    case proto::DesignSpec::kLandmark:
      return absl::StrCat("landmark rank=", spec.landmark().rank(), " of ", spec.landmark().landmarks());
    case proto::DesignSpec::kLsqRff:
      return absl::StrCat("lsq_rff features=", spec.lsq_rff().features());
    case proto::DesignSpec::kLsqFgt:
      return absl::StrCat("lsq_fgt cells=", absl::StrJoin(spec.lsq_fgt().cells(), "x"),
                          " terms=", spec.lsq_fgt().terms());
    case proto::DesignSpec::kRace:
      return absl::StrCat("race rows=", spec.race().rows(), " buckets=", spec.race().buckets());
    case proto::DesignSpec::kExponentialSum:
      return absl::StrCat("exponential_sum features=", spec.exponential_sum().features(),
                          " tolerance=", spec.exponential_sum().tolerance());
    case proto::DesignSpec::kTree:
      return absl::StrCat(DesignName(spec), " levels=", spec.tree().levels(),
                          spec.tree().alpha() > 0 ? absl::StrCat(" alpha=", spec.tree().alpha()) : "");
    default:
      return DesignName(spec);
  }
}

}  // namespace dpkde
