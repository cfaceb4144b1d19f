#include "dpkde/index/maxsim/maxsim.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/index/maxsim/float_kernel.h"
#include "dpkde/index/maxsim/int8_kernel.h"

namespace dpkde {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();

// Documents that are compared with one panel after another: they stay in the second-level cache.
constexpr size_t kBlockBytes = size_t{256} << 10;

// Zeros, aligned for the kernels.
template <typename T>
class AlignedArray {
 public:
  explicit AlignedArray(size_t size) : values_(new (kAlignment) T[size]()) {}
  T* data() const { return values_.get(); }

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Delete {
    void operator()(T* values) const { operator delete[](values, kAlignment); }
  };
  std::unique_ptr<T[], Delete> values_;
};

// max |x_2j| + |x_2j+1|. In lanes, so that the compiler may use SIMD.
float LargestPair(absl::Span<const float> token) {
  constexpr size_t kLanes = 16;
  float largest[kLanes] = {};
  size_t i = 0;
  for (; i + 2 * kLanes <= token.size(); i += 2 * kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const float pair = std::abs(token[i + 2 * lane]) + std::abs(token[i + 2 * lane + 1]);
      largest[lane] = largest[lane] < pair ? pair : largest[lane];
    }
  }
  for (; i < token.size(); i += 2) {
    const float next = i + 1 < token.size() ? std::abs(token[i + 1]) : 0;
    largest[0] = std::max(largest[0], std::abs(token[i]) + next);
  }
  return *std::max_element(largest, largest + kLanes);
}

}  // namespace

struct MaxSimQuery::Panels {
  Panels(size_t count, size_t dimension, bool int8)
      : count(count),
        floats(int8 ? 0 : count * kMaxSimColumns * dimension),
        codes(int8 ? count * kMaxSimColumns * 4 * ((dimension + 3) / 4) : 0),
        starts(int8 ? count * kMaxSimColumns : 0),
        scales(int8 ? count * kMaxSimColumns : 0) {}

  size_t count;
  AlignedArray<float> floats;
  AlignedArray<int8_t> codes;
  std::vector<int32_t> starts;
  std::vector<float> scales;
};

MaxSimQuery::MaxSimQuery(MatrixView tokens, TokenFormat format)
    : size_(tokens.rows), dimension_(tokens.columns), format_(format) {
  const size_t count = (size_ + kMaxSimColumns - 1) / kMaxSimColumns;
  auto panels = std::make_unique<Panels>(count, dimension_, format == TokenFormat::kInt8);
  const size_t groups = (dimension_ + 3) / 4;
  std::vector<int8_t> codes(4 * groups);
  for (size_t row = 0; row < size_; ++row) {
    const absl::Span<const float> token = tokens.row(row);
    const size_t first = row / kMaxSimColumns * kMaxSimColumns;  // of its panel
    const size_t column = row % kMaxSimColumns;
    if (format != TokenFormat::kInt8) {
      float* const panel = panels->floats.data() + first * dimension_ + column;
      for (size_t i = 0; i < dimension_; ++i) panel[i * kMaxSimColumns] = token[i];
      continue;
    }
    // Rounding adds at most 1/2 to each of two codes, so that they end within kInt8PairLimit.
    const float scale = LargestPair(token) / (kInt8PairLimit - 1);
    if (scale < std::numeric_limits<float>::min()) continue;
    int32_t sum = 0;
    for (size_t i = 0; i < dimension_; ++i) {
      const int32_t code = static_cast<int32_t>(std::nearbyint(token[i] / scale));
      codes[i] = static_cast<int8_t>(code);
      sum += code;
    }
    int8_t* const panel = panels->codes.data() + (first * groups + column) * 4;
    for (size_t g = 0; g < groups; ++g) std::memcpy(panel + g * kMaxSimColumns * 4, codes.data() + 4 * g, 4);
    panels->starts[row] = -128 * sum;
    panels->scales[row] = scale;
  }
  panels_ = std::move(panels);
}

MaxSimQuery::~MaxSimQuery() = default;
MaxSimQuery::MaxSimQuery(MaxSimQuery&&) noexcept = default;
MaxSimQuery& MaxSimQuery::operator=(MaxSimQuery&&) noexcept = default;

// Not thread-safe: has memory for the work on one document.
class MaxSimKernel {
 public:
  explicit MaxSimKernel(const MaxSimQuery& query) : query_(query) {
    if (query.format_ != TokenFormat::kInt8) scratch_.resize(kMaxSimTileRows * query.dimension_);
  }

  static size_t PanelCount(const MaxSimQuery& query) { return query.panels_->count; }

  static absl::Status Check(const MaxSimQuery& query, absl::Span<const StoredTokens> documents) {
    const bool int8 = query.format_ == TokenFormat::kInt8;
    for (const StoredTokens& document : documents) {
      if (document.dimension != query.dimension_) {
        return absl::InvalidArgumentError(absl::StrCat("the documents have dimension ", document.dimension,
                                                       ", but the query has ", query.dimension_));
      }
      if ((document.format == TokenFormat::kInt8) != int8) {
        return absl::InvalidArgumentError(absl::StrCat("the documents are ", TokenFormatName(document.format),
                                                       ", but the query is packed for ",
                                                       TokenFormatName(query.format_)));
      }
    }
    return absl::OkStatus();
  }

  // The largest product of each query token of a panel with the document's tokens; minus infinity if it has none.
  // Returns how many there are; `maxima` has kMaxSimColumns places. `next`: the tokens that will be needed after these.
  size_t PanelMaxima(size_t index, const StoredTokens& document, const void* next, float* maxima) {
    const MaxSimQuery::Panels& panels = *query_.panels_;
    const size_t dimension = query_.dimension_;
    const size_t first = index * kMaxSimColumns;
    const size_t columns = std::min(kMaxSimColumns, query_.size_ - first);
    const size_t groups = (dimension + 3) / 4;
    if (document.count == 0) {
      std::fill_n(maxima, columns, kLowest);
      return columns;
    }
    if (next == nullptr) next = document.values;
    switch (document.format) {
      case TokenFormat::kFloat32:
        FloatMaxima(panels.floats.data() + first * dimension, columns, static_cast<const float*>(document.values),
                    document.count, static_cast<const float*>(next), dimension, maxima);
        break;
      case TokenFormat::kFloat16:
        HalfMaxima(panels.floats.data() + first * dimension, columns, document.values, document.count, next, dimension,
                   scratch_.data(), maxima);
        break;
      case TokenFormat::kInt8:
        Int8Maxima(panels.codes.data() + first * 4 * groups, panels.starts.data() + first, columns,
                   static_cast<const uint8_t*>(document.values), document.scales, document.count,
                   static_cast<const uint8_t*>(next), groups, maxima);
        for (size_t c = 0; c < columns; ++c) maxima[c] *= panels.scales[first + c];
        break;
    }
    return columns;
  }

  void Score(absl::Span<const StoredTokens> documents, float* scores) {
    const size_t panels = query_.panels_->count;
    for (size_t i = 0; i < documents.size(); ++i) {
      double score = 0;
      for (size_t panel = 0; panel < panels; ++panel) {
        alignas(64) float maxima[kMaxSimColumns];
        const bool last = panel + 1 == panels && i + 1 < documents.size();
        const size_t columns = PanelMaxima(panel, documents[i], documents[last ? i + 1 : i].values, maxima);
        for (size_t c = 0; c < columns; ++c) score += maxima[c];
      }
      scores[i] = static_cast<float>(score);
    }
  }

 private:
  const MaxSimQuery& query_;
  std::vector<float> scratch_;
};

namespace {

// Ranges of documents for threads: not more than kBlockBytes each, and some for every thread.
size_t BlockSize(absl::Span<const StoredTokens> documents, const ThreadPool& pool) {
  if (documents.empty()) return 1;
  uint64_t bytes = 0;
  for (const StoredTokens& document : documents) {
    bytes += 1 + document.count * TokenStride(document.format, document.dimension);
  }
  const size_t fit = std::max<uint64_t>(1, kBlockBytes * documents.size() / bytes);
  const size_t share = documents.size() / (4 * static_cast<size_t>(pool.threads()));
  return std::max<size_t>(1, std::min(fit, share));
}

// out[document * stride + token] of the documents of a block.
void BlockMaxima(const MaxSimQuery& query, absl::Span<const StoredTokens> documents, float* out) {
  MaxSimKernel kernel(query);
  for (size_t panel = 0; panel < MaxSimKernel::PanelCount(query); ++panel) {
    for (size_t i = 0; i < documents.size(); ++i) {
      alignas(64) float maxima[kMaxSimColumns];
      const void* const next = documents[i + 1 < documents.size() ? i + 1 : 0].values;
      const size_t columns = kernel.PanelMaxima(panel, documents[i], next, maxima);
      std::copy_n(maxima, columns, out + i * query.size() + panel * kMaxSimColumns);
    }
  }
}

std::vector<StoredTokens> Stored(TokenSetsView sets) {
  std::vector<StoredTokens> stored(sets.size());
  for (size_t i = 0; i < sets.size(); ++i) stored[i] = StoredFloats(sets.set(i));
  return stored;
}

}  // namespace

absl::Status Chamfer(const MaxSimQuery& query, absl::Span<const StoredTokens> documents, absl::Span<float> scores) {
  DPKDE_RETURN_IF_ERROR(MaxSimKernel::Check(query, documents));
  MaxSimKernel(query).Score(documents, scores.data());
  return absl::OkStatus();
}

absl::Status Chamfer(const MaxSimQuery& query, absl::Span<const StoredTokens> documents, ThreadPool& pool,
                     absl::Span<float> scores) {
  DPKDE_RETURN_IF_ERROR(MaxSimKernel::Check(query, documents));
  pool.ParallelFor(documents.size(), BlockSize(documents, pool), [&](size_t begin, size_t end, int) {
    MaxSimKernel(query).Score(documents.subspan(begin, end - begin), scores.data() + begin);
  });
  return absl::OkStatus();
}

absl::Status ChamferMatrix(TokenSetsView queries, absl::Span<const StoredTokens> documents, ThreadPool& pool,
                           absl::Span<float> scores) {
  const TokenFormat format = documents.empty() ? TokenFormat::kFloat32 : documents[0].format;
  const MaxSimQuery query(queries.all(), format);
  DPKDE_RETURN_IF_ERROR(MaxSimKernel::Check(query, documents));
  pool.ParallelFor(documents.size(), BlockSize(documents, pool), [&](size_t begin, size_t end, int) {
    std::vector<float> maxima((end - begin) * query.size());
    BlockMaxima(query, documents.subspan(begin, end - begin), maxima.data());
    for (size_t document = begin; document < end; ++document) {
      const float* token = maxima.data() + (document - begin) * query.size();
      for (size_t i = 0; i < queries.size(); ++i) {
        double score = 0;
        for (const float* const last = token + queries.set(i).rows; token != last; ++token) score += *token;
        scores[i * documents.size() + document] = static_cast<float>(score);
      }
    }
  });
  return absl::OkStatus();
}

absl::Status MaxSimMatrix(MatrixView anchors, absl::Span<const StoredTokens> documents, ThreadPool& pool,
                          absl::Span<float> out) {
  const TokenFormat format = documents.empty() ? TokenFormat::kFloat32 : documents[0].format;
  const MaxSimQuery query(anchors, format);
  DPKDE_RETURN_IF_ERROR(MaxSimKernel::Check(query, documents));
  pool.ParallelFor(documents.size(), BlockSize(documents, pool), [&](size_t begin, size_t end, int) {
    BlockMaxima(query, documents.subspan(begin, end - begin), out.data() + begin * query.size());
  });
  return absl::OkStatus();
}

absl::Status MaxSimMatrix(MatrixView anchors, TokenSetsView documents, ThreadPool& pool, absl::Span<float> out) {
  return MaxSimMatrix(anchors, Stored(documents), pool, out);
}

absl::StatusOr<std::vector<TokenMatch>> ExplainChamfer(const MaxSimQuery& query, const StoredTokens& document) {
  DPKDE_RETURN_IF_ERROR(MaxSimKernel::Check(query, {&document, 1}));
  std::vector<TokenMatch> matches;
  if (document.count == 0) return matches;
  matches.assign(query.size(), {0, kLowest});
  MaxSimKernel kernel(query);
  const size_t stride = TokenStride(document.format, document.dimension);
  for (size_t token = 0; token < document.count; ++token) {
    // A document of this token alone.
    const StoredTokens one = {document.format, document.dimension, 1,
                              static_cast<const char*>(document.values) + token * stride,
                              document.scales == nullptr ? nullptr : document.scales + token};
    for (size_t panel = 0; panel < MaxSimKernel::PanelCount(query); ++panel) {
      alignas(64) float maxima[kMaxSimColumns];
      const size_t columns = kernel.PanelMaxima(panel, one, one.values, maxima);
      for (size_t c = 0; c < columns; ++c) {
        TokenMatch& match = matches[panel * kMaxSimColumns + c];
        if (maxima[c] > match.similarity) match = {token, maxima[c]};
      }
    }
  }
  return matches;
}

}  // namespace dpkde
