#ifndef DPKDE_DESIGNS_AXIS_TABLES_H_
#define DPKDE_DESIGNS_AXIS_TABLES_H_

#include <cstddef>
#include <vector>

#include "absl/types/span.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/similarity/domain.h"

namespace dpkde {

// Functions of one coordinate each, tabulated over a box, and their sum at points.
//
// Nodes of an axis lie at lower + (j - 1) (upper - lower) / steps for j = 0 .. steps + 2: one beyond either end, which
// the cubic needs there. A coordinate outside of the box is answered by the polynomial of the cell at its end.
class AxisTables {
 public:
  enum class Interpolation {
    kCubic,   // Lagrange's, through four nodes
    kLinear,  // keeps convex nodes convex
  };

  // All nodes 0. Memory: 8 (steps + 3) bytes an axis.
  AxisTables(const Domain& domain, size_t steps);

  size_t axes() const { return axes_; }
  size_t nodes_each() const { return steps_ + 3; }
  absl::Span<double> nodes(size_t axis) { return absl::MakeSpan(nodes_).subspan(axis * nodes_each(), nodes_each()); }

  // sums[q] += the functions' sum at queries.row(q), which has axes() values: O(1) an axis, with axes in blocks whose
  // tables stay in the first cache while the queries pass. Additions are in an order that only axes() decides.
  void AddSums(Interpolation interpolation, MatrixView queries, absl::Span<double> sums) const;

 private:
  size_t axes_;
  size_t steps_;
  // Padded to whole blocks by axes that are 0 everywhere.
  std::vector<double> lower_, inverse_step_;
  std::vector<double> nodes_;
};

}  // namespace dpkde

#endif  // DPKDE_DESIGNS_AXIS_TABLES_H_
