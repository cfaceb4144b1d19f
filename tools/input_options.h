#ifndef DPKDE_TOOLS_INPUT_OPTIONS_H_
#define DPKDE_TOOLS_INPUT_OPTIONS_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "dpkde/io/list_reader.h"
#include "dpkde/io/vector_reader.h"

namespace dpkde {

// What --input_format and --csv_header say, for public vectors; a usage error for unknown values. A header that is
// detected is shown on stderr (AddNotice()).
absl::StatusOr<VectorReaderOptions> ParseInputOptions();

// The same for vectors beside --input, --tokens or --queries: --input_format is for them only where their own ending
// does not tell the format.
VectorReaderOptions OptionsOfAnotherFile(const std::string& path, VectorReaderOptions options);

// --label_column or --id_column (`column`) without a file of its own: the list stands in the table of vectors at `path`.
// A usage error unless that can be read twice.
absl::Status TakeColumnFromTable(const std::string& path, const std::string& flag, const std::string& column,
                                 VectorReaderOptions* table, ListOptions* list);

// What --list_format and --csv_header say, for ids, labels, lengths and ground truth.
absl::StatusOr<ListOptions> ParseListOptions();

// What messages call the file at `path`: "standard input" for -.
std::string InputName(const std::string& path);

// --label_column or --id_column of a list with a file of its own; empty: it has one column.
void ChooseListColumn(const std::string& column, ListOptions* list);

// Whether the file is read as text, where only a line tells the number of columns.
bool IsTextInput(const std::string& path, const VectorReaderOptions& options);

// What to add to "must have 16 columns, but has 1" about an .npy file: how one vector becomes one row. "" for others.
std::string OneColumnHint(const std::string& path, size_t columns);

// For private rows, by --bad_records and --neighboring: no row decides what it must not decide (docs/privacy.md, "Rows
// of text"). `paired`: another file has a line for each row. Nothing of a header that is detected is shown but that it
// is there.
void MakePrivate(bool paired, VectorReaderOptions* options);

// --weights: one column, in its own format; .txt is one a line. `options`: of private rows.
VectorReaderOptions WeightsOptions(const std::string& path, VectorReaderOptions options);

// A usage error where private text at `path` would let a record decide the number of records or columns.
// `flag`: "input" or "weights"; `columns`: what tells the number of columns.
enum class TellsColumns { kFlags, kDomainAlone, kNothing };
absl::Status CheckPrivateText(absl::string_view flag, const std::string& path, const VectorReaderOptions& options,
                              TellsColumns columns);

// The number of rows of two private files that belong together, of which those behind `least` are blank lines. A data
// error, with the path of `other` in front, if there is none.
absl::StatusOr<uint64_t> PairedRows(VectorReader::RowRange records, const std::string& other,
                                    VectorReader::RowRange others, absl::string_view role);

}  // namespace dpkde

#endif  // DPKDE_TOOLS_INPUT_OPTIONS_H_
