#include "dpkde/index/encoding/candidate_recall.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <vector>

namespace dpkde {

double CandidateRecall(absl::Span<const float> estimates, absl::Span<const float> exact, size_t queries, size_t k,
                       size_t candidates) {
  if (queries == 0 || exact.empty()) return 1;
  const size_t documents = exact.size() / queries;
  k = std::min(k, documents);
  candidates = std::min(candidates, documents);
  if (k == 0) return 1;
  double sum = 0;
  std::vector<float> best(documents);
  std::vector<size_t> order(documents);
  for (size_t q = 0; q < queries; ++q) {
    const absl::Span<const float> scores = exact.subspan(q * documents, documents);
    const absl::Span<const float> guesses = estimates.subspan(q * documents, documents);
    std::copy(scores.begin(), scores.end(), best.begin());
    std::nth_element(best.begin(), best.begin() + k - 1, best.end(), std::greater<float>());
    const float least = best[k - 1] - kRecallTolerance * std::abs(best[k - 1]);
    std::iota(order.begin(), order.end(), size_t{0});
    if (candidates < documents) {
      std::nth_element(order.begin(), order.begin() + candidates, order.end(),
                       [&](size_t a, size_t b) { return guesses[a] != guesses[b] ? guesses[a] > guesses[b] : a < b; });
    }
    const size_t found = std::count_if(order.begin(), order.begin() + candidates,
                                       [&](size_t document) { return scores[document] >= least; });
    sum += static_cast<double>(std::min(found, k)) / k;
  }
  return sum / queries;
}

}  // namespace dpkde
