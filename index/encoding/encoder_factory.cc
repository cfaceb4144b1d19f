#include "dpkde/index/encoding/encoder_factory.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/exceptions.h"
#include "dpkde/base/float_environment.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/index/encoding/fde_encoder.h"
#include "dpkde/index/encoding/regression_encoder.h"
#include "dpkde/index/encoding/stored_encoder.h"

namespace dpkde {
namespace {

absl::StatusOr<std::unique_ptr<const Encoder>> FromStored(const proto::StoredEncoder& stored) {
  if (stored.has_fde()) return FdeEncoder::FromStored(stored);
  if (stored.has_regression()) return RegressionEncoder::FromStored(stored);
  return absl::InvalidArgumentError("it has no matrices");
}

}  // namespace

absl::StatusOr<std::unique_ptr<const Encoder>> CreateEncoder(const proto::EncoderSpec& spec, TokenSetsView sample,
                                                             ThreadPool& pool) try {
  const DefaultFloatEnvironment environment;
  proto::EncoderSpec complete = spec;
  if (complete.token_dimension() == 0) complete.set_token_dimension(static_cast<uint32_t>(sample.dimension));
  if (spec.has_fde()) {
    if (spec.fde().partition() == proto::FdeSpec::CALIBRATED) return FdeEncoder::Calibrate(complete, sample);
    return FdeEncoder::Create(complete);
  }
  if (spec.has_regression()) return RegressionEncoder::Train(complete, sample, pool);
  return absl::InvalidArgumentError("an encoder must be fde or regression");
} catch (...) {
  return StatusOfException();
}

absl::StatusOr<std::unique_ptr<const Encoder>> DeserializeEncoder(absl::string_view bytes) try {
  const DefaultFloatEnvironment environment;
  DPKDE_ASSIGN_OR_RETURN(const proto::StoredEncoder stored, OpenStoredEncoder(bytes));
  auto encoder = FromStored(stored);
  if (!encoder.ok()) {
    return absl::DataLossError(absl::StrCat("holds no usable encoder: ", std::string(encoder.status().message())));
  }
  return encoder;
} catch (...) {
  return StatusOfException();
}

}  // namespace dpkde
