#ifndef DPKDE_CLASSIFIER_CLASS_FEATURES_H_
#define DPKDE_CLASSIFIER_CLASS_FEATURES_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/proto/classifier.pb.h"
#include "dpkde/similarity/domain.h"

namespace dpkde {

// The public map from a record to the integers that a classifier adds up: round(2^20 phi(x)), |phi(x)| <= 1.
//
//   DPKDE_ASSIGN_OR_RETURN(std::unique_ptr<ClassFeatures> features, ClassFeatures::Create(spec, dimension, domain));
//   std::vector<int32_t> integers(rows.rows * features->size());
//   features->Compute(rows, absl::MakeSpan(integers));
//
// Norm: sum of squares <= 2^40, checked in integers for every row whatever it holds, NaN included; a row that fails
// (no finite one does) becomes 0. Purity: a row's integers are a function of its bytes and the spec alone, not of its
// position, the other rows, the thread or the SIMD target (own kernels in one fixed order; no BLAS).
//
// Cost of a row: dimension * size() multiply-adds (landmarks: L (dimension + size())). Immutable; thread-safe.
class ClassFeatures {
 public:
  virtual ~ClassFeatures() = default;

  // kInvalidArgument, naming the field, for a spec that is incomplete or out of range, and without a domain or unit
  // rows. kFailedPrecondition if the spec has a fingerprint and random numbers are drawn otherwise here.
  static absl::StatusOr<std::unique_ptr<ClassFeatures>> Create(const proto::ClassFeatureSpec& spec, size_t dimension,
                                                               const absl::optional<Domain>& domain);

  virtual size_t dimension() const = 0;
  // Number of features.
  virtual size_t size() const = 0;
  // Complete: with scheme version and fingerprint.
  virtual const proto::ClassFeatureSpec& spec() const = 0;

  // integers: rows.rows x size(), row-major.
  virtual void Compute(MatrixView rows, absl::Span<int32_t> integers) const = 0;

  // The same of rows that are scaled already, as landmarks are stored.
  virtual void ComputeScaled(MatrixView scaled, absl::Span<int32_t> integers) const = 0;
};

// The scaling that comes before the map, see ClassFeatureSpec: out = z in float32, `dimension` values. Where a
// coordinate is not finite, z = 0 (callers refuse or replace such records before). Pure.
void ScaleRecord(const float* x, size_t dimension, bool unit_rows, const absl::optional<Domain>& domain, float* out);

}  // namespace dpkde

#endif  // DPKDE_CLASSIFIER_CLASS_FEATURES_H_
