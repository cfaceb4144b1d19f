#include "dpkde/index/search/searcher.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "dpkde/base/exceptions.h"
#include "dpkde/base/float_environment.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"
#include "dpkde/index/ann/points.h"
#include "dpkde/index/search/index_blobs.h"
#include "dpkde/index/search/vector_scores.h"

namespace dpkde {
namespace {

using Metric = VectorIndexOptions::Metric;

// Candidates of so many queries are held at a time.
constexpr size_t kQueryBatch = 1024;

// Adds the seconds of its life to `total`, if there is one.
class Stopwatch {
 public:
  explicit Stopwatch(double* total) : total_(total), start_(std::chrono::steady_clock::now()) {}
  ~Stopwatch() {
    if (total_ != nullptr) {
      *total_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    }
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  double* const total_;
  const std::chrono::steady_clock::time_point start_;
};

}  // namespace

Searcher::Searcher(IndexDirectory directory, std::unique_ptr<const Encoder> encoder, VectorIndex vectors)
    : directory_(std::move(directory)), encoder_(std::move(encoder)), vectors_(std::move(vectors)) {
  if (directory_.live_rows() == directory_.rows()) return;
  auto live = std::make_unique<RowSet>(directory_.rows());
  for (uint64_t row = 0; row < directory_.rows(); ++row) {
    if (!directory_.removed(row)) live->Insert(row);
  }
  live_ = std::move(live);
}

absl::StatusOr<Searcher> Searcher::Open(const std::string& path, IndexDirectory::Verify verify) try {
  const DefaultFloatEnvironment environment;
  DPKDE_ASSIGN_OR_RETURN(IndexDirectory directory, IndexDirectory::Open(path, verify));
  DPKDE_ASSIGN_OR_RETURN(std::unique_ptr<const Encoder> encoder, LoadEncoder(directory));
  DPKDE_ASSIGN_OR_RETURN(VectorIndex vectors, LoadVectors(directory, encoder.get()));
  return Searcher(std::move(directory), std::move(encoder), std::move(vectors));
} catch (...) {
  return StatusOfException();
}

Metric Searcher::metric() const {
  return encoder_ != nullptr ? Metric::kInnerProduct : MetricOf(directory_.manifest().config());
}

bool Searcher::larger_is_better() const { return VectorScorer::LargerIsBetter(metric()); }

absl::Status Searcher::CheckQueries(TokenSetsView queries) const {
  if (queries.dimension != directory_.dimension()) {
    return absl::InvalidArgumentError(absl::StrCat("queries must have the index's token dimension, ",
                                                   directory_.dimension(), ", but have ", queries.dimension));
  }
  for (size_t i = 0; i < queries.size(); ++i) {
    const MatrixView query = queries.set(i);
    if (encoder_ == nullptr && query.rows != 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("query ", i, " must have one vector, as the index's documents have, but has ", query.rows));
    }
    for (size_t t = 0; t < query.rows; ++t) {
      const std::string place =
          encoder_ == nullptr ? absl::StrCat("query ", i) : absl::StrCat("token ", t, " of query ", i);
      double square = 0;
      size_t largest = 0;
      for (size_t j = 0; j < query.columns; ++j) {
        const float value = query.row(t)[j];
        DPKDE_RETURN_IF_ERROR(CheckFinite(absl::StrCat("column ", j, " of ", place), value));
        if (std::abs(value) > std::abs(query.row(t)[largest])) largest = j;
        square += static_cast<double>(value) * value;
      }
      if (square > kLargestSquaredNorm) {
        return absl::InvalidArgumentError(absl::StrCat(
            "column ", largest, " of ", place, " is ", query.row(t)[largest], ", which makes the vector too long: ",
            "squared lengths must be at most ", kLargestSquaredNorm, "; scale queries and documents down"));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status Searcher::ExactScores(MatrixView query, absl::Span<const uint64_t> rows, absl::Span<double> scores) const {
  // Products of int8 vectors are those of token sets: integers, by a query that is rounded to them too.
  if (encoder_ != nullptr || (metric() == Metric::kInnerProduct && directory_.token_format() == TokenFormat::kInt8)) {
    std::vector<StoredTokens> documents;
    documents.reserve(rows.size());
    for (const uint64_t row : rows) documents.push_back(directory_.tokens(row));
    std::vector<float> similarities(rows.size());
    DPKDE_RETURN_IF_ERROR(
        Chamfer(MaxSimQuery(query, directory_.token_format()), documents, absl::MakeSpan(similarities)));
    std::copy(similarities.begin(), similarities.end(), scores.begin());
    return absl::OkStatus();
  }
  const VectorScorer scorer(metric(), directory_.origin(), query.row(0));
  std::vector<float> decoded(query.columns);
  for (size_t i = 0; i < rows.size(); ++i) {
    const StoredTokens stored = directory_.tokens(rows[i]);
    const float* vector = static_cast<const float*>(stored.values);
    if (stored.format != TokenFormat::kFloat32) {
      LoadTokens(stored, decoded.data());
      vector = decoded.data();
    }
    scores[i] = scorer.Score(vector);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::vector<SearchHit>>> Searcher::Search(TokenSetsView queries,
                                                                     const SearchOptions& options,
                                                                     ThreadPool& pool) const try {
  const DefaultFloatEnvironment environment;
  DPKDE_RETURN_IF_ERROR(CheckInRange("k", options.k, 1, std::numeric_limits<int32_t>::max()));
  if (options.candidates < options.k) return absl::InvalidArgumentError("candidates must be at least k");
  if (options.rerank.value_or(0) != 0 && *options.rerank < options.k) {
    return absl::InvalidArgumentError("rerank must be at least k, or 0 for none");
  }
  if (options.allowed != nullptr && options.allowed->size() != directory_.rows()) {
    return absl::InvalidArgumentError("the set of allowed rows must have the index's size");
  }
  if (options.vectors != nullptr && options.vectors->size() != directory_.rows()) {
    return absl::InvalidArgumentError("the vectors must have the index's rows");
  }
  if (options.explain && encoder_ == nullptr) {
    return absl::InvalidArgumentError("there is nothing to explain in an index of single vectors");
  }
  DPKDE_RETURN_IF_ERROR(CheckQueries(queries));

  // What may be found.
  const RowSet* allowed = options.allowed != nullptr ? options.allowed : live_.get();
  std::unique_ptr<RowSet> both;
  if (options.allowed != nullptr && live_ != nullptr) {
    both = std::make_unique<RowSet>(*options.allowed);
    for (uint64_t row = 0; row < directory_.rows(); ++row) {
      if (directory_.removed(row)) both->Erase(row);
    }
    allowed = both.get();
  }
  const size_t findable = allowed == nullptr ? directory_.rows() : allowed->count();
  std::vector<uint64_t> all;  // where the first stage has nothing to decide, or for queries that it cannot tell apart
  const bool exact = options.candidates >= findable;
  for (uint64_t row = 0; row < directory_.rows() && all.size() < (exact ? findable : options.k); ++row) {
    if (allowed == nullptr || allowed->contains(row)) all.push_back(row);
  }
  const bool rerank = options.rerank != size_t{0};

  const FirstStage first_stage(directory_.manifest().config());
  SearchTimings unused;
  SearchTimings& timings = options.timings == nullptr ? unused : *options.timings;
  std::vector<std::vector<SearchHit>> results(queries.size());
  if (findable == 0) return results;
  for (size_t begin = 0; begin < queries.size(); begin += kQueryBatch) {
    const size_t end = std::min(begin + kQueryBatch, queries.size());
    const TokenSetsView batch = queries.Slice(begin, end);

    VectorSearchResult candidates;
    std::vector<double> constants(batch.size(), 0);  // that first-stage scores lack
    if (!exact || !rerank) {
      std::vector<float> encoded;
      MatrixView vectors = batch.all();
      if (encoder_ == nullptr) {
        vectors = first_stage.Queries(vectors, &encoded, &constants);
      } else {
        const Stopwatch stopwatch(&timings.encode_seconds);
        encoded.resize(batch.size() * encoder_->dimension());
        DPKDE_RETURN_IF_ERROR(encoder_->EncodeQueries(batch, pool, absl::MakeSpan(encoded)));
        vectors = {encoded.data(), batch.size(), encoder_->dimension()};
      }
      const Stopwatch stopwatch(&timings.candidates_seconds);
      VectorSearchOptions search;
      search.ef_search = options.ef_search;
      search.ivf_probe = options.ivf_probe;
      search.rescore = options.rescore;
      search.allowed = allowed;
      search.threads = pool.threads();
      const size_t wanted =
          rerank ? std::min(options.candidates, options.rerank.value_or(options.candidates)) : options.k;
      const VectorIndex& index = options.vectors != nullptr ? *options.vectors : vectors_;
      DPKDE_ASSIGN_OR_RETURN(candidates, index.Search(vectors, std::min(wanted, findable), search));
    }

    const Stopwatch stopwatch(&timings.rerank_seconds);
    absl::Mutex mutex;
    absl::Status status;
    pool.ParallelFor(batch.size(), 1, [&](size_t first, size_t last, int /*worker*/) {
      for (size_t query = first; query < last; ++query) {
        const absl::Status of_query = [&]() -> absl::Status {
          const MatrixView tokens = batch.set(query);
          std::vector<SearchHit>& hits = results[begin + query];
          std::vector<uint64_t> rows;
          std::vector<double> scores;
          if (tokens.rows == 0) {
            rows.assign(all.begin(), all.begin() + std::min(all.size(), options.k));
            scores.assign(rows.size(), 0);
          } else if (exact && rerank) {
            rows = all;
          } else {
            for (size_t i = query * candidates.k; i < (query + 1) * candidates.k && candidates.ids[i] >= 0; ++i) {
              rows.push_back(candidates.ids[i]);
              scores.push_back(candidates.scores[i] + constants[query]);
            }
          }
          if (rerank && tokens.rows > 0) {
            scores.resize(rows.size());
            DPKDE_RETURN_IF_ERROR(ExactScores(tokens, rows, absl::MakeSpan(scores)));
          }
          for (size_t i = 0; i < rows.size(); ++i) hits.push_back({rows[i], scores[i], {}});
          const bool larger = larger_is_better();
          // What is no number, which nothing here makes, would come last.
          const auto distance = [larger](const SearchHit& hit) {
            if (std::isnan(hit.score)) return std::numeric_limits<double>::infinity();
            return larger ? -hit.score : hit.score;
          };
          const auto better = [&](const SearchHit& a, const SearchHit& b) {
            const double of_a = distance(a), of_b = distance(b);
            return of_a != of_b ? of_a < of_b : a.row < b.row;
          };
          const size_t found = std::min(options.k, hits.size());
          std::partial_sort(hits.begin(), hits.begin() + found, hits.end(), better);
          hits.resize(found);
          if (!options.explain) return absl::OkStatus();
          const MaxSimQuery packed(tokens, directory_.token_format());
          for (SearchHit& hit : hits) {
            DPKDE_ASSIGN_OR_RETURN(hit.matches, ExplainChamfer(packed, directory_.tokens(hit.row)));
          }
          return absl::OkStatus();
        }();
        if (!of_query.ok()) {
          absl::MutexLock lock(&mutex);
          status.Update(of_query);
        }
      }
    });
    DPKDE_RETURN_IF_ERROR(status);
  }
  return results;
} catch (...) {
  return StatusOfException();
}

}  // namespace dpkde
