// Rates of exact Chamfer on one core, beside OpenBLAS's sgemm of the same shape: what the machine can do.
//
//   bazel run //tests/benchmarks:maxsim_benchmark -- --benchmark_enable_random_interleaving --benchmark_repetitions=5
//
// Items are multiply-adds, so "items_per_second" compare directly. A query of 32 tokens meets documents of 80 (also
// ragged, of 1 to 160), 128-d: as many as stay in the second-level cache, or many more than any cache holds. The sgemm
// multiplies the same matrices and leaves out the maximum.

#include <benchmark/benchmark.h>
#include <hwy/targets.h>

#include <algorithm>
#include <boost/random/mersenne_twister.hpp>
#include <boost/random/normal_distribution.hpp>
#include <boost/random/uniform_int_distribution.hpp>
#include <random>
#include <string>
#include <vector>

#include "dpkde/index/corpus/stored_tokens.h"
#include "dpkde/index/maxsim/int8_kernel.h"
#include "dpkde/index/maxsim/maxsim.h"

extern "C" void sgemm_(const char* transa, const char* transb, const int* m, const int* n, const int* k,
                       const float* alpha, const float* a, const int* lda, const float* b, const int* ldb,
                       const float* beta, float* c, const int* ldc);
extern "C" void openblas_set_num_threads(int threads);

namespace dpkde {
namespace {

constexpr size_t kDimension = 128;
constexpr size_t kQueryTokens = 32;
constexpr size_t kDocumentTokens = 80;

std::vector<float> Normals(size_t count) {
  boost::random::mt19937_64 engine(1);
  boost::random::normal_distribution<double> normal(0, 0.09);
  std::vector<float> values(std::min<size_t>(count, size_t{1} << 20));
  for (float& value : values) value = static_cast<float>(normal(engine));
  const size_t drawn = values.size();
  values.resize(count);
  for (size_t i = drawn; i < count; ++i) values[i] = values[i - drawn];
  return values;
}

struct Corpus {
  std::vector<float> tokens;
  std::string values;
  std::vector<float> scales;
  std::vector<StoredTokens> documents;
  size_t count = 0;  // of tokens
};

Corpus MakeCorpus(TokenFormat format, size_t documents, bool ragged = false) {
  Corpus corpus;
  boost::random::mt19937_64 engine(2);
  boost::random::uniform_int_distribution<size_t> lengths(1, 2 * kDocumentTokens);
  std::vector<size_t> counts(documents, kDocumentTokens);
  for (size_t& count : counts) {
    if (ragged) count = lengths(engine);
    corpus.count += count;
  }
  corpus.tokens = Normals(corpus.count * kDimension);
  (void)StoreTokens(format, {corpus.tokens.data(), corpus.count, kDimension}, &corpus.values, &corpus.scales);
  size_t token = 0;
  for (const size_t count : counts) {
    corpus.documents.push_back({format, kDimension, count,
                                corpus.values.data() + token * TokenStride(format, kDimension),
                                format == TokenFormat::kInt8 ? &corpus.scales[token] : nullptr});
    token += count;
  }
  return corpus;
}

void SetItems(benchmark::State& state, size_t tokens) {
  state.SetItemsProcessed(state.iterations() * tokens * kDimension * kQueryTokens);
}

// Document by document, as a rerank would call it, and all documents by one call, which is kinder to sgemm.
void BM_Sgemm(benchmark::State& state, bool one_call) {
  const Corpus corpus = MakeCorpus(TokenFormat::kFloat32, state.range(0));
  openblas_set_num_threads(1);
  const std::vector<float> query = Normals(kQueryTokens * kDimension);
  std::vector<float> out(corpus.count * kQueryTokens);
  const int m = kQueryTokens, n = one_call ? corpus.count : kDocumentTokens, k = kDimension;
  const float one = 1, zero = 0;
  for (auto _ : state) {
    for (size_t token = 0; token < corpus.count; token += n) {
      sgemm_("T", "N", &m, &n, &k, &one, query.data(), &k, corpus.tokens.data() + token * kDimension, &k, &zero,
             out.data() + token * kQueryTokens, &m);
    }
    benchmark::DoNotOptimize(out.data());
  }
  SetItems(state, corpus.count);
}

enum class Order { kOneAfterTheOther, kShuffled };

// The query is packed each time. Shuffled documents are what candidates are.
void BM_Chamfer(benchmark::State& state, TokenFormat format, bool ragged, Order order, bool avx2_only) {
  Corpus corpus = MakeCorpus(format, state.range(0), ragged);
  if (order == Order::kShuffled) {
    std::shuffle(corpus.documents.begin(), corpus.documents.end(), std::mt19937_64(3));
  }
  hwy::SetSupportedTargetsForTest(avx2_only ? HWY_AVX2 : 0);
  const std::vector<float> tokens = Normals(kQueryTokens * kDimension);
  std::vector<float> scores(corpus.documents.size());
  for (auto _ : state) {
    const MaxSimQuery query({tokens.data(), kQueryTokens, kDimension}, format);
    (void)Chamfer(query, corpus.documents, absl::MakeSpan(scores));
    benchmark::DoNotOptimize(scores.data());
  }
  hwy::SetSupportedTargetsForTest(0);
  SetItems(state, corpus.count);
}

void BM_Int8Kernel(benchmark::State& state, Int8Kernel kernel) {
  if (!HasInt8Kernel(kernel)) {
    state.SkipWithError("not on this CPU");
    return;
  }
  const Corpus corpus = MakeCorpus(TokenFormat::kInt8, state.range(0));
  alignas(64) static int8_t panel[kDimension * kMaxSimColumns] = {1, 2, 3};
  const std::vector<int32_t> starts(kMaxSimColumns);
  float maxima[kMaxSimColumns];
  for (auto _ : state) {
    for (const StoredTokens& document : corpus.documents) {
      Int8MaximaBy(kernel, panel, starts.data(), kMaxSimColumns, static_cast<const uint8_t*>(document.values),
                   document.scales, document.count, static_cast<const uint8_t*>(document.values), kDimension / 4,
                   maxima);
      benchmark::DoNotOptimize(maxima);
    }
  }
  SetItems(state, corpus.count);
}

// Documents in the second-level cache; in memory.
#define DPKDE_SIZES Arg(20)->Arg(10000)
BENCHMARK_CAPTURE(BM_Sgemm, one_call, true)->DPKDE_SIZES;
BENCHMARK_CAPTURE(BM_Sgemm, by_document, false)->DPKDE_SIZES;
#define DPKDE_CHAMFER(name, ...) BENCHMARK_CAPTURE(BM_Chamfer, name, __VA_ARGS__)->DPKDE_SIZES
DPKDE_CHAMFER(f4, TokenFormat::kFloat32, false, Order::kOneAfterTheOther, false);
DPKDE_CHAMFER(f4_ragged, TokenFormat::kFloat32, true, Order::kOneAfterTheOther, false);
DPKDE_CHAMFER(f4_shuffled, TokenFormat::kFloat32, false, Order::kShuffled, false);
DPKDE_CHAMFER(f4_avx2, TokenFormat::kFloat32, false, Order::kOneAfterTheOther, true);
DPKDE_CHAMFER(f2, TokenFormat::kFloat16, false, Order::kOneAfterTheOther, false);
DPKDE_CHAMFER(f2_shuffled, TokenFormat::kFloat16, false, Order::kShuffled, false);
DPKDE_CHAMFER(int8, TokenFormat::kInt8, false, Order::kOneAfterTheOther, false);
DPKDE_CHAMFER(int8_ragged, TokenFormat::kInt8, true, Order::kOneAfterTheOther, false);
DPKDE_CHAMFER(int8_shuffled, TokenFormat::kInt8, false, Order::kShuffled, false);
BENCHMARK_CAPTURE(BM_Int8Kernel, vnni, Int8Kernel::kAvx512Vnni)->DPKDE_SIZES;
BENCHMARK_CAPTURE(BM_Int8Kernel, avx2, Int8Kernel::kAvx2)->DPKDE_SIZES;

}  // namespace
}  // namespace dpkde
