#include "dpkde/tools/build_histogram.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

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
#include "dpkde/designs/design.h"
#include "dpkde/index/search/nearest_votes.h"
#include "dpkde/index/search/searcher.h"
#include "dpkde/io/vector_reader.h"
#include "dpkde/noise/bit_source.h"
#include "dpkde/noise/mechanism.h"
#include "dpkde/planner/planner.h"
#include "dpkde/privacy/privacy_spec.h"
#include "dpkde/sketch/histogram.h"
#include "dpkde/sketch/histogram_parts.h"
#include "dpkde/sketch/vote_accumulator.h"
#include "dpkde/tools/audience.h"
#include "dpkde/tools/exit_code.h"
#include "dpkde/tools/input_options.h"
#include "dpkde/tools/ledger_entries.h"
#include "dpkde/tools/privacy_options.h"
#include "dpkde/tools/record_batches.h"
#include "dpkde/tools/release_output.h"
#include "dpkde/tools/shared_flags.h"

ABSL_FLAG(absl::optional<int>, votes, absl::nullopt,
          "Nearest items that each record votes for, at least 1; all of them where the index has fewer. Public. Noise "
          "grows with it: in proportion for laplace, to its square root for gaussian.");

namespace dpkde {
namespace {

using BadRecords = NearestVotes::BadRecords;

struct Settings {
  NearestVotesOptions votes;
  absl::optional<proto::Mechanism> mechanism;
  absl::optional<PrivacySpec> privacy;
  VectorReaderOptions reader_options;
  BadRecords bad_records = BadRecords::kFail;
};

// Everything that can be checked before a file is opened: first what is a matter of usage, then of privacy.
absl::StatusOr<Settings> ParseFlags() {
  Settings settings;
  const bool dry_run = absl::GetFlag(FLAGS_dry_run);
  const std::string input = absl::GetFlag(FLAGS_input), index = absl::GetFlag(FLAGS_index);
  if (input.empty() && !dry_run) return UsageError("--input is missing");
  if (index.empty()) return UsageError("--index is missing");
  if (!absl::GetFlag(FLAGS_votes).has_value()) return UsageError("--votes is missing");
  const int votes = *absl::GetFlag(FLAGS_votes);
  constexpr int64_t kMost = 1 << 30;
  DPKDE_RETURN_IF_ERROR(FlagError(CheckInRange("--votes", votes, 1, kMost)));
  settings.votes.votes = votes;
  const absl::optional<int> candidates = absl::GetFlag(FLAGS_candidates);
  if (candidates.has_value()) {
    DPKDE_RETURN_IF_ERROR(FlagError(CheckInRange("--candidates", *candidates, votes, kMost)));
  }
  settings.votes.candidates = candidates.value_or(std::max(votes, 500));
  DPKDE_RETURN_IF_ERROR(FlagError(CheckFinite("--threshold", absl::GetFlag(FLAGS_threshold).value_or(0))));
  DPKDE_ASSIGN_OR_RETURN(settings.mechanism, ParseMechanism());
  if (settings.mechanism == proto::KNORM) return UsageError("--mechanism of a histogram must be laplace or gaussian");
  const std::string bad_records = absl::GetFlag(FLAGS_bad_records);
  DPKDE_RETURN_IF_ERROR(CheckChoice("bad_records", bad_records, {"fail", "replace"}));
  DPKDE_ASSIGN_OR_RETURN(settings.reader_options, ParseInputOptions());
  MakePrivate(/*paired=*/false, &settings.reader_options);
  if (bad_records == "replace") settings.bad_records = BadRecords::kSkip;
  // The index tells the number of columns.
  if (!input.empty()) {
    DPKDE_RETURN_IF_ERROR(CheckPrivateText("input", input, settings.reader_options, TellsColumns::kFlags));
  }
  DPKDE_RETURN_IF_ERROR(CheckLedgerFlags());
  if (!dry_run) DPKDE_RETURN_IF_ERROR(CheckReleasePaths({input, index}));
  DPKDE_ASSIGN_OR_RETURN(settings.privacy, ParsePrivacy(settings.mechanism));
  return settings;
}

// A count above which less than one of `items` counts that nobody voted for is expected: of the continuous laws that
// the noise rounds, P(noise > T) <= 1 / items.
double NoiseThreshold(const Mechanism& mechanism, size_t items) {
  const double scale = static_cast<double>(mechanism.scales().scale(0)) / kGridUnit;
  const double log_items = std::log(static_cast<double>(items));
  return mechanism.kind() == proto::LAPLACE ? scale * std::max(0.0, log_items - std::log(2.0))
                                            : scale * std::sqrt(2 * log_items);
}

absl::Status DryRun(const NearestVotes& nearest, const PrivacySpec& privacy, proto::Mechanism chosen) {
  const std::vector<CoordinateGroup> groups = VoteGroups(nearest.items(), nearest.votes());
  absl::PrintF("%-9s %18s %26s\n", "noise", "std_error_of_count", "threshold_for_noise_alone");
  for (const proto::Mechanism kind : {proto::LAPLACE, proto::GAUSSIAN}) {
    const absl::StatusOr<Mechanism> mechanism = Mechanism::Calibrate(kind, groups, privacy);
    if (!mechanism.ok()) {
      absl::PrintF("left out: %s: %s\n", MechanismName(kind), std::string(mechanism.status().message()));
      continue;
    }
    absl::PrintF("%-9s %18.6g %26.6g%s\n", MechanismName(kind), std::sqrt(mechanism->variances()[0]) / kGridUnit,
                 NoiseThreshold(*mechanism, nearest.items()), kind == chosen ? "  <- chosen" : "");
  }
  const Sensitivity& sensitivity = SensitivityOf(groups[0], privacy.neighboring());
  absl::PrintF("%d items, %d votes a record; sensitivity of the counts: L1 %d, L2 %.6g\n", nearest.items(),
               nearest.votes(), sensitivity.l1 / kGridUnit, static_cast<double>(sensitivity.l2) / kGridUnit);
  absl::PrintF(
      "threshold_for_noise_alone: less than one count that nobody voted for is expected above it; the same for any "
      "number of records\n");
  return absl::OkStatus();
}

proto::HistogramPlan MakePlan(const NearestVotes& nearest, const Searcher& searcher, const PrivacySpec& privacy,
                              proto::Mechanism mechanism, const std::string& ledger_token) {
  proto::HistogramPlan plan;
  // Not add_item(std::move(name)), which counts the item before it has memory for it.
  for (std::string& name : nearest.Names()) *plan.add_item() = std::move(name);
  plan.set_votes(static_cast<uint32_t>(nearest.votes()));
  plan.set_collection(ItemsFingerprint(searcher.directory()));
  plan.set_mechanism(mechanism);
  *plan.mutable_privacy() = privacy.ToProto();
  plan.set_capacity(uint64_t{1} << 40);
  for (const char* what : {"items and their vectors", "votes", "candidates of a search"}) {
    plan.add_asserted_public(what);
  }
  if (absl::GetFlag(FLAGS_threshold).has_value()) plan.add_asserted_public("threshold");
  for (const std::string& what : AssertedByPrivacyFlags()) plan.add_asserted_public(what);
  plan.set_ledger_dataset(absl::GetFlag(FLAGS_dataset));
  plan.set_ledger_token(ledger_token);
  plan.set_threshold(absl::GetFlag(FLAGS_threshold).value_or(0));
  return plan;
}

// How many records there are at least, by the noised counts; wrong for one release in forty.
double LeastRecords(const Histogram& histogram, size_t votes) {
  double total = 0;
  for (size_t i = 0; i < histogram.size(); ++i) total += histogram.count(i);
  const double deviation = std::sqrt(static_cast<double>(histogram.size())) * histogram.std_error();
  return std::max(1.0, (total - 2 * deviation) / votes);
}

absl::Status Run(const std::vector<std::string>&) {
  const absl::Time start = absl::Now();
  DPKDE_ASSIGN_OR_RETURN(Settings settings, ParseFlags());
  const PrivacySpec& privacy = *settings.privacy;
  const bool dry_run = absl::GetFlag(FLAGS_dry_run);
  const std::string input = absl::GetFlag(FLAGS_input), index = absl::GetFlag(FLAGS_index);
  DPKDE_ASSIGN_OR_RETURN(const Searcher searcher, Searcher::Open(index));
  const absl::StatusOr<NearestVotes> nearest = NearestVotes::Create(searcher, settings.votes);
  if (!nearest.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(index, ": ", std::string(nearest.status().message())));
  }

  const absl::Span<const double> origin = searcher.directory().origin();
  settings.reader_options.origin = {origin.begin(), origin.end()};

  absl::optional<proto::Mechanism> mechanism = settings.mechanism;
  std::unique_ptr<VectorReader> reader;
  if (!input.empty() && !dry_run) {
    if (settings.bad_records == BadRecords::kSkip) {
      // A malformed first record must not decide the number of columns.
      settings.reader_options.expected_dimension = searcher.directory().dimension();
    }
    DPKDE_ASSIGN_OR_RETURN(
        reader, OpenVectors(input, settings.reader_options, searcher.directory().dimension(), "records", "the index"));
  }
  absl::optional<LedgerEntries> entries;
  if (!dry_run) {
    DPKDE_ASSIGN_OR_RETURN(
        entries, LedgerEntries::Open(
                     privacy, privacy,
                     absl::StrCat("histogram, ", nearest->votes(), " votes, ", nearest->items(), " items"), mechanism));
  }
  if (!mechanism.has_value()) {
    const absl::StatusOr<proto::Mechanism> least = ChooseVoteNoise(nearest->items(), nearest->votes(), privacy);
    if (!least.ok()) return PrivacyError(absl::StrCat("--epsilon, --delta: ", std::string(least.status().message())));
    mechanism = *least;
  }
  if (dry_run) return DryRun(*nearest, privacy, *mechanism);

  const proto::HistogramPlan plan = MakePlan(*nearest, searcher, privacy, *mechanism, entries->token());
  absl::StatusOr<VoteAccumulator> accumulator = VoteAccumulator::Create(plan);
  if (!accumulator.ok()) return PrivacyError(std::string(accumulator.status().message()));
  DPKDE_ASSIGN_OR_RETURN(const uint64_t release_bytes, accumulator->RehearseRelease());
  DPKDE_ASSIGN_OR_RETURN(ReleaseOutput output, ReleaseOutput::Open(start));
  DPKDE_RETURN_IF_ERROR(output.Prepare(release_bytes));

  ThreadPool pool(absl::GetFlag(FLAGS_threads));
  uint64_t rows_read = 0;
  const absl::Status added = ForEachBatch(*reader, [&](MatrixView rows) -> absl::Status {
    const auto votes = nearest->Vote(rows, settings.bad_records, rows_read, pool);
    if (!votes.ok()) return Named(input, votes.status());
    for (const std::vector<uint32_t>& of_record : *votes) DPKDE_RETURN_IF_ERROR(accumulator->Add(of_record));
    rows_read += rows.rows;
    return absl::OkStatus();
  });
  if (!added.ok()) return DataError(added);

  SystemBitSource noise;
  DPKDE_RETURN_IF_ERROR(output.Prepare(release_bytes));
  DPKDE_RETURN_IF_ERROR(entries->ReserveRelease(accumulator->mechanism().guarantee()));
  DPKDE_ASSIGN_OR_RETURN(const Histogram histogram, (*std::move(accumulator)).Privatize(noise));
  const std::string bytes = histogram.Serialize();
  DPKDE_RETURN_IF_ERROR(Histogram::Deserialize(bytes).status());
  DPKDE_RETURN_IF_ERROR(output.WriteRelease(bytes, *entries));

  WarnOfDelta(privacy, RecordsArePublicInNumber() ? rows_read : LeastRecords(histogram, nearest->votes()));
  const proto::Certificate& certificate = histogram.certificate();
  if (!absl::GetFlag(FLAGS_quiet)) {
    if (static_cast<size_t>(*absl::GetFlag(FLAGS_votes)) > nearest->votes()) {
      absl::FPrintF(stderr, "%s: has %d documents, so that every record votes for all of them\n", index,
                    nearest->items());
    }
    absl::FPrintF(stderr, "%s: %d items, %d votes a record, %s noise, standard error of a count %.4g; %s, %s\n",
                  absl::GetFlag(FLAGS_output), histogram.size(), nearest->votes(), MechanismName(*mechanism),
                  histogram.std_error(), Spent(certificate), NeighboringName(privacy.neighboring()));
    if (StderrMayCount()) absl::FPrintF(stderr, "%d rows read\n", rows_read);
    output.PrintResources();
  }
  return output.WriteSummary(
      absl::StrFormat("\"items\":%d,\"votes\":%d,\"mechanism\":\"%s\",\"std_error\":%.10g,\"threshold\":%.10g",
                      histogram.size(), nearest->votes(), MechanismName(*mechanism), histogram.std_error(),
                      histogram.threshold()),
      certificate, rows_read);
}

}  // namespace

Subcommand BuildHistogramSubcommand() {
  return {
      "histogram",
      "Releases how many private records have each public item among their nearest: each votes for the --votes items "
      "of an index of single vectors that are nearest to it, and every item's count gets noise.",
      "--input=FILE --index=DIR --votes=K (--epsilon=E [--delta=D] | --rho=R) --neighboring=add_remove|replace "
      "[--candidates=N] [--threshold=T] [--dry_run] ... --output=FILE",
      "--input=records.npy --index=places.index --votes=1 --epsilon=1 --neighboring=add_remove --output=votes.dpkde",
      {{"Required", {"input", "index", "votes", "epsilon", "neighboring", "output"}},
       {"Privacy",
        {"delta",
         "rho",
         {"mechanism", "The noise: `auto|laplace|gaussian`. laplace is pure; gaussian needs --delta or --rho."},
         {"bad_records",
          "What to do with a record that holds a NaN, an infinity or no number: `fail|replace`, that is by a record "
          "that "
          "votes for nothing. The certificate says which. Text then needs --csv_header=present or absent."},
         "ledger",
         "dataset"}},
       {"Records", {"input_format", "columns", "csv_header"}},
       {"Votes",
        {{"candidates",
          "Items that the index's first stage hands on to be compared exactly, at least --votes; the more, the more "
          "votes go to the nearest. Left out: 500, or votes where that is more."},
         {"threshold",
          "What readers use unless they name another: items count for noised counts above this (Lin et al. 2024). No "
          "privacy effect. Left out: 0, above which half of the items are that nobody voted for."},
         {"dry_run", "Print the noise of every mechanism and the choice; reads no record, writes nothing."}}},
       {"Output", {"overwrite", "summary_out"}},
       {"Running", {"threads", "quiet"}}},
      {},
      Run};
}

}  // namespace dpkde
