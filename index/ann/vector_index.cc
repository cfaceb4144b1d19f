#include "dpkde/index/ann/vector_index.h"

#include <faiss/Clustering.h>
#include <faiss/IndexFlat.h>
#include <faiss/utils/distances.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dpkde/base/blas.h"
#include "dpkde/base/exceptions.h"
#include "dpkde/base/float_environment.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/base/validation.h"
#include "dpkde/index/ann/hnsw_graph.h"
#include "dpkde/index/ann/kernels.h"
#include "dpkde/index/ann/points.h"
#include "dpkde/index/ann/vector_codec.h"
#include "dpkde/io/envelope.h"
#include "dpkde/io/parse_message.h"

namespace dpkde {
namespace {

using Kind = VectorIndexOptions::Kind;
using Codes = VectorIndexOptions::Codes;
using Metric = VectorIndexOptions::Metric;

constexpr int64_t kMaxDimension = 65536;
constexpr int64_t kMaxEf = 1000000;
constexpr int64_t kMaxProbe = 65536;
constexpr int64_t kMaxRescore = 1000;
constexpr int64_t kMaxThreads = 1024;
constexpr int64_t kMaxRows = std::numeric_limits<int32_t>::max();

// Rows with which codes and lists are learnt.
constexpr size_t kRowsToLearn = 1024;
constexpr size_t kRowsPerList = 4;

// ---- Arguments.

absl::StatusOr<int> ThreadCount(int threads) {
  DPKDE_RETURN_IF_ERROR(CheckInRange("threads", threads, 0, kMaxThreads));
  return threads == 0 ? ThreadPool::HardwareThreads() : threads;
}

// While FAISS works: its loops run on the calling thread. OpenMP ends the process where it cannot start a thread, or
// where an exception would leave a loop. The number is the calling thread's alone, so that others are not disturbed.
class OneOmpThread {
 public:
  OneOmpThread() : previous_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneOmpThread() { omp_set_num_threads(previous_); }
  OneOmpThread(const OneOmpThread&) = delete;
  OneOmpThread& operator=(const OneOmpThread&) = delete;

 private:
  int previous_;
};

std::vector<float> Normalized(MatrixView rows) {
  std::vector<float> values(rows.data, rows.data + rows.rows * rows.columns);
  for (size_t i = 0; i < rows.rows; ++i) {
    float* row = &values[i * rows.columns];
    double square = 0;
    for (size_t j = 0; j < rows.columns; ++j) square += static_cast<double>(row[j]) * row[j];
    if (square == 0) continue;
    const double factor = 1 / std::sqrt(square);
    for (size_t j = 0; j < rows.columns; ++j) row[j] = static_cast<float>(row[j] * factor);
  }
  return values;
}

// ---- Selection.

struct Hit {
  float distance;  // smaller where nearer: the squared L2 distance, or the negated inner product
  int64_t row;
};

struct Nearer {
  bool operator()(const Hit& a, const Hit& b) const {
    return a.distance != b.distance ? a.distance < b.distance : a.row < b.row;
  }
};

// The `capacity` nearest hits so far: a heap, the farthest in front.
class Nearest {
 public:
  explicit Nearest(size_t capacity) : capacity_(capacity) { heap_.reserve(capacity); }

  void Offer(Hit hit) {
    if (heap_.size() < capacity_) {
      heap_.push_back(hit);
      std::push_heap(heap_.begin(), heap_.end(), Nearer());
    } else if (Nearer()(hit, heap_.front())) {
      std::pop_heap(heap_.begin(), heap_.end(), Nearer());
      heap_.back() = hit;
      std::push_heap(heap_.begin(), heap_.end(), Nearer());
    }
  }

  // No hit that is farther would be kept.
  float bound() const {
    return heap_.size() < capacity_ ? std::numeric_limits<float>::infinity() : heap_.front().distance;
  }

  std::vector<Hit>& hits() { return heap_; }

 private:
  size_t capacity_;
  std::vector<Hit> heap_;
};

// Keeps the `k` nearest of `hits`, in order, and writes them as one query's row of the result.
void WriteResult(std::vector<Hit>* hits, size_t k, bool l2, int64_t* ids, float* scores) {
  const size_t found = std::min(k, hits->size());
  std::partial_sort(hits->begin(), hits->begin() + found, hits->end(), Nearer());
  const float sign = l2 ? 1 : -1;
  for (size_t i = 0; i < found; ++i) {
    ids[i] = (*hits)[i].row;
    scores[i] = sign * (*hits)[i].distance;
  }
}

// ---- Scans.

// Codes that lie together, and whose they are.
struct CodeList {
  std::vector<uint8_t> codes;
  std::vector<uint32_t> rows;  // empty: 0, 1, 2, ...

  int64_t row(size_t slot) const { return rows.empty() ? static_cast<int64_t>(slot) : rows[slot]; }
};

// Queries that go through the codes together, and bytes of codes that stay in the cache meanwhile.
constexpr size_t kQueryGroup = 48;
constexpr size_t kBlockBytes = 128 << 10;
constexpr size_t kMaxBlockRows = 1024;

size_t BlockRows(const VectorCodec& codec) {
  const size_t group = codec.row_group();
  const size_t rows = std::min(kMaxBlockRows, kBlockBytes / std::max<size_t>(1, codec.CodeBytes(group) / group));
  return std::max(group, rows / group * group);
}

// Offers the slots [begin, end) of a list to nearest[i], for query query_begin + i. `buffer`: a float for each query
// and row of a block.
void ScanList(const CodeScorer& scorer, size_t query_begin, size_t query_end, const CodeList& list, size_t begin,
              size_t end, size_t block_rows, const RowSet* allowed, float* buffer, Nearest* const* nearest) {
  for (size_t block = begin; block < end; block += block_rows) {
    const size_t block_end = std::min(block + block_rows, end), rows = block_end - block;
    if (allowed != nullptr && list.rows.empty() && !allowed->ContainsAnyOf(block, block_end)) continue;
    scorer.Distances(query_begin, query_end, list.codes.data(), block, block_end, buffer);
    for (size_t query = 0; query < query_end - query_begin; ++query) {
      const float* distances = buffer + query * rows;
      float bound = nearest[query]->bound();
      for (size_t r = 0; r < rows; ++r) {
        if (distances[r] > bound) continue;
        const int64_t row = list.row(block + r);
        if (allowed != nullptr && !allowed->contains(row)) continue;
        nearest[query]->Offer({distances[r], row});
        bound = nearest[query]->bound();
      }
    }
  }
}

// ---- Files.

constexpr absl::string_view kFileKind = "vecindex";
constexpr uint32_t kFileVersion = 1;

void AppendBytes(const void* data, size_t size, std::string* bytes) {
  bytes->append(static_cast<const char*>(data), size);
}

// The next `size` bytes; the caller has compared the sizes.
absl::string_view Take(size_t size, absl::string_view* bytes) {
  const absl::string_view taken = bytes->substr(0, size);
  bytes->remove_prefix(size);
  return taken;
}

template <typename T>
void CopyInto(absl::string_view bytes, std::vector<T>* values) {
  values->resize(bytes.size() / sizeof(T));
  if (!bytes.empty()) std::memcpy(values->data(), bytes.data(), bytes.size());
}

}  // namespace

struct VectorIndex::State {
  VectorIndexOptions options;
  size_t dimension = 0;
  size_t rows = 0;
  bool trained = false;
  std::unique_ptr<VectorCodec> codec;  // float32 until trained
  std::vector<CodeList> lists;         // one, unless a trained kIvf
  std::vector<float> centers;          // a row for each list; empty if there is one
  struct Place {
    uint32_t list, slot;
  };
  std::vector<Place> places;         // of each row; empty if there is one list
  std::unique_ptr<HnswGraph> graph;  // a trained kHnsw
  std::vector<float> squares;        // squared lengths of what the codes stand for, one a row; empty unless needed
  std::vector<uint32_t> by_length;   // rows, the longest first; empty where lengths are alike or decide nothing

  struct Plan {
    size_t k;     // of the result
    size_t want;  // min(k, rows that are allowed)
    size_t kept;  // of the scan, for rescoring: want or more
    const RowSet* allowed;
    size_t probe, ef_search;

    bool allows(int64_t row) const { return allowed == nullptr || allowed->contains(row); }
  };

  // What one thread needs for queries that it answers alone.
  struct Worker {
    std::vector<float> buffer;
    std::vector<HnswGraph::Found> found;
    std::unique_ptr<HnswGraph::Walker> walker;
    std::vector<char> seen;  // rows or lists that a query has met; all 0 between queries
  };

  State(const VectorIndexOptions& options, size_t dimension) : options(options), dimension(dimension), lists(1) {
    VectorIndexOptions untrained = options;
    untrained.codes = Codes::kFloat32;
    ThreadPool one(1);
    codec = VectorCodec::Train(untrained, {nullptr, 0, dimension}, one);
  }

  bool l2() const { return options.metric == Metric::kL2; }

  size_t RowsToLearn() const {
    if (options.codes == Codes::kFloat32 && options.kind != Kind::kIvf) return 0;
    return std::max(kRowsToLearn, kRowsPerList * (options.kind == Kind::kIvf ? options.ivf_lists : 0));
  }

  // The vectors that the codes stand for.
  std::vector<float> Decode() const {
    std::vector<float> vectors(rows * dimension);
    for (const CodeList& list : lists) {
      const size_t count = list.rows.empty() ? rows : list.rows.size();
      for (size_t slot = 0; slot < count; ++slot) {
        codec->Decode(list.codes.data(), slot, &vectors[list.row(slot) * dimension]);
      }
    }
    return vectors;
  }

  void LearnLists(MatrixView vectors) {
    const size_t count = options.ivf_lists != 0 ? options.ivf_lists
                                                : std::min<size_t>(kMaxProbe, std::lround(2 * std::sqrt(vectors.rows)));
    faiss::Clustering clustering(static_cast<int>(dimension), static_cast<int>(count));
    clustering.niter = 10;
    clustering.min_points_per_centroid = 1;
    clustering.max_points_per_centroid = 64;
    faiss::IndexFlatL2 assign(static_cast<int>(dimension));
    const BlasCall call;  // whose own threads work
    const OneOmpThread one;
    clustering.train(vectors.rows, vectors.data, assign);
    centers = std::move(clustering.centroids);
    lists = std::vector<CodeList>(count);
  }

  MatrixView Centers() const { return {centers.data(), lists.size(), dimension}; }

  // Of each list how good it is for `query`. A vector belongs to the list whose centre is nearest; for inner products a
  // query probes those whose centres have the largest inner product.
  std::vector<Hit> RankLists(MatrixView query) const {
    std::vector<float> scores(lists.size());
    std::vector<Hit> hits;
    hits.reserve(lists.size());
    if (l2()) {
      SquaredDistances(query, Centers(), scores.data());
    } else {
      InnerProducts(query, Centers(), scores.data());
    }
    for (size_t i = 0; i < lists.size(); ++i)
      hits.push_back({l2() ? scores[i] : -scores[i], static_cast<int64_t>(i)});
    return hits;
  }

  // Encodes `vectors` as the rows from `rows` on.
  void Encode(MatrixView vectors, ThreadPool& pool) {
    if (centers.empty()) {
      codec->Append(vectors, rows, pool, &lists[0].codes);
      rows += vectors.rows;
      return;
    }
    // Several vectors meet the centres, which are larger than the caches near a core, at a time.
    constexpr size_t kTogether = 16;
    std::vector<uint32_t> list_of(vectors.rows);
    pool.ParallelFor(vectors.rows, kTogether, [&](size_t begin, size_t end, int) {
      const MatrixView some = vectors.Slice(begin, end);
      std::vector<float> distances(some.rows * lists.size());
      SquaredDistances(some, Centers(), distances.data());
      for (size_t i = 0; i < some.rows; ++i) {
        const auto of_vector = distances.begin() + i * lists.size();
        // The first of the nearest.
        list_of[begin + i] = static_cast<uint32_t>(std::min_element(of_vector, of_vector + lists.size()) - of_vector);
      }
    });
    std::vector<std::vector<uint32_t>> members(lists.size());
    for (size_t i = 0; i < vectors.rows; ++i) members[list_of[i]].push_back(static_cast<uint32_t>(i));
    std::vector<float> gathered;
    places.resize(rows + vectors.rows);
    for (size_t l = 0; l < lists.size(); ++l) {
      if (members[l].empty()) continue;
      CodeList& list = lists[l];
      gathered.clear();
      const size_t before = list.rows.size();
      for (const uint32_t i : members[l]) {
        gathered.insert(gathered.end(), vectors.row(i).begin(), vectors.row(i).end());
        places[rows + i] = {static_cast<uint32_t>(l), static_cast<uint32_t>(list.rows.size())};
        list.rows.push_back(static_cast<uint32_t>(rows + i));
      }
      codec->Append({gathered.data(), members[l].size(), dimension}, before, pool, &list.codes);
    }
    rows += vectors.rows;
  }

  // The largest inner products are mostly those of long vectors. Neither links nor lists lead to them reliably, since
  // both are of distances, and long vectors lie far from everything: a search compares a query with the longest rows
  // besides.
  void OrderByLength() {
    by_length.clear();
    if (options.metric != Metric::kInnerProduct || (graph == nullptr && centers.empty()) || rows == 0) return;
    std::vector<float> decoded(dimension);
    for (size_t row = squares.size(); row < rows; ++row) {
      const Place place = PlaceOf(row);
      codec->Decode(lists[place.list].codes.data(), place.slot, decoded.data());
      squares.push_back(faiss::fvec_norm_L2sqr(decoded.data(), dimension));
    }
    constexpr float kAlike = 1.02f;  // lengths that differ by a hundredth
    const auto ends = std::minmax_element(squares.begin(), squares.end());
    if (*ends.second <= kAlike * *ends.first) return;
    by_length.resize(rows);
    std::iota(by_length.begin(), by_length.end(), 0u);
    std::sort(by_length.begin(), by_length.end(),
              [&](uint32_t a, uint32_t b) { return squares[a] != squares[b] ? squares[a] > squares[b] : a < b; });
  }

  Place PlaceOf(size_t row) const { return places.empty() ? Place{0, static_cast<uint32_t>(row)} : places[row]; }

  // The distance of a query from one row, as a scan has it.
  float ScannedDistance(const CodeScorer& scorer, size_t query, size_t row, Worker* worker) const {
    const Place place = PlaceOf(row);
    const size_t begin = place.slot / codec->row_group() * codec->row_group();
    worker->buffer.resize(std::max(worker->buffer.size(), codec->row_group()));
    scorer.Distances(query, query + 1, lists[place.list].codes.data(), begin, place.slot + 1, worker->buffer.data());
    return worker->buffer[place.slot - begin];
  }

  // Offers `count` of the longest rows that are allowed and not `seen` (of a row).
  template <typename Seen>
  void OfferLongest(const CodeScorer& scorer, size_t query, const Plan& plan, size_t count, Seen seen, Worker* worker,
                    Nearest* nearest) const {
    for (size_t i = 0; i < by_length.size() && count > 0; ++i) {
      const uint32_t row = by_length[i];
      if (!plan.allows(row)) continue;
      --count;
      if (!seen(row)) nearest->Offer({ScannedDistance(scorer, query, row, worker), row});
    }
  }

  // `vectors`, checked and normalised.
  void Add(MatrixView vectors, ThreadPool& pool) {
    AddRows(vectors, pool);
    OrderByLength();
  }

  void AddRows(MatrixView vectors, ThreadPool& pool) {
    if (vectors.rows == 0) return;
    if (!trained && rows + vectors.rows < RowsToLearn()) {
      Encode(vectors, pool);
      return;
    }
    // What was kept, for what has yet to be learnt or linked.
    std::vector<float> all;
    if (rows > 0 && (!trained || graph != nullptr)) all = Decode();
    if (!trained) {
      if (rows > 0) {
        all.insert(all.end(), vectors.data, vectors.data + vectors.rows * dimension);
        vectors = {all.data(), all.size() / dimension, dimension};
      }
      codec = VectorCodec::Train(options, vectors, pool);
      lists = std::vector<CodeList>(1);
      rows = 0;
      squares.clear();
      if (options.kind == Kind::kIvf) LearnLists(vectors);
      if (options.kind == Kind::kHnsw) {
        graph = std::make_unique<HnswGraph>(options.hnsw_neighbors, options.ef_construction);
      }
      trained = true;
    } else if (graph != nullptr) {
      all.insert(all.end(), vectors.data, vectors.data + vectors.rows * dimension);
    }
    Encode(vectors, pool);
    if (graph != nullptr) graph->Add(all.empty() ? vectors : MatrixView{all.data(), rows, dimension}, !l2(), pool);
  }

  // ---- Search.

  // Keeps the `kept` nearest, scores them finely where that is another score, and writes what is best. Queries of
  // `scorer` begin with query `first` of the result.
  void Finish(const CodeScorer& scorer, size_t first, size_t query, const Plan& plan, std::vector<Hit>* hits,
              VectorSearchResult* result) const {
    if (scorer.coarse()) {
      if (hits->size() > plan.kept) {
        std::nth_element(hits->begin(), hits->begin() + plan.kept, hits->end(), Nearer());
        hits->resize(plan.kept);
      }
      for (Hit& hit : *hits) {
        const Place place = PlaceOf(hit.row);
        hit.distance = scorer.Rescore(query, lists[place.list].codes.data(), place.slot);
      }
    }
    WriteResult(hits, plan.k, l2(), &result->ids[(first + query) * plan.k], &result->scores[(first + query) * plan.k]);
  }

  // Each thread has its range of rows, so that one query alone uses all of them.
  void SearchFlat(MatrixView queries, const Plan& plan, ThreadPool& pool, VectorSearchResult* result) const {
    const size_t block_rows = BlockRows(*codec);
    const size_t blocks = (rows + block_rows - 1) / block_rows;
    const int parts = static_cast<int>(std::min<size_t>(pool.threads(), blocks));
    const size_t group = std::min(kQueryGroup, queries.rows);
    std::vector<std::vector<float>> buffers(parts, std::vector<float>(group * std::min(block_rows, rows)));
    std::vector<Hit> merged;
    for (size_t begin = 0; begin < queries.rows; begin += kQueryGroup) {
      const size_t end = std::min(begin + kQueryGroup, queries.rows), count = end - begin;
      const std::unique_ptr<CodeScorer> scorer = codec->Score(queries.Slice(begin, end));
      std::vector<std::vector<Nearest>> nearest(parts);
      std::vector<std::vector<Nearest*>> places_of(parts);
      for (int part = 0; part < parts; ++part) {
        nearest[part].assign(count, Nearest(std::min(plan.kept, (blocks / parts + 1) * block_rows)));
        for (Nearest& of_query : nearest[part]) places_of[part].push_back(&of_query);
      }
      pool.ParallelFor(parts, 1, [&](size_t part, size_t, int) {
        ScanList(*scorer, 0, count, lists[0], blocks * part / parts * block_rows,
                 std::min(rows, blocks * (part + 1) / parts * block_rows), block_rows, plan.allowed,
                 buffers[part].data(), places_of[part].data());
      });
      for (size_t query = 0; query < count; ++query) {
        merged.clear();
        for (std::vector<Nearest>& of_part : nearest) {
          merged.insert(merged.end(), of_part[query].hits().begin(), of_part[query].hits().end());
        }
        Finish(*scorer, begin, query, plan, &merged, result);
      }
    }
  }

  void ScanWholeList(const CodeScorer& scorer, const CodeList& list, const Plan& plan, Worker* worker,
                     Nearest* nearest) const {
    const size_t block_rows = BlockRows(*codec);
    worker->buffer.resize(block_rows);
    ScanList(scorer, 0, 1, list, 0, list.rows.empty() ? rows : list.rows.size(), block_rows, plan.allowed,
             worker->buffer.data(), &nearest);
  }

  // Queries of a thread that are worth to go together through the lists: as many as their hits leave memory for.
  size_t QueriesTogether(const Plan& plan) const {
    constexpr size_t kMaxQueries = 1024, kMaxHits = 4 << 20;
    // Other codes have tables for each query, which would be made again for each list.
    if (options.codes != Codes::kFloat32 && options.codes != Codes::kInt8) return 1;
    return std::max<size_t>(1, std::min(kMaxQueries, kMaxHits / plan.kept));
  }

  // Many queries, list by list: a list is read once for all that probe it, and meets several at a time. The result is
  // that of SearchLists(), since scores have the same bits.
  void SearchListsTogether(MatrixView queries, const Plan& plan, ThreadPool& pool, VectorSearchResult* result) const {
    const size_t team = pool.threads();
    const size_t group = std::min(QueriesTogether(plan), (queries.rows + team - 1) / team);
    const size_t block_rows = BlockRows(*codec);
    pool.ParallelFor(queries.rows, group, [&](size_t begin, size_t end, int) {
      std::vector<std::vector<uint32_t>> probing(lists.size());  // queries, from `begin` on
      for (size_t i = begin; i < end; ++i) {
        std::vector<Hit> ranked = RankLists(queries.Slice(i, i + 1));
        const size_t probe = std::min(plan.probe, ranked.size());
        std::nth_element(ranked.begin(), ranked.begin() + (probe - 1), ranked.end(), Nearer());
        for (size_t j = 0; j < probe; ++j) probing[ranked[j].row].push_back(static_cast<uint32_t>(i - begin));
      }
      const std::unique_ptr<CodeScorer> scorer = codec->Score(queries.Slice(begin, end));
      std::vector<Nearest> nearest(end - begin, Nearest(plan.kept));
      std::vector<float> buffer(kQueryGroup * block_rows);
      std::vector<Nearest*> places_of;
      // Lists that a query has probed, for the longest rows.
      std::vector<char> probed(by_length.empty() ? 0 : (end - begin) * lists.size(), 0);
      for (size_t l = 0; l < lists.size(); ++l) {
        for (size_t i = 0; i < probing[l].size() && !probed.empty(); ++i) probed[probing[l][i] * lists.size() + l] = 1;
        for (size_t first = 0; first < probing[l].size(); first += kQueryGroup) {
          const auto chosen = absl::MakeConstSpan(probing[l]).subspan(first, kQueryGroup);
          places_of.clear();
          for (const uint32_t query : chosen) places_of.push_back(&nearest[query]);
          ScanList(*scorer->Select(chosen), 0, chosen.size(), lists[l], 0, lists[l].rows.size(), block_rows,
                   plan.allowed, buffer.data(), places_of.data());
        }
      }
      Worker worker;
      for (uint32_t i = 0; i < end - begin; ++i) {
        Nearest& found = nearest[i];
        if (found.hits().size() < plan.want) {
          found = SearchLists(queries.Slice(begin + i, begin + i + 1), *scorer->Select({i}), plan, &worker);
        } else {
          OfferLongest(
              *scorer, i, plan, LongestBesideLists(plan),
              [&](uint32_t row) { return probed[i * lists.size() + places[row].list] != 0; }, &worker, &found);
        }
        Finish(*scorer, begin, i, plan, &found.hits(), result);
      }
    });
  }

  Nearest SearchLists(MatrixView query, const CodeScorer& scorer, const Plan& plan, Worker* worker) const {
    std::vector<Hit> ranked = RankLists(query);
    worker->seen.resize(lists.size(), 0);
    size_t sorted = std::min(plan.probe, ranked.size());
    std::partial_sort(ranked.begin(), ranked.begin() + sorted, ranked.end(), Nearer());
    Nearest nearest(plan.kept);
    for (size_t i = 0; i < ranked.size(); ++i) {
      if (i >= plan.probe && nearest.hits().size() >= plan.want) break;
      if (i == sorted) {
        std::sort(ranked.begin() + sorted, ranked.end(), Nearer());
        sorted = ranked.size();
      }
      ScanWholeList(scorer, lists[ranked[i].row], plan, worker, &nearest);
      worker->seen[ranked[i].row] = 1;
    }
    OfferLongest(
        scorer, 0, plan, LongestBesideLists(plan), [&](uint32_t row) { return worker->seen[places[row].list] != 0; },
        worker, &nearest);
    worker->seen.assign(lists.size(), 0);
    return nearest;
  }

  // As many as there are in the lists that are probed, on the average.
  size_t LongestBesideLists(const Plan& plan) const {
    return by_length.empty() ? 0 : rows * std::min(plan.probe, lists.size()) / lists.size();
  }

  // A walk of this width compares several times as many rows. On 3,000 to 30,000 normal vectors of 16 and 64 dimensions,
  // with lengths times exp(s N(0, 1)), s = .3 to 3, the walk alone finds .40 to .94 of the ten best with width 500, and
  // with the longest rows .98 or more.
  size_t LongestBesideGraph(const Plan& plan) const {
    return 4 * std::max(plan.k, plan.ef_search) + 8 * static_cast<size_t>(std::sqrt(rows));
  }

  Nearest SearchGraph(const CodeScorer& scorer, const Plan& plan, Worker* worker) const {
    // So wide that as many candidates as without a filter may be expected to pass it. Where a scan is cheaper, it
    // scans.
    size_t width = std::max(plan.k, plan.ef_search);
    bool walk = true;
    if (plan.allowed != nullptr) {
      width = width * rows / plan.allowed->count();
      walk = width < plan.allowed->count() / options.hnsw_neighbors;
    }
    Nearest nearest(plan.kept);
    if (walk && width < rows) {
      if (worker->walker == nullptr) worker->walker = std::make_unique<HnswGraph::Walker>(*graph);
      worker->walker->Search(scorer, 0, lists[0].codes.data(), width, &worker->found);
      const std::vector<int64_t>& unreachable = graph->unreachable();
      worker->seen.resize(rows, 0);
      for (const HnswGraph::Found& found : worker->found) {
        worker->seen[found.row] = 1;
        if (plan.allows(found.row)) nearest.Offer({found.distance, found.row});
      }
      for (const int64_t row : unreachable) {
        if (worker->seen[row] == 0 && plan.allows(row)) nearest.Offer({ScannedDistance(scorer, 0, row, worker), row});
        worker->seen[row] = 1;
      }
      OfferLongest(
          scorer, 0, plan, LongestBesideGraph(plan), [&](uint32_t row) { return worker->seen[row] != 0; }, worker,
          &nearest);
      for (const HnswGraph::Found& found : worker->found) worker->seen[found.row] = 0;
      for (const int64_t row : unreachable) worker->seen[row] = 0;
      if (nearest.hits().size() >= plan.want) return nearest;
      nearest = Nearest(plan.kept);
    }
    ScanWholeList(scorer, lists[0], plan, worker, &nearest);
    return nearest;
  }

  void SearchOneByOne(MatrixView queries, const Plan& plan, ThreadPool& pool, VectorSearchResult* result) const {
    std::vector<Worker> workers(pool.threads());
    pool.ParallelFor(queries.rows, 4, [&](size_t begin, size_t end, int w) {
      Worker& worker = workers[w];
      for (size_t i = begin; i < end; ++i) {
        const MatrixView query = queries.Slice(i, i + 1);
        const std::unique_ptr<CodeScorer> scorer = codec->Score(query);
        Nearest nearest =
            graph != nullptr ? SearchGraph(*scorer, plan, &worker) : SearchLists(query, *scorer, plan, &worker);
        Finish(*scorer, i, 0, plan, &nearest.hits(), result);
      }
    });
  }

  // ---- Files.

  std::string Serialize() const {
    proto::VectorIndexHeader header;
    *header.mutable_spec() = VectorIndexSpecFromOptions(options);
    header.set_dimension(static_cast<uint32_t>(dimension));
    header.set_rows(rows);
    header.set_trained(trained);
    if (!centers.empty()) {
      for (const CodeList& list : lists) header.add_list_rows(list.rows.size());
    }
    if (graph != nullptr) {
      header.set_entry_point(graph->entry_point());
      header.set_links(graph->link_count());
    }
    const std::string head = header.SerializeAsString();
    const uint32_t head_bytes = static_cast<uint32_t>(head.size());
    std::string bytes;
    AppendBytes(&head_bytes, sizeof(head_bytes), &bytes);
    bytes += head;
    if (trained) bytes += codec->Parameters();
    AppendBytes(centers.data(), centers.size() * sizeof(float), &bytes);
    for (const CodeList& list : lists) AppendBytes(list.rows.data(), list.rows.size() * sizeof(uint32_t), &bytes);
    for (const CodeList& list : lists) AppendBytes(list.codes.data(), list.codes.size(), &bytes);
    if (graph != nullptr) bytes += graph->LevelBytes() + graph->LinkBytes();
    return bytes;
  }

  // Loading is building: what was read is held to what Build() demands. kInvalidArgument otherwise.
  static absl::StatusOr<std::unique_ptr<State>> Parse(absl::string_view bytes) {
    const absl::Status wrong_size = absl::InvalidArgumentError("the sizes do not add up");
    uint32_t head_bytes;
    if (bytes.size() < sizeof(head_bytes)) return wrong_size;
    std::memcpy(&head_bytes, Take(sizeof(head_bytes), &bytes).data(), sizeof(head_bytes));
    if (bytes.size() < head_bytes) return wrong_size;
    const absl::string_view head = Take(head_bytes, &bytes);
    proto::VectorIndexHeader header;
    if (!ParseMessage(head, &header)) return absl::InvalidArgumentError("the header cannot be parsed");
    DPKDE_ASSIGN_OR_RETURN(const VectorIndexOptions options, VectorIndexOptionsFromSpec(header.spec()));
    DPKDE_RETURN_IF_ERROR(CheckInRange("dimension", header.dimension(), 1, kMaxDimension));
    DPKDE_RETURN_IF_ERROR(CheckInRange("rows", header.rows(), 0, kMaxRows));
    auto state = std::make_unique<State>(options, header.dimension());
    State& s = *state;
    s.trained = header.trained();
    if (!s.trained && header.rows() > 0 && header.rows() >= s.RowsToLearn()) {
      return absl::InvalidArgumentError("enough rows to learn from, but nothing was learnt");
    }
    if (s.trained) {
      const size_t size = VectorCodec::ParameterBytes(options, s.dimension);
      if (bytes.size() < size) return wrong_size;
      DPKDE_ASSIGN_OR_RETURN(s.codec, VectorCodec::Parse(options, s.dimension, Take(size, &bytes)));
    }
    const size_t n = header.rows();
    if (s.trained && options.kind == Kind::kIvf) {
      DPKDE_RETURN_IF_ERROR(CheckInRange("lists", header.list_rows_size(), 1, kMaxProbe));
      s.lists = std::vector<CodeList>(header.list_rows_size());
      const size_t size = s.lists.size() * s.dimension * sizeof(float);
      if (bytes.size() < size) return wrong_size;
      CopyInto(Take(size, &bytes), &s.centers);
      DPKDE_RETURN_IF_ERROR(CheckPoints("centre", s.Centers()));
      size_t total = 0;
      s.places.resize(std::min(n, bytes.size() / sizeof(uint32_t)));
      if (s.places.size() != n) return wrong_size;
      RowSet seen(n);
      for (size_t l = 0; l < s.lists.size(); ++l) {
        const uint64_t count = header.list_rows(l);
        if (count > n - total) return wrong_size;
        total += count;
        CopyInto(Take(count * sizeof(uint32_t), &bytes), &s.lists[l].rows);
        for (size_t slot = 0; slot < count; ++slot) {
          const uint32_t row = s.lists[l].rows[slot];
          if (row >= n || seen.contains(row)) return absl::InvalidArgumentError("a row is in no list, or in two");
          seen.Insert(row);
          s.places[row] = {static_cast<uint32_t>(l), static_cast<uint32_t>(slot)};
        }
      }
      if (total != n) return wrong_size;
    } else if (header.list_rows_size() != 0) {
      return wrong_size;
    }
    for (CodeList& list : s.lists) {
      const size_t size = s.codec->CodeBytes(s.centers.empty() ? n : list.rows.size());
      if (bytes.size() < size) return wrong_size;
      CopyInto(Take(size, &bytes), &list.codes);
    }
    s.rows = n;
    if (s.trained && options.kind == Kind::kHnsw) {
      if (bytes.size() < n || (bytes.size() - n) / sizeof(int32_t) < header.links()) return wrong_size;
      const absl::string_view levels = Take(n, &bytes);
      DPKDE_ASSIGN_OR_RETURN(HnswGraph graph,
                             HnswGraph::Parse(options.hnsw_neighbors, options.ef_construction, header.entry_point(),
                                              levels, Take(header.links() * sizeof(int32_t), &bytes)));
      s.graph = std::make_unique<HnswGraph>(std::move(graph));
    }
    if (!bytes.empty()) return wrong_size;
    for (const CodeList& list : s.lists) {
      DPKDE_RETURN_IF_ERROR(s.codec->CheckCodes(list.codes.data(), s.centers.empty() ? n : list.rows.size()));
    }
    // What the codes stand for is finite. Decoded in pieces, since this may be most of the memory.
    constexpr size_t kPiece = 256;
    std::vector<float> decoded(kPiece * s.dimension);
    for (const CodeList& list : s.lists) {
      const size_t count = s.centers.empty() ? n : list.rows.size();
      for (size_t begin = 0; begin < count; begin += kPiece) {
        const size_t end = std::min(begin + kPiece, count);
        for (size_t slot = begin; slot < end; ++slot) {
          s.codec->Decode(list.codes.data(), slot, &decoded[(slot - begin) * s.dimension]);
        }
        for (size_t i = 0; i < end - begin; ++i) {
          // Codes may lie a little outside of what they stand for.
          const float square = faiss::fvec_norm_L2sqr(&decoded[i * s.dimension], s.dimension);
          if (!(square <= 4 * kLargestSquaredNorm))
            return absl::InvalidArgumentError("a vector is not finite or too large");
        }
      }
    }
    s.OrderByLength();
    return state;
  }
};

absl::StatusOr<VectorIndex> VectorIndex::Build(MatrixView vectors, const VectorIndexOptions& options, int threads) try {
  const DefaultFloatEnvironment environment;
  DPKDE_RETURN_IF_ERROR(CheckVectorIndexOptions(options));
  DPKDE_RETURN_IF_ERROR(CheckInRange("dimension", vectors.columns, 1, kMaxDimension));
  VectorIndex index(std::make_unique<State>(options, vectors.columns));
  DPKDE_RETURN_IF_ERROR(index.Add(vectors, threads));
  return index;
} catch (...) {
  return StatusOfException();
}

absl::Status VectorIndex::Add(MatrixView vectors, int threads) try {
  const DefaultFloatEnvironment environment;
  DPKDE_ASSIGN_OR_RETURN(const int thread_count, ThreadCount(threads));
  if (vectors.columns != dimension()) {
    return absl::InvalidArgumentError(
        absl::StrCat("vectors must have the index's dimension, ", dimension(), ", but have ", vectors.columns));
  }
  DPKDE_RETURN_IF_ERROR(CheckInRange("number of vectors", vectors.rows, 0, kMaxRows - static_cast<int64_t>(size())));
  DPKDE_RETURN_IF_ERROR(CheckPoints("vector", vectors));
  std::vector<float> normalized;
  if (options().metric == Metric::kCosine) {
    normalized = Normalized(vectors);
    vectors.data = normalized.data();
  }
  ThreadPool pool(thread_count);
  state_->Add(vectors, pool);
  return absl::OkStatus();
} catch (...) {
  return StatusOfException();
}

absl::StatusOr<VectorSearchResult> VectorIndex::Search(MatrixView queries, int64_t k,
                                                       const VectorSearchOptions& search) const try {
  const DefaultFloatEnvironment environment;
  DPKDE_RETURN_IF_ERROR(CheckInRange("k", k, 1, std::numeric_limits<int32_t>::max()));
  const int ef_search = search.ef_search.value_or(options().ef_search);
  DPKDE_RETURN_IF_ERROR(CheckInRange("ef_search", ef_search, 1, kMaxEf));
  const int ivf_probe = search.ivf_probe.value_or(options().ivf_probe);
  DPKDE_RETURN_IF_ERROR(CheckInRange("ivf_probe", ivf_probe, 1, kMaxProbe));
  const int rescore = search.rescore.value_or(options().rescore);
  DPKDE_RETURN_IF_ERROR(CheckInRange("rescore", rescore, 1, kMaxRescore));
  DPKDE_ASSIGN_OR_RETURN(const int threads, ThreadCount(search.threads));
  if (queries.columns != dimension()) {
    return absl::InvalidArgumentError(
        absl::StrCat("queries must have the index's dimension, ", dimension(), ", but have ", queries.columns));
  }
  if (search.allowed != nullptr && search.allowed->size() != size()) {
    return absl::InvalidArgumentError(absl::StrCat("the set of allowed rows must have the index's size, ", size(),
                                                   ", but has ", search.allowed->size()));
  }
  DPKDE_RETURN_IF_ERROR(CheckPoints("query", queries));

  VectorSearchResult result;
  result.queries = queries.rows;
  result.k = k;
  if (queries.rows > result.ids.max_size() / result.k) throw std::bad_alloc();
  result.ids.resize(queries.rows * result.k, -1);
  result.scores.resize(queries.rows * result.k, (state_->l2() ? 1 : -1) * std::numeric_limits<float>::infinity());

  State::Plan plan;
  plan.k = k;
  plan.want = std::min<size_t>(k, search.allowed == nullptr ? size() : search.allowed->count());
  plan.kept = std::min(plan.want * (options().codes == Codes::kPq4 ? rescore : 1), size());
  plan.allowed = search.allowed;
  plan.probe = ivf_probe;
  plan.ef_search = ef_search;
  if (queries.rows == 0 || plan.want == 0) return result;
  ThreadPool pool(threads);

  std::vector<float> normalized;
  if (options().metric == Metric::kCosine) {
    normalized = Normalized(queries);
    queries.data = normalized.data();
  }
  constexpr size_t kFewQueries = 8;
  if (state_->graph == nullptr && !state_->centers.empty() && queries.rows > kFewQueries &&
      state_->QueriesTogether(plan) > kFewQueries) {
    state_->SearchListsTogether(queries, plan, pool, &result);
  } else if (state_->graph != nullptr || !state_->centers.empty()) {
    state_->SearchOneByOne(queries, plan, pool, &result);
  } else {
    state_->SearchFlat(queries, plan, pool, &result);
  }
  return result;
} catch (...) {
  return StatusOfException();
}

absl::StatusOr<std::string> VectorIndex::Serialize() const try {
  return SealEnvelope(kFileKind, kFileVersion, state_->Serialize());
} catch (...) {
  return StatusOfException();
}

absl::StatusOr<VectorIndex> VectorIndex::Deserialize(absl::string_view bytes) try {
  const DefaultFloatEnvironment environment;
  DPKDE_ASSIGN_OR_RETURN(const Envelope envelope, OpenEnvelope(kFileKind, kFileVersion, bytes));
  absl::StatusOr<std::unique_ptr<State>> state = State::Parse(envelope.payload);
  if (!state.ok()) {
    return absl::DataLossError(absl::StrCat("holds no usable index: ", state.status().message()));
  }
  return VectorIndex(*std::move(state));
} catch (...) {
  return StatusOfException();
}

size_t VectorIndex::bytes_of_rows() const {
  size_t bytes = state_->places.size() * sizeof(State::Place);
  for (const CodeList& list : state_->lists) bytes += list.codes.size() + list.rows.size() * sizeof(uint32_t);
  if (state_->graph != nullptr) bytes += size() + state_->graph->link_count() * sizeof(int32_t);
  return bytes;
}

size_t VectorIndex::unreachable_rows() const {
  return state_->graph == nullptr ? 0 : state_->graph->unreachable().size();
}

VectorIndex::VectorIndex(std::unique_ptr<State> state) : state_(std::move(state)) {}
VectorIndex::VectorIndex(VectorIndex&&) noexcept = default;
VectorIndex& VectorIndex::operator=(VectorIndex&&) noexcept = default;
VectorIndex::~VectorIndex() = default;
size_t VectorIndex::size() const { return state_->rows; }
size_t VectorIndex::dimension() const { return state_->dimension; }
const VectorIndexOptions& VectorIndex::options() const { return state_->options; }

}  // namespace dpkde
