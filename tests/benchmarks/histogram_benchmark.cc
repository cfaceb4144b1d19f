// Do the public items that a private nearest-neighbour histogram selects look like the private data?
//
//   bazel run -c opt //tests/benchmarks:histogram_benchmark -- FOLDER [draws]
//
// FOLDER holds letter.npy and mnist10k.npy with their labels; without it the program says so and ends. Public items are
// a random sample of all classes, 2,000 of them; private are n records of some classes (letters: vowels; digits: 3, 5,
// 8), none of which is public. Each private record votes for its nearest item; 500 items are drawn in proportion to
// what noised counts are above a threshold T. The figure is their maximum mean discrepancy (MMD, Gaussian kernel, root
// of the V-statistic; bandwidth: the median distance of public items) from 1,000 other records of the private classes,
// mean and standard deviation over `draws` (10) draws of noise and items. Beside it a uniform sample of the public
// items, and 500 records of the private classes themselves: what no selection can beat by much.
//
// The MMD and the column "no noise" are evaluations on the private records that a real release never prints.

#include <algorithm>
#include <boost/random/uniform_int_distribution.hpp>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/designs/public_random.h"
#include "dpkde/index/corpus/token_sets.h"
#include "dpkde/index/search/index_changes.h"
#include "dpkde/index/search/nearest_votes.h"
#include "dpkde/index/search/searcher.h"
#include "dpkde/io/list_reader.h"
#include "dpkde/noise/bit_source.h"
#include "dpkde/sketch/vote_accumulator.h"
#include "tests/benchmarks/figures.h"
#include "tests/benchmarks/or_die.h"
#include "tests/testing/specs.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

constexpr size_t kItems = 2000, kTest = 1000, kDrawn = 500;

Points Select(const Points& points, const std::vector<size_t>& rows, size_t begin, size_t end) {
  Points selected;
  selected.columns = points.columns;
  for (size_t i = begin; i < std::min(end, rows.size()); ++i) {
    const auto row = points.view().row(rows[i]);
    selected.values.insert(selected.values.end(), row.begin(), row.end());
  }
  return selected;
}

// Everything about one dataset that no noise changes.
class Experiment {
 public:
  Experiment(const Points& all, const std::vector<std::string>& labels, const std::set<std::string>& classes,
             ThreadPool& pool)
      : similarity_(Gaussian(1)) {
    std::vector<size_t> order(all.rows()), members;
    std::iota(order.begin(), order.end(), 0);
    auto engine = PublicStream(1, "histogram benchmark", 0);
    for (size_t i = order.size(); i > 1; --i) {
      std::swap(order[i - 1], order[boost::random::uniform_int_distribution<size_t>(0, i - 1)(engine)]);
    }
    items_ = Select(all, order, 0, kItems);
    for (size_t i = kItems; i < order.size(); ++i) {
      if (classes.count(labels[order[i]]) > 0) members.push_back(order[i]);
    }
    const Points test = Select(all, members, 0, kTest), others = Select(all, members, kTest, kTest + kDrawn);
    records_ = Select(all, members, kTest, members.size());
    double share = 0;
    for (size_t i = 0; i < kItems; ++i) share += classes.count(labels[order[i]]) > 0;

    similarity_ = Gaussian(MedianDistance(items_));
    std::printf("%zu public items, %.3f of them of the private classes; up to %zu private records; bandwidth %.4g\n",
                kItems, share / kItems, records_.rows(), similarity_.bandwidth());

    among_items_.resize(kItems * kItems);
    for (size_t i = 0; i < kItems; ++i) {
      similarity_.Sum(items_.view().Slice(i, i + 1), items_.view(), pool,
                      absl::MakeSpan(among_items_).subspan(i * kItems, kItems));
    }
    with_test_ = MeanSimilarity(test, items_, pool);
    const std::vector<double> in_test = MeanSimilarity(test, test, pool),
                              of_others = MeanSimilarity(test, others, pool),
                              in_others = MeanSimilarity(others, others, pool);
    within_test_ = Mean(in_test);
    floor_ = std::sqrt(std::max(0.0, Mean(in_others) - 2 * Mean(of_others) + within_test_));

    // The votes, each record's by itself.
    proto::IndexConfig config;
    config.mutable_tokens()->set_single_vectors(true);
    config.mutable_tokens()->set_format(proto::TokenStoreSpec::FLOAT32);
    config.mutable_vector_index()->set_metric(proto::VectorIndexSpec::L2);
    TokenSets documents(all.columns);
    for (size_t i = 0; i < kItems; ++i) documents.Append(items_.view().Slice(i, i + 1));
    std::string folder = absl::StrCat(std::filesystem::temp_directory_path().string(), "/histogram_XXXXXX");
    if (mkdtemp(&folder[0]) == nullptr) std::exit(1);
    OrDie(BuildIndex(folder + "/index", documents.view(), {}, config, nullptr, false, pool));
    {
      const Searcher searcher = OrDie(Searcher::Open(folder + "/index"));
      const NearestVotes nearest = OrDie(NearestVotes::Create(searcher, {}));
      names_ = nearest.Names();
      votes_ = OrDie(nearest.Vote(records_.view(), NearestVotes::BadRecords::kFail, 0, pool));
    }
    std::filesystem::remove_all(folder);
  }

  size_t records() const { return records_.rows(); }
  double floor() const { return floor_; }
  const std::vector<std::string>& names() const { return names_; }
  const std::vector<std::vector<uint32_t>>& votes() const { return votes_; }

  // Of the items, as often as they are named, from the test records.
  double Discrepancy(const std::vector<uint32_t>& items) const {
    std::vector<double> weight(kItems);
    for (const uint32_t item : items) weight[item] += 1.0 / items.size();
    double within = 0, between = 0;
    for (size_t i = 0; i < kItems; ++i) {
      if (weight[i] == 0) continue;
      between += weight[i] * with_test_[i];
      for (size_t j = 0; j < kItems; ++j) within += weight[i] * weight[j] * among_items_[i * kItems + j];
    }
    return std::sqrt(std::max(0.0, within - 2 * between + within_test_));
  }

 private:
  static double Mean(const std::vector<double>& values) {
    return std::accumulate(values.begin(), values.end(), 0.0) / values.size();
  }

  std::vector<double> MeanSimilarity(const Points& points, const Points& queries, ThreadPool& pool) const {
    std::vector<double> sums(queries.rows());
    similarity_.Sum(points.view(), queries.view(), pool, absl::MakeSpan(sums));
    for (double& sum : sums) sum /= points.rows();
    return sums;
  }

  Similarity similarity_;
  Points items_, records_;
  std::vector<double> among_items_, with_test_;
  double within_test_ = 0, floor_ = 0;
  std::vector<std::string> names_;
  std::vector<std::vector<uint32_t>> votes_;
};

std::string Summary(const std::vector<double>& values) {
  return values.empty() ? "nothing left" : MeanAndDeviation(values);
}

Histogram Release(const Experiment& experiment, size_t n, double epsilon) {
  proto::HistogramPlan plan;
  for (const std::string& name : experiment.names()) plan.add_item(name);
  plan.set_votes(1);
  plan.set_mechanism(proto::LAPLACE);
  *plan.mutable_privacy() = PureAddRemove(epsilon).ToProto();
  plan.set_capacity(uint64_t{1} << 40);
  VoteAccumulator accumulator = OrDie(VoteAccumulator::Create(plan));
  for (size_t r = 0; r < n; ++r) OrDie(accumulator.Add(experiment.votes()[r]));
  SystemBitSource noise;
  return OrDie(std::move(accumulator).Privatize(noise));
}

void Run(const Experiment& experiment, int draws) {
  std::vector<double> uniform;
  auto engine = PublicStream(2, "uniform", 0);
  for (int i = 0; i < draws; ++i) {
    std::vector<uint32_t> items(kDrawn);
    for (uint32_t& item : items) item = boost::random::uniform_int_distribution<uint32_t>(0, kItems - 1)(engine);
    uniform.push_back(experiment.Discrepancy(items));
  }
  std::printf("uniform sample of the public items: %s; private records themselves: %.3f\n", Summary(uniform).c_str(),
              experiment.floor());
  for (size_t n = 100; n <= experiment.records(); n = n == 100    ? 300
                                                      : n == 300  ? 1000
                                                      : n == 1000 ? 2000
                                                                  : n + 1000000) {
    for (const double errors : {0.0, 1.0, 2.0}) {
      std::printf("n = %-5zu T = %.0f std errors", n, errors);
      // No noise to speak of: a count is off by less than 0.002.
      for (const double epsilon : {0.5, 1.0, 4.0, 1000.0}) {
        std::vector<double> values;
        for (int i = 0; i < draws; ++i) {
          const Histogram histogram = Release(experiment, n, epsilon);
          const double threshold = epsilon == 1000 ? 0.5 : errors * histogram.std_error();
          const auto items = histogram.Draw(kDrawn, threshold, i);
          if (items.ok()) values.push_back(experiment.Discrepancy(*items));
        }
        std::printf("  %s %s", epsilon == 1000 ? "no noise" : absl::StrCat("eps ", epsilon).c_str(),
                    Summary(values).c_str());
      }
      std::printf("\n");
      std::fflush(stdout);
    }
  }
}

int Main(int argc, char** argv) {
  if (argc < 2) {
    std::printf("skipped: give the folder of the data\n");
    return 0;
  }
  const std::string folder = argv[1];
  const int draws = argc > 2 ? std::max(2, std::atoi(argv[2])) : 10;
  ThreadPool pool;
  const struct {
    std::string name;
    std::set<std::string> classes;
  } cases[] = {{"letter", {"0", "4", "8", "14", "20"}}, {"mnist10k", {"3", "5", "8"}}};
  for (const auto& test : cases) {
    std::printf("== %s\n", test.name.c_str());
    const Experiment experiment(LoadPoints(absl::StrCat(folder, "/", test.name, ".npy")),
                                OrDie(ReadIds(absl::StrCat(folder, "/", test.name, "_labels.npy"))), test.classes,
                                pool);
    Run(experiment, draws);
  }
  return 0;
}

}  // namespace
}  // namespace dpkde

int main(int argc, char** argv) { return dpkde::Main(argc, argv); }
