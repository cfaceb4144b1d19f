#ifndef DPKDE_INDEX_MAXSIM_FLOAT_KERNEL_H_
#define DPKDE_INDEX_MAXSIM_FLOAT_KERNEL_H_

#include <cstddef>

namespace dpkde {

// Query tokens in a panel: coordinate i of token c at panel[i * kMaxSimColumns + c].
inline constexpr size_t kMaxSimColumns = 32;

// Tokens of a document that are converted at a time.
inline constexpr size_t kMaxSimTileRows = 12;

// maxima[c] = the largest product of query token c with any of the `count` >= 1 document tokens, for c < columns.
// `maxima` has kMaxSimColumns places, of which those from `columns` on are left with anything. `panel` is aligned to 64
// bytes. `next`: tokens that will be needed next, only prefetched; any address but null.
void FloatMaxima(const float* panel, size_t columns, const float* tokens, size_t count, const float* next,
                 size_t dimension, float* maxima);

// The same for tokens in half precision. `scratch`: kMaxSimTileRows * dimension values.
void HalfMaxima(const float* panel, size_t columns, const void* tokens, size_t count, const void* next,
                size_t dimension, float* scratch, float* maxima);

}  // namespace dpkde

#endif  // DPKDE_INDEX_MAXSIM_FLOAT_KERNEL_H_
