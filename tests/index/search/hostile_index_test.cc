// Index directories that were made to harm, their checksums right: each is refused by a status, or answers finite scores.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dpkde/base/sha256.h"
#include "dpkde/index/corpus/index_layout.h"
#include "dpkde/index/corpus/index_writer.h"
#include "dpkde/index/encoding/encoder_factory.h"
#include "dpkde/index/search/index_changes.h"
#include "dpkde/index/search/searcher.h"
#include "dpkde/io/envelope.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/index/corpus/index_testing.h"

namespace dpkde {
namespace {

using ::testing::HasSubstr;
using Spec = proto::VectorIndexSpec;

constexpr size_t kDimension = 5;

ThreadPool& Pool() {
  static ThreadPool& pool = *new ThreadPool(2);
  return pool;
}

// A directory in memory: its manifest, and its files by name.
struct Directory {
  proto::IndexManifest manifest;
  std::map<std::string, std::string> files;

  std::string* FileOf(const proto::StoredFile& stored) { return &files[stored.name()]; }
};

Directory Read(const std::string& path) {
  Directory directory;
  directory.manifest = *IndexDirectory::ReadManifest(path);
  directory.files = FilesIn(path);
  return directory;
}

// Gives a file of the manifest the size and checksum of what it now holds.
void Seal(proto::StoredFile* stored, const std::string& bytes) {
  const Sha256Digest digest = Sha256(bytes);
  stored->set_size(bytes.size());
  stored->set_sha256(std::string(digest.begin(), digest.end()));
}

void SealAll(Directory* directory) {
  for (const proto::StoredFile* const file : FilesOfIndex(directory->manifest)) {
    const auto found = directory->files.find(file->name());
    if (found != directory->files.end()) Seal(const_cast<proto::StoredFile*>(file), found->second);
  }
}

void Write(const Directory& directory, const std::string& path) {
  std::filesystem::remove_all(path);
  std::filesystem::create_directory(path);
  for (const auto& [name, bytes] : directory.files) {
    if (name != kIndexManifestName) std::ofstream(absl::StrCat(path, "/", name), std::ios::binary) << bytes;
  }
  std::ofstream(absl::StrCat(path, "/", kIndexManifestName), std::ios::binary)
      << SealEnvelope(kIndexManifestKind, kIndexManifestVersion, directory.manifest.SerializePartialAsString());
}

// `count` documents of one token.
TokenSets SingleVectors(size_t count, uint64_t seed) {
  std::mt19937_64 engine(seed);
  TokenSets sets(kDimension);
  std::vector<float> vector(kDimension);
  for (size_t i = 0; i < count; ++i) {
    for (float& value : vector) value = static_cast<int>(engine() % 2001) / 1000.0f - 1;
    sets.Append({vector.data(), 1, kDimension});
  }
  return sets;
}

// An index of single vectors.
std::string MakeVectors(size_t count, Spec::Kind kind, Spec::Codes codes, Spec::Metric metric,
                        proto::TokenStoreSpec::Format format, bool origin = false) {
  proto::IndexConfig config;
  config.mutable_tokens()->set_single_vectors(true);
  config.mutable_tokens()->set_format(format);
  config.mutable_vector_index()->set_kind(kind);
  config.mutable_vector_index()->set_codes(codes);
  config.mutable_vector_index()->set_metric(metric);
  for (size_t i = 0; origin && i < kDimension; ++i) config.add_origin(100);
  const std::string path = NewIndexPath();
  EXPECT_TRUE(BuildIndex(path, SingleVectors(count, 1).view(), {}, config, nullptr, false, Pool()).ok());
  return path;
}

std::string MakeFlat(proto::TokenStoreSpec::Format format) {
  return MakeVectors(20, Spec::FLAT, Spec::FLOAT32, Spec::L2, format);
}

// An index of token sets, with a removed document and a second segment.
std::string MakeTokenSets(proto::TokenStoreSpec::Format format) {
  proto::EncoderSpec spec;
  spec.set_token_dimension(kDimension);
  spec.mutable_fde()->set_repetitions(3);
  spec.mutable_fde()->set_hyperplanes(2);
  const auto encoder = CreateEncoder(spec, TokenSets(kDimension).view(), Pool());
  EXPECT_TRUE(encoder.ok()) << encoder.status();
  proto::IndexConfig config;
  config.mutable_tokens()->set_format(format);
  const std::string path = NewIndexPath();
  EXPECT_TRUE(BuildIndex(path, SomeDocuments(30, kDimension, 1).view(), {}, config, encoder->get(), false, Pool()).ok());
  EXPECT_TRUE(RemoveDocuments(path, {"3"}).ok());
  EXPECT_TRUE(AddDocuments(path, SomeDocuments(9, kDimension, 2).view(), {}, Pool()).ok());
  return path;
}

absl::Status OpenStatus(const std::string& path) { return Searcher::Open(path).status(); }

// What a change makes of an index, its checksums put right.
absl::Status AfterChange(const std::string& path, const std::function<void(Directory*)>& change) {
  Directory directory = Read(path);
  change(&directory);
  SealAll(&directory);
  const std::string changed = NewIndexPath();
  Write(directory, changed);
  return OpenStatus(changed);
}

void ExpectDamaged(const absl::Status& status, const std::string& phrase) {
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(phrase));
}

template <typename T>
void Put(T value, size_t at, std::string* bytes) {
  ASSERT_LE(at + sizeof(value), bytes->size());
  std::memcpy(&(*bytes)[at], &value, sizeof(value));
}

// The file of a report on memory that was overwritten.
TEST(HostileIndexTest, ADocumentOfTwoVectorsAmongSingleOnes) {
  ExpectDamaged(OpenStatus("tests/testdata/hostile/index_single_vectors_two_tokens"), "single vector");
  EXPECT_EQ(IndexWriter::Open("tests/testdata/hostile/index_single_vectors_two_tokens").status().code(),
            absl::StatusCode::kDataLoss);
  const std::string path = MakeFlat(proto::TokenStoreSpec::FLOAT32);
  EXPECT_TRUE(AfterChange(path, [](Directory*) {}).ok());  // the control
  // As many tokens as documents, but one document has two of them and another none.
  ExpectDamaged(AfterChange(path, [](Directory* d) { Put<uint64_t>(4, 8 * 3, d->FileOf(d->manifest.segment(0).offsets())); }),
                "is not a single vector");
  // Token sets may.
  const std::string sets = MakeTokenSets(proto::TokenStoreSpec::FLOAT32);
  EXPECT_TRUE(AfterChange(sets, [](Directory*) {}).ok());
  ExpectDamaged(AfterChange(sets, [](Directory* d) { d->manifest.mutable_config()->mutable_tokens()->set_single_vectors(true); }),
                "single vectors");
}

TEST(HostileIndexTest, TokensThatAreNoNumbers) {
  const auto changed_token = [](proto::TokenStoreSpec::Format format, auto value) {
    return AfterChange(MakeFlat(format), [&](Directory* d) {
      Put(value, 3 * TokenStride(ToTokenFormat(format), kDimension), d->FileOf(d->manifest.segment(0).values()));
    });
  };
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  ExpectDamaged(changed_token(proto::TokenStoreSpec::FLOAT32, nan), "token 3, column 0 is not finite");
  ExpectDamaged(changed_token(proto::TokenStoreSpec::FLOAT32, -infinity), "token 3, column 0 is not finite");
  ExpectDamaged(changed_token(proto::TokenStoreSpec::FLOAT32, 1e38f), "token 3 is too large");
  ExpectDamaged(changed_token(proto::TokenStoreSpec::FLOAT16, uint16_t{0x7e00}), "token 3, column 0 is not finite");
  ExpectDamaged(changed_token(proto::TokenStoreSpec::FLOAT16, uint16_t{0xfc00}), "token 3, column 0 is not finite");
  EXPECT_TRUE(changed_token(proto::TokenStoreSpec::FLOAT32, 0.25f).ok());
  for (const float scale : {nan, infinity, -1.0f, 1e38f}) {
    const std::string path = MakeFlat(proto::TokenStoreSpec::INT8);
    const absl::Status status = AfterChange(
        path, [&](Directory* d) { Put(scale, 4 * 3, d->FileOf(d->manifest.segment(0).scales())); });
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << scale << " " << status;
  }
  // A change does not look at them, but compaction, which would seal them anew, does.
  const std::string path = MakeFlat(proto::TokenStoreSpec::FLOAT32);
  Directory directory = Read(path);
  Put(nan, 0, directory.FileOf(directory.manifest.segment(0).values()));
  SealAll(&directory);
  Write(directory, path);
  EXPECT_TRUE(RemoveDocuments(path, {"7"}).ok());
  EXPECT_EQ(CompactIndex(path, Pool()).code(), absl::StatusCode::kDataLoss);
}

TEST(HostileIndexTest, IdsThatAreNone) {
  const std::string path = MakeFlat(proto::TokenStoreSpec::FLOAT32);
  // Ids "0" to "19" lie behind 21 offsets.
  const auto changed_id = [&](size_t document, char text) {
    return AfterChange(path, [&](Directory* d) {
      (*d->FileOf(d->manifest.segment(0).ids()))[8 * 21 + document] = text;
    });
  };
  ExpectDamaged(changed_id(2, '\xff'), "the id of its document 2 (counting from 0) is not UTF-8");
  ExpectDamaged(changed_id(2, '\n'), "the id of its document 2 (counting from 0) has a control character");
  ExpectDamaged(changed_id(2, '5'), "two documents have the id \"5\"");
  EXPECT_TRUE(changed_id(2, 'x').ok());
  ExpectDamaged(AfterChange(path,
                            [](Directory* d) { Put<uint64_t>(2, 8 * 3, d->FileOf(d->manifest.segment(0).ids())); }),
                "the id of its document 2 (counting from 0) is empty");
  // An id may come back after its document was removed.
  ASSERT_TRUE(RemoveDocuments(path, {"5"}).ok());
  ASSERT_TRUE(AddDocuments(path, SingleVectors(1, 9).view(), {"5"}, Pool()).ok());
  EXPECT_TRUE(OpenStatus(path).ok());
}

TEST(HostileIndexTest, CountsThatLeaveNoRoom) {
  const std::string path = MakeFlat(proto::TokenStoreSpec::FLOAT32);
  ExpectDamaged(AfterChange(path, [](Directory* d) { d->manifest.set_generation(~uint64_t{0}); }),
                "its generation is impossible");
  ExpectDamaged(AfterChange(path, [](Directory* d) { d->manifest.set_documents_added(~uint64_t{0}); }),
                "ever added is impossible");
  ExpectDamaged(AfterChange(path, [](Directory* d) { d->manifest.mutable_segment(0)->set_documents(70368744177664); }),
                "is damaged");
  // The last generation can be read, but not be changed.
  Directory directory = Read(path);
  directory.manifest.set_generation(kMostIndexChanges);
  Write(directory, path);
  EXPECT_TRUE(OpenStatus(path).ok());
  ExpectDamaged(RemoveDocuments(path, {"5"}), "leaves no room for a change");
  EXPECT_TRUE(OpenStatus(path).ok());
}

// ---- Mutations of anything.

template <typename T>
T Pick(const std::vector<T>& values, std::mt19937_64& engine) {
  return values[engine() % values.size()];
}

uint64_t NastyInteger(uint64_t now, std::mt19937_64& engine) {
  return Pick<uint64_t>({0, 1, 2, 3, 7, 8, 255, 256, 65535, 65536, 1 << 20, (uint64_t{1} << 31) - 1, uint64_t{1} << 31,
                         ~uint32_t{0}, uint64_t{1} << 40, uint64_t{1} << 60, uint64_t{1} << 63, ~uint64_t{0}, now + 1,
                         now - 1, 2 * now},
                        engine);
}

double NastyNumber(double now, std::mt19937_64& engine) {
  const double infinity = std::numeric_limits<double>::infinity();
  return Pick<double>({0, -0.0, 1e-300, 5e-324, 1e300, 3e18, 1e19, infinity, -infinity,
                       std::numeric_limits<double>::quiet_NaN(), -1, -now, now * 1e6},
                      engine);
}

// Changes one field, somewhere inside.
void Mutate(google::protobuf::Message* message, std::mt19937_64& engine) {
  using google::protobuf::FieldDescriptor;
  const google::protobuf::Reflection* const reflection = message->GetReflection();
  const FieldDescriptor* const field =
      message->GetDescriptor()->field(static_cast<int>(engine() % message->GetDescriptor()->field_count()));
  if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
    if (field->is_repeated()) {
      const int size = reflection->FieldSize(*message, field);
      if (size == 0 || engine() % 8 == 0) {
        google::protobuf::Message* const added = reflection->AddMessage(message, field);
        if (size > 0) added->CopyFrom(reflection->GetRepeatedMessage(*message, field, 0));
      } else if (engine() % 8 == 0) {
        reflection->RemoveLast(message, field);
      } else {
        Mutate(reflection->MutableRepeatedMessage(message, field, static_cast<int>(engine() % size)), engine);
      }
    } else if (engine() % 8 == 0) {
      reflection->ClearField(message, field);
    } else {
      Mutate(reflection->MutableMessage(message, field), engine);
    }
    return;
  }
  if (field->is_repeated()) {
    const int size = reflection->FieldSize(*message, field);
    const int i = size == 0 ? 0 : static_cast<int>(engine() % size);
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE) {
      if (size == 0) return reflection->AddDouble(message, field, NastyNumber(1, engine));
      return reflection->SetRepeatedDouble(message, field, i,
                                           NastyNumber(reflection->GetRepeatedDouble(*message, field, i), engine));
    }
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_UINT64) {
      if (size == 0) return reflection->AddUInt64(message, field, NastyInteger(1, engine));
      return reflection->SetRepeatedUInt64(message, field, i,
                                           NastyInteger(reflection->GetRepeatedUInt64(*message, field, i), engine));
    }
    return;
  }
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection->SetInt32(
          message, field, static_cast<int32_t>(NastyInteger(reflection->GetInt32(*message, field), engine)));
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection->SetUInt32(
          message, field, static_cast<uint32_t>(NastyInteger(reflection->GetUInt32(*message, field), engine)));
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection->SetUInt64(message, field, NastyInteger(reflection->GetUInt64(*message, field), engine));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection->SetDouble(message, field, NastyNumber(reflection->GetDouble(*message, field), engine));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection->SetBool(message, field, !reflection->GetBool(*message, field));
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection->SetEnumValue(message, field, static_cast<int>(engine() % 8));
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection->SetString(
          message, field,
          Pick<std::string>({"", "a", "\xff", reflection->GetString(*message, field) + "x", "00000001.tokens"}, engine));
    default:
      return;
  }
}

// Changes a few bytes, or the size.
void Mutate(std::string* bytes, std::mt19937_64& engine) {
  if (engine() % 10 == 0) return bytes->resize(engine() % (2 * bytes->size() + 9), static_cast<char>(engine()));
  if (bytes->size() < 8) return;
  const size_t at = engine() % (bytes->size() - 7) / 4 * 4;
  if (engine() % 2 == 0) {
    uint64_t now;
    std::memcpy(&now, &(*bytes)[at], 8);
    Put(NastyInteger(now, engine), at, bytes);
  } else {
    Put(static_cast<float>(NastyNumber(1, engine)), at, bytes);
  }
}

// The payload of a file in an envelope.
void MutateInside(absl::string_view kind, std::string* file, std::mt19937_64& engine) {
  const auto envelope = OpenEnvelope(kind, 1, *file);
  ASSERT_TRUE(envelope.ok()) << envelope.status();
  std::string payload(envelope->payload);
  uint32_t head_bytes;
  std::memcpy(&head_bytes, payload.data(), sizeof(head_bytes));
  proto::VectorIndexHeader header;
  if (kind == "vecindex" && engine() % 2 == 0 && header.ParseFromString(payload.substr(4, head_bytes))) {
    Mutate(&header, engine);
    const std::string head = header.SerializeAsString();
    const uint32_t size = static_cast<uint32_t>(head.size());
    payload = std::string(reinterpret_cast<const char*>(&size), 4) + head + payload.substr(4 + head_bytes);
  } else {
    Mutate(&payload, engine);
  }
  *file = SealEnvelope(kind, 1, payload);
}

// One or two changes.
void MutateDirectory(Directory* directory, std::mt19937_64& engine) {
  for (uint64_t changes = 1 + engine() % 2; changes > 0; --changes) {
    const auto files = FilesOfIndex(directory->manifest);
    const uint64_t what = engine() % 4;
    if (what == 0 || files.empty()) {
      Mutate(&directory->manifest, engine);
      continue;
    }
    const auto found = directory->files.find(files[engine() % files.size()]->name());
    if (found == directory->files.end()) continue;
    for (const char* const kind : {"vecindex", "encoder"}) {
      if (what > 1 && IsEnvelope(kind, found->second) && OpenEnvelope(kind, 1, found->second).ok()) {
        MutateInside(kind, &found->second, engine);
      }
    }
    if (what == 1) Mutate(&found->second, engine);
  }
  if (engine() % 8 != 0) SealAll(directory);
}

// What is opened answers: known rows, and scores that are numbers but for documents without tokens.
void ExpectFiniteAnswers(const Searcher& searcher, bool single_vectors) {
  if (searcher.directory().dimension() != kDimension) return;
  const TokenSets queries = single_vectors ? SingleVectors(3, 7) : SomeDocuments(3, kDimension, 7);
  for (const bool rerank : {true, false}) {
    for (const size_t candidates : {3, 100000}) {
      SearchOptions options;
      options.k = 3;
      options.candidates = candidates;
      if (!rerank) options.rerank = 0;
      const auto results = searcher.Search(queries.view(), options, Pool());
      if (!results.ok()) continue;  // such as queries of another kind than its documents
      for (const std::vector<SearchHit>& hits : *results) {
        for (const SearchHit& hit : hits) {
          ASSERT_LT(hit.row, searcher.directory().rows());
          EXPECT_TRUE(std::isfinite(hit.score) || hit.score == -std::numeric_limits<double>::infinity()) << hit.score;
        }
      }
    }
  }
}

TEST(HostileIndexTest, AnyMutationIsRefusedOrAnswers) {
  struct Case {
    std::string path;
    bool single_vectors;
    int mutations;
  };
  // Codes, lists and graphs begin with 1,024 rows.
  const std::vector<Case> cases = {
      {MakeFlat(proto::TokenStoreSpec::FLOAT32), true, 400},
      {MakeVectors(30, Spec::FLAT, Spec::FLOAT32, Spec::COSINE, proto::TokenStoreSpec::FLOAT32, true), true, 200},
      {MakeVectors(60, Spec::HNSW, Spec::FLOAT32, Spec::INNER_PRODUCT, proto::TokenStoreSpec::INT8), true, 400},
      {MakeVectors(1100, Spec::IVF, Spec::INT8, Spec::L2, proto::TokenStoreSpec::FLOAT16), true, 150},
      {MakeVectors(1100, Spec::FLAT, Spec::PQ4, Spec::L2, proto::TokenStoreSpec::FLOAT32), true, 100},
      {MakeVectors(1100, Spec::IVF, Spec::PQ8, Spec::COSINE, proto::TokenStoreSpec::FLOAT32), true, 100},
      {MakeVectors(1100, Spec::FLAT, Spec::GRADED, Spec::INNER_PRODUCT, proto::TokenStoreSpec::FLOAT32), true, 100},
      {MakeTokenSets(proto::TokenStoreSpec::FLOAT16), false, 400},
      {MakeTokenSets(proto::TokenStoreSpec::INT8), false, 200},
  };
  int opened = 0, refused = 0;
  const std::string path = NewIndexPath();
  for (size_t c = 0; c < cases.size(); ++c) {
    const Directory original = Read(cases[c].path);
    for (int i = 0; i < cases[c].mutations; ++i) {
      std::mt19937_64 engine(1000 * c + i);
      Directory directory = original;
      MutateDirectory(&directory, engine);
      Write(directory, path);
      const auto searcher = Searcher::Open(path);
      ++(searcher.ok() ? opened : refused);
      if (searcher.ok()) ExpectFiniteAnswers(*searcher, cases[c].single_vectors);
      // A change is refused too, or leaves something that can be opened or is refused.
      if (i % 10 == 0) {
        (void)RemoveDocuments(path, {"1"});
        (void)AddDocuments(path, SingleVectors(2, 3).view(), {"new", "newer"}, Pool());
        (void)CompactIndex(path, Pool());
        const auto after = Searcher::Open(path);
        if (after.ok()) ExpectFiniteAnswers(*after, cases[c].single_vectors);
      }
      if (HasFailure()) FAIL() << "case " << c << ", mutation " << i;
    }
  }
  // The mutations are neither all noticed nor all harmless.
  EXPECT_GT(opened, 100);
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace dpkde
