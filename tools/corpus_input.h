#ifndef DPKDE_TOOLS_CORPUS_INPUT_H_
#define DPKDE_TOOLS_CORPUS_INPUT_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dpkde/index/corpus/token_sets.h"
#include "dpkde/proto/index.pb.h"

namespace dpkde {

// What --tokens, --lens, --input and --ids name.
struct CorpusInput {
  TokenSets documents;
  bool single_vectors;           // --input
  std::vector<std::string> ids;  // empty without --ids
};

// A usage error unless it is --tokens and --lens, or --input alone.
absl::Status CheckCorpusFlags();
absl::StatusOr<CorpusInput> ReadCorpusInput();

// What --queries and --query_lens name; a usage error unless there are queries, and lengths where tokens of an index
// with such `config` belong together.
absl::StatusOr<TokenSets> ReadQueryInput(const proto::IndexConfig& config);

// The ids in a file; what is wrong in it has exit code 2.
absl::StatusOr<std::vector<std::string>> ReadIdFile(const std::string& path);

// The manifest of the index that --index names; a usage error if it is missing.
absl::StatusOr<proto::IndexManifest> ReadIndexFlag();

// An error of changing an index that is about the ids in a user's file (an id that is not there, or twice) has exit
// code 2, since the index itself was found.
absl::Status AboutIds(const absl::Status& status);

}  // namespace dpkde

#endif  // DPKDE_TOOLS_CORPUS_INPUT_H_
