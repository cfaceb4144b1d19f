#include "dpkde/index/encoding/encoder.h"

#include "absl/strings/str_cat.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/io/floats.h"

namespace dpkde {

namespace {

absl::Status CheckTokenDimension(const Encoder& encoder, absl::string_view role, TokenSetsView sets) {
  if (sets.dimension != encoder.token_dimension()) {
    return absl::InvalidArgumentError(absl::StrCat("the tokens of a ", role, " must have the encoder's dimension, ",
                                                   encoder.token_dimension(), ", but have ", sets.dimension));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckEncoderTokens(const Encoder& encoder, absl::string_view role, TokenSetsView sets) {
  DPKDE_RETURN_IF_ERROR(CheckTokenDimension(encoder, role, sets));
  const MatrixView tokens = sets.all();
  const size_t bad = FirstNonFinite(tokens.data, tokens.rows * tokens.columns);
  if (bad == tokens.rows * tokens.columns) return absl::OkStatus();
  const uint64_t token = sets.offsets.front() + bad / sets.dimension;
  size_t set = 0;
  while (sets.offsets[set + 1] <= token) ++set;
  return absl::InvalidArgumentError(absl::StrCat("column ", bad % sets.dimension, " of token ",
                                                 token - sets.offsets[set], " of ", role, " ", set,
                                                 " must be finite, but is ", tokens.data[bad]));
}

absl::Status CheckEncoderSizes(const Encoder& encoder, absl::string_view role, TokenSetsView sets,
                               absl::Span<const float> out) {
  DPKDE_RETURN_IF_ERROR(CheckTokenDimension(encoder, role, sets));
  if (out.size() != sets.size() * encoder.dimension()) {
    return absl::InvalidArgumentError(absl::StrCat("the output must have ", sets.size(), " x ", encoder.dimension(),
                                                   " places, but has ", out.size()));
  }
  return absl::OkStatus();
}

}  // namespace dpkde
