#include "dpkde/index/encoding/encoder_choice.h"

#include <algorithm>
#include <boost/random/uniform_int_distribution.hpp>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "dpkde/base/exceptions.h"
#include "dpkde/base/float_environment.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"
#include "dpkde/designs/public_random.h"
#include "dpkde/index/encoding/candidate_recall.h"
#include "dpkde/index/encoding/fde_encoder.h"
#include "dpkde/index/encoding/matrix_product.h"
#include "dpkde/index/encoding/regression_encoder.h"
#include "dpkde/index/maxsim/maxsim.h"

namespace dpkde {
namespace {

constexpr size_t kMaxSample = 20000;
constexpr size_t kMaxQueries = 200;
constexpr size_t kLeastDocuments = 50;
constexpr size_t kQueryTokens = 16;

// Documents that are encoded at a time while they are measured.
constexpr size_t kBatchDocuments = 2048;

// What is measured: queries against documents, with the exact scores.
struct Trial {
  TokenSets queries, documents;
  std::vector<float> exact;  // queries x documents
  size_t k, candidates;
};

std::vector<size_t> RandomOrder(size_t count, boost::random::mt19937_64& engine) {
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t{0});
  for (size_t i = count; i > 1; --i) {
    std::swap(order[i - 1], order[boost::random::uniform_int_distribution<size_t>(0, i - 1)(engine)]);
  }
  return order;
}

// `filled`: the documents that have tokens.
absl::StatusOr<Trial> MakeTrial(TokenSetsView documents, const std::vector<size_t>& filled,
                                const EncoderChoiceOptions& options, ThreadPool& pool) {
  auto engine = PublicStream(options.public_seed, "encoder choice", 0);
  std::vector<size_t> order = RandomOrder(filled.size(), engine);
  order.resize(std::min(order.size(), kMaxSample));
  const size_t held_out = std::min(kMaxQueries, order.size() / 10);
  Trial trial{TokenSets(documents.dimension), TokenSets(documents.dimension), {}, options.k, 0};
  for (size_t i = 0; i < order.size(); ++i) {
    const MatrixView set = documents.set(filled[order[i]]);
    if (i >= held_out) {
      trial.documents.Append(set);
      continue;
    }
    std::vector<size_t> chosen = RandomOrder(set.rows, engine);
    chosen.resize(std::min(chosen.size(), kQueryTokens));
    std::vector<float> tokens;
    for (size_t token : chosen) tokens.insert(tokens.end(), set.row(token).begin(), set.row(token).end());
    trial.queries.Append({tokens.data(), chosen.size(), set.columns});
  }
  const double share = static_cast<double>(trial.documents.size()) / filled.size();
  trial.candidates = std::max<size_t>(options.k, std::llround(options.candidates * std::min(1.0, share)));
  trial.exact.resize(trial.queries.size() * trial.documents.size());
  std::vector<StoredTokens> stored;
  for (size_t i = 0; i < trial.documents.size(); ++i) stored.push_back(StoredFloats(trial.documents.view().set(i)));
  DPKDE_RETURN_IF_ERROR(ChamferMatrix(trial.queries.view(), stored, pool, absl::MakeSpan(trial.exact)));
  return trial;
}

// Recall with the first `dimensions` coordinates, for each of them.
absl::StatusOr<std::vector<double>> Measure(const Trial& trial, const Encoder& encoder,
                                            const std::vector<size_t>& dimensions, ThreadPool& pool) {
  const size_t d = encoder.dimension(), queries = trial.queries.size(), documents = trial.documents.size();
  std::vector<float> query_vectors(queries * d), vectors(std::min(kBatchDocuments, documents) * d);
  DPKDE_RETURN_IF_ERROR(encoder.EncodeQueries(trial.queries.view(), pool, absl::MakeSpan(query_vectors)));
  std::vector<std::vector<float>> estimates(dimensions.size(), std::vector<float>(queries * documents));
  std::vector<float> cut, products(queries * kBatchDocuments);
  const auto first_coordinates = [&](const std::vector<float>& from, size_t rows, size_t kept) {
    cut.resize(rows * kept);
    for (size_t i = 0; i < rows; ++i) std::copy_n(&from[i * d], kept, &cut[i * kept]);
    return MatrixView{cut.data(), rows, kept};
  };
  for (size_t begin = 0; begin < documents; begin += kBatchDocuments) {
    const size_t count = std::min(kBatchDocuments, documents - begin);
    DPKDE_RETURN_IF_ERROR(encoder.EncodeDocuments(trial.documents.view().Slice(begin, begin + count), pool,
                                                  absl::MakeSpan(vectors.data(), count * d)));
    for (size_t i = 0; i < dimensions.size(); ++i) {
      const PackedMatrix packed(first_coordinates(query_vectors, queries, dimensions[i]));
      MatrixProduct(first_coordinates(vectors, count, dimensions[i]), packed, pool, products.data());
      for (size_t p = 0; p < count; ++p) {
        for (size_t q = 0; q < queries; ++q) estimates[i][q * documents + begin + p] = products[p * queries + q];
      }
    }
  }
  std::vector<double> recalls;
  for (const std::vector<float>& scores : estimates) {
    recalls.push_back(CandidateRecall(scores, trial.exact, queries, trial.k, trial.candidates));
  }
  return recalls;
}

proto::EncoderSpec FdeSpec(const EncoderChoiceOptions& options, size_t dimension, proto::FdeSpec::Partition partition) {
  proto::EncoderSpec spec;
  spec.set_token_dimension(static_cast<uint32_t>(dimension));
  spec.set_public_seed(options.public_seed);
  spec.mutable_fde()->set_partition(partition);
  return spec;
}

proto::EncoderSpec RegressionSpec(const EncoderChoiceOptions& options, size_t dimension, uint32_t features,
                                  uint32_t rank) {
  proto::EncoderSpec spec;
  spec.set_token_dimension(static_cast<uint32_t>(dimension));
  spec.set_public_seed(options.public_seed);
  spec.mutable_regression()->set_features(features);
  spec.mutable_regression()->set_rank(rank);
  // So that fewer coordinates are the first of them.
  spec.mutable_regression()->set_layout(proto::RegressionSpec::PRINCIPAL);
  return spec;
}

// The best so far: fewest dimensions of those that reach the target, else highest recall.
class Best {
 public:
  explicit Best(double target) : target_(target) {}

  bool reached() const { return recall_ >= target_; }
  bool Improves(size_t dimension, double recall) const {
    if ((recall >= target_) != reached()) return recall >= target_;
    return reached() ? dimension < dimension_ : recall > recall_;
  }
  void Set(size_t trial, size_t dimension, double recall) {
    trial_ = trial;
    dimension_ = dimension;
    recall_ = recall;
  }
  size_t trial() const { return trial_; }
  double recall() const { return recall_; }

 private:
  const double target_;
  size_t trial_ = 0, dimension_ = std::numeric_limits<size_t>::max();
  double recall_ = -1;
};

}  // namespace

std::string EncoderChoice::DebugString() const {
  std::string text = absl::StrCat(reason, "\n");
  for (const EncoderTrial& trial : trials) {
    absl::StrAppendFormat(&text, "  %-40s %6d dimensions  recall %.3f%s\n", trial.name, trial.dimension, trial.recall,
                          trial.chosen ? "  <- chosen" : "");
  }
  return text;
}

absl::StatusOr<EncoderChoice> ChooseEncoder(TokenSetsView documents, const EncoderChoiceOptions& options,
                                            ThreadPool& pool) try {
  const DefaultFloatEnvironment environment;
  DPKDE_RETURN_IF_ERROR(CheckInRange("k", static_cast<int64_t>(options.k), 1, 1 << 20));
  DPKDE_RETURN_IF_ERROR(CheckInRange("candidates", static_cast<int64_t>(options.candidates),
                                     static_cast<int64_t>(options.k), int64_t{1} << 40));
  if (!(options.target_recall > 0 && options.target_recall <= 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("target_recall must be greater than 0 and at most 1, but is ", options.target_recall));
  }
  if (!(options.margin >= 0 && options.margin <= 0.5)) {
    return absl::InvalidArgumentError(
        absl::StrCat("margin must be at least 0 and at most 0.5, but is ", options.margin));
  }
  const size_t d = documents.dimension;
  EncoderChoice choice;
  std::vector<size_t> filled;
  for (size_t i = 0; i < documents.size(); ++i) {
    if (documents.set(i).rows > 0) filled.push_back(i);
  }
  if (filled.size() < kLeastDocuments) {
    DPKDE_ASSIGN_OR_RETURN(choice.encoder, FdeEncoder::Create(FdeSpec(options, d, proto::FdeSpec::OBLIVIOUS)));
    choice.reason =
        absl::StrCat("fde with its defaults, since ", filled.size(),
                     " documents with tokens are too few to measure with (", kLeastDocuments, " are needed)");
    return choice;
  }
  DPKDE_ASSIGN_OR_RETURN(const Trial trial, MakeTrial(documents, filled, options, pool));
  const double target = std::min(1.0, options.target_recall + options.margin);
  Best best(target);
  // Measures an encoder at some of its leading dimensions, and keeps it if one of them is better than what there was.
  const auto consider = [&](const std::string& name, std::unique_ptr<const Encoder> encoder,
                            std::vector<size_t> dimensions) -> absl::Status {
    const bool cut = dimensions.size() > 1;
    dimensions.erase(
        std::remove_if(dimensions.begin(), dimensions.end(), [&](size_t kept) { return kept >= encoder->dimension(); }),
        dimensions.end());
    dimensions.push_back(encoder->dimension());
    DPKDE_ASSIGN_OR_RETURN(const std::vector<double> recalls, Measure(trial, *encoder, dimensions, pool));
    size_t kept = 0;
    for (size_t i = 0; i < dimensions.size(); ++i) {
      if (best.Improves(dimensions[i], recalls[i])) {
        best.Set(choice.trials.size(), dimensions[i], recalls[i]);
        kept = dimensions[i];
      }
      choice.trials.push_back({cut ? absl::StrCat(name, ", rank ", dimensions[i]) : name, dimensions[i], recalls[i]});
    }
    if (kept == 0) return absl::OkStatus();
    if (kept < encoder->dimension()) {
      DPKDE_ASSIGN_OR_RETURN(encoder, static_cast<const RegressionEncoder&>(*encoder).CutTo(kept));
    }
    choice.encoder = std::move(encoder);
    return absl::OkStatus();
  };
  const auto consider_regression = [&](uint32_t features, uint32_t rank, std::vector<size_t> ranks) -> absl::Status {
    // More features than anchors tell nothing.
    features = static_cast<uint32_t>(std::min<size_t>(features, trial.documents.view().token_count()));
    DPKDE_ASSIGN_OR_RETURN(
        std::unique_ptr<const Encoder> encoder,
        RegressionEncoder::Train(RegressionSpec(options, d, features, rank), trial.documents.view(), pool));
    return consider(absl::StrCat("regression, ", features, " features"), std::move(encoder), std::move(ranks));
  };

  DPKDE_RETURN_IF_ERROR(consider_regression(2048, 1024, {128, 256, 512, 1024}));
  if (!best.reached()) DPKDE_RETURN_IF_ERROR(consider_regression(4096, 2048, {1024, 2048}));
  DPKDE_ASSIGN_OR_RETURN(
      std::unique_ptr<const Encoder> fde,
      FdeEncoder::Calibrate(FdeSpec(options, d, proto::FdeSpec::CALIBRATED), trial.documents.view()));
  DPKDE_RETURN_IF_ERROR(consider("fde, calibrated", std::move(fde), {}));
  DPKDE_ASSIGN_OR_RETURN(fde, FdeEncoder::Create(FdeSpec(options, d, proto::FdeSpec::OBLIVIOUS)));
  DPKDE_RETURN_IF_ERROR(consider("fde, oblivious", std::move(fde), {}));

  EncoderTrial& chosen = choice.trials[best.trial()];
  chosen.chosen = true;
  choice.reason = absl::StrFormat(
      "%s, %d dimensions: %s recall@%d of %.3f with %d of %d documents as candidates (%d held-out documents as "
      "queries; "
      "target %.3g + margin %.3g)",
      chosen.name, chosen.dimension,
      best.reached() ? "the smallest of those measured to reach the target, with"
                     : "no encoder reached the target; the best, with",
      trial.k, chosen.recall, trial.candidates, trial.documents.size(), trial.queries.size(), options.target_recall,
      options.margin);
  return choice;
} catch (...) {
  return StatusOfException();
}

}  // namespace dpkde
