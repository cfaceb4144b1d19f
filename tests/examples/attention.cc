// Attention by a sample: softmax(scale Q K^T) V over more keys than one wants to look at.
//
//   bazel run -c opt //tests/examples:attention -- ROWS.npy SCALE
//
// Rows, of any length, become keys of unit length; they are their own values, and every twentieth is a query. Ends with
// 1 if a row of the estimate is off by more than six of its standard errors.

#include "dpkde/index/search/attention.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "dpkde/base/status_macros.h"
#include "dpkde/index/corpus/corpus_files.h"

absl::StatusOr<bool> Run(const char* path, double scale) {
  DPKDE_ASSIGN_OR_RETURN(const dpkde::TokenSets file, dpkde::ReadSingleVectors(path));
  const size_t n = file.view().size(), d = file.dimension();
  std::vector<float> keys, queries;
  for (size_t r = 0; r < n; ++r) {
    double square = 0;
    for (float x : file.view().all().row(r)) square += static_cast<double>(x) * x;
    for (float x : file.view().all().row(r)) keys.push_back(static_cast<float>(x / std::sqrt(square)));
    if (r % 20 == 0) queries.insert(queries.end(), keys.end() - d, keys.end());
  }
  const dpkde::MatrixView key_view{keys.data(), n, d}, query_view{queries.data(), queries.size() / d, d};

  dpkde::VectorIndexOptions index_options;
  index_options.kind = dpkde::VectorIndexOptions::Kind::kIvf;
  index_options.metric = dpkde::VectorIndexOptions::Metric::kInnerProduct;
  DPKDE_ASSIGN_OR_RETURN(const dpkde::VectorIndex index, dpkde::VectorIndex::Build(key_view, index_options));
  dpkde::AttentionOptions options;
  options.scale = scale;
  dpkde::ThreadPool pool;
  DPKDE_ASSIGN_OR_RETURN(const dpkde::Attention estimate,
                         dpkde::EstimateAttention(query_view, key_view, key_view, &index, options, pool));
  DPKDE_ASSIGN_OR_RETURN(const dpkde::Attention exact,
                         dpkde::ExactAttention(query_view, key_view, key_view, scale, pool));
  bool good = true;
  for (size_t q = 0; q < query_view.rows; ++q) {
    double square = 0;
    for (size_t i = q * d; i < (q + 1) * d; ++i) square += std::pow(estimate.values[i] - exact.values[i], 2);
    good &= std::sqrt(square) <= 6 * estimate.std_errors[q] + 1e-5;
    if (q % 40 == 0) std::printf("query %zu: off by %.3f +- %.3f\n", q, std::sqrt(square), estimate.std_errors[q]);
  }
  return good;
}

int main(int argc, char** argv) {
  const absl::StatusOr<bool> good = argc == 3 ? Run(argv[1], std::atof(argv[2])) : false;
  if (!good.ok()) std::fprintf(stderr, "%s\n", good.status().ToString().c_str());
  return good.value_or(false) ? 0 : 1;
}
