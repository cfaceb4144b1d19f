#include "dpkde/similarity/resolution.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_format.h"

namespace dpkde {
namespace {

using Spec = proto::SimilaritySpec;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Steps a bandwidth.
constexpr double kLeastSteps = 20;

constexpr double kLeastRatio = 1e-9, kLargestRatio = 1e12;
constexpr double kLeastBandwidth = 1e-30, kLargestBandwidth = 1e30;
// Of an axis: what is divided by it, and its square, stay within float32 and double.
constexpr double kLeastWidth = 1e-25, kLargestWidth = 1e25;
constexpr double kLeastAlpha = 1e-6, kLargestAlpha = 1e6;
constexpr double kLeastPower = 1e-3;

// Of the similarity alone.
absl::Status CheckParameters(const proto::SimilaritySpec& spec) {
  if (spec.kind() == Spec::RATIONAL_QUADRATIC && !(spec.alpha() >= kLeastAlpha && spec.alpha() <= kLargestAlpha)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("alpha must be between %g and %g, beyond which rational_quadratic is 1 or gaussian, but is %g",
                        kLeastAlpha, kLargestAlpha, spec.alpha()));
  }
  if (spec.kind() == Spec::LP_POWER && !(spec.p() >= kLeastPower)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "p must be at least %g, below which lp_power counts coordinates that differ, but is %g", kLeastPower, spec.p()));
  }
  return absl::OkStatus();
}

double Reach(const Domain& domain, size_t axis) {
  return std::max(std::abs(static_cast<double>(domain.lower()[axis])),
                  std::abs(static_cast<double>(domain.upper()[axis])));
}

double OriginOf(const Domain& domain, size_t axis) { return domain.origin().empty() ? 0 : domain.origin()[axis]; }

}  // namespace

double CoordinateStep(double reach, double origin) {
  const float single = static_cast<float>(reach);
  const double whole = std::abs(origin) + reach;
  const double step = static_cast<double>(std::nextafter(single, std::numeric_limits<float>::infinity())) - single;
  return step + (origin == 0 ? 0 : std::nextafter(whole, kInfinity) - whole);
}

absl::Status CheckResolution(const Similarity& similarity, absl::Span<const double> reach,
                             absl::Span<const double> origin) {
  const double bandwidth = similarity.bandwidth();
  if (!(bandwidth > 0)) return absl::OkStatus();
  size_t coarsest = 0;
  double step = 0;
  for (size_t i = 0; i < reach.size(); ++i) {
    const double here = CoordinateStep(reach[i], origin.empty() ? 0 : origin[i]);
    if (here > step) {
      step = here;
      coarsest = i;
    }
  }
  if (!(step > bandwidth / kLeastSteps)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat(
      "bandwidth %.9g is too small for the domain: coordinate %d, up to %.9g from where it is measured, has steps of "
      "%.3g there, and a bandwidth must be at least %.0f of them; use a bandwidth of at least %.3g, or a smaller domain "
      "(are both in one unit?)",
      bandwidth, coarsest, reach[coarsest], step, kLeastSteps, kLeastSteps * step));
}

absl::Status CheckResolution(const Similarity& similarity, const Domain& domain) {
  std::vector<double> reach;
  for (size_t i = 0; i < domain.dimension(); ++i) reach.push_back(Reach(domain, i));
  return CheckResolution(similarity, reach, domain.origin());
}

absl::Status CheckScale(const Similarity& similarity, const absl::optional<Domain>& domain) {
  if (absl::Status status = CheckParameters(similarity.spec()); !status.ok()) return status;
  for (size_t i = 0; domain.has_value() && i < domain->dimension(); ++i) {
    const double width = domain->width(i);
    if (width >= kLeastWidth && width <= kLargestWidth) continue;
    return absl::InvalidArgumentError(
        absl::StrFormat("domain must be between %.3g and %.3g wide, but coordinate %d is %.6g wide: use another unit",
                        kLeastWidth, kLargestWidth, i, width));
  }
  const double bandwidth = similarity.bandwidth();
  if (!(bandwidth > 0)) return absl::OkStatus();
  const double least = domain.has_value() ? kLeastRatio * domain->radius() : kLeastBandwidth;
  const double largest = domain.has_value() ? kLargestRatio * domain->radius() : kLargestBandwidth;
  if (bandwidth >= least && bandwidth <= largest) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat(
      "bandwidth must be between %.3g and %.3g%s, but is %.9g", least, largest,
      domain.has_value() ? absl::StrFormat(" for a domain of radius %.6g", domain->radius()) : "", bandwidth));
}

double RoundingError(const Similarity& similarity, const Domain& domain) {
  // Record and query are each within half a step; a bound is where the domain puts it.
  double sum = 0, squares = 0, norm = 0, powers = 0;
  const double p = similarity.spec().p();
  for (size_t i = 0; i < domain.dimension(); ++i) {
    const double moved = CoordinateStep(Reach(domain, i), OriginOf(domain, i)) + domain.BoundError(i);
    sum += moved;
    squares += moved * moved;
    norm += Reach(domain, i) * Reach(domain, i);
    if (similarity.kind() == Spec::LP_POWER) {
      powers += p <= 1 ? std::pow(moved, p) : p * std::pow(domain.width(i) + moved, p - 1) * moved;
    }
  }
  const double distance = std::sqrt(squares);
  switch (similarity.kind()) {
    case Spec::L1:
      return sum;
    case Spec::L2:
      return distance;
    case Spec::L2_SQUARED:
      return (2 * domain.Diameter() + distance) * distance;
    case Spec::LP_POWER:
      return powers;
    case Spec::INNER_PRODUCT:
      return (2 * std::sqrt(norm) + distance) * distance;
    case Spec::COSINE:
    case Spec::ANGULAR:
      // Coordinates keep their relative precision, 2^-24, and so do directions; the power of an angle is at most 16.
      return std::ldexp(32.0, -22);
    case Spec::LAPLACIAN:
    case Spec::INVERSE_L1:
    case Spec::PRODUCT_CAUCHY:
      // No steeper than 1 / h in any coordinate.
      return std::min(1.0, sum / similarity.bandwidth());
    default:
      // Nor than that in Euclidean distance.
      return std::min(1.0, distance / similarity.bandwidth());
  }
}

}  // namespace dpkde
