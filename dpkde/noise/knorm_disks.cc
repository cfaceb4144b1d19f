#include "dpkde/noise/knorm_disks.h"

#include <utility>

#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"
#include "dpkde/base/wipe.h"
#include "dpkde/noise/fatal.h"
#include "dpkde/noise/lazy_real.h"
#include "dpkde/noise/saturating_add.h"

// z = r·u, r ~ Gamma(d + 1, 1/epsilon) and u uniform in K independent, has density ∝ exp(−epsilon·‖z‖_K) (Hardt and
// Talwar 2010, section 4). Proof: given r, z is uniform in r·K, with density 1/(r^d·vol K) where ‖z‖_K <= r. Over r of
// density epsilon^(d+1)·r^d·exp(−epsilon·r)/d!, that is ∫_{‖z‖_K}^∞ epsilon^(d+1)·exp(−epsilon·r)/(d!·vol K) dr =
// epsilon^d·exp(−epsilon·‖z‖_K)/(d!·vol K).
//
// ‖u‖_K has the distribution function t^d on [0, 1], so ‖z‖_K ~ Gamma(d, 1/epsilon).
//
// u uniform in a product is uniform in each factor, independently. So z_k = (r·epsilon)·(modulus/epsilon)·u_k,
// r·epsilon ~ Gamma(d + 1, 1) common to all, u_k a point of the unit disk or the unit interval.
//
// Variance: E[(r·epsilon)^2] = (d + 1)(d + 2). A coordinate of the unit disk has E[x^2] = E[ρ^2]/2 = 1/4 (ρ^2 is
// uniform), one of the interval 1/3.

namespace dpkde {
namespace {

// Gamma(d + 1, 1) times bound/epsilon. Several may share one gamma.
class GammaScale final : public LazyScale {
 public:
  GammaScale(const NoiseScale& scale, LazyGamma& gamma) : scale_(scale), gamma_(gamma) { Update(); }

  void Extend(BitSource& bits) override {
    if (gamma_.words() == words()) gamma_.Extend(bits);
    Update();
  }

 private:
  void Update() {
    const int64_t fraction_bits = 64 * static_cast<int64_t>(gamma_.words());
    Set(gamma_.words(), scale_.Times({gamma_.low(), gamma_.low() + gamma_.shape(), -fraction_bits}));
  }

  const NoiseScale& scale_;
  LazyGamma& gamma_;
};

// Whether x^2 + y^2 < 1. Of what lies in the square [a, a + 1] x [b, b + 1] of the grid of 2^-64 (and finer ones), all
// is inside if the farthest corner is, and all is outside if the nearest is; on a boundary there is nothing, almost
// surely.
bool InsideDiskSlow(LazyUniform& x, LazyUniform& y, BitSource& bits) {
  while (true) {
    const NoiseInteger a = x.Digits();
    const NoiseInteger b = y.Digits();
    const NoiseInteger one = NoiseInteger(1) << (128 * x.words());
    if (a * a + b * b >= one) return false;
    if ((a + 1) * (a + 1) + (b + 1) * (b + 1) <= one) return true;
    x.Extend(bits);
    y.Extend(bits);
  }
}

// The same by 63 bits, which decide but with probability near 2^-62.
bool InsideDisk(LazyUniform& x, LazyUniform& y, BitSource& bits) {
  using Uint128 = unsigned __int128;
  constexpr Uint128 kOne = Uint128{1} << 126;
  const Uint128 a = x.word(0) >> 1;
  const Uint128 b = y.word(0) >> 1;
  if (a * a + b * b >= kOne) return false;
  if ((a + 1) * (a + 1) + (b + 1) * (b + 1) <= kOne) return true;
  return InsideDiskSlow(x, y, bits);
}

struct DiskPoint {
  LazyReal x;
  LazyReal y;
};

// Uniform in the unit disk: a point of the unit square is kept if it is inside, with probability pi/4, and moved to one
// of the four quadrants.
DiskPoint DrawDiskPoint(BitSource& bits) {
  while (true) {
    LazyUniform x(bits);
    LazyUniform y(bits);
    if (!InsideDisk(x, y, bits)) continue;
    const uint64_t signs = bits.NextWord();
    return {{(signs & 1) != 0, 0, std::move(x)}, {(signs & 2) != 0, 0, std::move(y)}};
  }
}

absl::Status CheckDimension(uint64_t pairs) {
  return CheckInRange("pairs", static_cast<int64_t>(pairs), 1, static_cast<int64_t>(kMaxKNormDimension / 2 - 1));
}

double Variance(uint64_t dimension, double scale, double divisor) {
  const double d = static_cast<double>(dimension);
  return (d + 1) * (d + 2) / divisor * scale * scale + 1.0 / 12;
}

}  // namespace

absl::StatusOr<DiskProductNoise> DiskProductNoise::Create(uint64_t pairs, uint64_t modulus, double epsilon) {
  DPKDE_RETURN_IF_ERROR(CheckDimension(pairs));
  DPKDE_RETURN_IF_ERROR(CheckNoiseScale("modulus", modulus, epsilon));
  return DiskProductNoise(pairs, NoiseScale(modulus, epsilon), absl::nullopt);
}

absl::StatusOr<DiskProductNoise> DiskProductNoise::CreateWithCount(uint64_t pairs, uint64_t modulus,
                                                                   uint64_t count_bound, double epsilon) {
  DPKDE_RETURN_IF_ERROR(CheckDimension(pairs));
  DPKDE_RETURN_IF_ERROR(CheckNoiseScale("modulus", modulus, epsilon));
  DPKDE_RETURN_IF_ERROR(CheckNoiseScale("count_bound", count_bound, epsilon));
  return DiskProductNoise(pairs, NoiseScale(modulus, epsilon), NoiseScale(count_bound, epsilon));
}

PrivateVector<absl::int128> DiskProductNoise::Sample(BitSource& bits) const {
  LazyGamma gamma(dimension() + 1, bits);
  GammaScale scale(modulus_, gamma);
  PrivateVector<absl::int128> noise;
  noise.reserve(dimension());
  for (uint64_t k = 0; k < pairs_; ++k) {
    DiskPoint point = DrawDiskPoint(bits);
    noise.push_back(RoundedProduct(scale, point.x, bits));
    noise.push_back(RoundedProduct(scale, point.y, bits));
  }
  if (count_.has_value()) {
    GammaScale count_scale(*count_, gamma);
    LazyUniform magnitude(bits);
    LazyReal u{bits.NextWord() % 2 == 1, 0, std::move(magnitude)};
    noise.push_back(RoundedProduct(count_scale, u, bits));
  }
  return noise;
}

void DiskProductNoise::AddTo(absl::Span<int64_t> cosines, absl::Span<int64_t> sines, BitSource& bits) const {
  if (has_count()) Fatal("DiskProductNoise: this noise has a count, and none was given");
  AddPairs(Sample(bits), cosines, sines);
}

void DiskProductNoise::AddTo(absl::Span<int64_t> cosines, absl::Span<int64_t> sines, int64_t& count,
                             BitSource& bits) const {
  if (!has_count()) Fatal("DiskProductNoise: this noise has no count, and one was given");
  const PrivateVector<absl::int128> noise = Sample(bits);
  AddPairs(noise, cosines, sines);
  count = SaturatingAdd(count, noise.back());
}

void DiskProductNoise::AddPairs(absl::Span<const absl::int128> noise, absl::Span<int64_t> cosines,
                                absl::Span<int64_t> sines) const {
  if (cosines.size() != pairs_ || sines.size() != pairs_) Fatal("DiskProductNoise: not one cosine and one sine a pair");
  for (uint64_t k = 0; k < pairs_; ++k) {
    cosines[k] = SaturatingAdd(cosines[k], noise[2 * k]);
    sines[k] = SaturatingAdd(sines[k], noise[2 * k + 1]);
  }
}

double DiskProductNoise::PairVariance() const { return Variance(dimension(), modulus_.value(), 4); }

double DiskProductNoise::CountVariance() const { return has_count() ? Variance(dimension(), count_->value(), 3) : 0; }

}  // namespace dpkde
