#include "dpkde/sketch/certificate.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "dpkde/base/version.h"
#include "dpkde/designs/design.h"
#include "dpkde/privacy/accountant.h"

namespace dpkde {

proto::Certificate MakeCertificate(const proto::PrivacyParameters& privacy, double counted_epsilon,
                                   const std::vector<CoordinateGroup>& groups, const Mechanism& mechanism) {
  return MakeCertificate(privacy, counted_epsilon, groups, mechanism.guarantee(), mechanism.SamplerName());
}

proto::Certificate MakeCertificate(const proto::PrivacyParameters& privacy, double counted_epsilon,
                                   const std::vector<CoordinateGroup>& groups, const NoiseGuarantee& guarantee,
                                   const std::string& sampler) {
  proto::Certificate certificate;
  double epsilon = guarantee.epsilon;
  if (counted_epsilon > 0) {
    epsilon = std::nextafter(epsilon + counted_epsilon, std::numeric_limits<double>::infinity());
  }
  if (privacy.has_rho()) {
    certificate.set_rho_spent(std::nextafter((guarantee.rho + counted_epsilon * counted_epsilon / 2) * (1 + 1e-15),
                                             std::numeric_limits<double>::infinity()));
  }
  // Gaussian noise has an epsilon only together with a delta.
  if (guarantee.epsilon > 0) certificate.set_epsilon_spent(epsilon);
  certificate.set_delta_spent(guarantee.delta);
  certificate.set_sampler_delta(guarantee.sampler_delta);
  certificate.set_neighboring(privacy.neighboring());
  certificate.set_unit_of_privacy(
      privacy.has_rho() ? "one row of the input; a person who owns k rows is protected at k^2 times rho"
                        : "one row of the input; a person who owns k rows is protected at k times epsilon");
  certificate.set_sampler(sampler);
  uint64_t l1 = 0;
  double l2_square = 0;
  std::map<uint32_t, size_t> coordinates_of_ball;
  for (const CoordinateGroup& group : groups) {
    const Sensitivity& sensitivity = privacy.neighboring() == proto::ADD_REMOVE ? group.add_remove : group.replace;
    if (group.shape == GroupShape::kBall && group.ball != 0) {
      size_t& coordinates = coordinates_of_ball[group.ball];
      if (coordinates == 0) l2_square += static_cast<double>(sensitivity.l2) * sensitivity.l2;
      l1 += static_cast<uint64_t>(
          std::ceil((std::sqrt(coordinates + group.count) - std::sqrt(coordinates)) * sensitivity.l2));
      coordinates += group.count;
      continue;
    }
    l1 += sensitivity.l1;
    l2_square += static_cast<double>(sensitivity.l2) * sensitivity.l2;
  }
  certificate.set_l1_sensitivity(l1);
  certificate.set_l2_sensitivity(std::nextafter(std::sqrt(l2_square), std::numeric_limits<double>::infinity()));
  certificate.set_grid_bits(kGridBits);
  certificate.set_mu(guarantee.mu);
  certificate.set_program_version(kDpkdeVersion);
  return certificate;
}

absl::Status CheckCertificate(const proto::Certificate& stated, const proto::Certificate& computed) {
  constexpr double kRounding = 1 - 1e-12;
  if (stated.epsilon_spent() >= computed.epsilon_spent() * kRounding &&
      stated.delta_spent() >= computed.delta_spent() * kRounding &&
      stated.rho_spent() >= computed.rho_spent() * kRounding && stated.neighboring() == computed.neighboring()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError("the certificate states more privacy than the noise gives");
}

std::string DescribeLine(absl::string_view name, absl::string_view value) {
  return absl::StrCat(name, std::string(name.size() < 18 ? 18 - name.size() : 1, ' '), value, "\n");
}

std::string DescribeCertificate(const proto::Certificate& c) {
  std::string text;
  const auto line = [&](absl::string_view name, const auto&... parts) {
    text += DescribeLine(name, absl::StrCat(parts...));
  };
  if (c.rho_spent() > 0) {
    const absl::StatusOr<double> epsilon = ZcdpEpsilon(c.rho_spent(), 1e-6);
    line("rho", c.rho_spent(), " (zero-concentrated)",
         epsilon.ok() ? absl::StrCat("; implies epsilon = ", *epsilon, " at delta = 1e-6") : "");
  }
  if (c.epsilon_spent() > 0) line("epsilon", c.epsilon_spent());
  if (c.delta_spent() > 0) {
    line("delta", c.delta_spent(), " (", c.sampler_delta(), " of it for the discrete sampler)");
  } else if (c.epsilon_spent() > 0) {
    line("delta", "0 (pure)");
  }
  if (c.mu() > 0) line("mu", c.mu());
  line("neighbors", c.neighboring() == proto::ADD_REMOVE
                        ? "add_remove: one record more or less; the number of records is private"
                        : "replace: one record changed; the number of records is public");
  line("unit of privacy", c.unit_of_privacy());
  line("noise", c.sampler());
  line("sensitivity", "L1 ", c.l1_sensitivity(), ", L2 ", c.l2_sensitivity(), ", in units of 2^-", c.grid_bits());
  return text;
}

std::string DescribeOrigin(const std::string& ledger_dataset, const std::vector<std::string>& asserted_public,
                           const proto::Certificate& certificate, uint32_t format) {
  return absl::StrCat(
      DescribeLine("accounted", ledger_dataset.empty() ? "no: nothing adds up the releases of this dataset"
                                                       : absl::StrCat("in the ledger of ", ledger_dataset)),
      certificate.note().empty() ? "" : DescribeLine("note", certificate.note()),
      DescribeLine("asserted public", absl::StrJoin(asserted_public, "; ")),
      DescribeLine("written by", absl::StrCat("dpkde ", certificate.program_version(), ", format ", format)));
}

}  // namespace dpkde
