#include "dpkde/designs/moments_design.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"
#include "dpkde/base/wipe.h"

namespace dpkde {
namespace {

using Spec = proto::SimilaritySpec;

// An answer is <w(y), sum z> + square_weight * sum ||z||^2 + v(y) * n.
class MomentsFunction final : public ReleasedFunction {
 public:
  Spec::Kind kind = Spec::KIND_UNSPECIFIED;
  std::vector<double> center;
  double radius = 1;
  std::vector<double> sums;  // of z
  double square = 0;         // of ||z||^2
  double count = 0;
  double sum_variance = 0;  // of each of sums
  double square_variance = 0;
  double count_variance = 0;

  void Evaluate(MatrixView queries, absl::Span<Answer> answers) const override {
    const double square_weight = kind == Spec::L2_SQUARED ? radius * radius : 0;
    std::vector<double> weights(center.size());
    for (size_t q = 0; q < queries.rows; ++q) {
      const double count_weight = Weights(queries.row(q), weights);
      double sum = square_weight * square + count_weight * count;
      double norm = 0;
      for (size_t i = 0; i < weights.size(); ++i) {
        sum += weights[i] * sums[i];
        norm += weights[i] * weights[i];
      }
      answers[q].sum = sum;
      answers[q].noise_variance = norm * sum_variance + square_weight * square_weight * square_variance +
                                  count_weight * count_weight * count_variance;
      answers[q].count_covariance = count_weight * count_variance;
    }
  }

 private:
  // w(y) and v(y).
  double Weights(absl::Span<const float> y, std::vector<double>& weights) const {
    double count_weight = 0, norm = 0;
    for (size_t i = 0; i < y.size(); ++i) {
      if (kind == Spec::L2_SQUARED) {
        const double difference = y[i] - center[i];
        weights[i] = -2 * radius * difference;
        count_weight += difference * difference;
      } else {
        weights[i] = radius * y[i];
        count_weight += center[i] * y[i];
        norm += static_cast<double>(y[i]) * y[i];
      }
    }
    if (kind == Spec::COSINE) {
      for (double& weight : weights) weight = norm > 0 ? weight / std::sqrt(norm) : 0;
    }
    return count_weight;
  }
};

class MomentsDesign final : public Design {
 public:
  MomentsDesign(Spec::Kind kind, size_t dimension, const absl::optional<Domain>& domain)
      : kind_(kind), domain_(domain), center_(dimension), has_square_(kind == Spec::L2_SQUARED) {
    spec_.mutable_moments();
    // Over queries uniform in the domain (any, for cosine): mean squares of the weights above.
    double spread = 0, spread_variance = 0;  // of ||y - c||^2: mean and variance
    double center_square = 0, projection = 0;
    if (kind != Spec::COSINE) {
      radius_ = domain->radius();
      for (size_t i = 0; i < dimension; ++i) {
        const double width = domain->width(i);
        const double square = domain->is_ball() ? radius_ * radius_ / (dimension + 2.0) : width * width / 12;
        center_[i] = domain->center(i);
        spread += square;
        spread_variance += std::pow(width, 4) * (1.0 / 80 - 1.0 / 144);
        center_square += center_[i] * center_[i];
        projection += center_[i] * center_[i] * square;
      }
      if (domain->is_ball()) spread_variance = std::pow(radius_, 4) * dimension / (dimension + 4.0) - spread * spread;
    }
    double sums_weight = 1, count_weight_square = 0;
    if (kind == Spec::L2_SQUARED) {
      sums_weight = 4 * radius_ * radius_ * spread;
      count_weight_square = spread * spread + spread_variance;
    } else if (kind == Spec::INNER_PRODUCT) {
      sums_weight = radius_ * radius_ * (center_square + spread);
      count_weight_square = center_square * center_square + projection;
    }

    const double root = std::sqrt(static_cast<double>(dimension));
    bound_ = static_cast<uint64_t>(kGridUnit) + static_cast<uint64_t>(std::ceil(root));
    CoordinateGroup sums;
    sums.first = 0;
    sums.count = dimension;
    sums.shape = GroupShape::kBall;
    sums.add_remove = {static_cast<uint64_t>(std::ceil(root * bound_)), bound_};
    sums.replace = {2 * sums.add_remove.l1, 2 * sums.add_remove.l2};
    sums.mean_square_weight = sums_weight;
    groups_.push_back(sums);
    if (has_square_) {
      CoordinateGroup square;
      square.first = dimension;
      square.count = 1;
      square.add_remove = square.replace = {static_cast<uint64_t>(kGridUnit), static_cast<uint64_t>(kGridUnit)};
      square.mean_square_weight = std::pow(radius_, 4);
      groups_.push_back(square);
    }
    groups_.push_back(CountGroup(count_coordinate(), std::sqrt(count_weight_square)));
    // What rounding to 2^-20 leaves: at most sqrt(d) / 2 units times the length of w(y), and as much for the square.
    const double longest = kind == Spec::COSINE          ? 1
                           : kind == Spec::INNER_PRODUCT ? radius_ * (std::sqrt(center_square) + radius_)
                                                         : 3 * radius_ * radius_;
    sup_error_ = root * longest / kGridUnit;
  }

  size_t dimension() const override { return center_.size(); }
  size_t count_coordinate() const override { return dimension() + (has_square_ ? 1 : 0); }
  const proto::DesignSpec& spec() const override { return spec_; }
  const std::vector<CoordinateGroup>& groups() const override { return groups_; }
  absl::optional<double> SupError() const override { return sup_error_; }
  double PredictedApproximationError(double, double) const override { return 0; }

  void Accumulate(MatrixView rows, absl::Span<int64_t> sums) const override {
    const size_t d = dimension();
    std::vector<float> x(d);
    std::vector<double> z(d);
    PrivateVector<int64_t> q(d);
    for (size_t r = 0; r < rows.rows; ++r) {
      std::copy(rows.row(r).begin(), rows.row(r).end(), x.begin());
      if (domain_.has_value()) domain_->Clamp(x.data(), x.data());
      double norm = ToUnitBall(x, z);
      uint64_t square = 0;
      for (size_t i = 0; i < d; ++i) {
        // NaN, of records without a domain, becomes 0.
        q[i] = z[i] >= -1 && z[i] <= 1 ? std::llrint(z[i] * kGridUnit)
               : z[i] > 1              ? kGridUnit
               : z[i] < -1             ? -kGridUnit
                                       : 0;
        square += static_cast<uint64_t>(q[i] * q[i]);
      }
      // Fails for no finite record; the record then counts as one at the centre.
      if (square > bound_ * bound_) {
        std::fill(q.begin(), q.end(), 0);
        norm = 0;
      }
      for (size_t i = 0; i < d; ++i) sums[i] += q[i];
      if (has_square_) sums[d] += std::llrint(std::min(norm, 1.0) * kGridUnit);
    }
    sums[count_coordinate()] += static_cast<int64_t>(rows.rows) * kGridUnit;
  }

  std::unique_ptr<ReleasedFunction> MakeReleasedFunction(absl::Span<const int64_t> values,
                                                         absl::Span<const double> variances) const override {
    const size_t d = dimension();
    const double unit = kGridUnit;
    auto function = std::make_unique<MomentsFunction>();
    function->kind = kind_;
    function->center = center_;
    function->radius = radius_;
    for (size_t i = 0; i < d; ++i) function->sums.push_back(values[i] / unit);
    function->sum_variance = variances[0] / (unit * unit);
    if (has_square_) {
      function->square = values[d] / unit;
      function->square_variance = variances[1] / (unit * unit);
    }
    function->count = values[count_coordinate()] / unit;
    function->count_variance = variances[groups_.size() - 1] / (unit * unit);
    return function;
  }

 private:
  // z of the record, and ||z||^2: one fixed order of operations.
  double ToUnitBall(const std::vector<float>& x, std::vector<double>& z) const {
    double norm = 0;
    if (kind_ == Spec::COSINE) {
      for (float value : x) norm += static_cast<double>(value) * value;
      const double length = std::sqrt(norm);
      for (size_t i = 0; i < z.size(); ++i) z[i] = length > 0 ? x[i] / length : 0;
      return norm;
    }
    for (size_t i = 0; i < z.size(); ++i) {
      z[i] = (x[i] - center_[i]) / radius_;
      norm += z[i] * z[i];
    }
    return norm;
  }

  Spec::Kind kind_;
  absl::optional<Domain> domain_;
  proto::DesignSpec spec_;
  std::vector<double> center_;
  bool has_square_;
  double radius_ = 1;
  uint64_t bound_ = 0;
  double sup_error_ = 0;
  std::vector<CoordinateGroup> groups_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Design>> MakeMomentsDesign(const Similarity& similarity, size_t dimension,
                                                          const absl::optional<Domain>& domain) {
  const Spec::Kind kind = similarity.kind();
  if (kind != Spec::L2_SQUARED && kind != Spec::INNER_PRODUCT && kind != Spec::COSINE) {
    return absl::InvalidArgumentError(absl::StrCat(similarity.name(), " is not a function of moments"));
  }
  DPKDE_RETURN_IF_ERROR(CheckInRange("dimension", dimension, 1, 65536));
  if (kind != Spec::COSINE && !domain.has_value()) {
    return absl::InvalidArgumentError(absl::StrCat(similarity.name(), " needs a domain"));
  }
  if (domain.has_value() && domain->dimension() != dimension) {
    return absl::InvalidArgumentError(
        absl::StrCat("domain must have ", dimension, " coordinates, but has ", domain->dimension()));
  }
  return std::unique_ptr<Design>(std::make_unique<MomentsDesign>(kind, dimension, domain));
}

}  // namespace dpkde
