#include "dpkde/index/corpus/stored_tokens.h"

#include <immintrin.h>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstring>
#include <limits>

#include "absl/strings/str_cat.h"
#include "dpkde/io/floats.h"

namespace dpkde {
namespace {

// Below it the quotient by the scale would lose bits to denormals.
constexpr float kSmallestScale = FLT_MIN;

void StoreHalves(MatrixView tokens, char* out) {
  const size_t count = tokens.rows * tokens.columns;
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m128i halves = _mm256_cvtps_ph(_mm256_loadu_ps(tokens.data + i), _MM_FROUND_TO_NEAREST_INT);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 2 * i), halves);
  }
  for (; i < count; ++i) {
    const uint16_t half = _cvtss_sh(tokens.data[i], _MM_FROUND_TO_NEAREST_INT);
    std::memcpy(out + 2 * i, &half, sizeof(half));
  }
}

// Returns the scale.
float StoreCodes(absl::Span<const float> token, char* out) {
  float largest = 0;
  for (const float x : token) largest = std::max(largest, std::abs(x));
  const float scale = largest / 127;
  if (scale < kSmallestScale) return 0;
  for (size_t i = 0; i < token.size(); ++i) {
    out[i] = static_cast<char>(static_cast<uint8_t>(128 + static_cast<int>(std::nearbyint(token[i] / scale))));
  }
  return scale;
}

}  // namespace

absl::string_view TokenFormatName(TokenFormat format) {
  switch (format) {
    case TokenFormat::kFloat32:
      return "f4";
    case TokenFormat::kFloat16:
      return "f2";
    case TokenFormat::kInt8:
      return "i1";
  }
  return "";
}

TokenFormat ToTokenFormat(proto::TokenStoreSpec::Format format) {
  switch (format) {
    case proto::TokenStoreSpec::FLOAT32:
      return TokenFormat::kFloat32;
    case proto::TokenStoreSpec::INT8:
      return TokenFormat::kInt8;
    default:
      return TokenFormat::kFloat16;
  }
}

proto::TokenStoreSpec::Format ToProto(TokenFormat format) {
  switch (format) {
    case TokenFormat::kFloat32:
      return proto::TokenStoreSpec::FLOAT32;
    case TokenFormat::kFloat16:
      return proto::TokenStoreSpec::FLOAT16;
    case TokenFormat::kInt8:
      return proto::TokenStoreSpec::INT8;
  }
  return proto::TokenStoreSpec::FORMAT_UNSPECIFIED;
}

size_t TokenStride(TokenFormat format, size_t dimension) {
  switch (format) {
    case TokenFormat::kFloat32:
      return 4 * dimension;
    case TokenFormat::kFloat16:
      return 2 * dimension;
    case TokenFormat::kInt8:
      return (dimension + 3) / 4 * 4;
  }
  return 0;
}

absl::Status StoreTokens(TokenFormat format, MatrixView tokens, std::string* values, std::vector<float>* scales) {
  const size_t count = tokens.rows * tokens.columns;
  const size_t stride = TokenStride(format, tokens.columns);
  const size_t begin = values->size();
  switch (format) {
    case TokenFormat::kFloat32:
      values->append(reinterpret_cast<const char*>(tokens.data), count * sizeof(float));
      break;
    case TokenFormat::kFloat16:
      for (size_t i = 0; i < count; ++i) {
        if (std::abs(tokens.data[i]) <= kLargestFloat16) continue;
        return absl::InvalidArgumentError(absl::StrCat("row ", i / tokens.columns, ", column ", i % tokens.columns,
                                                       " (counting from 0): does not fit into float16"));
      }
      values->resize(begin + tokens.rows * stride);
      StoreHalves(tokens, &(*values)[begin]);
      break;
    case TokenFormat::kInt8:
      values->resize(begin + tokens.rows * stride, static_cast<char>(128));
      for (size_t row = 0; row < tokens.rows; ++row) {
        scales->push_back(StoreCodes(tokens.row(row), &(*values)[begin + row * stride]));
      }
      break;
  }
  return absl::OkStatus();
}

double StorageLoss(TokenFormat format, MatrixView tokens) {
  constexpr size_t kSample = 20000;
  const size_t rows = std::min(tokens.rows, kSample), d = tokens.columns;
  if (rows == 0 || format == TokenFormat::kFloat32) return 0;
  const auto sampled = [&](size_t i) { return tokens.Slice(i * tokens.rows / rows, i * tokens.rows / rows + 1); };
  std::vector<double> mean(d, 0);
  for (size_t i = 0; i < rows; ++i) {
    for (size_t j = 0; j < d; ++j) mean[j] += sampled(i).row(0)[j] / static_cast<double>(rows);
  }
  double lost = 0, spread = 0;
  std::vector<float> loaded(d), scales;
  std::string values;
  for (size_t i = 0; i < rows; ++i) {
    values.clear();
    scales.clear();
    if (!StoreTokens(format, sampled(i), &values, &scales).ok()) return std::numeric_limits<double>::infinity();
    LoadTokens({format, d, 1, values.data(), scales.data()}, loaded.data());
    for (size_t j = 0; j < d; ++j) {
      const double x = sampled(i).row(0)[j], error = loaded[j] - x;
      lost += error * error;
      spread += (x - mean[j]) * (x - mean[j]);
    }
  }
  return lost == 0 || spread == 0 ? 0 : std::sqrt(lost / spread);
}

TokenFormat ChooseTokenFormat(TokenSetsView documents, bool single_vectors) {
  const bool half = !single_vectors && StorageLoss(TokenFormat::kFloat16, documents.all()) <= kLossOfChosenFloat16;
  return half ? TokenFormat::kFloat16 : TokenFormat::kFloat32;
}

absl::Status CheckStoredTokens(const StoredTokens& stored) {
  // Rounding may lengthen a token: by an eighth of an eighth in float16, and in int8 by as much as it is long, where one
  // of very many coordinates is large.
  constexpr double kLargest = 8 * kLargestTokenSquare;
  const size_t stride = TokenStride(stored.format, stored.dimension);
  std::vector<float> token(stored.dimension);
  for (size_t i = 0; i < stored.count; ++i) {
    LoadTokens({stored.format, stored.dimension, 1, static_cast<const char*>(stored.values) + i * stride,
                stored.scales == nullptr ? nullptr : stored.scales + i},
               token.data());
    if (stored.scales != nullptr && !(stored.scales[i] >= 0)) {
      return absl::InvalidArgumentError(absl::StrCat("the scale of token ", i, " is negative or no number"));
    }
    double square = 0;
    for (const float value : token) square += static_cast<double>(value) * value;
    if (square <= kLargest) continue;
    for (size_t column = 0; column < token.size(); ++column) {
      if (std::isfinite(token[column])) continue;
      return absl::InvalidArgumentError(absl::StrCat("token ", i, ", column ", column, " is not finite"));
    }
    return absl::InvalidArgumentError(absl::StrCat("token ", i, " is too large"));
  }
  return absl::OkStatus();
}

void LoadTokens(const StoredTokens& stored, float* out) {
  const size_t count = stored.count * stored.dimension;
  switch (stored.format) {
    case TokenFormat::kFloat32:
      if (count > 0) std::memcpy(out, stored.values, count * sizeof(float));
      return;
    case TokenFormat::kFloat16:
      return HalfToFloat(static_cast<const char*>(stored.values), count, out);
    case TokenFormat::kInt8: {
      const size_t stride = TokenStride(stored.format, stored.dimension);
      for (size_t row = 0; row < stored.count; ++row) {
        const uint8_t* const codes = static_cast<const uint8_t*>(stored.values) + row * stride;
        for (size_t i = 0; i < stored.dimension; ++i) {
          out[row * stored.dimension + i] = stored.scales[row] * static_cast<float>(codes[i] - 128);
        }
      }
      return;
    }
  }
}

}  // namespace dpkde
