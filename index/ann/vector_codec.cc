#include "dpkde/index/ann/vector_codec.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "dpkde/index/ann/kernels.h"
#include "dpkde/index/ann/product_quantizer.h"

namespace dpkde {
namespace {

using Codes = VectorIndexOptions::Codes;
using Metric = VectorIndexOptions::Metric;

// Rows that a product quantiser learns from: 39 for each of 256 centroids.
constexpr size_t kTrainingRows = 10000;

bool IsL2(const VectorIndexOptions& options) { return options.metric == Metric::kL2; }

std::string Bytes(const std::vector<float>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
}

// ---- float32

class FloatScorer final : public CodeScorer {
 public:
  FloatScorer(MatrixView queries, bool l2) : queries_(queries), l2_(l2) {}

  void Distances(size_t query_begin, size_t query_end, const uint8_t* codes, size_t row_begin, size_t row_end,
                 float* out) const override {
    const MatrixView rows =
        MatrixView{reinterpret_cast<const float*>(codes), row_end, queries_.columns}.Slice(row_begin, row_end);
    const MatrixView queries = queries_.Slice(query_begin, query_end);
    if (l2_) {
      SquaredDistances(queries, rows, out);
    } else {
      InnerProducts(queries, rows, out);
      for (size_t i = 0; i < queries.rows * rows.rows; ++i) out[i] = -out[i];
    }
  }

 private:
  const MatrixView queries_;
  const bool l2_;
};

class FloatCodec final : public VectorCodec {
 public:
  FloatCodec(size_t dimension, bool l2) : VectorCodec(dimension), l2_(l2) {}

  size_t CodeBytes(size_t rows) const override { return rows * dimension() * sizeof(float); }

  void Append(MatrixView vectors, size_t /*rows*/, std::vector<uint8_t>* codes) const override {
    const uint8_t* bytes = reinterpret_cast<const uint8_t*>(vectors.data);
    codes->insert(codes->end(), bytes, bytes + CodeBytes(vectors.rows));
  }

  void Decode(const uint8_t* codes, size_t row, float* out) const override {
    std::memcpy(out, codes + CodeBytes(row), CodeBytes(1));
  }

  std::unique_ptr<CodeScorer> Score(MatrixView queries) const override {
    return std::make_unique<FloatScorer>(queries, l2_);
  }

  std::string Parameters() const override { return ""; }

 private:
  const bool l2_;
};

// ---- int8: coordinate j of a vector is offset[j] + step[j] * code[j], code in [-127, 127].

// Rows are `width` codes and, for L2, the squared norm of what they stand for, without offsets, as float32.
struct Int8Layout {
  size_t width;
  bool l2;
  size_t row_bytes() const { return width + (l2 ? kInt8Lanes : 0); }
  float norm(const uint8_t* row) const {
    float norm;
    std::memcpy(&norm, row + width, sizeof(norm));
    return norm;
  }
};

class Int8Scorer final : public CodeScorer {
 public:
  Int8Scorer(MatrixView queries, const std::vector<float>& offsets, const std::vector<float>& steps,
             const Int8Layout& layout)
      : layout_(layout), codes_(queries.rows * layout.row_bytes(), 0), queries_(queries.rows) {
    const size_t d = queries.columns;
    std::vector<double> scaled(d);
    for (size_t i = 0; i < queries.rows; ++i) {
      // <q, x> = <q, offset> + sum_j (q_j step_j) code_j, and ||q - x||^2 = ||q - offset||^2
      //          - 2 sum_j ((q_j - offset_j) step_j) code_j + norm(x).
      Query& query = queries_[i];
      double largest = 0, sum = 0;
      for (size_t j = 0; j < d; ++j) {
        const double x = layout.l2 ? static_cast<double>(queries.row(i)[j]) - offsets[j] : queries.row(i)[j];
        query.constant += layout.l2 ? x * x : -x * offsets[j];
        scaled[j] = x * steps[j];
        largest = std::max(largest, std::abs(scaled[j]));
        sum += std::abs(scaled[j]);
      }
      if (largest == 0) continue;
      // Fits int16, and the sum of products int32.
      const double room = (static_cast<double>(int64_t{1} << 31) - 1) / 128 - static_cast<double>(d);
      const double unit = std::max(largest / 32767, sum / room);
      for (size_t j = 0; j < d; ++j) {
        codes_[i * layout.row_bytes() + j] = static_cast<int16_t>(std::lround(scaled[j] / unit));
      }
      query.factor = (layout.l2 ? -2 : -1) * unit;
    }
  }

  void Distances(size_t query_begin, size_t query_end, const uint8_t* codes, size_t row_begin, size_t row_end,
                 float* out) const override {
    const size_t rows = row_end - row_begin, row_bytes = layout_.row_bytes();
    int32_t* const products = reinterpret_cast<int32_t*>(out);  // each is overwritten by its distance
    Int8Products(&codes_[query_begin * row_bytes], query_end - query_begin,
                 reinterpret_cast<const int8_t*>(codes + row_begin * row_bytes), rows, row_bytes, products);
    for (size_t query = query_begin; query < query_end; ++query) {
      const Query& q = queries_[query];
      for (size_t r = 0; r < rows; ++r) {
        int32_t product;
        float* const place = out + (query - query_begin) * rows + r;
        std::memcpy(&product, place, sizeof(product));
        double distance = q.constant + q.factor * product;
        if (layout_.l2) distance = std::max(0.0, distance + layout_.norm(codes + (row_begin + r) * row_bytes));
        *place = static_cast<float>(distance);
      }
    }
  }

 private:
  struct Query {
    double constant = 0, factor = 0;
  };
  const Int8Layout layout_;
  std::vector<int16_t> codes_;  // zero where a row holds its norm
  std::vector<Query> queries_;
};

class Int8Codec final : public VectorCodec {
 public:
  Int8Codec(std::vector<float> offsets, std::vector<float> steps, bool l2)
      : VectorCodec(offsets.size()),
        offsets_(std::move(offsets)),
        steps_(std::move(steps)),
        layout_{(dimension() + kInt8Lanes - 1) / kInt8Lanes * kInt8Lanes, l2} {}

  static std::unique_ptr<VectorCodec> Train(MatrixView training, bool l2) {
    const size_t d = training.columns;
    std::vector<float> low(d, std::numeric_limits<float>::infinity()), high(d, -low[0]);
    for (size_t i = 0; i < training.rows; ++i) {
      for (size_t j = 0; j < d; ++j) {
        low[j] = std::min(low[j], training.row(i)[j]);
        high[j] = std::max(high[j], training.row(i)[j]);
      }
    }
    for (size_t j = 0; j < d; ++j) {
      // An eighth of the range more on either side, for rows that are added later.
      const double center = (static_cast<double>(low[j]) + high[j]) / 2, half = (static_cast<double>(high[j]) - low[j]) / 2;
      low[j] = static_cast<float>(center);
      high[j] = static_cast<float>(half * 1.125 / 127);
    }
    return std::make_unique<Int8Codec>(std::move(low), std::move(high), l2);
  }

  size_t CodeBytes(size_t rows) const override { return rows * layout_.row_bytes(); }

  void Append(MatrixView vectors, size_t rows, std::vector<uint8_t>* codes) const override {
    codes->resize(CodeBytes(rows + vectors.rows), 0);
    for (size_t i = 0; i < vectors.rows; ++i) {
      uint8_t* const row = codes->data() + CodeBytes(rows + i);
      double norm = 0;
      for (size_t j = 0; j < dimension(); ++j) {
        if (steps_[j] == 0) continue;
        const double code = std::nearbyint((static_cast<double>(vectors.row(i)[j]) - offsets_[j]) / steps_[j]);
        const int8_t clamped = static_cast<int8_t>(std::min(std::max(code, -127.0), 127.0));
        row[j] = static_cast<uint8_t>(clamped);
        norm += static_cast<double>(steps_[j]) * steps_[j] * clamped * clamped;
      }
      if (layout_.l2) {
        const float stored = static_cast<float>(norm);
        std::memcpy(row + layout_.width, &stored, sizeof(stored));
      }
    }
  }

  void Decode(const uint8_t* codes, size_t row, float* out) const override {
    const int8_t* code = reinterpret_cast<const int8_t*>(codes + CodeBytes(row));
    for (size_t j = 0; j < dimension(); ++j) out[j] = offsets_[j] + steps_[j] * code[j];
  }

  std::unique_ptr<CodeScorer> Score(MatrixView queries) const override {
    return std::make_unique<Int8Scorer>(queries, offsets_, steps_, layout_);
  }

  std::string Parameters() const override { return Bytes(offsets_) + Bytes(steps_); }

 private:
  const std::vector<float> offsets_, steps_;
  const Int8Layout layout_;
};

// ---- Product quantisers.

// Without centroids. Four bits have an even number of groups, for pairs.
ProductQuantizer ShapeOf(const VectorIndexOptions& options, size_t dimension) {
  const bool eight_bits = options.codes == Codes::kPq8;
  ProductQuantizer pq;
  pq.entries = eight_bits ? 256 : 16;
  pq.dims = options.pq_dims != 0 ? options.pq_dims : eight_bits ? 8 : 1;
  pq.groups = (dimension + pq.dims - 1) / pq.dims;
  if (!eight_bits) pq.groups += pq.groups % 2;
  return pq;
}

// tables[group * entries + entry]: what that centroid adds to the distance.
std::vector<float> DistanceTables(const ProductQuantizer& pq, const float* query, size_t d, bool l2) {
  std::vector<float> tables(pq.groups * pq.entries);
  std::vector<float> padded(pq.width(), 0);
  std::copy(query, query + d, padded.begin());
  for (size_t m = 0; m < pq.groups; ++m) {
    const float* x = &padded[m * pq.dims];
    for (size_t c = 0; c < pq.entries; ++c) {
      const float* y = pq.centroid(m, c);
      float sum = 0;
      for (size_t j = 0; j < pq.dims; ++j) sum += l2 ? (x[j] - y[j]) * (x[j] - y[j]) : -x[j] * y[j];
      tables[m * pq.entries + c] = sum;
    }
  }
  return tables;
}

class Pq8Scorer final : public CodeScorer {
 public:
  Pq8Scorer(const ProductQuantizer& pq, MatrixView queries, bool l2) : tables_(pq.groups) {
    for (size_t i = 0; i < queries.rows; ++i) {
      queries_.push_back(DistanceTables(pq, queries.row(i).data(), queries.columns, l2));
    }
  }

  void Distances(size_t query_begin, size_t query_end, const uint8_t* codes, size_t row_begin, size_t row_end,
                 float* out) const override {
    for (size_t query = query_begin; query < query_end; ++query, out += row_end - row_begin) {
      TableSums8(queries_[query].data(), tables_, codes + row_begin * tables_, row_end - row_begin, out);
    }
  }

 private:
  const size_t tables_;
  std::vector<std::vector<float>> queries_;
};

uint8_t Code4(const uint8_t* codes, size_t tables, size_t row, size_t table) {
  const uint8_t* block = codes + row / kBlockRows4 * (tables / 2 * kBlockRows4);
  const uint8_t pair = block[table / 2 * kBlockRows4 + ByteInBlock4(row % kBlockRows4)];
  return table % 2 == 0 ? pair & 15 : pair >> 4;
}

class Pq4Scorer final : public CodeScorer {
 public:
  Pq4Scorer(const ProductQuantizer& pq, MatrixView queries, bool l2) : tables_(pq.groups) {
    for (size_t i = 0; i < queries.rows; ++i) {
      Query query;
      query.fine = DistanceTables(pq, queries.row(i).data(), queries.columns, l2);
      // Integers that grow as the distance falls: one unit for all tables, entries of at most 127, sums below 2^16.
      std::vector<float> worst(tables_);
      double widest = 0, sum = 0;
      for (size_t m = 0; m < tables_; ++m) {
        const float* table = &query.fine[m * 16];
        worst[m] = *std::max_element(table, table + 16);
        const double width = static_cast<double>(worst[m]) - *std::min_element(table, table + 16);
        widest = std::max(widest, width);
        sum += width;
      }
      const double scale = widest > 0 ? std::min(127 / widest, 65000 / sum) : 0;
      for (size_t m = 0; m < tables_; ++m) {
        for (size_t c = 0; c < 16; ++c) {
          const double entry = std::floor((static_cast<double>(worst[m]) - query.fine[m * 16 + c]) * scale);
          query.coarse.push_back(static_cast<uint8_t>(std::min(entry, 127.0)));
        }
      }
      queries_.push_back(std::move(query));
    }
  }

  bool coarse() const override { return true; }

  void Distances(size_t query_begin, size_t query_end, const uint8_t* codes, size_t row_begin, size_t row_end,
                 float* out) const override {
    const size_t rows = row_end - row_begin;
    const uint8_t* blocks = codes + row_begin / kBlockRows4 * (tables_ / 2 * kBlockRows4);
    uint16_t sums[kChunk * kBlockRows4];
    for (size_t query = query_begin; query < query_end; ++query, out += rows) {
      for (size_t begin = 0; begin < rows; begin += kChunk * kBlockRows4) {
        const size_t end = std::min(begin + kChunk * kBlockRows4, rows);
        TableSums4(queries_[query].coarse.data(), tables_, blocks + begin / kBlockRows4 * (tables_ / 2 * kBlockRows4),
                   (end - begin + kBlockRows4 - 1) / kBlockRows4, sums);
        for (size_t r = begin; r < end; ++r) out[r] = -static_cast<float>(sums[r - begin]);
      }
    }
  }

  float Rescore(size_t query, const uint8_t* codes, size_t row) const override {
    const float* tables = queries_[query].fine.data();
    float sum = 0;
    for (size_t m = 0; m < tables_; ++m) sum += tables[m * 16 + Code4(codes, tables_, row, m)];
    return sum;
  }

 private:
  static constexpr size_t kChunk = 8;  // blocks at a time
  struct Query {
    std::vector<uint8_t> coarse;
    std::vector<float> fine;
  };
  const size_t tables_;
  std::vector<Query> queries_;
};

class PqCodec final : public VectorCodec {
 public:
  PqCodec(size_t dimension, ProductQuantizer pq, bool l2) : VectorCodec(dimension), pq_(std::move(pq)), l2_(l2) {}

  static std::unique_ptr<VectorCodec> Train(ProductQuantizer pq, MatrixView training, bool l2) {
    const size_t rows = std::min(training.rows, kTrainingRows);
    std::vector<float> sample;
    sample.reserve(rows * training.columns);
    for (size_t i = 0; i < rows; ++i) {
      const auto row = training.row(i * training.rows / rows);
      sample.insert(sample.end(), row.begin(), row.end());
    }
    pq.Learn({sample.data(), rows, training.columns});
    return std::make_unique<PqCodec>(training.columns, std::move(pq), l2);
  }

  static absl::StatusOr<std::unique_ptr<VectorCodec>> Parse(size_t dimension, ProductQuantizer pq, bool l2,
                                                            absl::string_view parameters) {
    pq.centroids.resize(parameters.size() / sizeof(float));
    std::memcpy(pq.centroids.data(), parameters.data(), parameters.size());
    if (!std::all_of(pq.centroids.begin(), pq.centroids.end(), [](float x) { return std::isfinite(x); })) {
      return absl::InvalidArgumentError("a centroid is not finite");
    }
    return std::make_unique<PqCodec>(dimension, std::move(pq), l2);
  }

  size_t row_group() const override { return eight_bits() ? 1 : kBlockRows4; }

  size_t CodeBytes(size_t rows) const override {
    if (eight_bits()) return rows * pq_.groups;
    return (rows + kBlockRows4 - 1) / kBlockRows4 * (pq_.groups / 2 * kBlockRows4);
  }

  void Append(MatrixView vectors, size_t rows, std::vector<uint8_t>* codes) const override {
    codes->resize(CodeBytes(rows + vectors.rows), 0);
    if (eight_bits()) {
      pq_.Encode(vectors, codes->data() + CodeBytes(rows));
      return;
    }
    constexpr size_t kBatch = 4096;
    std::vector<uint8_t> batch(std::min(kBatch, vectors.rows) * pq_.groups);
    for (size_t begin = 0; begin < vectors.rows; begin += kBatch) {
      const size_t end = std::min(begin + kBatch, vectors.rows);
      pq_.Encode(vectors.Slice(begin, end), batch.data());
      for (size_t i = begin; i < end; ++i) {
        const uint8_t* code = &batch[(i - begin) * pq_.groups];
        const size_t row = rows + i;
        uint8_t* block = codes->data() + CodeBytes(row / kBlockRows4 * kBlockRows4) + ByteInBlock4(row % kBlockRows4);
        for (size_t m = 0; m < pq_.groups; m += 2) block[m / 2 * kBlockRows4] = code[m] | code[m + 1] << 4;
      }
    }
  }

  void Decode(const uint8_t* codes, size_t row, float* out) const override {
    for (size_t m = 0; m < pq_.groups; ++m) {
      const size_t code = eight_bits() ? codes[row * pq_.groups + m] : Code4(codes, pq_.groups, row, m);
      const float* centroid = pq_.centroid(m, code);
      for (size_t j = m * pq_.dims; j < std::min((m + 1) * pq_.dims, dimension()); ++j) {
        out[j] = centroid[j - m * pq_.dims];
      }
    }
  }

  std::unique_ptr<CodeScorer> Score(MatrixView queries) const override {
    if (eight_bits()) return std::make_unique<Pq8Scorer>(pq_, queries, l2_);
    return std::make_unique<Pq4Scorer>(pq_, queries, l2_);
  }

  std::string Parameters() const override { return Bytes(pq_.centroids); }

 private:
  bool eight_bits() const { return pq_.entries == 256; }

  const ProductQuantizer pq_;
  const bool l2_;
};

}  // namespace

std::unique_ptr<VectorCodec> VectorCodec::Train(const VectorIndexOptions& options, MatrixView training) {
  switch (options.codes) {
    case Codes::kFloat32:
      return std::make_unique<FloatCodec>(training.columns, IsL2(options));
    case Codes::kInt8:
      return Int8Codec::Train(training, IsL2(options));
    case Codes::kPq8:
    case Codes::kPq4:
      return PqCodec::Train(ShapeOf(options, training.columns), training, IsL2(options));
  }
  return nullptr;
}

size_t VectorCodec::ParameterBytes(const VectorIndexOptions& options, size_t dimension) {
  switch (options.codes) {
    case Codes::kFloat32:
      return 0;
    case Codes::kInt8:
      return 2 * dimension * sizeof(float);
    case Codes::kPq8:
    case Codes::kPq4: {
      const ProductQuantizer pq = ShapeOf(options, dimension);
      return pq.width() * pq.entries * sizeof(float);
    }
  }
  return 0;
}

absl::StatusOr<std::unique_ptr<VectorCodec>> VectorCodec::Parse(const VectorIndexOptions& options, size_t dimension,
                                                                absl::string_view parameters) {
  if (parameters.size() != ParameterBytes(options, dimension)) {
    return absl::InvalidArgumentError("the codec's parameters have another size");
  }
  switch (options.codes) {
    case Codes::kFloat32:
      return std::make_unique<FloatCodec>(dimension, IsL2(options));
    case Codes::kInt8: {
      std::vector<float> values(2 * dimension);
      std::memcpy(values.data(), parameters.data(), parameters.size());
      for (size_t i = 0; i < values.size(); ++i) {
        if (!std::isfinite(values[i]) || (i >= dimension && values[i] < 0)) {
          return absl::InvalidArgumentError("a step is not finite or negative");
        }
      }
      return std::make_unique<Int8Codec>(std::vector<float>(values.begin(), values.begin() + dimension),
                                         std::vector<float>(values.begin() + dimension, values.end()), IsL2(options));
    }
    case Codes::kPq8:
    case Codes::kPq4:
      return PqCodec::Parse(dimension, ShapeOf(options, dimension), IsL2(options), parameters);
  }
  return absl::InvalidArgumentError("unknown codes");
}

}  // namespace dpkde
