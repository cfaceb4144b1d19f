#ifndef DPKDE_PRIVACY_DECIMAL_H_
#define DPKDE_PRIVACY_DECIMAL_H_

#include <boost/multiprecision/cpp_int.hpp>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace dpkde {

// An exact decimal number of at least 0 with at most 60 decimal places: what budgets are declared and added up in, so
// that ten times 0.1 are 1 and an eleventh 0.0000001 is too much.
//
//   DPKDE_ASSIGN_OR_RETURN(Decimal budget, Decimal::Parse("1.0"));
//   DPKDE_ASSIGN_OR_RETURN(Decimal cost, Decimal::FromDouble(0.1));  // 0.1, though the double is a little more
//
// Sums are exact; whatever is not exact says which way it rounds.
class Decimal {
 public:
  static constexpr int kPlaces = 60;

  Decimal() = default;  // 0

  // "1", "0.1", "1e-6": exactly that number. kInvalidArgument unless it is one, is at least 0 and at most 10^12, and
  // has at most kPlaces decimal places.
  static absl::StatusOr<Decimal> Parse(absl::string_view text);

  // The shortest decimal that reads back as `value`: what a user has written who wrote `value`. It may differ from the
  // double by half a unit in its last place, either way; see LargestDoubleWithin. Places beyond kPlaces are rounded up.
  // kInvalidArgument unless 0 <= value <= 10^12.
  static absl::StatusOr<Decimal> FromDouble(double value);

  // At least `value`, and more by 10^-18 of it at most (or 10^-kPlaces): for what was computed. kInvalidArgument unless
  // 0 <= value <= 10^12.
  static absl::StatusOr<Decimal> UpperBound(double value);
  // Likewise at most `value`.
  static absl::StatusOr<Decimal> LowerBound(double value);

  // The greatest double that is at most this number: noise calibrated to it costs no more than the decimal says.
  double LargestDoubleWithin() const;
  // The least double that is at least this number.
  double SmallestDoubleAbove() const;

  // Canonical; Parse() gives the same number back. Small numbers as "1e-6".
  std::string ToString() const;

  bool IsZero() const { return units_ == 0; }

  friend Decimal operator+(const Decimal& a, const Decimal& b) { return Decimal(a.units_ + b.units_); }
  friend Decimal operator*(int factor, const Decimal& a) { return Decimal(a.units_ * factor); }
  // a - b, or 0 if that is negative.
  static Decimal Difference(const Decimal& a, const Decimal& b) {
    return a < b ? Decimal() : Decimal(a.units_ - b.units_);
  }
  // a * b / divisor; places beyond kPlaces are rounded up.
  static Decimal ProductRoundedUp(const Decimal& a, const Decimal& b, int divisor = 1);

  friend bool operator<(const Decimal& a, const Decimal& b) { return a.units_ < b.units_; }
  friend bool operator<=(const Decimal& a, const Decimal& b) { return a.units_ <= b.units_; }
  friend bool operator==(const Decimal& a, const Decimal& b) { return a.units_ == b.units_; }
  friend bool operator!=(const Decimal& a, const Decimal& b) { return a.units_ != b.units_; }

 private:
  using Integer = boost::multiprecision::cpp_int;

  explicit Decimal(Integer units) : units_(std::move(units)) {}

  Integer units_ = 0;  // of 10^-kPlaces
};

}  // namespace dpkde

#endif  // DPKDE_PRIVACY_DECIMAL_H_
