#ifndef DPKDE_INDEX_SEARCH_NEAREST_VOTES_H_
#define DPKDE_INDEX_SEARCH_NEAREST_VOTES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/index/corpus/index_directory.h"
#include "dpkde/index/search/searcher.h"

namespace dpkde {

struct NearestVotesOptions {
  // Items that a record votes for, at least 1; where the collection has fewer, all of them.
  size_t votes = 1;
  // Documents that the index's first stage hands on to be scored exactly, at least `votes` (SearchOptions::candidates).
  size_t candidates = 500;
};

// Which items of a public collection of single vectors are nearest to private records: the votes that
// dpkde/sketch/vote_accumulator.h counts. Numbers of items only; neither counts nor noise are made here.
//
//   DPKDE_ASSIGN_OR_RETURN(const NearestVotes nearest, NearestVotes::Create(searcher, options));
//   DPKDE_ASSIGN_OR_RETURN(auto votes, nearest.Vote(records, NearestVotes::BadRecords::kFail, /*first_row=*/0, pool));
//   DPKDE_RETURN_IF_ERROR(accumulator.Add(votes[0]));  // a record's
//
// Items are the documents that are not removed, numbered in the order of their rows. A record has votes() different
// items, best first by exact score, equal scores in their order.
//
// Purity. A record's votes are a function of its own bytes, the index and the options: each record is searched by
// itself, on one thread, whatever stands beside it in a batch. So neighbouring datasets differ in one record's votes
// and no others.
//
// Immutable; thread-safe.
class NearestVotes {
 public:
  // What to do with a record that cannot be searched: a value that is not finite, or a squared norm above 1e37.
  enum class BadRecords {
    kFail,  // refuse the batch, naming the row
    kSkip,  // it votes for nothing
  };

  // `searcher` must outlive it. kInvalidArgument: an index of token sets, one without documents, an option out of
  // range.
  static absl::StatusOr<NearestVotes> Create(const Searcher& searcher, const NearestVotesOptions& options);

  size_t votes() const { return votes_; }
  size_t items() const { return rows_.size(); }
  // The ids of all items in order.
  std::vector<std::string> Names() const;

  // One list a record row; n x the index's dimension. kInvalidArgument, counting rows from `first_row`. Memory: 4 bytes
  // a vote.
  absl::StatusOr<std::vector<std::vector<uint32_t>>> Vote(MatrixView records, BadRecords bad_records,
                                                          uint64_t first_row, ThreadPool& pool) const;

 private:
  NearestVotes(const Searcher& searcher, size_t votes, size_t candidates);

  absl::Status CheckRecord(MatrixView record, uint64_t row) const;

  const Searcher* searcher_;
  size_t votes_;
  size_t candidates_;
  std::vector<uint64_t> rows_;  // of the items
};

// SHA-256, 32 bytes, of what votes are cast on: dimension, metric, and of each document that is not removed, in order,
// id and tokens as they are stored. Another order, document or vector is another collection; compacting an index, or
// arranging its vectors in another way, changes nothing. Reads all tokens.
std::string ItemsFingerprint(const IndexDirectory& directory);

}  // namespace dpkde

#endif  // DPKDE_INDEX_SEARCH_NEAREST_VOTES_H_
