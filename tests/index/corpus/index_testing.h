#ifndef DPKDE_TESTS_INDEX_CORPUS_INDEX_TESTING_H_
#define DPKDE_TESTS_INDEX_CORPUS_INDEX_TESTING_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dpkde/index/corpus/index_directory.h"
#include "dpkde/index/corpus/stored_tokens.h"
#include "dpkde/index/corpus/token_sets.h"
#include "dpkde/io/file.h"

namespace dpkde {

// A path of this name in a new, empty folder.
inline std::string NewIndexPath(const std::string& name = "corpus.index") {
  std::string folder = absl::StrCat(::testing::TempDir(), "/index_XXXXXX");
  if (mkdtemp(&folder[0]) == nullptr) std::abort();
  return absl::StrCat(folder, "/", name);
}

// Documents of 0 to 6 tokens.
inline TokenSets SomeDocuments(size_t count, size_t dimension, uint64_t seed) {
  std::mt19937_64 engine(seed);
  TokenSets sets(dimension);
  for (size_t i = 0; i < count; ++i) {
    std::vector<float> tokens(engine() % 7 * dimension);
    for (float& value : tokens) value = static_cast<int>(engine() % 2001) / 1000.0f - 1;
    sets.Append({tokens.data(), tokens.size() / dimension, dimension});
  }
  return sets;
}

inline std::vector<std::string> NumberedIds(absl::string_view prefix, size_t begin, size_t end) {
  std::vector<std::string> ids;
  for (size_t i = begin; i < end; ++i) ids.push_back(absl::StrCat(prefix, i));
  return ids;
}

// The bytes of a document as it is stored.
inline std::string StoredBytes(const StoredTokens& tokens) {
  std::string bytes(static_cast<const char*>(tokens.values),
                    tokens.count * TokenStride(tokens.format, tokens.dimension));
  if (tokens.scales != nullptr) {
    bytes.append(reinterpret_cast<const char*>(tokens.scales), tokens.count * sizeof(float));
  }
  return bytes;
}

inline std::string StoredBytes(TokenFormat format, MatrixView tokens) {
  std::string bytes;
  std::vector<float> scales;
  EXPECT_TRUE(StoreTokens(format, tokens, &bytes, &scales).ok());
  bytes.append(reinterpret_cast<const char*>(scales.data()), scales.size() * sizeof(float));
  return bytes;
}

// Every live document in order, and every blob.
struct IndexContent {
  std::vector<std::pair<std::string, std::string>> documents;  // id and bytes
  std::map<std::string, std::string> blobs;

  bool operator==(const IndexContent& other) const { return documents == other.documents && blobs == other.blobs; }
};

inline IndexContent ContentOf(const IndexDirectory& index) {
  IndexContent content;
  for (uint64_t row = 0; row < index.rows(); ++row) {
    const std::string id(index.id(row));
    if (index.removed(row)) continue;
    EXPECT_EQ(index.Find(id), row) << id;
    content.documents.emplace_back(id, StoredBytes(index.tokens(row)));
  }
  EXPECT_EQ(content.documents.size(), index.live_rows());
  for (const proto::IndexBlob& blob : index.manifest().blob()) {
    content.blobs[blob.name()] = std::string(*index.blob(blob.name()));
  }
  return content;
}

inline std::map<std::string, std::string> FilesIn(const std::string& path) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    files[entry.path().filename().string()] = *ReadFile(entry.path().string(), uint64_t{1} << 30);
  }
  return files;
}

}  // namespace dpkde

#endif  // DPKDE_TESTS_INDEX_CORPUS_INDEX_TESTING_H_
