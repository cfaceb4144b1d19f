#ifndef DPKDE_DESIGNS_FOURIER_KERNEL_H_
#define DPKDE_DESIGNS_FOURIER_KERNEL_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "dpkde/base/matrix_view.h"

namespace dpkde {

// Frequencies laid out for the kernels below: panels of kPanelColumns frequencies, each panel coordinate-major
// (panel[i * kPanelColumns + j] is coordinate i of frequency j), the last panel padded with zeros.
//
// Frequencies are in turns (omega / 2 pi) a unit of the coordinate, as float32 values. Phases of `wide` panels are
// added in double precision, for frequencies whose phases may exceed what float32 resolves.
struct FrequencyPanels {
  static constexpr size_t kPanelColumns = 64;

  size_t dimension = 0;
  size_t frequencies = 0;
  std::vector<float> narrow;  // panels of the first narrow_panels
  std::vector<double> wide;   // the panels after those
  size_t narrow_panels = 0;
  size_t wide_panels = 0;

  // The panels' columns, padding included. Sums and weights below are arrays of this length.
  size_t padded() const { return (narrow_panels + wide_panels) * kPanelColumns; }
  // Where frequency k of the input stands in the panels. Narrow ones come first; order is otherwise kept.
  std::vector<uint32_t> column_of;
};

// Phases above this many turns (2^12 radians) should be added in double precision: there float32 resolves 2^-14 turns.
inline constexpr double kNarrowTurns = 4096 / 6.283185307179586;

// `turns` is frequencies x dimension, row-major; wide[k] says whether frequency k needs double precision.
FrequencyPanels MakeFrequencyPanels(absl::Span<const float> turns, size_t dimension, const std::vector<bool>& wide);

// cos and sin are rounded to multiples of 2^-kFourierGridBits.
inline constexpr int kFourierGridBits = 20;
inline constexpr int64_t kFourierGridUnit = int64_t{1} << kFourierGridBits;

// Every pair (a, b) = round(2^20 (cos, sin)) that the kernel adds satisfies a^2 + b^2 <= kFourierPairNorm^2, checked:
// the kernel replaces a pair that fails (none does but for phases of NaN) by (0, 0).
inline constexpr int64_t kFourierPairNorm = kFourierGridUnit + 2;

// Adds to cos_sums[j] and sin_sums[j], each of length panels.padded(), the pairs of all rows. rows n x dimension.
//
// Purity: the pair of a row is a function of that row's bytes and the frequencies alone, whatever its position, the
// other rows, the number of threads and the SIMD target: one accumulator a phase, coordinates ascending, one fused
// multiply-add a term, in every lane and remainder. A BLAS does not give this.
//
// Dispatches at run time to AVX2 or AVX-512. Cost: n * frequencies * (dimension fused multiply-adds + about 30 vector
// operations). Thread-safe; no allocation.
void AccumulateFourier(const FrequencyPanels& panels, MatrixView rows, int64_t* cos_sums, int64_t* sin_sums);

// For each query y: sums[q] = sum_j u_j with u_j = cos_weights[j] cos(omega_j y) + sin_weights[j] sin(omega_j y), and,
// if square_sums is not null, square_sums[q] = sum_j u_j^2. Weights have length panels.padded() and are zero in the
// padding. The same phases and sines as above; added in double precision.
void EvaluateFourier(const FrequencyPanels& panels, MatrixView queries, const double* cos_weights,
                     const double* sin_weights, double* sums, double* square_sums);

// The same for phases that are at hand. `phases` is n x columns, in turns, columns a multiple of kPanelColumns; the
// pair of a row and a column is that of `factor` times the phase, one multiplication in float32. Purity, norms and NaN
// as above. AccumulatePhases adds to sums of length columns; EvaluatePhases adds to sums[r] and square_sums[r].
void AccumulatePhases(MatrixView phases, float factor, int64_t* cos_sums, int64_t* sin_sums);
void EvaluatePhases(MatrixView phases, float factor, const double* cos_weights, const double* sin_weights, double* sums,
                    double* square_sums);

// out[r * panels.padded() + column] = <row r, frequency>, in the order of operations above, whole turns kept: a product
// of matrices whose every row depends on that row alone. No wide panels.
void FixedOrderProducts(const FrequencyPanels& panels, MatrixView rows, float* out);

// The phases of rows against one narrow panel, as the kernels compute them: out is rows x kPanelColumns, row-major, in
// turns, whole turns dropped. For benchmarks.
void FourierPhases(const FrequencyPanels& panels, size_t narrow_panel, MatrixView rows, float* out);

}  // namespace dpkde

#endif  // DPKDE_DESIGNS_FOURIER_KERNEL_H_
