#include "dpkde/similarity/similarity.h"

#include <algorithm>
#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"

namespace dpkde {
namespace {

using Spec = proto::SimilaritySpec;

constexpr Spec::Kind kKinds[] = {Spec::GAUSSIAN,           Spec::LAPLACIAN, Spec::EXPONENTIAL, Spec::MATERN,
                                 Spec::RATIONAL_QUADRATIC, Spec::CAUCHY,    Spec::INVERSE_L2,  Spec::INVERSE_L1,
                                 Spec::PRODUCT_CAUCHY,     Spec::P_STABLE,  Spec::ANGULAR,     Spec::L1,
                                 Spec::LP_POWER,           Spec::L2,        Spec::L2_SQUARED,  Spec::COSINE,
                                 Spec::INNER_PRODUCT};

constexpr double kPi = 3.141592653589793;
constexpr double kLargestAngularPower = 16;

bool HasBandwidth(Spec::Kind kind) {
  return (kind >= Spec::GAUSSIAN && kind <= Spec::PRODUCT_CAUCHY) || kind == Spec::P_STABLE;
}

bool IsKernel(Spec::Kind kind) { return HasBandwidth(kind) || kind == Spec::ANGULAR; }

std::string KindName(Spec::Kind kind) { return absl::AsciiStrToLower(Spec::Kind_Name(kind)); }

// A parameter that only `owner` takes.
absl::Status CheckUnset(absl::string_view name, double value, Spec::Kind kind, bool taken) {
  if (taken || value == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(name, " is not taken by ", KindName(kind)));
}

}  // namespace

absl::StatusOr<Similarity> Similarity::Create(const proto::SimilaritySpec& spec) {
  const Spec::Kind kind = spec.kind();
  if (std::find(std::begin(kKinds), std::end(kKinds), kind) == std::end(kKinds)) {
    return absl::InvalidArgumentError("similarity is missing or unknown");
  }
  DPKDE_RETURN_IF_ERROR(CheckUnset("bandwidth", spec.bandwidth(), kind, HasBandwidth(kind)));
  DPKDE_RETURN_IF_ERROR(CheckUnset("nu", spec.nu(), kind, kind == Spec::MATERN));
  DPKDE_RETURN_IF_ERROR(CheckUnset("alpha", spec.alpha(), kind, kind == Spec::RATIONAL_QUADRATIC));
  DPKDE_RETURN_IF_ERROR(CheckUnset("p", spec.p(), kind, kind == Spec::LP_POWER || kind == Spec::ANGULAR));
  if (HasBandwidth(kind)) DPKDE_RETURN_IF_ERROR(CheckPositive("bandwidth", spec.bandwidth()));
  if (kind == Spec::MATERN && spec.nu() != 0.5 && spec.nu() != 1.5 && spec.nu() != 2.5) {
    return absl::InvalidArgumentError(absl::StrCat("nu must be 0.5, 1.5 or 2.5, but is ", spec.nu()));
  }
  if (kind == Spec::RATIONAL_QUADRATIC) DPKDE_RETURN_IF_ERROR(CheckPositive("alpha", spec.alpha()));
  if (kind == Spec::LP_POWER && !(spec.p() > 0 && spec.p() <= 2)) {
    return absl::InvalidArgumentError(absl::StrCat("p must be greater than 0 and at most 2, but is ", spec.p()));
  }
  if (kind == Spec::ANGULAR &&
      !(spec.p() >= 1 && spec.p() <= kLargestAngularPower && spec.p() == std::floor(spec.p()))) {
    return absl::InvalidArgumentError(
        absl::StrCat("p of angular must be an integer from 1 to ", kLargestAngularPower, ", but is ", spec.p()));
  }
  return Similarity(spec);
}

Similarity::Similarity(const proto::SimilaritySpec& spec) : spec_(spec), geometry_(Geometry::kSquares) {
  switch (spec.kind()) {
    case Spec::LAPLACIAN:
    case Spec::INVERSE_L1:
    case Spec::L1:
      geometry_ = Geometry::kAbsolutes;
      break;
    case Spec::LP_POWER:
      geometry_ = Geometry::kPowers;
      break;
    case Spec::PRODUCT_CAUCHY:
      geometry_ = Geometry::kProduct;
      break;
    case Spec::ANGULAR:
    case Spec::COSINE:
    case Spec::INNER_PRODUCT:
      geometry_ = Geometry::kInnerProduct;
      break;
    default:
      break;
  }
}

std::string Similarity::name() const { return KindName(kind()); }

bool Similarity::is_kernel() const { return IsKernel(kind()); }

bool Similarity::is_distance() const {
  return !is_kernel() && kind() != Spec::COSINE && kind() != Spec::INNER_PRODUCT;
}

bool Similarity::is_hash_kernel() const { return kind() == Spec::P_STABLE || kind() == Spec::ANGULAR; }

bool Similarity::is_shift_invariant() const { return geometry_ != Geometry::kInnerProduct; }

bool Similarity::is_euclidean() const { return geometry_ == Geometry::kSquares; }

bool Similarity::is_product() const {
  return kind() == Spec::GAUSSIAN || kind() == Spec::LAPLACIAN || kind() == Spec::PRODUCT_CAUCHY;
}

bool Similarity::is_axis_sum() const {
  return kind() == Spec::L1 || kind() == Spec::LP_POWER || kind() == Spec::L2_SQUARED;
}

double Similarity::FromSum(double sum) const {
  const double h = bandwidth();
  switch (kind()) {
    case Spec::GAUSSIAN:
      return std::exp(-sum / (2 * h * h));
    case Spec::LAPLACIAN:
      return std::exp(-sum / h);
    case Spec::EXPONENTIAL:
      return std::exp(-std::sqrt(sum) / h);
    case Spec::MATERN: {
      const double s = std::sqrt(2 * spec_.nu() * sum) / h;
      const double polynomial = spec_.nu() == 0.5 ? 1 : spec_.nu() == 1.5 ? 1 + s : 1 + s + s * s / 3;
      return polynomial * std::exp(-s);
    }
    case Spec::RATIONAL_QUADRATIC:
      return std::pow(1 + sum / (2 * spec_.alpha() * h * h), -spec_.alpha());
    case Spec::CAUCHY:
      return 1 / (1 + sum / (h * h));
    case Spec::INVERSE_L2:
      return 1 / (1 + std::sqrt(sum) / h);
    case Spec::INVERSE_L1:
      return 1 / (1 + sum / h);
    case Spec::P_STABLE: {
      const double r = std::sqrt(sum) / h;
      if (r == 0) return 1;
      return std::erf(1 / (std::sqrt(2.0) * r)) + std::sqrt(2 / kPi) * r * std::expm1(-1 / (2 * r * r));
    }
    case Spec::L2:
      return std::sqrt(sum);
    default:  // L1, LP_POWER, L2_SQUARED: the sum itself
      return sum;
  }
}

double Similarity::Evaluate(absl::Span<const float> x, absl::Span<const float> y) const {
  const size_t d = x.size();
  double sum = 0;
  switch (geometry_) {
    case Geometry::kSquares:
      for (size_t i = 0; i < d; ++i) {
        const double difference = static_cast<double>(x[i]) - y[i];
        sum += difference * difference;
      }
      return FromSum(sum);
    case Geometry::kAbsolutes:
      for (size_t i = 0; i < d; ++i) sum += std::abs(static_cast<double>(x[i]) - y[i]);
      return FromSum(sum);
    case Geometry::kPowers:
      for (size_t i = 0; i < d; ++i) sum += EvaluateAxis(static_cast<double>(x[i]) - y[i]);
      return sum;
    case Geometry::kInnerProduct: {
      double x_square = 0, y_square = 0;
      for (size_t i = 0; i < d; ++i) {
        sum += static_cast<double>(x[i]) * y[i];
        x_square += static_cast<double>(x[i]) * x[i];
        y_square += static_cast<double>(y[i]) * y[i];
      }
      if (kind() == Spec::INNER_PRODUCT) return sum;
      const double x_norm = std::sqrt(x_square), y_norm = std::sqrt(y_square), norms = x_norm * y_norm;
      if (kind() == Spec::ANGULAR) {
        // The angle, 0 of two zeros: also near 0 and pi, where a cosine would lose half of the digits.
        if (x_square == 0 && y_square == 0) return 1;
        double minus = 0, plus = 0;
        for (size_t i = 0; i < d; ++i) {
          const double a = x[i] * y_norm, b = y[i] * x_norm;
          minus += (a - b) * (a - b);
          plus += (a + b) * (a + b);
        }
        const double angle = norms > 0 ? 2 * std::atan2(std::sqrt(minus), std::sqrt(plus)) : kPi / 2;
        return std::pow(1 - angle / kPi, spec_.p());
      }
      return norms > 0 ? sum / norms : 0;
    }
    case Geometry::kProduct:
      break;
  }
  double product = 1;
  for (size_t i = 0; i < d; ++i) product *= EvaluateAxis(static_cast<double>(x[i]) - y[i]);
  return product;
}

double Similarity::EvaluateAxis(double difference) const {
  switch (geometry_) {
    case Geometry::kSquares:
      return FromSum(difference * difference);
    case Geometry::kAbsolutes:
      return FromSum(std::abs(difference));
    case Geometry::kPowers:
      return std::pow(std::abs(difference), spec_.p());
    case Geometry::kProduct:
    case Geometry::kInnerProduct:
      break;
  }
  return 1 / (1 + difference * difference / (bandwidth() * bandwidth()));
}

void Similarity::Sum(MatrixView points, MatrixView queries, ThreadPool& pool, absl::Span<double> sums) const {
  // A block of points stays in cache while a chunk of queries passes over it.
  const size_t block_rows = std::max<size_t>(1, 16384 / std::max<size_t>(1, points.columns));
  pool.ParallelFor(queries.rows, 16, [&](size_t begin, size_t end, int) {
    std::fill(sums.begin() + begin, sums.begin() + end, 0.0);
    for (size_t block = 0; block < points.rows; block += block_rows) {
      const size_t block_end = std::min(block + block_rows, points.rows);
      for (size_t j = begin; j < end; ++j) {
        double sum = 0;
        for (size_t i = block; i < block_end; ++i) sum += Evaluate(points.row(i), queries.row(j));
        sums[j] += sum;
      }
    }
  });
}

absl::StatusOr<proto::SimilaritySpec::Kind> SimilarityKindFromName(absl::string_view name) {
  for (Spec::Kind kind : kKinds) {
    if (KindName(kind) == name) return kind;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "unknown similarity '", name, "'; known are ",
      absl::StrJoin(kKinds, ", ", [](std::string* out, Spec::Kind kind) { absl::StrAppend(out, KindName(kind)); })));
}

}  // namespace dpkde
