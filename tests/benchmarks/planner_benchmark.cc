// Whether the planner is right: for each data set and budget, its choice given correct public hints, and without hints,
// against the best of all its candidates as measured; where the dimension is high, also given 2,000 public reference
// points (the last of a shuffle, whose seed is SHUFFLE or 3, which are then no private records).
//
//   bazel run //tests/benchmarks:planner_benchmark -- FOLDER [NAME [SHUFFLE]]
//
// FOLDER holds us_zipcodes.npy, letter.npy, shuttle.npy, glove50k.npy and mnist10k.npy (see tests/testdata/README.md);
// what is missing is skipped, and so are cases whose name does not begin with NAME. Domains and bandwidths are
// literals.
//
// The total error of a candidate is measured over 500 of the points as queries: its approximation error from the
// noiseless sums, as a root mean square over kSeeds public seeds of random designs; its noise from the exact variance
// of each answer, which other tests hold against draws.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "dpkde/base/thread_pool.h"
#include "dpkde/designs/design_factory.h"
#include "dpkde/noise/mechanism.h"
#include "dpkde/planner/landmark_fit.h"
#include "dpkde/planner/planner.h"
#include "tests/testing/specs.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

constexpr size_t kQueries = 500;
constexpr size_t kReference = 2000;
constexpr uint64_t kSeeds = 2;

struct Case {
  std::string name;
  std::string file;
  double scale;  // of the file's values
  Similarity similarity;
  absl::optional<Domain> domain;
  bool has_reference;
};

std::vector<Case> Cases() {
  return {
      {"zip 0.1", "us_zipcodes.npy", 1, Gaussian(0.1), ZipCodeDomain(), false},
      {"zip 1", "us_zipcodes.npy", 1, Gaussian(1), ZipCodeDomain(), false},
      {"zip 10", "us_zipcodes.npy", 1, Gaussian(10), ZipCodeDomain(), false},
      {"letter", "letter.npy", 1, Gaussian(4), Cube(16, 0, 15), true},
      {"shuttle", "shuttle.npy", 1, Gaussian(30), absl::nullopt, true},
      {"glove50k", "glove50k.npy", 1, Gaussian(7.3), absl::nullopt, true},
      {"mnist10k", "mnist10k.npy", 1.0 / 255, Gaussian(5), absl::nullopt, true},
  };
}

// A design with the sums of all its points; for random designs, one a seed.
struct Measured {
  std::vector<std::unique_ptr<Design>> designs;
  std::vector<std::vector<int64_t>> sums;
  double approximation = 0;
};

class Bench {
 public:
  explicit Bench(const Case& test, const std::string& folder, uint64_t shuffle) : test_(test) {
    points_ = LoadPoints(folder + "/" + test.file);
    for (float& value : points_.values) value = static_cast<float>(value * test.scale);
    // What is answered is the sum over clamped records, of queries in the domain.
    if (test.domain.has_value()) {
      for (size_t r = 0; r < points_.rows(); ++r) {
        test.domain->Clamp(&points_.values[r * points_.columns], &points_.values[r * points_.columns]);
      }
    }
    if (test.has_reference) {
      points_ = Shuffled(points_, shuffle);
      const size_t kept = points_.rows() - kReference;
      landmarks_ = std::make_shared<const LandmarkFit>(*LandmarkFit::Create(
          test.similarity, test.domain, points_.view().Slice(kept, points_.rows()), LandmarkFitOptions(), pool_));
      points_.values.resize(kept * points_.columns);
    }
    queries_ = SampleRows(points_, kQueries, 1);
    exact_.resize(kQueries);
    test.similarity.Sum(points_.view(), queries_.view(), pool_, absl::MakeSpan(exact_));
    double mean = 0, square = 0;
    for (double sum : exact_) {
      mean += sum / kQueries;
      square += sum * sum / kQueries;
    }
    mean_ = mean;
    std::printf("%s: n = %zu, d = %zu, mean answer %.5g (rms %.5g)\n", test.name.c_str(), points_.rows(),
                points_.columns, mean, std::sqrt(square));
  }

  void Run() {
    for (const double epsilon : {0.1, 1.0, 10.0}) {
      for (const bool delta : {false, true}) {
        PlanInputs inputs{test_.similarity, points_.columns, test_.domain,
                          delta ? ApproximateAddRemove(epsilon, 1e-6) : PureAddRemove(epsilon)};
        inputs.public_n = static_cast<double>(points_.rows());
        const PlanResult blind = *Plan(inputs);
        inputs.expected_similarity = mean_ / points_.rows();
        const PlanResult hinted = *Plan(inputs);
        const double best = Compare(inputs, hinted, "hints");
        std::printf("      without hints %.3f of the best: %s\n", Total(blind.candidates[0], inputs) / best,
                    DescribeDesign(blind.candidates[0].design).c_str());
        if (landmarks_ != nullptr) {
          inputs.landmarks = landmarks_;
          Compare(inputs, *Plan(inputs), "reference");
        }
        std::fflush(stdout);
      }
    }
  }

 private:
  // Prints the plan's choice against the best of its candidates, whose error is returned.
  double Compare(const PlanInputs& inputs, const PlanResult& plan, const char* given) {
    size_t best = 0;
    std::vector<double> totals;
    for (const Candidate& candidate : plan.candidates) {
      totals.push_back(Total(candidate, inputs));
      if (totals.back() < totals[best]) best = totals.size() - 1;
    }
    const Candidate &choice = plan.candidates[0], &least = plan.candidates[best];
    std::printf(
        "  epsilon %-4g %-10s %-9s ratio %.3f%s | chose %s %s, predicted %.4g, typical %.4g, measured %.4g | best %s "
        "%s, "
        "typical %.4g, measured %.4g\n",
        inputs.privacy.epsilon(), inputs.privacy.delta().has_value() ? "delta 1e-6" : "pure", given,
        totals[0] / totals[best], totals[0] > 1.1 * totals[best] ? " !" : "", DescribeDesign(choice.design).c_str(),
        MechanismName(choice.mechanism).c_str(), choice.total_error(), choice.typical_error(), totals[0],
        DescribeDesign(least.design).c_str(), MechanismName(least.mechanism).c_str(), least.typical_error(),
        totals[best]);
    return totals[best];
  }

  // The random designs' features are nested, so the largest seed would do; it is drawn again for simplicity.
  const Measured& Measure(const proto::DesignSpec& spec) {
    const auto [it, is_new] = measured_.emplace(DescribeDesign(spec), Measured());
    Measured& measured = it->second;
    if (!is_new) return measured;
    double square = 0;
    for (uint64_t seed = 0; seed < kSeeds; ++seed) {
      proto::DesignSpec seeded = spec;
      if (spec.has_landmark()) *seeded.mutable_landmark() = landmarks_->Complete(spec.landmark());
      if (spec.has_monte_carlo()) seeded.mutable_monte_carlo()->set_public_seed(seed + 1);
      std::unique_ptr<Design> design = *CreateDesign(test_.similarity, points_.columns, test_.domain, seeded);
      std::vector<std::vector<int64_t>> parts(pool_.threads());
      pool_.ParallelFor(points_.rows(), 1024, [&](size_t begin, size_t end, int worker) {
        parts[worker].resize(design->num_coordinates());
        design->Accumulate(points_.view().Slice(begin, end), absl::MakeSpan(parts[worker]));
      });
      std::vector<int64_t> sums(design->num_coordinates());
      for (const std::vector<int64_t>& part : parts) {
        for (size_t j = 0; j < part.size(); ++j) sums[j] += part[j];
      }
      std::vector<Answer> answers(kQueries);
      design->MakeReleasedFunction(sums, std::vector<double>(design->groups().size()))
          ->Evaluate(queries_.view(), absl::MakeSpan(answers));
      for (size_t q = 0; q < kQueries; ++q) square += std::pow(answers[q].sum - exact_[q], 2) / kQueries;
      measured.designs.push_back(std::move(design));
      measured.sums.push_back(std::move(sums));
      if (!spec.has_monte_carlo()) {
        square *= kSeeds;
        break;
      }
    }
    measured.approximation = std::sqrt(square / kSeeds);
    return measured;
  }

  double Total(const Candidate& candidate, const PlanInputs& inputs) {
    const Measured& measured = Measure(candidate.design);
    const Design& design = *measured.designs[0];
    const Mechanism mechanism = *Mechanism::Calibrate(candidate.mechanism, design.groups(), inputs.privacy);
    std::vector<Answer> answers(kQueries);
    design.MakeReleasedFunction(measured.sums[0], mechanism.variances())
        ->Evaluate(queries_.view(), absl::MakeSpan(answers));
    double variance = 0;
    for (const Answer& answer : answers) variance += answer.noise_variance / kQueries;
    return std::hypot(std::sqrt(variance), measured.approximation);
  }

  const Case& test_;
  ThreadPool pool_;
  Points points_, queries_;
  std::vector<double> exact_;
  double mean_ = 0;
  std::shared_ptr<const LandmarkFit> landmarks_;
  std::map<std::string, Measured> measured_;
};

int Main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: planner_benchmark FOLDER [NAME]\n");
    return 1;
  }
  const std::string folder = argv[1], prefix = argc > 2 ? argv[2] : "";
  const uint64_t shuffle = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 3;
  for (const Case& test : Cases()) {
    if (test.name.compare(0, prefix.size(), prefix) != 0) continue;
    if (!std::ifstream(folder + "/" + test.file).good()) {
      std::printf("%s: skipped, %s/%s is missing\n", test.name.c_str(), folder.c_str(), test.file.c_str());
      continue;
    }
    Bench(test, folder, shuffle).Run();
  }
  return 0;
}

}  // namespace
}  // namespace dpkde

int main(int argc, char** argv) { return dpkde::Main(argc, argv); }
