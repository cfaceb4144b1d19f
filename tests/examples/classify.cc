// Private classification: a classifier of labelled records with (1, 1e-6)-differential privacy, and how well it does.
//
//   bazel run -c opt //tests/examples:classify -- ROWS.npy LABELS.npy CLASSES LOWEST HIGHEST
//
// Labels are 0 .. CLASSES - 1, coordinates lie between LOWEST and HIGHEST: public knowledge. Every fifth row is not in
// the release; its label is predicted. Ends with 1 if less than 70 % of them are right.

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "dpkde/base/status_macros.h"
#include "dpkde/classifier/class_accumulator.h"
#include "dpkde/classifier/classifier.h"
#include "dpkde/classifier/classifier_planner.h"
#include "dpkde/index/corpus/corpus_files.h"
#include "dpkde/io/list_reader.h"

absl::StatusOr<double> Run(const char* rows_path, const char* labels_path, int classes, double low, double high) {
  DPKDE_ASSIGN_OR_RETURN(const dpkde::TokenSets file, dpkde::ReadSingleVectors(rows_path));
  DPKDE_ASSIGN_OR_RETURN(const dpkde::IntegerTable labels, dpkde::ReadIntegers(labels_path));
  const size_t d = file.dimension();
  std::vector<float> records, queries;
  std::vector<uint32_t> record_classes, query_classes;
  for (size_t r = 0; r < labels.rows; ++r) {
    for (float x : file.view().all().row(r)) (r % 5 == 0 ? queries : records).push_back(x);
    (r % 5 == 0 ? query_classes : record_classes).push_back(static_cast<uint32_t>(labels.values[r]));
  }

  DPKDE_ASSIGN_OR_RETURN(dpkde::PrivacySpec privacy,
                         dpkde::PrivacySpec::Approximate(1, 1e-6, dpkde::Neighboring::kAddRemove));
  DPKDE_ASSIGN_OR_RETURN(dpkde::Domain domain,
                         dpkde::Domain::Box(std::vector<double>(d, low), std::vector<double>(d, high)));
  dpkde::ClassifierInputs inputs{d, domain, /*unit_rows=*/false, {}, privacy};
  for (int c = 0; c < classes; ++c) inputs.labels.push_back(std::to_string(c));
  inputs.public_n = 10000;  // a public guess, never the number of private records
  dpkde::ThreadPool pool;
  DPKDE_ASSIGN_OR_RETURN(const dpkde::ClassifierChoice choice, dpkde::PlanClassifier(inputs, pool));

  using dpkde::ClassAccumulator;
  DPKDE_ASSIGN_OR_RETURN(ClassAccumulator accumulator,
                         ClassAccumulator::Create(choice.plan, ClassAccumulator::BadRecords::kFail, pool));
  DPKDE_RETURN_IF_ERROR(accumulator.Add({records.data(), record_classes.size(), d}, record_classes));
  dpkde::SystemBitSource noise;
  DPKDE_ASSIGN_OR_RETURN(const dpkde::Classifier classifier, std::move(accumulator).Privatize(noise));
  DPKDE_ASSIGN_OR_RETURN(const auto predictions, classifier.Classify({queries.data(), query_classes.size(), d}, pool));
  double right = 0;
  for (size_t q = 0; q < predictions.size(); ++q) right += predictions[q].label == query_classes[q];
  std::printf("%s: %.0f of %zu labels are right\n", choice.reason.c_str(), right, predictions.size());
  return right / predictions.size();
}

int main(int argc, char** argv) {
  const auto share =
      argc == 6 ? Run(argv[1], argv[2], std::atoi(argv[3]), std::atof(argv[4]), std::atof(argv[5])) : 0.0;
  if (!share.ok()) std::fprintf(stderr, "%s\n", share.status().ToString().c_str());
  return share.value_or(0) >= 0.7 ? 0 : 1;
}
