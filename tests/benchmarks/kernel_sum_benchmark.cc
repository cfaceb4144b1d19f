// Sums of a Gaussian kernel over real public vectors, exact and estimated: error against time, and time against the
// number of rows.
//
//   bazel run -c opt //tests/benchmarks:kernel_sum_benchmark -- FOLDER [EXPORT [sums | product]] > kernel_sums.tsv
//
// FOLDER holds wordnet_glove/doc_tokens.npy and doc_lens.npy (word vectors of glosses, in order), glove50k.npy and
// us_zipcodes.npy. The largest set are windows: the means of 2 to 7 successive words of a gloss, 965,406 vectors of 100
// dimensions; growth is shown on random subsets. Queries are rows that were left out. Bandwidths: such that the median
// query has the given density, the mean of its kernel values.
//
// The table "product" is of y = K w (see Product()); its mean_error is the root mean square of the
// claimed errors, and "searched" the share of queries that were not computed exactly.
//
// One thread; times are CPU time, since other programs may be running. With EXPORT, a folder, rows and queries are
// written there for kernel_sum_peers.py ("": none). With the name of a table, only that is measured. The first line
// of the output names the columns.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/index/ann/vector_index.h"
#include "dpkde/index/corpus/corpus_files.h"
#include "dpkde/index/search/kernel_product.h"
#include "dpkde/index/search/kernel_sums.h"
#include "dpkde/io/npy_writer.h"
#include "tests/benchmarks/figures.h"
#include "tests/benchmarks/or_die.h"
#include "tests/benchmarks/windows.h"
#include "tests/testing/specs.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

constexpr size_t kQueries = 1000;
constexpr int kProbe = 64;

// At which the median of the densities of 200 queries, over up to `count` rows, is `wanted`.
double Bandwidth(MatrixView rows, size_t count, MatrixView queries, double wanted, ThreadPool& pool) {
  const MatrixView few = rows.Slice(0, std::min(count, rows.rows));
  double low = 1e-3, high = 1e3;
  for (int step = 0; step < 40; ++step) {
    const double h = std::sqrt(low * high);
    const KernelSums sums = OrDie(KernelSums::Create(few, Gaussian(h), nullptr, 1));
    std::vector<double> means;
    for (const KernelSum& sum : OrDie(sums.Exact(queries.Slice(0, 200), pool))) means.push_back(sum.sum / few.rows);
    (Median(means) < wanted ? low : high) = h;
  }
  return std::sqrt(low * high);
}

VectorIndex BuildIndex(MatrixView rows, double* seconds) {
  VectorIndexOptions options;
  options.kind = VectorIndexOptions::Kind::kIvf;
  options.metric = VectorIndexOptions::Metric::kL2;
  options.ivf_probe = kProbe;
  const double start = CpuSeconds();
  VectorIndex index = OrDie(VectorIndex::Build(rows, options, 1));
  *seconds = CpuSeconds() - start;
  return index;
}

struct Line {
  std::string table, data, method;
  double density, bandwidth, target;
  size_t rows;
  double micros = 0, rms = 0, mean = 0, samples = 0, searched = 0;

  void Print() const {
    std::printf("%s\t%s\t%g\t%.4f\t%zu\t%s\t%g\t%.2f\t%.5f\t%.5f\t%.0f\t%.3f\n", table.c_str(), data.c_str(), density,
                bandwidth, rows, method.c_str(), target, micros, rms, mean, samples, searched);
    std::fflush(stdout);
  }
};

void Export(const std::string& folder, const std::string& name, MatrixView matrix) {
  if (folder.empty()) return;
  std::ofstream(absl::StrCat(folder, "/", name), std::ios::binary)
      << EncodeNpy(matrix.data, matrix.rows, matrix.columns);
}

class Benchmark {
 public:
  explicit Benchmark(const std::string& folder) : folder_(folder) {}

  void Run(const std::string& to, const std::string& only) {
    std::printf(
        "table\tdata\tdensity\tbandwidth\trows\tmethod\ttarget\tus_per_query\trms_error\tmean_"
        "error\tsamples\tsearched\n");
    const TokenSets glosses =
        OrDie(ReadTokenSets(folder_ + "/wordnet_glove/doc_tokens.npy", folder_ + "/wordnet_glove/doc_lens.npy"));
    const Points windows = Shuffled(Windows(glosses), 1);
    const size_t most = windows.rows() - kQueries;
    if (only != "product") {
      const Points words = Shuffled(LoadPoints(folder_ + "/glove50k.npy"), 1),
                   places = Shuffled(LoadPoints(folder_ + "/us_zipcodes.npy"), 1);
      const std::vector<double> all = {0.4, 0.2, 0.1, 0.05, 0.02};
      for (const size_t n : {most / 64, most / 32, most / 16, most / 8, most / 4, most / 2, most}) {
        Sums("windows", windows, n, n == most ? all : std::vector<double>{0.1}, to);
      }
      Sums("words", words, words.rows() - kQueries, all, to);
      Sums("places", places, places.rows() - kQueries, all, to);
    }
    if (only == "sums") return;
    for (const size_t n : {most / 8, most / 4, most / 2, most}) Product(windows, n);
  }

 private:
  void Sums(const std::string& data, const Points& points, size_t n, const std::vector<double>& targets,
            const std::string& to) {
    const MatrixView queries = points.view().Slice(0, kQueries), rest = points.view().Slice(kQueries, points.rows()),
                     rows = rest.Slice(0, n);
    double build;
    const VectorIndex index = BuildIndex(rows, &build);
    Line line{"sums", data, "build of the index, s", 0, 0, 0, n};
    line.micros = build;
    line.Print();
    Export(to, absl::StrCat(data, "_", n, "_rows.npy"), rows);
    Export(to, absl::StrCat(data, "_queries.npy"), queries);
    for (const double density : {1e-2, 1e-3, 1e-4}) {
      double& h = bandwidths_[{data, density}];
      if (h == 0) h = Bandwidth(rest, 20000, queries, density, pool_);
      const KernelSums sums = OrDie(KernelSums::Create(rows, Gaussian(h), &index, 1));
      const KernelSums without = OrDie(KernelSums::Create(rows, Gaussian(h), nullptr, 1));
      double start = CpuSeconds();
      const std::vector<KernelSum> exact = OrDie(sums.Exact(queries, pool_));
      line = {"sums", data, "exact", density, h, 0, n};
      line.micros = (CpuSeconds() - start) / kQueries * 1e6;
      line.samples = n;
      line.Print();
      for (const double target : targets) {
        KernelSumOptions options;
        options.relative_error = target;
        for (const char* method : {"DEANN, permuted", "DEANN", "sample alone"}) {
          options.independent = method == std::string("DEANN");
          if (options.independent && (targets.size() == 1 || target < 0.1)) continue;  // slow
          start = CpuSeconds();
          const std::vector<KernelSum> estimates =
              OrDie((method == std::string("sample alone") ? without : sums).Estimate(queries, options, pool_));
          line = {"sums", data, method, density, h, target, n};
          line.micros = (CpuSeconds() - start) / kQueries * 1e6;
          for (size_t i = 0; i < kQueries; ++i) {
            const double error = estimates[i].sum / exact[i].sum - 1;
            line.rms += error * error / kQueries;
            line.mean += error / kQueries;
            line.samples += 1.0 * estimates[i].samples / kQueries;
            line.searched += (estimates[i].neighbors > 0) * 1.0 / kQueries;
          }
          line.rms = std::sqrt(line.rms);
          line.Print();
        }
      }
    }
  }

  // y = K w, w of random signs; the bandwidth shrinks with n, so that the median row has a sum of about 1 over the
  // others. Of the n queries, the rows themselves, kQueriesOfProduct are made, with their share of the target; errors
  // are root mean squares of a query's, as ||y - Kw|| / ||w|| is.
  void Product(const Points& points, size_t n) {
    constexpr size_t kQueriesOfProduct = 8000;
    const MatrixView rest = points.view().Slice(kQueries, points.rows()), rows = rest.Slice(0, n),
                     queries = rest.Slice(0, kQueriesOfProduct);
    double build;
    const VectorIndex index = BuildIndex(rows, &build);
    Line line{"product", "windows", "build of the index, s", 0, 0, 0, n};
    line.micros = build;
    line.Print();
    const double h = Bandwidth(rows, 100000, points.view().Slice(0, kQueries), 1.0 / n, pool_);
    std::vector<float> w;
    for (const float value : UniformPoints(n, 1, -1, 1, 5).values) w.push_back(value < 0 ? -1.0f : 1.0f);
    const MatrixView weights{w.data(), n, 1};
    double start = CpuSeconds();
    const KernelProduct exact = OrDie(ExactKernelProduct(Gaussian(h), rows, queries, weights, pool_));
    line = {"product", "windows", "exact", 1.0 / n, h, 0, n};
    line.micros = (CpuSeconds() - start) / queries.rows * 1e6;
    line.samples = n;
    line.Print();
    for (const double target : {0.4, 0.2, 0.1, 0.05}) {
      KernelProductOptions options;
      options.error = target * std::sqrt(1.0 * queries.rows / n);
      options.search.ivf_probe = 32;
      start = CpuSeconds();
      const KernelProduct product =
          OrDie(EstimateKernelProduct(Gaussian(h), rows, queries, weights, &index, options, pool_));
      line = {"product", "windows", "near and sampled", 1.0 / n, h, target, n};
      line.micros = (CpuSeconds() - start) / queries.rows * 1e6;
      double claimed = 0;
      for (size_t i = 0; i < queries.rows; ++i) {
        line.rms += std::pow(product.values[i] - exact.values[i], 2) / queries.rows;
        claimed += std::pow(product.std_errors[i], 2) / queries.rows;
      }
      line.rms = std::sqrt(line.rms);
      line.mean = std::sqrt(claimed);
      line.samples = product.samples;
      for (const double std_error : product.std_errors) line.searched += 1.0 * (std_error > 0) / queries.rows;
      line.Print();
    }
  }

  const std::string folder_;
  ThreadPool pool_{1};
  std::map<std::pair<std::string, double>, double> bandwidths_;
};

}  // namespace
}  // namespace dpkde

int main(int argc, char** argv) {
  const std::string only = argc > 3 ? argv[3] : "";
  if (argc < 2 || argc > 4 || (!only.empty() && only != "sums" && only != "product")) {
    std::fprintf(stderr, "usage: kernel_sum_benchmark FOLDER [EXPORT [sums | product]] (see the first comment)\n");
    return 1;
  }
  dpkde::Benchmark(argv[1]).Run(argc > 2 ? argv[2] : "", only);
  return 0;
}
