#ifndef DPKDE_INDEX_MAXSIM_INT8_KERNEL_H_
#define DPKDE_INDEX_MAXSIM_INT8_KERNEL_H_

#include <cstddef>
#include <cstdint>

#include "dpkde/index/maxsim/float_kernel.h"

namespace dpkde {

// The largest |c_2j| + |c_2j+1| of a query token's codes: then the sum of two products with bytes up to 255 fits int16.
inline constexpr int kInt8PairLimit = 128;

// maxima[c] = max over the `count` >= 1 document tokens p of scales[p] * float(sum_i q_i (p_i - 128)), for the query
// token c in column c < columns; as FloatMaxima() otherwise. The sum over i is an exact integer.
//
// `panel`: groups x kMaxSimColumns x 4 signed codes: coordinate 4 g + k of token c at (g * kMaxSimColumns + c) * 4 + k;
// aligned to 64 bytes; groups = ceil(dimension / 4), codes beyond the dimension are 0. `starts`: for each column -128
// times the sum of its codes. `tokens`: `count` x 4 groups unsigned codes.
void Int8Maxima(const int8_t* panel, const int32_t* starts, size_t columns, const uint8_t* tokens, const float* scales,
                size_t count, const uint8_t* next, size_t groups, float* maxima);

// Which kernels this CPU has, for tests and benchmarks: the same result, bit for bit.
enum class Int8Kernel { kAvx2, kAvx512Vnni };
bool HasInt8Kernel(Int8Kernel kernel);
void Int8MaximaBy(Int8Kernel kernel, const int8_t* panel, const int32_t* starts, size_t columns, const uint8_t* tokens,
                  const float* scales, size_t count, const uint8_t* next, size_t groups, float* maxima);

}  // namespace dpkde

#endif  // DPKDE_INDEX_MAXSIM_INT8_KERNEL_H_
