#ifndef DPKDE_DESIGNS_CENTERED_BLOCKS_H_
#define DPKDE_DESIGNS_CENTERED_BLOCKS_H_

#include <algorithm>
#include <cstddef>
#include <vector>

#include "absl/types/span.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/similarity/domain.h"

namespace dpkde {

// Calls body(first row, block) for blocks of at most `block_rows` rows in turn: clamped to `domain` (null: as they
// are), less `center`. A block has center.size() columns; a row counts as 0 where `center` goes beyond it. What becomes
// of a row depends on that row alone.
template <typename Body>
void ForCenteredBlocks(MatrixView rows, size_t block_rows, const Domain* domain, absl::Span<const float> center,
                       const Body& body) {
  const size_t columns = center.size();
  std::vector<float> block(std::min(rows.rows, block_rows) * columns);
  for (size_t begin = 0; begin < rows.rows; begin += block_rows) {
    const MatrixView part = rows.Slice(begin, std::min(begin + block_rows, rows.rows));
    for (size_t r = 0; r < part.rows; ++r) {
      const float* x = part.row(r).data();
      float* out = block.data() + r * columns;
      if (domain != nullptr) {
        domain->Clamp(x, out);
        x = out;
      }
      for (size_t i = 0; i < rows.columns; ++i) out[i] = x[i] - center[i];
      for (size_t i = rows.columns; i < columns; ++i) out[i] = -center[i];
    }
    body(begin, MatrixView{block.data(), part.rows, columns});
  }
}

}  // namespace dpkde

#endif  // DPKDE_DESIGNS_CENTERED_BLOCKS_H_
