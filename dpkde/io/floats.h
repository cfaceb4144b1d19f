#ifndef DPKDE_IO_FLOATS_H_
#define DPKDE_IO_FLOATS_H_

#include <immintrin.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace dpkde {

// `count` IEEE half-precision numbers, little-endian and at any address, as float32. Exact, denormals included; a NaN
// stays a NaN.
inline void HalfToFloat(const char* halves, size_t count, float* out) {
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m128i eight = _mm_loadu_si128(reinterpret_cast<const __m128i*>(halves + 2 * i));
    _mm256_storeu_ps(out + i, _mm256_cvtph_ps(eight));
  }
  for (; i < count; ++i) {
    uint16_t half;
    std::memcpy(&half, halves + 2 * i, sizeof(half));
    out[i] = _cvtsh_ss(half);
  }
}

// values[i] = values[i] - origins[i] in double, rounded to float32.
inline void SubtractOrigins(const double* origins, size_t count, float* values) {
  size_t i = 0;
  for (; i + 4 <= count; i += 4) {
    const __m256d four = _mm256_cvtps_pd(_mm_loadu_ps(values + i));
    _mm_storeu_ps(values + i, _mm256_cvtpd_ps(_mm256_sub_pd(four, _mm256_loadu_pd(origins + i))));
  }
  for (; i < count; ++i) values[i] = static_cast<float>(static_cast<double>(values[i]) - origins[i]);
}

// The index of the first NaN or infinity; `count` if there is none.
inline size_t FirstNonFinite(const float* values, size_t count) {
  const __m256i exponent = _mm256_set1_epi32(0x7f800000);
  const auto non_finite = [&](const float* eight) {
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(eight));
    return _mm256_cmpeq_epi32(_mm256_and_si256(bits, exponent), exponent);
  };
  size_t i = 0;
  for (; i + 32 <= count; i += 32) {
    const __m256i any = _mm256_or_si256(_mm256_or_si256(non_finite(values + i), non_finite(values + i + 8)),
                                        _mm256_or_si256(non_finite(values + i + 16), non_finite(values + i + 24)));
    if (!_mm256_testz_si256(any, any)) break;
  }
  while (i < count && std::isfinite(values[i])) ++i;
  return i;
}

}  // namespace dpkde

#endif  // DPKDE_IO_FLOATS_H_
