// Sums of l1 distances: what a query costs, and what an answer errs, at sizes beyond the tests'.
//
//   bazel run //tests/benchmarks:distance_benchmark
//
// Prints the time of a query in 1,000 dimensions, in batches of 1,000 on one core (required: below 4 us); and the root
// mean square error over queries uniform on the axis at pure epsilon = 1 of l1 in one dimension of width 1, for 10^3,
// 10^5 and 10^7 records, smooth or on 100 atoms (required: 3.2 under ADD_REMOVE, 3.9 under REPLACE, with at most 20,000
// harmonics).

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
#include <vector>

#include "dpkde/base/thread_pool.h"
#include "dpkde/designs/design_factory.h"
#include "dpkde/noise/bit_source.h"
#include "dpkde/noise/mechanism.h"
#include "dpkde/planner/planner.h"
#include "dpkde/sketch/accumulator.h"
#include "tests/testing/specs.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

double Seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

void QueryTime() {
  constexpr size_t kDimension = 1000, kQueries = 1000;
  ThreadPool pool(1);
  PlanInputs inputs{MakeSimilarity(proto::SimilaritySpec::L1, 0), kDimension, Cube(kDimension, 0, 1),
                    ApproximateAddRemove(1, 1e-6)};
  inputs.public_n = 1000;
  const Candidate choice = Plan(inputs)->candidates[0];
  Accumulator accumulator = *Accumulator::Create(MakeReleasePlan(inputs, choice), Accumulator::BadRecords::kFail, pool);
  if (!accumulator.Add(UniformPoints(1000, kDimension, 0, 1, 1).view()).ok()) return;
  SystemBitSource noise;
  const Release release = *std::move(accumulator).Privatize(noise);
  const Points queries = UniformPoints(kQueries, kDimension, 0, 1, 2);
  double best = 1e9;
  for (int round = 0; round < 30; ++round) {
    const double start = Seconds();
    const auto estimates = release.Estimate(queries.view(), pool);
    best = std::min(best, Seconds() - start);
    if (!estimates.ok()) return;
  }
  std::printf("l1 in %zu dimensions, %s: %.2f us a query, batch of %zu, one thread, best of 30\n", kDimension,
              DescribeDesign(choice.design).c_str(), best / kQueries * 1e6, kQueries);
}

// Sums of |x - y| over points sorted, with their prefix sums.
double ExactSum(const std::vector<float>& sorted, const std::vector<double>& prefix, double y) {
  const size_t below = std::lower_bound(sorted.begin(), sorted.end(), y) - sorted.begin();
  return y * below - prefix[below] + (prefix.back() - prefix[below]) - y * (sorted.size() - below);
}

void Errors() {
  const Points queries = UniformPoints(400, 1, 0, 1, 5);
  ThreadPool pool;
  for (size_t n : {1000, 100000, 10000000}) {
    // A function of many harmonics takes long to tabulate.
    const int draws = n > 1000000 ? 50 : 300;
    for (bool atoms : {false, true}) {
      Points points = UniformPoints(atoms ? 100 : n, 1, 0, 1, 3);
      if (atoms) {
        const std::vector<float> places = points.values;
        points.values.clear();
        for (size_t i = 0; i < n; ++i) points.values.push_back(places[i % 100]);
      } else {
        // A smooth density that is not uniform: 0.6 + 0.8 x.
        for (float& x : points.values) x = (std::sqrt(0.36f + 1.6f * x) - 0.6f) / 0.8f;
      }
      std::vector<float> sorted = points.values;
      std::sort(sorted.begin(), sorted.end());
      std::vector<double> prefix = {0};
      for (float x : sorted) prefix.push_back(prefix.back() + x);
      for (Neighboring neighboring : {Neighboring::kAddRemove, Neighboring::kReplace}) {
        PlanInputs inputs{MakeSimilarity(proto::SimilaritySpec::L1, 0), 1, Cube(1, 0, 1),
                          *PrivacySpec::Pure(1, neighboring)};
        inputs.public_n = static_cast<double>(n);
        const Candidate choice = Plan(inputs)->candidates[0];
        const auto design = CreateDesign(inputs.similarity, 1, inputs.domain, choice.design);
        const auto mechanism = Mechanism::Calibrate(choice.mechanism, (*design)->groups(), inputs.privacy);
        std::vector<int64_t> raw((*design)->num_coordinates());
        // Sums are of integers: those of n records on 100 atoms are n / 100 times those of the atoms.
        const size_t distinct = atoms ? 100 : n, chunk = 1 << 16;
        for (size_t begin = 0; begin < distinct; begin += chunk) {
          (*design)->Accumulate(points.view().Slice(begin, std::min(begin + chunk, distinct)), absl::MakeSpan(raw));
        }
        for (int64_t& sum : raw) sum *= static_cast<int64_t>(n / distinct);
        SystemBitSource noise;
        std::vector<Answer> answers(queries.rows());
        double square = 0, fourth = 0;
        for (int draw = 0; draw < draws; ++draw) {
          std::vector<int64_t> values = raw;
          mechanism->AddNoise(absl::MakeSpan(values), noise);
          (*design)
              ->MakeReleasedFunction(values, mechanism->variances())
              ->Evaluate(queries.view(), absl::MakeSpan(answers));
          double mean_square = 0;
          for (size_t q = 0; q < queries.rows(); ++q) {
            mean_square += std::pow(answers[q].sum - ExactSum(sorted, prefix, queries.values[q]), 2) / queries.rows();
          }
          square += mean_square / draws;
          fourth += mean_square * mean_square / draws;
        }
        const double rmse = std::sqrt(square);
        const double standard_error = std::sqrt((fourth - square * square) / draws) / (2 * rmse);
        std::printf("n = %-9zu %-6s %-10s %s: rmse %.3f +- %.3f predicted %.3f (noise %.3f)\n", n,
                    atoms ? "atoms" : "smooth", neighboring == Neighboring::kAddRemove ? "add_remove" : "replace",
                    DescribeDesign(choice.design).c_str(), rmse, standard_error, choice.total_error(),
                    choice.noise_error);
        std::fflush(stdout);
      }
    }
  }
}

}  // namespace
}  // namespace dpkde

int main() {
  dpkde::QueryTime();
  dpkde::Errors();
}
