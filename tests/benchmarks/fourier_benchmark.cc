// Rates of the Fourier kernel on one core, beside OpenBLAS's sgemm of the same shape: what the machine can do.
//
//   bazel run //tests/benchmarks:fourier_benchmark
//
// The phases are a matrix product; the kernel adds sine, cosine, rounding and the check of the norm. Items are
// multiply-adds of the matrix product, so "items_per_second" of the rows of one shape compare directly.

#include <benchmark/benchmark.h>

#include <boost/random/mersenne_twister.hpp>
#include <boost/random/normal_distribution.hpp>
#include <vector>

#include "dpkde/designs/directions.h"
#include "dpkde/designs/fourier_kernel.h"

extern "C" void sgemm_(const char* transa, const char* transb, const int* m, const int* n, const int* k,
                       const float* alpha, const float* a, const int* lda, const float* b, const int* ldb,
                       const float* beta, float* c, const int* ldc);
extern "C" void openblas_set_num_threads(int threads);

namespace dpkde {
namespace {

constexpr size_t kRows = 1536;

std::vector<float> Normals(size_t count, double scale) {
  boost::random::mt19937_64 engine(1);
  boost::random::normal_distribution<double> normal(0, scale);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(normal(engine));
  return values;
}

struct Problem {
  size_t dimension, frequencies;
  std::vector<float> rows, turns;
  FrequencyPanels panels;
};

Problem MakeProblem(const benchmark::State& state) {
  Problem problem;
  problem.dimension = state.range(0);
  problem.frequencies = state.range(1);
  problem.rows = Normals(kRows * problem.dimension, 1);
  problem.turns = Normals(problem.frequencies * problem.dimension, 0.1);
  problem.panels = MakeFrequencyPanels(problem.turns, problem.dimension, std::vector<bool>(problem.frequencies, false));
  return problem;
}

void SetItems(benchmark::State& state, const Problem& problem) {
  state.SetItemsProcessed(state.iterations() * kRows * problem.dimension * problem.frequencies);
}

void BM_Sgemm(benchmark::State& state) {
  const Problem problem = MakeProblem(state);
  openblas_set_num_threads(1);
  std::vector<float> out(kRows * problem.frequencies);
  // Row-major rows * turns^T as column-major turns * rows^T.
  const int m = problem.frequencies, n = kRows, k = problem.dimension;
  const float one = 1, zero = 0;
  for (auto _ : state) {
    sgemm_("T", "N", &m, &n, &k, &one, problem.turns.data(), &k, problem.rows.data(), &k, &zero, out.data(), &m);
    benchmark::DoNotOptimize(out.data());
  }
  SetItems(state, problem);
}

void BM_Phases(benchmark::State& state) {
  const Problem problem = MakeProblem(state);
  std::vector<float> out(kRows * FrequencyPanels::kPanelColumns);
  for (auto _ : state) {
    for (size_t panel = 0; panel < problem.panels.narrow_panels; ++panel) {
      FourierPhases(problem.panels, panel, {problem.rows.data(), kRows, problem.dimension}, out.data());
      benchmark::DoNotOptimize(out.data());
    }
  }
  SetItems(state, problem);
}

void BM_Accumulate(benchmark::State& state) {
  const Problem problem = MakeProblem(state);
  std::vector<int64_t> cos_sums(problem.panels.padded()), sin_sums(problem.panels.padded());
  for (auto _ : state) {
    AccumulateFourier(problem.panels, {problem.rows.data(), kRows, problem.dimension}, cos_sums.data(),
                      sin_sums.data());
    benchmark::DoNotOptimize(cos_sums.data());
  }
  SetItems(state, problem);
}

void BM_Evaluate(benchmark::State& state) {
  const Problem problem = MakeProblem(state);
  std::vector<double> cos_weights(problem.panels.padded(), 0.5), sin_weights(problem.panels.padded(), 0.25);
  std::vector<double> sums(kRows), squares(kRows);
  for (auto _ : state) {
    EvaluateFourier(problem.panels, {problem.rows.data(), kRows, problem.dimension}, cos_weights.data(),
                    sin_weights.data(), sums.data(), squares.data());
    benchmark::DoNotOptimize(sums.data());
  }
  SetItems(state, problem);
}

// The phases of as many frequencies by products of Hadamard matrices; items count as if they were written out.
void BM_StructuredPhases(benchmark::State& state) {
  const Problem problem = MakeProblem(state);
  const StructuredDirections directions(problem.dimension, std::vector<float>(problem.frequencies, 1.0f), 1,
                                        "benchmark");
  std::vector<float> out(kRows * directions.padded());
  for (auto _ : state) {
    directions.Products({problem.rows.data(), kRows, problem.dimension}, out.data());
    benchmark::DoNotOptimize(out.data());
  }
  SetItems(state, problem);
}

void BM_StructuredAccumulate(benchmark::State& state) {
  const Problem problem = MakeProblem(state);
  const StructuredDirections directions(problem.dimension, std::vector<float>(problem.frequencies, 1.0f), 1,
                                        "benchmark");
  std::vector<float> out(48 * directions.padded());
  std::vector<int64_t> cos_sums(directions.padded()), sin_sums(directions.padded());
  const MatrixView rows{problem.rows.data(), kRows, problem.dimension};
  for (auto _ : state) {
    for (size_t begin = 0; begin < kRows; begin += 48) {
      const MatrixView part = rows.Slice(begin, std::min(begin + 48, kRows));
      directions.Products(part, out.data());
      AccumulatePhases({out.data(), part.rows, directions.padded()}, 1, cos_sums.data(), sin_sums.data());
    }
    benchmark::DoNotOptimize(cos_sums.data());
  }
  SetItems(state, problem);
}

// {dimension, frequencies}
#define DPKDE_SHAPES Args({2, 4096})->Args({16, 2048})->Args({64, 2048})->Args({128, 2048})->Args({784, 2048})
BENCHMARK(BM_Sgemm)->DPKDE_SHAPES;
BENCHMARK(BM_Phases)->DPKDE_SHAPES;
BENCHMARK(BM_Accumulate)->DPKDE_SHAPES;
BENCHMARK(BM_Evaluate)->DPKDE_SHAPES;
#define DPKDE_LARGE_SHAPES Args({64, 2048})->Args({128, 2048})->Args({784, 2048})->Args({4096, 4096})
BENCHMARK(BM_StructuredPhases)->DPKDE_LARGE_SHAPES;
BENCHMARK(BM_StructuredAccumulate)->DPKDE_LARGE_SHAPES;

}  // namespace
}  // namespace dpkde
