#include "dpkde/designs/design.h"

#include <algorithm>
#include <cmath>

#include "dpkde/base/wipe.h"

namespace dpkde {

CoordinateGroup DiskGroup(size_t first, size_t stride, int64_t radius, double coefficient) {
  CoordinateGroup group;
  group.first = first;
  group.count = 2;
  group.stride = stride;
  group.shape = GroupShape::kDisk;
  group.add_remove = {static_cast<uint64_t>(std::ceil(std::sqrt(2.0) * radius)), static_cast<uint64_t>(radius)};
  group.replace = {2 * group.add_remove.l1, 2 * group.add_remove.l2};
  group.mean_square_weight = coefficient * coefficient;
  return group;
}

uint64_t GridUnitsUp(double value) { return static_cast<uint64_t>(std::ceil(value * kGridUnit * (1 + 1e-12))); }

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

void Design::AccumulateWeighted(MatrixView rows, absl::Span<const int32_t> weights, absl::Span<int64_t> sums) const {
  PrivateVector<int64_t> record(num_coordinates());
  for (size_t r = 0; r < rows.rows; ++r) {
    std::fill(record.begin(), record.end(), 0);
    Accumulate(rows.Slice(r, r + 1), absl::MakeSpan(record));
    for (size_t j = 0; j < record.size(); ++j) sums[j] += ScaleByWeight(record[j], weights[r]);
  }
}

uint64_t Design::LargestCoordinate() const {
  uint64_t largest = 1;
  for (const CoordinateGroup& group : groups()) {
    largest = std::max(largest, std::min(group.add_remove.l1, group.add_remove.l2));
  }
  return largest;
}

uint64_t LargestCapacity(const Design& design) { return (uint64_t{1} << 62) / design.LargestCoordinate(); }

std::vector<CoordinateGroup> WeightedGroups(std::vector<CoordinateGroup> groups, bool allow_negative) {
  if (allow_negative) {
    for (CoordinateGroup& group : groups) group.replace = {2 * group.add_remove.l1, 2 * group.add_remove.l2};
  } else {
    groups.back().replace = groups.back().add_remove;
  }
  return groups;
}

}  // namespace dpkde
