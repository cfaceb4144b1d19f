// Search that prefers what is like private data: public glosses of the topic that private glosses are about.
//
//   bazel run -c opt //tests/benchmarks:density_search_benchmark -- FOLDER DICTIONARY [draws]
//
// FOLDER is wordnet_glove (doc_tokens.npy, doc_lens.npy, doc_ids.txt, query_tokens.npy, query_lens.npy); DICTIONARY
// holds WordNet's data.noun, ..., which tell the lexicographer file of each gloss (Debian's wordnet-base:
// /usr/share/wordnet). Without them the program says so and ends.
//
// For each topic (a lexicographer file): private are half of its glosses, drawn at random; public is everything else,
// the other half included. The release: a Gaussian kernel of the glosses' pooled vectors (one row a gloss), landmarks
// from 1,000 public glosses, pure epsilon, planned for 20,000 records, about as many as there are public glosses (a
// planner that is told of 500 takes so few features that topics are not told apart); bandwidth: the median distance of
// public pooled vectors. Where it says tokens, the rows are the private glosses' tokens, and epsilon is a token's; two
// topics only.
//
//   picking     precision of the 100, and of the R, densest public glosses, R as many as the public topic has
//   searching   precision@10 of 300 example sentences as queries, reranked among the 500 best of an exact search with
//               weight w; the last column is what the search's own score of the ten loses
//
// "no noise" is the same design at epsilon 1000 and "exact" the exact kernel sums: evaluation on the private records
// that a real release never prints. Mean and standard deviation over `draws` (5) releases.

#include <algorithm>
#include <boost/random/uniform_int_distribution.hpp>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/designs/public_random.h"
#include "dpkde/index/ann/row_set.h"
#include "dpkde/index/corpus/corpus_files.h"
#include "dpkde/index/encoding/encoder_factory.h"
#include "dpkde/index/search/density_search.h"
#include "dpkde/index/search/index_changes.h"
#include "dpkde/index/search/searcher.h"
#include "dpkde/io/list_reader.h"
#include "dpkde/noise/bit_source.h"
#include "dpkde/planner/landmark_fit.h"
#include "dpkde/planner/planner.h"
#include "dpkde/sketch/accumulator.h"
#include "tests/benchmarks/figures.h"
#include "tests/benchmarks/lexicographer_files.h"
#include "tests/benchmarks/or_die.h"
#include "tests/testing/specs.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

constexpr size_t kReference = 1000, kBackground = 1000, kQueries = 300, kCandidates = 500;
constexpr double kNoNoise = 1000;

void Shuffle(std::vector<uint64_t>& rows, const std::string& purpose) {
  auto engine = PublicStream(1, purpose, 0);
  for (size_t i = rows.size(); i > 1; --i) {
    std::swap(rows[i - 1], rows[boost::random::uniform_int_distribution<size_t>(0, i - 1)(engine)]);
  }
}

// What stands for the documents, one or more rows each.
Points Vectors(TokenSetsView documents, const std::vector<uint64_t>& rows, DensityOf of) {
  Points points;
  points.columns = documents.dimension;
  for (const uint64_t row : rows) {
    const MatrixView tokens = documents.set(row);
    if (of == DensityOf::kTokens) {
      points.values.insert(points.values.end(), tokens.data, tokens.data + tokens.rows * tokens.columns);
      continue;
    }
    std::vector<double> mean(tokens.columns);
    for (size_t t = 0; t < tokens.rows; ++t) {
      for (size_t j = 0; j < tokens.columns; ++j) mean[j] += tokens.row(t)[j] / static_cast<double>(tokens.rows);
    }
    points.values.insert(points.values.end(), mean.begin(), mean.end());
  }
  return points;
}

class Topic {
 public:
  Topic(const std::string& name, int file, const std::vector<int>& files, const TokenSets& documents,
        const Searcher& searcher, TokenSetsView queries, ThreadPool& pool)
      : name_(name),
        documents_(documents.view()),
        searcher_(searcher),
        queries_(queries),
        pool_(pool),
        allowed_(documents.size(), /*all=*/true),
        on_topic_(documents.size()) {
    std::vector<uint64_t> members;
    for (uint64_t row = 0; row < files.size(); ++row) {
      if (files[row] == file) members.push_back(row);
    }
    Shuffle(members, name);
    private_.assign(members.begin(), members.begin() + members.size() / 2);
    for (const uint64_t row : private_) allowed_.Erase(row);
    for (uint64_t row = 0; row < files.size(); ++row) {
      if (!allowed_.contains(row)) continue;
      public_.push_back(row);
      on_topic_[row] = files[row] == file;
      topic_size_ += on_topic_[row];
    }
    shuffled_ = public_;
    Shuffle(shuffled_, name + " public");
    std::printf("== %s: %zu private, %zu public of the topic among %zu (%.3f)\n", name.c_str(), private_.size(),
                topic_size_, public_.size(), topic_size_ / static_cast<double>(public_.size()));
  }

  void Run(DensityOf of, int draws, bool search) {
    const std::string kind = of == DensityOf::kPooled ? "pooled" : "tokens";
    const Points reference = Vectors(documents_, {shuffled_.begin(), shuffled_.begin() + kReference}, of);
    const Points background = Background(of);
    const Similarity kernel = Gaussian(MedianDistance(background));
    const Points records = Vectors(documents_, private_, of);
    const MatrixView few = reference.view().Slice(0, std::min(reference.rows(), kReference));
    const auto fit =
        std::make_shared<const LandmarkFit>(OrDie(LandmarkFit::Create(kernel, absl::nullopt, few, {}, pool_)));
    for (const bool contrast : {false, true}) {
      if (of == DensityOf::kTokens && !contrast) continue;
      std::printf("%s, h = %.3f%s\n", kind.c_str(), kernel.bandwidth(), contrast ? ", contrast" : "");
      Exact(of, kernel, records, contrast ? background.view() : MatrixView{});
      for (const double epsilon : {0.5, 1.0, 4.0, kNoNoise}) {
        std::vector<double> hundred, all;
        std::map<double, std::vector<double>> found, kept;
        for (int draw = 0; draw < (epsilon == kNoNoise ? 1 : draws); ++draw) {
          const Release release = Build(kernel, records, fit, epsilon);
          const DocumentDensities densities = OrDie(DocumentDensities::Create(
              searcher_.directory(), release, of, contrast ? background.view() : MatrixView{}, pool_));
          std::vector<DocumentDensity> values(public_.size());
          OrDie(densities.Of(public_, pool_, absl::MakeSpan(values)));
          std::vector<double> scores, by_row(documents_.size());
          for (size_t i = 0; i < public_.size(); ++i) {
            scores.push_back(values[i].value);
            by_row[public_[i]] = values[i].value;
          }
          hundred.push_back(Precision(scores, 100));
          all.push_back(Precision(scores, topic_size_));
          if (search) Search(by_row, found, kept);
        }
        std::printf("  %-8s  picking: of 100 %s, of R %s\n",
                    epsilon == kNoNoise ? "no noise" : absl::StrCat("eps ", epsilon).c_str(),
                    MeanAndDeviation(hundred).c_str(), MeanAndDeviation(all).c_str());
        for (const auto& [weight, precisions] : found) {
          std::printf("            searching, w = %.2f: precision@10 %s, score of the ten lost %s\n", weight,
                      MeanAndDeviation(precisions).c_str(), MeanAndDeviation(kept[weight]).c_str());
        }
        std::fflush(stdout);
      }
    }
  }

 private:
  // A vector of each of kBackground public documents.
  Points Background(DensityOf of) const {
    Points background;
    background.columns = documents_.dimension;
    auto engine = PublicStream(1, "benchmark background", 0);
    for (size_t i = kReference; i < kReference + kBackground; ++i) {
      const Points vectors = Vectors(documents_, {shuffled_[i]}, of);
      if (vectors.rows() == 0) continue;
      const auto row =
          vectors.view().row(boost::random::uniform_int_distribution<size_t>(0, vectors.rows() - 1)(engine));
      background.values.insert(background.values.end(), row.begin(), row.end());
    }
    return background;
  }

  Release Build(const Similarity& kernel, const Points& records, const std::shared_ptr<const LandmarkFit>& fit,
                double epsilon) const {
    PlanInputs inputs{kernel, records.columns, absl::nullopt, PureAddRemove(epsilon)};
    inputs.public_n = 20000;
    inputs.landmarks = fit;
    const PlanResult planned = OrDie(Plan(inputs));
    Accumulator accumulator = OrDie(
        Accumulator::Create(MakeReleasePlan(inputs, planned.candidates[0]), Accumulator::BadRecords::kFail, pool_));
    OrDie(accumulator.Add(records.view()));
    SystemBitSource noise;
    return OrDie(std::move(accumulator).Privatize(noise));
  }

  double Precision(const std::vector<double>& scores, size_t count) const {
    std::vector<size_t> order(scores.size());
    std::iota(order.begin(), order.end(), 0);
    std::partial_sort(order.begin(), order.begin() + count, order.end(),
                      [&](size_t a, size_t b) { return scores[a] != scores[b] ? scores[a] > scores[b] : a < b; });
    size_t right = 0;
    for (size_t i = 0; i < count; ++i) right += on_topic_[public_[order[i]]];
    return static_cast<double>(right) / count;
  }

  // By exact kernel sums; pooled only, since all tokens are many.
  void Exact(DensityOf of, const Similarity& kernel, const Points& records, MatrixView background) const {
    if (of == DensityOf::kTokens) return;
    const Points vectors = Vectors(documents_, public_, of);
    std::vector<double> sums(vectors.rows()), of_background(vectors.rows());
    kernel.Sum(records.view(), vectors.view(), pool_, absl::MakeSpan(sums));
    if (background.rows > 0) kernel.Sum(background, vectors.view(), pool_, absl::MakeSpan(of_background));
    double count = records.rows();
    if (background.rows > 0) {
      // As DocumentDensities does.
      std::vector<double> private_sums(background.rows), within(background.rows);
      kernel.Sum(records.view(), background, pool_, absl::MakeSpan(private_sums));
      kernel.Sum(background, background, pool_, absl::MakeSpan(within));
      count = std::accumulate(private_sums.begin(), private_sums.end(), 0.0) /
              (std::accumulate(within.begin(), within.end(), 0.0) / background.rows);
    }
    for (size_t i = 0; i < sums.size(); ++i) {
      sums[i] = sums[i] / count - of_background[i] / std::max<size_t>(1, background.rows);
    }
    std::printf("  exact     picking: of 100 %.3f, of R %.3f\n", Precision(sums, 100), Precision(sums, topic_size_));
  }

  void Search(const std::vector<double>& density, std::map<double, std::vector<double>>& found,
              std::map<double, std::vector<double>>& kept) {
    SearchOptions options;
    options.k = 10;
    options.candidates = documents_.size();
    options.rerank = absl::nullopt;
    options.allowed = &allowed_;
    if (candidates_.empty()) {
      // The 500 best of an exact search, once for all draws and weights.
      SearchOptions exact = options;
      exact.k = kCandidates;
      candidates_ = OrDie(searcher_.Search(queries_, exact, pool_));
    }
    for (const double weight : {0.0, 0.5, 0.8, 0.9, 1.0}) {
      double right = 0, lost = 0;
      for (size_t q = 0; q < queries_.size(); ++q) {
        std::vector<std::pair<double, size_t>> order;
        double best = 0, chosen = 0;
        for (size_t i = 0; i < candidates_[q].size(); ++i) {
          const double s = candidates_[q][i].score / queries_.set(q).rows;
          order.emplace_back(-((1 - weight) * s + weight * density[candidates_[q][i].row]), i);
          if (i < 10) best += s / 10;
        }
        std::partial_sort(order.begin(), order.begin() + 10, order.end());
        for (size_t i = 0; i < 10; ++i) {
          right += on_topic_[candidates_[q][order[i].second].row];
          chosen += candidates_[q][order[i].second].score / queries_.set(q).rows / 10;
        }
        lost += (best - chosen) / queries_.size();
      }
      found[weight].push_back(right / (10 * queries_.size()));
      kept[weight].push_back(lost);
    }
  }

  const std::string name_;
  const TokenSetsView documents_;
  const Searcher& searcher_;
  const TokenSetsView queries_;
  ThreadPool& pool_;
  RowSet allowed_;
  std::vector<bool> on_topic_;
  std::vector<uint64_t> private_, public_, shuffled_;
  size_t topic_size_ = 0;
  std::vector<std::vector<SearchHit>> candidates_;
};

int Main(int argc, char** argv) {
  if (argc < 3) {
    std::printf("skipped: give the folder of the corpus and that of WordNet's data files\n");
    return 0;
  }
  const std::string folder = argv[1];
  const int draws = argc > 3 ? std::max(1, std::atoi(argv[3])) : 5;
  const TokenSets documents = OrDie(ReadTokenSets(folder + "/doc_tokens.npy", folder + "/doc_lens.npy"));
  const TokenSets queries = OrDie(ReadTokenSets(folder + "/query_tokens.npy", folder + "/query_lens.npy"));
  const std::vector<std::string> ids = OrDie(ReadIds(folder + "/doc_ids.txt"));
  const std::vector<int> files = LexicographerFilesOf(ids, argv[2]);
  ThreadPool pool;
  // Candidates come from exact searches, so any small encoder will do.
  proto::EncoderSpec spec;
  spec.set_token_dimension(static_cast<uint32_t>(documents.dimension()));
  spec.mutable_fde()->set_repetitions(1);
  spec.mutable_fde()->set_hyperplanes(1);
  const auto encoder = OrDie(CreateEncoder(spec, documents.view(), pool));
  std::string place = absl::StrCat(std::filesystem::temp_directory_path().string(), "/density_search_XXXXXX");
  if (mkdtemp(&place[0]) == nullptr) return 1;
  OrDie(BuildIndex(place + "/index", documents.view(), ids, {}, encoder.get(), false, pool));
  {
    const Searcher searcher = OrDie(Searcher::Open(place + "/index"));
    const struct {
      const char* name;
      int file;
    } topics[] = {
        {"noun.animal", 5}, {"noun.food", 13}, {"noun.location", 15}, {"noun.person", 18}, {"noun.plant", 20}};
    for (const DensityOf of : {DensityOf::kPooled, DensityOf::kTokens}) {
      for (const auto& topic : topics) {
        // Of all tokens of all glosses: slow, and two topics tell how it differs.
        const bool tokens = of == DensityOf::kTokens;
        if (tokens && topic.file != 5 && topic.file != 20) continue;
        Topic run(topic.name, topic.file, files, documents, searcher, queries.view().Slice(0, kQueries), pool);
        run.Run(of, tokens ? std::min(draws, 2) : draws, /*search=*/!tokens);
      }
    }
  }
  std::filesystem::remove_all(place);
  return 0;
}

}  // namespace
}  // namespace dpkde

int main(int argc, char** argv) { return dpkde::Main(argc, argv); }
