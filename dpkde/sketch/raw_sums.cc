#include "dpkde/sketch/raw_sums.h"

#include <google/protobuf/util/message_differencer.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dpkde/base/status_macros.h"

namespace dpkde {

RawSums::RawSums(RawSums&& other)
    : size_(other.size_),
      capacity_(other.capacity_),
      records_(std::exchange(other.records_, 0)),
      of_worker_(std::move(other.of_worker_)),
      open_(std::exchange(other.open_, false)) {}

RawSums& RawSums::operator=(RawSums&& other) {
  if (&other == this) return *this;
  size_ = other.size_;
  capacity_ = other.capacity_;
  records_ = std::exchange(other.records_, 0);
  of_worker_ = std::move(other.of_worker_);
  open_ = std::exchange(other.open_, false);
  return *this;
}

void RawSums::Abandon() {
  of_worker_.clear();
  records_ = 0;
  open_ = false;
}

absl::Status RawSums::CheckOpen() const {
  if (open_) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "the accumulator has been released or merged; one accumulator gives one release");
}

absl::Status RawSums::CheckCapacity(uint64_t more) const {
  if (more <= capacity_ && records_ <= capacity_ - more) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("the accumulator would exceed its capacity of ", capacity_, " records"));
}

absl::Span<int64_t> RawSums::OfWorker(int worker) {
  of_worker_[worker].resize(size_);
  return absl::MakeSpan(of_worker_[worker]);
}

void RawSums::AddTo(absl::Span<int64_t> sums, PrivateVector<int64_t>& part) {
  for (size_t j = 0; j < part.size(); ++j) sums[j] += part[j];
  PrivateVector<int64_t>().swap(part);
}

absl::Status RawSums::Merge(RawSums&& other, const google::protobuf::Message& plan,
                            const google::protobuf::Message& other_plan) {
  DPKDE_RETURN_IF_ERROR(CheckOpen());
  DPKDE_RETURN_IF_ERROR(other.CheckOpen());
  if (&other == this) return absl::InvalidArgumentError("an accumulator cannot be merged with itself");
  google::protobuf::util::MessageDifferencer differencer;
  std::string differences;
  differencer.ReportDifferencesToString(&differences);
  if (!differencer.Compare(plan, other_plan)) {
    return absl::InvalidArgumentError(absl::StrCat("accumulators of different plans cannot be merged: ",
                                                   differences.substr(0, differences.find('\n'))));
  }
  DPKDE_RETURN_IF_ERROR(CheckCapacity(other.records_));
  const absl::Span<int64_t> sums = OfWorker(0);  // the last that may be out of memory
  for (PrivateVector<int64_t>& part : other.of_worker_) AddTo(sums, part);
  records_ += std::exchange(other.records_, 0);
  other.open_ = false;
  return absl::OkStatus();
}

PrivateVector<int64_t> RawSums::Take() {
  const absl::Span<int64_t> sums = OfWorker(0);
  for (size_t w = 1; w < of_worker_.size(); ++w) AddTo(sums, of_worker_[w]);
  records_ = 0;
  open_ = false;
  return std::move(of_worker_[0]);
}

}  // namespace dpkde
