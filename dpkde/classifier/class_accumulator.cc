#include "dpkde/classifier/class_accumulator.h"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dpkde/base/exceptions.h"
#include "dpkde/base/float_environment.h"
#include "dpkde/base/record_error.h"
#include "dpkde/base/row_origin.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"
#include "dpkde/base/wipe.h"
#include "dpkde/classifier/second_moment.h"
#include "dpkde/designs/design.h"

namespace dpkde {
namespace {

// Records that a worker takes at a time.
constexpr size_t kChunkRows = 512;

size_t SumsSize(const ClassifierParts& parts, size_t classes) {
  return classes * parts.class_size() + parts.second_moment_size();
}

}  // namespace

absl::StatusOr<ClassAccumulator> ClassAccumulator::Create(const proto::ClassifierPlan& plan, BadRecords bad_records,
                                                          ThreadPool& pool) try {
  const DefaultFloatEnvironment environment;
  DPKDE_ASSIGN_OR_RETURN(ClassifierParts parts, BuildClassifierPlan(plan));
  DPKDE_ASSIGN_OR_RETURN(Mechanism mechanism, Mechanism::Calibrate(plan.mechanism(), parts.groups, parts.step));
  proto::ClassifierPlan complete = plan;
  if (parts.kernel != nullptr) {
    *complete.mutable_kernel() = parts.kernel->spec();
    complete.set_capacity(std::min<uint64_t>(plan.capacity(), LargestCapacity(parts.kernel->design())));
  } else {
    *complete.mutable_features() = parts.features->spec();
  }
  return ClassAccumulator(std::move(complete), std::move(parts), std::move(mechanism), bad_records, pool);
} catch (...) {
  return StatusOfException();
}

ClassAccumulator::ClassAccumulator(proto::ClassifierPlan plan, ClassifierParts parts, Mechanism mechanism,
                                   BadRecords bad_records, ThreadPool& pool)
    : plan_(std::move(plan)),
      parts_(std::move(parts)),
      mechanism_(std::move(mechanism)),
      bad_records_(bad_records),
      pool_(&pool),
      sums_(SumsSize(parts_, plan_.label_size()), plan_.capacity(), pool.threads()) {}

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
      return RecordError(absl::StatusCode::kInvalidArgument,
                         absl::StrCat("class of row ", sums_.records() + r, " (counting from 0)"),
                         absl::StrCat("must be below ", plan_.label_size()));
    }
  }
  if (bad_records_ == BadRecords::kFail) DPKDE_RETURN_IF_ERROR(CheckFiniteRows(records, sums_.records()));
  return sums_.CheckCapacity(records.rows);
}

absl::Status ClassAccumulator::Add(MatrixView records, absl::Span<const uint32_t> classes) try {
  const DefaultFloatEnvironment environment;
  if (plan_.origin().empty()) return Add(CenteredRows(records), classes);
  DPKDE_RETURN_IF_ERROR(sums_.CheckOpen());
  DPKDE_RETURN_IF_ERROR(CheckRecords(records, classes));
  PrivateVector<float> centered(records.rows * records.columns);
  SubtractOrigin(records, {plan_.origin().data(), static_cast<size_t>(plan_.origin_size())}, centered.data());
  return Add(CenteredRows({centered.data(), records.rows, records.columns}), classes);
} catch (...) {
  return StatusOfException();
}

absl::Status ClassAccumulator::Add(CenteredRows centered, absl::Span<const uint32_t> classes) try {
  const DefaultFloatEnvironment environment;
  const MatrixView records = centered.rows;
  DPKDE_RETURN_IF_ERROR(sums_.CheckOpen());
  DPKDE_RETURN_IF_ERROR(CheckRecords(records, classes));
  try {
    if (parts_.kernel != nullptr) {
      AddKernels(records, classes);
    } else {
      AddFeatures(records, classes);
    }
  } catch (...) {
    sums_.Abandon();
    throw;
  }
  sums_.Count(records.rows);
  return absl::OkStatus();
} catch (...) {
  return StatusOfException();
}

void ClassAccumulator::AddFeatures(MatrixView records, absl::Span<const uint32_t> classes) {
  const size_t m = parts_.features->size();
  const size_t second = plan_.label_size() * (m + 1);
  pool_->ParallelFor(records.rows, kChunkRows, [&](size_t begin, size_t end, int worker) {
    const absl::Span<int64_t> sums = sums_.OfWorker(worker);
    const MatrixView rows = records.Slice(begin, end);
    PrivateVector<int32_t> integers(rows.rows * m);
    parts_.features->Compute(rows, absl::MakeSpan(integers));
    for (size_t r = 0; r < rows.rows; ++r) {
      const int32_t* const q = integers.data() + r * m;
      int64_t* const of_class = sums.data() + classes[begin + r] * (m + 1);
      for (size_t j = 0; j < m; ++j) of_class[j] += q[j];
      of_class[m] += kGridUnit;
    }
    if (parts_.has_second_moment()) {
      size_t moments = m;
      if (parts_.moment_features != nullptr) {
        moments = parts_.moment_features->size();
        integers.assign(rows.rows * moments, 0);
        parts_.moment_features->Compute(rows, absl::MakeSpan(integers));
      }
      for (size_t r = 0; r < rows.rows; ++r) {
        AddSecondMoment({integers.data() + r * moments, moments}, sums.subspan(second));
      }
    }
  });
}

// Designs are quick for many rows at a time, so those of one class are put together. That changes no sum: q(x) is pure.
void ClassAccumulator::AddKernels(MatrixView records, absl::Span<const uint32_t> classes) {
  const size_t values = parts_.class_size();
  std::vector<size_t> order(records.rows);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return classes[a] < classes[b]; });
  pool_->ParallelFor(records.rows, kChunkRows, [&](size_t begin, size_t end, int worker) {
    const absl::Span<int64_t> sums = sums_.OfWorker(worker);
    PrivateVector<float> placed((end - begin) * records.columns);
    for (size_t i = begin; i < end; ++i) {
      parts_.kernel->Place(records.row(order[i]).data(), placed.data() + (i - begin) * records.columns);
    }
    const MatrixView rows = {placed.data(), end - begin, records.columns};
    for (size_t first = begin, last = begin; first < end; first = last) {
      const uint32_t c = classes[order[first]];
      while (last < end && classes[order[last]] == c) ++last;
      parts_.kernel->design().Accumulate(rows.Slice(first - begin, last - begin), sums.subspan(c * values, values));
    }
  });
}

absl::Status ClassAccumulator::Merge(ClassAccumulator&& other) try {
  const DefaultFloatEnvironment environment;
  return sums_.Merge(std::move(other.sums_), plan_, other.plan_);
} catch (...) {
  return StatusOfException();
}

proto::ClassifierRelease ClassAccumulator::MakeFrame() const {
  proto::ClassifierRelease message;
  *message.mutable_plan() = plan_;
  *message.mutable_certificate() = MakeClassifierCertificate(plan_, parts_, mechanism_);
  *message.mutable_scales() = mechanism_.scales();
  message.set_composition(CompositionText(plan_));
  return message;
}

absl::StatusOr<uint64_t> ClassAccumulator::RehearseRelease() const try {
  const DefaultFloatEnvironment environment;
  proto::ClassifierRelease message = MakeFrame();
  for (int c = 0; c < plan_.label_size(); ++c) {
    message.add_class_sums()->mutable_values()->Resize(static_cast<int>(parts_.class_size()), 0);
  }
  message.mutable_second_moment()->Resize(static_cast<int>(parts_.second_moment_size()), 0);
  const std::string bytes = Classifier::Seal(message);
  DPKDE_RETURN_IF_ERROR(Classifier::Deserialize(bytes).status());
  return bytes.size();
} catch (...) {
  return StatusOfException();
}

absl::StatusOr<Classifier> ClassAccumulator::Privatize(BitSource& source) && try {
  const DefaultFloatEnvironment environment;
  DPKDE_RETURN_IF_ERROR(sums_.CheckOpen());
  const PrivateVector<int64_t> sums = sums_.Take();

  proto::ClassifierRelease message = MakeFrame();
  const size_t m = parts_.class_size() - 1;
  const size_t classes = plan_.label_size();
  const size_t second = parts_.second_moment_size();
  PrivateVector<int64_t> view(parts_.view_size());
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
  return Classifier(std::move(message), std::move(parts_), std::move(mechanism_));
} catch (...) {
  return StatusOfException();
}

}  // namespace dpkde
