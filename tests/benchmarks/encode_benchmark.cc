// Time of fixed-dimensional encodings on one core: 128-d tokens, (20, 5, 16), queries of 32 tokens and documents of 80,
// 1,000 a call, with the writing of the 10,240-d vectors.
//
//   bazel run //tests/benchmarks:encode_benchmark
//
// Milliseconds a call are microseconds a set. BM_Write is the writing alone.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <boost/random/mersenne_twister.hpp>
#include <boost/random/normal_distribution.hpp>
#include <cstdlib>
#include <vector>

#include "dpkde/index/encoding/fde_encoder.h"

namespace dpkde {
namespace {

constexpr size_t kSets = 1000;
constexpr size_t kDimension = 128;

TokenSets RandomSets(size_t tokens) {
  boost::random::mt19937_64 engine(1);
  boost::random::normal_distribution<double> normal;
  std::vector<float> values(kSets * tokens * kDimension);
  for (float& value : values) value = static_cast<float>(normal(engine));
  std::vector<uint64_t> offsets;
  for (size_t i = 0; i <= kSets; ++i) offsets.push_back(i * tokens);
  return TokenSets(kDimension, std::move(values), std::move(offsets));
}

std::unique_ptr<const FdeEncoder> Make(proto::FdeSpec::Projection projection) {
  proto::EncoderSpec spec;
  spec.set_token_dimension(kDimension);
  spec.mutable_fde()->set_projection(projection);
  spec.mutable_fde()->set_projected_dimension(16);
  auto encoder = FdeEncoder::Create(spec);
  if (!encoder.ok()) std::abort();
  return *std::move(encoder);
}

void SetRate(benchmark::State& state) { state.SetItemsProcessed(state.iterations() * kSets); }

void BM_EncodeQueries(benchmark::State& state) {
  const auto encoder = Make(static_cast<proto::FdeSpec::Projection>(state.range(1)));
  const TokenSets sets = RandomSets(state.range(0));
  ThreadPool pool(1);
  std::vector<float> out(kSets * encoder->dimension());
  for (auto _ : state) {
    if (!encoder->EncodeQueries(sets.view(), pool, absl::MakeSpan(out)).ok()) std::abort();
    benchmark::DoNotOptimize(out.data());
  }
  SetRate(state);
}

void BM_EncodeQueriesSparse(benchmark::State& state) {
  const auto encoder = Make(static_cast<proto::FdeSpec::Projection>(state.range(1)));
  const TokenSets sets = RandomSets(state.range(0));
  ThreadPool pool(1);
  for (auto _ : state) {
    auto sparse = encoder->EncodeQueriesSparse(sets.view(), pool);
    if (!sparse.ok()) std::abort();
    benchmark::DoNotOptimize(sparse->values.data());
  }
  SetRate(state);
}

void BM_EncodeDocuments(benchmark::State& state) {
  const auto encoder = Make(static_cast<proto::FdeSpec::Projection>(state.range(1)));
  const TokenSets sets = RandomSets(state.range(0));
  ThreadPool pool(1);
  std::vector<float> out(kSets * encoder->dimension());
  for (auto _ : state) {
    if (!encoder->EncodeDocuments(sets.view(), pool, absl::MakeSpan(out)).ok()) std::abort();
    benchmark::DoNotOptimize(out.data());
  }
  SetRate(state);
}

void BM_Write(benchmark::State& state) {
  std::vector<float> out(kSets * 10240);
  float value = 0;
  for (auto _ : state) {
    std::fill(out.begin(), out.end(), ++value);
    benchmark::DoNotOptimize(out.data());
  }
  SetRate(state);
}

// {tokens, projection}: 1 is SIGN_HADAMARD, 2 COUNT_SKETCH.
BENCHMARK(BM_EncodeQueries)->Args({32, 1})->Args({32, 2})->Unit(benchmark::kMillisecond);
BENCHMARK(BM_EncodeQueriesSparse)->Args({32, 1})->Unit(benchmark::kMillisecond);
BENCHMARK(BM_EncodeDocuments)->Args({80, 1})->Args({80, 2})->Unit(benchmark::kMillisecond);
BENCHMARK(BM_Write)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace dpkde
