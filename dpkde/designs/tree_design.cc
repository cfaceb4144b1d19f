#include "dpkde/designs/tree_design.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"

namespace dpkde {
namespace {

using Spec = proto::TreeSpec;

constexpr int64_t kMostValues = int64_t{1} << 22;
// Steps of the midpoint rule for what is only predicted.
constexpr int kSteps = 512;

// What all axes share.
struct TreeShape {
  Spec::Variant variant;
  uint32_t levels;
  double p;
  std::vector<double> ring_ends;  // RINGS: 1, 1 / (1 + alpha), ... down to half a cell; relative to R

  size_t cells() const { return size_t{1} << levels; }
  bool has_sums() const { return variant != Spec::RINGS; }
  size_t axis_values() const { return (2 * cells() - 2) * (has_sums() ? 2 : 1); }
  // Where the counts of level l begin in the axis' values, and its sums.
  size_t Counts(uint32_t level) const { return ((size_t{1} << level) - 2) * (has_sums() ? 2 : 1); }
  size_t Sums(uint32_t level) const { return Counts(level) + (size_t{1} << level); }

  // The cell of a position in [0, 1].
  size_t Cell(double t) const { return std::min(static_cast<size_t>(t * cells()), cells() - 1); }

  // The parts of an axis: the counts of a level, and its sums.
  static size_t CountsPart(uint32_t level) { return 2 * (level - 1); }
  static size_t SumsPart(uint32_t level) { return 2 * level - 1; }

  // Calls add(part, index into the axis' values, weight) for all that a query at t in [0, 1] uses, in units of R^p.
  template <typename Add>
  void ForWeights(double t, const Add& add) const {
    const size_t own = Cell(t);
    if (variant == Spec::RINGS) {
      // Distances of the middles of cells from the query, in cells: to the left t' - (c + 1/2), to the right (c + 1/2)
      // - t'; a ring holds those in (far end of the next, far end].
      const double position = t * cells();
      const double size = cells();
      size_t left = 0, right = cells();  // the cells that are left are [left, right), the query's own among them
      for (size_t j = 0; j < ring_ends.size(); ++j) {
        const double weight = std::pow(ring_ends[j], p);
        const double near = j + 1 < ring_ends.size() ? ring_ends[j + 1] * size : 0;
        // Cells c with position - c - 1/2 > near; with c + 1/2 - position > near.
        const double left_end = std::ceil(position - 0.5 - near);
        const size_t to = std::min(own, std::max(left, static_cast<size_t>(std::max(left_end, 0.0))));
        ForNodes(left, to, weight, add);
        left = to;
        const double right_begin = std::floor(position - 0.5 + near) + 1;
        const size_t from = std::max(own + 1, std::min(right, static_cast<size_t>(std::max(right_begin, 0.0))));
        ForNodes(from, right, weight, add);
        right = from;
      }
      return;
    }
    for (uint32_t level = 1; level <= levels; ++level) {
      const size_t sibling = (own >> (levels - level)) ^ 1;
      const double sign = sibling & 1 ? 1 : -1;  // to the right, or to the left
      const double width = std::ldexp(1.0, -static_cast<int>(level));
      if (variant == Spec::SUMS) {
        add(CountsPart(level), Counts(level) + sibling, -sign * t);
        add(SumsPart(level), Sums(level) + sibling, sign);
      } else {
        add(CountsPart(level), Counts(level) + sibling, sign * ((sibling + 0.5) * width - t));
        add(SumsPart(level), Sums(level) + sibling, sign * width / 2);
      }
    }
  }

  // Adds the counts of the fewest nodes that make up the cells [begin, end). Never the root: that is all cells, and the
  // query's own is never among them.
  template <typename Add>
  void ForNodes(size_t begin, size_t end, double weight, const Add& add) const {
    for (uint32_t level = levels; begin < end; --level) {
      if (begin & 1) add(CountsPart(level), Counts(level) + begin++, weight);
      if (end & 1) add(CountsPart(level), Counts(level) + --end, weight);
      begin >>= 1;
      end >>= 1;
    }
  }
};

class TreeFunction final : public ReleasedFunction {
 public:
  TreeFunction(const TreeShape* shape, const Domain* domain) : shape_(shape), domain_(domain) {}

  void Evaluate(MatrixView queries, absl::Span<Answer> answers) const override {
    for (size_t q = 0; q < queries.rows; ++q) {
      Answer& answer = answers[q];
      answer.sum = answer.noise_variance = answer.count_covariance = 0;
      for (size_t i = 0; i < queries.columns; ++i) {
        const double scale = std::pow(domain_->width(i), shape_->p);
        const double t = std::min(
            std::max((queries.row(q)[i] - static_cast<double>(domain_->lower()[i])) / domain_->width(i), 0.0), 1.0);
        const double* values = &values_[i * shape_->axis_values()];
        const double* variances = &variances_[i * 2 * shape_->levels];
        shape_->ForWeights(t, [&](size_t part, size_t index, double weight) {
          answer.sum += scale * weight * values[index];
          answer.noise_variance += scale * scale * weight * weight * variances[part];
        });
      }
    }
  }

 private:
  friend class TreeDesign;

  const TreeShape* shape_;
  const Domain* domain_;
  std::vector<double> values_;     // in records
  std::vector<double> variances_;  // an axis, part
};

class TreeDesign final : public Design {
 public:
  // `query_deviation` is as in the header, but relative to the axes' width.
  TreeDesign(TreeShape shape, const Domain& domain, const proto::TreeSpec& spec, double query_deviation)
      : shape_(std::move(shape)), domain_(domain) {
    *spec_.mutable_tree() = spec;
    const double cell = 1.0 / shape_.cells(), p = shape_.p;
    // Relative to R^p: sup and mean square of weight - |t|^p for a record at one end of the axis, and the mean over
    // records and queries that are spread evenly.
    double sup = cell, mean_square = cell * cell * cell / 3, typical = cell * cell / 3;
    if (shape_.variant == Spec::RINGS) {
      sup = std::pow(1 + spec.alpha(), p) - 1 + (p <= 1 ? std::pow(cell, p) : p * cell);
      mean_square = typical = 0;
      for (int step = 0; step < kSteps; ++step) {
        const double t = (step + 0.5) / kSteps;
        const double distance = (shape_.Cell(t) + 0.5) * cell;
        double weight = 0;
        if (shape_.Cell(t) > 0) {
          for (double end : shape_.ring_ends) weight = end >= distance ? std::pow(end, p) : weight;
        }
        mean_square += std::pow(weight - std::pow(t, p), 2) / kSteps;
        typical += 2 * (1 - t) * (weight - std::pow(t, p)) / kSteps;  // distances of two even points
      }
    }
    const std::vector<double> square_weights = MeanSquareWeights(query_deviation);
    double all_square_weight = 0;  // of the one group of RINGS and SUMS
    for (size_t i = 0; i < dimension(); ++i) {
      const double scale = std::pow(domain_.width(i), p);
      sup_error_ += scale * sup;
      worst_error_ += scale * std::sqrt(mean_square);
      typical_error_ += scale * typical;
      if (shape_.variant == Spec::CENTERED) {
        AddLevelGroups(i, scale * scale, square_weights);
      } else {
        all_square_weight += scale * scale * std::accumulate(square_weights.begin(), square_weights.end(), 0.0);
      }
    }
    if (shape_.variant != Spec::CENTERED) {
      const uint64_t parts = dimension() * shape_.levels * (shape_.has_sums() ? 2 : 1);
      CoordinateGroup all;
      all.count = count_coordinate();
      all.add_remove = {parts * kGridUnit, GridUnitsUp(std::sqrt(static_cast<double>(parts)))};
      all.replace = {2 * parts * kGridUnit, GridUnitsUp(std::sqrt(2.0 * parts))};
      all.mean_square_weight = all_square_weight;
      groups_.push_back(all);
    }
    groups_.push_back(CountGroup(count_coordinate(), 0));
  }

  size_t dimension() const override { return domain_.dimension(); }
  size_t count_coordinate() const override { return dimension() * shape_.axis_values(); }
  const proto::DesignSpec& spec() const override { return spec_; }
  const std::vector<CoordinateGroup>& groups() const override { return groups_; }
  absl::optional<double> SupError() const override { return sup_error_; }
  QueryRegion query_region() const override { return QueryRegion::kBoundingBox; }
  double PredictedApproximationError(double n, double) const override { return n * worst_error_; }
  double TypicalApproximationError(double n, double) const override { return n * typical_error_; }

  void Accumulate(MatrixView rows, absl::Span<int64_t> sums) const override {
    std::vector<float> x(dimension());
    for (size_t r = 0; r < rows.rows; ++r) {
      domain_.Clamp(rows.row(r).data(), x.data());
      for (size_t i = 0; i < dimension(); ++i) {
        int64_t* axis = &sums[i * shape_.axis_values()];
        const double t = Position(x[i], i);
        const size_t cell = shape_.Cell(t);
        for (uint32_t level = 1; level <= shape_.levels; ++level) {
          const size_t node = cell >> (shape_.levels - level);
          axis[shape_.Counts(level) + node] += kGridUnit;
          if (!shape_.has_sums()) continue;
          const double moment =
              shape_.variant == Spec::SUMS ? t : std::ldexp(t, static_cast<int>(level) + 1) - (2.0 * node + 1);
          const double least = shape_.variant == Spec::SUMS ? 0 : -1;
          axis[shape_.Sums(level) + node] += std::llrint(std::min(std::max(moment, least), 1.0) * kGridUnit);
        }
      }
    }
    sums[count_coordinate()] += static_cast<int64_t>(rows.rows) * kGridUnit;
  }

  std::unique_ptr<ReleasedFunction> MakeReleasedFunction(absl::Span<const int64_t> values,
                                                         absl::Span<const double> variances) const override {
    const double unit = kGridUnit;
    auto function = std::make_unique<TreeFunction>(&shape_, &domain_);
    function->values_.reserve(count_coordinate());
    for (size_t j = 0; j < count_coordinate(); ++j) function->values_.push_back(values[j] / unit);
    function->variances_.resize(dimension() * 2 * shape_.levels);
    for (size_t j = 0; j < function->variances_.size(); ++j) {
      function->variances_[j] = variances[shape_.variant == Spec::CENTERED ? j : 0] / (unit * unit);
    }
    return function;
  }

 private:
  // In [0, 1], for a clamped coordinate; NaN, which no clamp returns, would go to 0.
  double Position(float x, size_t axis) const {
    const double t = (static_cast<double>(x) - domain_.lower()[axis]) / domain_.width(axis);
    return t > 0 ? std::min(t, 1.0) : 0;
  }

  // Mean over queries of the sums of squared weights, by part.
  std::vector<double> MeanSquareWeights(double query_deviation) const {
    std::vector<double> sums(2 * shape_.levels);
    double total = 0;
    for (int step = 0; step < kSteps; ++step) {
      const double t = (step + 0.5) / kSteps;
      const double density = query_deviation > 0 ? std::exp(-std::pow((t - 0.5) / query_deviation, 2) / 2) : 1;
      shape_.ForWeights(t, [&](size_t part, size_t, double weight) { sums[part] += density * weight * weight; });
      total += density;
    }
    for (double& sum : sums) sum /= total;
    if (shape_.variant != Spec::CENTERED) return sums;
    // The middle of the sibling is between 1/2 and 3/2 widths away: evenly, of nodes that the steps do not resolve.
    for (uint32_t level = 1; level <= shape_.levels; ++level) {
      if (query_deviation > 0 && shape_.cells() >> (shape_.levels - level) <= kSteps / 4) continue;
      const double square_width = std::ldexp(1.0, -2 * static_cast<int>(level));
      sums[TreeShape::CountsPart(level)] = 13.0 / 12 * square_width;
      sums[TreeShape::SumsPart(level)] = square_width / 4;
    }
    return sums;
  }

  void AddLevelGroups(size_t axis, double square_scale, const std::vector<double>& square_weights) {
    for (uint32_t level = 1; level <= shape_.levels; ++level) {
      const size_t begin = axis * shape_.axis_values();
      CoordinateGroup counts;
      counts.first = begin + shape_.Counts(level);
      counts.count = size_t{1} << level;
      counts.add_remove = {GridUnitsUp(1), GridUnitsUp(1)};
      counts.replace = {GridUnitsUp(2), GridUnitsUp(std::sqrt(2.0))};
      counts.mean_square_weight = square_scale * square_weights[TreeShape::CountsPart(level)];
      CoordinateGroup moments = counts;
      moments.first = begin + shape_.Sums(level);
      moments.replace = {GridUnitsUp(2), GridUnitsUp(2)};
      moments.mean_square_weight = square_scale * square_weights[TreeShape::SumsPart(level)];
      groups_.push_back(counts);
      groups_.push_back(moments);
    }
  }

  TreeShape shape_;
  Domain domain_;
  proto::DesignSpec spec_;
  std::vector<CoordinateGroup> groups_;
  double sup_error_ = 0, worst_error_ = 0, typical_error_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Design>> MakeTreeDesign(const Similarity& similarity, const Domain& domain,
                                                       const proto::TreeSpec& spec, double query_deviation) {
  TreeShape shape;
  if (similarity.kind() == proto::SimilaritySpec::L1) {
    shape.p = 1;
  } else if (similarity.kind() == proto::SimilaritySpec::LP_POWER) {
    shape.p = similarity.spec().p();
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat(similarity.name(), " is not a sum of powers over axes",
                     similarity.kind() == proto::SimilaritySpec::L2 ? ": it needs a reduction to one" : ""));
  }
  DPKDE_RETURN_IF_ERROR(CheckInRange("levels", spec.levels(), 1, 20));
  shape.variant = spec.variant();
  shape.levels = spec.levels();
  if (shape.variant == Spec::RINGS) {
    if (!(spec.alpha() >= 0.001 && spec.alpha() <= 10)) {
      return absl::InvalidArgumentError(
          absl::StrCat("alpha must be at least 0.001 and at most 10, but is ", spec.alpha()));
    }
    for (double end = 1; end * shape.cells() > 0.5; end /= 1 + spec.alpha()) shape.ring_ends.push_back(end);
  } else if (shape.variant == Spec::SUMS || shape.variant == Spec::CENTERED) {
    if (spec.alpha() != 0) return absl::InvalidArgumentError("alpha is taken by a tree of rings only");
    if (shape.p != 1) return absl::InvalidArgumentError("a tree of counts and sums answers l1 only");
  } else {
    return absl::InvalidArgumentError("variant of the tree is missing or unknown");
  }
  DPKDE_RETURN_IF_ERROR(CheckInRange("values of all axes",
                                     static_cast<int64_t>(shape.axis_values()) * domain.dimension(), 1, kMostValues));
  return std::unique_ptr<Design>(
      std::make_unique<TreeDesign>(std::move(shape), domain, spec, query_deviation / domain.width(0)));
}

}  // namespace dpkde
