#include "dpkde/tools/domain_options.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"
#include "dpkde/tools/subcommand.h"

ABSL_FLAG(std::string, domain_min, "",
          "Lower `BOUNDS` of the box in which records live: a,b,... or one for all coordinates. Chosen without looking "
          "at the "
          "data; records outside are clamped.");
ABSL_FLAG(std::string, domain_max, "", "Upper `BOUNDS` of the box.");
ABSL_FLAG(
    absl::optional<double>, domain_radius, absl::nullopt,
    "Radius of the ball in which records live, instead of a box; > 0. Chosen without looking at the data; records "
    "outside are moved to the sphere. Designs that need a box use the ball's bounding box.");
ABSL_FLAG(std::string, domain_center, "",
          "`POINT`, the center of the ball: a,b,... or one for all coordinates. Left out: the origin.");

namespace dpkde {
namespace {

absl::Status ParseBounds(const std::string& flag, const std::string& text, std::vector<double>& bounds) {
  if (text.empty()) return absl::OkStatus();
  for (absl::string_view part : absl::StrSplit(text, ',')) {
    double value;
    if (!absl::SimpleAtod(part, &value) || !std::isfinite(value)) {
      return UsageError(absl::StrCat("--", flag, " must be finite numbers with commas between, but is '", text, "'"));
    }
    bounds.push_back(value);
  }
  return absl::OkStatus();
}

// One value for each coordinate.
absl::StatusOr<std::vector<double>> Spread(const char* flag, const std::vector<double>& values, size_t dimension) {
  if (values.size() == 1) return std::vector<double>(dimension, values[0]);
  if (values.size() == dimension) return values;
  return UsageError(absl::StrCat("--", flag, " must have one value for all columns or one for each of the ", dimension,
                                 " columns, but has ", values.size(), " values"));
}

}  // namespace

absl::StatusOr<DomainOptions> DomainOptions::Parse() {
  DomainOptions options;
  DPKDE_RETURN_IF_ERROR(ParseBounds("domain_min", absl::GetFlag(FLAGS_domain_min), options.min_));
  DPKDE_RETURN_IF_ERROR(ParseBounds("domain_max", absl::GetFlag(FLAGS_domain_max), options.max_));
  if (options.min_.empty() != options.max_.empty()) {
    return UsageError("--domain_min and --domain_max must be given together");
  }
  DPKDE_RETURN_IF_ERROR(ParseBounds("domain_center", absl::GetFlag(FLAGS_domain_center), options.center_));
  const absl::optional<double> radius = absl::GetFlag(FLAGS_domain_radius);
  if (!options.center_.empty() && !radius.has_value()) return UsageError("--domain_center needs --domain_radius");
  if (radius.has_value()) {
    DPKDE_RETURN_IF_ERROR(FlagError(CheckPositive("--domain_radius", *radius)));
    if (!options.min_.empty()) {
      return UsageError("--domain_radius is not taken with --domain_min: a domain is a box or a ball");
    }
  }
  return options;
}

size_t DomainOptions::dimension() const {
  const size_t bounds = std::max({min_.size(), max_.size(), center_.size()});
  return bounds > 1 ? bounds : 0;
}

bool DomainOptions::is_given() const { return !min_.empty() || absl::GetFlag(FLAGS_domain_radius).has_value(); }

absl::StatusOr<absl::optional<Domain>> DomainOptions::Make(size_t dimension, bool centered) const {
  if (const auto radius = absl::GetFlag(FLAGS_domain_radius); radius.has_value()) {
    DPKDE_ASSIGN_OR_RETURN(const std::vector<double> center,
                           Spread("domain_center", center_.empty() ? std::vector<double>{0} : center_, dimension));
    absl::StatusOr<Domain> ball = centered ? Domain::CenteredBall(center, *radius) : Domain::Ball(center, *radius);
    if (!ball.ok()) return FlagError(ball.status(), "--domain_radius: ");
    return absl::optional<Domain>(*std::move(ball));
  }
  if (min_.empty()) return absl::optional<Domain>();
  DPKDE_ASSIGN_OR_RETURN(const std::vector<double> lower, Spread("domain_min", min_, dimension));
  DPKDE_ASSIGN_OR_RETURN(const std::vector<double> upper, Spread("domain_max", max_, dimension));
  absl::StatusOr<Domain> domain = centered ? Domain::CenteredBox(lower, upper) : Domain::Box(lower, upper);
  if (!domain.ok()) return FlagError(domain.status(), "--domain_min, --domain_max: ");
  return absl::optional<Domain>(*std::move(domain));
}

}  // namespace dpkde
