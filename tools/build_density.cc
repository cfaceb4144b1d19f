#include "dpkde/tools/build_density.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/types/optional.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/base/record_error.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/base/validation.h"
#include "dpkde/base/wipe.h"
#include "dpkde/designs/design_factory.h"
#include "dpkde/designs/directions.h"
#include "dpkde/io/vector_reader.h"
#include "dpkde/noise/bit_source.h"
#include "dpkde/planner/landmark_fit.h"
#include "dpkde/planner/planner.h"
#include "dpkde/privacy/budget_ledger.h"
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
    std::string, weights, "",
    "`FILE` with one weight a record (.npy of one dimension, .csv of one column, ...), as private as the records: "
    "sums are of weight times similarity, and means are divided by the sum of weights. Needs --weight_bound.");
ABSL_FLAG(
    absl::optional<double>, weight_bound, absl::nullopt,
    "Largest weight, > 0; public and chosen without looking at the data, since noise is proportional to it. A weight "
    "below 0 or above it is a bad record; replaced, it counts as the bound, and one that is no number as 0.");
ABSL_FLAG(bool, signed_weights, false,
          "Allows weights down to minus --weight_bound. Under replace noise doubles; answers have no bias bound.");

namespace dpkde {
namespace {

struct Settings {
  absl::optional<DensityOptions> density;
  absl::optional<PrivacySpec> privacy;
  DomainOptions domain;
  absl::optional<size_t> dimension;  // nullopt: the flags do not tell, so the input does
  absl::optional<proto::WeightSpec> weights;
  absl::optional<proto::Mechanism> mechanism;
  // Of --reference, once it has been read.
  std::shared_ptr<const LandmarkFit> landmarks;
  VectorReaderOptions reader_options, public_options;  // of private records; of --reference
  Accumulator::BadRecords bad_records = Accumulator::BadRecords::kFail;

  // Coordinates are relative to an origin.
  bool centered() const { return density->similarity.is_shift_invariant(); }

  // What this number of columns does not admit, no number does.
  size_t probed_dimension() const {
    const size_t least = density->design == "hadamard" ? StructuredDirections::kLeastDimension : 1;
    // A reduction is to fewer dimensions.
    return dimension.value_or(std::max<size_t>(least, density->reduce_to.has_value() ? *density->reduce_to + 1 : 1));
  }
};

// What planning may look at, but for the number of records.
absl::StatusOr<PlanInputs> MakePlanInputs(const Settings& settings, size_t dimension, const PrivacySpec& privacy) {
  DPKDE_ASSIGN_OR_RETURN(absl::optional<Domain> domain, settings.domain.Make(dimension, settings.centered()));
  PlanInputs inputs{settings.density->similarity, dimension, std::move(domain),
                    NeedsCount(privacy) ? privacy.WithShare(1 - kPlanningShare) : privacy};
  inputs.expected_similarity = settings.density->expected_similarity;
  inputs.design = settings.density->design;
  inputs.mechanism = settings.mechanism;
  inputs.features = settings.density->features;
  inputs.reduce_to = settings.density->reduce_to;
  inputs.public_seed = absl::GetFlag(FLAGS_public_seed);
  inputs.weights = settings.weights;
  inputs.landmarks = settings.landmarks;
  inputs.all_reasons = absl::GetFlag(FLAGS_dry_run);
  inputs.public_n = 1;
  return inputs;
}

// Whether similarity, domain, design and dimension go together, under a budget that restricts nothing.
absl::Status CheckDesign(const Settings& settings, size_t dimension) {
  DPKDE_ASSIGN_OR_RETURN(const PrivacySpec ample, PrivacySpec::Pure(1, Neighboring::kReplace));
  DPKDE_ASSIGN_OR_RETURN(PlanInputs inputs, MakePlanInputs(settings, dimension, ample));
  inputs.mechanism = absl::nullopt;
  return FlagError(Plan(inputs).status(),
                   inputs.domain.has_value() ? "" : "without --domain_min and --domain_max or --domain_radius, ");
}

// Whether the budget can be met, if CheckDesign has found nothing.
absl::Status CheckBudget(const Settings& settings, size_t dimension) {
  DPKDE_ASSIGN_OR_RETURN(const PlanInputs inputs, MakePlanInputs(settings, dimension, *settings.privacy));
  const absl::Status status = Plan(inputs).status();
  const char* flags = settings.privacy->rho().has_value() ? "--rho: " : "--epsilon, --delta: ";
  return status.ok() ? status : PrivacyError(absl::StrCat(flags, std::string(status.message())));
}

// Usage before privacy: `privacy` is what ParsePrivacy said. Only what fails is planned more than once.
absl::Status CheckPlan(const Settings& settings, size_t dimension, const absl::Status& privacy) {
  if (!absl::GetFlag(FLAGS_reference).empty() && settings.landmarks == nullptr) {
    // What designs there are is known when the reference has been read.
    DPKDE_ASSIGN_OR_RETURN(const absl::optional<Domain> domain, settings.domain.Make(dimension, settings.centered()));
    if (domain.has_value()) DPKDE_RETURN_IF_ERROR(FlagError(CheckResolution(settings.density->similarity, *domain)));
    return privacy;
  }
  if (privacy.ok() && CheckBudget(settings, dimension).ok()) return absl::OkStatus();
  DPKDE_RETURN_IF_ERROR(CheckDesign(settings, dimension));
  DPKDE_RETURN_IF_ERROR(privacy);
  return CheckBudget(settings, dimension);
}

absl::Status ParseWeights(Settings& settings) {
  const std::string weights = absl::GetFlag(FLAGS_weights);
  const absl::optional<double> bound = absl::GetFlag(FLAGS_weight_bound);
  if (!bound.has_value()) {
    if (absl::GetFlag(FLAGS_signed_weights)) return UsageError("--signed_weights needs --weights and --weight_bound");
    if (weights.empty()) return absl::OkStatus();
    return UsageError(
        "--weight_bound is missing: the largest weight decides how much noise hides a record, and one that is taken "
        "from the data would reveal it");
  }
  DPKDE_RETURN_IF_ERROR(FlagError(CheckPositive("--weight_bound", *bound)));
  DPKDE_RETURN_IF_ERROR(FlagError(CheckPositive("--weight_bound in float32", static_cast<float>(*bound))));
  if (weights.empty() && !absl::GetFlag(FLAGS_dry_run)) return UsageError("--weight_bound needs --weights");
  settings.weights.emplace();
  settings.weights->set_bound(*bound);
  settings.weights->set_allow_negative(absl::GetFlag(FLAGS_signed_weights));
  return absl::OkStatus();
}

// Everything that can be checked before a data file is opened: first what is a matter of usage, then of privacy.
absl::StatusOr<Settings> ParseFlags() {
  Settings settings;
  const bool dry_run = absl::GetFlag(FLAGS_dry_run);
  DPKDE_ASSIGN_OR_RETURN(settings.density, DensityOptions::Parse());
  DPKDE_ASSIGN_OR_RETURN(settings.domain, DomainOptions::Parse());
  DPKDE_ASSIGN_OR_RETURN(settings.mechanism, ParseMechanism());
  if (!absl::GetFlag(FLAGS_reference).empty() &&
      IsSameFile(absl::GetFlag(FLAGS_reference), absl::GetFlag(FLAGS_input))) {
    return UsageError(
        "--reference and --input are the same file: landmarks are stored in the release in the clear, so private "
        "records cannot be among them");
  }
  DPKDE_RETURN_IF_ERROR(CheckLedgerFlags());
  const std::string bad_records = absl::GetFlag(FLAGS_bad_records);
  DPKDE_RETURN_IF_ERROR(CheckChoice("bad_records", bad_records, {"fail", "replace"}));
  if (bad_records == "replace") settings.bad_records = Accumulator::BadRecords::kReplace;
  DPKDE_RETURN_IF_ERROR(CheckExpectedN(dry_run));
  DPKDE_RETURN_IF_ERROR(ParseWeights(settings));
  const std::string weights = absl::GetFlag(FLAGS_weights);
  DPKDE_ASSIGN_OR_RETURN(settings.reader_options, ParseInputOptions());
  settings.public_options = settings.reader_options;
  MakePrivate(/*paired=*/!weights.empty(), &settings.reader_options);
  const std::string input = absl::GetFlag(FLAGS_input);
  const absl::optional<uint32_t> dim = absl::GetFlag(FLAGS_dim);
  if (dim.has_value()) DPKDE_RETURN_IF_ERROR(FlagError(CheckInRange("--dim", *dim, 1, VectorReader::kMaxDimension)));
  if (input.empty() && !(dry_run && dim.has_value())) {
    return UsageError(dry_run ? "--input (or --dim) is missing" : "--input is missing");
  }
  if (dim.has_value()) {
    settings.dimension = *dim;
  } else if (settings.domain.dimension() > 0) {
    settings.dimension = settings.domain.dimension();
  }
  if (!input.empty()) {
    const TellsColumns columns = settings.dimension.has_value()   ? TellsColumns::kFlags
                                 : settings.domain.is_given()     ? TellsColumns::kDomainAlone
                                                                  : TellsColumns::kNothing;
    DPKDE_RETURN_IF_ERROR(CheckPrivateText("input", input, settings.reader_options, columns));
  }
  if (!weights.empty()) {
    DPKDE_RETURN_IF_ERROR(
        CheckPrivateText("weights", weights, WeightsOptions(weights, settings.reader_options), TellsColumns::kFlags));
  }
  if (!dry_run) {
    DPKDE_RETURN_IF_ERROR(CheckReleasePaths({input, weights, absl::GetFlag(FLAGS_reference)}));
  }
  const absl::StatusOr<PrivacySpec> privacy = ParsePrivacy(settings.mechanism);
  if (privacy.ok()) settings.privacy = *privacy;
  DPKDE_RETURN_IF_ERROR(CheckPlan(settings, settings.probed_dimension(), privacy.status()));
  return settings;
}

// Opens the input and looks at its header: columns, and under REPLACE the public number of rows.
absl::StatusOr<std::unique_ptr<VectorReader>> OpenInput(const Settings& settings) {
  return OpenPrivateRows(absl::GetFlag(FLAGS_input), settings.reader_options, settings.dimension,
                         settings.domain.is_given());
}

// Fits landmarks to --reference. Only whether it is the very file of the records is looked at: a refusal that depended
// on what the two hold would tell who is in the data.
absl::StatusOr<std::shared_ptr<const LandmarkFit>> FitReference(const Settings& settings, size_t dimension,
                                                                ThreadPool& pool) {
  const std::string path = absl::GetFlag(FLAGS_reference);
  DPKDE_ASSIGN_OR_RETURN(const absl::optional<Domain> domain, settings.domain.Make(dimension, settings.centered()));
  absl::optional<std::vector<double>> origin;
  if (domain.has_value()) origin = domain->origin();
  if (!settings.centered()) origin.emplace();
  DPKDE_ASSIGN_OR_RETURN(const ReferencePoints reference,
                         ReadReference(path, settings.public_options, dimension, std::move(origin)));
  const std::vector<float>& points = reference.points;
  LandmarkFitOptions fit_options;
  fit_options.origin = reference.origin;
  fit_options.public_seed = absl::GetFlag(FLAGS_public_seed);
  fit_options.choice = settings.density->landmark_choice;
  absl::StatusOr<LandmarkFit> fit =
      LandmarkFit::Create(settings.density->similarity, domain,
                          CenteredRows({points.data(), points.size() / dimension, dimension}), fit_options, pool);
  if (!fit.ok()) return absl::InvalidArgumentError(absl::StrCat(path, ": ", std::string(fit.status().message())));
  return std::make_shared<const LandmarkFit>(*std::move(fit));
}

// The file of --weights beside that of --input, row by row.
class Weights {
 public:
  static absl::StatusOr<Weights> Open(const Settings& settings, VectorReader& input) {
    Weights weights;
    weights.path_ = absl::GetFlag(FLAGS_weights);
    if (weights.path_.empty()) return weights;
    absl::StatusOr<std::unique_ptr<VectorReader>> reader =
        VectorReader::Open(weights.path_, WeightsOptions(weights.path_, settings.reader_options));
    if (!reader.ok()) return DataError(reader.status());
    weights.reader_ = *std::move(reader);
    if (settings.bad_records == Accumulator::BadRecords::kReplace) {
      DPKDE_ASSIGN_OR_RETURN(const VectorReader::RowRange records, input.CountRows());
      DPKDE_ASSIGN_OR_RETURN(const VectorReader::RowRange others, weights.reader_->CountRows());
      DPKDE_ASSIGN_OR_RETURN(weights.rows_, PairedRows(records, weights.path_, others, "weights"));
      return weights;
    }
    const absl::optional<uint64_t> rows = weights.reader_->row_count(), records = input.row_count();
    if (rows.has_value() && records.has_value() && *rows != *records) {
      const std::string input = absl::GetFlag(FLAGS_input);
      return Named(weights.path_,
                   CountError(absl::StatusCode::kInvalidArgument,
                              absl::StrCat("has ", *rows, " weights, but ", input, " has ", *records, " rows; row ",
                                           std::min(*rows, *records), " is the first without a partner"),
                              absl::StrCat("must have as many weights as ", input, " has rows")));
    }
    return weights;
  }

  bool given() const { return reader_ != nullptr; }

  // The number of records with a weight, if nothing but blank lines stands behind them in either file: then those are
  // all. nullopt: CheckEnd() tells.
  const absl::optional<uint64_t>& rows() const { return rows_; }

  // Those of the next `count` records.
  absl::StatusOr<std::vector<float>> Next(size_t count) {
    std::vector<float> values(count);
    size_t filled = 0;
    while (filled < count) {
      DPKDE_ASSIGN_OR_RETURN(const size_t rows, reader_->ReadRows(count - filled, values.data() + filled));
      if (rows == 0) {
        return Named(path_, CountError(absl::StatusCode::kInvalidArgument,
                                       absl::StrCat("ends before row ", done_ + filled, " (counting from 0), though ",
                                                    absl::GetFlag(FLAGS_input), " has such a row"),
                                       absl::StrCat("ends before ", absl::GetFlag(FLAGS_input))));
      }
      filled += rows;
    }
    done_ += count;
    return values;
  }

  // Whether there was one for each record and no more.
  absl::Status CheckEnd() {
    if (!given() || rows_.has_value()) return absl::OkStatus();
    float ignored;
    DPKDE_ASSIGN_OR_RETURN(const size_t rows, reader_->ReadRows(1, &ignored));
    if (rows == 0) return absl::OkStatus();
    const std::string ends = absl::StrCat("has no record: ", absl::GetFlag(FLAGS_input), " ends before it");
    return Named(
        path_, CountError(absl::StatusCode::kInvalidArgument, absl::StrCat("row ", done_, " (counting from 0) ", ends),
                          absl::StrCat("a row ", ends)));
  }

  const std::string& path() const { return path_; }

 private:
  std::string path_;
  std::unique_ptr<VectorReader> reader_;
  absl::optional<uint64_t> rows_;
  uint64_t done_ = 0;
};

absl::Status DryRun(PlanInputs inputs, const absl::optional<uint64_t>& public_rows) {
  std::vector<double> sizes = {1e3, 1e5, 1e7};
  if (absl::GetFlag(FLAGS_expected_n).has_value()) {
    sizes = {*absl::GetFlag(FLAGS_expected_n)};
  } else if (public_rows.has_value()) {
    sizes = {static_cast<double>(*public_rows)};
  }
  for (double n : sizes) {
    inputs.public_n = n;
    DPKDE_ASSIGN_OR_RETURN(PlanResult plan, Plan(inputs));
    if (std::string warning = DeltaWarning(inputs.privacy, n); !warning.empty()) plan.warnings.push_back(warning);
    DPKDE_RETURN_IF_ERROR(PrintDensityPlan(inputs, plan));
  }
  return absl::OkStatus();
}

std::vector<std::string> AssertedPublic(const DensityOptions& density, const PlanInputs& inputs) {
  std::vector<std::string> asserted = density.AssertedPublic();
  if (inputs.domain.has_value()) asserted.push_back("domain");
  if (inputs.weights.has_value()) asserted.push_back("weight bound");
  if (inputs.landmarks != nullptr) asserted.push_back("reference points");
  for (std::string& what : AssertedByPrivacyFlags()) asserted.push_back(std::move(what));
  return asserted;
}

// The plan for inputs.public_n, and what adds up to it.
struct PlannedRelease {
  PlanResult planned;
  Accumulator accumulator;
};
absl::StatusOr<PlannedRelease> PlanRelease(const Settings& settings, const PlanInputs& inputs,
                                           const absl::optional<proto::PlanningCount>& planning_count,
                                           const std::string& ledger_token, ThreadPool& pool) {
  DPKDE_ASSIGN_OR_RETURN(PlanResult planned, Plan(inputs));
  proto::ReleasePlan plan = MakeReleasePlan(inputs, planned.candidates[0]);
  if (planning_count.has_value()) *plan.mutable_planning_count() = *planning_count;
  for (const std::string& what : AssertedPublic(*settings.density, inputs)) plan.add_asserted_public(what);
  plan.set_ledger_dataset(absl::GetFlag(FLAGS_dataset));
  plan.set_ledger_token(ledger_token);
  DPKDE_ASSIGN_OR_RETURN(Accumulator accumulator, Accumulator::Create(plan, settings.bad_records, pool));
  return PlannedRelease{std::move(planned), std::move(accumulator)};
}

// Makes ready for a release, before the count of its records is paid for, by which it will be planned: what few records
// and what many admit, and the space that they need.
absl::Status PrepareForAnyCount(const Settings& settings, PlanInputs inputs, double epsilon,
                                const std::string& ledger_token, ThreadPool& pool, ReleaseOutput& output) {
  // A number of features that is given leaves nothing to plan.
  for (const double n : {1e3, 1e7}) {
    if (n > 1e3 && inputs.features.has_value()) break;
    proto::PlanningCount count;
    count.set_epsilon(epsilon);
    count.set_value(static_cast<int64_t>(n));
    inputs.public_n = n;
    DPKDE_ASSIGN_OR_RETURN(const PlannedRelease release, PlanRelease(settings, inputs, count, ledger_token, pool));
    DPKDE_ASSIGN_OR_RETURN(const uint64_t bytes, release.accumulator.RehearseRelease());
    DPKDE_RETURN_IF_ERROR(output.Prepare(bytes));
  }
  return absl::OkStatus();
}

absl::Status Run(const std::vector<std::string>&) {
  const absl::Time start = absl::Now();
  DPKDE_ASSIGN_OR_RETURN(Settings settings, ParseFlags());
  const bool dry_run = absl::GetFlag(FLAGS_dry_run);
  const bool add_remove = settings.privacy->neighboring() == Neighboring::kAddRemove;

  std::unique_ptr<VectorReader> reader;
  if (!absl::GetFlag(FLAGS_input).empty()) {
    DPKDE_ASSIGN_OR_RETURN(reader, OpenInput(settings));
  }
  const size_t dimension = reader != nullptr ? reader->dimension() : *settings.dimension;
  ThreadPool pool(absl::GetFlag(FLAGS_threads));
  if (!absl::GetFlag(FLAGS_reference).empty()) {
    DPKDE_ASSIGN_OR_RETURN(settings.landmarks, FitReference(settings, dimension, pool));
  }
  if (settings.landmarks != nullptr || dimension != settings.probed_dimension()) {
    DPKDE_RETURN_IF_ERROR(CheckPlan(settings, dimension, absl::OkStatus()));
  }
  DPKDE_ASSIGN_OR_RETURN(PlanInputs inputs, MakePlanInputs(settings, dimension, *settings.privacy));
  if (dry_run) {
    absl::optional<uint64_t> public_rows;
    if (!add_remove && reader != nullptr) public_rows = reader->row_count();
    return DryRun(inputs, public_rows);
  }

  DPKDE_ASSIGN_OR_RETURN(LedgerEntries entries,
                         LedgerEntries::Open(*settings.privacy, inputs.privacy,
                                             absl::StrCat("density, ", inputs.similarity.name()), inputs.mechanism));
  DPKDE_ASSIGN_OR_RETURN(Weights weights, Weights::Open(settings, *reader));

  DPKDE_ASSIGN_OR_RETURN(ReleaseOutput output, ReleaseOutput::Open(start));
  SystemBitSource noise;
  absl::optional<proto::PlanningCount> planning_count;
  if (NeedsCount(*settings.privacy)) {
    absl::StatusOr<uint64_t> count = CountRows(*reader, weights.rows());
    if (!count.ok()) return DataError(count.status());
    const double epsilon = settings.privacy->WithShare(kPlanningShare).epsilon();
    DPKDE_RETURN_IF_ERROR(PrepareForAnyCount(settings, inputs, epsilon, entries.token(), pool, output));
    DPKDE_RETURN_IF_ERROR(entries.ReserveCount(epsilon));
    DPKDE_ASSIGN_OR_RETURN(planning_count, ReleasePlanningCount(*count, epsilon, noise));
    Wipe(*count);
    inputs.public_n = std::max<double>(planning_count->value(), 1);
  } else if (add_remove) {
    inputs.public_n = *absl::GetFlag(FLAGS_expected_n);
  } else {
    const absl::StatusOr<uint64_t> count = CountRows(*reader, weights.rows());
    if (!count.ok()) return DataError(count.status());
    inputs.public_n = *count;
  }
  WarnOfDelta(*settings.privacy, inputs.public_n);
  DPKDE_ASSIGN_OR_RETURN(PlannedRelease release_plan,
                         PlanRelease(settings, inputs, planning_count, entries.token(), pool));
  const PlanResult& planned = release_plan.planned;
  const Candidate& choice = planned.candidates[0];
  Accumulator& accumulator = release_plan.accumulator;
  DPKDE_ASSIGN_OR_RETURN(const uint64_t release_bytes, accumulator.RehearseRelease());
  DPKDE_RETURN_IF_ERROR(output.Prepare(release_bytes));

  const proto::ReleasePlan& plan = accumulator.plan();
  DPKDE_RETURN_IF_ERROR(reader->SetOrigin({plan.origin().begin(), plan.origin().end()}));
  const absl::Time read_start = absl::Now();
  uint64_t rows_read = 0, rows_replaced = 0;
  const absl::Status added = ForEachBatch(*reader, [&](MatrixView rows) {
    rows_read += rows.rows;
    rows_replaced += CountBadRows(rows);
    if (!weights.given()) return accumulator.Add(CenteredRows(rows));
    DPKDE_ASSIGN_OR_RETURN(const std::vector<float> batch, weights.Next(rows.rows));
    // The reader has refused every record that the accumulator would, so that an error is about a weight.
    return Named(weights.path(), accumulator.Add(CenteredRows(rows), batch));
  }, weights.rows());
  if (!added.ok()) return DataError(added);
  if (const absl::Status ended = weights.CheckEnd(); !ended.ok()) return DataError(ended);
  const double read_seconds = absl::ToDoubleSeconds(absl::Now() - read_start);

  DPKDE_RETURN_IF_ERROR(output.Prepare(release_bytes));
  DPKDE_RETURN_IF_ERROR(entries.ReserveRelease(accumulator.mechanism().guarantee()));
  DPKDE_ASSIGN_OR_RETURN(const Release release, std::move(accumulator).Privatize(noise));
  const std::string bytes = release.Serialize();
  DPKDE_RETURN_IF_ERROR(Release::Deserialize(bytes).status());
  DPKDE_RETURN_IF_ERROR(output.WriteRelease(bytes, entries));

  const proto::Certificate& certificate = release.certificate();
  if (!absl::GetFlag(FLAGS_quiet)) {
    for (const std::string& assumption : planned.assumptions) absl::FPrintF(stderr, "assumed: %s\n", assumption);
    if (entries.chose_gaussian()) {
      absl::FPrintF(stderr,
                    "assumed: gaussian noise, whose price in this budget is what it adds up; --mechanism decides\n");
    }
    for (const std::string& warning : planned.warnings) absl::FPrintF(stderr, "warning: %s\n", warning);
    for (const std::string& warning : release.Warnings()) absl::FPrintF(stderr, "warning: %s\n", warning);
    absl::FPrintF(stderr, "%s: %s, %s noise, %d values; predicted rmse %.4g (noise %.4g, approximation %.4g); %s, %s\n",
                  absl::GetFlag(FLAGS_output), DescribeDesign(release.plan().design()), MechanismName(choice.mechanism),
                  choice.num_coordinates, choice.total_error(), choice.noise_error, choice.approximation_error,
                  Spent(certificate), NeighboringName(settings.privacy->neighboring()));
    if (StderrMayCount()) {
      absl::FPrintF(stderr, "%d rows read in %.2f s (%.4g rows a second)\n", rows_read, read_seconds,
                    rows_read / std::max(read_seconds, 1e-9));
    }
    if (rows_replaced > 0 && IsTerminal()) {
      absl::FPrintF(stderr, "%d of them were bad records and replaced\n", rows_replaced);
    }
    output.PrintResources();
  }
  return output.WriteSummary(
      absl::StrFormat("\"design\":\"%s\",\"mechanism\":\"%s\",\"values\":%d,\"predicted_rmse\":%.10g,"
                      "\"predicted_noise_rmse\":%.10g,\"predicted_approximation_rmse\":%.10g",
                      DesignName(release.plan().design()), MechanismName(choice.mechanism), choice.num_coordinates,
                      choice.total_error(), choice.noise_error, choice.approximation_error),
      certificate, rows_read);
}

}  // namespace

Subcommand BuildDensitySubcommand() {
  return {"density",
          "Releases a differentially private summary of a file of records, from which similarity sums are answered.",
          "--input=FILE --similarity=NAME --bandwidth=H (--epsilon=E [--delta=D] | --rho=R) "
          "--neighboring=add_remove|replace [--domain_min=A,B --domain_max=C,D | --domain_radius=R "
          "[--domain_center=A,B]] ... --output=FILE",
          "--input=records.npy --similarity=gaussian --bandwidth=1 --domain_min=-10,-10 --domain_max=10,10 --epsilon=1 "
          "--neighboring=add_remove --output=records.dpkde",
          {{"Required", {"input", "similarity", "epsilon", "neighboring", "output"}},
           {"Privacy", {"delta", "rho", "expected_n", "mechanism", "bad_records", "ledger", "dataset"}},
           {"Domain: most similarities need one", {"domain_min", "domain_max", "domain_radius", "domain_center"}},
           {"Records", {"input_format", "columns", "csv_header", "list_format", "dim", "weights", "weight_bound", "signed_weights"}},
           {"Similarity", {"bandwidth", "nu", "alpha", "p"}},
           {"Design: planned from public values unless it is given",
            {"reference", "landmark_choice", "design", "features", "reduce_to", "expected_similarity", "public_seed",
             "dry_run"}},
           {"Output", {"overwrite", "summary_out"}},
           {"Running", {"threads", "quiet"}}},
          {},
          Run};
}

}  // namespace dpkde
