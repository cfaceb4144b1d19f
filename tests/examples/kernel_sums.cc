// Kernel sums over public vectors: to how many rows is a query near, and what does that cost?
//
//   bazel run -c opt //tests/examples:kernel_sums -- ROWS.npy BANDWIDTH
//
// Every hundredth row is a query. Ends with 1 if an estimate is off by more than five of its standard errors.

#include "dpkde/index/search/kernel_sums.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "absl/status/statusor.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/index/corpus/corpus_files.h"

absl::StatusOr<bool> Run(const char* path, double bandwidth) {
  DPKDE_ASSIGN_OR_RETURN(const dpkde::TokenSets file, dpkde::ReadSingleVectors(path));
  const dpkde::MatrixView rows = file.view().all();
  std::vector<float> queries;
  for (size_t i = 0; i < rows.rows; i += 100) queries.insert(queries.end(), rows.row(i).begin(), rows.row(i).end());
  const dpkde::MatrixView query_view{queries.data(), queries.size() / rows.columns, rows.columns};

  dpkde::proto::SimilaritySpec spec;
  spec.set_kind(dpkde::proto::SimilaritySpec::GAUSSIAN);
  spec.set_bandwidth(bandwidth);
  DPKDE_ASSIGN_OR_RETURN(const dpkde::Similarity kernel, dpkde::Similarity::Create(spec));
  dpkde::VectorIndexOptions index_options;
  index_options.kind = dpkde::VectorIndexOptions::Kind::kIvf;
  index_options.metric = dpkde::VectorIndexOptions::Metric::kL2;
  DPKDE_ASSIGN_OR_RETURN(const dpkde::VectorIndex index, dpkde::VectorIndex::Build(rows, index_options));
  DPKDE_ASSIGN_OR_RETURN(const dpkde::KernelSums sums, dpkde::KernelSums::Create(rows, kernel, &index, /*seed=*/1));

  dpkde::ThreadPool pool;
  dpkde::KernelSumOptions options;
  options.relative_error = 0.1;
  DPKDE_ASSIGN_OR_RETURN(const std::vector<dpkde::KernelSum> estimates, sums.Estimate(query_view, options, pool));
  DPKDE_ASSIGN_OR_RETURN(const std::vector<dpkde::KernelSum> exact, sums.Exact(query_view, pool));
  bool good = true;
  for (size_t i = 0; i < exact.size(); ++i) {
    const dpkde::KernelSum& estimate = estimates[i];
    good &= std::abs(estimate.sum - exact[i].sum) <= 5 * estimate.std_error + 1e-5 * exact[i].sum;
    if (i % 20 == 0) {
      std::printf("row %zu: %.1f +- %.1f by %zu of %zu rows (exact %.1f)\n", i * 100, estimate.sum, estimate.std_error,
                  estimate.samples + estimate.neighbors, rows.rows, exact[i].sum);
    }
  }
  return good;
}

int main(int argc, char** argv) {
  const absl::StatusOr<bool> good = argc == 3 ? Run(argv[1], std::atof(argv[2])) : false;
  if (!good.ok()) std::fprintf(stderr, "%s\n", good.status().ToString().c_str());
  return good.value_or(false) ? 0 : 1;
}
