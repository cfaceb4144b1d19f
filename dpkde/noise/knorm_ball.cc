#include "dpkde/noise/knorm_ball.h"

#include <cmath>
#include <utility>

#include "absl/types/optional.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"
#include "dpkde/base/wipe.h"
#include "dpkde/noise/fatal.h"
#include "dpkde/noise/lazy_real.h"
#include "dpkde/noise/saturating_add.h"

// z = (radius/epsilon)·sqrt(V)·(g_1, .., g_d), V ~ chi²_{d+1} and g_i ~ N(0, 1) independent, has density
// ∝ exp(−epsilon·‖z‖_2/radius). Proof, radius = epsilon = 1: z is spherically symmetric, and so is the density, so it
// is enough that ‖z‖_2 = sqrt(V·‖g‖²) has the density's radial law, ∝ r^(d−1)·exp(−r): Gamma(d). With E[(chi²_k)^(s/2)]
// = 2^(s/2)·Γ((k+s)/2)/Γ(k/2), and Γ(x)·Γ(x + 1/2) = 2^(1−2x)·sqrt(pi)·Γ(2x) (duplication) at x = (d+s)/2 and x = d/2,
//   E[‖z‖^s] = 2^s·Γ((d+s)/2)·Γ((d+1+s)/2)/(Γ(d/2)·Γ((d+1)/2)) = Γ(d+s)/Γ(d)
// for all real s >= 0 (and imaginary s: the characteristic function of log‖z‖): the moments of Gamma(d), which fix the
// law.
//
// chi²_{d+1} is twice a Gamma of shape (d+1)/2: for odd d an integer shape; for even d, 2·Gamma(d/2) plus one squared
// normal.
//
// Variance: E[V]·E[g²] = d + 1.

namespace dpkde {
namespace {

// floor(sqrt(square)), by Newton's iteration from above: while root > sqrt(square), the next is smaller and, by the
// inequality of the means, at least floor(sqrt(square)). The start is the root of the leading 61 or 62 bits, rounded
// up; a double's error there is far below the 2 that is added. (Boost's sqrt goes bit by bit.)
NoiseInteger SquareRoot(const NoiseInteger& square) {
  if (square == 0) return 0;
  const unsigned length = msb(square) + 1;
  const unsigned dropped = length > 62 ? (length - 61) / 2 * 2 : 0;
  const uint64_t leading = static_cast<uint64_t>(NoiseInteger(square >> dropped));
  NoiseInteger root = NoiseInteger(static_cast<uint64_t>(std::sqrt(static_cast<double>(leading))) + 2) << (dropped / 2);
  while (true) {
    NoiseInteger next = (root + square / root) >> 1;
    if (next >= root) return root;
    root = std::move(next);
  }
}

// sqrt(V)·radius/epsilon.
class ChiScale final : public LazyScale {
 public:
  ChiScale(const NoiseScale& scale, uint64_t dimension, BitSource& bits)
      : scale_(scale), gamma_((dimension + 1) / 2, bits) {
    if (dimension % 2 == 0) normal_ = DrawNormal(bits);
    Update();
  }

  void Extend(BitSource& bits) override {
    gamma_.Extend(bits);
    // It may be ahead already.
    if (normal_.has_value() && normal_->fraction.words() < gamma_.words()) normal_->fraction.Extend(bits);
    Update();
  }

 private:
  void Update() {
    // In units of 2^(-2·fraction_bits), sqrt(V) then of 2^-fraction_bits.
    const int64_t fraction_bits = 64 * static_cast<int64_t>(gamma_.words());
    NoiseInteger low = gamma_.low() << (fraction_bits + 1);
    NoiseInteger high = (gamma_.low() + gamma_.shape()) << (fraction_bits + 1);
    if (normal_.has_value()) {
      const size_t ahead = normal_->fraction.words() - gamma_.words();
      const NoiseInteger digits =
          (NoiseInteger(normal_->integer) << fraction_bits) + (normal_->fraction.Digits() >> (64 * ahead));
      low += digits * digits;
      high += (digits + 1) * (digits + 1);
    }
    Set(gamma_.words(), scale_.Times({SquareRoot(low), SquareRoot(high) + 1, -fraction_bits}));
  }

  const NoiseScale& scale_;
  LazyGamma gamma_;
  absl::optional<LazyReal> normal_;
};

}  // namespace

absl::StatusOr<BallNoise> BallNoise::Create(uint64_t dimension, uint64_t radius, double epsilon) {
  DPKDE_RETURN_IF_ERROR(
      CheckInRange("dimension", static_cast<int64_t>(dimension), 1, static_cast<int64_t>(kMaxKNormDimension)));
  DPKDE_RETURN_IF_ERROR(CheckNoiseScale("radius", radius, epsilon));
  return BallNoise(dimension, NoiseScale(radius, epsilon));
}

PrivateVector<absl::int128> BallNoise::Sample(BitSource& bits) const {
  ChiScale scale(radius_, dimension_, bits);
  PrivateVector<absl::int128> noise;
  noise.reserve(dimension_);
  for (uint64_t i = 0; i < dimension_; ++i) {
    LazyReal normal = DrawNormal(bits);
    noise.push_back(RoundedProduct(scale, normal, bits));
  }
  return noise;
}

void BallNoise::AddTo(absl::Span<int64_t> values, BitSource& bits) const {
  if (values.size() != dimension_) Fatal("BallNoise: as many values as dimensions");
  const PrivateVector<absl::int128> noise = Sample(bits);
  for (uint64_t i = 0; i < dimension_; ++i) values[i] = SaturatingAdd(values[i], noise[i]);
}

double BallNoise::Variance() const {
  return (static_cast<double>(dimension_) + 1) * radius_.value() * radius_.value() + 1.0 / 12;
}

}  // namespace dpkde
