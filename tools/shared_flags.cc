#include "dpkde/tools/shared_flags.h"

#include "absl/flags/flag.h"

ABSL_FLAG(std::string, output, "", "File to write. Appears complete or not at all.");
ABSL_FLAG(std::string, output_format, "", "density: jsonl (default), tsv, npy; describe: text (default), json.");
ABSL_FLAG(std::string, input_format, "",
          "Format of the vectors if their file's ending does not tell: npy, fvecs, bvecs, ivecs, fbin, u8bin, i8bin, "
          "ibin, csv, tsv.");
ABSL_FLAG(std::string, csv_header, "detect",
          "The first line of .csv and .tsv: present, absent, or detect: a header if one of its cells is no number.");
ABSL_FLAG(bool, overwrite, false, "Replace an existing output.");
ABSL_FLAG(bool, quiet, false, "No progress and no summary on stderr.");
ABSL_FLAG(int, threads, 0, "Threads, at most 1024; 0 means one for each CPU. Does not change results.");
ABSL_FLAG(std::string, release, "", "A release written by dpkde_build density.");
ABSL_FLAG(
    std::string, neighboring, "",
    "add_remove: hides whether a record is there, and how many there are; replace: hides what a record is, the number "
    "of records is public. Required; there is no default.");
ABSL_FLAG(std::string, ledger, "", "The file with the privacy budget of the dataset, declared by dpkde_build ledger.");
ABSL_FLAG(std::string, dataset, "", "The name of the dataset in the ledger: printable ASCII without blanks.");
