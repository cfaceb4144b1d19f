#include "dpkde/index/maxsim/int8_kernel.h"

#include <immintrin.h>

#include <cstring>
#include <limits>

// Highway 1.0.3 has no products of bytes. It also must not choose among AVX-512 targets here: some CPUs that it would
// take for AVX3_DL lack what g++ then emits.
#define DPKDE_AVX2 inline __attribute__((always_inline))
#define DPKDE_VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))

namespace dpkde {
namespace {

constexpr size_t kPanelBytes = kMaxSimColumns * 4;  // of a group

// Sums of int32. As the intrinsics' own types, whose lanes are 64 bits wide, g++ 12 keeps arrays of them on the stack.
using Avx2Sums = int32_t __attribute__((vector_size(32)));
using VnniSums = int32_t __attribute__((vector_size(64)));

int32_t LoadGroup(const uint8_t* group) {
  int32_t four;
  std::memcpy(&four, group, sizeof(four));
  return four;
}

// What is to be prefetched with the tile of kRows tokens at `row`: the tile after the next, in the next document if
// this one ends before.
template <size_t kRows>
const uint8_t* Ahead(const uint8_t* tokens, size_t row, size_t count, const uint8_t* next, size_t groups) {
  row += 2 * kRows;
  return row < count ? tokens + row * groups * 4 : next + (row - count) / kRows * kRows * groups * 4;
}

// Document tokens that are multiplied together. 4 x 2 accumulators, 2 vectors of the query and 4 of temporaries.
constexpr size_t kAvx2Rows = 4;

template <size_t kRows, size_t kVectors>
DPKDE_AVX2 void Avx2Tile(const int8_t* panel, const int32_t* starts, const uint8_t* tokens, const float* scales,
                         const uint8_t* ahead, size_t groups, __m256* largest) {
  Avx2Sums sum[kRows][kVectors];
  for (size_t r = 0; r < kRows; ++r) {
    for (size_t v = 0; v < kVectors; ++v) {
      sum[r][v] = (Avx2Sums)_mm256_loadu_si256(reinterpret_cast<const __m256i*>(starts + 8 * v));
    }
  }
  const __m256i ones = _mm256_set1_epi16(1);
  for (size_t g = 0; g < groups; ++g) {
    _mm_prefetch(ahead + g * kRows * 4, _MM_HINT_T0);  // as in float_kernel.cc
    __m256i query[kVectors];
    for (size_t v = 0; v < kVectors; ++v) {
      query[v] = _mm256_load_si256(reinterpret_cast<const __m256i*>(panel + g * kPanelBytes + 32 * v));
    }
    for (size_t r = 0; r < kRows; ++r) {
      const __m256i x = _mm256_set1_epi32(LoadGroup(tokens + (r * groups + g) * 4));
      for (size_t v = 0; v < kVectors; ++v) {
        sum[r][v] += (Avx2Sums)_mm256_madd_epi16(_mm256_maddubs_epi16(x, query[v]), ones);
      }
    }
  }
  for (size_t r = 0; r < kRows; ++r) {
    const __m256 scale = _mm256_set1_ps(scales[r]);
    for (size_t v = 0; v < kVectors; ++v) {
      largest[v] = _mm256_max_ps(largest[v], _mm256_mul_ps(_mm256_cvtepi32_ps((__m256i)sum[r][v]), scale));
    }
  }
}

// For a fixed number of columns, 8 a vector.
template <size_t kVectors>
void Avx2Columns(const int8_t* panel, const int32_t* starts, const uint8_t* tokens, const float* scales, size_t count,
                 const uint8_t* next, size_t groups, float* maxima) {
  __m256 largest[kVectors];
  for (size_t v = 0; v < kVectors; ++v) largest[v] = _mm256_set1_ps(-std::numeric_limits<float>::infinity());
  size_t row = 0;
  for (; row + kAvx2Rows <= count; row += kAvx2Rows) {
    Avx2Tile<kAvx2Rows, kVectors>(panel, starts, tokens + row * groups * 4, scales + row,
                                  Ahead<kAvx2Rows>(tokens, row, count, next, groups), groups, largest);
  }
  for (; row < count; ++row) {
    Avx2Tile<1, kVectors>(panel, starts, tokens + row * groups * 4, scales + row, next, groups, largest);
  }
  for (size_t v = 0; v < kVectors; ++v) _mm256_storeu_ps(maxima + 8 * v, largest[v]);
}

void Avx2Maxima(const int8_t* panel, const int32_t* starts, size_t columns, const uint8_t* tokens, const float* scales,
                size_t count, const uint8_t* next, size_t groups, float* maxima) {
  size_t column = 0;
  for (; column + 8 < columns; column += 16) {
    Avx2Columns<2>(panel + 4 * column, starts + column, tokens, scales, count, next, groups, maxima + column);
  }
  if (column < columns) {
    Avx2Columns<1>(panel + 4 * column, starts + column, tokens, scales, count, next, groups, maxima + column);
  }
}

// 12 x 2 accumulators of 32 registers.
constexpr size_t kVnniRows = 12;

template <size_t kRows, size_t kVectors>
DPKDE_VNNI inline __attribute__((always_inline)) void VnniTile(const int8_t* panel, const int32_t* starts,
                                                               const uint8_t* tokens, const float* scales,
                                                               const uint8_t* ahead, size_t groups, __m512* largest) {
  VnniSums sum[kRows][kVectors];
  for (size_t r = 0; r < kRows; ++r) {
    for (size_t v = 0; v < kVectors; ++v) sum[r][v] = (VnniSums)_mm512_loadu_si512(starts + 16 * v);
  }
  for (size_t g = 0; g < groups; ++g) {
    _mm_prefetch(ahead + g * kRows * 4, _MM_HINT_T0);  // as in float_kernel.cc
    __m512i query[kVectors];
    for (size_t v = 0; v < kVectors; ++v) query[v] = _mm512_load_si512(panel + g * kPanelBytes + 64 * v);
    for (size_t r = 0; r < kRows; ++r) {
      const __m512i x = _mm512_set1_epi32(LoadGroup(tokens + (r * groups + g) * 4));
      for (size_t v = 0; v < kVectors; ++v) {
        sum[r][v] = (VnniSums)_mm512_dpbusd_epi32((__m512i)sum[r][v], x, query[v]);
      }
    }
  }
  for (size_t r = 0; r < kRows; ++r) {
    const __m512 scale = _mm512_set1_ps(scales[r]);
    for (size_t v = 0; v < kVectors; ++v) {
      largest[v] = _mm512_max_ps(largest[v], _mm512_mul_ps(_mm512_cvtepi32_ps((__m512i)sum[r][v]), scale));
    }
  }
}

// VnniTile() for the `rows` <= kRows tokens that are left.
template <size_t kRows, size_t kVectors>
DPKDE_VNNI inline __attribute__((always_inline)) void VnniLastTile(const int8_t* panel, const int32_t* starts,
                                                                   const uint8_t* tokens, const float* scales,
                                                                   const uint8_t* ahead, size_t rows, size_t groups,
                                                                   __m512* largest) {
  if constexpr (kRows > 0) {
    if (rows == kRows) {
      VnniTile<kRows, kVectors>(panel, starts, tokens, scales, ahead, groups, largest);
    } else {
      VnniLastTile<kRows - 1, kVectors>(panel, starts, tokens, scales, ahead, rows, groups, largest);
    }
  }
}

template <size_t kVectors>
DPKDE_VNNI void VnniColumns(const int8_t* panel, const int32_t* starts, const uint8_t* tokens, const float* scales,
                            size_t count, const uint8_t* next, size_t groups, float* maxima) {
  __m512 largest[kVectors];
  for (size_t v = 0; v < kVectors; ++v) largest[v] = _mm512_set1_ps(-std::numeric_limits<float>::infinity());
  size_t row = 0;
  for (; row + kVnniRows <= count; row += kVnniRows) {
    VnniTile<kVnniRows, kVectors>(panel, starts, tokens + row * groups * 4, scales + row,
                                  Ahead<kVnniRows>(tokens, row, count, next, groups), groups, largest);
  }
  VnniLastTile<kVnniRows - 1, kVectors>(panel, starts, tokens + row * groups * 4, scales + row,
                                        Ahead<kVnniRows>(tokens, row, count, next, groups), count - row, groups,
                                        largest);
  for (size_t v = 0; v < kVectors; ++v) _mm512_storeu_ps(maxima + 16 * v, largest[v]);
}

void VnniMaxima(const int8_t* panel, const int32_t* starts, size_t columns, const uint8_t* tokens, const float* scales,
                size_t count, const uint8_t* next, size_t groups, float* maxima) {
  const auto kernel = columns > 16 ? VnniColumns<2> : VnniColumns<1>;
  kernel(panel, starts, tokens, scales, count, next, groups, maxima);
}

}  // namespace

bool HasInt8Kernel(Int8Kernel kernel) {
  // What DPKDE_VNNI lets the compiler use.
  static const bool vnni = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
  return kernel == Int8Kernel::kAvx2 || vnni;
}

void Int8MaximaBy(Int8Kernel kernel, const int8_t* panel, const int32_t* starts, size_t columns, const uint8_t* tokens,
                  const float* scales, size_t count, const uint8_t* next, size_t groups, float* maxima) {
  const auto maxima_by = kernel == Int8Kernel::kAvx2 ? Avx2Maxima : VnniMaxima;
  maxima_by(panel, starts, columns, tokens, scales, count, next, groups, maxima);
}

void Int8Maxima(const int8_t* panel, const int32_t* starts, size_t columns, const uint8_t* tokens, const float* scales,
                size_t count, const uint8_t* next, size_t groups, float* maxima) {
  static const Int8Kernel kernel = HasInt8Kernel(Int8Kernel::kAvx512Vnni) ? Int8Kernel::kAvx512Vnni : Int8Kernel::kAvx2;
  Int8MaximaBy(kernel, panel, starts, columns, tokens, scales, count, next, groups, maxima);
}

}  // namespace dpkde
