#include "dpkde/index/ann/vector_codec.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "dpkde/index/ann/kernels.h"
#include "dpkde/index/ann/points.h"
#include "dpkde/index/ann/product_quantizer.h"

namespace dpkde {
namespace {

using Codes = VectorIndexOptions::Codes;
using Metric = VectorIndexOptions::Metric;

// Rows that a quantiser learns from: 39 for each of 256 centroids.
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

  std::unique_ptr<CodeScorer> Select(absl::Span<const uint32_t> chosen) const override {
    std::vector<float> own;
    own.reserve(chosen.size() * queries_.columns);
    for (const uint32_t i : chosen) own.insert(own.end(), queries_.row(i).begin(), queries_.row(i).end());
    auto selected = std::make_unique<FloatScorer>(MatrixView{own.data(), chosen.size(), queries_.columns}, l2_);
    selected->own_ = std::move(own);  // its place in memory stays
    return selected;
  }

 private:
  const MatrixView queries_;
  const bool l2_;
  std::vector<float> own_;  // of queries that were selected
};

class FloatCodec final : public VectorCodec {
 public:
  FloatCodec(size_t dimension, bool l2) : VectorCodec(dimension), l2_(l2) {}

  size_t CodeBytes(size_t rows) const override { return rows * dimension() * sizeof(float); }

  void Append(MatrixView vectors, size_t /*rows*/, ThreadPool& /*pool*/, std::vector<uint8_t>* codes) const override {
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
      : Int8Scorer(layout, queries.rows) {
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

  std::unique_ptr<CodeScorer> Select(absl::Span<const uint32_t> chosen) const override {
    std::unique_ptr<Int8Scorer> selected(new Int8Scorer(layout_, chosen.size()));
    for (size_t i = 0; i < chosen.size(); ++i) {
      selected->queries_[i] = queries_[chosen[i]];
      std::copy_n(&codes_[chosen[i] * layout_.row_bytes()], layout_.row_bytes(),
                  &selected->codes_[i * layout_.row_bytes()]);
    }
    return selected;
  }

 private:
  struct Query {
    double constant = 0, factor = 0;
  };

  Int8Scorer(const Int8Layout& layout, size_t queries)
      : layout_(layout), codes_(queries * layout.row_bytes(), 0), queries_(queries) {}

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
      const double center = (static_cast<double>(low[j]) + high[j]) / 2,
                   half = (static_cast<double>(high[j]) - low[j]) / 2;
      low[j] = static_cast<float>(center);
      high[j] = static_cast<float>(half * 1.125 / 127);
    }
    return std::make_unique<Int8Codec>(std::move(low), std::move(high), l2);
  }

  size_t CodeBytes(size_t rows) const override { return rows * layout_.row_bytes(); }

  void Append(MatrixView vectors, size_t rows, ThreadPool& /*pool*/, std::vector<uint8_t>* codes) const override {
    codes->resize(CodeBytes(rows + vectors.rows), 0);
    for (size_t i = 0; i < vectors.rows; ++i) {
      uint8_t* const row = codes->data() + CodeBytes(rows + i);
      for (size_t j = 0; j < dimension(); ++j) {
        if (steps_[j] == 0) continue;
        const double code = std::nearbyint((static_cast<double>(vectors.row(i)[j]) - offsets_[j]) / steps_[j]);
        row[j] = static_cast<uint8_t>(static_cast<int8_t>(std::min(std::max(code, -127.0), 127.0)));
      }
      if (layout_.l2) {
        const float stored = static_cast<float>(SquaredNorm(row));
        std::memcpy(row + layout_.width, &stored, sizeof(stored));
      }
    }
  }

  void Decode(const uint8_t* codes, size_t row, float* out) const override {
    const int8_t* code = reinterpret_cast<const int8_t*>(codes + CodeBytes(row));
    for (size_t j = 0; j < dimension(); ++j) out[j] = offsets_[j] + steps_[j] * code[j];
  }

  // The norms that are stored with the rows are theirs.
  absl::Status CheckCodes(const uint8_t* codes, size_t rows) const override {
    for (size_t i = 0; layout_.l2 && i < rows; ++i) {
      const uint8_t* const row = codes + CodeBytes(i);
      const double norm = SquaredNorm(row);
      if (!(std::abs(layout_.norm(row) - norm) <= 1e-6 * norm + std::numeric_limits<float>::min())) {
        return absl::InvalidArgumentError("a norm is not that of its row");
      }
    }
    return absl::OkStatus();
  }

  std::unique_ptr<CodeScorer> Score(MatrixView queries) const override {
    return std::make_unique<Int8Scorer>(queries, offsets_, steps_, layout_);
  }

  std::string Parameters() const override { return Bytes(offsets_) + Bytes(steps_); }

 private:
  // Of what a row stands for, without offsets.
  double SquaredNorm(const uint8_t* row) const {
    const int8_t* const code = reinterpret_cast<const int8_t*>(row);
    double norm = 0;
    for (size_t j = 0; j < dimension(); ++j) {
      if (steps_[j] != 0) norm += static_cast<double>(steps_[j]) * steps_[j] * code[j] * code[j];
    }
    return norm;
  }

  const std::vector<float> offsets_, steps_;
  const Int8Layout layout_;
};

// ---- Graded: 8, 4, 2 or no bits for a coordinate.

// Coordinate j of a vector is bases[j] + steps[j] * code[j]; codes are -127..127, 0..15, 0..3 or none (0). A row has
// the coordinates of 8 bits, then those of 4, then those of 2, in their order, each part padded to 8 bytes. Of 8 bytes
// of nibbles the lower ones are 8 coordinates and the upper ones the next 8; and so for pairs of bits.
struct GradedLayout {
  explicit GradedLayout(const std::vector<uint8_t>& bits) {
    for (int part = 0; part < 3; ++part) {
      const size_t begin = order.size(), chunk = size_t{8} << part;
      for (size_t j = 0; j < bits.size(); ++j) {
        if (bits[j] == 8 >> part) order.push_back(static_cast<int64_t>(j));
      }
      order.resize(begin + (order.size() - begin + chunk - 1) / chunk * chunk, -1);
      ends[part] = order.size();
      row_bytes += (ends[part] - begin) >> part;
    }
    order.resize((order.size() + kInt8Lanes - 1) / kInt8Lanes * kInt8Lanes, -1);
  }

  std::vector<int64_t> order;  // the coordinate at each place of an unpacked row; -1 is padding
  size_t ends[3];              // of the places of 8, 4 and 2 bits
  size_t row_bytes = 0;

  size_t width() const { return order.size(); }

  // `out` has width() places, of which those from ends[2] on are left alone.
  void Unpack(const uint8_t* row, int8_t* out) const {
    std::memcpy(out, row, ends[0]);
    row += ends[0];
    for (int part = 1; part < 3; ++part) {
      const int bits = 8 >> part;
      const uint64_t mask = part == 1 ? 0x0f0f0f0f0f0f0f0f : 0x0303030303030303;
      for (size_t place = ends[part - 1]; place < ends[part]; row += 8) {
        uint64_t packed;
        std::memcpy(&packed, row, 8);
        for (int shift = 0; shift < 8; shift += bits, place += 8) {
          const uint64_t codes = packed >> shift & mask;
          std::memcpy(out + place, &codes, 8);
        }
      }
    }
  }

  // `row` is zero before.
  void Pack(const int8_t* codes, uint8_t* row) const {
    std::memcpy(row, codes, ends[0]);
    row += ends[0];
    for (int part = 1; part < 3; ++part) {
      const size_t chunk = size_t{8} << part;
      for (size_t place = ends[part - 1]; place < ends[part]; ++place) {
        const size_t at = place - ends[part - 1];
        row[at / chunk * 8 + at % 8] |= static_cast<uint8_t>(codes[place] << (at % chunk / 8 * (8 >> part)));
      }
      row += (ends[part] - ends[part - 1]) >> part;
    }
  }
};

class GradedScorer final : public CodeScorer {
 public:
  GradedScorer(MatrixView queries, const GradedLayout& layout, const std::vector<float>& bases,
               const std::vector<float>& steps)
      : layout_(layout), constants_(queries.rows), permuted_(queries.rows * layout.width()) {
    const size_t width = layout.width();
    std::vector<float> permuted_bases(width), permuted_steps(width);
    std::vector<char> coded(queries.columns, 0);
    for (size_t place = 0; place < width; ++place) {
      const int64_t j = layout.order[place];
      if (j < 0) continue;
      permuted_bases[place] = bases[j];
      permuted_steps[place] = steps[j];
      coded[j] = 1;
    }
    for (size_t i = 0; i < queries.rows; ++i) {
      for (size_t place = 0; place < width; ++place) {
        if (layout.order[place] >= 0) permuted_[i * width + place] = queries.row(i)[layout.order[place]];
      }
      for (size_t j = 0; j < queries.columns; ++j) {
        if (!coded[j]) constants_[i] -= static_cast<double>(queries.row(i)[j]) * bases[j];
      }
    }
    scorer_ = std::make_unique<Int8Scorer>(MatrixView{permuted_.data(), queries.rows, width}, permuted_bases,
                                           permuted_steps, Int8Layout{width, /*l2=*/false});
  }

  void Distances(size_t query_begin, size_t query_end, const uint8_t* codes, size_t row_begin, size_t row_end,
                 float* out) const override {
    constexpr size_t kRows = 64;
    const size_t rows = row_end - row_begin;
    std::vector<uint8_t> unpacked(std::min(kRows, rows) * layout_.width());
    std::vector<float> distances(std::min(kRows, rows) * (query_end - query_begin));
    for (size_t begin = 0; begin < rows; begin += kRows) {
      const size_t count = std::min(kRows, rows - begin);
      for (size_t r = 0; r < count; ++r) {
        layout_.Unpack(codes + (row_begin + begin + r) * layout_.row_bytes,
                       reinterpret_cast<int8_t*>(&unpacked[r * layout_.width()]));
      }
      scorer_->Distances(query_begin, query_end, unpacked.data(), 0, count, distances.data());
      for (size_t query = query_begin; query < query_end; ++query) {
        for (size_t r = 0; r < count; ++r) {
          out[(query - query_begin) * rows + begin + r] =
              static_cast<float>(constants_[query] + distances[(query - query_begin) * count + r]);
        }
      }
    }
  }

 private:
  const GradedLayout& layout_;
  std::vector<double> constants_;  // of coordinates without a code
  std::vector<float> permuted_;
  std::unique_ptr<Int8Scorer> scorer_;
};

class GradedCodec final : public VectorCodec {
 public:
  GradedCodec(std::vector<float> bases, std::vector<float> steps, std::vector<uint8_t> bits)
      : VectorCodec(bases.size()),
        bases_(std::move(bases)),
        steps_(std::move(steps)),
        bits_(std::move(bits)),
        layout_(bits_) {}

  static std::unique_ptr<VectorCodec> Train(MatrixView training, size_t row_bytes) {
    const size_t d = training.columns, rows = std::min(training.rows, kTrainingRows);
    const auto sampled = [&](size_t i) { return training.row(i * training.rows / rows).data(); };
    std::vector<double> mean(d), variance(d);
    std::vector<float> low(d, std::numeric_limits<float>::infinity()), high(d, -low[0]);
    for (size_t i = 0; i < rows; ++i) {
      for (size_t j = 0; j < d; ++j) {
        const float x = sampled(i)[j];
        mean[j] += x;
        low[j] = std::min(low[j], x);
        high[j] = std::max(high[j], x);
      }
    }
    for (double& value : mean) value /= rows;
    for (size_t i = 0; i < rows; ++i) {
      for (size_t j = 0; j < d; ++j) variance[j] += (sampled(i)[j] - mean[j]) * (sampled(i)[j] - mean[j]) / rows;
    }

    // Reverse water-filling (Cover & Thomas, section 10.3.3): a coordinate deserves log2(deviation / level) bits, and
    // gets the nearest that there are. The lowest level that keeps to the bytes, by bisection.
    const auto bits_at = [&](double level) {
      std::vector<uint8_t> bits(d);
      for (size_t j = 0; j < d; ++j) {
        const double deserved = variance[j] > 0 ? 0.5 * std::log2(variance[j]) - level : -1;
        bits[j] = deserved >= 6 ? 8 : deserved >= 3 ? 4 : deserved >= 1 ? 2 : 0;
      }
      return bits;
    };
    double above = 140, below = -140;  // log2 of what float32 holds, and a bit
    for (int step = 0; step < 60; ++step) {
      const double level = (above + below) / 2;
      (GradedLayout(bits_at(level)).row_bytes <= row_bytes ? above : below) = level;
    }
    std::vector<uint8_t> bits = bits_at(above);
    if (GradedLayout(bits).row_bytes == 0) bits[0] = 2;

    std::vector<float> bases(d), steps(d);
    for (size_t j = 0; j < d; ++j) {
      bases[j] = static_cast<float>(mean[j]);
      if (bits[j] == 8) {
        // The range and an eighth of it more on either side, as for int8 codes.
        bases[j] = static_cast<float>((static_cast<double>(low[j]) + high[j]) / 2);
        steps[j] = static_cast<float>((static_cast<double>(high[j]) - low[j]) / 2 * 1.125 / 127);
      } else if (bits[j] > 0) {
        // The step with the least squared error, near the best one for a normal law (Max 1960).
        const int levels = 1 << bits[j];
        const double normal_step = (bits[j] == 4 ? 0.3352 : 0.9957) * std::sqrt(variance[j]);
        double least = std::numeric_limits<double>::infinity(), best = normal_step;
        for (const double factor : {0.7, 0.85, 1.0, 1.2, 1.45, 1.8}) {
          double error = 0;
          const double step = factor * normal_step, base = mean[j] - step * (levels - 1) / 2;
          for (size_t i = 0; i < rows; ++i) {
            const double x = sampled(i)[j];
            const double code = std::min(std::max(std::nearbyint((x - base) / step), 0.0), levels - 1.0);
            error += (x - base - step * code) * (x - base - step * code);
          }
          if (error < least) {
            least = error;
            best = step;
          }
        }
        steps[j] = static_cast<float>(best);
        bases[j] = static_cast<float>(mean[j] - best * (levels - 1) / 2);
      }
    }
    return std::make_unique<GradedCodec>(std::move(bases), std::move(steps), std::move(bits));
  }

  static size_t ParameterBytes(size_t dimension) { return dimension * (2 * sizeof(float) + 1); }

  static absl::StatusOr<std::unique_ptr<VectorCodec>> Parse(size_t dimension, absl::string_view parameters) {
    std::vector<float> values(2 * dimension);
    std::memcpy(values.data(), parameters.data(), values.size() * sizeof(float));
    parameters.remove_prefix(values.size() * sizeof(float));
    std::vector<uint8_t> bits(parameters.begin(), parameters.end());
    for (size_t j = 0; j < dimension; ++j) {
      if (bits[j] != 0 && bits[j] != 2 && bits[j] != 4 && bits[j] != 8) {
        return absl::InvalidArgumentError("a coordinate has neither 8, 4, 2 nor no bits");
      }
      if (!std::isfinite(values[j]) || !std::isfinite(values[dimension + j]) || values[dimension + j] < 0) {
        return absl::InvalidArgumentError("a step is not finite or negative");
      }
    }
    if (GradedLayout(bits).row_bytes == 0) return absl::InvalidArgumentError("no coordinate has a code");
    return std::make_unique<GradedCodec>(std::vector<float>(values.begin(), values.begin() + dimension),
                                         std::vector<float>(values.begin() + dimension, values.end()), std::move(bits));
  }

  size_t CodeBytes(size_t rows) const override { return rows * layout_.row_bytes; }

  void Append(MatrixView vectors, size_t rows, ThreadPool& /*pool*/, std::vector<uint8_t>* codes) const override {
    codes->resize(CodeBytes(rows + vectors.rows), 0);
    std::vector<int8_t> unpacked(layout_.width());
    for (size_t i = 0; i < vectors.rows; ++i) {
      for (size_t place = 0; place < layout_.width(); ++place) {
        const int64_t j = layout_.order[place];
        if (j < 0 || steps_[j] == 0) continue;
        const double low = bits_[j] == 8 ? -127 : 0, high = bits_[j] == 8 ? 127 : (1 << bits_[j]) - 1;
        const double code = std::nearbyint((static_cast<double>(vectors.row(i)[j]) - bases_[j]) / steps_[j]);
        unpacked[place] = static_cast<int8_t>(std::min(std::max(code, low), high));
      }
      layout_.Pack(unpacked.data(), codes->data() + CodeBytes(rows + i));
    }
  }

  void Decode(const uint8_t* codes, size_t row, float* out) const override {
    std::vector<int8_t> unpacked(layout_.width());
    layout_.Unpack(codes + CodeBytes(row), unpacked.data());
    std::copy(bases_.begin(), bases_.end(), out);
    for (size_t place = 0; place < layout_.width(); ++place) {
      const int64_t j = layout_.order[place];
      if (j >= 0) out[j] += steps_[j] * unpacked[place];
    }
  }

  std::unique_ptr<CodeScorer> Score(MatrixView queries) const override {
    return std::make_unique<GradedScorer>(queries, layout_, bases_, steps_);
  }

  std::string Parameters() const override {
    return Bytes(bases_) + Bytes(steps_) + std::string(bits_.begin(), bits_.end());
  }

 private:
  const std::vector<float> bases_, steps_;
  const std::vector<uint8_t> bits_;
  const GradedLayout layout_;
};

size_t GradedBytes(const VectorIndexOptions& options, size_t dimension) {
  return options.graded_bytes != 0 ? options.graded_bytes : (dimension + 127) / 128 * 32;
}

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
    const uint8_t* pair = codes + row / kBlockRows4 * (tables_ / 2 * kBlockRows4) + ByteInBlock4(row % kBlockRows4);
    float even = 0, odd = 0;
    for (size_t m = 0; m < tables_; m += 2, tables += 32, pair += kBlockRows4) {
      even += tables[*pair & 15];
      odd += tables[16 + (*pair >> 4)];
    }
    return even + odd;
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

  static std::unique_ptr<VectorCodec> Train(ProductQuantizer pq, MatrixView training, bool l2, ThreadPool& pool) {
    const size_t rows = std::min(training.rows, kTrainingRows);
    std::vector<float> sample;
    sample.reserve(rows * training.columns);
    for (size_t i = 0; i < rows; ++i) {
      const auto row = training.row(i * training.rows / rows);
      sample.insert(sample.end(), row.begin(), row.end());
    }
    pq.Learn({sample.data(), rows, training.columns}, pool);
    return std::make_unique<PqCodec>(training.columns, std::move(pq), l2);
  }

  static absl::StatusOr<std::unique_ptr<VectorCodec>> Parse(size_t dimension, ProductQuantizer pq, bool l2,
                                                            absl::string_view parameters) {
    pq.centroids.resize(parameters.size() / sizeof(float));
    std::memcpy(pq.centroids.data(), parameters.data(), parameters.size());
    // So that the tables of a query stay finite, also where no code points.
    for (size_t begin = 0; begin < pq.centroids.size(); begin += pq.dims) {
      double square = 0;
      for (size_t j = 0; j < pq.dims; ++j) square += static_cast<double>(pq.centroids[begin + j]) * pq.centroids[begin + j];
      if (!(square <= 4 * kLargestSquaredNorm)) {
        return absl::InvalidArgumentError("a centroid is not finite or too large");
      }
    }
    return std::make_unique<PqCodec>(dimension, std::move(pq), l2);
  }

  size_t row_group() const override { return eight_bits() ? 1 : kBlockRows4; }

  size_t CodeBytes(size_t rows) const override {
    if (eight_bits()) return rows * pq_.groups;
    return (rows + kBlockRows4 - 1) / kBlockRows4 * (pq_.groups / 2 * kBlockRows4);
  }

  void Append(MatrixView vectors, size_t rows, ThreadPool& pool, std::vector<uint8_t>* codes) const override {
    codes->resize(CodeBytes(rows + vectors.rows), 0);
    if (eight_bits()) {
      pq_.Encode(vectors, pool, codes->data() + CodeBytes(rows));
      return;
    }
    constexpr size_t kBatch = 4096;
    std::vector<uint8_t> batch(std::min(kBatch, vectors.rows) * pq_.groups);
    for (size_t begin = 0; begin < vectors.rows; begin += kBatch) {
      const size_t end = std::min(begin + kBatch, vectors.rows);
      pq_.Encode(vectors.Slice(begin, end), pool, batch.data());
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

std::unique_ptr<VectorCodec> VectorCodec::Train(const VectorIndexOptions& options, MatrixView training,
                                                ThreadPool& pool) {
  switch (options.codes) {
    case Codes::kFloat32:
      return std::make_unique<FloatCodec>(training.columns, IsL2(options));
    case Codes::kInt8:
      return Int8Codec::Train(training, IsL2(options));
    case Codes::kPq8:
    case Codes::kPq4:
      return PqCodec::Train(ShapeOf(options, training.columns), training, IsL2(options), pool);
    case Codes::kGraded:
      return GradedCodec::Train(training, GradedBytes(options, training.columns));
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
    case Codes::kGraded:
      return GradedCodec::ParameterBytes(dimension);
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
    case Codes::kGraded:
      return GradedCodec::Parse(dimension, parameters);
  }
  return absl::InvalidArgumentError("unknown codes");
}

}  // namespace dpkde
