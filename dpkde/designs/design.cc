#include "dpkde/designs/design.h"

namespace dpkde {

CoordinateGroup CountGroup(size_t coordinate, double coefficient) {
  CoordinateGroup group;
  group.first = coordinate;
  group.count = 1;
  group.add_remove = {static_cast<uint64_t>(kGridUnit), static_cast<uint64_t>(kGridUnit)};
  group.replace = {0, 0};
  group.mean_square_weight = coefficient * coefficient;
  group.least_share = 0.01;
  return group;
}

}  // namespace dpkde
