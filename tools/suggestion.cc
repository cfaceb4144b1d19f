#include "dpkde/tools/suggestion.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace dpkde {
namespace {

// The longest words that are compared; the time grows with the product of two lengths.
constexpr size_t kLongestWord = 64;

std::string Plain(absl::string_view word) { return absl::StrReplaceAll(absl::AsciiStrToLower(word), {{"-", "_"}}); }

// The distance of Damerau and Levenshtein in which no part is edited twice ("optimal string alignment").
size_t EditDistance(const std::string& a, const std::string& b) {
  std::vector<size_t> before_last, last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
    before_last = last;
    last = row;
  }
  return last.back();
}

}  // namespace

std::string DidYouMean(absl::string_view given, const std::vector<std::string>& known, absl::string_view prefix) {
  if (given.size() > kLongestWord) return "";
  const std::string* nearest = nullptr;
  size_t least = 0;
  for (const std::string& word : known) {
    const size_t distance = EditDistance(Plain(given), Plain(word));
    if (distance > std::max(given.size(), word.size()) / 3) continue;
    if (nearest != nullptr && distance >= least) continue;
    nearest = &word;
    least = distance;
  }
  return nearest == nullptr ? "" : absl::StrCat("; did you mean ", prefix, *nearest, "?");
}

}  // namespace dpkde
