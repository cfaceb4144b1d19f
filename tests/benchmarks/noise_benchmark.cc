// Draws a second of the noise samplers over the system's CSPRNG, one thread:
//   bazel run -c opt //tests/benchmarks:noise_benchmark
// Required: 10^6 draws a second (items_per_second) at every scale from 1 to 2^40.

#include <cstdint>

#include "benchmark/benchmark.h"
#include "dpkde/noise/bit_source.h"
#include "dpkde/noise/discrete_gaussian.h"
#include "dpkde/noise/discrete_laplace.h"
#include "dpkde/noise/knorm_ball.h"
#include "dpkde/noise/knorm_disks.h"

namespace dpkde {
namespace {

void Words(benchmark::State& state) {
  SystemBitSource bits;
  for (auto _ : state) benchmark::DoNotOptimize(bits.NextWord());
  state.SetItemsProcessed(state.iterations());
  state.SetBytesProcessed(state.iterations() * sizeof(uint64_t));
}
BENCHMARK(Words);

template <typename Law>
void Draws(benchmark::State& state) {
  SystemBitSource bits;
  const Law law = Law::Create(state.range(0)).value();
  for (auto _ : state) benchmark::DoNotOptimize(law.Sample(bits));
  state.SetItemsProcessed(state.iterations());
}

void Scales(benchmark::internal::Benchmark* benchmark) {
  for (int log : {0, 1, 4, 10, 20, 31, 32, 40, 62}) benchmark->Arg(int64_t{1} << log);
}
BENCHMARK_TEMPLATE(Draws, DiscreteLaplace)->Apply(Scales);
BENCHMARK_TEMPLATE(Draws, DiscreteGaussian)->Apply(Scales);

// K-norm noise: items are whole vectors. The second argument is log2 of the scale, bound/epsilon: 2^20 is ordinary; at
// 2^62 hardly any coordinate is decided by the first word.
void DiskProductVectors(benchmark::State& state) {
  SystemBitSource bits;
  const DiskProductNoise noise = DiskProductNoise::Create(state.range(0), uint64_t{1} << state.range(1), 1).value();
  for (auto _ : state) benchmark::DoNotOptimize(noise.Sample(bits).data());
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(DiskProductVectors)->ArgsProduct({{1, 64, 2048, 4096}, {20, 40, 62}});

void BallVectors(benchmark::State& state) {
  SystemBitSource bits;
  const BallNoise noise = BallNoise::Create(state.range(0), uint64_t{1} << state.range(1), 1).value();
  for (auto _ : state) benchmark::DoNotOptimize(noise.Sample(bits).data());
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BallVectors)->ArgsProduct({{1, 100, 1000}, {20, 40, 62}});

}  // namespace
}  // namespace dpkde
