#include "dpkde/tools/shared_flags.h"

#include "absl/flags/flag.h"
#include "absl/types/optional.h"

ABSL_FLAG(std::string, output, "", "File to write. Appears complete or not at all.");
ABSL_FLAG(std::string, output_format, "",
          "density: jsonl (default), tsv, npy; search: jsonl (default), trec, tsv, ivecs; histogram: jsonl (default), "
          "tsv, txt (ids alone, one a line, as --allow_ids reads them); describe, tune: text (default), json.");
ABSL_FLAG(std::string, input_format, "",
          "Format of the vectors if their file's ending does not tell: npy, fvecs, bvecs, ivecs, fbin, u8bin, i8bin, "
          "ibin, csv, tsv.");
ABSL_FLAG(std::string, csv_header, "detect",
          "The first line of .csv and .tsv: present, absent, or detect: a header if one of its cells is no number.");
ABSL_FLAG(bool, overwrite, false, "Replace an existing output.");
ABSL_FLAG(bool, quiet, false, "No progress and no summary on stderr.");
ABSL_FLAG(int, threads, 0, "Threads, at most 1024; 0 means one for each CPU. Does not change results.");
ABSL_FLAG(std::string, release, "",
          "A release written by dpkde_build density; classify: by dpkde_build classifier; histogram: by dpkde_build "
          "histogram.");
ABSL_FLAG(
    std::string, neighboring, "",
    "add_remove: hides whether a record is there, and how many there are; replace: hides what a record is, the number "
    "of records is public. Required; there is no default.");
ABSL_FLAG(std::string, ledger, "", "The file with the privacy budget of the dataset, declared by dpkde_build ledger.");
ABSL_FLAG(std::string, dataset, "", "The name of the dataset in the ledger: printable ASCII without blanks.");
ABSL_FLAG(
    std::string, input, "",
    "density, classifier, histogram: file of private records, one vector a row: .npy .fvecs .bvecs .ivecs .fbin .u8bin "
    ".i8bin .ibin .csv .tsv. index, add: file of public vectors, each a document.");
ABSL_FLAG(std::string, summary_out, "",
          "File for a summary in JSON; of private data it holds no number of records unless that is public.");
ABSL_FLAG(std::string, queries, "",
          "density, classify: file of query vectors, one a row, with the columns of the release; - reads standard "
          "input, as .csv unless --input_format says otherwise. search, tune: file of the tokens of all queries.");
ABSL_FLAG(std::string, config, "",
          "File with an IndexConfig in protobuf text format (proto/index.proto): tokens, encoder, vector_index. index: "
          "what it leaves out is chosen, the encoder by measuring on a sample of the documents, int8 codes that are "
          "scanned. encode: only the encoder counts.");
ABSL_FLAG(std::string, index, "", "The directory that dpkde_build index made.");
ABSL_FLAG(std::string, tokens, "", "File of the tokens of all documents in order, one vector a row. Public.");
ABSL_FLAG(std::string, lens, "", "File of the numbers of tokens of the documents, one a row; 0 is an empty document.");
ABSL_FLAG(std::string, ids, "",
          "File of the documents' ids, one a line (.txt) or row. Left out: the number of documents that were added "
          "before, from 0.");
ABSL_FLAG(std::string, query_lens, "",
          "File of the numbers of tokens of the queries, one a row. Left out: each has one.");
ABSL_FLAG(int, k, 10, "Results of a query, at least 1. Fewer where the index has fewer.");
ABSL_FLAG(absl::optional<int>, candidates, absl::nullopt,
          "Documents that the index's first stage hands on to be scored exactly, at least k (search) or votes "
          "(histogram); the more, the better the recall. Left out: 500, or k or votes where that is more.");
ABSL_FLAG(
    absl::optional<double>, threshold, absl::nullopt,
    "Items count for noised counts above this, and are drawn in proportion to what is above it (Lin et al. 2024). Acts "
    "on noised counts: no privacy effect. build histogram: what readers use unless they name another; left out: 0, "
    "above which half of the items that nobody voted for are. query histogram: left out: the one of the release.");
ABSL_FLAG(
    absl::optional<double>, bandwidth, absl::nullopt,
    "h of --similarity, in the unit of the coordinates (classifier with --unit_rows: of records of length 1); > 0. "
    "Public.");
ABSL_FLAG(std::string, mechanism, "auto",
          "auto, laplace, knorm (both pure) or gaussian (needs --delta or --rho). histogram: not knorm.");
ABSL_FLAG(
    uint64_t, public_seed, 0,
    "Seed of the public random features; query histogram: of --sample; search: of --density_contrast. Has nothing to "
    "do with noise.");
ABSL_FLAG(std::string, bad_records, "fail",
          "What to do with a record that holds a NaN, an infinity or no number: fail, or replace it by the domain's "
          "centre (the origin without a domain; histogram: by a record that votes for nothing). Text then needs "
          "--csv_header=present or absent.");
ABSL_FLAG(bool, dry_run, false,
          "Print the predicted error of every candidate and the choice; reads no record, writes nothing.");
ABSL_FLAG(absl::optional<uint32_t>, dim, absl::nullopt,
          "Number of columns. Needed by --dry_run without --input, and by --bad_records=replace where neither a header "
          "nor the domain tells it; otherwise checked.");
ABSL_FLAG(
    std::string, labels, "",
    "File with the label of each row: .txt or .csv, one a line, or .npy of integers. classifier: as private as the "
    "records; classify: public, to print the accuracy on standard error.");
