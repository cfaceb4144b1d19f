#ifndef DPKDE_TOOLS_SHARED_FLAGS_H_
#define DPKDE_TOOLS_SHARED_FLAGS_H_

#include <cstdint>
#include <string>

#include "absl/flags/declare.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"

namespace dpkde {

// The value of --wait: none for the flag alone, which is to wait for ever, or a number of seconds.
struct WaitLimit {
  absl::Duration duration;
};
bool AbslParseFlag(absl::string_view text, WaitLimit* limit, std::string* error);
std::string AbslUnparseFlag(const WaitLimit& limit);

}  // namespace dpkde

// Flags that more than one subcommand takes. The others stand in the file of their subcommand.
ABSL_DECLARE_FLAG(std::string, output);
ABSL_DECLARE_FLAG(std::string, output_format);
ABSL_DECLARE_FLAG(std::string, input_format);
ABSL_DECLARE_FLAG(std::string, list_format);
ABSL_DECLARE_FLAG(std::string, columns);
ABSL_DECLARE_FLAG(std::string, label_column);
ABSL_DECLARE_FLAG(std::string, id_column);
ABSL_DECLARE_FLAG(std::string, csv_header);
ABSL_DECLARE_FLAG(bool, overwrite);
ABSL_DECLARE_FLAG(bool, quiet);
ABSL_DECLARE_FLAG(int, threads);
ABSL_DECLARE_FLAG(std::string, release);
ABSL_DECLARE_FLAG(std::string, neighboring);
ABSL_DECLARE_FLAG(dpkde::WaitLimit, wait);
ABSL_DECLARE_FLAG(std::string, ledger);
ABSL_DECLARE_FLAG(std::string, dataset);
ABSL_DECLARE_FLAG(std::string, input);
ABSL_DECLARE_FLAG(std::string, summary_out);
ABSL_DECLARE_FLAG(std::string, queries);
ABSL_DECLARE_FLAG(std::string, config);
ABSL_DECLARE_FLAG(std::string, index);
ABSL_DECLARE_FLAG(std::string, tokens);
ABSL_DECLARE_FLAG(std::string, lens);
ABSL_DECLARE_FLAG(std::string, ids);
ABSL_DECLARE_FLAG(std::string, query_lens);
ABSL_DECLARE_FLAG(int, k);
ABSL_DECLARE_FLAG(absl::optional<int>, candidates);
ABSL_DECLARE_FLAG(absl::optional<double>, threshold);
ABSL_DECLARE_FLAG(bool, dry_run);
ABSL_DECLARE_FLAG(absl::optional<double>, bandwidth);
ABSL_DECLARE_FLAG(std::string, mechanism);
ABSL_DECLARE_FLAG(uint64_t, public_seed);
ABSL_DECLARE_FLAG(std::string, bad_records);
ABSL_DECLARE_FLAG(absl::optional<uint32_t>, dim);
ABSL_DECLARE_FLAG(std::string, labels);

#endif  // DPKDE_TOOLS_SHARED_FLAGS_H_
