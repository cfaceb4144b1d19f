// Seconds that changes of an index directory take: a corpus of 20,000 documents of 1 to 22 tokens, 100-d, in half
// precision, with a blob of 20 MB (as large as 1,024 bytes a document), to which 1,000 are added.
//
//   bazel run //tests/benchmarks:index_directory_benchmark -- [FOLDER, default /tmp]

#include <stdio.h>
#include <stdlib.h>

#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "dpkde/index/corpus/index_directory.h"
#include "dpkde/index/corpus/index_writer.h"
#include "dpkde/index/corpus/token_sets.h"
#include "tests/benchmarks/or_die.h"

namespace dpkde {
namespace {

constexpr size_t kDimension = 100;

TokenSets Documents(size_t count) {
  std::mt19937_64 engine(count);
  std::uniform_real_distribution<float> uniform(-0.2f, 0.2f);
  TokenSets sets(kDimension);
  for (size_t i = 0; i < count; ++i) {
    std::vector<float> tokens((1 + engine() % 22) * kDimension);
    for (float& value : tokens) value = uniform(engine);
    sets.Append({tokens.data(), tokens.size() / kDimension, kDimension});
  }
  return sets;
}

template <typename Body>
void Time(const char* name, Body body) {
  const absl::Time start = absl::Now();
  body();
  printf("%-40s %8.3f s\n", name, absl::ToDoubleSeconds(absl::Now() - start));
}

std::unique_ptr<IndexWriter> Open(const std::string& path) {
  auto writer = IndexWriter::Open(path);
  OrDie(writer.status());
  return *std::move(writer);
}

void Run(const std::string& folder) {
  std::string path = absl::StrCat(folder, "/index_benchmark_XXXXXX");
  if (mkdtemp(&path[0]) == nullptr) OrDie(absl::UnavailableError(absl::StrCat(folder, ": takes no folder")));
  const std::string index = path + "/index";
  const TokenSets corpus = Documents(20000), more = Documents(1000);
  const std::string blob(20 << 20, 'x'), larger_blob(21 << 20, 'y');
  std::vector<std::string> ids;
  for (int i = 0; i < 1000; ++i) ids.push_back(absl::StrCat(i * 19));

  Time("build of 20,000", [&] {
    proto::TokenStoreSpec spec;
    spec.set_format(proto::TokenStoreSpec::FLOAT16);
    spec.set_dimension(kDimension);
    auto writer = IndexWriter::Create(index, spec, false);
    OrDie(writer.status());
    OrDie((*writer)->Add(corpus.view(), {}));
    OrDie((*writer)->SetBlob("ann", blob));
    OrDie((*writer)->Commit());
  });
  Time("open, every checksum", [&] { OrDie(IndexDirectory::Open(index).status()); });
  Time("open, checksums of metadata",
       [&] { OrDie(IndexDirectory::Open(index, IndexDirectory::Verify::kMetadata).status()); });
  Time("describe", [&] { OrDie(IndexDirectory::ReadManifest(index).status()); });
  Time("add of 1,000 with a new blob", [&] {
    const auto writer = Open(index);
    OrDie(writer->Add(more.view(), {}));
    OrDie(writer->SetBlob("ann", larger_blob));
    OrDie(writer->Commit());
  });
  Time("remove of 1,000", [&] {
    const auto writer = Open(index);
    OrDie(writer->Remove(ids));
    OrDie(writer->Commit());
  });
  Time("compact with a new blob", [&] {
    const auto writer = Open(index);
    OrDie(writer->Compact());
    OrDie(writer->SetBlob("ann", blob));
    OrDie(writer->Commit());
  });
  std::filesystem::remove_all(path);
}

}  // namespace
}  // namespace dpkde

int main(int argc, char** argv) { dpkde::Run(argc > 1 ? argv[1] : "/tmp"); }
