#include "dpkde/designs/slice_design.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

#include "tests/testing/answers.h"
#include "tests/testing/specs.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

Similarity L2() { return MakeSimilarity(proto::SimilaritySpec::L2, 0); }

proto::SliceSpec Slices(uint32_t directions, uint32_t harmonics, uint64_t seed = 1) {
  return SliceDesign(directions, harmonics, seed).slice();
}

// Without noise: answers minus exact sums.
std::vector<double> Errors(const Design& design, const Points& points, const Points& queries) {
  return NoiselessErrors(L2(), design, points.view(), queries.view());
}

double MeanSquare(const std::vector<double>& values) {
  double sum = 0;
  for (double value : values) sum += value * value / values.size();
  return sum;
}

Points Atom(size_t d, float at) {
  Points points;
  points.columns = d;
  points.values.assign(d, at);
  return points;
}

// In one and two dimensions the error is bounded, and the bound is met within a factor.
TEST(SliceDesignTest, SumsAgreeWithTheExactOnesWithinTheBound) {
  const struct {
    size_t dimension;
    uint32_t directions, harmonics;
  } cases[] = {{1, 1, 99}, {2, 16, 399}, {2, 40, 31}};
  for (const auto& test : cases) {
    // A box of different widths, off the origin.
    const Domain domain = *Domain::Box(test.dimension == 1 ? std::vector<double>{4} : std::vector<double>{4, -7},
                                       test.dimension == 1 ? std::vector<double>{6} : std::vector<double>{6, -3});
    const auto design = MakeSliceDesign(L2(), domain, Slices(test.directions, test.harmonics));
    ASSERT_TRUE(design.ok()) << design.status();
    Points points = UniformPoints(50, test.dimension, 0, 1, 1), queries = UniformPoints(400, test.dimension, 0, 1, 2);
    for (Points* set : {&points, &queries}) {
      for (size_t j = 0; j < set->values.size(); ++j) {
        const size_t i = j % test.dimension;
        set->values[j] = domain.lower()[i] + set->values[j] * static_cast<float>(domain.width(i));
      }
    }
    std::copy_n(points.values.begin(), test.dimension, queries.values.begin());  // a query on a record
    for (size_t i = 0; i < test.dimension; ++i) queries.values[test.dimension + i] = domain.upper()[i];
    double worst = 0;
    for (double error : Errors(**design, points, queries)) worst = std::max(worst, std::abs(error));
    EXPECT_LE(worst, 50 * *(*design)->SupError());
    // One record and queries everywhere, on it too.
    Points one = points;
    one.values.resize(test.dimension);
    for (double error : Errors(**design, one, queries)) {
      EXPECT_LE(std::abs(error), *(*design)->SupError() + 1e-5);
      worst = std::max(worst, std::abs(error));
    }
    EXPECT_GE(worst, *(*design)->SupError() / 3);
  }
}

// The predicted error is that of records in the worst place: nearly met there, never exceeded by much elsewhere.
TEST(SliceDesignTest, ErrorsAreAsPredicted) {
  const struct {
    size_t dimension;
    uint32_t directions, harmonics;
  } cases[] = {{1, 1, 15},    {2, 8, 63},   {2, 64, 7},   {3, 30, 63},   {3, 300, 5},   {8, 5, 31},    {8, 64, 31},
               {20, 200, 15}, {64, 256, 7}, {100, 40, 7}, {100, 512, 7}, {100, 512, 1}, {784, 1000, 5}};
  for (const auto& test : cases) {
    const Domain domain = Cube(test.dimension, -1, 1);
    const Points queries = UniformPoints(150, test.dimension, -1, 1, 5);
    const Points clouds[] = {Atom(test.dimension, 1), Atom(test.dimension, 0),
                             UniformPoints(100, test.dimension, -1, 1, 6)};
    double ratios[3] = {};
    for (int cloud = 0; cloud < 3; ++cloud) {
      double square = 0;
      const int seeds = test.dimension < 3 ? 1 : 12;
      for (int seed = 0; seed < seeds; ++seed) {
        const auto design = MakeSliceDesign(L2(), domain, Slices(test.directions, test.harmonics, seed));
        ASSERT_TRUE(design.ok()) << design.status();
        square += MeanSquare(Errors(**design, clouds[cloud], queries)) / seeds;
      }
      const double predicted =
          SliceApproximationError(domain, Slices(test.directions, test.harmonics),
                                  SliceMeanSquareBias(domain, test.harmonics), clouds[cloud].rows());
      ratios[cloud] = std::sqrt(square) / predicted;
      EXPECT_LE(ratios[cloud], 1.2);
    }
    std::printf("d=%-4zu directions=%-5u harmonics=%-4u error/predicted: corner %.3f centre %.3f cloud %.3f\n",
                test.dimension, test.directions, test.harmonics, ratios[0], ratios[1], ratios[2]);
    EXPECT_GE(std::max(ratios[0], ratios[1]), 0.5);
  }
}

TEST(SliceDesignTest, UnbiasedButForTheStatedBias) {
  constexpr size_t kDimension = 16;
  constexpr int kSeeds = 400;
  const Domain domain = Cube(kDimension, -1, 1);
  const double half_period = 7.0 / 4 * domain.Diameter() / 2;
  const Points atom = Atom(kDimension, 0.9f), query = Atom(kDimension, -0.6f);
  for (uint32_t harmonics : {1, 5, 63}) {
    double sum = 0, square = 0;
    for (int seed = 0; seed < kSeeds; ++seed) {
      const double error = Errors(**MakeSliceDesign(L2(), domain, Slices(16, harmonics, seed)), atom, query)[0];
      sum += error / kSeeds;
      square += error * error / kSeeds;
    }
    const double deviation = std::sqrt((square - sum * sum) / kSeeds);
    const double bias = SliceBias(kDimension, half_period, harmonics, 1.5 * 4);
    EXPECT_NEAR(sum, bias, 6 * deviation) << harmonics;
    if (harmonics == 1) {
      EXPECT_GT(std::abs(bias), 12 * deviation);  // the control
    }
  }
}

// By another road: averages over normal vectors, and closed forms.
TEST(SliceBiasTest, MatchesSimulation) {
  for (size_t p : {2, 3, 13, 64}) {
    const double half_period = 3 / std::sqrt(static_cast<double>(p));  // projections beyond it are common
    const Points normals = [&] {
      Points points = UniformPoints(60000, 12 * p, -0.5, 0.5, p);
      Points sums;
      sums.columns = p;
      for (size_t j = 0; j < points.values.size(); j += 12) {
        float sum = 0;
        for (size_t k = 0; k < 12; ++k) sum += points.values[j + k];
        sums.values.push_back(sum);
      }
      return sums;
    }();
    for (uint32_t harmonics : {1, 9}) {
      double mean = 0;
      for (size_t r = 0; r < normals.rows(); ++r) {
        double length = 0;
        for (float value : normals.view().row(r)) length += value * value;
        const double t = 1.7 * normals.view().row(r)[0] / std::sqrt(length);
        double series = half_period / 2;
        for (uint32_t k = 1; k <= harmonics; k += 2) {
          series -= 4 * half_period / std::pow(M_PI * k, 2) * std::cos(M_PI * k * t / half_period);
        }
        mean += series / normals.rows();
      }
      const double constant = std::sqrt(M_PI) * std::exp(std::lgamma((p + 1) / 2.0) - std::lgamma(p / 2.0));
      EXPECT_NEAR(SliceBias(p, half_period, harmonics, 1.7), constant * mean - 1.7, 0.03) << p << " " << harmonics;
    }
  }
  // Long series and no projection beyond the period: nothing is left.
  EXPECT_NEAR(SliceBias(3, 2, 4001, 1.0), 0, 1e-6);
  EXPECT_NEAR(SliceBias(100, 1, 999, 1.0), 0, 1e-8);
}

TEST(SliceRelativeVarianceTest, OrthogonalityLeavesAnEighth) {
  EXPECT_NEAR(SliceRelativeVariance(3, 1), 1.0 / 3, 1e-12);
  EXPECT_NEAR(SliceRelativeVariance(1000, 1), M_PI / 2 - 1, 1e-3);
  EXPECT_NEAR(SliceRelativeVariance(1024, 1024) * 1024, M_PI / 2 - 1.5, 1e-3);
  EXPECT_EQ(SliceRelativeVariance(1, 1), 0);
  // Two directions in the plane: (pi / 4)(|cos| + |sin|) - 1.
  double square = 0;
  for (int i = 0; i < 10000; ++i) {
    const double a = 2 * M_PI * i / 10000;
    square += std::pow(M_PI / 4 * (std::abs(std::cos(a)) + std::abs(std::sin(a))) - 1, 2) / 10000;
  }
  EXPECT_NEAR(SliceRelativeVariance(2, 2), square, 1e-6);
}

// In a ball, records on the sphere and in the centre; the noise is that of the ball's own radius.
TEST(SliceDesignTest, TakesABall) {
  const Domain ball = Ball(20, 2);
  const proto::SliceSpec spec = Slices(100, 15);
  Points queries = UniformPoints(3000, 20, -2, 2, 3), inside;
  inside.columns = 20;
  for (size_t r = 0; r < queries.rows(); ++r) {
    // To the sphere, all but.
    std::vector<float> row(queries.view().row(r).begin(), queries.view().row(r).end());
    ball.Clamp(row.data(), row.data());
    for (float value : row) inside.values.push_back(value);
  }
  double square = 0;
  for (int seed = 0; seed < 10; ++seed) {
    const auto design = MakeSliceDesign(L2(), ball, Slices(100, 15, seed));
    ASSERT_TRUE(design.ok()) << design.status();
    Points sphere = Atom(20, 0);
    sphere.values[0] = 2;
    square += MeanSquare(Errors(**design, sphere, inside)) / 10;
  }
  const double predicted = SliceApproximationError(ball, spec, SliceMeanSquareBias(ball, spec.harmonics()), 1);
  EXPECT_LE(std::sqrt(square), 1.2 * predicted);
  EXPECT_GE(std::sqrt(square), 0.7 * predicted);
}

TEST(SliceDesignTest, WorksInFourThousandDimensions) {
  const Domain domain = Cube(4096, -1, 1);
  const auto design = MakeSliceDesign(L2(), domain, Slices(512, 5));
  ASSERT_TRUE(design.ok()) << design.status();
  const Points points = UniformPoints(20, 4096, -1, 1, 1), queries = UniformPoints(10, 4096, -1, 1, 2);
  EXPECT_LE(std::sqrt(MeanSquare(Errors(**design, points, queries))),
            1.2 * (*design)->PredictedApproximationError(20, 1));
}

TEST(SliceDesignTest, RefusesWhatItCannotDo) {
  EXPECT_FALSE(MakeSliceDesign(Gaussian(1), Cube(2, 0, 1), Slices(4, 3)).ok());
  EXPECT_FALSE(MakeSliceDesign(L2(), Cube(1, 0, 1), Slices(2, 3)).ok());
  for (const auto& [directions, harmonics] :
       std::vector<std::pair<int, int>>{{0, 3}, {65537, 1}, {4, 0}, {4, 4096}, {65536, 511}}) {
    EXPECT_FALSE(MakeSliceDesign(L2(), Cube(3, 0, 1), Slices(directions, harmonics)).ok()) << directions << harmonics;
  }
  // Directions that are not those of the file.
  for (size_t d : {2, 3, 64}) {
    const auto design = MakeSliceDesign(L2(), Cube(d, 0, 1), Slices(4, 3));
    proto::SliceSpec spec = (*design)->spec().slice();
    EXPECT_TRUE(MakeSliceDesign(L2(), Cube(d, 0, 1), spec).ok());
    (*spec.mutable_fingerprint())[0] ^= 1;
    EXPECT_EQ(MakeSliceDesign(L2(), Cube(d, 0, 1), spec).status().code(), absl::StatusCode::kFailedPrecondition);
    spec = (*design)->spec().slice();
    spec.set_scheme_version(9);
    EXPECT_EQ(MakeSliceDesign(L2(), Cube(d, 0, 1), spec).status().code(), absl::StatusCode::kFailedPrecondition);
  }
}

}  // namespace
}  // namespace dpkde
