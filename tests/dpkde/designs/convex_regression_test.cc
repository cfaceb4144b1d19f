#include "dpkde/designs/convex_regression.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace dpkde {
namespace {

// |t - 0.3| + t^2 on [0, 1], with noise of several kinds.
struct Problem {
  std::vector<double> truth, observed;
};

Problem MakeProblem(size_t n, double noise, uint64_t seed) {
  Problem problem;
  std::mt19937_64 engine(seed);
  std::normal_distribution<double> normal;
  const double phase = normal(engine);
  for (size_t i = 0; i < n; ++i) {
    const double t = i / (n - 1.0);
    problem.truth.push_back(1000 * (std::abs(t - 0.3) + t * t));
    problem.observed.push_back(problem.truth.back() + noise * (normal(engine) + 3 * std::sin(17 * t + phase)));
  }
  return problem;
}

double SquaredDistance(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

// The conditions of Karush, Kuhn and Tucker, which only the nearest convex function meets: the residual is orthogonal
// to lines and to the fit itself, and no kink anywhere would gain.
TEST(ConvexRegressionTest, IsTheNearestConvexFunction) {
  for (const size_t n : {3, 4, 17, 200, 3000}) {
    for (const double noise : {0.1, 10.0, 1000.0}) {
      for (uint64_t seed = 1; seed <= 3; ++seed) {
        const Problem problem = MakeProblem(n, noise, seed);
        std::vector<double> fit = problem.observed;
        ProjectToConvex(absl::MakeSpan(fit));
        const double scale = 1000 + 4 * noise, slack = 1e-7 * scale * std::sqrt(n);
        for (size_t i = 1; i + 1 < n; ++i) ASSERT_GE(fit[i - 1] - 2 * fit[i] + fit[i + 1], -1e-9 * scale);
        double constant = 0, line = 0, along = 0;
        for (size_t i = 0; i < n; ++i) {
          const double residual = problem.observed[i] - fit[i];
          constant += residual;
          line += residual * i / n;
          along += residual * fit[i] / scale;
        }
        EXPECT_NEAR(constant, 0, slack);
        EXPECT_NEAR(line, 0, slack);
        EXPECT_NEAR(along, 0, slack);
        for (size_t j = 1; j + 1 < n; ++j) {
          double gain = 0;
          for (size_t i = j + 1; i < n; ++i) gain += (problem.observed[i] - fit[i]) * (i - j) / n;
          ASSERT_LE(gain, slack) << n << " " << noise << " " << j;
          if (n > 1000) j += 37;
        }
        EXPECT_LE(SquaredDistance(fit, problem.truth), SquaredDistance(problem.observed, problem.truth) * (1 + 1e-9));
      }
    }
  }
}

TEST(ConvexRegressionTest, LeavesConvexFunctionsAlone) {
  for (const size_t n : {1, 2, 3, 50, 1000}) {
    const Problem problem = MakeProblem(n == 1 ? 2 : n, 0, 1);
    std::vector<double> fit = problem.truth;
    fit.resize(n);
    ProjectToConvex(absl::MakeSpan(fit));
    for (size_t i = 0; i < n; ++i) EXPECT_NEAR(fit[i], problem.truth[i], 0.01);
  }
  std::vector<double> zero(10);
  ProjectToConvex(absl::MakeSpan(zero));
  EXPECT_EQ(zero, std::vector<double>(10));
}

// A concave function becomes its best line; the control that something happens at all.
TEST(ConvexRegressionTest, AConcaveFunctionBecomesALine) {
  std::vector<double> values;
  for (int i = 0; i <= 100; ++i) values.push_back(-(i - 50.0) * (i - 50.0));
  ProjectToConvex(absl::MakeSpan(values));
  for (double value : values) EXPECT_NEAR(value, -850, 1e-6);  // the mean
}

}  // namespace
}  // namespace dpkde
