#ifndef DPKDE_IO_NPY_WRITER_H_
#define DPKDE_IO_NPY_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <string>

namespace dpkde {

// The bytes of a .npy file (version 1.0, little-endian, C order, two dimensions) of a row-major matrix of
// rows x columns values.
std::string EncodeNpy(const float* values, size_t rows, size_t columns);
std::string EncodeNpy(const double* values, size_t rows, size_t columns);

// What comes before the values, for files that are written in pieces: this, then the rows as they lie in memory.
template <typename T>
std::string NpyHeader(uint64_t rows, uint64_t columns) = delete;
template <>
std::string NpyHeader<float>(uint64_t rows, uint64_t columns);
template <>
std::string NpyHeader<double>(uint64_t rows, uint64_t columns);
template <>
std::string NpyHeader<int8_t>(uint64_t rows, uint64_t columns);
std::string NpyHalfHeader(uint64_t rows, uint64_t columns);  // of IEEE half-precision numbers

}  // namespace dpkde

#endif  // DPKDE_IO_NPY_WRITER_H_
