#include "tests/testing/answers.h"

#include <cmath>

#include "dpkde/base/thread_pool.h"
#include "dpkde/noise/mechanism.h"
#include "tests/testing/seeded_bit_source.h"

namespace dpkde {

std::vector<int64_t> SumsOf(const Design& design, MatrixView records) {
  std::vector<int64_t> sums(design.num_coordinates());
  design.Accumulate(records, absl::MakeSpan(sums));
  return sums;
}

std::vector<Answer> Answers(const Design& design, absl::Span<const int64_t> values, absl::Span<const double> variances,
                            MatrixView queries) {
  std::vector<Answer> answers(queries.rows);
  design.MakeReleasedFunction(values, variances)->Evaluate(queries, absl::MakeSpan(answers));
  return answers;
}

std::vector<Answer> NoiselessAnswers(const Design& design, MatrixView records, MatrixView queries) {
  return Answers(design, SumsOf(design, records), std::vector<double>(design.groups().size()), queries);
}

std::vector<double> NoiselessErrors(const Similarity& similarity, const Design& design, MatrixView records,
                                    MatrixView queries) {
  ThreadPool pool(1);
  std::vector<double> errors(queries.rows);
  similarity.Sum(records, queries, pool, absl::MakeSpan(errors));
  const std::vector<Answer> answers = NoiselessAnswers(design, records, queries);
  for (size_t q = 0; q < errors.size(); ++q) errors[q] = answers[q].sum - errors[q];
  return errors;
}

NoiseErrors MeasureNoise(const Design& design, const PrivacySpec& privacy, MatrixView queries, int releases) {
  const Mechanism mechanism = *Mechanism::Calibrate(proto::LAPLACE, design.groups(), privacy);
  SeededBitSource source(5);
  NoiseErrors errors;
  for (int release = 0; release < releases; ++release) {
    std::vector<int64_t> values(design.num_coordinates());
    mechanism.AddNoise(absl::MakeSpan(values), source);
    for (const Answer& answer : Answers(design, values, mechanism.variances(), queries)) {
      errors.measured += answer.sum * answer.sum;
      errors.stated += answer.noise_variance;
    }
  }
  const double count = static_cast<double>(releases) * queries.rows;
  return {std::sqrt(errors.measured / count), std::sqrt(errors.stated / count)};
}

}  // namespace dpkde
