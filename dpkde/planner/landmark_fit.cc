#include "dpkde/planner/landmark_fit.h"

#include <algorithm>
#include <boost/random/uniform_01.hpp>
#include <cmath>
#include <functional>
#include <numeric>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/exceptions.h"
#include "dpkde/base/float_environment.h"
#include "dpkde/base/row_origin.h"
#include "dpkde/base/row_products.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/symmetric_eigen.h"
#include "dpkde/base/validation.h"
#include "dpkde/designs/landmark_design.h"
#include "dpkde/designs/public_random.h"
#include "dpkde/similarity/resolution.h"

namespace dpkde {
namespace {

constexpr size_t kFewestPoints = 16;  // four folds of four, see Validate
constexpr size_t kFolds = 4;
constexpr size_t kMostValidation = 2048;

// Points from which landmarks are chosen, for each landmark; rounds of Lloyd's algorithm.
constexpr size_t kMostEligible = 8;
constexpr int kLloydRounds = 10;
constexpr uint32_t kMostFeatures = 1024;

// Relative to k(x, x) = 1: added to the Gram matrix; and the least eigenvalue of a feature, far enough above the 1e-6
// that float32 kernels are off by.
constexpr double kRidge = 1e-6;
constexpr double kLeastEigenvalue = 1e-3;

// R is this times the reference's largest distance: what is left for records farther out.
constexpr double kRadiusMargin = 1.25;

// Row-major dense matrix of doubles.
struct Matrix {
  Matrix(size_t rows, size_t columns) : rows(rows), columns(columns), values(rows * columns) {}
  double& at(size_t i, size_t j) { return values[i * columns + j]; }
  double at(size_t i, size_t j) const { return values[i * columns + j]; }
  size_t rows, columns;
  std::vector<double> values;
};

// c += alpha * a[:, a_begin..a_end) b^T or b, all row-major. Public data only: what feeds an accumulator is
// landmark_kernel.h.
void AddProduct(double alpha, const Matrix& a, size_t a_begin, size_t a_end, const Matrix& b, bool transpose_b,
                Matrix& c) {
  const size_t inner = a_end - a_begin;
  const RowMajor left = {a.values.data() + a_begin, a.rows, inner, a.columns};
  const RowMajor right = transpose_b ? RowMajor{b.values.data() + a_begin, b.rows, inner, b.columns}
                                     : RowMajor{b.values.data() + a_begin * b.columns, inner, b.columns, b.columns};
  AddRowProducts(alpha, left, right, transpose_b, c.values.data());
}

// Means over points that stand for records and queries, at each rank.
struct Validation {
  Validation(size_t ranks, size_t most)
      : bias(ranks),
        query_variance(ranks),
        variance(ranks),
        residual(ranks),
        diagonal(ranks),
        diagonal_square(ranks),
        feature_weight(most) {}

  std::vector<double> bias;            // E_y (E_x r(x, y))^2
  std::vector<double> query_variance;  // of the estimate of bias, from that of queries
  std::vector<double> variance;        // of queries and records
  std::vector<double> residual;        // E r(x, y)^2
  std::vector<double> diagonal, diagonal_square;
  std::vector<double> feature_weight;
  double folds = 0;
};

class Fitter {
 public:
  Fitter(const Similarity& similarity, ThreadPool& pool) : similarity_(similarity), pool_(pool) {}

  // k between all pairs of points.
  Matrix Gram(MatrixView a, MatrixView b) const {
    Matrix gram(a.rows, b.rows);
    const bool is_symmetric = a.data == b.data && a.rows == b.rows;
    const std::vector<double> a_distances = Distances(a), b_distances = Distances(b);
    pool_.ParallelFor(a.rows, 16, [&](size_t begin, size_t end, int) {
      for (size_t i = begin; i < end; ++i) {
        for (size_t j = 0; j < (is_symmetric ? i + 1 : b.rows); ++j) {
          const double f = similarity_.Evaluate(a.row(i), b.row(j));
          gram.at(i, j) = is_distance() ? (a_distances[i] + b_distances[j] - f) / (2 * radius_) : f;
        }
      }
    });
    for (size_t i = 0; is_symmetric && i < a.rows; ++i) {
      for (size_t j = i + 1; j < a.rows; ++j) gram.at(i, j) = gram.at(j, i);
    }
    return gram;
  }

  // f(x, z_0); nothing for kernels.
  std::vector<double> Distances(MatrixView points) const {
    std::vector<double> distances;
    for (size_t i = 0; is_distance() && i < points.rows; ++i) {
      distances.push_back(similarity_.Evaluate(points.row(i), origin_));
    }
    return distances;
  }

  // W from the landmarks' Gram matrix: columns by falling eigenvalue.
  absl::StatusOr<Matrix> Projection(Matrix gram, std::vector<double>& eigenvalues) const {
    for (size_t i = 0; i < gram.rows; ++i) gram.at(i, i) += kRidge;
    DPKDE_ASSIGN_OR_RETURN(const SymmetricEigen eigen, EigenOfSymmetric(std::move(gram.values), gram.rows));
    eigenvalues.assign(eigen.values.rbegin(), eigen.values.rend());
    const size_t n = gram.rows;
    Matrix projection(n, n);
    for (size_t j = 0; j < n; ++j) {
      const double factor = 1 / std::sqrt(std::max(eigenvalues[j], kRidge));
      for (size_t i = 0; i < n; ++i) projection.at(i, j) = factor * eigen.vectors[(n - 1 - j) * n + i];
    }
    return projection;
  }

  // Adds to the means what points that are not landmarks show.
  // `gram`: of points and landmarks; `residual`: of the points.
  void Validate(const Matrix& gram, const Matrix& projection, const std::vector<uint32_t>& ranks, Matrix residual,
                Validation& validation) const {
    const size_t h = gram.rows, most = ranks.back();
    Matrix features(h, most);
    {
      // Only the columns that are used.
      Matrix used(projection.rows, most);
      for (size_t i = 0; i < used.rows; ++i) {
        std::copy_n(projection.values.begin() + i * projection.columns, most, used.values.begin() + i * most);
      }
      AddProduct(1, gram, 0, gram.columns, used, false, features);
    }
    size_t done = 0;
    for (size_t rank = 0; rank < ranks.size(); ++rank) {
      AddProduct(-1, features, done, ranks[rank], features, true, residual);
      done = ranks[rank];
      std::vector<double> means(h), own_bias(h);
      double bias = 0, squares = 0, diagonal = 0, diagonal_square = 0;
      for (size_t j = 0; j < h; ++j) {
        double sum = 0, square = 0;
        for (size_t i = 0; i < h; ++i) {
          if (i == j) continue;
          sum += residual.at(j, i);
          square += residual.at(j, i) * residual.at(j, i);
        }
        means[j] = sum / (h - 1.0);
        own_bias[j] = (sum * sum - square) / ((h - 1.0) * (h - 2.0));
        bias += own_bias[j] / h;
        squares += square / (h - 1.0) / h;
        const double own = std::max(residual.at(j, j), 0.0);
        diagonal += own / h;
        diagonal_square += own * own / h;
      }
      // Each point is a query once and a record twice: Hoeffding's projection of the U-statistic, whose variance is
      // that of the mean of these.
      double projected_square = 0, query_square = 0;
      for (size_t i = 0; i < h; ++i) {
        double as_record = 0;
        for (size_t j = 0; j < h; ++j) as_record += i == j ? 0 : residual.at(j, i) * means[j];
        projected_square += std::pow(own_bias[i] + 2 * as_record / (h - 1.0) - 3 * bias, 2) / h;
        query_square += std::pow(own_bias[i] - bias, 2) / h;
      }
      validation.bias[rank] += bias;
      validation.query_variance[rank] += query_square / h;
      validation.variance[rank] += projected_square / h;
      validation.residual[rank] += squares;
      validation.diagonal[rank] += diagonal;
      validation.diagonal_square[rank] += diagonal_square;
    }
    for (size_t j = 0; j < most; ++j) {
      double square = 0;
      for (size_t i = 0; i < h; ++i) square += features.at(i, j) * features.at(i, j) / h;
      validation.feature_weight[j] += square;
    }
    validation.folds += 1;
  }

  // Half of the landmarks at random, the others with probabilities in proportion to what those leave of k(z, z),
  // without replacement (the largest of u^(1/r): Efraimidis and Spirakis 2006).
  absl::StatusOr<std::vector<float>> ByLeverage(MatrixView from, size_t count,
                                                boost::random::mt19937_64& random) const {
    const size_t first = count / 2, d = from.columns;
    std::vector<double> unused;
    DPKDE_ASSIGN_OR_RETURN(const Matrix projection,
                           Projection(Gram(from.Slice(0, first), from.Slice(0, first)), unused));
    const MatrixView rest = from.Slice(first, from.rows);
    Matrix features(rest.rows, first);
    AddProduct(1, Gram(rest, from.Slice(0, first)), 0, first, projection, false, features);
    const std::vector<double> distances = Distances(rest);
    std::vector<std::pair<double, size_t>> keys;
    boost::random::uniform_01<double> uniform;
    for (size_t i = 0; i < rest.rows; ++i) {
      double left = is_distance() ? distances[i] / radius_ : 1;
      for (size_t j = 0; j < first; ++j) left -= features.at(i, j) * features.at(i, j);
      keys.emplace_back(std::log(1 - uniform(random)) / std::max(left, 1e-12), i);
    }
    std::partial_sort(keys.begin(), keys.begin() + (count - first), keys.end(), std::greater<>());
    std::vector<float> chosen(from.data, from.data + first * d);
    for (size_t i = 0; i < count - first; ++i) {
      const absl::Span<const float> row = rest.row(keys[i].second);
      chosen.insert(chosen.end(), row.begin(), row.end());
    }
    return chosen;
  }

  // A point in the middle: the one that least distances are measured from.
  void ChooseOrigin(MatrixView reference, const absl::optional<Domain>& domain) {
    if (!is_distance()) return;
    const size_t d = reference.columns;
    origin_.resize(d);
    std::vector<float> column(reference.rows);
    for (size_t i = 0; i < d; ++i) {
      for (size_t r = 0; r < reference.rows; ++r) column[r] = reference.row(r)[i];
      if (similarity_.kind() == proto::SimilaritySpec::L2) {
        origin_[i] = static_cast<float>(std::accumulate(column.begin(), column.end(), 0.0) / column.size());
      } else {
        std::nth_element(column.begin(), column.begin() + column.size() / 2, column.end());
        origin_[i] = column[column.size() / 2];
      }
    }
    const std::vector<double> distances = Distances(reference);
    radius_ = kRadiusMargin * *std::max_element(distances.begin(), distances.end());
    if (domain.has_value()) {
      std::vector<float> corner(d);
      for (size_t i = 0; i < d; ++i) {
        const float low = domain->lower()[i], high = domain->upper()[i];
        corner[i] = high - origin_[i] > origin_[i] - low ? high : low;
      }
      radius_ = std::min(radius_, similarity_.Evaluate(corner, origin_));
    }
    for (double distance : distances) origin_weight_ += distance * distance / distances.size();
  }

  bool is_distance() const { return !similarity_.is_kernel(); }
  // What an answer is in units of k: 1, or 2 R.
  double scale() const { return is_distance() ? 2 * radius_ : 1; }
  double radius() const { return radius_; }
  double origin_weight() const { return origin_weight_; }
  const std::vector<float>& origin() const { return origin_; }

 private:
  const Similarity& similarity_;
  ThreadPool& pool_;
  std::vector<float> origin_;
  double radius_ = 0;
  double origin_weight_ = 0;
};

Matrix Part(const Matrix& matrix, absl::Span<const size_t> rows, absl::Span<const size_t> columns) {
  Matrix part(rows.size(), columns.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    for (size_t j = 0; j < columns.size(); ++j) part.at(i, j) = matrix.at(rows[i], columns[j]);
  }
  return part;
}

// Lloyd's algorithm from the first points, which are in a random order; a cluster that loses its points keeps its
// place.
std::vector<float> Centroids(MatrixView points, size_t count) {
  constexpr size_t kBlockRows = 1024;
  const size_t d = points.columns;
  Matrix centroids(count, d);
  std::copy(points.data, points.data + count * d, centroids.values.begin());
  for (int round = 0; round < kLloydRounds; ++round) {
    std::vector<double> half_squares(count);
    for (size_t c = 0; c < count; ++c) {
      for (size_t i = 0; i < d; ++i) half_squares[c] += centroids.at(c, i) * centroids.at(c, i) / 2;
    }
    Matrix sums(count, d);
    std::vector<size_t> sizes(count);
    for (size_t begin = 0; begin < points.rows; begin += kBlockRows) {
      const MatrixView rows = points.Slice(begin, std::min(begin + kBlockRows, points.rows));
      Matrix block(rows.rows, d), products(rows.rows, count);
      std::copy(rows.data, rows.data + rows.rows * d, block.values.begin());
      AddProduct(1, block, 0, d, centroids, true, products);
      for (size_t p = 0; p < rows.rows; ++p) {
        size_t nearest = 0;
        for (size_t c = 1; c < count; ++c) {
          if (products.at(p, c) - half_squares[c] > products.at(p, nearest) - half_squares[nearest]) nearest = c;
        }
        ++sizes[nearest];
        for (size_t i = 0; i < d; ++i) sums.at(nearest, i) += block.at(p, i);
      }
    }
    for (size_t c = 0; c < count; ++c) {
      for (size_t i = 0; sizes[c] > 0 && i < d; ++i) centroids.at(c, i) = sums.at(c, i) / sizes[c];
    }
  }
  return {centroids.values.begin(), centroids.values.end()};
}

std::vector<float> TakeRows(MatrixView points, absl::Span<const size_t> rows) {
  std::vector<float> taken;
  taken.reserve(rows.size() * points.columns);
  for (size_t row : rows) taken.insert(taken.end(), points.row(row).begin(), points.row(row).end());
  return taken;
}

// Makes values fall: an average takes the place of those that rise (pool adjacent violators), so that the estimates'
// noise decides less.
void MakeFalling(std::vector<double>& values) {
  std::vector<std::pair<double, size_t>> runs;  // mean, length
  for (double value : values) {
    runs.emplace_back(value, 1);
    while (runs.size() > 1 && runs.back().first > runs[runs.size() - 2].first) {
      const auto [mean, length] = runs.back();
      runs.pop_back();
      auto& [before, count] = runs.back();
      before = (before * count + mean * length) / (count + length);
      count += length;
    }
  }
  size_t next = 0;
  for (const auto& [mean, length] : runs) {
    for (size_t i = 0; i < length; ++i) values[next++] = mean;
  }
}

// Runs of equal values, made to fall as `like` does, with the same mean.
std::vector<double> Tilted(const std::vector<double>& values, const std::vector<double>& like) {
  std::vector<double> tilted;
  for (size_t begin = 0, end; begin < values.size(); begin = end) {
    end = begin;
    double total = 0;
    for (; end < values.size() && values[end] == values[begin]; ++end) total += like[end];
    for (size_t i = begin; i < end; ++i) {
      tilted.push_back(total > 0 ? values[i] * (end - begin) * like[i] / total : values[i]);
    }
  }
  return tilted;
}

}  // namespace

absl::StatusOr<LandmarkFit> LandmarkFit::Create(const Similarity& similarity, const absl::optional<Domain>& domain,
                                                MatrixView reference, const LandmarkFitOptions& options,
                                                ThreadPool& pool) try {
  const DefaultFloatEnvironment environment;
  const std::vector<double> origin = domain.has_value() ? domain->origin() : options.origin;
  if (origin.empty() || origin.size() != reference.columns) {
    return Create(similarity, domain, CenteredRows(reference), options, pool);
  }
  const std::vector<float> centered = SubtractOrigin(reference, origin);
  return Create(similarity, domain, CenteredRows({centered.data(), reference.rows, reference.columns}), options, pool);
} catch (...) {
  return StatusOfException();
}

std::vector<double> LandmarkFit::Reach() const {
  std::vector<double> reach(dimension_);
  for (size_t i = 0; i < points_.size(); ++i) {
    reach[i % dimension_] = std::max(reach[i % dimension_], std::abs(static_cast<double>(points_[i])));
  }
  return reach;
}

absl::StatusOr<LandmarkFit> LandmarkFit::Create(const Similarity& similarity, const absl::optional<Domain>& domain,
                                                CenteredRows centered, const LandmarkFitOptions& options,
                                                ThreadPool& pool) try {
  const DefaultFloatEnvironment environment;
  const MatrixView reference = centered.rows;
  if (!HasLandmarks(similarity)) {
    return absl::InvalidArgumentError(
        absl::StrCat(similarity.name(), " is neither a kernel nor a distance that landmarks serve"));
  }
  DPKDE_RETURN_IF_ERROR(CheckScale(similarity, domain));
  if (reference.rows < kFewestPoints) {
    return absl::InvalidArgumentError(
        absl::StrCat("the reference must have at least ", kFewestPoints, " points, but has ", reference.rows));
  }
  DPKDE_RETURN_IF_ERROR(CheckInRange("landmarks", options.most_landmarks, 2, 8192));
  if (domain.has_value() && domain->dimension() != reference.columns) {
    return absl::InvalidArgumentError(absl::StrCat("the reference must have ", domain->dimension(),
                                                   " columns, as the domain has, but has ", reference.columns));
  }
  const size_t d = reference.columns;
  // In a random order, so that folds are alike; clamped as records are.
  std::vector<size_t> order(reference.rows);
  std::iota(order.begin(), order.end(), 0);
  auto random = PublicStream(options.public_seed, "landmarks", 0);
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random() % i]);
  const size_t l = std::min(reference.rows, options.most_landmarks);
  const bool has_rest = reference.rows - l >= l / 4 && reference.rows - l >= 4;
  // Fewer points than these tell too little of their own kind to choose among them, once some are held out.
  const bool any_serves = options.choice == LandmarkChoice::kUniform || reference.rows < 3 * l;
  const size_t held_out =
      has_rest ? std::min(kMostValidation, any_serves ? reference.rows - l : (reference.rows - l) / 2) : 0;
  const size_t eligible = any_serves ? l : std::min(reference.rows - held_out, kMostEligible * l);
  std::vector<float> points = TakeRows(reference, absl::MakeSpan(order).subspan(0, eligible + held_out));
  for (size_t i = 0; i < eligible + held_out; ++i) {
    for (size_t c = 0; c < d; ++c) {
      if (std::isfinite(points[i * d + c])) continue;
      return absl::InvalidArgumentError(absl::StrCat("the reference: row ", order[i], ", column ", c,
                                                     " (counting from 0): must be finite, but is ", points[i * d + c]));
    }
    if (domain.has_value()) domain->Clamp(points.data() + i * d, points.data() + i * d);
  }
  Fitter fitter(similarity, pool);
  fitter.ChooseOrigin({points.data(), eligible + held_out, d}, domain);
  if (fitter.is_distance() && !(fitter.radius() > 0)) {
    return absl::InvalidArgumentError("the points of the reference must not all be equal");
  }
  if (eligible > l) {
    const MatrixView from{points.data(), eligible, d};
    std::vector<float> chosen;
    if (options.choice == LandmarkChoice::kKMeans) {
      chosen = Centroids(from, l);
    } else {
      DPKDE_ASSIGN_OR_RETURN(chosen, fitter.ByLeverage(from, l, random));
    }
    chosen.insert(chosen.end(), points.begin() + eligible * d, points.end());
    points = std::move(chosen);
  }
  // Landmarks, then what is left over for validation.
  const MatrixView all{points.data(), l + held_out, d};

  LandmarkFit fit;
  fit.dimension_ = d;
  fit.origin_ = domain.has_value() ? domain->origin() : options.origin;
  if (!fit.origin_.empty() && fit.origin_.size() != d) {
    return absl::InvalidArgumentError(
        absl::StrCat("the origin must have ", d, " coordinates, as the reference has, but has ", fit.origin_.size()));
  }
  const Matrix gram = fitter.Gram(all, all);
  std::vector<size_t> rows(all.rows);
  std::iota(rows.begin(), rows.end(), 0);
  const absl::Span<const size_t> landmarks = absl::MakeSpan(rows).subspan(0, l);
  std::vector<double> eigenvalues;
  DPKDE_ASSIGN_OR_RETURN(const Matrix projection, fitter.Projection(Part(gram, landmarks, landmarks), eigenvalues));
  // A fold of a small reference has fewer landmarks than the fit.
  const size_t fewest = has_rest ? l : l - (l + kFolds - 1) / kFolds;
  for (double rank = 1; rank < kMostFeatures * 1.2; rank *= 1.19) {
    const uint32_t next = std::min<uint32_t>(static_cast<uint32_t>(rank + 0.5), kMostFeatures);
    if (next > fewest || eigenvalues[next - 1] < kLeastEigenvalue) break;
    if (fit.ranks_.empty() || next > fit.ranks_.back()) fit.ranks_.push_back(next);
  }
  if (fit.ranks_.empty()) return absl::InvalidArgumentError("the points of the reference must not all be equal");

  Validation validation(fit.ranks_.size(), fit.ranks_.back());
  if (has_rest) {
    const absl::Span<const size_t> rest = absl::MakeSpan(rows).subspan(l);
    fitter.Validate(Part(gram, rest, landmarks), projection, fit.ranks_, Part(gram, rest, rest), validation);
  } else {
    for (size_t fold = 0; fold < kFolds; ++fold) {
      const size_t begin = l * fold / kFolds, end = l * (fold + 1) / kFolds;
      const absl::Span<const size_t> held_out = landmarks.subspan(begin, end - begin);
      std::vector<size_t> others(landmarks.begin(), landmarks.begin() + begin);
      others.insert(others.end(), landmarks.begin() + end, landmarks.end());
      std::vector<double> unused;
      DPKDE_ASSIGN_OR_RETURN(const Matrix fold_projection, fitter.Projection(Part(gram, others, others), unused));
      fitter.Validate(Part(gram, held_out, others), fold_projection, fit.ranks_, Part(gram, held_out, held_out),
                      validation);
    }
  }
  MakeFalling(validation.bias);
  // Where the estimates cannot tell ranks apart, the residual does: it is known far better.
  std::vector<double> cautious = Tilted(validation.bias, validation.residual);
  // What is left at the largest rank is due to the landmarks' number, of which folds have fewer, and falls in
  // proportion.
  if (!has_rest) {
    const double left = validation.bias.back() / kFolds;
    for (double& bias : validation.bias) bias -= left;
    // A fold's features are those of fewer landmarks, and worse than the fit's; what the fit leaves of its own
    // landmarks is less than of others. Ranks are told apart by what is halfway.
    Validation own(fit.ranks_.size(), fit.ranks_.back());
    fitter.Validate(gram, projection, fit.ranks_, gram, own);
    for (size_t rank = 0; rank < cautious.size(); ++rank) {
      cautious[rank] = (cautious[rank] + validation.folds * std::max(own.bias[rank], 0.0)) / 2;
    }
  }

  const double unit = fitter.scale() * fitter.scale();
  for (size_t rank = 0; rank < fit.ranks_.size(); ++rank) {
    proto::LandmarkSpec spec;
    spec.set_landmarks(static_cast<uint32_t>(l));
    spec.set_rank(fit.ranks_[rank]);
    spec.mutable_origin()->Add(fitter.origin().begin(), fitter.origin().end());
    spec.set_radius(fitter.radius());
    for (size_t j = 0; j < fit.ranks_[rank]; ++j) {
      spec.add_feature_weight(static_cast<float>(validation.feature_weight[j] / validation.folds));
    }
    spec.set_origin_weight(fitter.origin_weight());
    const double mean = validation.diagonal[rank] / validation.folds;
    // Not below what queries make it scatter: few points cannot tell a small bias from none.
    const double least = std::sqrt(validation.query_variance[rank]) / validation.folds;
    spec.set_mean_square_bias(unit * std::max(validation.bias[rank] / validation.folds, least));
    // What all ranks have in common does not tell them apart.
    const double common = std::sqrt(validation.variance.back()) / validation.folds;
    const double error = std::sqrt(validation.variance[rank]) / validation.folds;
    fit.cautious_bias_.push_back(unit *
                                 std::max(cautious[rank] / validation.folds + std::max(error - common, 0.0), 0.0));
    spec.set_mean_square_residual(unit * validation.residual[rank] / validation.folds);
    spec.set_residual_mean(mean);
    spec.set_residual_deviation(
        std::sqrt(std::max(validation.diagonal_square[rank] / validation.folds - mean * mean, 0.0)));
    fit.outlines_.push_back(std::move(spec));
  }
  double similarity_sum = 0;
  // Of points in a random order; centroids are no such points, but then there are others.
  const MatrixView typical = has_rest ? all.Slice(l, all.rows) : all;
  for (size_t i = 0; i + 1 < typical.rows; ++i) {
    similarity_sum += similarity.Evaluate(typical.row(i), typical.row(i + 1));
  }
  fit.mean_similarity_ = similarity_sum / (typical.rows - 1);
  fit.points_.assign(points.begin(), points.begin() + l * d);
  fit.projection_ = projection.values;
  return fit;
} catch (...) {
  return StatusOfException();
}

double LandmarkFit::CautiousError(size_t i, double n) const {
  proto::LandmarkSpec cautious = outlines_[i];
  cautious.set_mean_square_bias(cautious_bias_[i]);
  return LandmarkApproximationError(cautious, n);
}

proto::LandmarkSpec LandmarkFit::Complete(const proto::LandmarkSpec& outline) const {
  proto::LandmarkSpec spec = outline;
  const size_t l = points_.size() / dimension_;
  spec.mutable_points()->Add(points_.begin(), points_.end());
  for (size_t i = 0; i < l; ++i) {
    for (size_t j = 0; j < spec.rank(); ++j) spec.add_projection(static_cast<float>(projection_[i * l + j]));
  }
  return spec;
}

}  // namespace dpkde
