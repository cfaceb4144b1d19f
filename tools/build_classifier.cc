#include "dpkde/tools/build_classifier.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <map>
#include <memory>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/types/optional.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/base/record_error.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/base/validation.h"
#include "dpkde/classifier/class_accumulator.h"
#include "dpkde/classifier/classifier.h"
#include "dpkde/classifier/classifier_parts.h"
#include "dpkde/classifier/classifier_planner.h"
#include "dpkde/io/list_reader.h"
#include "dpkde/io/vector_reader.h"
#include "dpkde/noise/bit_source.h"
#include "dpkde/noise/mechanism.h"
#include "dpkde/planner/planner.h"
#include "dpkde/similarity/resolution.h"
#include "dpkde/sketch/accumulator.h"
#include "dpkde/tools/audience.h"
#include "dpkde/tools/density_options.h"
#include "dpkde/tools/domain_options.h"
#include "dpkde/tools/exit_code.h"
#include "dpkde/tools/input_options.h"
#include "dpkde/tools/ledger_entries.h"
#include "dpkde/tools/output_path.h"
#include "dpkde/tools/privacy_options.h"
#include "dpkde/tools/record_batches.h"
#include "dpkde/tools/reference_points.h"
#include "dpkde/tools/release_output.h"
#include "dpkde/tools/shared_flags.h"

ABSL_FLAG(
    std::string, label_set, "",
    "`LABELS`, all that there may be: a,b,c or a range of integers, 0-9, or both. Public, and required: a set that is "
    "taken from the records would reveal rare classes. A class without records gets noise like any other.");
ABSL_FLAG(std::string, model, "auto",
          "`NAME`: auto, kernel (mean --similarity to each class, by one density release a class), moments (nearest "
          "class mean), "
          "discriminant (with a private covariance, or that of --reference), landmark_ridge (with that of "
          "--reference). auto is "
          "kernel with --similarity, and else chooses among the others, from public values only.");
ABSL_FLAG(std::string, label_set_file, "",
          "Instead of --label_set a public `FILE` of all labels, one a line, commas and blanks being part of them.");
ABSL_FLAG(
    std::string, other_label, "",
    "`LABEL` of the label set that records count under whose label is not in it. Left out: such a label is an error, "
    "or with --bad_records=replace a record that counts nowhere (under replace: under the first label).");
ABSL_FLAG(bool, unit_rows, false, "Scale each record to length 1, as for cosine similarity; then no domain is needed.");
ABSL_FLAG(absl::optional<uint32_t>, class_features, absl::nullopt,
          "Number of features of a record, 1 to 8192; left out: planned. Not of --model=kernel.");
ABSL_FLAG(absl::optional<double>, class_bandwidth, absl::nullopt,
          "Bandwidth of the features' gaussian kernel, in units of the scaled record; left out: planned. Not of "
          "--model=kernel.");

namespace dpkde {
namespace {

using Plan = proto::ClassifierPlan;
using BadRecords = ClassAccumulator::BadRecords;

constexpr int64_t kLongestRange = 65536;

struct Settings {
  std::vector<std::string> labels;
  absl::optional<Plan::Model> model;
  absl::optional<DensityOptions> density;  // of the kernel model
  absl::optional<proto::Mechanism> mechanism;
  absl::optional<PrivacySpec> privacy;
  DomainOptions domain;
  VectorReaderOptions reader_options, public_options;  // of private records; of --reference
  ListOptions label_options;
  absl::optional<uint32_t> other_class;  // of --other_label
  absl::optional<size_t> dimension;      // nullopt: the flags do not tell, so the input does
  BadRecords bad_records = BadRecords::kFail;
};

// Coordinates are relative to an origin: unless lengths or angles matter.
bool IsCentered(const Settings& settings) {
  if (absl::GetFlag(FLAGS_unit_rows)) return false;
  return !settings.density.has_value() || settings.density->similarity.is_shift_invariant();
}

// Of a row that counts in no class.
constexpr uint32_t kNowhere = std::numeric_limits<uint32_t>::max();

// The file that the labels are in.
std::string LabelsPath() {
  const std::string labels = absl::GetFlag(FLAGS_labels);
  return labels.empty() ? absl::GetFlag(FLAGS_input) : labels;
}

// "0-9,11,other".
absl::StatusOr<std::vector<std::string>> ParseLabelSet(const std::string& text) {
  std::vector<std::string> labels;
  for (absl::string_view part : absl::StrSplit(text, ',')) {
    part = absl::StripAsciiWhitespace(part);
    // A minus at the front is a sign.
    const size_t dash = part.find('-', 1);
    int64_t first, last;
    if (dash != absl::string_view::npos && absl::SimpleAtoi(part.substr(0, dash), &first) &&
        absl::SimpleAtoi(part.substr(dash + 1), &last)) {
      if (last < first || last - first >= kLongestRange) {
        return UsageError(absl::StrCat("--label_set: the range ", part, " is reversed or too long"));
      }
      for (int64_t label = first; label <= last; ++label) labels.push_back(absl::StrCat(label));
    } else {
      labels.emplace_back(part);
    }
  }
  DPKDE_RETURN_IF_ERROR(FlagError(CheckLabels(labels), "--label_set: "));
  return labels;
}

// --label_set_file: one label a line, of any bytes.
absl::StatusOr<std::vector<std::string>> ReadLabelSet(const std::string& path, const ListOptions& options) {
  ListOptions one_a_line;
  one_a_line.text_header = options.text_header;
  if (!absl::EndsWithIgnoreCase(path, ".csv") && !absl::EndsWithIgnoreCase(path, ".tsv")) one_a_line.format = "txt";
  const absl::StatusOr<std::vector<std::string>> labels = ReadIds(path, one_a_line);
  if (!labels.ok()) return DataError(labels.status());
  DPKDE_RETURN_IF_ERROR(FlagError(CheckLabels(*labels), absl::StrCat("--label_set_file=", path, ": ")));
  return labels;
}

absl::Status ParseLabels(Settings& settings) {
  const std::string set = absl::GetFlag(FLAGS_label_set), file = absl::GetFlag(FLAGS_label_set_file);
  if (!set.empty() && !file.empty()) return UsageError("--label_set and --label_set_file must not both be given");
  if (!set.empty()) {
    DPKDE_ASSIGN_OR_RETURN(settings.labels, ParseLabelSet(set));
  } else if (!file.empty()) {
    DPKDE_ASSIGN_OR_RETURN(settings.labels, ReadLabelSet(file, settings.label_options));
  }
  const std::string other = absl::GetFlag(FLAGS_other_label);
  if (other.empty() || settings.labels.empty()) return absl::OkStatus();
  const auto found = std::find(settings.labels.begin(), settings.labels.end(), other);
  if (found == settings.labels.end()) {
    return UsageError(absl::StrCat("--other_label must be one of the label set, but is '", other, "'"));
  }
  settings.other_class = static_cast<uint32_t>(found - settings.labels.begin());
  return absl::OkStatus();
}

absl::StatusOr<absl::optional<Plan::Model>> ParseModel() {
  const std::string name = absl::GetFlag(FLAGS_model);
  DPKDE_RETURN_IF_ERROR(CheckChoice("model", name, {"auto", "kernel", "moments", "discriminant", "landmark_ridge"}));
  for (int model = proto::ClassifierPlan_Model_KERNEL; model <= proto::ClassifierPlan_Model_LANDMARK_RIDGE; ++model) {
    const auto value = static_cast<Plan::Model>(model);
    if (ModelName(value) == name) return absl::optional<Plan::Model>(value);
  }
  // No other model has one.
  if (!absl::GetFlag(FLAGS_similarity).empty()) return absl::optional<Plan::Model>(proto::ClassifierPlan_Model_KERNEL);
  return absl::optional<Plan::Model>();
}

// The flags of one model with another.
absl::Status CheckModelFlags(bool is_kernel) {
  if (is_kernel) {
    for (const auto& [name, given] : {std::pair("class_features", absl::GetFlag(FLAGS_class_features).has_value()),
                                      std::pair("class_bandwidth", absl::GetFlag(FLAGS_class_bandwidth).has_value())}) {
      if (given) return UsageError(absl::StrCat("--", name, " is not taken by --model=kernel, which has no features"));
    }
    return absl::OkStatus();
  }
  const std::vector<std::string> given = DensityOptions::Given();
  if (given.empty()) return absl::OkStatus();
  return UsageError(absl::StrCat(given[0], " needs --model=kernel",
                                 given[0] == "--bandwidth" ? " (the features of others have --class_bandwidth)" : ""));
}

absl::Status CheckPaths() {
  const std::string input = absl::GetFlag(FLAGS_input), labels = absl::GetFlag(FLAGS_labels);
  const std::string reference = absl::GetFlag(FLAGS_reference);
  const bool dry_run = absl::GetFlag(FLAGS_dry_run);
  if (input.empty() && !(dry_run && absl::GetFlag(FLAGS_dim).has_value())) {
    return UsageError(dry_run ? "--input (or --dim) is missing" : "--input is missing");
  }
  if (labels.empty() && absl::GetFlag(FLAGS_label_column).empty() && !dry_run) {
    return UsageError("--labels is missing (or --label_column, where the labels are in the table of --input)");
  }
  if (!reference.empty() && (IsSameFile(reference, input) || IsSameFile(reference, labels))) {
    return UsageError(
        "--reference and --input are the same file: landmarks are stored in the release in the clear, so private "
        "records "
        "cannot be among them");
  }
  if (dry_run) return absl::OkStatus();
  DPKDE_RETURN_IF_ERROR(CheckReleasePaths({input, labels, reference}));
  return CheckLedgerFlags();
}

// Everything that can be checked before a data file is opened: first what is a matter of usage, then of privacy.
absl::StatusOr<Settings> ParseFlags() {
  Settings settings;
  DPKDE_ASSIGN_OR_RETURN(settings.model, ParseModel());
  DPKDE_ASSIGN_OR_RETURN(settings.domain, DomainOptions::Parse());
  // Whether there is one, and, where the flags tell the dimension, whether it is right.
  DPKDE_ASSIGN_OR_RETURN(const absl::optional<Domain> domain,
                         settings.domain.Make(std::max<size_t>(1, settings.domain.dimension()), true));
  const bool is_kernel = settings.model == proto::ClassifierPlan_Model_KERNEL;
  DPKDE_RETURN_IF_ERROR(CheckModelFlags(is_kernel));
  if (is_kernel) {
    DPKDE_ASSIGN_OR_RETURN(settings.density, DensityOptions::Parse());
  } else if (!domain.has_value() && !absl::GetFlag(FLAGS_unit_rows)) {
    return UsageError(
        "--domain_min and --domain_max, --domain_radius, or --unit_rows is missing: records must be bounded, and "
        "bounds "
        "that are taken from them would reveal them");
  }
  DPKDE_ASSIGN_OR_RETURN(settings.mechanism, ParseMechanism());
  if (const auto bandwidth = absl::GetFlag(FLAGS_class_bandwidth); bandwidth.has_value()) {
    DPKDE_RETURN_IF_ERROR(FlagError(CheckPositive("--class_bandwidth", *bandwidth)));
  }
  if (const auto features = absl::GetFlag(FLAGS_class_features); features.has_value()) {
    DPKDE_RETURN_IF_ERROR(FlagError(CheckInRange("--class_features", *features, 1, 8192)));
  }
  if (settings.model.has_value() && *settings.model == proto::ClassifierPlan_Model_LANDMARK_RIDGE &&
      absl::GetFlag(FLAGS_reference).empty()) {
    return UsageError("--model=landmark_ridge needs --reference");
  }
  if (settings.model.has_value() && *settings.model == proto::ClassifierPlan_Model_MOMENTS &&
      !absl::GetFlag(FLAGS_reference).empty()) {
    return UsageError("--model=moments takes no --reference");
  }
  const std::string bad_records = absl::GetFlag(FLAGS_bad_records);
  DPKDE_RETURN_IF_ERROR(CheckChoice("bad_records", bad_records, {"fail", "replace"}));
  DPKDE_ASSIGN_OR_RETURN(settings.reader_options, ParseInputOptions());
  DPKDE_ASSIGN_OR_RETURN(settings.label_options, ParseListOptions());
  settings.public_options = settings.reader_options;
  if (const std::string column = absl::GetFlag(FLAGS_label_column); !column.empty()) {
    if (absl::GetFlag(FLAGS_labels).empty()) {
      DPKDE_RETURN_IF_ERROR(TakeColumnFromTable(absl::GetFlag(FLAGS_input), "label_column", column,
                                                &settings.reader_options, &settings.label_options));
    } else {
      ChooseListColumn(column, &settings.label_options);
    }
  }
  MakePrivate(/*paired=*/true, &settings.reader_options);
  if (bad_records == "replace") {
    settings.bad_records = BadRecords::kReplace;
    settings.label_options.any_row = true;
  }
  const absl::optional<uint32_t> dim = absl::GetFlag(FLAGS_dim);
  if (dim.has_value()) {
    DPKDE_RETURN_IF_ERROR(FlagError(CheckInRange("--dim", *dim, 1, VectorReader::kMaxDimension)));
    settings.dimension = *dim;
  } else if (settings.domain.dimension() > 0) {
    settings.dimension = settings.domain.dimension();
  }
  if (!absl::GetFlag(FLAGS_input).empty()) {
    const TellsColumns columns = settings.dimension.has_value()   ? TellsColumns::kFlags
                                 : settings.domain.is_given()     ? TellsColumns::kDomainAlone
                                                                  : TellsColumns::kNothing;
    DPKDE_RETURN_IF_ERROR(
        CheckPrivateText("input", absl::GetFlag(FLAGS_input), settings.reader_options, columns));
  }
  DPKDE_RETURN_IF_ERROR(CheckExpectedN(absl::GetFlag(FLAGS_dry_run)));
  DPKDE_RETURN_IF_ERROR(CheckPaths());
  DPKDE_RETURN_IF_ERROR(ParseLabels(settings));
  DPKDE_ASSIGN_OR_RETURN(settings.privacy, ParsePrivacy(settings.mechanism));
  if (settings.labels.empty()) {
    return PrivacyError(
        "--label_set is missing: taken from the labels of the records, it would reveal that somebody is in a rare "
        "class; "
        "there is no default");
  }
  return settings;
}

// The classes of the rows, by the labels.
struct Classes {
  std::vector<uint32_t> of_row;
  VectorReader::RowRange rows;  // behind rows.least there are blank lines only
};

// A row whose label is none of the set has the class of --other_label, or else, where bad records are replaced, the
// first one under replace and kNowhere under add_remove.
absl::StatusOr<Classes> ReadClasses(const Settings& settings) {
  std::map<std::string, uint32_t, std::less<>> class_of;
  for (size_t c = 0; c < settings.labels.size(); ++c) class_of[settings.labels[c]] = static_cast<uint32_t>(c);
  const bool replaces = settings.bad_records == BadRecords::kReplace;
  const bool add_remove = settings.privacy->neighboring() == Neighboring::kAddRemove;
  const std::string path = LabelsPath();
  Classes classes;
  const absl::Status read = ForEachText(
      path, settings.label_options,
      [&](uint64_t row, uint64_t, absl::optional<absl::string_view> label) -> absl::Status {
        const bool blank = label.has_value() && label->empty();
        const auto found = label.has_value() ? class_of.find(*label) : class_of.end();
        uint32_t c = add_remove ? kNowhere : 0;
        if (found != class_of.end()) {
          c = found->second;
        } else if (settings.other_class.has_value() && (replaces || !blank)) {
          c = *settings.other_class;
        } else if (!replaces) {
          // Names no label, which may be confidential.
          return Named(path, RecordError(absl::StatusCode::kInvalidArgument,
                                         absl::StrCat("row ", row, " (counting from 0)"),
                                         blank ? "has no label" : "has a label that is not in --label_set"));
        }
        classes.of_row.push_back(c);
        if (!blank) classes.rows.least = row + 1;
        return absl::OkStatus();
      });
  if (!read.ok()) return DataError(read);
  classes.rows.most = classes.of_row.size();
  // Only where every line counts may the last ones be blank.
  if (!settings.label_options.any_row) classes.rows.least = classes.rows.most;
  return classes;
}

// The rows that have a class, one behind the other in `rows`, and their classes.
void KeepRowsOfClasses(MatrixView batch, absl::Span<const uint32_t> classes, std::vector<float>* rows,
                       std::vector<uint32_t>* kept) {
  for (size_t r = 0; r < batch.rows; ++r) {
    if (classes[r] == kNowhere) continue;
    rows->insert(rows->end(), batch.row(r).begin(), batch.row(r).end());
    kept->push_back(classes[r]);
  }
}

absl::StatusOr<ClassifierInputs> MakeInputs(const Settings& settings, size_t dimension) {
  DPKDE_ASSIGN_OR_RETURN(absl::optional<Domain> domain, settings.domain.Make(dimension, IsCentered(settings)));
  const PrivacySpec& privacy = *settings.privacy;
  ClassifierInputs inputs{dimension, std::move(domain), absl::GetFlag(FLAGS_unit_rows), settings.labels,
                          NeedsCount(privacy) ? privacy.WithShare(1 - kPlanningShare) : privacy};
  inputs.model = settings.model;
  inputs.mechanism = settings.mechanism;
  inputs.features = absl::GetFlag(FLAGS_class_features);
  inputs.bandwidth = absl::GetFlag(FLAGS_class_bandwidth);
  if (settings.density.has_value()) {
    const DensityOptions& density = *settings.density;
    inputs.kernel = KernelInputs{density.similarity, density.expected_similarity, density.design,
                                 density.features,   density.reduce_to,           density.landmark_choice};
  }
  inputs.public_seed = absl::GetFlag(FLAGS_public_seed);
  inputs.all_reasons = absl::GetFlag(FLAGS_dry_run);
  return inputs;
}

// What no number of records mends, before anything is paid: first what is a matter of usage, then of privacy.
absl::Status CheckPlan(ClassifierInputs inputs, ThreadPool& pool) {
  inputs.public_n = 1000;
  const auto refused = [&](const absl::Status& status) {
    return PrivacyError(absl::StrCat(inputs.privacy.rho().has_value() ? "--rho: " : "--epsilon, --delta: ",
                                     std::string(status.message())));
  };
  absl::StatusOr<ClassifierChoice> choice = PlanClassifier(inputs, pool);
  if (!choice.ok() && inputs.kernel.has_value()) {
    // Whether a budget that restricts nothing mends it.
    ClassifierInputs ample = inputs;
    DPKDE_ASSIGN_OR_RETURN(ample.privacy, PrivacySpec::Pure(1, Neighboring::kAddRemove));
    ample.mechanism = absl::nullopt;
    if (PlanClassifier(ample, pool).ok()) return refused(choice.status());
  }
  if (!choice.ok()) {
    return FlagError(choice.status(), inputs.domain.has_value() || inputs.unit_rows
                                          ? ""
                                          : "without --domain_min and --domain_max or --domain_radius, ");
  }
  const absl::Status created = ClassAccumulator::Create(choice->plan, BadRecords::kFail, pool).status();
  return created.ok() ? created : refused(created);
}

std::vector<std::string> AssertedPublic(const Settings& settings, const ClassifierInputs& inputs) {
  std::vector<std::string> asserted = {"label set"};
  if (settings.density.has_value()) {
    for (std::string& what : settings.density->AssertedPublic()) asserted.push_back(std::move(what));
  }
  if (inputs.domain.has_value()) asserted.push_back("domain");
  if (inputs.unit_rows) asserted.push_back("unit rows");
  if (inputs.model.has_value()) asserted.push_back("model");
  if (inputs.features.has_value()) asserted.push_back("number of features");
  if (inputs.bandwidth.has_value()) asserted.push_back("bandwidth");
  if (inputs.reference.rows > 0) asserted.push_back("reference points");
  for (std::string& what : AssertedByPrivacyFlags()) asserted.push_back(std::move(what));
  return asserted;
}

// What would be released, and how noisy, for one n.
absl::Status PrintPlan(ClassifierInputs inputs, double n, ThreadPool& pool) {
  inputs.public_n = n;
  const double records = n / inputs.labels.size();
  if (inputs.kernel.has_value()) {
    absl::PrintF("n = %.10g: kernel: for each of %d labels a density of %.6g records, if classes are of one size\n", n,
                 inputs.labels.size(), records);
    DPKDE_ASSIGN_OR_RETURN(const ClassDensityPlan density, PlanClassDensity(inputs, pool));
    DPKDE_RETURN_IF_ERROR(PrintDensityPlan(density.inputs, density.result));
  }
  DPKDE_ASSIGN_OR_RETURN(const ClassifierChoice choice, PlanClassifier(inputs, pool));
  DPKDE_ASSIGN_OR_RETURN(const ClassifierParts parts, BuildClassifierPlan(choice.plan));
  DPKDE_ASSIGN_OR_RETURN(const Mechanism mechanism,
                         Mechanism::Calibrate(choice.plan.mechanism(), parts.groups, parts.step));
  const auto deviation = [&](size_t group) { return std::sqrt(mechanism.variances()[group]) / kGridUnit; };
  const NoiseGuarantee guarantee = WholeGuarantee(mechanism.guarantee(), parts.privacy);
  const std::string spends = inputs.privacy.rho().has_value() ? absl::StrFormat("rho = %.10g", guarantee.rho)
                                                              : absl::StrFormat("epsilon = %.10g, delta = %.10g",
                                                                                guarantee.epsilon, guarantee.delta);
  if (inputs.kernel.has_value()) {
    absl::PrintF("all classes together: spends %s: %s\n\n", spends, CompositionText(choice.plan));
    return absl::OkStatus();
  }
  absl::PrintF("n = %.10g: %s of %d features, %s noise: %s\n", n, ModelName(choice.plan.model()),
               parts.features->size(), MechanismName(choice.plan.mechanism()), choice.reason);
  absl::PrintF("  std_error of a coordinate of a class sum: %.6g records; of a class mean, |features| <= 1: %.6g\n",
               deviation(0), deviation(0) / records);
  if (parts.has_second_moment()) absl::PrintF("  of an entry of the second moment: %.6g records\n", deviation(1));
  absl::PrintF("  of the number of records of a class: %.6g (of %.6g, if classes are of one size)\n",
               deviation(parts.groups.size() - 1), records);
  absl::PrintF("  spends %s\n", spends);
  return absl::OkStatus();
}

absl::Status DryRun(const ClassifierInputs& inputs, const absl::optional<uint64_t>& public_rows, ThreadPool& pool) {
  std::vector<double> sizes = {1e3, 1e5, 1e7};
  if (absl::GetFlag(FLAGS_expected_n).has_value()) {
    sizes = {*absl::GetFlag(FLAGS_expected_n)};
  } else if (public_rows.has_value()) {
    sizes = {std::max<double>(1, static_cast<double>(*public_rows))};
  }
  for (double n : sizes) {
    DPKDE_RETURN_IF_ERROR(PrintPlan(inputs, n, pool));
    if (const std::string warning = DeltaWarning(inputs.privacy, n); !warning.empty()) {
      absl::PrintF("warning: %s\n", warning);
    }
  }
  return absl::OkStatus();
}

// The plan for inputs.public_n, and what adds up to it.
struct PlannedClassifier {
  ClassifierChoice choice;
  ClassAccumulator accumulator;
};
absl::StatusOr<PlannedClassifier> PlanRelease(const Settings& settings, const ClassifierInputs& inputs,
                                              const absl::optional<proto::PlanningCount>& planning_count,
                                              const std::string& ledger_token, ThreadPool& pool) {
  DPKDE_ASSIGN_OR_RETURN(ClassifierChoice choice, PlanClassifier(inputs, pool));
  if (planning_count.has_value()) *choice.plan.mutable_planning_count() = *planning_count;
  for (const std::string& what : AssertedPublic(settings, inputs)) choice.plan.add_asserted_public(what);
  choice.plan.set_ledger_dataset(absl::GetFlag(FLAGS_dataset));
  choice.plan.set_ledger_token(ledger_token);
  DPKDE_ASSIGN_OR_RETURN(ClassAccumulator accumulator,
                         ClassAccumulator::Create(choice.plan, settings.bad_records, pool));
  return PlannedClassifier{std::move(choice), std::move(accumulator)};
}

// Makes ready for a classifier, before the count of its records is paid for, by which it will be planned: what few
// records and what many admit, and the space that they need.
absl::Status PrepareForAnyCount(const Settings& settings, ClassifierInputs inputs, double epsilon,
                                const std::string& ledger_token, ThreadPool& pool, ReleaseOutput& output) {
  for (const double n : {1e3, 1e6}) {
    if (n > 1e3 && inputs.features.has_value()) break;
    proto::PlanningCount count;
    count.set_epsilon(epsilon);
    count.set_value(static_cast<int64_t>(n));
    inputs.public_n = n;
    DPKDE_ASSIGN_OR_RETURN(const PlannedClassifier release, PlanRelease(settings, inputs, count, ledger_token, pool));
    DPKDE_ASSIGN_OR_RETURN(const uint64_t bytes, release.accumulator.RehearseRelease());
    DPKDE_RETURN_IF_ERROR(output.Prepare(bytes));
  }
  return absl::OkStatus();
}

absl::Status Run(const std::vector<std::string>&) {
  const absl::Time start = absl::Now();
  DPKDE_ASSIGN_OR_RETURN(const Settings settings, ParseFlags());
  const bool add_remove = settings.privacy->neighboring() == Neighboring::kAddRemove;
  const std::string input = absl::GetFlag(FLAGS_input);
  const bool dry_run = absl::GetFlag(FLAGS_dry_run);
  std::unique_ptr<VectorReader> opened;
  if (!input.empty()) {
    DPKDE_ASSIGN_OR_RETURN(opened, OpenPrivateRows(input, settings.reader_options, settings.dimension,
                                                   settings.domain.is_given()));
  }
  const size_t dimension = opened != nullptr ? opened->dimension() : *absl::GetFlag(FLAGS_dim);
  ThreadPool pool(absl::GetFlag(FLAGS_threads));
  DPKDE_ASSIGN_OR_RETURN(ClassifierInputs inputs, MakeInputs(settings, dimension));
  const bool has_reference = !absl::GetFlag(FLAGS_reference).empty();
  // What designs there are with a reference is known when it has been read.
  if (inputs.kernel.has_value() && inputs.domain.has_value() && !inputs.unit_rows) {
    DPKDE_RETURN_IF_ERROR(FlagError(CheckResolution(inputs.kernel->similarity, *inputs.domain)));
  }
  if (!has_reference || !inputs.kernel.has_value()) {
    ClassifierInputs without = inputs;
    if (has_reference) without.model = absl::nullopt;
    DPKDE_RETURN_IF_ERROR(CheckPlan(std::move(without), pool));
  }
  ReferencePoints reference;
  if (has_reference) {
    absl::optional<std::vector<double>> origin;
    if (inputs.domain.has_value()) origin = inputs.domain->origin();
    if (!IsCentered(settings)) origin.emplace();
    DPKDE_ASSIGN_OR_RETURN(reference, ReadReference(absl::GetFlag(FLAGS_reference), settings.public_options, dimension,
                                                    std::move(origin)));
    inputs.reference = {reference.points.data(), reference.points.size() / dimension, dimension};
    inputs.origin = reference.origin;
    if (inputs.reference.rows == 0) {
      return absl::InvalidArgumentError(absl::StrCat(absl::GetFlag(FLAGS_reference), ": has no rows"));
    }
    if (inputs.kernel.has_value()) {
      auto landmarks = FitKernelLandmarks(inputs, pool);
      if (!landmarks.ok()) {
        return absl::InvalidArgumentError(
            absl::StrCat(absl::GetFlag(FLAGS_reference), ": ", std::string(landmarks.status().message())));
      }
      inputs.kernel->landmarks = *std::move(landmarks);
      DPKDE_RETURN_IF_ERROR(CheckPlan(inputs, pool));
    }
  }
  if (dry_run) {
    const bool is_public = !add_remove && opened != nullptr;
    return DryRun(inputs, is_public ? opened->row_count() : absl::nullopt, pool);
  }
  VectorReader& reader = *opened;
  DPKDE_ASSIGN_OR_RETURN(
      LedgerEntries entries,
      LedgerEntries::Open(*settings.privacy, inputs.privacy,
                          absl::StrCat("classifier of ", settings.labels.size(), " labels"), inputs.mechanism));
  DPKDE_ASSIGN_OR_RETURN(Classes read, ReadClasses(settings));
  if (settings.label_options.any_row || reader.row_count().has_value()) {
    DPKDE_ASSIGN_OR_RETURN(const VectorReader::RowRange records, reader.CountRows());
    DPKDE_ASSIGN_OR_RETURN(const uint64_t rows, PairedRows(records, LabelsPath(), read.rows, "labels"));
    read.of_row.resize(rows);
  }
  const std::vector<uint32_t>& classes = read.of_row;

  DPKDE_ASSIGN_OR_RETURN(ReleaseOutput output, ReleaseOutput::Open(start));
  SystemBitSource noise;
  absl::optional<proto::PlanningCount> planning_count;
  if (NeedsCount(*settings.privacy)) {
    const double epsilon = settings.privacy->WithShare(kPlanningShare).epsilon();
    DPKDE_RETURN_IF_ERROR(PrepareForAnyCount(settings, inputs, epsilon, entries.token(), pool, output));
    DPKDE_RETURN_IF_ERROR(entries.ReserveCount(epsilon));
    DPKDE_ASSIGN_OR_RETURN(planning_count, ReleasePlanningCount(classes.size(), epsilon, noise));
    inputs.public_n = std::max<double>(planning_count->value(), 1);
  } else {
    inputs.public_n = add_remove ? *absl::GetFlag(FLAGS_expected_n) : std::max<double>(classes.size(), 1);
  }
  WarnOfDelta(*settings.privacy, inputs.public_n);
  DPKDE_ASSIGN_OR_RETURN(PlannedClassifier planned,
                         PlanRelease(settings, inputs, planning_count, entries.token(), pool));
  const ClassifierChoice& choice = planned.choice;
  ClassAccumulator& accumulator = planned.accumulator;
  DPKDE_ASSIGN_OR_RETURN(const uint64_t release_bytes, accumulator.RehearseRelease());
  DPKDE_RETURN_IF_ERROR(output.Prepare(release_bytes));

  DPKDE_RETURN_IF_ERROR(reader.SetOrigin({choice.plan.origin().begin(), choice.plan.origin().end()}));
  size_t done = 0;
  const absl::Status added = ForEachBatch(reader, [&](MatrixView rows) {
    if (rows.rows > classes.size() - done) {
      return Named(absl::GetFlag(FLAGS_labels),
                   CountError(absl::StatusCode::kInvalidArgument,
                              absl::StrCat("ends before row ", classes.size(), " (counting from 0), though ", input,
                                           " has such a row"),
                              absl::StrCat("ends before ", input)));
    }
    const absl::Span<const uint32_t> of_rows = absl::MakeConstSpan(classes).subspan(done, rows.rows);
    done += rows.rows;
    if (std::find(of_rows.begin(), of_rows.end(), kNowhere) == of_rows.end()) return accumulator.Add(CenteredRows(rows), of_rows);
    std::vector<float> kept;
    std::vector<uint32_t> kept_classes;
    KeepRowsOfClasses(rows, of_rows, &kept, &kept_classes);
    return accumulator.Add(CenteredRows({kept.data(), kept_classes.size(), rows.columns}), kept_classes);
  }, settings.label_options.any_row ? absl::optional<uint64_t>(classes.size()) : absl::nullopt);
  if (!added.ok()) return DataError(added);
  if (done != classes.size()) {
    const std::string ends = absl::StrCat("has no record: ", input, " ends before it");
    return Named(absl::GetFlag(FLAGS_labels),
                 CountError(absl::StatusCode::kInvalidArgument, absl::StrCat("row ", done, " (counting from 0) ", ends),
                            absl::StrCat("a row ", ends)));
  }

  DPKDE_RETURN_IF_ERROR(output.Prepare(release_bytes));
  DPKDE_RETURN_IF_ERROR(entries.ReserveRelease(accumulator.guarantee()));
  DPKDE_ASSIGN_OR_RETURN(const Classifier classifier, std::move(accumulator).Privatize(noise));
  const std::string bytes = classifier.Serialize();
  DPKDE_RETURN_IF_ERROR(Classifier::Deserialize(bytes).status());
  DPKDE_RETURN_IF_ERROR(output.WriteRelease(bytes, entries));

  const proto::Certificate& certificate = classifier.certificate();
  const std::string model = ModelName(classifier.plan().model());
  if (!absl::GetFlag(FLAGS_quiet)) {
    absl::FPrintF(stderr, "%s: %s of %d labels: %s; %s, %s\n", absl::GetFlag(FLAGS_output), model,
                  settings.labels.size(), choice.reason, Spent(certificate),
                  NeighboringName(settings.privacy->neighboring()));
    for (const std::string& warning : choice.warnings) absl::FPrintF(stderr, "warning: %s\n", warning);
    if (StderrMayCount()) absl::FPrintF(stderr, "%d rows read\n", done);
    output.PrintResources();
  }
  return output.WriteSummary(absl::StrFormat("\"model\":\"%s\",\"labels\":%d", model, settings.labels.size()),
                             certificate, done);
}

}  // namespace

Subcommand BuildClassifierSubcommand() {
  return {
      "classifier",
      "Releases a differentially private classifier of labelled records, over a public set of labels.",
      "--input=FILE --labels=FILE --label_set=0-9|a,b,c [--model=NAME] [--similarity=NAME --bandwidth=H] "
      "(--domain_min=A,B --domain_max=C,D | --domain_radius=R | --unit_rows) (--epsilon=E [--delta=D] | --rho=R) "
      "--neighboring=add_remove|replace [--dry_run [--dim=D]] ... --output=FILE",
      "--input=records.npy --labels=labels.txt --label_set=0-9 --domain_min=-10,-10 --domain_max=10,10 --epsilon=1 "
      "--neighboring=add_remove --output=classes.dpkde",
      {{"Required", {"input", "labels", "label_set", "epsilon", "neighboring", "output"}},
       {"Privacy",
        {"delta",
         "rho",
         "expected_n",
         "mechanism",
         {"bad_records",
          "What to do with a record that holds a NaN, an infinity or no number, or whose label is none of the set: "
          "`fail|replace`, that is by the domain's centre (the origin without a domain; labels: --other_label). The "
          "certificate says which. Text then needs --csv_header=present or absent."},
         "ledger",
         "dataset"}},
       {"Domain, or --unit_rows", {"domain_min", "domain_max", "domain_radius", "domain_center", "unit_rows"}},
       {"Records", {"label_set_file", "other_label", "label_column", "columns", "input_format", "csv_header", "list_format", "dim"}},
       {"Model: planned from public values unless it is given",
        {"model", "reference", "class_features", "class_bandwidth", "public_seed", "dry_run"}},
       {"Model kernel",
        {"similarity",
         {"bandwidth",
          "h of --similarity, in the unit of the coordinates (with --unit_rows: of records of length 1); > 0. Public."},
         "nu",
         "alpha",
         "p",
         "design",
         "features",
         "reduce_to",
         "expected_similarity",
         "landmark_choice"}},
       {"Output", {"overwrite", "summary_out"}},
       {"Running", {"threads", "quiet"}}},
      {},
      Run};
}

}  // namespace dpkde
