// Published mechanisms beside the planner's choice, on real data:
//
//   bazel run //tests/benchmarks:accuracy -- FOLDER [NAME [pure | delta | all | dimension [planner]]] > TABLE.csv
//
// FOLDER holds us_zipcodes.npy, shuttle.npy, letter.npy, glove50k.npy and mnist10k.npy (tests/testdata/README.md has
// two of them and says where they are from); what is missing is skipped, and so are cases whose name does not begin
// with NAME, and budgets of the other kind. Progress goes to stderr. draw_accuracy makes pictures of the table.
//
// Of a seeded shuffle of each data set the last 2,000 points are the public reference, the 200 before them queries, the
// others private records under ADD_REMOVE. Domains and bandwidths are literals. Everybody has the same hints: the
// number of records and the mean similarity, as public guesses that happen to be right.
//
// A published mechanism has Laplace noise, as published, under pure budgets and others (which allow no less of it). Its
// size (features, levels, alpha, degree, rows, projections) is the best in hindsight: of all candidates, the one with
// the least measured error. "planner" and "planner_reference", without and with reference, are what Plan chose before
// it saw any record, by their predicted errors. "histogram" is lsq_fgt of one term, counts of cells without expansions:
// no published mechanism, but what they have to beat. "lsq_fgt_theorem" is lsq_fgt with the Laplace scale of the
// paper's theorem, S R / epsilon for records of S coordinates of at most R, in place of their largest sum / epsilon.
//
// A row: error over the 200 queries and 20 releases of fresh noise, 5 for each of four public seeds.
//   reduced_to dimensions behind a random map; 0: none
//   rmse       root mean square error of a sum
//   spread     standard deviation over releases of a release's own rmse
//   noise      of rmse, what the noise is responsible for
//   relative   mean absolute error / mean exact sum
//   build_s    seconds of processor time of one thread: records to stored release
//   query_us   microseconds of it a query
//   bytes      of the stored release
//
// "dimension" is the study of reductions instead: for glove and mnist at epsilon = 1, pure, what errors and queries
// come to when all records are mapped to 4, 8, .. dimensions first.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/designs/design_factory.h"
#include "dpkde/noise/bit_source.h"
#include "dpkde/planner/landmark_fit.h"
#include "dpkde/planner/planner.h"
#include "dpkde/sketch/accumulator.h"
#include "tests/testing/specs.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

constexpr size_t kQueries = 200;
constexpr size_t kReference = 2000;
constexpr uint64_t kSeeds = 4;
constexpr int kReleases = 5;  // a seed
constexpr double kEpsilons[] = {0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10};

struct Case {
  std::string name;
  std::string file;
  int column;  // the only one that is used, or -1
  double scale;
  Similarity similarity;
  absl::optional<Domain> domain;
  bool has_reference;
  std::vector<std::string> published;
  // What the study of reductions puts records into, which need a domain; none: not part of it.
  absl::optional<Domain> study_domain = absl::nullopt;
};

std::vector<Case> Cases() {
  const Similarity l1 = MakeSimilarity(proto::SimilaritySpec::L1, 0);
  const Similarity l2 = MakeSimilarity(proto::SimilaritySpec::L2, 0);
  const std::vector<std::string> smooth = {"lsq_rff", "exponential_sum"};
  const std::vector<std::string> trees = {"tree", "tree_sums", "tree_centered"};
  return {
      {"shuttle_1d_l1", "shuttle.npy", 0, 1, l1, Cube(1, 0, 128), true, trees},
      {"zip_2d_gaussian",
       "us_zipcodes.npy",
       -1,
       1,
       Gaussian(1),
       ZipCodeDomain(),
       true,
       {"lsq_rff", "lsq_fgt", "lsq_fgt_theorem", "histogram"}},
      {"zip_2d_laplacian", "us_zipcodes.npy", -1, 1, Laplacian(1), ZipCodeDomain(), true, {"lsq_rff", "race"}},
      {"shuttle_9d_gaussian", "shuttle.npy", -1, 1, Gaussian(30), absl::nullopt, true, {"lsq_rff"}},
      {"letter_16d_l1", "letter.npy", -1, 1, l1, Cube(16, 0, 15), true, trees},
      {"letter_16d_l2", "letter.npy", -1, 1, l2, Cube(16, 0, 15), true, trees},
      {"letter_16d_gaussian", "letter.npy", -1, 1, Gaussian(4), Cube(16, 0, 15), true, {"lsq_rff"}},
      {"letter_16d_cauchy", "letter.npy", -1, 1, MakeSimilarity(proto::SimilaritySpec::CAUCHY, 4), Cube(16, 0, 15),
       true, smooth},
      {"letter_16d_inverse_l2", "letter.npy", -1, 1, MakeSimilarity(proto::SimilaritySpec::INVERSE_L2, 4),
       Cube(16, 0, 15), true, smooth},
      {"glove_100d_gaussian", "glove50k.npy", -1, 1, Gaussian(7.28), absl::nullopt, true, {"lsq_rff"}, Ball(100, 12)},
      {"glove_100d_p_stable", "glove50k.npy", -1, 1, PStable(10), Ball(100, 12), true, {"lsq_rff", "race"}},
      {"mnist_784d_gaussian",
       "mnist10k.npy",
       -1,
       1.0 / 255,
       Gaussian(5),
       absl::nullopt,
       true,
       {"lsq_rff"},
       Cube(784, 0, 1)},
  };
}

double ProcessorSeconds() {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return now.tv_sec + 1e-9 * now.tv_nsec;
}

Points Rows(const Points& points, size_t begin, size_t end) {
  return {{points.values.begin() + begin * points.columns, points.values.begin() + end * points.columns},
          points.columns};
}

Points Load(const std::string& path, int column, double scale) {
  Points points = LoadPoints(path);
  if (column >= 0) {
    Points only;
    only.columns = 1;
    for (size_t r = 0; r < points.rows(); ++r) only.values.push_back(points.view().row(r)[column]);
    points = std::move(only);
  }
  for (float& value : points.values) value = static_cast<float>(value * scale);
  return Shuffled(points, 1);
}

double Rms(const std::vector<double>& values) {
  double square = 0;
  for (double value : values) square += value * value;
  return std::sqrt(square / values.size());
}

class Runner {
 public:
  Runner(const Case& test, const Points& points)
      : test_(test),
        records_(Rows(points, 0, points.rows() - kReference - kQueries)),
        queries_(Rows(points, points.rows() - kReference - kQueries, points.rows() - kReference)),
        exact_(kQueries) {
    // What is answered is the sum over clamped records, of queries in the domain.
    if (test.domain.has_value()) {
      for (Points* all : {&records_, &queries_}) {
        for (size_t r = 0; r < all->rows(); ++r) {
          float* point = &all->values[r * all->columns];
          test.domain->Clamp(point, point);
        }
      }
    }
    test.similarity.Sum(records_.view(), queries_.view(), pool_, absl::MakeSpan(exact_));
    for (double value : exact_) mean_ += value / kQueries;
    if (!test.has_reference) return;
    const Points reference = Rows(points, points.rows() - kReference, points.rows());
    absl::StatusOr<LandmarkFit> fit =
        LandmarkFit::Create(test.similarity, test.domain, reference.view(), LandmarkFitOptions(), pool_);
    if (fit.ok()) landmarks_ = std::make_shared<const LandmarkFit>(*std::move(fit));
  }

  void Run(const std::string& kind) {
    for (const bool delta : {false, true}) {
      if (kind == (delta ? "pure" : "delta")) continue;
      for (const double epsilon : kEpsilons) {
        const PlanInputs inputs = Inputs(delta ? ApproximateAddRemove(epsilon, 1e-6) : PureAddRemove(epsilon));
        Measure(inputs, "planner", Plan(inputs)->candidates[0]);
        if (landmarks_ != nullptr) {
          PlanInputs with_reference = inputs;
          with_reference.landmarks = landmarks_;
          Measure(with_reference, "planner_reference", Plan(with_reference)->candidates[0]);
        }
        for (const std::string& name : test_.published) MeasurePublished(inputs, name);
      }
    }
  }

  void RunDimensions() {
    PlanInputs inputs = Inputs(PureAddRemove(1));
    for (uint32_t dimension = 4;; dimension *= 2) {
      // The last time without a reduction.
      inputs.reduce_to = dimension < records_.columns ? absl::make_optional(dimension) : absl::nullopt;
      Measure(inputs, "planner", Plan(inputs)->candidates[0]);
      MeasurePublished(inputs, "lsq_rff");
      if (!inputs.reduce_to.has_value()) return;
    }
  }

 private:
  PlanInputs Inputs(const PrivacySpec& privacy) const {
    PlanInputs inputs{test_.similarity, records_.columns, test_.domain, privacy};
    inputs.public_n = static_cast<double>(records_.rows());
    if (test_.similarity.is_kernel()) {
      inputs.expected_similarity = std::min(std::max(mean_ / records_.rows(), 1e-300), 1.0);
    }
    return inputs;
  }

  void MeasurePublished(const PlanInputs& inputs, const std::string& name) {
    PlanInputs asked = inputs;
    const bool is_fgt = name == "histogram" || name == "lsq_fgt" || name == "lsq_fgt_theorem";
    asked.design = is_fgt ? "lsq_fgt" : name;
    asked.mechanism = proto::LAPLACE;
    const absl::StatusOr<PlanResult> plan = Plan(asked);
    if (!plan.ok()) {
      std::fprintf(stderr, "%s %s: %s\n", test_.name.c_str(), name.c_str(),
                   std::string(plan.status().message()).c_str());
      return;
    }
    const Candidate* best = nullptr;
    double least = 0;
    for (const Candidate& candidate : plan->candidates) {
      if (is_fgt && (candidate.design.lsq_fgt().terms() == 1) != (name == "histogram")) continue;
      const double error = TotalError(asked, candidate, NoiseFactor(name, candidate));
      if (best == nullptr || error < least) best = &candidate, least = error;
    }
    Measure(asked, name, *best, NoiseFactor(name, *best));
  }

  // By what the noise of the theorem's reading is more than that of the design.
  double NoiseFactor(const std::string& name, const Candidate& candidate) const {
    if (name != "lsq_fgt_theorem") return 1;
    const proto::LsqFgtSpec& spec = candidate.design.lsq_fgt();
    const std::unique_ptr<Design> design =
        *CreateDesign(test_.similarity, records_.columns, test_.domain, candidate.design);
    double scale = 1;
    for (size_t i = 0; i < records_.columns; ++i) {
      const double reach = test_.domain->width(i) / spec.cells(i) / 2 / (std::sqrt(2.0) * test_.similarity.bandwidth());
      double largest = 1, value = 1;
      for (uint32_t k = 1; k < spec.terms(); ++k) {
        value *= std::sqrt(2.0 / k) * reach;
        largest = std::max(largest, value);
      }
      scale *= spec.terms() * largest;
    }
    return scale * kGridUnit / design->groups()[0].add_remove.l1;
  }

  // Noiseless answers of a plan, by design: the noise does not matter to them.
  struct Noiseless {
    std::unique_ptr<Design> design;
    std::vector<Answer> answers;
    // Mean over queries of the variance of Laplace noise at epsilon = 1.
    absl::optional<double> noise;
  };

  Noiseless& NoiselessOf(const proto::ReleasePlan& plan) {
    std::unique_ptr<Noiseless>& kept = noiseless_[plan.design().SerializeAsString()];
    if (kept == nullptr) {
      kept = std::make_unique<Noiseless>();
      kept->design = *CreateDesign(test_.similarity, records_.columns, test_.domain, plan.design());
      std::vector<int64_t> sums(kept->design->num_coordinates());
      kept->design->Accumulate(records_.view(), absl::MakeSpan(sums));
      kept->answers.resize(kQueries);
      kept->design->MakeReleasedFunction(sums, std::vector<double>(kept->design->groups().size()))
          ->Evaluate(queries_.view(), absl::MakeSpan(kept->answers));
    }
    return *kept;
  }

  // Root mean square over queries: of the approximation as measured, with the exact variance of Laplace noise.
  double TotalError(const PlanInputs& inputs, const Candidate& candidate, double noise_factor) {
    Noiseless& noiseless = NoiselessOf(MakeReleasePlan(inputs, candidate));
    if (!noiseless.noise.has_value()) {
      const Mechanism mechanism = *Mechanism::Calibrate(proto::LAPLACE, noiseless.design->groups(), PureAddRemove(1));
      std::vector<Answer> answers(kQueries);
      noiseless.design
          ->MakeReleasedFunction(std::vector<int64_t>(noiseless.design->num_coordinates()), mechanism.variances())
          ->Evaluate(queries_.view(), absl::MakeSpan(answers));
      noiseless.noise = 0;
      for (const Answer& answer : answers) *noiseless.noise += answer.noise_variance / kQueries;
    }
    double square = *noiseless.noise * std::pow(noise_factor / inputs.privacy.epsilon(), 2);
    for (size_t q = 0; q < kQueries; ++q) square += std::pow(noiseless.answers[q].sum - exact_[q], 2) / kQueries;
    return std::sqrt(square);
  }

  void Measure(PlanInputs inputs, const std::string& name, const Candidate& candidate, double noise_factor = 1) {
    const PrivacySpec noise =
        noise_factor == 1 ? inputs.privacy : PureAddRemove(inputs.privacy.epsilon() / noise_factor);
    std::vector<double> errors, noises, of_release;
    double absolute = 0, build = 0, query = 0;
    size_t bytes = 0;
    for (uint64_t seed = 0; seed < kSeeds; ++seed) {
      proto::ReleasePlan plan = MakeReleasePlan(inputs, candidate);
      if (plan.design().has_monte_carlo()) plan.mutable_design()->mutable_monte_carlo()->set_public_seed(seed);
      if (plan.design().has_slice()) plan.mutable_design()->mutable_slice()->set_public_seed(seed);
      if (plan.design().has_race()) plan.mutable_design()->mutable_race()->set_public_seed(seed);
      if (plan.design().has_reduction()) plan.mutable_design()->mutable_reduction()->set_public_seed(seed);
      if (plan.design().has_exponential_sum()) {
        plan.mutable_design()->mutable_exponential_sum()->set_public_seed(seed);
      }
      if (plan.design().has_lsq_rff()) plan.mutable_design()->mutable_lsq_rff()->set_public_seed(seed);
      SystemBitSource source;
      if (seed == 0) {
        double start = ProcessorSeconds();
        Accumulator accumulator = *Accumulator::Create(plan, Accumulator::BadRecords::kFail, pool_);
        if (!accumulator.Add(records_.view()).ok()) std::abort();
        const Release release = *std::move(accumulator).Privatize(source);
        bytes = release.Serialize().size();
        build = ProcessorSeconds() - start;
        start = ProcessorSeconds();
        if (!release.Estimate(queries_.view(), pool_).ok()) std::abort();
        query = (ProcessorSeconds() - start) / kQueries;
      }
      // An answer is linear in the released values: noise alone, added to the noiseless answer.
      const Noiseless& noiseless = NoiselessOf(plan);
      const Mechanism mechanism = *Mechanism::Calibrate(candidate.mechanism, noiseless.design->groups(), noise);
      for (int draw = 0; draw < kReleases; ++draw) {
        std::vector<int64_t> values(noiseless.design->num_coordinates());
        mechanism.AddNoise(absl::MakeSpan(values), source);
        std::vector<Answer> answers(kQueries);
        noiseless.design->MakeReleasedFunction(values, mechanism.variances())
            ->Evaluate(queries_.view(), absl::MakeSpan(answers));
        std::vector<double> own;
        for (size_t q = 0; q < kQueries; ++q) {
          noises.push_back(answers[q].sum);
          own.push_back(noiseless.answers[q].sum + answers[q].sum - exact_[q]);
          absolute += std::abs(own.back()) / (kQueries * kReleases * kSeeds);
        }
        of_release.push_back(Rms(own));
        errors.insert(errors.end(), own.begin(), own.end());
      }
    }
    double mean = 0, square = 0;
    for (double error : of_release) mean += error / of_release.size();
    for (double error : of_release) square += (error - mean) * (error - mean) / (of_release.size() - 1);
    std::printf("%s,%d,%d,%d,%s,%g,%g,%s,\"%s %s\",%.6g,%.3g,%.6g,%.4g,%.4g,%.4g,%d\n", test_.name.c_str(),
                static_cast<int>(records_.rows()), static_cast<int>(records_.columns),
                static_cast<int>(candidate.design.reduction().dimension()), test_.similarity.name().c_str(),
                inputs.privacy.epsilon(), inputs.privacy.delta().value_or(0), name.c_str(),
                DescribeDesign(candidate.design).c_str(), MechanismName(candidate.mechanism).c_str(), Rms(errors),
                std::sqrt(square), Rms(noises), absolute / mean_, build, query * 1e6, static_cast<int>(bytes));
    std::fflush(stdout);
  }

  const Case& test_;
  ThreadPool pool_{1};
  Points records_, queries_;
  std::vector<double> exact_;
  double mean_ = 0;
  std::shared_ptr<const LandmarkFit> landmarks_;
  std::map<std::string, std::unique_ptr<Noiseless>> noiseless_;
};

int Main(const std::string& folder, const std::string& name, const std::string& kind, bool only_planner) {
  std::printf(
      "data,records,dimension,reduced_to,similarity,epsilon,delta,mechanism,design,rmse,spread,noise,relative,build_s,"
      "query_us,"
      "bytes\n");
  const bool study = kind == "dimension";
  std::vector<Case> cases = Cases();
  for (Case& test : cases) {
    if (test.name.compare(0, name.size(), name) != 0) continue;
    if (study) {
      if (!test.study_domain.has_value()) continue;
      test.domain = test.study_domain;
      test.has_reference = false;
    }
    const std::string path = absl::StrCat(folder, "/", test.file);
    if (!std::ifstream(path)) {
      std::fprintf(stderr, "%s: no %s, skipped\n", test.name.c_str(), path.c_str());
      continue;
    }
    std::fprintf(stderr, "%s\n", test.name.c_str());
    if (only_planner) test.published.clear();
    Runner runner(test, Load(path, test.column, test.scale));
    study ? runner.RunDimensions() : runner.Run(kind);
  }
  return 0;
}

}  // namespace
}  // namespace dpkde

int main(int argc, char** argv) {
  if (argc < 2)
    return std::fprintf(stderr, "usage: accuracy FOLDER [NAME [pure | delta | all | dimension [planner]]]\n"), 1;
  return dpkde::Main(argv[1], argc > 2 ? argv[2] : "", argc > 3 ? argv[3] : "",
                     argc > 4 && std::string(argv[4]) == "planner");
}
