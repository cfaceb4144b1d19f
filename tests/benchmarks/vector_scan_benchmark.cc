// Flat search of every kind of codes against FAISS's own flat index, which from 20 queries on uses a BLAS: 20,000
// vectors, 256 queries in one batch and one by one, one thread. Queries a second of CPU time, since other programs may
// be running.
//
//   OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 bazel run -c opt //tests/benchmarks:vector_scan_benchmark

#include <faiss/IndexFlat.h>

#include <cstdio>
#include <ctime>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "dpkde/index/ann/vector_index.h"

namespace dpkde {
namespace {

constexpr size_t kRows = 20000, kQueries = 256, kTop = 100;

std::vector<float> Normal(size_t count, uint64_t seed) {
  std::mt19937_64 engine(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(engine);
  return values;
}

// Queries a second of two rounds, the first to warm up.
template <typename Body>
double Rate(size_t queries, Body body) {
  double rate = 0;
  for (int round = 0; round < 2; ++round) {
    const std::clock_t start = std::clock();
    body();
    rate = queries * static_cast<double>(CLOCKS_PER_SEC) / (std::clock() - start);
  }
  return rate;
}

void Measure(size_t d) {
  const std::vector<float> rows = Normal(kRows * d, 1), queries = Normal(kQueries * d, 2);
  const MatrixView row_view{rows.data(), kRows, d}, query_view{queries.data(), kQueries, d};
  for (const bool l2 : {false, true}) {
    faiss::IndexFlat flat(static_cast<int>(d), l2 ? faiss::METRIC_L2 : faiss::METRIC_INNER_PRODUCT);
    flat.add(kRows, rows.data());
    std::vector<float> scores(kQueries * kTop);
    std::vector<int64_t> ids(kQueries * kTop);
    const double batch =
        Rate(kQueries, [&] { flat.search(kQueries, queries.data(), kTop, scores.data(), ids.data()); });
    const double single = Rate(32, [&] {
      for (size_t i = 0; i < 32; ++i) flat.search(1, queries.data() + i * d, kTop, scores.data(), ids.data());
    });
    std::printf("d %4zu %s  %-14s %9.0f in a batch %9.0f alone\n", d, l2 ? "L2" : "IP", "FAISS flat", batch, single);
    using Codes = VectorIndexOptions::Codes;
    for (const auto& [name, codes] : {std::pair("float32", Codes::kFloat32), std::pair("int8", Codes::kInt8),
                                      std::pair("PQ, 8 dims", Codes::kPq8), std::pair("4-bit", Codes::kPq4)}) {
      VectorIndexOptions options;
      options.codes = codes;
      options.metric = l2 ? VectorIndexOptions::Metric::kL2 : VectorIndexOptions::Metric::kInnerProduct;
      const auto index = VectorIndex::Build(row_view, options, 1);
      if (!index.ok()) continue;
      VectorSearchOptions search;
      search.threads = 1;
      const auto run = [&](MatrixView some) {
        if (!index->Search(some, kTop, search).ok()) std::printf("failed\n");
      };
      const double our_batch = Rate(kQueries, [&] { run(query_view); });
      const double our_single = Rate(32, [&] {
        for (size_t i = 0; i < 32; ++i) run(query_view.Slice(i, i + 1));
      });
      std::printf("d %4zu %s  %-14s %9.0f in a batch %9.0f alone\n", d, l2 ? "L2" : "IP", name, our_batch, our_single);
    }
  }
}

}  // namespace
}  // namespace dpkde

int main() {
  for (const size_t d : {64, 100, 512, 1024}) dpkde::Measure(d);
  return 0;
}
