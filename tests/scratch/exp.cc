#include <cmath>
#include <cstdio>
#include <chrono>
#include "dpkde/base/thread_pool.h"
#include "dpkde/designs/design_factory.h"
#include "dpkde/noise/mechanism.h"
#include "tests/testing/specs.h"
#include "tests/testing/vectors.h"
using namespace dpkde;
int main() {
  ThreadPool pool(1);
  Points points = LoadPoints("tests/testdata/us_zipcodes.npy");
  Points queries = SampleRows(points, 500, 1);
  using S = proto::SimilaritySpec;
  for (auto [kind, h] : {std::pair{S::GAUSSIAN, 1.0}, {S::GAUSSIAN, 10.0}, {S::EXPONENTIAL, 1.0}, {S::MATERN, 1.0}, {S::CAUCHY, 1.0}, {S::INVERSE_L2,1.0}, {S::LAPLACIAN,1.0}}) {
    Similarity sim = MakeSimilarity(kind, h, 1.5);
    std::vector<double> exact(500);
    sim.Sum(points.view(), queries.view(), pool, absl::MakeSpan(exact));
    double mean = 0; for (double e : exact) mean += e / 500;
    std::printf("%s h=%g mean %.1f s=%.4f\n", sim.name().c_str(), h, mean, mean / points.rows());
    for (double ratio : {0.35, 0.7, 1.0, 1.5}) {
      for (double ridge : {1e-6, 1e-4, 1e-3}) {
        if (ridge == 1e-4 || (ridge>1e-4 && kind!=S::GAUSSIAN)) continue;
        auto t0 = std::chrono::steady_clock::now();
        auto d = CreateDesign(sim, 2, ZipCodeDomain(), SplineGridDesign({(uint32_t)std::ceil(120 / ratio / h), (uint32_t)std::ceil(57 / ratio / h)}, ridge));
        auto t1 = std::chrono::steady_clock::now();
        auto m = Mechanism::Calibrate(proto::LAPLACE, (*d)->groups(), PureAddRemove(1));
        std::vector<int64_t> sums((*d)->num_coordinates());
        (*d)->Accumulate(points.view(), absl::MakeSpan(sums));
        auto t2 = std::chrono::steady_clock::now();
        auto f = (*d)->MakeReleasedFunction(sums, m->variances());
        auto t3 = std::chrono::steady_clock::now();
        std::vector<Answer> a(500);
        f->Evaluate(queries.view(), absl::MakeSpan(a));
        auto t4 = std::chrono::steady_clock::now();
        double e2 = 0, v = 0;
        for (int q = 0; q < 500; ++q) { e2 += std::pow(a[q].sum - exact[q], 2) / 500; v += a[q].noise_variance / 500; }
        auto ms = [](auto a, auto b) { return std::chrono::duration<double>(b - a).count() * 1e3; };
        std::printf("  ratio %.2f ridge %.0e noise pred %.3f meas %.3f | approx meas %.3f pred %.3f | create %.0f ms table %.0f ms query %.2f us\n", ratio, ridge,
          std::sqrt(m->PredictedVariance()) / kGridUnit, std::sqrt(v), std::sqrt(e2), (*d)->TypicalApproximationError(points.rows(), mean / points.rows()), ms(t0, t1), ms(t2, t3), ms(t3, t4) * 2);
      }
    }
  }
}
