#ifndef DPKDE_DESIGNS_DESIGN_FACTORY_H_
#define DPKDE_DESIGNS_DESIGN_FACTORY_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "dpkde/designs/design.h"
#include "dpkde/similarity/domain.h"
#include "dpkde/similarity/similarity.h"

namespace dpkde {

// Makes the design that `spec` describes, for records of `dimension` coordinates; see the designs' headers for their
// conditions. kInvalidArgument if the spec names none, or if the design needs a domain and there is none.
absl::StatusOr<std::unique_ptr<Design>> CreateDesign(const Similarity& similarity, size_t dimension,
                                                     const absl::optional<Domain>& domain,
                                                     const proto::DesignSpec& spec);

// Holds a number of values, which a file of that size really has, against what the description alone says of it, before
// anything of that size is made. kInvalidArgument if they do not go together.
absl::Status CheckStatedCoordinates(const proto::DesignSpec& spec, size_t dimension, int64_t values);

// The name by which users choose it, a reduction in front of it apart: "lattice", "monte_carlo", "orthogonal",
// "hadamard", "spline_grid", "axis", "moments", "slice", "landmark"; and those of published mechanisms: "lsq_rff",
// "lsq_fgt", "race", "exponential_sum", "tree", "tree_sums", "tree_centered".
std::string DesignName(const proto::DesignSpec& spec);

// The name and its sizes: "spline_grid cells=172x82 ridge=0.0001", "monte_carlo features=2048".
std::string DescribeDesign(const proto::DesignSpec& spec);

}  // namespace dpkde

#endif  // DPKDE_DESIGNS_DESIGN_FACTORY_H_
