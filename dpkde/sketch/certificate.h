#ifndef DPKDE_SKETCH_CERTIFICATE_H_
#define DPKDE_SKETCH_CERTIFICATE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "dpkde/noise/mechanism.h"
#include "dpkde/privacy/sensitivity.h"
#include "dpkde/proto/density.pb.h"

namespace dpkde {

// The certificate of a release with this mechanism's noise on vectors in these groups: what was consumed, rounded up.
// `privacy`: of the plan; `counted_epsilon`: the price of a planning count, 0 without one.
proto::Certificate MakeCertificate(const proto::PrivacyParameters& privacy, double counted_epsilon,
                                   const std::vector<CoordinateGroup>& groups, const Mechanism& mechanism);
// Where the whole guarantees something else than one addition of the mechanism's noise.
proto::Certificate MakeCertificate(const proto::PrivacyParameters& privacy, double counted_epsilon,
                                   const std::vector<CoordinateGroup>& groups, const NoiseGuarantee& guarantee,
                                   const std::string& sampler);

// For loading: kInvalidArgument if a file states more privacy than the noise in it gives.
absl::Status CheckCertificate(const proto::Certificate& stated, const proto::Certificate& computed);

// A line for a terminal: the name, blanks up to a common column, the value.
std::string DescribeLine(absl::string_view name, absl::string_view value);

// In such lines: the price, the neighbours, the noise and the sensitivities.
std::string DescribeCertificate(const proto::Certificate& certificate);

// In such lines, the end of every description: who keeps the sum of releases, what was asserted, which program wrote
// it.
std::string DescribeOrigin(const std::string& ledger_dataset, const std::vector<std::string>& asserted_public,
                           const proto::Certificate& certificate, uint32_t format);

}  // namespace dpkde

#endif  // DPKDE_SKETCH_CERTIFICATE_H_
