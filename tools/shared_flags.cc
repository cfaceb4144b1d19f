#include "dpkde/tools/shared_flags.h"

#include "absl/flags/flag.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"

// Each text is true for every subcommand that takes the flag, unless that one has a text of its own (TakenFlag::help).
// A word in `back quotes` is what the flag's value is called.

namespace dpkde {

bool AbslParseFlag(absl::string_view text, WaitLimit* limit, std::string* error) {
  double seconds;
  if (text == "true") {  // the flag without a value
    limit->duration = absl::InfiniteDuration();
    return true;
  }
  if (!absl::SimpleAtod(text, &seconds) || !(seconds >= 0)) {
    *error = "must be a number of seconds";
    return false;
  }
  limit->duration = absl::Seconds(seconds);
  return true;
}

std::string AbslUnparseFlag(const WaitLimit& limit) {
  return limit.duration == absl::InfiniteDuration() ? "true" : absl::StrCat(absl::ToDoubleSeconds(limit.duration));
}

}  // namespace dpkde

ABSL_FLAG(dpkde::WaitLimit, wait, dpkde::WaitLimit{absl::ZeroDuration()},
          "`SECONDS` to wait for another process that changes the index; without a value, as long as it takes.");
ABSL_FLAG(std::string, output, "", "`FILE` to write, complete or not at all; - is standard output.");
ABSL_FLAG(std::string, output_format, "", "`FORMAT` of what is printed.");
ABSL_FLAG(std::string, input_format, "",
          "`FORMAT` of the vectors if their file's ending does not tell: npy, fvecs, bvecs, ivecs, fbin, u8bin, i8bin, "
          "ibin, csv or tsv.");
ABSL_FLAG(std::string, list_format, "",
          "`FORMAT` of lists (ids, labels, lengths, weights, ground truth) if their file's ending does not tell: npy, "
          "txt, csv, tsv, ivecs, bvecs, ibin, bin, u8bin or i8bin.");
ABSL_FLAG(std::string, columns, "",
          "`A,B|N-M` Columns of .csv and .tsv to read, in this order: names in the header, numbers from 0, or ranges of "
          "numbers. Left out: all of them.");
ABSL_FLAG(std::string, label_column, "",
          "`A|N` Name, or number from 0, of the column of labels: of --labels, or, without it, of the table of vectors, "
          "whose other columns are the vectors.");
ABSL_FLAG(std::string, id_column, "",
          "`A|N` Name, or number from 0, of the column of ids: of --ids, or, without it, of the table of --input, whose "
          "other columns are the vectors.");
ABSL_FLAG(
    std::string, csv_header, "detect",
    "The first line of .csv and .tsv: `present|absent|detect`; detect: a header if it has names and no cell is a "
    "number, the beginning of one, or a word for a missing one (NA, null, ?); ids and labels then have none.");
ABSL_FLAG(bool, overwrite, false, "Replace an existing output.");
ABSL_FLAG(bool, quiet, false, "No progress and no summary on stderr.");
ABSL_FLAG(int, threads, 0, "Threads, at most 1024; 0: one for each CPU. Does not change results.");
ABSL_FLAG(std::string, release, "", "`FILE` that dpkde_build density has written.");
ABSL_FLAG(std::string, neighboring, "",
          "`add_remove|replace`. add_remove: hides whether a record is there, and how many there are; replace: hides "
          "what a record is, the number of records is public. There is no default.");
ABSL_FLAG(std::string, ledger, "", "`FILE` with the privacy budget of the dataset, declared by dpkde_build ledger.");
ABSL_FLAG(std::string, dataset, "", "`NAME` of the dataset in the ledger: printable ASCII without blanks.");
ABSL_FLAG(
    std::string, input, "",
    "`FILE` of private records, one vector a row: .npy .fvecs .bvecs .ivecs .fbin .u8bin .i8bin .ibin .csv .tsv.");
ABSL_FLAG(
    std::string, summary_out, "",
    "`FILE` for a summary of the release in JSON. Under add_remove it holds nothing that depends on the number of "
    "records, so neither time nor memory.");
ABSL_FLAG(std::string, queries, "",
          "`FILE` of query vectors, one a row, with the columns of the release; - reads standard input, as .csv unless "
          "--input_format says otherwise.");
ABSL_FLAG(
    std::string, config, "",
    "`FILE` with an IndexConfig in protobuf text format (proto/index.proto): tokens, encoder, vector_index. What "
    "it leaves out is chosen: the encoder by measuring on a sample of the documents, int8 codes that are scanned.");
ABSL_FLAG(std::string, index, "", "`DIR` that dpkde_build index made.");
ABSL_FLAG(std::string, tokens, "", "`FILE` of the tokens of all documents in order, one vector a row. Public.");
ABSL_FLAG(std::string, lens, "", "`FILE` of the numbers of tokens of the documents, one a row; 0: an empty document.");
ABSL_FLAG(std::string, ids, "", "`FILE` of the documents' ids, one a line (.txt) or row.");
ABSL_FLAG(std::string, query_lens, "",
          "`FILE` of the numbers of tokens of the queries, one a row. Left out: each has one.");
ABSL_FLAG(int, k, 10, "Results of a query, at least 1. Fewer where the index has fewer.");
ABSL_FLAG(
    absl::optional<int>, candidates, absl::nullopt,
    "Documents that the index's first stage hands on to be scored exactly, at least --k; the more, the better the "
    "recall. Left out: 500, or k where that is more.");
ABSL_FLAG(
    absl::optional<double>, threshold, absl::nullopt,
    "Items count for noised counts above this, and are drawn in proportion to what is above it (Lin et al. 2024). "
    "Acts on noised counts: no privacy effect. Left out: the threshold of the release.");
ABSL_FLAG(absl::optional<double>, bandwidth, absl::nullopt,
          "h of --similarity, in the unit of the coordinates; > 0; needed by every kernel but angular. Public.");
ABSL_FLAG(std::string, mechanism, "auto",
          "The noise: `auto|laplace|knorm|gaussian`. laplace and knorm are pure; gaussian needs --delta or --rho.");
ABSL_FLAG(uint64_t, public_seed, 0, "Seed of the public random features. Has nothing to do with noise.");
ABSL_FLAG(
    std::string, bad_records, "fail",
    "What to do with a record that holds a NaN, an infinity or no number: `fail|replace`, that is by the domain's "
    "centre (the origin without a domain). The certificate says which. Text then needs --csv_header=present or "
    "absent.");
ABSL_FLAG(bool, dry_run, false,
          "Print the predicted error of every candidate and the choice; reads no record, writes nothing.");
ABSL_FLAG(absl::optional<uint32_t>, dim, absl::nullopt,
          "Number of columns. Needed by --dry_run without --input, and by text of which neither a header nor the domain "
          "tells it; otherwise checked.");
ABSL_FLAG(
    std::string, labels, "",
    "`FILE` with the label of each row: .txt, one a line, .csv or .tsv of one column, or .npy of integers or texts. As "
    "private as the records.");
