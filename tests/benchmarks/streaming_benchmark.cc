// A whole build, as a user runs it: 10^6 rows of 64 columns, 2,048 Monte-Carlo frequencies.
//
//   bazel run //tests/benchmarks:streaming_benchmark
//
// Prints rows a second, peak memory and the share of the machine's sgemm rate (OpenBLAS, the shape of the phases, all
// cores, measured before and after in this process) that the build as a whole reaches: reading, phases, sines,
// rounding, checks. The rows are real: four letters of letter.npy each.

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/random/mersenne_twister.hpp>
#include <boost/random/uniform_int_distribution.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "dpkde/io/npy_writer.h"
#include "tests/testing/vectors.h"

extern "C" void sgemm_(const char* transa, const char* transb, const int* m, const int* n, const int* k,
                       const float* alpha, const float* a, const int* lda, const float* b, const int* ldb,
                       const float* beta, float* c, const int* ldc);

namespace dpkde {
namespace {

constexpr size_t kRows = 1000000;
constexpr size_t kColumns = 64;
constexpr size_t kFrequencies = 2048;

double Seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Multiply-adds a second.
double SgemmRate() {
  const int m = kFrequencies, n = 8192, k = kColumns;
  const std::vector<float> a(m * k, 0.5f), b(n * k, 0.25f);
  std::vector<float> c(static_cast<size_t>(m) * n);
  const float one = 1, zero = 0;
  double best = 0;
  for (int round = 0; round < 10; ++round) {
    const double start = Seconds();
    sgemm_("T", "N", &m, &n, &k, &one, a.data(), &k, b.data(), &k, &zero, c.data(), &m);
    best = std::max(best, static_cast<double>(m) * n * k / (Seconds() - start));
  }
  return best;
}

int Run(const std::string& tool, const std::string& letters_path) {
  const std::string folder = std::getenv("TMPDIR") != nullptr ? std::getenv("TMPDIR") : "/tmp";
  const std::string input = folder + "/dpkde_streaming_benchmark.npy",
                    output = folder + "/dpkde_streaming_benchmark.dpkde";
  {
    const Points letters = LoadPoints(letters_path);
    boost::random::mt19937_64 engine(1);
    boost::random::uniform_int_distribution<size_t> pick(0, letters.rows() - 1);
    std::ofstream file(input, std::ios::binary);
    file << NpyHeader<float>(kRows, kColumns);
    for (size_t r = 0; r < kRows; ++r) {
      for (int part = 0; part < 4; ++part) {
        file.write(reinterpret_cast<const char*>(letters.view().row(pick(engine)).data()), 16 * sizeof(float));
      }
    }
    if (!file.flush()) return std::fprintf(stderr, "%s: cannot be written\n", input.c_str()), 1;
  }
  const double before = SgemmRate();
  const double start = Seconds();
  const pid_t child = fork();
  if (child == 0) {
    execl(tool.c_str(), "dpkde_build", "density", ("--input=" + input).c_str(), "--similarity=gaussian",
          "--bandwidth=8", "--domain_min=0", "--domain_max=15", "--epsilon=1", "--delta=1e-6",
          "--neighboring=add_remove", "--expected_n=1000000", "--design=monte_carlo",
          ("--features=" + std::to_string(kFrequencies)).c_str(), "--overwrite", ("--output=" + output).c_str(),
          static_cast<char*>(nullptr));
    std::_Exit(127);
  }
  int status = 0;
  struct rusage usage;
  wait4(child, &status, 0, &usage);
  const double seconds = Seconds() - start;
  const double after = SgemmRate();
  unlink(input.c_str());
  unlink(output.c_str());
  if (status != 0) return std::fprintf(stderr, "%s failed\n", tool.c_str()), 1;
  const double rate = static_cast<double>(kRows) * kColumns * kFrequencies / seconds;
  std::printf("rows a second        %.4g\n", kRows / seconds);
  std::printf("multiply-adds        %.1f G/s of the phases alone; sgemm %.1f G/s before, %.1f after\n", rate / 1e9,
              before / 1e9, after / 1e9);
  std::printf("share of sgemm       %.2f\n", rate / std::max(before, after));
  std::printf("peak memory          %ld MB\n", usage.ru_maxrss / 1024);
  return 0;
}

}  // namespace
}  // namespace dpkde

int main(int argc, char** argv) {
  if (argc != 3) return std::fprintf(stderr, "usage: streaming_benchmark DPKDE_BUILD LETTERS\n"), 1;
  return dpkde::Run(argv[1], argv[2]);
}
