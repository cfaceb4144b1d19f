// Votes of records for their nearest items: the same whatever stands beside a record, and under every BLAS kernel
// (nearest_votes_haswell_test runs this file under OPENBLAS_CORETYPE=Haswell, against the same digests).
#include "dpkde/index/search/nearest_votes.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dpkde/base/sha256.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/index/corpus/corpus_files.h"
#include "dpkde/index/encoding/encoder_factory.h"
#include "dpkde/index/search/index_changes.h"
#include "dpkde/index/search/searcher.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/index/corpus/index_testing.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Spec = proto::VectorIndexSpec;
using Lists = std::vector<std::vector<uint32_t>>;

ThreadPool& Pool() {
  static ThreadPool* const pool = new ThreadPool(2);
  return *pool;
}

TokenSets Singles(const Points& points) {
  TokenSets sets(points.columns);
  for (size_t i = 0; i < points.rows(); ++i) sets.Append(points.view().Slice(i, i + 1));
  return sets;
}

std::string MakeIndex(const Points& items, Spec::Kind kind = Spec::FLAT, Spec::Codes codes = Spec::FLOAT32,
                      Spec::Metric metric = Spec::L2) {
  proto::IndexConfig config;
  config.mutable_tokens()->set_single_vectors(true);
  config.mutable_tokens()->set_format(proto::TokenStoreSpec::FLOAT32);
  config.mutable_vector_index()->set_kind(kind);
  config.mutable_vector_index()->set_codes(codes);
  config.mutable_vector_index()->set_metric(metric);
  const std::string path = NewIndexPath();
  const TokenSets documents = Singles(items);
  const absl::Status built = BuildIndex(path, documents.view(), NumberedIds("d", 0, items.rows()), config,
                                        /*encoder=*/nullptr, /*overwrite=*/false, Pool());
  EXPECT_TRUE(built.ok()) << built;
  return path;
}

NearestVotes MakeVotes(const Searcher& searcher, size_t votes, size_t candidates = 50) {
  NearestVotesOptions options;
  options.votes = votes;
  options.candidates = candidates;
  absl::StatusOr<NearestVotes> nearest = NearestVotes::Create(searcher, options);
  EXPECT_TRUE(nearest.ok()) << nearest.status();
  return *std::move(nearest);
}

Lists Vote(const NearestVotes& nearest, MatrixView records) {
  auto votes = nearest.Vote(records, NearestVotes::BadRecords::kFail, 0, Pool());
  EXPECT_TRUE(votes.ok()) << votes.status();
  return *std::move(votes);
}

// In double, by the definition: the k nearest in squared L2 distance, equal ones in order.
std::vector<uint32_t> NearestByDefinition(const Points& items, absl::Span<const float> record, size_t k) {
  std::vector<std::pair<double, uint32_t>> distances;
  for (size_t i = 0; i < items.rows(); ++i) {
    double square = 0;
    for (size_t j = 0; j < items.columns; ++j) {
      const double difference = static_cast<double>(items.view().row(i)[j]) - record[j];
      square += difference * difference;
    }
    distances.emplace_back(square, i);
  }
  std::sort(distances.begin(), distances.end());
  std::vector<uint32_t> nearest;
  for (size_t i = 0; i < k; ++i) nearest.push_back(distances[i].second);
  return nearest;
}

TEST(NearestVotesTest, AreTheNearestItems) {
  const Points items = UniformPoints(300, 6, -1, 1, 1), records = UniformPoints(100, 6, -1, 1, 2);
  const std::string path = MakeIndex(items);
  const Searcher searcher = *Searcher::Open(path);
  const NearestVotes nearest = MakeVotes(searcher, 4);
  EXPECT_EQ(nearest.items(), 300u);
  const Lists votes = Vote(nearest, records.view());
  for (size_t r = 0; r < votes.size(); ++r) {
    EXPECT_EQ(votes[r], NearestByDefinition(items, records.view().row(r), 4)) << r;
    EXPECT_EQ(std::set<uint32_t>(votes[r].begin(), votes[r].end()).size(), 4u);
  }
}

// FAISS changes its kernels at 20 queries; a record must not notice. Every arrangement and metric: each record alone,
// and in batches of 19, 20, 21 and 1,000.
TEST(NearestVotesTest, DoNotDependOnTheBatch) {
  const Points items = UniformPoints(2000, 16, -1, 1, 3), records = UniformPoints(1000, 16, -1, 1, 4);
  ThreadPool one(1), three(3);
  for (const auto metric : {Spec::L2, Spec::COSINE, Spec::INNER_PRODUCT}) {
    for (const auto& [kind, codes] : {std::pair{Spec::FLAT, Spec::FLOAT32}, std::pair{Spec::FLAT, Spec::INT8},
                                      std::pair{Spec::IVF, Spec::PQ8}, std::pair{Spec::HNSW, Spec::FLOAT32}}) {
      const Searcher searcher = *Searcher::Open(MakeIndex(items, kind, codes, metric));
      const NearestVotes nearest = MakeVotes(searcher, 3, 20);
      const Lists alone = *nearest.Vote(records.view(), NearestVotes::BadRecords::kFail, 0, one);
      for (size_t r = 0; r < records.rows(); r += 97) {
        EXPECT_EQ(Vote(nearest, records.view().Slice(r, r + 1))[0], alone[r]);
      }
      for (const size_t batch : {19, 20, 21, 1000}) {
        Lists votes;
        for (size_t begin = 0; begin < records.rows(); begin += batch) {
          const auto part = *nearest.Vote(records.view().Slice(begin, std::min(begin + batch, records.rows())),
                                          NearestVotes::BadRecords::kFail, begin, three);
          votes.insert(votes.end(), part.begin(), part.end());
        }
        EXPECT_EQ(votes, alone) << metric << " " << kind << " " << batch;
      }
    }
  }
}

// Letters (integers, full of ties) and word vectors, in the arrangement that is the default, under whatever BLAS kernel
// the environment asks for: always these votes.
TEST(NearestVotesTest, AreTheSameUnderEveryBlas) {
  const char* const core = std::getenv("OPENBLAS_CORETYPE");
  std::printf("OPENBLAS_CORETYPE=%s\n", core == nullptr ? "" : core);
  std::vector<std::string> digests;
  for (const char* const file : {"letter.npy", "wordnet_tokens.npy"}) {
    const Points all = LoadPoints(absl::StrCat("tests/testdata/", file));
    Points items, records;
    items.columns = records.columns = all.columns;
    for (size_t i = 0; i < std::min<size_t>(all.rows(), 5000); ++i) {
      Points& part = i % 2 == 0 ? items : records;
      part.values.insert(part.values.end(), all.view().row(i).begin(), all.view().row(i).end());
    }
    for (const auto metric : {Spec::L2, Spec::COSINE, Spec::INNER_PRODUCT}) {
      const Searcher searcher = *Searcher::Open(MakeIndex(items, Spec::FLAT, Spec::INT8, metric));
      Sha256Stream stream;
      for (const auto& votes : Vote(MakeVotes(searcher, 5, 40), records.view())) {
        stream.Update(absl::string_view(reinterpret_cast<const char*>(votes.data()), votes.size() * sizeof(votes[0])));
      }
      digests.push_back(HexString(stream.Finish()).substr(0, 16));
    }
  }
  EXPECT_THAT(digests, ElementsAre("2f24daa7f414177a", "892e52332f1025d4", "4af76f5e3755314f", "accfe9a1e9f4fa21",
                                   "64cfc11c46395269", "e8bf80afc3a90dda"));
}

TEST(NearestVotesTest, RemovedDocumentsAreNoItems) {
  const Points items = UniformPoints(40, 3, -1, 1, 5), records = UniformPoints(60, 3, -1, 1, 6);
  const std::string path = MakeIndex(items);
  const std::vector<std::string> gone = {"d0", "d7", "d39"};
  ASSERT_TRUE(RemoveDocuments(path, gone).ok());
  Points left;
  left.columns = 3;
  std::vector<std::string> names;
  for (size_t i = 0; i < 40; ++i) {
    if (i == 0 || i == 7 || i == 39) continue;
    left.values.insert(left.values.end(), items.view().row(i).begin(), items.view().row(i).end());
    names.push_back(absl::StrCat("d", i));
  }
  const Searcher searcher = *Searcher::Open(path);
  const NearestVotes nearest = MakeVotes(searcher, 2, 5);
  EXPECT_EQ(nearest.Names(), names);
  const Lists votes = Vote(nearest, records.view());
  for (size_t r = 0; r < votes.size(); ++r) {
    EXPECT_EQ(votes[r], NearestByDefinition(left, records.view().row(r), 2)) << r;
  }

  // What the votes are cast on is the same after compacting, and another one after any change.
  const std::string before = ItemsFingerprint(searcher.directory());
  ASSERT_TRUE(CompactIndex(path, Pool()).ok());
  const Searcher compacted = *Searcher::Open(path);
  EXPECT_EQ(compacted.directory().rows(), 37u);
  EXPECT_EQ(ItemsFingerprint(compacted.directory()), before);
  EXPECT_EQ(Vote(MakeVotes(compacted, 2, 5), records.view()), votes);
  ASSERT_TRUE(RemoveDocuments(path, std::vector<std::string>{"d1"}).ok());
  EXPECT_NE(ItemsFingerprint(Searcher::Open(path)->directory()), before);
  // Back under its name, with another vector.
  ASSERT_TRUE(
      AddDocuments(path, Singles(UniformPoints(1, 3, -1, 1, 9)).view(), std::vector<std::string>{"d1"}, Pool()).ok());
  EXPECT_NE(ItemsFingerprint(Searcher::Open(path)->directory()), before);
  EXPECT_NE(ItemsFingerprint(Searcher::Open(MakeIndex(items))->directory()),
            ItemsFingerprint(Searcher::Open(MakeIndex(items, Spec::FLAT, Spec::FLOAT32, Spec::COSINE))->directory()));
  EXPECT_EQ(ItemsFingerprint(Searcher::Open(MakeIndex(items))->directory()),
            ItemsFingerprint(Searcher::Open(MakeIndex(items, Spec::HNSW))->directory()));
}

TEST(NearestVotesTest, FewerItemsThanVotesAreAllVotedFor) {
  const Points items = UniformPoints(3, 2, -1, 1, 7);
  const Searcher searcher = *Searcher::Open(MakeIndex(items));
  const NearestVotes nearest = MakeVotes(searcher, 10);
  EXPECT_EQ(nearest.votes(), 3u);
  for (std::vector<uint32_t> votes : Vote(nearest, UniformPoints(20, 2, -1, 1, 8).view())) {
    std::sort(votes.begin(), votes.end());
    EXPECT_THAT(votes, ElementsAre(0, 1, 2));
  }
}

TEST(NearestVotesTest, BadRecordsFailOrVoteForNothing) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const Searcher searcher = *Searcher::Open(MakeIndex(UniformPoints(20, 2, -1, 1, 7)));
  const NearestVotes nearest = MakeVotes(searcher, 2);
  const std::vector<float> rows = {0, 0, std::nanf(""), 1, 1, -kInfinity, 3e19f, 0, 1, 1};
  const MatrixView records{rows.data(), 5, 2};
  const auto fail = [&](size_t begin) {
    return std::string(
        nearest.Vote(records.Slice(begin, 5), NearestVotes::BadRecords::kFail, 100 + begin, Pool()).status().message());
  };
  EXPECT_EQ(fail(0), "row 101, column 0 (counting from 0): must be finite, but is nan");
  EXPECT_EQ(fail(2), "row 102, column 1 (counting from 0): must be finite, but is -inf");
  EXPECT_EQ(fail(3), "row 103 (counting from 0): the squared norm must be at most 1e+37");
  EXPECT_EQ(fail(4), "");
  const auto skipped = nearest.Vote(records, NearestVotes::BadRecords::kSkip, 0, Pool());
  ASSERT_TRUE(skipped.ok()) << skipped.status();
  for (const size_t r : {0, 4}) EXPECT_EQ((*skipped)[r].size(), 2u);
  for (const size_t r : {1, 2, 3}) EXPECT_EQ((*skipped)[r].size(), 0u);
  // The good ones as without the bad.
  EXPECT_EQ((*skipped)[4], Vote(nearest, records.Slice(4, 5))[0]);
}

TEST(NearestVotesTest, RefusesWhatCannotBeVotedFor) {
  const Searcher searcher = *Searcher::Open(MakeIndex(UniformPoints(20, 2, -1, 1, 7)));
  NearestVotesOptions options;
  options.votes = 0;
  EXPECT_THAT(NearestVotes::Create(searcher, options).status().message(), HasSubstr("votes must be at least 1"));
  options.votes = 3;
  options.candidates = 2;
  EXPECT_EQ(NearestVotes::Create(searcher, options).status().message(), "candidates must be at least votes");
  const Points records = UniformPoints(2, 3, -1, 1, 1);
  EXPECT_EQ(MakeVotes(searcher, 1).Vote(records.view(), NearestVotes::BadRecords::kFail, 0, Pool()).status().message(),
            "records must have 2 columns, as the index has, but have 3");

  Points none;
  none.columns = 2;
  const Searcher empty = *Searcher::Open(MakeIndex(none));
  EXPECT_EQ(NearestVotes::Create(empty, {}).status().message(), "the index has no documents to vote for");

  proto::EncoderSpec spec;
  spec.set_token_dimension(4);
  spec.mutable_fde()->set_repetitions(2);
  const auto encoder = *CreateEncoder(spec, TokenSets(4).view(), Pool());
  const std::string path = NewIndexPath();
  ASSERT_TRUE(BuildIndex(path, SomeDocuments(10, 4, 1).view(), {}, {}, encoder.get(), false, Pool()).ok());
  const Searcher sets = *Searcher::Open(path);
  EXPECT_EQ(NearestVotes::Create(sets, {}).status().message(),
            "votes need an index of single vectors, but its documents are token sets");
}

}  // namespace
}  // namespace dpkde
