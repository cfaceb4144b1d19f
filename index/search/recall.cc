#include "dpkde/index/search/recall.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/exceptions.h"
#include "dpkde/base/float_environment.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/index/search/vector_scores.h"

namespace dpkde {
namespace {

constexpr double kTie = 1e-6;

// A score less its reference, and how far it may be from that of the vectors as they were given.
struct GivenScore {
  double score = 0;
  double error = 0;
};

double Length(absl::Span<const float> x) {
  double square = 0;
  for (const float value : x) square += static_cast<double>(value) * value;
  return std::sqrt(square);
}

// A bound on the length of what rounding changed in a token that was stored as `token`.
double StorageError(const StoredTokens& stored, size_t i, absl::Span<const float> token) {
  const double root = std::sqrt(static_cast<double>(token.size()));
  switch (stored.format) {
    case TokenFormat::kFloat32:
      return std::ldexp(Length(token), -23);  // and the query's
    case TokenFormat::kFloat16:
      return std::ldexp(Length(token), -10) + std::ldexp(root, -24);
    case TokenFormat::kInt8:
      return 0.51 * stored.scales[i] * root;
  }
  return 0;
}

// The Chamfer similarity in double, whatever kernels do.
GivenScore ChamferInDouble(const StoredTokens& stored, MatrixView query) {
  GivenScore result;
  if (stored.count == 0) return {-std::numeric_limits<double>::infinity(), 0};
  std::vector<float> tokens(stored.count * stored.dimension);
  LoadTokens(stored, tokens.data());
  const MatrixView document{tokens.data(), stored.count, stored.dimension};
  double error = 0;
  for (size_t i = 0; i < stored.count; ++i) error = std::max(error, StorageError(stored, i, document.row(i)));
  for (size_t q = 0; q < query.rows; ++q) {
    double best = -std::numeric_limits<double>::infinity();
    for (size_t i = 0; i < stored.count; ++i) {
      double product = 0;
      for (size_t j = 0; j < query.columns; ++j) product += static_cast<double>(query.row(q)[j]) * document.row(i)[j];
      best = std::max(best, product);
    }
    result.score += best;
    result.error += Length(query.row(q)) * error;
  }
  return result;
}

GivenScore ScoreOf(const Searcher& searcher, MatrixView query, uint64_t row) {
  const StoredTokens stored = searcher.directory().tokens(row);
  if (searcher.encoder() != nullptr) return ChamferInDouble(stored, query);
  std::vector<float> vector(stored.dimension);
  LoadTokens(stored, vector.data());
  const VectorScorer scorer(searcher.metric(), searcher.directory().origin(), query.row(0));
  const double score = scorer.Score(vector.data()) - scorer.reference();
  const double error = StorageError(stored, 0, vector);
  switch (searcher.metric()) {
    case VectorIndexOptions::Metric::kInnerProduct:
      return {score, Length(query.row(0)) * error};
    case VectorIndexOptions::Metric::kCosine: {
      std::vector<float> given;
      searcher.directory().AppendTokens(row, {}, &given);
      return {score, error == 0 ? 0 : 2 * error / std::max(Length(given), error)};
    }
    case VectorIndexOptions::Metric::kL2:
      return {score, 2 * std::sqrt(score) * error + error * error};
  }
  return {score, 0};
}

struct QueryRecall {
  double share = 0;
  bool beaten = false;
};

QueryRecall RecallOf(const Searcher& searcher, MatrixView query, absl::Span<const SearchHit> results,
                     absl::Span<const uint64_t> truth) {
  std::vector<uint64_t> sorted(truth.begin(), truth.end());
  std::sort(sorted.begin(), sorted.end());
  std::vector<char> found(sorted.size(), 0);
  std::vector<uint64_t> extra;
  for (const SearchHit& hit : results) {
    const auto place = std::lower_bound(sorted.begin(), sorted.end(), hit.row);
    if (place != sorted.end() && *place == hit.row) {
      found[place - sorted.begin()] = 1;
    } else {
      extra.push_back(hit.row);
    }
  }
  size_t hits = std::count(found.begin(), found.end(), 1);
  QueryRecall result;
  if (!extra.empty()) {
    const double sign = searcher.larger_is_better() ? 1 : -1;
    std::vector<double> extra_scores, missed_scores;
    GivenScore worst{std::numeric_limits<double>::infinity(), 0};  // of the truth; larger is better from here on
    for (size_t i = 0; i < sorted.size(); ++i) {
      GivenScore of_truth = ScoreOf(searcher, query, sorted[i]);
      of_truth.score *= sign;
      if (of_truth.score < worst.score) worst = of_truth;
      if (found[i] == 0) missed_scores.push_back(of_truth.score);
    }
    for (const uint64_t row : extra) {
      GivenScore of_extra = ScoreOf(searcher, query, row);
      of_extra.score *= sign;
      extra_scores.push_back(of_extra.score);
      const double slack = kTie * std::max(std::abs(of_extra.score), std::abs(worst.score));
      result.beaten |= of_extra.score - of_extra.error > worst.score + worst.error + slack;
    }
    if (searcher.directory().token_format() == TokenFormat::kFloat32) hits += CountTies(extra_scores, missed_scores);
  }
  result.share = static_cast<double>(hits) / sorted.size();
  return result;
}

}  // namespace

size_t CountTies(std::vector<double> extra, std::vector<double> missed) {
  std::sort(extra.begin(), extra.end());
  std::sort(missed.begin(), missed.end());
  size_t ties = 0;
  for (size_t i = 0, j = 0; i < extra.size() && j < missed.size();) {
    const double a = extra[i], b = missed[j];
    const bool finite = std::isfinite(a) && std::isfinite(b);
    if (a == b || (finite && std::abs(a - b) <= kTie * std::max(std::abs(a), std::abs(b)))) {
      ++ties, ++i, ++j;
    } else {
      ++(a < b ? i : j);
    }
  }
  return ties;
}

absl::StatusOr<RecallReport> Recall(const Searcher& searcher, TokenSetsView queries,
                                    absl::Span<const std::vector<SearchHit>> results,
                                    absl::Span<const std::vector<uint64_t>> truth, size_t k, ThreadPool& pool) try {
  const DefaultFloatEnvironment environment;
  if (results.size() != queries.size() || truth.size() != queries.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("ground truth must have a row for each of ", queries.size(), " queries, but has ", truth.size()));
  }
  for (size_t i = 0; i < truth.size(); ++i) {
    std::vector<uint64_t> rows(truth[i].begin(), truth[i].begin() + std::min(k, truth[i].size()));
    std::sort(rows.begin(), rows.end());
    const auto twice = std::adjacent_find(rows.begin(), rows.end());
    if (twice != rows.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the truth of query ", i, " (counting from 0) has row ", *twice, " twice"));
    }
    if (!rows.empty() && rows.back() >= searcher.directory().rows()) {
      return absl::InvalidArgumentError(
          absl::StrCat("ground truth of query ", i, ": the index has no row ", rows.back()));
    }
  }
  std::vector<QueryRecall> of_query(queries.size());
  pool.ParallelFor(queries.size(), 1, [&](size_t begin, size_t end, int /*worker*/) {
    for (size_t i = begin; i < end; ++i) {
      if (truth[i].empty()) continue;
      of_query[i] = RecallOf(searcher, queries.set(i), absl::MakeConstSpan(results[i]).subspan(0, k),
                             absl::MakeConstSpan(truth[i]).subspan(0, k));
    }
  });
  RecallReport report;
  for (size_t i = 0; i < queries.size(); ++i) {
    if (truth[i].empty()) continue;
    report.recall += of_query[i].share;
    ++report.queries;
    report.fewer += truth[i].size() < k;
    if (of_query[i].beaten && report.beaten++ == 0) report.first_beaten = i;
  }
  if (report.queries > 0) report.recall /= static_cast<double>(report.queries);
  return report;
} catch (...) {
  return StatusOfException();
}

}  // namespace dpkde
