#include "dpkde/index/corpus/index_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <fstream>
#include <limits>
#include <thread>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "dpkde/index/corpus/document_ids.h"
#include "dpkde/index/corpus/index_layout.h"
#include "dpkde/index/corpus/index_writer.h"
#include "dpkde/io/envelope.h"
#include "tests/index/corpus/index_testing.h"

namespace dpkde {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;
using Verify = IndexDirectory::Verify;

constexpr size_t kDimension = 5;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

proto::TokenStoreSpec Spec(TokenFormat format, uint32_t dimension = kDimension) {
  proto::TokenStoreSpec spec;
  spec.set_format(ToProto(format));
  spec.set_dimension(dimension);
  return spec;
}

std::unique_ptr<IndexWriter> CreateOrDie(const std::string& path, TokenFormat format = TokenFormat::kFloat32,
                                         bool overwrite = false) {
  auto writer = IndexWriter::Create(path, Spec(format), overwrite);
  EXPECT_TRUE(writer.ok()) << writer.status();
  return *std::move(writer);
}

std::unique_ptr<IndexWriter> OpenWriterOrDie(const std::string& path) {
  auto writer = IndexWriter::Open(path);
  EXPECT_TRUE(writer.ok()) << writer.status();
  return *std::move(writer);
}

IndexDirectory OpenOrDie(const std::string& path) {
  auto index = IndexDirectory::Open(path);
  EXPECT_TRUE(index.ok()) << index.status();
  return *std::move(index);
}

// An index with two segments, removals and blobs.
void MakeIndex(const std::string& path, TokenFormat format) {
  auto writer = CreateOrDie(path, format);
  ASSERT_TRUE(writer->Add(SomeDocuments(20, kDimension, 1).view(), NumberedIds("doc ", 0, 20)).ok());
  ASSERT_TRUE(writer->SetBlob("encoder", "the encoder").ok());
  ASSERT_TRUE(writer->SetBlob("ann", std::string(1000, 'x')).ok());
  ASSERT_TRUE(writer->Commit().ok());
  writer.reset();
  writer = OpenWriterOrDie(path);
  ASSERT_TRUE(writer->Remove(NumberedIds("doc ", 3, 5)).ok());
  ASSERT_TRUE(writer->Add(SomeDocuments(11, kDimension, 2).view(), {}).ok());
  ASSERT_TRUE(writer->SetBlob("ann", std::string(1100, 'y')).ok());
  ASSERT_TRUE(writer->Commit().ok());
}

TEST(IndexDirectoryTest, GivesBackWhatWasAdded) {
  for (const TokenFormat format : {TokenFormat::kFloat32, TokenFormat::kFloat16, TokenFormat::kInt8}) {
    const std::string path = NewIndexPath();
    const TokenSets documents = SomeDocuments(50, kDimension, 7);
    auto writer = CreateOrDie(path, format);
    EXPECT_EQ(writer->index(), nullptr);
    // Two batches are one segment.
    ASSERT_TRUE(writer->Add(documents.view().Slice(0, 30), NumberedIds("a/b é ", 0, 30)).ok());
    ASSERT_TRUE(writer->Add(documents.view().Slice(30, 50), {}).ok());
    ASSERT_TRUE(writer->SetBlob("encoder", "bytes\0of it").ok());
    writer->config().set_encoder_fingerprint("abc");
    EXPECT_EQ(writer->rows(), 50u);
    EXPECT_FALSE(IndexDirectory::Open(path).ok());
    ASSERT_TRUE(writer->Commit().ok());
    EXPECT_EQ(writer->Commit().code(), absl::StatusCode::kFailedPrecondition);

    const IndexDirectory index = OpenOrDie(path);
    EXPECT_EQ(index.rows(), 50u);
    EXPECT_EQ(index.live_rows(), 50u);
    EXPECT_EQ(index.dimension(), kDimension);
    EXPECT_EQ(index.token_format(), format);
    EXPECT_EQ(index.manifest().config().encoder_fingerprint(), "abc");
    EXPECT_EQ(index.manifest().segment_size(), 1);
    for (uint64_t row = 0; row < 50; ++row) {
      EXPECT_EQ(index.id(row), row < 30 ? absl::StrCat("a/b é ", row) : absl::StrCat(row));
      EXPECT_FALSE(index.removed(row));
      EXPECT_EQ(index.tokens(row).count, documents.view().set(row).rows);
      EXPECT_EQ(StoredBytes(index.tokens(row)), StoredBytes(format, documents.view().set(row)));
      EXPECT_EQ(index.Find(std::string(index.id(row))), row);
    }
    EXPECT_EQ(index.Find("50"), absl::nullopt);
    EXPECT_EQ(index.blob("encoder"), "bytes");
    EXPECT_EQ(index.blob("ann"), absl::nullopt);
  }
}

TEST(IndexDirectoryTest, AnEmptyIndexIsValidAndCanBeFilled) {
  const std::string path = NewIndexPath();
  ASSERT_TRUE(CreateOrDie(path)->Commit().ok());
  EXPECT_EQ(OpenOrDie(path).rows(), 0u);
  auto writer = OpenWriterOrDie(path);
  ASSERT_TRUE(writer->Compact().ok());
  ASSERT_TRUE(writer->Add(SomeDocuments(3, kDimension, 1).view(), {}).ok());
  ASSERT_TRUE(writer->Commit().ok());
  writer.reset();
  EXPECT_EQ(OpenOrDie(path).rows(), 3u);
  // Down to nothing again.
  writer = OpenWriterOrDie(path);
  ASSERT_TRUE(writer->Remove({"0", "1", "2"}).ok());
  ASSERT_TRUE(writer->Commit().ok());
  writer.reset();
  EXPECT_EQ(OpenOrDie(path).live_rows(), 0u);
  writer = OpenWriterOrDie(path);
  ASSERT_TRUE(writer->Compact().ok());
  ASSERT_TRUE(writer->Commit().ok());
  writer.reset();
  EXPECT_EQ(OpenOrDie(path).rows(), 0u);
  EXPECT_THAT(FilesIn(path), UnorderedElementsAre(testing::Key("LOCK"), testing::Key("MANIFEST")));
  // Default ids are never used again.
  writer = OpenWriterOrDie(path);
  ASSERT_TRUE(writer->Add(SomeDocuments(1, kDimension, 1).view(), {}).ok());
  ASSERT_TRUE(writer->Commit().ok());
  EXPECT_EQ(OpenOrDie(path).id(0), "3");
}

// Random changes, against a list in memory.
TEST(IndexDirectoryTest, BehavesLikeAList) {
  std::mt19937_64 engine(5);
  for (const TokenFormat format : {TokenFormat::kFloat32, TokenFormat::kInt8}) {
    const std::string path = NewIndexPath();
    IndexContent expected;
    ASSERT_TRUE(CreateOrDie(path, format)->Commit().ok());
    for (int change = 0; change < 25; ++change) {
      auto writer = OpenWriterOrDie(path);
      ASSERT_EQ(ContentOf(*writer->index()), expected);
      if (engine() % 2 == 0 && !expected.documents.empty()) {
        std::vector<std::string> ids;
        for (size_t i = 0; i < expected.documents.size();) {
          if (engine() % 4 != 0) {
            ++i;
            continue;
          }
          ids.push_back(expected.documents[i].first);
          expected.documents.erase(expected.documents.begin() + i);
        }
        ASSERT_TRUE(writer->Remove(ids).ok());
      }
      const bool compact = engine() % 4 == 0;
      if (compact) {
        ASSERT_TRUE(writer->Compact().ok());
      }
      if (engine() % 2 == 0) {
        const TokenSets documents = SomeDocuments(engine() % 9, kDimension, engine());
        // Some of these ids were there before and have been removed.
        std::vector<std::string> ids;
        for (size_t i = 0; i < documents.size(); ++i) {
          std::string id;
          do {
            id = absl::StrCat("id", engine() % 500);
          } while (std::any_of(expected.documents.begin(), expected.documents.end(),
                               [&](const auto& document) { return document.first == id; }));
          ids.push_back(id);
          expected.documents.emplace_back(id, StoredBytes(format, documents.view().set(i)));
        }
        ASSERT_TRUE(writer->Add(documents.view(), ids).ok());
      }
      if (engine() % 3 == 0) {
        const std::string bytes(engine() % 5, 'b');
        ASSERT_TRUE(writer->SetBlob("ann", bytes).ok());
        expected.blobs["ann"] = bytes;
      }
      const uint64_t rows = writer->rows();
      ASSERT_TRUE(writer->Commit().ok());
      writer.reset();
      const IndexDirectory index = OpenOrDie(path);
      ASSERT_EQ(ContentOf(index), expected) << change;
      EXPECT_EQ(index.rows(), rows);
      if (compact) {
        EXPECT_EQ(index.live_rows(), index.rows());
      }
      // Nothing is left that does not belong to it.
      EXPECT_EQ(FilesIn(path).size(), FilesOfIndex(index.manifest()).size() + 2);
    }
  }
}

TEST(IndexDirectoryTest, SameCallsMakeTheSameBytes) {
  const std::string first = NewIndexPath(), second = NewIndexPath("another name");
  MakeIndex(first, TokenFormat::kInt8);
  MakeIndex(second, TokenFormat::kInt8);
  EXPECT_EQ(FilesIn(first), FilesIn(second));
}

// The format is what tests/testdata/index_v1 holds: its files are read, and are what MakeIndex() still writes. Another
// version of the format leaves this directory as it is, and gets its own.
TEST(IndexDirectoryTest, GoldenFiles) {
  const std::string golden = "tests/testdata/index_v1";
  const std::string path = NewIndexPath();
  MakeIndex(path, TokenFormat::kInt8);
  auto written = FilesIn(path);
  EXPECT_EQ(written.erase("LOCK"), 1u);
  EXPECT_EQ(FilesIn(golden), written);
  EXPECT_EQ(ContentOf(OpenOrDie(golden)), ContentOf(OpenOrDie(path)));
}

TEST(IndexDirectoryTest, NothingHappensWithoutCommit) {
  const std::string path = NewIndexPath();
  {
    auto writer = CreateOrDie(path);
    ASSERT_TRUE(writer->Add(SomeDocuments(5, kDimension, 1).view(), {}).ok());
  }
  EXPECT_FALSE(std::filesystem::exists(path));  // it was made for nothing
  MakeIndex(path, TokenFormat::kFloat16);
  const auto before = FilesIn(path);
  {
    auto writer = OpenWriterOrDie(path);
    ASSERT_TRUE(writer->Remove({"doc 7"}).ok());
    ASSERT_TRUE(writer->Compact().ok());
    ASSERT_TRUE(writer->Add(SomeDocuments(5, kDimension, 1).view(), {}).ok());
    ASSERT_TRUE(writer->SetBlob("ann", "z").ok());
  }
  EXPECT_EQ(FilesIn(path), before);
  {
    auto writer = CreateOrDie(path, TokenFormat::kFloat32, /*overwrite=*/true);
    ASSERT_TRUE(writer->Add(SomeDocuments(5, kDimension, 1).view(), {}).ok());
  }
  EXPECT_EQ(FilesIn(path), before);
}

TEST(IndexDirectoryTest, OverwritesOnlyWhenTold) {
  const std::string path = NewIndexPath();
  MakeIndex(path, TokenFormat::kFloat16);
  const auto before = FilesIn(path);
  auto refused = IndexWriter::Create(path, Spec(TokenFormat::kFloat32), /*overwrite=*/false);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(Message(refused.status()), absl::StrCat(path, ": already holds an index"));
  EXPECT_EQ(FilesIn(path), before);
  auto writer = CreateOrDie(path, TokenFormat::kInt8, /*overwrite=*/true);
  ASSERT_TRUE(writer->Add(SomeDocuments(2, kDimension, 3).view(), {"x", "y"}).ok());
  ASSERT_TRUE(writer->Commit().ok());
  writer.reset();
  EXPECT_EQ(OpenOrDie(path).rows(), 2u);
  EXPECT_EQ(OpenOrDie(path).token_format(), TokenFormat::kInt8);
  EXPECT_EQ(FilesIn(path).size(), 6u);
  // Also an index that cannot be read any more.
  std::ofstream(path + "/MANIFEST") << "nonsense";
  writer = CreateOrDie(path, TokenFormat::kFloat32, /*overwrite=*/true);
  ASSERT_TRUE(writer->Commit().ok());
  writer.reset();
  EXPECT_EQ(OpenOrDie(path).rows(), 0u);
  EXPECT_EQ(FilesIn(path).size(), 2u);
}

TEST(IndexDirectoryTest, TouchesNoOtherFolder) {
  const std::string path = NewIndexPath();
  std::filesystem::create_directory(path);
  std::ofstream(path + "/photo.jpg") << "dear";
  for (const bool overwrite : {false, true}) {
    const auto writer = IndexWriter::Create(path, Spec(TokenFormat::kFloat32), overwrite);
    EXPECT_EQ(writer.status().code(), absl::StatusCode::kAlreadyExists);
    EXPECT_THAT(Message(writer.status()), HasSubstr("is a folder with other files, such as photo.jpg"));
  }
  EXPECT_EQ(FilesIn(path).size(), 1u);
  const std::string file = path + "/photo.jpg";
  EXPECT_EQ(IndexWriter::Create(file, Spec(TokenFormat::kFloat32), true).status().code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(IndexWriter::Create(path + "/a/b", Spec(TokenFormat::kFloat32), true).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(IndexWriter::Open(path).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(IndexWriter::Open(path + "/nothing").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(FilesIn(path).size(), 1u);
  const auto opened = IndexDirectory::Open(path);
  EXPECT_EQ(opened.status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Message(opened.status()), absl::StrCat(path, ": holds no index: it has no file MANIFEST"));
  // Files of others in an index stay.
  std::filesystem::remove(file);
  MakeIndex(path, TokenFormat::kFloat32);
  std::ofstream(path + "/notes.txt") << "mine";
  auto writer = CreateOrDie(path, TokenFormat::kFloat32, /*overwrite=*/true);
  ASSERT_TRUE(writer->Commit().ok());
  EXPECT_EQ(FilesIn(path).at("notes.txt"), "mine");
}

TEST(IndexDirectoryTest, RefusesDocumentsThatItCannotKeep) {
  const std::string path = NewIndexPath();
  MakeIndex(path, TokenFormat::kFloat16);
  const auto before = FilesIn(path);
  auto writer = OpenWriterOrDie(path);
  const TokenSets two = SomeDocuments(2, kDimension, 3);
  const auto error = [&](TokenSetsView documents, const std::vector<std::string>& ids) {
    const absl::Status status = writer->Add(documents, ids);
    return absl::StrCat(absl::StatusCodeToString(status.code()), ": ", Message(status));
  };
  EXPECT_EQ(error(SomeDocuments(1, 4, 1).view(), {}),
            "INVALID_ARGUMENT: the documents have dimension 4, but the index has 5");
  EXPECT_EQ(error(two.view(), {"one"}), "INVALID_ARGUMENT: there are 1 ids for 2 documents");
  EXPECT_EQ(error(two.view(), {"doc 1", "new"}),
            "ALREADY_EXISTS: the index already has a document with the id \"doc 1\", which is that of document 0 (counting "
            "from 0)");
  EXPECT_EQ(error(two.view(), {"new", "new"}), "ALREADY_EXISTS: the id \"new\" is given twice: to documents 0 and 1 (counting from 0)");
  EXPECT_EQ(error(two.view(), {"new", ""}), "INVALID_ARGUMENT: the id of document 1 (counting from 0) is empty");
  EXPECT_EQ(error(two.view(), {"a\nb", "new"}),
            "INVALID_ARGUMENT: the id of document 0 (counting from 0) has a control character");
  EXPECT_EQ(error(two.view(), {"\xff", "new"}),
            "INVALID_ARGUMENT: the id of document 0 (counting from 0) is not UTF-8");
  EXPECT_EQ(error(two.view(), {std::string(1025, 'a'), "new"}),
            "INVALID_ARGUMENT: the id of document 0 (counting from 0) is longer than 1024 bytes");
  struct Case {
    float value;
    const char* error;
  };
  for (const Case& c : {Case{std::numeric_limits<float>::quiet_NaN(), ", column 1 (counting from 0): is nan"},
                        Case{-std::numeric_limits<float>::infinity(), ", column 1 (counting from 0): is -inf"},
                        Case{65505,
                             ", column 1 (counting from 0): 65505 does not fit into float16, which ends at 65504; leave "
                             "the format of tokens out, or choose FLOAT32"}}) {
    TokenSets bad(kDimension);
    std::vector<float> values(3 * kDimension, 1);
    bad.Append({values.data(), 3, kDimension});
    values[2 * kDimension + 1] = c.value;
    bad.Append({values.data(), 3, kDimension});
    EXPECT_EQ(error(bad.view(), {}), absl::StrCat("INVALID_ARGUMENT: document 1, token 2", c.error));
  }
  // None of that has changed anything; the writer goes on.
  ASSERT_TRUE(writer->Add(two.view(), {"new", "doc 3"}).ok());  // "doc 3" was removed
  EXPECT_EQ(error(two.view(), {"other", "new"}),
            "ALREADY_EXISTS: the index already has a document with the id \"new\", which is that of document 1 (counting "
            "from 0)");
  ASSERT_TRUE(writer->Commit().ok());
  writer.reset();
  EXPECT_EQ(OpenOrDie(path).live_rows(), 31u);

  const std::string exact = NewIndexPath();
  writer = CreateOrDie(exact, TokenFormat::kFloat32);
  TokenSets large(kDimension);
  const std::vector<float> values(kDimension, 2e18f);
  large.Append({values.data(), 1, kDimension});
  EXPECT_EQ(error(large.view(), {}),
            "INVALID_ARGUMENT: document 0, token 0, column 0 (counting from 0): 2e+18 makes the vector too long: squared "
            "lengths must be at most 1e+37; scale all vectors down");
  TokenSets small(kDimension);
  const std::vector<float> tiny = {0, 1e-30f, -2e-30f, 0, 0};
  small.Append({tiny.data(), 1, kDimension});
  EXPECT_EQ(error(small.view(), {}),
            "INVALID_ARGUMENT: document 0, token 0, column 2 (counting from 0): -2e-30 belongs to the longest vector, and "
            "products of such vectors vanish: a squared length must be at least 1e-28; scale all vectors up");
  for (const uint32_t dimension : {0u, 65537u}) {
    EXPECT_EQ(IndexWriter::Create(NewIndexPath(), Spec(TokenFormat::kFloat32, dimension), false).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
}

TEST(IndexDirectoryTest, SingleVectorsHaveOneTokenEach) {
  proto::TokenStoreSpec spec = Spec(TokenFormat::kFloat32);
  spec.set_single_vectors(true);
  const std::string path = NewIndexPath();
  auto writer = IndexWriter::Create(path, spec, false);
  ASSERT_TRUE(writer.ok());
  const std::vector<float> values(10 * kDimension, 0.5f);
  const TokenSets vectors(kDimension, values, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
  ASSERT_TRUE((*writer)->Add(vectors.view(), {}).ok());
  const TokenSets pairs(kDimension, values, {0, 1, 3});
  EXPECT_EQ(Message((*writer)->Add(pairs.view(), {})),
            "document 1 (counting from 0): has 2 tokens, but each document of this index is a single vector");
  ASSERT_TRUE((*writer)->Commit().ok());
  EXPECT_EQ(OpenOrDie(path).rows(), 10u);
}

TEST(IndexDirectoryTest, RefusesToRemoveWhatIsNotThere) {
  const std::string path = NewIndexPath();
  MakeIndex(path, TokenFormat::kFloat32);
  auto writer = OpenWriterOrDie(path);
  const auto error = [&](const std::vector<std::string>& ids) {
    const absl::Status status = writer->Remove(ids);
    return absl::StrCat(absl::StatusCodeToString(status.code()), ": ", Message(status));
  };
  EXPECT_EQ(error({"doc 1", "nobody"}), "NOT_FOUND: the index has no document with the id \"nobody\", the one at 1 (counting from 0) of those to be "
            "removed");
  EXPECT_THAT(error({"doc 3"}), HasSubstr("no document with the id \"doc 3\""));  // removed before
  EXPECT_EQ(error({"doc 1", "doc 1"}), "INVALID_ARGUMENT: the id \"doc 1\" is to be removed twice: at 0 and 1 (counting from 0)");
  EXPECT_EQ(error({"doc 1"}), "OK: ");
  EXPECT_THAT(error({"doc 1"}), HasSubstr("no document with the id \"doc 1\""));
  ASSERT_TRUE(writer->Commit().ok());
  writer.reset();
  const IndexDirectory index = OpenOrDie(path);
  EXPECT_EQ(index.Find("doc 1"), absl::nullopt);
  EXPECT_EQ(index.id(1), "doc 1");
  EXPECT_TRUE(index.removed(1));
  EXPECT_EQ(index.manifest().removed_documents(), 3u);
}

TEST(IndexDirectoryTest, RefusesWrongBlobsAndWrongOrder) {
  const std::string path = NewIndexPath();
  MakeIndex(path, TokenFormat::kFloat32);
  auto writer = OpenWriterOrDie(path);
  for (const char* const name : {"", "Ann", "a.b", "../x", "tokens", "ids", "removed"}) {
    EXPECT_EQ(writer->SetBlob(name, "").code(), absl::StatusCode::kInvalidArgument) << name;
  }
  ASSERT_TRUE(writer->SetBlob("ann", "1").ok());
  EXPECT_EQ(writer->SetBlob("ann", "2").code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(writer->Add(SomeDocuments(1, kDimension, 1).view(), {}).ok());
  EXPECT_EQ(writer->Compact().code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(writer->Commit().ok());
}

// In every file, at some forty places.
TEST(IndexDirectoryTest, DamageIsNoticedAndNothingIsLost) {
  const std::string path = NewIndexPath();
  MakeIndex(path, TokenFormat::kInt8);
  const IndexContent content = ContentOf(OpenOrDie(path));
  const auto files = FilesIn(path);
  EXPECT_EQ(files.size(), 13u);
  for (const auto& file : files) {
    if (file.first == "LOCK") continue;
    const std::string file_path = absl::StrCat(path, "/", file.first);
    const std::string& bytes = file.second;
    const auto refused = [&](const std::string& damaged) {
      std::ofstream(file_path, std::ios::binary | std::ios::trunc) << damaged;
      const absl::Status status = IndexDirectory::Open(path).status();
      const bool foreign_version = file.first == "MANIFEST" && status.code() == absl::StatusCode::kFailedPrecondition;
      return (status.code() == absl::StatusCode::kDataLoss || foreign_version) &&
             absl::StartsWith(Message(status), file_path);
    };
    const size_t step = std::max<size_t>(1, bytes.size() / 40);
    for (size_t i = 0; i < bytes.size(); i += step) {
      std::string flipped = bytes;
      flipped[i] ^= 1 << (i / step % 8);
      EXPECT_TRUE(refused(flipped)) << file.first << " flipped at " << i;
      EXPECT_TRUE(refused(bytes.substr(0, i))) << file.first << " cut at " << i;
    }
    EXPECT_TRUE(refused(bytes + '\0')) << file.first;
    if (file.first != "MANIFEST") {
      std::filesystem::remove(file_path);
      const absl::Status missing = IndexDirectory::Open(path).status();
      EXPECT_EQ(missing.code(), absl::StatusCode::kDataLoss) << missing;
      EXPECT_THAT(Message(missing), HasSubstr("does not exist, but belongs to the index"));
      // A writer does not start on it either, and does not delete the rest.
      EXPECT_FALSE(IndexWriter::Open(path).ok());
    }
    std::ofstream(file_path, std::ios::binary | std::ios::trunc) << bytes;
    EXPECT_EQ(FilesIn(path), files);
  }
  EXPECT_EQ(ContentOf(OpenOrDie(path)), content);
}

// A manifest with a right checksum and wrong contents, as another program might write.
TEST(IndexDirectoryTest, ImpossibleManifestsAreRefused) {
  const std::string path = NewIndexPath();
  MakeIndex(path, TokenFormat::kInt8);
  const proto::IndexManifest good = *IndexDirectory::ReadManifest(path);
  const std::vector<std::function<void(proto::IndexManifest*)>> changes = {
      [](auto* m) { m->set_generation(0); },
      [](auto* m) { m->mutable_config()->mutable_tokens()->set_dimension(0); },
      [](auto* m) { m->mutable_config()->mutable_tokens()->set_dimension(4000000000u); },
      [](auto* m) { m->mutable_config()->mutable_tokens()->set_dimension(9); },
      [](auto* m) { m->mutable_config()->mutable_tokens()->set_format(proto::TokenStoreSpec::FLOAT32); },
      [](auto* m) { m->mutable_config()->mutable_tokens()->clear_format(); },
      [](auto* m) { m->mutable_segment(0)->set_documents(0); },
      [](auto* m) { m->mutable_segment(0)->set_documents(21); },
      [](auto* m) { m->mutable_segment(0)->set_documents(~uint64_t{0}); },
      [](auto* m) { m->mutable_segment(0)->set_tokens(~uint64_t{0} / 8); },
      [](auto* m) { m->mutable_segment(0)->clear_scales(); },
      [](auto* m) { m->mutable_segment(0)->mutable_ids()->set_name("../etc/passwd"); },
      [](auto* m) { m->mutable_segment(0)->mutable_ids()->set_size(3); },
      [](auto* m) { m->mutable_segment(0)->mutable_values()->mutable_sha256()->resize(31); },
      [](auto* m) { *m->mutable_segment(0) = m->segment(1); },
      [](auto* m) { m->set_removed_documents(3); },
      [](auto* m) { m->set_removed_documents(0); },
      [](auto* m) { m->clear_removed(); },
      [](auto* m) { m->set_documents_added(1); },
      [](auto* m) { m->set_documents_added(~uint64_t{0}); },
      [](auto* m) { m->set_generation(~uint64_t{0}); },
      [](auto* m) { m->set_generation(1); },  // files of the second belong to it
      [](auto* m) { m->mutable_config()->mutable_tokens()->set_single_vectors(true); },
      [](auto* m) { m->mutable_config()->add_origin(1); },
      [](auto* m) { m->mutable_segment(0)->mutable_ids()->set_size(1 << 20); },
      [](auto* m) { m->mutable_segment(0)->mutable_ids()->set_name("18446744073709551615.ids"); },
      [](auto* m) { m->mutable_blob(0)->set_name("ann"); },
      [](auto* m) { m->mutable_blob(0)->set_name("no name"); },
  };
  for (size_t i = 0; i < changes.size(); ++i) {
    proto::IndexManifest manifest = good;
    changes[i](&manifest);
    ASSERT_TRUE(
        WriteFileAtomically(path + "/MANIFEST",
                            SealEnvelope(kIndexManifestKind, kIndexManifestVersion, manifest.SerializeAsString()), true)
            .ok());
    EXPECT_EQ(IndexDirectory::Open(path).status().code(), absl::StatusCode::kDataLoss) << i;
  }
  ASSERT_TRUE(WriteFileAtomically(path + "/MANIFEST",
                                  SealEnvelope(kIndexManifestKind, kIndexManifestVersion + 1, "of the future"), true)
                  .ok());
  EXPECT_EQ(IndexDirectory::Open(path).status().code(), absl::StatusCode::kFailedPrecondition);
}

// Compaction copies tokens: it must not give damaged ones a new, right checksum. Other changes do not read them.
TEST(IndexDirectoryTest, CompactionRefusesDamagedTokens) {
  const std::string path = NewIndexPath();
  MakeIndex(path, TokenFormat::kFloat32);
  const std::string file = path + "/00000001.tokens";
  std::string bytes = *ReadFile(file, 1 << 20);
  bytes[100] ^= 4;
  std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
  auto writer = OpenWriterOrDie(path);
  const absl::Status status = writer->Compact();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Message(status), absl::StrCat(file, ": is damaged: its checksum does not match"));
  EXPECT_TRUE(IndexDirectory::Open(path, Verify::kMetadata).ok());
}

TEST(IndexDirectoryTest, TwoWritersExcludeEachOtherAndReadersDoNotWait) {
  const std::string path = NewIndexPath();
  MakeIndex(path, TokenFormat::kFloat32);
  auto writer = OpenWriterOrDie(path);
  const auto second = IndexWriter::Open(path);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Message(second.status()), absl::StrCat(path, ": is being changed by another process; try again later"));
  EXPECT_EQ(IndexWriter::Create(path, Spec(TokenFormat::kFloat32), true).status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_TRUE(IndexDirectory::Open(path).ok());
  writer.reset();
  EXPECT_TRUE(IndexWriter::Open(path).ok());
}

TEST(IndexDirectoryTest, ReadersKeepTheirStateWhileItChanges) {
  const std::string path = NewIndexPath();
  MakeIndex(path, TokenFormat::kFloat32);
  const IndexDirectory old = OpenOrDie(path);
  const IndexContent content = ContentOf(old);
  std::atomic<bool> done{false};
  std::thread reader([&] {
    while (!done) {
      const auto index = IndexDirectory::Open(path);
      ASSERT_TRUE(index.ok()) << index.status();
      // Whole states only: each change adds one document and writes its number to the blob.
      ASSERT_EQ(index->blob("count").value_or("29"), absl::StrCat(index->live_rows()));
    }
  });
  for (int i = 0; i < 60; ++i) {
    auto writer = OpenWriterOrDie(path);
    if (i % 3 == 0) {
      ASSERT_TRUE(writer->Compact().ok());
    }
    ASSERT_TRUE(writer->Add(SomeDocuments(1, kDimension, i).view(), {}).ok());
    ASSERT_TRUE(writer->SetBlob("count", absl::StrCat(writer->index()->live_rows() + 1)).ok());
    ASSERT_TRUE(writer->Commit().ok());
  }
  done = true;
  reader.join();
  EXPECT_EQ(ContentOf(old), content);
}

TEST(DocumentIdTest, TakesUtf8Only) {
  for (const char* const id : {"a", " ", "0", "é", "€", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(CheckDocumentId(id).ok()) << id;
  }
  for (const char* const id : {"", "\t", "\x7f", "\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80",
                               "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x82", "a\xc3"}) {
    EXPECT_FALSE(CheckDocumentId(id).ok()) << id;
  }
}

}  // namespace
}  // namespace dpkde
