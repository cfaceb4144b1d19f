#include "dpkde/index/maxsim/ball_carving.h"

#include <cmath>
#include <cstddef>
#include <numeric>

namespace dpkde {
namespace {

double Product(absl::Span<const float> x, absl::Span<const float> y) {
  return std::inner_product(x.begin(), x.end(), y.begin(), 0.0);
}

}  // namespace

std::vector<float> CarveBalls(MatrixView tokens, double least_cosine) {
  std::vector<double> norms(tokens.rows);
  for (size_t i = 0; i < tokens.rows; ++i) norms[i] = std::sqrt(Product(tokens.row(i), tokens.row(i)));
  std::vector<float> carved;
  std::vector<bool> taken(tokens.rows);
  for (size_t centre = 0; centre < tokens.rows; ++centre) {
    if (taken[centre]) continue;
    std::vector<double> sum(tokens.row(centre).begin(), tokens.row(centre).end());
    for (size_t i = centre + 1; i < tokens.rows; ++i) {
      if (taken[i]) continue;
      const double scale = norms[centre] * norms[i];
      const double cosine = scale > 0 ? Product(tokens.row(centre), tokens.row(i)) / scale : 0;
      if (cosine < least_cosine) continue;
      taken[i] = true;
      for (size_t j = 0; j < tokens.columns; ++j) sum[j] += tokens.row(i)[j];
    }
    carved.insert(carved.end(), sum.begin(), sum.end());
  }
  return carved;
}

}  // namespace dpkde
