#include "dpkde/designs/kernel_mixture.h"

#include <algorithm>
#include <boost/math/constants/constants.hpp>
#include <cmath>

namespace dpkde {
namespace {

using Spec = proto::SimilaritySpec;

constexpr double kPi = boost::math::constants::pi<double>();

// Density of log T at u; for inverse_l1, whose terms are exp(-T r_1 / h), of log T too.
double LogDensity(const Similarity& similarity, double u) {
  switch (similarity.kind()) {
    case Spec::EXPONENTIAL:
    case Spec::MATERN: {
      // T^2 = k / X with X chi-square of k degrees, k = 2 nu.
      const double k = similarity.kind() == Spec::MATERN ? 2 * similarity.spec().nu() : 1;
      const double x = k * std::exp(-2 * u);
      return 2 * std::exp(k / 2 * std::log(x / 2) - x / 2 - std::lgamma(k / 2));
    }
    case Spec::RATIONAL_QUADRATIC: {
      const double alpha = similarity.spec().alpha();
      return 2 * std::exp(alpha * (std::log(alpha) + 2 * u - std::exp(2 * u)) - std::lgamma(alpha));
    }
    case Spec::CAUCHY:
      return std::exp(2 * u - std::exp(2 * u) / 2);
    case Spec::INVERSE_L1:
      return std::exp(u - std::exp(u));
    default: {
      // INVERSE_L2, T = t / |g|: sqrt(2 / pi) integral t e^-u exp(-t - t^2 e^(-2u) / 2) dt, with t = x / sqrt(1 + q).
      const double q = std::exp(-2 * u);
      constexpr int kSteps = 2000;
      constexpr double kStep = 0.02;
      double sum = 0;
      for (int i = 0; i < kSteps; ++i) {
        const double x = (i + 0.5) * kStep;
        sum += x * std::exp(-x / std::sqrt(1 + q) - x * x * q / (1 + q) / 2);
      }
      return std::sqrt(2 / kPi) * std::exp(-u) * sum * kStep / (1 + q);
    }
  }
}

Similarity ProductKernel(const Similarity& similarity, double bandwidth) {
  Spec spec;
  spec.set_kind(similarity.kind() == Spec::INVERSE_L1 ? Spec::LAPLACIAN : Spec::GAUSSIAN);
  spec.set_bandwidth(bandwidth);
  return *Similarity::Create(spec);
}

}  // namespace

KernelMixture MakeKernelMixture(const Similarity& similarity, double narrowest, double diameter) {
  KernelMixture mixture;
  if (similarity.is_product()) {
    mixture.terms.push_back({1, similarity});
    return mixture;
  }
  const double h = similarity.bandwidth();
  // The law of a rational_quadratic narrows as it nears a gaussian.
  const double step =
      similarity.kind() == Spec::RATIONAL_QUADRATIC ? std::min(0.3, 0.42 / std::sqrt(similarity.spec().alpha())) : 0.3;
  constexpr double kSmallestWeight = 1e-7;
  // exp(-(r / s)^2 / 2) is 1 within 1 / 1800 at s = 30 diameters.
  const double widest = 30 * diameter;
  double wide_weight = 0;
  // Down from T = 1 and up from it; densities have one mode.
  for (int direction : {-1, 1}) {
    double largest = 0;
    for (int i = direction < 0 ? 0 : 1; i < 4000; ++i) {
      const double u = direction * i * step;
      const double weight = step * LogDensity(similarity, u);
      largest = std::max(largest, weight);
      if (weight < kSmallestWeight && (i > 10 || largest > kSmallestWeight)) break;
      const double bandwidth = h * std::exp(-u);
      if (bandwidth < narrowest) break;
      if (bandwidth > widest) {
        wide_weight += weight;
      } else if (weight >= kSmallestWeight) {
        mixture.terms.push_back({weight, ProductKernel(similarity, bandwidth)});
      }
    }
  }
  if (wide_weight > 0) mixture.terms.push_back({wide_weight, ProductKernel(similarity, widest)});

  const auto check = [&](double r) {
    double sum = 0;
    for (const KernelMixture::Term& term : mixture.terms) sum += term.weight * term.kernel.EvaluateAxis(r);
    mixture.error = std::max(mixture.error, std::abs(sum - similarity.EvaluateAxis(r)));
  };
  check(0);
  for (double r = std::min(narrowest, h) / 30; r < diameter; r *= 1.05) check(r);
  check(diameter);
  return mixture;
}

}  // namespace dpkde
