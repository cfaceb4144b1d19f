#include "dpkde/designs/lsq_rff_design.h"

#include <algorithm>
#include <boost/random/uniform_real_distribution.hpp>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "dpkde/base/sha256.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/wipe.h"
#include "dpkde/designs/centered_blocks.h"
#include "dpkde/designs/fourier_design.h"
#include "dpkde/designs/fourier_kernel.h"
#include "dpkde/designs/public_random.h"

namespace dpkde {
namespace {

constexpr size_t kBlockRows = 48;

// Calls body(first row, phases) for blocks of rows, phases rows x panels.padded(), in turns, shifts included: they are
// the panels' last coordinate, against which `center` has its last value, -1.
template <typename Body>
void ForPhases(const FrequencyPanels& panels, const std::vector<float>& center, MatrixView rows, const Domain* domain,
               const Body& body) {
  std::vector<float> phases(std::min(rows.rows, kBlockRows) * panels.padded());
  ForCenteredBlocks(rows, kBlockRows, domain, center, [&](size_t begin, MatrixView block) {
    FixedOrderProducts(panels, block, phases.data());
    body(begin, MatrixView{phases.data(), block.rows, panels.padded()});
  });
}

class LsqRffFunction final : public ReleasedFunction {
 public:
  LsqRffFunction(const FrequencyPanels* panels, std::vector<float> center)
      : panels_(panels),
        center_(std::move(center)),
        weights_(panels->padded()),
        ones_(panels->padded()),
        zeros_(panels->padded()) {}

  void Evaluate(MatrixView queries, absl::Span<Answer> answers) const override {
    const double m = panels_->frequencies;
    std::vector<double> sums(queries.rows), squares(queries.rows), unused(queries.rows), cos_squares(queries.rows);
    ForPhases(*panels_, center_, queries, nullptr, [&](size_t begin, MatrixView phases) {
      EvaluatePhases(phases, 1, weights_.data(), zeros_.data(), sums.data() + begin, squares.data() + begin);
      EvaluatePhases(phases, 1, ones_.data(), zeros_.data(), unused.data() + begin, cos_squares.data() + begin);
    });
    for (size_t q = 0; q < queries.rows; ++q) {
      Answer& answer = answers[q];
      // As for Monte-Carlo designs.
      if (!std::isfinite(sums[q])) sums[q] = squares[q] = 0;
      if (!std::isfinite(cos_squares[q])) cos_squares[q] = m / 2;
      answer.sum = sums[q];
      answer.noise_variance = 4 / (m * m) * cos_squares[q] * variance_;
      // The mean of m unbiased terms, as for Monte-Carlo designs.
      answer.total_variance = m < 2
                                  ? std::numeric_limits<double>::infinity()
                                  : std::max(answer.noise_variance, m / (m - 1) * (squares[q] - sums[q] * sums[q] / m));
    }
  }

 private:
  friend class LsqRffDesign;

  const FrequencyPanels* panels_;
  std::vector<float> center_;
  std::vector<double> weights_;  // (2 / m) C_j
  std::vector<double> ones_, zeros_;
  double variance_ = 0;  // of the noise in C_j
};

class LsqRffDesign final : public Design {
 public:
  LsqRffDesign(size_t dimension, const absl::optional<Domain>& domain, FrequencyPanels panels, proto::LsqRffSpec spec)
      : domain_(domain), center_(dimension), panels_(std::move(panels)), groups_(LsqRffGroups(spec.features())) {
    *spec_.mutable_lsq_rff() = std::move(spec);
    if (domain_.has_value()) {
      for (size_t i = 0; i < dimension; ++i) center_[i] = static_cast<float>(domain_->center(i));
    }
    center_.push_back(-1);
  }

  size_t dimension() const override { return center_.size() - 1; }
  size_t count_coordinate() const override { return panels_.frequencies; }
  const proto::DesignSpec& spec() const override { return spec_; }
  const std::vector<CoordinateGroup>& groups() const override { return groups_; }
  absl::optional<double> SupError() const override { return absl::nullopt; }
  uint64_t LargestCoordinate() const override { return kFourierPairNorm; }
  double PredictedApproximationError(double n, double expected_similarity) const override {
    return LsqRffApproximationError(n, expected_similarity, panels_.frequencies);
  }
  double TypicalApproximationError(double n, double expected_similarity) const override {
    return TypicalLsqRffApproximationError(n, expected_similarity, panels_.frequencies, dimension());
  }

  void Accumulate(MatrixView rows, absl::Span<int64_t> sums) const override {
    PrivateVector<int64_t> cos_sums(panels_.padded()), sin_sums(panels_.padded());
    ForPhases(panels_, center_, rows, domain_.has_value() ? &*domain_ : nullptr,
              [&](size_t, MatrixView phases) { AccumulatePhases(phases, 1, cos_sums.data(), sin_sums.data()); });
    for (size_t j = 0; j < panels_.frequencies; ++j) sums[j] += cos_sums[panels_.column_of[j]];
    sums[count_coordinate()] += static_cast<int64_t>(rows.rows) * kGridUnit;
  }

  std::unique_ptr<ReleasedFunction> MakeReleasedFunction(absl::Span<const int64_t> values,
                                                         absl::Span<const double> variances) const override {
    const double unit = kGridUnit;
    auto function = std::make_unique<LsqRffFunction>(&panels_, center_);
    for (size_t j = 0; j < panels_.frequencies; ++j) {
      function->weights_[panels_.column_of[j]] = 2.0 / panels_.frequencies * values[j] / unit;
      function->ones_[panels_.column_of[j]] = 1;
    }
    function->variance_ = variances[0] / (unit * unit);
    return function;
  }

 private:
  absl::optional<Domain> domain_;
  std::vector<float> center_;  // and -1
  FrequencyPanels panels_;     // dimension() + 1 coordinates, the last one the shifts
  std::vector<CoordinateGroup> groups_;
  proto::DesignSpec spec_;
};

}  // namespace

std::vector<CoordinateGroup> LsqRffGroups(size_t features) {
  CoordinateGroup cosines;
  cosines.count = features;
  const uint64_t bound = kFourierPairNorm;
  cosines.add_remove = {features * bound, static_cast<uint64_t>(std::ceil(std::sqrt(static_cast<double>(features)) *
                                                                          bound * (1 + 1e-12)))};
  cosines.replace = {2 * cosines.add_remove.l1, 2 * cosines.add_remove.l2};
  cosines.mean_square_weight = 2.0 / features;  // sum_j (2 cos_j(y) / m)^2
  return {cosines, CountGroup(features, 0)};
}

double LsqRffApproximationError(double n, double expected_similarity, double features) {
  return std::hypot(MonteCarloApproximationError(n, expected_similarity, features),
                    n * std::sqrt(expected_similarity / 2 / features));
}

double TypicalLsqRffApproximationError(double n, double expected_similarity, double features, double dimension) {
  // The similarity that Monte-Carlo designs assume where nothing is known.
  const double s = expected_similarity < 1 ? expected_similarity : 1.0 / 3;
  return std::hypot(TypicalMonteCarloApproximationError(n, expected_similarity, features, dimension, false),
                    n * std::sqrt(s / 2 / features));
}

absl::StatusOr<std::unique_ptr<Design>> MakeLsqRffDesign(const Similarity& similarity, size_t dimension,
                                                         const absl::optional<Domain>& domain,
                                                         const proto::LsqRffSpec& spec) {
  proto::MonteCarloSpec frequencies;
  frequencies.set_features(spec.features());
  frequencies.set_public_seed(spec.public_seed());
  frequencies.set_scheme_version(spec.scheme_version());
  DPKDE_ASSIGN_OR_RETURN(const std::vector<float> omega, MonteCarloTurns(similarity, dimension, domain, frequencies));
  std::vector<float> turns;
  turns.reserve(spec.features() * (dimension + 1));
  PublicStreams streams(spec.public_seed(), "lsq_rff shifts");
  for (size_t j = 0; j < spec.features(); ++j) {
    turns.insert(turns.end(), omega.begin() + j * dimension, omega.begin() + (j + 1) * dimension);
    auto engine = streams.At(j);
    turns.push_back(static_cast<float>(boost::random::uniform_real_distribution<double>(0, 1)(engine)));
  }
  const Sha256Digest digest = Sha256({reinterpret_cast<const char*>(turns.data()), turns.size() * sizeof(turns[0])});
  proto::LsqRffSpec complete = spec;
  complete.set_scheme_version(kPublicRandomScheme);
  complete.set_fingerprint(digest.data(), digest.size());
  DPKDE_RETURN_IF_ERROR(CheckFingerprint("frequencies", spec.fingerprint(), complete.fingerprint()));
  FrequencyPanels panels = MakeFrequencyPanels(turns, dimension + 1, std::vector<bool>(spec.features(), false));
  return std::unique_ptr<Design>(
      std::make_unique<LsqRffDesign>(dimension, domain, std::move(panels), std::move(complete)));
}

}  // namespace dpkde
