#include "dpkde/classifier/class_accumulator.h"

#include <google/protobuf/util/message_differencer.h>
#include <openssl/crypto.h>

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/wipe.h"
#include "dpkde/classifier/second_moment.h"
#include "dpkde/designs/design.h"

namespace dpkde {
namespace {

// Records that a worker takes at a time.
constexpr size_t kChunkRows = 512;

}  // namespace

absl::StatusOr<ClassAccumulator> ClassAccumulator::Create(const proto::ClassifierPlan& plan, BadRecords bad_records,
                                                          ThreadPool& pool) {
  DPKDE_ASSIGN_OR_RETURN(ClassifierParts parts, BuildClassifierPlan(plan));
  DPKDE_ASSIGN_OR_RETURN(Mechanism mechanism, Mechanism::Calibrate(plan.mechanism(), parts.groups, parts.step));
  proto::ClassifierPlan complete = plan;
  *complete.mutable_features() = parts.features->spec();
  return ClassAccumulator(std::move(complete), std::move(parts), std::move(mechanism), bad_records, pool);
}

ClassAccumulator::ClassAccumulator(proto::ClassifierPlan plan, ClassifierParts parts, Mechanism mechanism,
                                   BadRecords bad_records, ThreadPool& pool)
    : plan_(std::move(plan)),
      parts_(std::make_unique<ClassifierParts>(std::move(parts))),
      mechanism_(std::move(mechanism)),
      bad_records_(bad_records),
      pool_(&pool),
      worker_sums_(pool.threads()) {}

ClassAccumulator::~ClassAccumulator() { WipeSums(); }

void ClassAccumulator::WipeSums() {
  for (std::vector<int64_t>& sums : worker_sums_) Wipe(sums);
}

size_t ClassAccumulator::sums_size() const {
  const size_t m = parts_->features->size();
  return plan_.label_size() * (m + 1) + (parts_->has_second_moment() ? SecondMomentSize(m) : 0);
}

absl::Status ClassAccumulator::CheckOpen() const {
  if (open_ && parts_ != nullptr) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "the accumulator has been released or merged; one accumulator gives one release");
}

absl::Status ClassAccumulator::CheckRecords(MatrixView records, absl::Span<const uint32_t> classes) const {
  if (records.columns != plan_.dimension()) {
    return absl::InvalidArgumentError(
        absl::StrCat("records must have ", plan_.dimension(), " columns, but have ", records.columns));
  }
  if (classes.size() != records.rows) {
    return absl::InvalidArgumentError(
        absl::StrCat("each of ", records.rows, " records must have a class, but there are ", classes.size()));
  }
  for (size_t r = 0; r < records.rows; ++r) {
    if (classes[r] >= static_cast<uint32_t>(plan_.label_size())) {
      return absl::InvalidArgumentError(absl::StrCat("class of row ", count_ + r, " (counting from 0): must be below ",
                                                     plan_.label_size(), ", but is ", classes[r]));
    }
    if (bad_records_ == BadRecords::kReplace) continue;
    for (size_t c = 0; c < records.columns; ++c) {
      if (std::isfinite(records.row(r)[c])) continue;
      return absl::InvalidArgumentError(absl::StrCat("row ", count_ + r, ", column ", c,
                                                     " (counting from 0): must be finite, but is ", records.row(r)[c]));
    }
  }
  if (records.rows > plan_.capacity() || count_ > plan_.capacity() - records.rows) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the accumulator would exceed its capacity of ", plan_.capacity(), " records"));
  }
  return absl::OkStatus();
}

absl::Status ClassAccumulator::Add(MatrixView records, absl::Span<const uint32_t> classes) {
  DPKDE_RETURN_IF_ERROR(CheckOpen());
  DPKDE_RETURN_IF_ERROR(CheckRecords(records, classes));
  const size_t m = parts_->features->size();
  const size_t second = plan_.label_size() * (m + 1);
  pool_->ParallelFor(records.rows, kChunkRows, [&](size_t begin, size_t end, int worker) {
    std::vector<int64_t>& sums = worker_sums_[worker];
    sums.resize(sums_size());
    std::vector<int32_t> integers((end - begin) * m);
    parts_->features->Compute(records.Slice(begin, end), absl::MakeSpan(integers));
    for (size_t r = begin; r < end; ++r) {
      const absl::Span<const int32_t> q = absl::MakeConstSpan(integers).subspan((r - begin) * m, m);
      int64_t* const of_class = sums.data() + classes[r] * (m + 1);
      for (size_t j = 0; j < m; ++j) of_class[j] += q[j];
      of_class[m] += kGridUnit;
      if (parts_->has_second_moment()) AddSecondMoment(q, absl::MakeSpan(sums).subspan(second));
    }
    OPENSSL_cleanse(integers.data(), integers.size() * sizeof(integers[0]));
  });
  count_ += records.rows;
  return absl::OkStatus();
}

absl::Status ClassAccumulator::Merge(ClassAccumulator&& other) {
  DPKDE_RETURN_IF_ERROR(CheckOpen());
  DPKDE_RETURN_IF_ERROR(other.CheckOpen());
  if (&other == this) return absl::InvalidArgumentError("an accumulator cannot be merged with itself");
  if (!google::protobuf::util::MessageDifferencer::Equals(plan_, other.plan_)) {
    return absl::InvalidArgumentError("accumulators of different plans cannot be merged");
  }
  if (other.count_ > plan_.capacity() || count_ > plan_.capacity() - other.count_) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the accumulator would exceed its capacity of ", plan_.capacity(), " records"));
  }
  std::vector<int64_t> total = other.Total();
  worker_sums_[0].resize(total.size());
  for (size_t j = 0; j < total.size(); ++j) worker_sums_[0][j] += total[j];
  Wipe(total);
  other.WipeSums();
  count_ += other.count_;
  other.count_ = 0;
  other.open_ = false;
  return absl::OkStatus();
}

std::vector<int64_t> ClassAccumulator::Total() const {
  std::vector<int64_t> total(sums_size());
  for (const std::vector<int64_t>& sums : worker_sums_) {
    for (size_t j = 0; j < sums.size(); ++j) total[j] += sums[j];
  }
  return total;
}

absl::StatusOr<Classifier> ClassAccumulator::Privatize(BitSource& source) && {
  DPKDE_RETURN_IF_ERROR(CheckOpen());
  open_ = false;
  std::vector<int64_t> sums = Total();
  WipeSums();

  proto::ClassifierRelease message;
  *message.mutable_plan() = plan_;
  *message.mutable_certificate() = MakeClassifierCertificate(plan_, *parts_, mechanism_);
  *message.mutable_scales() = mechanism_.scales();
  message.set_composition(CompositionText(plan_));
  const size_t m = parts_->features->size();
  const size_t classes = plan_.label_size();
  const size_t second = parts_->has_second_moment() ? SecondMomentSize(m) : 0;
  std::vector<int64_t> view(parts_->view_size());
  for (size_t c = 0; c < classes; ++c) {
    // The second moment is noised and released with the first view; the others draw its noise on zeros and drop it,
    // which changes nothing, since the noise of groups is independent.
    std::fill(view.begin(), view.end(), 0);
    const int64_t* const of_class = sums.data() + c * (m + 1);
    std::copy(of_class, of_class + m, view.begin());
    if (c == 0) std::copy_n(sums.begin() + classes * (m + 1), second, view.begin() + m);
    view.back() = of_class[m];
    mechanism_.AddNoise(absl::MakeSpan(view), source);
    proto::ClassSums& released = *message.add_class_sums();
    released.mutable_values()->Add(view.begin(), view.begin() + m);
    released.add_values(view.back());
    if (c == 0) message.mutable_second_moment()->Add(view.begin() + m, view.begin() + m + second);
  }
  Wipe(sums);
  return Classifier(std::move(message), std::move(*parts_), std::move(mechanism_));
}

}  // namespace dpkde
