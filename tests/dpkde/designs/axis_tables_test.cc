#include "dpkde/designs/axis_tables.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/specs.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

constexpr size_t kSteps = 10;

// Another cubic on each axis.
double Cubic(size_t axis, double x) { return 1 + axis * x - 2 * x * x + (axis % 3) * x * x * x; }

AxisTables MakeTables(size_t dimension) {
  const Domain domain = Cube(dimension, -1, 3);
  AxisTables tables(domain, kSteps);
  for (size_t i = 0; i < dimension; ++i) {
    for (size_t j = 0; j < tables.nodes_each(); ++j) tables.nodes(i)[j] = Cubic(i, -1 + (j - 1.0) * 4 / kSteps);
  }
  return tables;
}

std::vector<double> Sums(const AxisTables& tables, AxisTables::Interpolation interpolation, MatrixView queries) {
  std::vector<double> sums(queries.rows);
  tables.AddSums(interpolation, queries, absl::MakeSpan(sums));
  return sums;
}

TEST(AxisTablesTest, CubicsAreExactAndLinesAreNot) {
  for (size_t d : {1, 3, 4, 7, 8, 9, 17, 100}) {
    const AxisTables tables = MakeTables(d);
    Points queries = UniformPoints(30, d, -1, 3, 7);
    for (size_t i = 0; i < d; ++i) {  // the domain's ends, and a node
      queries.values[i] = -1;
      queries.values[d + i] = 3;
      queries.values[2 * d + i] = 1;
    }
    const std::vector<double> cubic = Sums(tables, AxisTables::Interpolation::kCubic, queries.view());
    const std::vector<double> linear = Sums(tables, AxisTables::Interpolation::kLinear, queries.view());
    double worst_line = 0;
    for (size_t q = 0; q < queries.rows(); ++q) {
      double expected = 0;
      for (size_t i = 0; i < d; ++i) expected += Cubic(i, queries.view().row(q)[i]);
      EXPECT_NEAR(cubic[q], expected, 1e-10 * d * d) << "d = " << d << ", query " << q;
      // Within step^2 / 8 times the largest second derivative.
      EXPECT_NEAR(linear[q], expected, d * 0.16 / 8 * 44) << "d = " << d << ", query " << q;
      worst_line = std::max(worst_line, std::abs(linear[q] - expected));
      if (q < 3) {
        EXPECT_NEAR(linear[q], expected, 1e-10 * d * d);
      }
    }
    EXPECT_GT(worst_line, 0.05);
  }
}

TEST(AxisTablesTest, AnswersDependOnTheQueryAlone) {
  const AxisTables tables = MakeTables(21);
  const Points queries = UniformPoints(100, 21, -1, 3, 8);
  const std::vector<double> together = Sums(tables, AxisTables::Interpolation::kCubic, queries.view());
  for (size_t q = 0; q < queries.rows(); ++q) {
    EXPECT_EQ(Sums(tables, AxisTables::Interpolation::kCubic, queries.view().Slice(q, q + 1))[0], together[q]);
  }
}

TEST(AxisTablesTest, AddsToWhatIsThere) {
  const AxisTables tables = MakeTables(2);
  const std::vector<float> query = {0, 0};
  std::vector<double> sums = {5};
  tables.AddSums(AxisTables::Interpolation::kCubic, {query.data(), 1, 2}, absl::MakeSpan(sums));
  EXPECT_NEAR(sums[0], 7, 1e-12);
}

}  // namespace
}  // namespace dpkde
