// What encodings find of exact Chamfer search, on a corpus in a folder:
//
//   bazel run -c opt //tests/benchmarks:encoding_recall_benchmark -- FOLDER [SEEDS] [PART...]
//
// FOLDER holds doc_tokens.npy, doc_lens.npy, query_tokens.npy and query_lens.npy. Without one the program says so and
// ends. SEEDS (default 10) are those of oblivious encodings; calibrated ones have 5, regression ones 1. A PART is the
// beginning of the rows' names to print: fde, calibrated, regression, codes; default: all.
//
// Printed: the share of the exact best document (of the exact best ten) among the first 100, 500 and 1,000 documents by
// brute force over the encodings. A document counts as one of the k best if its exact score is at least the k-th best
// less 1e-5.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "dpkde/index/ann/vector_index.h"
#include "dpkde/index/corpus/corpus_files.h"
#include "dpkde/index/encoding/candidate_recall.h"
#include "dpkde/index/encoding/encoder_factory.h"
#include "dpkde/index/encoding/matrix_product.h"
#include "dpkde/index/maxsim/maxsim.h"

namespace dpkde {
namespace {

constexpr size_t kCandidates[] = {100, 500, 1000};

struct Corpus {
  TokenSets documents, queries;
  std::vector<float> exact;  // queries x documents
};

TokenSets Load(const std::string& folder, const std::string& name) {
  auto sets = ReadTokenSets(absl::StrCat(folder, "/", name, "_tokens.npy"),
                            absl::StrCat(folder, "/", name, "_lens.npy"), VectorReaderOptions());
  if (!sets.ok()) {
    std::fprintf(stderr, "%s\n", sets.status().ToString().c_str());
    std::exit(1);
  }
  return *std::move(sets);
}

double Seconds(std::chrono::steady_clock::time_point since) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - since).count();
}

class Table {
 public:
  Table(const Corpus& corpus, ThreadPool& pool, std::vector<std::string> parts)
      : corpus_(corpus), pool_(pool), parts_(std::move(parts)) {}

  void Add(const std::string& name, proto::EncoderSpec spec, int seeds) {
    if (!Wanted(name)) return;
    double best[3] = {}, ten[3] = {};
    double make = 0, encode = 0;
    size_t dimension = 0;
    for (int seed = 0; seed < seeds; ++seed) {
      spec.set_public_seed(seed);
      auto start = std::chrono::steady_clock::now();
      const auto encoder = CreateEncoder(spec, corpus_.documents.view(), pool_);
      if (!encoder.ok()) {
        std::fprintf(stderr, "%s\n", encoder.status().ToString().c_str());
        std::exit(1);
      }
      make += Seconds(start) / seeds;
      dimension = (*encoder)->dimension();
      std::vector<float> documents(corpus_.documents.size() * dimension), queries(corpus_.queries.size() * dimension);
      start = std::chrono::steady_clock::now();
      if (!(*encoder)->EncodeDocuments(corpus_.documents.view(), pool_, absl::MakeSpan(documents)).ok()) std::exit(1);
      encode += Seconds(start) / seeds;
      if (!(*encoder)->EncodeQueries(corpus_.queries.view(), pool_, absl::MakeSpan(queries)).ok()) std::exit(1);
      std::vector<float> scores(corpus_.exact.size());
      MatrixProduct({queries.data(), corpus_.queries.size(), dimension},
                    PackedMatrix({documents.data(), corpus_.documents.size(), dimension}), pool_, scores.data());
      for (int c = 0; c < 3; ++c) {
        best[c] += CandidateRecall(scores, corpus_.exact, corpus_.queries.size(), 1, kCandidates[c]) / seeds;
        ten[c] += CandidateRecall(scores, corpus_.exact, corpus_.queries.size(), 10, kCandidates[c]) / seeds;
      }
    }
    std::printf("%-46s %6zu  ", name.c_str(), dimension);
    for (int c = 0; c < 3; ++c) std::printf(" %.3f (%.3f)", best[c], ten[c]);
    std::printf("  %7.1f %7.1f\n", make, encode);
    std::fflush(stdout);
  }

  // One regression encoding, kept in codes of fewer and fewer bytes.
  void AddCodes(proto::EncoderSpec spec) {
    if (!Wanted("codes")) return;
    auto start = std::chrono::steady_clock::now();
    const auto encoder = CreateEncoder(spec, corpus_.documents.view(), pool_);
    if (!encoder.ok()) std::exit(1);
    const double make = Seconds(start);
    const size_t dimension = (*encoder)->dimension();
    std::vector<float> documents(corpus_.documents.size() * dimension), queries(corpus_.queries.size() * dimension);
    start = std::chrono::steady_clock::now();
    if (!(*encoder)->EncodeDocuments(corpus_.documents.view(), pool_, absl::MakeSpan(documents)).ok()) std::exit(1);
    const double encode = Seconds(start);
    if (!(*encoder)->EncodeQueries(corpus_.queries.view(), pool_, absl::MakeSpan(queries)).ok()) std::exit(1);
    std::printf("codes of %zu dimensions: made in %.1f s, documents in %.1f s\n", dimension, make, encode);
    std::vector<float> cut;
    const auto first = [&](const std::vector<float>& vectors, size_t kept) {
      cut.clear();
      for (size_t i = 0; i < vectors.size(); i += dimension) {
        cut.insert(cut.end(), vectors.begin() + i, vectors.begin() + i + kept);
      }
      return MatrixView{cut.data(), vectors.size() / dimension, kept};
    };
    struct Case {
      const char* name;
      VectorIndexOptions::Codes codes;
      size_t kept;
      int graded_bytes, pq_dims;
    };
    using Codes = VectorIndexOptions::Codes;
    for (const Case& c :
         {Case{"codes float32", Codes::kFloat32, dimension, 0, 0},
          Case{"codes graded", Codes::kGraded, dimension, 2048, 0},
          Case{"codes graded", Codes::kGraded, dimension, 1024, 0},
          Case{"codes graded", Codes::kGraded, dimension, 512, 0},
          Case{"codes graded", Codes::kGraded, dimension, 256, 0},
          Case{"codes graded", Codes::kGraded, dimension, 128, 0}, Case{"codes int8", Codes::kInt8, 1024, 0, 0},
          Case{"codes int8", Codes::kInt8, 512, 0, 0}, Case{"codes PQ8 of 4", Codes::kPq8, 2048, 0, 4},
          Case{"codes PQ8 of 8", Codes::kPq8, 4096, 0, 8}}) {
      VectorIndexOptions options;
      options.codes = c.codes;
      options.graded_bytes = c.graded_bytes;
      options.pq_dims = c.pq_dims;
      const size_t kept = std::min(c.kept, dimension);
      start = std::chrono::steady_clock::now();
      const auto index = VectorIndex::Build(first(documents, kept), options);
      const double build = Seconds(start);
      if (!index.ok()) std::exit(1);
      VectorSearchOptions one_thread;
      one_thread.threads = 1;
      start = std::chrono::steady_clock::now();
      const auto found = index->Search(first(queries, kept), kCandidates[2], one_thread);
      const double search = Seconds(start);
      if (!found.ok()) std::exit(1);
      // Estimates that order documents as they were found.
      std::vector<float> scores(corpus_.exact.size(), 0);
      for (size_t i = 0; i < found->ids.size(); ++i) {
        if (found->ids[i] < 0) continue;
        scores[i / found->k * corpus_.documents.size() + found->ids[i]] = static_cast<float>(found->k - i % found->k);
      }
      PrintRow(absl::StrFormat("%s, %d bytes a document", c.name, index->bytes_of_rows() / corpus_.documents.size()),
               kept, scores, build, search);
    }
  }

 private:
  bool Wanted(const std::string& name) const {
    return parts_.empty() ||
           std::any_of(parts_.begin(), parts_.end(), [&](const auto& part) { return absl::StartsWith(name, part); });
  }

  void PrintRow(const std::string& name, size_t dimension, const std::vector<float>& scores, double build,
                double search) {
    std::printf("%-46s %6zu  ", name.c_str(), dimension);
    for (size_t candidates : kCandidates) {
      std::printf(" %.3f (%.3f)", CandidateRecall(scores, corpus_.exact, corpus_.queries.size(), 1, candidates),
                  CandidateRecall(scores, corpus_.exact, corpus_.queries.size(), 10, candidates));
    }
    std::printf("  build %.1f s, search %.2f ms a query\n", build, 1e3 * search / corpus_.queries.size());
    std::fflush(stdout);
  }

  const Corpus& corpus_;
  ThreadPool& pool_;
  const std::vector<std::string> parts_;
};

proto::EncoderSpec Fde(uint32_t repetitions, uint32_t hyperplanes, uint32_t projected,
                       proto::FdeSpec::Partition partition) {
  proto::EncoderSpec spec;
  spec.mutable_fde()->set_repetitions(repetitions);
  spec.mutable_fde()->set_hyperplanes(hyperplanes);
  spec.mutable_fde()->set_projected_dimension(projected);
  spec.mutable_fde()->set_partition(partition);
  return spec;
}

proto::EncoderSpec Regression(uint32_t features, uint32_t rank) {
  proto::EncoderSpec spec;
  spec.mutable_regression()->set_features(features);
  spec.mutable_regression()->set_rank(rank);
  return spec;
}

int Main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "no folder of data was given: nothing is measured\n");
    return 0;
  }
  int seeds = 10;
  std::vector<std::string> parts;
  for (int i = 2; i < argc; ++i) {
    if (i == 2 && absl::SimpleAtoi(argv[i], &seeds)) continue;
    parts.push_back(argv[i]);
  }
  ThreadPool pool;
  Corpus corpus{Load(argv[1], "doc"), Load(argv[1], "query"), {}};
  corpus.exact.resize(corpus.queries.size() * corpus.documents.size());
  std::vector<StoredTokens> stored;
  for (size_t i = 0; i < corpus.documents.size(); ++i) stored.push_back(StoredFloats(corpus.documents.view().set(i)));
  if (!ChamferMatrix(corpus.queries.view(), stored, pool, absl::MakeSpan(corpus.exact)).ok()) return 1;
  std::printf("%zu documents, %zu queries, %d threads; share of the best (best ten) among the first N\n",
              corpus.documents.size(), corpus.queries.size(), pool.threads());
  std::printf("%-46s %6s   %-13s %-13s %-13s  %7s %7s\n", "encoding", "dims", "N = 100", "N = 500", "N = 1000",
              "make s", "docs s");
  Table table(corpus, pool, parts);
  using proto::FdeSpec;
  table.Add("fde (20,4,8)", Fde(20, 4, 8, FdeSpec::OBLIVIOUS), seeds);
  table.Add("fde (20,5,16)", Fde(20, 5, 16, FdeSpec::OBLIVIOUS), seeds);
  table.Add("calibrated fde (20,4,8)", Fde(20, 4, 8, FdeSpec::CALIBRATED), 5);
  table.Add("calibrated fde (20,5,16)", Fde(20, 5, 16, FdeSpec::CALIBRATED), 5);
  table.Add("regression, 1024 features", Regression(1024, 8192), 1);
  proto::EncoderSpec structured = Regression(1024, 8192);
  structured.mutable_regression()->set_directions(proto::RegressionSpec::STRUCTURED);
  table.Add("regression, 1024 features, structured", structured, 1);
  table.Add("regression, 2048 features", Regression(2048, 8192), 1);
  table.Add("regression, 2048 features, rank 1024", Regression(2048, 1024), 1);
  table.Add("regression, 4096 features, rank 512", Regression(4096, 512), 1);
  table.Add("regression, 4096 features, rank 1024", Regression(4096, 1024), 1);
  table.Add("regression, 4096 features, rank 2048", Regression(4096, 2048), 1);
  proto::EncoderSpec widest = Regression(4096, 8192);
  widest.mutable_regression()->set_layout(proto::RegressionSpec::PRINCIPAL);
  table.AddCodes(widest);
  return 0;
}

}  // namespace
}  // namespace dpkde

int main(int argc, char** argv) { return dpkde::Main(argc, argv); }
