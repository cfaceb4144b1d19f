#ifndef DPKDE_INDEX_CORPUS_STORED_TOKENS_H_
#define DPKDE_INDEX_CORPUS_STORED_TOKENS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/index/corpus/token_sets.h"
#include "dpkde/proto/index.pb.h"

namespace dpkde {

// How the tokens of a corpus are kept.
//
// kFloat32  as they came.
// kFloat16  half the bytes. A value x becomes x (1 + e) + a with |e| <= 2^-11, |a| <= 2^-25; beyond 65,504 is refused.
// kInt8     a quarter of the bytes, and 4 for a token's scale s = max |x| / 127. A value x becomes s c, c in -127..127,
//           with |x - s c| <= 0.50001 s. Tokens whose largest value is below 1.5e-36 become zero.
//
// Measured on 20,000 WordNet glosses of 11.5 unit word vectors, 100-d, and 1,000 queries
// (tests/benchmarks/maxsim_recall_benchmark): share of the ten best by float32 that an exact scan ranks among its ten.
//
//            recall@10   bytes a document   rate of the kernel in cache, 128-d
//   float32  1           4,592              1
//   float16  1.0000      2,296              0.9
//   int8     0.9878      1,194              2.7 (AVX-512 VNNI), 2 (AVX2, against float32 there)
enum class TokenFormat { kFloat32, kFloat16, kInt8 };

inline constexpr float kLargestFloat16 = 65504;

// Of a token that is stored: keeps every product of two tokens finite.
inline constexpr double kLargestTokenSquare = 1e37;

// "f4", "f2" or "i1".
absl::string_view TokenFormatName(TokenFormat format);

TokenFormat ToTokenFormat(proto::TokenStoreSpec::Format format);  // unspecified: kFloat16, see ChooseTokenFormat()
proto::TokenStoreSpec::Format ToProto(TokenFormat format);

// Bytes between tokens that lie side by side. An int8 token is padded to a multiple of 4.
size_t TokenStride(TokenFormat format, size_t dimension);

// The tokens of one document as they are stored, in memory that somebody else owns.
struct StoredTokens {
  TokenFormat format = TokenFormat::kFloat32;
  size_t dimension = 0;
  size_t count = 0;  // of tokens; may be 0
  // `count` tokens, TokenStride() bytes apart, little-endian. kFloat32 and kFloat16 are aligned to their own size.
  // kInt8 is c + 128 as uint8 (the kernels multiply unsigned document codes by signed query codes); padding is 128.
  const void* values = nullptr;
  const float* scales = nullptr;  // kInt8 only: `count` of them
};

// `tokens`, kept where they are.
inline StoredTokens StoredFloats(MatrixView tokens) {
  return {TokenFormat::kFloat32, tokens.columns, tokens.rows, tokens.data, nullptr};
}

// Appends tokens in `format`, and for kInt8 their scales. All values are finite. kInvalidArgument, naming row and
// column (counting from 0), for a value that does not fit; then nothing was appended.
absl::Status StoreTokens(TokenFormat format, MatrixView tokens, std::string* values, std::vector<float>* scales);

// What rounding to `format` does to tokens: the root of its mean square, over that of the tokens' differences from their
// mean. Of up to 20,000 of them, evenly spaced. Infinite where one does not fit; 0 where all are equal, or there are none.
double StorageLoss(TokenFormat format, MatrixView tokens);

// What StorageLoss() may be for tokens that come without a format, and above what a format that was asked for deserves a
// warning. Unit vectors without a common offset lose .0002 in float16 and about .01 in int8.
inline constexpr double kLossOfChosenFloat16 = 1.0 / 2048;
inline constexpr double kWorthyLossOfFloat16 = 1.0 / 1024;
inline constexpr double kWorthyLossOfInt8 = 0.05;

// kFloat32 for single vectors; for token sets kFloat16 where it loses no more than kLossOfChosenFloat16, else kFloat32.
TokenFormat ChooseTokenFormat(TokenSetsView documents, bool single_vectors);

// kInvalidArgument, naming token and column (counting from 0), unless tokens that were read are such as StoreTokens()
// makes of finite ones whose squared norms are at most kLargestTokenSquare.
absl::Status CheckStoredTokens(const StoredTokens& stored);

// The tokens that are stored, `count` x `dimension`, row-major: exactly what the kernels compute with.
void LoadTokens(const StoredTokens& stored, float* out);

}  // namespace dpkde

#endif  // DPKDE_INDEX_CORPUS_STORED_TOKENS_H_
