#ifndef DPKDE_INDEX_ANN_ROW_SET_H_
#define DPKDE_INDEX_ANN_ROW_SET_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace dpkde {

// A set of rows out of [0, size()): filters by id and removed documents. One bit a row.
class RowSet {
 public:
  explicit RowSet(size_t size, bool all = false) : size_(size), words_((size + 63) / 64, 0) {
    if (!all) return;
    for (uint64_t& word : words_) word = ~uint64_t{0};
    if (size % 64 != 0) words_.back() = (uint64_t{1} << size % 64) - 1;
    count_ = size;
  }

  size_t size() const { return size_; }
  size_t count() const { return count_; }
  bool contains(size_t row) const { return words_[row / 64] >> row % 64 & 1; }

  // Whether any of the rows [begin, end) is in the set.
  bool ContainsAnyOf(size_t begin, size_t end) const {
    for (size_t row = begin; row < end; row = row / 64 * 64 + 64) {
      uint64_t word = words_[row / 64] >> row % 64;
      if (end - row < 64) word &= (uint64_t{1} << (end - row)) - 1;
      if (word != 0) return true;
    }
    return false;
  }

  void Insert(size_t row) {
    count_ += !contains(row);
    words_[row / 64] |= uint64_t{1} << row % 64;
  }

  void Erase(size_t row) {
    count_ -= contains(row);
    words_[row / 64] &= ~(uint64_t{1} << row % 64);
  }

 private:
  size_t size_;
  size_t count_ = 0;
  std::vector<uint64_t> words_;
};

}  // namespace dpkde

#endif  // DPKDE_INDEX_ANN_ROW_SET_H_
