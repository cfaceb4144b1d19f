#include "dpkde/designs/convex_regression.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace dpkde {
namespace {

// Values at the knots of the piecewise linear function with these knots, first and last index among them, that is
// nearest to `values`: the normal equations of hat functions are tridiagonal.
std::vector<double> FitAtKnots(absl::Span<const double> values, const std::vector<size_t>& knots) {
  const size_t k = knots.size();
  std::vector<double> diagonal(k), upper(k), right(k);
  for (size_t s = 0; s + 1 < k; ++s) {
    const double length = static_cast<double>(knots[s + 1] - knots[s]);
    // The last point of a segment is the first of the next.
    const size_t end = s + 2 == k ? knots[s + 1] + 1 : knots[s + 1];
    for (size_t i = knots[s]; i < end; ++i) {
      const double u = (i - knots[s]) / length;
      diagonal[s] += (1 - u) * (1 - u);
      diagonal[s + 1] += u * u;
      upper[s] += u * (1 - u);
      right[s] += (1 - u) * values[i];
      right[s + 1] += u * values[i];
    }
  }
  for (size_t s = 1; s < k; ++s) {
    const double factor = upper[s - 1] / diagonal[s - 1];
    diagonal[s] -= factor * upper[s - 1];
    right[s] -= factor * right[s - 1];
  }
  for (size_t s = k; s-- > 0;) {
    if (s + 1 < k) right[s] -= upper[s] * right[s + 1];
    right[s] /= diagonal[s];
  }
  return right;
}

// By how much the slope grows at each inner knot.
std::vector<double> Kinks(const std::vector<size_t>& knots, const std::vector<double>& at_knots) {
  std::vector<double> kinks(knots.size(), 0.0);
  for (size_t s = 1; s + 1 < knots.size(); ++s) {
    kinks[s] = (at_knots[s + 1] - at_knots[s]) / static_cast<double>(knots[s + 1] - knots[s]) -
               (at_knots[s] - at_knots[s - 1]) / static_cast<double>(knots[s] - knots[s - 1]);
  }
  return kinks;
}

std::vector<double> Interpolate(size_t n, const std::vector<size_t>& knots, const std::vector<double>& at_knots) {
  std::vector<double> fit(n);
  for (size_t s = 0; s + 1 < knots.size(); ++s) {
    const double length = static_cast<double>(knots[s + 1] - knots[s]);
    for (size_t i = knots[s]; i <= knots[s + 1]; ++i) {
      const double u = (i - knots[s]) / length;
      fit[i] = (1 - u) * at_knots[s] + u * at_knots[s + 1];
    }
  }
  return fit;
}

}  // namespace

void ProjectToConvex(absl::Span<double> values) {
  const size_t n = values.size();
  if (n < 3) return;
  constexpr int kMostSteps = 2000;
  double scale = 0;
  for (double value : values) scale = std::max(scale, std::abs(value));
  if (scale == 0) return;
  std::vector<size_t> knots = {0, n - 1};
  // Convex, and the nearest with its knots, at the beginning of every step.
  std::vector<double> at_knots = FitAtKnots(values, knots);
  std::vector<double> fit = Interpolate(n, knots, at_knots);
  for (int step = 0; step < kMostSteps; ++step) {
    // The gain of a kink at j is <residual, (t - t_j)_+>, by summing twice from the right; it is compared with the
    // length of (t - t_j)_+.
    double slope = 0, gain = 0, best = 0;
    size_t where = 0;
    for (size_t j = n - 1; j-- > 1;) {
      slope += values[j + 1] - fit[j + 1];
      gain += slope;
      const double reach = static_cast<double>(n - 1 - j);
      const double relative = gain / (reach * std::sqrt(reach));
      if (relative > best && !std::binary_search(knots.begin(), knots.end(), j)) {
        best = relative;
        where = j;
      }
    }
    if (best <= 1e-10 * scale) break;
    // Lawson and Hanson: towards the fit with the new knot, as far as all kinks stay non-negative; those that reach
    // zero go.
    std::vector<size_t> next = knots;
    next.insert(std::lower_bound(next.begin(), next.end(), where), where);
    std::vector<double> current;
    for (size_t knot : next) current.push_back(fit[knot]);
    while (true) {
      const std::vector<double> target = FitAtKnots(values, next);
      const std::vector<double> from = Kinks(next, current), to = Kinks(next, target);
      double part = 1;
      for (size_t s = 1; s + 1 < next.size(); ++s) {
        if (to[s] < 0) part = std::min(part, std::max(from[s], 0.0) / (std::max(from[s], 0.0) - to[s]));
      }
      if (part >= 1) {
        current = target;
        break;
      }
      std::vector<size_t> kept = {next.front()};
      std::vector<double> moved = {current.front() + part * (target.front() - current.front())};
      for (size_t s = 1; s < next.size(); ++s) {
        const double at = from[s] + part * (to[s] - from[s]);
        const bool last = s + 1 == next.size();
        if (!last && to[s] < 0 && at <= 1e-12 * std::abs(to[s])) continue;
        kept.push_back(next[s]);
        moved.push_back(current[s] + part * (target[s] - current[s]));
      }
      if (kept.size() == next.size()) break;  // rounding: nothing would change any more
      next = kept;
      current = moved;
    }
    if (next == knots) break;
    knots = next;
    at_knots = current;
    fit = Interpolate(n, knots, at_knots);
  }
  std::copy(fit.begin(), fit.end(), values.begin());
}

}  // namespace dpkde
