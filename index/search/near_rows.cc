#include "dpkde/index/search/near_rows.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dpkde/base/status_macros.h"

namespace dpkde {

size_t SearchCost(const VectorIndex& index, const VectorSearchOptions& search, size_t k) {
  const VectorIndexOptions& options = index.options();
  switch (options.kind) {
    case VectorIndexOptions::Kind::kIvf: {
      const double lists = options.ivf_lists > 0 ? options.ivf_lists : 2 * std::sqrt(1.0 * index.size());
      const double probe = std::min<double>(lists, search.ivf_probe.value_or(options.ivf_probe));
      return static_cast<size_t>(2 * (lists + probe / lists * index.size()));
    }
    case VectorIndexOptions::Kind::kHnsw:
      return 40 * std::max<size_t>(k, search.ef_search.value_or(options.ef_search)) * options.hnsw_neighbors;
    case VectorIndexOptions::Kind::kFlat:
      break;
  }
  return index.size();
}

absl::Status CheckIndex(const VectorIndex* index, MatrixView rows) {
  if (index == nullptr || (index->size() == rows.rows && index->dimension() == rows.columns)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("the index has ", index->size(), " vectors of dimension ",
                                                 index->dimension(), ", but there are ", rows.rows,
                                                 " rows of dimension ", rows.columns));
}

absl::StatusOr<std::vector<int64_t>> FindNear(const VectorIndex* index, MatrixView queries, size_t k,
                                              VectorSearchOptions search, ThreadPool& pool) {
  if (k == 0) return std::vector<int64_t>();
  search.allowed = nullptr;
  search.threads = pool.threads();
  DPKDE_ASSIGN_OR_RETURN(VectorSearchResult found, index->Search(queries, k, search));
  return std::move(found.ids);
}

std::vector<float> GatherRows(MatrixView rows, absl::Span<const size_t> chosen) {
  std::vector<float> gathered;
  gathered.reserve(chosen.size() * rows.columns);
  for (const size_t i : chosen) gathered.insert(gathered.end(), rows.row(i).begin(), rows.row(i).end());
  return gathered;
}

}  // namespace dpkde
