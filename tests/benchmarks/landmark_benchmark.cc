// Private densities with public reference points, on real data:
//
//   landmark_benchmark <folder> [draws]
//
// The folder holds glove50k.npy (50,000 x 100 word vectors in order of frequency), mnist10k.npy (10,000 x 784 digits,
// bytes), mnist10k_labels.npy and, for l1 without a reference, shuttle.npy (58,000 x 9); without it the program says so
// and ends. For each case: the planner's choice given the reference and the number of records as a public guess, what
// it predicted, and over `draws` (200) releases of fresh noise the root mean square of the noise and of the whole
// error, the share of exact sums in the 95 % intervals and within sum +- (2 std_error + bias_bound); beside it the best
// LSQ-RFF (Wagner, Naamad, Mishra 2023) over m = 2^5..2^12: m features sqrt(2) cos(<omega, x> + b), Laplace noise of
// scale sqrt(2) m / epsilon.

#include <algorithm>
#include <boost/random/normal_distribution.hpp>
#include <boost/random/uniform_real_distribution.hpp>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "dpkde/designs/design_factory.h"
#include "dpkde/designs/landmark_design.h"
#include "dpkde/designs/public_random.h"
#include "dpkde/planner/planner.h"
#include "dpkde/sketch/accumulator.h"
#include "tests/testing/raw_sums.h"
#include "tests/testing/specs.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

struct Case {
  std::string name;
  Similarity similarity;
  absl::optional<Domain> domain;
  Points records, reference, queries;
  bool compare = false;
};

Points Rows(const Points& points, size_t begin, size_t end, float scale = 1) {
  Points rows;
  rows.columns = points.columns;
  rows.values.assign(points.values.begin() + begin * points.columns, points.values.begin() + end * points.columns);
  for (float& value : rows.values) value *= scale;
  return rows;
}

Points Clamped(Points points, float low, float high) {
  for (float& value : points.values) value = std::min(std::max(value, low), high);
  return points;
}

// A little-endian .npy of int32, version 1.
std::vector<int32_t> LoadLabels(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const size_t header = 10 + static_cast<uint8_t>(bytes[8]) + 256 * static_cast<uint8_t>(bytes[9]);
  std::vector<int32_t> labels((bytes.size() - header) / 4);
  std::memcpy(labels.data(), bytes.data() + header, labels.size() * 4);
  return labels;
}

// The best total error of LSQ-RFF over m, exact but for one draw of the features a size.
void PrintLsqRff(const Case& test, const std::vector<double>& exact) {
  double best = 1e300;
  size_t best_m = 0;
  const size_t d = test.records.columns;
  for (size_t m = 32; m <= 4096; m *= 2) {
    std::vector<double> answers(test.queries.rows());
    for (size_t j = 0; j < m; ++j) {
      auto random = PublicStream(5, "lsq_rff", j);
      boost::random::normal_distribution<double> normal(0, 1 / test.similarity.bandwidth());
      std::vector<float> omega(d);
      for (float& value : omega) value = static_cast<float>(normal(random));
      const double shift = boost::random::uniform_real_distribution<double>(0, 2 * M_PI)(random);
      const auto feature = [&](absl::Span<const float> x) {
        float phase = 0;
        for (size_t i = 0; i < d; ++i) phase += omega[i] * x[i];
        return std::sqrt(2.0) * std::cos(phase + shift);
      };
      double sum = 0;
      for (size_t i = 0; i < test.records.rows(); ++i) sum += feature(test.records.view().row(i));
      for (size_t q = 0; q < answers.size(); ++q) answers[q] += feature(test.queries.view().row(q)) * sum / m;
    }
    // The mean of 2 cos^2 is 1, so the noise of an answer has variance m (2 (sqrt(2) m)^2) / m^2.
    double square = 4.0 * m;
    for (size_t q = 0; q < answers.size(); ++q) square += std::pow(answers[q] - exact[q], 2) / answers.size();
    if (square < best * best) {
      best = std::sqrt(square);
      best_m = m;
    }
  }
  absl::PrintF("    lsq_rff, best m = %d: total %.1f\n", best_m, best);
}

// Which choice of 512 landmarks from 8,000 points leaves least: predicted bias per record, and residual.
void PrintChoices(const Case& test, const Points& reference) {
  ThreadPool pool;
  const std::pair<const char*, LandmarkChoice> choices[] = {{"uniform", LandmarkChoice::kUniform},
                                                            {"leverage", LandmarkChoice::kLeverage},
                                                            {"kmeans", LandmarkChoice::kKMeans}};
  absl::PrintF("%s: 512 landmarks of %d points\n", test.name, reference.rows());
  for (const auto& [name, choice] : choices) {
    LandmarkFitOptions options;
    options.most_landmarks = 512;
    options.choice = choice;
    const auto fit = LandmarkFit::Create(test.similarity, test.domain, reference.view(), options, pool);
    absl::PrintF("    %-10s", name);
    for (size_t i = 0; i < fit->ranks().size(); i += 6) {
      absl::PrintF(" rank %d: %.3g (%.3g)", fit->ranks()[i],
                   LandmarkApproximationError(fit->outline(i), test.records.rows()), fit->outline(i).residual_mean());
    }
    absl::PrintF("\n");
    std::fflush(stdout);
  }
}

void Run(const Case& test, int draws) {
  ThreadPool pool;
  std::vector<double> exact(test.queries.rows());
  test.similarity.Sum(test.records.view(), test.queries.view(), pool, absl::MakeSpan(exact));
  double mean_answer = 0;
  for (double value : exact) mean_answer += value / exact.size();
  absl::Time start = absl::Now();
  std::shared_ptr<const LandmarkFit> landmarks;
  if (test.reference.rows() > 0) {
    absl::StatusOr<LandmarkFit> fit =
        LandmarkFit::Create(test.similarity, test.domain, test.reference.view(), LandmarkFitOptions(), pool);
    if (!fit.ok()) {
      absl::PrintF("%s: %s\n", test.name, std::string(fit.status().message()));
      return;
    }
    landmarks = std::make_shared<const LandmarkFit>(*std::move(fit));
  }
  absl::PrintF("%s: %d records, %d reference points, mean answer %.1f; fit %.1f s\n", test.name, test.records.rows(),
               test.reference.rows(), mean_answer, absl::ToDoubleSeconds(absl::Now() - start));
  for (const bool pure : {true, false}) {
    PlanInputs inputs{test.similarity, test.records.columns, test.domain,
                      pure ? PureAddRemove(1) : ApproximateAddRemove(1, 1e-6)};
    inputs.public_n = static_cast<double>(test.records.rows());
    inputs.landmarks = landmarks;
    const auto plan = Plan(inputs);
    const Candidate& choice = plan->candidates[0];
    start = absl::Now();
    auto accumulator = Accumulator::Create(MakeReleasePlan(inputs, choice), Accumulator::BadRecords::kFail, pool);
    if (!accumulator.ok() || !accumulator->Add(test.records.view()).ok()) {
      absl::PrintF("    %s\n", std::string(accumulator.status().message()));
      return;
    }
    const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
    const std::vector<int64_t> sums = RawSumsTestPeer::Total(*accumulator);
    const auto design = *CreateDesign(test.similarity, test.records.columns, test.domain, accumulator->plan().design());
    const auto mechanism = *Mechanism::Calibrate(choice.mechanism, design->groups(), inputs.privacy);
    const auto evaluate = [&](const std::vector<int64_t>& values) {
      std::vector<Answer> answers(test.queries.rows());
      const auto function = design->MakeReleasedFunction(values, mechanism.variances());
      pool.ParallelFor(answers.size(), 96, [&](size_t begin, size_t end, int) {
        function->Evaluate(test.queries.view().Slice(begin, end), absl::MakeSpan(answers).subspan(begin, end - begin));
      });
      return answers;
    };
    const std::vector<Answer> raw = evaluate(sums);
    SystemBitSource source;
    double noise = 0, total = 0, covered = 0, bounded = 0, bound = 0;
    const double count = static_cast<double>(draws) * exact.size();
    for (int draw = 0; draw < draws; ++draw) {
      std::vector<int64_t> values = sums;
      mechanism.AddNoise(absl::MakeSpan(values), source);
      const std::vector<Answer> answers = evaluate(values);
      for (size_t q = 0; q < exact.size(); ++q) {
        const double error = answers[q].sum - exact[q];
        noise += std::pow(answers[q].sum - raw[q].sum, 2) / count;
        total += error * error / count;
        covered += (std::abs(error) <= 1.96 * std::sqrt(answers[q].total_variance.value_or(answers[q].noise_variance)) +
                                           (answers[q].is_unlike_plan ? *answers[q].bias_bound : 0)) /
                   count;
        if (!answers[q].bias_bound.has_value()) continue;
        bound += *answers[q].bias_bound / count;
        bounded += (std::abs(error) <= 2 * std::sqrt(answers[q].noise_variance) + *answers[q].bias_bound) / count;
      }
    }
    absl::PrintF(
        "    %-14s %-34s noise %.4g (predicted %.4g), total %.4g (predicted %.4g) = %.3f %%, 95 %% intervals %.1f %%, "
        "bias_bound %.4g covers %.1f %%, build %.1f s\n",
        pure ? "epsilon 1" : "(1, 1e-6)", DescribeDesign(choice.design) + " " + MechanismName(choice.mechanism),
        std::sqrt(noise), choice.noise_error, std::sqrt(total), choice.total_error(),
        100 * std::sqrt(total) / mean_answer, 100 * covered, bound, 100 * bounded, seconds);
    std::fflush(stdout);
  }
  if (test.compare) PrintLsqRff(test, exact);
  if (test.reference.rows() == 0) {
    double widths = 0;
    for (size_t i = 0; i < test.records.columns; ++i) widths += test.domain->width(i);
    absl::PrintF("    Gaussian noise alone is at most sigma times the sum of widths, %.4g\n", 4.2247 * widths);
  }
}

int Main(const std::string& folder, int draws, const std::string& only) {
  if (!std::ifstream(folder + "/glove50k.npy") || !std::ifstream(folder + "/mnist10k.npy")) {
    absl::PrintF("skipped: no data in %s; see the comment of this program\n", folder);
    return 0;
  }
  using Spec = proto::SimilaritySpec;
  const Points glove = Shuffled(LoadPoints(folder + "/glove50k.npy"), 1);
  std::vector<Case> cases;
  const auto add_glove = [&](const std::string& name, const Similarity& similarity, bool compare) {
    cases.push_back({name, similarity, Ball(100, 20), Rows(glove, 0, 40000), Rows(glove, 40000, 42000),
                     Rows(glove, 45000, 46000), compare});
  };
  add_glove("glove gaussian h = 7.28", Gaussian(7.28), true);
  add_glove("glove gaussian h = 3.64", Gaussian(3.64), true);
  add_glove("glove l1", MakeSimilarity(Spec::L1, 0), false);
  add_glove("glove l2", MakeSimilarity(Spec::L2, 0), false);
  add_glove("glove laplacian h = 60", Laplacian(60), false);
  // Domains from the look of other word vectors, and a guess.
  cases.push_back({"glove l1 without reference", MakeSimilarity(Spec::L1, 0), Cube(100, -3, 3),
                   Clamped(Rows(glove, 0, 40000), -3, 3), Points{{}, 100}, Rows(glove, 45000, 46000), false});
  if (std::ifstream(folder + "/shuttle.npy")) {
    const Points shuttle = Clamped(Shuffled(LoadPoints(folder + "/shuttle.npy"), 1), -150, 150);
    cases.push_back({"shuttle l1 without reference", MakeSimilarity(Spec::L1, 0), Cube(9, -150, 150),
                     Rows(shuttle, 0, 57000), Points{{}, 9}, Rows(shuttle, 57000, 58000), false});
  }
  {
    // Digits and their labels in one order.
    Points digits = LoadPoints(folder + "/mnist10k.npy");
    const std::vector<int32_t> labels = LoadLabels(folder + "/mnist10k_labels.npy");
    Points both;
    both.columns = 785;
    for (size_t i = 0; i < digits.rows(); ++i) {
      both.values.insert(both.values.end(), digits.view().row(i).begin(), digits.view().row(i).end());
      both.values.push_back(labels[i]);
    }
    both = Shuffled(both, 1);
    const auto part = [&](size_t begin, size_t end, int keep, int drop) {
      Points rows;
      rows.columns = 784;
      for (size_t i = begin; i < end; ++i) {
        const absl::Span<const float> row = both.view().row(i);
        if (row[784] == drop || (keep >= 0 && row[784] != keep)) continue;
        for (size_t c = 0; c < 784; ++c) rows.values.push_back(row[c] / 255);
      }
      return rows;
    };
    cases.push_back({"mnist gaussian h = 5", Gaussian(5), Cube(784, 0, 1), part(0, 8000, -1, -1),
                     part(8000, 9500, -1, -1), part(9500, 10000, -1, -1), true});
    cases.push_back({"mnist fours, none in the reference", Gaussian(5), Cube(784, 0, 1), part(0, 8000, 4, -1),
                     part(8000, 9500, -1, 4), part(9500, 10000, 4, -1), false});
    cases.push_back({"mnist, no fours in the reference, queries fours", Gaussian(5), Cube(784, 0, 1),
                     part(0, 8000, -1, -1), part(8000, 9500, -1, 4), part(9500, 10000, 4, -1), false});
  }
  for (const Case& test : cases) {
    if (test.name.find(only) == std::string::npos) continue;
    Run(test, draws);
    if (test.compare && test.records.columns == 100) PrintChoices(test, Rows(glove, 40000, 48000));
  }
  return 0;
}

}  // namespace
}  // namespace dpkde

int main(int argc, char** argv) {
  return dpkde::Main(argc > 1 ? argv[1] : ".", argc > 2 ? std::atoi(argv[2]) : 200, argc > 3 ? argv[3] : "");
}
