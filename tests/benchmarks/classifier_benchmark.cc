// Accuracy of private classifiers on real data, 80 % of the rows private, 20 % queries, without public data and with a
// tenth of the private rows as an unlabelled public reference instead; beside the same classifier without noise to
// speak of (pure epsilon = 1000), and beside what the planner's choice has to beat: with the same records and budget
// one density release of a gaussian kernel a class, of 4,096 random frequencies and by the planner's own design, the
// label by the largest mean similarity.
//
//   classifier_benchmark FOLDER [SPLITS [DATASET [MODEL [DICTIONARY]]]]
//
// DATASET: letter, letter_uneven (letter number c, counted from 0, with probability .9^c), shuttle, mnist10k, glosses
// (means of the words of WordNet's glosses, and their 45 lexicographer files), or all. MODEL: kernel (planner's design
// alone), moments, discriminant or landmark_ridge instead of the planner's choice, auto. FOLDER holds letter.npy,
// shuttle.npy, mnist10k.npy, and *_labels.npy, and wordnet_glove/ (doc_tokens.npy, doc_lens.npy, doc_ids.txt); without
// it nothing is done, and without DICTIONARY, the folder of WordNet's data.noun, ..., no glosses. Splits, and public
// randomness, are fixed by their number; noise is the system's, so figures vary from run to run.

#include <algorithm>
#include <boost/random/uniform_int_distribution.hpp>
#include <boost/random/uniform_real_distribution.hpp>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/types/optional.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/classifier/class_accumulator.h"
#include "dpkde/classifier/classifier.h"
#include "dpkde/classifier/classifier_planner.h"
#include "dpkde/designs/design_factory.h"
#include "dpkde/designs/public_random.h"
#include "dpkde/index/corpus/corpus_files.h"
#include "dpkde/io/list_reader.h"
#include "dpkde/io/vector_reader.h"
#include "dpkde/noise/bit_source.h"
#include "dpkde/similarity/domain.h"
#include "dpkde/similarity/similarity.h"
#include "tests/benchmarks/lexicographer_files.h"
#include "tests/benchmarks/or_die.h"

namespace dpkde {
namespace {

struct Labelled {
  size_t dimension = 0;
  std::vector<float> rows;
  std::vector<uint32_t> classes;

  MatrixView view() const { return {rows.data(), classes.size(), dimension}; }
  void Add(const Labelled& other, size_t row) {
    rows.insert(rows.end(), other.rows.begin() + row * dimension, other.rows.begin() + (row + 1) * dimension);
    classes.push_back(other.classes[row]);
  }
};

struct Dataset {
  std::string name;
  bool unit_rows = false;
  absl::optional<Domain> domain;
  // Of the kernel releases to beat, in units of the data: 3 for letter; for the unit rows of mnist 5 of 9.2, the mean
  // length of the rows as they were. 0: none.
  double kernel_bandwidth = 0;
  std::vector<std::string> labels;
  Labelled all;
};

// The label set is what the documentation of the data says, not what the rows hold.
Dataset Load(const std::string& folder, const std::string& name, int64_t first_label, int labels, bool unit_rows,
             absl::optional<Domain> domain, double kernel_bandwidth) {
  Dataset data;
  data.name = name;
  data.unit_rows = unit_rows;
  data.domain = std::move(domain);
  data.kernel_bandwidth = kernel_bandwidth;
  for (int c = 0; c < labels; ++c) data.labels.push_back(std::to_string(first_label + c));
  const auto reader = OrDie(VectorReader::Open(folder + "/" + name + ".npy", {}));
  data.all.dimension = reader->dimension();
  const IntegerTable table = OrDie(ReadIntegers(folder + "/" + name + "_labels.npy"));
  data.all.rows.resize(table.rows * data.all.dimension);
  size_t filled = 0;
  while (filled < table.rows) {
    const size_t rows =
        OrDie(reader->ReadRows(table.rows - filled, data.all.rows.data() + filled * data.all.dimension));
    if (rows == 0) OrDie(absl::InvalidArgumentError(name + ": fewer rows than labels"));
    filled += rows;
  }
  for (int64_t label : table.values) data.all.classes.push_back(static_cast<uint32_t>(label - first_label));
  return data;
}

Dataset Uneven(const Dataset& even) {
  Dataset data = even;
  data.name += "_uneven";
  data.all = {even.all.dimension, {}, {}};
  boost::random::mt19937_64 engine = PublicStream(0, "uneven classes", 0);
  boost::random::uniform_real_distribution<double> uniform;
  for (size_t r = 0; r < even.all.classes.size(); ++r) {
    if (uniform(engine) < std::pow(0.9, even.all.classes[r])) data.all.Add(even.all, r);
  }
  return data;
}

Dataset LoadGlosses(const std::string& folder, const std::string& dictionary) {
  Dataset data;
  data.name = "glosses";
  data.unit_rows = true;
  for (int c = 0; c < kLexicographerFiles; ++c) data.labels.push_back(std::to_string(c));
  const TokenSets glosses = OrDie(ReadTokenSets(folder + "/doc_tokens.npy", folder + "/doc_lens.npy"));
  for (int file : LexicographerFilesOf(OrDie(ReadIds(folder + "/doc_ids.txt")), dictionary)) {
    data.all.classes.push_back(static_cast<uint32_t>(file));
  }
  data.all.dimension = glosses.dimension();
  for (size_t i = 0; i < glosses.view().size(); ++i) {
    const MatrixView words = glosses.view().set(i);
    std::vector<double> mean(words.columns);
    for (size_t t = 0; t < words.rows; ++t) {
      for (size_t j = 0; j < words.columns; ++j) mean[j] += words.row(t)[j] / static_cast<double>(words.rows);
    }
    data.all.rows.insert(data.all.rows.end(), mean.begin(), mean.end());
  }
  return data;
}

struct Split {
  Labelled records, queries;
  Labelled reference;  // its labels are never used
};

Split MakeSplit(const Dataset& data, int number, bool with_reference) {
  std::vector<size_t> order(data.all.classes.size());
  std::iota(order.begin(), order.end(), 0);
  boost::random::mt19937_64 engine = PublicStream(number, "split of " + data.name, 0);
  for (size_t i = order.size(); i > 1; --i) {
    std::swap(order[i - 1], order[boost::random::uniform_int_distribution<size_t>(0, i - 1)(engine)]);
  }
  Split split;
  split.records.dimension = split.queries.dimension = split.reference.dimension = data.all.dimension;
  const size_t private_rows = order.size() * 8 / 10;
  for (size_t i = 0; i < order.size(); ++i) {
    const bool is_reference = with_reference && i < private_rows / 10;
    (i >= private_rows ? split.queries : is_reference ? split.reference : split.records).Add(data.all, order[i]);
  }
  return split;
}

double Accuracy(const proto::ClassifierPlan& plan, const Split& split, ThreadPool& pool) {
  ClassAccumulator accumulator = OrDie(ClassAccumulator::Create(plan, ClassAccumulator::BadRecords::kFail, pool));
  OrDie(accumulator.Add(split.records.view(), split.records.classes));
  SystemBitSource noise;
  const Classifier classifier = OrDie(std::move(accumulator).Privatize(noise));
  const std::vector<Prediction> predictions = OrDie(classifier.Classify(split.queries.view(), pool));
  size_t right = 0;
  for (size_t q = 0; q < predictions.size(); ++q) right += predictions[q].label == split.queries.classes[q];
  return static_cast<double>(right) / predictions.size();
}

KernelInputs MakeKernel(double bandwidth) {
  proto::SimilaritySpec gaussian;
  gaussian.set_kind(proto::SimilaritySpec::GAUSSIAN);
  gaussian.set_bandwidth(bandwidth);
  return {OrDie(Similarity::Create(gaussian))};
}

void Run(const Dataset& data, bool with_reference, absl::optional<proto::ClassifierPlan::Model> model, int splits,
         ThreadPool& pool) {
  const bool with_kernels = data.kernel_bandwidth > 0 && !with_reference && !model.has_value();
  for (const bool pure : {true, false}) {
    for (const double epsilon : {0.1, 0.5, 1.0, 4.0}) {
      double sum = 0, square = 0, exact = 0, frequencies = 0, kernels = 0;
      std::string chosen, kernel_design;
      for (int number = 0; number < splits; ++number) {
        const Split split = MakeSplit(data, number, with_reference);
        const PrivacySpec privacy = OrDie(pure ? PrivacySpec::Pure(epsilon, Neighboring::kAddRemove)
                                               : PrivacySpec::Approximate(epsilon, 1e-6, Neighboring::kAddRemove));
        ClassifierInputs inputs{data.all.dimension, data.domain, data.unit_rows, data.labels, privacy};
        // A public guess, not the number of records.
        inputs.public_n = 10000;
        inputs.public_seed = number;
        inputs.model = model;
        if (model == proto::ClassifierPlan_Model_KERNEL) inputs.kernel = MakeKernel(data.kernel_bandwidth);
        if (with_reference) inputs.reference = split.reference.view();
        const ClassifierChoice choice = OrDie(PlanClassifier(inputs, pool));
        const double accuracy = Accuracy(choice.plan, split, pool);
        sum += accuracy;
        square += accuracy * accuracy;
        proto::ClassifierPlan plain = choice.plan;
        plain.mutable_privacy()->clear_delta();
        plain.mutable_privacy()->set_epsilon(1000);
        plain.set_mechanism(proto::KNORM);
        exact += Accuracy(plain, split, pool);
        if (with_kernels) {
          inputs.model = proto::ClassifierPlan_Model_KERNEL;
          inputs.kernel = MakeKernel(data.kernel_bandwidth);
          const proto::ClassifierPlan free = OrDie(PlanClassifier(inputs, pool)).plan;
          kernel_design = DescribeDesign(free.kernel().design());
          kernels += Accuracy(free, split, pool);
          inputs.kernel->design = "monte_carlo";
          inputs.kernel->features = 4096;
          frequencies += Accuracy(OrDie(PlanClassifier(inputs, pool)).plan, split, pool);
        }
        chosen = "kernel " + DescribeDesign(choice.plan.kernel().design());
        if (choice.plan.has_kernel()) continue;
        const proto::ClassFeatureSpec& features = choice.plan.features();
        const size_t size = features.has_landmark()             ? features.landmark().landmarks().rank()
                            : features.has_fourier()            ? 2 * features.fourier().frequencies()
                            : features.linear().reduce_to() > 0 ? features.linear().reduce_to()
                                                                : data.all.dimension;
        chosen = ModelName(choice.plan.model()) +
                 (features.has_fourier()  ? " fourier "
                  : features.has_linear() ? " linear "
                                          : " landmarks ") +
                 std::to_string(size);
      }
      const double mean = sum / splits;
      std::printf("%-13s %-9s %-6s %4g  %.3f +- %.3f  (no noise %.3f)  %s  %s\n", data.name.c_str(),
                  with_reference ? "reference" : "", pure ? "pure" : "1e-6", epsilon, mean,
                  std::sqrt(std::max(0.0, square / splits - mean * mean)), exact / splits,
                  with_kernels ? absl::StrFormat("kernels of frequencies %.3f, planned %.3f (%s)", frequencies / splits,
                                                 kernels / splits, kernel_design)
                                     .c_str()
                               : "",
                  chosen.c_str());
      std::fflush(stdout);
    }
  }
}

int Main(int argc, char** argv) {
  if (argc < 2) {
    std::printf("skipped: give the folder of the data\n");
    return 0;
  }
  const std::string folder = argv[1];
  const int splits = argc > 2 ? std::max(1, std::atoi(argv[2])) : 3;
  ThreadPool pool;
  std::vector<Dataset> datasets;
  datasets.push_back(Load(folder, "letter", 0, 26, false,
                          OrDie(Domain::Box(std::vector<double>(16, 0.0), std::vector<double>(16, 15.0))), 3));
  // Statlog's description gives no ranges; a wide guess.
  datasets.push_back(Load(folder, "shuttle", 0, 7, false,
                          OrDie(Domain::Box(std::vector<double>(9, -150.0), std::vector<double>(9, 150.0))), 0));
  datasets.push_back(Load(folder, "mnist10k", 0, 10, true, absl::nullopt, 0.54));
  datasets.push_back(Uneven(datasets.front()));
  if (argc > 5) datasets.push_back(LoadGlosses(folder + "/wordnet_glove", argv[5]));
  const std::string wanted = argc > 3 ? argv[3] : "all";
  for (const Dataset& data : datasets) {
    if (wanted != "all" && data.name != wanted) continue;
    absl::optional<proto::ClassifierPlan::Model> model;
    for (int m = proto::ClassifierPlan_Model_KERNEL; m <= proto::ClassifierPlan_Model_LANDMARK_RIDGE; ++m) {
      const auto candidate = static_cast<proto::ClassifierPlan::Model>(m);
      if (argc > 4 && ModelName(candidate) == argv[4]) model = candidate;
    }
    if (model == proto::ClassifierPlan_Model_KERNEL && data.kernel_bandwidth == 0) continue;
    const bool any = !model.has_value();
    if (any || *model != proto::ClassifierPlan_Model_LANDMARK_RIDGE) Run(data, false, model, splits, pool);
    if (any || *model != proto::ClassifierPlan_Model_MOMENTS) Run(data, true, model, splits, pool);
  }
  return 0;
}

}  // namespace
}  // namespace dpkde

int main(int argc, char** argv) { return dpkde::Main(argc, argv); }
