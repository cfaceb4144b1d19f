#ifndef TESTS_TESTING_SPECS_H_
#define TESTS_TESTING_SPECS_H_

#include <vector>

#include "dpkde/privacy/privacy_spec.h"
#include "dpkde/proto/density.pb.h"
#include "dpkde/similarity/domain.h"
#include "dpkde/similarity/similarity.h"

// Short forms of what tests say often; they abort on parameters that the library refuses.

namespace dpkde {

inline Similarity MakeSimilarity(proto::SimilaritySpec::Kind kind, double bandwidth, double parameter = 0) {
  proto::SimilaritySpec spec;
  spec.set_kind(kind);
  spec.set_bandwidth(bandwidth);
  if (kind == proto::SimilaritySpec::MATERN) spec.set_nu(parameter);
  if (kind == proto::SimilaritySpec::RATIONAL_QUADRATIC) spec.set_alpha(parameter);
  if (kind == proto::SimilaritySpec::LP_POWER || kind == proto::SimilaritySpec::ANGULAR) spec.set_p(parameter);
  return *Similarity::Create(spec);
}

inline Similarity Gaussian(double bandwidth) { return MakeSimilarity(proto::SimilaritySpec::GAUSSIAN, bandwidth); }

inline Similarity Laplacian(double bandwidth) { return MakeSimilarity(proto::SimilaritySpec::LAPLACIAN, bandwidth); }

// One of each kernel that every kind of design serves, with parameters that differ from their special cases.
inline std::vector<Similarity> AllKernels(double h) {
  using Spec = proto::SimilaritySpec;
  return {MakeSimilarity(Spec::GAUSSIAN, h),
          MakeSimilarity(Spec::LAPLACIAN, h),
          MakeSimilarity(Spec::EXPONENTIAL, h),
          MakeSimilarity(Spec::MATERN, h, 0.5),
          MakeSimilarity(Spec::MATERN, h, 1.5),
          MakeSimilarity(Spec::MATERN, h, 2.5),
          MakeSimilarity(Spec::RATIONAL_QUADRATIC, h, 0.7),
          MakeSimilarity(Spec::CAUCHY, h),
          MakeSimilarity(Spec::INVERSE_L2, h),
          MakeSimilarity(Spec::INVERSE_L1, h),
          MakeSimilarity(Spec::PRODUCT_CAUCHY, h)};
}

inline Similarity PStable(double bandwidth) { return MakeSimilarity(proto::SimilaritySpec::P_STABLE, bandwidth); }

inline Similarity Angular(int p) { return MakeSimilarity(proto::SimilaritySpec::ANGULAR, 0, p); }

inline Domain Cube(size_t dimension, double low, double high) {
  return *Domain::Box(std::vector<double>(dimension, low), std::vector<double>(dimension, high));
}

inline Domain Ball(size_t dimension, double radius, double center = 0) {
  return *Domain::Ball(std::vector<double>(dimension, center), radius);
}

// The box of the zip codes in the tests and the quickstart: chosen from a map of the world, not from the data.
inline Domain ZipCodeDomain() { return *Domain::Box({-180, 15}, {-60, 72}); }

inline proto::DesignSpec LatticeDesign(double tolerance) {
  proto::DesignSpec spec;
  spec.mutable_lattice()->set_tolerance(tolerance);
  return spec;
}

inline proto::DesignSpec MonteCarloDesign(uint32_t features, bool orthogonal = false, uint64_t seed = 1) {
  proto::DesignSpec spec;
  spec.mutable_monte_carlo()->set_features(features);
  spec.mutable_monte_carlo()->set_orthogonal(orthogonal);
  spec.mutable_monte_carlo()->set_public_seed(seed);
  return spec;
}

inline proto::DesignSpec HadamardDesign(uint32_t features, uint64_t seed = 1) {
  proto::DesignSpec spec = MonteCarloDesign(features, false, seed);
  spec.mutable_monte_carlo()->set_hadamard(true);
  return spec;
}

inline proto::DesignSpec SplineGridDesign(std::vector<uint32_t> cells, double ridge = 1e-6, uint32_t degree = 0) {
  proto::DesignSpec spec;
  *spec.mutable_spline_grid()->mutable_cells() = {cells.begin(), cells.end()};
  spec.mutable_spline_grid()->set_ridge(ridge);
  spec.mutable_spline_grid()->set_degree(degree);
  return spec;
}

inline proto::DesignSpec AxisDesign(uint32_t harmonics) {
  proto::DesignSpec spec;
  spec.mutable_axis()->set_harmonics(harmonics);
  return spec;
}

inline proto::DesignSpec MomentsDesign() {
  proto::DesignSpec spec;
  spec.mutable_moments();
  return spec;
}

inline proto::DesignSpec SliceDesign(uint32_t directions, uint32_t harmonics, uint64_t seed = 1) {
  proto::DesignSpec spec;
  spec.mutable_slice()->set_directions(directions);
  spec.mutable_slice()->set_harmonics(harmonics);
  spec.mutable_slice()->set_public_seed(seed);
  return spec;
}

inline proto::DesignSpec LsqRffDesign(uint32_t features, uint64_t seed = 1) {
  proto::DesignSpec spec;
  spec.mutable_lsq_rff()->set_features(features);
  spec.mutable_lsq_rff()->set_public_seed(seed);
  return spec;
}

inline proto::DesignSpec LsqFgtDesign(std::vector<uint32_t> cells, uint32_t terms) {
  proto::DesignSpec spec;
  *spec.mutable_lsq_fgt()->mutable_cells() = {cells.begin(), cells.end()};
  spec.mutable_lsq_fgt()->set_terms(terms);
  return spec;
}

inline proto::DesignSpec ExponentialSumDesign(uint32_t features, double tolerance, uint64_t seed = 1) {
  proto::DesignSpec spec;
  spec.mutable_exponential_sum()->set_features(features);
  spec.mutable_exponential_sum()->set_tolerance(tolerance);
  spec.mutable_exponential_sum()->set_public_seed(seed);
  return spec;
}

inline proto::DesignSpec RaceDesign(uint32_t rows, uint32_t buckets, uint64_t seed = 1) {
  proto::DesignSpec spec;
  spec.mutable_race()->set_rows(rows);
  spec.mutable_race()->set_buckets(buckets);
  spec.mutable_race()->set_public_seed(seed);
  return spec;
}

// With alpha: of rings.
inline proto::DesignSpec TreeDesign(proto::TreeSpec::Variant variant, uint32_t levels, double alpha = 0) {
  proto::DesignSpec spec;
  spec.mutable_tree()->set_variant(variant);
  spec.mutable_tree()->set_levels(levels);
  spec.mutable_tree()->set_alpha(alpha);
  return spec;
}

// Behind a random map to so many dimensions.
inline proto::DesignSpec Reduced(proto::DesignSpec spec, uint32_t dimension, bool hadamard = false, uint64_t seed = 0) {
  spec.mutable_reduction()->set_dimension(dimension);
  spec.mutable_reduction()->set_hadamard(hadamard);
  spec.mutable_reduction()->set_public_seed(seed);
  return spec;
}

inline PrivacySpec PureAddRemove(double epsilon) { return *PrivacySpec::Pure(epsilon, Neighboring::kAddRemove); }

inline PrivacySpec ApproximateAddRemove(double epsilon, double delta) {
  return *PrivacySpec::Approximate(epsilon, delta, Neighboring::kAddRemove);
}

}  // namespace dpkde

#endif  // TESTS_TESTING_SPECS_H_
