#ifndef DPKDE_TOOLS_DOMAIN_OPTIONS_H_
#define DPKDE_TOOLS_DOMAIN_OPTIONS_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/flags/declare.h"
#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "dpkde/similarity/domain.h"

ABSL_DECLARE_FLAG(std::string, domain_min);
ABSL_DECLARE_FLAG(std::string, domain_max);
ABSL_DECLARE_FLAG(absl::optional<double>, domain_radius);
ABSL_DECLARE_FLAG(std::string, domain_center);

namespace dpkde {

// What --domain_min and --domain_max, or --domain_radius and --domain_center, say before the dimension is known.
class DomainOptions {
 public:
  // A usage error for what is malformed or does not go together.
  static absl::StatusOr<DomainOptions> Parse();

  // The number of coordinates that the flags tell; 0 if they tell none.
  size_t dimension() const;

  // Whether there is a domain.
  bool is_given() const;

  // nullopt without flags. A usage error if they do not fit the dimension. `centered`: with an origin, its centre, for
  // what is a function of differences of coordinates alone.
  absl::StatusOr<absl::optional<Domain>> Make(size_t dimension, bool centered) const;

 private:
  std::vector<double> min_, max_, center_;  // empty: none
};

}  // namespace dpkde

#endif  // DPKDE_TOOLS_DOMAIN_OPTIONS_H_
