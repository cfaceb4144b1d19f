#include "dpkde/index/search/nearest_votes.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/exceptions.h"
#include "dpkde/base/float_environment.h"
#include "dpkde/base/record_error.h"
#include "dpkde/base/sha256.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"
#include "dpkde/index/ann/points.h"

namespace dpkde {
namespace {

void UpdateNumber(uint64_t number, Sha256Stream& stream) {
  char bytes[8];
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<char>(number >> (8 * i));
  stream.Update(absl::string_view(bytes, sizeof(bytes)));
}

}  // namespace

absl::StatusOr<NearestVotes> NearestVotes::Create(const Searcher& searcher, const NearestVotesOptions& options) try {
  const DefaultFloatEnvironment environment;
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  DPKDE_RETURN_IF_ERROR(CheckInRange("votes", static_cast<int64_t>(options.votes), 1, kMost));
  if (options.candidates < options.votes) return absl::InvalidArgumentError("candidates must be at least votes");
  if (searcher.encoder() != nullptr) {
    return absl::InvalidArgumentError("votes need an index of single vectors, but its documents are token sets");
  }
  if (searcher.directory().live_rows() == 0) {
    return absl::InvalidArgumentError("the index has no documents to vote for");
  }
  return NearestVotes(searcher, std::min<size_t>(options.votes, searcher.directory().live_rows()), options.candidates);
} catch (...) {
  return StatusOfException();
}

NearestVotes::NearestVotes(const Searcher& searcher, size_t votes, size_t candidates)
    : searcher_(&searcher), votes_(votes), candidates_(candidates) {
  const IndexDirectory& directory = searcher.directory();
  rows_.reserve(directory.live_rows());
  for (uint64_t row = 0; row < directory.rows(); ++row) {
    if (!directory.removed(row)) rows_.push_back(row);
  }
}

std::vector<std::string> NearestVotes::Names() const {
  std::vector<std::string> names;
  names.reserve(rows_.size());
  for (const uint64_t row : rows_) names.emplace_back(searcher_->directory().id(row));
  return names;
}

absl::Status NearestVotes::CheckRecord(MatrixView record, uint64_t row) const {
  DPKDE_RETURN_IF_ERROR(CheckFiniteRows(record, row));
  double square = 0;
  for (const float value : record.row(0)) square += static_cast<double>(value) * value;
  if (square <= kLargestSquaredNorm) return absl::OkStatus();
  return RecordError(absl::StatusCode::kInvalidArgument, absl::StrCat("row ", row, " (counting from 0)"),
                     absl::StrCat("the squared norm must be at most ", kLargestSquaredNorm));
}

absl::StatusOr<std::vector<std::vector<uint32_t>>> NearestVotes::Vote(MatrixView records, BadRecords bad_records,
                                                                      uint64_t first_row, ThreadPool& pool) const try {
  const DefaultFloatEnvironment environment;
  const size_t dimension = searcher_->directory().dimension();
  if (records.columns != dimension) {
    return absl::InvalidArgumentError(
        absl::StrCat("records must have ", dimension, " columns, as the index has, but have ", records.columns));
  }
  SearchOptions options;
  options.k = votes_;
  options.candidates = candidates_;
  // Pools of one thread, the caller's: no search starts another.
  std::vector<std::unique_ptr<ThreadPool>> alone(pool.threads());
  for (auto& one : alone) one = std::make_unique<ThreadPool>(1);
  std::vector<std::vector<uint32_t>> votes(records.rows);
  std::vector<absl::Status> statuses(records.rows);
  const std::vector<uint64_t> single = {0, 1};
  pool.ParallelFor(records.rows, 1, [&](size_t begin, size_t end, int worker) {
    for (size_t r = begin; r < end; ++r) {
      const MatrixView record = records.Slice(r, r + 1);
      const absl::Status usable = CheckRecord(record, first_row + r);
      if (!usable.ok()) {
        if (bad_records == BadRecords::kFail) statuses[r] = usable;
        continue;
      }
      const auto hits = searcher_->Search(TokenSetsView{record.data, dimension, single}, options, *alone[worker]);
      statuses[r] = hits.status();
      if (!hits.ok()) continue;
      for (const SearchHit& hit : hits->front()) {
        votes[r].push_back(
            static_cast<uint32_t>(std::lower_bound(rows_.begin(), rows_.end(), hit.row) - rows_.begin()));
      }
    }
  });
  for (const absl::Status& status : statuses) DPKDE_RETURN_IF_ERROR(status);
  return votes;
} catch (...) {
  return StatusOfException();
}

std::string ItemsFingerprint(const IndexDirectory& directory) {
  Sha256Stream stream;
  stream.Update("dpkde items 1");
  UpdateNumber(directory.dimension(), stream);
  UpdateNumber(directory.manifest().config().vector_index().metric(), stream);
  UpdateNumber(static_cast<uint64_t>(directory.token_format()), stream);
  for (const double value : directory.origin()) {
    uint64_t bits;
    std::memcpy(&bits, &value, sizeof(bits));
    UpdateNumber(bits, stream);
  }
  for (uint64_t row = 0; row < directory.rows(); ++row) {
    if (directory.removed(row)) continue;
    const absl::string_view id = directory.id(row);
    UpdateNumber(id.size(), stream);
    stream.Update(id);
    const StoredTokens tokens = directory.tokens(row);
    UpdateNumber(tokens.count, stream);
    stream.Update(absl::string_view(static_cast<const char*>(tokens.values),
                                    tokens.count * TokenStride(tokens.format, tokens.dimension)));
    if (tokens.scales != nullptr) {
      stream.Update(absl::string_view(reinterpret_cast<const char*>(tokens.scales), tokens.count * sizeof(float)));
    }
  }
  const Sha256Digest digest = stream.Finish();
  return std::string(digest.begin(), digest.end());
}

}  // namespace dpkde
