#include "dpkde/privacy/decimal.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/status_macros.h"

namespace dpkde {
namespace {

using Integer = boost::multiprecision::cpp_int;

constexpr double kLargest = 1e12;
// Long enough for whatever is meant, short enough for nobody to fill memory.
constexpr size_t kLongestText = 200;

const Integer& PowerOfTen(int exponent) {
  static const std::vector<Integer>& powers = *[] {
    auto* all = new std::vector<Integer>{1};
    for (int i = 0; i < 600; ++i) all->push_back(all->back() * 10);
    return all;
  }();
  return powers[exponent];
}

Integer QuotientRoundedUp(const Integer& a, const Integer& b) { return (a + b - 1) / b; }

struct Digits {
  Integer value;  // the number is value * 10^exponent
  int exponent;
};

// [0-9]+ or [0-9]*.[0-9]+, then perhaps e, a sign and up to three digits.
absl::StatusOr<Digits> ParseDigits(absl::string_view text) {
  const absl::Status error =
      absl::InvalidArgumentError(absl::StrCat("must be a decimal number of at least 0, but is '", text, "'"));
  if (text.size() > kLongestText) return error;
  const size_t end = std::min(text.find_first_of("eE"), text.size());
  absl::string_view mantissa = text.substr(0, end);
  int exponent = 0;
  if (end < text.size()) {
    absl::string_view power = text.substr(end + 1);
    const bool has_sign = absl::StartsWith(power, "-") || absl::StartsWith(power, "+");
    const absl::string_view digits = power.substr(has_sign ? 1 : 0);
    const bool is_number = std::all_of(digits.begin(), digits.end(), absl::ascii_isdigit);
    if (!is_number || digits.empty() || digits.size() > 3 || !absl::SimpleAtoi(power, &exponent)) return error;
  }
  const size_t point = mantissa.find('.');
  std::string digits(mantissa);
  if (point != absl::string_view::npos) {
    exponent -= static_cast<int>(mantissa.size() - point - 1);
    digits.erase(point, 1);
    if (point + 1 == mantissa.size()) return error;
  }
  if (digits.empty() || !std::all_of(digits.begin(), digits.end(), absl::ascii_isdigit)) return error;
  // A leading zero would mean base eight.
  digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size()));
  return Digits{digits.empty() ? Integer(0) : Integer(digits), exponent};
}

absl::Status CheckDouble(double value) {
  if (value >= 0 && value <= kLargest) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("must be at least 0 and at most ", kLargest, ", but is ", value));
}

// `value` in units of 10^-kPlaces, down or up to a whole number.
Integer Units(double value, bool round_up) {
  int exponent;
  const double mantissa = std::ldexp(std::frexp(value, &exponent), std::numeric_limits<double>::digits);
  exponent -= std::numeric_limits<double>::digits;
  const Integer scaled = Integer(static_cast<int64_t>(mantissa)) * PowerOfTen(Decimal::kPlaces);
  if (exponent >= 0) return scaled << exponent;
  const Integer divisor = boost::multiprecision::pow(Integer(2), -exponent);
  return round_up ? QuotientRoundedUp(scaled, divisor) : Integer(scaled / divisor);
}

// Without the digits that say nothing beyond the precision of doubles.
Integer Shortened(const Integer& units, bool round_up) {
  constexpr int kDigits = 19;
  const int surplus = static_cast<int>(units.str().size()) - kDigits;
  if (surplus <= 0) return units;
  const Integer& divisor = PowerOfTen(surplus);
  return (round_up ? QuotientRoundedUp(units, divisor) : Integer(units / divisor)) * divisor;
}

}  // namespace

absl::StatusOr<Decimal> Decimal::Parse(absl::string_view text) {
  DPKDE_ASSIGN_OR_RETURN(const Digits digits, ParseDigits(text));
  if (digits.value == 0) return Decimal();
  const int shift = digits.exponent + kPlaces;
  if (shift < 0) {
    const Integer& divisor = PowerOfTen(std::min(-shift, 599));
    if (digits.value % divisor != 0 || -shift > 599) {
      return absl::InvalidArgumentError(
          absl::StrCat("must have at most ", kPlaces, " decimal places, but is '", text, "'"));
    }
    return Decimal(Integer(digits.value / divisor));
  }
  const Integer largest = Integer(static_cast<int64_t>(kLargest)) * PowerOfTen(kPlaces);
  if (shift > 599 || digits.value * PowerOfTen(shift) > largest) {
    return absl::InvalidArgumentError(absl::StrCat("must be at most ", kLargest, ", but is '", text, "'"));
  }
  return Decimal(Integer(digits.value * PowerOfTen(shift)));
}

absl::StatusOr<Decimal> Decimal::FromDouble(double value) {
  DPKDE_RETURN_IF_ERROR(CheckDouble(value));
  char buffer[64];
  const std::to_chars_result end = std::to_chars(buffer, buffer + sizeof(buffer), std::abs(value));
  DPKDE_ASSIGN_OR_RETURN(const Digits digits, ParseDigits(absl::string_view(buffer, end.ptr - buffer)));
  const int shift = digits.exponent + kPlaces;
  return Decimal(shift >= 0 ? Integer(digits.value * PowerOfTen(shift))
                            : QuotientRoundedUp(digits.value, PowerOfTen(-shift)));
}

absl::StatusOr<Decimal> Decimal::UpperBound(double value) {
  DPKDE_RETURN_IF_ERROR(CheckDouble(value));
  return Decimal(Shortened(Units(value, /*round_up=*/true), /*round_up=*/true));
}

absl::StatusOr<Decimal> Decimal::LowerBound(double value) {
  DPKDE_RETURN_IF_ERROR(CheckDouble(value));
  return Decimal(Shortened(Units(value, /*round_up=*/false), /*round_up=*/false));
}

double Decimal::LargestDoubleWithin() const {
  double value = 0;
  if (!absl::SimpleAtod(ToString(), &value)) return 0;
  while (Units(value, /*round_up=*/true) > units_) value = std::nextafter(value, 0.0);
  return value;
}

double Decimal::SmallestDoubleAbove() const {
  double value = LargestDoubleWithin();
  while (Units(value, /*round_up=*/false) < units_) {
    value = std::nextafter(value, std::numeric_limits<double>::infinity());
  }
  return value;
}

std::string Decimal::ToString() const {
  if (units_ == 0) return "0";
  std::string digits = units_.str();
  int exponent = static_cast<int>(digits.size()) - 1 - kPlaces;  // of the first digit
  digits.erase(digits.find_last_not_of('0') + 1);
  const int places = std::max(0, static_cast<int>(digits.size()) - 1 - exponent);
  if (exponent < -5) {
    std::string rest = digits.substr(1);
    return absl::StrCat(digits.substr(0, 1), rest.empty() ? "" : ".", rest, "e", exponent);
  }
  if (exponent < 0) digits.insert(0, -exponent, '0');
  digits.resize(std::max<size_t>(digits.size(), std::max(exponent, 0) + 1), '0');
  if (places > 0) digits.insert(digits.size() - places, ".");
  return digits;
}

Decimal Decimal::ProductRoundedUp(const Decimal& a, const Decimal& b, int divisor) {
  return Decimal(QuotientRoundedUp(a.units_ * b.units_, PowerOfTen(kPlaces) * divisor));
}

}  // namespace dpkde
