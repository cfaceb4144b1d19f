#include "dpkde/classifier/class_scorer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "dpkde/base/row_products.h"
#include "dpkde/base/symmetric_eigen.h"
#include "dpkde/classifier/normal_points.h"
#include "dpkde/classifier/second_moment.h"
#include "dpkde/classifier/share_matching.h"

namespace dpkde {
namespace {

using Plan = proto::ClassifierPlan;

// Of the largest eigenvalue that the noise of a second moment is expected to have, 2 sqrt(m) standard deviations
// (Wigner). Chosen on random splits of letter and mnist10k, as kRidge.
constexpr double kNoiseRidge = 0.4;
// Of a public covariance, whose trace is at most 1.
constexpr double kRidge = 0.003;
// Of points: times the standard deviation of the noise in a coordinate of the mean of a class of average size. From .35
// to .7 it is as good on letter, at any noise.
constexpr double kPointRidge = 0.5;
// Standard deviation over points of a class's scores, as logarithms of what makes the class likely. Letter likes 1
// to 5.
constexpr double kSpread = 5;
// How many a covariance is taken from: more are hardly better, and cost the cube.
constexpr size_t kNormalPoints = 1024;
// Added to every eigenvalue of a covariance of features in the unit ball.
constexpr double kLeastEigenvalue = 1e-6;

// Of the noise variances of the classes, the median; > 0.
double TypicalNoise(std::vector<double> noise) {
  std::sort(noise.begin(), noise.end());
  return std::max(noise[noise.size() / 2], 1e-300);
}

// The variance between classes of what deviates from the overall mean, less what noise adds; noisier classes count
// less. Negative where noise alone would scatter as much.
double BetweenVariance(absl::Span<const double> deviation, absl::Span<const double> noise, double typical) {
  double between = 0, sum = 0;
  for (size_t c = 0; c < noise.size(); ++c) {
    const double precision = 1 / (1 + noise[c] / typical);
    between += precision * (deviation[c] * deviation[c] - noise[c]);
    sum += precision;
  }
  return between / sum;
}

// In one fixed order, with partial sums that the compiler may keep in a vector.
double Product(const double* a, const double* b, size_t size) {
  constexpr size_t kLanes = 8;
  double lanes[kLanes] = {};
  size_t j = 0;
  for (; j + kLanes <= size; j += kLanes) {
    for (size_t l = 0; l < kLanes; ++l) lanes[l] += a[j + l] * b[j + l];
  }
  for (; j < size; ++j) lanes[0] += a[j] * b[j];
  double sum = 0;
  for (double lane : lanes) sum += lane;
  return sum;
}

// Each row of m values by the m x m rotation.
void Rotate(const std::vector<double>& rotation, size_t m, std::vector<double>& rows) {
  std::vector<double> rotated(m);
  for (size_t begin = 0; begin < rows.size(); begin += m) {
    for (size_t i = 0; i < m; ++i) rotated[i] = Product(rotation.data() + i * m, rows.data() + begin, m);
    std::copy(rotated.begin(), rotated.end(), rows.begin() + begin);
  }
}

// Of each class's deviations from the overall mean the share that is not noise, direction by direction: v / (v + noise)
// for the variance v between classes. `deviation`: classes x m, of noise variance noise[c] each; typical: see
// BetweenVariance; in_pairs: directions j and m / 2 + j are judged as one.
std::vector<double> PartsWithoutNoise(const std::vector<double>& deviation, const std::vector<double>& noise,
                                      double typical, bool in_pairs) {
  const size_t classes = noise.size(), m = deviation.size() / classes;
  std::vector<double> between(m), kept(classes * m, 0.0), of_classes(classes);
  for (size_t j = 0; j < m; ++j) {
    for (size_t c = 0; c < classes; ++c) of_classes[c] = deviation[c * m + j];
    between[j] = BetweenVariance(of_classes, noise, typical);
  }
  for (size_t j = 0; in_pairs && j < m / 2; ++j) {
    between[j] = between[m / 2 + j] = (between[j] + between[m / 2 + j]) / 2;
  }
  for (size_t j = 0; j < m; ++j) {
    for (size_t c = 0; c < classes; ++c) {
      if (between[j] > 0) kept[c * m + j] = between[j] / (between[j] + noise[c]);
    }
  }
  return kept;
}

}  // namespace

ClassScorer::ClassScorer(const proto::ClassifierRelease& message, const ClassifierParts& parts,
                         const Mechanism& mechanism)
    : parts_(&parts), classes_(message.class_sums_size()) {
  const double unit = kGridUnit;
  std::vector<double> noised;
  for (const proto::ClassSums& sums : message.class_sums()) noised.push_back(*sums.values().rbegin() / unit);
  const ClassCounts counts = EstimateClassCounts(noised, mechanism.variances().back() / (unit * unit));
  // The mean of a class without records is noise, or, shrunk, the overall mean: either would win where no prior is
  // weighed in.
  const bool knows_no_prior = message.plan().model() == proto::ClassifierPlan_Model_KERNEL ||
                              message.plan().model() == proto::ClassifierPlan_Model_MOMENTS;
  candidates_ = knows_no_prior ? counts.is_some : std::vector<bool>(classes_, true);
  if (parts_->kernel != nullptr) {
    FitKernels(message, mechanism, counts);
  } else {
    FitFeatures(message, mechanism, counts);
  }
}

void ClassScorer::FitKernels(const proto::ClassifierRelease& message, const Mechanism& mechanism,
                             const ClassCounts& counts) {
  records_ = counts.records;
  for (const proto::ClassSums& sums : message.class_sums()) {
    functions_.push_back(parts_->kernel->design().MakeReleasedFunction(
        {sums.values().data(), static_cast<size_t>(sums.values_size())}, mechanism.variances()));
  }
}

void ClassScorer::FitFeatures(const proto::ClassifierRelease& message, const Mechanism& mechanism,
                              const ClassCounts& counts) {
  const size_t m = size(), classes = classes_;
  const double unit = kGridUnit;
  const Plan::Model model = message.plan().model();
  const double sum_variance = mechanism.variances().front() / (unit * unit);
  const double count_variance = mechanism.variances().back() / (unit * unit);
  const std::vector<double>& n = counts.records;
  const double total = counts.total;

  // Deviations of the class means from the overall mean, and the noise variance of a coordinate of them.
  center_.assign(m, 0);
  for (size_t c = 0; c < classes; ++c) {
    for (size_t j = 0; j < m; ++j) center_[j] += message.class_sums(c).values(j) / unit / total;
  }
  double center_square = 0;
  for (double value : center_) center_square += value * value;
  std::vector<double> deviation(classes * m), noise(classes);
  for (size_t c = 0; c < classes; ++c) {
    for (size_t j = 0; j < m; ++j) {
      deviation[c * m + j] = message.class_sums(c).values(j) / unit / n[c] - center_[j];
    }
    noise[c] = (sum_variance + counts.kept * count_variance * center_square / m) / (n[c] * n[c]);
  }

  std::vector<double> eigenvalues(m, 1.0), points;
  const bool of_points = message.plan().covariance() != Plan::OF_FEATURES;
  if (of_points) {
    points = FitPoints(message, mechanism, counts, kPointRidge * std::sqrt(sum_variance) * classes / total);
  } else if (parts_->has_second_moment() || message.plan().features().has_landmark()) {
    FitRotation(message, mechanism, counts, noise, deviation, eigenvalues);
  }

  // Of the deviations what is not noise. The regression's ridge shrinks already. A cosine and its sine differ by where
  // the origin is, so they hold as much and are judged as one.
  const bool regress = model == proto::ClassifierPlan_Model_LANDMARK_RIDGE;
  const bool in_pairs = rotation_.empty() && message.plan().features().has_fourier();
  const double typical = of_points ? *std::min_element(noise.begin(), noise.end()) : TypicalNoise(noise);
  const std::vector<double> kept =
      regress ? std::vector<double>(classes * m, 1.0) : PartsWithoutNoise(deviation, noise, typical, in_pairs);
  weights_.assign(classes * m, 0);
  variances_.assign(classes * m, 0);
  offsets_.assign(classes, 0);
  for (size_t c = 0; c < classes; ++c) {
    const double share = regress ? n[c] / total : 1;
    double quadratic = 0;
    for (size_t i = c * m, j = 0; j < m; ++i, ++j) {
      const double mean = kept[i] * deviation[i];
      weights_[i] = share * mean / eigenvalues[j];
      variances_[i] = std::pow(share * kept[i] / eigenvalues[j], 2) * noise[c];
      quadratic += mean * mean / eigenvalues[j];
    }
    if (regress) offsets_[c] = n[c] / total;
    if (model == proto::ClassifierPlan_Model_MOMENTS) offsets_[c] = -quadratic / 2;
    if (model == proto::ClassifierPlan_Model_DISCRIMINANT) offsets_[c] = -quadratic / 2 + std::log(n[c] / total);
  }
  if (solver_.has_value()) MatchPoints(counts, points);
}

// Solves for the weights; scales the scores of each class to a common spread over the points, and sets offsets so that
// classes come up there as often as in the records: noise, which is larger in small classes, moves both.
void ClassScorer::MatchPoints(const ClassCounts& counts, const std::vector<double>& points) {
  const size_t m = size(), classes = classes_, rows = points.size() / m;
  const std::vector<float> means(weights_.begin(), weights_.end());
  const std::vector<float> solved = solver_->Solve({means.data(), classes, m});
  weights_.assign(solved.begin(), solved.end());
  std::vector<double> scores(rows * classes);
  AddRowProducts(1, {points.data(), rows, m, m}, {weights_.data(), classes, m, m}, true, scores.data());
  for (size_t c = 0; c < classes; ++c) {
    double square = 0;
    for (size_t r = 0; r < rows; ++r) square += scores[r * classes + c] * scores[r * classes + c] / rows;
    // Nothing is left of a class that is noise alone.
    const double scale = square > 0 ? kSpread / std::sqrt(square) : 0;
    for (size_t r = 0; r < rows; ++r) scores[r * classes + c] *= scale;
    for (size_t j = 0; j < m; ++j) {
      weights_[c * m + j] *= scale;
      variances_[c * m + j] *= scale * scale;
    }
  }
  std::vector<double> shares;
  for (double records : counts.records) shares.push_back(records / counts.total);
  offsets_ = OffsetsOfShares(scores, shares);
}

// Sets solver_; returns the centered features of the points.
std::vector<double> ClassScorer::FitPoints(const proto::ClassifierRelease& message, const Mechanism& mechanism,
                                           const ClassCounts& counts, double ridge) {
  const size_t m = size(), d = message.plan().dimension();
  const double unit = kGridUnit;
  std::vector<float> normal;
  MatrixView points = {message.plan().reference().data(), message.plan().reference_size() / d, d};
  if (message.plan().covariance() == Plan::OF_NORMAL_POINTS) {
    const std::vector<double> moment = SecondMomentMatrix(
        {message.second_moment().data(), static_cast<size_t>(message.second_moment_size())}, d + 1, counts.total);
    absl::StatusOr<std::vector<float>> drawn =
        NormalPoints(moment, d, std::sqrt(mechanism.variances()[1]) / unit / counts.total,
                     message.plan().features().fourier().public_seed(), kNormalPoints);
    // Does not fail for finite matrices; without points the covariance is the identity.
    if (!drawn.ok()) return {};
    normal = *std::move(drawn);
    points = {normal.data(), kNormalPoints, d};
  }
  std::vector<int32_t> integers(points.rows * m);
  parts_->features->ComputeScaled(points, absl::MakeSpan(integers));
  std::vector<double> features(integers.size());
  for (size_t i = 0; i < integers.size(); ++i) features[i] = integers[i] / unit;
  CenterRows(m, features);
  absl::StatusOr<PointCovariance> solver = PointCovariance::Create(features, m, ridge);
  if (solver.ok()) solver_ = *std::move(solver);
  return features;
}

// Sets rotation_, to the eigenvectors of the covariance within classes, of the second moment, or of that of the public
// landmarks; rotates the deviations; sets the eigenvalues, with ridge.
void ClassScorer::FitRotation(const proto::ClassifierRelease& message, const Mechanism& mechanism,
                              const ClassCounts& counts, const std::vector<double>& noise,
                              std::vector<double>& deviation, std::vector<double>& eigenvalues) {
  const size_t m = size(), classes = classes_;
  const double unit = kGridUnit;
  const std::vector<double>& n = counts.records;
  const double total = counts.total;
  if (parts_->has_second_moment()) {
    rotation_ = SecondMomentMatrix({message.second_moment().data(), static_cast<size_t>(message.second_moment_size())},
                                   m, total);
  } else {
    rotation_.assign(m * m, 0);
    const proto::LandmarkSpec& landmarks = message.plan().features().landmark().landmarks();
    const size_t count = landmarks.landmarks(), d = message.plan().dimension();
    std::vector<int32_t> integers(count * m);
    parts_->features->ComputeScaled({landmarks.points().data(), count, d}, absl::MakeSpan(integers));
    for (size_t l = 0; l < count; ++l) {
      const int32_t* const q = integers.data() + l * m;
      for (size_t i = 0; i < m; ++i) {
        const double left = q[i] / unit / count;
        for (size_t j = i; j < m; ++j) rotation_[i * m + j] += left * (q[j] / unit);
      }
    }
  }
  const bool within = message.plan().model() == proto::ClassifierPlan_Model_DISCRIMINANT;
  double between_noise = 0;
  for (size_t c = 0; within && c < classes; ++c) between_noise += n[c] / total * noise[c];
  for (size_t i = 0; i < m; ++i) {
    for (size_t j = i; j < m; ++j) {
      double& value = rotation_[i * m + j];
      value -= center_[i] * center_[j];
      for (size_t c = 0; within && c < classes; ++c) {
        value -= n[c] / total * deviation[c * m + i] * deviation[c * m + j];
      }
      if (i == j) value += between_noise;
      rotation_[j * m + i] = value;
    }
  }
  absl::StatusOr<SymmetricEigen> eigen = EigenOfSymmetric(std::move(rotation_), m);
  if (eigen.ok()) {
    rotation_ = std::move(eigen->vectors);
    eigenvalues = std::move(eigen->values);
  } else {
    // Does not happen for finite symmetric matrices; the coordinate axes are as good a basis as is left.
    rotation_.assign(m * m, 0);
    for (size_t i = 0; i < m; ++i) rotation_[i * m + i] = 1;
    eigenvalues.assign(m, 1.0);
  }
  const double ridge =
      parts_->has_second_moment()
          ? kNoiseRidge * 2 * std::sqrt(m / 2.0) * std::sqrt(mechanism.variances()[1]) / unit / total + kLeastEigenvalue
          : kRidge;
  for (double& value : eigenvalues) value = std::max(value, 0.0) + ridge;
  Rotate(rotation_, m, deviation);
}

void ClassScorer::Score(MatrixView queries, Prediction* predictions) const {
  if (parts_->kernel != nullptr) {
    ScoreKernels(queries, predictions);
  } else {
    ScoreFeatures(queries, predictions);
  }
  for (size_t r = 0; r < queries.rows; ++r) {
    Prediction& prediction = predictions[r];
    prediction.label = classes_;
    for (size_t c = 0; c < classes_; ++c) {
      if (!candidates_[c]) continue;
      if (prediction.label == classes_ || prediction.scores[c] > prediction.scores[prediction.label])
        prediction.label = c;
    }
  }
}

void ClassScorer::ScoreFeatures(MatrixView queries, Prediction* predictions) const {
  const size_t m = size(), classes = classes_;
  std::vector<int32_t> integers(queries.rows * m);
  parts_->features->Compute(queries, absl::MakeSpan(integers));
  std::vector<double> u(queries.rows * m);
  for (size_t i = 0; i < u.size(); ++i) u[i] = integers[i] / static_cast<double>(kGridUnit) - center_[i % m];
  if (!rotation_.empty()) Rotate(rotation_, m, u);
  std::vector<double> squares = u;
  if (solver_.has_value()) {
    const std::vector<float> x(u.begin(), u.end());
    const std::vector<float> solved = solver_->Solve({x.data(), queries.rows, m});
    squares.assign(solved.begin(), solved.end());
  }
  for (double& value : squares) value *= value;
  for (size_t r = 0; r < queries.rows; ++r) {
    for (size_t c = 0; c < classes; ++c) {
      predictions[r].scores.push_back(offsets_[c] + Product(weights_.data() + c * m, u.data() + r * m, m));
      predictions[r].std_errors.push_back(std::sqrt(Product(variances_.data() + c * m, squares.data() + r * m, m)));
    }
  }
}

void ClassScorer::ScoreKernels(MatrixView queries, Prediction* predictions) const {
  const ClassKernel& kernel = *parts_->kernel;
  std::vector<float> placed(queries.rows * queries.columns);
  for (size_t r = 0; r < queries.rows; ++r) {
    kernel.Place(queries.row(r).data(), placed.data() + r * queries.columns);
  }
  for (size_t c = 0; c < functions_.size(); ++c) {
    std::vector<Answer> answers(queries.rows);
    functions_[c]->Evaluate({placed.data(), queries.rows, queries.columns}, absl::MakeSpan(answers));
    for (size_t r = 0; r < queries.rows; ++r) {
      predictions[r].scores.push_back(answers[r].sum / records_[c]);
      predictions[r].std_errors.push_back(std::sqrt(answers[r].noise_variance) / records_[c]);
    }
  }
  for (size_t r = 0; r < queries.rows; ++r) ShrinkMeans(predictions[r]);
}

// At each query, as FitFeatures does in each direction, so that a small class does not win by its noise. Classes with
// equal noise keep their order.
void ClassScorer::ShrinkMeans(Prediction& prediction) const {
  // Of the typical noise variance; what is left where classes differ by nothing but noise.
  constexpr double kLeastBetween = 1e-3;
  double sum = 0, total = 0;
  for (size_t c = 0; c < records_.size(); ++c) {
    sum += prediction.scores[c] * records_[c];
    total += records_[c];
  }
  const double overall = sum / total;
  std::vector<double> deviation, noise;
  for (size_t c = 0; c < records_.size(); ++c) {
    deviation.push_back(prediction.scores[c] - overall);
    noise.push_back(std::pow(prediction.std_errors[c], 2));
  }
  const double typical = TypicalNoise(noise);
  const double between = std::max(BetweenVariance(deviation, noise, typical), kLeastBetween * typical);
  for (size_t c = 0; c < records_.size(); ++c) {
    const double kept = between / (between + noise[c]);
    prediction.scores[c] = parts_->kernel->sign() * (overall + kept * deviation[c]);
    prediction.std_errors[c] *= kept + (1 - kept) * records_[c] / total;
  }
}

}  // namespace dpkde
