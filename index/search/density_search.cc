#include "dpkde/index/search/density_search.h"

#include <algorithm>
#include <boost/random/uniform_int_distribution.hpp>
#include <cmath>
#include <limits>
#include <unordered_map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dpkde/base/exceptions.h"
#include "dpkde/base/float_environment.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/designs/public_random.h"

namespace dpkde {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Hits of so many queries, with all their candidates, are held at a time.
constexpr size_t kQueryBatch = 64;
// Vectors whose densities are computed at a time.
constexpr size_t kVectorBatch = 8192;

// Appends what stands for the document, less `origin`; nothing for one without tokens.
void AppendVectors(const IndexDirectory& directory, uint64_t row, DensityOf of, absl::Span<const double> origin,
                   std::vector<float>& vectors) {
  const size_t d = directory.dimension(), before = vectors.size();
  const size_t count = directory.AppendTokens(row, origin, &vectors);
  if (of == DensityOf::kTokens || count <= 1) return;
  for (size_t j = 0; j < d; ++j) {
    double sum = 0;
    for (size_t t = 0; t < count; ++t) sum += vectors[before + t * d + j];
    vectors[before + j] = static_cast<float>(sum / count);
  }
  vectors.resize(before + d);
}

// Of either sign, so that a mean over a background may be 0.
bool IsProduct(const Similarity& similarity) {
  return similarity.kind() == proto::SimilaritySpec::COSINE ||
         similarity.kind() == proto::SimilaritySpec::INNER_PRODUCT;
}

double Combine(double weight, double search_score, double density) {
  // So that an infinity which does not count leaves no NaN.
  if (weight == 0) return search_score;
  if (weight == 1) return density;
  return (1 - weight) * search_score + weight * density;
}

}  // namespace

absl::StatusOr<DocumentDensities> DocumentDensities::Create(const IndexDirectory& directory, const Release& release,
                                                            DensityOf of, MatrixView background, ThreadPool& pool) try {
  const DefaultFloatEnvironment environment;
  if (release.dimension() != directory.dimension()) {
    return absl::InvalidArgumentError(absl::StrCat("the release must have the index's dimension, ",
                                                   directory.dimension(), ", but has ", release.dimension()));
  }
  if (release.plan().weights().allow_negative()) {
    return absl::InvalidArgumentError("a release with weights of either sign has no mean similarity");
  }
  if (background.rows > 0 && background.columns != directory.dimension()) {
    return absl::InvalidArgumentError(absl::StrCat("the background must have the index's dimension, ",
                                                   directory.dimension(), ", but has ", background.columns));
  }
  double count = release.count().value;
  if (background.rows > 0 && !IsProduct(release.similarity())) {
    const absl::StatusOr<std::vector<DensityEstimate>> estimates = release.Estimate(CenteredRows(background), pool);
    if (!estimates.ok()) {
      return absl::Status(estimates.status().code(),
                          absl::StrCat("background vector ", std::string(estimates.status().message())));
    }
    std::vector<double> sums(background.rows);
    release.similarity().Sum(background, background, pool, absl::MakeSpan(sums));
    double released = 0, within = 0;
    for (size_t i = 0; i < background.rows; ++i) {
      released += (*estimates)[i].sum;
      within += sums[i] / background.rows;
    }
    if (within > 0) count = released / within;
  }
  return DocumentDensities(directory, release, of, background, std::max(count, 1.0));
} catch (...) {
  return StatusOfException();
}

absl::Status DocumentDensities::Of(absl::Span<const uint64_t> rows, ThreadPool& pool,
                                   absl::Span<DocumentDensity> densities) const try {
  const DefaultFloatEnvironment environment;
  const size_t d = directory_->dimension();
  const Similarity& similarity = release_->similarity();
  const double sign = similarity.is_kernel() || IsProduct(similarity) ? 1 : -1;
  std::vector<float> vectors;
  std::vector<size_t> firsts;  // of the documents in `vectors`, in vectors; then the end
  for (size_t begin = 0, end; begin < rows.size(); begin = end) {
    vectors.clear();
    firsts = {0};
    for (end = begin; end < rows.size() && firsts.back() < kVectorBatch; ++end) {
      AppendVectors(*directory_, rows[end], of_, release_->origin(), vectors);
      firsts.push_back(vectors.size() / d);
    }
    const MatrixView queries{vectors.data(), firsts.back(), d};
    absl::StatusOr<std::vector<DensityEstimate>> estimates = release_->Estimate(CenteredRows(queries), pool);
    if (!estimates.ok()) {
      // Which of them it was.
      for (size_t i = begin; i < end; ++i) {
        const absl::Status status =
            release_->CheckQueries(CenteredRows(queries.Slice(firsts[i - begin], firsts[i - begin + 1])));
        if (status.ok()) continue;
        return absl::Status(status.code(), absl::StrCat("document '", std::string(directory_->id(rows[i])),
                                                        "', vector ", std::string(status.message())));
      }
      return estimates.status();
    }
    std::vector<double> sums(queries.rows);
    if (background_.rows > 0) similarity.Sum(background_, queries, pool, absl::MakeSpan(sums));
    for (size_t i = begin; i < end; ++i) {
      const size_t first = firsts[i - begin], last = firsts[i - begin + 1];
      DocumentDensity& density = densities[i];
      density = {};
      for (size_t v = first; v < last; ++v) {
        density.value += (*estimates)[v].sum / count_;
        if (background_.rows > 0) density.value -= sums[v] / background_.rows;
        density.std_error += (*estimates)[v].std_error / count_;
      }
      density.value = first == last ? -kInfinity : sign * density.value / (last - first);
      density.std_error /= std::max<size_t>(1, last - first);
    }
  }
  return absl::OkStatus();
} catch (...) {
  return StatusOfException();
}

std::vector<float> BackgroundVectors(const IndexDirectory& directory, DensityOf of, size_t documents,
                                     uint64_t public_seed, absl::Span<const double> origin) {
  std::vector<uint64_t> rows;
  for (uint64_t row = 0; row < directory.rows(); ++row) {
    if (!directory.removed(row) && directory.tokens(row).count > 0) rows.push_back(row);
  }
  auto engine = PublicStream(public_seed, "density background", 0);
  std::vector<float> background, vectors;
  const size_t d = directory.dimension();
  for (size_t i = 0; i < std::min(documents, rows.size()); ++i) {
    std::swap(rows[i], rows[boost::random::uniform_int_distribution<size_t>(i, rows.size() - 1)(engine)]);
    vectors.clear();
    AppendVectors(directory, rows[i], of, origin, vectors);
    const size_t chosen = boost::random::uniform_int_distribution<size_t>(0, vectors.size() / d - 1)(engine);
    background.insert(background.end(), vectors.begin() + chosen * d, vectors.begin() + (chosen + 1) * d);
  }
  return background;
}

absl::StatusOr<std::vector<std::vector<DensityHit>>> SearchByDensity(
    const Searcher& searcher, const DocumentDensities& densities, TokenSetsView queries, const SearchOptions& options,
    const DensityOptions& density_options, ThreadPool& pool) try {
  const DefaultFloatEnvironment environment;
  const double weight = density_options.weight;
  if (!(weight >= 0 && weight <= 1)) {
    return absl::InvalidArgumentError(absl::StrCat("the weight of density must be in [0, 1], but is ", weight));
  }
  if (std::isnan(density_options.least.value_or(0))) {
    return absl::InvalidArgumentError("the least density must be a number, but is nan");
  }
  const IndexDirectory& directory = searcher.directory();
  const bool token_sets = searcher.encoder() != nullptr;
  SearchOptions scored = options;
  scored.explain = false;
  // All that are scored.
  const size_t budget =
      options.rerank.value_or(0) != 0 ? std::min(*options.rerank, options.candidates) : options.candidates;
  scored.k = std::max(options.k, budget);
  std::vector<std::vector<DensityHit>> results(queries.size());
  std::unordered_map<uint64_t, DocumentDensity> known;
  for (size_t begin = 0; begin < queries.size(); begin += kQueryBatch) {
    const TokenSetsView batch = queries.Slice(begin, std::min(begin + kQueryBatch, queries.size()));
    DPKDE_ASSIGN_OR_RETURN(const auto found, searcher.Search(batch, scored, pool));
    std::vector<uint64_t> rows;
    for (const auto& hits : found) {
      for (const SearchHit& hit : hits) {
        if (known.emplace(hit.row, DocumentDensity()).second) rows.push_back(hit.row);
      }
    }
    std::vector<DocumentDensity> computed(rows.size());
    DPKDE_RETURN_IF_ERROR(densities.Of(rows, pool, absl::MakeSpan(computed)));
    for (size_t i = 0; i < rows.size(); ++i) known[rows[i]] = computed[i];

    for (size_t query = 0; query < batch.size(); ++query) {
      const MatrixView tokens = batch.set(query);
      std::vector<DensityHit>& hits = results[begin + query];
      for (const SearchHit& hit : found[query]) {
        const DocumentDensity& density = known[hit.row];
        if (density_options.least.has_value() && !(density.value >= *density_options.least)) continue;
        double s = hit.score;
        if (weight > 0 && !searcher.larger_is_better()) s = -s;
        if (weight > 0 && token_sets && tokens.rows > 0) s /= static_cast<double>(tokens.rows);
        hits.push_back({hit.row, Combine(weight, s, density.value), hit.score, density, {}});
      }
      if (weight > 0) {
        std::stable_sort(hits.begin(), hits.end(), [](const DensityHit& a, const DensityHit& b) {
          return a.score != b.score ? a.score > b.score : a.row < b.row;
        });
      }
      hits.resize(std::min(hits.size(), options.k));
      if (!options.explain || !token_sets) continue;
      const MaxSimQuery packed(tokens, directory.token_format());
      for (DensityHit& hit : hits) {
        DPKDE_ASSIGN_OR_RETURN(hit.matches, ExplainChamfer(packed, directory.tokens(hit.row)));
      }
    }
  }
  return results;
} catch (...) {
  return StatusOfException();
}

}  // namespace dpkde
