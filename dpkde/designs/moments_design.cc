#include "dpkde/designs/moments_design.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace dpkde {
namespace {

class MomentsFunction final : public ReleasedFunction {
 public:
  std::vector<double> center;
  std::vector<double> weighted_sum;  // -2 R times the released sum of z
  double square_part = 0;            // R^2 times the released sum of ||z||^2
  double count = 0;
  double sum_variance = 0;  // of one entry of weighted_sum
  double square_variance = 0;
  double count_variance = 0;

  void Evaluate(MatrixView queries, absl::Span<Answer> answers) const override {
    for (size_t q = 0; q < queries.rows; ++q) {
      double dot = 0, square = 0;
      for (size_t i = 0; i < center.size(); ++i) {
        const double y = queries.row(q)[i] - center[i];
        dot += y * weighted_sum[i];
        square += y * y;
      }
      answers[q].sum = square_part + dot + square * count;
      answers[q].noise_variance = square_variance + square * sum_variance + square * square * count_variance;
      answers[q].count_covariance = square * count_variance;
    }
  }
};

class MomentsDesign final : public Design {
 public:
  explicit MomentsDesign(const Domain& domain) : domain_(domain), radius_(domain.Diameter() / 2) {
    spec_.mutable_moments();
    const size_t d = domain.dimension();
    // Over queries uniform in the box: E ||y - c||^2, and E ||y - c||^4 from the fourth moments of its axes.
    double mean_square = 0, variance_of_square = 0;
    for (size_t i = 0; i < d; ++i) {
      const double width = domain.width(i);
      center_.push_back(0.5 * (static_cast<double>(domain.lower()[i]) + domain.upper()[i]));
      mean_square += width * width / 12;
      variance_of_square += std::pow(width, 4) * (1.0 / 80 - 1.0 / 144);
    }
    bound_ = static_cast<uint64_t>(kGridUnit) + static_cast<uint64_t>(std::ceil(std::sqrt(static_cast<double>(d))));

    CoordinateGroup sums;
    sums.first = 0;
    sums.count = d;
    sums.shape = GroupShape::kBall;
    sums.add_remove = {static_cast<uint64_t>(std::ceil(std::sqrt(static_cast<double>(d)) * bound_)), bound_};
    sums.replace = {2 * sums.add_remove.l1, 2 * sums.add_remove.l2};
    sums.mean_square_weight = 4 * radius_ * radius_ * mean_square;
    CoordinateGroup square;
    square.first = d;
    square.count = 1;
    square.add_remove = square.replace = {static_cast<uint64_t>(kGridUnit), static_cast<uint64_t>(kGridUnit)};
    square.mean_square_weight = std::pow(radius_, 4);
    groups_ = {sums, square, CountGroup(d + 1, std::sqrt(mean_square * mean_square + variance_of_square))};
  }

  size_t dimension() const override { return domain_.dimension(); }
  size_t count_coordinate() const override { return dimension() + 1; }
  const proto::DesignSpec& spec() const override { return spec_; }
  const std::vector<CoordinateGroup>& groups() const override { return groups_; }
  // Rounding to 2^-20 remains: sqrt(d) 2^-20 of the diagonal's square at most.
  absl::optional<double> SupError() const override {
    return 4 * radius_ * radius_ * std::sqrt(static_cast<double>(dimension())) / kGridUnit;
  }
  double PredictedApproximationError(double, double) const override { return 0; }

  void Accumulate(MatrixView rows, absl::Span<int64_t> sums) const override {
    const size_t d = dimension();
    std::vector<float> x(d);
    std::vector<int64_t> q(d);
    for (size_t r = 0; r < rows.rows; ++r) {
      domain_.Clamp(rows.row(r).data(), x.data());
      double norm = 0;
      uint64_t square = 0;
      for (size_t i = 0; i < d; ++i) {
        const double z = (x[i] - center_[i]) / radius_;
        norm += z * z;
        q[i] = std::llrint(std::min(std::max(z, -1.0), 1.0) * kGridUnit);
        square += static_cast<uint64_t>(q[i] * q[i]);
      }
      // Cannot fail unless the arithmetic is wrong; the record then counts as one at the centre.
      if (square > bound_ * bound_) {
        std::fill(q.begin(), q.end(), 0);
        norm = 0;
      }
      for (size_t i = 0; i < d; ++i) sums[i] += q[i];
      sums[d] += std::llrint(std::min(norm, 1.0) * kGridUnit);
    }
    sums[count_coordinate()] += static_cast<int64_t>(rows.rows) * kGridUnit;
  }

  std::unique_ptr<ReleasedFunction> MakeReleasedFunction(absl::Span<const int64_t> values,
                                                         absl::Span<const double> variances) const override {
    const size_t d = dimension();
    const double unit = kGridUnit;
    auto function = std::make_unique<MomentsFunction>();
    function->center = center_;
    for (size_t i = 0; i < d; ++i) function->weighted_sum.push_back(-2 * radius_ * values[i] / unit);
    function->square_part = radius_ * radius_ * values[d] / unit;
    function->count = values[d + 1] / unit;
    function->sum_variance = 4 * radius_ * radius_ * variances[0] / (unit * unit);
    function->square_variance = std::pow(radius_, 4) * variances[1] / (unit * unit);
    function->count_variance = variances[2] / (unit * unit);
    return function;
  }

 private:
  Domain domain_;
  proto::DesignSpec spec_;
  double radius_;
  std::vector<double> center_;
  uint64_t bound_ = 0;
  std::vector<CoordinateGroup> groups_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Design>> MakeMomentsDesign(const Similarity& similarity, const Domain& domain,
                                                          const proto::MomentsSpec&) {
  if (similarity.kind() != proto::SimilaritySpec::L2_SQUARED) {
    return absl::InvalidArgumentError(absl::StrCat(similarity.name(), " is not a function of moments"));
  }
  return std::unique_ptr<Design>(std::make_unique<MomentsDesign>(domain));
}

}  // namespace dpkde
