#include "dpkde/index/ann/row_set.h"

#include <random>
#include <set>

#include "gtest/gtest.h"

namespace dpkde {
namespace {

TEST(RowSetTest, AgreesWithASet) {
  std::mt19937 random(1);
  for (const size_t size : {0, 1, 63, 64, 65, 200}) {
    for (const bool all : {false, true}) {
      RowSet rows(size, all);
      std::set<size_t> expected;
      for (size_t i = 0; i < size && all; ++i) expected.insert(i);
      EXPECT_EQ(rows.count(), expected.size());
      for (int step = 0; step < 300 && size > 0; ++step) {
        const size_t row = random() % size;
        if (random() % 3 == 0) {
          rows.Insert(row);
          expected.insert(row);
        } else {
          rows.Erase(row);
          expected.erase(row);
        }
        ASSERT_EQ(rows.count(), expected.size());
        ASSERT_EQ(rows.contains(row), expected.count(row) == 1);
        const size_t begin = random() % size, end = begin + random() % (size - begin + 1);
        ASSERT_EQ(rows.ContainsAnyOf(begin, end), expected.lower_bound(begin) != expected.lower_bound(end));
      }
    }
  }
}

}  // namespace
}  // namespace dpkde
