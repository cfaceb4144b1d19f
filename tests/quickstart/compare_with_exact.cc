// Prints a table of exact and private sums:
//
//   compare_with_exact records.npy queries.csv names.txt first.dpkde second.dpkde
//
// It reads the private records, so its output is as private as they are. For demonstrations on data that are no secret.

#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/sketch/release.h"
#include "dpkde/tools/load_release.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

int Compare(const std::string& records_path, const std::string& queries_path, const std::string& names_path,
            const std::vector<std::string>& release_paths) {
  const Points records = LoadPoints(records_path), queries = LoadPoints(queries_path);
  std::vector<std::string> names;
  std::ifstream file(names_path);
  for (std::string line; std::getline(file, line);) names.push_back(line);
  if (names.size() != queries.rows()) {
    absl::FPrintF(stderr, "%s: must have a name for each of %d queries, but has %d\n", names_path, queries.rows(),
                  names.size());
    return 1;
  }
  ThreadPool pool;
  std::vector<double> exact(queries.rows());
  std::vector<std::vector<DensityEstimate>> estimates;
  absl::PrintF("%-14s %10s", "", "exact sum");
  for (const std::string& path : release_paths) {
    const auto release = LoadRelease(path);
    if (!release.ok()) {
      absl::FPrintF(stderr, "%s\n", std::string(release.status().message()));
      return 1;
    }
    if (estimates.empty()) release->similarity().Sum(records.view(), queries.view(), pool, absl::MakeSpan(exact));
    const auto answers = release->Estimate(queries.view(), pool);
    if (!answers.ok()) {
      absl::FPrintF(stderr, "%s\n", std::string(answers.status().message()));
      return 1;
    }
    estimates.push_back(*answers);
    const proto::Certificate& certificate = release->certificate();
    absl::PrintF("   | %-28s", certificate.delta_spent() > 0
                                   ? absl::StrFormat("epsilon %.3g, delta %.3g", certificate.epsilon_spent(),
                                                     certificate.delta_spent())
                                   : absl::StrFormat("epsilon %.3g, pure", certificate.epsilon_spent()));
  }
  absl::PrintF("\n");
  for (size_t i = 0; i < names.size(); ++i) {
    absl::PrintF("%-14s %10.1f", names[i], exact[i]);
    for (const auto& of_release : estimates) {
      absl::PrintF("   | %8.1f +- %4.1f (off %+5.1f)", of_release[i].sum, of_release[i].std_error,
                   of_release[i].sum - exact[i]);
    }
    absl::PrintF("\n");
  }
  return 0;
}

}  // namespace
}  // namespace dpkde

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: compare_with_exact RECORDS QUERIES NAMES RELEASE...\n");
    return 1;
  }
  return dpkde::Compare(argv[1], argv[2], argv[3], {argv + 4, argv + argc});
}
