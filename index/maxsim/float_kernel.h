#ifndef DPKDE_INDEX_MAXSIM_FLOAT_KERNEL_H_
#define DPKDE_INDEX_MAXSIM_FLOAT_KERNEL_H_

#include <cstddef>

namespace dpkde {

// Query tokens in a panel: coordinate i of token c at panel[i * kMaxSimColumns + c].
inline constexpr size_t kMaxSimColumns = 32;

// Tokens of a document that are converted at a time.
inline constexpr size_t kMaxSimTileRows = 12;

// maxima[c] = the largest product of query token c with any of the `count` document tokens, for c < columns; minus
// infinity if there are none. `maxima` has kMaxSimColumns places, of which those from `columns` on are left with
// anything. `panel` is aligned to 64 bytes.
void FloatMaxima(const float* panel, size_t columns, const float* tokens, size_t count, size_t dimension,
                 float* maxima);

// The same for tokens in half precision. `scratch`: kMaxSimTileRows * dimension values.
void HalfMaxima(const float* panel, size_t columns, const void* tokens, size_t count, size_t dimension, float* scratch,
                float* maxima);

}  // namespace dpkde

#endif  // DPKDE_INDEX_MAXSIM_FLOAT_KERNEL_H_
