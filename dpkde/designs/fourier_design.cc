#include "dpkde/designs/fourier_design.h"

#include <algorithm>
#include <boost/math/constants/constants.hpp>
#include <boost/math/special_functions/erf.hpp>
#include <boost/math/special_functions/gamma.hpp>
#include <boost/random/cauchy_distribution.hpp>
#include <boost/random/exponential_distribution.hpp>
#include <boost/random/gamma_distribution.hpp>
#include <boost/random/normal_distribution.hpp>
#include <boost/random/uniform_real_distribution.hpp>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/sha256.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"
#include "dpkde/base/wipe.h"
#include "dpkde/designs/centered_blocks.h"
#include "dpkde/designs/directions.h"
#include "dpkde/designs/fourier_kernel.h"
#include "dpkde/designs/public_random.h"

namespace dpkde {
namespace {

static_assert(kFourierGridUnit == kGridUnit, "the kernel and the designs must agree on the grid");

constexpr double kTwoPi = boost::math::constants::two_pi<double>();

// Frequencies with phases beyond this (2^40 radians) are redrawn: where the bandwidth is in proportion to the domain,
// their probability is below 1e-10. Of out-of-proportion ones so many are tried in vain, in all, and no more.
constexpr double kLargestTurns = 1099511627776.0 / kTwoPi;
constexpr size_t kMostRedraws = 1000;

absl::Status TooManyRedraws(const Similarity& similarity) {
  return absl::InvalidArgumentError(absl::StrCat("bandwidth must be in proportion to the domain, but ",
                                                 similarity.bandwidth(), " is so small that frequencies of ",
                                                 similarity.name(), " are too large to be told apart there"));
}

// 512 MiB of frequencies.
constexpr int64_t kMostFrequencyValues = int64_t{1} << 27;

constexpr size_t kLargestLattice = size_t{1} << 18;
constexpr int64_t kLargestOrthogonalDimension = 1024;
constexpr size_t kLargestEnumeration = size_t{1} << 22;
constexpr size_t kMostAxisCoefficients = size_t{1} << 20;

// What the factories below work out.
struct FourierParameters {
  size_t dimension = 0;
  absl::optional<Domain> domain;
  std::vector<float> turns;                         // frequencies x dimension, in turns a unit
  absl::optional<StructuredDirections> structured;  // instead of turns
  std::vector<double> coefficients;                 // c_k
  double count_coefficient = 0;                     // c_0
  bool random = false;
  double sup_error = 0;           // deterministic designs
  double dropped_square_sum = 0;  // sum of c_k^2 over the dropped ones
  proto::DesignSpec spec;
};

std::vector<CoordinateGroup> FourierGroups(absl::Span<const double> coefficients, double count_coefficient) {
  const size_t m = coefficients.size();
  std::vector<CoordinateGroup> groups;
  groups.reserve(m + 1);
  for (size_t k = 0; k < m; ++k) groups.push_back(DiskGroup(k, m, kFourierPairNorm, coefficients[k]));
  groups.push_back(CountGroup(2 * m, count_coefficient));
  return groups;
}

// Frequencies, written out or as products of Hadamard matrices, and the kernels over them.
class Frequencies {
 public:
  FrequencyPanels panels;
  absl::optional<StructuredDirections> structured;

  size_t padded() const { return structured.has_value() ? structured->padded() : panels.padded(); }
  size_t Column(size_t k) const { return structured.has_value() ? k : panels.column_of[k]; }

  void Accumulate(MatrixView rows, int64_t* cos_sums, int64_t* sin_sums) const {
    if (!structured.has_value()) return AccumulateFourier(panels, rows, cos_sums, sin_sums);
    ForBlocks(rows, [&](size_t, MatrixView phases) { AccumulatePhases(phases, 1, cos_sums, sin_sums); });
  }

  void Evaluate(MatrixView queries, const double* cos_weights, const double* sin_weights, double* sums,
                double* square_sums) const {
    if (!structured.has_value()) {
      return EvaluateFourier(panels, queries, cos_weights, sin_weights, sums, square_sums);
    }
    std::fill(sums, sums + queries.rows, 0.0);
    std::fill(square_sums, square_sums + queries.rows, 0.0);
    ForBlocks(queries, [&](size_t begin, MatrixView phases) {
      EvaluatePhases(phases, 1, cos_weights, sin_weights, sums + begin, square_sums + begin);
    });
  }

 private:
  template <typename Body>
  void ForBlocks(MatrixView rows, const Body& body) const {
    constexpr size_t kRows = 48;
    std::vector<float> phases(std::min(rows.rows, kRows) * padded());
    for (size_t begin = 0; begin < rows.rows; begin += kRows) {
      const MatrixView part = rows.Slice(begin, std::min(begin + kRows, rows.rows));
      structured->Products(part, phases.data());
      body(begin, {phases.data(), part.rows, padded()});
    }
  }
};

class FourierFunction final : public ReleasedFunction {
 public:
  FourierFunction(const Frequencies* frequencies, size_t count, std::vector<float> center, bool random)
      : frequencies_(frequencies),
        count_(count),
        center_(std::move(center)),
        random_(random),
        cos_weights_(frequencies->padded()),
        sin_weights_(frequencies->padded()) {}

  void Evaluate(MatrixView queries, absl::Span<Answer> answers) const override {
    std::vector<float> centered(queries.rows * queries.columns);
    for (size_t i = 0; i < centered.size(); ++i) centered[i] = queries.data[i] - center_[i % queries.columns];
    std::vector<double> sums(queries.rows), squares(queries.rows);
    frequencies_->Evaluate({centered.data(), queries.rows, queries.columns}, cos_weights_.data(), sin_weights_.data(),
                           sums.data(), squares.data());
    const double m = count_;
    for (size_t i = 0; i < queries.rows; ++i) {
      Answer& answer = answers[i];
      // Phases of queries that are 10^30 or so away are beyond float32; a kernel is 0 there.
      if (!std::isfinite(sums[i])) sums[i] = squares[i] = 0;
      answer.sum = count_part_ + sums[i];
      answer.noise_variance = noise_variance_;
      answer.count_covariance = count_covariance_;
      if (random_) {
        // sums is the mean of m terms T_k = m u_k, each unbiased; their sample variance over m holds approximation and
        // noise together.
        answer.total_variance = m < 2 ? std::numeric_limits<double>::infinity()
                                      : std::max(noise_variance_, m / (m - 1) * (squares[i] - sums[i] * sums[i] / m));
      }
    }
  }

 private:
  friend class FourierDesign;

  const Frequencies* frequencies_;
  size_t count_;  // of frequencies
  std::vector<float> center_;
  bool random_;
  std::vector<double> cos_weights_;
  std::vector<double> sin_weights_;
  double count_part_ = 0;
  double noise_variance_ = 0;
  double count_covariance_ = 0;
};

class FourierDesign final : public Design {
 public:
  explicit FourierDesign(FourierParameters parameters) : parameters_(std::move(parameters)) {
    const size_t d = parameters_.dimension;
    const size_t m = parameters_.coefficients.size();
    center_.resize(d);
    std::vector<bool> wide(m, false);
    if (parameters_.domain.has_value()) {
      const Domain& domain = *parameters_.domain;
      for (size_t i = 0; i < d; ++i) center_[i] = static_cast<float>(domain.center(i));
      if (!parameters_.structured.has_value()) {
        for (size_t k = 0; k < m; ++k) wide[k] = domain.Reach(&parameters_.turns[k * d]) > kNarrowTurns;
      }
    }
    if (parameters_.structured.has_value()) {
      frequencies_.structured = std::move(parameters_.structured);
    } else {
      frequencies_.panels = MakeFrequencyPanels(parameters_.turns, d, wide);
    }
    groups_ = FourierGroups(parameters_.coefficients, parameters_.count_coefficient);
  }

  size_t dimension() const override { return parameters_.dimension; }
  size_t count_coordinate() const override { return 2 * num_frequencies(); }
  const proto::DesignSpec& spec() const override { return parameters_.spec; }
  const std::vector<CoordinateGroup>& groups() const override { return groups_; }
  QueryRegion query_region() const override {
    return parameters_.random ? QueryRegion::kEverywhere : QueryRegion::kBoundingBox;
  }

  void Accumulate(MatrixView rows, absl::Span<int64_t> sums) const override {
    constexpr size_t kBlockRows = 192;
    const size_t m = num_frequencies();
    PrivateVector<int64_t> cos_sums(frequencies_.padded()), sin_sums(frequencies_.padded());
    ForCenteredBlocks(
        rows, kBlockRows, parameters_.domain.has_value() ? &*parameters_.domain : nullptr, center_,
        [&](size_t, MatrixView block) { frequencies_.Accumulate(block, cos_sums.data(), sin_sums.data()); });
    for (size_t k = 0; k < m; ++k) {
      sums[k] += cos_sums[frequencies_.Column(k)];
      sums[m + k] += sin_sums[frequencies_.Column(k)];
    }
    sums[count_coordinate()] += static_cast<int64_t>(rows.rows) * kGridUnit;
  }

  std::unique_ptr<ReleasedFunction> MakeReleasedFunction(absl::Span<const int64_t> values,
                                                         absl::Span<const double> variances) const override {
    const size_t m = num_frequencies();
    const double unit = kGridUnit;
    auto function = std::make_unique<FourierFunction>(&frequencies_, m, center_, parameters_.random);
    for (size_t k = 0; k < m; ++k) {
      const double c = parameters_.coefficients[k] / unit;
      function->cos_weights_[frequencies_.Column(k)] = c * values[k];
      function->sin_weights_[frequencies_.Column(k)] = c * values[m + k];
      function->noise_variance_ += c * c * variances[k];
    }
    const double c0 = parameters_.count_coefficient / unit;
    function->count_part_ = c0 * values[count_coordinate()];
    function->noise_variance_ += c0 * c0 * variances[m];
    function->count_covariance_ = c0 * variances[m] / unit;
    return function;
  }

  absl::optional<double> SupError() const override {
    if (parameters_.random) return absl::nullopt;
    return parameters_.sup_error;
  }

  double PredictedApproximationError(double n, double expected_similarity) const override {
    const double m = num_frequencies();
    if (parameters_.random) return MonteCarloApproximationError(n, expected_similarity, m);
    // Lattice: over queries uniform on the torus, the dropped terms have mean square sum c_k^2 |C_k|^2 / 2, |C_k| <= n.
    return n * std::sqrt(parameters_.dropped_square_sum / 2);
  }

  double TypicalApproximationError(double n, double expected_similarity) const override {
    if (parameters_.random) {
      return TypicalMonteCarloApproximationError(
          n, expected_similarity, num_frequencies(), dimension(),
          parameters_.spec.monte_carlo().orthogonal() || parameters_.spec.monte_carlo().hadamard());
    }
    // The mean of |C_k|^2 under the spectral measure is n^2 times the mean similarity of pairs.
    return n * std::sqrt(expected_similarity * parameters_.dropped_square_sum / 2);
  }

 private:
  size_t num_frequencies() const { return parameters_.coefficients.size(); }

  FourierParameters parameters_;
  std::vector<float> center_;
  Frequencies frequencies_;
  std::vector<CoordinateGroup> groups_;
};

// One axis of a lattice: the kernel repeated with the period, as a_0 + sum_{k >= 1} 2 a_k cos(2 pi k t / period).
struct LatticeAxis {
  double period = 0;
  std::vector<double> coefficients;  // a_0 .. a_K
  double alias_error = 0;            // sup over |t| <= width of the repeated kernel minus the kernel
  double full_sum = 0;               // a_0 + 2 (a_1 + a_2 + ...), all of them
};

// Where f along one axis has fallen to `level`.
double Radius(const Similarity& similarity, double level) {
  double high = similarity.bandwidth();
  while (similarity.EvaluateAxis(high) > level) high *= 2;
  double low = 0;
  for (int step = 0; step < 60; ++step) {
    const double middle = (low + high) / 2;
    (similarity.EvaluateAxis(middle) > level ? low : high) = middle;
  }
  return high;
}

// The kernels whose lattice is worked out here: those that decay exponentially, as products or in one dimension.
bool HasLattice(const Similarity& similarity, size_t dimension) {
  switch (similarity.kind()) {
    case proto::SimilaritySpec::GAUSSIAN:
    case proto::SimilaritySpec::LAPLACIAN:
      return true;
    case proto::SimilaritySpec::EXPONENTIAL:
    case proto::SimilaritySpec::MATERN:
      return dimension == 1;
    default:
      return false;
  }
}

// a_k = S(2 pi k / period) / period with the spectral density S(w) = integral f(t) e^(-iwt) dt of f along one axis.
double AxisCoefficient(const Similarity& similarity, double period, double k) {
  const double h = similarity.bandwidth();
  const double w = kTwoPi * k * h / period;
  if (similarity.kind() == proto::SimilaritySpec::GAUSSIAN)
    return std::sqrt(kTwoPi) * h / period * std::exp(-w * w / 2);
  if (similarity.kind() == proto::SimilaritySpec::MATERN) {
    const double nu = similarity.spec().nu();
    return 2 * std::sqrt(kTwoPi / 2) * std::tgamma(nu + 0.5) / std::tgamma(nu) * std::pow(2 * nu, nu) * h / period *
           std::pow(2 * nu + w * w, -(nu + 0.5));
  }
  return 2 * h / period / (1 + w * w);
}

// nullopt where more coefficients are needed than a lattice has frequencies, or none do.
absl::optional<LatticeAxis> MakeLatticeAxis(const Similarity& similarity, double width, double tolerance) {
  constexpr int kMostAliases = 1000;
  LatticeAxis axis;
  // The two nearest aliases of |t| <= width are at distances of at least period - width and period; doubling the level
  // pays for those and for all farther ones.
  axis.period = width + Radius(similarity, tolerance / 4);
  axis.full_sum = 1;
  for (int j = 1;; ++j) {
    if (j > kMostAliases) return absl::nullopt;
    const double nearest = similarity.EvaluateAxis(j * axis.period - width);
    axis.alias_error += nearest + similarity.EvaluateAxis(j * axis.period);
    axis.full_sum += 2 * similarity.EvaluateAxis(j * axis.period);
    if (nearest < 1e-18) break;
  }
  double sum = 0;
  for (size_t k = 0; k < kMostAxisCoefficients; ++k) {
    const double a = AxisCoefficient(similarity, axis.period, k);
    axis.coefficients.push_back(a);
    sum += k == 0 ? a : 2 * a;
    if (axis.full_sum - sum < tolerance) return axis;
  }
  return absl::nullopt;
}

struct LatticePoint {
  double coefficient;
  std::vector<int> k;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Design>> MakeLatticeDesign(const Similarity& similarity, const Domain& domain,
                                                          const proto::LatticeSpec& spec) {
  const double tolerance = spec.tolerance();
  if (!(tolerance > 0 && tolerance <= 0.5)) {
    return absl::InvalidArgumentError(
        absl::StrCat("lattice tolerance must be greater than 0 and at most 0.5, but is ", tolerance));
  }
  const size_t d = domain.dimension();
  DPKDE_RETURN_IF_ERROR(CheckInRange("dimension of a lattice", d, 1, 5));
  if (!HasLattice(similarity, d)) {
    return absl::InvalidArgumentError(
        absl::StrCat(similarity.name(), " has no lattice in ", d, d == 1 ? " dimension" : " dimensions"));
  }

  // A quarter of the tolerance for aliases, a quarter for ends of the axes, half for small products.
  std::vector<LatticeAxis> axes;
  double full_product = 1, alias_product = 1, enumeration = 1;
  const absl::Status too_large = absl::ResourceExhaustedError(
      absl::StrCat("a lattice for ", similarity.name(), " needs more than ", kLargestLattice, " frequencies here"));
  for (size_t i = 0; i < d; ++i) {
    absl::optional<LatticeAxis> axis = MakeLatticeAxis(similarity, domain.width(i), tolerance / (4 * d));
    if (!axis.has_value()) return too_large;
    axes.push_back(*std::move(axis));
    full_product *= axes[i].full_sum;
    alias_product *= 1 + axes[i].alias_error;
    enumeration *= 2 * axes[i].coefficients.size() - 1;
  }
  if (enumeration > kLargestEnumeration) return too_large;

  // Half of the lattice: the first non-zero index is positive. Its points stand for k and -k.
  std::vector<LatticePoint> points;
  const double smallest = tolerance / (2 * enumeration);  // all below together add up to less than half the tolerance
  double zero_coefficient = 0;
  std::vector<int> k(d);
  for (size_t i = 0; i < d; ++i) k[i] = 1 - static_cast<int>(axes[i].coefficients.size());
  while (true) {
    double product = 1;
    for (size_t i = 0; i < d; ++i) product *= axes[i].coefficients[std::abs(k[i])];
    const auto first = std::find_if(k.begin(), k.end(), [](int index) { return index != 0; });
    if (first == k.end()) {
      zero_coefficient = product;
    } else if (*first > 0 && product >= smallest) {
      points.push_back({2 * product, k});
    }
    size_t axis = d;
    while (axis > 0 && k[axis - 1] == static_cast<int>(axes[axis - 1].coefficients.size()) - 1) {
      k[axis - 1] = 1 - static_cast<int>(axes[axis - 1].coefficients.size());
      --axis;
    }
    if (axis == 0) break;
    ++k[axis - 1];
  }
  std::sort(points.begin(), points.end(), [](const LatticePoint& a, const LatticePoint& b) {
    return a.coefficient != b.coefficient ? a.coefficient > b.coefficient : a.k < b.k;
  });

  FourierParameters parameters;
  double kept = zero_coefficient;
  size_t used = 0;
  while (used < points.size() && full_product - kept > tolerance * 3 / 4) kept += points[used++].coefficient;
  if (used > kLargestLattice) return too_large;
  for (size_t j = used; j < points.size(); ++j) {
    parameters.dropped_square_sum += points[j].coefficient * points[j].coefficient;
  }
  // What was never enumerated: many tiny terms, bounded by their sum times the largest of them.
  double enumerated = kept;
  for (size_t j = used; j < points.size(); ++j) enumerated += points[j].coefficient;
  const double missing = std::max(0.0, full_product - enumerated);
  parameters.dropped_square_sum += missing * std::min(missing, used > 0 ? points[used - 1].coefficient : missing);

  parameters.dimension = d;
  parameters.domain = domain;
  parameters.count_coefficient = zero_coefficient;
  parameters.sup_error = std::max(0.0, full_product - kept) + (alias_product - 1);
  *parameters.spec.mutable_lattice() = spec;
  for (size_t j = 0; j < used; ++j) {
    parameters.coefficients.push_back(points[j].coefficient);
    for (size_t i = 0; i < d; ++i) {
      parameters.turns.push_back(static_cast<float>(points[j].k[i] / axes[i].period));
    }
  }
  return std::unique_ptr<Design>(std::make_unique<FourierDesign>(std::move(parameters)));
}

namespace {

// Rows of a random orthogonal matrix times chi-distributed lengths: each has the distribution of a vector of d normals.
std::vector<double> OrthogonalBlock(uint64_t seed, uint64_t block, size_t d) {
  std::vector<double> rows = OrthogonalRows(seed, "orthogonal directions", block, d);
  boost::random::mt19937_64 length_engine = PublicStream(seed, "orthogonal lengths", block);
  boost::random::normal_distribution<double> length_normal;
  for (size_t r = 0; r < d; ++r) {
    double square = 0;
    for (size_t i = 0; i < d; ++i) {
      const double z = length_normal(length_engine);
      square += z * z;
    }
    const double length = std::sqrt(square);
    for (size_t i = 0; i < d; ++i) rows[r * d + i] *= length;
  }
  return rows;
}

// Kernels of Euclidean distance are mixtures of gaussian ones: omega = scale * z / h with a random scale. 1/(1 + s) =
// integral e^-t e^(-ts) dt gives those of cauchy and inverse_l2 from gaussian and exponential.
double MixtureScale(const Similarity& similarity, boost::random::mt19937_64& engine) {
  boost::random::normal_distribution<double> normal;
  boost::random::exponential_distribution<double> exponential;
  switch (similarity.kind()) {
    case proto::SimilaritySpec::EXPONENTIAL:
      return 1 / std::abs(normal(engine));
    case proto::SimilaritySpec::MATERN: {
      const int degrees = static_cast<int>(2 * similarity.spec().nu());
      double chi_square = 0;
      for (int i = 0; i < degrees; ++i) {
        const double z = normal(engine);
        chi_square += z * z;
      }
      return std::sqrt(degrees / chi_square);
    }
    case proto::SimilaritySpec::RATIONAL_QUADRATIC: {
      const double alpha = similarity.spec().alpha();
      return std::sqrt(boost::random::gamma_distribution<double>(alpha, 1 / alpha)(engine));
    }
    case proto::SimilaritySpec::CAUCHY:
      return std::sqrt(2 * exponential(engine));
    case proto::SimilaritySpec::INVERSE_L2: {
      const double t = exponential(engine);
      return t / std::abs(normal(engine));
    }
    case proto::SimilaritySpec::P_STABLE:
      // The hash's own kernel of <a, x - y> / h = t is max(0, 1 - |t|), whose transform is that of the square of sin(u)
      // / u, u half the frequency: by rejection from min(1, 1 / u^2).
      while (true) {
        boost::random::uniform_real_distribution<double> uniform(0, 1);
        const double v = uniform(engine);
        const double u = uniform(engine) < 0.5 ? v : 1 / (1 - v);
        const double root = std::sin(u) * (u > 0 && u < 1 ? 1 / u : 1);
        if (uniform(engine) < root * root) return 2 * u;
      }
    default:
      return 1;
  }
}

// In the k-th of m equal parts of [0, 1).
double InStratum(size_t k, size_t m, boost::random::mt19937_64& engine) {
  constexpr double kMost = 1 - 1e-12;
  return std::min((k + boost::random::uniform_real_distribution<double>(0, 1)(engine)) / m, kMost);
}

// The same scale as MixtureScale, but in the k-th of m equal strata of the mixture, where quantiles are at hand.
double StratifiedScale(const Similarity& similarity, size_t k, size_t m, boost::random::mt19937_64& engine) {
  switch (similarity.kind()) {
    case proto::SimilaritySpec::EXPONENTIAL:
      return 1 / (std::sqrt(2.0) * boost::math::erf_inv(InStratum(k, m, engine)));
    case proto::SimilaritySpec::MATERN: {
      const double degrees = 2 * similarity.spec().nu();
      return std::sqrt(degrees / (2 * boost::math::gamma_p_inv(degrees / 2, InStratum(k, m, engine))));
    }
    case proto::SimilaritySpec::RATIONAL_QUADRATIC: {
      const double alpha = similarity.spec().alpha();
      // Where gamma_p_inv is known to behave.
      if (!(alpha >= 0.01 && alpha <= 100)) return MixtureScale(similarity, engine);
      return std::sqrt(boost::math::gamma_p_inv(alpha, InStratum(k, m, engine)) / alpha);
    }
    case proto::SimilaritySpec::CAUCHY:
      return std::sqrt(-2 * std::log1p(-InStratum(k, m, engine)));
    case proto::SimilaritySpec::INVERSE_L2: {
      const double t = -std::log1p(-InStratum(k, m, engine));
      return t / std::abs(boost::random::normal_distribution<double>()(engine));
    }
    default:
      return MixtureScale(similarity, engine);
  }
}

double ScaleOf(const Similarity& similarity, const proto::MonteCarloSpec& spec, size_t k,
               boost::random::mt19937_64& engine) {
  return spec.stratified() ? StratifiedScale(similarity, k, spec.features(), engine) : MixtureScale(similarity, engine);
}

// Frequency k, times the bandwidth, of a kernel that is no function of Euclidean distance.
void DrawOtherFrequency(const Similarity& similarity, size_t d, const proto::MonteCarloSpec& spec, size_t k,
                        boost::random::mt19937_64& engine, double* omega) {
  boost::random::cauchy_distribution<double> cauchy;
  boost::random::exponential_distribution<double> exponential;
  if (similarity.kind() == proto::SimilaritySpec::PRODUCT_CAUCHY) {
    for (size_t i = 0; i < d; ++i) omega[i] = exponential(engine) - exponential(engine);  // Laplace
    return;
  }
  double t = 1;
  if (similarity.kind() == proto::SimilaritySpec::INVERSE_L1) {
    t = spec.stratified() ? -std::log1p(-InStratum(k, spec.features(), engine)) : exponential(engine);
  }
  for (size_t i = 0; i < d; ++i) omega[i] = t * cauchy(engine);
}

// m x d frequencies in turns, rounded to float32: the precision to which they are defined.
absl::StatusOr<std::vector<float>> DrawFrequencies(const Similarity& similarity, size_t d,
                                                   const absl::optional<Domain>& domain,
                                                   const proto::MonteCarloSpec& spec) {
  size_t redraws = 0;
  const size_t m = spec.features();
  const double unit = 1 / (kTwoPi * similarity.bandwidth());
  std::vector<float> turns(m * d);
  std::vector<double> directions, omega(d);
  PublicStreams streams(spec.public_seed(), similarity.name() + " frequencies");
  for (size_t k = 0; k < m; ++k) {
    float* row = &turns[k * d];
    boost::random::mt19937_64 engine = streams.At(k);
    if (spec.orthogonal() && k % d == 0) directions = OrthogonalBlock(spec.public_seed(), k / d, d);
    do {
      if (similarity.is_euclidean()) {
        const double scale = ScaleOf(similarity, spec, k, engine);
        boost::random::normal_distribution<double> normal;
        for (size_t i = 0; i < d; ++i) {
          omega[i] = scale * (spec.orthogonal() ? directions[k % d * d + i] : normal(engine));
        }
      } else {
        DrawOtherFrequency(similarity, d, spec, k, engine, omega.data());
      }
      for (size_t i = 0; i < d; ++i) row[i] = static_cast<float>(unit * omega[i]);
      if (redraws++ > kMostRedraws + k) return TooManyRedraws(similarity);
    } while (domain.has_value() && !(domain->Reach(row) <= kLargestTurns));
  }
  return turns;
}

// Lengths of the frequencies of structured directions, in turns, as scales for StructuredDirections. Chi-distributed
// with as many degrees as the directions have coordinates, times the mixture's scale: <omega, x> is as with normal
// vectors.
absl::StatusOr<std::vector<float>> DrawLengths(const Similarity& similarity, size_t d,
                                               const absl::optional<Domain>& domain,
                                               const proto::MonteCarloSpec& spec) {
  size_t redraws = 0;
  const double unit = 1 / (kTwoPi * similarity.bandwidth());
  const double reach = domain.has_value() ? domain->radius() : 0;
  std::vector<float> lengths(spec.features());
  PublicStreams streams(spec.public_seed(), similarity.name() + " hadamard lengths");
  for (size_t k = 0; k < lengths.size(); ++k) {
    boost::random::mt19937_64 engine = streams.At(k);
    boost::random::gamma_distribution<double> half_chi_square(StructuredDirections::EmbeddingDimension(d) / 2.0);
    do {
      lengths[k] =
          static_cast<float>(unit * ScaleOf(similarity, spec, k, engine) * std::sqrt(2 * half_chi_square(engine)));
      if (redraws++ > kMostRedraws + k) return TooManyRedraws(similarity);
    } while (!(lengths[k] * reach <= kLargestTurns));
  }
  return lengths;
}

// Whether frequencies are so unbounded that phases need the domain to tell how precise they must be.
bool HasHeavyTailedFrequencies(const Similarity& similarity) {
  switch (similarity.kind()) {
    case proto::SimilaritySpec::LAPLACIAN:
    case proto::SimilaritySpec::EXPONENTIAL:
    case proto::SimilaritySpec::MATERN:
    case proto::SimilaritySpec::INVERSE_L2:
    case proto::SimilaritySpec::INVERSE_L1:
    case proto::SimilaritySpec::P_STABLE:
      return true;
    default:
      return false;
  }
}

}  // namespace

std::vector<CoordinateGroup> MonteCarloGroups(size_t features) {
  return FourierGroups(std::vector<double>(features, 1.0 / features), 0);
}

double MonteCarloApproximationError(double n, double expected_similarity, double features) {
  const double s = expected_similarity;
  return n * std::sqrt((s < 1 ? s * (1 - s) : 0.5) / features);
}

double TypicalMonteCarloApproximationError(double n, double expected_similarity, double features, double dimension,
                                           bool orthogonal) {
  // Where nothing is known, the similarity at which the variance is greatest.
  const double s = expected_similarity < 1 ? expected_similarity : 1.0 / 3;
  double variance = s * (1 - s) * (1 - s) / 2;
  if (orthogonal) {
    const double pairs = std::min(features, dimension) - 1;
    const double saving = pairs / dimension * std::pow(s * std::log(s), 2) / 2;
    variance *= std::pow(std::max(1 - saving / variance, 0.05), dimension / (dimension + 16));
  }
  return n * std::sqrt(variance / features);
}

namespace {

absl::Status CheckMonteCarlo(const Similarity& similarity, size_t dimension, const absl::optional<Domain>& domain,
                             const proto::MonteCarloSpec& spec) {
  DPKDE_RETURN_IF_ERROR(CheckInRange("features", spec.features(), 1, 1 << 20));
  DPKDE_RETURN_IF_ERROR(CheckInRange("dimension", dimension, 1, 65536));
  // Frequencies of structured directions are not written out.
  if (!spec.hadamard())
    DPKDE_RETURN_IF_ERROR(
        CheckInRange("features times dimension", spec.features() * dimension, 1, kMostFrequencyValues));
  DPKDE_RETURN_IF_ERROR(CheckPublicRandomScheme("frequencies", spec.scheme_version()));
  if (domain.has_value() && domain->dimension() != dimension) {
    return absl::InvalidArgumentError(
        absl::StrCat("domain must have ", dimension, " coordinates, but has ", domain->dimension()));
  }
  if (!similarity.is_kernel() || !similarity.is_shift_invariant()) {
    return absl::InvalidArgumentError(
        absl::StrCat(similarity.name(), " is no kernel of x - y and has no Monte-Carlo frequencies"));
  }
  if (HasHeavyTailedFrequencies(similarity) && !domain.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("Monte-Carlo frequencies of ", similarity.name(), " are unbounded and need a domain"));
  }
  if ((spec.orthogonal() || spec.hadamard()) && !similarity.is_euclidean()) {
    return absl::InvalidArgumentError(absl::StrCat(spec.hadamard() ? "hadamard" : "orthogonal",
                                                   " frequencies need a similarity of Euclidean distance, which ",
                                                   similarity.name(), " is not"));
  }
  // Drawing orthogonal directions costs O(dimension^2) each.
  if (spec.orthogonal()) {
    DPKDE_RETURN_IF_ERROR(
        CheckInRange("dimension of orthogonal frequencies", dimension, 1, kLargestOrthogonalDimension));
  }
  if (spec.hadamard() && spec.orthogonal()) {
    return absl::InvalidArgumentError("hadamard frequencies are orthogonal already");
  }
  if (spec.hadamard()) {
    DPKDE_RETURN_IF_ERROR(
        CheckInRange("dimension of hadamard frequencies", dimension, StructuredDirections::kLeastDimension, 65536));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<float>> MonteCarloTurns(const Similarity& similarity, size_t dimension,
                                                   const absl::optional<Domain>& domain,
                                                   const proto::MonteCarloSpec& spec) {
  DPKDE_RETURN_IF_ERROR(CheckMonteCarlo(similarity, dimension, domain, spec));
  return DrawFrequencies(similarity, dimension, domain, spec);
}

absl::StatusOr<std::unique_ptr<Design>> MakeMonteCarloDesign(const Similarity& similarity, size_t dimension,
                                                             const absl::optional<Domain>& domain,
                                                             const proto::MonteCarloSpec& spec) {
  DPKDE_RETURN_IF_ERROR(CheckMonteCarlo(similarity, dimension, domain, spec));
  FourierParameters parameters;
  parameters.dimension = dimension;
  parameters.domain = domain;
  parameters.random = true;
  parameters.coefficients.assign(spec.features(), 1.0 / spec.features());
  Sha256Digest digest;
  if (spec.hadamard()) {
    DPKDE_ASSIGN_OR_RETURN(const std::vector<float> lengths, DrawLengths(similarity, dimension, domain, spec));
    parameters.structured.emplace(dimension, lengths, spec.public_seed(), "hadamard directions");
    const std::vector<uint8_t>& signs = parameters.structured->signs();
    digest = Sha256(absl::StrCat(
        absl::string_view(reinterpret_cast<const char*>(lengths.data()), lengths.size() * sizeof(lengths[0])),
        absl::string_view(reinterpret_cast<const char*>(signs.data()), signs.size())));
  } else {
    DPKDE_ASSIGN_OR_RETURN(parameters.turns, DrawFrequencies(similarity, dimension, domain, spec));
    digest = Sha256({reinterpret_cast<const char*>(parameters.turns.data()),
                     parameters.turns.size() * sizeof(parameters.turns[0])});
  }

  proto::MonteCarloSpec& complete = *parameters.spec.mutable_monte_carlo();
  complete = spec;
  complete.set_scheme_version(kPublicRandomScheme);
  complete.set_fingerprint(digest.data(), digest.size());
  DPKDE_RETURN_IF_ERROR(CheckFingerprint("frequencies", spec.fingerprint(), complete.fingerprint()));
  return std::unique_ptr<Design>(std::make_unique<FourierDesign>(std::move(parameters)));
}

}  // namespace dpkde
