// What stored formats and ball carving lose of exact Chamfer search, and what they cost, on a corpus in a folder:
//
//   bazel run //tests/benchmarks:maxsim_recall_benchmark -- FOLDER
//
// FOLDER holds doc_tokens.npy, doc_lens.npy, query_tokens.npy and query_lens.npy. Printed for each row: the share of
// the ten best documents by float32 that are among the first ten, the mean number of query tokens, the mean time of a
// query with 1,000 documents that are not in a cache, carving and packing included, on one thread, and bytes a
// document.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dpkde/index/corpus/corpus_files.h"
#include "dpkde/index/corpus/stored_tokens.h"
#include "dpkde/index/encoding/candidate_recall.h"
#include "dpkde/index/maxsim/ball_carving.h"
#include "dpkde/index/maxsim/maxsim.h"
#include "tests/benchmarks/or_die.h"

namespace dpkde {
namespace {

TokenSets Load(const std::string& folder, const std::string& name) {
  return OrDie(ReadTokenSets(absl::StrCat(folder, "/", name, "_tokens.npy"),
                             absl::StrCat(folder, "/", name, "_lens.npy"), VectorReaderOptions()));
}

struct Documents {
  Documents(TokenSetsView sets, TokenFormat format) {
    OrDie(StoreTokens(format, sets.all(), &values, &scales));
    for (size_t i = 0; i < sets.size(); ++i) {
      const uint64_t token = sets.offsets[i] - sets.offsets[0];
      stored.push_back({format, sets.dimension, sets.set(i).rows,
                        values.data() + token * TokenStride(format, sets.dimension),
                        format == TokenFormat::kInt8 ? &scales[token] : nullptr});
    }
  }

  std::string values;
  std::vector<float> scales;
  std::vector<StoredTokens> stored;
};

TokenSets Carved(TokenSetsView queries, double least_cosine) {
  TokenSets carved(queries.dimension);
  for (size_t i = 0; i < queries.size(); ++i) {
    const std::vector<float> tokens = CarveBalls(queries.set(i), least_cosine);
    carved.Append({tokens.data(), tokens.size() / queries.dimension, queries.dimension});
  }
  return carved;
}

void Run(const std::string& folder) {
  const TokenSets documents = Load(folder, "doc"), queries = Load(folder, "query");
  ThreadPool pool;
  const size_t count = queries.size() * documents.size();
  std::vector<float> exact(count), scores(count);
  OrDie(ChamferMatrix(queries.view(), Documents(documents.view(), TokenFormat::kFloat32).stored, pool,
                      absl::MakeSpan(exact)));
  std::printf("%-8s %-8s %8s %8s %12s %12s\n", "tokens", "carving", "R@10", "tokens", "us a query", "bytes a doc");
  for (const TokenFormat format : {TokenFormat::kFloat32, TokenFormat::kFloat16, TokenFormat::kInt8}) {
    const Documents stored(documents.view(), format);
    for (const double least_cosine : {2.0, 0.9, 0.8, 0.7, 0.6}) {
      const TokenSets carved = Carved(queries.view(), least_cosine);
      OrDie(ChamferMatrix(carved.view(), stored.stored, pool, absl::MakeSpan(scores)));
      const double recall = CandidateRecall(scores, exact, queries.size(), 10, 10);

      // As a search would: other documents for each query.
      std::mt19937_64 engine(1);
      std::vector<std::vector<StoredTokens>> candidates(queries.size());
      for (auto& of_query : candidates) {
        for (int i = 0; i < 1000; ++i) of_query.push_back(stored.stored[engine() % documents.size()]);
      }
      std::vector<float> out(1000);
      const auto start = std::chrono::steady_clock::now();
      for (size_t i = 0; i < queries.size(); ++i) {
        const MatrixView query = queries.view().set(i);
        std::vector<float> tokens;
        MatrixView packed = query;
        if (least_cosine <= 1) {
          tokens = CarveBalls(query, least_cosine);
          packed = {tokens.data(), tokens.size() / query.columns, query.columns};
        }
        OrDie(Chamfer(MaxSimQuery(packed, format), candidates[i], absl::MakeSpan(out)));
      }
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      std::printf("%-8s %-8s %8.4f %8.2f %12.1f %12.0f\n", std::string(TokenFormatName(format)).c_str(),
                  least_cosine > 1 ? "none" : absl::StrCat(least_cosine).c_str(), recall,
                  static_cast<double>(carved.view().token_count()) / queries.size(), 1e6 * seconds / queries.size(),
                  static_cast<double>(stored.values.size() + 4 * stored.scales.size()) / documents.size());
    }
  }
}

}  // namespace
}  // namespace dpkde

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: maxsim_recall_benchmark FOLDER\n");
    return 1;
  }
  dpkde::Run(argv[1]);
}
