// Attention, softmax(scale Q K^T) V, exact and estimated, at several scales (inverse temperatures):
//
//   bazel run -c opt //tests/benchmarks:attention_benchmark -- FOLDER
//
// FOLDER holds glove50k.npy (word vectors) and wordnet_glove/doc_tokens.npy and doc_lens.npy. Keys and values: 48,000
// words, of unit length; then 240,000 windows, the means of 2 to 7 successive words of a gloss, of unit length.
// Queries: 1,000 others of the same kind. No model was trained on these: the shape of the attention is that of real
// embeddings, not of a transformer.
//
// spectral: ||A - A'|| / (||softmax|| ||V||) in operator norms, as KDEformer reports it. rows: the root mean square
// over queries of the error of a row, as a share of the root mean square length of the rows of A less their mean: 1 is
// what the mean row would have. One thread; CPU time, since other programs may be running.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <string>
#include <vector>

#include "dpkde/base/thread_pool.h"
#include "dpkde/index/ann/vector_index.h"
#include "dpkde/index/corpus/corpus_files.h"
#include "dpkde/index/search/attention.h"
#include "dpkde/index/search/kernel_panels.h"
#include "tests/benchmarks/figures.h"
#include "tests/benchmarks/or_die.h"
#include "tests/benchmarks/windows.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

constexpr size_t kQueries = 2000;

Points OfUnitLength(Points points) {
  for (size_t i = 0; i < points.rows(); ++i) {
    float* row = &points.values[i * points.columns];
    double square = 0;
    for (size_t j = 0; j < points.columns; ++j) square += static_cast<double>(row[j]) * row[j];
    for (size_t j = 0; j < points.columns && square > 0; ++j) row[j] = static_cast<float>(row[j] / std::sqrt(square));
  }
  return points;
}

// The largest singular value of a matrix of rows x columns, by power iteration.
template <typename T>
double OperatorNorm(const std::vector<T>& matrix, size_t columns) {
  const size_t rows = matrix.size() / columns;
  std::vector<double> x(columns), z(columns);
  for (size_t j = 0; j < columns; ++j) x[j] = 1 + 0.1 * (j % 7);
  double norm = 0;
  for (int step = 0; step < 10; ++step) {
    const double length = std::sqrt(std::inner_product(x.begin(), x.end(), x.begin(), 0.0));
    if (length == 0) return 0;
    std::fill(z.begin(), z.end(), 0);
    for (size_t i = 0; i < rows; ++i) {
      const T* row = &matrix[i * columns];
      double y = 0;
      for (size_t j = 0; j < columns; ++j) y += row[j] * x[j];
      for (size_t j = 0; j < columns; ++j) z[j] += row[j] * (y / length);
    }
    norm = std::sqrt(std::sqrt(std::inner_product(z.begin(), z.end(), z.begin(), 0.0)));
    x = z;
  }
  return norm;
}

double SoftmaxNorm(MatrixView queries, MatrixView keys, double scale) {
  std::vector<uint32_t> order(keys.rows);
  std::iota(order.begin(), order.end(), 0);
  const KernelPanels panels(keys, order);
  const size_t stride = KernelPanels::Stride(keys.rows);
  std::vector<float> scaled(queries.data, queries.data + queries.rows * queries.columns);
  for (float& value : scaled) value *= static_cast<float>(scale);
  std::vector<float> softmax(queries.rows * stride);
  const std::vector<float> offsets(queries.rows, static_cast<float>(scale));
  ExponentialValues({scaled.data(), queries.rows, queries.columns}, offsets.data(), panels, 0, keys.rows,
                    softmax.data());
  for (size_t q = 0; q < queries.rows; ++q) {
    double sum = 0;
    for (size_t i = 0; i < keys.rows; ++i) sum += softmax[q * stride + i];
    for (size_t i = 0; i < keys.rows; ++i) softmax[q * stride + i] = static_cast<float>(softmax[q * stride + i] / sum);
  }
  return OperatorNorm(softmax, stride);
}

void Run(const char* name, const Points& points, size_t n) {
  ThreadPool pool(1);
  const MatrixView queries = points.view().Slice(0, kQueries), keys = points.view().Slice(kQueries, kQueries + n);
  const size_t columns = keys.columns;
  VectorIndexOptions index_options;
  index_options.kind = VectorIndexOptions::Kind::kIvf;
  double start = CpuSeconds();
  const VectorIndex index = OrDie(VectorIndex::Build(keys, index_options, 1));
  std::printf("%s: %zu keys, index built in %.1f s\n", name, n, CpuSeconds() - start);
  const double value_norm = OperatorNorm(std::vector<float>(keys.data, keys.data + n * columns), columns);
  for (const double scale : {2.0, 5.0, 10.0, 20.0, 40.0}) {
    start = CpuSeconds();
    const Attention exact = OrDie(ExactAttention(queries, keys, keys, scale, pool));
    const double exact_time = (CpuSeconds() - start) / kQueries * 1e6;
    const double norm = SoftmaxNorm(queries, keys, scale) * value_norm;
    std::vector<double> mean(columns);
    for (size_t i = 0; i < exact.values.size(); ++i) mean[i % columns] += exact.values[i] / kQueries;
    double spread = 0;
    for (size_t i = 0; i < exact.values.size(); ++i) spread += std::pow(exact.values[i] - mean[i % columns], 2);
    std::printf("scale %-4g exact %31.0f us a query\n", scale, exact_time);
    const auto measure = [&](const char* method, size_t neighbors, size_t samples) {
      AttentionOptions options;
      options.scale = scale;
      options.neighbors = neighbors;
      options.samples = samples;
      start = CpuSeconds();
      const Attention estimate = OrDie(EstimateAttention(queries, keys, keys, &index, options, pool));
      const double time = (CpuSeconds() - start) / kQueries * 1e6;
      std::vector<double> error(exact.values.size());
      for (size_t i = 0; i < error.size(); ++i) error[i] = estimate.values[i] - exact.values[i];
      double square = 0, claimed = 0;
      for (const double value : error) square += value * value;
      for (const double value : estimate.std_errors) claimed += value * value;
      std::printf("           %-6s near %4zu samples %5zu %5.0f us, %5.1f x  spectral %.5f  rows %.3f  claimed %.3f\n",
                  method, neighbors, samples, time, exact_time / time, OperatorNorm(error, columns) / norm,
                  std::sqrt(square / spread), std::sqrt(claimed / spread));
      std::fflush(stdout);
    };
    measure("sample", 0, 1024);
    measure("sample", 0, 8192);
    measure("both", 64, 1024);
    measure("both", 64, 8192);
    measure("both", 512, 8192);
  }
}

}  // namespace
}  // namespace dpkde

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: attention_benchmark FOLDER (see the file's first comment)\n"), 1;
  const std::string folder = argv[1];
  dpkde::Run("words", dpkde::OfUnitLength(dpkde::Shuffled(dpkde::LoadPoints(folder + "/glove50k.npy"), 1)), 48000);
  dpkde::Run(
      "windows",
      dpkde::OfUnitLength(dpkde::Shuffled(dpkde::Windows(*dpkde::ReadTokenSets(folder + "/wordnet_glove/doc_tokens.npy",
                                                                               folder + "/wordnet_glove/doc_lens.npy")),
                                          1)),
      240000);
  return 0;
}
