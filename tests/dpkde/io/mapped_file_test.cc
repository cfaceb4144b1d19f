#include "dpkde/io/mapped_file.h"

#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/dpkde/io/test_files.h"

namespace dpkde {
namespace {

TEST(MappedFileTest, ShowsTheBytesAlsoAfterTheFileIsDeleted) {
  std::string bytes;
  for (int i = 0; i < 10000; ++i) absl::StrAppend(&bytes, i);
  const std::string path = MakeFile("data", bytes);
  const auto file = MappedFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)->path(), path);
  EXPECT_EQ((*file)->bytes(), bytes);
  std::filesystem::remove(path);
  EXPECT_EQ((*file)->bytes(), bytes);
}

TEST(MappedFileTest, AnEmptyFileHasNoBytes) {
  const auto file = MappedFile::Open(MakeFile("empty", ""));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_TRUE((*file)->bytes().empty());
}

TEST(MappedFileTest, RefusesWhatIsNoFile) {
  const std::string path = NewPath("nothing");
  EXPECT_EQ(MappedFile::Open(path).status(), absl::NotFoundError(absl::StrCat(path, ": does not exist")));
  EXPECT_EQ(MappedFile::Open("/").status(), absl::UnavailableError("/: is a folder, not a file"));
}

}  // namespace
}  // namespace dpkde
