#ifndef DPKDE_INDEX_CORPUS_TOKEN_SETS_H_
#define DPKDE_INDEX_CORPUS_TOKEN_SETS_H_

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "dpkde/base/matrix_view.h"

namespace dpkde {

// Sets of token vectors, one a document or query, that somebody else owns: all tokens as rows of one dense row-major
// matrix of float32, those of a set side by side. Set i is the tokens [offsets[i], offsets[i + 1]); it may be empty.
// Pass it by value.
struct TokenSetsView {
  const float* tokens = nullptr;  // offsets.back() x dimension
  size_t dimension = 0;
  absl::Span<const uint64_t> offsets;  // sets + 1, never decreasing; the first may be above 0, none at all is no sets

  size_t size() const { return offsets.empty() ? 0 : offsets.size() - 1; }

  // Tokens of all sets.
  size_t token_count() const { return offsets.empty() ? 0 : offsets.back() - offsets.front(); }

  MatrixView set(size_t i) const {
    return {tokens + offsets[i] * dimension, static_cast<size_t>(offsets[i + 1] - offsets[i]), dimension};
  }

  // The tokens of all sets, in order.
  MatrixView all() const {
    return {offsets.empty() ? tokens : tokens + offsets.front() * dimension, token_count(), dimension};
  }

  // Sets [begin, end).
  TokenSetsView Slice(size_t begin, size_t end) const {
    if (begin == end) return {tokens, dimension, {}};
    return {tokens, dimension, offsets.subspan(begin, end - begin + 1)};
  }
};

// Token sets in memory.
//
//   TokenSets sets(128);
//   sets.Append(tokens);  // one set: any number of tokens, 0 included
//   TokenSetsView view = sets.view();
class TokenSets {
 public:
  explicit TokenSets(size_t dimension) : dimension_(dimension) {}

  // Adopts `offsets.back()` x `dimension` values and the offsets of the sets: at least one, the first 0.
  TokenSets(size_t dimension, std::vector<float> tokens, std::vector<uint64_t> offsets)
      : dimension_(dimension), tokens_(std::move(tokens)), offsets_(std::move(offsets)) {}

  // Adds one set. `set.columns` is dimension(), unless it has no rows.
  void Append(MatrixView set) {
    tokens_.insert(tokens_.end(), set.data, set.data + set.rows * dimension_);
    offsets_.push_back(offsets_.back() + set.rows);
  }

  size_t dimension() const { return dimension_; }
  size_t size() const { return offsets_.size() - 1; }

  // Valid until the next Append().
  TokenSetsView view() const { return {tokens_.data(), dimension_, offsets_}; }

 private:
  size_t dimension_;
  std::vector<float> tokens_;
  std::vector<uint64_t> offsets_ = {0};
};

}  // namespace dpkde

#endif  // DPKDE_INDEX_CORPUS_TOKEN_SETS_H_
