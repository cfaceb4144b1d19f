#include "dpkde/privacy/decimal.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <string>

namespace dpkde {
namespace {

TEST(DecimalTest, TenTenthsAreOne) {
  Decimal sum;
  for (int i = 0; i < 10; ++i) sum = sum + *Decimal::FromDouble(0.1);
  EXPECT_EQ(sum, *Decimal::Parse("1.0"));
  EXPECT_LT(sum, sum + *Decimal::Parse("0.0000001"));
  // The control: doubles do not do that.
  double doubles = 0;
  for (int i = 0; i < 10; ++i) doubles += 0.1;
  EXPECT_NE(doubles, 1.0);
}

TEST(DecimalTest, HasOneFormForEachNumber) {
  const struct {
    const char *text, *canonical;
  } cases[] = {{"0", "0"},
               {"0.0e5", "0"},
               {"1", "1"},
               {"1.0", "1"},
               {"010", "10"},
               {"1e3", "1000"},
               {"1.5e+3", "1500"},
               {"12.340", "12.34"},
               {".5", "0.5"},
               {"0.00001", "0.00001"},
               {"0.000001", "1e-6"},
               {"1E-06", "1e-6"},
               {"0.00000123", "1.23e-6"},
               {"1e12", "1000000000000"},
               {"1e-60", "1e-60"},
               {"10e-61", "1e-60"},
               {"123456789.000000001", "123456789.000000001"}};
  for (const auto& test : cases) {
    const auto value = Decimal::Parse(test.text);
    ASSERT_TRUE(value.ok()) << test.text << value.status();
    EXPECT_EQ(value->ToString(), test.canonical) << test.text;
    EXPECT_EQ(*Decimal::Parse(value->ToString()), *value);
  }
}

TEST(DecimalTest, RefusesWhatIsNoAmount) {
  for (const char* text :
       {"",    ".",   "1.", "-1", "-0",   "+1",    "nan",   "inf",    "1e",      "1e+",  "1e--2", "1e1000",
        "0x1", "1,5", " 1", "1 ", "1e13", "1e999", "1e-61", "1e-999", "1.5e-60", "1..2", "1e2.5"}) {
    EXPECT_EQ(Decimal::Parse(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
  EXPECT_FALSE(Decimal::Parse(std::string(1000, '1')).ok());
  for (double value : {-1.0, -1e-300, std::nan(""), HUGE_VAL, 1.1e12}) {
    EXPECT_FALSE(Decimal::FromDouble(value).ok()) << value;
    EXPECT_FALSE(Decimal::UpperBound(value).ok()) << value;
  }
}

TEST(DecimalTest, DoublesEnterAsTheyAreWrittenOrRoundedUp) {
  EXPECT_EQ(Decimal::FromDouble(1e-6)->ToString(), "1e-6");
  EXPECT_EQ(Decimal::FromDouble(0.3)->ToString(), "0.3");
  EXPECT_EQ(Decimal::FromDouble(1e12)->ToString(), "1000000000000");
  EXPECT_EQ(Decimal::FromDouble(-0.0)->ToString(), "0");
  EXPECT_EQ(Decimal::UpperBound(0.5)->ToString(), "0.5");
  // 0.1000000000000000055511151231257827...
  EXPECT_EQ(Decimal::UpperBound(0.1)->ToString(), "0.1000000000000000056");
  EXPECT_EQ(Decimal::LowerBound(0.1)->ToString(), "0.1000000000000000055");
  for (double tiny : {1e-70, std::numeric_limits<double>::denorm_min()}) {
    EXPECT_EQ(Decimal::FromDouble(tiny)->ToString(), "1e-60");
    EXPECT_EQ(Decimal::UpperBound(tiny)->ToString(), "1e-60");
    EXPECT_TRUE(Decimal::LowerBound(tiny)->IsZero());
  }
}

TEST(DecimalTest, ReturnsToDoublesOnTheSideThatIsSaid) {
  // The double 0.1 is a little more than the decimal, 0.3 a little less.
  EXPECT_EQ(Decimal::Parse("0.1")->LargestDoubleWithin(), std::nextafter(0.1, 0));
  EXPECT_EQ(Decimal::Parse("0.1")->SmallestDoubleAbove(), 0.1);
  EXPECT_EQ(Decimal::Parse("0.3")->LargestDoubleWithin(), 0.3);
  EXPECT_EQ(Decimal::Parse("0.3")->SmallestDoubleAbove(), std::nextafter(0.3, 1));
  EXPECT_EQ(Decimal().LargestDoubleWithin(), 0);
  EXPECT_EQ(Decimal().SmallestDoubleAbove(), 0);
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> exponent(-30, 11);
  for (int i = 0; i < 2000; ++i) {
    const double value = std::pow(10, exponent(random));
    const Decimal above = *Decimal::UpperBound(value);
    EXPECT_GE(above.LargestDoubleWithin(), value);
    EXPECT_LE(above.SmallestDoubleAbove(), std::nextafter(value, HUGE_VAL));
    EXPECT_LE(Decimal::LowerBound(value)->SmallestDoubleAbove(), value);
    const Decimal written = *Decimal::FromDouble(value);
    EXPECT_EQ(std::stod(written.ToString()), value);
    EXPECT_LE(written.LargestDoubleWithin(), value);
    EXPECT_GE(written.SmallestDoubleAbove(), value);
  }
}

TEST(DecimalTest, MultipliesRoundingUp) {
  const Decimal tenth = *Decimal::Parse("0.1");
  EXPECT_EQ(Decimal::ProductRoundedUp(tenth, tenth, 2).ToString(), "0.005");
  const Decimal tiny = *Decimal::Parse("1e-40");
  EXPECT_EQ(Decimal::ProductRoundedUp(tiny, tiny).ToString(), "1e-60");
  EXPECT_EQ(Decimal::ProductRoundedUp(*Decimal::Parse("1"), *Decimal::Parse("1"), 3).ToString(),
            "0." + std::string(59, '3') + "4");
  EXPECT_EQ((4 * tenth).ToString(), "0.4");
  EXPECT_EQ(Decimal::Difference(tenth, 2 * tenth), Decimal());
  EXPECT_EQ(Decimal::Difference(4 * tenth, tenth).ToString(), "0.3");
}

}  // namespace
}  // namespace dpkde
